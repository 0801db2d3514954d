//! The ways a plan can end, and their words.

/// What a plan comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new entry.
    Added,
    /// An entry reaches the server another way.
    Updated,
    /// An entry went.
    Removed,
    /// An entry was switched on.
    Enabled,
    /// An entry was switched off.
    Disabled,
    /// An entry joins a shared server.
    Shared,
    /// An entry starts its own server again.
    Unshared,
    /// What an entry's server says is recorded.
    Attached,
    /// It is not any more.
    Detached,
    /// Everything is as wanted already.
    Unchanged,
    /// There is no entry of that name.
    NotThere,
}

impl Outcome {
    /// The word in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Removed => "removed",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Shared => "shared",
            Self::Unshared => "unshared",
            Self::Attached => "attached",
            Self::Detached => "detached",
            Self::Unchanged => "unchanged",
            Self::NotThere => "not there",
        }
    }
}
