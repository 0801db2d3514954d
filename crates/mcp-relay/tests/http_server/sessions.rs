//! The legacy era: sessions, the stand-alone stream, answers that outlive their connection.

use std::time::Duration;

use mcp_relay::hub::Limits;
use mcp_relay::route::{Action, Class, PeerId, StreamId, Via};
use mcp_relay::transport::http_server::HttpOptions;
use mcp_wire::author;
use mcp_wire::version::Era;

use crate::client::{Client, call, initialize, open_session};
use crate::harness::{Harness, Inside, last_arrival, line, progress};

fn get(client: &mut Client, headers: &str) -> crate::client::Reply {
    let request = client.request("GET", "/mcp", &format!("Accept: text/event-stream\r\n{headers}"), "");
    client.send(&request);
    client.head()
}

/// Gives the last peer a message that belongs to no request.
fn tell(harness: &Harness, text: &'static str) {
    tell_as(harness, Class::Notification, text);
}

fn tell_as(harness: &Harness, class: Class, text: &'static str) {
    harness.inside(move |inside| {
        let peer = inside.script.borrow().opened.last().unwrap().0;
        inside.act(Action::Send(peer, None, class, line(text)));
    });
}

fn changed(n: u32) -> &'static str {
    match n {
        1 => r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"n":1}}"#,
        _ => r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"n":2}}"#,
    }
}

#[test]
fn a_session_lives_from_initialize_to_delete() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-11-25");
    assert_eq!(last_arrival(&harness), (Via::Http, Some(Era::Legacy)));
    assert_eq!(harness.status().sessions, 1);
    let reply = client.post(&headers, &call(7, "echo", r#"{"a":1.50}"#));
    assert_eq!(reply.body, r#"{"jsonrpc":"2.0","id":7,"result":{"echo":{"a":1.50}}}"#);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("mcp-session-id"), None);
    assert_eq!(client.post(&headers, r#"{"jsonrpc":"2.0","id":3,"result":{}}"#).status, 202);
    assert_eq!(client.post(&headers, &initialize("2025-11-25", "again")).status, 400);
    assert_eq!(client.ask("DELETE", "/mcp", &headers, "").status, 204);
    for (method, reply) in [
        ("POST", client.post(&headers, &call(8, "echo", "{}"))),
        ("GET", client.ask("GET", "/mcp", &headers, "")),
        ("DELETE", client.ask("DELETE", "/mcp", &headers, "")),
    ] {
        assert_eq!(reply.status, 404, "{method}: {reply:?}");
    }
    drop(client);
    harness.until_empty();
}

#[test]
fn no_session_comes_of_an_initialize_that_fails_or_is_left() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let reply = client.post("", &initialize("2025-11-25", "unwelcome"));
    assert_eq!((reply.status, reply.code(), reply.header("mcp-session-id")), (200, -32602, None));
    client.post_only("", &initialize("2025-11-25", "hanging"));
    harness.until("it is asked", |inside| inside.script.borrow().calls.len() == 1);
    assert_eq!(harness.status().sessions, 1);
    drop(client);
    harness.until_empty();
}

#[test]
fn what_comes_before_the_answer_to_initialize_waits_for_a_stream() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    client.post_only("", &initialize("2025-11-25", "hanging"));
    harness.until("it is asked", |inside| inside.script.borrow().calls.len() == 1);
    tell(&harness, changed(1));
    harness.inside(|inside| inside.answer(r#"{"protocolVersion":"2025-11-25"}"#));
    let reply = client.reply();
    assert_eq!((reply.status, reply.is_events()), (200, false));
    let id = reply.header("mcp-session-id").unwrap();
    assert_eq!(get(&mut client, &format!("Mcp-Session-Id: {id}\r\n")).status, 200);
    assert_eq!(client.event().data, "");
    assert!(client.event().data.contains("list_changed"));
}

#[test]
fn progress_turns_the_answer_into_events_that_end_with_the_response() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    for (version, has_priming) in [("2025-11-25", true), ("2025-06-18", false), ("2025-03-26", false)] {
        let headers = open_session(&mut client, version);
        let reply = client.post(&headers, &call(5, "progress", "{}"));
        assert!(reply.is_events(), "{reply:?}");
        assert_eq!(reply.header("x-accel-buffering"), Some("no"));
        let mut events = reply.events();
        if has_priming {
            let first = events.remove(0);
            assert_eq!((first.data.as_str(), first.id.as_deref(), first.retry), ("", Some("2-0"), Some(1000)));
        }
        let ids: Vec<&str> = events.iter().map(|e| e.id.as_deref().unwrap()).collect();
        assert_eq!(ids, ["2-1", "2-2", "2-3", "2-4"], "{version}");
        assert!(events[2].data.contains(r#""progress":3"#) && events[3].data.contains(r#""id":5,"result""#));
        assert!(events.iter().all(|e| e.retry.is_none()));
    }
}

#[test]
fn there_is_one_stand_alone_stream_and_it_ends_with_the_session() {
    let harness = Harness::new();
    let (mut poster, mut listener) = (Client::new(&harness), Client::new(&harness));
    let headers = open_session(&mut poster, "2025-06-18");
    assert_eq!(get(&mut listener, &headers).status, 200);
    assert_eq!(get(&mut Client::new(&harness), &headers).status, 409);
    tell(&harness, changed(1));
    assert_eq!(listener.event().data, changed(1));
    // A call's answer goes on its own stream even so.
    assert!(!poster.post(&headers, &call(1, "echo", "{}")).is_events());
    tell(&harness, changed(2));
    assert_eq!(listener.event().data, changed(2));
    assert_eq!(poster.ask("DELETE", "/mcp", &headers, "").status, 204);
    assert_eq!(listener.chunk(), None);
    drop((poster, listener));
    harness.until_empty();
}

#[test]
fn a_stand_alone_stream_that_was_closed_can_be_opened_again() {
    let harness = Harness::new();
    let mut poster = Client::new(&harness);
    let headers = open_session(&mut poster, "2025-11-25");
    for _ in 0..3 {
        let mut listener = Client::new(&harness);
        assert_eq!(get(&mut listener, &headers).status, 200);
        drop(listener);
        harness.until("it is gone", |inside| inside.http.status().streams == 0);
    }
    // One of each kind waits for the next.
    tell(&harness, changed(1));
    tell(&harness, changed(2));
    tell_as(&harness, Class::Log, r#"{"jsonrpc":"2.0","method":"notifications/message"}"#);
    let mut listener = Client::new(&harness);
    get(&mut listener, &headers);
    assert_eq!(listener.event().data, "");
    assert_eq!(listener.event().data, changed(2));
    assert_eq!((harness.status().dropped_logs, harness.status().merged), (1, 1));
}

#[test]
fn what_belongs_to_no_request_goes_on_the_only_open_answer() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-06-18");
    let reply = client.post(&headers, &call(1, "whisper", "{}"));
    assert_eq!(reply.events().len(), 2, "{reply:?}");
    // With two there is no telling: it waits.
    let mut others = [Client::new(&harness), Client::new(&harness)];
    for other in &mut others {
        other.post_only(&headers, &call(2, "hang", "{}"));
    }
    harness.until("both hang", |inside| inside.script.borrow().calls.len() == 2);
    tell(&harness, changed(1));
    harness.inside(|inside| {
        inside.answer("{}");
        inside.answer("{}");
    });
    assert!(others.iter_mut().all(|o| !o.reply().is_events()));
    get(&mut client, &headers);
    assert_eq!(client.event().data, changed(1));
}

/// Reads one event of a call and loses the connection; gives the event's id.
fn lose(harness: &Harness, headers: &str) -> String {
    let mut client = Client::new(harness);
    client.post_only(headers, &call(5, "progress-and-hang", "{}"));
    assert_eq!(client.head().status, 200);
    let event = client.event();
    harness.until("it hangs", |inside| inside.script.borrow().calls.len() == 1);
    event.id.unwrap()
}

#[test]
fn a_lost_answer_is_no_cancel_and_is_kept_for_who_comes_back() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-06-18");
    let id = lose(&harness, &headers);
    harness.until("it is lost", |inside| inside.http.status().streams == 0);
    assert_eq!(harness.status().answers, 1);
    harness.inside(|inside| {
        let (peer, stream, _) = inside.script.borrow().calls[0].clone();
        inside.act(Action::Send(peer, Some(stream), Class::Progress(7), progress(2)));
        inside.answer(r#"{"late":true}"#);
    });
    // The rest of that stream, and of that one only.
    assert_eq!(get(&mut client, &format!("{headers}Last-Event-ID: {id}\r\n")).status, 200);
    let rest: Vec<_> = std::iter::from_fn(|| client.chunk()).collect();
    let rest = crate::client::Reply { status: 200, headers: Vec::new(), body: rest.concat() }.events();
    assert_eq!(rest.len(), 2, "{rest:?}");
    assert!(rest[0].data.contains(r#""progress":2"#) && rest[1].data.contains(r#"{"late":true}"#));
    // And once more, from the beginning.
    let again = client.ask("GET", "/mcp", &format!("{headers}Last-Event-ID: 2-0\r\n"), "");
    let ids: Vec<String> = again.events().into_iter().map(|e| e.id.unwrap()).collect();
    assert_eq!(ids, ["2-1", "2-2", "2-3"]);
    let script = harness.inside(|inside| (inside.script.borrow().abandoned.len(), inside.script.borrow().closed.len()));
    assert_eq!(script, (0, 0));
}

#[test]
fn coming_back_before_the_end_goes_on_live() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-11-25");
    let id = lose(&harness, &headers);
    assert_eq!(id, "2-0", "the priming event");
    get(&mut client, &format!("{headers}Last-Event-ID: {id}\r\n"));
    assert_eq!(client.event().data, "");
    assert!(client.event().data.contains(r#""progress":1"#));
    harness.inside(|inside| inside.answer("{}"));
    assert!(client.event().data.contains("result"));
    assert_eq!(client.chunk(), None);
    assert_eq!(get(&mut client, &format!("{headers}Last-Event-ID: 99-1\r\n")).status, 400);
}

#[test]
fn a_kept_answer_is_dropped_after_its_time() {
    let options = HttpOptions { keep_answer: Duration::from_millis(40), ..HttpOptions::default() };
    let harness = Harness::with(options, Limits::default());
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-06-18");
    let id = lose(&harness, &headers);
    harness.inside(|inside| inside.answer("{}"));
    harness.until("it is dropped", |inside| inside.http.status().answers == 0);
    assert_eq!(get(&mut client, &format!("{headers}Last-Event-ID: {id}\r\n")).status, 400);
}

#[test]
fn an_answer_nobody_can_ask_for_is_not_kept() {
    let harness = Harness::new();
    let headers = open_session(&mut Client::new(&harness), "2025-11-25");
    let mut client = Client::new(&harness);
    client.post_only(&headers, &call(1, "hang", "{}"));
    harness.until("it hangs", |inside| inside.script.borrow().calls.len() == 1);
    drop(client);
    harness.until("it is gone", |inside| inside.http.status().answers == 0);
    // A request of the server about that call still reaches the client.
    harness.inside(|inside| {
        let (peer, stream, _) = inside.script.borrow().calls[0].clone();
        inside.act(Action::Send(peer, Some(stream), Class::Request, author::request("1", "roots/list", None)));
        inside.answer("{}");
    });
    let mut client = Client::new(&harness);
    get(&mut client, &headers);
    client.event();
    assert!(client.event().data.contains("roots/list"));
}

#[test]
fn events_are_kept_within_bounds() {
    let options = HttpOptions { replay_events: 5, replay_bytes: 2000, ..HttpOptions::default() };
    let harness = Harness::with(options, Limits::default());
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-06-18");
    for (count, size, kept) in [(100, 10, 5), (100, 900, 3)] {
        let reply = client.post(&headers, &call(1, "flood", &format!(r#"{{"count":{count},"size":{size}}}"#)));
        let last = reply.events().pop().unwrap().id.unwrap();
        let stream = last.split('-').next().unwrap().to_owned();
        let again = client.ask("GET", "/mcp", &format!("{headers}Last-Event-ID: {stream}-0\r\n"), "");
        assert_eq!(again.events().len(), kept, "{count} {size}");
        assert_eq!(again.events().pop().unwrap().id.unwrap(), last);
    }
}

#[test]
fn a_batch_is_split_for_the_revision_that_has_batches() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let batch =
        format!(r#"[{}, {}, {{"jsonrpc":"2.0","method":"notifications/x"}}]"#, call(1, "echo", "{}"), call(2, "echo", "{}"));
    let headers = open_session(&mut client, "2025-03-26");
    let reply = client.post(&headers, &batch);
    assert!(reply.is_events());
    let data: Vec<String> = reply.events().into_iter().map(|e| e.data).collect();
    assert!(data.len() == 2 && data[0].contains(r#""id":1"#) && data[1].contains(r#""id":2"#), "{data:?}");
    assert_eq!(client.post(&headers, r#"[{"jsonrpc":"2.0","method":"notifications/x"}]"#).status, 202);
    assert_eq!(client.post(&headers, "[]").status, 400);
    assert_eq!(client.post(&headers, &format!("[{}]", initialize("2025-03-26", "x"))).status, 400);
    // One of them gets no response.
    let reply = client.post(&headers, &format!("[{},{}]", call(3, "end", "{}"), call(4, "echo", "{}")));
    assert_eq!(reply.events().len(), 1);
    let headers = open_session(&mut client, "2025-06-18");
    assert_eq!(client.post(&headers, &batch).status, 400);
}

#[test]
fn a_request_without_a_response_gets_an_empty_stream() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-11-25");
    let reply = client.post(&headers, &call(1, "end", "{}"));
    assert_eq!((reply.status, reply.is_events(), reply.body.as_str()), (200, true, ""));
    assert_eq!(harness.status().answers, 0);
}

#[test]
fn a_session_the_route_ends_is_unknown_from_then_on() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-11-25");
    assert_eq!(client.post(&headers, &call(1, "leave", "{}")).status, 404);
    assert_eq!(client.post(&headers, &call(2, "echo", "{}")).status, 404);
    drop(client);
    harness.until_empty();
}

#[test]
fn a_quiet_answer_begins_with_a_comment() {
    let options = HttpOptions { keep_alive: Duration::from_millis(20), ..HttpOptions::default() };
    let harness = Harness::with(options, Limits::default());
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-11-25");
    client.post_only(&headers, &call(1, "hang", "{}"));
    assert_eq!(client.head().header("content-type"), Some("text/event-stream"));
    assert!(client.chunk().unwrap().starts_with("id: 2-0\n"));
    assert_eq!(client.chunk().unwrap(), ": still here\n\n");
    assert_eq!(client.chunk().unwrap(), ": still here\n\n");
    harness.inside(|inside| inside.answer("{}"));
    assert!(client.event().data.contains("result"));
}

#[test]
fn an_idle_session_ends_and_one_with_a_stream_does_not() {
    let options = HttpOptions { session_idle: Duration::from_millis(40), ..HttpOptions::default() };
    let harness = Harness::with(options, Limits::default());
    let (mut first, mut second) = (Client::new(&harness), Client::new(&harness));
    let headers = open_session(&mut first, "2025-11-25");
    get(&mut first, &headers);
    let idle = open_session(&mut second, "2025-11-25");
    // A call it left behind is no reason to keep it.
    second.post_only(&idle, &call(1, "progress-and-hang", "{}"));
    second.head();
    second.event();
    drop(second);
    let mut second = Client::new(&harness);
    harness.until("one is left", |inside| inside.http.status().sessions == 1);
    assert_eq!(second.post(&idle, &call(1, "echo", "{}")).status, 404);
    assert_eq!(second.post(&headers, &call(1, "echo", "{}")).status, 200);
}

#[test]
fn the_session_that_was_silent_the_longest_makes_room() {
    let harness = Harness::with(HttpOptions { max_sessions: 2, ..HttpOptions::default() }, Limits::default());
    let mut client = Client::new(&harness);
    let first = open_session(&mut client, "2025-11-25");
    let second = open_session(&mut client, "2025-11-25");
    assert_eq!(client.post(&first, &call(1, "echo", "{}")).status, 200);
    let third = open_session(&mut client, "2025-11-25");
    assert_eq!(client.post(&second, &call(1, "echo", "{}")).status, 404);
    // Those that wait for something stay.
    let mut others = [Client::new(&harness), Client::new(&harness)];
    others[0].post_only(&first, &call(1, "hang", "{}"));
    get(&mut others[1], &third);
    harness.until("it hangs", |inside| inside.script.borrow().calls.len() == 1);
    let reply = client.post("", &initialize("2025-11-25", "one too many"));
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("5")));
}

#[test]
fn no_session_sees_what_is_meant_for_another() {
    let harness = Harness::new();
    let mut clients: Vec<(Client, String)> = (0..20)
        .map(|_| {
            let mut client = Client::new(&harness);
            let headers = open_session(&mut client, "2025-06-18");
            (client, headers)
        })
        .collect();
    for round in 0..20 {
        for (n, (client, headers)) in clients.iter_mut().enumerate() {
            client.post_only(headers, &call(1, "echo", &format!(r#"{{"of":{n},"round":{round}}}"#)));
        }
        for (n, (client, _)) in clients.iter_mut().enumerate() {
            assert!(client.reply().body.contains(&format!(r#"{{"of":{n},"round":{round}}}"#)));
        }
    }
}

#[test]
fn the_end_of_the_endpoint_completes_what_can_be_completed() {
    let mut harness = Harness::new();
    let (mut listener, mut caller) = (Client::new(&harness), Client::new(&harness));
    let headers = open_session(&mut caller, "2025-11-25");
    get(&mut listener, &headers);
    listener.event();
    caller.post_only(&headers, &call(1, "echo", "{}"));
    assert_eq!(caller.reply().status, 200);
    harness.end();
    assert_eq!(listener.chunk(), None);
    assert!(caller.is_closed() && listener.is_closed());
}

#[test]
fn a_stream_of_its_own_is_what_a_call_is_known_by() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-11-25");
    client.post(&headers, &call(1, "echo", "{}"));
    client.post(&headers, &call(2, "echo", "{}"));
    let streams =
        harness.inside(|inside: &Inside| inside.script.borrow().seen.iter().map(|(p, s, _)| (*p, *s)).collect::<Vec<_>>());
    let peer = PeerId(1);
    assert_eq!(streams, [(peer, StreamId(1)), (peer, StreamId(0)), (peer, StreamId(2)), (peer, StreamId(3))]);
}
