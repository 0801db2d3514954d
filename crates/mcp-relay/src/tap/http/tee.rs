//! A body that is recorded while it passes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::HeaderMap;
use mcp_capture::event::{Flags, Http, HttpPhase};
use mcp_capture::{Direction, Limits};

use super::super::tape::Tape;

/// How messages lie in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The body is one.
    Whole,
    /// Each event is one.
    Events,
    /// It holds none that could be read.
    Opaque,
}

impl Kind {
    /// By what the headers say.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let header = |name| headers.get(name).map(|value| value.as_bytes().to_ascii_lowercase()).unwrap_or_default();
        let (media, encoding) = (header("content-type"), header("content-encoding"));
        if !matches!(encoding.trim_ascii(), b"" | b"identity") {
            Self::Opaque
        } else if media.starts_with(b"text/event-stream") {
            Self::Events
        } else {
            Self::Whole
        }
    }
}

/// See the module.
pub(super) struct Tee<B> {
    inner: B,
    direction: Direction,
    /// What has come of the message; none if it is not to be kept.
    all: Option<Vec<u8>>,
    tape: Tape,
    /// The number of the message that was asked with.
    asked: Arc<AtomicU64>,
    /// What is recorded once that has its number.
    told: Option<Http>,
    is_over: bool,
}

impl<B: Body> Tee<B> {
    pub(super) fn new(inner: B, direction: Direction, kind: Kind, tape: Tape, asked: Arc<AtomicU64>) -> Self {
        // Nobody asks a body without content for more.
        let is_over = inner.is_end_stream();
        let all = (kind == Kind::Whole).then(Vec::new);
        Self { inner, direction, all, tape, asked, told: None, is_over }
    }
}

impl<B> Tee<B> {
    pub(super) fn telling(mut self, http: Http) -> Self {
        self.told = Some(http);
        self
    }

    fn saw(&mut self, piece: &[u8]) {
        let Some(all) = &mut self.all else { return };
        if all.len() + piece.len() <= Limits::default().bytes {
            all.extend_from_slice(piece);
        } else {
            self.all = None;
            self.tape.note("a body was too long to be recorded");
        }
    }

    fn end(&mut self) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        if let Some(all) = self.all.take().filter(|all| !all.is_empty()) {
            let message = Bytes::from(all);
            let flags = Flags::NONE.with_if(!message.ends_with(b"\n"), Flags::NO_NEWLINE);
            let number = self.tape.frame(self.direction, message, flags);
            if self.direction == Direction::ToServer {
                self.asked.store(number, Ordering::Release);
            }
        }
        if let Some(told) = self.told.take() {
            self.tape.http(Http { frame: self.asked.load(Ordering::Acquire), ..told });
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Tee<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(piece) = frame.data_ref()
        {
            let piece = piece.clone();
            self.saw(&piece);
        }
        // With the last piece at hand the message is complete, and not passed on yet.
        if frame.is_none() || self.inner.is_end_stream() {
            self.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Drop for Tee<B> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let is_answer = self.direction == Direction::ToClient;
        if is_answer {
            // Whoever asked went away.
            let frame = self.asked.load(Ordering::Acquire);
            self.tape.http(Http { frame, phase: HttpPhase::Dropped, ..Http::default() });
            self.is_over = true;
        } else {
            self.end();
        }
    }
}
