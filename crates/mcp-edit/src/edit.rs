//! Splices, and edits made of them.

use std::ops::Range;

/// Bytes of the old text and what stands there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// Byte range of the old text; empty for an insertion.
    pub range: Range<usize>,
    /// What replaces it; empty for a removal.
    pub text: String,
}

/// Splices in order, none touching another's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    splices: Vec<Splice>,
}

/// Part of a new text: a range of the old one, or something new.
enum Piece {
    Old(Range<usize>),
    New(String),
}

impl Edit {
    /// An edit from splices in any order. Splices that change nothing are dropped, and those that touch are joined.
    ///
    /// Two splices must not overlap; insertions at one offset keep the order given.
    pub fn new(mut splices: Vec<Splice>) -> Self {
        splices.retain(|s| !s.range.is_empty() || !s.text.is_empty());
        splices.sort_by_key(|s| (s.range.start, s.range.end));
        let mut joined: Vec<Splice> = Vec::with_capacity(splices.len());
        for splice in splices {
            match joined.last_mut() {
                Some(last) if last.range.end >= splice.range.start => {
                    assert!(last.range.end == splice.range.start, "splices overlap: {last:?} and {splice:?}");
                    last.range.end = splice.range.end;
                    last.text.push_str(&splice.text);
                }
                _ => joined.push(splice),
            }
        }
        Self { splices: joined }
    }

    /// The splices, by position.
    pub fn splices(&self) -> &[Splice] {
        &self.splices
    }

    /// True when nothing changes.
    pub fn is_empty(&self) -> bool {
        self.splices.is_empty()
    }

    /// The new text.
    pub fn apply(&self, old: &str) -> String {
        let grown: usize = self.splices.iter().map(|s| s.text.len()).sum();
        let mut new = String::with_capacity(old.len() + grown);
        let mut at = 0;
        for splice in &self.splices {
            new.push_str(&old[at..splice.range.start]);
            new.push_str(&splice.text);
            at = splice.range.end;
        }
        new.push_str(&old[at..]);
        new
    }

    /// The edit that turns the new text into the old one again.
    #[must_use]
    pub fn inverse(&self, old: &str) -> Self {
        let mut splices = Vec::with_capacity(self.splices.len());
        let (mut removed, mut added) = (0, 0);
        for splice in &self.splices {
            let start = splice.range.start - removed + added;
            splices.push(Splice { range: start..start + splice.text.len(), text: old[splice.range.clone()].to_owned() });
            removed += splice.range.len();
            added += splice.text.len();
        }
        Self { splices }
    }

    /// One edit that does this and then `next`, which is an edit of the text this one makes of `old`.
    #[must_use]
    pub fn then(&self, old: &str, next: &Edit) -> Self {
        let mut pieces = Vec::new();
        let mut at = 0;
        for splice in &self.splices {
            pieces.push(Piece::Old(at..splice.range.start));
            pieces.push(Piece::New(splice.text.clone()));
            at = splice.range.end;
        }
        pieces.push(Piece::Old(at..old.len()));
        for splice in next.splices.iter().rev() {
            let tail = split(&mut pieces, splice.range.end);
            split(&mut pieces, splice.range.start);
            pieces.push(Piece::New(splice.text.clone()));
            pieces.extend(tail);
        }
        let mut splices = Vec::new();
        let mut pending = String::new();
        let mut at = 0;
        for piece in pieces {
            match piece {
                Piece::New(text) => pending.push_str(&text),
                Piece::Old(range) if range.is_empty() => {}
                Piece::Old(range) => {
                    splices.push(Splice { range: at..range.start, text: std::mem::take(&mut pending) });
                    at = range.end;
                }
            }
        }
        splices.push(Splice { range: at..old.len(), text: pending });
        splices.retain(|s| old[s.range.clone()] != s.text);
        Self::new(splices)
    }
}

/// Cuts the pieces at an offset of the text they make and returns what comes after it.
fn split(pieces: &mut Vec<Piece>, offset: usize) -> Vec<Piece> {
    let mut start = 0;
    for i in 0..pieces.len() {
        let len = match &pieces[i] {
            Piece::Old(range) => range.len(),
            Piece::New(text) => text.len(),
        };
        if offset < start + len || (offset == start + len && i + 1 == pieces.len()) {
            let inside = offset - start;
            let mut tail = pieces.split_off(i + 1);
            match &mut pieces[i] {
                Piece::Old(range) => {
                    let cut = range.start + inside;
                    tail.insert(0, Piece::Old(cut..range.end));
                    range.end = cut;
                }
                Piece::New(text) => tail.insert(0, Piece::New(text.split_off(inside))),
            }
            return tail;
        }
        start += len;
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(splices: &[(Range<usize>, &str)]) -> Edit {
        Edit::new(splices.iter().map(|(range, text)| Splice { range: range.clone(), text: (*text).to_owned() }).collect())
    }

    #[test]
    fn inverse_gives_the_first_bytes_back() {
        let old = "one two three";
        let edit = edit(&[(0..3, "1"), (4..4, "and "), (8..13, "")]);
        let new = edit.apply(old);
        assert_eq!(new, "1 and two ");
        assert_eq!(edit.inverse(old).apply(&new), old);
    }

    #[test]
    fn then_is_one_edit_with_the_same_outcome() {
        let old = "abcdefghij";
        for first in [edit(&[(2..4, "XYZ")]), edit(&[(0..0, "<"), (10..10, ">")]), edit(&[(3..3, "123"), (5..9, "")])] {
            let middle = first.apply(old);
            for start in 0..=middle.len() {
                for end in start..=middle.len() {
                    let second = edit(&[(start..end, "__")]);
                    let both = first.then(old, &second);
                    assert_eq!(both.apply(old), second.apply(&middle), "{first:?} then {second:?}");
                }
            }
        }
    }

    #[test]
    fn an_edit_and_its_inverse_make_no_edit() {
        let old = "abcdefghij";
        let first = edit(&[(2..4, "XYZ"), (7..7, "!")]);
        assert!(first.then(old, &first.inverse(old)).is_empty());
    }
}
