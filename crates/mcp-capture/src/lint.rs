//! The linter: what peers say, compared with what the specification has them say.
//!
//! One pass over a session, in the order of its records, with bounded memory; a live session is continued where the last
//! pass ended. A rule is a constant with its reasons ([`Rule`]) beside the code that looks for it, in a file of its family
//! under `rules`. Each rule has transcripts in `fixtures/lint` that break it and that come close without breaking it.
//!
//! It judges what was recorded. What was replaced because it is secret, what is missing because of a gap, and what was cut
//! off is never held against anybody.

use std::io;

use crate::event::{Header, Record, Stamp};
use crate::session::Session;

mod catalog;
mod engine;
mod finding;
mod json;
mod message;
mod output;
mod profile;
mod reproduce;
mod rule;
mod rules;
mod shape;
mod state;
mod talks;
#[cfg(any(test, feature = "testing"))]
pub mod transcript;

pub use catalog::Tool;
pub use finding::Finding;
pub use profile::Profile;
pub use reproduce::reproduction;
pub use rule::{Family, Revision, Rule, Severity};
pub use rules::{all as rules, rule};

use engine::Engine;

/// Judges one session.
#[derive(Debug)]
pub struct Linter {
    engine: Engine,
    profile: Profile,
    /// The next entry to look at.
    next: u32,
    /// So many findings were handed out.
    told: usize,
}

impl Linter {
    /// A linter that has seen nothing yet.
    pub fn new(profile: Profile) -> Self {
        Self { engine: Engine::new(profile.clone()), profile, next: 0, told: 0 }
    }

    /// Judges a session from its beginning to where it is now. If it has ended, also what it left open.
    pub fn check_session(&mut self, session: &Session) -> io::Result<Vec<Finding>> {
        *self = Self::new(self.profile.clone());
        self.continue_from(session)?;
        Ok(self.engine.output().findings.clone())
    }

    /// Judges what has come since the last time; gives what was found now.
    pub fn continue_from(&mut self, session: &Session) -> io::Result<&[Finding]> {
        if self.next == 0 {
            self.engine.begin(session.header());
        }
        let end = u32::try_from(session.index().len()).unwrap_or(u32::MAX);
        while self.next < end {
            let entry = self.next;
            self.next += 1;
            // A message of a batch is judged with its batch.
            if session.index().get(entry).is_none_or(|entry| entry.is_element) {
                continue;
            }
            if let Some((stamp, record)) = session.record(entry)? {
                self.engine.record(entry, &stamp, &record);
            }
        }
        if session.is_ended() {
            self.engine.finish();
        }
        let from = std::mem::replace(&mut self.told, self.engine.output().findings.len());
        Ok(&self.engine.output().findings[from..])
    }

    /// What the header of a session that is no file says.
    pub fn begin(&mut self, header: &Header) {
        self.engine.begin(header);
    }

    /// Judges one record, for sessions that are no file.
    pub fn record(&mut self, entry: u32, stamp: &Stamp, record: &Record) {
        self.engine.record(entry, stamp, record);
    }

    /// Nothing more will come.
    pub fn finish(&mut self) {
        self.engine.finish();
    }

    /// All that was found so far.
    pub fn findings(&self) -> &[Finding] {
        &self.engine.output().findings
    }

    /// What was found of one row.
    pub fn findings_of<'a>(&'a self, session: &Session, row: u32) -> impl Iterator<Item = &'a Finding> {
        session.rows().entries(row).into_iter().flat_map(|entry| self.engine.output().of_entry(entry))
    }

    /// The names of all tools that were listed, sorted.
    pub fn tools(&self) -> Vec<String> {
        self.engine.tools()
    }

    /// How many findings were only counted, because there are too many of one rule.
    pub fn left_out(&self) -> u64 {
        self.engine.output().left_out
    }
}
