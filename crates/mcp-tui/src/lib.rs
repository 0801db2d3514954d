//! The inspector's screen: widgets as model, update and view.
//!
//! Nothing here opens a socket or a file: what is to be done outside is handed back to the caller. Foreign text reaches the
//! screen by [`text::put`] alone.

#![expect(clippy::trivially_copy_pass_by_ref, reason = "a theme may grow; every view takes it alike")]

pub mod app;
pub mod chart;
pub mod diff;
pub mod form;
pub mod keymap;
pub mod list;
pub mod pager;
pub mod palette;
pub mod popup;
pub mod prompt;
mod scan;
pub mod terminal;
#[cfg(test)]
mod testing;
pub mod text;
pub mod theme;
pub mod tree;
