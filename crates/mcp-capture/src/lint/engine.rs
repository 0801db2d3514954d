//! The pass: each record is made a message, shown to the rules with what is known of its conversation, and then remembered.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use mcp_wire::methods::{log_rank, meta};
use mcp_wire::{Frame, Kind, NotAFrame, object};
use serde_json::Value;

use crate::event::{Direction, Event, Flags, Header, Hop, Record, Stamp};
use crate::lint::json;
use crate::lint::message::{Message, value_key};
use crate::lint::output::{Look, Output, Place, name_of};
use crate::lint::profile::Profile;
use crate::lint::rule::Revision;
use crate::lint::rules;
use crate::lint::state::{Asked, Conversation, Phase, Recent, Side};
use crate::scan::{Class, scan_beginning};

/// So many conversations are remembered; a modern HTTP client may be a new one with each request.
const CONVERSATIONS: usize = 4096;

#[derive(Debug)]
pub(super) struct Engine {
    out: Output,
    talks: HashMap<Hop, Conversation>,
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
            talks: HashMap::new(),
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
    }

    pub(super) fn record(&mut self, entry: u32, stamp: &Stamp, record: &Record) {
        let place = Place::of(entry, stamp);
        match record {
            Record::Header(header) => self.begin(header),
            Record::Frame(bytes, _) => self.frame(entry, stamp, bytes),
            Record::Gap(_) => {
                self.has_gap = true;
                self.talks.values_mut().for_each(|talk| talk.has_gap = true);
            }
            Record::Event(Event::Peer(peer)) => {
                let hop = Hop::Client(peer.peer);
                if peer.open {
                    self.fresh.insert(hop);
                } else if let Some(mut talk) = self.talks.remove(&hop) {
                    rules::end(&mut talk, &mut self.out, hop);
                }
                if let (Some(talk), Some(revision)) = (self.talks.get_mut(&hop), Revision::of(&peer.revision)) {
                    talk.revision = talk.revision.or(Some(revision));
                }
            }
            Record::Event(Event::Process(process)) if process.started => {
                self.fresh.insert(Hop::Server);
                // A new process knows nothing of what was said to the one before.
                if self.talks.get(&Hop::Server).is_some_and(|talk| talk.is_begun) {
                    self.talks.remove(&Hop::Server);
                }
            }
            Record::Event(Event::Http(http)) => {
                let side = &mut self.sides[usize::from(stamp.hop == Hop::Server)];
                let talk = self.talks.entry(stamp.hop).or_default();
                rules::http::head(http, place, talk, side, &mut self.out);
            }
            Record::Footer(footer) if !footer.continues => self.finish(),
            _ => {}
        }
    }

    pub(super) fn finish(&mut self) {
        if std::mem::replace(&mut self.is_finished, true) {
            return;
        }
        let mut hops: Vec<Hop> = self.talks.keys().copied().collect();
        hops.sort_unstable();
        for hop in hops {
            if let Some(mut talk) = self.talks.remove(&hop) {
                rules::end(&mut talk, &mut self.out, hop);
            }
        }
    }

    fn frame(&mut self, entry: u32, stamp: &Stamp, bytes: &Bytes) {
        // What nobody was told is nobody's fault.
        if stamp.flags.has(Flags::DROPPED) {
            return;
        }
        let place = Place::of(entry, stamp);
        rules::http::transport(&std::mem::take(&mut self.transport), place, &mut self.out);
        if self.talks.len() >= CONVERSATIONS && !self.talks.contains_key(&stamp.hop) {
            self.talks.clear();
            self.has_gap = true;
        }
        let has_gap = self.has_gap || (self.may_be_late && !self.fresh.contains(&stamp.hop));
        self.talks.entry(stamp.hop).or_insert_with(|| Conversation { has_gap, ..Conversation::default() });
        if stamp.flags.has(Flags::TRUNCATED) {
            self.beginning(entry, stamp, bytes);
            return;
        }
        let talk = self.talks.get_mut(&stamp.hop).expect("it was put there above");
        if !self.is_http {
            rules::lines::bytes(bytes, place, stamp, talk, &mut self.out);
        }
        let line = trimmed(bytes);
        if line.is_empty() {
            return;
        }
        match Frame::parse(line.clone()) {
            Ok(frame) => {
                rules::lines::flush(talk, &mut self.out, stamp.hop);
                self.message(entry, stamp, &frame);
            }
            Err(NotAFrame::Batch) => {
                rules::lines::flush(talk, &mut self.out, stamp.hop);
                let all = Frame::split_batch(&line);
                rules::lines::batch(&all, place, talk, &mut self.out);
                for (frame, span) in all.into_iter().zip(object::elements(std::str::from_utf8(&line).unwrap_or_default())) {
                    match frame {
                        Ok(frame) => self.message(entry, stamp, &frame),
                        Err(_) => {
                            if let Some(talk) = self.talks.get_mut(&stamp.hop) {
                                rules::lines::no_message(&line.slice(span), place, talk, &mut self.out, true);
                            }
                        }
                    }
                }
            }
            Err(_) => rules::lines::no_message(&line, place, talk, &mut self.out, self.is_http),
        }
    }

    /// A message of which only the beginning was kept.
    fn beginning(&mut self, entry: u32, stamp: &Stamp, bytes: &Bytes) {
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
        self.judge(&message);
    }

    fn message(&mut self, entry: u32, stamp: &Stamp, frame: &Frame) {
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
        if let Some(talk) = self.talks.get_mut(&stamp.hop) {
            for path in twice {
                rules::lines::twice(&path, &message, talk, &mut self.out);
            }
        }
        self.judge(&message);
    }

    fn judge(&mut self, message: &Message<'_>) {
        let hop = message.stamp.hop;
        let side = &mut self.sides[usize::from(hop == Hop::Server)];
        let talk = self.talks.get_mut(&hop).expect("a conversation is begun before its message is judged");
        let asked = if message.kind.is_response() && !message.id.is_empty() {
            talk.requests(message.stamp.direction.reversed()).answer(message.id_key())
        } else {
            None
        };
        let own = message.meta(meta::PROTOCOL_VERSION).and_then(Value::as_str);
        let revision = match message.kind {
            Kind::Request => match own {
                Some(name) => Revision::of(name),
                None if message.method == "initialize" => message.param_text("protocolVersion").and_then(Revision::of),
                None => talk.revision,
            },
            Kind::Notification => talk.revision,
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
        let owner = if is_modern { 0 } else { hop.peer() };
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
            let revision_name = name_revision.or_else(|| self.talks.get(&hop).and_then(|talk| talk.revision_name.clone()));
            self.sides[usize::from(hop == Hop::Server)].remember(Recent {
                sequence: message.stamp.sequence,
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
        }
    }
}

/// Takes into account what a message said.
fn remember(message: &Message<'_>, talk: &mut Conversation, side: &mut Side, revision: Option<Revision>, owner: u32) {
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

fn asked(message: &Message<'_>, side: &mut Side, revision: Option<Revision>, client: Option<Arc<Value>>, owner: u32) -> Asked {
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

fn notification(message: &Message<'_>, talk: &mut Conversation, side: &mut Side, owner: u32) {
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
