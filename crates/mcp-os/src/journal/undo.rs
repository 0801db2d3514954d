//! Taking a change back in a text that others may have changed since.

use std::ops::Range;

use super::edit::{FileEdit, SpliceRecord, hash, only_occurrence};

/// Added text shorter than this is not looked for by its nearest lines alone.
const LEAST_ADDED: usize = 8;

/// A place with less on it (not counting white space) looks like any other.
const LEAST_WRITTEN: usize = 8;

/// What undoing one edit comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UndoOutcome {
    /// The text as it should be now.
    Restored {
        /// The text.
        text: String,
        /// Nobody changed the file since: this is the old text to the byte.
        exact: bool,
    },
    /// We created the file and nobody changed it since: it should be deleted, and [`FileEdit::created_dirs`] as far as they
    /// are empty.
    Delete,
    /// The file has the content it had before the change: it was never made, or is undone already.
    NotApplied,
    /// Somebody changed the very place. Whether it can be undone by meaning is for the caller to find out.
    Conflict {
        /// Which splice.
        splice: usize,
        /// What we had put there.
        added: String,
        /// What was there before.
        removed: String,
    },
}

/// The text that takes `edit` back, given the file's present content.
///
/// A splice is found where its whole context stands around what we added, or else where at least the nearest line that
/// is not empty does on each side; and only if there is one such place, and was one when the change was made. Text
/// alone cannot tell what a place means: parse the result before writing it.
pub fn undo_text(edit: &FileEdit, current: &str) -> UndoOutcome {
    let now = hash(current);
    if now == edit.after_hash && current.len() == edit.after_len {
        if edit.created_file {
            return UndoOutcome::Delete;
        }
        if let Some(text) = invert_in_place(edit, current) {
            return UndoOutcome::Restored { text, exact: true };
        }
    }
    // A file we were about to create, or created and deleted again, is an empty text.
    if now == edit.before_hash && current.len() == edit.before_len {
        return UndoOutcome::NotApplied;
    }
    let mut found: Vec<(Range<usize>, &str)> = Vec::with_capacity(edit.splices.len());
    for (index, splice) in edit.splices.iter().enumerate() {
        let least = found.last().map_or(0, |(range, _)| range.end);
        match locate(splice, current) {
            Some(at) if at >= least => found.push((at..at + splice.added.len(), &splice.removed)),
            _ => {
                let (added, removed) = (splice.added.clone(), splice.removed.clone());
                return UndoOutcome::Conflict { splice: index, added, removed };
            }
        }
    }
    UndoOutcome::Restored { text: apply(current, &found), exact: false }
}

/// The inverse by offsets; `None` if the record contradicts itself.
fn invert_in_place(edit: &FileEdit, current: &str) -> Option<String> {
    let mut found = Vec::with_capacity(edit.splices.len());
    let mut least = 0;
    for splice in &edit.splices {
        let range = splice.at_after..splice.at_after + splice.added.len();
        if range.start < least || current.get(range.clone()) != Some(&splice.added) {
            return None;
        }
        least = range.end;
        found.push((range, &splice.removed[..]));
    }
    let text = apply(current, &found);
    (hash(&text) == edit.before_hash).then_some(text)
}

fn apply(text: &str, changes: &[(Range<usize>, &str)]) -> String {
    let mut result = String::with_capacity(text.len());
    let mut at = 0;
    for (range, instead) in changes {
        result.push_str(&text[at..range.start]);
        result.push_str(instead);
        at = range.end;
    }
    result.push_str(&text[at..]);
    result
}

/// Where the added text of a splice stands in the present text.
fn locate(splice: &SpliceRecord, current: &str) -> Option<usize> {
    let SpliceRecord { context_before, context_after, added, unique, unique_near, .. } = splice;
    let (before, after) = near(splice);
    let nearest = if *unique_near { find_between(before, added, after, current) } else { None };
    // Where the nearest lines were enough to tell the place, a second place that looks like it is a reason to refuse.
    if *unique && (nearest.is_some() || !*unique_near) {
        let around = [context_before, added, context_after];
        let written = around.iter().flat_map(|s| s.bytes()).filter(|b| !b.is_ascii_whitespace()).count();
        if written >= LEAST_WRITTEN
            && let Some(at) = find_between(context_before, added, context_after, current)
        {
            return Some(at);
        }
    }
    nearest.filter(|_| added.len() >= LEAST_ADDED)
}

/// The only place where `added` stands between the two contexts. An empty context was an end of the file, and must be
/// one still: what was appended since may belong to what we added.
fn find_between(before: &str, added: &str, after: &str, current: &str) -> Option<usize> {
    let start = only_occurrence(current, &[before, added, after].concat())?;
    let at = start + before.len();
    let is_held = (!before.is_empty() || at == 0) && (!after.is_empty() || at + added.len() == current.len());
    is_held.then_some(at)
}

/// The parts of both contexts up to and including the nearest line with something on it; whole lines, except for the one
/// the splice itself is on.
pub(super) fn near(splice: &SpliceRecord) -> (&str, &str) {
    let before = &splice.context_before;
    let written = before.trim_end();
    let from = written.rfind('\n').map_or(0, |i| i + 1);
    let after = &splice.context_after;
    let blank = after.len() - after.trim_start().len();
    let to = after[blank..].find('\n').map_or(after.len(), |i| blank + i + 1);
    (&before[from..], &after[..to])
}
