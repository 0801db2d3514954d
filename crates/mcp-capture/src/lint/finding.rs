//! A rule that was broken, and where.

use std::sync::Arc;

use crate::event::{Direction, Hop};
use crate::lint::rule::{Revision, Rule, Severity};

/// A rule that was broken. Every text in it is safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: &'static Rule,
    /// The session it was found in.
    pub session: Arc<str>,
    /// The number of the record that breaks it.
    pub sequence: u64,
    /// The entry of that record in the index.
    pub entry: u32,
    /// Where it was seen.
    pub hop: Hop,
    /// Which way the message went: who is to blame is its sender.
    pub direction: Direction,
    /// What the conversation had agreed on.
    pub revision: Option<Revision>,
    /// The operation: `tools/call search`.
    pub subject: String,
    /// Where in the message: `result.tools[3].inputSchema`.
    pub path: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// A short piece of what is there.
    pub evidence: String,
    /// Numbers of other records one has to see to believe it, in order.
    pub related: Vec<u64>,
}

impl Finding {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.rule.severity
    }

    /// Who broke the rule.
    pub fn culprit(&self) -> &'static str {
        match self.direction {
            Direction::ToServer => "client",
            Direction::ToClient => "server",
        }
    }

    /// Where the specification says so.
    pub fn link(&self) -> String {
        self.rule.link(self.revision)
    }

    /// Equal for findings that say the same of the same thing: what a baseline keeps.
    pub fn fingerprint(&self) -> String {
        // Numbers in a path and in a message are those of one run.
        let steady = |text: &str| {
            let mut out = String::with_capacity(text.len());
            for letter in text.chars() {
                match letter {
                    '0'..='9' if out.ends_with('#') => {}
                    '0'..='9' => out.push('#'),
                    other => out.push(other),
                }
            }
            out
        };
        let text = [self.rule.id, self.culprit(), &self.subject, &steady(&self.path), &steady(&self.message)].join("\u{1f}");
        format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
    }

    /// All there is to say, as text of several lines.
    pub fn explain(&self) -> String {
        let place = if self.path.is_empty() { String::new() } else { format!(" at {}", self.path) };
        let evidence = if self.evidence.is_empty() { String::new() } else { format!("\n  found: {}", self.evidence) };
        format!(
            "{}[{}] {}\n  record {}, {}{place}, by the {}{evidence}\n  why: {}\n  see: {}",
            self.severity(),
            self.rule.id,
            self.message,
            self.sequence,
            if self.subject.is_empty() { "no operation" } else { &self.subject },
            self.culprit(),
            self.rule.why,
            self.link(),
        )
    }
}
