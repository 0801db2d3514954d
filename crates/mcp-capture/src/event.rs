//! What a capture holds: messages with their stamps, and everything else that happened to a session.
//!
//! The structures with serde derives are the JSON of the file as `docs/captures.md` has it. Members this version does not
//! know are skipped, members an older version did not write have their defaults.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// On which connection something was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hop {
    /// On the one to this client. A wrapper has one client, number 1; a daemon numbers its clients.
    Client(u32),
    /// On the one to the server.
    Server,
}

impl Hop {
    /// The client's number; 0 on the server's side.
    pub fn peer(self) -> u32 {
        match self {
            Self::Client(peer) => peer,
            Self::Server => 0,
        }
    }
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From a client, or to the server.
    ToServer,
    /// From the server, or to a client.
    ToClient,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// What is to be known of a record besides its kind. The low eight bits are in the file; the others are found out when the
/// record is indexed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u16);

impl Flags {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The bytes are no JSON-RPC message.
    pub const NOT_A_MESSAGE: Self = Self(1);
    /// The bytes did not end with a line end.
    pub const NO_NEWLINE: Self = Self(1 << 1);
    /// Only the beginning was kept; the payload begins with the true length.
    pub const TRUNCATED: Self = Self(1 << 2);
    /// Secrets were replaced.
    pub const REDACTED: Self = Self(1 << 3);
    /// It was passed on otherwise than it came; an `Altered` record has what came.
    pub const ALTERED: Self = Self(1 << 4);
    /// No peer said it: a person or a rule sent it through us.
    pub const INJECTED: Self = Self(1 << 5);
    /// It was held back for a while.
    pub const HELD: Self = Self(1 << 6);
    /// It was never passed on.
    pub const DROPPED: Self = Self(1 << 7);
    /// A result that says it is an error (`isError`), a task that failed, an HTTP status of 400 and up.
    pub const IS_ERROR: Self = Self(1 << 8);
    /// A result that asks for input (modern era).
    pub const INPUT_REQUIRED: Self = Self(1 << 9);
    /// A result that is a task which has not ended.
    pub const TASK: Self = Self(1 << 10);
    /// A cancellation because of a timeout.
    pub const TIMEOUT: Self = Self(1 << 11);

    /// Whether all bits of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other`.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// With these bits if a condition holds.
    #[must_use]
    pub fn with_if(self, condition: bool, other: Self) -> Self {
        if condition { self.with(other) } else { self }
    }

    /// What goes into the file.
    pub(crate) fn in_file(self) -> u16 {
        self.0 & 0xff
    }
}

/// When, where and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Counts everything that is recorded in a session, from 1, across parts. What was lost has numbers too.
    pub sequence: u64,
    /// Nanoseconds since the session's zero, of a clock that never goes back.
    pub at: u64,
    /// Where.
    pub hop: Hop,
    /// Which way.
    pub direction: Direction,
    /// What else.
    pub flags: Flags,
}

/// The first record of every file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    /// Names the session; all its parts have it.
    pub session: String,
    /// Which part this is, from 1.
    pub part: u32,
    /// The number the first record of this part has at least.
    pub first_sequence: u64,
    /// Milliseconds since 1970 (UTC) when the session's monotonic clock stood at 0.
    pub started_ms: u64,
    /// Version of the program that wrote it.
    pub program: String,
    /// The client, if known at the start.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client: String,
    /// The server's name.
    pub server: String,
    /// How the server was started, secrets replaced; or its address.
    pub command: Vec<String>,
    /// In which directory.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cwd: String,
    /// The process that records.
    pub pid: u32,
    /// `stdio`, `http` or `sse`.
    pub transport: String,
    /// Who records: `tap`, `daemon`, `inspect`, …
    pub recorder: String,
    /// Which hops are recorded: `client`, `server`, or both.
    pub hops: Vec<String>,
    /// Nothing was replaced.
    pub raw: bool,
}

/// What HTTP knows beside the message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Http {
    /// The number of the message it belongs to; 0 for none.
    pub frame: u64,
    /// What happened.
    pub phase: HttpPhase,
    /// `POST`, …
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The path asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The status of an answer.
    #[serde(skip_serializing_if = "is_zero")]
    pub status: u16,
    /// Chosen headers, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u16) -> bool {
    *number == 0
}

/// What happened to an HTTP exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpPhase {
    /// A request came.
    #[default]
    Request,
    /// An answer began.
    Response,
    /// The one who asked went away before the answer was complete: in the modern era that cancels.
    Dropped,
    /// A phase of a later version.
    #[serde(other)]
    Other,
}

/// A client that came, was recognised, or left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Peer {
    /// Its number, as in [`Hop::Client`].
    pub peer: u32,
    /// It is there; `false`: it left.
    pub open: bool,
    /// Its process, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its name, from `clientInfo` or the command line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// `legacy` or `modern`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub era: String,
    /// The revision of the protocol.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
}

/// A server's process that started or ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// It started; `false`: it ended.
    pub started: bool,
    /// The code it ended with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
}

/// A line of text from whoever records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Note {
    /// The text.
    pub text: String,
}

/// A mark or a comment somebody put on a frame later. Marks are in a file of their own beside the capture, so that the
/// capture has one writer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mark {
    /// The number of the frame; 0 means the session.
    pub frame: u64,
    /// A letter to jump to it by; empty for a mere comment.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mark: String,
    /// What was said about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// It takes back what the same frame had before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// When, in milliseconds since 1970 (UTC).
    pub made_ms: u64,
}

/// A message that was not left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Altered {
    /// The number of the message as it was passed on; 0 if it was not.
    pub frame: u64,
    /// `edit`, `drop`, `delay`, `error`, `truncate`, `duplicate`, `reorder`, `send`, …
    pub what: String,
    /// Which breakpoint, fault or person did it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// Something is missing here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gap {
    /// How many records.
    pub records: u64,
    /// How many bytes they had.
    pub bytes: u64,
    /// The number of the last one; the gap's own number is the first one's.
    pub last: u64,
    /// `queue`: they came faster than they could be written. `write`: the disk took no more.
    pub cause: String,
}

/// The last record of a file that was ended in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Footer {
    /// Messages in this part.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records that were lost in this part.
    pub lost: u64,
    /// Milliseconds since 1970 (UTC).
    pub ended_ms: u64,
    /// The session goes on in the next part.
    pub continues: bool,
    /// Why it ended, if there is something to say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What can be recorded besides messages and lines of stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// See [`Http`].
    Http(Http),
    /// See [`Peer`].
    Peer(Peer),
    /// See [`Process`].
    Process(Process),
    /// See [`Note`].
    Note(Note),
    /// See [`Altered`]; with the bytes as they came.
    Altered(Altered, Bytes),
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The first one.
    Header(Header),
    /// A message. With [`Flags::TRUNCATED`] the second is its true length.
    Frame(Bytes, u64),
    /// What the server wrote to its standard error.
    Stderr(Bytes),
    /// Something else that was recorded.
    Event(Event),
    /// A mark.
    Mark(Mark),
    /// Something is missing.
    Gap(Gap),
    /// The last one.
    Footer(Footer),
    /// A type of a later version.
    Unknown(u8),
}
