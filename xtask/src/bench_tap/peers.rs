//! What others have made for the same purpose: installed below `target/bench-peers`, or missing with a reason.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use mcp_testkit::install::{self, Installed, Packages};
use serde_json::Value;

use crate::root::{root, target};

/// The peers by what they do.
#[derive(Default)]
pub(super) struct Peers {
    pub(super) wrappers: Vec<Peer>,
    pub(super) hops: Vec<Peer>,
    pub(super) clients: Vec<Peer>,
}

/// One of them.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) name: String,
    /// The words that start it, or why it cannot be started.
    pub(super) command: Result<Vec<String>, String>,
}

impl Peers {
    /// Installs what is not there yet.
    pub(super) fn get() -> Result<Self> {
        let list = root().join("xtask/bench-tap-peers.toml");
        let folder = target().join("bench-peers");
        let reports = install::install(&Packages::read(&list)?, &folder, &|_| ())?;
        let missing = |package: &str| {
            let report = reports.iter().find(|report| report.name == package)?;
            match &report.result {
                Installed::Not(reason) => Some(format!("cannot be installed: {}", first_line(reason))),
                _ => None,
            }
        };
        let table: toml::Table = toml::from_str(&fs::read_to_string(&list).context("read the list of peers")?)?;
        let table = serde_json::to_value(table)?;
        let read = |kind: &str| -> Result<Vec<Peer>> {
            let peers = table[kind].as_array().into_iter().flatten();
            peers.map(|peer| read(peer, &folder, &missing)).collect()
        };
        Ok(Self { wrappers: read("wrapper")?, hops: read("hop")?, clients: read("client")? })
    }
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim()
}

fn read(peer: &Value, folder: &Path, missing: &dyn Fn(&str) -> Option<String>) -> Result<Peer> {
    let name = peer["name"].as_str().context("a peer has no name")?.to_owned();
    let words = peer["command"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let command = if let Some(package) = peer["package"].as_str() {
        let place = folder.join(package).display().to_string();
        missing(package).map_or_else(|| Ok(words.map(|word| word.replace("{folder}", &place)).collect()), Err)
    } else {
        let words: Vec<String> = words.map(str::to_owned).collect();
        let program = words.first().context("a peer has no command")?;
        if in_path(program).is_some() { Ok(words) } else { Err(format!("no package of it is known, and no `{program}` in PATH")) }
    };
    Ok(Peer { name, command })
}

fn in_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(program)).find(|file| file.is_file())
}
