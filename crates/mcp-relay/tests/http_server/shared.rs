//! The front end before the real route: what only the two together can get right.

use std::rc::Rc;

use bytes::Bytes;
use mcp_relay::hub::{Hub, Limits};
use mcp_relay::shared::{Config, Shared};
use mcp_relay::transport::http_server::HttpOptions;
use mcp_relay::upstream::{Connector, Fate, Upstream};
use mcp_wire::lines::Line;
use mcp_wire::{Frame, Kind, author};

use crate::client::{Client, MODERN, call, initialize, modern_call, modern_headers, open_session};
use crate::harness::{Harness, Inside};

/// A server of either era, or of one.
#[derive(Clone, Copy)]
struct Fake {
    is_modern: bool,
}

struct Running {
    fake: Fake,
    hub: Hub,
    generation: u64,
}

impl Connector for Fake {
    fn connect(&self, hub: &Hub, generation: u64) -> Result<Rc<dyn Upstream>, Fate> {
        Ok(Rc::new(Running { fake: *self, hub: hub.clone(), generation }))
    }
}

impl Upstream for Running {
    fn send(&self, frame: Bytes) {
        let frame = Frame::parse(frame.slice(..frame.len() - 1)).unwrap();
        let answers = self.fake.answers(&frame);
        let (hub, generation) = (self.hub.clone(), self.generation);
        tokio::task::spawn_local(async move {
            for answer in answers {
                hub.upstream_line(generation, Line::Text(answer.slice(..answer.len() - 1)));
            }
        });
    }

    fn queued(&self) -> usize {
        0
    }

    fn close(&self) {
        self.hub.upstream_closed(self.generation, Fate { text: "was closed".into(), was_wanted: true, ..Fate::default() });
    }
}

impl Fake {
    fn answers(self, frame: &Frame) -> Vec<Bytes> {
        if frame.kind() != Kind::Request {
            return Vec::new();
        }
        let id = frame.id().unwrap();
        let kind = if self.is_modern { r#","resultType":"complete""# } else { "" };
        let arguments = frame.get(&["params", "arguments"]).unwrap_or("{}");
        let tool = r#"{"name":"weather","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}"#;
        let result = match (frame.method(), self.is_modern) {
            ("initialize", false) => {
                r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"fake","version":"1"}}"#
                    .to_owned()
            }
            ("server/discover", true) => format!(
                r#"{{"supportedVersions":["{MODERN}"],"capabilities":{{"tools":{{}}}},"ttlMs":0,"cacheScope":"private"{kind},"_meta":{{"io.modelcontextprotocol/serverInfo":{{"name":"fake","version":"1"}}}}}}"#
            ),
            ("tools/list", _) => format!(r#"{{"tools":[{tool}],"ttlMs":0,"cacheScope":"private"{kind}}}"#),
            ("tools/call", _) => match frame.get_string(&["params", "name"]).as_deref() {
                Some("hang") => return Vec::new(),
                Some("progress") => {
                    let token = frame.get(&["params", "_meta", "progressToken"]).unwrap_or("0");
                    let progress = format!(r#"{{"progressToken":{token},"progress":1}}"#);
                    let result = format!(r#"{{"content":[]{kind}}}"#);
                    return vec![author::notification("notifications/progress", Some(&progress)), author::result(id, &result)];
                }
                _ => format!(r#"{{"content":[],"structuredContent":{arguments}{kind}}}"#),
            },
            ("subscriptions/listen", true) => {
                let asked = frame.get(&["params", "notifications"]).unwrap_or("{}");
                let marked = format!(r#"{{"notifications":{asked},"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}"#);
                return vec![author::notification("notifications/subscriptions/acknowledged", Some(&marked))];
            }
            _ => return vec![author::error(Some(id), -32601, "no such method", None)],
        };
        vec![author::result(id, &result)]
    }
}

fn harness(is_modern: bool) -> Harness {
    Harness::serving(HttpOptions::default(), Limits::default(), move |_| {
        (Box::new(Shared::new(Config::default())), Box::new(Fake { is_modern }))
    })
}

fn until_quiet(harness: &Harness) {
    harness.until("the tables are empty", |inside: &Inside| {
        let status = inside.http.status();
        let tables = inside.hub.status().tables;
        (status.connections, status.sessions, status.streams) == (0, 0, 0) && tables.iter().all(|(_, n)| *n == 0)
    });
}

fn modern(method: &str, more: &str) -> (String, String) {
    let meta = format!(
        r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#
    );
    let body = format!(r#"{{"jsonrpc":"2.0","id":"m","method":"{method}","params":{{{more}{meta}}}}}"#);
    (format!("MCP-Protocol-Version: {MODERN}\r\nMcp-Method: {method}\r\n"), body)
}

#[test]
fn clients_of_both_eras_use_servers_of_both_eras() {
    for is_modern in [false, true] {
        let harness = harness(is_modern);
        let (mut old, mut new) = (Client::new(&harness), Client::new(&harness));
        let headers = open_session(&mut old, "2025-11-25");
        for n in 1..=20 {
            let reply = old.post(&headers, &call(n, "echo", r#"{"a":1.0}"#));
            assert!(reply.status == 200 && reply.body.contains(r#""structuredContent":{"a":1.0}"#), "{reply:?}");
            let reply = new.post(&modern_headers("echo"), &modern_call(n, "echo", r#"{"a":1.0}"#));
            assert!(reply.status == 200 && reply.body.contains(r#""structuredContent":{"a":1.0}"#), "{reply:?}");
        }
        let body = call(21, "progress", "{}").replace(r#""arguments""#, r#""_meta":{"progressToken":"mine"},"arguments""#);
        let reply = old.post(&headers, &body);
        assert!(reply.is_events() && reply.body.contains(r#""progressToken":"mine""#), "{reply:?}");
        assert_eq!(old.ask("DELETE", "/mcp", &headers, "").status, 204);
        drop((old, new));
        until_quiet(&harness);
    }
}

#[test]
fn a_modern_request_is_judged_by_the_route_and_gets_the_status_for_it() {
    for is_modern in [false, true] {
        let harness = harness(is_modern);
        let mut client = Client::new(&harness);
        let (headers, body) = modern("server/discover", "");
        let reply = client.post(&headers, &body);
        assert!(reply.status == 200 && reply.body.contains(MODERN), "{reply:?}");
        for method in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "no/such"] {
            let (headers, body) = modern(method, "");
            let reply = client.post(&headers, &body);
            assert_eq!((reply.status, reply.code()), (404, -32601), "{method}: {reply:?}");
        }
        let (headers, body) = modern("server/discover", "");
        let reply = client.post(&headers, &body.replace("clientCapabilities", "other"));
        assert_eq!((reply.status, reply.code()), (400, -32602));
        let reply = client.post(&headers, r#"{"jsonrpc":"2.0","id":"m","method":"server/discover","params":{}}"#);
        assert_eq!((reply.status, reply.code()), (400, -32602));
        let newer = |text: &str| text.replace(MODERN, "2031-01-01");
        let reply = client.post(&newer(&headers), &newer(&body));
        assert_eq!((reply.status, reply.code()), (400, -32022));
        drop(client);
        until_quiet(&harness);
    }
}

#[test]
fn arguments_are_checked_against_the_schema_that_went_by() {
    for is_modern in [false, true] {
        let harness = harness(is_modern);
        let mut client = Client::new(&harness);
        let weather = modern_call(1, "weather", r#"{"region":"eu"}"#);
        let (headers, body) = modern("tools/list", "");
        assert_eq!(client.post(&headers, &body).status, 200);
        let reply = client.post(&modern_headers("weather"), &weather);
        assert_eq!((reply.status, reply.code()), (400, -32020));
        let headers = format!("{}Mcp-Param-Region: eu\r\n", modern_headers("weather"));
        assert_eq!(client.post(&headers, &weather).status, 200);
    }
}

#[test]
fn a_client_that_leaves_takes_its_calls_along() {
    for is_modern in [false, true] {
        let harness = harness(is_modern);
        let (mut old, mut new) = (Client::new(&harness), Client::new(&harness));
        let headers = open_session(&mut old, "2025-11-25");
        let mut caller = Client::new(&harness);
        caller.post_only(&headers, &call(1, "hang", "{}"));
        new.post_only(&modern_headers("hang"), &modern_call(1, "hang", "{}"));
        harness.until("both hang", |inside| inside.hub.status().in_flight == 2);
        drop((new, caller));
        harness.until("one is cancelled", |inside| inside.hub.status().in_flight == 1);
        // The cancel of a legacy client ends the answer, wherever it is read.
        let mut caller = Client::new(&harness);
        caller.post_only(&headers, &call(2, "hang", "{}"));
        harness.until("it hangs", |inside| inside.hub.status().in_flight == 2);
        let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#;
        assert_eq!(old.post(&headers, cancel).status, 202);
        assert_eq!(caller.reply().body, "");
        assert_eq!(old.ask("DELETE", "/mcp", &headers, "").status, 204);
        drop((old, caller));
        until_quiet(&harness);
    }
}

#[test]
fn a_subscription_of_a_modern_client_is_an_answer_that_stays_open() {
    for is_modern in [false, true] {
        let harness = harness(is_modern);
        let mut client = Client::new(&harness);
        let (headers, body) = modern("subscriptions/listen", r#""notifications":{"toolsListChanged":true},"#);
        client.post_only(&headers, &body);
        assert!(client.head().is_events());
        let event = client.event();
        assert!(event.data.contains("notifications/subscriptions/acknowledged"), "{event:?}");
        assert!(event.data.contains(r#"subscriptionId":"m""#), "{event:?}");
        drop(client);
        until_quiet(&harness);
    }
}

#[test]
fn the_end_of_the_server_answers_every_open_call() {
    let harness = harness(false);
    let (mut old, mut new) = (Client::new(&harness), Client::new(&harness));
    let headers = open_session(&mut old, "2025-11-25");
    old.post_only(&headers, &call(1, "hang", "{}"));
    new.post_only(&modern_headers("hang"), &modern_call(1, "hang", "{}"));
    harness.until("both hang", |inside| inside.hub.status().in_flight == 2);
    harness.inside(|inside| inside.hub.upstream_closed(1, Fate { text: "was killed by signal 9".into(), ..Fate::default() }));
    for client in [&mut old, &mut new] {
        let reply = client.reply();
        assert!(reply.body.contains("signal 9"), "{reply:?}");
    }
    let reply = Client::new(&harness).post("", &initialize("2025-11-25", "test"));
    assert_eq!(reply.status, 200, "{reply:?}");
}
