//! What somebody who watches can do with a server of the daemon, which several clients share.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use mcp_capture::event::{Event, Flags, Record};
use mcp_capture::{Direction, Hop, Session};
use mcp_relay::acting::wire::{FaultKind, HeldMessage, Payload, Report, Way, What};
use mcp_relay::acting::{Client, ControlError, Meeting};
use serde_json::{Value, json};

use crate::session::{MCP, PATIENCE, until};

/// A home with a daemon that has one server. The daemon is ended when this is dropped.
struct House(tempfile::TempDir);

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.mcp(&["daemon", "stop", "--all"]).output();
    }
}

impl House {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn mcp(&self, words: &[&str]) -> Command {
        let mut command = Command::new(MCP);
        command.args(words).env("MCP_HOME", self.0.path());
        command
    }

    fn client(&self, name: &str) -> Shim {
        let mut command = self.mcp(&["run-once", "--name", "calc", "--", MCP, "serve", "calculator"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut shim = Shim { child, input, lines };
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": name, "version": "1"}});
        shim.say(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}));
        assert!(shim.hear()["result"]["serverInfo"].is_object());
        shim.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        shim
    }

    /// Records the server; gives the file.
    fn record(&self) -> PathBuf {
        let begun = self.mcp(&["daemon", "record", "calc"]).output().unwrap();
        PathBuf::from(String::from_utf8(begun.stdout).unwrap().trim())
    }

    fn meeting(&self) -> Meeting {
        Meeting::new(self.0.path().join("state/daemon/taps"))
    }

    fn control(&self, capture: &Path) -> Client {
        let session = Session::open(capture).unwrap().header().session.clone();
        Client::connect(&self.meeting(), &session).unwrap()
    }

    /// How the server stands.
    fn status(&self) -> Value {
        let said = self.mcp(&["daemon", "status", "--json"]).output().unwrap();
        serde_json::from_slice::<Value>(&said.stdout).unwrap()["servers"][0].clone()
    }
}

/// A client. Killed when dropped.
struct Shim {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Drop for Shim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Shim {
    fn say(&mut self, message: &Value) {
        writeln!(self.input.as_mut().unwrap(), "{message}").unwrap();
    }

    fn add(&mut self, id: u64, a: u64, b: u64) {
        let params = json!({"name": "add", "arguments": {"a": a, "b": b}});
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}));
    }

    fn ping(&mut self, id: u64) {
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": "ping"}));
    }

    fn hear(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(PATIENCE).expect("an answer comes")).unwrap()
    }

    fn is_silent(&self) -> bool {
        self.lines.try_recv().is_err()
    }
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

fn breakpoint(control: &mut Client, filter: &str, direction: Option<Way>) {
    control.ask(What::Breakpoint { id: "b".into(), filter: filter.into(), direction }).unwrap();
}

fn text(payload: &Payload) -> String {
    String::from_utf8(payload.bytes().unwrap().to_vec()).unwrap()
}

/// A message: where, which way, its marks, its text.
type Marked = (Hop, Direction, Flags, String);

/// What passed between clients and the daemon, as it is marked, and what was altered and how.
fn marks(session: &Session) -> (Vec<Marked>, Vec<String>) {
    let (mut frames, mut altered) = (Vec::new(), Vec::new());
    for at in 0..u32::try_from(session.index().len()).unwrap() {
        match session.record(at).unwrap() {
            Some((stamp, Record::Frame(bytes, _))) if stamp.hop != Hop::Server => {
                frames.push((stamp.hop, stamp.direction, stamp.flags, String::from_utf8_lossy(&bytes).into_owned()));
            }
            Some((_, Record::Event(Event::Altered(what, _)))) => altered.push(what.what),
            _ => {}
        }
    }
    (frames, altered)
}

fn marked(capture: &Path, flags: Flags, word: &str) {
    until(&format!("`{word}` is marked in the capture"), || {
        let (frames, _) = marks(&Session::open(capture).unwrap());
        frames.iter().any(|(_, _, found, text)| found.has(flags) && text.contains(word)).then_some(())
    });
}

#[test]
fn what_one_client_says_is_held_and_edited_and_others_never_see_it() {
    let house = House::new();
    let (mut one, mut other) = (house.client("one"), house.client("other"));
    let capture = house.record();
    let mut control = house.control(&capture);
    let hello = control.ask(What::Hello).unwrap();
    assert!(matches!(hello, Report::Hello { ref server, pid, .. } if server == "calc" && pid != 0), "{hello:?}");
    breakpoint(&mut control, "tool:add client:one", Some(Way::ToServer));
    // The same id on both sides of the house.
    one.add(7, 2, 3);
    let message = held(&mut control);
    other.add(7, 20, 30);
    assert!(other.hear()["result"]["structuredContent"]["result"].to_string().contains("50"));
    assert!(text(&message.message).contains("\"id\":7"), "with the client's own id: {message:?}");
    one.ping(8);
    assert_eq!(one.hear()["id"], json!(8));
    let edited = Payload::Text(text(&message.message).replace("\"b\":3", "\"b\":40"));
    control.ask(What::Release { held: message.held, message: Some(edited) }).unwrap();
    let answer = one.hear();
    assert!(answer["id"] == json!(7) && answer.to_string().contains("42"), "{answer}");
    assert!(other.is_silent());
    marked(&capture, Flags::HELD.with(Flags::ALTERED), "\"b\":40");
    // An answer is found by what it answers, stands under its client's number, and is dropped for it alone.
    breakpoint(&mut control, "tool:add client:other", Some(Way::ToClient));
    one.add(9, 1, 1);
    assert_eq!(one.hear()["id"], json!(9));
    other.add(9, 1, 1);
    let message = held(&mut control);
    control.ask(What::Drop { held: message.held }).unwrap();
    other.ping(10);
    assert_eq!(other.hear()["id"], json!(10));
    marked(&capture, Flags::HELD.with(Flags::DROPPED), "\"id\":9");
    let (frames, _) = marks(&Session::open(&capture).unwrap());
    let dropped = frames.iter().find(|(_, _, flags, _)| flags.has(Flags::DROPPED)).unwrap();
    assert_eq!(dropped.0, Hop::Client(message.client));
}

#[test]
fn a_request_of_the_viewer_has_a_client_of_its_own_and_its_answer_reaches_nobody_else() {
    let house = House::new();
    let (mut one, other) = (house.client("one"), house.client("other"));
    let capture = house.record();
    let mut control = house.control(&capture);
    let params = json!({"name": "add", "arguments": {"a": 40, "b": 2}, "_meta": {"progressToken": 1}});
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let send = What::Send { direction: Way::ToServer, client: None, message: Payload::Text(request) };
    let Report::Done { id: Some(id), .. } = control.ask(send).unwrap() else { panic!("it has an id") };
    match control.next(PATIENCE).unwrap() {
        Some(Report::Answer { id: answered, message }) => assert!(answered == id && text(&message).contains("42")),
        other => panic!("no answer: {other:?}"),
    }
    one.ping(1);
    assert_eq!(one.hear()["id"], json!(1));
    assert!(one.is_silent() && other.is_silent());
    marked(&capture, Flags::INJECTED, "\"method\":\"tools/call\"");
    marked(&capture, Flags::INJECTED.with(Flags::DROPPED), "42");
    // To a client: which one has to be said where there are two.
    let list = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}).to_string();
    let told = |client| What::Send { direction: Way::ToClient, client, message: Payload::Text(list.clone()) };
    let Err(ControlError::Refused(reason)) = control.ask(told(None)) else { panic!("it is refused") };
    assert!(reason.contains("which client: 1, 2"), "{reason}");
    control.ask(told(Some(2))).unwrap();
    assert_eq!(other.hear()["method"], json!("notifications/tools/list_changed"));
    one.ping(2);
    assert_eq!(one.hear()["id"], json!(2));
    // What a client answers to a question of ours is ours.
    let ping = json!({"jsonrpc": "2.0", "id": 5, "method": "ping"}).to_string();
    control.ask(What::Send { direction: Way::ToClient, client: Some(1), message: Payload::Text(ping) }).unwrap();
    let asked = one.hear();
    one.say(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {}}));
    assert!(matches!(control.next(PATIENCE).unwrap(), Some(Report::Answer { id, .. }) if asked["id"] == json!(id)));
    // What cannot be done is refused by name.
    let answer = json!({"jsonrpc": "2.0", "id": 5, "result": {}}).to_string();
    let refused = [
        (What::Send { direction: Way::ToServer, client: None, message: Payload::Text(answer) }, "from the client that it asked"),
        (What::Restart, "mcp daemon stop"),
    ];
    for (what, words) in refused {
        let Err(ControlError::Refused(reason)) = control.ask(what) else { panic!("it is refused") };
        assert!(reason.contains(words), "{reason}");
    }
    drop(control);
    until("the viewer's client has left", || (house.status()["clients"].as_array().unwrap().len() == 2).then_some(()));
    assert!(house.status()["tables"].as_array().unwrap().iter().all(|table| table[0] != "calls" || table[1] == json!(0)));
}

#[test]
fn faults_hit_one_clients_messages_as_though_it_had_said_so() {
    let house = House::new();
    let (mut one, mut other) = (house.client("one"), house.client("other"));
    let capture = house.record();
    let mut control = house.control(&capture);
    let mut fault = |filter: &str, direction, kind| {
        let what = What::Fault {
            id: "f".into(),
            filter: filter.into(),
            direction: Some(direction),
            kind,
            probability: None,
            count: Some(1),
        };
        control.ask(what).unwrap();
    };
    fault("tool:add client:one", Way::ToServer, FaultKind::Error { code: -32000, message: "no".into() });
    other.add(1, 1, 1);
    assert!(other.hear()["result"].is_object());
    one.add(1, 1, 1);
    assert_eq!(one.hear()["error"]["message"], json!("no"));

    fault("tool:add", Way::ToClient, FaultKind::Duplicate);
    one.add(2, 1, 1);
    assert_eq!((one.hear()["id"].clone(), one.hear()["id"].clone()), (json!(2), json!(2)));

    fault("tool:add", Way::ToServer, FaultKind::Delay { ms: 30 });
    one.add(3, 1, 1);
    one.ping(4);
    assert_eq!((one.hear()["id"].clone(), one.hear()["id"].clone()), (json!(4), json!(3)));

    fault("tool:add", Way::ToServer, FaultKind::Reorder { after: 1 });
    one.add(5, 1, 1);
    one.ping(6);
    assert_eq!(one.hear()["id"], json!(6));
    one.ping(7);
    let mut rest = [one.hear()["id"].as_u64(), one.hear()["id"].as_u64()];
    rest.sort_unstable();
    assert_eq!(rest, [Some(5), Some(7)]);

    fault("tool:add", Way::ToServer, FaultKind::Truncate { length: 20 });
    one.add(8, 1, 1);
    let refused = one.hear();
    assert!(refused["error"]["code"] == json!(-32700) && refused.get("id").is_none_or(Value::is_null), "{refused}");

    fault("tool:add", Way::ToClient, FaultKind::Drop);
    one.add(9, 1, 1);
    one.ping(10);
    assert_eq!(one.hear()["id"], json!(10));
    until("all of it is marked", || {
        let (_, mut altered) = marks(&Session::open(&capture).unwrap());
        altered.sort_unstable();
        altered.dedup();
        (altered == ["delay", "drop", "duplicate", "error", "reorder", "truncate"]).then_some(())
    });
    assert!(other.is_silent());
    let shown = house.mcp(&["trace", "show", "latest"]).output().unwrap();
    assert!(shown.status.success() && String::from_utf8_lossy(&shown.stdout).contains("tools/call"));
}

#[test]
fn a_client_that_leaves_takes_along_what_is_held_of_it() {
    let house = House::new();
    let (mut one, mut other) = (house.client("one"), house.client("other"));
    let capture = house.record();
    let mut control = house.control(&capture);
    breakpoint(&mut control, "tool:add", None);
    one.add(1, 1, 1);
    let message = held(&mut control);
    drop(one);
    match control.next(PATIENCE).unwrap() {
        Some(Report::Gone { held }) => assert_eq!(held, message.held),
        other => panic!("it is still held: {other:?}"),
    }
    assert!(matches!(control.ask(What::Release { held: message.held, message: None }), Err(ControlError::Refused(_))));
    marked(&capture, Flags::HELD.with(Flags::DROPPED), "\"add\"");
    other.ping(1);
    assert_eq!(other.hear()["id"], json!(1));
}

#[test]
fn a_client_that_says_no_more_still_gets_the_answer_that_is_held() {
    let house = House::new();
    let mut one = house.client("one");
    let capture = house.record();
    let mut control = house.control(&capture);
    breakpoint(&mut control, "tool:add", Some(Way::ToServer));
    one.add(1, 40, 2);
    one.input = None;
    let message = held(&mut control);
    control.ask(What::Release { held: message.held, message: None }).unwrap();
    assert!(one.hear().to_string().contains("42"));
}

#[test]
fn a_server_that_is_stopped_lets_go_of_everything_first() {
    let house = House::new();
    let mut one = house.client("one");
    let capture = house.record();
    let mut control = house.control(&capture);
    breakpoint(&mut control, "tool:add", None);
    one.add(1, 40, 2);
    held(&mut control);
    assert!(house.mcp(&["daemon", "stop", "calc"]).output().unwrap().status.success());
    assert!(one.hear().to_string().contains("42"));
    until("the viewer is told that it is over", || control.next(PATIENCE).is_err().then_some(()));
    assert!(Session::open(&capture).unwrap().is_ended());
    assert!(std::fs::read_dir(house.meeting().dir()).unwrap().next().is_none(), "nothing is left at the meeting");
}

#[test]
fn a_recording_that_ends_lets_go_and_a_new_one_is_acted_on_anew() {
    let house = House::new();
    let mut one = house.client("one");
    let first = house.record();
    let mut control = house.control(&first);
    breakpoint(&mut control, "tool:add", Some(Way::ToServer));
    one.add(1, 40, 2);
    held(&mut control);
    assert!(house.mcp(&["daemon", "record", "calc", "--stop"]).output().unwrap().status.success());
    assert!(one.hear().to_string().contains("42"));
    one.add(2, 40, 2);
    assert_eq!(one.hear()["id"], json!(2));
    let second = house.record();
    let mut control = house.control(&second);
    breakpoint(&mut control, "tool:add", Some(Way::ToServer));
    one.add(3, 40, 2);
    let message = held(&mut control);
    control.ask(What::Release { held: message.held, message: None }).unwrap();
    assert_eq!(one.hear()["id"], json!(3));
}

#[test]
fn a_daemon_that_is_replaced_lets_go_and_its_clients_go_on_with_the_next_one() {
    let house = House::new();
    let mut one = house.client("one");
    let capture = house.record();
    let mut control = house.control(&capture);
    breakpoint(&mut control, "tool:add", None);
    one.add(1, 40, 2);
    held(&mut control);
    assert!(house.mcp(&["daemon", "restart"]).output().unwrap().status.success());
    assert!(one.hear().to_string().contains("42"));
    one.add(2, 40, 2);
    assert_eq!(one.hear()["id"], json!(2));
}

#[test]
fn a_client_that_came_by_url_is_held_on_its_own_answer() {
    let house = House::new();
    let mut one = house.client("one");
    let url = String::from_utf8(house.mcp(&["daemon", "url", "calc"]).output().unwrap().stdout).unwrap();
    let (address, path) = url.trim().strip_prefix("http://").unwrap().split_once('/').unwrap();
    let capture = house.record();
    let mut control = house.control(&capture);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "by-url", "version": "1"},
    });
    let params = json!({"name": "add", "arguments": {"a": 40, "b": 2}, "_meta": meta});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let head = format!(
        "POST /{path} HTTP/1.1\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: add"
    );
    breakpoint(&mut control, "tool:add", Some(Way::ToServer));
    let reply = crate::http::ask(address, &head, &call);
    let request = held(&mut control);
    breakpoint(&mut control, "tool:add", Some(Way::ToClient));
    control.ask(What::Release { held: request.held, message: None }).unwrap();
    let told = held(&mut control);
    assert_eq!(told.client, request.client);
    one.ping(1);
    assert_eq!(one.hear()["id"], json!(1));
    let edited = Payload::Text(text(&told.message).replace("42", "43"));
    control.ask(What::Release { held: told.held, message: Some(edited) }).unwrap();
    let mut said = String::new();
    { reply }.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("43") && !said.contains("42"), "{said}");
    // Whoever goes while it is held leaves nothing.
    breakpoint(&mut control, "tool:add", Some(Way::ToServer));
    let reply = crate::http::ask(address, &head, &call);
    let request = held(&mut control);
    drop(reply);
    assert_eq!(control.next(PATIENCE).unwrap(), Some(Report::Gone { held: request.held }));
    marked(&capture, Flags::HELD.with(Flags::DROPPED), "by-url");
}

/// What the next test starts: this program as a viewer that holds everything and is killed.
const VIEWER: &str = "MCP_TEST_VIEWER_OF";

#[test]
fn a_viewer_as_a_process_of_its_own() {
    let Ok(of) = std::env::var(VIEWER) else { return };
    let (meeting, session) = of.split_once('\n').unwrap();
    let mut control = Client::connect(&Meeting::new(meeting), session).unwrap();
    breakpoint(&mut control, "tool:add", Some(Way::ToServer));
    println!("\nbreakpoint is set");
    held(&mut control);
    println!("\none is held");
    std::thread::sleep(PATIENCE);
}

#[test]
fn a_viewer_that_is_killed_lets_go_of_what_it_held() {
    let house = House::new();
    let mut one = house.client("one");
    let capture = house.record();
    let session = Session::open(&capture).unwrap().header().session.clone();
    let mut viewer = Command::new(std::env::current_exe().unwrap());
    viewer.args(["--exact", "shared::a_viewer_as_a_process_of_its_own", "--nocapture"]);
    viewer.env(VIEWER, format!("{}\n{session}", house.meeting().dir().display()));
    let mut viewer = viewer.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(viewer.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|line| line == "breakpoint is set"));
    one.add(1, 40, 2);
    assert!(said.any(|line| line == "one is held"));
    assert!(one.is_silent());
    // SIGKILL.
    viewer.kill().unwrap();
    viewer.wait().unwrap();
    assert!(one.hear().to_string().contains("42"));
    marked(&capture, Flags::HELD, "\"add\"");
}
