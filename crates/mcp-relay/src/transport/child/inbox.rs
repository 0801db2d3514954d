//! What a server says: frames on its standard output, anything on its standard error.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use mcp_wire::lines::{Line, Lines};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::hub::WeakHub;

use super::StderrSink;

/// Lines that are handled before others get their turn.
const LINES: usize = 256;

/// How much is read at a time once a server has much to say: what a pipe holds on Linux.
const CHUNK: usize = 64 * 1024;

/// Reads until the end of the stream. All lines of one read are handled in one go, so that their answers to one client go out
/// in one system call.
pub(super) async fn read(mut stdout: impl AsyncRead + Unpin, hub: WeakHub, generation: u64, limit: usize) {
    let mut lines = Lines::new(limit);
    let (mut is_busy, mut handled) = (false, 0);
    loop {
        let buffer = lines.buffer();
        if is_busy {
            buffer.reserve(CHUNK);
        }
        let space = buffer.capacity() - buffer.len();
        match stdout.read_buf(buffer).await {
            Ok(0) | Err(_) => break,
            Ok(length) => is_busy = length == space,
        }
        // Nobody is there to be told, and still the server must not hang in a write.
        let Some(hub) = hub.get() else {
            while lines.next_line().is_some() || lines.next_piece().is_some() {}
            continue;
        };
        loop {
            while let Some(line) = lines.next_line() {
                hub.upstream_line(generation, line);
                handled += 1;
            }
            if lines.beginning().is_some_and(|beginning| hub.upstream_begin(generation, beginning)) {
                lines.pass_on();
            }
            let Some(piece) = lines.next_piece() else { break };
            hub.upstream_piece(generation, piece);
            // Whoever writes to the client goes on with it while the server writes the next piece.
            handled = LINES;
        }
        drop(hub);
        if handled >= LINES {
            handled = 0;
            tokio::task::yield_now().await;
        }
    }
    if let (Some(hub), Some(line)) = (hub.get(), lines.finish_stream()) {
        hub.upstream_line(generation, line);
    }
}

/// The last lines on standard error.
#[derive(Default)]
pub(super) struct Tail(RefCell<VecDeque<String>>);

/// How many lines are kept.
const KEPT_LINES: usize = 20;

/// How many characters of a line are kept, and passed on.
const KEPT_OF_LINE: usize = 500;

impl Tail {
    fn push(&self, line: String) {
        let mut lines = self.0.borrow_mut();
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(super) fn take(&self) -> Vec<String> {
        self.0.take().into()
    }
}

/// Reads to the end of the stream, whatever comes.
pub(super) async fn read_stderr(mut stderr: impl AsyncRead + Unpin, tail: Rc<Tail>, sink: StderrSink) {
    // The cutter keeps no less than twice 4 KiB of a line.
    let mut lines = Lines::new(8 * 1024);
    let take = |line: Line| {
        let line = plain(&line);
        sink(&line);
        tail.push(line);
    };
    loop {
        match stderr.read_buf(lines.buffer()).await {
            Ok(0) | Err(_) => break,
            Ok(_) => std::iter::from_fn(|| lines.next_line()).for_each(take),
        }
    }
    lines.finish_stream().into_iter().for_each(take);
}

/// A line without colours and other control characters, shortened.
fn plain(line: &Line) -> String {
    let (bytes, size) = match line {
        Line::Text(bytes) => (bytes, bytes.len() as u64),
        Line::TooLong { size, head, .. } => (head, *size),
    };
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::new();
    let mut characters = text.chars();
    let mut count = 0;
    while let Some(character) = characters.next() {
        match character {
            // `ESC [ parameters letter` is how terminals are told colours.
            '\u{1b}' => {
                if characters.clone().next() == Some('[') {
                    characters.find(|c| matches!(c, '@'..='Z' | '\\'..='~'));
                }
            }
            '\t' => plain.push(' '),
            c if c.is_control() => {}
            c => plain.push(c),
        }
        count += 1;
        if count == KEPT_OF_LINE {
            if characters.next().is_some() {
                plain.push_str(&format!("… ({size} bytes)"));
            }
            break;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn lines_of_stderr_lose_their_colours_and_keep_their_words() {
        let plain = |text: &'static str| plain(&Line::Text(Bytes::from_static(text.as_bytes())));
        assert_eq!(plain("\u{1b}[1;31merror\u{1b}[0m:\tno [file]\u{7}"), "error: no [file]");
        assert_eq!(plain("\u{1b}[31"), "");
        assert_eq!(plain("\u{1b}7ä"), "7ä");
    }

    #[test]
    fn a_long_line_of_stderr_is_told_with_its_size() {
        let long = Line::Text(Bytes::from("é".repeat(600)));
        assert_eq!(plain(&long), format!("{}… (1200 bytes)", "é".repeat(500)));
        let longer = Line::TooLong { size: 9_000, head: Bytes::from("x".repeat(4096)), tail: Bytes::new() };
        assert_eq!(plain(&longer), format!("{}… (9000 bytes)", "x".repeat(500)));
    }
}
