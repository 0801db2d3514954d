//! Rows and messages as one line of text each, with nothing in them that a terminal would obey.
//!
//! Every screen shows what peers sent through [`visible`]: control characters, escape sequences, marks that turn the
//! direction of writing and characters without width become visible signs.

use std::borrow::Cow;
use std::io;

use mcp_wire::object;

use crate::event::{Direction, Hop};
use crate::exchange::{EndedBy, Row, RowFlags, RowKind};
use crate::file::Type;
use crate::session::Session;

/// Of a payload no more than this is looked at for a line.
const LOOKED_AT: usize = 4096;
/// An argument is shortened to so many characters.
const LONGEST_VALUE: usize = 60;

/// The text with everything made visible that could act on a terminal or deceive a reader.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_hidden(letter) {
            push_sign(letter, &mut out);
        } else {
            out.push(letter);
        }
    }
    Cow::Owned(out)
}

/// The same for bytes; what is no UTF-8 becomes `�`.
pub fn visible_bytes(bytes: &[u8]) -> String {
    visible(&String::from_utf8_lossy(bytes)).into_owned()
}

/// Whether a character is shown as a sign instead.
pub fn is_hidden(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_control();
    }
    matches!(
        u32::from(letter),
        // C1 controls, soft hyphen, Arabic letter mark, combining grapheme joiner, Hangul and Khmer fillers, Mongolian
        // selectors and separator
        0x80..=0x9f | 0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f
        // widths of nothing, direction marks, separators of lines, embeddings, isolates and other format characters
        | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f
        // more fillers, selectors, byte order mark, interlinear marks
        | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb
        // shorthand and musical format characters, tags and further selectors
        | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff
        // private use: glyphs of a font nobody else has
        | 0xe000..=0xf8ff | 0xf0000..=0x0010_ffff
    )
}

fn push_sign(letter: char, out: &mut String) {
    let code = u32::from(letter);
    match code {
        0..=0x1f => out.extend(char::from_u32(0x2400 + code)),
        0x7f => out.push('\u{2421}'),
        _ => out.push_str(&format!("‹U+{code:04X}›")),
    }
}

/// At most so many characters, with `…` where something is missing.
pub fn shortened(text: &str, characters: usize) -> Cow<'_, str> {
    if text.char_indices().nth(characters).is_none() {
        return Cow::Borrowed(text);
    }
    let end = text.char_indices().nth(characters.saturating_sub(1)).map_or(0, |(at, _)| at);
    Cow::Owned(format!("{}…", &text[..end]))
}

/// A time span: `850µs`, `1.3ms`, `12ms`, `1.92s`, `2m 05s`.
pub fn duration(nanos: u64) -> String {
    match nanos {
        0..1_000_000 => format!("{}µs", nanos / 1_000),
        1_000_000..10_000_000 => format!("{}.{}ms", nanos / 1_000_000, nanos % 1_000_000 / 100_000),
        10_000_000..1_000_000_000 => format!("{}ms", nanos / 1_000_000),
        1_000_000_000..60_000_000_000 => {
            let hundredths = nanos / 10_000_000;
            format!("{}.{:02}s", hundredths / 100, hundredths % 100)
        }
        60_000_000_000..3_600_000_000_000 => format!("{}m {:02}s", nanos / 60_000_000_000, nanos / 1_000_000_000 % 60),
        _ => format!("{}h {:02}m", nanos / 3_600_000_000_000, nanos / 60_000_000_000 % 60),
    }
}

/// A size: `812`, `48.2k`, `3.1M`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => bytes.to_string(),
        1_000..1_000_000 => format!("{}.{}k", bytes / 1_000, bytes % 1_000 / 100),
        1_000_000..1_000_000_000 => format!("{}.{}M", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
        _ => format!("{}.{}G", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}

/// How a row ended, in a word or two.
pub fn status(row: &Row) -> String {
    let word = row.status.word();
    let by = match row.ended_by {
        EndedBy::Answer => "",
        EndedBy::Client => " by client",
        EndedBy::Server => " by server",
        EndedBy::Stream => ", stream dropped",
        EndedBy::Left => ", client left",
        EndedBy::Process => ", server ended",
    };
    let late = if row.flags.has(RowFlags::LATE) { ", late answer" } else { "" };
    format!("{word}{by}{late}")
}

/// What a row is about: the method and the name of a call, the text of a line.
pub fn title(session: &Session, row: &Row) -> io::Result<String> {
    let (method, name) = session.index().symbols.get(row.operation);
    Ok(match row.kind {
        RowKind::Operation | RowKind::Notification => {
            let text = if name.is_empty() { method.to_owned() } else { format!("{method} {name}") };
            visible(&text).into_owned()
        }
        RowKind::Answer => "answer without a question".to_owned(),
        RowKind::Stray => format!("stray {}", first_line(session, row.first)?),
        RowKind::Stderr => first_line(session, row.first)?,
        RowKind::Gap => {
            let lost = session.index().get(row.first).map_or(0, |entry| entry.id);
            format!("{lost} records are missing ({} bytes)", size(u64::from(row.sent)))
        }
        RowKind::Other(kind) => event_title(session, row.first, kind)?,
    })
}

/// The arguments of a call on one line, or what a notification brings.
pub fn arguments(session: &Session, row: &Row) -> io::Result<String> {
    if !matches!(row.kind, RowKind::Operation | RowKind::Notification) {
        return Ok(String::new());
    }
    let start = session.payload_start(row.first, LOOKED_AT)?;
    Ok(arguments_of(valid_start(&start)))
}

/// The same of the first bytes of a message.
pub fn arguments_of(message: &str) -> String {
    let Some(params) = object::get(message, "params") else { return String::new() };
    let of = object::get(params, "arguments").unwrap_or(params);
    let mut words = Vec::new();
    let mut room = 4 * LONGEST_VALUE;
    for member in object::members(of) {
        if matches!(&*member.key, "_meta" | "name" | "uri" | "protocolVersion") && of == params {
            continue;
        }
        let value = of.get(member.value_span).unwrap_or_default();
        let text = match value.strip_prefix('"') {
            Some(_) => serde_json::from_str::<String>(value).unwrap_or_else(|_| value.trim_start_matches('"').to_owned()),
            None => value.to_owned(),
        };
        let word = format!("{}={}", shortened(&member.key, LONGEST_VALUE), shortened(&text, LONGEST_VALUE));
        let word = visible(&word).into_owned();
        room = room.saturating_sub(word.len());
        words.push(word);
        if room == 0 {
            words.push("…".to_owned());
            break;
        }
    }
    words.join(" ")
}

/// A row as one line, for `mcp trace tail` and the like.
pub fn line(session: &Session, row: &Row) -> io::Result<String> {
    let from = match (row.kind, row.direction) {
        (RowKind::Stderr, _) => "stderr".to_owned(),
        (RowKind::Other(_) | RowKind::Gap, _) => "mcp".to_owned(),
        (_, Direction::ToClient) => "server".to_owned(),
        (_, Direction::ToServer) if row.hop == Hop::Server => "mcp".to_owned(),
        (_, Direction::ToServer) => visible(&session.peer_name(row.hop)).into_owned(),
    };
    let title = title(session, row)?;
    let arguments = arguments(session, row)?;
    let took = row.duration.map(|nanos| format!(" {}", duration(nanos))).unwrap_or_default();
    let status = if row.kind == RowKind::Operation {
        format!(" {}{took} {}", status(row), size(u64::from(row.received)))
    } else {
        String::new()
    };
    let arguments = if arguments.is_empty() { arguments } else { format!(" {arguments}") };
    Ok(format!("{:>6} {from:<10} {title}{arguments}{status}", row.sequence))
}

fn first_line(session: &Session, at: u32) -> io::Result<String> {
    let start = session.payload_start(at, LOOKED_AT)?;
    let end = memchr::memchr(b'\n', &start).unwrap_or(start.len());
    let text = String::from_utf8_lossy(&start[..end]);
    Ok(visible(&shortened(text.trim_end_matches('\r'), 200)).into_owned())
}

fn event_title(session: &Session, at: u32, kind: Type) -> io::Result<String> {
    use crate::event::{Event, Record};
    let Some((_, record)) = session.record(at)? else { return Ok(String::new()) };
    let text = match record {
        Record::Event(Event::Note(note)) => note.text,
        Record::Event(Event::Peer(peer)) => {
            let name = if peer.name.is_empty() { format!("client {}", peer.peer) } else { peer.name };
            format!("{name} {}", if peer.open { "came" } else { "left" })
        }
        Record::Event(Event::Process(process)) => match (process.started, process.code, process.signal) {
            (true, ..) => format!("server started, process {}", process.pid),
            (false, Some(code), _) => format!("server ended with status {code}"),
            (false, None, Some(signal)) => format!("server was killed by signal {signal}"),
            (false, None, None) => "server ended".to_owned(),
        },
        Record::Event(Event::Http(http)) if http.status > 0 => format!("HTTP {}", http.status),
        Record::Event(Event::Http(http)) => format!("{} {}", http.method, http.path),
        Record::Event(Event::Altered(altered, _)) => format!("{} by {}", altered.what, altered.by),
        _ => format!("{kind:?}").to_lowercase(),
    };
    Ok(visible(&shortened(&text, 200)).into_owned())
}

/// The part of a text cut off anywhere that is whole.
fn valid_start(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_terminal_obeys_is_left() {
        assert_eq!(visible("plain text, äöü, 漢字"), "plain text, äöü, 漢字");
        assert!(matches!(visible("plain"), Cow::Borrowed(_)));
        assert_eq!(visible("\x1b[31mred\x07\r\n\x7f"), "␛[31mred␇␍␊␡");
        assert_eq!(visible("a\u{202e}b\u{200b}c\u{9b}d\u{feff}"), "a‹U+202E›b‹U+200B›c‹U+009B›d‹U+FEFF›");
        for code in 0..=0x0010_ffff {
            let Some(letter) = char::from_u32(code) else { continue };
            assert!(!visible(&letter.to_string()).chars().any(char::is_control), "{code:x}");
        }
    }

    #[test]
    fn arguments_are_short_even_when_the_message_is_cut_off() {
        let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"q":"panic","n":50,"o":{"a":[1,2]},"long":"xxxx"#;
        assert_eq!(arguments_of(message), r#"q=panic n=50 o={"a":[1,2]} long=xxxx"#);
        let long = format!(r#"{{"params":{{"arguments":{{"a":"{}"}}}}}}"#, "y".repeat(100_000));
        assert!(arguments_of(&long).chars().count() < 100);
        assert_eq!(arguments_of(r#"{"params":{"name":"t","uri":"u","_meta":{},"cursor":"c"}}"#), "cursor=c");
        assert_eq!(arguments_of("no json"), "");
    }

    #[test]
    fn spans_and_sizes_are_short() {
        let spans = [850_000, 12_000_000, 1_920_000_000, 125_000_000_000, 7_260_000_000_000].map(duration);
        assert_eq!(spans, ["850µs", "12ms", "1.92s", "2m 05s", "2h 01m"]);
        assert_eq!([812, 48_200, 3_140_000].map(size), ["812", "48.2k", "3.1M"]);
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("abcd", 4), "abcd");
    }
}
