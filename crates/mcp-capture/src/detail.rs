//! One operation in full, and rows and messages as JSON: the values behind `mcp trace`, its exports and its server.
//!
//! Messages keep their digits and the order of their members: they are passed on as text that is known to be JSON.

use std::borrow::Cow;
use std::io;

use bytes::Bytes;
use mcp_wire::object;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::event::{Direction, Flags, Hop, Record, Stamp};
use crate::exchange::{EndedBy, Row, RowFlags, RowKind};
use crate::file::Type;
use crate::scan::Class;
use crate::session::Session;
use crate::text;
use crate::when;

/// A message of an operation, or another record.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its entry in the index.
    pub entry: u32,
    /// When, where, which way.
    pub stamp: Stamp,
    /// What the record is.
    pub kind: Type,
    /// What the message is.
    pub class: Class,
    /// Its exact bytes; of other records their JSON.
    pub bytes: Bytes,
    /// How many bytes it had, of which some may not have been kept.
    pub length: u64,
}

impl Message {
    /// Reads an entry. `None`: it is none that holds anything, such as a message of a batch.
    pub fn read(session: &Session, at: u32) -> io::Result<Option<Self>> {
        let Some(entry) = session.index().get(at).filter(|entry| !entry.is_element) else { return Ok(None) };
        let bytes = match session.record(at)? {
            Some((_, Record::Frame(bytes, _) | Record::Stderr(bytes))) => bytes,
            Some(_) => session.payload(at)?.unwrap_or_default(),
            None => return Ok(None),
        };
        let length = u64::from(entry.length);
        Ok(Some(Self { entry: at, stamp: entry.stamp, kind: entry.kind, class: entry.class, bytes, length }))
    }

    /// The text without its line end, if it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok().map(|text| text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']))
    }

    /// The text if it is JSON.
    pub fn json(&self) -> Option<&str> {
        self.text().filter(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
    }

    /// A value in it, as it is spelt.
    pub fn get(&self, path: &[&str]) -> Option<&str> {
        object::get_path(self.text()?, path)
    }

    /// What it is in a word.
    pub fn word(&self) -> &'static str {
        match (self.kind, self.class) {
            (Type::Frame, Class::Request) => "request",
            (Type::Frame, Class::Notification) => "notification",
            (Type::Frame, Class::Result) => "result",
            (Type::Frame, Class::Error) => "error",
            (Type::Frame, Class::Batch) => "batch",
            (Type::Frame, Class::None) => "stray",
            (kind, _) => kind_word(kind),
        }
    }

    /// As JSON shows it.
    pub fn view(&self, session: &Session) -> MessageView {
        let message = if self.kind == Type::Stderr { None } else { self.text().and_then(raw) };
        let text = if message.is_some() { None } else { Some(String::from_utf8_lossy(&self.bytes).into_owned()) };
        MessageView {
            number: self.stamp.sequence,
            time: when::rfc3339(unix_ms(session, self.stamp.at)),
            at_us: self.stamp.at / 1_000,
            hop: hop_word(self.stamp.hop),
            direction: direction_word(self.stamp.direction),
            kind: self.word(),
            bytes: self.length,
            flags: flag_words(self.stamp.flags),
            message,
            text,
        }
    }
}

/// An operation, or another row, with everything that belongs to it.
#[derive(Clone, Debug)]
pub struct Detail {
    /// The row.
    pub row: Row,
    /// All its messages in order, the first and the last included.
    pub messages: Vec<Message>,
}

impl Detail {
    /// Reads a row.
    pub fn of(session: &Session, row: &Row) -> io::Result<Self> {
        let mut messages = Vec::new();
        for at in session.rows().entries(row.number) {
            messages.extend(Message::read(session, at)?);
        }
        Ok(Self { row: *row, messages })
    }

    /// The row the record with this number belongs to.
    pub fn find(session: &Session, sequence: u64) -> io::Result<Option<Self>> {
        let row = session.find(sequence).and_then(|at| session.rows().of_entry(at));
        match row.and_then(|row| session.rows().get(session.index(), row)) {
            Some(row) => Self::of(session, &row).map(Some),
            None => Ok(None),
        }
    }

    /// What it began with.
    pub fn request(&self) -> Option<&Message> {
        self.messages.iter().find(|message| message.entry == self.row.first)
    }

    /// What it ended with, if that is an answer.
    pub fn answer(&self) -> Option<&Message> {
        let end = self.row.end?;
        self.messages.iter().find(|message| message.entry == end && message.class.is_response())
    }

    /// What belongs to it besides.
    pub fn children(&self) -> impl Iterator<Item = &Message> {
        let ends = self.answer().map(|answer| answer.entry);
        self.messages.iter().filter(move |message| message.entry != self.row.first && Some(message.entry) != ends)
    }

    /// The arguments of a tool or prompt, else all parameters.
    pub fn arguments(&self) -> Option<&str> {
        let request = self.request()?;
        request.get(&["params", "arguments"]).or_else(|| request.get(&["params"]))
    }

    /// The result, or the error.
    pub fn outcome(&self) -> Option<&str> {
        let answer = self.answer()?;
        answer.get(&["result"]).or_else(|| answer.get(&["error"]))
    }

    /// As JSON shows it.
    pub fn view(&self, session: &Session) -> io::Result<DetailView> {
        let value = |path: &[&str], message: Option<&Message>| message.and_then(|message| message.get(path)).and_then(raw);
        Ok(DetailView {
            row: RowView::of(session, &self.row)?,
            id: value(&["id"], self.request()),
            arguments: self.arguments().and_then(raw),
            result: value(&["result"], self.answer()),
            error: value(&["error"], self.answer()),
            messages: self.messages.iter().map(|message| message.view(session)).collect(),
        })
    }
}

/// A row as JSON shows it.
#[derive(Debug, Serialize)]
pub struct RowView {
    /// The number of its first record, by which it is asked for.
    pub number: u64,
    /// When it began.
    pub time: String,
    /// Microseconds since the session began.
    pub at_us: u64,
    /// `operation`, `notification`, …
    pub kind: &'static str,
    /// The method.
    pub method: Option<String>,
    /// The tool, prompt, URI or task.
    pub name: Option<String>,
    /// The client.
    pub client: Option<String>,
    /// `client` or `server`.
    pub hop: &'static str,
    /// `to-server` or `to-client`.
    pub direction: &'static str,
    /// How it stands.
    pub status: Option<&'static str>,
    /// Who ended it without an answer.
    pub ended_by: Option<&'static str>,
    /// Microseconds from its beginning to its end.
    pub duration_us: Option<u64>,
    /// Bytes that went the way of the request.
    pub sent: u32,
    /// Bytes that came back.
    pub received: u32,
    /// `late`, `stderr`, …
    pub flags: Vec<&'static str>,
    /// What it is about in one line.
    pub title: String,
}

impl RowView {
    /// Of a row.
    pub fn of(session: &Session, row: &Row) -> io::Result<Self> {
        let (method, name) = session.index().symbols.get(row.operation);
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Self {
            number: row.sequence,
            time: when::rfc3339(unix_ms(session, row.at)),
            at_us: row.at / 1_000,
            kind: row_word(row.kind),
            method: some(method),
            name: some(name),
            client: if row.hop == Hop::Server { None } else { some(&session.peer_name(row.hop)) },
            hop: hop_word(row.hop),
            direction: direction_word(row.direction),
            status: Some(row.status.word()).filter(|word| !word.is_empty()),
            ended_by: match row.ended_by {
                EndedBy::Answer => None,
                EndedBy::Client => Some("client"),
                EndedBy::Server => Some("server"),
                EndedBy::Stream => Some("stream"),
                EndedBy::Left => Some("left"),
                EndedBy::Process => Some("process"),
            },
            duration_us: row.duration.map(|nanos| nanos / 1_000),
            sent: row.sent,
            received: row.received,
            flags: row_flag_words(row.flags),
            title: text::title(session, row)?,
        })
    }
}

/// An operation as JSON shows it.
#[derive(Debug, Serialize)]
pub struct DetailView {
    /// The row.
    #[serde(flatten)]
    pub row: RowView,
    /// The id as it is spelt.
    pub id: Option<Box<RawValue>>,
    /// The arguments.
    pub arguments: Option<Box<RawValue>>,
    /// The result.
    pub result: Option<Box<RawValue>>,
    /// The error.
    pub error: Option<Box<RawValue>>,
    /// All its messages in order.
    pub messages: Vec<MessageView>,
}

/// A message as JSON shows it.
#[derive(Debug, Serialize)]
pub struct MessageView {
    /// Its number.
    pub number: u64,
    /// When.
    pub time: String,
    /// Microseconds since the session began.
    pub at_us: u64,
    /// `client` or `server`.
    pub hop: &'static str,
    /// `to-server` or `to-client`.
    pub direction: &'static str,
    /// `request`, `result`, `stderr`, …
    pub kind: &'static str,
    /// Its bytes.
    pub bytes: u64,
    /// `redacted`, `truncated`, …
    pub flags: Vec<&'static str>,
    /// The message, digits and order as they came.
    pub message: Option<Box<RawValue>>,
    /// The text of what is no JSON.
    pub text: Option<String>,
}

/// Milliseconds since 1970 of a moment of the session.
pub fn unix_ms(session: &Session, at: u64) -> u64 {
    session.header().started_ms + at / 1_000_000
}

/// JSON in one line, as text within other JSON.
fn raw(json: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(one_line(json).into_owned()).ok()
}

/// Raw line breaks between tokens become blanks; in strings JSON has none.
pub fn one_line(json: &str) -> Cow<'_, str> {
    if memchr::memchr2(b'\n', b'\r', json.as_bytes()).is_none() {
        Cow::Borrowed(json)
    } else {
        json.replace(['\n', '\r'], " ").into()
    }
}

/// JSON with every character escaped that a terminal would obey: to a reader of JSON it is the same.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let is_odd = |letter: char| text::is_hidden(letter) && !matches!(letter, '\n' | '\r' | '\t');
    if !json.chars().any(is_odd) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 64);
    for letter in json.chars() {
        if is_odd(letter) {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(letter);
        }
    }
    Cow::Owned(out)
}

/// A row's kind in a word.
pub fn row_word(kind: RowKind) -> &'static str {
    match kind {
        RowKind::Operation => "operation",
        RowKind::Notification => "notification",
        RowKind::Answer => "answer",
        RowKind::Stray => "stray",
        RowKind::Stderr => "stderr",
        RowKind::Gap => "gap",
        RowKind::Other(kind) => kind_word(kind),
    }
}

fn kind_word(kind: Type) -> &'static str {
    match kind {
        Type::Header => "header",
        Type::Frame => "frame",
        Type::Stderr => "stderr",
        Type::Http => "http",
        Type::Peer => "peer",
        Type::Process => "process",
        Type::Note => "note",
        Type::Mark => "mark",
        Type::Altered => "altered",
        Type::Gap => "gap",
        Type::Footer => "footer",
        Type::Unknown(_) => "unknown",
    }
}

fn hop_word(hop: Hop) -> &'static str {
    if hop == Hop::Server { "server" } else { "client" }
}

fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::ToServer => "to-server",
        Direction::ToClient => "to-client",
    }
}

fn flag_words(flags: Flags) -> Vec<&'static str> {
    const WORDS: [(Flags, &str); 11] = [
        (Flags::NOT_A_MESSAGE, "no-message"),
        (Flags::NO_NEWLINE, "no-newline"),
        (Flags::TRUNCATED, "truncated"),
        (Flags::REDACTED, "redacted"),
        (Flags::ALTERED, "altered"),
        (Flags::INJECTED, "injected"),
        (Flags::HELD, "held"),
        (Flags::DROPPED, "dropped"),
        (Flags::IS_ERROR, "error"),
        (Flags::INPUT_REQUIRED, "input"),
        (Flags::TASK, "task"),
    ];
    WORDS.iter().filter(|(flag, _)| flags.has(*flag)).map(|(_, word)| *word).collect()
}

fn row_flag_words(flags: RowFlags) -> Vec<&'static str> {
    const WORDS: [(RowFlags, &str); 11] = [
        (RowFlags::LATE, "late"),
        (RowFlags::DUPLICATE, "duplicate"),
        (RowFlags::NESTED, "nested"),
        (RowFlags::STDERR, "stderr"),
        (RowFlags::STRAY, "stray"),
        (RowFlags::LINT, "lint"),
        (RowFlags::HELD, "held"),
        (RowFlags::ALTERED, "altered"),
        (RowFlags::RETRIED, "retried"),
        (RowFlags::GAP, "gap"),
        (RowFlags::DROPPED, "dropped"),
    ];
    WORDS.iter().filter(|(flag, _)| flags.has(*flag)).map(|(_, word)| *word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_for_a_terminal_means_the_same() {
        let hostile = "{\"a\":\"\u{9b}31m \u{202e}x\u{7f} \u{e0001}\"}\n";
        let safe = visible_json(hostile);
        assert_eq!(safe, "{\"a\":\"\\u009b31m \\u202ex\\u007f \\udb40\\udc01\"}\n");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("it is JSON");
        assert_eq!(value(&safe), value(hostile));
        assert!(matches!(visible_json("{\"a\": \"ü\"}"), Cow::Borrowed(_)));
    }
}
