//! Where captures live: names, finding, listing, marks, pruning.

use std::hash::{BuildHasher as _, Hasher as _};

pub mod marks;
pub mod names;

/// A name for a new session: sixteen hexadecimal digits nobody else has.
pub fn new_session() -> String {
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u64(mcp_os::clock::now_ms());
    hasher.write_u32(std::process::id());
    format!("{:016x}", hasher.finish())
}
