//! `mcp tap` around servers: what passes, what is recorded, and what somebody who watches can do.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it says")]

#[path = "tap/session.rs"]
mod session;

#[path = "tap/acting.rs"]
mod acting;
#[path = "tap/daemon.rs"]
mod daemon;
#[path = "tap/http.rs"]
mod http;
#[path = "tap/http_acting.rs"]
mod http_acting;
#[path = "tap/recording.rs"]
mod recording;
#[path = "tap/shared.rs"]
mod shared;
#[path = "tap/transparency.rs"]
mod transparency;
