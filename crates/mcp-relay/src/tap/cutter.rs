//! Cutting what went by into lines, for the copy alone.

use bytes::Bytes;

use super::tape::Tape;

/// Of a line that is too long to be kept, so much is.
const BEGINNING: usize = 64 * 1024;
/// A piece of this size begins a large line.
const LARGE: usize = 16 * 1024;

/// A line that is complete, or that the stream ended in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// With its line end, if it had one.
    Whole(Bytes),
    /// The beginning, and the length of all of it.
    Beginning(Bytes, u64),
}

/// The copy of one direction, being cut.
#[derive(Debug)]
pub(super) struct Cutter {
    kept: Vec<u8>,
    /// The length so far of the line that has begun.
    length: u64,
    limit: usize,
    /// Where the buffers of large lines come from.
    tape: Tape,
}

impl Cutter {
    pub(super) fn new(limit: usize, tape: Tape) -> Self {
        Self { kept: Vec::new(), length: 0, limit, tape }
    }

    /// Whether a line has begun and not ended.
    pub(super) fn is_within_line(&self) -> bool {
        self.length > 0
    }

    /// Takes a chunk as it came; `each` gets every line that ended in it.
    pub(super) fn push(&mut self, chunk: &[u8], mut each: impl FnMut(Cut)) {
        let Some(last) = memchr::memrchr(b'\n', chunk) else { return self.keep(chunk) };
        let mut from = 0;
        if self.length > 0 {
            from = memchr::memchr(b'\n', chunk).unwrap_or(last) + 1;
            self.keep(&chunk[..from]);
            each(self.take());
        }
        if from <= last {
            // One allocation for all of them.
            let lines = Bytes::copy_from_slice(&chunk[from..=last]);
            let mut at = 0;
            for end in memchr::memchr_iter(b'\n', &lines) {
                each(Cut::Whole(lines.slice(at..=end)));
                at = end + 1;
            }
        }
        self.keep(&chunk[last + 1..]);
    }

    /// The stream ended: the line without an end, if there is one.
    pub(super) fn finish(&mut self) -> Option<Cut> {
        self.is_within_line().then(|| self.take())
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.length == 0 && piece.len() >= LARGE {
            self.kept = self.tape.buffer();
        }
        self.length += piece.len() as u64;
        if self.length <= self.limit as u64 {
            self.kept.extend_from_slice(piece);
        } else if self.kept.len() != BEGINNING {
            let missing = BEGINNING.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(&piece[..missing.min(piece.len())]);
            self.kept.truncate(BEGINNING);
            self.kept.shrink_to_fit();
        }
    }

    fn take(&mut self) -> Cut {
        let length = std::mem::take(&mut self.length);
        let kept = Bytes::from(std::mem::take(&mut self.kept));
        if kept.len() as u64 == length { Cut::Whole(kept) } else { Cut::Beginning(kept, length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(stream: &[u8], step: usize, limit: usize) -> Vec<Cut> {
        let mut cutter = Cutter::new(limit, Tape::default());
        let mut found = Vec::new();
        for chunk in stream.chunks(step) {
            cutter.push(chunk, |cut| found.push(cut));
        }
        found.extend(cutter.finish());
        found
    }

    #[test]
    fn the_pieces_are_the_stream_however_it_is_torn() {
        let stream = b"{\"a\":1}\r\n\n\x00\xff\n  \n{\"b\":2}\nlast";
        for step in 1..=stream.len() {
            let pieces: Vec<Bytes> = cut(stream, step, 1 << 20)
                .into_iter()
                .map(|cut| match cut {
                    Cut::Whole(bytes) => bytes,
                    Cut::Beginning(..) => panic!("nothing is too long"),
                })
                .collect();
            assert_eq!(pieces.len(), 6, "step {step}");
            assert_eq!(pieces.concat(), stream, "step {step}");
        }
    }

    #[test]
    fn of_a_line_over_the_limit_the_beginning_and_the_length_are_kept() {
        let mut stream = vec![b'x'; 300_000];
        stream.extend_from_slice(b"\nnext\n");
        for step in [1_000, 65_536, 100_000, 400_000] {
            let found = cut(&stream, step, 200_000);
            let whole = step == 400_000;
            match &found[0] {
                Cut::Beginning(kept, length) => assert_eq!((kept.len(), *length, whole), (BEGINNING, 300_001, false)),
                // It was in one chunk, so that nothing had to be assembled: the sink cuts it to its own limit.
                Cut::Whole(bytes) => assert!(whole && bytes.len() == 300_001),
            }
            assert_eq!(found[1], Cut::Whole(Bytes::from_static(b"next\n")));
        }
    }
}
