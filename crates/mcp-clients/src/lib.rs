//! The applications that host MCP servers, as data; reading and planning their entries.
//!
//! A client is a descriptor (`clients/<id>.toml`) and fixtures (`fixtures/<id>/<case>/`). [`descriptor`] is the schema,
//! [`platform`] and [`text`] its two little languages (paths and variables), [`locate`] finds a client's files,
//! [`shape`] turns a neutral [`entry::Entry`] into a client's dialect and back, and [`plan`] works out what a change of a
//! file would be.

pub mod catalog;
pub mod clients;
pub mod descriptor;
pub mod engine;
pub mod entry;
pub mod locate;
pub mod plan;
pub mod platform;
pub mod secret;
pub mod shape;
pub mod share;
pub mod snippet;
pub mod source;
pub mod survey;
pub mod tap;
pub mod text;
pub mod undo;
