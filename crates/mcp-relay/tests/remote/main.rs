//! A remote server, played byte by byte.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod auth;
mod client;
mod issuer;
mod legacy;
mod modern;
mod server;
mod shared;
