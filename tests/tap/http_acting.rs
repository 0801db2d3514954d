//! What somebody who watches can do with a tap before an address.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use mcp_capture::event::{Event, Flags, Record};
use mcp_capture::{Direction, Session, Store};
use mcp_relay::acting::wire::{FaultKind, HeldMessage, Payload, Report, Way, What};
use mcp_relay::acting::{Client, ControlError, Meeting};
use serde_json::{Value, json};

use crate::http::{Serving, upstream};
use crate::session::{MCP, PATIENCE, until};

const POST: &str = "POST /mcp HTTP/1.1\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream";
const JSON: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const PONG: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"is":"pong"}}"#;

fn session(home: &Path) -> Session {
    let store = Store::at(home.join("state/captures"));
    Session::open(&store.list().unwrap()[0].path).unwrap()
}

fn control(home: &Path) -> Client {
    let meeting = Meeting::new(home.join("state/daemon/taps"));
    let id = session(home).header().session.clone();
    until("somebody listens", || Client::connect(&meeting, &id).ok())
}

fn held(control: &mut Client) -> HeldMessage {
    loop {
        match control.next(PATIENCE).unwrap() {
            Some(Report::Held(held)) => return held,
            Some(Report::Gone { .. }) => {}
            other => panic!("nothing is held: {other:?}"),
        }
    }
}

fn breakpoint(control: &mut Client, filter: &str, direction: Way) {
    control.ask(What::Breakpoint { id: "b".into(), filter: filter.into(), direction: Some(direction) }).unwrap();
}

fn fault(control: &mut Client, direction: Way, kind: FaultKind) {
    let what = What::Fault {
        id: "f".into(),
        filter: String::new(),
        direction: Some(direction),
        kind,
        probability: None,
        count: Some(1),
    };
    control.ask(what).unwrap();
}

fn release(control: &mut Client, held: &HeldMessage, edit: Option<(&str, &str)>) {
    let message = edit.map(|(from, to)| Payload::Text(text(&held.message).replace(from, to)));
    control.ask(What::Release { held: held.held, message }).unwrap();
}

fn send(control: &mut Client, direction: Way, message: &Value) -> Result<Report, ControlError> {
    control.ask(What::Send { direction, client: None, message: Payload::Text(message.to_string()) })
}

fn answer(control: &mut Client) -> String {
    loop {
        match control.next(PATIENCE).unwrap() {
            Some(Report::Answer { message, .. }) => return text(&message),
            Some(Report::Gone { .. }) => {}
            other => panic!("no answer: {other:?}"),
        }
    }
}

fn text(payload: &Payload) -> String {
    String::from_utf8(payload.bytes().unwrap().to_vec()).unwrap()
}

fn all(mut from: BufReader<TcpStream>) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    text
}

fn marked(home: &Path, direction: Direction, flags: Flags, word: &str) {
    until(&format!("`{word}` is marked"), || {
        let session = session(home);
        let records = (0..u32::try_from(session.index().len()).unwrap()).filter_map(|at| session.record(at).unwrap());
        let is_it = |record: &Record| matches!(record, Record::Frame(bytes, _) if String::from_utf8_lossy(bytes).contains(word));
        records
            .filter(|(stamp, record)| stamp.direction == direction && stamp.flags.has(flags) && is_it(record))
            .count()
            .checked_sub(1)
    });
}

fn altered(home: &Path) -> Vec<String> {
    let session = session(home);
    let records = (0..u32::try_from(session.index().len()).unwrap()).filter_map(|at| session.record(at).unwrap());
    let what = |(_, record)| if let Record::Event(Event::Altered(what, _)) = record { Some(what.what) } else { None };
    records.filter_map(what).collect()
}

#[test]
fn a_request_and_its_answer_are_held_and_go_on_as_they_were_edited() {
    let home = tempfile::tempdir().unwrap();
    let (url, asked, _more) = upstream(vec![vec![JSON, PONG]]);
    let tap = Serving::tap(home.path(), &url);
    let mut control = control(home.path());
    breakpoint(&mut control, "method:ping", Way::ToServer);
    let modern = format!("{POST}\r\nMcp-Method: ping");
    let reply = tap.ask(&modern, PING);
    let request = held(&mut control);
    assert!(asked.try_recv().is_err(), "the server was not asked");
    breakpoint(&mut control, "method:ping", Way::ToClient);
    release(&mut control, &request, Some(("\"ping\"", "\"ping/longer\"")));
    let heard = asked.recv_timeout(PATIENCE).unwrap();
    assert!(heard.ends_with("\"method\":\"ping/longer\"}") && heard.contains("mcp-method: ping/longer"), "{heard}");
    let told = held(&mut control);
    release(&mut control, &told, Some(("pong", "edited")));
    let reply = all(reply);
    assert!(reply.starts_with("HTTP/1.1 200 OK") && reply.ends_with("{\"is\":\"edited\"}}"), "{reply}");
    marked(home.path(), Direction::ToServer, Flags::HELD.with(Flags::ALTERED), "ping/longer");
    marked(home.path(), Direction::ToClient, Flags::HELD.with(Flags::ALTERED), "edited");
}

#[test]
fn events_of_a_stream_that_goes_on_are_held_edited_and_dropped_while_others_pass() {
    let home = tempfile::tempdir().unwrap();
    let event = |n: &'static str| -> &'static str {
        match n {
            "1" => "id: 1\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"n/1\"}\r\n\r\n",
            "2" => "id: 2\r\nevent: message\r\ndata: {\"jsonrpc\":\"2.0\",\r\ndata: \"method\":\"n/2\"}\r\n\r\n",
            "3" => "id: 3\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"n/3\"}\r\n\r\n",
            _ => ": alive\r\n\r\nid: 4\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"n/4\"}\r\n\r\n",
        }
    };
    let (url, _asked, more) = upstream(vec![vec![EVENTS, event("1"), event("2"), event("3"), event("4")]]);
    let tap = Serving::tap(home.path(), &url);
    let mut control = control(home.path());
    let mut lines = tap.ask("GET /mcp HTTP/1.1\r\nAccept: text/event-stream", "").lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("n/1")));
    // The stream is there already.
    breakpoint(&mut control, "method:n/2 or method:n/3", Way::ToClient);
    more.send(()).unwrap();
    let second = held(&mut control);
    more.send(()).unwrap();
    let third = held(&mut control);
    more.send(()).unwrap();
    assert!(lines.any(|line| line == ": alive"), "what is no message passes");
    assert!(lines.any(|line| line.contains("n/4")), "others pass, and the end of the stream waits");
    control.ask(What::Drop { held: third.held }).unwrap();
    release(&mut control, &second, Some(("n/2", "n/two")));
    let rest: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    let text = rest.join("\n");
    assert!(text.contains("event: message") && text.contains("id: 2") && text.contains("n/two"), "{text}");
    assert!(!text.contains("n/3"), "{text}");
    marked(home.path(), Direction::ToClient, Flags::HELD.with(Flags::DROPPED), "n/3");
    marked(home.path(), Direction::ToClient, Flags::HELD.with(Flags::ALTERED), "n/two");
}

#[test]
fn faults_hit_bodies_and_what_one_answer_cannot_hold_is_marked_as_dropped() {
    let home = tempfile::tempdir().unwrap();
    let (url, asked, _more) = upstream(vec![vec![JSON, PONG], vec![JSON, PONG], vec![JSON, PONG], vec![JSON, PONG]]);
    let tap = Serving::tap(home.path(), &url);
    let mut control = control(home.path());
    fault(&mut control, Way::ToServer, FaultKind::Error { code: -32000, message: "no".into() });
    let reply = all(tap.ask(POST, PING));
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("-32000") && asked.try_recv().is_err(), "{reply}");

    fault(&mut control, Way::ToServer, FaultKind::Drop);
    let reply = all(tap.ask(POST, r#"{"jsonrpc":"2.0","method":"notifications/x"}"#));
    assert!(reply.starts_with("HTTP/1.1 202"), "{reply}");

    fault(&mut control, Way::ToClient, FaultKind::Truncate { length: 10 });
    let reply = all(tap.ask(POST, PING));
    assert!(reply.ends_with("\r\n\r\n{\"jsonrpc\""), "{reply}");
    asked.recv_timeout(PATIENCE).unwrap();

    fault(&mut control, Way::ToClient, FaultKind::Duplicate);
    let reply = all(tap.ask(POST, PING));
    assert_eq!(reply.matches("pong").count(), 1, "{reply}");
    asked.recv_timeout(PATIENCE).unwrap();
    marked(home.path(), Direction::ToClient, Flags::INJECTED.with(Flags::DROPPED), "pong");

    fault(&mut control, Way::ToServer, FaultKind::Duplicate);
    let reply = all(tap.ask(POST, PING));
    assert!(reply.ends_with(PONG), "{reply}");
    for _ in 0..2 {
        assert!(asked.recv_timeout(PATIENCE).unwrap().ends_with(PING));
    }
    marked(home.path(), Direction::ToServer, Flags::INJECTED, "ping");
    let mut what = altered(home.path());
    what.sort_unstable();
    assert_eq!(what, ["drop", "duplicate", "duplicate", "error", "truncate"]);
}

#[test]
fn whoever_leaves_leaves_nothing_held_behind() {
    let home = tempfile::tempdir().unwrap();
    let (url, asked, _more) = upstream(vec![vec![JSON, PONG]]);
    let tap = Serving::tap(home.path(), &url);
    let mut control = control(home.path());
    breakpoint(&mut control, "", Way::ToServer);
    let client = tap.ask(POST, PING);
    let message = held(&mut control);
    // A client.
    drop(client);
    assert_eq!(control.next(PATIENCE).unwrap(), Some(Report::Gone { held: message.held }));
    marked(home.path(), Direction::ToServer, Flags::HELD.with(Flags::DROPPED), "ping");
    assert!(asked.try_recv().is_err());
    // A viewer.
    let client = tap.ask(POST, PING);
    held(&mut control);
    drop(control);
    assert!(all(client).contains(PONG));
}

/// A server of this program, reached by its address. Killed when dropped.
struct Calculator(Child, String);

impl Drop for Calculator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Calculator {
    fn start(home: &Path) -> Self {
        let mut command = Command::new(MCP);
        command.args(["run-once", "--http=:0", "--no-token", "--", MCP, "serve", "calculator"]).env("MCP_HOME", home);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self(child, line.trim().to_owned())
    }
}

#[test]
fn a_viewer_says_something_in_the_session_of_the_client_and_hears_the_answer_alone() {
    let home = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let server = Calculator::start(elsewhere.path());
    let tap = Serving::tap(home.path(), &server.1);
    let mut control = control(home.path());
    let add = |a: u64| json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "add", "arguments": {"a": a, "b": 2}}});
    let Err(ControlError::Refused(reason)) = send(&mut control, Way::ToServer, &add(1)) else { panic!("it is refused") };
    assert!(reason.contains("no client has a session"), "{reason}");
    let Err(ControlError::Refused(reason)) = control.ask(What::Restart) else { panic!("it is refused") };
    assert!(reason.contains("cannot be restarted from here"), "{reason}");

    // A session of the legacy era.
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let opening = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string();
    let opened = all(tap.ask(POST, &opening));
    let id = opened.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
    let head = format!("{POST}\r\nMcp-Session-Id: {id}\r\nMcp-Protocol-Version: 2025-06-18");
    let reply = all(tap.ask(&head, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#));
    assert!(reply.starts_with("HTTP/1.1 202"), "{reply}");
    send(&mut control, Way::ToServer, &add(40)).unwrap();
    let heard = answer(&mut control);
    assert!(heard.contains("42") && heard.contains("mcp-inspect-"), "{heard}");
    marked(home.path(), Direction::ToServer, Flags::INJECTED, "tools/call");
    marked(home.path(), Direction::ToClient, Flags::INJECTED.with(Flags::DROPPED), "42");

    // Towards the client there is a way only while it listens.
    let news = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
    let Err(ControlError::Refused(reason)) = send(&mut control, Way::ToClient, &news) else { panic!("it is refused") };
    assert!(reason.contains("listens"), "{reason}");
    let get =
        format!("GET /mcp HTTP/1.1\r\nAccept: text/event-stream\r\nMcp-Session-Id: {id}\r\nMcp-Protocol-Version: 2025-06-18");
    let mut lines = tap.ask(&get, "").lines().map_while(Result::ok);
    assert_eq!(lines.next().unwrap(), "HTTP/1.1 200 OK");
    send(&mut control, Way::ToClient, &news).unwrap();
    assert!(lines.any(|line| line.contains("list_changed")));
}

#[test]
fn a_viewer_says_something_as_a_modern_client_with_headers_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let server = Calculator::start(elsewhere.path());
    let tap = Serving::tap(home.path(), &server.1);
    let mut control = control(home.path());
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    });
    let call = |id: u64, method: &str, params: Value| {
        let mut params = params;
        params["_meta"] = meta.clone();
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
    };
    let head = format!("{POST}\r\nMcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list");
    let listed = all(tap.ask(&head, &call(1, "tools/list", json!({})).to_string()));
    assert!(listed.contains("\"add\""), "{listed}");
    let add = call(2, "tools/call", json!({"name": "add", "arguments": {"a": 40, "b": 2}}));
    send(&mut control, Way::ToServer, &add).unwrap();
    let heard = answer(&mut control);
    assert!(heard.contains("42"), "{heard}");
    // What the server does not take is told as well.
    send(&mut control, Way::ToServer, &json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {}})).unwrap();
    assert!(answer(&mut control).contains("error"));
}
