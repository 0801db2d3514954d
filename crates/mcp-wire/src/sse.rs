//! Server-sent events (HTML standard, section 9.2), as far as streamable HTTP uses them.

use bytes::{BufMut as _, Bytes, BytesMut};

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its type; `message` where none was named.
    pub event: Option<String>,
    /// Its data, lines joined by `\n`.
    pub data: String,
    /// Its id.
    pub id: Option<String>,
    /// How long to wait before reconnecting, in milliseconds.
    pub retry: Option<u64>,
}

/// A stream being read. Lines may end with `\n`, `\r\n` or `\r`, and be torn anywhere.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    started: bool,
    event: Event,
    has_data: bool,
    limit: usize,
    is_over: bool,
}

/// An event was over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of more than {limit} bytes")]
pub struct TooLarge {
    /// The limit in bytes.
    pub limit: usize,
}

impl Parser {
    /// A stream whose events may have up to `limit` bytes of data.
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Reads more of the stream; gives the events that are complete now.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            match memchr::memchr2(b'\n', b'\r', bytes) {
                None => {
                    self.take_in(bytes);
                    bytes = &[];
                }
                Some(at) => {
                    self.take_in(&bytes[..at]);
                    self.after_cr = bytes[at] == b'\r';
                    bytes = &bytes[at + 1..];
                    found.extend(self.end_of_line());
                }
            }
            if self.is_over {
                return Err(TooLarge { limit: self.limit });
            }
        }
        Ok(found)
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.is_over |= self.line.len() + self.event.data.len() + bytes.len() > self.limit.saturating_add(64);
        if !self.is_over {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_of_line(&mut self) -> Option<Event> {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.started, true) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            // An event without data is dropped by the standard; one with an id is how 2025-11-25 primes a stream.
            return (std::mem::take(&mut self.has_data) || event.id.is_some() || event.retry.is_some()).then_some(event);
        }
        let text = String::from_utf8_lossy(&line);
        let (field, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event.event = Some(value.to_owned()),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.event.id = Some(value.to_owned()),
            "retry" => self.event.retry = value.parse().ok(),
            // A comment, or a field nobody has yet.
            _ => {}
        }
        None
    }
}

/// An event that carries a message. `data` may have its line end.
pub fn encode(id: Option<&str>, event: Option<&str>, data: &[u8]) -> Bytes {
    let data = data.strip_suffix(b"\n").unwrap_or(data);
    let mut out = BytesMut::with_capacity(data.len() + 48);
    if let Some(event) = event {
        out.put_slice(b"event: ");
        out.put_slice(event.as_bytes());
        out.put_u8(b'\n');
    }
    if let Some(id) = id {
        out.put_slice(b"id: ");
        out.put_slice(id.as_bytes());
        out.put_u8(b'\n');
    }
    out.put_slice(b"data: ");
    out.put_slice(data);
    out.put_slice(b"\n\n");
    out.freeze()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn events_are_the_same_however_the_stream_is_torn() {
        let stream = b"\xef\xbb\xbf: hello\r\nevent: message\r\nid: 1\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\ndata:x\r\rid: 2\nretry: 500\ndata:\n\n";
        let event = |event: Option<&str>, data: &str, id: Option<&str>, retry| Event {
            event: event.map(str::to_owned),
            data: data.to_owned(),
            id: id.map(str::to_owned),
            retry,
        };
        let wanted = [
            event(Some("message"), "{\"a\":\n1}", Some("1"), None),
            event(None, "x", None, None),
            event(None, "", Some("2"), Some(500)),
        ];
        for step in 1..=stream.len() {
            let mut parser = Parser::new(1000);
            let found: Vec<Event> = stream.chunks(step).flat_map(|part| parser.push(part).unwrap()).collect();
            assert_eq!(found, wanted, "step {step}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = encode(Some("s-1"), Some("message"), b"{\"a\":1}\n");
        let found = Parser::new(100).push(&bytes).unwrap();
        assert_eq!((found[0].data.as_str(), found[0].id.as_deref()), ("{\"a\":1}", Some("s-1")));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut parser = Parser::new(100);
        parser.push(b"data: ").unwrap();
        assert!(parser.push(&[b'x'; 500]).is_err());
    }
}
