//! The whole way: clients over sockets, the shared route, a server that is a process. This program is also the server.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::io::{BufRead as _, Write as _};
use std::rc::Rc;
use std::time::Duration;

use mcp_relay::hub::{Hub, Limits};
use mcp_relay::shared::{Config, Shared};
use mcp_relay::transport::child::{ChildConnector, Patience, Spec};
use mcp_relay::transport::stdio::{self, Ended, Reason, Session};
use serde_json::{Value, json};
use support::{DEADLINE, arrival, exists, hasty, local, until};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Answers calls with their arguments. `die` makes it end, `never` is not answered, `big` is answered with so many bytes.
#[test]
#[ignore = "a part that other tests start"]
fn as_the_server() {
    if std::env::var_os("AS_SERVER").is_none() {
        return;
    }
    // The harness has its own idea of the standard output, and has begun a line there.
    let mut out = std::fs::OpenOptions::new().write(true).open("/proc/self/fd/1").unwrap();
    out.write_all(b"\n").unwrap();
    for line in std::io::stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let result = match message["method"].as_str().unwrap() {
            "initialize" => {
                json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}})
            }
            "tools/call" => match message["params"]["name"].as_str().unwrap() {
                "die" => {
                    std::io::stderr().write_all(b"it was me\n").unwrap();
                    std::process::abort();
                }
                "never" => continue,
                "big" => json!("x".repeat(usize::try_from(message["params"]["size"].as_u64().unwrap()).unwrap())),
                _ => message["params"].clone(),
            },
            method if method.starts_with("notifications/") => continue,
            _ => json!({}),
        };
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        out.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }
}

fn hub() -> Hub {
    let mut args: Vec<_> = ["--exact", "as_the_server", "--ignored", "--nocapture"].map(Into::into).to_vec();
    args.push("--test-threads=1".into());
    let spec = Spec { program: std::env::current_exe().unwrap(), args, env: vec![("AS_SERVER".into(), "1".into())], cwd: None };
    let connector = ChildConnector::new(spec, Rc::new(|_| {})).with_patience(Patience { closed: DEADLINE, ..hasty() });
    Hub::new(Box::new(Shared::new(Config::default())), Box::new(connector), Limits::default())
}

fn visit(hub: &Hub) -> (UnixStream, JoinHandle<Ended>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (reader, writer) = ours.into_split();
    (theirs, tokio::task::spawn_local(stdio::serve_unix(hub.clone(), arrival(), reader, writer)))
}

const OPENING: &str = concat!(
    r#"{"jsonrpc":"2.0","id":"open","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    "\n"
);

fn call(id: usize, name: &str, size: usize) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"{name}\",\"size\":{size}}}}}\n")
}

async fn answer(reader: &mut BufReader<UnixStream>) -> Value {
    let mut line = String::new();
    tokio::time::timeout(DEADLINE, reader.read_line(&mut line)).await.expect("an answer").unwrap();
    serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
}

/// A client that has opened its conversation.
async fn member(hub: &Hub) -> (BufReader<UnixStream>, JoinHandle<Ended>) {
    let (mut client, served) = visit(hub);
    client.write_all(OPENING.as_bytes()).await.unwrap();
    let mut client = BufReader::new(client);
    assert_eq!(answer(&mut client).await["id"], "open");
    (client, served)
}

/// Nothing is left in the tables, and the server ends.
async fn all_is_gone(hub: &Hub) {
    until("empty tables", || hub.status().tables.iter().all(|(_, size)| *size == 0)).await;
    if let Some(pid) = hub.pid() {
        hub.drain();
        until("the server to be gone, and reaped", || !exists(pid)).await;
    }
}

#[test]
fn all_that_was_asked_before_the_end_of_input_is_answered() {
    local(async {
        let hub = hub();
        // As in `printf … | mcp run-once -- server`: nobody waits for the answer to `initialize`, the server is not even there.
        let (mut client, served) = visit(&hub);
        let text: String = OPENING.to_owned() + &(1..=50).map(|id| call(id, "echo", id)).collect::<String>();
        client.write_all(text.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut all = String::new();
        tokio::time::timeout(DEADLINE, client.read_to_string(&mut all)).await.expect("all answers").unwrap();
        let ids: Vec<Value> = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect();
        let wanted: Vec<Value> = std::iter::once(json!("open")).chain((1..=50).map(Value::from)).collect();
        assert_eq!(ids, wanted);
        assert_eq!(served.await.unwrap().reason, Reason::Left);
        all_is_gone(&hub).await;
    });
}

#[test]
fn everybody_gets_the_own_answers_whatever_others_do() {
    local(async {
        let hub = hub();
        let (first, _served) = member(&hub).await;
        // One asks for much and reads nothing; one vanishes with calls on their way.
        let (mut stuck, _) = member(&hub).await;
        for id in 0..20 {
            stuck.get_mut().write_all(call(id, "big", 1 << 20).as_bytes()).await.unwrap();
        }
        let (mut vanishing, _) = member(&hub).await;
        let calls: String = (0..100).map(|id| call(id, if id % 2 == 0 { "echo" } else { "never" }, id)).collect();
        vanishing.get_mut().write_all(calls.as_bytes()).await.unwrap();
        drop(vanishing);
        let mut members = Vec::new();
        for number in 1..=16 {
            let hub = hub.clone();
            members.push(tokio::task::spawn_local(async move {
                let (mut client, served) = member(&hub).await;
                for round in 0..20 {
                    let calls: String = (0..10).map(|id| call(id, "echo", number * 1_000_000 + round * 1000 + id)).collect();
                    client.get_mut().write_all(calls.as_bytes()).await.unwrap();
                    for id in 0..10 {
                        let got = answer(&mut client).await;
                        assert_eq!(
                            (&got["id"], &got["result"]["size"]),
                            (&json!(id), &json!(number * 1_000_000 + round * 1000 + id))
                        );
                    }
                }
                drop(client);
                assert_eq!(served.await.unwrap().reason, Reason::Left);
            }));
        }
        for member in members {
            member.await.unwrap();
        }
        for id in 0..20 {
            assert_eq!(answer(&mut stuck).await["result"].as_str().unwrap().len(), 1 << 20, "answer {id}");
        }
        drop((first, stuck));
        all_is_gone(&hub).await;
    });
}

#[test]
fn a_server_that_dies_takes_no_client_with_it() {
    local(async {
        let hub = hub();
        let (mut one, _a) = member(&hub).await;
        let (mut other, _b) = member(&hub).await;
        one.get_mut().write_all(call(1, "never", 0).as_bytes()).await.unwrap();
        until("the call to be on its way", || hub.status().in_flight == 1).await;
        let pid = hub.pid().unwrap();
        other.get_mut().write_all(call(1, "die", 0).as_bytes()).await.unwrap();
        for client in [&mut one, &mut other] {
            let got = answer(client).await;
            let message = got["error"]["message"].as_str().unwrap();
            assert!(message.contains("was killed by signal 6 (SIGABRT)") && message.contains("it was me"), "{message}");
        }
        assert!(!exists(pid));
        // The same conversation goes on with the next server.
        until("the next server", || hub.status().state == "ready").await;
        one.get_mut().write_all(call(2, "echo", 7).as_bytes()).await.unwrap();
        while answer(&mut one).await["id"] != json!(2) {}
        drop((one, other));
        all_is_gone(&hub).await;
    });
}

#[test]
fn a_conversation_goes_on_elsewhere_and_nothing_said_meanwhile_is_lost() {
    local(async {
        let (first, second) = (hub(), hub());
        let wish = Rc::new(Notify::new());
        let (ours, mut client) = UnixStream::pair().unwrap();
        let (reader, writer) = ours.into_split();
        let session = Session::unix(arrival()).with_handover(Rc::clone(&wish));
        let served = tokio::task::spawn_local(session.serve(first.clone(), reader, writer));
        client.write_all(OPENING.as_bytes()).await.unwrap();
        client.write_all(call(1, "never", 0).as_bytes()).await.unwrap();
        let mut client = BufReader::new(client);
        assert_eq!(answer(&mut client).await["id"], "open");
        until("the call to be on its way", || first.status().in_flight == 1).await;
        wish.notify_one();
        client.get_mut().write_all(call(2, "echo", 2).as_bytes()).await.unwrap();
        assert_eq!(answer(&mut client).await["id"], 2, "nobody is moved in the middle of a call");
        assert!(!served.is_finished());
        let cancelled = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}\n";
        client.get_mut().write_all(cancelled.as_bytes()).await.unwrap();
        let mut end = String::new();
        tokio::time::timeout(DEADLINE, client.read_to_string(&mut end)).await.expect("the end of the output").unwrap();
        assert_eq!(end, "");
        // It has not noticed yet, and is in the middle of a line when it does.
        let unheard = call(3, "echo", 3) + &call(4, "echo", 4);
        client.get_mut().write_all(&unheard.as_bytes()[..100]).await.unwrap();
        client.get_mut().shutdown().await.unwrap();
        let handover = served.await.unwrap().handover.expect("a handover");
        assert_eq!(handover.unheard, unheard.as_bytes()[..100]);
        let (ours, mut client) = UnixStream::pair().unwrap();
        let (reader, writer) = ours.into_split();
        let session = Session::unix(arrival()).with_ticket(handover.ticket).with_early(handover.unheard);
        let served = tokio::task::spawn_local(session.serve(second.clone(), reader, writer));
        client.write_all(&unheard.as_bytes()[100..]).await.unwrap();
        let mut client = BufReader::new(client);
        for id in [3, 4] {
            let got = answer(&mut client).await;
            assert_eq!((&got["id"], &got["result"]["size"]), (&json!(id), &json!(id)));
        }
        drop(client);
        assert_eq!(served.await.unwrap().reason, Reason::Left);
        all_is_gone(&first).await;
        all_is_gone(&second).await;
    });
}

#[test]
fn a_client_may_vanish_at_every_step_of_a_call() {
    local(async {
        let hub = hub();
        let (stays, _served) = member(&hub).await;
        let text = OPENING.to_owned() + &call(1, "echo", 1) + &call(2, "never", 1) + &call(3, "big", 1 << 20);
        for length in (0..=text.len()).step_by(7).chain([text.len()]) {
            for reads in [0, 1, 2] {
                let (mut client, served) = visit(&hub);
                client.write_all(&text.as_bytes()[..length]).await.unwrap();
                if length == text.len() {
                    let mut lines = BufReader::new(&mut client).lines();
                    for _ in 0..reads {
                        tokio::time::timeout(DEADLINE, lines.next_line()).await.expect("a line").unwrap();
                    }
                } else if reads > 0 {
                    tokio::task::yield_now().await;
                }
                drop(client);
                let ended = tokio::time::timeout(Duration::from_secs(5), served).await.expect("the end, at once").unwrap();
                assert!(matches!(ended.reason, Reason::Left | Reason::Broken(_)), "{ended:?}");
            }
        }
        until("one client", || hub.status().clients.len() == 1).await;
        drop(stays);
        all_is_gone(&hub).await;
    });
}
