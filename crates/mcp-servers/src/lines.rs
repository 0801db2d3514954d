//! The stdio side of a bundled server: lines in, lines out.
//!
//! rmcp's own line transport answers nothing to a message it cannot place, so its sender waits for a time-out; a number
//! such as `1e400` is enough, because no double holds it. Numbers also reach its handlers as doubles, and digits are
//! gone by then. This transport keeps the digits (see [`exact_numbers`]) and answers every request it can name.

use std::io;

use futures_util::StreamExt;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, ErrorData, GetMeta, RequestId, ServerJsonRpcMessage};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::bytes::{Buf, BytesMut};
use tokio_util::codec::{Decoder, FramedRead};

use crate::exact_numbers;

/// Longest message accepted. The longest useful call of a bundled server has a few thousand bytes.
const MAX_LINE: usize = 1 << 20;

/// Answers that may wait for a client that does not read. When they are this many, nothing more is read from it.
const MAX_UNREAD_ANSWERS: usize = 64;

/// A server's transport over any pair of byte streams.
pub(crate) struct Lines<R> {
    incoming: FramedRead<R, LineDecoder>,
    outgoing: Option<mpsc::Sender<Vec<u8>>>,
    /// Whether an era was chosen. rmcp ends when anything but a request comes before that, yet a client that gives up
    /// on its probe sends a cancellation first.
    opened: bool,
}

impl<R: AsyncRead + Unpin + Send> Lines<R> {
    /// The transport, and the task that writes: it ends when the transport is gone and everything was written, or with
    /// the error of the write that failed.
    pub(crate) fn new<W: AsyncWrite + Unpin + Send + 'static>(reader: R, mut writer: W) -> (Self, JoinHandle<io::Result<()>>) {
        let (outgoing, mut queue) = mpsc::channel::<Vec<u8>>(MAX_UNREAD_ANSWERS);
        let writer = tokio::spawn(async move {
            while let Some(line) = queue.recv().await {
                writer.write_all(&line).await?;
                writer.flush().await?;
            }
            Ok(())
        });
        let incoming = FramedRead::new(reader, LineDecoder { discarding: false });
        (Self { incoming, outgoing: Some(outgoing), opened: false }, writer)
    }

    /// Whether a message may be passed on at this point of the conversation.
    fn admits(&mut self, message: &ClientJsonRpcMessage) -> bool {
        if self.opened {
            return true;
        }
        let ClientJsonRpcMessage::Request(request) = message else { return false };
        self.opened = match &request.request {
            ClientRequest::InitializeRequest(_) => true,
            ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
            other => other.get_meta().protocol_version().is_some(),
        };
        true
    }
}

impl<R: AsyncRead + Unpin + Send + 'static> Transport<RoleServer> for Lines<R> {
    type Error = io::Error;

    fn send(&mut self, message: TxJsonRpcMessage<RoleServer>) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let outgoing = self.outgoing.clone();
        async move {
            let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
            outgoing.ok_or_else(closed)?.send(line_of(&message)?).await.map_err(|_| closed())
        }
    }

    /// May be dropped between any two polls: whatever was read stays in `incoming`, and an answer goes into a place in
    /// the queue that was reserved before its question was read.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let outgoing = self.outgoing.clone()?;
            let place = outgoing.reserve().await.ok()?;
            let line = tokio::select! {
                line = self.incoming.next() => line?.ok()?,
                // The client reads no more: a broken pipe ends the conversation even while its other end is open.
                () = outgoing.closed() => return None,
            };
            let refusal = match read(&line) {
                Reading::Message(message) if self.admits(&message) => return Some(*message),
                Reading::Message(_) | Reading::Nothing => continue,
                Reading::Refused(refusal) => refusal,
            };
            place.send(line_of(&refusal).ok()?);
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        drop(self.outgoing.take());
        Ok(())
    }
}

fn line_of(message: &ServerJsonRpcMessage) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

enum Reading {
    Message(Box<ClientJsonRpcMessage>),
    Refused(Box<ServerJsonRpcMessage>),
    Nothing,
}

/// As much of a message as is needed to answer it when its type is not known.
#[derive(Deserialize)]
struct Envelope<'a> {
    id: Option<RequestId>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

fn read(line: &Line) -> Reading {
    let text = match line {
        Line::Whole(bytes) => bytes.strip_prefix(b"\xEF\xBB\xBF".as_slice()).unwrap_or(bytes).trim_ascii(),
        Line::TooLong => {
            return refused(ErrorData::invalid_request(format!("a message may have at most {MAX_LINE} bytes"), None), None);
        }
    };
    // What is no JSON is not answered, as other servers do: a peer that echoes would keep both busy for ever.
    let Ok(text) = std::str::from_utf8(text) else { return Reading::Nothing };
    if let Ok(message) = serde_json::from_str(&exact_numbers::quote(text)) {
        return Reading::Message(Box::new(message));
    }
    if serde_json::from_str::<&RawValue>(text).is_err() {
        return Reading::Nothing;
    }
    match serde_json::from_str::<Envelope<'_>>(text) {
        Ok(Envelope { id: Some(id), method: Some(method), params }) if method.get().starts_with('"') => {
            let what = if params.is_some() { "`params` are not what this method takes" } else { "`params` are missing" };
            refused(ErrorData::invalid_params(what, None), Some(id))
        }
        // A notification is never answered.
        Ok(Envelope { id: None, method: Some(_), .. }) => Reading::Nothing,
        Ok(Envelope { id, .. }) => refused(ErrorData::invalid_request("not a JSON-RPC request", None), id),
        Err(_) => refused(ErrorData::invalid_request("not a JSON-RPC message", None), None),
    }
}

fn refused(error: ErrorData, id: Option<RequestId>) -> Reading {
    Reading::Refused(Box::new(ServerJsonRpcMessage::error(error, id)))
}

enum Line {
    Whole(BytesMut),
    TooLong,
}

/// Cuts at newlines, and remembers while it throws away a line that grew too long.
struct LineDecoder {
    discarding: bool,
}

impl Decoder for LineDecoder {
    type Item = Line;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Line>> {
        loop {
            match buffer.iter().position(|&byte| byte == b'\n') {
                Some(end) if self.discarding => {
                    self.discarding = false;
                    buffer.advance(end + 1);
                }
                Some(end) if end > MAX_LINE => {
                    buffer.advance(end + 1);
                    return Ok(Some(Line::TooLong));
                }
                Some(end) => {
                    let line = buffer.split_to(end);
                    buffer.advance(1);
                    return Ok(Some(Line::Whole(line)));
                }
                None if self.discarding => {
                    buffer.clear();
                    return Ok(None);
                }
                None if buffer.len() > MAX_LINE => {
                    self.discarding = true;
                    buffer.clear();
                    return Ok(Some(Line::TooLong));
                }
                None => return Ok(None),
            }
        }
    }

    /// A last line without its newline counts.
    fn decode_eof(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Line>> {
        if let Some(line) = self.decode(buffer)? {
            return Ok(Some(line));
        }
        Ok((!buffer.is_empty()).then(|| Line::Whole(buffer.split())))
    }
}
