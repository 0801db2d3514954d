//! What a routing rule is: events in, actions out, no I/O.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use mcp_wire::Frame;
use mcp_wire::version::Era;

use crate::status::Status;
use crate::upstream::Fate;

/// One client's connection: a stdio session, an HTTP session of the legacy era, or a single HTTP request of the modern one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// One HTTP answer that messages can be put on. Numbers are the transport's, unique within a peer. A stdio session has only
/// stream 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// How a client came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Lines over a pipe or a socket: closing it is leaving, and there is one stream.
    Stdio,
    /// Streamable HTTP.
    Http,
    /// The HTTP+SSE transport of 2024-11-05.
    Sse,
}

impl Via {
    /// As `mcp daemon status` has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::Sse => "sse",
        }
    }
}

/// A client that came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// How.
    pub via: Via,
    /// The era, where the transport knows it. A stdio client's is found out from what it says.
    pub era: Option<Era>,
    /// The process at the other end, where it is known.
    pub pid: Option<u32>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client came.
    Opened(PeerId, Arrival),
    /// A client said something; what it asks is answered on this stream.
    Frame(PeerId, StreamId, Frame),
    /// An HTTP answer was dropped by its client before it was complete.
    Abandoned(PeerId, StreamId),
    /// A client left, or is to be treated as gone.
    Closed(PeerId),
    /// The server said something. With a transport that can tell: on the answer to this request of ours.
    Upstream(Frame, Option<u64>),
    /// The server sent bytes that are no frame.
    Noise,
    /// The server sent a message over the limit of so many bytes; the id it answers, if that could be found.
    TooLong(u64, Option<u64>),
    /// The answer to this request of ours has been passed on while it arrived, and is complete; see [`Route::passage`].
    Passed(u64),
    /// The server could not be started, or ended.
    UpstreamClosed(Fate),
    /// The time that was asked for has come.
    Tick,
    /// Somebody wants the server to end: no new work, and closed when the last call is done.
    Drain,
    /// Somebody wants the server started, with nobody there yet.
    Start,
    /// A client that has just come brings what [`Route::ticket`] gave it elsewhere: it goes on where it was.
    Resumed(PeerId, String),
}

/// What kind of message is delivered, for a transport whose client reads too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The answer to the request that opened the stream; it completes it (a stream of a batch has several).
    Response,
    /// An answer we gave ourselves because the request must not go any further: HTTP says so in its status (400).
    Refusal,
    /// A request of the server.
    Request,
    /// Progress: a later one makes an earlier one of the same call (this number) worthless.
    Progress(u64),
    /// A log line: may be dropped.
    Log,
    /// Any other notification.
    Notification,
}

/// What to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Give a message to a client: on a stream, or, with none, where what belongs to no request goes.
    Send(PeerId, Option<StreamId>, Class, Bytes),
    /// Nothing more comes on this stream, and it has had no response: end it.
    EndStream(PeerId, StreamId),
    /// End a client's connection, saying why.
    End(PeerId, String),
    /// Send to the server.
    Upstream(Bytes),
    /// Start the server.
    Open,
    /// End the server.
    Close,
    /// Something worth a line in the log or a place on disk.
    Note(Note),
}

/// What an observer or the owner may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A line for the server's log.
    Log(String),
    /// The server opened in this era: worth remembering for the next start.
    Era(Era),
    /// The server turned to a client with a request: worth remembering for the next start.
    Interactive,
    /// No client is left.
    Idle,
    /// A client is there again.
    Busy,
    /// The server is not started again: it failed too often.
    GaveUp(String),
    /// What [`Event::Drain`] began is done.
    Ended,
}

/// An argument of a tool that a modern HTTP client repeats in a header (basic/transports/streamable-http).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrored {
    /// The header: `Mcp-Param-` and the name from `x-mcp-header`.
    pub header: String,
    /// Where the argument is below `params.arguments`.
    pub path: Vec<String>,
    /// It is an integer, compared as a number.
    pub is_integer: bool,
}

/// Where an answer goes that is passed on while it still arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The client.
    pub peer: PeerId,
    /// The stream.
    pub stream: StreamId,
    /// The id it has there, as spelt.
    pub id: Box<str>,
}

/// A routing rule.
pub trait Route {
    /// Takes an event in and appends what is to be done.
    fn on(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>);

    /// Where the answer to this request of ours goes, if nothing but its id is changed on the way and nothing of it has to be
    /// known: then it need not be there as a whole before it is passed on. `beginning` is what has come of it. What is passed
    /// on so is told by [`Event::Passed`] at its end, and by [`Event::TooLong`] or [`Event::UpstreamClosed`] where it has none.
    fn passage(&self, _id: u64, _beginning: &[u8]) -> Option<Passage> {
        None
    }

    /// When [`Event::Tick`] is wanted next.
    fn wake(&self) -> Option<Instant>;

    /// How things stand.
    fn status(&self, now: Instant) -> Status;

    /// What lets a client go on elsewhere without noticing, if nothing of it is under way.
    fn ticket(&self, _peer: PeerId) -> Option<String> {
        None
    }

    /// Requests of a client that have had no answer yet, those that still wait for the server to start included. A client whose
    /// input has ended is let go when there are none.
    fn in_flight(&self, _peer: PeerId) -> usize {
        0
    }

    /// What a client calls itself, as far as it said.
    fn name(&self, _peer: PeerId) -> Option<String> {
        None
    }

    /// The arguments of a tool that have to be repeated in headers, as far as the tool's schema went by.
    fn mirrored(&self, _tool: &str) -> Option<Rc<[Mirrored]>> {
        None
    }
}
