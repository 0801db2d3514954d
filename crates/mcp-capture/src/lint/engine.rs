//! The pass: each record is made a message, shown to the rules with what is known of its conversation, and then remembered.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use mcp_wire::methods::{log_rank, meta};
use mcp_wire::{Frame, Kind, NotAFrame, object};
use serde_json::Value;

use crate::event::{Direction, Event, Flags, Header, Hop, Http, HttpPhase, Record, Stamp};
use crate::lint::json;
use crate::lint::message::{Message, value_key};
use crate::lint::output::{Look, Output, Place, name_of};
use crate::lint::profile::Profile;
use crate::lint::rule::Revision;
use crate::lint::rules;
use crate::lint::state::{Asked, Conversation, Phase, Recent, Side};
use crate::lint::talks::{Key, Talks, session};
use crate::scan::{Class, scan_beginning};

/// So many messages wait for their heads.
const WAITING: usize = 64;

#[derive(Debug)]
pub(super) struct Engine {
    out: Output,
    talks: Talks,
    /// Messages over HTTP that wait for their heads, which say whose they are.
    waiting: VecDeque<(u32, Stamp, Bytes)>,
    has_heads: bool,
    /// The last head was that of a refusal, whose body need be no message.
    was_refused: bool,
    /// The last request of a client was one since 2026-07-28.
    was_modern: bool,
    /// What clients see of the server, and what we see of it.
    sides: [Side; 2],
    is_http: bool,
    /// Empty once it was judged.
    transport: String,
    /// Conversations may have begun before the recording.
    may_be_late: bool,
    has_gap: bool,
    fresh: HashSet<Hop>,
    is_finished: bool,
}

impl Engine {
    pub(super) fn new(profile: Profile) -> Self {
        Self {
            out: Output::new(profile),
            talks: Talks::default(),
            waiting: VecDeque::new(),
            has_heads: false,
            was_refused: false,
            was_modern: false,
            sides: <[Side; 2]>::default(),
            is_http: false,
            transport: String::new(),
            may_be_late: false,
            has_gap: false,
            fresh: HashSet::new(),
            is_finished: false,
        }
    }

    pub(super) fn output(&self) -> &Output {
        &self.out
    }

    /// The names of all tools that were listed.
    pub(super) fn tools(&self) -> Vec<String> {
        let names = self.sides.iter().flat_map(Side::tools);
        names.collect::<std::collections::BTreeSet<&str>>().into_iter().map(str::to_owned).collect()
    }

    pub(super) fn begin(&mut self, header: &Header) {
        self.out.session = Arc::from(header.session.as_str());
        self.is_http = matches!(header.transport.as_str(), "http" | "sse");
        self.transport.clone_from(&header.transport);
        self.may_be_late = header.recorder == "daemon";
        self.has_heads = self.is_http && !self.may_be_late;
    }

    pub(super) fn record(&mut self, entry: u32, stamp: &Stamp, record: &Record) {
        match record {
            Record::Header(header) => self.begin(header),
            Record::Frame(bytes, _) if self.has_heads && stamp.direction == Direction::ToServer => {
                self.waiting.push_back((entry, *stamp, bytes.clone()));
                if self.waiting.len() > WAITING {
                    self.without_head();
                }
            }
            Record::Frame(bytes, _) => {
                if !self.waiting.is_empty() {
                    self.answers_waiting(bytes);
                }
                self.frame(entry, stamp, bytes, 0);
            }
            Record::Gap(_) => {
                self.has_gap = true;
                self.talks.all_mut().for_each(|talk| talk.has_gap = true);
            }
            Record::Event(Event::Peer(peer)) => {
                let hop = Hop::Client(peer.peer);
                let keys = self.talks.keys(Some(hop));
                if peer.open {
                    self.fresh.insert(hop);
                }
                for key in keys {
                    if let Some(talk) = self.talks.get_mut(key) {
                        talk.revision = talk.revision.or(Revision::of(&peer.revision));
                    }
                    if !peer.open {
                        self.end(key);
                    }
                }
            }
            Record::Event(Event::Process(process)) if process.started => {
                self.fresh.insert(Hop::Server);
                // A new process knows nothing of what was said to the one before.
                let key = Key { hop: Hop::Server, session: 0 };
                if self.talks.get_mut(key).is_some_and(|talk| talk.is_begun) {
                    self.talks.remove(key);
                }
            }
            Record::Event(Event::Http(http)) => self.head(Place::of(entry, stamp), http),
            Record::Footer(footer) if !footer.continues => self.finish(),
            _ => {}
        }
    }

    /// A head of HTTP, and the message that waited for it.
    fn head(&mut self, place: Place, http: &Http) {
        let id = http.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("mcp-session-id"));
        let id = id.map(|(_, id)| session(id.trim()));
        if let Some(at) = self.waiting.iter().position(|(_, stamp, _)| stamp.sequence == http.frame)
            && let Some((entry, stamp, bytes)) = self.waiting.remove(at)
        {
            self.frame(entry, &stamp, &bytes, id.unwrap_or(0));
        }
        let hop = place.hop;
        let side = usize::from(hop == Hop::Server);
        let recent = self.sides[side].recent(http.frame).cloned();
        let known = recent.as_ref().map_or(id.unwrap_or(0), |recent| recent.session);
        if http.phase == HttpPhase::Response {
            self.was_refused = http.status >= 400;
        }
        let has_gap = self.has_gap;
        let talk = self.talks.begin(Key { hop, session: known }, has_gap);
        if let Some(recent) = recent.as_ref().filter(|recent| recent.kind == Some(Kind::Request)) {
            match http.phase {
                HttpPhase::Dropped => talk.requests(recent.direction).cancel(recent.id),
                HttpPhase::Response if http.status >= 400 => talk.requests(recent.direction).refuse(recent.id),
                _ => {}
            }
        }
        rules::http::head(http, place, talk, &mut self.sides[side], &mut self.out);
        if http.phase == HttpPhase::Response && recent.is_some_and(|recent| &*recent.method == "initialize") && http.status < 300
        {
            self.talks.named(hop, known, id.unwrap_or(0));
            if let Some(recent) = self.sides[side].recent(http.frame) {
                recent.session = id.unwrap_or(0);
            }
        }
    }

    /// What is answered already will have no head.
    fn answers_waiting(&mut self, answer: &Bytes) {
        let id_of = |bytes: &Bytes| {
            let text = std::str::from_utf8(bytes).ok()?;
            object::get(text, "id").filter(|id| *id != "null").map(str::to_owned)
        };
        let Some(id) = id_of(answer) else { return };
        if let Some(at) = self.waiting.iter().position(|(_, _, bytes)| id_of(bytes).as_ref() == Some(&id)) {
            (0..=at).for_each(|_| self.without_head());
        }
    }

    /// Takes the oldest message that waits for its head without it.
    fn without_head(&mut self) {
        if let Some((entry, stamp, bytes)) = self.waiting.pop_front() {
            self.frame(entry, &stamp, &bytes, 0);
        }
    }

    fn end(&mut self, key: Key) {
        if let Some(mut talk) = self.talks.remove(key) {
            rules::end(&mut talk, &mut self.out, key.hop);
        }
    }

    pub(super) fn finish(&mut self) {
        while !self.waiting.is_empty() {
            self.without_head();
        }
        if std::mem::replace(&mut self.is_finished, true) {
            return;
        }
        for key in self.talks.keys(None) {
            self.end(key);
        }
    }

    fn frame(&mut self, entry: u32, stamp: &Stamp, bytes: &Bytes, session: u64) {
        // What nobody was told is nobody's fault.
        if stamp.flags.has(Flags::DROPPED) {
            return;
        }
        let place = Place::of(entry, stamp);
        rules::http::transport(&std::mem::take(&mut self.transport), place, &mut self.out);
        if stamp.flags.has(Flags::TRUNCATED) {
            self.beginning(entry, stamp, bytes, session);
            return;
        }
        let key = Key { hop: stamp.hop, session };
        if !self.is_http {
            let has_gap = self.may_lack(key);
            rules::lines::bytes(bytes, place, stamp, self.talks.begin(key, has_gap), &mut self.out);
        }
        let line = trimmed(bytes);
        if line.is_empty() {
            return;
        }
        let parsed = Frame::parse(line.clone());
        // The body of a refusal is for people.
        if parsed.is_err() && self.is_http && self.was_refused && stamp.direction == Direction::ToClient {
            return;
        }
        let has_gap = self.may_lack(key);
        match parsed {
            Ok(frame) => {
                if !self.is_http {
                    rules::lines::flush(self.talks.begin(key, has_gap), &mut self.out, stamp.hop);
                }
                self.message(entry, stamp, &frame, session);
            }
            Err(NotAFrame::Batch) => {
                let all = Frame::split_batch(&line);
                let talk = self.talks.begin(key, has_gap);
                rules::lines::flush(talk, &mut self.out, stamp.hop);
                rules::lines::batch(&all, place, talk, &mut self.out);
                for (frame, span) in all.into_iter().zip(object::elements(std::str::from_utf8(&line).unwrap_or_default())) {
                    if let Ok(frame) = frame {
                        self.message(entry, stamp, &frame, session);
                    } else {
                        let talk = self.talks.begin(key, has_gap);
                        rules::lines::no_message(&line.slice(span), place, talk, &mut self.out, true);
                    }
                }
            }
            Err(_) => {
                let talk = self.talks.begin(key, has_gap);
                rules::lines::no_message(&line, place, talk, &mut self.out, self.is_http);
            }
        }
    }

    /// Whether the beginning of a conversation may be missing.
    fn may_lack(&self, key: Key) -> bool {
        self.has_gap || self.talks.has_forgotten || (self.may_be_late && !self.fresh.contains(&key.hop))
    }

    /// A message of which only the beginning was kept.
    fn beginning(&mut self, entry: u32, stamp: &Stamp, bytes: &Bytes, session: u64) {
        let scan = scan_beginning(bytes);
        let kind = match scan.class {
            Class::Request => Kind::Request,
            Class::Notification => Kind::Notification,
            Class::Result => Kind::Result,
            Class::Error => Kind::Error,
            Class::None | Class::Batch => return,
        };
        let text = String::from_utf8_lossy(bytes);
        let id = object::members(&text)
            .find(|member| member.key == "id")
            .and_then(|member| text.get(member.value_span))
            .unwrap_or_default();
        let message = Message {
            kind,
            id: if id == "null" { "" } else { id },
            method: &scan.method,
            body: &Value::Null,
            stamp: *stamp,
            entry,
            length: bytes.len(),
            is_skimmed: true,
        };
        self.judge(&message, session, Vec::new());
    }

    fn message(&mut self, entry: u32, stamp: &Stamp, frame: &Frame, session: u64) {
        let is_skimmed = frame.bytes().len() > self.out.profile.parse_limit;
        let (body, twice) = if is_skimmed { (Value::Null, Vec::new()) } else { json::parse(frame.text()).unwrap_or_default() };
        let message = Message {
            kind: frame.kind(),
            id: frame.id().filter(|id| *id != "null").unwrap_or_default(),
            method: frame.method(),
            body: &body,
            stamp: *stamp,
            entry,
            length: frame.bytes().len(),
            is_skimmed: is_skimmed || body.is_null(),
        };
        self.judge(&message, session, twice);
    }

    fn judge(&mut self, message: &Message<'_>, session: u64, twice: Vec<String>) {
        let hop = message.stamp.hop;
        let (key, is_certain) = if self.is_http { self.talks.over_http(message, session) } else { (Key { hop, session }, true) };
        // A session that is not known was opened before the recording.
        let is_late = self.is_http && session != 0 && key.session == session && self.talks.get_mut(key).is_none();
        let has_gap = self.may_lack(key) || is_late;
        let side = &mut self.sides[usize::from(hop == Hop::Server)];
        let talk = self.talks.begin(key, has_gap);
        for path in twice {
            rules::lines::twice(&path, message, talk, &mut self.out);
        }
        let asked = if message.kind.is_response() && !message.id.is_empty() {
            talk.requests(message.stamp.direction.reversed()).answer(message.id_key())
        } else {
            None
        };
        let own = message.meta(meta::PROTOCOL_VERSION).and_then(Value::as_str);
        let revision = match message.kind {
            Kind::Request => match own {
                Some(name) => Revision::of(name),
                // Asked for a revision that has no `initialize`, a server offers one that has.
                None if message.method == "initialize" => {
                    message.param_text("protocolVersion").and_then(Revision::of).map(|asked| asked.min(Revision::R2025_11))
                }
                None => talk.revision,
            },
            // A notification of a modern client over HTTP says nothing of it.
            Kind::Notification => talk.revision.or((self.is_http && self.was_modern).then_some(Revision::R2026_07)),
            Kind::Result | Kind::Error => match &asked {
                Some(open) if &*open.asked.method == "initialize" => json::at(message.body, &["result", "protocolVersion"])
                    .and_then(Value::as_str)
                    .and_then(Revision::of)
                    .or(open.asked.revision),
                Some(open) => open.asked.revision,
                None => talk.revision,
            },
        };
        let is_modern = revision.is_some_and(Revision::is_modern);
        let owner = match key.session {
            _ if is_modern => 0,
            0 => u64::from(hop.peer()),
            session => session,
        };
        if message.kind == Kind::Request && message.is_from_client() {
            self.was_modern = is_modern;
        }
        // It may be another client's, and nobody is blamed for what may be right.
        if !is_certain {
            return;
        }
        let was_ready = talk.phase >= Phase::Answered;
        let mut look = Look { message, talk, side, out: &mut self.out, revision, asked, owner, is_http: self.is_http };
        rules::message(&mut look);
        let asked = look.asked.take();
        remember(message, &mut *look.talk, &mut *look.side, revision, owner);
        if self.is_http {
            let (method, name, name_revision) = match &asked {
                Some(open) => (open.asked.method.clone(), None, None),
                None => (
                    message.method.into(),
                    Some(name_of(message)).filter(|name| !name.is_empty()).map(Into::into),
                    own.map(Into::into),
                ),
            };
            let revision_name = name_revision.or_else(|| self.talks.get_mut(key).and_then(|talk| talk.revision_name.clone()));
            self.sides[usize::from(hop == Hop::Server)].remember(Recent {
                sequence: message.stamp.sequence,
                session: key.session,
                id: message.id_key(),
                kind: Some(message.kind),
                direction: message.stamp.direction,
                method,
                name,
                revision,
                revision_name,
                error: message.error_code(),
                was_ready,
                origin: None,
            });
            if message.kind.is_response() {
                self.talks.answered(key, message.stamp.direction);
                // No head has named it.
                if let Some(open) = asked.filter(|open| &*open.asked.method == "initialize" && Talks::is_own(key)) {
                    self.talks.named(hop, key.session, 0);
                    for sequence in [open.asked.sequence, message.stamp.sequence] {
                        if let Some(recent) = self.sides[usize::from(hop == Hop::Server)].recent(sequence) {
                            recent.session = 0;
                        }
                    }
                }
            }
        }
    }
}

/// Takes into account what a message said.
fn remember(message: &Message<'_>, talk: &mut Conversation, side: &mut Side, revision: Option<Revision>, owner: u64) {
    talk.is_begun = true;
    match message.kind {
        Kind::Request => {
            let is_modern = revision.is_some_and(Revision::is_modern);
            if is_modern && talk.phase == Phase::Start {
                talk.revision = revision;
                talk.revision_name = message.meta(meta::PROTOCOL_VERSION).and_then(Value::as_str).map(Into::into);
            }
            let client =
                if is_modern { message.meta(meta::CLIENT_CAPABILITIES).cloned().map(Arc::new) } else { talk.client.clone() };
            if message.method == "initialize" && message.is_from_client() {
                talk.phase = talk.phase.max(Phase::Asked);
                talk.revision = revision;
                talk.revision_name = message.param_text("protocolVersion").map(Into::into);
                talk.client = message.param("capabilities").cloned().map(Arc::new);
            }
            let asked = asked(message, side, revision, client, owner);
            talk.requests(message.stamp.direction).ask(message.id_key(), asked);
        }
        Kind::Notification => notification(message, talk, side, owner),
        Kind::Result | Kind::Error => {}
    }
}

fn asked(message: &Message<'_>, side: &mut Side, revision: Option<Revision>, client: Option<Arc<Value>>, owner: u64) -> Asked {
    let kept = match message.method {
        "elicitation/create" => message.param("requestedSchema").cloned(),
        "subscriptions/listen" => message.param("notifications").cloned(),
        "sampling/createMessage" => None,
        _ => message.param("cursor").or(message.param("uri")).or(message.param("level")).cloned(),
    };
    let name = name_of(message);
    Asked {
        method: message.method.into(),
        name: name.into(),
        sequence: message.stamp.sequence,
        entry: message.entry,
        at: message.stamp.at,
        revision,
        client,
        token: message.meta("progressToken").map(value_key),
        level: message.meta(meta::LOG_LEVEL).and_then(Value::as_str).and_then(log_rank),
        digest: message.params().map_or(0, rules::modern::digest_of_question),
        kept: kept.unwrap_or(Value::Null),
        tool: if message.method == "tools/call" { side.catalog(owner).tools.get(name).cloned() } else { None },
        is_task: message.param("task").is_some_and(Value::is_object),
    }
}

fn notification(message: &Message<'_>, talk: &mut Conversation, side: &mut Side, owner: u64) {
    match message.method {
        "notifications/initialized" if message.is_from_client() => talk.phase = Phase::Ready,
        "notifications/cancelled" => {
            let id = message.param("requestId").map_or(0, value_key);
            talk.requests(message.stamp.direction).cancel(id);
        }
        "notifications/tools/list_changed" => side.catalog(owner).list("tools/list").is_stale = true,
        "notifications/prompts/list_changed" => side.catalog(owner).list("prompts/list").is_stale = true,
        "notifications/resources/list_changed" => {
            side.catalog(owner).list("resources/list").is_stale = true;
            side.catalog(owner).list("resources/templates/list").is_stale = true;
        }
        _ => {}
    }
}

/// The line without its end and a mark at its beginning.
fn trimmed(bytes: &Bytes) -> Bytes {
    let start = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut end = bytes.len();
    while end > start && matches!(bytes[end - 1], b'\n' | b'\r') {
        end -= 1;
    }
    bytes.slice(start..end)
}

/// Who sends messages of a direction.
pub(super) fn sender(direction: Direction) -> &'static str {
    match direction {
        Direction::ToServer => "client",
        Direction::ToClient => "server",
    }
}
