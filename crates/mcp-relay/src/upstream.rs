//! The way to the server.

use std::rc::Rc;

use bytes::Bytes;

use crate::hub::Hub;

/// How a server ended, or why it could not be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// `exited with status 3`, `was killed by signal 9`, `could not be started: …`.
    pub text: String,
    /// The last lines it wrote to stderr, oldest first.
    pub stderr: Vec<String>,
    /// We asked it to end.
    pub was_wanted: bool,
}

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)?;
        if !self.stderr.is_empty() {
            write!(f, "; its last words: {}", self.stderr.join(" | "))?;
        }
        Ok(())
    }
}

/// A connection to a server. Dropping it ends the server as [`Self::close`] does, without anybody waiting.
pub trait Upstream {
    /// Sends a message (with its line end). Never waits; see [`Self::queued`].
    fn send(&self, frame: Bytes);
    /// Bytes that wait to be sent, so that readers can hold back.
    fn queued(&self) -> usize;
    /// Begins the end: what is queued is sent, then the orderly shutdown (specification, basic/lifecycle). The hub is told
    /// when it is over.
    fn close(&self);
    /// The process at the other end.
    fn pid(&self) -> Option<u32> {
        None
    }
}

/// What starts a server or connects to one.
pub trait Connector {
    /// Begins to connect. What comes of it is told to the hub with this generation number
    /// ([`Hub::upstream_frame`], [`Hub::upstream_closed`]): a late word of an earlier server must not be taken for one of the
    /// current.
    fn connect(&self, hub: &Hub, generation: u64) -> Result<Rc<dyn Upstream>, Fate>;
}
