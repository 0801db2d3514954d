//! What is checked, and the limits of rules that have one.

use crate::lint::rule::{Rule, Severity};

/// What is checked.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Only these rules, if there are any.
    pub only: Vec<String>,
    /// Not these.
    pub skip: Vec<String>,
    /// Nothing less bad.
    pub severity: Severity,
    /// A result of more bytes is large.
    pub large_result: usize,
    /// The definition of a tool of more bytes is large.
    pub large_definition: usize,
    /// All definitions of a server together.
    pub large_catalog: usize,
    /// A call that takes more nanoseconds, and says nothing meanwhile, is slow.
    pub slow: u64,
    /// Messages of more bytes are only skimmed.
    pub parse_limit: usize,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            only: Vec::new(),
            skip: Vec::new(),
            severity: Severity::Info,
            large_result: 256 * 1024,
            large_definition: 16 * 1024,
            large_catalog: 128 * 1024,
            slow: 30_000_000_000,
            parse_limit: 16 * 1024 * 1024,
        }
    }
}

impl Profile {
    /// Whether a rule is one of those that are checked.
    pub fn wants(&self, rule: &Rule) -> bool {
        rule.severity >= self.severity
            && (self.only.is_empty() || self.only.iter().any(|id| id == rule.id))
            && !self.skip.iter().any(|id| id == rule.id)
    }
}
