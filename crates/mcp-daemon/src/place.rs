//! The directory where the daemon and its callers meet, and what is in it.

use std::path::{Path, PathBuf};

use mcp_os::private::{self, PrivateError};

/// The names of things in the daemon's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// This directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Makes it if need be, checks whose it is, and keeps others out.
    pub fn prepare(&self) -> Result<(), PrivateError> {
        private::directory(&self.dir)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Locked by the daemon as long as it takes new clients: the lock says alive.
    pub fn lock(&self) -> PathBuf {
        self.dir.join("daemon.lock")
    }

    /// Locked by whoever starts a daemon.
    pub fn start_lock(&self) -> PathBuf {
        self.dir.join("start.lock")
    }

    /// The socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("sock")
    }

    /// The socket of a daemon that takes no new clients any more.
    pub fn leaving_socket(&self, pid: u32) -> PathBuf {
        self.dir.join(format!("sock.{pid}"))
    }

    /// Sockets of daemons that take no new clients any more, with their process ids.
    pub fn leaving_sockets(&self) -> Vec<(u32, PathBuf)> {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let found = entries.filter_map(|e| {
            let pid = e.file_name().to_str()?.strip_prefix("sock.")?.parse().ok()?;
            Some((pid, e.path()))
        });
        found.collect()
    }

    /// Where a socket cannot be used: the loopback address and the token, a line each.
    pub fn address(&self) -> PathBuf {
        self.dir.join("address")
    }

    /// Facts about the running daemon, for people and tools.
    pub fn state(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    /// What outlives a daemon: servers that stay, and what was learnt about others.
    pub fn servers(&self) -> PathBuf {
        self.dir.join("servers.json")
    }

    /// Random bytes that make hashes of variables worthless to others.
    pub fn salt(&self) -> PathBuf {
        self.dir.join("salt")
    }

    /// Where those who act on a recorded session find it.
    pub fn taps(&self) -> PathBuf {
        self.dir.join("taps")
    }

    /// The daemon's own words.
    pub fn daemon_log(&self) -> PathBuf {
        self.dir.join("daemon.log")
    }

    /// Logs of servers.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// The log of a server.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// Whether a path is short enough for a socket: the system's limit is about a hundred bytes.
    pub fn has_sockets(&self) -> bool {
        // The longest of the names, with the longest process id.
        cfg!(unix) && self.leaving_socket(u32::MAX).as_os_str().len() < 104
    }
}
