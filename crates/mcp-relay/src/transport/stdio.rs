//! A client over a pair of byte streams, one message a line: a Unix socket, a TCP connection, our own standard input and
//! output.
//!
//! What is no message is answered with an error and never ends the connection. A batch, which only revision 2025-03-26 has,
//! is taken apart for a client that speaks this revision, and every message in it is answered on a line of its own: to a client
//! on a stream of lines that differs in nothing but the brackets. Everybody else's batch is refused.

mod backlog;
mod client;
mod too_long;

use std::rc::Rc;
use std::time::Duration;

use mcp_wire::lines::Lines;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::hub::Hub;
use crate::outlet::Outlet;
use crate::route::Arrival;
use backlog::Backlog;
use client::{Client, Stop};

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
    /// The route or its owner ended it; why, in words meant for the client's log.
    Ended(String),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub reason: Reason,
    /// Log lines of the server that were left out because the client read too slowly.
    pub dropped_log_lines: u64,
    /// With what the client can go on elsewhere, if that was wished for.
    pub handover: Option<Handover>,
}

/// What another process needs to go on with a client's conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// What the route there is told ([`Session::with_ticket`]).
    pub ticket: String,
    /// What the client had said that nobody has heard ([`Session::with_early`]).
    pub unheard: Vec<u8>,
}

/// A client's connection and what is special about it.
pub struct Session<R> {
    arrival: Arrival,
    patience: Patience,
    early: Vec<u8>,
    ticket: Option<String>,
    handover: Option<Rc<Notify>>,
    is_gone: fn(&R) -> bool,
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
    Session::new(arrival).serve(hub, reader, writer).await
}

/// Serves a client over a Unix socket; see [`Session::unix`].
#[cfg(unix)]
pub async fn serve_unix(
    hub: Hub,
    arrival: Arrival,
    reader: tokio::net::unix::OwnedReadHalf,
    writer: impl AsyncWrite + Unpin,
) -> Ended {
    Session::unix(arrival).serve(hub, reader, writer).await
}

#[cfg(unix)]
impl Session<tokio::net::unix::OwnedReadHalf> {
    /// A connection over a Unix socket, where a client that is gone can be told from one that only says no more.
    pub fn unix(arrival: Arrival) -> Self {
        use futures_util::FutureExt as _;
        let is_gone = |reader: &tokio::net::unix::OwnedReadHalf| {
            let ready = reader.as_ref().ready(tokio::io::Interest::WRITABLE).now_or_never();
            matches!(ready, Some(Ok(ready)) if ready.is_write_closed())
        };
        Self { is_gone, ..Self::new(arrival) }
    }
}

impl<R: AsyncRead + Unpin> Session<R> {
    /// A connection over streams of which nothing is known.
    pub fn new(arrival: Arrival) -> Self {
        Self { arrival, patience: Patience::default(), early: Vec::new(), ticket: None, handover: None, is_gone: |_| false }
    }

    /// With other times.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// With something that was read from the client already.
    #[must_use]
    pub fn with_early(mut self, early: Vec<u8>) -> Self {
        self.early = early;
        self
    }

    /// With what lets the client go on where it was ([`Hub::ticket`]).
    #[must_use]
    pub fn with_ticket(mut self, ticket: String) -> Self {
        self.ticket = Some(ticket);
        self
    }

    /// With a way to wish ([`Notify::notify_one`]) that the client goes on elsewhere. As soon as nothing of it is under way, its
    /// output is ended; it has to end its input then, and what it had said by that time is part of [`Ended::handover`].
    #[must_use]
    pub fn with_handover(mut self, wish: Rc<Notify>) -> Self {
        self.handover = Some(wish);
        self
    }

    /// Serves the client until one side ends it; see [`serve`].
    pub async fn serve<W: AsyncWrite + Unpin>(self, hub: Hub, mut reader: R, mut writer: W) -> Ended {
        let Self { arrival, patience, early, ticket, handover, is_gone } = self;
        let backlog = Rc::new(Backlog::new(hub.limits().client_queue));
        let outlet: Rc<dyn Outlet> = Rc::clone(&backlog) as _;
        let peer = hub.open(arrival, outlet);
        if let Some(ticket) = ticket {
            hub.resume(peer, ticket);
        }
        let mut lines = Lines::new(hub.limits().message);
        lines.push(&early);
        drop(early);
        let client = Client::new(hub, peer, backlog, patience, handover);
        // Nobody else polls these two, so one task per client does: less memory, and one turn for what comes and what goes.
        let stop = tokio::select! {
            biased;
            reason = client.write(&mut writer) => Stop::For(reason),
            stop = client.read(&mut reader, &mut lines, is_gone) => stop,
        };
        let (reason, handover) = match stop {
            Stop::For(reason) => {
                client.close();
                if matches!(reason, Reason::Left | Reason::Ended(_)) {
                    let _ = timeout(patience.farewell, client.write_rest(&mut writer)).await;
                }
                (reason, None)
            }
            Stop::HandOver(ticket) => {
                client.close();
                // The client may be saying something this moment: it is heard out, and passed on unread.
                let mut unheard = Vec::new();
                let most = client.longest_message() as u64;
                let hear = async {
                    let _ = writer.shutdown().await;
                    let _ = reader.take(most).read_to_end(&mut unheard).await;
                };
                let _ = timeout(patience.farewell, hear).await;
                (Reason::Ended("the conversation goes on elsewhere".to_owned()), Some(Handover { ticket, unheard }))
            }
        };
        Ended { reason, dropped_log_lines: client.dropped(), handover }
    }
}
