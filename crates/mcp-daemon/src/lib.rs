//! One process for all shared servers of a user: started when it is needed, found from the home directory and the user alone,
//! left when nobody needs it.
//!
//! [`shim`] is what a client runs: it finds the daemon ([`ensure`]) and pumps bytes. [`serve`] is the daemon: its main thread
//! takes callers in and sends each to the thread of its server. Who shares a server is decided by [`identity`]. [`client`] asks
//! the daemon for its status and tells it to stop things. How frames move is `mcp-relay`'s business.

mod backend;
pub mod call;
pub mod client;
pub mod control;
pub mod ensure;
pub mod foreground;
pub mod hello;
pub mod identity;
pub mod link;
pub mod log;
pub mod place;
mod quiet;
mod secret;
pub mod serve;
pub mod service;
pub mod shim;
pub mod store;
mod ticket;
