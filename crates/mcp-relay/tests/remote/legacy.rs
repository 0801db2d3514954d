//! The legacy era: sessions, streams, and the transport before it.

use mcp_relay::hub::Limits;
use mcp_relay::transport::http_client::RemoteOptions;

use crate::client::{Client, INITIALIZE_RESULT, INITIALIZED, initialize, legacy, run};
use crate::server::{Request, Server};

/// Opens a session, up to the stream for notices, which is given.
async fn opened(server: &Server, client: &Client) -> Request {
    client.send(&initialize(1));
    let request = server.next().await;
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{INITIALIZE_RESULT}}}"#);
    request.json(&[("Mcp-Session-Id", "s-1")], &body);
    assert_eq!(client.frame().await, (body, Some(1)));
    client.send(INITIALIZED);
    server.next_call("notifications/initialized").await.accepted();
    server.wait_for(|r| r.method == "GET").await
}

#[test]
fn what_belongs_to_a_session_goes_with_every_message_after_its_opening() {
    run(async {
        let server = Server::start().await;
        let options =
            RemoteOptions { headers: vec![("X-Key".to_owned(), "k".to_owned())], ..RemoteOptions::new(server.url("/mcp?x=1")) };
        let client = Client::with(options);
        client.send(&initialize(1));
        let first = server.next().await;
        assert_eq!((&*first.method, &*first.target, &*first.body), ("POST", "/mcp?x=1", &*initialize(1)));
        assert_eq!(first.header("accept"), Some("application/json, text/event-stream"));
        assert_eq!((first.header("mcp-session-id"), first.header("mcp-protocol-version")), (None, None));
        first.json(&[("Mcp-Session-Id", "s-1")], &format!(r#"{{"jsonrpc":"2.0","id":1,"result":{INITIALIZE_RESULT}}}"#));
        client.frame().await;
        client.send(INITIALIZED);
        client.send(&legacy(2, "tools/list"));
        let second = server.next().await;
        assert_eq!(second.body, INITIALIZED);
        assert!(server.is_quiet().await, "nothing is sent before it is accepted");
        second.accepted();
        for _ in 0..2 {
            let later = server.next().await;
            let wanted = (Some("s-1"), Some("2025-06-18"), Some("k"));
            assert_eq!((later.header("mcp-session-id"), later.header("mcp-protocol-version"), later.header("x-key")), wanted);
            match &*later.method {
                "GET" => later.answer("405 Method Not Allowed", &[], ""),
                _ => later.result(r#"{"tools":[]}"#),
            }
        }
        assert_eq!(client.frame().await, (r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[]}}"#.to_owned(), Some(2)));
        client.hub.drain();
        let last = server.next().await;
        assert_eq!((&*last.method, last.header("mcp-session-id")), ("DELETE", Some("s-1")));
        last.answer("405 Method Not Allowed", &[], "");
        assert!(client.fate().await.was_wanted);
        assert_eq!(client.hub.pid(), None);
    });
}

#[test]
fn a_stream_may_be_torn_anywhere() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp"));
        let get = opened(&server, &client).await;
        get.answer("405 Method Not Allowed", &[], "");
        let stream = ": hello\r\n\r\nevent: message\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\r\ndata: \"params\":{\"ü\":1}}\r\n\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{}}\n\n";
        for (id, step) in (2..).zip([1, 2, 3, 7, 1000]) {
            client.send(&legacy(id, "tools/call"));
            let request = server.next_call("tools/call").await;
            request.stream(&[]);
            for part in stream.replace("ID", &id.to_string()).as_bytes().chunks(step) {
                request.chunk(part);
            }
            request.end();
            let (progress, on) = client.frame().await;
            assert_eq!(
                (&*progress, on),
                ("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\n\"params\":{\"ü\":1}}", Some(id))
            );
            assert_eq!(client.frame().await, (format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#), Some(id)));
        }
    });
}

#[test]
fn a_question_of_the_server_comes_on_the_call_it_belongs_to_and_is_answered_by_post() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp"));
        let get = opened(&server, &client).await;
        get.stream(&[]);
        client.send(&legacy(7, "tools/call"));
        let call = server.next_call("tools/call").await;
        call.stream(&[]);
        let question = r#"{"jsonrpc":"2.0","id":0,"method":"elicitation/create","params":{}}"#;
        call.event(question);
        assert_eq!(client.frame().await, (question.to_owned(), Some(7)));
        let notice = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
        get.event(notice);
        assert_eq!(client.frame().await, (notice.to_owned(), None));
        let answer = r#"{"jsonrpc":"2.0","id":0,"result":{"action":"decline"}}"#;
        client.send(answer);
        let post = server.next().await;
        assert_eq!((&*post.body, post.header("mcp-session-id")), (answer, Some("s-1")));
        post.accepted();
        call.event(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#);
        call.end();
        assert_eq!(client.frame().await.1, Some(7));
    });
}

#[test]
fn a_broken_answer_is_gone_on_with_where_it_broke() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp"));
        opened(&server, &client).await.answer("405 Method Not Allowed", &[], "");
        client.send(&legacy(2, "tools/call"));
        let call = server.next_call("tools/call").await;
        call.stream(&[]);
        call.chunk("id: e-1\nretry: 5\ndata:\n\n");
        call.chunk("id: e-2\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\nid: e-3\ndata: {\"jso");
        assert_eq!(client.frame().await.1, Some(2));
        drop(call);
        let rest = server.next().await;
        assert_eq!(
            (&*rest.method, rest.header("last-event-id"), rest.header("mcp-session-id")),
            ("GET", Some("e-2"), Some("s-1"))
        );
        // Once more, properly ended this time: a server may send its clients away to save connections.
        rest.stream(&[]);
        rest.chunk("id: e-4\nretry: 1\ndata:\n\n");
        rest.end();
        let rest = server.next().await;
        assert_eq!(rest.header("last-event-id"), Some("e-4"));
        rest.stream(&[]);
        rest.event(r#"{"jsonrpc":"2.0","id":2,"result":{"late":true}}"#);
        rest.end();
        assert_eq!(client.frame().await, (r#"{"jsonrpc":"2.0","id":2,"result":{"late":true}}"#.to_owned(), Some(2)));
    });
}

#[test]
fn an_answer_that_cannot_be_gone_on_with_is_an_error_that_says_so() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp"));
        opened(&server, &client).await.answer("405 Method Not Allowed", &[], "");
        client.send(&legacy(2, "tools/call"));
        let call = server.next_call("tools/call").await;
        call.stream(&[]);
        drop(call);
        assert_eq!(client.refusal(2).await.0, "stream-lost");
        client.send(&legacy(3, "tools/call"));
        let call = server.next_call("tools/call").await;
        call.stream(&[]);
        call.chunk("id: e\nretry: 1\ndata:\n\n");
        drop(call);
        server.next().await.answer("400 Bad Request", &[], "");
        let (reason, text) = client.refusal(3).await;
        assert_eq!(reason, "stream-lost");
        assert!(text.contains("HTTP 400"), "{text}");
    });
}

#[test]
fn a_session_the_server_has_forgotten_is_the_end_of_it() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp"));
        opened(&server, &client).await.answer("405 Method Not Allowed", &[], "");
        client.send(&legacy(2, "tools/list"));
        let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}"#;
        server.next().await.answer("404 Not Found", &[("Content-Type", "application/json")], body);
        let fate = client.fate().await;
        assert_eq!((&*fate.text, fate.was_wanted), ("ended the session (HTTP 404)", false));
        // The route connects once more, and nothing is left of the old session.
        client.again();
        client.send(&initialize(3));
        let request = server.next().await;
        assert_eq!((request.header("mcp-session-id"), request.header("mcp-protocol-version")), (None, None));
    });
}

#[test]
fn the_stream_for_notices_is_opened_again_from_where_it_was() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp"));
        let get = opened(&server, &client).await;
        get.stream(&[]);
        get.chunk("id: 9\nretry: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/a\"}\n\n");
        get.end();
        client.frame().await;
        let again = server.next().await;
        assert_eq!((&*again.method, again.header("last-event-id")), ("GET", Some("9")));
        again.stream(&[]);
        again.event(r#"{"jsonrpc":"2.0","method":"notifications/b"}"#);
        assert_eq!(client.frame().await, (r#"{"jsonrpc":"2.0","method":"notifications/b"}"#.to_owned(), None));
        drop(again);
        // The server was started anew and knows no session any more.
        server.next().await.answer("404 Not Found", &[], "");
        assert_eq!(client.fate().await.text, "ended the session (HTTP 404)");
    });
}

#[test]
fn a_cancelled_call_is_cancelled_by_message_and_its_answer_awaited_no_more() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp"));
        opened(&server, &client).await.answer("405 Method Not Allowed", &[], "");
        client.send(&legacy(2, "tools/call"));
        let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#;
        client.send(cancel);
        let call = server.next().await;
        assert!(call.body.contains("tools/call"), "the call is written first: {}", call.body);
        let post = server.next().await;
        assert_eq!(post.body, cancel);
        post.accepted();
        call.gone().await;
    });
}

#[test]
fn an_answer_over_the_limit_is_refused_and_the_rest_goes_on() {
    run(async {
        let server = Server::start().await;
        let limits = Limits { message: 1000, ..Limits::default() };
        let client = Client::limited(RemoteOptions::new(server.url("/mcp")), limits);
        opened(&server, &client).await.answer("405 Method Not Allowed", &[], "");
        let long = "x".repeat(1200);
        client.send(&legacy(2, "tools/call"));
        server.next().await.result(&format!("\"{long}\""));
        assert_eq!(client.refusal(2).await.0, "too-long");
        client.send(&legacy(3, "tools/call"));
        let call = server.next().await;
        call.stream(&[]);
        call.event(&format!(r#"{{"jsonrpc":"2.0","id":3,"result":"{long}"}}"#));
        assert_eq!(client.refusal(3).await.0, "too-long");
        call.gone().await;
        client.send(&legacy(4, "tools/call"));
        // Without a length the limit is found on the way.
        let call = server.next().await;
        call.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..30 {
            call.chunk("x".repeat(50));
        }
        assert_eq!(client.refusal(4).await.0, "too-long");
        client.send(&legacy(5, "tools/call"));
        server.next_call("tools/call").await.result("{}");
        assert_eq!(client.frame().await.1, Some(5));
    });
}

#[test]
fn a_server_of_2024_is_spoken_to_as_it_wants() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/sse"));
        client.send(&initialize(1));
        server.next().await.answer("405 Method Not Allowed", &[], "Method Not Allowed");
        let get = server.next().await;
        assert_eq!((&*get.method, &*get.target), ("GET", "/sse"));
        get.stream(&[]);
        get.chunk("event: endpoint\ndata: /messages?session=1\n\n");
        let post = server.next().await;
        assert_eq!((&*post.method, &*post.target, &*post.body), ("POST", "/messages?session=1", &*initialize(1)));
        post.answer("202 Accepted", &[], "Accepted");
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{INITIALIZE_RESULT}}}"#);
        get.event(&body);
        assert_eq!(client.frame().await, (body, None));
        client.send(INITIALIZED);
        client.send(&legacy(2, "tools/list"));
        for wanted in [INITIALIZED.to_owned(), legacy(2, "tools/list")] {
            let post = server.next().await;
            assert_eq!((&*post.target, &*post.body), ("/messages?session=1", &*wanted));
            post.answer("202 Accepted", &[], "Accepted");
        }
        get.event(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
        assert_eq!(client.frame().await, (r#"{"jsonrpc":"2.0","id":2,"result":{}}"#.to_owned(), None));
        drop(get);
        assert!(client.fate().await.text.starts_with("closed its stream"));
    });
}

#[test]
fn an_old_server_cannot_send_our_messages_elsewhere() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/sse"));
        client.send(&initialize(1));
        server.next().await.answer("404 Not Found", &[], "");
        let get = server.next().await;
        get.stream(&[]);
        get.chunk("event: endpoint\ndata: http://127.0.0.1:9/messages\n\n");
        assert_eq!(client.refusal(1).await.0, "redirect");
        get.gone().await;
    });
}

#[test]
fn a_refusal_that_is_no_old_server_stands() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/"));
        client.send(&initialize(1));
        server.next().await.answer("404 Not Found", &[("Content-Type", "text/plain")], "nothing here\n");
        server.next().await.answer("404 Not Found", &[], "");
        let (reason, text) = client.refusal(1).await;
        assert_eq!(reason, "http-status");
        assert!(text.ends_with("answered with HTTP 404 Not Found: nothing here"), "{text}");
    });
}

#[test]
fn several_messages_in_one_answer_come_one_by_one() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp"));
        opened(&server, &client).await.answer("405 Method Not Allowed", &[], "");
        client.send(&legacy(2, "tools/list"));
        let notice = r#"{"jsonrpc":"2.0","method":"notifications/message"}"#;
        let result = r#"{"jsonrpc":"2.0","id":2,"result":{}}"#;
        server.next().await.json(&[], &format!("[{notice}, {result}]"));
        assert_eq!(client.frame().await, (notice.to_owned(), Some(2)));
        assert_eq!(client.frame().await, (result.to_owned(), Some(2)));
    });
}
