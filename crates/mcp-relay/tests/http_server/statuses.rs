//! Who gets in, and which status says why not.

use mcp_relay::hub::Limits;
use mcp_relay::transport::http_server::HttpOptions;

use crate::client::{Client, JSON, call, initialize, modern_call, modern_headers, open_session};
use crate::harness::Harness;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[test]
fn every_wrong_request_gets_its_status() {
    let harness = Harness::new();
    let rows: [(&str, &str, &str, &str, u16); 18] = [
        ("POST", "/other", JSON, PING, 404),
        ("POST", "/token/mcp", JSON, PING, 404),
        ("GET", "/.well-known/oauth-protected-resource", "", "", 404),
        ("PUT", "/mcp", JSON, PING, 405),
        ("OPTIONS", "/mcp", "", "", 405),
        ("GET", "/message", "", "", 405),
        ("POST", "/sse", JSON, PING, 405),
        ("POST", "/mcp", "Content-Type: application/json\r\nAccept: application/json\r\n", PING, 406),
        ("POST", "/mcp", "Content-Type: application/json\r\nAccept: text/event-stream\r\n", PING, 406),
        ("GET", "/mcp", "Accept: application/json\r\n", "", 406),
        ("POST", "/mcp", "Accept: */*\r\n", PING, 415),
        ("POST", "/mcp", "Accept: */*\r\nContent-Type: text/plain\r\n", PING, 415),
        ("POST", "/mcp", JSON, "{", 400),
        ("POST", "/mcp", JSON, "[]", 400),
        ("POST", "/mcp", JSON, PING, 400),
        ("GET", "/mcp", "Accept: text/event-stream\r\n", "", 400),
        ("DELETE", "/mcp", "", "", 400),
        ("POST", "/mcp", "Mcp-Session-Id: unknown\r\nContent-Type: application/json\r\n", PING, 404),
    ];
    for (method, path, headers, body, status) in rows {
        let reply = Client::new(&harness).ask(method, path, headers, body);
        assert_eq!(reply.status, status, "{method} {path} {headers} {body}: {reply:?}");
        assert_eq!(reply.header("allow").is_some(), status == 405, "{reply:?}");
        if method != "HEAD" {
            assert!(reply.body.starts_with(r#"{"jsonrpc":"2.0""#), "{reply:?}");
        }
    }
    harness.until_empty();
}

#[test]
fn a_text_that_is_no_json_is_a_parse_error() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    assert_eq!(client.post("", "{").code(), -32700);
    assert_eq!(client.post("", r#"{"jsonrpc":"2.0"}"#).code(), -32600);
    assert_eq!(client.post("MCP-Protocol-Version: 2026-07-28\r\n", "nonsense").code(), -32700);
}

#[test]
fn the_token_is_asked_for_and_is_taken_from_header_or_path() {
    let harness = Harness::with(HttpOptions { token: Some("t0ken".into()), ..HttpOptions::default() }, Limits::default());
    let body = initialize("2025-11-25", "test");
    let rows = [
        ("/mcp", "", 401),
        ("/mcp", "Authorization: Bearer t0keN\r\n", 401),
        ("/mcp", "Authorization: Bearer t0ken1\r\n", 401),
        ("/mcp", "Authorization: Basic t0ken\r\n", 401),
        ("/wrong/mcp", "", 401),
        ("/wrong/mcp", "Authorization: Bearer t0ken\r\n", 401),
        ("/t0ken/other", "", 404),
        ("/mcp", "Authorization: Bearer t0ken\r\n", 200),
        ("/mcp/", "Authorization: bearer t0ken\r\n", 200),
        ("/t0ken/mcp", "", 200),
        ("/t0ken/mcp/", "", 200),
    ];
    for (path, headers, status) in rows {
        let reply = Client::new(&harness).ask("POST", path, &format!("{JSON}{headers}"), &body);
        assert_eq!(reply.status, status, "{path} {headers}: {reply:?}");
        assert_eq!(reply.header("www-authenticate").is_some(), status == 401);
    }
}

#[test]
fn pages_of_others_and_foreign_names_of_this_machine_are_refused() {
    let harness = Harness::new();
    let port = harness.address.port();
    let body = initialize("2025-11-25", "test");
    let rows = [
        (format!("Host: evil.example:{port}\r\n"), 403),
        (format!("Host: evil.example:{port}\r\nOrigin: http://evil.example:{port}\r\n"), 403),
        (format!("Host: localhost:{port}\r\nOrigin: http://evil.example\r\n"), 403),
        (format!("Host: localhost:{port}\r\nOrigin: null\r\n"), 403),
        (format!("Host: localhost:{port}\r\nOrigin: http://localhost:1\r\n"), 403),
        (format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n"), 200),
        (format!("Host: localhost:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"), 200),
        (format!("Host: [::1]:{port}\r\n"), 200),
        (format!("Host: localhost:{port}\r\nHost: evil.example\r\n"), 400),
        (format!("Host: evil.example\r\nHost: localhost:{port}\r\n"), 400),
    ];
    for (headers, status) in rows {
        let reply = Client::new(&harness).post(&headers, &body);
        assert_eq!(reply.status, status, "{headers}: {reply:?}");
    }
    let mut client = Client::new(&harness);
    client.send(b"POST /mcp HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.reply().status, 400, "no Host at all");
    for (method, path) in [("GET", "/sse"), ("GET", "/mcp"), ("DELETE", "/mcp")] {
        assert_eq!(Client::new(&harness).ask(method, path, "Host: evil.example\r\n", "").status, 403);
    }
}

#[test]
fn headers_are_limited_in_number_and_size() {
    let options = HttpOptions { max_headers: 20, max_header_bytes: 9000, ..HttpOptions::default() };
    let harness = Harness::with(options, Limits::default());
    let many = "X-Many: 1\r\n".repeat(40);
    assert_eq!(Client::new(&harness).ask("POST", "/mcp", &many, "").status, 431);
    let long = format!("X-Long: {}\r\n", "x".repeat(20_000));
    assert_eq!(Client::new(&harness).ask("POST", "/mcp", &long, "").status, 431);
    let fits = format!("X-Long: {}\r\n", "x".repeat(8000));
    assert_eq!(Client::new(&harness).post(&fits, &initialize("2025-11-25", "test")).status, 200);
}

#[test]
fn a_body_over_the_limit_is_refused_while_it_is_still_coming() {
    let harness = Harness::with(HttpOptions::default(), Limits { message: 100_000, ..Limits::default() });
    // Announced.
    let mut client = Client::new(&harness);
    client.send(format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: 100001\r\n\r\n").as_bytes());
    let reply = client.reply();
    assert_eq!(reply.status, 413);
    assert!(reply.body.contains("100000 bytes"), "{reply:?}");
    // In chunks that never end.
    let mut client = Client::new(&harness);
    client.send(format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
    for _ in 0..11 {
        client.send(format!("2710\r\n{}\r\n", "x".repeat(10_000)).as_bytes());
    }
    assert_eq!(client.reply().status, 413);
    // Exactly the limit passes.
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-11-25");
    let body = call(1, "echo", "{}");
    let padded = format!("{body}{}", " ".repeat(100_000 - body.len()));
    assert_eq!(client.post(&headers, &padded).status, 200);
    assert_eq!(client.post(&headers, &format!("{padded} ")).status, 413);
}

#[test]
fn the_status_of_a_modern_answer_comes_from_its_code_and_a_legacy_one_is_200() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-11-25");
    for (code, status) in
        [(-32601, 404), (-32020, 400), (-32021, 400), (-32022, 400), (-32602, 200), (-32603, 200), (-32002, 200), (5, 200)]
    {
        let arguments = format!(r#"{{"code":{code}}}"#);
        let reply = client.post(&modern_headers("error"), &modern_call(9, "error", &arguments));
        assert_eq!((reply.status, reply.code()), (status, code), "{reply:?}");
        let reply = client.post(&headers, &call(9, "error", &arguments));
        assert_eq!((reply.status, reply.code()), (200, code));
    }
    assert_eq!(client.post(&modern_headers("refuse"), &modern_call(9, "refuse", "{}")).status, 400);
    assert_eq!(client.post(&headers, &call(9, "refuse", "{}")).status, 200);
}

#[test]
fn revisions_that_are_not_spoken_are_refused_and_none_is_the_oldest() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-06-18");
    let session = headers.lines().next().unwrap();
    for (version, status) in [
        ("", 200),
        ("MCP-Protocol-Version: 2025-03-26\r\n", 200),
        ("MCP-Protocol-Version: 2025-11-25\r\n", 200),
        ("MCP-Protocol-Version: 1999-01-01\r\n", 400),
        ("MCP-Protocol-Version: nonsense\r\n", 400),
    ] {
        let reply = client.post(&format!("{session}\r\n{version}"), PING);
        assert_eq!(reply.status, status, "{version}: {reply:?}");
    }
    // A revision of the server's own, agreed on in the handshake.
    let headers = open_session(&mut client, "2024-10-07");
    assert_eq!(client.post(&headers, PING).status, 200);
}
