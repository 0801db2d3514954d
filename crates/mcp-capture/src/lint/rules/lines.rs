//! The line a message came in.

use bytes::Bytes;
use mcp_wire::{Frame, NotAFrame};
use serde_json::Value;

use crate::event::{Direction, Flags, Hop, Stamp};
use crate::lint::json::evidence;
use crate::lint::message::Message;
use crate::lint::output::{Output, Place, Said};
use crate::lint::rule::Family::Envelope;
use crate::lint::rule::Severity::{Error, Info, Warning};
use crate::lint::rule::{Revision, Rule};
use crate::lint::state::{Conversation, Pieces};
use crate::text::{shortened, visible_bytes};

static INVALID_JSON: Rule = Rule::new(
    "invalid-json",
    Envelope,
    Error,
    "basic/transports#stdio",
    "A line looks like a message and is no JSON",
    "The receiver cannot know which request the line was about, so it drops it, and whoever waits for an answer waits until \
     its timeout. Some clients end the connection at the first such line.",
);
static INVALID_UTF8: Rule = Rule::new(
    "invalid-utf8",
    Envelope,
    Error,
    "basic/transports",
    "A line is not UTF-8",
    "Messages are UTF-8. A decoder that is strict throws the whole line away or stops reading, one that is not puts other \
     characters in the place of yours, in file names for instance.",
);
static BYTE_ORDER_MARK: Rule = Rule::new(
    "byte-order-mark",
    Envelope,
    Warning,
    "basic/transports#stdio",
    "A line begins with a byte order mark",
    "JSON texts that are sent have none, and most parsers refuse it as the first character, so that the very first message \
     is lost. It comes from writing through a text stream that adds one, on Windows mostly.",
);
static CARRIAGE_RETURN: Rule = Rule::new(
    "carriage-return",
    Envelope,
    Info,
    "basic/transports#stdio",
    "Lines end with a carriage return and a line feed",
    "Messages are ended by a line feed. Most readers take the other one for blank space, some do not, and it costs a byte for \
     each message. It comes from a text mode that translates line ends.",
);
static EMBEDDED_NEWLINE: Rule = Rule::new(
    "embedded-newline",
    Envelope,
    Error,
    "basic/transports#stdio",
    "A message is spread over several lines",
    "On standard input and output a message is one line. JSON that is printed for people has line feeds in it, and each of its \
     lines is an invalid message to the other side.",
);
static NO_FINAL_NEWLINE: Rule = Rule::new(
    "no-final-newline",
    Envelope,
    Warning,
    "basic/transports#stdio",
    "The last message has no line end",
    "A reader of lines waits for the end of the line. It sees such a message only when the stream is closed, or never.",
);
static STRAY_OUTPUT: Rule = Rule::new(
    "stray-output",
    Envelope,
    Error,
    "basic/transports#stdio",
    "The server writes text to its standard output that is no message",
    "Standard output carries messages and nothing else. A banner or a forgotten print makes strict clients drop the \
     connection, and lenient ones log an error for each line. Standard error is the place for it.",
);
static BATCH: Rule = Rule::new(
    "batch-not-allowed",
    Envelope,
    Error,
    "basic",
    "Several messages are sent as one array",
    "Only revision 2025-03-26 has batches. In all others a receiver takes the array for an invalid message, and all requests \
     in it stay without an answer.",
);
static EMPTY_BATCH: Rule = Rule::new(
    "empty-batch",
    Envelope,
    Error,
    "basic",
    "An array without messages is sent",
    "JSON-RPC calls an empty batch an invalid request: it asks for nothing, and is answered with an error that belongs to \
     no request.",
)
.since(Revision::R2025_03)
.until(Revision::R2025_03);
static INITIALIZE_IN_BATCH: Rule = Rule::new(
    "initialize-in-batch",
    Envelope,
    Error,
    "basic/lifecycle",
    "`initialize` is part of a batch",
    "Nothing else can be said before it is answered, also because a server that speaks another revision does not know batches.",
)
.since(Revision::R2025_03)
.until(Revision::R2025_03);
static MESSAGE_SHAPE: Rule = Rule::new(
    "no-message",
    Envelope,
    Error,
    "basic",
    "JSON is sent that is neither request, notification nor answer",
    "A message has `method`, or `result`, or `error`, and an id that is a string or an integer. Anything else is refused or \
     ignored without a word, and who sent it waits in vain.",
);
static BOTH: Rule = Rule::new(
    "result-and-error",
    Envelope,
    Error,
    "basic",
    "An answer has a result and an error",
    "It says that it went well and that it did not. Which of both a client believes depends on the library it is made with.",
);
static ID_NULL: Rule = Rule::new(
    "id-null",
    Envelope,
    Error,
    "basic",
    "A request has the id null",
    "JSON-RPC allows it, this protocol does not: the answer could not be told apart from an error about a message nobody could \
     read. Libraries take such a request for a notification, and never answer.",
);
static ID_TYPE: Rule = Rule::new(
    "id-type",
    Envelope,
    Error,
    "basic",
    "An id is neither a string nor an integer",
    "Ids are compared by both sides. Fractions are rounded by some, and objects or booleans do not fit the tables the \
     requests are kept in: the answer does not find its question.",
);
static DUPLICATE_MEMBER: Rule = Rule::new(
    "duplicate-member",
    Envelope,
    Error,
    "basic",
    "A member occurs twice in an object",
    "Parsers keep the first, the last, or refuse it. Two programs on the way then see two different messages, which is how a \
     check that is done by one of them is passed by.",
);

pub(super) static RULES: &[&Rule] = &[
    &INVALID_JSON,
    &INVALID_UTF8,
    &BYTE_ORDER_MARK,
    &CARRIAGE_RETURN,
    &EMBEDDED_NEWLINE,
    &NO_FINAL_NEWLINE,
    &STRAY_OUTPUT,
    &BATCH,
    &EMPTY_BATCH,
    &INITIALIZE_IN_BATCH,
    &MESSAGE_SHAPE,
    &BOTH,
    &ID_NULL,
    &ID_TYPE,
    &DUPLICATE_MEMBER,
];

/// Lines that may be one message are kept up to so many bytes.
const LONGEST_PIECES: usize = 256 * 1024;

fn put(rule: &'static Rule, place: Place, talk: &Conversation, out: &mut Output, message: &str, line: &[u8]) {
    let evidence = visible_bytes(&line[..line.len().min(200)]);
    out.put(rule, talk.revision, place, &Said { message: message.to_owned(), evidence, ..Said::default() });
}

/// Looks at a line as it came.
pub(in crate::lint) fn bytes(line: &Bytes, place: Place, stamp: &Stamp, talk: &mut Conversation, out: &mut Output) {
    if line.starts_with(b"\xef\xbb\xbf") {
        put(&BYTE_ORDER_MARK, place, talk, out, "the line begins with the bytes EF BB BF", line);
    }
    if line.ends_with(b"\r\n") && talk.is_first(CARRIAGE_RETURN.id) {
        put(&CARRIAGE_RETURN, place, talk, out, "lines end with CR and LF", line);
    }
    if stamp.flags.has(Flags::NO_NEWLINE) && !line.is_empty() {
        put(&NO_FINAL_NEWLINE, place, talk, out, "the stream ended within the line", line);
    }
}

/// Looks at a line that is no message.
pub(in crate::lint) fn no_message(line: &Bytes, place: Place, talk: &mut Conversation, out: &mut Output, is_whole: bool) {
    let Ok(text) = std::str::from_utf8(line) else {
        flush(talk, out, place.hop);
        put(&INVALID_UTF8, place, talk, out, "the line has bytes that are not UTF-8", line);
        return;
    };
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value.is_object() => {
            flush(talk, out, place.hop);
            object(&value, place, talk, out, line);
        }
        parsed => {
            let may_be_message = text.trim_start().starts_with(['{', '[']);
            let is_piece = !is_whole && (!talk.pieces.lines.is_empty() || (may_be_message && parsed.is_err_and(|e| e.is_eof())));
            if is_piece && talk.pieces.text.len() + text.len() < LONGEST_PIECES {
                piece(text, place, talk, out, may_be_message);
                return;
            }
            flush(talk, out, place.hop);
            alone(text, place, talk, out, may_be_message || is_whole);
        }
    }
}

/// A line that is nothing but itself.
fn alone(text: &str, place: Place, talk: &Conversation, out: &mut Output, may_be_message: bool) {
    let line = text.as_bytes();
    // An envelope member that occurs twice makes a line no message, and is told as what it is.
    if let Some(name) = text.starts_with('{').then(|| doubled(text)).flatten() {
        put(&DUPLICATE_MEMBER, place, talk, out, &format!("`{name}` occurs twice"), line);
    } else if may_be_message || place.direction == Direction::ToServer {
        put(&INVALID_JSON, place, talk, out, "the line is no JSON", line);
    } else {
        put(&STRAY_OUTPUT, place, talk, out, "the line is no message", line);
    }
}

fn doubled(text: &str) -> Option<String> {
    let (_, twice) = crate::lint::json::parse(text).ok()?;
    twice.into_iter().next()
}

fn piece(text: &str, place: Place, talk: &mut Conversation, out: &mut Output, may_be_message: bool) {
    talk.pieces.text.push_str(text);
    talk.pieces.text.push('\n');
    talk.pieces.lines.push((place.entry, place.sequence, place.direction, may_be_message));
    let end = text.trim_end().ends_with(['}', ']']);
    if end && serde_json::from_str::<serde::de::IgnoredAny>(&talk.pieces.text).is_ok() {
        let Pieces { text, lines } = std::mem::take(&mut talk.pieces);
        let (entry, sequence, direction, _) = lines[0];
        let place = Place { entry, sequence, direction, hop: place.hop };
        let related: Vec<u64> = lines.iter().skip(1).map(|line| line.1).take(20).collect();
        let message = format!("a message is spread over {} lines", lines.len());
        let evidence = shortened(&text.replace('\n', "␊"), 160).into_owned();
        out.put(&EMBEDDED_NEWLINE, talk.revision, place, &Said { message, evidence, related: &related, ..Said::default() });
    }
}

/// What was taken for pieces of a message is none.
pub(in crate::lint) fn flush(talk: &mut Conversation, out: &mut Output, hop: Hop) {
    if talk.pieces.lines.is_empty() {
        return;
    }
    let Pieces { text, lines } = std::mem::take(&mut talk.pieces);
    for (line, (entry, sequence, direction, may_be_message)) in text.lines().zip(lines) {
        alone(line, Place { entry, sequence, hop, direction }, talk, out, may_be_message);
    }
}

/// An object that is no message.
fn object(value: &Value, place: Place, talk: &Conversation, out: &mut Output, line: &[u8]) {
    let has = |key: &str| value.get(key).is_some();
    if has("result") && has("error") {
        put(&BOTH, place, talk, out, "the answer has `result` and `error`", line);
    } else if let Some(name) = doubled(std::str::from_utf8(line).unwrap_or_default()).filter(|name| !name.contains('.')) {
        put(&DUPLICATE_MEMBER, place, talk, out, &format!("`{name}` occurs twice"), line);
    } else if has("method") && value.get("id").is_some_and(Value::is_null) {
        put(&ID_NULL, place, talk, out, "`id` is null", line);
    } else if value.get("id").is_some_and(|id| !id.is_string() && !id.is_number() && !id.is_null()) {
        put(&ID_TYPE, place, talk, out, "`id` must be a string or an integer", line);
    } else {
        put(&MESSAGE_SHAPE, place, talk, out, "the object is no request, no notification and no answer", line);
    }
}

/// Several messages in one.
pub(in crate::lint) fn batch(all: &[Result<Frame, NotAFrame>], place: Place, talk: &Conversation, out: &mut Output) {
    if talk.revision != Some(Revision::R2025_03) && !(talk.revision.is_none() && talk.has_gap) {
        let message = match talk.revision {
            Some(revision) => format!("{} messages in an array, which {revision} does not have", all.len()),
            None => format!("{} messages in an array before a revision was agreed on", all.len()),
        };
        out.put(&BATCH, talk.revision, place, &Said { message, ..Said::default() });
    } else if all.is_empty() {
        out.put(&EMPTY_BATCH, talk.revision, place, &Said { message: "the array is empty".to_owned(), ..Said::default() });
    }
    if all.iter().flatten().any(|frame| frame.method() == "initialize") {
        let message = "`initialize` is one of several messages".to_owned();
        // The revision is not agreed on yet; the one that has batches is the one that forbids this.
        out.put(&INITIALIZE_IN_BATCH, Some(Revision::R2025_03), place, &Said { message, ..Said::default() });
    }
}

/// A member that occurs a second time in a message.
pub(in crate::lint) fn twice(path: &str, message: &Message<'_>, talk: &Conversation, out: &mut Output) {
    let place = Place::of(message.entry, &message.stamp);
    let said = Said {
        subject: message.method,
        path,
        message: format!("`{path}` occurs twice"),
        evidence: evidence(&Value::Null).replace("null", ""),
        related: &[],
    };
    out.put(&DUPLICATE_MEMBER, talk.revision, place, &said);
}

/// A fraction, or a number with an exponent, as an id.
pub(super) fn id_is_fraction(id: &str) -> bool {
    !id.starts_with('"') && id.contains(['.', 'e', 'E'])
}

/// For the rule about types of ids where the message is one otherwise.
pub(super) fn id_type() -> &'static Rule {
    &ID_TYPE
}
