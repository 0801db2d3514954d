//! Undo against every kind of later edit by others.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::ops::Range;
use std::path::PathBuf;

use mcp_os::file::Target;
use mcp_os::journal::{FileEdit, Origin, UndoOutcome, undo_text};
use proptest::prelude::*;

fn target() -> Target {
    Target { named: PathBuf::from("/t"), path: PathBuf::from("/t") }
}

fn record(before: &str, splices: &[(Range<usize>, &str)]) -> (FileEdit, String) {
    let mut after = before.to_owned();
    for (range, text) in splices.iter().rev() {
        after.replace_range(range.clone(), text);
    }
    let edit = FileEdit::new(Origin::default(), &target(), Some(before), &after, splices.iter().cloned());
    // What undo sees has been through the journal.
    let edit = serde_json::from_str(&serde_json::to_string(&edit).unwrap()).unwrap();
    (edit, after)
}

const JSON: &str = "{\n  // mine\n  \"mcpServers\": {\n    \"one\": { \"command\": \"a\" },\n    \"two\": { \"command\": \"b\" }\n  },\n  \"theme\": \"dark\"\n}\n";

#[test]
fn an_untouched_file_gets_its_first_bytes_back() {
    let at = JSON.find("    \"two\"").unwrap();
    let (edit, after) = record(JSON, &[(at..at, "    \"new\": { \"command\": \"n\" },\n"), (JSON.len() - 2..JSON.len(), "}")]);
    assert_eq!(undo_text(&edit, &after), UndoOutcome::Restored { text: JSON.into(), exact: true });
    assert_eq!(undo_text(&edit, JSON), UndoOutcome::NotApplied);
}

#[test]
fn a_file_we_created_is_to_be_deleted_unless_it_changed() {
    let after = "{\"mcpServers\": {\"new\": {}}}\n";
    let edit = FileEdit::new(Origin::default(), &target(), None, after, [(0..0, after)]);
    assert!(edit.created_file);
    assert_eq!(undo_text(&edit, after), UndoOutcome::Delete);
    let changed = after.replace("}}\n", "}, \"other\": {}}\n");
    assert!(matches!(undo_text(&edit, &changed), UndoOutcome::Conflict { splice: 0, .. }));
}

#[test]
fn what_was_appended_after_our_last_line_is_left_to_those_who_know_its_meaning() {
    let before = "[a]\nx = 1\n";
    let (edit, after) = record(before, &[(before.len()..before.len(), "\n[mcp_servers.new]\ncommand = \"n\"\n")]);
    let conflict = undo_text(&edit, &format!("{after}enabled = false\n"));
    assert!(matches!(conflict, UndoOutcome::Conflict { .. }), "that line belongs to our table: {conflict:?}");
}

#[test]
fn distant_context_may_change_when_the_nearest_lines_stand() {
    let at = JSON.find("    \"two\"").unwrap();
    let (edit, after) = record(JSON, &[(at..at, "    \"new\": { \"command\": \"n\" },\n")]);
    let theirs = |text: &str| text.replace("mine", "theirs").replace("dark", "light");
    assert_eq!(undo_text(&edit, &theirs(&after)), UndoOutcome::Restored { text: theirs(JSON), exact: false });
    let nearest_changed = after.replace("\"command\": \"b\"", "\"command\": \"c\"");
    assert!(matches!(undo_text(&edit, &nearest_changed), UndoOutcome::Conflict { splice: 0, .. }));
}

#[test]
fn like_parts_are_told_apart_by_more_context() {
    let project = |name: &str| format!("\"{name}\": {{\n{}  \"mcpServers\": {{\n  }}\n}},\n", "  \"same\": true,\n".repeat(20));
    let before = ["a", "b", "c"].map(project).concat();
    let at = before.find("\"c\"").unwrap() - "  }\n},\n".len();
    let (edit, after) = record(&before, &[(at..at, "    \"new\": {}\n")]);
    let theirs = format!("# on top\n{after}");
    assert_eq!(undo_text(&edit, &theirs), UndoOutcome::Restored { text: format!("# on top\n{before}"), exact: false });
}

#[test]
fn a_copy_of_the_place_makes_undo_refuse() {
    let before = "a\n\nb\n";
    let (edit, after) = record(before, &[(2..2, "added line\n")]);
    assert!(matches!(undo_text(&edit, &format!("{after}{after}")), UndoOutcome::Conflict { .. }));
}

/// Lines of the text before; `ours` is the line range replaced by `added` lines; `theirs` are edits by others as line
/// positions in the text before, never inside our range.
#[derive(Debug)]
struct Case {
    lines: Vec<String>,
    ours: Range<usize>,
    added: Vec<String>,
    theirs: Vec<(usize, Other)>,
}

#[derive(Clone, Debug)]
enum Other {
    Delete,
    InsertBefore(String),
    Change(String),
}

impl Case {
    /// The text with or without our change, with or without theirs.
    fn text(&self, with_ours: bool, with_theirs: bool) -> String {
        let mut text = String::new();
        for (i, line) in self.lines.iter().enumerate() {
            if i == self.ours.start && with_ours {
                text.extend(self.added.iter().map(|l| format!("{l}\n")));
            }
            if with_ours && self.ours.contains(&i) {
                continue;
            }
            let other = self.theirs.iter().find(|(at, _)| with_theirs && *at == i).map(|(_, other)| other);
            match other {
                Some(Other::Delete) => {}
                Some(Other::InsertBefore(new)) => text += &format!("{new}\n{line}\n"),
                Some(Other::Change(new)) => text += &format!("{new}\n"),
                None => text += &format!("{line}\n"),
            }
        }
        text
    }

    fn edit(&self) -> FileEdit {
        let before = self.text(false, false);
        let offset = |n: usize| self.lines[..n].iter().map(|l| l.len() + 1).sum::<usize>();
        let added: String = self.added.iter().flat_map(|l| [l.as_str(), "\n"]).collect();
        let (edit, after) = record(&before, &[(offset(self.ours.start)..offset(self.ours.end), &added)]);
        assert_eq!(after, self.text(true, false));
        edit
    }
}

fn others(line: &'static str) -> impl Strategy<Value = Other> {
    prop_oneof![Just(Other::Delete), line.prop_map(Other::InsertBefore), line.prop_map(Other::Change)]
}

/// `apart`: how many lines next to ours nobody else touches.
fn cases(line: &'static str, apart: usize) -> impl Strategy<Value = Case> {
    (prop::collection::vec(line, 12..40), prop::collection::vec(line, 1..6))
        .prop_flat_map(move |(lines, added)| {
            let len = lines.len();
            (Just(lines), Just(added), 1..len, 0..3_usize, prop::collection::vec((0..len, others(line)), 0..6))
        })
        .prop_map(move |(lines, added, start, removed, mut theirs)| {
            let ours = start..(start + removed).min(lines.len() - 1).max(start);
            theirs.sort_by_key(|(at, _)| *at);
            theirs.dedup_by_key(|(at, _)| *at);
            // An insertion before a line touches the gap above it.
            theirs.retain(|(at, _)| at + apart < ours.start || *at >= ours.end + apart);
            Case { lines, ours, added, theirs }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edits_by_others_elsewhere_never_hinder(mut case in cases("[a-z]{3,20}", 1)) {
        // Distinct lines: the place can be told from all others.
        for (i, line) in case.lines.iter_mut().enumerate() {
            *line = format!("{i}:{line}");
        }
        for (i, line) in case.added.iter_mut().enumerate() {
            *line = format!("ours {i}:{line}");
        }
        let expected = case.text(false, true);
        match undo_text(&case.edit(), &case.text(true, true)) {
            UndoOutcome::Restored { text, .. } => prop_assert_eq!(text, expected),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn what_is_restored_among_repeated_lines_is_right(case in cases("[{}],?|\"[ab]\": [{1]", 1)) {
        // Here the place often cannot be told from others: a refusal is fine, a wrong text is not.
        if let UndoOutcome::Restored { text, .. } = undo_text(&case.edit(), &case.text(true, true)) {
            prop_assert_eq!(text, case.text(false, true));
        }
    }

    #[test]
    fn edits_inside_the_place_always_refuse(case in cases("[a-z]{3,20}", 1), at in any::<prop::sample::Index>(), how in 0..3) {
        let (edit, after) = (case.edit(), case.text(true, false));
        let place = &edit.splices[0];
        let at = place.at_after + at.index(place.added.len());
        let mut theirs = after;
        match how {
            0 => drop(theirs.remove(at)),
            1 => theirs.insert(at + 1, '#'),
            _ => theirs.replace_range(at..=at, "#"),
        }
        // Taking one of two equal letters away, or the first of our letters where the next is equal, is found by
        // nobody; the text must then still be theirs without ours, which only the hash path could give.
        prop_assume!(edit.splices[0].unique && !theirs.contains(&place.added));
        match undo_text(&edit, &theirs) {
            UndoOutcome::Conflict { splice, .. } => prop_assert_eq!(splice, 0),
            // Their edit happened to undo ours.
            UndoOutcome::NotApplied => prop_assert_eq!(theirs, case.text(false, false)),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
