//! One strict pass over the whole text: every syntax error is found here, so that what walks the text afterwards need
//! not look for any.

use std::cell::Cell;
use std::ops::Range;

use crate::{Laxness, Problem};

/// What the pass leaves behind. No tree: only the root and the shortcuts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Where the root value stands; `None` in a text of white space and comments.
    pub(super) root: Option<Range<usize>>,
    /// Start and end of the containers that are [`LONG`], by start: a walk steps over them without reading them again.
    pub(super) long: Vec<(usize, usize)>,
    /// Where the text is more than strict JSON.
    pub(super) lax: Laxness,
}

/// Containers of this many bytes are worth a shortcut.
const LONG: usize = 1024;

/// Reads the whole text. Nesting is kept in a list, not on the call stack, so it may be as deep as the text is long.
pub(super) fn scan(text: &str) -> Result<Scan, Problem> {
    Scanner::new(text).document()
}

/// True when `text` is one JSON number and nothing else.
pub(crate) fn is_number(text: &str) -> bool {
    let scanner = Scanner::new(text);
    matches!(text.as_bytes().first(), Some(b'-' | b'0'..=b'9')) && scanner.number(0).is_ok_and(|end| end == text.len())
}

/// The first byte from `at` on that ends or interrupts the plain part of a string: a quote, a backslash or a control
/// character. The length of the text when there is none.
fn interruption(bytes: &[u8], mut at: usize) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // Eight bytes at a time: subtracting with borrow sets the high bit of a byte below the subtrahend. A borrow can only
    // spoil the bytes above the first hit, and the first hit is all we ask for.
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        let quote = word ^ (LOW * u64::from(b'"'));
        let backslash = word ^ (LOW * u64::from(b'\\'));
        let hit = (quote.wrapping_sub(LOW) & !quote)
            | (backslash.wrapping_sub(LOW) & !backslash)
            | (word.wrapping_sub(LOW * 0x20) & !word);
        if hit & HIGH != 0 {
            return at + ((hit & HIGH).trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|b| !matches!(b, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}

struct Scanner<'t> {
    text: &'t str,
    bytes: &'t [u8],
    /// Told by the cold paths, which have no other way to.
    lax: Cell<Laxness>,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, bytes: text.as_bytes(), lax: Cell::default() }
    }

    fn document(&self) -> Result<Scan, Problem> {
        let start = self.trivia(if self.text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 })?;
        if start == self.bytes.len() {
            return Ok(Scan { lax: self.lax.get(), ..Scan::default() });
        }
        let mut long = Vec::new();
        // Where each container we are in starts. Its first byte says which kind it is.
        let mut open: Vec<usize> = Vec::new();
        let mut at = start;
        'value: loop {
            match self.bytes.get(at) {
                Some(b'"') => at = self.string(at)?,
                Some(b'{') => {
                    open.push(at);
                    at = self.trivia(at + 1)?;
                    if self.bytes.get(at) != Some(&b'}') {
                        at = self.key(at, "a key in double quotes or `}`", &open)?;
                        continue 'value;
                    }
                }
                Some(b'[') => {
                    open.push(at);
                    at = self.trivia(at + 1)?;
                    if self.bytes.get(at) != Some(&b']') {
                        continue 'value;
                    }
                }
                Some(b'-' | b'0'..=b'9') => at = self.number(at)?,
                Some(b't') => at = self.word(at, "true")?,
                Some(b'f') => at = self.word(at, "false")?,
                Some(b'n') => at = self.word(at, "null")?,
                _ => return Err(self.unexpected(at, "a value", &open)),
            }
            loop {
                let Some(&container) = open.last() else { break 'value };
                let object = self.bytes[container] == b'{';
                let closer = if object { b'}' } else { b']' };
                at = self.trivia(at)?;
                if self.bytes.get(at) == Some(&b',') {
                    let comma = at;
                    at = self.trivia(at + 1)?;
                    if self.bytes.get(at) == Some(&closer) {
                        self.noted(|lax| &mut lax.trailing_comma, comma);
                    } else {
                        if object {
                            at = self.key(at, "a key in double quotes", &open)?;
                        }
                        continue 'value;
                    }
                }
                if self.bytes.get(at) != Some(&closer) {
                    let wanted = if object { "`,` or `}`" } else { "`,` or `]`" };
                    return Err(self.unexpected(at, wanted, &open));
                }
                at += 1;
                open.pop();
                if at - container >= LONG {
                    long.push((container, at));
                }
            }
        }
        let end = at;
        at = self.trivia(at)?;
        if at < self.bytes.len() {
            return Err(self.unexpected(at, "the end of the file", &open));
        }
        long.sort_unstable();
        Ok(Scan { root: Some(start..end), long, lax: self.lax.get() })
    }

    /// From a key to where its value starts.
    fn key(&self, at: usize, wanted: &str, open: &[usize]) -> Result<usize, Problem> {
        if self.bytes.get(at) != Some(&b'"') {
            return Err(self.unexpected(at, wanted, open));
        }
        let at = self.trivia(self.string(at)?)?;
        if self.bytes.get(at) != Some(&b':') {
            return Err(self.unexpected(at, "`:`", open));
        }
        self.trivia(at + 1)
    }

    /// Over white space and comments.
    #[inline]
    fn trivia(&self, mut at: usize) -> Result<usize, Problem> {
        loop {
            match self.bytes.get(at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => at += 1,
                Some(b'/') => at = self.comment(at)?,
                _ => return Ok(at),
            }
        }
    }

    /// Remembers the first of a kind.
    #[cold]
    fn noted(&self, slot: impl Fn(&mut Laxness) -> &mut Option<usize>, at: usize) {
        let mut lax = self.lax.get();
        slot(&mut lax).get_or_insert(at);
        self.lax.set(lax);
    }

    #[cold]
    fn comment(&self, at: usize) -> Result<usize, Problem> {
        self.noted(|lax| &mut lax.comment, at);
        let rest = &self.bytes[at..];
        match rest.get(1) {
            Some(b'/') => Ok(memchr::memchr2(b'\n', b'\r', rest).map_or(self.bytes.len(), |i| at + i)),
            Some(b'*') => memchr::memmem::find(&rest[2..], b"*/")
                .map(|i| at + 2 + i + 2)
                .ok_or_else(|| Problem::syntax(self.text, at, "this comment is never closed")),
            _ => Err(Problem::syntax(self.text, at, "a lone `/`: a comment starts with `//` or `/*`")),
        }
    }

    fn string(&self, start: usize) -> Result<usize, Problem> {
        let mut at = start + 1;
        loop {
            at = interruption(self.bytes, at);
            match self.bytes.get(at) {
                Some(b'"') => return Ok(at + 1),
                Some(b'\\') => at = self.escape(at)?,
                Some(b'\n' | b'\r') | None => {
                    return Err(Problem::syntax(self.text, start, "this string is not closed on its line"));
                }
                Some(_) => {
                    return Err(Problem::syntax(self.text, at, "a control character in a string must be written as an escape"));
                }
            }
        }
    }

    fn escape(&self, at: usize) -> Result<usize, Problem> {
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') if self.bytes.get(at + 2..at + 6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => Ok(at + 6),
            _ => Err(Problem::syntax(self.text, at, "no such escape in JSON")),
        }
    }

    fn digits(&self, mut at: usize) -> Result<usize, Problem> {
        let start = at;
        while self.bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at == start { Err(self.unexpected(at, "a digit", &[])) } else { Ok(at) }
    }

    fn number(&self, start: usize) -> Result<usize, Problem> {
        let mut at = if self.bytes[start] == b'-' { start + 1 } else { start };
        if self.bytes.get(at) == Some(&b'0') {
            at += 1;
        } else {
            at = self.digits(at)?;
        }
        if self.bytes.get(at) == Some(&b'.') {
            at = self.digits(at + 1)?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(at) {
            let signed = matches!(self.bytes.get(at + 1), Some(b'+' | b'-'));
            at = self.digits(at + 1 + usize::from(signed))?;
        }
        if self.bytes.get(at).is_some_and(u8::is_ascii_alphanumeric) {
            return Err(Problem::syntax(self.text, start, "this is not a number as JSON writes it"));
        }
        Ok(at)
    }

    fn word(&self, at: usize, word: &str) -> Result<usize, Problem> {
        let end = at + word.len();
        let whole = self.bytes[at..].starts_with(word.as_bytes())
            && !self.bytes.get(end).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        if whole { Ok(end) } else { Err(self.unexpected(at, "a value", &[])) }
    }

    #[cold]
    fn unexpected(&self, at: usize, wanted: &str, open: &[usize]) -> Problem {
        let message = match (self.text[at..].chars().next(), open.last()) {
            (Some(found), _) => format!("expected {wanted}, found `{}`", found.escape_debug()),
            (None, Some(&container)) => {
                let kind = if self.bytes[container] == b'{' { "object" } else { "list" };
                let line = crate::Place::of(self.text, container).line;
                format!("the file ends inside the {kind} that starts on line {line}")
            }
            (None, None) => format!("expected {wanted}, found the end of the file"),
        };
        Problem::syntax(self.text, at, message)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails here says where")]
mod tests {
    use super::*;

    fn error_at(text: &str) -> usize {
        scan(text).unwrap_err().place.unwrap().offset
    }

    #[test]
    fn what_is_json_with_comments_is_accepted() {
        for text in [
            "",
            "\u{feff}",
            " \r\n\t// only a comment",
            "/**/",
            "{}",
            "[ ]",
            "\u{feff}{\"a\" /*x*/ : // y\n [1, -0, 0.5, 1e9, 1E+9, 12.25e-3,],}",
            r#""\"\\\/\b\f\n\r\t\u00fF \ud800 é""#,
            "true",
            " null // end",
            "12345678901234567890123",
            "[{}, [], {\"a\": [[[]]]}]",
        ] {
            assert!(scan(text).is_ok(), "{text:?}: {:?}", scan(text));
        }
    }

    #[test]
    fn what_is_not_is_refused_where_it_stands() {
        for (text, offset) in [
            ("{", 1),
            ("[1", 2),
            ("{,}", 1),
            ("[,]", 1),
            ("[1,,2]", 3),
            ("[1 2]", 3),
            ("{\"a\" 1}", 5),
            ("{\"a\": }", 6),
            ("{a: 1}", 1),
            ("{'a': 1}", 1),
            ("{\"a\": 1]", 7),
            ("[1}", 2),
            ("{} {}", 3),
            ("}", 0),
            ("tru", 0),
            ("trueish", 0),
            ("nul", 0),
            ("01", 0),
            ("+1", 0),
            (".5", 0),
            ("1.", 2),
            ("-", 1),
            ("1e", 2),
            ("[NaN]", 1),
            ("0x10", 0),
            ("\"abc", 0),
            ("\"a\nb\"", 0),
            ("\"a\tb\"", 2),
            ("\"aaaaaaaaaaaaaaaa\u{1}\"", 17),
            ("\"\\x\"", 1),
            ("\"\\u12g4\"", 1),
            ("\"\\u12", 1),
            ("{} /* open", 3),
            ("{} / x", 3),
            ("{\"a\": 1}\u{feff}", 8),
            ("[1,\u{a0}2]", 3),
        ] {
            assert_eq!(error_at(text), offset, "{text:?}: {:?}", scan(text));
        }
    }

    #[test]
    fn a_million_levels_are_only_a_long_list() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(scan(&deep).unwrap().root, Some(0..2_000_000));
        let open = "{\"a\":".repeat(1_000_000);
        assert_eq!(scan(&open).unwrap_err().place.unwrap().offset, open.len());
    }

    #[test]
    fn only_long_containers_get_a_shortcut() {
        let text = format!("[[1], [\"{}\"], 3]", "x".repeat(LONG));
        assert_eq!(scan(&text).unwrap().long, [(0, text.len()), (6, text.len() - 4)]);
    }
}
