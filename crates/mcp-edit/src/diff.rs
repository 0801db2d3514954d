//! An edit as a unified diff, worked out around the splices only: the file may be large.

use std::ops::Range;

use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::{ChangeTag, DiffOp};

use crate::Edit;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// One line of a diff, without its line ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiffLine {
    /// `@@ -1,5 +1,8 @@`: where the lines below are, in the old text and in the new one (first line, number of lines).
    Place {
        /// In the old text.
        old: (usize, usize),
        /// In the new text.
        new: (usize, usize),
    },
    /// A line that is in both.
    Same(String),
    /// A line that goes.
    Removed(String),
    /// A line that comes.
    Added(String),
    /// The line above has no line ending: it is the last one.
    NoNewline,
}

impl Edit {
    /// What changes, line by line, with three lines around each place.
    pub fn diff(&self, old: &str) -> Vec<DiffLine> {
        let mut out = Vec::new();
        let mut groups: Vec<(Range<usize>, Vec<usize>)> = Vec::new();
        for (i, splice) in self.splices().iter().enumerate() {
            let start = lines_back(old, splice.range.start, CONTEXT);
            let end = lines_on(old, splice.range.end, CONTEXT);
            match groups.last_mut() {
                Some((range, members)) if start <= range.end => {
                    range.end = range.end.max(end);
                    members.push(i);
                }
                _ => groups.push((start..end, vec![i])),
            }
        }
        let (mut shift, mut counted, mut line) = (0isize, 0, 1usize);
        for (range, members) in groups {
            let mut new = String::new();
            let mut at = range.start;
            for splice in members.iter().map(|i| &self.splices()[*i]) {
                new.push_str(&old[at..splice.range.start]);
                new.push_str(&splice.text);
                at = splice.range.end;
            }
            new.push_str(&old[at..range.end]);
            let window = &old[range.clone()];
            line += memchr::memchr_iter(b'\n', &old.as_bytes()[counted..range.start]).count();
            counted = range.start;
            let (old_lines, new_lines) = (count(window), count(&new));
            let new_line = line.checked_add_signed(shift).unwrap_or(1);
            out.push(DiffLine::Place { old: (line, old_lines), new: (new_line, new_lines) });
            let lines: [Vec<&str>; 2] = [window, &new].map(|text| text.split_inclusive('\n').collect());
            for op in operations(&lines[0], &lines[1]) {
                for change in op.iter_changes(&lines[0], &lines[1]) {
                    let text = change.value().trim_end_matches('\n').to_owned();
                    out.push(match change.tag() {
                        ChangeTag::Equal => DiffLine::Same(text),
                        ChangeTag::Delete => DiffLine::Removed(text),
                        ChangeTag::Insert => DiffLine::Added(text),
                    });
                    if !change.value().ends_with('\n') {
                        out.push(DiffLine::NoNewline);
                    }
                }
            }
            shift += new_lines.cast_signed() - old_lines.cast_signed();
        }
        out
    }
}

/// What turns one list of lines into the other. The library's `TextDiff` would do the same with every algorithm it knows, each
/// compiled several times: half a megabyte.
fn operations(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let mut hook = Compact::new(Replace::new(Capture::new()), old, new);
    match myers::diff(&mut hook, old, 0..old.len(), new, 0..new.len()) {
        Ok(()) => hook.into_inner().into_inner().into_ops(),
        // Only a hook could fail, and these do not.
        Err(never) => match never {},
    }
}

fn count(text: &str) -> usize {
    text.lines().count()
}

/// The start of the line that is `lines` above the one `offset` is in.
fn lines_back(text: &str, offset: usize, lines: usize) -> usize {
    let mut newlines = memchr::memrchr_iter(b'\n', &text.as_bytes()[..offset]);
    newlines.nth(lines).map_or(0, |i| i + 1)
}

/// The end of the line that is `lines` below the one `offset` is in.
fn lines_on(text: &str, offset: usize, lines: usize) -> usize {
    // An insertion at the start of a line does not touch that line, but shows it as context.
    let mut newlines = memchr::memchr_iter(b'\n', &text.as_bytes()[offset..]);
    newlines.nth(lines).map_or(text.len(), |i| offset + i + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Splice;

    #[test]
    fn a_diff_shows_places_and_the_missing_newline() {
        let old = (1..=20).fold(String::new(), |text, n| text + &format!("line {n}\n")) + "end";
        let at = |needle: &str| old.find(needle).map(|i| i..i + needle.len()).unwrap_or_default();
        let edit = Edit::new(vec![
            Splice { range: at("line 2\n"), text: "two\n2b\n".into() },
            Splice { range: old.len()..old.len(), text: "\nmore".into() },
        ]);
        let lines: Vec<String> = edit
            .diff(&old)
            .into_iter()
            .map(|line| match line {
                DiffLine::Place { old, new } => format!("@@ -{},{} +{},{} @@", old.0, old.1, new.0, new.1),
                DiffLine::Same(text) => format!(" {text}"),
                DiffLine::Removed(text) => format!("-{text}"),
                DiffLine::Added(text) => format!("+{text}"),
                DiffLine::NoNewline => "\\".to_owned(),
            })
            .collect();
        let want = "@@ -1,6 +1,7 @@\n line 1\n-line 2\n+two\n+2b\n line 3\n line 4\n line 5\n line 6\n@@ -18,4 +19,5 @@\n line 18\n line 19\n line 20\n-end\n\\\n+end\n+more\n\\";
        assert_eq!(lines.join("\n"), want);
    }
}
