//! How somebody who watches acts on what passes: breakpoints, faults, messages of ours.
//!
//! One pipeline for every kind of session. [`Rules`](rules::Rules) say what is to be done with a message; they know nothing of
//! how it is passed on. Who carries a session implements [`Stage`] and [`serve()`]s it at a private socket, found by the
//! capture's session ([`Meeting`]), with one JSON object a line each way ([`wire`]). What a viewer asked for ends with its
//! connection.
//!
//! The wrapper of one client ([`tap`](crate::tap)) asks between two lines, the hub of many on the connection to the client
//! concerned, the tap before an address with whole bodies and events. While nobody wants anything, none of them asks.

use mcp_capture::event::{self, Event, Flags};
use mcp_capture::{Hop, Sink};

mod answer;
mod client;
mod faults;
mod meeting;
mod post;
pub(crate) mod rules;
mod serve;
pub mod wire;

pub use client::{Client, ControlError, Reader};
pub use meeting::Meeting;
pub use rules::Altered;
pub use serve::Door;

pub(crate) use answer::{About, Sending};
pub(crate) use post::{Word, post};
pub(crate) use serve::{Stage, serve};

/// Records what a message was before it was changed: what the rules say, as every capture has it.
pub fn record(sink: &Sink, hop: Hop, number: u64, flags: Flags, altered: Altered) {
    let frame = if flags.has(Flags::DROPPED) { 0 } else { number };
    let what = event::Altered { frame, what: altered.what.to_owned(), by: altered.by };
    sink.event(hop, Event::Altered(what, altered.original));
}
