//! A recording that speaks again: as the server ([`Mock`]), or as the client of another server ([`Verifier`]).
//!
//! Neither does any I/O: they are given lines and the time and say what is to be sent when.

mod mock;
mod opening;
mod recording;
mod rewrite;
mod verify;

pub use mock::{Mock, Options};
pub use recording::{Act, Exchange, Recording, Said, Step};
pub use verify::{BadPath, Verifier};

use crate::event::Hop;
use crate::session::Session;

/// The hop a recording is replayed from: the clients' one, where that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToldHop {
    /// The clients'.
    Client,
    /// The server's.
    Server,
}

impl ToldHop {
    /// Whether a hop is it.
    pub fn is(self, hop: Hop) -> bool {
        (hop == Hop::Server) == (self == Self::Server)
    }
}

/// Which hop of a session tells what clients said and heard.
pub fn told_hop(session: &Session) -> ToldHop {
    let has_clients = session
        .index()
        .iter_from(0)
        .any(|(_, entry)| matches!(entry.stamp.hop, Hop::Client(_)) && entry.class != crate::scan::Class::None);
    if has_clients { ToldHop::Client } else { ToldHop::Server }
}
