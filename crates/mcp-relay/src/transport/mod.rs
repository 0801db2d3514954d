//! How frames come and go. Downstream: [`stdio`] (any pair of byte streams) and [`http_server`]. Upstream: [`child`] and
//! [`http_client`].

pub mod child;
mod gather;
pub mod http_client;
pub mod http_server;
pub mod stdio;
