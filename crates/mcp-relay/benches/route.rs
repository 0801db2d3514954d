//! What the shared route itself costs for a call and its answer, all four ways the eras can meet, without any transport.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use mcp_relay::route::{Action, Arrival, Event, PeerId, Route as _, StreamId, Via};
use mcp_relay::shared::{Config, Shared, UpstreamEra};
use mcp_wire::version::Era;
use mcp_wire::{Frame, object};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;
const OPENING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
const OPENED: &str =
    r#""result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}"#;
const DISCOVERED: &str = r#""result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private"}}"#;

fn frame(text: impl Into<String>) -> Frame {
    Frame::parse(Bytes::from(text.into())).unwrap()
}

/// A route with its server, which answers at once.
struct Stage {
    route: Shared,
    server: Era,
    now: Instant,
    message: String,
    peer: PeerId,
}

impl Stage {
    fn new(client: Era, server: Era) -> Self {
        let upstream_era = if server == Era::Modern { UpstreamEra::Modern } else { UpstreamEra::Legacy };
        let route = Shared::new(Config { upstream_era, known_era: Some(server), ..Config::default() });
        let mut stage = Self { route, server, now: Instant::now(), message: "m".repeat(256), peer: PeerId(1) };
        let arrival = Arrival { via: Via::Stdio, era: Some(client), pid: None };
        stage.happens(Event::Opened(stage.peer, arrival));
        if client == Era::Legacy {
            stage.happens(Event::Frame(stage.peer, StreamId(0), frame(OPENING)));
            stage.happens(Event::Frame(
                stage.peer,
                StreamId(0),
                frame(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
            ));
        }
        stage
    }

    /// What happens, and all that follows from it; how many messages came to the client.
    fn happens(&mut self, event: Event) -> usize {
        let (mut actions, mut count) = (Vec::new(), 0);
        self.route.on(self.now, event, &mut actions);
        for action in actions {
            match action {
                Action::Upstream(bytes) => {
                    let request = Frame::parse(bytes.slice(..bytes.len() - 1)).unwrap();
                    if let Some(answer) = self.answer(&request) {
                        count += self.happens(Event::Upstream(answer, None));
                    }
                }
                Action::Send(_, _, _, bytes) => {
                    black_box(bytes);
                    count += 1;
                }
                _ => (),
            }
        }
        count
    }

    fn answer(&self, request: &Frame) -> Option<Frame> {
        let id = request.id()?;
        Some(match request.method() {
            "initialize" => frame(format!(r#"{{"jsonrpc":"2.0","id":{id},{OPENED}"#)),
            "server/discover" => frame(format!(r#"{{"jsonrpc":"2.0","id":{id},{DISCOVERED}"#)),
            _ => {
                let kind = if self.server == Era::Modern { r#""resultType":"complete","# } else { "" };
                let text = &self.message;
                frame(format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"result":{{{kind}"content":[{{"type":"text","text":"{text}"}}]}}}}"#
                ))
            }
        })
    }
}

fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("a call of 256 bytes and its answer");
    for (client, server) in
        [(Era::Legacy, Era::Legacy), (Era::Modern, Era::Modern), (Era::Legacy, Era::Modern), (Era::Modern, Era::Legacy)]
    {
        let mut stage = Stage::new(client, server);
        let meta = if client == Era::Modern { format!(",{META}") } else { String::new() };
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1000000001,"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"{}"}}{meta}}}}}"#,
            stage.message
        );
        let call = frame(text);
        assert!(object::get(call.text(), "params").is_some());
        group.bench_function(format!("{} client, {} server", client.word(), server.word()), |b| {
            b.iter(|| {
                let count = stage.happens(Event::Frame(stage.peer, StreamId(0), call.clone()));
                assert_eq!(count, 1, "one answer to one call");
            });
        });
    }
    // What of it is this bench's own server.
    let stage = Stage::new(Era::Legacy, Era::Legacy);
    let call = frame(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#);
    group.bench_function("the answer alone", |b| {
        b.iter(|| {
            let line = call.with_id("17");
            stage.answer(&Frame::parse(line.slice(..line.len() - 1)).unwrap())
        });
    });
    group.finish();
}

criterion_group!(route, benches);
criterion_main!(route);
