//! Cutting a byte stream into lines, the framing of standard input and output (specification, basic/transports/stdio).

use bytes::{Buf as _, Bytes, BytesMut};

/// How many bytes of the beginning and of the end of an over-long line are kept, to find out whose it was.
const KEPT: usize = 4096;

/// From this size on it pays not to copy a message.
pub(crate) const LARGE: usize = 64 * 1024;

/// What was cut off the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line that is not empty, without its end, a trailing `\r` or a leading byte order mark.
    Text(Bytes),
    /// A line over the limit, of which only both ends are left.
    TooLong {
        /// Its length in bytes.
        size: u64,
        /// Its first bytes.
        head: Bytes,
        /// Its last bytes.
        tail: Bytes,
    },
}

/// A part of a line that is passed on while it still arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The bytes. Raw carriage returns have become blanks; the line end belongs to the last piece.
    pub bytes: Bytes,
    /// The line is complete.
    pub is_last: bool,
}

/// A stream being cut into lines.
#[derive(Debug)]
pub struct Lines {
    buffer: BytesMut,
    /// So much of the buffer holds no line end.
    scanned: usize,
    limit: usize,
    /// Of an over-long line: its first bytes, and how much of it went by.
    skipped: Option<(Bytes, u64)>,
    /// The beginning of the line that is arriving has been shown.
    was_shown: bool,
    /// The line that is arriving comes in pieces.
    is_passing: bool,
}

impl Lines {
    /// A stream whose lines may have up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), scanned: 0, limit, skipped: None, was_shown: false, is_passing: false }
    }

    /// Where the next bytes of the stream are appended.
    pub fn buffer(&mut self) -> &mut BytesMut {
        // A large message leaves a large buffer behind, which an idle connection need not keep.
        if self.buffer.is_empty() && self.buffer.capacity() > 256 * 1024 {
            self.buffer = BytesMut::new();
        }
        let wanted = if self.scanned > 32 * 1024 { 256 * 1024 } else { 8 * 1024 };
        self.buffer.reserve(wanted);
        &mut self.buffer
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// The next whole line, if there is one.
    pub fn next_line(&mut self) -> Option<Line> {
        if self.is_passing {
            return None;
        }
        loop {
            let Some(step) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                self.give_up_on_long();
                return None;
            };
            let at = self.scanned + step;
            let mut line = self.buffer.split_to(at + 1);
            // Whoever owns a large line alone can change it where it lies, and has room for a line end.
            if line.len() >= LARGE && self.buffer.len() < LARGE {
                self.buffer = BytesMut::from(&self.buffer[..]);
            }
            line.truncate(at);
            let line = line.freeze();
            self.scanned = 0;
            self.was_shown = false;
            if let Some(line) = self.finish(line) {
                return Some(line);
            }
        }
    }

    /// The beginning of a line that is still arriving, when there is so much of it that it may be worth while to pass it on
    /// as it comes. Each line is shown once. For the time when there is no whole line.
    pub fn beginning(&mut self) -> Option<&[u8]> {
        if self.is_passing || self.was_shown || self.skipped.is_some() || self.buffer.len() < LARGE {
            return None;
        }
        self.was_shown = true;
        Some(&self.buffer)
    }

    /// From now on the line that is arriving comes in pieces, and no other line before its end.
    pub fn pass_on(&mut self) {
        self.is_passing = true;
    }

    /// What has come of a line that is passed on as it comes.
    pub fn next_piece(&mut self) -> Option<Piece> {
        if !self.is_passing || self.buffer.is_empty() {
            return None;
        }
        self.scanned = 0;
        let end = memchr::memchr(b'\n', &self.buffer);
        let mut bytes = match end {
            Some(at) => {
                let mut line = self.buffer.split_to(at + 1);
                if line.ends_with(b"\r\n") {
                    line.truncate(at);
                    line[at - 1] = b'\n';
                }
                line
            }
            // It belongs to the line end if that comes next.
            None if self.buffer.last() == Some(&b'\r') => self.buffer.split_to(self.buffer.len() - 1),
            None => self.buffer.split(),
        };
        if bytes.is_empty() {
            return None;
        }
        if memchr::memchr(b'\r', &bytes).is_some() {
            bytes.iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b' ');
        }
        if end.is_some() {
            (self.is_passing, self.was_shown) = (false, false);
        }
        Some(Piece { bytes: bytes.freeze(), is_last: end.is_some() })
    }

    /// What is left at the end of the stream: a last line without its end. Of one that was passed on as it came there is
    /// nothing to be said: whether it was complete is not known.
    pub fn finish_stream(&mut self) -> Option<Line> {
        if self.is_passing {
            return None;
        }
        let rest = self.buffer.split().freeze();
        self.scanned = 0;
        self.finish(rest)
    }

    fn finish(&mut self, line: Bytes) -> Option<Line> {
        if let Some((head, gone)) = self.skipped.take() {
            let tail = line.slice(line.len().saturating_sub(KEPT)..);
            return Some(Line::TooLong { size: gone + line.len() as u64, head, tail });
        }
        if line.len() > self.limit {
            let head = Bytes::copy_from_slice(&line[..KEPT.min(line.len())]);
            let tail = Bytes::copy_from_slice(&line[line.len().saturating_sub(KEPT)..]);
            return Some(Line::TooLong { size: line.len() as u64, head, tail });
        }
        let mut line = line;
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        if line.starts_with(b"\xef\xbb\xbf") {
            line.advance(3);
        }
        if line.iter().all(u8::is_ascii_whitespace) { None } else { Some(Line::Text(line)) }
    }

    fn give_up_on_long(&mut self) {
        if self.buffer.len() <= self.limit.max(2 * KEPT) {
            return;
        }
        let gone = self.buffer.len() - KEPT;
        let (head, before) = self.skipped.take().unwrap_or_else(|| (Bytes::copy_from_slice(&self.buffer[..KEPT]), 0));
        self.skipped = Some((head, before + gone as u64));
        self.buffer.advance(gone);
        self.scanned = self.buffer.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(stream: &[u8], step: usize, limit: usize) -> Vec<Line> {
        let mut lines = Lines::new(limit);
        let mut found = Vec::new();
        for part in stream.chunks(step) {
            lines.push(part);
            found.extend(std::iter::from_fn(|| lines.next_line()));
        }
        found.extend(lines.finish_stream());
        found
    }

    #[test]
    fn lines_are_the_same_however_the_stream_is_torn() {
        let stream = b"\xef\xbb\xbf{\"a\":1}\r\n\n  \n{\"b\":\"\xc3\xa4\"}\n{\"last\":true}";
        let wanted = [&b"{\"a\":1}"[..], b"{\"b\":\"\xc3\xa4\"}", b"{\"last\":true}"];
        for step in 1..=stream.len() {
            let found = cut(stream, step, 100);
            assert_eq!(found, wanted.map(|t| Line::Text(Bytes::from_static(t))), "step {step}");
        }
    }

    #[test]
    fn a_line_passed_on_in_pieces_is_the_same_line() {
        let long = "x".repeat(LARGE);
        for end in ["\n", "\r\n", "\r\r\n"] {
            let stream = format!("{{\"first\":1}}\n{{\"a\":\"{long}\",\r \"b\":1}}{end}{{\"next\":1}}\n");
            let whole = cut(stream.as_bytes(), stream.len(), 1 << 20);
            let wanted = [&whole[0], &whole[1], &whole[2]].map(|line| match line {
                Line::Text(text) => crate::splice::splice(text, &[]),
                Line::TooLong { .. } => panic!("{line:?}"),
            });
            // From everywhere behind the beginning the rest comes byte by byte.
            for at in stream.len() - 40..stream.len() {
                let mut lines = Lines::new(1 << 20);
                let mut found = vec![Vec::new()];
                lines.push(&stream.as_bytes()[..at]);
                let parts = std::iter::once(&b""[..]).chain(stream.as_bytes()[at..].chunks(1));
                let mut has_begun = false;
                for part in parts {
                    lines.push(part);
                    loop {
                        while let Some(line) = lines.next_line() {
                            let Line::Text(text) = line else { panic!("{line:?}") };
                            found.last_mut().unwrap().extend(crate::splice::splice(&text, &[]));
                            found.push(Vec::new());
                        }
                        if lines.beginning().is_some() {
                            has_begun = true;
                            lines.pass_on();
                        }
                        let Some(piece) = lines.next_piece() else { break };
                        found.last_mut().unwrap().extend(&piece.bytes);
                        if piece.is_last {
                            found.push(Vec::new());
                        }
                    }
                }
                assert_eq!(found.concat(), wanted.concat(), "{end:?} {at}");
                assert_eq!(found.len(), 4, "three lines, and nothing behind them");
                assert_eq!(has_begun, at < stream.len() - r#"{"next":1}."#.len(), "{end:?} {at}");
            }
        }
    }

    #[test]
    fn a_line_over_the_limit_is_told_with_its_size_and_does_not_end_the_stream() {
        let mut stream = vec![b'x'; 100_000];
        stream.extend_from_slice(b"end\n{\"next\":1}\n");
        for step in [1000, 4096, 99_999, 200_000] {
            let found = cut(&stream, step, 50_000);
            let [Line::TooLong { size, head, tail }, Line::Text(next)] = &found[..] else { panic!("step {step}: {found:?}") };
            assert_eq!(*size, 100_003);
            assert!(head.iter().all(|b| *b == b'x') && tail.ends_with(b"end") && tail.len() <= KEPT);
            assert_eq!(&next[..], b"{\"next\":1}");
        }
    }
}
