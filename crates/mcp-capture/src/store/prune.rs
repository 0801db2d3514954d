//! Deleting old captures.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::{FindError, Store, Summary, age, is_live, names};

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Sessions whose last sign of life is older go.
    pub max_age: Option<Duration>,
    /// Of the others the oldest go until all have no more bytes than this.
    pub max_size: Option<u64>,
}

/// A session that was deleted, or would be.
#[derive(Debug)]
pub struct Pruned {
    /// The session.
    pub session: Summary,
    /// What stood in the way.
    pub error: Option<io::Error>,
}

impl Store {
    /// What a policy would delete, the oldest first. Never a live session.
    pub fn prunable(&self, policy: &Policy, now_ms: u64) -> Result<Vec<Summary>, FindError> {
        let mut kept = 0;
        let mut found = Vec::new();
        // The newest first: they are the ones to keep.
        for session in self.list()? {
            let is_old = policy.max_age.is_some_and(|max| age(now_ms, session.last_ms) > max);
            let is_much = policy.max_size.is_some_and(|max| kept + session.size > max);
            if !session.is_live && (is_old || is_much) {
                found.push(session);
            } else {
                kept += session.size;
            }
        }
        found.reverse();
        Ok(found)
    }

    /// Deletes what the policy does not keep. One that cannot be deleted stops no other.
    pub fn prune(&self, policy: &Policy, now_ms: u64) -> Result<Vec<Pruned>, FindError> {
        let found = self.prunable(policy, now_ms)?;
        Ok(found.into_iter().map(|session| Pruned { error: remove(&session).err(), session }).collect())
    }
}

/// Deletes all files of a session, the first part last: as long as it is there, the rest can be found.
pub fn remove(session: &Summary) -> io::Result<()> {
    if is_live(&session.path) {
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, "it is being recorded"));
    }
    let mut files: Vec<PathBuf> = vec![names::marks(&session.path), names::live(&session.path)];
    for part in (1..=session.parts).rev() {
        let part = names::part(&session.path, part);
        files.push(names::index(&part));
        files.push(part);
    }
    for file in files {
        match fs::remove_file(&file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}
