//! What the tests of `mcp` share: a sandbox home, a scripted model, real clients and servers from the package registries.

pub mod clients;
pub mod fault;
pub mod install;
pub mod model;
pub mod sandbox;
#[cfg(unix)]
pub mod transparency;
