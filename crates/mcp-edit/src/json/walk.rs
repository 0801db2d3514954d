//! Finding one's way in a text that is known to be well-formed.

use std::borrow::Cow;
use std::ops::Range;

use crate::Value;

/// Values nested deeper than this are not turned into a [`Value`], whose own code is recursive.
pub(super) const DEEPEST: usize = 128;

/// A well-formed text and its shortcuts.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    pub(super) text: &'a str,
    /// See [`super::scan::Scan::long`]; may be empty.
    pub(super) long: &'a [(usize, usize)],
}

/// A member of an object or an element of a list.
#[derive(Clone, Debug)]
pub(super) struct Child {
    /// The key with its quotes; `None` in a list.
    pub(super) key: Option<Range<usize>>,
    pub(super) value: Range<usize>,
    /// The comma that follows, however far away.
    pub(super) comma: Option<usize>,
}

impl Child {
    /// Where the key, or the element, starts.
    pub(super) fn start(&self) -> usize {
        self.key.as_ref().map_or(self.value.start, |key| key.start)
    }
}

/// An object or a list, and where its children are.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) open: usize,
    /// Of the closing bracket.
    pub(super) close: usize,
    pub(super) children: Vec<Child>,
}

/// What stands between a place and the end of its line, as far as it is spaces and comments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    /// After the last comment; the place itself when there is none.
    pub(super) comments: usize,
    /// Where something else comes: a line break, a token, the end.
    pub(super) stop: usize,
    /// Whether that is a line break (or the end of the text).
    pub(super) line_ends: bool,
    /// Whether one of the comments is a `//` comment.
    pub(super) line_comment: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, long: &[] }
    }

    pub(super) fn byte(self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// Over white space and comments.
    pub(super) fn trivia(self, mut at: usize) -> usize {
        while let Some(b' ' | b'\t' | b'\n' | b'\r' | b'/') = self.byte(at) {
            at = if self.byte(at) == Some(b'/') { self.comment_end(at) } else { at + 1 };
        }
        at
    }

    pub(super) fn comment_end(self, at: usize) -> usize {
        let rest = &self.text.as_bytes()[at..];
        let end = match rest.get(1) {
            Some(b'*') => memchr::memmem::find(&rest[2..], b"*/").map(|i| i + 4),
            _ => memchr::memchr2(b'\n', b'\r', rest),
        };
        end.map_or(self.text.len(), |i| at + i)
    }

    /// Over spaces and tabs.
    pub(super) fn blanks(self, mut at: usize) -> usize {
        while let Some(b' ' | b'\t') = self.byte(at) {
            at += 1;
        }
        at
    }

    /// Back over spaces and tabs.
    pub(super) fn blanks_back(self, mut at: usize) -> usize {
        while at > 0 && matches!(self.byte(at - 1), Some(b' ' | b'\t')) {
            at -= 1;
        }
        at
    }

    pub(super) fn rest_of_line(self, at: usize) -> Rest {
        let mut rest = Rest { comments: at, stop: at, line_ends: false, line_comment: false };
        loop {
            rest.stop = self.blanks(rest.stop);
            match self.byte(rest.stop) {
                Some(b'/') => {
                    rest.line_comment |= self.byte(rest.stop + 1) == Some(b'/');
                    rest.stop = self.comment_end(rest.stop);
                    rest.comments = rest.stop;
                }
                other => {
                    rest.line_ends = matches!(other, None | Some(b'\n' | b'\r'));
                    return rest;
                }
            }
        }
    }

    fn string_end(self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = start + 1;
        loop {
            match memchr::memchr2(b'"', b'\\', &bytes[at..]) {
                Some(i) if bytes[at + i] == b'"' => return at + i + 1,
                Some(i) => at += i + 2,
                None => return bytes.len(),
            }
        }
    }

    /// Where the value that starts here ends.
    pub(super) fn value_end(self, start: usize) -> usize {
        match self.byte(start) {
            Some(b'"') => self.string_end(start),
            Some(b'{' | b'[') => self.container_end(start),
            _ => {
                let mut at = start;
                while self.byte(at).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) {
                    at += 1;
                }
                at
            }
        }
    }

    fn container_end(self, start: usize) -> usize {
        if let Ok(i) = self.long.binary_search_by_key(&start, |(open, _)| *open) {
            return self.long[i].1;
        }
        let mut depth = 0usize;
        let mut at = start;
        loop {
            match self.byte(at) {
                Some(b'"') => at = self.string_end(at),
                Some(b'/') => at = self.comment_end(at),
                Some(b'{' | b'[') => {
                    depth += 1;
                    at += 1;
                }
                Some(b'}' | b']') => {
                    depth -= 1;
                    at += 1;
                    if depth == 0 {
                        return at;
                    }
                }
                Some(_) => at += 1,
                None => return at,
            }
        }
    }

    /// The object or list that starts here; `None` for any other value.
    pub(super) fn container(self, open: usize) -> Option<Container> {
        let object = match self.byte(open)? {
            b'{' => true,
            b'[' => false,
            _ => return None,
        };
        let mut children = Vec::new();
        let mut at = self.trivia(open + 1);
        while !matches!(self.byte(at), None | Some(b'}' | b']')) {
            let key = object.then(|| at..self.string_end(at));
            if let Some(key) = &key {
                at = self.trivia(self.trivia(key.end) + 1);
            }
            let value = at..self.value_end(at);
            at = self.trivia(value.end);
            let comma = (self.byte(at) == Some(b',')).then_some(at);
            if comma.is_some() {
                at = self.trivia(at + 1);
            }
            children.push(Child { key, value, comma });
        }
        Some(Container { open, close: at, children })
    }

    /// The meaning of a string that stands in the text with its quotes.
    pub(super) fn string(self, span: &Range<usize>) -> Cow<'a, str> {
        let inner = &self.text[span.start + 1..span.end - 1];
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() { Cow::Borrowed(inner) } else { Cow::Owned(unescape(inner)) }
    }

    /// What the value at this offset means; `Err` with the offset where it is nested too deep.
    pub(super) fn value(self, start: usize) -> Result<Value, usize> {
        self.value_at(start, DEEPEST)
    }

    fn value_at(self, start: usize, levels: usize) -> Result<Value, usize> {
        let end = || self.value_end(start);
        Ok(match self.byte(start) {
            Some(b'"') => Value::String(self.string(&(start..end())).into_owned()),
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Null,
            Some(b'{' | b'[') if levels == 0 => return Err(start),
            Some(b'{') => Value::Object(
                self.children(start)
                    .map(|c| {
                        Ok((self.string(&c.key.unwrap_or_default()).into_owned(), self.value_at(c.value.start, levels - 1)?))
                    })
                    .collect::<Result<_, usize>>()?,
            ),
            Some(b'[') => {
                Value::Array(self.children(start).map(|c| self.value_at(c.value.start, levels - 1)).collect::<Result<_, _>>()?)
            }
            _ => Value::Number(self.text[start..end()].into()),
        })
    }

    fn children(self, open: usize) -> impl Iterator<Item = Child> {
        self.container(open).into_iter().flat_map(|c| c.children)
    }

    /// Whether the container that starts here holds nothing, not even a comment.
    pub(super) fn is_bare(self, open: usize) -> bool {
        let bytes = self.text.as_bytes().iter().skip(open + 1);
        matches!(bytes.copied().find(|b| !b.is_ascii_whitespace()), Some(b'}' | b']'))
    }

    /// A reader's word for the value that starts here.
    pub(super) fn kind(self, start: usize) -> &'static str {
        match self.byte(start) {
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            _ => "a number",
        }
    }

    /// The first key that stands a second time in its object, in this value or anywhere below.
    pub(super) fn duplicate(self, start: usize) -> Option<(usize, String)> {
        let mut seen = std::collections::HashSet::new();
        for child in self.children(start) {
            if let Some(key) = child.key {
                let name = self.string(&key);
                if !seen.insert(name.clone()) {
                    return Some((key.start, name.into_owned()));
                }
            }
            if let Some(found) = self.duplicate(child.value.start) {
                return Some(found);
            }
        }
        None
    }

    /// The start of the line a place is on, after a byte order mark.
    pub(super) fn line_start(self, at: usize) -> usize {
        match memchr::memrchr2(b'\n', b'\r', &self.text.as_bytes()[..at]) {
            Some(i) => i + 1,
            None if self.text.starts_with('\u{feff}') => '\u{feff}'.len_utf8().min(at),
            None => 0,
        }
    }

    /// The spaces and tabs the line of a place starts with.
    pub(super) fn indent(self, at: usize) -> &'a str {
        let start = self.line_start(at);
        &self.text[start..self.blanks(start).min(at)]
    }

    /// Whether only spaces and tabs stand before a place on its line.
    pub(super) fn starts_line(self, at: usize) -> bool {
        self.blanks_back(at) == self.line_start(at)
    }

    /// The line break in front of a line start.
    pub(super) fn break_before(self, line_start: usize) -> usize {
        let before = &self.text[..line_start];
        if before.ends_with("\r\n") { line_start - 2 } else { line_start - usize::from(before.ends_with(['\n', '\r'])) }
    }
}

/// Decodes the escapes of a well-formed string. A lone half of a surrogate pair becomes U+FFFD.
fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(i) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..i]);
        let (letter, after) = (rest.as_bytes()[i + 1], &rest[i + 2..]);
        rest = after;
        out.push(match letter {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = hex(after);
                rest = &after[4..];
                let low = rest.strip_prefix("\\u").map_or(0, hex);
                if (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low) {
                    rest = &rest[6..];
                    char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).unwrap_or(char::REPLACEMENT_CHARACTER)
                } else {
                    char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER)
                }
            }
            other => char::from(other),
        });
    }
    out.push_str(rest);
    out
}

fn hex(digits: &str) -> u32 {
    u32::from_str_radix(&digits[..4], 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_half_pairs_replaced() {
        assert_eq!(unescape(r"mcp\u0053ervers"), "mcpServers");
        assert_eq!(unescape(r#"\"\\\/\b\f\n\r\t"#), "\"\\/\u{8}\u{c}\n\r\t");
        assert_eq!(unescape(r"\ud83d\uDE00!"), "\u{1f600}!");
        assert_eq!(unescape(r"\ud83d\u0041 \udE00"), "\u{fffd}A \u{fffd}");
        assert_eq!(unescape(r"\ud83d"), "\u{fffd}");
    }
}
