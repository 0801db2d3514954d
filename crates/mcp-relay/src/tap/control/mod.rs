//! How somebody who watches a tap acts on what passes: a private socket, found by the capture's session, with one JSON object
//! a line each way. What a viewer asked for ends with its connection.

mod client;
mod serve;
pub mod wire;

pub use client::{Client, ControlError, Reader};

pub(super) use serve::{Door, serve};
