//! A client over a pair of byte streams, one message a line: a Unix socket, a TCP connection, our own standard input and
//! output.
//!
//! What is no message is answered with an error and never ends the connection. A batch, which only revision 2025-03-26 has,
//! is taken apart for a client that speaks this revision, and every message in it is answered on a line of its own: to a client
//! on a stream of lines that differs in nothing but the brackets. Everybody else's batch is refused.

mod backlog;
mod too_long;

use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt as _;
use mcp_wire::author::{self, code};
use mcp_wire::lines::{Line, Lines};
use mcp_wire::{Frame, NotAFrame};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::time::{Instant, timeout};

use crate::hub::Hub;
use crate::outlet::{Delivery, Outlet};
use crate::route::{Arrival, Class, PeerId, StreamId};
use backlog::Backlog;
use too_long::Verdict;

/// Messages of one client that are taken before others get their turn.
const TURN: usize = 64;

/// How a client is treated that does not do its part.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A client that has read nothing for this long…
    pub unread: Duration,
    /// …while more than so many bytes wait for it is let go.
    pub unread_bytes: usize,
    /// A client whose input has ended gets the answers to what it had asked before, for this long.
    pub unanswered: Duration,
    /// How long what was delivered before the end may take to be sent.
    pub farewell: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            unread: Duration::from_mins(1),
            unread_bytes: 1 << 20,
            unanswered: Duration::from_secs(10),
            farewell: Duration::from_secs(2),
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The client left.
    Left,
    /// The connection broke; what the system said.
    Broken(String),
    /// The client did not read what it was sent.
    Stuck,
    /// The route ended it; why, in words meant for the client's log.
    Ended(String),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub reason: Reason,
    /// Log lines of the server that were left out because the client read too slowly.
    pub dropped_log_lines: u64,
}

/// Serves a client until one side ends it. The streams are not shut down: they close when they are dropped, and whoever lent
/// the writer (`&mut writer` will do) can say a last word.
///
/// Dropping the future is a client that left.
pub async fn serve<R, W>(hub: Hub, arrival: Arrival, reader: R, writer: W) -> Ended
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    serve_with(hub, arrival, reader, writer, Patience::default(), |_| false).await
}

/// Serves a client over a Unix socket, where a client that is gone can be told from one that only says no more.
#[cfg(unix)]
pub async fn serve_unix(
    hub: Hub,
    arrival: Arrival,
    reader: tokio::net::unix::OwnedReadHalf,
    writer: impl AsyncWrite + Unpin,
) -> Ended {
    let is_gone = |reader: &tokio::net::unix::OwnedReadHalf| {
        let ready = reader.as_ref().ready(tokio::io::Interest::WRITABLE).now_or_never();
        matches!(ready, Some(Ok(ready)) if ready.is_write_closed())
    };
    serve_with(hub, arrival, reader, writer, Patience::default(), is_gone).await
}

/// Serves a client with other times, and a way to see, after the end of its input, whether it is still there.
pub async fn serve_with<R, W>(
    hub: Hub,
    arrival: Arrival,
    reader: R,
    mut writer: W,
    patience: Patience,
    is_gone: impl Fn(&R) -> bool,
) -> Ended
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let backlog = Rc::new(Backlog::new(hub.limits().client_queue));
    let outlet: Rc<dyn Outlet> = Rc::clone(&backlog) as _;
    let peer = hub.open(arrival, outlet);
    let client = Client { hub, peer, backlog, patience };
    // Nobody else polls these two, so one task per client does: less memory, and one turn for what comes and what goes.
    let reason = tokio::select! {
        biased;
        reason = client.write(&mut writer) => reason,
        reason = client.read(reader, is_gone) => reason,
    };
    client.hub.close(peer);
    if matches!(reason, Reason::Left | Reason::Ended(_)) {
        let farewell = async { while client.backlog.bytes() > 0 && client.backlog.write(&mut writer).await.is_ok() {} };
        let _ = timeout(patience.farewell, farewell).await;
    }
    Ended { reason, dropped_log_lines: client.backlog.dropped() }
}

struct Client {
    hub: Hub,
    peer: PeerId,
    backlog: Rc<Backlog>,
    patience: Patience,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.hub.close(self.peer);
    }
}

impl Client {
    /// Writes what is delivered, until the route ends the connection or the client does not read.
    async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> Reason {
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
    async fn read<R: AsyncRead + Unpin>(&self, mut reader: R, is_gone: impl Fn(&R) -> bool) -> Reason {
        let mut lines = Lines::new(self.hub.limits().message);
        let mut taken = 0;
        loop {
            while let Some(line) = lines.next_line() {
                if !self.has_room(&reader, &is_gone).await {
                    return Reason::Left;
                }
                if let Err(reason) = self.take(line) {
                    return reason;
                }
                taken += 1;
                if taken == TURN {
                    taken = 0;
                    tokio::task::yield_now().await;
                }
            }
            // A client is not read while the server is stuck: what it has to say waits on its side.
            if !self.has_room(&reader, &is_gone).await {
                return Reason::Left;
            }
            match reader.read_buf(lines.buffer()).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(e) => return Reason::Broken(e.to_string()),
            }
        }
        if let Some(Err(reason)) = lines.finish_stream().map(|line| self.take(line)) {
            return reason;
        }
        let deadline = Instant::now() + self.patience.unanswered;
        while !is_gone(&reader) && self.hub.in_flight(self.peer) > 0 && Instant::now() < deadline {
            let _ = timeout(Duration::from_millis(100), self.backlog.answered()).await;
        }
        Reason::Left
    }

    /// Waits until the server has read enough. `false`: the client left meanwhile.
    async fn has_room<R>(&self, reader: &R, is_gone: impl Fn(&R) -> bool) -> bool {
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
