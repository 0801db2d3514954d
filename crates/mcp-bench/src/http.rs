//! The head of an HTTP/1.1 message: only what decides how long the message is, and the headers asked for by name.

/// A head, and what it says about the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// The first line.
    pub first: &'a [u8],
    lines: &'a [u8],
    /// How long the head is, with its empty line.
    pub length: usize,
}

impl<'a> Head<'a> {
    /// The head at the beginning of some bytes, once it is whole.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
        let head = &bytes[..end + 2];
        let first = memchr::memmem::find(head, b"\r\n")?;
        Some(Self { first: &head[..first], lines: &head[first + 2..], length: end + 4 })
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let mut rest = self.lines;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            if line.len() > name.len() && line[name.len()] == b':' && line[..name.len()].eq_ignore_ascii_case(name.as_bytes()) {
                return Some(line[name.len() + 1..].trim_ascii());
            }
        }
        None
    }

    /// The length of the body, where it is given.
    pub fn content_length(&self) -> Option<usize> {
        self.header("content-length").and_then(crate::json::number).and_then(|length| usize::try_from(length).ok())
    }

    /// Whether the body comes in chunks.
    pub fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"))
    }

    /// Whether the body is a stream of events.
    pub fn is_event_stream(&self) -> bool {
        self.header("content-type").is_some_and(|value| value.starts_with(b"text/event-stream"))
    }

    /// The status of an answer.
    pub fn status(&self) -> u16 {
        let digits = self.first.get(9..12).unwrap_or_default();
        crate::json::number(digits).and_then(|status| u16::try_from(status).ok()).unwrap_or(0)
    }
}

/// What a chunked body has so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunked {
    /// It goes on.
    Partial,
    /// It is whole; so many bytes of the input belong to it.
    Whole(usize),
    /// These are no chunks.
    Broken,
}

/// Appends the content of the chunks to `body`. `from` is how far earlier calls came with the same input; it is 0 at the
/// beginning, when `body` is emptied, and again at the end: a large answer that comes in many parts is gone through once.
pub fn unchunk(bytes: &[u8], from: &mut usize, body: &mut Vec<u8>) -> Chunked {
    if *from == 0 {
        body.clear();
    }
    loop {
        let rest = &bytes[*from..];
        let Some(end) = memchr::memmem::find(rest, b"\r\n") else { return Chunked::Partial };
        let size = rest[..end].split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(size).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size) = size else { return Chunked::Broken };
        let begin = end + 2;
        if size == 0 {
            // Trailers, which nobody sends, would stand before this line end.
            return match rest.get(begin..begin + 2) {
                None => Chunked::Partial,
                Some(b"\r\n") => Chunked::Whole(std::mem::take(from) + begin + 2),
                Some(_) => Chunked::Broken,
            };
        }
        let Some(chunk) = rest.get(begin..begin + size + 2) else { return Chunked::Partial };
        body.extend_from_slice(&chunk[..size]);
        *from += begin + size + 2;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn head_is_read_whatever_the_case_of_its_names() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 12\r\nContent-Type: text/event-stream; x\r\n\r\nbody";
        let head = Head::parse(text).unwrap();
        assert_eq!((head.status(), head.content_length(), head.length), (200, Some(12), text.len() - 4));
        assert!(head.is_event_stream() && !head.is_chunked());
        assert_eq!(Head::parse(&text[..text.len() - 5]), None);
    }

    #[test]
    fn chunks_are_joined_once_the_last_has_come() {
        let text = b"3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\nnext";
        let mut body = Vec::new();
        let mut from = 0;
        for end in 0..text.len() - 4 {
            assert_eq!(unchunk(&text[..end], &mut from, &mut body), Chunked::Partial, "{end}");
        }
        assert_eq!(unchunk(text, &mut from, &mut body), Chunked::Whole(text.len() - 4));
        assert_eq!(body, b"abcde");
        assert_eq!(unchunk(b"zz\r\n", &mut 0, &mut body), Chunked::Broken);
    }
}
