//! What a frame is: cutting bytes into frames, reading the envelope of a JSON-RPC message, and changing single places of it
//! while every other byte stays as it came.
//!
//! It knows the shape of the Model Context Protocol's messages and nothing of transports, files or the async runtime. A
//! [`Frame`] is the bytes that arrived and the positions of its envelope; [`splice`] makes new bytes from old ones.
//!
//! Frames made here end with one `\n`, which standard input and output need and JSON ignores.

pub mod author;
pub mod frame;
pub mod lines;
pub mod methods;
pub mod object;
mod scan;
pub mod splice;
pub mod sse;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod version;

pub use frame::{Frame, Kind, NotAFrame};
pub use scan::{Beginning, beginning};
