//! What one client has not read yet.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use foldhash::HashMap;
use tokio::io::AsyncWrite;
use tokio::sync::Notify;

use crate::outlet::{Delivery, Outlet, Overflow, Part, Place};
use crate::route::{Class, StreamId};
use crate::transport::gather;

/// Frames for one client, up to a limit in bytes; one frame is taken whatever its size.
pub(super) struct Backlog {
    limit: usize,
    waiting: RefCell<Waiting>,
    /// Log lines that were left out.
    dropped: Cell<u64>,
    end: RefCell<Option<String>>,
    /// Told to the one who writes: there is something to write, or the end.
    work: Notify,
    /// Told to the one who waits for the last answers.
    answered: Notify,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// Frames that are gone, so that a place in the queue can be named while the queue moves on.
    gone: u64,
    /// Where the last progress of a call waits. Kept only while much waits.
    progress: HashMap<u64, u64>,
    /// A message is being passed on in parts: what comes meanwhile stands aside until its end.
    aside: Option<Aside>,
}

/// What waits for the end of a message that is passed on in parts.
#[derive(Default)]
struct Aside {
    frames: Vec<Bytes>,
    bytes: usize,
    /// Where the last progress of a call waits.
    progress: HashMap<u64, usize>,
    /// The message in parts was the first one, which may have any size.
    is_first: bool,
}

impl Waiting {
    fn total(&self) -> usize {
        self.bytes + self.aside.as_ref().map_or(0, |aside| aside.bytes)
    }

    fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    /// The message in parts is over: what stood aside comes behind it.
    fn rejoin(&mut self) {
        for frame in self.aside.take().into_iter().flat_map(|aside| aside.frames) {
            self.push(frame);
        }
    }
}

impl Backlog {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            waiting: RefCell::default(),
            dropped: Cell::new(0),
            end: RefCell::default(),
            work: Notify::new(),
            answered: Notify::new(),
        }
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.waiting.borrow().bytes
    }

    /// Nothing waits, and no message is there in part.
    pub(super) fn is_idle(&self) -> bool {
        let waiting = self.waiting.borrow();
        waiting.bytes == 0 && waiting.aside.is_none()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// Why the connection is to end, if it is.
    pub(super) fn end_reason(&self) -> Option<String> {
        self.end.borrow().clone()
    }

    pub(super) fn is_ending(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Waits until there may be something to write or the connection is to end. For one task.
    pub(super) async fn work(&self) {
        self.work.notified().await;
    }

    /// Waits until another answer was delivered. For one task.
    pub(super) async fn answered(&self) {
        self.answered.notified().await;
    }

    /// Writes what goes out now.
    pub(super) async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        poll_fn(|context| self.poll_write(writer, context)).await
    }

    fn poll_write(&self, writer: &mut (impl AsyncWrite + Unpin), context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = self.waiting.borrow_mut();
        let Poll::Ready(mut left) = gather::poll_write(writer, context, waiting.frames.iter())? else { return Poll::Pending };
        waiting.bytes -= left;
        while let Some(first) = waiting.frames.front_mut().filter(|_| left > 0) {
            let step = left.min(first.len());
            first.advance(step);
            left -= step;
            if first.is_empty() {
                waiting.frames.pop_front();
                waiting.gone += 1;
            }
        }
        if waiting.frames.is_empty() {
            waiting.progress.clear();
            drop(waiting);
            // Only writers with a buffer of their own have anything to do then.
            return Pin::new(writer).poll_flush(context);
        }
        Poll::Ready(Ok(()))
    }
}

impl Backlog {
    /// As [`Outlet::deliver`], while a message is being passed on in parts.
    fn put_aside(&self, waiting: &mut Waiting, class: Class, frame: Bytes) -> Result<(), Overflow> {
        let total = waiting.total();
        let Some(aside) = &mut waiting.aside else { return Ok(()) };
        if total > self.limit / 2 {
            match class {
                Class::Log => {
                    self.dropped.set(self.dropped.get() + 1);
                    return Ok(());
                }
                Class::Progress(call) => {
                    if let Some(place) = aside.progress.get(&call) {
                        let earlier = std::mem::replace(&mut aside.frames[*place], frame);
                        aside.bytes = aside.bytes - earlier.len() + aside.frames[*place].len();
                        return Ok(());
                    }
                    aside.progress.insert(call, aside.frames.len());
                }
                Class::Response | Class::Refusal | Class::Request | Class::Notification => {}
            }
        }
        if total > 0 && total + frame.len() > self.limit {
            return Err(Overflow);
        }
        aside.bytes += frame.len();
        aside.frames.push(frame);
        Ok(())
    }
}

impl Outlet for Backlog {
    fn deliver(&self, Delivery { class, frame, .. }: Delivery) -> Result<(), Overflow> {
        if self.is_ending() || frame.is_empty() {
            return Ok(());
        }
        if matches!(class, Class::Response | Class::Refusal) {
            self.answered.notify_one();
        }
        let mut waiting = self.waiting.borrow_mut();
        if waiting.aside.is_some() {
            return self.put_aside(&mut waiting, class, frame);
        }
        if waiting.frames.is_empty() {
            waiting.bytes = frame.len();
            waiting.frames.push_back(frame);
            self.work.notify_one();
            return Ok(());
        }
        if waiting.bytes > self.limit / 2 {
            match class {
                Class::Log => {
                    self.dropped.set(self.dropped.get() + 1);
                    return Ok(());
                }
                Class::Progress(call) => {
                    let end = waiting.gone + waiting.frames.len() as u64;
                    let place = waiting.progress.insert(call, end);
                    // The frame in front may be written in part.
                    if let Some(place) = place.filter(|place| *place > waiting.gone) {
                        let index = usize::try_from(place - waiting.gone).expect("an index into the queue");
                        waiting.bytes = waiting.bytes - waiting.frames[index].len() + frame.len();
                        waiting.frames[index] = frame;
                        waiting.progress.insert(call, place);
                        return Ok(());
                    }
                }
                Class::Response | Class::Refusal | Class::Request | Class::Notification => {}
            }
        }
        if waiting.bytes + frame.len() > self.limit {
            return Err(Overflow);
        }
        waiting.bytes += frame.len();
        waiting.frames.push_back(frame);
        Ok(())
    }

    fn takes_parts(&self, _stream: StreamId) -> bool {
        !self.is_ending() && self.waiting.borrow().aside.is_none()
    }

    fn deliver_part(&self, Part { place, bytes, .. }: Part) -> Result<(), Overflow> {
        if self.is_ending() {
            return Ok(());
        }
        let mut waiting = self.waiting.borrow_mut();
        if place == Place::First {
            waiting.aside = Some(Aside { is_first: waiting.frames.is_empty(), ..Aside::default() });
        }
        let is_first = waiting.aside.as_ref().is_some_and(|aside| aside.is_first);
        if !is_first && waiting.total() + bytes.len() > self.limit {
            return Err(Overflow);
        }
        if waiting.frames.is_empty() {
            self.work.notify_one();
        }
        if !bytes.is_empty() {
            waiting.push(bytes);
        }
        if place == Place::Last {
            waiting.rejoin();
            self.answered.notify_one();
        }
        Ok(())
    }

    fn tear(&self, _stream: StreamId) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.aside.is_some() {
            // The client sees a line that is no message, and the next message where it looks for it.
            waiting.push(Bytes::from_static(b"\n"));
            waiting.rejoin();
            self.work.notify_one();
        }
    }

    fn end_stream(&self, _stream: StreamId) {
        // There is one, and it ends with the connection.
    }

    fn end(&self, reason: &str) {
        self.tear(StreamId(0));
        let mut end = self.end.borrow_mut();
        if end.is_none() {
            *end = Some(reason.to_owned());
            self.work.notify_one();
            self.answered.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(class: Class, text: &'static str) -> Delivery {
        Delivery { stream: None, class, frame: Bytes::from_static(text.as_bytes()) }
    }

    fn written(backlog: &Backlog) -> String {
        let frames: Vec<u8> = backlog.waiting.borrow().frames.iter().flatten().copied().collect();
        String::from_utf8(frames).unwrap()
    }

    #[test]
    fn one_message_of_any_size_is_taken_and_a_second_is_too_much() {
        let backlog = Backlog::new(10);
        backlog.deliver(frame(Class::Response, "0123456789abcdef")).unwrap();
        assert_eq!(backlog.deliver(frame(Class::Response, "1")), Err(Overflow));
        assert_eq!(backlog.bytes(), 16);
    }

    #[test]
    fn over_half_full_progress_is_overwritten_and_log_lines_are_left_out() {
        let backlog = Backlog::new(100);
        backlog.deliver(frame(Class::Log, "[log]")).unwrap();
        backlog.deliver(frame(Class::Response, "[an answer of more than fifty bytes, so that it is half full]")).unwrap();
        for text in ["[a1]", "[b1]"] {
            let call = if text.starts_with("[a") { 1 } else { 2 };
            backlog.deliver(frame(Class::Progress(call), text)).unwrap();
        }
        backlog.deliver(frame(Class::Log, "[gone]")).unwrap();
        backlog.deliver(frame(Class::Notification, "[kept]")).unwrap();
        for text in ["[a2]", "[a3 is longer]"] {
            backlog.deliver(frame(Class::Progress(1), text)).unwrap();
        }
        let wanted = "[log][an answer of more than fifty bytes, so that it is half full][a3 is longer][b1][kept]";
        assert_eq!((written(&backlog).as_str(), backlog.dropped(), backlog.bytes()), (wanted, 1, wanted.len()));
    }

    #[tokio::test]
    async fn a_frame_written_in_part_is_not_overwritten() {
        let backlog = Backlog::new(20);
        backlog.deliver(frame(Class::Response, "[an answer]")).unwrap();
        backlog.deliver(frame(Class::Progress(1), "[first]")).unwrap();
        let (mut near, _far) = tokio::io::duplex(13);
        while backlog.bytes() > 5 {
            backlog.write(&mut near).await.unwrap();
        }
        backlog.deliver(frame(Class::Response, "[another]")).unwrap();
        for text in ["[2]", "[3]"] {
            backlog.deliver(frame(Class::Progress(1), text)).unwrap();
        }
        assert_eq!(written(&backlog), "irst][another][3]");
    }
}
