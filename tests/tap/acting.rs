//! What somebody who watches can do.

use std::time::Duration;

use mcp_capture::event::{Event, Flags, Record};
use mcp_capture::{Direction, RowFlags, Session};
use mcp_relay::acting::wire::{FaultKind, HeldMessage, Payload, Report, Way, What};
use mcp_relay::acting::{Client, ControlError};
use serde_json::{Value, json};

use crate::session::{PATIENCE, Tap, rows};

fn held(control: &mut Client) -> HeldMessage {
    match control.next(PATIENCE).unwrap() {
        Some(Report::Held(held)) => held,
        other => panic!("nothing is held: {other:?}"),
    }
}

fn breakpoint(control: &mut Client, filter: &str, direction: Option<Way>) {
    control.ask(What::Breakpoint { id: "b".into(), filter: filter.into(), direction }).unwrap();
}

fn text(payload: &Payload) -> String {
    String::from_utf8(payload.bytes().unwrap().to_vec()).unwrap()
}

/// Flags of the messages in one direction, and what was altered.
fn marks(session: &Session, direction: Direction) -> (Vec<Flags>, Vec<String>) {
    let (mut flags, mut altered) = (Vec::new(), Vec::new());
    for at in 0..u32::try_from(session.index().len()).unwrap() {
        match session.record(at).unwrap() {
            Some((stamp, Record::Frame(..))) if stamp.direction == direction => flags.push(stamp.flags),
            Some((_, Record::Event(Event::Altered(what, _)))) => altered.push(what.what),
            _ => {}
        }
    }
    (flags, altered)
}

#[test]
fn a_held_message_waits_while_others_pass_and_goes_on_as_it_was_edited() {
    let mut tap = Tap::calculator();
    let mut control = tap.control();
    let hello = control.ask(What::Hello).unwrap();
    assert!(matches!(hello, Report::Hello { version: 1, ref server, .. } if server == "case"), "{hello:?}");
    breakpoint(&mut control, "tool:add", Some(Way::ToServer));
    tap.add(1, 2, 3);
    let message = held(&mut control);
    assert!(text(&message.message).contains("\"add\""));
    tap.ping(2);
    assert_eq!(tap.hear()["id"], json!(2));
    let status = control.ask(What::Status).unwrap();
    assert!(
        matches!(&status, Report::Status { held, breakpoints, .. } if held.len() == 1 && breakpoints == &["b"]),
        "{status:?}"
    );
    let edited = Payload::Text(text(&message.message).replace("\"b\":3", "\"b\":40"));
    control.ask(What::Release { held: message.held, message: Some(edited) }).unwrap();
    assert!(tap.hear()["result"].to_string().contains("42"));
    assert!(matches!(control.ask(What::Release { held: 99, message: None }), Err(ControlError::Refused(_))));
    let is_marked = |session: &Session| {
        let (flags, altered) = marks(session, Direction::ToServer);
        (flags.iter().any(|f| f.has(Flags::HELD.with(Flags::ALTERED))) && altered == ["edit"]).then_some(())
    };
    tap.recorded("the edit is marked", is_marked);
    assert!(tap.close().success());
}

#[test]
fn an_answer_is_found_by_what_it_answers_and_can_be_dropped() {
    let mut tap = Tap::calculator();
    let mut control = tap.control();
    breakpoint(&mut control, "tool:add", Some(Way::ToClient));
    tap.add(1, 2, 3);
    let message = held(&mut control);
    assert!(text(&message.message).contains("\"result\""));
    control.ask(What::Drop { held: message.held }).unwrap();
    tap.ping(2);
    assert_eq!(tap.hear()["id"], json!(2));
    tap.recorded("it is marked as dropped", |session| {
        rows(session).iter().any(|row| row.flags.has(RowFlags::DROPPED)).then_some(())
    });
}

#[test]
fn a_viewer_that_goes_takes_its_breakpoints_along_and_lets_go_of_what_it_held() {
    let mut tap = Tap::calculator();
    let mut control = tap.control();
    breakpoint(&mut control, "", Some(Way::ToServer));
    tap.add(1, 2, 3);
    tap.ping(2);
    let numbers = [held(&mut control).held, held(&mut control).held];
    assert_eq!(numbers, [1, 2]);
    assert!(tap.is_silent());
    drop(control);
    let mut answered = [tap.hear()["id"].as_u64(), tap.hear()["id"].as_u64()];
    answered.sort_unstable();
    assert_eq!(answered, [Some(1), Some(2)]);
    tap.ping(3);
    assert_eq!(tap.hear()["id"], json!(3));
}

#[test]
fn faults_hit_what_they_should_and_as_often_as_they_should() {
    let mut tap = Tap::calculator();
    let mut control = tap.control();
    let mut fault = |filter: &str, direction, kind, count| {
        let what =
            What::Fault { id: "f".into(), filter: filter.into(), direction: Some(direction), kind, probability: None, count };
        control.ask(what).unwrap();
    };
    fault("method:ping", Way::ToServer, FaultKind::Error { code: -32000, message: "no".into() }, Some(1));
    tap.ping(1);
    assert_eq!(tap.hear()["error"]["message"], json!("no"));
    tap.ping(2);
    assert_eq!(tap.hear()["result"], json!({}));

    fault("method:ping", Way::ToClient, FaultKind::Duplicate, Some(1));
    tap.ping(3);
    assert_eq!((tap.hear()["id"].clone(), tap.hear()["id"].clone()), (json!(3), json!(3)));

    fault("method:ping", Way::ToClient, FaultKind::Reorder { after: 1 }, Some(1));
    tap.ping(4);
    tap.add(5, 1, 1);
    tap.add(6, 1, 1);
    let order: Vec<Value> = (0..3).map(|_| tap.hear()["id"].clone()).collect();
    assert!(order[0] != json!(4), "{order:?}");

    fault("method:ping", Way::ToServer, FaultKind::Delay { ms: 30 }, Some(1));
    tap.ping(7);
    tap.ping(8);
    assert_eq!((tap.hear()["id"].clone(), tap.hear()["id"].clone()), (json!(8), json!(7)));

    fault("method:ping", Way::ToServer, FaultKind::Drop, None);
    tap.ping(9);
    tap.add(10, 1, 1);
    assert_eq!(tap.hear()["id"], json!(10));
    tap.recorded("all of it is marked", |session| {
        let (_, mut altered) = marks(session, Direction::ToServer);
        altered.sort_unstable();
        altered.dedup();
        (altered == ["delay", "drop", "duplicate", "error", "reorder"]).then_some(())
    });
}

#[test]
fn a_request_of_the_viewer_is_answered_to_the_viewer_alone() {
    let mut tap = Tap::calculator();
    let mut control = tap.control();
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let Report::Done { id: Some(id), .. } =
        control.ask(What::Send { direction: Way::ToServer, client: None, message: Payload::Text(request) }).unwrap()
    else {
        panic!("it has an id")
    };
    assert!(id.starts_with("mcp-inspect-"));
    match control.next(PATIENCE).unwrap() {
        Some(Report::Answer { id: answered, message }) => {
            assert!(answered == id && text(&message).contains("\"tools\""));
        }
        other => panic!("no answer: {other:?}"),
    }
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}).to_string();
    control.ask(What::Send { direction: Way::ToClient, client: None, message: Payload::Text(notification) }).unwrap();
    // The client has seen nothing of the first and all of the second.
    assert_eq!(tap.hear()["method"], json!("notifications/tools/list_changed"));
    tap.ping(2);
    assert_eq!(tap.hear()["id"], json!(2));
    assert!(control.next(Duration::from_millis(1)).unwrap().is_none());
}

#[test]
fn a_restarted_server_is_opened_as_before_and_what_it_owed_fails() {
    let mut tap = Tap::calculator();
    let mut control = tap.control();
    let pid = |control: &mut Client| match control.ask(What::Hello).unwrap() {
        Report::Hello { pid, .. } => pid,
        other => panic!("{other:?}"),
    };
    let before = pid(&mut control);
    breakpoint(&mut control, "tool:add", Some(Way::ToServer));
    control.ask(What::Clear { id: None }).unwrap();
    control.ask(What::Restart).unwrap();
    tap.add(1, 20, 22);
    assert!(tap.hear()["result"].to_string().contains("42"));
    assert_ne!(pid(&mut control), before);
    assert!(tap.close().success());
}

#[test]
fn calls_a_restarted_server_had_not_answered_get_an_error() {
    let script = "while read -r line; do case $line in *initialize\\\"*) echo '{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"serverInfo\":{}}}';; esac; done";
    let mut tap = Tap::around(&["sh", "-c", script]);
    tap.open();
    tap.ping(5);
    tap.recorded("the call is there", |session| (rows(session).len() >= 4).then_some(()));
    tap.control().ask(What::Restart).unwrap();
    let answer = tap.hear();
    assert_eq!((&answer["id"], &answer["error"]["data"]["source"]), (&json!(5), &json!("mcp")));
}
