//! Clients over byte streams: what they say wrong, and what they do to others.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use mcp_relay::hub::{Hub, Limits};
use mcp_relay::route::StreamId;
use mcp_relay::transport::stdio::{self, Ended, Patience, Reason, Session};
use mcp_wire::Frame;
use support::*;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

struct House {
    hub: Hub,
    record: Rc<Record>,
    server: Rc<Fake>,
}

fn house_with(limits: Limits) -> House {
    let (record, server) = (Rc::new(Record::default()), Rc::new(Fake::default()));
    let hub = Hub::new(Box::new(Plain::new(&record)), Box::new(FakeConnector(Rc::clone(&server))), limits);
    hub.start();
    House { hub, record, server }
}

fn house() -> House {
    house_with(Limits::default())
}

impl House {
    /// A client comes over a Unix socket. Gives its end.
    fn visit(&self) -> (UnixStream, JoinHandle<Ended>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (reader, writer) = ours.into_split();
        let hub = self.hub.clone();
        (theirs, tokio::task::spawn_local(async move { stdio::serve_unix(hub, arrival(), reader, writer).await }))
    }

    /// The same with other times, over any streams.
    fn visit_with(&self, patience: Patience) -> (UnixStream, JoinHandle<Ended>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (reader, writer) = ours.into_split();
        let hub = self.hub.clone();
        let served = async move { Session::new(arrival()).with_patience(patience).serve(hub, reader, writer).await };
        (theirs, tokio::task::spawn_local(served))
    }

    fn server_says(&self, text: &str) {
        self.hub.upstream_frame(1, Frame::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap(), None);
    }

    async fn server_got(&self, count: usize) {
        until("the server to get it", || self.server.sent.borrow().len() >= count).await;
    }
}

/// The next line a client gets.
async fn line(reader: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> String {
    let mut line = String::new();
    tokio::time::timeout(DEADLINE, reader.read_line(&mut line)).await.expect("a line").unwrap();
    line
}

async fn ended(served: JoinHandle<Ended>) -> Ended {
    tokio::time::timeout(DEADLINE, served).await.expect("the end of the connection").unwrap()
}

#[test]
fn what_is_no_message_is_answered_and_the_next_message_passes() {
    local(async {
        let house = house();
        let (mut client, served) = house.visit();
        client.write_all(b"hello\n{\"a\":}\n\xff\xfe\n{\"id\":1}\n[{\"method\":\"x\"}]\n\n{\"method\":\"m\"}\n").await.unwrap();
        let mut client = BufReader::new(client);
        for code in ["-32700", "-32700", "-32700", "-32600", "-32600"] {
            let answer = line(&mut client).await;
            assert!(answer.contains(r#""id":null"#) && answer.contains(code), "{answer}");
        }
        house.server_got(1).await;
        assert_eq!(*house.server.sent.borrow(), ["{\"method\":\"m\"}\n"]);
        drop(client);
        assert_eq!(ended(served).await.reason, Reason::Left);
    });
}

#[test]
fn a_batch_is_taken_apart_for_a_client_of_the_revision_that_has_batches() {
    local(async {
        let house = house();
        *house.record.revision.borrow_mut() = Some("2025-03-26".to_owned());
        let (mut client, _served) = house.visit();
        client.write_all(b"[{\"method\":\"a\"}, {\"id\":1,\"method\":\"b\"} ,7]\n[]\n").await.unwrap();
        house.server_got(2).await;
        assert_eq!(*house.server.sent.borrow(), ["{\"method\":\"a\"}\n", "{\"id\":1,\"method\":\"b\"}\n"]);
        let mut client = BufReader::new(client);
        assert!(line(&mut client).await.contains("-32700"), "7 is no message");
        assert!(line(&mut client).await.contains("-32600"), "a batch of nothing is none");
    });
}

#[test]
fn a_message_that_is_too_long_is_refused_with_its_size() {
    local(async {
        let house = house_with(Limits { message: 20_000, ..Limits::default() });
        let (mut client, _served) = house.visit();
        let long = |n: usize| format!(r#"{{"jsonrpc":"2.0","id":"a","method":"m","params":"{}"}}"#, "x".repeat(n));
        let around = long(0).len();
        client.write_all(format!("{}\n{}\n", long(20_000 - around), long(20_001 - around)).as_bytes()).await.unwrap();
        let mut client = BufReader::new(client);
        let answer = line(&mut client).await;
        assert!(answer.contains(r#""id":"a""#) && answer.contains("has 20001 bytes, and at most 20000"), "{answer}");
        client.write_all(b"{\"method\":\"next\"}\n").await.unwrap();
        house.server_got(2).await;
        let sent: Vec<usize> = house.server.sent.borrow().iter().map(Bytes::len).collect();
        assert_eq!(sent, [20_001, 18]);
    });
}

#[test]
fn answers_on_their_way_reach_a_client_whose_input_has_ended() {
    local(async {
        let house = house();
        let (mut client, served) = house.visit();
        // The last one without a line end.
        client.write_all(b"{\"id\":1,\"method\":\"a\"}\n{\"id\":2,\"method\":\"b\"}").await.unwrap();
        client.shutdown().await.unwrap();
        house.server_got(2).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        house.server_says(r#"{"id":2,"result":"two"}"#);
        tokio::time::sleep(Duration::from_millis(20)).await;
        house.server_says(r#"{"id":1,"result":"one"}"#);
        assert_eq!(ended(served).await.reason, Reason::Left);
        let mut all = String::new();
        client.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "{\"id\":2,\"result\":\"two\"}\n{\"id\":1,\"result\":\"one\"}\n");
        assert_eq!(house.record.closed.borrow().len(), 1);
    });
}

#[test]
fn a_client_whose_answers_never_come_is_not_waited_for_for_ever() {
    local(async {
        let house = house();
        let (mut client, served) = house.visit_with(Patience { unanswered: Duration::from_millis(50), ..Patience::default() });
        client.write_all(b"{\"id\":1,\"method\":\"a\"}\n").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(ended(served).await.reason, Reason::Left);
    });
}

#[test]
fn a_client_that_is_gone_is_not_waited_for_at_all() {
    local(async {
        let house = house();
        let (mut client, served) = house.visit();
        client.write_all(b"{\"id\":1,\"method\":\"a\"}\n").await.unwrap();
        house.server_got(1).await;
        drop(client);
        // Far less than what a client that only says no more is given.
        let ended = tokio::time::timeout(Duration::from_secs(5), served).await.expect("the end, at once").unwrap();
        assert_eq!(ended.reason, Reason::Left);
    });
}

#[test]
fn a_client_that_leaves_while_the_server_is_stuck_is_noticed() {
    local(async {
        let house = house();
        house.server.queued.set(usize::MAX);
        let (client, served) = house.visit();
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(client);
        assert_eq!(ended(served).await.reason, Reason::Left);
        assert_eq!(house.record.closed.borrow().len(), 1);
    });
}

#[test]
fn no_client_is_read_while_the_server_is_stuck() {
    local(async {
        let house = house();
        house.server.queued.set(usize::MAX);
        let (client, _served) = house.visit();
        // What fits into a socket, and not a byte more, can be written.
        let mut written = 0;
        let text = b"{\"method\":\"m\"}\n".repeat(1000);
        while tokio::time::timeout(Duration::from_millis(200), client.writable()).await.is_ok() {
            written += client.try_write(&text).unwrap_or(0);
            assert!(written < 10 << 20, "somebody reads this");
        }
        assert_eq!(house.record.from_clients.borrow().len(), 0);
        house.server.queued.set(0);
        house.hub.upstream_drained();
        let frames = written / "{\"method\":\"m\"}\n".len();
        until("all of it to pass", || house.record.from_clients.borrow().len() == frames).await;
    });
}

#[test]
fn a_client_that_reads_nothing_holds_up_nobody_and_is_let_go() {
    local(async {
        let house = house();
        let patience = Patience {
            unread: Duration::from_millis(200),
            unread_bytes: 100_000,
            farewell: Duration::from_millis(50),
            ..Patience::default()
        };
        let (_stuck, served) = house.visit_with(patience);
        let (other, _served) = house.visit();
        until("both to be there", || house.hub.status().clients.len() == 2).await;
        let mut other = BufReader::new(other);
        let text = format!(r#"{{"method":"m","params":"{}"}}"#, "x".repeat(100_000));
        for _ in 0..20 {
            house.server_says(&text);
            assert_eq!(line(&mut other).await.len(), text.len() + 1);
        }
        assert_eq!(ended(served).await.reason, Reason::Stuck);
        assert_eq!(house.hub.status().clients.len(), 1);
    });
}

#[test]
fn a_client_that_pauses_with_little_waiting_is_kept() {
    local(async {
        let house = house();
        let patience = Patience { unread: Duration::from_millis(20), unread_bytes: 10 << 20, ..Patience::default() };
        let (client, served) = house.visit_with(patience);
        until("it to be there", || house.hub.status().clients.len() == 1).await;
        let text = format!(r#"{{"method":"m","params":"{}"}}"#, "x".repeat(1 << 20));
        (0..5).for_each(|_| house.server_says(&text));
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!served.is_finished());
        let mut client = BufReader::new(client);
        for _ in 0..5 {
            assert_eq!(line(&mut client).await.len(), text.len() + 1);
        }
    });
}

#[test]
fn a_client_over_its_limit_is_let_go_with_a_reason() {
    local(async {
        let house = house_with(Limits { client_queue: 1 << 20, ..Limits::default() });
        let patience = Patience { farewell: Duration::from_millis(50), ..Patience::default() };
        let (_client, served) = house.visit_with(patience);
        until("it to be there", || house.hub.status().clients.len() == 1).await;
        let text = format!(r#"{{"method":"m","params":"{}"}}"#, "x".repeat(600_000));
        (0..5).for_each(|_| house.server_says(&text));
        let ended = ended(served).await;
        assert_eq!(ended.reason, Reason::Ended("mcp: this client did not read what it was sent".to_owned()));
    });
}

#[test]
fn what_was_delivered_before_the_end_is_sent() {
    local(async {
        let house = house();
        let (mut client, served) = house.visit();
        client.write_all(b"{\"id\":1,\"method\":\"m\"}\n").await.unwrap();
        house.server_got(1).await;
        let big = "x".repeat(5 << 20);
        house.server_says(&format!(r#"{{"id":1,"result":"{big}"}}"#));
        client.write_all(b"{\"method\":\"end\"}\n").await.unwrap();
        let mut all = String::new();
        client.read_to_string(&mut all).await.unwrap();
        assert_eq!(all.len(), big.len() + r#"{"id":1,"result":""}"#.len() + 1);
        assert_eq!(ended(served).await.reason, Reason::Ended("asked to".to_owned()));
    });
}

#[test]
fn whoever_lent_the_writer_has_the_last_word() {
    local(async {
        let house = house();
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let (reader, mut writer) = tokio::io::split(ours);
        theirs.write_all(b"{\"method\":\"end\"}\n").await.unwrap();
        let ended = stdio::serve(house.hub.clone(), arrival(), reader, &mut writer).await;
        let Reason::Ended(reason) = ended.reason else { panic!("{ended:?}") };
        writer.write_all(reason.as_bytes()).await.unwrap();
        drop(writer);
        let mut all = [0; 8];
        theirs.read_exact(&mut all).await.unwrap();
        assert_eq!(&all, b"asked to");
    });
}

#[test]
fn a_flooding_client_leaves_others_their_turn() {
    local(async {
        let house = house();
        let (flooding, _a) = house.visit();
        let (mut other, _b) = house.visit();
        until("both to be there", || house.hub.status().clients.len() == 2).await;
        let (_, mut writer) = flooding.into_split();
        let flood = tokio::task::spawn_local(async move {
            let text = b"{\"method\":\"flood\"}\n".repeat(2000);
            while writer.write_all(&text).await.is_ok() {}
        });
        let seen = |method: &str| {
            let text = format!("{{\"method\":\"{method}\"}}");
            house.record.from_clients.borrow().iter().filter(|(_, t)| *t == text).count()
        };
        until("the flood to rise", || seen("flood") > 1000).await;
        for round in 1..=20 {
            let before = seen("flood");
            other.write_all(b"{\"method\":\"other\"}\n").await.unwrap();
            while seen("other") < round {
                tokio::task::yield_now().await;
            }
            // A few turns of the flood at most.
            assert!(seen("flood") - before < 1000, "{} frames of the flood came first", seen("flood") - before);
        }
        flood.abort();
    });
}

#[test]
fn a_connection_that_is_dropped_is_a_client_that_left() {
    local(async {
        let house = house();
        let (_client, served) = house.visit();
        until("it to be there", || house.hub.status().clients.len() == 1).await;
        served.abort();
        until("it to be gone", || house.hub.status().clients.is_empty()).await;
    });
}

#[test]
fn many_messages_come_back_in_order_however_they_are_torn() {
    local(async {
        let server = start(shell("exec cat"), mcp_relay::transport::child::Patience::default());
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (reader, writer) = ours.into_split();
        let served = tokio::task::spawn_local(stdio::serve_unix(server.hub.clone(), arrival(), reader, writer));
        let sent: Vec<String> = (0..2000).map(|n| format!("{{\"method\":\"m\",\"n\":\"{}\"}}\n", "y".repeat(n % 300))).collect();
        let (reader, mut writer) = theirs.into_split();
        let text = sent.concat();
        let sender = tokio::task::spawn_local(async move {
            for (n, piece) in text.as_bytes().chunks(777).enumerate() {
                writer.write_all(piece).await.unwrap();
                if n % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            writer
        });
        let got = Rc::new(RefCell::new(Vec::new()));
        let mut reader = BufReader::new(reader);
        while got.borrow().len() < sent.len() {
            let line = line(&mut reader).await;
            got.borrow_mut().push(line);
        }
        assert_eq!(*got.borrow(), sent);
        drop((sender.await.unwrap(), reader));
        assert_eq!(ended(served).await.reason, Reason::Left);
    });
}

#[test]
fn frames_for_a_stream_or_none_go_the_same_way() {
    local(async {
        let house = house();
        let (mut client, _served) = house.visit();
        client.write_all(b"{\"id\":1,\"method\":\"m\"}\n").await.unwrap();
        house.server_got(1).await;
        house.server_says(r#"{"method":"to all"}"#);
        house.server_says(r#"{"id":1,"result":{}}"#);
        let mut client = BufReader::new(client);
        assert_eq!(line(&mut client).await, "{\"method\":\"to all\"}\n");
        assert_eq!(line(&mut client).await, "{\"id\":1,\"result\":{}}\n");
        house.hub.abandon(mcp_relay::route::PeerId(1), StreamId(0));
    });
}
