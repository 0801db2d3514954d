//! Crowds of random clients of both eras on random servers of both eras, with crashes, cancellations and clients that vanish.
//!
//! Whatever happens: each request has exactly one answer, with its own id and its own content, or its connection ended; what a
//! server asks reaches the client whose call it is about; and when all have left nothing is in any table.
//!
//! `MCP_CROWD_CASES` is how many crowds each test plays (200), `MCP_CROWD_SEED` the first of them.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it says")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcp_relay::route::{Action, Arrival, Class, Event, PeerId, Route as _, StreamId, Via};
use mcp_relay::shared::{ClientCapabilities, Config, Shared, UpstreamEra};
use mcp_relay::upstream::Fate;
use mcp_wire::version::Era;
use mcp_wire::{Frame, Kind};

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"sampling":{},"roots":{}}"#;

/// A call as its client knows it.
struct Open {
    mark: String,
    has_token: bool,
    is_cancelled: bool,
}

struct Client {
    era: Era,
    is_ready: bool,
    open: BTreeMap<u64, Open>,
    last: u64,
    /// Questions of the server: id, and the call's mark.
    asked: Vec<(String, String)>,
    /// Modern: answers to bring back: mark, state, keys.
    returning: Vec<(String, String, Vec<String>)>,
}

/// What the server works on, by the id it was given.
struct Work {
    mark: String,
    token: Option<String>,
    /// The id of the question it waits for an answer to.
    question: Option<String>,
    questions: u64,
}

struct Crowd {
    dice: Dice,
    route: Shared,
    now: Instant,
    server_era: Era,
    server_runs: bool,
    work: BTreeMap<String, Work>,
    last_question: u64,
    clients: BTreeMap<PeerId, Client>,
    /// Which marks belong to which client.
    owners: BTreeMap<String, PeerId>,
    /// Modern calls over HTTP: the connection of a request is gone with its answer, the call may go on.
    last_peer: u64,
    seen_answers: BTreeSet<(PeerId, u64)>,
    answered: u64,
    asked: u64,
    history: Vec<String>,
}

fn frame(text: &str) -> Frame {
    Frame::parse(Bytes::from(text.to_owned())).unwrap_or_else(|e| panic!("{e}: {text}"))
}

impl Crowd {
    fn new(seed: u64, server_era: Era) -> Self {
        let config = Config {
            client_capabilities: ClientCapabilities::Full,
            upstream_era: match server_era {
                Era::Legacy => UpstreamEra::Legacy,
                Era::Modern => UpstreamEra::Modern,
            },
            ..Config::default()
        };
        Self {
            dice: Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            route: Shared::new(config),
            now: Instant::now(),
            server_era,
            server_runs: false,
            work: BTreeMap::new(),
            last_question: 0,
            clients: BTreeMap::new(),
            owners: BTreeMap::new(),
            last_peer: 0,
            seen_answers: BTreeSet::new(),
            answered: 0,
            asked: 0,
            history: Vec::new(),
        }
    }

    fn fail(&self, why: &str) -> ! {
        let from = self.history.len().saturating_sub(60);
        panic!("{why}\n{}", self.history[from..].join("\n"));
    }

    fn happens(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.route.on(self.now, event, &mut actions);
        for action in actions {
            match action {
                Action::Send(peer, _, class, bytes) => self.client_hears(peer, class, &bytes),
                Action::Upstream(bytes) => self.server_hears(&bytes),
                Action::Open => {
                    self.server_runs = true;
                    self.work.clear();
                }
                Action::Close => self.server_runs = false,
                Action::End(peer, why) => {
                    self.history.push(format!("{peer:?} is ended: {why}"));
                    self.clients.remove(&peer);
                    self.happens(Event::Closed(peer));
                }
                Action::EndStream(..) | Action::Note(_) => {}
            }
        }
    }

    fn server_says(&mut self, text: &str) {
        self.history.push(format!("S> {text}"));
        self.happens(Event::Upstream(frame(text), None));
    }

    fn server_hears(&mut self, bytes: &Bytes) {
        let text = std::str::from_utf8(bytes).unwrap().trim_end().to_owned();
        self.history.push(format!("S< {text}"));
        if !self.server_runs {
            self.fail("the server is spoken to while it does not run");
        }
        let message = frame(&text);
        let id = message.id().unwrap_or_default().to_owned();
        match (message.kind(), message.method()) {
            (Kind::Request, "tools/call") => {
                let mark = message.get_string(&["params", "arguments", "mark"]).unwrap();
                if self.server_era == Era::Modern
                    && message.get(&["params", "_meta", "io.modelcontextprotocol/protocolVersion"]).is_none()
                {
                    self.fail("a modern server got a request without its version");
                }
                if self.server_era == Era::Legacy && text.contains("io.modelcontextprotocol/protocolVersion") {
                    self.fail("a legacy server got what only the modern era has");
                }
                if let Some(state) = message.get_string(&["params", "requestState"])
                    && state != format!("state of {mark}")
                {
                    self.fail("another call's state");
                }
                if let Some(answer) = message.get_string(&["params", "inputResponses", "k", "content", "mark"])
                    && answer != mark
                {
                    self.fail("another call's answer");
                }
                let token = message.get(&["params", "_meta", "progressToken"]).map(str::to_owned);
                if token.as_ref().is_some_and(|t| *t != id) {
                    self.fail("a progress token that is not unique");
                }
                let questions = u64::from(message.get(&["params", "inputResponses"]).is_some()) * 2;
                if self.work.insert(id, Work { mark, token, question: None, questions }).is_some() {
                    self.fail("an id was used twice");
                }
            }
            (Kind::Request, _) => {
                // Answered in a later step, like all else.
                self.work.insert(id, Work { mark: message.method().to_owned(), token: None, question: None, questions: 9 });
            }
            (Kind::Notification, "notifications/cancelled") => {
                let id = message.get(&["params", "requestId"]).unwrap().to_owned();
                self.work.remove(&id);
            }
            (Kind::Result | Kind::Error, _) => {
                let found = self.work.values_mut().find(|w| w.question.as_deref() == Some(&id));
                if let Some(work) = found {
                    work.question = None;
                    let mark = work.mark.clone();
                    if let Some(answer) = message.get_string(&["result", "content", "mark"])
                        && answer != mark
                    {
                        self.fail("the server got another client's answer");
                    }
                }
            }
            _ => {}
        }
    }

    fn client_hears(&mut self, peer: PeerId, class: Class, bytes: &Bytes) {
        let text = std::str::from_utf8(bytes).unwrap().trim_end().to_owned();
        self.history.push(format!("{peer:?}< {text}"));
        let message = frame(&text);
        if !self.clients.contains_key(&peer) {
            return;
        }
        match message.kind() {
            Kind::Result | Kind::Error => self.client_is_answered(peer, class, &message),
            Kind::Request => {
                let mark = message.get_string(&["params", "message"]).unwrap_or_default();
                if self.owners.get(&mark) != Some(&peer) {
                    self.fail("a client is asked about another's call");
                }
                self.asked += 1;
                self.clients.get_mut(&peer).unwrap().asked.push((message.id().unwrap().to_owned(), mark));
            }
            Kind::Notification if message.method() == "notifications/progress" => {
                let token: String = message.get_string(&["params", "progressToken"]).unwrap();
                let mark = message.get_string(&["params", "message"]).unwrap();
                if token != format!("token {mark}") || self.owners.get(&mark) != Some(&peer) {
                    self.fail("another's progress");
                }
                let client = &self.clients[&peer];
                if !client.open.values().any(|o| o.mark == mark && o.has_token && !o.is_cancelled) {
                    self.fail("progress after the end");
                }
            }
            Kind::Notification if message.method() == "notifications/cancelled" => {
                let id = message.get(&["params", "requestId"]).unwrap();
                self.clients.get_mut(&peer).unwrap().asked.retain(|(asked, _)| asked != id);
            }
            Kind::Notification => {}
        }
    }

    fn client_is_answered(&mut self, peer: PeerId, class: Class, message: &Frame) {
        if !matches!(class, Class::Response | Class::Refusal) {
            self.fail("an answer that is not marked as one");
        }
        let id: u64 = message.id().unwrap().parse().unwrap();
        if id == 0 {
            let ok = message.kind() == Kind::Result;
            self.clients.get_mut(&peer).unwrap().is_ready = ok;
            if ok {
                self.client_says(peer, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
            } else {
                self.leave(peer);
            }
            return;
        }
        let Some(open) = self.clients.get_mut(&peer).unwrap().open.remove(&id) else {
            self.fail("a second answer, or one to a question that was never asked");
        };
        if open.is_cancelled {
            self.fail("an answer to a cancelled call");
        }
        if !self.seen_answers.insert((peer, id)) {
            self.fail("answered twice");
        }
        self.answered += 1;
        if message.get_string(&["result", "resultType"]).as_deref() == Some("input_required") {
            let state = message.get_string(&["result", "requestState"]).unwrap();
            let keys: Vec<String> = mcp_wire::object::members(message.get(&["result", "inputRequests"]).unwrap_or("{}"))
                .map(|m| m.key.into_owned())
                .collect();
            for span in mcp_wire::object::members(message.get(&["result", "inputRequests"]).unwrap()).map(|m| m.value_span) {
                let entry = &message.get(&["result", "inputRequests"]).unwrap()[span];
                let mark = mcp_wire::object::get_path(entry, &["params", "message"]).unwrap();
                if mark != format!("\"{}\"", open.mark) {
                    self.fail("a modern client is asked about another call");
                }
            }
            self.clients.get_mut(&peer).unwrap().returning.push((open.mark, state, keys));
            return;
        }
        if message.kind() == Kind::Result
            && let Some(mark) = message.get_string(&["result", "structuredContent", "mark"])
            && mark != open.mark
        {
            self.fail("another's answer");
        }
    }

    fn client_says(&mut self, peer: PeerId, text: &str) {
        self.history.push(format!("{peer:?}> {text}"));
        self.happens(Event::Frame(peer, StreamId(0), frame(text)));
    }

    fn leave(&mut self, peer: PeerId) {
        self.history.push(format!("{peer:?} leaves"));
        self.clients.remove(&peer);
        self.happens(Event::Closed(peer));
    }

    fn join(&mut self) {
        self.last_peer += 1;
        let peer = PeerId(self.last_peer);
        let era = if self.dice.one_in(2) { Era::Legacy } else { Era::Modern };
        let client = Client {
            era,
            is_ready: era == Era::Modern,
            open: BTreeMap::new(),
            last: 0,
            asked: Vec::new(),
            returning: Vec::new(),
        };
        self.clients.insert(peer, client);
        self.history.push(format!("{peer:?} joins, {era}"));
        self.happens(Event::Opened(peer, Arrival { via: Via::Stdio, era: None, pid: None }));
        if era == Era::Legacy {
            let text = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{},"sampling":{},"roots":{}},"clientInfo":{"name":"c","version":"1"}}}"#;
            self.client_says(peer, text);
        }
    }

    fn call(&mut self, peer: PeerId, again: Option<(String, String, Vec<String>)>) {
        let has_token = self.dice.one_in(2);
        let client = self.clients.get_mut(&peer).unwrap();
        client.last += 1;
        let id = client.last;
        let mark = again.as_ref().map_or_else(|| format!("{}-{id}", peer.0), |(mark, ..)| mark.clone());
        self.owners.insert(mark.clone(), peer);
        client.open.insert(id, Open { mark: mark.clone(), has_token, is_cancelled: false });
        let token = if has_token { format!("\"progressToken\":\"token {mark}\"") } else { String::new() };
        let own = if client.era == Era::Modern { META } else { "" };
        let comma = if has_token && !own.is_empty() { "," } else { "" };
        let meta = if has_token || !own.is_empty() { format!(",\"_meta\":{{{token}{comma}{own}}}") } else { String::new() };
        let extra = again.map_or_else(String::new, |(mark, state, keys)| {
            let answer = |k: &String| format!("\"{k}\":{{\"action\":\"accept\",\"content\":{{\"mark\":\"{mark}\"}}}}");
            let answers: Vec<String> = keys.iter().map(answer).collect();
            format!(",\"inputResponses\":{{{}}},\"requestState\":\"{state}\"", answers.join(","))
        });
        let text = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"t\",\"arguments\":{{\"mark\":\"{mark}\"}}{extra}{meta}}}}}"
        );
        self.client_says(peer, &text);
    }

    fn client_step(&mut self) {
        let peers: Vec<PeerId> = self.clients.keys().copied().collect();
        let Some(peer) = peers.get(usize::try_from(self.dice.roll(peers.len().max(1) as u64)).unwrap()).copied() else { return };
        if !self.clients[&peer].is_ready {
            if self.dice.one_in(20) {
                self.leave(peer);
            }
            return;
        }
        match self.dice.roll(12) {
            0..=4 => self.call(peer, None),
            5 | 6 => {
                if let Some((id, mark)) = self.clients.get_mut(&peer).unwrap().asked.pop() {
                    let text = if self.dice.one_in(5) {
                        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":-1,\"message\":\"no\"}}}}")
                    } else {
                        format!(
                            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"action\":\"accept\",\"content\":{{\"mark\":\"{mark}\"}}}}}}"
                        )
                    };
                    self.client_says(peer, &text);
                }
            }
            7 | 8 => {
                if let Some(again) = self.clients.get_mut(&peer).unwrap().returning.pop() {
                    self.call(peer, Some(again));
                }
            }
            9 => {
                let open: Vec<u64> =
                    self.clients[&peer].open.iter().filter(|(_, o)| !o.is_cancelled).map(|(id, _)| *id).collect();
                if let Some(id) = open.first() {
                    self.clients.get_mut(&peer).unwrap().open.get_mut(id).unwrap().is_cancelled = true;
                    let text = format!(
                        "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":{id}}}}}"
                    );
                    self.client_says(peer, &text);
                }
            }
            10 if self.dice.one_in(4) => self.leave(peer),
            _ => {}
        }
    }

    fn server_step(&mut self) {
        if !self.server_runs {
            return;
        }
        if self.dice.one_in(150) {
            self.server_runs = false;
            self.work.clear();
            self.history.push("S dies".to_owned());
            self.happens(Event::UpstreamClosed(Fate { text: "exited with status 1".to_owned(), ..Fate::default() }));
            return;
        }
        let ids: Vec<String> = self.work.iter().filter(|(_, w)| w.question.is_none()).map(|(id, _)| id.clone()).collect();
        let Some(id) = ids.get(usize::try_from(self.dice.roll(ids.len().max(1) as u64)).unwrap()).cloned() else { return };
        let work = self.work.get_mut(&id).unwrap();
        let mark = work.mark.clone();
        let reply = |result: &str| format!("{{\"jsonrpc\":\"2.0\",\"result\":{result},\"id\":{id}}}");
        match mark.as_str() {
            "initialize" => {
                self.work.remove(&id);
                self.server_says(&reply(
                    r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}"#,
                ));
            }
            "server/discover" => {
                self.work.remove(&id);
                self.server_says(&reply(r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"public"}"#));
            }
            mark if !mark.contains('-') => {
                self.work.remove(&id);
                self.server_says(&reply("{}"));
            }
            mark => match self.dice.roll(4) {
                0 if work.token.is_some() => {
                    let text = format!(
                        "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{id},\"progress\":1,\"message\":\"{mark}\"}}}}"
                    );
                    self.server_says(&text);
                }
                1 if work.questions < 2 => {
                    work.questions += 1;
                    if self.server_era == Era::Modern {
                        self.work.remove(&id);
                        let result = format!(
                            "{{\"resultType\":\"input_required\",\"inputRequests\":{{\"k\":{{\"method\":\"elicitation/create\",\"params\":{{\"message\":\"{mark}\"}}}}}},\"requestState\":\"state of {mark}\"}}"
                        );
                        self.server_says(&reply(&result));
                    } else {
                        self.last_question += 1;
                        let question = format!("\"q{}\"", self.last_question);
                        work.question = Some(question.clone());
                        let text = format!(
                            "{{\"jsonrpc\":\"2.0\",\"id\":{question},\"method\":\"elicitation/create\",\"params\":{{\"message\":\"{mark}\"}}}}"
                        );
                        self.server_says(&text);
                    }
                }
                _ => {
                    self.work.remove(&id);
                    self.server_says(&reply(&format!("{{\"content\":[],\"structuredContent\":{{\"mark\":\"{mark}\"}}}}")));
                }
            },
        }
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.route.wake().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.happens(Event::Tick);
        }
        self.now = end;
    }

    fn play(&mut self) {
        for _ in 0..400 {
            match self.dice.roll(20) {
                0 | 1 if self.clients.len() < 5 => self.join(),
                2 => {
                    let time = Duration::from_millis(self.dice.roll(300));
                    self.wait(time);
                }
                3..=10 => self.client_step(),
                _ => self.server_step(),
            }
        }
        // The server works off what it has, the clients answer what they are asked: everything has to come to its end.
        for _ in 0..3000 {
            self.server_step();
            let peers: Vec<PeerId> = self.clients.keys().copied().collect();
            for peer in peers {
                let Some(client) = self.clients.get_mut(&peer) else { continue };
                if let Some((id, mark)) = client.asked.pop() {
                    let text = format!(
                        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"action\":\"accept\",\"content\":{{\"mark\":\"{mark}\"}}}}}}"
                    );
                    self.client_says(peer, &text);
                } else if let Some(again) = client.returning.pop() {
                    self.call(peer, Some(again));
                }
            }
            self.wait(Duration::from_millis(60));
        }
        for (peer, client) in &self.clients {
            if let Some((id, _)) = client.open.iter().find(|(_, o)| !o.is_cancelled) {
                self.fail(&format!("{peer:?} never got an answer to {id}"));
            }
        }
        let peers: Vec<PeerId> = self.clients.keys().copied().collect();
        for peer in peers {
            self.leave(peer);
        }
        for _ in 0..200 {
            self.server_step();
        }
        // A server may have died while it was being told; what it owes it will never pay.
        if !self.server_runs {
            self.wait(Duration::from_mins(3));
        }
        self.wait(Duration::from_mins(20));
        let left: Vec<_> = self.route.status(self.now).tables.into_iter().filter(|(_, size)| *size > 0).collect();
        if !left.is_empty() {
            self.fail(&format!("left in the tables: {left:?}"));
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn play(server_era: Era) {
    let (cases, first) = (number("MCP_CROWD_CASES", 200), number("MCP_CROWD_SEED", 1));
    let (mut answered, mut asked) = (0, 0);
    for seed in first..first + cases {
        let mut crowd = Crowd::new(seed, server_era);
        crowd.history.push(format!("seed {seed}"));
        crowd.play();
        answered += crowd.answered;
        asked += crowd.asked;
    }
    // A crowd in which nothing happens proves nothing.
    assert!(answered > cases * 20, "only {answered} answers");
    assert!(asked > cases, "only {asked} questions");
}

#[test]
fn nothing_is_lost_or_mixed_up_on_a_legacy_server() {
    play(Era::Legacy);
}

#[test]
fn nothing_is_lost_or_mixed_up_on_a_modern_server() {
    play(Era::Modern);
}
