//! One client at work.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt as _;
use mcp_wire::author::{self, code};
use mcp_wire::lines::{Line, Lines};
use mcp_wire::{Frame, NotAFrame};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::backlog::Backlog;
use super::too_long::{self, Verdict};
use super::{Patience, Reason};
use crate::hub::Hub;
use crate::outlet::{Delivery, Outlet as _};
use crate::route::{Class, PeerId, StreamId};

/// Messages of one client that are taken before others get their turn.
const TURN: usize = 64;

/// Why reading stopped.
pub(super) enum Stop {
    /// For good.
    For(Reason),
    /// The client is to go on elsewhere, with this ticket.
    HandOver(String),
}

pub(super) struct Client {
    hub: Hub,
    peer: PeerId,
    backlog: Rc<Backlog>,
    patience: Patience,
    handover: Option<Rc<Notify>>,
    is_handover_wished: Cell<bool>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.hub.close(self.peer);
    }
}

impl Client {
    pub(super) fn new(hub: Hub, peer: PeerId, backlog: Rc<Backlog>, patience: Patience, handover: Option<Rc<Notify>>) -> Self {
        Self { hub, peer, backlog, patience, handover, is_handover_wished: Cell::new(false) }
    }

    pub(super) fn close(&self) {
        self.hub.close(self.peer);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.backlog.dropped()
    }

    pub(super) fn longest_message(&self) -> usize {
        self.hub.limits().message
    }

    /// Writes what waits, however long it takes.
    pub(super) async fn write_rest(&self, writer: &mut (impl AsyncWrite + Unpin)) {
        while self.backlog.bytes() > 0 && self.backlog.write(writer).await.is_ok() {}
    }

    /// Writes what is delivered, until the route ends the connection or the client does not read.
    pub(super) async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> Reason {
        loop {
            if let Some(reason) = self.backlog.end_reason() {
                return Reason::Ended(reason);
            }
            if self.backlog.bytes() == 0 {
                self.backlog.work().await;
                continue;
            }
            // Nearly always it goes out at once, and needs no timer.
            let written = match self.backlog.write(writer).now_or_never() {
                Some(written) => written,
                None => match self.write_patiently(writer).await {
                    Some(written) => written,
                    None => return Reason::Stuck,
                },
            };
            if let Err(e) = written {
                return Reason::Broken(e.to_string());
            }
        }
    }

    /// Writes to a client that reads slowly. `None`: it does not read at all.
    async fn write_patiently(&self, writer: &mut (impl AsyncWrite + Unpin)) -> Option<io::Result<()>> {
        let began = Instant::now();
        loop {
            tokio::select! {
                biased;
                written = self.backlog.write(writer) => return Some(written),
                // The end may come meanwhile.
                () = self.backlog.work() => if self.backlog.is_ending() { return Some(Ok(())) },
                () = tokio::time::sleep(self.patience.unread / 4) => {
                    if began.elapsed() >= self.patience.unread && self.backlog.bytes() > self.patience.unread_bytes {
                        return None;
                    }
                }
            }
        }
    }

    /// Reads what the client says until it has had all the answers it will get.
    pub(super) async fn read<R: AsyncRead + Unpin>(&self, reader: &mut R, lines: &mut Lines, is_gone: fn(&R) -> bool) -> Stop {
        let mut taken = 0;
        loop {
            while let Some(line) = lines.next_line() {
                if !self.has_room(reader, is_gone).await {
                    return Stop::For(Reason::Left);
                }
                if let Err(reason) = self.take(line) {
                    return Stop::For(reason);
                }
                taken += 1;
                if taken == TURN {
                    taken = 0;
                    tokio::task::yield_now().await;
                }
            }
            // A client is not read while the server is stuck: what it has to say waits on its side.
            if !self.has_room(reader, is_gone).await {
                return Stop::For(Reason::Left);
            }
            let is_between_lines = lines.held() == 0;
            let read = tokio::select! {
                biased;
                read = reader.read_buf(lines.buffer()) => read,
                ticket = self.handover_ticket(), if is_between_lines => return Stop::HandOver(ticket),
            };
            match read {
                Ok(0) => break,
                Ok(_) => {}
                Err(e) => return Stop::For(Reason::Broken(e.to_string())),
            }
        }
        if let Some(Err(reason)) = lines.finish_stream().map(|line| self.take(line)) {
            return Stop::For(reason);
        }
        let deadline = Instant::now() + self.patience.unanswered;
        while !is_gone(reader) && self.hub.in_flight(self.peer) > 0 && Instant::now() < deadline {
            let _ = timeout(Duration::from_millis(100), self.backlog.answered()).await;
        }
        Stop::For(Reason::Left)
    }

    /// Waits until the client is to go on elsewhere and can.
    async fn handover_ticket(&self) -> String {
        let Some(wish) = &self.handover else { return std::future::pending().await };
        if !self.is_handover_wished.get() {
            wish.notified().await;
            self.is_handover_wished.set(true);
        }
        loop {
            // What was delivered has to be written first.
            if self.backlog.is_idle()
                && let Some(ticket) = self.hub.ticket(self.peer)
            {
                return ticket;
            }
            let _ = timeout(Duration::from_millis(50), self.backlog.answered()).await;
        }
    }

    /// Waits until the server has read enough. `false`: the client left meanwhile.
    async fn has_room<R>(&self, reader: &R, is_gone: fn(&R) -> bool) -> bool {
        if self.hub.room().now_or_never().is_some() {
            return true;
        }
        while timeout(Duration::from_secs(1), self.hub.room()).await.is_err() {
            if is_gone(reader) {
                return false;
            }
        }
        true
    }

    fn take(&self, line: Line) -> Result<(), Reason> {
        match line {
            Line::Text(text) => match Frame::parse(text.clone()) {
                Ok(frame) => self.pass(frame),
                Err(NotAFrame::Batch) if self.has_batches() => {
                    let messages = Frame::split_batch(&text);
                    if messages.is_empty() {
                        return self.refuse(&NotAFrame::Shape);
                    }
                    for message in messages {
                        match message {
                            Ok(frame) => self.pass(frame),
                            Err(problem) => self.refuse(&problem)?,
                        }
                    }
                }
                Err(problem) => return self.refuse(&problem),
            },
            Line::TooLong { size, head, tail } => match too_long::judge(size, self.hub.limits().message, &head, &tail) {
                Verdict::Refuse(answer) => return self.answer(answer),
                Verdict::Pass(frame) => self.pass(frame),
            },
        }
        Ok(())
    }

    fn pass(&self, frame: Frame) {
        // The route may have ended the connection while there were lines left.
        if self.backlog.is_ending() {
            return;
        }
        self.hub.frame(self.peer, StreamId(0), frame);
    }

    /// Asked only when there is a batch, which is next to never.
    fn has_batches(&self) -> bool {
        let status = self.hub.status();
        let client = status.clients.iter().find(|client| client.id == self.peer.0);
        client.is_some_and(|client| client.protocol_version.as_deref() == Some("2025-03-26"))
    }

    fn refuse(&self, problem: &NotAFrame) -> Result<(), Reason> {
        let (code, message) = match problem {
            NotAFrame::Syntax(_) => (code::PARSE, problem.to_string()),
            NotAFrame::Batch => (code::INVALID_REQUEST, "batches are part of revision 2025-03-26 only".to_owned()),
            NotAFrame::Shape => (code::INVALID_REQUEST, problem.to_string()),
        };
        self.answer(author::error(None, code, &message, None))
    }

    fn answer(&self, frame: bytes::Bytes) -> Result<(), Reason> {
        self.backlog.deliver(Delivery { stream: None, class: Class::Refusal, frame }).map_err(|_| Reason::Stuck)
    }
}
