//! The commands, one file each.

pub(crate) mod clients;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod daemon;
pub(crate) mod demo;
pub(crate) mod install;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod man;
pub(crate) mod mock;
pub(crate) mod run_once;
pub(crate) mod serve;
pub(crate) mod share;
pub(crate) mod switch;
pub(crate) mod tap;
pub(crate) mod trace;
pub(crate) mod undo;
pub(crate) mod uninstall;
pub(crate) mod util;
pub(crate) mod verify;
pub(crate) mod version;
