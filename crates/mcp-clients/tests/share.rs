//! Every entry in every fixture of every client is shared and unshared.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it says")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mcp_clients::clients::Clients;
use mcp_clients::descriptor::{Descriptor, File, FileFormat};
use mcp_clients::engine::Step;
use mcp_clients::entry::{Entry, Launch};
use mcp_clients::plan::{Change, Outcome, PlanError, Planned, entry_path, plan, tables};
use mcp_clients::platform::Os;
use mcp_clients::share::{self, RunOnce, Shared};
use mcp_clients::undo;
use mcp_edit::{Document, Value};
use mcp_os::file::Target;
use mcp_os::journal::{FileEdit, Header, Origin, Record};

const PROGRAM: &str = "/opt/mcp/bin/mcp";

fn how(name: &str, options: &[&str], home: Option<&str>) -> RunOnce {
    RunOnce {
        program: PROGRAM.to_owned(),
        name: name.to_owned(),
        options: options.iter().map(|o| (*o).to_owned()).collect(),
        home: home.map(str::to_owned),
    }
}

/// A text of a client's file.
struct Site<'c> {
    client: &'c Descriptor,
    file: &'c File,
    project: Option<String>,
}

impl Site<'_> {
    fn plan(&self, text: &str, change: &Change) -> Result<Planned, PlanError> {
        plan(self.client, self.file, self.project.as_deref(), Some(text), change, Os::Linux)
    }

    fn value(&self, text: &str, name: &str) -> Option<Value> {
        let document = Document::parse(text, self.file.format.editor()).ok()?;
        let at = |table: &mcp_edit::Path| document.get(&entry_path(table, self.file, name)).ok().flatten();
        tables(self.file, self.project.as_deref()).iter().find_map(at).map(|node| node.value)
    }

    fn read(&self, text: &str, name: &str) -> Option<Entry> {
        self.client.entry.read(&self.value(text, name)?, self.file.named_by.as_deref()).ok()
    }

    /// The servers in a text that its client understands.
    fn servers(&self, text: &str) -> Vec<(String, Entry)> {
        let Ok(document) = Document::parse(text, self.file.format.editor()) else { return Vec::new() };
        let tables = tables(self.file, self.project.as_deref());
        let members = tables.iter().filter_map(|t| document.members(t, self.file.named_by.as_deref()).ok().flatten()).flatten();
        let names: Vec<String> = members.map(|m| m.name).collect();
        names.into_iter().filter_map(|name| Some((name.clone(), self.read(text, &name)?))).collect()
    }

    /// Notes a change as the engine does.
    fn record(&self, before: &str, planned: &Planned) -> FileEdit {
        let splices = planned.edit.splices().iter().map(|s| (s.range.clone(), s.text.as_str()));
        let target = Target { named: PathBuf::from("/t"), path: PathBuf::from("/t") };
        let origin = Origin { client: self.client.id.clone(), scope: self.file.scope.word().to_owned() };
        let mut edit = FileEdit::new(origin, &target, Some(before), &planned.after, splices);
        edit.ops = planned.memo.to_value();
        edit
    }

    fn unshare(&self, text: &str, name: &str, edits: &[FileEdit]) -> Step {
        let planned = self.plan(text, &Change::Unshare { name: name.to_owned() }).unwrap();
        let fits = |text: &str| self.read(text, name).is_some_and(|e| Shared::of(&e.launch).is_none());
        undo::relaunch_exactly("share", &records(edits), Path::new("/t"), text, &planned, fits)
            .unwrap_or_else(|| Step::planned(planned))
    }
}

/// One record for each edit, newest first, as the journal lists them.
fn records(edits: &[FileEdit]) -> Vec<Record> {
    let record = |(i, edit): (usize, &FileEdit)| Record {
        header: Header {
            schema: String::new(),
            id: i as u64 + 1,
            time_unix_ms: 0,
            command: String::new(),
            details: serde_json::Value::Null,
        },
        edits: vec![edit.clone()],
        abandoned: Vec::new(),
        undone_by: None,
        damaged_lines: 0,
    };
    edits.iter().enumerate().rev().map(record).collect()
}

/// What an entry says, but for how its server is started.
fn beside(site: &Site<'_>, value: &Value) -> Vec<(String, Value)> {
    let launch = site.client.entry.launch_keys();
    let kept = |key: &str| !launch.contains(&key) || site.client.entry.timeout.as_ref().is_some_and(|t| t.key == key);
    value.as_object().unwrap().iter().filter(|(key, _)| kept(key)).cloned().collect()
}

/// The entry without empty lists and objects: nobody can tell them from none.
fn full(value: &Value) -> Value {
    let Value::Object(members) = value else { return value.clone() };
    let is_empty = |v: &Value| matches!(v, Value::Null) || v.to_json() == "{}" || v.to_json() == "[]";
    Value::Object(members.iter().map(|(k, v)| (k.clone(), full(v))).filter(|(_, v)| !is_empty(v)).collect())
}

fn there_and_back(site: &Site<'_>, text: &str, name: &str, entry: &Entry, home: Option<&str>, case: &str) -> bool {
    let change = Change::Share { name: name.to_owned(), how: how(name, &["--isolate", "client"], home), anew: false };
    let shared = match site.plan(text, &change) {
        Ok(shared) => shared,
        Err(PlanError::Write(_) | PlanError::NotShareable { .. }) => return false,
        Err(other) => panic!("{case}: {other}"),
    };
    assert_eq!(shared.outcome, Outcome::Shared, "{case}");
    let after = site.read(&shared.after, name).unwrap();
    let found = Shared::of(&after.launch).unwrap_or_else(|| panic!("{case}: not recognised:\n{}", shared.after));
    assert_eq!((found.program.as_str(), found.called()), (PROGRAM, name), "{case}");
    assert_eq!(share::own(&after.launch), share::own(&entry.launch), "{case}:\n{}", shared.after);
    assert_eq!(after.enabled, entry.enabled, "{case}");
    let (old, new) = (site.value(text, name).unwrap(), site.value(&shared.after, name).unwrap());
    if matches!(entry.launch, Launch::Stdio(_)) {
        assert_eq!(beside(site, &old), beside(site, &new), "{case}: more than the launch changed");
        assert!(shared.notes.is_empty(), "{case}: {:?}", shared.notes);
    }
    let Launch::Stdio(stdio) = &after.launch else { panic!("{case}: run-once is a program") };
    assert_eq!(stdio.env.iter().any(|(n, _)| n == share::HOME), home.is_some(), "{case}");

    let again = site.plan(&shared.after, &change).unwrap();
    assert!(again.edit.is_empty() && again.outcome == Outcome::Unchanged, "{case}: {}", again.after);
    assert!(again.notes[0].contains("shared already"), "{case}: {:?}", again.notes);

    let first = site.record(text, &shared);
    let step = site.unshare(&shared.after, name, std::slice::from_ref(&first));
    assert_eq!((step.after.as_deref(), step.outcome), (Some(text), Outcome::Unshared), "{case}");
    // Other options are a second step, and both are taken back at once.
    let other = Change::Share { name: name.to_owned(), how: how(name, &["--persistent"], home), anew: true };
    let more = site.plan(&shared.after, &other).unwrap();
    assert_eq!(
        (more.outcome, share::own(&site.read(&more.after, name).unwrap().launch)),
        (Outcome::Shared, share::own(&entry.launch)),
        "{case}"
    );
    let step = site.unshare(&more.after, name, &[first, site.record(&shared.after, &more)]);
    assert_eq!(step.after.as_deref(), Some(text), "{case}");

    // Without the journal the command line says enough.
    let rebuilt = site.unshare(&more.after, name, &[]);
    assert!(rebuilt.notes[0].contains("put together"), "{case}: {:?}", rebuilt.notes);
    let rebuilt = rebuilt.after.unwrap();
    let launch = site.read(&rebuilt, name).unwrap().launch;
    assert!(Shared::of(&launch).is_none(), "{case}:\n{rebuilt}");
    assert_eq!(share::own(&launch), share::own(&entry.launch), "{case}:\n{rebuilt}");
    if matches!(entry.launch, Launch::Stdio(_)) {
        let now = site.value(&rebuilt, name).unwrap();
        assert!(full(&now).same(&full(&old)), "{case}:\n{}\n{}", old.to_json(), now.to_json());
    }
    true
}

#[test]
fn every_entry_of_every_fixture_is_shared_and_comes_back_to_the_byte() {
    let clients = Clients::built_in();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut counts: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for client in clients.all().iter().filter(|c| !c.files.is_empty()) {
        let count = counts.entry(&client.id).or_default();
        // Many cases begin with the same text.
        let mut seen = BTreeSet::new();
        for case in fs::read_dir(root.join(&client.id)).unwrap() {
            let folder = case.unwrap().path();
            let about: toml::Table = toml::from_str(&fs::read_to_string(folder.join("case.toml")).unwrap()).unwrap();
            let scope = about["scope"].as_str().unwrap();
            let index = about.get("file").and_then(toml::Value::as_integer).unwrap_or_default();
            let file = client.files.iter().filter(|f| f.scope.word() == scope).nth(usize::try_from(index).unwrap()).unwrap();
            let project = about.get("project").and_then(toml::Value::as_str).map(str::to_owned);
            let site = Site { client, file, project };
            let extension = match file.format {
                FileFormat::Json => "json",
                FileFormat::Jsonc => "jsonc",
                FileFormat::Toml => "toml",
                FileFormat::Yaml => "yaml",
            };
            for (which, home) in [("before", None), ("after", Some("/srv/mcp"))] {
                let Ok(text) = fs::read_to_string(folder.join(format!("{which}.{extension}"))) else { continue };
                if !seen.insert((scope.to_owned(), text.clone())) {
                    continue;
                }
                let plain = site.servers(&text).into_iter().filter(|(_, e)| Shared::of(&e.launch).is_none());
                for (name, entry) in plain {
                    let case = format!("{}: {name}", folder.join(which).display());
                    match (there_and_back(&site, &text, &name, &entry, home, &case), &entry.launch) {
                        (true, Launch::Stdio(_)) => count.0 += 1,
                        (true, Launch::Remote(_)) => count.1 += 1,
                        (false, _) => count.2 += 1,
                    }
                }
            }
        }
    }
    for (id, (stdio, remote, refused)) in &counts {
        assert!(*stdio >= 10, "{id}: only {stdio} local entries, {remote} remote ones, {refused} refused");
    }
    assert!(counts.len() >= 31, "{counts:?}");
    let total = counts.values().fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
    assert!(total.1 > 50, "{counts:#?}");
}
