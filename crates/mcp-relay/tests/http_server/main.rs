//! The HTTP front end as clients see it: bytes over TCP, with a scripted route in place of a server.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod client;
mod harness;
mod limits;
mod modern;
mod old_sse;
#[cfg(unix)]
mod passing;
mod sessions;
mod shared;
mod statuses;
