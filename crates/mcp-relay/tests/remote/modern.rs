//! The modern era: headers that repeat the message, statuses, and cancelling by closing. And what has no era.

use mcp_relay::transport::http_client::{RemoteConnector, RemoteOptions};

use tokio::io::AsyncWriteExt as _;

use crate::client::{Client, Heard, legacy, modern, run};
use crate::server::Server;

const CANCEL: &str = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#;

#[test]
fn headers_repeat_the_message() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp"));
        client.send(&modern(1, "tools/list", ""));
        let list = server.next().await;
        let header = |name| list.header(name);
        assert_eq!((header("mcp-protocol-version"), header("mcp-method")), (Some("2026-07-28"), Some("tools/list")));
        assert_eq!((header("mcp-name"), header("mcp-session-id")), (None, None));
        list.json(
            &[("Mcp-Session-Id", "to be ignored")],
            r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","tools":[
                {"name":"weather","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"}}}},
                {"name":"broken","inputSchema":{"type":"object","properties":{"a":{"type":"number","x-mcp-header":"A"}}}}]}}"#,
        );
        let (text, _) = client.frame().await;
        assert!(text.contains("weather") && !text.contains("broken"), "{text}");
        client.logged("the tool `broken` is left out").await;
        let call = modern(2, "tools/call", r#""name":"weather","arguments":{"region":"Zürich","n":42,"other":"x"}"#);
        client.send(&call);
        let post = server.next().await;
        let header = |name| post.header(name);
        assert_eq!(
            (header("mcp-method"), header("mcp-name"), post.body.as_str()),
            (Some("tools/call"), Some("weather"), call.as_str())
        );
        assert_eq!((header("mcp-param-region"), header("mcp-param-n")), (Some("=?base64?WsO8cmljaA==?="), Some("42")));
        assert_eq!(header("mcp-session-id"), None);
        post.result("{}");
        client.frame().await;
        client.send(&modern(3, "resources/read", r#""uri":"file:///ä""#));
        assert_eq!(server.next().await.header("mcp-name"), Some("=?base64?ZmlsZTovLy/DpA==?="));
    });
}

#[test]
fn a_call_of_a_tool_that_never_went_by_is_made_again_with_its_headers() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp"));
        let call = modern(1, "tools/call", r#""name":"weather","arguments":{"region":"eu"}"#);
        client.send(&call);
        let first = server.next().await;
        assert_eq!(first.header("mcp-param-region"), None);
        let mismatch = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"Mcp-Param-Region is missing"}}"#;
        first.answer("400 Bad Request", &[("Content-Type", "application/json")], mismatch);
        server.next_call("tools/list").await.result(r#"{"resultType":"complete","tools":[],"nextCursor":"2"}"#);
        let second = server.next_call("tools/list").await;
        assert!(second.body.contains(r#""cursor":"2""#), "{}", second.body);
        second.stream(&[]);
        second.event(
            r#"{"jsonrpc":"2.0","id":"mcp-tools","result":{"tools":[{"name":"weather","inputSchema":{"properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}]}}"#,
        );
        second.end();
        let again = server.next().await;
        assert_eq!((&*again.body, again.header("mcp-param-region")), (&*call, Some("eu")));
        // Once is enough: what is refused now is refused for other reasons.
        again.answer("400 Bad Request", &[("Content-Type", "application/json")], mismatch);
        assert_eq!(client.frame().await, (mismatch.to_owned(), Some(1)));
        client.send(&modern(2, "tools/call", r#""name":"weather","arguments":{"region":"us"}"#));
        let other = server.next().await;
        assert_eq!(other.header("mcp-param-region"), Some("us"));
        other.result("{}");
        assert_eq!(client.frame().await.1, Some(2));
    });
}

#[test]
fn cancelling_closes_the_answer_and_sends_nothing() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp"));
        client.send(&modern(2, "tools/call", r#""name":"slow""#));
        let call = server.next().await;
        call.stream(&[]);
        call.event(r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#);
        client.frame().await;
        client.send(CANCEL);
        call.gone().await;
        client.send(CANCEL);
        client.send(&modern(3, "tools/list", ""));
        let next = server.next().await;
        assert!(next.body.contains("tools/list"), "no message was sent: {}", next.body);
        next.result("{}");
        assert_eq!(client.frame().await.1, Some(3));
        assert_eq!(client.has_heard(), []);
    });
}

#[test]
fn a_subscription_stays_open_beside_other_requests() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp"));
        client.send(&modern(1, "subscriptions/listen", r#""notifications":{}"#));
        let listen = server.next().await;
        listen.stream(&[]);
        for round in 2..40 {
            client.send(&modern(round, "tools/list", ""));
            server.next().await.result("{}");
            assert_eq!(client.frame().await.1, Some(round));
            listen.chunk(": still here\n\n");
            listen.event(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
            assert_eq!(client.frame().await.1, Some(1));
        }
        client.send(&CANCEL.replace('2', "1").replace("1.0", "2.0"));
        listen.gone().await;
    });
}

#[test]
fn an_error_of_the_server_arrives_whatever_its_status() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp"));
        for (id, (status, body)) in (1..).zip([
            (
                "400 Bad Request",
                r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32022,"message":"no","data":{"supported":["2026-07-28"]}}}"#,
            ),
            ("404 Not Found", r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32601,"message":"no"}}"#),
            ("200 OK", r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32000,"message":"no"}}"#),
        ]) {
            client.send(&modern(id, "server/discover", ""));
            let body = body.replace("ID", &id.to_string());
            server.next().await.answer(status, &[("Content-Type", "application/json")], &body);
            assert_eq!(client.frame().await, (body, Some(id)));
        }
        // A legacy server that could not make sense of it knows no id.
        client.send(&modern(9, "server/discover", ""));
        let body = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: no session"},"id":null}"#;
        server.next().await.answer("400 Bad Request", &[("Content-Type", "application/json")], body);
        assert_eq!(client.frame().await, (body.replace("null", "9"), Some(9)));
        client.send(&modern(10, "server/discover", ""));
        let refused = server.next().await;
        refused.send("HTTP/1.1 400 Bad Request\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        refused.event(r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"},"id":"server-error"}"#);
        refused.end();
        assert_eq!(
            client.frame().await,
            (r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"},"id":10}"#.to_owned(), Some(10))
        );
    });
}

#[test]
fn a_status_without_a_message_becomes_an_error_that_names_it() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp?key=hidden"));
        client.send(&modern(1, "tools/list", ""));
        server.next().await.answer("502 Bad Gateway", &[("Content-Type", "text/html")], "<h1>oops</h1>");
        let (text, _) = client.frame().await;
        assert_eq!(
            text,
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32603,"message":"http://127.0.0.1:{}/mcp?… answered with HTTP 502 Bad Gateway","data":{{"source":"mcp","reason":"http-status","status":502}}}}}}"#,
                server.port
            )
        );
        client.send(&modern(2, "tools/list", ""));
        server.next().await.accepted();
        assert_eq!(client.refusal(2).await.0, "no-answer");
        client.send(&modern(3, "tools/list", ""));
        server.next().await.json(&[], "this is no JSON");
        assert_eq!(client.next().await, Heard::Noise);
        assert_eq!(client.refusal(3).await.0, "stream-lost");
        client.send(&modern(4, "tools/list", ""));
        drop(server.next().await);
        assert_eq!(client.refusal(4).await.0, "unreachable");
    });
}

#[test]
fn a_server_that_is_not_there_is_named_and_the_second_time_ends_it() {
    run(async {
        // A port that was free a moment ago, and that nobody listens on.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let client = Client::to(format!("http://127.0.0.1:{port}/mcp"));
        client.send(&modern(1, "server/discover", ""));
        let (reason, text) = client.refusal(1).await;
        assert_eq!(reason, "unreachable");
        assert!(text.to_lowercase().contains("refused"), "{text}");
        client.send(&crate::client::initialize(2));
        let fate = client.fate().await;
        assert!(fate.text.starts_with("could not be reached: ") && fate.text.to_lowercase().contains("refused"), "{fate:?}");
        // It comes back, and the route connects once more.
        let server = Server::on(port).await;
        client.again();
        client.send(&modern(3, "server/discover", ""));
        server.next().await.result("{}");
        assert_eq!(client.frame().await.1, Some(3));
    });
}

#[test]
fn a_server_without_tls_behind_https_is_an_error_that_says_so() {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/mcp", listener.local_addr().unwrap());
        tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        });
        let client = Client::to(url);
        client.send(&modern(1, "server/discover", ""));
        let (reason, text) = client.refusal(1).await;
        assert_eq!(reason, "unreachable");
        assert!(text.contains("InvalidContentType"), "{text}");
    });
}

#[test]
fn secrets_go_to_the_same_server_only() {
    run(async {
        let (server, other) = (Server::start().await, Server::start().await);
        let headers = vec![("Authorization".to_owned(), "Bearer secret".to_owned())];
        let client = Client::with(RemoteOptions { headers, ..RemoteOptions::new(server.url("/mcp")) });
        client.send(&modern(1, "tools/list", ""));
        server.next().await.answer("307 Temporary Redirect", &[("Location", &other.url("/mcp"))], "");
        let (reason, text) = client.refusal(1).await;
        assert_eq!(reason, "redirect");
        assert!(text.contains(&other.url("/mcp")) && !text.contains("secret"), "{text}");
        // A slash more is the same server, and the next request goes there at once.
        client.send(&modern(2, "tools/list", ""));
        let first = server.next().await;
        first.answer("307 Temporary Redirect", &[("Location", "/mcp/")], "");
        let second = server.next().await;
        assert_eq!((&*second.target, &second.body), ("/mcp/", &first.body));
        assert_eq!(second.header("authorization"), Some("Bearer secret"));
        second.result("{}");
        client.frame().await;
        client.send(&modern(3, "tools/list", ""));
        let third = server.next().await;
        assert_eq!(third.target, "/mcp/");
        third.answer("302 Found", &[("Location", "/elsewhere")], "");
        let (reason, text) = client.refusal(3).await;
        assert_eq!(reason, "redirect");
        assert!(text.ends_with("/elsewhere: give that address"), "{text}");
        client.send(&modern(4, "tools/list", ""));
        for _ in 0..6 {
            server.next().await.answer("308 Permanent Redirect", &[("Location", "/again")], "");
        }
        assert_eq!(client.refusal(4).await.0, "redirect");
    });
}

#[test]
fn a_header_that_is_the_protocols_own_cannot_be_given() {
    for name in ["Mcp-Session-Id", "mcp-param-x", "Host", "content-type", "a b"] {
        let headers = vec![(name.to_owned(), "secret".to_owned())];
        let error = RemoteConnector::new(RemoteOptions { headers, ..RemoteOptions::new("http://127.0.0.1/mcp") }).unwrap_err();
        assert!(error.to_string().contains(name) && !error.to_string().contains("secret"), "{error}");
    }
    for url in ["127.0.0.1/mcp", "ftp://example.com", "http://", ""] {
        assert!(RemoteConnector::new(RemoteOptions::new(url)).is_err(), "{url}");
    }
    let headers = vec![("X-Key".to_owned(), "hidden".to_owned())];
    let options = RemoteOptions { headers, ..RemoteOptions::new("https://u:hidden@example.com/mcp?k=hidden") };
    assert!(!format!("{options:?}").contains("hidden"));
    assert!(!format!("{:?}", RemoteConnector::new(options).unwrap()).contains("hidden"));
}

#[test]
fn what_waits_to_be_written_is_counted() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp"));
        let large = modern(1, "tools/call", &format!(r#""name":"x","arguments":{{"a":"{}"}}"#, "x".repeat(6 << 20)));
        client.send(&large);
        // Over the limit until it is written; then there is room.
        tokio::time::timeout(crate::server::DEADLINE, client.hub.room()).await.expect("there is room in time");
        let request = server.next().await;
        assert_eq!(request.body.len(), large.len());
        request.result("{}");
        client.frame().await;
    });
}

#[test]
fn many_requests_go_side_by_side() {
    run(async {
        let server = Server::start().await;
        let client = Client::to(server.url("/mcp"));
        for id in 1..=60 {
            client.send(&legacy(id, "tools/call"));
        }
        let mut requests = Vec::new();
        for _ in 1..=60 {
            requests.push(server.next().await);
        }
        for request in requests.iter().rev() {
            request.result(&request.id());
        }
        let mut ids = Vec::new();
        for _ in 1..=60 {
            let (text, on) = client.frame().await;
            let id = on.unwrap();
            assert_eq!(text, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{id}}}"#));
            ids.push(id);
        }
        ids.sort_unstable();
        assert_eq!(ids, (1..=60).collect::<Vec<u64>>());
    });
}
