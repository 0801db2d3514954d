//! Any messages of any peers, in the notation of the playbooks: the route never panics, and what it sends are messages.
#![no_main]

use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mcp_relay::route::{Action, Arrival, Event, PeerId, Route as _, StreamId, Via};
use mcp_relay::shared::{Config, Shared};
use mcp_relay::upstream::Fate;
use mcp_wire::Frame;

fuzz_target!(|text: &str| {
    let mut route = Shared::new(Config::default());
    let mut now = Instant::now();
    for line in text.lines() {
        let mut letters = line.chars();
        let Some(who) = letters.next() else { continue };
        let what = letters.as_str();
        let peer = PeerId(u64::from(u32::from(who)));
        let message = what.strip_prefix("> ").and_then(|t| Frame::parse(Bytes::copy_from_slice(t.as_bytes())).ok());
        let event = match (who, message, what) {
            ('S', Some(frame), _) => Event::Upstream(frame, None),
            ('S', None, " drains") => Event::Drain,
            ('S', None, _) if what.starts_with(" dies") => Event::UpstreamClosed(Fate::default()),
            (_, Some(frame), _) => Event::Frame(peer, StreamId(0), frame),
            (_, None, " leaves") => Event::Closed(peer),
            (_, None, " drops") => Event::Abandoned(peer, StreamId(0)),
            (_, None, _) if what.starts_with(" opens") => {
                let via = if what.contains("http") { Via::Http } else { Via::Stdio };
                Event::Opened(peer, Arrival { via, era: None, pid: None })
            }
            _ => {
                now += Duration::from_secs(1);
                Event::Tick
            }
        };
        let mut actions = Vec::new();
        route.on(now, event, &mut actions);
        for action in actions {
            if let Action::Send(_, _, _, bytes) | Action::Upstream(bytes) = action {
                assert!(bytes.ends_with(b"\n"));
                Frame::parse(bytes.slice(..bytes.len() - 1)).expect("what is sent is a message");
            }
        }
        route.status(now);
    }
});
