//! Large answers are passed on while they still arrive: what a client of standard input and output sees of that.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::Bytes;
use mcp_relay::hub::{Hub, Limits};
use mcp_relay::observe::{Hop, Observer, Seen};
use mcp_relay::outlet::{Delivery, Outlet, Overflow, Part};
use mcp_relay::route::{Note, StreamId};
use mcp_relay::shared::{Config, Shared};
use mcp_relay::transport::child::ChildConnector;
use mcp_relay::transport::stdio::{Ended, Reason, Session};
use mcp_wire::Frame;
use mcp_wire::lines::{Line, Lines};
use support::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

struct House {
    hub: Hub,
    log: Rc<RefCell<Vec<String>>>,
    directory: tempfile::TempDir,
}

impl House {
    fn new(limits: Limits) -> Self {
        let connector =
            ChildConnector::new(shell(include_str!("support/large.sh")), Rc::new(|_: &str| {})).with_patience(hasty());
        let hub = Hub::new(Box::new(Shared::new(Config::default())), Box::new(connector), limits);
        let log = Rc::new(RefCell::new(Vec::new()));
        let lines = Rc::clone(&log);
        hub.on_note(Rc::new(move |note| {
            if let Note::Log(line) = note {
                lines.borrow_mut().push(line.clone());
            }
        }));
        Self { hub, log, directory: tempfile::tempdir().unwrap() }
    }

    fn gate(&self) -> PathBuf {
        self.directory.path().join("gate")
    }

    fn open_gate(&self) {
        std::fs::write(self.gate(), "").unwrap();
    }

    /// A client comes and opens its conversation.
    async fn visit(&self) -> Client {
        self.visit_with(|session| session).await
    }

    async fn visit_with(
        &self,
        change: impl FnOnce(Session<tokio::net::unix::OwnedReadHalf>) -> Session<tokio::net::unix::OwnedReadHalf>,
    ) -> Client {
        let (ours, socket) = UnixStream::pair().unwrap();
        let (reader, writer) = ours.into_split();
        let (hub, session) = (self.hub.clone(), change(Session::unix(arrival())));
        let served = tokio::task::spawn_local(async move { session.serve(hub, reader, writer).await });
        let mut client = Client { socket, unread: Vec::new(), served };
        client.say(INITIALIZE).await;
        assert!(client.line().await.contains(r#""name":"large""#));
        client.say(INITIALIZED).await;
        client
    }

    async fn until_quiet(&self) {
        until("the tables are empty", || self.hub.status().tables.iter().all(|(_, n)| *n == 0)).await;
    }
}

struct Client {
    socket: UnixStream,
    unread: Vec<u8>,
    served: JoinHandle<Ended>,
}

impl Client {
    async fn say(&mut self, text: &str) {
        self.socket.write_all(format!("{text}\n").as_bytes()).await.unwrap();
    }

    /// Reads something more; false at the end.
    async fn more(&mut self) -> bool {
        let read = self.socket.read_buf(&mut self.unread);
        tokio::time::timeout(DEADLINE, read).await.expect("something to read").unwrap() > 0
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.unread) {
                return String::from_utf8(self.unread.drain(..=at).collect()).unwrap();
            }
            assert!(self.more().await, "the end after {} bytes", self.unread.len());
        }
    }

    /// Waits for so much of a line that is not complete.
    async fn part_of_line(&mut self, size: usize) {
        while self.unread.len() < size {
            assert!(self.more().await);
        }
        assert!(!self.unread.contains(&b'\n'));
    }
}

fn call(id: &str, tool: &str, size: usize, gate: &Path) -> String {
    let gate = gate.display();
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"size":{size},"gate":"{gate}"}}}}}}"#
    )
}

fn answer(id: &str, size: usize) -> String {
    let text = "x".repeat(size);
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}]}}}}\n")
}

/// Two texts, of which a test that fails should not show megabytes.
#[track_caller]
fn assert_same(found: &str, wanted: &str) {
    let shown =
        |text: &str| format!("{} … {} ({} bytes)", &text[..text.len().min(200)], &text[text.len().max(60) - 60..], text.len());
    assert!(found == wanted, "{}\n{}", shown(found), shown(wanted));
}

#[test]
fn a_client_reads_the_beginning_while_the_server_still_writes_and_other_messages_wait_for_the_end() {
    local(async {
        let house = House::new(Limits::default());
        let mut client = house.visit().await;
        client.say(&call("\"mine\"", "halves", 300_000, &house.gate())).await;
        client.part_of_line(90_000).await;
        assert_eq!(house.hub.status().in_flight, 1);
        client.say("no message").await;
        client.say(&call("2", "whole", 10, &house.gate())).await;
        house.open_gate();
        assert_same(&client.line().await, &answer("\"mine\"", 400_000));
        assert!(client.line().await.contains("-32700"));
        assert_same(&client.line().await, &answer("2", 10));
        until("it is counted", || house.hub.status().calls == 2 || house.hub.status().in_flight == 0).await;
        drop(client);
        house.until_quiet().await;
    });
}

#[test]
fn two_clients_get_large_and_small_answers_at_once_each_its_own() {
    local(async {
        let house = House::new(Limits::default());
        let (mut one, mut two) = (house.visit().await, house.visit().await);
        let sizes = [1 << 20, 5, 10 << 20, 70_000, 64 << 10, 3, 1 << 20];
        for (n, size) in sizes.iter().enumerate() {
            one.say(&call(&format!("\"one {n}\""), "whole", *size, &house.gate())).await;
            two.say(&call(&n.to_string(), "whole", size + 1, &house.gate())).await;
        }
        let read = async |client: &mut Client, is_one: bool| {
            for (n, size) in sizes.iter().enumerate() {
                let wanted = if is_one { answer(&format!("\"one {n}\""), *size) } else { answer(&n.to_string(), size + 1) };
                assert_same(&client.line().await, &wanted);
            }
        };
        tokio::join!(read(&mut one, true), read(&mut two, false));
        drop((one, two));
        house.until_quiet().await;
    });
}

#[test]
fn an_answer_that_was_cancelled_in_the_middle_is_completed_and_the_conversation_goes_on() {
    local(async {
        let house = House::new(Limits::default());
        let mut client = house.visit().await;
        client.say(&call("1", "halves", 10, &house.gate())).await;
        client.part_of_line(90_000).await;
        client.say(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#).await;
        until("it is cancelled", || house.hub.status().in_flight == 0).await;
        client.say(&call("2", "whole", 10, &house.gate())).await;
        house.open_gate();
        assert_same(&client.line().await, &answer("1", 100_010));
        assert_same(&client.line().await, &answer("2", 10));
        drop(client);
        house.until_quiet().await;
    });
}

#[test]
fn a_client_that_leaves_in_the_middle_holds_up_nobody() {
    local(async {
        let house = House::new(Limits::default());
        let (mut one, mut two) = (house.visit().await, house.visit().await);
        one.say(&call("1", "halves", 10 << 20, &house.gate())).await;
        one.part_of_line(90_000).await;
        two.say(&call("1", "whole", 1 << 20, &house.gate())).await;
        drop(one);
        until("it has left", || house.hub.status().clients.len() == 1).await;
        house.open_gate();
        assert_same(&two.line().await, &answer("1", 1 << 20));
        drop(two);
        house.until_quiet().await;
    });
}

#[test]
fn a_server_that_is_killed_in_the_middle_leaves_a_torn_line_and_an_error_behind() {
    local(async {
        let house = House::new(Limits::default());
        let mut client = house.visit().await;
        client.say(&call("\"a\"", "killed", 0, &house.gate())).await;
        client.part_of_line(90_000).await;
        house.open_gate();
        let torn = client.line().await;
        assert!(answer("\"a\"", 100_000).starts_with(torn.trim_end()) && torn.len() > 90_000, "{} bytes", torn.len());
        let error = client.line().await;
        assert!(error.contains(r#""id":"a""#) && error.contains("server-ended") && error.contains("signal 9"), "{error}");
        // The server is started again, which takes its time.
        let next = loop {
            client.say(&call("2", "whole", 70_000, &house.gate())).await;
            let line = client.line().await;
            if !line.contains("server-restarting") {
                break line;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        assert_same(&next, &answer("2", 70_000));
        drop(client);
        house.until_quiet().await;
    });
}

#[test]
fn an_answer_over_the_limit_is_torn_and_told_with_its_size() {
    local(async {
        let house = House::new(Limits { message: 200_000, ..Limits::default() });
        let mut client = house.visit().await;
        client.say(&call("1", "halves", 900_000, &house.gate())).await;
        client.part_of_line(90_000).await;
        house.open_gate();
        let torn = client.line().await;
        assert!(torn.len() <= 200_001 && answer("1", 1_000_000).starts_with(torn.trim_end()), "{} bytes", torn.len());
        let error = client.line().await;
        let size = (answer("1", 1_000_000).len() - 1).to_string();
        assert!(error.contains(r#""id":1"#) && error.contains("too-large") && error.contains(&size), "{error}");
        assert!(house.log.borrow().iter().any(|line| line.contains(&size)));
        client.say(&call("2", "whole", 150_000, &house.gate())).await;
        assert_same(&client.line().await, &answer("2", 150_000));
        drop(client);
        house.until_quiet().await;
    });
}

#[test]
fn what_does_not_qualify_goes_the_normal_way() {
    local(async {
        let house = House::new(Limits::default());
        let mut client = house.visit().await;
        client.say(&call("1", "id-last", 1 << 20, &house.gate())).await;
        let wanted = format!("{{\"jsonrpc\":\"2.0\",\"result\":{{\"text\":\"{}\"}},\"id\":1}}\n", "x".repeat(1 << 20));
        assert_same(&client.line().await, &wanted);
        drop(client);
        house.until_quiet().await;
    });
}

/// The sizes of what came from the server, and from it to clients.
#[derive(Default)]
struct Watch(RefCell<Vec<(bool, usize)>>);

impl Observer for Watch {
    fn saw(&self, seen: &Seen) {
        if let Seen::Frame { hop, bytes, .. } = seen {
            self.0.borrow_mut().push((*hop == Hop::Server, bytes.len()));
        }
    }
}

#[test]
fn whoever_watches_gets_whole_messages() {
    local(async {
        let house = House::new(Limits::default());
        let watch = Rc::new(Watch::default());
        house.hub.observers().add(Rc::clone(&watch) as _);
        let mut client = house.visit().await;
        client.say(&call("2", "whole", 1 << 20, &house.gate())).await;
        assert_same(&client.line().await, &answer("2", 1 << 20));
        let size = answer("2", 1 << 20).len();
        assert!(watch.0.borrow().contains(&(true, size - 1)), "{:?}", watch.0);
        assert!(watch.0.borrow().contains(&(false, size)), "{:?}", watch.0);
    });
}

#[test]
fn a_client_is_not_handed_over_in_the_middle_of_an_answer() {
    local(async {
        let house = House::new(Limits::default());
        let wish = Rc::new(Notify::new());
        let mut client = house.visit_with(|session| session.with_handover(Rc::clone(&wish))).await;
        client.say(&call("1", "halves", 10, &house.gate())).await;
        client.part_of_line(90_000).await;
        // As far as the route is concerned nothing is under way any more.
        client.say(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#).await;
        until("it is cancelled", || house.hub.status().in_flight == 0).await;
        wish.notify_one();
        house.open_gate();
        assert_same(&client.line().await, &answer("1", 100_010));
        assert!(!client.more().await, "then the output ends");
        client.socket.shutdown().await.unwrap();
        let ended = tokio::time::timeout(DEADLINE, client.served).await.unwrap().unwrap();
        assert!(ended.handover.is_some() && matches!(ended.reason, Reason::Ended(_)), "{ended:?}");
    });
}

/// All bytes a client got.
#[derive(Default)]
struct Bytewise {
    got: RefCell<Vec<u8>>,
    takes_parts: bool,
}

impl Outlet for Bytewise {
    fn deliver(&self, delivery: Delivery) -> Result<(), Overflow> {
        self.got.borrow_mut().extend_from_slice(&delivery.frame);
        Ok(())
    }
    fn takes_parts(&self, _: StreamId) -> bool {
        self.takes_parts
    }
    fn deliver_part(&self, part: Part) -> Result<(), Overflow> {
        self.got.borrow_mut().extend_from_slice(&part.bytes);
        Ok(())
    }
    fn end_stream(&self, _: StreamId) {}
    fn end(&self, _: &str) {}
}

/// What a client gets of these messages when they arrive in two parts, split here.
fn received(stream: &str, split: usize, takes_parts: bool) -> (Vec<u8>, bool) {
    let (server, outlet) = (Rc::new(Fake::default()), Rc::new(Bytewise { takes_parts, ..Bytewise::default() }));
    let hub = Hub::new(Box::new(Shared::new(Config::default())), Box::new(FakeConnector(Rc::clone(&server))), Limits::default());
    let peer = hub.open(arrival(), Rc::clone(&outlet) as _);
    let say = |text: &str| hub.frame(peer, StreamId(0), Frame::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap());
    say(INITIALIZE);
    let opened = br#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}"#;
    hub.upstream_line(1, Line::Text(Bytes::from_static(opened)));
    say(INITIALIZED);
    for n in 2..=3 {
        say(&call(&format!("\"{n} of the client's\""), "any", 0, Path::new("")));
    }
    outlet.got.borrow_mut().clear();
    let mut lines = Lines::new(1 << 20);
    let mut has_begun = false;
    for part in [&stream.as_bytes()[..split], &stream.as_bytes()[split..]] {
        lines.push(part);
        loop {
            while let Some(line) = lines.next_line() {
                hub.upstream_line(1, line);
            }
            if lines.beginning().is_some_and(|beginning| hub.upstream_begin(1, beginning)) {
                has_begun = true;
                lines.pass_on();
            }
            let Some(piece) = lines.next_piece() else { break };
            hub.upstream_piece(1, piece);
        }
    }
    assert_eq!((hub.status().in_flight, lines.held()), (0, 0));
    (outlet.got.take(), has_begun)
}

#[test]
fn wherever_a_stream_is_split_a_client_gets_the_same_bytes() {
    local(async {
        let text = "ä".repeat(40_000);
        let stream = format!(
            "{{\"jsonrpc\":\"2.0\" ,\"id\": 2 ,\r \"result\":{{\"text\":\"{text}\",\r\"more\":[1.0,{{\"id\":7}}]}} , \"x\":1}}\r\n{{\"jsonrpc\":\"2.0\",\"result\":{{\"é\":1}},\"id\":3}}\n"
        );
        let (wanted, _) = received(&stream, 0, false);
        let mut begun = 0;
        let around = stream.len() - 140..=stream.len();
        for split in (0..200).chain((60_000..70_000).step_by(97)).chain(around) {
            let (found, has_begun) = received(&stream, split, true);
            assert!(found == wanted, "split at {split}: {}", String::from_utf8_lossy(&found[found.len() - 200..]));
            begun += usize::from(has_begun);
        }
        assert!(begun > 100, "{begun}");
    });
}
