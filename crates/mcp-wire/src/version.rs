//! Revisions of the protocol and the two eras they fall into.

/// How a conversation is opened (specification 2026-07-28, basic/versioning).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Era {
    /// By `initialize`: revisions up to 2025-11-25.
    Legacy,
    /// Each request brings its own metadata: from 2026-07-28.
    Modern,
}

impl Era {
    /// As people and files have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

impl std::fmt::Display for Era {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// The legacy revisions, oldest first.
pub const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// The newest legacy revision.
pub const NEWEST_LEGACY: &str = "2025-11-25";
/// The modern revisions we speak, oldest first.
pub const MODERN: [&str; 1] = ["2026-07-28"];
/// The newest revision.
pub const NEWEST: &str = "2026-07-28";

/// The era of a revision we know.
pub fn era(revision: &str) -> Option<Era> {
    if LEGACY.contains(&revision) {
        Some(Era::Legacy)
    } else if MODERN.contains(&revision) {
        Some(Era::Modern)
    } else {
        None
    }
}
