//! New bytes from old ones with a few places replaced.

use std::ops::Range;

use bytes::{Buf as _, BufMut, Bytes, BytesMut};

/// `bytes` with each range replaced by its text, and one line end. The ranges lie in order and do not overlap. Raw line
/// breaks inside the message, which JSON allows between tokens and standard input and output do not, become blanks.
pub fn splice(bytes: &[u8], edits: &[(Range<usize>, &str)]) -> Bytes {
    let grown: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut out = BytesMut::with_capacity(bytes.len() + grown + 1);
    let mut from = 0;
    for (range, text) in edits {
        out.put_slice(&bytes[from..range.start]);
        out.put_slice(text.as_bytes());
        from = range.end;
    }
    out.put_slice(&bytes[from..]);
    end_line(out)
}

/// The same for one text that is no longer than what it replaces: what stands before moves up, and nothing is copied.
pub(crate) fn shorten_in_place(mut bytes: BytesMut, range: Range<usize>, text: &str) -> Bytes {
    let gap = range.len() - text.len();
    bytes[range.end - text.len()..range.end].copy_from_slice(text.as_bytes());
    bytes.copy_within(..range.start, gap);
    bytes.advance(gap);
    end_line(bytes)
}

fn end_line(mut out: BytesMut) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &out).is_some() {
        for byte in &mut out[..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
    out.put_u8(b'\n');
    out.freeze()
}

/// Edits gathered in any order.
#[derive(Clone, Debug, Default)]
pub struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces a place.
    pub fn replace(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.0.push((range, text.into()));
    }

    /// Cuts the members with these keys out of the object that lies at `span` of `text`.
    pub fn remove_members(&mut self, text: &str, span: Range<usize>, is_unwanted: impl Fn(&str) -> bool) {
        for cut in crate::object::removals(&text[span.clone()], is_unwanted) {
            self.replace(span.start + cut.start..span.start + cut.end, "");
        }
    }

    /// Puts members, such as `"a":1,"b":2`, at the end of the object that lies at `span` of `text`. Do not use it together
    /// with [`Self::remove_members`] on one object whose members may all go.
    pub fn add_members(&mut self, text: &str, span: Range<usize>, members: &str) {
        if members.is_empty() {
            return;
        }
        if let Some((at, comma)) = crate::object::insertion(&text[span.clone()]) {
            let at = span.start + at;
            self.replace(at..at, if comma { format!(",{members}") } else { members.to_owned() });
        }
    }

    /// The text with all edits made, without a line end.
    pub fn text(self, text: &str) -> String {
        String::from_utf8_lossy(self.apply(text.as_bytes()).trim_ascii_end()).into_owned()
    }

    /// The bytes with all edits made, and one line end.
    pub fn apply(mut self, bytes: &[u8]) -> Bytes {
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        let edits: Vec<(Range<usize>, &str)> = self.0.iter().map(|(range, text)| (range.clone(), text.as_str())).collect();
        splice(bytes, &edits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_places_change() {
        let text = r#"{"id":1,"big":12345678901234567890123,"x":1e2}"#;
        assert_eq!(
            splice(text.as_bytes(), &[(6..7, "\"abc\"")]),
            &b"{\"id\":\"abc\",\"big\":12345678901234567890123,\"x\":1e2}\n"[..]
        );
        let mut edits = Edits::new();
        edits.add_members(text, 0..text.len(), "\"y\":2");
        edits.remove_members(text, 0..text.len(), |k| k == "big");
        assert_eq!(edits.apply(text.as_bytes()), &b"{\"id\":1,\"x\":1e2,\"y\":2}\n"[..]);
    }

    #[test]
    fn in_place_or_copied_the_bytes_are_the_same() {
        for (range, text) in [(6..13, "7"), (6..13, "1234567"), (6..13, ""), (0..1, "")] {
            let bytes = BytesMut::from(&b"{\"id\":4711471,\r\"x\":1}"[..]);
            let copied = splice(&bytes, &[(range.clone(), text)]);
            assert_eq!(shorten_in_place(bytes, range, text), copied);
        }
    }

    #[test]
    fn raw_line_breaks_become_blanks() {
        assert_eq!(splice(b"{\r\n\"a\":1\n}", &[]), &b"{  \"a\":1 }\n"[..]);
    }
}
