//! A client that came through the shim: its socket, handed over by the thread that took it in.

use std::io::{self, Cursor};

use mcp_relay::hub::Hub;
use mcp_relay::route::{Arrival, Via};
use mcp_relay::transport::stdio::{self, Ended, Reason};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

use super::Report;
use crate::hello::Why;

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
}

/// Serves a client to its end.
pub(crate) async fn serve(hub: Hub, joining: Joining, reports: mpsc::UnboundedSender<Report>) {
    let session = joining.session;
    let why = pump(hub, joining, |ended| {
        // Before the socket is closed: the shim asks as soon as it sees the end.
        let _ = reports.send(Report::SessionEnded(session, why(ended)));
    });
    if let Err(e) = why.await {
        let _ = reports.send(Report::SessionEnded(session, Why::End(4, format!("take over the connection: {e}"))));
    }
}

async fn pump(hub: Hub, joining: Joining, on_end: impl FnOnce(Ended)) -> io::Result<()> {
    let arrival = Arrival { via: Via::Stdio, era: None, pid: joining.pid };
    match joining.stream {
        #[cfg(unix)]
        Stream::Unix(stream) => {
            let (reader, mut writer) = tokio::net::UnixStream::from_std(stream)?.into_split();
            let ended = if joining.early.is_empty() {
                stdio::serve_unix(hub, arrival, reader, &mut writer).await
            } else {
                stdio::serve(hub, arrival, Cursor::new(joining.early).chain(reader), &mut writer).await
            };
            on_end(ended);
        }
        Stream::Tcp(stream) => {
            let (reader, mut writer) = tokio::net::TcpStream::from_std(stream)?.into_split();
            let ended = stdio::serve(hub, arrival, Cursor::new(joining.early).chain(reader), &mut writer).await;
            on_end(ended);
        }
    }
    Ok(())
}

fn why(ended: Ended) -> Why {
    match ended.reason {
        Reason::Left => Why::Unknown,
        Reason::Broken(text) => Why::End(4, format!("the connection broke: {text}")),
        Reason::Stuck => Why::End(4, "the client did not read what it was sent, and was let go".to_owned()),
        Reason::Ended(text) => Why::End(4, text),
    }
}
