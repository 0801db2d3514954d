//! Clients that are slow, many, torn, hasty or gone.

use std::io::Write as _;
use std::time::Duration;

use mcp_relay::hub::Limits;
use mcp_relay::transport::http_server::HttpOptions;

use crate::client::{Client, JSON, call, initialize, modern_call, modern_headers, open_session};
use crate::harness::Harness;

#[test]
fn a_request_in_single_bytes_is_a_request() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-11-25");
    for request in [
        client.request("POST", "/mcp", &format!("{JSON}{headers}"), &call(1, "echo", r#"{"torn":"ä"}"#)),
        client.request("POST", "/mcp", &format!("{JSON}{}", modern_headers("echo")), &modern_call(1, "echo", r#"{"torn":"ä"}"#)),
    ] {
        for byte in request {
            client.send(&[byte]);
        }
        assert!(client.reply().body.contains(r#"{"torn":"ä"}"#));
    }
    let body = call(1, "echo", r#"{"torn":"ä"}"#);
    client.send(&client.request("POST", "/mcp", &format!("{JSON}{headers}Transfer-Encoding: chunked\r\n"), ""));
    for byte in body.bytes() {
        client.send(&[b"1\r\n", &[byte][..], b"\r\n"].concat());
    }
    client.send(b"0\r\n\r\n");
    assert!(client.reply().body.contains(r#"{"torn":"ä"}"#));
}

#[test]
fn requests_sent_ahead_are_answered_in_their_order() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-11-25");
    let mut all = Vec::new();
    for n in 0..200 {
        let tool = if n % 7 == 0 { "progress" } else { "echo" };
        all.extend(match n % 2 {
            0 => client.request("POST", "/mcp", &format!("{JSON}{headers}"), &call(n, tool, "{}")),
            _ => client.request("POST", "/mcp", &format!("{JSON}{}", modern_headers(tool)), &modern_call(n, tool, "{}")),
        });
    }
    client.send(&all);
    for n in 0..200 {
        let reply = client.reply();
        assert_eq!(reply.is_events(), n % 7 == 0);
        assert!(reply.body.contains(&format!(r#""id":{n},"result""#)), "{n}: {reply:?}");
    }
}

#[test]
fn a_message_of_the_largest_size_passes_both_ways() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-11-25");
    let text = "x".repeat(20 << 20);
    let reply = client.post(&headers, &call(1, "echo", &format!(r#"{{"text":"{text}"}}"#)));
    assert!(reply.status == 200 && reply.body.len() > text.len() && reply.body.contains(&text));
    let reply = client.post(&modern_headers("big"), &modern_call(1, "big", r#"{"size":67000000}"#));
    assert!(reply.status == 200 && reply.body.len() > 67_000_000);
    let reply = client.post(&headers, &call(1, "flood", r#"{"count":3,"size":1000000}"#));
    assert_eq!(reply.events().len(), 5);
}

#[test]
fn a_client_that_does_not_read_is_let_go_and_stalls_nobody() {
    let limits = Limits { client_queue: 1 << 20, ..Limits::default() };
    let harness = Harness::with(HttpOptions::default(), limits);
    let mut other = Client::new(&harness);
    let others = open_session(&mut other, "2025-11-25");
    for is_modern in [false, true] {
        let mut stuck = Client::new(&harness);
        let flood = r#"{"count":3000,"size":10000}"#;
        if is_modern {
            stuck.post_only(&modern_headers("flood"), &modern_call(1, "flood", flood));
        } else {
            let headers = open_session(&mut stuck, "2025-11-25");
            stuck.post_only(&headers, &call(1, "flood", flood));
            harness.until("the session is over", |inside| inside.http.status().sessions == 1);
        }
        for n in 0..20 {
            assert_eq!(other.post(&others, &call(n, "echo", "{}")).status, 200);
        }
        harness.until("its peer is let go", |inside| {
            let script = inside.script.borrow();
            script.closed.contains(&script.opened.last().unwrap().0)
        });
    }
}

#[test]
fn a_client_that_takes_nothing_for_too_long_is_disconnected() {
    let options = HttpOptions { write_timeout: Duration::from_millis(50), ..HttpOptions::default() };
    let harness = Harness::with(options, Limits::default());
    let mut stuck = Client::new(&harness);
    stuck.post_only(&modern_headers("big"), &modern_call(1, "big", r#"{"size":60000000}"#));
    harness
        .until("it is disconnected", |inside| inside.http.status().connections == 0 && !inside.script.borrow().closed.is_empty());
    harness.until_empty();
}

#[test]
fn a_request_that_does_not_arrive_is_not_waited_for() {
    let options = HttpOptions { read_timeout: Duration::from_millis(50), ..HttpOptions::default() };
    let harness = Harness::with(options, Limits::default());
    for part in [
        &b"POST /mcp HTTP/1.1\r\nHost: loc"[..],
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{",
    ] {
        let mut client = Client::new(&harness);
        client.send(part);
        assert!(client.is_closed());
    }
    harness.until_empty();
    // One that waits for its answer, and one that has asked nothing yet, are no slow requests.
    let (mut quiet, mut waiting) = (Client::new(&harness), Client::new(&harness));
    waiting.post_only(&modern_headers("hang"), &modern_call(1, "hang", "{}"));
    let mut slow = Client::new(&harness);
    slow.send(b"P");
    assert!(slow.is_closed());
    harness.inside(|inside| inside.answer("{}"));
    assert_eq!(waiting.reply().status, 200);
    assert_eq!(quiet.post("", &initialize("2025-11-25", "test")).status, 200);
}

#[test]
fn a_connection_without_requests_is_closed_in_time() {
    let options = HttpOptions { connection_idle: Duration::from_millis(50), ..HttpOptions::default() };
    let harness = Harness::with(options, Limits::default());
    let mut client = Client::new(&harness);
    assert_eq!(client.post("", &initialize("2025-11-25", "test")).status, 200);
    assert!(client.is_closed());
}

#[test]
fn a_thousand_clients_leave_nothing_behind() {
    let harness = Harness::new();
    let mut clients: Vec<Client> = (0..1000).map(|_| Client::new(&harness)).collect();
    let mut sessions = Vec::new();
    for (n, client) in clients.iter_mut().enumerate() {
        match n % 4 {
            0 => sessions.push(open_session(client, "2025-11-25")),
            1 => client.post_only(&modern_headers("hang"), &modern_call(1, "hang", "{}")),
            2 => assert_eq!(client.post(&modern_headers("echo"), &modern_call(1, "echo", "{}")).status, 200),
            _ => client.send(b"POST /mcp HT"),
        }
    }
    harness.until("all are there", |inside| {
        let status = inside.http.status();
        (status.connections, status.sessions, status.streams) == (1000, 250, 250)
    });
    drop(clients);
    let mut client = Client::new(&harness);
    for session in sessions {
        assert_eq!(client.ask("DELETE", "/mcp", &session, "").status, 204);
    }
    drop(client);
    harness.until_empty();
    assert_eq!(harness.inside(|inside| inside.script.borrow().abandoned.len()), 250);
}

#[test]
fn connections_are_limited_and_the_place_of_one_is_free_again() {
    let harness = Harness::with(HttpOptions { max_connections: 3, ..HttpOptions::default() }, Limits::default());
    let body = initialize("2025-11-25", "test");
    let mut clients: Vec<Client> = (0..3).map(|_| Client::new(&harness)).collect();
    assert!(clients.iter_mut().all(|c| c.post("", &body).status == 200));
    let mut extra = Client::new(&harness);
    assert_eq!(extra.reply().status, 503);
    clients.pop();
    harness.until("there is room", |inside| inside.http.status().connections == 2);
    assert_eq!(Client::new(&harness).post("", &body).status, 200);
}

#[test]
fn a_client_that_vanishes_at_any_byte_leaves_nothing() {
    let harness = Harness::new();
    let probe = Client::new(&harness);
    let request =
        probe.request("POST", "/mcp", &format!("{JSON}{}", modern_headers("progress")), &modern_call(1, "progress", "{}"));
    drop(probe);
    for end in 0..=request.len() {
        let mut client = Client::new(&harness);
        client.socket.write_all(&request[..end]).unwrap();
    }
    harness.until_empty();
}
