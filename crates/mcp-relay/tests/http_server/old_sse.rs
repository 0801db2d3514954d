//! The transport of 2024-11-05.

use mcp_relay::hub::Limits;
use mcp_relay::route::{Action, Class, Via};
use mcp_relay::transport::http_server::HttpOptions;
use mcp_wire::version::Era;

use crate::client::{Client, call, initialize};
use crate::harness::{Harness, last_arrival, line};

const POST: &str = "Content-Type: application/json\r\n";

fn open(client: &mut Client, path: &str) -> String {
    let request = client.request("GET", path, "Accept: text/event-stream\r\n", "");
    client.send(&request);
    assert!(client.head().is_events());
    let endpoint = client.event();
    assert_eq!(endpoint.event.as_deref(), Some("endpoint"));
    endpoint.data
}

#[test]
fn everything_comes_on_the_one_stream() {
    let harness = Harness::new();
    let (mut listener, mut poster) = (Client::new(&harness), Client::new(&harness));
    let endpoint = open(&mut listener, "/sse");
    assert!(endpoint.starts_with("/message?sessionId="), "{endpoint}");
    assert_eq!(last_arrival(&harness), (Via::Sse, Some(Era::Legacy)));
    let mut ask = |body: &str| {
        let reply = poster.ask("POST", &endpoint, POST, body);
        assert_eq!(reply.status, 202, "{reply:?}");
    };
    ask(&initialize("2024-11-05", "old"));
    let answer = listener.event();
    assert_eq!((answer.event.as_deref(), answer.id), (Some("message"), None));
    assert!(answer.data.contains(r#""protocolVersion":"2024-11-05""#));
    ask(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    ask(&call(1, "echo", r#"{"a":1}"#));
    assert!(listener.event().data.contains(r#"{"echo":{"a":1}}"#));
    harness.inside(|inside| {
        let peer = inside.script.borrow().opened[0].0;
        inside.act(Action::Send(peer, None, Class::Notification, line(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#)));
    });
    assert!(listener.event().data.contains("notifications/x"));
    assert_eq!(harness.status().sessions, 1);
    // Its id is none of streamable HTTP.
    let id = endpoint.split('=').nth(1).unwrap();
    assert_eq!(poster.post(&format!("Mcp-Session-Id: {id}\r\n"), &call(1, "echo", "{}")).status, 404);
    drop(listener);
    harness.until("the session is gone", |inside| inside.http.status().sessions == 0);
    assert_eq!(poster.ask("POST", &endpoint, POST, &call(2, "echo", "{}")).status, 404);
    drop(poster);
    harness.until_empty();
}

#[test]
fn the_token_in_the_path_is_in_the_endpoint_too() {
    let harness = Harness::with(HttpOptions { token: Some("t0ken".into()), ..HttpOptions::default() }, Limits::default());
    assert_eq!(Client::new(&harness).ask("GET", "/sse", "", "").status, 401);
    let mut listener = Client::new(&harness);
    let endpoint = open(&mut listener, "/t0ken/sse");
    assert!(endpoint.starts_with("/t0ken/message?sessionId="), "{endpoint}");
    let mut poster = Client::new(&harness);
    assert_eq!(poster.ask("POST", &endpoint, POST, &call(1, "echo", "{}")).status, 202);
    assert!(listener.event().data.contains("echo"));
    assert_eq!(poster.ask("POST", &endpoint.replace("/t0ken", ""), POST, &call(1, "echo", "{}")).status, 401);
}

#[test]
fn wrong_messages_are_refused_at_once() {
    let harness = Harness::new();
    let (mut listener, mut poster) = (Client::new(&harness), Client::new(&harness));
    let endpoint = open(&mut listener, "/sse");
    assert_eq!(poster.ask("POST", &endpoint, POST, "{").code(), -32700);
    assert_eq!(poster.ask("POST", &endpoint, POST, "[]").code(), -32600);
    assert_eq!(poster.ask("POST", "/message", POST, &call(1, "echo", "{}")).status, 404);
    assert_eq!(poster.ask("POST", "/message?sessionId=x", POST, &call(1, "echo", "{}")).status, 404);
}

#[test]
fn a_session_the_route_ends_ends_its_stream() {
    let harness = Harness::new();
    let (mut listener, mut poster) = (Client::new(&harness), Client::new(&harness));
    let endpoint = open(&mut listener, "/sse");
    assert_eq!(poster.ask("POST", &endpoint, POST, &call(1, "leave", "{}")).status, 202);
    assert_eq!(listener.chunk(), None);
    drop((listener, poster));
    harness.until_empty();
}
