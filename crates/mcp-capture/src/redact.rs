//! Replacing secrets before anything is written.
//!
//! Four things are secrets: values of members and headers whose names say so, texts of the shapes tokens have, names given
//! by configuration, and the very values of secret environment variables, however they are escaped. Each is replaced by
//! `[redacted:1a2b]`, where the four digits are the same for the same value within a session and say nothing about it.
//! JSON stays JSON. Text without a secret is not touched, and mostly not even walked.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, MatchKind};
use bytes::Bytes;
use regex::bytes::Regex;

use crate::event::Event;

mod copy;
mod hints;
mod names;
mod walk;

pub use copy::{CopyError, copy_redacted};
pub use names::is_secret_name;

/// Shorter values of variables are no secrets: they occur everywhere.
const SHORTEST: usize = 6;

/// The shapes of tokens. None of them can begin or end within an escape of JSON unnoticed: see [`walk`].
const SHAPES: &str = concat!(
    // Bytes, not letters: the tables of Unicode would be half of what a wrapper may take of memory.
    r"(?-u)gh[opusr]_[A-Za-z0-9]{20,}",
    r"|github_pat_[A-Za-z0-9_]{20,}",
    r"|sk-[A-Za-z0-9_-]{16,}",
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}",
    r"|A(?:KI|SI)A[A-Z0-9]{16}",
    r"|AIza[A-Za-z0-9_-]{30,}",
    r"|gl(?:pat|ptt|dt|rt)-[A-Za-z0-9_-]{16,}",
    r"|npm_[A-Za-z0-9]{30,}",
    r"|pypi-[A-Za-z0-9_-]{30,}",
    r"|hf_[A-Za-z0-9]{30,}",
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    r"|-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[A-Za-z0-9+/=\s\\:,.-]*",
    r"|(?i:bearer|basic)[ \t]+[A-Za-z0-9._~+/=-]{8,}",
    r"|[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s\x22:@\\]*:[^/?#\s\x22@\\]+@",
);

/// `name: value` and `name=value` in text that is no JSON, and in queries of addresses.
const ASSIGNED: &str = r#"(?i-u)([a-z0-9_.-]{3,40})["']?[ \t]{0,4}[:=][ \t]{0,4}["']?([^\s"'&;,<>\\]{3,})"#;

/// What replaces secrets. Equal secrets get equal replacements as long as one redactor makes them.
pub struct Redactor {
    values: Option<AhoCorasick>,
    /// Compiled when there is first something to look at: that takes longer than all else at the start of a wrapper.
    shapes: OnceLock<Regex>,
    assigned: OnceLock<Regex>,
    hints: hints::Hints,
    names: names::Names,
    seed: RandomState,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its values are the secrets.
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new(std::iter::empty::<&str>())
    }
}

impl Redactor {
    /// Replaces these values besides what is secret by its name or shape. Values under six bytes are left alone.
    pub fn new<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Self {
        Self::with_names(values, std::iter::empty::<&str>())
    }

    /// Also members, headers and arguments of these names.
    pub fn with_names<S: AsRef<str>, N: AsRef<str>>(
        values: impl IntoIterator<Item = S>,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        let mut patterns: Vec<String> = Vec::new();
        for value in values {
            let value = value.as_ref();
            // What our own replacement is made of cannot be replaced by it.
            if value.len() < SHORTEST || "[redacted:".contains(value) {
                continue;
            }
            let escaped = serde_json::to_string(value).expect("a string is JSON");
            let escaped = escaped[1..escaped.len() - 1].to_owned();
            patterns.push(value.to_owned());
            if escaped != value {
                patterns.push(escaped);
            }
        }
        patterns.sort();
        patterns.dedup();
        let build = |patterns: &[String]| AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns);
        let values = if patterns.is_empty() { None } else { build(&patterns).ok() };
        let names = names::Names::with(names);
        let hints = hints::Hints::new(&names.hints());
        Self { values, shapes: OnceLock::new(), assigned: OnceLock::new(), hints, names, seed: RandomState::new() }
    }

    fn shapes(&self) -> &Regex {
        self.shapes.get_or_init(|| Regex::new(SHAPES).expect("the expression is a constant and a test compiles it"))
    }

    fn assigned(&self) -> &Regex {
        self.assigned.get_or_init(|| Regex::new(ASSIGNED).expect("the expression is a constant and a test compiles it"))
    }

    /// The text with its secrets replaced; `None` if it has none.
    pub fn replace(&self, bytes: &Bytes) -> Option<Bytes> {
        let has_value = self.values.as_ref().is_some_and(|values| values.is_match(&**bytes));
        if !has_value && !self.hints.are_in(bytes) {
            return None;
        }
        self.replaced(bytes).map(Bytes::from)
    }

    /// The command line with its secrets replaced: also the word behind `--token`.
    pub fn command(&self, words: &[String]) -> Vec<String> {
        let mut is_secret = false;
        words
            .iter()
            .map(|word| {
                let was_secret = std::mem::replace(&mut is_secret, word.starts_with('-') && self.names.is_secret(word));
                if was_secret && !word.starts_with('-') { self.mask(word.as_bytes()) } else { self.text(word) }
            })
            .collect()
    }

    /// A text with its secrets replaced.
    pub fn text(&self, text: &str) -> String {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        match self.replace(&bytes) {
            Some(replaced) => String::from_utf8_lossy(&replaced).into_owned(),
            None => text.to_owned(),
        }
    }

    /// Replaces what is secret in an event.
    pub fn event(&self, event: &mut Event) {
        match event {
            Event::Http(http) => {
                http.path = self.text(&http.path);
                for (name, value) in &mut http.headers {
                    *value = if self.names.is_secret(name) { self.mask(value.as_bytes()) } else { self.text(value) };
                }
            }
            Event::Note(note) => note.text = self.text(&note.text),
            Event::Altered(_, original) => {
                if let Some(replaced) = self.replace(original) {
                    *original = replaced;
                }
            }
            Event::Peer(_) | Event::Process(_) => {}
        }
    }

    /// What stands in the place of a secret.
    fn mask(&self, secret: &[u8]) -> String {
        format!("[redacted:{:04x}]", self.seed.hash_one(secret) & 0xffff)
    }
}
