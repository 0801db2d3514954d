//! What the files of a session are called.

use std::path::{Path, PathBuf};

/// Ends the name of a capture.
pub const CAPTURE: &str = "mcpcap";

/// The index beside a part.
pub fn index(part: &Path) -> PathBuf {
    part.with_extension("mcpidx")
}

/// What is locked while the session of this first part is recorded.
pub fn live(first: &Path) -> PathBuf {
    first.with_extension("mcplive")
}

/// The marks and comments of the session of this first part.
pub fn marks(first: &Path) -> PathBuf {
    first.with_extension("mcpmark")
}

/// A part of the session of this first part.
pub fn part(first: &Path, part: u32) -> PathBuf {
    if part <= 1 {
        return first.to_owned();
    }
    let stem = first.file_stem().unwrap_or_default().to_string_lossy();
    first.with_file_name(format!("{stem}.{part}.{CAPTURE}"))
}

/// Whether this is the name of a later part: `name.2.mcpcap`.
pub fn is_later_part(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.rsplit_once('.').is_some_and(|(_, number)| number.parse::<u32>().is_ok_and(|n| n > 1))
}
