//! Finding the envelope of a message and checking that all of it is JSON, in one pass.
//!
//! Only what is certain is said here: whoever gets `None` asks `serde_json`, which then decides and finds the words for what is
//! wrong. So this may refuse what is valid but never seen, such as escapes in the envelope's keys, and must not accept what
//! `serde_json` would not. A fuzz target holds the two against each other.
//!
//! The pass exists because most bytes of large messages lie in strings. Those are looked at 64 at a time, in a loop that the
//! compiler turns into vector instructions: `serde_json` takes 6.5 ms for ten megabytes.

use std::ops::Range;

/// Where the members of an envelope lie. Keys that are not its own are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans {
    pub(crate) id: Option<Range<usize>>,
    pub(crate) method: Option<Range<usize>>,
    pub(crate) params: Option<Range<usize>>,
    pub(crate) result: Option<Range<usize>>,
    pub(crate) error: Option<Range<usize>>,
}

/// The envelope of an object that is the whole text, apart from blanks around it. The text has to be UTF-8.
pub(crate) fn envelope(text: &[u8]) -> Option<Spans> {
    let mut spans = Spans::default();
    let mut at = blank(text, 0);
    if *text.get(at)? != b'{' {
        return None;
    }
    at = blank(text, at + 1);
    if text.get(at) == Some(&b'}') {
        return (blank(text, at + 1) == text.len()).then_some(spans);
    }
    loop {
        if *text.get(at)? != b'"' {
            return None;
        }
        let key_end = string(text, at + 1)?;
        let key = &text[at + 1..key_end - 1];
        if memchr::memchr(b'\\', key).is_some() {
            return None;
        }
        let value = after_colon(text, key_end)?;
        at = skip(text, value)?;
        let slot = match key {
            b"id" => Some(&mut spans.id),
            b"method" => Some(&mut spans.method),
            b"params" => Some(&mut spans.params),
            b"result" => Some(&mut spans.result),
            b"error" => Some(&mut spans.error),
            _ => None,
        };
        if slot.is_some_and(|slot| slot.replace(value..at).is_some()) {
            return None;
        }
        at = blank(text, at);
        match text.get(at)? {
            b',' => at = blank(text, at + 1),
            b'}' => return (blank(text, at + 1) == text.len()).then_some(spans),
            _ => return None,
        }
    }
}

/// A response of which only the beginning has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// Where its id lies.
    pub id: Range<usize>,
    /// Where its result begins.
    pub result: usize,
}

/// The beginning of a response whose result has begun and is an object. None where anything else came before the result than
/// an id and members that are not the envelope's own: then the message has to be there as a whole.
pub fn beginning(text: &[u8]) -> Option<Beginning> {
    let mut id = None;
    let mut at = blank(text, 0);
    if *text.get(at)? != b'{' {
        return None;
    }
    at = blank(text, at + 1);
    loop {
        if *text.get(at)? != b'"' {
            return None;
        }
        let key_end = string(text, at + 1)?;
        let value = after_colon(text, key_end)?;
        match &text[at + 1..key_end - 1] {
            b"result" => {
                let is_text = std::str::from_utf8(&text[..value]).is_ok();
                return (is_text && *text.get(value)? == b'{').then_some(Beginning { id: id?, result: value });
            }
            b"method" | b"params" | b"error" => return None,
            key if memchr::memchr(b'\\', key).is_some() => return None,
            key => {
                at = skip(text, value)?;
                if key == b"id" && id.replace(value..at).is_some() {
                    return None;
                }
            }
        }
        at = blank(text, at);
        if *text.get(at)? != b',' {
            return None;
        }
        at = blank(text, at + 1);
    }
}

/// Nested deeper than this is left to `serde_json`.
const DEPTH: u32 = 128;

/// Behind the value that begins at `at`.
fn skip(text: &[u8], mut at: usize) -> Option<usize> {
    // One bit for each open container, the innermost last: whether it is an object.
    let mut open = 0_u128;
    let mut depth = 0;
    loop {
        match *text.get(at)? {
            b'"' => at = string(text, at + 1)?,
            begin @ (b'{' | b'[') => {
                let is_object = begin == b'{';
                at = blank(text, at + 1);
                if *text.get(at)? == if is_object { b'}' } else { b']' } {
                    at += 1;
                } else {
                    if depth == DEPTH {
                        return None;
                    }
                    depth += 1;
                    open = open << 1 | u128::from(is_object);
                    if is_object {
                        at = member(text, at)?;
                    }
                    continue;
                }
            }
            b't' => at = literal(text, at, b"true")?,
            b'f' => at = literal(text, at, b"false")?,
            b'n' => at = literal(text, at, b"null")?,
            b'-' | b'0'..=b'9' => at = number(text, at)?,
            _ => return None,
        }
        loop {
            if depth == 0 {
                return Some(at);
            }
            at = blank(text, at);
            let is_object = open & 1 == 1;
            match *text.get(at)? {
                b',' => {
                    at = blank(text, at + 1);
                    if is_object {
                        at = member(text, at)?;
                    }
                    break;
                }
                b'}' if is_object => {}
                b']' if !is_object => {}
                _ => return None,
            }
            at += 1;
            depth -= 1;
            open >>= 1;
        }
    }
}

/// From a key to its value.
fn member(text: &[u8], at: usize) -> Option<usize> {
    if *text.get(at)? != b'"' {
        return None;
    }
    after_colon(text, string(text, at + 1)?)
}

fn after_colon(text: &[u8], at: usize) -> Option<usize> {
    let colon = blank(text, at);
    (*text.get(colon)? == b':').then(|| blank(text, colon + 1))
}

fn literal(text: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    text[at..].starts_with(word).then_some(at + word.len())
}

fn number(text: &[u8], mut at: usize) -> Option<usize> {
    if text[at] == b'-' {
        at += 1;
    }
    match *text.get(at)? {
        b'0' => at += 1,
        b'1'..=b'9' => at = digits(text, at),
        _ => return None,
    }
    if text.get(at) == Some(&b'.') {
        let end = digits(text, at + 1);
        if end == at + 1 {
            return None;
        }
        at = end;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let end = digits(text, at + 1 + sign);
        if end == at + 1 + sign {
            return None;
        }
        at = end;
    }
    Some(at)
}

fn digits(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

fn blank(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Behind the closing quote of a string, from behind its opening quote.
fn string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = plain_end(text, at);
        match *text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => {
                at += match *text.get(at + 1)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                    b'u' if text.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => 6,
                    _ => return None,
                };
            }
            // A control character.
            _ => return None,
        }
    }
}

/// Whether a byte of a string needs a look.
fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// The first byte from here on that needs a look, or the end.
fn plain_end(text: &[u8], mut at: usize) -> usize {
    // Most strings are short, and most pieces between escapes: eight bytes in one word come first.
    for _ in 0..4 {
        let Some(word) = text.get(at..at + 8).and_then(|word| word.try_into().ok()).map(u64::from_le_bytes) else {
            return at + text[at..].iter().position(|b| is_special(*b)).unwrap_or(text.len() - at);
        };
        let special = special_in(word);
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = &text[at..];
    for block in rest.chunks_exact(64) {
        // No early exit: that is what lets the compiler look at all of them at once.
        if block.iter().fold(false, |found, byte| found | is_special(*byte)) {
            break;
        }
        at += 64;
    }
    at + text[at..].iter().position(|b| is_special(*b)).unwrap_or(text.len() - at)
}

/// The high bit of each byte that needs a look; bytes above the lowest such one may be marked without need.
fn special_in(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let has_zero = |x: u64| x.wrapping_sub(ONES) & !x;
    let is_control = word.wrapping_sub(ONES * 0x20) & !word;
    (is_control | has_zero(word ^ (ONES * u64::from(b'"'))) | has_zero(word ^ (ONES * u64::from(b'\\')))) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_is_json(value: &str) -> bool {
        let text = format!("{{\"x\":{value}}}");
        envelope(text.as_bytes()).is_some()
    }

    #[test]
    fn values_are_json_exactly_when_serde_says_so() {
        let long = "y".repeat(200);
        let mut values: Vec<String> = [
            "0",
            "-0",
            "01",
            "-",
            "1.",
            "1.5",
            ".5",
            "1e",
            "1e5",
            "1E+5",
            "1e-",
            "-1.25e-10",
            "12345678901234567890123",
            "true",
            "tru",
            "truee",
            "false",
            "null",
            "nul",
            "\"\"",
            "\"a",
            "\"\\n\"",
            "\"\\x\"",
            "\"\\u12aF\"",
            "\"\\u12g4\"",
            "\"\\u1\"",
            "\"\\ud800\"",
            "[]",
            "[ ]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1,2]",
            "{}",
            "{ }",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1 , \"a\":2}",
            "{a:1}",
            "[{]}",
            "[[[]]]",
            "{\"a\":[{\"b\":[]}]}",
            "]",
            "}",
            "",
            "1 1",
            "+1",
            "NaN",
            "'a'",
            "\"\u{1}\"",
            "\"\u{7f}\"",
            "\"é\u{2028}\"",
        ]
        .map(str::to_owned)
        .into();
        for at in [0, 1, 7, 8, 31, 32, 33, 63, 64, 100, 190] {
            for special in ["\\\"", "\\", "\u{1f}", "\u{1}", "!", "#", "[", "]", "é", "\\u0000"] {
                values.push(format!("\"{}{special}{}\"", &long[..at], &long[at..]));
            }
        }
        for value in values {
            let text = format!("{{\"x\":{value}}}");
            let serde = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            assert_eq!(value_is_json(&value), serde, "{value:?}");
        }
    }

    #[test]
    fn what_is_not_certain_is_left_to_serde() {
        for text in [r#"{"\u0069d":1}"#, r#"{"id":1,"id":2}"#, "[]", "{", "", r#"{"a":1}x"#, "{,}"] {
            assert_eq!(envelope(text.as_bytes()), None, "{text}");
        }
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(envelope(deep.as_bytes()), None);
    }

    #[test]
    fn the_beginning_of_a_response_is_known_as_soon_as_its_result_has_begun() {
        let text = r#" {"jsonrpc" : "2.0","x":[1,{"result":2}] , "id": 71, "result" :{"a":1"#;
        let found = beginning(text.as_bytes()).unwrap();
        assert_eq!((&text[found.id], &text[found.result..]), ("71", r#"{"a":1"#));
        let begins = text.find(r#"{"a"#).unwrap();
        for end in 0..text.len() {
            assert_eq!(beginning(&text.as_bytes()[..end]).is_some(), end > begins, "{end}");
        }
        for other in [
            r#"{"result":{"id":1},"id":1"#,
            r#"{"id":1,"error":{"code":1"#,
            r#"{"id":1,"method":"x","result":{"#,
            r#"{"id":1,"id":2,"result":{"#,
            r#"{"\u0069d":1,"id":2,"result":{"#,
            r#"{"id":1,"result":[1"#,
            r#"[{"id":1,"result":{"#,
            r#"{"id":1,"params":{},"result":{"#,
            "{}",
            "\u{feff}{\"id\":1,\"result\":{",
        ] {
            assert_eq!(beginning(other.as_bytes()), None, "{other}");
        }
        assert_eq!(beginning(b"{\"x\":\"\xff\",\"id\":1,\"result\":{"), None);
    }

    #[test]
    fn spans_are_where_the_members_are() {
        let text = r#" { "result" : {"id":[1,{"method":"x"}]} , "id" : 7, "jsonrpc":"2.0" } "#;
        let spans = envelope(text.as_bytes()).unwrap_or_default();
        assert_eq!(spans.result.map(|s| &text[s]), Some(r#"{"id":[1,{"method":"x"}]}"#));
        assert_eq!(spans.id.map(|s| &text[s]), Some("7"));
        assert_eq!((spans.method, spans.params, spans.error), (None, None, None));
    }
}
