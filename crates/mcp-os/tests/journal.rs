//! Records on disk: numbering, damage, versions, retention.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_os::file::Target;
use mcp_os::journal::{FileEdit, Journal, JournalError, Origin, SCHEMA, UndoOutcome, undo_text};
use serde_json::{Value, json};

const FOREVER: Duration = Duration::from_secs(u64::MAX / 1_000);

fn edit(name: &str) -> FileEdit {
    let target = Target { named: PathBuf::from("/home/u/link"), path: PathBuf::from(name) };
    let origin = Origin { client: "claude-code".into(), scope: "user".into() };
    let mut edit = FileEdit::new(origin, &target, Some("one\nthree\n"), "one\ntwo\nthree\n", [(4..4, "two\n")]);
    edit.ops = json!({"set": ["mcpServers", "two"]});
    edit
}

fn append_raw(path: &Path, bytes: &[u8]) {
    fs::File::options().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn what_was_written_is_read_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path());
    assert!(journal.list().unwrap().0.is_empty(), "no directory, no records");
    let mut first = journal.begin("mcp install two", json!({"server": "two"})).unwrap();
    assert_eq!(first.append(vec![edit("/a"), edit("/b")]).unwrap(), 0);
    assert_eq!(first.append(vec![edit("/c")]).unwrap(), 2);
    first.abandon(&[1]).unwrap();
    let mut second = journal.begin("mcp undo 1", Value::Null).unwrap();
    second.append(vec![edit("/a")]).unwrap();
    journal.mark_undone(first.id(), second.id()).unwrap();

    let (records, errors) = journal.list().unwrap();
    assert!(errors.is_empty());
    let commands: Vec<&str> = records.iter().map(|r| &*r.header.command).collect();
    assert_eq!(commands, ["mcp undo 1", "mcp install two"]);
    let record = journal.get(1).unwrap();
    assert_eq!(record, records[1]);
    assert_eq!(record.edits, [edit("/a"), edit("/b"), edit("/c")]);
    assert_eq!((record.undone_by, record.damaged_lines), (Some(2), 0));
    let to_undo: Vec<_> = record.edits_to_undo().map(|e| e.target.clone()).collect();
    assert_eq!(to_undo, [Path::new("/c"), Path::new("/a")]);
    assert!(matches!(journal.get(3), Err(JournalError::Unknown { id: 3 })));
}

#[test]
#[cfg(unix)]
fn records_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(&dir.path().join("state"));
    journal.begin("x", Value::Null).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = journal.path(1);
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn numbers_are_given_once_however_many_ask() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path());
    let mut ids: Vec<u64> = std::thread::scope(|scope| {
        let ask = || (0..20).map(|_| journal.begin("x", Value::Null).unwrap().id()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    ids.sort_unstable();
    assert_eq!(ids, (1..=160).collect::<Vec<u64>>());
}

#[test]
fn a_record_cut_off_at_any_byte_is_read_up_to_there() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path());
    let mut record = journal.begin("x", Value::Null).unwrap();
    record.append(vec![edit("/a"), edit("/b")]).unwrap();
    let path = journal.path(1);
    let whole = fs::read(&path).unwrap();
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i).collect();
    for len in 0..=whole.len() {
        // A new file each time: shortening one that exists is slow on some file systems.
        let id = 2 + len as u64;
        fs::write(journal.path(id), &whole[..len]).unwrap();
        match journal.get(id) {
            // The last byte of a line is its newline, and the line is whole without it.
            Ok(record) => {
                assert_eq!(record.edits.len(), ends[1..].iter().filter(|end| len >= **end).count(), "cut at {len}");
                let is_whole = len == 0 || ends.iter().any(|end| len == *end || len == end + 1);
                assert_eq!(record.damaged_lines, usize::from(!is_whole), "cut at {len}");
            }
            Err(JournalError::Unknown { .. }) => assert!(len <= ends[0], "cut at {len}"),
            Err(other) => panic!("cut at {len}: {other}"),
        }
    }
}

#[test]
fn a_line_after_a_torn_one_is_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path());
    let mut record = journal.begin("x", Value::Null).unwrap();
    record.append(vec![edit("/a")]).unwrap();
    append_raw(&journal.path(1), b"{\"edit\":{\"cli");
    journal.mark_undone(1, 2).unwrap();
    let record = journal.get(1).unwrap();
    assert_eq!((record.edits.len(), record.damaged_lines, record.undone_by), (1, 1, Some(2)));
}

#[test]
fn a_torn_record_hides_no_other_and_its_number_is_not_reused() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path());
    journal.begin("one", Value::Null).unwrap();
    // Cut off in its first line, before anything can have come of it; and one that was never a record.
    fs::write(journal.path(2), "{\"sch").unwrap();
    fs::write(journal.path(3), "no header\n").unwrap();
    assert_eq!(journal.begin("four", Value::Null).unwrap().id(), 4);
    let (records, errors) = journal.list().unwrap();
    assert_eq!(records.iter().map(|r| r.header.id).collect::<Vec<_>>(), [4, 1]);
    assert!(matches!(&errors[..], [JournalError::NoHeader { .. }]), "{errors:?}");
}

#[test]
fn newer_minor_versions_are_read_and_other_majors_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path());
    journal.begin("x", Value::Null).unwrap().append(vec![edit("/a")]).unwrap();
    let text = fs::read_to_string(journal.path(1)).unwrap();
    let newer = text.replace(SCHEMA, "mcp.journal/1.7").replace("\"command\"", "\"mood\":\"new\",\"command\"")
        + "{\"weather\":{\"rain\":true}}\n{\"status\":{\"undone_by\":9,\"why\":\"so\"}}\n";
    fs::write(journal.path(1), newer).unwrap();
    let record = journal.get(1).unwrap();
    assert_eq!((record.edits.len(), record.undone_by, record.damaged_lines), (1, Some(9), 0));
    for schema in ["mcp.journal/2", "mcp.journal/10", "mcp.journal/2.1", "something.else/1"] {
        fs::write(journal.path(1), text.replace(SCHEMA, schema)).unwrap();
        let error = journal.get(1).unwrap_err().to_string();
        assert!(error.contains(&format!("`{schema}`")), "{error}");
    }
}

/// Written by version 1 of the format and never to be changed: what users have on disk.
#[test]
fn a_record_of_version_1_is_read_and_can_be_undone() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path());
    fs::create_dir(dir.path().join("journal")).unwrap();
    fs::write(journal.path(7), include_bytes!("../fixtures/journal-1.jsonl")).unwrap();
    let record = journal.get(7).unwrap();
    assert_eq!((record.header.id, record.header.time_unix_ms, record.undone_by), (7, 1_795_000_000_000, Some(8)));
    assert_eq!(record.header.command, "mcp install two --client claude-code");
    let [made, given_up] = &record.edits[..] else { panic!("two edits: {:?}", record.edits) };
    assert_eq!((&record.abandoned[..], &given_up.created_dirs[..]), (&[1][..], &[PathBuf::from("/home/u/.x")][..]));
    assert_eq!(*made, edit("/home/u/.claude.json"));
    let restored = UndoOutcome::Restored { text: "one\nthree\n".into(), exact: true };
    assert_eq!(undo_text(made, "one\ntwo\nthree\n"), restored);
}

#[test]
fn pruning_keeps_the_newest_and_never_frees_the_last_number() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path());
    for _ in 0..5 {
        journal.begin("x", Value::Null).unwrap();
    }
    let old = fs::read_to_string(journal.path(4)).unwrap();
    let old: Value = serde_json::from_str(old.trim()).unwrap();
    let mut aged = old.clone();
    aged["time_unix_ms"] = json!(1);
    fs::write(journal.path(4), format!("{aged}\n")).unwrap();
    assert_eq!(journal.prune(3, FOREVER).unwrap(), [2, 1]);
    assert_eq!(journal.prune(3, Duration::from_hours(1)).unwrap(), [4]);
    assert_eq!(journal.prune(0, Duration::ZERO).unwrap(), [3]);
    assert_eq!(journal.begin("x", Value::Null).unwrap().id(), 6);
}

#[test]
fn a_discarded_record_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path());
    journal.begin("x", Value::Null).unwrap().discard().unwrap();
    assert!(matches!(journal.get(1), Err(JournalError::Unknown { .. })));
}
