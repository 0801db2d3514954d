//! Large answers are passed on while they still arrive: what clients of HTTP see of that.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use mcp_relay::hub::Limits;
use mcp_relay::shared::{Config, Shared};
use mcp_relay::transport::child::{ChildConnector, Patience, Spec};
use mcp_relay::transport::http_server::HttpOptions;
use mcp_wire::sse;

use crate::client::{Client, modern_call, modern_headers, open_session};
use crate::harness::{DEADLINE, Harness};

struct House {
    harness: Harness,
    directory: tempfile::TempDir,
}

impl House {
    fn new(limits: Limits) -> Self {
        let harness = Harness::serving(HttpOptions::default(), limits, |_| {
            let spec = Spec {
                program: "/bin/sh".into(),
                args: vec!["-c".into(), include_str!("../support/large.sh").into()],
                env: vec![("PATH".into(), "/usr/bin:/bin".into())],
                cwd: None,
            };
            let patience = Patience { closed: DEADLINE, ..Patience::default() };
            let connector = ChildConnector::new(spec, Rc::new(|_: &str| {})).with_patience(patience);
            (Box::new(Shared::new(Config::default())), Box::new(connector))
        });
        Self { harness, directory: tempfile::tempdir().unwrap() }
    }

    fn gate(&self) -> PathBuf {
        self.directory.path().join("gate")
    }

    fn open_gate(&self) {
        std::fs::write(self.gate(), "").unwrap();
    }

    fn until_quiet(&self) {
        self.harness.until("nothing is under way", |inside| {
            let status = inside.hub.status();
            status.in_flight == 0 && inside.http.status().streams == 0
        });
    }
}

/// A client of one era, with what its calls need.
struct Caller {
    client: Client,
    session: Option<String>,
}

impl Caller {
    fn new(house: &House, is_modern: bool) -> Self {
        let mut client = Client::new(&house.harness);
        // The revision without a priming event, so that an answer without progress is not a stream.
        let session = (!is_modern).then(|| open_session(&mut client, "2025-06-18"));
        Self { client, session }
    }

    /// Another connection of the same client.
    fn again(&self, house: &House) -> Self {
        Self { client: Client::new(&house.harness), session: self.session.clone() }
    }

    fn call(&mut self, id: u32, tool: &str, size: usize, gate: &Path, has_progress: bool) {
        let arguments = format!(r#"{{"size":{size},"gate":"{}"}}"#, gate.display());
        let progress = if has_progress { r#""progressToken":5"# } else { "" };
        if let Some(session) = &self.session {
            let meta = if has_progress { format!(r#","_meta":{{{progress}}}"#) } else { String::new() };
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}{meta}}}}}"#
            );
            self.client.post_only(session, &body);
        } else {
            let mut body = modern_call(id, tool, &arguments);
            if has_progress {
                body = body.replace(r#""_meta":{"#, &format!(r#""_meta":{{{progress},"#));
            }
            self.client.post_only(&modern_headers(tool), &body);
        }
    }

    /// Reads so much of a body.
    fn part(&mut self, size: usize) -> String {
        let mut body = String::new();
        while body.len() < size {
            body.push_str(&self.client.chunk().expect("the body goes on"));
        }
        body
    }

    /// Reads the rest of a body.
    fn rest(&mut self, mut body: String) -> String {
        while let Some(chunk) = self.client.chunk() {
            body.push_str(&chunk);
        }
        body
    }
}

fn answer(id: u32, size: usize) -> String {
    let text = "x".repeat(size);
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}]}}}}")
}

fn events(body: &str) -> Vec<sse::Event> {
    assert!(body.ends_with("\n\n"), "no event is left in part");
    sse::Parser::new(1 << 26).push(body.as_bytes()).unwrap()
}

/// Two texts, of which a test that fails should not show megabytes.
#[track_caller]
fn assert_same(found: &str, wanted: &str) {
    let shown =
        |text: &str| format!("{} … {} ({} bytes)", &text[..text.len().min(200)], &text[text.len().max(60) - 60..], text.len());
    assert!(found == wanted, "{}\n{}", shown(found), shown(wanted));
}

#[test]
fn clients_of_both_eras_read_the_beginning_of_a_message_while_the_server_still_writes() {
    for is_modern in [false, true] {
        let house = House::new(Limits::default());
        let mut caller = Caller::new(&house, is_modern);
        caller.call(7, "halves", 1 << 20, &house.gate(), false);
        let head = caller.client.head();
        assert_eq!((head.status, head.header("content-type")), (200, Some("application/json")));
        let begun = caller.part(90_000);
        let mut other = Caller { client: Client::new(&house.harness), session: caller.session.clone() };
        other.call(8, "whole", 10, &house.gate(), false);
        house.open_gate();
        assert_same(&caller.rest(begun), &answer(7, (1 << 20) + 100_000));
        assert_same(&other.client.reply().body, &answer(8, 10));
        // The connection is as good as before.
        caller.call(9, "whole", 10 << 20, &house.gate(), false);
        assert_same(&caller.client.reply().body, &answer(9, 10 << 20));
        house.until_quiet();
    }
}

#[test]
fn behind_progress_the_answer_is_one_event_that_comes_in_parts() {
    for is_modern in [false, true] {
        let house = House::new(Limits::default());
        let mut caller = Caller::new(&house, is_modern);
        caller.call(7, "halves", 1 << 20, &house.gate(), true);
        assert!(caller.client.head().is_events());
        let begun = caller.part(90_000);
        house.open_gate();
        let events = events(&caller.rest(begun));
        assert_eq!(events.len(), 2);
        assert!(events[0].data.contains("notifications/progress"), "{:?}", events[0]);
        assert_same(&events[1].data, &answer(7, (1 << 20) + 100_000));
        house.until_quiet();
    }
}

#[test]
fn clients_at_once_get_large_and_small_answers_each_its_own() {
    let house = House::new(Limits::default());
    let mut callers = [false, false, true, true].map(|is_modern| Caller::new(&house, is_modern));
    for size in [1 << 20, 5, 70_000, 10 << 20, 64 << 10] {
        for (n, caller) in (0_u32..).zip(&mut callers) {
            caller.call(n, "whole", size + n as usize, &house.gate(), n % 2 == 1);
        }
        for (n, caller) in (0_u32..).zip(&mut callers) {
            let reply = caller.client.reply();
            let text = if reply.is_events() { reply.events().pop().unwrap().data } else { reply.body };
            // A modern client on a legacy server gets a member more, and whole answers.
            if caller.session.is_some() {
                assert_same(&text, &answer(n, size + n as usize));
            } else {
                assert!(text.contains(&"x".repeat(size + n as usize)) && text.contains(&format!("\"id\":{n},")));
            }
        }
    }
    house.until_quiet();
}

#[test]
fn a_server_that_is_killed_in_the_middle_breaks_a_message_off_and_ends_an_event() {
    for (is_modern, has_progress) in [(false, false), (true, false), (false, true), (true, true)] {
        let house = House::new(Limits::default());
        let mut caller = Caller::new(&house, is_modern);
        caller.call(7, "killed", 0, &house.gate(), has_progress);
        caller.client.head();
        let begun = caller.part(90_000);
        house.open_gate();
        if has_progress {
            let events = events(&caller.rest(begun));
            let [progress, torn, error] = &events[..] else { panic!("{} events", events.len()) };
            assert!(progress.data.contains("notifications/progress"));
            assert!(answer(7, 100_000).starts_with(&torn.data) && torn.data.len() > 90_000);
            assert!(error.data.contains(r#""id":7"#) && error.data.contains("server-ended"), "{error:?}");
        } else {
            let rest = caller.client.until_closed();
            assert!(!rest.ends_with(b"0\r\n\r\n"), "the body must not look complete");
        }
        house.until_quiet();
    }
}

#[test]
fn an_answer_over_the_limit_breaks_off_and_the_next_one_is_whole() {
    for is_modern in [false, true] {
        let house = House::new(Limits { message: 300_000, ..Limits::default() });
        let mut caller = Caller::new(&house, is_modern);
        caller.call(7, "halves", 900_000, &house.gate(), true);
        caller.client.head();
        let begun = caller.part(90_000);
        house.open_gate();
        let events = events(&caller.rest(begun));
        let error = &events.last().unwrap().data;
        let size = answer(7, 1_000_000).len().to_string();
        assert!(error.contains("too-large") && error.contains(&size), "{error}");
        caller.call(8, "whole", 150_000, &house.gate(), false);
        assert_same(&caller.client.reply().body, &answer(8, 150_000));
        house.until_quiet();
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_holds_up_nobody() {
    for is_modern in [false, true] {
        let house = House::new(Limits::default());
        let mut caller = Caller::new(&house, is_modern);
        let mut other = caller.again(&house);
        caller.call(7, "halves", 10 << 20, &house.gate(), false);
        caller.client.head();
        caller.part(90_000);
        other.call(8, "whole", 1 << 20, &house.gate(), false);
        house.harness.until("both are under way", |inside| inside.hub.status().in_flight == 2);
        drop(caller);
        house.harness.until("it has left", |inside| inside.http.status().streams == 1);
        house.open_gate();
        assert_same(&other.client.reply().body, &answer(8, 1 << 20));
        house.until_quiet();
    }
}

#[test]
fn a_legacy_call_that_is_cancelled_in_the_middle_is_completed() {
    let house = House::new(Limits::default());
    let mut caller = Caller::new(&house, false);
    let mut other = caller.again(&house);
    caller.call(7, "halves", 10, &house.gate(), false);
    caller.client.head();
    let begun = caller.part(90_000);
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    assert_eq!(other.client.post(other.session.as_deref().unwrap(), cancel).status, 202);
    house.harness.until("it is cancelled", |inside| inside.hub.status().in_flight == 0);
    house.open_gate();
    assert_same(&caller.rest(begun), &answer(7, 100_010));
    house.until_quiet();
}

#[test]
fn an_answer_whose_connection_is_lost_in_the_middle_is_not_given_again_in_part() {
    let house = House::new(Limits::default());
    let mut caller = Caller::new(&house, false);
    let mut other = caller.again(&house);
    let session = caller.session.clone().unwrap();
    caller.call(7, "halves", 10, &house.gate(), true);
    caller.client.head();
    let begun = caller.part(90_000);
    let id = sse::Parser::new(1 << 26).push(begun.as_bytes()).unwrap()[0].id.clone().unwrap();
    drop(caller);
    house.harness.until("it is lost", |inside| inside.http.status().streams == 0);
    house.open_gate();
    house.harness.until("the answer has come", |inside| inside.hub.status().in_flight == 0);
    let headers = format!("Accept: text/event-stream\r\n{session}Last-Event-ID: {id}\r\n");
    let reply = other.client.ask("GET", "/mcp", &headers, "");
    assert!(!reply.body.contains("xxx"), "{} bytes", reply.body.len());
    other.call(8, "whole", 10, &house.gate(), false);
    assert_same(&other.client.reply().body, &answer(8, 10));
}
