//! Opening the server in one era or the other, its end, and its restart.
//!
//! The first client's own opening decides, so that clients of one kind meet the server as each would alone. Only when the
//! server does not speak that era is the other one tried; what came of it is worth remembering.

use std::rc::Rc;
use std::time::{Duration, Instant};

use mcp_wire::author::{self, code};
use mcp_wire::methods::meta;
use mcp_wire::version::{self, Era};
use mcp_wire::{Frame, Kind, object};
use serde_json::json;

use super::call::{Call, Purpose};
use super::config::{Attribution, ClientCapabilities, Config, Restart, UpstreamEra};
use super::requests::Circumstances;
use super::{Shared, levels};
use crate::route::{Action, Note, PeerId, StreamId};
use crate::upstream::Fate;

/// A server that has not answered `server/discover` after so long may be one that ignores what it does not know.
const SILENCE: Duration = Duration::from_secs(3);
/// A server that ran for so long before it ended starts with a clean record.
const GOOD_RUN: Duration = Duration::from_secs(30);
/// So many failures in a row, and it is not started again by itself.
const STRIKES: u32 = 3;
/// Then the next client may try after so long.
const REST: Duration = Duration::from_secs(30);

/// The server's side.
pub(super) struct Up {
    pub(super) state: State,
    pub(super) era: Option<Era>,
    /// The revision agreed on.
    pub(super) version: Box<str>,
    /// The text of the result of `initialize` or `server/discover`.
    pub(super) result: Option<Rc<str>>,
    /// The `initialize` we send, with somebody's id.
    opening: Option<Frame>,
    /// The text of the capabilities a legacy server was told.
    pub(super) told: Rc<str>,
    pub(super) has_heard_initialized: bool,
    pub(super) restarts: u64,
    strikes: u32,
    ready_since: Option<Instant>,
    known: Option<Era>,
    /// How it ended the last time.
    pub(super) last_fate: Option<String>,
}

/// How things stand with the server.
pub(super) enum State {
    /// It does not run.
    Closed,
    /// It runs and has not been spoken to.
    Spawned,
    /// It has been spoken to.
    Opening(Opening),
    /// It works.
    Ready,
    /// It ended and will be started again.
    Waiting { until: Instant },
    /// It ended too often.
    Failed { since: Instant },
}

/// What was asked to find out how the server speaks.
pub(super) struct Opening {
    initialize: Ask,
    discover: Ask,
    first: Era,
    opener: Era,
    deadline: Instant,
    silence: Option<Instant>,
    is_second_process: bool,
    is_replay: bool,
}

enum Ask {
    No,
    Sent(u64),
    /// The text of the error.
    Failed(Box<str>),
    /// The text of the result.
    Got(Rc<str>),
}

impl Up {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            state: State::Closed,
            era: None,
            version: "".into(),
            result: None,
            opening: None,
            told: Rc::from("{}"),
            has_heard_initialized: false,
            restarts: 0,
            strikes: 0,
            ready_since: None,
            known: config.known_era,
            last_fate: None,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// What the server can do, by its own word.
    pub(super) fn can(&self, path: &[&str]) -> bool {
        self.result.as_deref().and_then(|r| object::get(r, "capabilities")).is_some_and(|c| object::find_path(c, path).is_some())
    }

    /// The text of a member of what the server said at its opening.
    pub(super) fn said(&self, path: &[&str]) -> Option<&str> {
        self.result.as_deref().and_then(|r| object::get_path(r, path))
    }
}

impl Shared {
    fn may(&self, era: Era) -> bool {
        match self.config.upstream_era {
            UpstreamEra::Auto => true,
            UpstreamEra::Legacy => era == Era::Legacy,
            UpstreamEra::Modern => era == Era::Modern,
        }
    }

    /// Starts the server for this request.
    pub(super) fn open_for(&mut self, frame: &Frame, era: Era) {
        let first = match self.config.upstream_era {
            UpstreamEra::Legacy => Era::Legacy,
            UpstreamEra::Modern => Era::Modern,
            UpstreamEra::Auto => self.up.known.unwrap_or(era),
        };
        let frame = if era == Era::Legacy { frame.clone() } else { Self::initialize_for_modern(frame) };
        self.up.opening = Some(self.with_capabilities(frame));
        self.begin(first, era, false);
    }

    /// The `initialize` of a legacy client that has what this modern client has.
    fn initialize_for_modern(frame: &Frame) -> Frame {
        let found = Circumstances::of(frame).unwrap_or_default();
        let own = || format!("{{\"name\":\"mcp\",\"version\":\"{}\"}}", env!("CARGO_PKG_VERSION"));
        let info = found.info.map_or_else(own, str::to_owned);
        let capabilities = if found.capabilities.is_empty() { "{}" } else { found.capabilities };
        let newest = version::NEWEST_LEGACY;
        let params = format!("{{\"protocolVersion\":\"{newest}\",\"capabilities\":{capabilities},\"clientInfo\":{info}}}");
        let message = author::request("0", "initialize", Some(&params));
        Frame::parse(message.slice(..message.len() - 1)).expect("a message of our own making from checked parts is a frame")
    }

    /// The capabilities the user chose to announce.
    fn with_capabilities(&mut self, frame: Frame) -> Frame {
        const FULL: &str =
            r#"{"roots":{"listChanged":true},"sampling":{"context":{},"tools":{}},"elicitation":{"form":{},"url":{}}}"#;
        let chosen = match (&self.config.client_capabilities, self.config.attribution) {
            (_, Attribution::Reject) | (ClientCapabilities::None, _) => Some("{}".to_owned()),
            (ClientCapabilities::First, _) => None,
            (ClientCapabilities::Full, _) => Some(FULL.to_owned()),
            (ClientCapabilities::Json(text), _) => Some(text.clone()),
        };
        let span = frame.find(&["params", "capabilities"]);
        let changed = match (chosen, span) {
            (Some(text), Some(span)) => {
                let message = frame.spliced(&[(span, &text)]);
                Frame::parse(message.slice(..message.len() - 1)).unwrap_or(frame)
            }
            _ => frame,
        };
        self.up.told = Rc::from(changed.get(&["params", "capabilities"]).unwrap_or("{}"));
        changed
    }

    /// Says once for each client what it loses because the server was told something else.
    pub(super) fn warn_about_capabilities(&mut self, peer: PeerId) {
        if self.server_era() == Some(Era::Modern) {
            return;
        }
        let Some(client) = self.clients.get(&peer) else { return };
        let kinds = ["roots", "sampling", "elicitation"];
        let told = |kind| object::find(&self.up.told, kind).is_some();
        let lost: Vec<&str> = kinds.into_iter().filter(|k| client.can(&[*k]) && !told(*k)).collect();
        let extra: Vec<&str> = kinds.into_iter().filter(|k| !client.can(&[*k]) && told(*k)).collect();
        if !lost.is_empty() {
            let list = lost.join(", ");
            self.count("clients that offer the server more than it was told (--client-capabilities full)");
            self.log(format!("client {}: the server was not told of its {list}; see --client-capabilities", peer.0));
        }
        if !extra.is_empty() {
            let list = extra.join(", ");
            self.count("clients that offer the server less than it was told (--isolate capabilities)");
            self.log(format!("client {}: the server was told of {list}, which it lacks; see --isolate capabilities", peer.0));
        }
    }

    fn begin(&mut self, first: Era, opener: Era, is_replay: bool) {
        if !matches!(self.up.state, State::Spawned) {
            self.out.push(Action::Open);
        }
        self.up.has_heard_initialized = false;
        self.up.state = State::Opening(Opening {
            initialize: Ask::No,
            discover: Ask::No,
            first,
            opener,
            deadline: self.now + self.config.opening_timeout,
            silence: None,
            is_second_process: false,
            is_replay,
        });
        self.ask(first);
    }

    /// Sends one of the two questions a server can be opened with.
    fn ask(&mut self, era: Era) {
        let id = self.next_id();
        let (method, message) = match era {
            Era::Legacy => {
                let Some(opening) = &self.up.opening else { return };
                ("initialize", opening.with_id(&id.to_string()))
            }
            Era::Modern => {
                let params = format!("{{\"_meta\":{{{}}}}}", self.own_circumstances());
                ("server/discover", author::request(&id.to_string(), "server/discover", Some(&params)))
            }
        };
        self.calls.insert(id, Call::own(self.now, method, Purpose::Opening));
        let may_be_silent = era == Era::Modern && self.may(Era::Legacy);
        if let State::Opening(opening) = &mut self.up.state {
            match era {
                Era::Legacy => opening.initialize = Ask::Sent(id),
                Era::Modern => opening.discover = Ask::Sent(id),
            }
            opening.silence = may_be_silent.then(|| self.now + SILENCE);
        }
        self.upstream(message);
    }

    /// What a modern request of our own brings along.
    pub(super) fn own_circumstances(&self) -> String {
        let info = self
            .up
            .opening
            .as_ref()
            .and_then(|o| o.get(&["params", "clientInfo"]))
            .map_or_else(|| json!({"name": "mcp", "version": env!("CARGO_PKG_VERSION")}).to_string(), str::to_owned);
        let (version, own, capabilities) = (meta::PROTOCOL_VERSION, meta::CLIENT_INFO, meta::CLIENT_CAPABILITIES);
        format!("\"{version}\":\"{}\",\"{own}\":{info},\"{capabilities}\":{{}}", version::NEWEST)
    }

    pub(super) fn on_opening_answer(&mut self, id: u64, frame: &Frame) {
        self.finish_call(id);
        let State::Opening(opening) = &mut self.up.state else { return };
        let is = |ask: &Ask| matches!(ask, Ask::Sent(sent) if *sent == id);
        let failed = |frame: &Frame| Ask::Failed(frame.error().unwrap_or("{}").into());
        let got = |frame: &Frame| Ask::Got(Rc::from(frame.result().unwrap_or("{}")));
        if is(&opening.discover) {
            opening.silence = None;
            let supported = frame.get(&["result", "supportedVersions"]).unwrap_or("[]");
            let speaks = |v: &str| version::MODERN.iter().any(|m| v == format!("\"{m}\""));
            opening.discover = match frame.kind() {
                Kind::Result if object::elements(supported).any(|span| speaks(&supported[span])) => got(frame),
                Kind::Result => Ask::Failed(
                    json!({"code": code::UNSUPPORTED_VERSION, "message": "the server speaks no protocol version that is known here"})
                        .to_string()
                        .into(),
                ),
                _ => failed(frame),
            };
        } else if is(&opening.initialize) {
            opening.initialize = if frame.kind() == Kind::Result { got(frame) } else { failed(frame) };
        }
        self.evaluate();
    }

    fn evaluate(&mut self) {
        let State::Opening(opening) = &self.up.state else { return };
        match (&opening.initialize, &opening.discover) {
            (Ask::Got(result), _) => self.ready(Era::Legacy, &Rc::clone(result)),
            // Its answer to `initialize`, if it is on its way, pins the process: wait for that.
            (Ask::No | Ask::Failed(_), Ask::Got(result)) => self.ready(Era::Modern, &Rc::clone(result)),
            (Ask::No, Ask::Failed(_)) if self.may(Era::Legacy) => self.ask(Era::Legacy),
            (Ask::Failed(_), Ask::No) if self.may(Era::Modern) => self.ask(Era::Modern),
            (Ask::Failed(error), Ask::No | Ask::Failed(_)) | (Ask::No, Ask::Failed(error)) => {
                // What answers the client's own opening is of most use to it.
                let error = match (&opening.discover, opening.opener) {
                    // Nothing was said by a process that ended instead.
                    (Ask::Failed(other), Era::Modern) if &**other != "{}" => other.clone(),
                    _ => error.clone(),
                };
                self.opening_failed("the server refused to open the conversation", Some(&error));
            }
            _ => {}
        }
    }

    fn ready(&mut self, era: Era, result: &Rc<str>) {
        let State::Opening(opening) = &self.up.state else { return };
        let (opener, is_replay) = (opening.opener, opening.is_replay);
        let before = self.up.result.replace(Rc::clone(result));
        self.up.era = Some(era);
        self.up.version = match era {
            Era::Legacy => object::get_string(result, "protocolVersion").unwrap_or_default().into(),
            Era::Modern => version::NEWEST.into(),
        };
        self.up.state = State::Ready;
        // A question that was never answered is no call any more.
        self.calls.retain(|_, call| !matches!(call.purpose, Purpose::Opening));
        self.up.ready_since = Some(self.now);
        if era != opener && self.config.upstream_era == UpstreamEra::Auto && self.up.known != Some(era) {
            self.up.known = Some(era);
            self.out.push(Action::Note(Note::Era(era)));
        }
        self.log(format!("open: {era} {}", self.up.version));
        if is_replay {
            if before.as_deref() == Some(&**result) {
                self.replay(era);
            } else {
                self.end_sessions("the server was started again and is not the same: the conversation has to be opened anew");
            }
        }
        if era == Era::Legacy && opener == Era::Modern {
            self.say_initialized();
        }
        self.finish_resuming();
        self.dispatch_waiting();
    }

    /// No legacy client may come that says it.
    pub(super) fn say_initialized(&mut self) {
        if !std::mem::replace(&mut self.up.has_heard_initialized, true) {
            self.upstream(author::notification("notifications/initialized", None));
        }
    }

    /// Brings a server that was started again to where the earlier one was.
    fn replay(&mut self, era: Era) {
        if era == Era::Modern {
            for peer in self.legacy_clients() {
                self.tell_wishes(peer);
            }
            return;
        }
        self.say_initialized();
        if let Some(rank) = self.levels.sent() {
            self.ask_server("logging/setLevel", Some(&levels::params(rank)), Purpose::Unheard);
        }
        for uri in self.subscribers.uris() {
            let params = json!({"uri": uri}).to_string();
            self.ask_server("resources/subscribe", Some(&params), Purpose::Unheard);
        }
        for kind in ["tools", "prompts", "resources"] {
            if self.up.can(&[kind, "listChanged"]) {
                let message = author::notification(&format!("notifications/{kind}/list_changed"), None);
                if let Ok(frame) = Frame::parse(message.slice(..message.len() - 1)) {
                    self.on_list_changed(&frame);
                }
            }
        }
    }

    /// The conversation could not be opened: everybody who waits for it is told why.
    fn opening_failed(&mut self, why: &str, error: Option<&str>) {
        let is_replay = matches!(&self.up.state, State::Opening(opening) if opening.is_replay);
        self.up.last_fate = Some(match error.and_then(|e| object::get_string(e, "message")) {
            Some(said) => format!("{why}: {said}"),
            None => why.to_owned(),
        });
        self.log(self.up.last_fate.clone().unwrap_or_default());
        self.calls.retain(|_, call| !matches!(call.purpose, Purpose::Opening));
        self.up.state = State::Closed;
        self.out.push(Action::Close);
        for (peer, stream, frame) in std::mem::take(&mut self.waiting) {
            let Some(id) = frame.id() else { continue };
            let answer = match error {
                Some(error) => author_error_of(id, error),
                None => author::our_error(Some(id), "server-not-opened", why),
            };
            self.answer(peer, stream, answer);
        }
        for (peer, _) in std::mem::take(&mut self.resuming) {
            self.out.push(Action::End(peer, why.to_owned()));
        }
        if is_replay {
            self.end_sessions(why);
        }
    }

    /// Ends the connections of legacy clients: they have to open the conversation anew.
    fn end_sessions(&mut self, why: &str) {
        for peer in self.legacy_clients() {
            self.out.push(Action::End(peer, why.to_owned()));
        }
    }

    pub(super) fn on_upstream_closed(&mut self, fate: &Fate) {
        let why = format!("the server {fate}");
        self.log(why.clone());
        self.up.last_fate = Some(why.clone());
        match &mut self.up.state {
            State::Closed | State::Waiting { .. } | State::Failed { .. } => {}
            State::Spawned => self.up.state = State::Closed,
            State::Opening(opening) => {
                // Some old servers end when the first message is not `initialize`. Some that speak the modern era only end when
                // it is, after saying so.
                let other = match (opening.first, &opening.initialize) {
                    (Era::Modern, _) => Some(Era::Legacy),
                    (Era::Legacy, Ask::Failed(_)) => Some(Era::Modern),
                    _ => None,
                };
                let is_first_process = !opening.is_second_process && self.config.upstream_era == UpstreamEra::Auto;
                if let Some(other) = other.filter(|_| is_first_process) {
                    self.calls.retain(|_, call| !matches!(call.purpose, Purpose::Opening));
                    opening.is_second_process = true;
                    opening.first = other;
                    match other {
                        Era::Legacy => opening.discover = Ask::Failed("{}".into()),
                        Era::Modern => opening.discover = Ask::No,
                    }
                    opening.silence = None;
                    self.out.push(Action::Open);
                    self.ask(other);
                    return;
                }
                let is_replay = opening.is_replay;
                if is_replay && !self.is_draining {
                    self.calls.retain(|_, call| !matches!(call.purpose, Purpose::Opening));
                    self.refuse_waiting(&why);
                    self.plan_restart(&why);
                } else {
                    self.opening_failed(&why, None);
                }
            }
            State::Ready => {
                self.server_ended(&why);
                if self.is_draining || fate.was_wanted || self.config.restart == Restart::Never {
                    self.up.state = State::Closed;
                    self.end_sessions(&why);
                } else if self.clients.is_empty() {
                    self.up.state = State::Closed;
                } else {
                    self.plan_restart(&why);
                }
            }
        }
        if self.is_draining {
            self.out.push(Action::Note(Note::Ended));
        }
    }

    /// What was under way has no outcome any more.
    fn server_ended(&mut self, why: &str) {
        self.turns.clear();
        self.fail_all_calls(why);
        self.withdraw_all_questions(why);
        self.forget_all_parked();
        self.gatherings.clear();
    }

    fn plan_restart(&mut self, why: &str) {
        let ran_well = self.up.ready_since.take().is_some_and(|since| self.now.duration_since(since) >= GOOD_RUN);
        self.up.strikes = if ran_well { 1 } else { self.up.strikes + 1 };
        if self.up.strikes >= STRIKES {
            self.up.state = State::Failed { since: self.now };
            self.out.push(Action::Note(Note::GaveUp(why.to_owned())));
        } else {
            let pause = Duration::from_millis(100) * 4_u32.pow(self.up.strikes - 1);
            self.up.state = State::Waiting { until: self.now + pause };
        }
    }

    fn reopen(&mut self) {
        self.up.restarts += 1;
        let era = self.up.era.unwrap_or(Era::Legacy);
        // A restart opens as the first time, or the result could not be compared.
        self.begin(era, era, true);
    }

    /// A request that came while the server does not run.
    pub(super) fn refuse_without_server(&mut self, peer: PeerId, stream: StreamId, id: &str, frame: &Frame, era: Era) {
        match self.up.state {
            State::Failed { since } if self.now.duration_since(since) >= REST => {
                self.up.strikes = 0;
                if self.up.result.is_some() {
                    self.reopen();
                } else {
                    self.up.state = State::Closed;
                    self.open_for(frame, era);
                }
                self.waiting.push_back((peer, stream, frame.clone()));
            }
            State::Waiting { .. } if frame.method() == "initialize" => {
                self.waiting.push_back((peer, stream, frame.clone()));
            }
            _ => {
                let fate = self.up.last_fate.clone().unwrap_or_default();
                let (reason, next) = match self.up.state {
                    State::Failed { .. } => ("server-failed", "it failed too often and is left alone for a while"),
                    _ => ("server-restarting", "it is being started again"),
                };
                self.answer(peer, stream, author::our_error(Some(id), reason, &format!("{fate}; {next}")));
            }
        }
    }

    fn refuse_waiting(&mut self, why: &str) {
        for (peer, stream, frame) in std::mem::take(&mut self.waiting) {
            if frame.kind() == Kind::Request {
                self.answer(peer, stream, author::our_error(frame.id(), "server-ended", why));
            }
        }
    }

    pub(super) fn on_start(&mut self) {
        if matches!(self.up.state, State::Closed) {
            self.out.push(Action::Open);
            self.up.state = State::Spawned;
        }
    }

    pub(super) fn on_drain(&mut self) {
        self.is_draining = true;
        self.refuse_waiting("the server is being stopped");
    }

    /// The end of draining: nobody waits for anything any more.
    pub(super) fn close_when_done(&mut self) {
        let is_busy = self.calls.values().any(|c| {
            !matches!(c.purpose, Purpose::Listen | Purpose::Wishes(_) | Purpose::Opening | Purpose::Unheard | Purpose::Barrier(_))
        });
        if is_busy || !self.parked.is_empty() || std::mem::replace(&mut self.is_closing, true) {
            return;
        }
        for peer in self.clients.keys() {
            self.out.push(Action::End(*peer, "the server was stopped".to_owned()));
        }
        match std::mem::replace(&mut self.up.state, State::Closed) {
            State::Closed | State::Waiting { .. } | State::Failed { .. } => self.out.push(Action::Note(Note::Ended)),
            _ => self.out.push(Action::Close),
        }
    }

    pub(super) fn tick_lifecycle(&mut self) {
        match &mut self.up.state {
            State::Waiting { until } if *until <= self.now => {
                if self.clients.is_empty() {
                    self.up.state = State::Closed;
                } else {
                    self.reopen();
                }
            }
            State::Opening(opening) if opening.deadline <= self.now => {
                let waited = self.config.opening_timeout.as_secs();
                self.opening_failed(&format!("the server did not open the conversation within {waited} s"), None);
            }
            State::Opening(opening) if opening.silence.is_some_and(|at| at <= self.now) => {
                opening.silence = None;
                if matches!(opening.initialize, Ask::No) {
                    self.ask(Era::Legacy);
                    if let State::Opening(opening) = &mut self.up.state {
                        opening.silence = None;
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn wake_lifecycle(&self) -> Option<Instant> {
        match &self.up.state {
            State::Waiting { until } => Some(*until),
            State::Opening(opening) => Some(opening.silence.unwrap_or(opening.deadline).min(opening.deadline)),
            _ => None,
        }
    }
}

/// An error response with the text of an error that came for somebody else's request.
fn author_error_of(id: &str, error: &str) -> bytes::Bytes {
    bytes::Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}\n"))
}
