//! Everything operating systems do differently: where things are kept, how a file is replaced safely, locks, the undo
//! journal, child processes. It knows nothing of MCP, of clients, or of a terminal.
//!
//! The order in which the parts are used for one change: [`lock`] the target, [`file::read`] it, plan elsewhere,
//! [`write::prepare`] the new file beside the old one, append the edit to the [`journal`], and
//! [`commit`](write::Prepared::commit).

pub mod browser;
pub mod causes;
pub mod clock;
pub mod detach;
pub mod dirs;
pub mod extent;
pub mod file;
pub mod guard;
pub mod journal;
pub mod lock;
pub mod memory;
pub mod private;
pub mod proc;
pub mod process;
pub mod pump;
pub mod signals;
mod sys;
pub mod which;
pub mod write;
