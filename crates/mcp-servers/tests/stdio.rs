//! The calculator as a process: both eras, every revision, and conversations that go wrong.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Server, call, modern_meta};

#[test]
fn ends_with_its_input_before_anything_was_said() {
    let mut server = Server::start();
    server.hang_up();
    let (status, stderr) = server.wait();
    assert!(status.success(), "{status}");
    assert_eq!((server.rest(), stderr.as_str()), (vec![], ""));
}

#[test]
fn everything_asked_before_the_input_ended_is_answered() {
    let mut server = Server::start();
    server.initialize("2025-11-25");
    for id in 0..100 {
        server.write(&call(id, "power", r#"{"a": 1.5, "b": 300}"#));
    }
    server.hang_up();
    let (status, stderr) = server.wait();
    assert!(status.success() && stderr.is_empty(), "{status}: {stderr}");
    let mut answered: Vec<u64> =
        server.rest().iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_u64().unwrap()).collect();
    answered.sort_unstable();
    assert_eq!(answered, (0..100).collect::<Vec<_>>());
}

#[test]
fn a_probe_that_is_answered_and_left_is_answered_in_full() {
    let mut server = Server::start();
    server.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": modern_meta()}}));
    server.hang_up();
    assert!(server.wait().0.success());
    assert_eq!(server.rest().len(), 1);
}

#[test]
fn every_revision_with_a_handshake_is_spoken() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut server = Server::start();
        let answer = server.initialize(version);
        assert_eq!(answer["result"]["protocolVersion"], version);
        assert_eq!(answer["result"]["serverInfo"]["name"], "calculator");
        server.write(&call(2, "add", r#"{"a": 0.1, "b": "0.2"}"#));
        let answer = server.receive();
        let expected = json!({"result": "0.3", "exact": true, "number": 0.3});
        assert_eq!(answer["result"]["structuredContent"], expected, "{answer}");
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), expected);
        assert_eq!(answer["result"].get("resultType"), None);
    }
}

#[test]
fn an_unknown_revision_is_answered_with_a_known_one() {
    let mut server = Server::start();
    assert_eq!(server.initialize("2023-01-01")["result"]["protocolVersion"], "2025-11-25");
}

#[test]
fn requests_that_stand_alone_are_served_without_a_handshake() {
    let mut server = Server::start();
    let answer = server.ask(&json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": modern_meta()}}));
    assert!(answer["result"]["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")), "{answer}");
    let answer = server.ask(&json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {"_meta": modern_meta()}}));
    assert_eq!(answer["result"]["resultType"], "complete");
    assert_eq!(answer["result"]["cacheScope"], "public");
    assert!(answer["result"]["ttlMs"].as_u64().unwrap() > 0);
    let answer = server.ask(&json!({
        "jsonrpc": "2.0", "id": 3, "method": "tools/call",
        "params": {"_meta": modern_meta(), "name": "divide", "arguments": {"a": 1, "b": 3}},
    }));
    assert_eq!(answer["result"]["resultType"], "complete");
    assert_eq!(answer["result"]["structuredContent"]["exact"], false);
    assert_eq!(answer["result"]["structuredContent"]["result"], format!("0.{}", "3".repeat(50)));
    let answer = server.ask(&json!({"jsonrpc": "2.0", "id": 4, "method": "tools/list", "params": {}}));
    assert_eq!(answer["error"]["code"], -32602);
}

#[test]
fn tools_are_described_in_full() {
    let mut server = Server::start();
    server.initialize("2025-11-25");
    let answer = server.ask(&json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}));
    let tools = answer["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, mcp_servers::bundled()[0].tools);
    for tool in tools {
        assert!(tool["title"].is_string() && tool["description"].is_string(), "{tool}");
        assert_eq!(tool["inputSchema"]["required"], json!(["a", "b"]));
        assert_eq!(tool["inputSchema"]["additionalProperties"], false);
        assert_eq!(tool["outputSchema"]["required"], json!(["result", "exact"]));
        let annotations = &tool["annotations"];
        assert_eq!(annotations["readOnlyHint"], true);
        assert_eq!(annotations["idempotentHint"], true);
        assert_eq!(annotations["destructiveHint"], false);
        assert_eq!(annotations["openWorldHint"], false);
    }
}

#[test]
fn json_numbers_keep_digits_that_no_double_holds() {
    let mut server = Server::start();
    server.initialize("2025-11-25");
    server.write(&call(2, "add", r#"{"a": 123456789012345678901234567890, "b": 0.1000000000000000000000000000001}"#));
    let answer = server.receive();
    assert_eq!(answer["result"]["structuredContent"]["result"], "123456789012345678901234567890.1000000000000000000000000000001");
    server.write(&call(3, "add", r#"{"a": 1e400, "b": 1}"#));
    assert_eq!(server.receive()["result"]["structuredContent"]["result"].as_str().unwrap().len(), 401);
    server.write(&call(4, "add", r#"{"a": 1e40000, "b": 1}"#));
    let answer = server.receive();
    assert_eq!(answer["result"]["isError"], true);
    assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains("`a` is too long"));
}

#[test]
fn what_a_model_can_mend_is_a_result_and_what_it_cannot_is_an_error() {
    let mut server = Server::start();
    server.initialize("2025-11-25");
    for (arguments, expected) in [
        (r#"{"a": 1, "b": 0}"#, "pass a `b` other than 0"),
        (r#"{"a": 1}"#, "`b` is missing"),
        (r#"{"a": 1, "b": true}"#, "`b` is a boolean"),
        (r#"{"a": "NaN", "b": 1}"#, "not a finite number"),
        (r#"{"a": 1, "b": 2, "c": 3}"#, "there is no argument `c`"),
    ] {
        server.write(&call(2, "divide", arguments));
        let answer = server.receive();
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        assert_eq!(answer["result"].get("structuredContent"), None);
        assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains(expected), "{answer}");
    }
    server.write(r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"divide"}}"#);
    assert_eq!(server.receive()["result"]["isError"], true);
    server.write(&call(4, "root", r#"{"a": 1, "b": 2}"#));
    let answer = server.receive();
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("add, subtract, multiply, divide, power"));
}

#[test]
fn messages_that_cannot_be_placed_do_not_end_the_conversation() {
    let mut server = Server::start();
    // A client that gave up on its probe cancels it before it opens the older era.
    server.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 0}}));
    server.send(&json!({"jsonrpc": "2.0", "id": 9, "result": {}}));
    server.initialize("2025-11-25");

    for silent in ["no json", "", "\r", r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":[]}"#] {
        server.write(silent);
    }
    for (line, id, code) in [
        (
            r#"{"jsonrpc":"2.0","id":11,"method":"tools/call","params":{"name":"add","arguments":[1,2]}}"#.to_owned(),
            json!(11),
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":5}}"#.to_owned(), json!("x"), -32602),
        (r#"{"jsonrpc":"2.0","id":12,"method":"tools/call"}"#.to_owned(), json!(12), -32602),
        (
            format!(
                r#"{{"jsonrpc":"2.0","id":13,"method":"tools/call","params":{{"name":"add","arguments":{}1{}}}}}"#,
                "[".repeat(200),
                "]".repeat(200)
            ),
            json!(13),
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":14}"#.to_owned(), json!(14), -32600),
        (r#"{"a":"\ud800"}"#.to_owned(), Value::Null, -32600),
        ("[1]".to_owned(), Value::Null, -32600),
        (format!(r#"{{"jsonrpc":"2.0","id":15,"method":"{}"}}"#, "x".repeat(2 << 20)), Value::Null, -32600),
    ] {
        server.write(&line);
        let answer = server.receive();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(code)), "{answer}");
    }
    server.write(&format!("\u{feff}{}\r", call(20, "add", r#"{"a": 1, "b": 2}"#)));
    assert_eq!(server.receive()["id"], 20);
}

#[test]
fn a_last_line_without_its_newline_counts() {
    let mut server = Server::start();
    server.initialize("2025-11-25");
    let (line, id) = (call(30, "add", r#"{"a": 1, "b": 2}"#), 30);
    server.write_raw(line.as_bytes());
    server.hang_up();
    assert_eq!(server.receive()["id"], id);
    assert!(server.wait().0.success());
}

#[test]
fn a_client_that_stops_reading_ends_it_cleanly() {
    let (mut server, stdout) = Server::start_unread();
    drop(stdout);
    server.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
    // The input stays open: the broken pipe alone has to end it.
    let (status, stderr) = server.wait();
    assert!(status.success() && stderr.is_empty(), "{status}: {stderr}");
}

/// A client that asks and never reads is held back by its own pipe, instead of filling memory with answers.
#[test]
fn answers_that_nobody_reads_stop_the_reading() {
    let (mut server, _stdout) = Server::start_unread();
    server.send(&json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
    }));
    let mut stdin = server.take_input();
    let (sender, written) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for id in 1.. {
            if stdin.write_all(format!("{}\n", call(id, "power", r#"{"a": 3, "b": 20000}"#)).as_bytes()).is_err() {
                return;
            }
            let _ = sender.send(id);
        }
    });
    let mut last = 0;
    let started = Instant::now();
    while let Ok(id) = written.recv_timeout(Duration::from_secs(2)) {
        last = id;
        assert!(started.elapsed() < Duration::from_secs(20), "{id} requests were taken and the server still reads");
    }
    assert!(last < 5_000, "{last} requests were taken before the server stopped reading");
}
