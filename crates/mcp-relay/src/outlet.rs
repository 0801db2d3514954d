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

/// The client has not read so much that it is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client does not read what it is sent")]
pub struct Overflow;

/// The way to one client. Its functions are called by the [`Hub`](crate::hub::Hub) and must not call it back.
pub trait Outlet {
    /// Takes a message. A message for a stream that is gone is dropped.
    fn deliver(&self, delivery: Delivery) -> Result<(), Overflow>;
    /// Ends a stream that gets no response.
    fn end_stream(&self, stream: StreamId);
    /// Ends the connection, when what was delivered before has been sent. The reason is for the client's log.
    fn end(&self, reason: &str);
}
