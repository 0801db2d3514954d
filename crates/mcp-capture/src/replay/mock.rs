//! A recording that answers as the server.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use mcp_wire::methods::meta;
use mcp_wire::{Frame, Kind, author};

use super::opening::made_up;
use super::recording::{Exchange, Recording, Said, Step};
use super::rewrite::{Ids, for_today, token};
use crate::compare::differences;
use crate::tree::Tree;

/// How a recording answers.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Only what was asked exactly so is answered.
    pub is_strict: bool,
    /// So many times as fast as it was; `None`: at once.
    pub speed: Option<f64>,
}

/// The server.
#[derive(Debug)]
pub struct Mock {
    recording: Recording,
    /// Whether an exchange has been used.
    used: Vec<bool>,
    options: Options,
    live: Vec<Live>,
    /// The client has opened by `initialize` and has not told that it is ready: what the server said later than that has to wait,
    /// however quick or slow the client is today.
    is_opening: bool,
    questions: u64,
    unknown: u64,
    notes: Vec<String>,
}

/// A request that is being answered.
#[derive(Debug)]
struct Live {
    id: String,
    token: Option<String>,
    wants_logs: bool,
    /// The revision to be answered with in place of the recorded one.
    revision: Option<String>,
    exchange: usize,
    steps: VecDeque<Step>,
    /// When the next step is due.
    due: Duration,
    /// The id of a question that was asked and not answered.
    waits: Option<String>,
}

impl Live {
    /// What is next was said after the client had told that it is ready.
    fn is_held(&self) -> bool {
        self.steps.front().is_some_and(|step| step.is_after_ready)
    }

    /// Whether only time is missing before the next step.
    fn goes_on(&self, is_opening: bool) -> bool {
        self.waits.is_none() && !self.steps.is_empty() && !(is_opening && self.is_held())
    }

    /// How long it takes to the next step.
    fn pause(&self, speed: Option<f64>) -> Duration {
        self.steps.front().map_or(Duration::ZERO, |step| scaled(step.after, speed))
    }
}

impl Mock {
    /// Answers from a recording.
    pub fn new(recording: Recording, options: Options) -> Self {
        let used = vec![false; recording.exchanges.len()];
        Self { recording, used, options, live: Vec::new(), is_opening: false, questions: 0, unknown: 0, notes: Vec::new() }
    }

    /// Requests that nothing recorded answers.
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// What somebody should know, since this was asked last.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// When there is something to say next. Time is counted from any moment.
    pub fn next_due(&self) -> Option<Duration> {
        self.live.iter().filter(|live| live.goes_on(self.is_opening)).map(|live| live.due).min()
    }

    /// Takes a line of the client; returns what is to be said at once.
    pub fn receive(&mut self, now: Duration, line: &Bytes) -> Vec<Bytes> {
        let frame = match Frame::parse(line.clone()) {
            Ok(frame) => frame,
            Err(mcp_wire::NotAFrame::Batch) => {
                let all = Frame::split_batch(line);
                return all.into_iter().flatten().flat_map(|frame| self.frame(now, &frame)).collect();
            }
            Err(_) if line.trim_ascii().is_empty() => return Vec::new(),
            Err(_) => return vec![author::error(None, -32700, "this line is no JSON-RPC message", None)],
        };
        self.frame(now, &frame)
    }

    fn frame(&mut self, now: Duration, frame: &Frame) -> Vec<Bytes> {
        match frame.kind() {
            Kind::Request => self.request(now, frame),
            Kind::Notification => {
                if frame.method() == "notifications/cancelled" {
                    let id = frame.get(&["params", "requestId"]);
                    self.live.retain(|live| Some(live.id.as_str()) != id);
                }
                if frame.method() == "notifications/initialized" { self.ready(now) } else { Vec::new() }
            }
            Kind::Result | Kind::Error => {
                let answered = self.live.iter_mut().find(|live| live.waits.is_some() && live.waits.as_deref() == frame.id());
                if let Some(live) = answered {
                    live.waits = None;
                    live.due = now + live.pause(self.options.speed);
                }
                self.due(now)
            }
        }
    }

    /// The client is ready: what had to wait for that is said, as late as it was.
    fn ready(&mut self, now: Duration) -> Vec<Bytes> {
        if !std::mem::take(&mut self.is_opening) {
            return Vec::new();
        }
        for live in self.live.iter_mut().filter(|live| live.is_held()) {
            live.due = now + live.pause(self.options.speed);
        }
        self.due(now)
    }

    fn request(&mut self, now: Duration, frame: &Frame) -> Vec<Bytes> {
        // Who asks for more than that takes itself for ready, and is not to wait for ever.
        let mut said = if is_opening(frame.method()) || frame.method() == "ping" { Vec::new() } else { self.ready(now) };
        said.extend(self.answer(now, frame));
        said
    }

    fn answer(&mut self, now: Duration, frame: &Frame) -> Vec<Bytes> {
        let id = frame.id().unwrap_or("null").to_owned();
        let params = frame.params().and_then(Tree::parse).unwrap_or(Tree::Object(Vec::new())).without(&["_meta"]);
        let Some(found) = self.find(frame.method(), &params) else {
            if frame.method() == "ping" {
                return vec![author::result(&id, "{}")];
            }
            if let Some(result) = made_up(&self.recording, frame) {
                self.notes.push(format!("`{}` was not recorded; answered from what was used", frame.method()));
                return vec![author::result(&id, &result)];
            }
            // A server of the older era does not know this method, and clients that know both eras try it first.
            if frame.method() == "server/discover" && self.opens_with("initialize") {
                return vec![author::error(Some(&id), -32601, "Method not found", None)];
            }
            self.unknown += 1;
            let what = named(frame.method(), &params);
            let nothing = if self.options.is_strict { "was not recorded" } else { "was not recorded, nor anything like it" };
            self.notes.push(format!("{what} {nothing}"));
            if frame.method() == "initialize" && self.opens_with("server/discover") {
                let hint =
                    "the recording is of the newer era, which has no `initialize`: `mcp run-once -- mcp mock FILE` translates";
                self.notes.push(hint.to_owned());
            }
            let code = if self.recording.exchanges.iter().any(|known| known.method == frame.method()) { -32602 } else { -32601 };
            return vec![author::error(Some(&id), code, &format!("{what} {nothing}"), None)];
        };
        self.used[found] = true;
        self.is_opening |= frame.method() == "initialize";
        let revision = self.older_revision(frame, found);
        let exchange = &self.recording.exchanges[found];
        let is_modern = frame.get(&["params", "_meta", meta::PROTOCOL_VERSION]).is_some();
        let steps: VecDeque<Step> = exchange.steps.iter().cloned().collect();
        let first = steps.front().map_or(Duration::ZERO, |step| scaled(step.after, self.options.speed));
        self.live.push(Live {
            id,
            token: token(frame).map(ToOwned::to_owned),
            wants_logs: !is_modern || frame.get(&["params", "_meta", meta::LOG_LEVEL]).is_some(),
            revision,
            exchange: found,
            steps,
            due: now + first,
            waits: None,
        });
        self.due(now)
    }

    /// Whether a client has opened the recorded conversation so, and was answered.
    fn opens_with(&self, method: &str) -> bool {
        let is_opened =
            |exchange: &Exchange| exchange.method == method && exchange.answer().is_some_and(|a| a.result().is_some());
        self.recording.exchanges.iter().any(is_opened)
    }

    /// The revision that is asked for, if the recorded answer has a newer one: there are clients that leave then, and what was
    /// recorded means the same in both.
    fn older_revision(&mut self, frame: &Frame, found: usize) -> Option<String> {
        if frame.method() != "initialize" {
            return None;
        }
        let asked = frame.get_string(&["params", "protocolVersion"])?;
        let recorded = self.recording.exchanges[found].answer()?.get_string(&["result", "protocolVersion"])?;
        let age = |revision: &str| mcp_wire::version::LEGACY.iter().position(|known| *known == revision);
        (age(&asked)? < age(&recorded)?).then(|| {
            self.notes.push(format!("the client asks for {asked} and gets it; the recording is of {recorded}"));
            asked
        })
    }

    /// The exchange that answers a request: one that asked for the same, each once in order and then the last one again; else,
    /// unless that is forbidden, the one that is most alike.
    fn find(&mut self, method: &str, params: &Tree) -> Option<usize> {
        let key = params.canonical();
        let all = || self.recording.exchanges.iter().enumerate().filter(|(_, exchange)| exchange.method == method);
        let exact = || all().filter(|(_, exchange)| exchange.key == key).map(|(at, _)| at);
        if let Some(at) = exact().find(|at| !self.used[*at]).or_else(|| exact().last()) {
            return Some(at);
        }
        // Who opens says who it is, which is nobody's business here.
        let is_opening = is_opening(method);
        if self.options.is_strict && !is_opening {
            return None;
        }
        let name = name_of(method, params);
        let brings = |params: &Tree| params.get("inputResponses").is_some() || params.get("requestState").is_some();
        let distance =
            |exchange: &Exchange| (brings(&exchange.params) != brings(params), differences(&exchange.params, params).len());
        let same_name = |exchange: &Exchange| is_opening || name_of(method, &exchange.params) == name;
        let (at, near) = all()
            .filter(|(_, exchange)| same_name(exchange))
            .min_by_key(|(at, exchange)| (distance(exchange), self.used[*at], *at))?;
        if !is_opening {
            let note = format!("{} was not recorded; answered as #{}, which is most alike", named(method, params), near.number);
            self.notes.push(note);
        }
        Some(at)
    }

    /// What is to be said by now.
    pub fn due(&mut self, now: Duration) -> Vec<Bytes> {
        let mut said: Vec<(Duration, Bytes)> = Vec::new();
        for live in &mut self.live {
            let exchange = &self.recording.exchanges[live.exchange];
            while live.goes_on(self.is_opening) && live.due <= now {
                let Some(step) = live.steps.pop_front() else { break };
                let ids = Ids {
                    id: (exchange.request.id().unwrap_or_default(), &live.id),
                    token: (token(&exchange.request), live.token.as_deref()),
                    revision: live.revision.as_deref(),
                };
                let bytes = match &step.said {
                    Said::Notification(frame) if frame.method() == "notifications/message" && !live.wants_logs => None,
                    Said::Notification(frame) => for_today(frame, &ids, None),
                    Said::Answer(frame) => for_today(frame, &ids, Some(&live.id)),
                    Said::Question(frame, _) => {
                        self.questions += 1;
                        let own = format!("\"asked-{}\"", self.questions);
                        let bytes = for_today(frame, &ids, Some(&own));
                        live.waits = Some(own);
                        bytes
                    }
                };
                said.extend(bytes.map(|bytes| (live.due, bytes)));
                live.due += live.pause(self.options.speed);
            }
        }
        self.live.retain(|live| !live.steps.is_empty());
        // Stable: what one exchange says stays in order.
        said.sort_by_key(|(due, _)| *due);
        said.into_iter().map(|(_, bytes)| bytes).collect()
    }

    /// The client says nothing more: what is left to be said, at once and without waiting for answers.
    pub fn finish(&mut self) -> Vec<Bytes> {
        self.options.speed = None;
        self.is_opening = false;
        for live in &mut self.live {
            (live.due, live.waits) = (Duration::ZERO, None);
        }
        let mut said = Vec::new();
        while !self.live.is_empty() {
            said.extend(self.due(Duration::MAX));
            for live in &mut self.live {
                live.waits = None;
            }
        }
        said
    }
}

fn scaled(after: Duration, speed: Option<f64>) -> Duration {
    match speed {
        Some(speed) if speed > 0.0 => Duration::try_from_secs_f64(after.as_secs_f64() / speed).unwrap_or(after),
        _ => Duration::ZERO,
    }
}

fn is_opening(method: &str) -> bool {
    matches!(method, "initialize" | "server/discover")
}

/// The tool, prompt, URI or task a request is about.
fn name_of<'a>(method: &str, params: &'a Tree) -> &'a str {
    let member = mcp_wire::methods::name_member(method).or(match method {
        "resources/subscribe" | "resources/unsubscribe" => Some("uri"),
        _ => None,
    });
    member.and_then(|member| params.get(member)).and_then(Tree::as_text).unwrap_or_default()
}

fn named(method: &str, params: &Tree) -> String {
    let name = name_of(method, params);
    let shown: String = name.chars().take(80).collect();
    if name.is_empty() { format!("`{method}`") } else { format!("`{method}` of `{shown}`") }
}
