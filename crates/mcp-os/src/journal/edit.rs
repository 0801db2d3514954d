//! What a record says about one file.

use std::ops::Range;
use std::path::PathBuf;

use memchr::memmem;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::{path_text, undo};
use crate::file::Target;

/// Bytes of context kept on each side of a splice, if that is enough to tell the place from all others.
const CONTEXT: usize = 128;

/// The most that is kept: files with many like parts (a section per project) need more to tell them apart.
const MOST_CONTEXT: usize = 4096;

/// Whose file it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's id.
    pub client: String,
    /// The scope.
    pub scope: String,
}

/// A change of one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileEdit {
    /// The client's id.
    pub client: String,
    /// The scope.
    pub scope: String,
    /// The file as the client names it.
    #[serde(with = "path_text")]
    pub named: PathBuf,
    /// The file behind all links.
    #[serde(with = "path_text")]
    pub target: PathBuf,
    /// The file did not exist.
    #[serde(default)]
    pub created_file: bool,
    /// Directories made for it, outermost first.
    #[serde(default, with = "path_text::list")]
    pub created_dirs: Vec<PathBuf>,
    /// Permission bits before the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// Bytes before.
    pub before_len: usize,
    /// Bytes after.
    pub after_len: usize,
    /// [`hash`] of the text before.
    pub before_hash: String,
    /// [`hash`] of the text after.
    pub after_hash: String,
    /// The places that changed, in order.
    pub splices: Vec<SpliceRecord>,
    /// The change in the caller's own terms, to undo it by meaning when undoing it by text fails.
    #[serde(default)]
    pub ops: serde_json::Value,
}

/// One place that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpliceRecord {
    /// Offset in the text before.
    pub at_before: usize,
    /// Offset in the text after.
    pub at_after: usize,
    /// What was there.
    pub removed: String,
    /// What is there instead.
    pub added: String,
    /// What stands before it (in the text after the change).
    pub context_before: String,
    /// What stands after it.
    pub context_after: String,
    /// Context and added text together occurred once in the text after the change, so they identify the place.
    #[serde(default)]
    pub unique: bool,
    /// So did the added text with just the nearest lines, which stay recognisable when more distant ones change.
    #[serde(default)]
    pub unique_near: bool,
}

/// The hash by which the journal recognises a text: XXH3, 128 bits, in hexadecimal. Against accidents, not attackers.
pub fn hash(text: &str) -> String {
    format!("{:032x}", xxh3_128(text.as_bytes()))
}

impl FileEdit {
    /// Describes the change of `before` (`None`: no file) into `after` by its splices: ranges of the old text and what
    /// replaced them, in order, on character boundaries.
    pub fn new<'s>(
        origin: Origin,
        target: &Target,
        before: Option<&str>,
        after: &str,
        splices: impl IntoIterator<Item = (Range<usize>, &'s str)>,
    ) -> Self {
        let created_file = before.is_none();
        let before = before.unwrap_or_default();
        let mut moved: isize = 0;
        let splices = splices.into_iter().map(|(range, added)| {
            let at_after = range.start.checked_add_signed(moved).unwrap_or(0);
            moved += added.len().cast_signed() - range.len().cast_signed();
            SpliceRecord::new(range.start, at_after, &before[range], added, after)
        });
        let splices = splices.collect();
        Self {
            client: origin.client,
            scope: origin.scope,
            named: target.named.clone(),
            target: target.path.clone(),
            created_file,
            created_dirs: Vec::new(),
            mode: None,
            before_len: before.len(),
            after_len: after.len(),
            before_hash: hash(before),
            after_hash: hash(after),
            splices,
            ops: serde_json::Value::Null,
        }
    }
}

impl SpliceRecord {
    fn new(at_before: usize, at_after: usize, removed: &str, added: &str, after: &str) -> Self {
        let end = at_after + added.len();
        debug_assert_eq!(after.get(at_after..end), Some(added), "a splice must be part of the text it makes");
        let mut record = Self {
            at_before,
            at_after,
            removed: removed.to_owned(),
            added: added.to_owned(),
            context_before: String::new(),
            context_after: String::new(),
            unique: false,
            unique_near: false,
        };
        let mut len = CONTEXT;
        while !record.unique && len <= MOST_CONTEXT {
            let start = after.floor_char_boundary(at_after.saturating_sub(len));
            let stop = after.ceil_char_boundary((end + len).min(after.len()));
            record.unique = occurs_once(after, &after[start..stop]);
            // Without hope to become unique, more of it helps nobody.
            if record.unique || len == CONTEXT {
                after[start..at_after].clone_into(&mut record.context_before);
                after[end..stop].clone_into(&mut record.context_after);
            }
            len *= 2;
        }
        let (near_before, near_after) = undo::near(&record);
        record.unique_near = occurs_once(after, &after[at_after - near_before.len()..end + near_after.len()]);
        record
    }
}

/// `pattern` occurs exactly once in `text`, overlaps counted.
pub(super) fn occurs_once(text: &str, pattern: &str) -> bool {
    only_occurrence(text, pattern).is_some()
}

/// Where `pattern` occurs in `text`, if that is one place. An empty pattern is nowhere in particular.
pub(super) fn only_occurrence(text: &str, pattern: &str) -> Option<usize> {
    if pattern.is_empty() {
        return text.is_empty().then_some(0);
    }
    let finder = memmem::Finder::new(pattern);
    let first = finder.find(text.as_bytes())?;
    match finder.find(&text.as_bytes()[first + 1..]) {
        None => Some(first),
        Some(_) => None,
    }
}
