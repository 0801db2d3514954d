//! The way to one client. It takes what it is given at once and never waits: what a slow client has not read yet is kept up to
//! a limit, and beyond it the client is let go, so that it holds up nobody else.

use bytes::Bytes;

use crate::route::{Class, StreamId};

/// A message for a client.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The answer it goes on; none for what belongs to no request.
    pub stream: Option<StreamId>,
    /// What it is.
    pub class: Class,
    /// The message and a line end.
    pub frame: Bytes,
}

/// Which part of a message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The beginning.
    First,
    /// More.
    Middle,
    /// The end, and a line end.
    Last,
}

/// A part of an answer that is passed on while it still arrives. Between the first and the last part nothing else may come
/// where the client would take it for a part.
#[derive(Clone, Debug)]
pub struct Part {
    /// The answer it goes on.
    pub stream: StreamId,
    /// Which one it is.
    pub place: Place,
    /// The bytes; without line breaks, but for the line end of the last part.
    pub bytes: Bytes,
}

/// The client has not read so much that it is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client does not read what it is sent")]
pub struct Overflow;

/// The way to one client. Its functions are called by the [`Hub`](crate::hub::Hub) and must not call it back.
pub trait Outlet {
    /// Takes a message. A message for a stream that is gone is dropped.
    fn deliver(&self, delivery: Delivery) -> Result<(), Overflow>;
    /// Whether an answer on this stream can be taken in parts.
    fn takes_parts(&self, _stream: StreamId) -> bool {
        false
    }
    /// Takes the next part of an answer. Parts for a stream that is gone are dropped.
    fn deliver_part(&self, _part: Part) -> Result<(), Overflow> {
        Ok(())
    }
    /// The answer whose parts were delivered will not be completed. If its client is to be told why, that is delivered next.
    fn tear(&self, _stream: StreamId) {}
    /// Ends a stream that gets no response.
    fn end_stream(&self, stream: StreamId);
    /// Ends the connection, when what was delivered before has been sent. The reason is for the client's log.
    fn end(&self, reason: &str);
}
