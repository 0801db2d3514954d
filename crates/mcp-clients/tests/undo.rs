//! Taking changes back after others were at the file.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it says")]

use std::path::PathBuf;

use mcp_clients::clients::Clients;
use mcp_clients::descriptor::{Descriptor, File, Scope};
use mcp_clients::engine::{JobError, Step};
use mcp_clients::entry::Entry;
use mcp_clients::plan::{Change, Outcome, Planned, entry_paths, plan};
use mcp_clients::platform::Os;
use mcp_clients::undo;
use mcp_os::file::Target;
use mcp_os::journal::{FileEdit, Origin, Record};

struct Bench {
    client: Descriptor,
    named: PathBuf,
    project: Option<&'static str>,
}

impl Bench {
    fn new(id: &str) -> Self {
        Self { client: Clients::built_in().get(id).unwrap().clone(), named: PathBuf::from("/t"), project: None }
    }

    fn file(&self) -> &File {
        let scope = if self.project.is_some() { Scope::Local } else { Scope::User };
        self.client.files.iter().find(|f| f.scope == scope).unwrap()
    }

    fn plan(&self, text: Option<&str>, change: &Change) -> Planned {
        plan(&self.client, self.file(), self.project, text, change, Os::Linux).unwrap()
    }

    /// Plans a change and notes it as the engine does.
    fn change(&self, text: Option<&str>, change: &Change) -> (FileEdit, String) {
        let planned = self.plan(text, change);
        let splices = planned.edit.splices().iter().map(|s| (s.range.clone(), s.text.as_str()));
        let target = Target { named: self.named.clone(), path: self.named.clone() };
        let origin = Origin { client: self.client.id.clone(), scope: self.file().scope.word().to_owned() };
        let mut edit = FileEdit::new(origin, &target, text, &planned.after, splices);
        edit.ops = planned.memo.to_value();
        (edit, planned.after)
    }
}

fn install(name: &str) -> Change {
    Change::Install { name: name.to_owned(), entry: Entry::command("run", [name]), force: false }
}

fn after(step: Result<Step, JobError>) -> String {
    step.unwrap().after.unwrap()
}

#[test]
fn a_change_below_another_key_is_not_called_undone_when_it_is_not() {
    // OpenCode's second layout: the entry is not in the first place the client reads from.
    let bench = Bench::new("opencode");
    let before =
        "{\n  \"mcp\": {\n    \"servers\": {\n      \"old\": { \"type\": \"local\", \"command\": [\"a\"] }\n    }\n  }\n}\n";
    let (edit, now) = bench.change(Some(before), &install("new"));
    let reformatted = now.replace("      ", "\t").replace("    ", "\t");
    assert_ne!(now, reformatted);
    let taken = after(undo::take_back(&edit, Some(&reformatted)));
    assert!(!taken.contains("\"new\"") && taken.contains("\"old\""), "{taken}");
    let changed = reformatted.replace("[\"run\", \"new\"]", "[\"other\"]");
    assert_ne!(changed, reformatted);
    assert!(matches!(undo::take_back(&edit, Some(&changed)), Err(JobError::Conflict { .. })));
}

#[test]
fn switching_off_by_a_list_is_taken_back_from_the_list() {
    let bench = Bench::new("gemini-cli");
    let before = "{\n  \"mcpServers\": {\n    \"x\": { \"command\": \"run\" }\n  }\n}\n";
    let (edit, now) = bench.change(Some(before), &Change::Disable { name: "x".into() });
    let crowded = now.replace("\"x\"]", "\"x\", \"y\"]").replace("  ", " ");
    assert!(crowded.contains("\"y\""), "{crowded}");
    let taken = after(undo::take_back(&edit, Some(&crowded)));
    assert!(taken.contains("[\"y\"]") && taken.contains("\"run\""), "{taken}");
    let on_again = crowded.replace("\"x\", ", "");
    assert!(matches!(undo::take_back(&edit, Some(&on_again)), Err(JobError::Conflict { .. })));
}

#[test]
fn a_list_that_is_none_is_left_alone() {
    let bench = Bench::new("gemini-cli");
    let text = r#"{"mcp": {"excluded": "x,y"}, "mcpServers": {"x": {"command": "run"}}}"#;
    let change = Change::Disable { name: "x".into() };
    let error = plan(&bench.client, bench.file(), None, Some(text), &change, Os::Linux).unwrap_err();
    assert!(error.to_string().contains("mcp.excluded"), "{error}");
}

#[test]
fn a_file_that_went_needs_no_undoing() {
    let bench = Bench::new("claude-code");
    let (edit, now) = bench.change(None, &install("x"));
    assert_eq!(undo::take_back(&edit, None).unwrap().outcome, Outcome::Unchanged);
    assert_eq!(undo::take_back(&edit, Some(&now)).unwrap().after, None, "it was made by us, so it goes");
    let (edit, _) = bench.change(Some("{}\n"), &install("x"));
    assert!(matches!(undo::take_back(&edit, None), Err(JobError::Conflict { .. })), "it was theirs");
}

#[cfg(unix)]
#[test]
fn what_a_new_link_leads_to_is_not_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench { named: dir.path().join("named.json"), ..Bench::new("claude-code") };
    let (edit, now) = bench.change(None, &install("x"));
    std::fs::write(dir.path().join("dotfile.json"), &now).unwrap();
    std::os::unix::fs::symlink(dir.path().join("dotfile.json"), &bench.named).unwrap();
    let taken = after(undo::take_back(&edit, Some(&now)));
    assert!(!taken.contains("\"x\""), "{taken}");
    let records = [record(vec![edit])];
    let planned = bench.plan(Some(&now), &Change::Uninstall { name: "x".into() });
    assert!(undo::remove_exactly(&records, &bench.named, &now, &planned).is_none(), "the plain removal is the safe one");
}

fn record(edits: Vec<FileEdit>) -> Record {
    let dirs = tempfile::tempdir().unwrap();
    let journal = mcp_os::journal::Journal::open(dirs.path());
    let mut writer = journal.begin("test", serde_json::Value::Null).unwrap();
    writer.append(edits).unwrap();
    drop(writer);
    journal.list().unwrap().0.remove(0)
}

#[test]
fn another_server_beside_ours_stays() {
    for (id, other) in [("claude-code", "two"), ("codex", "two"), ("goose", "two"), ("continue", "two")] {
        let bench = Bench::new(id);
        let (edit, now) = bench.change(None, &install("one"));
        let (_, both) = bench.change(Some(&now), &install(other));
        let taken = after(undo::take_back(&edit, Some(&both)));
        let (_, alone) =
            bench.change(Some(&bench.plan(Some(&both), &Change::Uninstall { name: "one".into() }).after), &install(other));
        assert!(taken.contains("two") && !taken.contains("one"), "{id}:\n{taken}");
        assert_eq!(taken, alone, "{id}");
        let planned = bench.plan(Some(&both), &Change::Uninstall { name: "one".into() });
        let exact = undo::remove_exactly(&[record(vec![edit])], &bench.named, &both, &planned);
        assert!(exact.is_none_or(|s| s.after.is_some_and(|t| t.contains("two") && !t.contains("one"))), "{id}");
    }
}

#[test]
fn projects_in_one_file_are_told_apart() {
    let at = |project| Bench { project: Some(project), ..Bench::new("claude-code") };
    let (here, there) = (at("/here"), at("/there"));
    let (_, text) = here.change(Some("{}\n"), &install("x"));
    let (edit, _) = here.change(Some(&text), &Change::Uninstall { name: "x".into() });
    let records = [record(vec![edit])];
    let last = |bench: &Bench| undo::last_for(&records, &bench.named, &entry_paths(bench.file(), bench.project, "x")).is_some();
    assert!(last(&here) && !last(&there));
}
