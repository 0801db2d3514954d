//! What was found, put together: the same thing once, however often it happened.

use std::collections::{BTreeMap, BTreeSet};

use mcp_capture::Session;
use mcp_capture::lint::{Finding, Severity};

use crate::cmd::trace::sessions;

/// A session and what was found in it.
pub(super) struct Judged {
    pub(super) session: Session,
    pub(super) name: String,
    /// In the order of the first time.
    pub(super) groups: Vec<Group>,
    /// So many findings were only counted.
    pub(super) left_out: u64,
    pub(super) tools: Vec<String>,
}

/// Findings that say the same.
pub(super) struct Group {
    pub(super) first: Finding,
    pub(super) fingerprint: String,
    /// The numbers of all records.
    pub(super) records: Vec<u64>,
}

impl Judged {
    pub(super) fn new(session: Session, findings: Vec<Finding>, left_out: u64, tools: Vec<String>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for finding in findings {
            let fingerprint = finding.fingerprint();
            if let Some(at) = places.get(&fingerprint) {
                groups[*at].records.push(finding.sequence);
            } else {
                places.insert(fingerprint.clone(), groups.len());
                groups.push(Group { records: vec![finding.sequence], first: finding, fingerprint });
            }
        }
        let name = sessions::name_of(&session);
        Self { session, name, groups, left_out, tools }
    }
}

/// All sessions, and what it comes to.
pub(super) struct Verdict {
    pub(super) all: Vec<Judged>,
    /// Expected tools that are not listed.
    pub(super) missing: Vec<String>,
    /// So many groups were in the baseline.
    pub(super) silenced: usize,
    pub(super) fail_on: Severity,
    pub(super) allowed: usize,
}

impl Verdict {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Judged, &Group)> {
        self.all.iter().flat_map(|judged| judged.groups.iter().map(move |group| (judged, group)))
    }

    /// How many different things were found.
    pub(super) fn groups(&self) -> usize {
        self.iter().count()
    }

    pub(super) fn count(&self, severity: Severity) -> usize {
        self.iter().filter(|(_, group)| group.first.severity() == severity).count()
    }

    /// Leaves out what is known.
    pub(super) fn silence(&mut self, known: &BTreeSet<String>) {
        for judged in &mut self.all {
            let before = judged.groups.len();
            judged.groups.retain(|group| !known.contains(&group.fingerprint));
            self.silenced += before - judged.groups.len();
        }
    }

    /// The answer is no.
    pub(super) fn is_bad(&self) -> bool {
        let bad = self.iter().filter(|(_, group)| group.first.severity() >= self.fail_on).count();
        bad > self.allowed || !self.missing.is_empty()
    }
}
