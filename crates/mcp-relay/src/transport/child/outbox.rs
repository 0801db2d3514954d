//! What is on its way to a server's standard input.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::process::ChildStdin;
use tokio::sync::Notify;

use crate::hub::WeakHub;
use crate::transport::gather;

/// Frames that wait to be written.
#[derive(Default)]
pub(super) struct Outbox {
    frames: RefCell<VecDeque<Bytes>>,
    queued: Cell<usize>,
    is_closed: Cell<bool>,
    /// Nobody reads any more.
    is_broken: Cell<bool>,
    /// Told to the writer: there is something to write, or the end.
    work: Notify,
    /// Told to whoever waits for the server's end.
    closed: Notify,
}

impl Outbox {
    pub(super) fn push(&self, frame: Bytes) {
        if self.is_broken.get() || self.is_closed.get() || frame.is_empty() {
            return;
        }
        self.queued.set(self.queued.get() + frame.len());
        let mut frames = self.frames.borrow_mut();
        frames.push_back(frame);
        if frames.len() == 1 {
            self.work.notify_one();
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.queued.get()
    }

    /// Nothing is taken any more; what was taken is still written.
    pub(super) fn close(&self) {
        if !self.is_closed.replace(true) {
            self.work.notify_one();
            self.closed.notify_one();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    /// Waits until it is closed. For one task, and once.
    pub(super) async fn closed(&self) {
        self.closed.notified().await;
    }

    /// Nothing is taken any more, and nothing written.
    pub(super) fn give_up(&self) {
        self.is_broken.set(true);
        self.frames.borrow_mut().clear();
        self.queued.set(0);
    }

    /// Writes what goes out now. Says how much was queued before.
    fn poll_write(&self, stdin: &mut ChildStdin, context: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let mut frames = self.frames.borrow_mut();
        let Poll::Ready(written) = gather::poll_write(stdin, context, frames.iter())? else { return Poll::Pending };
        let before = self.queued.get();
        self.queued.set(before - written);
        let mut left = written;
        while let Some(first) = frames.front_mut().filter(|_| left > 0) {
            let step = left.min(first.len());
            first.advance(step);
            left -= step;
            if first.is_empty() {
                frames.pop_front();
            }
        }
        Poll::Ready(Ok(before))
    }
}

/// Writes until the end, and then closes the server's input. A task of its own and no write from within
/// [`Outbox::push`]: whatever all clients said in one turn of the reactor goes out in one system call.
pub(super) async fn write(mut stdin: ChildStdin, outbox: Rc<Outbox>, hub: WeakHub, limit: usize) {
    loop {
        if outbox.queued() == 0 {
            if outbox.is_closed() {
                return;
            }
            outbox.work.notified().await;
            continue;
        }
        let written = poll_fn(|context| outbox.poll_write(&mut stdin, context)).await;
        let has_room = written.as_ref().map_or(true, |before| *before > limit && outbox.queued() <= limit);
        if written.is_err() {
            // The server closed its input, or ended: which of the two, its end will tell.
            outbox.give_up();
        }
        if has_room && let Some(hub) = hub.get() {
            hub.upstream_drained();
        }
        if written.is_err() {
            return;
        }
    }
}
