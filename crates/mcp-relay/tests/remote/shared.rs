//! The whole way: clients of either era, the shared route, a remote server of either era.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use mcp_relay::hub::{Hub, Limits};
use mcp_relay::outlet::{Delivery, Outlet, Overflow};
use mcp_relay::route::{Arrival, PeerId, StreamId, Via};
use mcp_relay::shared::{Config, Shared};
use mcp_relay::transport::http_client::{RemoteConnector, RemoteOptions};
use mcp_wire::Frame;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::client::{INITIALIZED, initialize, legacy, modern, run};
use crate::server::{DEADLINE, Request, Server};

/// What one client was given.
#[derive(Default)]
struct Inbox {
    messages: RefCell<VecDeque<Value>>,
    changed: Notify,
}

impl Outlet for Inbox {
    fn deliver(&self, delivery: Delivery) -> Result<(), Overflow> {
        self.messages.borrow_mut().push_back(serde_json::from_slice(&delivery.frame).unwrap());
        self.changed.notify_one();
        Ok(())
    }
    fn end_stream(&self, _stream: StreamId) {}
    fn end(&self, reason: &str) {
        self.messages.borrow_mut().push_back(json!({ "ended": reason }));
        self.changed.notify_one();
    }
}

struct Person {
    hub: Hub,
    peer: PeerId,
    inbox: Rc<Inbox>,
}

impl Person {
    fn at(hub: &Hub) -> Self {
        let inbox = Rc::new(Inbox::default());
        let peer = hub.open(Arrival { via: Via::Stdio, era: None, pid: None }, Rc::clone(&inbox) as Rc<dyn Outlet>);
        Self { hub: hub.clone(), peer, inbox }
    }

    fn send(&self, text: &str) {
        self.hub.frame(self.peer, StreamId(0), Frame::parse(text.to_owned().into()).unwrap());
    }

    async fn next(&self) -> Value {
        let waiting = async {
            loop {
                let message = self.inbox.messages.borrow_mut().pop_front();
                match message {
                    Some(message) => return message,
                    None => self.inbox.changed.notified().await,
                }
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await.expect("a message comes in time")
    }
}

fn hub(url: String) -> Hub {
    let connector = RemoteConnector::new(RemoteOptions::new(url)).unwrap();
    Hub::new(Box::new(Shared::new(Config::default())), Box::new(connector), Limits::default())
}

const LEGACY_RESULT: &str =
    r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"s","version":"1"}}"#;
const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1"}}}"#;

async fn answer_initialize(server: &Server, session: &str) {
    let request = server.next_call("initialize").await;
    request
        .json(&[("Mcp-Session-Id", session)], &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{LEGACY_RESULT}}}"#, request.id()));
}

/// The stream for notices is refused.
async fn answer_initialized(server: &Server) {
    server.next_call("notifications/initialized").await.accepted();
    server.wait_for(|r| r.method == "GET").await.answer("405 Method Not Allowed", &[], "");
}

/// Answers the opening of a legacy session.
async fn open_legacy(server: &Server, session: &str) {
    answer_initialize(server, session).await;
    answer_initialized(server).await;
}

async fn legacy_client(hub: &Hub, server: &Server) -> Person {
    let person = Person::at(hub);
    person.send(&initialize(1));
    answer_initialize(server, "s-1").await;
    assert_eq!(person.next().await["result"]["serverInfo"]["name"], "s");
    person.send(INITIALIZED);
    answer_initialized(server).await;
    person
}

#[test]
fn a_forgotten_session_is_opened_anew_and_the_client_goes_on() {
    run(async {
        let server = Server::start().await;
        let hub = hub(server.url("/mcp"));
        let person = legacy_client(&hub, &server).await;
        person.send(&legacy(2, "tools/call"));
        server.next_call("tools/call").await.answer("404 Not Found", &[], "");
        let refused = person.next().await;
        assert_eq!((&refused["id"], &refused["error"]["data"]["source"]), (&2.into(), &"mcp".into()), "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains("ended the session (HTTP 404)"), "{refused}");
        open_legacy(&server, "s-2").await;
        assert_eq!(person.next().await["method"], "notifications/tools/list_changed");
        person.send(&legacy(3, "tools/call"));
        let call = server.next_call("tools/call").await;
        assert_eq!(call.header("mcp-session-id"), Some("s-2"));
        call.result("{\"content\":[]}");
        assert_eq!(person.next().await, json!({"jsonrpc": "2.0", "id": 3, "result": {"content": []}}));
        assert_eq!(hub.status().restarts, 1);
    });
}

#[test]
fn a_question_goes_to_the_client_whose_call_it_came_on() {
    run(async {
        let server = Server::start().await;
        let hub = hub(server.url("/mcp"));
        let first = legacy_client(&hub, &server).await;
        let second = Person::at(&hub);
        second.send(&initialize(1).replace("\"capabilities\":{}", "\"capabilities\":{\"elicitation\":{}}"));
        second.send(INITIALIZED);
        second.next().await;
        first.send(&legacy(5, "tools/call"));
        second.send(&legacy(5, "tools/call"));
        let (one, two) = (server.next_call("tools/call").await, server.next_call("tools/call").await);
        one.stream(&[]);
        two.stream(&[]);
        // On stdio nobody could tell; here the stream says it.
        two.event(r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?"}}"#);
        let question = second.next().await;
        assert_eq!(question["method"], "elicitation/create", "{question}");
        second.send(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"action":"decline"}}}}"#, question["id"]));
        let finish = |call: &Request| {
            call.event(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, call.id()));
            call.end();
        };
        // Clients of a server that asks take turns: the other call ends first.
        finish(&one);
        let answer = server.next().await;
        assert_eq!(answer.body, r#"{"jsonrpc":"2.0","id":"q","result":{"action":"decline"}}"#);
        answer.accepted();
        finish(&two);
        assert_eq!((first.next().await["id"].clone(), second.next().await["id"].clone()), (5.into(), 5.into()));
    });
}

#[test]
fn a_legacy_client_uses_a_modern_server() {
    run(async {
        let server = Server::start().await;
        let hub = hub(server.url("/mcp"));
        let person = Person::at(&hub);
        person.send(&initialize(1));
        let request = server.next_call("initialize").await;
        let body = format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32601,"message":"no such method"}}}}"#, request.id());
        request.answer("404 Not Found", &[("Content-Type", "application/json")], &body);
        server.next_call("server/discover").await.result(DISCOVERED);
        assert_eq!(person.next().await["result"]["protocolVersion"], "2025-11-25");
        person.send(INITIALIZED);
        person.send(&legacy(2, "tools/list"));
        server.next_call("tools/list").await.result(
            r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{"name":"t","inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"}}}}]}"#,
        );
        assert_eq!(person.next().await["result"]["tools"][0]["name"], "t");
        person.send(r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"t","arguments":{"a":"x"}}}"#);
        let call = server.next_call("tools/call").await;
        let header = |name| call.header(name).unwrap();
        assert_eq!(
            (header("mcp-protocol-version"), header("mcp-method"), header("mcp-name"), header("mcp-param-a")),
            ("2026-07-28", "tools/call", "t", "x")
        );
        call.stream(&[]);
        person.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}"#);
        call.gone().await;
        person.send(&legacy(4, "tools/list"));
        server.next_call("tools/list").await.result(r#"{"resultType":"complete","tools":[],"ttlMs":0,"cacheScope":"private"}"#);
        assert_eq!(person.next().await["id"], 4, "the cancelled call has no answer");
    });
}

#[test]
fn a_modern_client_uses_a_legacy_server() {
    run(async {
        let server = Server::start().await;
        let hub = hub(server.url("/mcp"));
        let person = Person::at(&hub);
        person.send(&modern(1, "tools/list", ""));
        let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: no valid session ID"}}"#;
        server.next_call("server/discover").await.answer("400 Bad Request", &[("Content-Type", "application/json")], body);
        open_legacy(&server, "s-1").await;
        let list = server.next_call("tools/list").await;
        assert_eq!((list.header("mcp-session-id"), list.header("mcp-method")), (Some("s-1"), None));
        list.result(r#"{"tools":[]}"#);
        let answer = person.next().await;
        assert_eq!((&answer["id"], &answer["result"]["resultType"]), (&1.into(), &"complete".into()), "{answer}");
    });
}

#[test]
fn an_old_server_is_found_by_clients_of_either_era() {
    for opening in [initialize(1), modern(1, "tools/list", "")] {
        run(async {
            let server = Server::start().await;
            let hub = hub(server.url("/sse"));
            let person = Person::at(&hub);
            person.send(&opening);
            // It knows no POST at this place, in whatever era.
            let get = loop {
                let request = server.next().await;
                match &*request.method {
                    "GET" => break request,
                    _ => request.answer("405 Method Not Allowed", &[], ""),
                }
            };
            get.stream(&[]);
            get.chunk("event: endpoint\ndata: /messages\n\n");
            let post = server.next_call("initialize").await;
            assert_eq!(post.target, "/messages");
            post.accepted();
            get.event(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{LEGACY_RESULT}}}"#, post.id()));
            if opening.contains("tools/list") {
                server.next_call("notifications/initialized").await.accepted();
                let list = server.next_call("tools/list").await;
                list.accepted();
                get.event(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"tools":[]}}}}"#, list.id()));
            }
            let answer = person.next().await;
            assert_eq!(answer["id"], 1, "{answer}");
            assert!(answer["result"].is_object(), "{answer}");
        });
    }
}

#[test]
fn clients_of_either_era_are_told_why_a_server_cannot_be_used() {
    run(async {
        // A port that was free a moment ago, and that nobody listens on.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for opening in [initialize(1), modern(1, "tools/list", "")] {
            let person = Person::at(&hub(format!("http://127.0.0.1:{port}/mcp")));
            person.send(&opening);
            let answer = person.next().await;
            let message = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{answer}")).to_lowercase();
            assert!(message.contains("could not be reached") && message.contains("refused"), "{answer}");
        }
        let server = Server::start().await;
        let url = server.url("/mcp");
        tokio::task::spawn_local(async move {
            while let Some(request) = server.try_next().await {
                request.answer("401 Unauthorized", &[("WWW-Authenticate", "Bearer")], "");
            }
        });
        for opening in [initialize(1), modern(1, "tools/list", "")] {
            let person = Person::at(&hub(url.clone()));
            person.send(&opening);
            let answer = person.next().await;
            assert_eq!(answer["error"]["data"]["reason"], "login-needed", "{answer}");
            assert!(answer["error"]["message"].as_str().unwrap().ends_with(&format!("run `mcp login {url}`")), "{answer}");
        }
    });
}
