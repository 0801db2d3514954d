//! A stream of events that is recorded while it passes, and of which each event is asked about while somebody wants that.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use mcp_capture::event::{Flags, Http, HttpPhase};
use mcp_capture::{Direction, Limits};
use mcp_wire::sse::Parser;

use super::Proxy;
use super::lane::{Lane, Of, Seat, Verdict};

/// Finds where events end, in a stream that comes in pieces.
#[derive(Debug)]
struct Ends {
    /// Nothing has come since the end of an event.
    is_between: bool,
    /// The line so far is not empty.
    has_begun: bool,
    after_cr: bool,
}

impl Default for Ends {
    fn default() -> Self {
        Self { is_between: true, has_begun: false, after_cr: false }
    }
}

impl Ends {
    /// Behind the first event that ends in this piece. The second half of a line end that was torn counts as one.
    fn next(&mut self, piece: &[u8]) -> Option<usize> {
        let mut start = 0;
        for at in memchr::memchr2_iter(b'\n', b'\r', piece) {
            let follows_cr = if at == 0 { self.after_cr } else { piece[at - 1] == b'\r' };
            if piece[at] == b'\n' && follows_cr {
                start = at + 1;
                if at == 0 && self.is_between {
                    self.after_cr = false;
                    return Some(1);
                }
                continue;
            }
            let is_empty = at == start && !self.has_begun;
            self.has_begun = false;
            self.is_between = is_empty;
            start = at + 1;
            if is_empty {
                let has_both = piece[at] == b'\r' && piece.get(start) == Some(&b'\n');
                self.after_cr = piece[at] == b'\r' && !has_both;
                return Some(start + usize::from(has_both));
            }
        }
        if start < piece.len() {
            (self.has_begun, self.is_between) = (true, false);
        }
        if let Some(last) = piece.last() {
            self.after_cr = *last == b'\r';
        }
        None
    }
}

/// See the module.
pub(super) struct Events<B> {
    inner: B,
    proxy: Rc<Proxy>,
    lane: Rc<Lane>,
    /// Reads what passes unasked; none when that became impossible.
    parser: Option<Parser>,
    ends: Ends,
    /// An event that has begun and is kept back until it is complete.
    gathered: Vec<u8>,
    asked: Arc<AtomicU64>,
    is_over: bool,
}

impl<B> Events<B> {
    pub(super) fn new(inner: B, proxy: Rc<Proxy>, asked: Arc<AtomicU64>) -> Self {
        Self {
            inner,
            proxy,
            lane: Lane::new(Of::Events),
            parser: Some(Parser::new(Limits::default().bytes)),
            ends: Ends::default(),
            gathered: Vec::new(),
            asked,
            is_over: false,
        }
    }

    pub(super) fn lane(&self) -> &Rc<Lane> {
        &self.lane
    }

    /// Passes a piece on, and records what ends in it.
    fn pass(&mut self, piece: Bytes) {
        if let Some(parser) = &mut self.parser {
            match parser.push(&piece) {
                Ok(events) => {
                    for event in events.into_iter().filter(|event| !event.data.is_empty()) {
                        self.proxy.tape.frame(Direction::ToClient, Bytes::from(event.data), Flags::NO_NEWLINE);
                    }
                }
                Err(error) => {
                    self.parser = None;
                    self.proxy.tape.note(format!("events are not recorded any more: {error}"));
                }
            }
        }
        self.lane.push(Verdict::Pass(piece, 0));
    }

    fn saw(&mut self, piece: Bytes) {
        let is_armed = self.proxy.is_armed();
        if !is_armed && self.gathered.is_empty() {
            let mut rest = &piece[..];
            while let Some(end) = self.ends.next(rest) {
                rest = &rest[end..];
            }
            return self.pass(piece);
        }
        let mut rest = piece;
        while !rest.is_empty() {
            let has_begun_unasked = self.gathered.is_empty() && !self.ends.is_between;
            let end = self.ends.next(&rest);
            let part = rest.split_to(end.unwrap_or(rest.len()));
            if has_begun_unasked {
                self.pass(part);
                continue;
            }
            self.gathered.extend_from_slice(&part);
            if end.is_some() {
                let event = Bytes::from(std::mem::take(&mut self.gathered));
                self.judge(event);
            } else if self.gathered.len() > Limits::default().bytes || !is_armed {
                let begun = Bytes::from(std::mem::take(&mut self.gathered));
                self.pass(begun);
            }
        }
    }

    /// Asks the rules about an event, if it holds a message.
    fn judge(&mut self, raw: Bytes) {
        let event = Parser::new(Limits::default().bytes).push(&raw).ok().and_then(|events| events.into_iter().next());
        let Some(event) = event.filter(|event| super::is_message(event.data.as_bytes())) else { return self.pass(raw) };
        let message = Bytes::copy_from_slice(event.data.as_bytes());
        let place = Seat { lane: Rc::clone(&self.lane), event: Some(Rc::new((raw, event))) };
        self.proxy.judge(Direction::ToClient, place, message);
    }

    /// Nothing more comes from the server.
    fn end(&mut self) {
        self.is_over = true;
        let begun = Bytes::from(std::mem::take(&mut self.gathered));
        if !begun.is_empty() {
            self.pass(begun);
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Events<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        loop {
            match self.lane.poll(cx) {
                Poll::Ready(Verdict::Pass(bytes, _)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Poll::Ready(_) => continue,
                Poll::Pending => {}
            }
            if self.is_over {
                // What is held is still to come.
                return if self.proxy.holds(&self.lane) { Poll::Pending } else { Poll::Ready(None) };
            }
            match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => self.end(),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) => self.saw(piece),
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
            }
        }
    }
}

impl<B> Drop for Events<B> {
    fn drop(&mut self) {
        if !self.is_over {
            // Whoever asked went away.
            let frame = self.asked.load(Ordering::Acquire);
            self.proxy.tape.http(Http { frame, phase: HttpPhase::Dropped, ..Http::default() });
        }
        self.proxy.left(&self.lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_end_at_the_same_places_however_the_stream_is_torn() {
        let stream = b": hello\n\ndata: 1\r\n\r\nid: 2\rdata: 2\r\rdata: a\ndata: b\n\n\ndata: c";
        let mut whole: Vec<usize> = Vec::new();
        for length in 1..=stream.len() {
            let (mut ends, mut found, mut offset) = (Ends::default(), Vec::new(), 0);
            for piece in stream.chunks(length) {
                let mut rest = piece;
                while let Some(end) = ends.next(rest) {
                    offset += end;
                    rest = &rest[end..];
                    found.push(offset);
                }
                offset += rest.len();
            }
            // A line end of two bytes may be torn; then its second half is found as well.
            let is_first_half = |at: &usize| stream[at - 1] == b'\r' && stream.get(*at) == Some(&b'\n');
            found.retain(|at| !is_first_half(at));
            if length == 1 {
                whole.clone_from(&found);
            }
            assert_eq!(found, whole, "in pieces of {length}");
        }
        assert_eq!(whole.len(), 5, "{whole:?}");
    }
}
