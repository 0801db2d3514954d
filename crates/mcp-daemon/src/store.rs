//! `servers.json`: what outlives a daemon. Servers that stay, the ports of URLs, and what was learnt about servers.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use mcp_os::private;
use serde::{Deserialize, Serialize};

use crate::place::Place;

/// The format of the file. One that is newer is read and never written.
const FORMAT: u32 = 1;
/// Servers that are only remembered for what was learnt about them.
const MOST_REMEMBERED: usize = 200;

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Store {
    format: u32,
    /// The servers, by identity.
    #[serde(default)]
    pub servers: BTreeMap<String, Record>,
}

/// A server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// The program, resolved; none for a server elsewhere.
    pub program: Option<String>,
    /// The arguments.
    pub args: Vec<String>,
    /// The address of a server elsewhere.
    pub url: Option<String>,
    /// It is no server but a process that is kept alive.
    pub is_dummy: bool,
    /// The working directory.
    pub cwd: String,
    /// The variables that tell it apart: name and salted hash, never the value.
    pub env: BTreeMap<String, String>,
    /// Further variables that tell servers apart.
    pub env_keys: Vec<String>,
    /// Names of headers whose values only its client knows.
    pub headers: Vec<String>,
    /// See `call::Options`.
    pub upstream_era: String,
    /// See `call::Options`.
    pub client_capabilities: String,
    /// See `call::Options`.
    pub attribution: String,
    /// See `call::Options`.
    pub restart: String,
    /// It stays until it is stopped.
    pub is_persistent: bool,
    /// It was stopped, and is not to be started without being asked for.
    pub is_stopped: bool,
    /// The port and the token of its URL.
    pub http: Option<Http>,
    /// The era in which it opened.
    pub era: Option<String>,
    /// It asked something.
    pub is_interactive: bool,
    /// When it was last used, in milliseconds since 1970.
    pub used: u64,
}

/// Where a server is reached by URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http {
    /// The port on the loopback address.
    pub port: u16,
    /// What a caller has to know.
    pub token: String,
}

impl Http {
    /// A URL that works as it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{}/mcp", self.port, self.token)
    }
}

impl Store {
    /// Reads the file. What cannot be read is an empty store and a sentence about it.
    pub fn load(place: &Place) -> (Self, Option<String>) {
        let path = place.servers();
        let empty = |problem| (Self { format: FORMAT, servers: BTreeMap::new() }, problem);
        match std::fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice::<Self>(&bytes) {
                Ok(store) => (store, None),
                Err(e) => empty(Some(format!("read {}: {e}; it is begun anew", path.display()))),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => empty(None),
            Err(e) => empty(Some(format!("read {}: {e}", path.display()))),
        }
    }

    /// Writes the file, without the oldest of those who are only remembered.
    pub fn save(&mut self, place: &Place) -> Result<(), String> {
        if self.format > FORMAT {
            return Ok(());
        }
        let mut remembered: Vec<(u64, String)> =
            self.servers.iter().filter(|(_, r)| !r.is_persistent).map(|(id, r)| (r.used, id.clone())).collect();
        remembered.sort_unstable();
        let too_many = remembered.len().saturating_sub(MOST_REMEMBERED);
        for (_, id) in &remembered[..too_many] {
            self.servers.remove(id);
        }
        let text = serde_json::to_vec_pretty(self).map_err(|e| e.to_string())?;
        private::write(&place.servers(), &text).map_err(|e| format!("write {}: {e}", place.servers().display()))
    }

    /// The server with this name that stays.
    pub fn persistent(&self, name: &str) -> Option<(&String, &Record)> {
        self.servers.iter().find(|(_, r)| r.is_persistent && r.name == name)
    }
}

/// `state.json`: facts about the running daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The format of the file.
    pub format: u32,
    /// The daemon's process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// When it started, in milliseconds since 1970.
    pub started: u64,
    /// Its socket.
    pub socket: Option<PathBuf>,
    /// Its address, where a socket cannot be used.
    pub address: Option<String>,
    /// The token for that address.
    pub token: Option<String>,
    /// The ports of URLs, by server.
    pub ports: BTreeMap<String, u16>,
}

impl State {
    /// Writes the file.
    pub fn save(&self, place: &Place) -> io::Result<()> {
        private::write(&place.state(), &serde_json::to_vec_pretty(self).unwrap_or_default())
    }

    /// Reads the file.
    pub fn load(place: &Place) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(place.state()).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_store_comes_back_and_forgets_the_oldest() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path());
        let (mut store, problem) = Store::load(&place);
        assert_eq!(problem, None);
        for n in 0..MOST_REMEMBERED + 10 {
            store.servers.insert(format!("id{n}"), Record { used: n as u64, name: format!("n{n}"), ..Record::default() });
        }
        store.servers.insert("p".into(), Record { is_persistent: true, name: "p".into(), ..Record::default() });
        store.save(&place).unwrap();
        let (again, _) = Store::load(&place);
        assert_eq!(again, store);
        assert_eq!(again.servers.len(), MOST_REMEMBERED + 1);
        assert!(!again.servers.contains_key("id9") && again.servers.contains_key("id10") && again.persistent("p").is_some());
    }

    #[test]
    fn a_broken_store_is_named_and_a_newer_one_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path());
        std::fs::write(place.servers(), "{").unwrap();
        let (store, problem) = Store::load(&place);
        assert!(store.servers.is_empty() && problem.unwrap().contains("servers.json: "));
        std::fs::write(place.servers(), r#"{"format":2,"servers":{},"more":1}"#).unwrap();
        let (mut store, problem) = Store::load(&place);
        assert_eq!(problem, None);
        store.save(&place).unwrap();
        assert_eq!(std::fs::read_to_string(place.servers()).unwrap(), r#"{"format":2,"servers":{},"more":1}"#);
    }
}
