//! Transcripts of the route: what comes in is written by hand, what goes out is compared to the byte.
//!
//! A playbook is a text. Lines at the margin happen; lines that are indented are what the route does about it:
//!
//! ```text
//! config attribution=strict capabilities=full era=legacy restart=never known=modern
//! A opens stdio                    also: http, http modern, sse
//! A> {"jsonrpc":"2.0",…}           A says something (A/2> on its stream 2)
//!   S opens                        the server is started
//!   S< {…}                         the server is sent something
//! S> {…}                           the server says something (S/7> on the answer to our request 7)
//!   A< {…}                         A is sent something (A/2< on its stream 2; A/-< on none)
//!   A/2 ends                       the stream ends without a response
//!   A ends: reason                 A's connection is ended
//! A/2 drops                        A drops the answer
//! A leaves
//! S dies: fate
//! S closed                         it ended because we wanted it
//! S drains                         somebody wants it to end
//! after 50ms
//! clean                            every table must be empty
//! ```
//!
//! `MCP_PLAYBOOKS=write cargo test -p mcp-relay --test playbooks` writes what the route does into the files: read it well
//! before you believe it.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it says")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcp_relay::route::{Action, Arrival, Event, Note, PeerId, Route as _, StreamId, Via};
use mcp_relay::shared::{Attribution, ClientCapabilities, Config, Restart, Shared, UpstreamEra};
use mcp_relay::upstream::Fate;
use mcp_wire::Frame;
use mcp_wire::version::Era;

struct Stage {
    route: Shared,
    now: Instant,
    peers: BTreeMap<char, PeerId>,
    last_peer: u64,
    text: String,
}

fn config(words: &str) -> Config {
    let mut config = Config::default();
    for word in words.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match (key, value) {
            ("attribution", "strict") => config.attribution = Attribution::Strict,
            ("attribution", "reject") => config.attribution = Attribution::Reject,
            ("capabilities", "full") => config.client_capabilities = ClientCapabilities::Full,
            ("capabilities", "none") => config.client_capabilities = ClientCapabilities::None,
            ("capabilities", json) => config.client_capabilities = ClientCapabilities::Json(json.to_owned()),
            ("era", "legacy") => config.upstream_era = UpstreamEra::Legacy,
            ("era", "modern") => config.upstream_era = UpstreamEra::Modern,
            ("known", "legacy") => config.known_era = Some(Era::Legacy),
            ("known", "modern") => config.known_era = Some(Era::Modern),
            ("restart", "never") => config.restart = Restart::Never,
            ("interactive", _) => config.is_interactive = true,
            ("in_flight", n) => config.max_in_flight = n.parse().unwrap(),
            other => panic!("unknown setting {other:?}"),
        }
    }
    config
}

fn frame(text: &str) -> Frame {
    Frame::parse(Bytes::from(text.to_owned())).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The message of a line, which must be one message and one line end.
fn line(bytes: &Bytes) -> String {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.ends_with('\n') && text.matches('\n').count() == 1, "one line end: {text:?}");
    frame(text.trim_end());
    text.trim_end().to_owned()
}

impl Stage {
    fn new(words: &str) -> Self {
        let (route, now) = (Shared::new(config(words)), Instant::now());
        Self { route, now, peers: BTreeMap::new(), last_peer: 100, text: String::new() }
    }

    fn name(&self, peer: PeerId) -> char {
        self.peers.iter().find(|(_, p)| **p == peer).map_or('?', |(name, _)| *name)
    }

    fn say(&mut self, text: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{text}").unwrap();
    }

    fn happens(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.route.on(self.now, event, &mut actions);
        let mut gone = Vec::new();
        for action in actions {
            match action {
                Action::Send(peer, stream, _, bytes) => {
                    let place = match stream {
                        Some(StreamId(0)) => String::new(),
                        Some(StreamId(n)) => format!("/{n}"),
                        None => "/-".to_owned(),
                    };
                    self.say(format_args!("  {}{place}< {}", self.name(peer), line(&bytes)));
                }
                Action::EndStream(peer, StreamId(n)) if self.peers.values().any(|p| *p == peer) => {
                    self.say(format_args!("  {}/{n} ends", self.name(peer)));
                }
                Action::EndStream(..) | Action::Note(Note::Log(_) | Note::Idle | Note::Busy) => {}
                Action::End(peer, why) => {
                    self.say(format_args!("  {} ends: {why}", self.name(peer)));
                    gone.push(peer);
                }
                Action::Upstream(bytes) => self.say(format_args!("  S< {}", line(&bytes))),
                Action::Open => self.say(format_args!("  S opens")),
                Action::Close => self.say(format_args!("  S closes")),
                Action::Note(note) => self.say(format_args!("  note: {note:?}")),
            }
        }
        for peer in gone {
            self.peers.retain(|_, p| *p != peer);
            self.happens(Event::Closed(peer));
        }
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        let mut ticks = 0;
        while let Some(at) = self.route.wake().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.happens(Event::Tick);
            ticks += 1;
            assert!(ticks < 1000, "the route wants ticks without end\n{}", self.text);
        }
        self.now = end;
    }

    fn step(&mut self, step: &str) {
        self.say(format_args!("{step}"));
        if let Some(time) = step.strip_prefix("after ") {
            let (number, unit) = time.split_at(time.find(|c: char| c.is_alphabetic()).unwrap());
            let number: u64 = number.parse().unwrap();
            self.wait(match unit {
                "ms" => Duration::from_millis(number),
                "s" => Duration::from_secs(number),
                "min" => Duration::from_mins(number),
                other => panic!("unknown unit {other}"),
            });
            return;
        }
        if step == "clean" {
            let left: Vec<_> = self.route.status(self.now).tables.into_iter().filter(|(_, size)| *size > 0).collect();
            assert!(left.is_empty(), "left in the tables: {left:?}\n{}", self.text);
            return;
        }
        let (who, what) = step.split_at(1);
        let who = who.chars().next().unwrap();
        let (stream, what) = match what.strip_prefix('/') {
            Some(rest) => {
                let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                (rest[..digits].parse().unwrap(), &rest[digits..])
            }
            None => (0, what),
        };
        if who == 'S' {
            self.server_step(stream, what);
        } else {
            self.client_step(who, stream, what);
        }
    }

    fn server_step(&mut self, stream: u64, what: &str) {
        let died = |text: &str, was_wanted| Event::UpstreamClosed(Fate { text: text.to_owned(), was_wanted, stderr: Vec::new() });
        let event = match what {
            " closed" => died("was stopped", true),
            " drains" => Event::Drain,
            " starts" => Event::Start,
            _ => match (what.strip_prefix("> "), what.strip_prefix(" dies: ")) {
                (Some(message), _) => Event::Upstream(frame(message), Some(stream).filter(|s| *s > 0)),
                (_, Some(fate)) => died(fate, false),
                _ => panic!("not understood: S{what}"),
            },
        };
        self.happens(event);
    }

    fn client_step(&mut self, who: char, stream: u64, what: &str) {
        if let Some(how) = what.strip_prefix(" opens ") {
            self.last_peer += 1;
            let peer = PeerId(self.last_peer);
            self.peers.insert(who, peer);
            let via = match how.split_whitespace().next() {
                Some("http") => Via::Http,
                Some("sse") => Via::Sse,
                _ => Via::Stdio,
            };
            let era = match how.split_whitespace().nth(1) {
                Some("modern") => Some(Era::Modern),
                Some("legacy") => Some(Era::Legacy),
                _ => None,
            };
            self.happens(Event::Opened(peer, Arrival { via, era, pid: None }));
            return;
        }
        let peer = self.peers[&who];
        let event = match (what, what.strip_prefix("> ")) {
            (_, Some(message)) => Event::Frame(peer, StreamId(stream), frame(message)),
            (" drops", _) => Event::Abandoned(peer, StreamId(stream)),
            (" leaves", _) => {
                self.peers.remove(&who);
                Event::Closed(peer)
            }
            other => panic!("not understood: {who}{other:?}"),
        };
        self.happens(event);
    }
}

fn play(text: &str) -> String {
    let words = text.lines().find_map(|l| l.strip_prefix("config ")).unwrap_or_default();
    let mut stage = Stage::new(words);
    for line in text.lines().filter(|line| !line.starts_with("  ")) {
        if line.is_empty() || line.starts_with('#') || line.starts_with("config ") {
            stage.say(format_args!("{line}"));
        } else {
            // Handles are random: a step names them by their order.
            let mut step = line.to_owned();
            for (n, handle) in handles(&stage.text).iter().enumerate() {
                step = step.replace(&format!("HANDLE{}", n + 1), handle);
            }
            stage.step(&step);
        }
    }
    let mut text = stage.text;
    for (n, handle) in handles(&text).iter().enumerate() {
        text = text.replace(handle, &format!("HANDLE{}", n + 1));
    }
    text
}

/// The handles given so far, in order.
fn handles(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for rest in text.split("\"mcp-").skip(1) {
        let handle = format!("mcp-{}", rest.split('"').next().unwrap());
        if handle.len() == 36 && !found.contains(&handle) {
            found.push(handle);
        }
    }
    found
}

fn playbook(path: &Path) -> datatest_stable::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let played = play(&text);
    if played == text {
        return Ok(());
    }
    if std::env::var_os("MCP_PLAYBOOKS").is_some_and(|v| v == "write") {
        std::fs::write(path, played)?;
        return Ok(());
    }
    let at = played.lines().zip(text.lines()).take_while(|(a, b)| a == b).count();
    let near = |text: &str| text.lines().skip(at.saturating_sub(2)).take(8).collect::<Vec<_>>().join("\n");
    Err(format!("line {}\nwritten:\n{}\n\nplayed:\n{}", at + 1, near(&text), near(&played)).into())
}

datatest_stable::harness! { { test = playbook, root = "playbooks", pattern = r"\.play$" } }
