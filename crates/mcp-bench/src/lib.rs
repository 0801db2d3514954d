//! Programs for `cargo xtask bench-run-once`, and what they share: the fastest server we can write, the barest bridge that
//! does the job, and clients that check every answer.
//!
//! None of this uses the crates of `mcp` itself, so a mistake there cannot hide on both sides of a comparison.

pub mod http;
pub mod json;
#[cfg(target_os = "linux")]
pub mod load;
