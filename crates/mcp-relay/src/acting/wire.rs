//! What is said to whoever has a session, and by it: one JSON object a line.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use mcp_capture::Direction;
use serde::{Deserialize, Serialize};

/// Something a viewer wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Named again in what is reported about it.
    #[serde(default)]
    pub number: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What a viewer wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum What {
    /// Who is there?
    Hello,
    /// How do things stand?
    Status,
    /// Hold messages that fit. A second one of the same id takes the first one's place.
    Breakpoint {
        /// Its name.
        id: String,
        /// Which messages, in the filter language.
        #[serde(default)]
        filter: String,
        /// Which way; both without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        direction: Option<Way>,
    },
    /// Pass a held message on.
    Release {
        /// Its number.
        held: u64,
        /// What to pass on instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<Payload>,
    },
    /// Never pass a held message on.
    Drop {
        /// Its number.
        held: u64,
    },
    /// Pass on everything that is held.
    ReleaseAll,
    /// Spoil messages that fit.
    Fault {
        /// Its name.
        id: String,
        /// Which messages, in the filter language.
        #[serde(default)]
        filter: String,
        /// Which way; both without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        direction: Option<Way>,
        /// How.
        #[serde(flatten)]
        kind: FaultKind,
        /// How likely, from 0 to 1; always without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        probability: Option<f64>,
        /// How often at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u32>,
    },
    /// Take a breakpoint or a fault back, or all without an id.
    Clear {
        /// Its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// Say something in the place of a peer.
    Send {
        /// To whom.
        direction: Way,
        /// To which client, where there are several: its number in the capture.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<u32>,
        /// What.
        message: Payload,
    },
    /// End the wrapped server and start it again while its client stays.
    Restart,
}

/// How a message is spoilt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FaultKind {
    /// It comes later.
    Delay {
        /// By so many milliseconds.
        ms: u64,
    },
    /// It never comes.
    Drop,
    /// A request is answered with an error and not passed on; an answer becomes an error.
    Error {
        /// The code.
        code: i64,
        /// The text.
        message: String,
    },
    /// Only its beginning comes, as a line.
    Truncate {
        /// So many bytes.
        length: u64,
    },
    /// It comes twice.
    Duplicate,
    /// It comes after others.
    Reorder {
        /// After so many.
        after: u32,
    },
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Way {
    /// The same in a capture's words.
    pub fn direction(self) -> Direction {
        match self {
            Self::ToServer => Direction::ToServer,
            Self::ToClient => Direction::ToClient,
        }
    }

    pub(crate) fn of(direction: Direction) -> Self {
        match direction {
            Direction::ToServer => Self::ToServer,
            Direction::ToClient => Self::ToClient,
        }
    }
}

/// Bytes of a message: as text if they are UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// Text.
    Text(String),
    /// Anything else.
    Base64(String),
}

impl Payload {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(BASE64_STANDARD.encode(bytes)),
        }
    }

    /// The bytes. `None`: that is no base64.
    pub fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::Text(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
            Self::Base64(text) => BASE64_STANDARD.decode(text).ok().map(Bytes::from),
        }
    }

    /// The bytes as a message of the stream: one line.
    pub(crate) fn line(&self) -> Option<Bytes> {
        let bytes = self.bytes()?;
        if bytes.ends_with(b"\n") {
            return Some(bytes);
        }
        let mut line = bytes.to_vec();
        line.push(b'\n');
        Some(Bytes::from(line))
    }
}

/// The only client of a session that has one.
fn first() -> u32 {
    1
}

/// A message that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldMessage {
    /// Its number among those that were held.
    pub held: u64,
    /// By which breakpoint or fault.
    pub by: String,
    /// The client it comes from or goes to, as the capture numbers it.
    #[serde(default = "first")]
    pub client: u32,
    /// Which way it goes.
    pub direction: Way,
    /// What it says.
    pub message: Payload,
}

/// What is said to a viewer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Report {
    /// To [`What::Hello`].
    Hello {
        /// Of the request.
        number: u64,
        /// Of this protocol.
        version: u32,
        /// Of the capture.
        session: String,
        /// The server's name.
        server: String,
        /// The server's process.
        pid: u32,
    },
    /// To [`What::Status`].
    Status {
        /// Of the request.
        number: u64,
        /// The server's process.
        pid: u32,
        /// Names of breakpoints.
        breakpoints: Vec<String>,
        /// Names of faults.
        faults: Vec<String>,
        /// What is held.
        held: Vec<HeldMessage>,
    },
    /// It was done.
    Done {
        /// Of the request.
        number: u64,
        /// The id that a sent request was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// It was not done.
    Failed {
        /// Of the request.
        number: u64,
        /// Why.
        reason: String,
    },
    /// A message is held now.
    Held(HeldMessage),
    /// A message is not held any more: it went on, or was dropped.
    Gone {
        /// Its number.
        held: u64,
    },
    /// To a request that was sent with [`What::Send`]: its answer, or what it says about its progress.
    Answer {
        /// The id it was given.
        id: String,
        /// What was said.
        message: Payload,
    },
}

/// The version of this protocol.
pub const VERSION: u32 = 1;
