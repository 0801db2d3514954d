//! A client that came through the shim: its socket, handed over by the thread that took it in.

use std::io;
use std::rc::Rc;

use mcp_relay::hub::Hub;
use mcp_relay::route::{Arrival, Via};
use mcp_relay::transport::stdio::{Ended, Handover, Reason, Session};
use tokio::io::AsyncRead;
use tokio::sync::{Notify, mpsc};

use super::Report;
use crate::hello::{LONGEST, Why};
use crate::ticket::Ticket;

/// A socket that no runtime has.
#[derive(Debug)]
pub(crate) enum Stream {
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
    Tcp(std::net::TcpStream),
}

/// A client that comes.
#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) session: u64,
    pub(crate) stream: Stream,
    /// What was read of its frames already.
    pub(crate) early: Vec<u8>,
    pub(crate) pid: Option<u32>,
    /// With what it goes on where it was.
    pub(crate) ticket: Option<String>,
    /// What sets its server apart, to be told to the next daemon.
    pub(crate) isolation: Option<String>,
}

/// Serves a client to its end. The wish is that it goes on elsewhere.
pub(crate) async fn serve(hub: Hub, joining: Joining, wish: Rc<Notify>, reports: mpsc::UnboundedSender<Report>) {
    let number = joining.session;
    let isolation = joining.isolation.clone();
    let served = pump(hub, joining, wish, |ended| {
        // Before the socket is closed: the shim asks as soon as it sees the end.
        let _ = reports.send(Report::SessionEnded(number, why(ended, isolation)));
    });
    if let Err(e) = served.await {
        let _ = reports.send(Report::SessionEnded(number, Why::End(4, format!("take over the connection: {e}"))));
    }
}

async fn pump(hub: Hub, joining: Joining, wish: Rc<Notify>, on_end: impl FnOnce(Ended)) -> io::Result<()> {
    let arrival = Arrival { via: Via::Stdio, era: None, pid: joining.pid };
    let (early, ticket) = (joining.early, joining.ticket);
    match joining.stream {
        #[cfg(unix)]
        Stream::Unix(stream) => {
            let (reader, mut writer) = tokio::net::UnixStream::from_std(stream)?.into_split();
            let session = Session::unix(arrival).with_early(early).with_handover(wish);
            on_end(with(session, ticket).serve(hub, reader, &mut writer).await);
        }
        Stream::Tcp(stream) => {
            let (reader, mut writer) = tokio::net::TcpStream::from_std(stream)?.into_split();
            let session = Session::new(arrival).with_early(early).with_handover(wish);
            on_end(with(session, ticket).serve(hub, reader, &mut writer).await);
        }
    }
    Ok(())
}

fn with<R: AsyncRead + Unpin>(session: Session<R>, ticket: Option<String>) -> Session<R> {
    match ticket {
        Some(ticket) => session.with_ticket(ticket),
        None => session,
    }
}

fn why(ended: Ended, isolation: Option<String>) -> Why {
    if let Some(Handover { ticket, unheard }) = ended.handover {
        let ticket = Ticket { isolation, route: ticket, unheard }.to_bytes();
        return if ticket.len() <= LONGEST / 3 {
            Why::Resume(ticket)
        } else {
            Why::End(4, "the daemon was replaced while the client was saying something long: start it again".to_owned())
        };
    }
    match ended.reason {
        Reason::Left => Why::Unknown,
        Reason::Broken(text) => Why::End(4, format!("the connection broke: {text}")),
        Reason::Stuck => Why::End(4, "the client did not read what it was sent, and was let go".to_owned()),
        Reason::Ended(text) => Why::End(4, text),
    }
}
