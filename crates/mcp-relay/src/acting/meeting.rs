//! Where a session that goes on and those who want to act on it find each other: a private directory with one socket for each session.

use std::path::{Path, PathBuf};

/// The directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting(PathBuf);

impl Meeting {
    /// This directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// The socket of a session.
    pub fn socket(&self, session: &str) -> PathBuf {
        self.0.join(session)
    }

    /// Where a socket cannot be used: the loopback address and the token, a line each.
    pub fn address(&self, session: &str) -> PathBuf {
        self.0.join(format!("{session}.address"))
    }

    /// Whether the path of a session's socket is short enough: the system's limit is about a hundred bytes.
    pub fn has_sockets(&self, session: &str) -> bool {
        cfg!(unix) && self.socket(session).as_os_str().len() < 104
    }
}
