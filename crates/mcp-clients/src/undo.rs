//! Taking changes back: by text where nobody touched the place, by meaning where only the layout around it changed.

use mcp_edit::{Document, Format, Op, Path, Step as PathStep, Value};
use mcp_os::journal::{FileEdit, Record, UndoOutcome, undo_text};
use serde::{Deserialize, Serialize};

use crate::clients::Clients;
use crate::engine::{Job, JobError, Step};
use crate::plan::{Change, Outcome, PlanError, Planned};

/// What the journal remembers of a change beside its splices.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Memo {
    /// What was done: `install`, `uninstall`, `enable`, `disable`, `share`, `unshare`, `undo`.
    pub verb: String,
    /// The server's name.
    pub name: String,
    /// The file's format: `json`, `toml` or `yaml`.
    pub format: String,
    /// Keys from the root to the entry; `{"field": …, "value": …}` for an element of a list.
    pub path: Vec<MemoStep>,
    /// The entry before, as JSON text.
    pub before: Option<String>,
    /// The entry after, as JSON text.
    pub after: Option<String>,
    /// The list of switched-off servers, where the change put the server on it or took it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<MemoList>,
    /// How many steps of the path lead to the outermost container that was not there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<usize>,
}

/// A list of names outside the entry that a change touched.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemoList {
    /// Keys from the root to the list.
    pub path: Vec<String>,
    /// The server stood on it before.
    pub before: bool,
    /// The server stands on it after.
    pub after: bool,
}

/// A step of a path in the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MemoStep {
    /// A key.
    Key(String),
    /// An element of a list.
    Item {
        /// The naming member.
        field: String,
        /// Its value.
        value: String,
    },
}

impl Memo {
    /// Describes a change of the entry at `entry` by the document before (`None`: there was nothing to read) and after.
    pub fn of(change: &Change, entry: &Path, ops: &[Op], before: Option<&Document<'_>>, after: &Document<'_>) -> Self {
        let name = change.name();
        let value = |document: &Document<'_>, path: &Path| document.get(path).ok().flatten().map(|n| n.value);
        let json = |document: &Document<'_>| value(document, entry).map(|v| v.to_json());
        let listed = |document: &Document<'_>, path: &Path| {
            let items = value(document, path);
            items.as_ref().and_then(Value::as_array).is_some_and(|l| l.iter().any(|v| v.as_str() == Some(name)))
        };
        let list = ops.iter().map(Op::path).find(|path| !path.0.starts_with(&entry.0)).map(|path| MemoList {
            path: path
                .0
                .iter()
                .map(|s| match s {
                    PathStep::Key(word) | PathStep::Item { value: word, .. } => word.clone(),
                })
                .collect(),
            before: before.is_some_and(|document| listed(document, path)),
            after: listed(after, path),
        });
        let is_there = |steps: usize| before.is_some_and(|d| value(d, &Path(entry.0[..steps].to_vec())).is_some());
        let made = matches!(change, Change::Install { .. }).then(|| (1..entry.0.len()).find(|n| !is_there(*n))).flatten();
        let step = |s: &PathStep| match s {
            PathStep::Key(key) => MemoStep::Key(key.clone()),
            PathStep::Item { field, value } => MemoStep::Item { field: field.clone(), value: value.clone() },
        };
        Self {
            verb: change.verb().to_owned(),
            name: name.to_owned(),
            format: format_word(after.format()).to_owned(),
            path: entry.0.iter().map(step).collect(),
            before: before.and_then(json),
            after: json(after),
            list,
            made,
        }
    }

    /// This under another verb: an entry taken out to be kept is `disable`d.
    #[must_use]
    pub fn as_verb(self, verb: &str) -> Self {
        Self { verb: verb.to_owned(), ..self }
    }

    /// The memo of a journalled edit, if it has one.
    pub fn read(edit: &FileEdit) -> Option<Self> {
        serde_json::from_value(edit.ops.clone()).ok()
    }

    /// For the journal.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The secrets of the entry before and after.
    pub fn secrets(&self) -> Vec<String> {
        let entries = self.before.iter().chain(&self.after).filter_map(|text| from_json(text));
        entries.flat_map(|entry| crate::secret::secrets(&entry)).collect()
    }

    fn path(&self) -> Path {
        let step = |s: &MemoStep| match s {
            MemoStep::Key(key) => PathStep::Key(key.clone()),
            MemoStep::Item { field, value } => PathStep::Item { field: field.clone(), value: value.clone() },
        };
        Path(self.path.iter().map(step).collect())
    }

    fn format(&self) -> Format {
        match self.format.as_str() {
            "toml" => Format::Toml,
            "yaml" => Format::Yaml,
            _ => Format::Json,
        }
    }
}

fn format_word(format: Format) -> &'static str {
    match format {
        Format::Json => "json",
        Format::Toml => "toml",
        Format::Yaml => "yaml",
    }
}

/// The jobs that take a record back, last change first.
pub fn jobs<'c>(clients: &'c Clients, record: &Record) -> Vec<Job<'c>> {
    let job = |edit: &FileEdit| {
        let client = clients.get(&edit.client);
        let file = client.and_then(|c| c.files.iter().find(|f| f.scope.word() == edit.scope));
        let edit = edit.clone();
        Job {
            client: edit.client.clone(),
            scope: scope_of(&edit.scope),
            path: edit.named.clone(),
            lock: file.and_then(|f| f.lock.clone()),
            planner: Box::new(move |text| take_back(&edit, text)),
        }
    };
    record.edits_to_undo().map(job).collect()
}

fn scope_of(word: &str) -> crate::descriptor::Scope {
    use crate::descriptor::Scope;
    [Scope::Project, Scope::Local, Scope::System].into_iter().find(|s| s.word() == word).unwrap_or(Scope::User)
}

/// What a file should become so that `edit` is taken back.
pub fn take_back(edit: &FileEdit, text: Option<&str>) -> Result<Step, JobError> {
    let current = text.unwrap_or_default();
    let memo = Memo::read(edit);
    if text.is_none() && edit.created_file {
        return Ok(Step::nothing(Outcome::Unchanged)); // it went already
    }
    let after = match undo_text(edit, current) {
        UndoOutcome::NotApplied => return Ok(Step::nothing(Outcome::Unchanged)),
        UndoOutcome::Delete if !is_link(&edit.named) => None,
        UndoOutcome::Restored { text, exact } if exact || memo.as_ref().is_none_or(|m| m.is_taken_back(current, &text)) => {
            Some(text)
        }
        // Text alone does not do it: by meaning, if the entry is still what we made it.
        outcome => {
            if let Some(text) = memo.as_ref().map_or(Ok(None), |memo| by_meaning(memo, current))? {
                Some(text)
            } else {
                let (ours, before) = match outcome {
                    UndoOutcome::Conflict { added, removed, .. } => (added, removed),
                    _ => edit.splices.first().map(|s| (s.added.clone(), s.removed.clone())).unwrap_or_default(),
                };
                let now = memo.as_ref().and_then(|m| shown(m, current));
                return Err(JobError::Conflict { path: edit.target.clone(), ours, now, before });
            }
        }
    };
    let deletes = after.is_none();
    let mut step = Step::between(current, after, Outcome::Removed);
    if deletes {
        step.made_dirs.clone_from(&edit.created_dirs);
    }
    step.outcome = match memo.as_ref().map(|m| (m.before.is_some(), m.after.is_some())) {
        Some((false, true)) => Outcome::Removed,
        Some((true, false)) => Outcome::Added,
        _ => Outcome::Updated,
    };
    if let Some(memo) = memo {
        let list = memo.list.clone().map(|l| MemoList { before: l.after, after: l.before, ..l });
        step.memo =
            Memo { verb: "undo".to_owned(), before: memo.after.clone(), after: memo.before.clone(), list, ..memo }.to_value();
    }
    Ok(step)
}

impl Memo {
    /// Whether `text` is `current` with this change taken back and nothing else: a place found by its text alone may have
    /// come to mean something else.
    fn is_taken_back(&self, current: &str, text: &str) -> bool {
        match by_meaning(self, current) {
            Ok(Some(wanted)) => match (root(&wanted, self.format()), root(text, self.format())) {
                (Some(wanted), Some(root)) => same_but_emptied(&wanted, &root),
                _ => false,
            },
            _ => Document::parse(text, self.format()).is_ok(),
        }
    }
}

/// Where we made a plain file there is a link now: what it leads to is not ours to delete.
fn is_link(named: &std::path::Path) -> bool {
    std::fs::symlink_metadata(named).is_ok_and(|m| m.is_symlink())
}

/// What a whole document means.
fn root(text: &str, format: Format) -> Option<Value> {
    Some(Document::parse(text, format).ok()?.get(&Path::default()).ok()?.map_or(Value::Null, |n| n.value))
}

/// The text with the entry as it was, if the entry is still what we made it. `None` when somebody changed it.
fn by_meaning(memo: &Memo, current: &str) -> Result<Option<String>, JobError> {
    let document = Document::parse(current, memo.format()).map_err(PlanError::from)?;
    let path = memo.path();
    let now = document.get(&path).map_err(PlanError::from)?.map(|n| n.value);
    let same = match (&now, memo.after.as_deref().and_then(from_json)) {
        (None, None) => true,
        (Some(now), Some(ours)) => now.same(&ours),
        _ => false,
    };
    if !same {
        return Ok(None);
    }
    let mut ops = match (memo.before == memo.after, memo.before.as_deref().and_then(from_json)) {
        (true, _) => Vec::new(),
        (false, Some(before)) => vec![Op::set(path, before)],
        (false, None) => vec![Op::remove(path)],
    };
    if let Some(list) = memo.list.as_ref().filter(|l| l.before != l.after) {
        let path = Path::keys(list.path.iter().cloned());
        let node = document.get(&path).map_err(PlanError::from)?.map(|n| n.value);
        let mut names = node.as_ref().and_then(Value::as_array).unwrap_or_default().to_vec();
        if names.iter().any(|v| v.as_str() == Some(&memo.name)) != list.after {
            return Ok(None);
        }
        names.retain(|v| v.as_str() != Some(&memo.name));
        names.extend(list.before.then(|| Value::from(memo.name.as_str())));
        ops.push(Op::set(path, Value::Array(names)));
    }
    if ops.is_empty() {
        return Ok(None); // what changed stands elsewhere, so nothing here would take it back
    }
    let edit = document.plan(&ops).map_err(PlanError::from)?;
    Ok(Some(edit.apply(current)))
}

/// The entry as it is now, for a person to compare.
fn shown(memo: &Memo, current: &str) -> Option<String> {
    let document = Document::parse(current, memo.format()).ok()?;
    let node = document.get(&memo.path()).ok()??;
    let text = &current[node.span.clone()];
    // In TOML a table is its header only: what is below belongs to it, up to the next header that is not of a part of it.
    let Some(name) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).filter(|_| memo.format() == Format::Toml) else {
        return Some(text.to_owned());
    };
    let (part, mut end) = (format!("[{name}."), node.span.end);
    for line in current[node.span.end..].split_inclusive('\n') {
        if line.starts_with('[') && !line.starts_with(&part) {
            break;
        }
        end += line.len();
    }
    Some(current[node.span.start..end].to_owned())
}

fn from_json(text: &str) -> Option<Value> {
    Document::parse(text, Format::Json).ok()?.get(&Path::default()).ok()?.map(|n| n.value)
}

/// The newest change of one server that still stands, undoing left aside. `entries` are the places its entry may be in: one
/// file can hold servers of several projects. `records` are newest first, as the journal lists them.
pub fn last_for<'r>(
    records: &'r [Record],
    named: &std::path::Path,
    entries: &[Path],
) -> Option<(&'r Record, &'r FileEdit, Memo)> {
    records.iter().filter(|r| r.undone_by.is_none()).find_map(|record| {
        record.edits_to_undo().filter(|e| e.named == named).find_map(|edit| {
            let memo = Memo::read(edit).filter(|m| m.verb != "undo" && entries.contains(&m.path()))?;
            Some((record, edit, memo))
        })
    })
}

/// What a file should become so that the server goes, with the bytes from before its installation where the journal knows
/// them and nobody touched the place since. `planned` is the plain removal.
pub fn remove_exactly(records: &[Record], named: &std::path::Path, text: &str, planned: &Planned) -> Option<Step> {
    // What was noted and never made (the process was killed) stands in nobody's way.
    let standing = records.iter().filter(|r| r.undone_by.is_none()).flat_map(Record::edits_to_undo);
    let mut made = standing.filter(|e| e.named == named && undo_text(e, text) != UndoOutcome::NotApplied);
    let ours = |memo: &Memo| memo.verb != "undo" && memo.path() == planned.entry;
    let (edit, memo) = made.find_map(|e| Some((e, Memo::read(e).filter(ours)?)))?;
    if memo.verb != "install" || memo.before.is_some() {
        return None;
    }
    let (after, is_exact) = match undo_text(edit, text) {
        UndoOutcome::Delete if is_link(named) => return None,
        UndoOutcome::Delete => (None, true),
        UndoOutcome::Restored { text, exact } => (Some(text), exact),
        UndoOutcome::NotApplied | UndoOutcome::Conflict { .. } => return None,
    };
    // The place may have come to mean more than it did: then the plain removal is the safe one.
    let is_empty = |text: &String| text.trim_start_matches('\u{feff}').trim().is_empty();
    if let Some(after) = after.as_ref().filter(|text| !is_exact && !is_empty(text)) {
        let (ours, plain) = (root(after, memo.format())?, root(&planned.after, memo.format())?);
        if !ours.same(&plain) && !same_but_emptied(&ours, &plain) {
            return None;
        }
    }
    let deletes = after.is_none();
    let mut step = Step::between(text, after, Outcome::Removed);
    if deletes {
        step.made_dirs.clone_from(&edit.created_dirs);
    }
    step.notes.clone_from(&planned.notes);
    Some(step)
}

/// What a file should become so that the server goes, and with it the containers that an installation (of this server or
/// of one before it) made and that would be left empty; the file itself if there was none. `planned` is the plain removal.
pub fn remove_with_ours(
    records: &[Record],
    named: &std::path::Path,
    entry: &Path,
    format: Format,
    text: &str,
    planned: &Planned,
) -> Option<Step> {
    let standing = || records.iter().filter(|r| r.undone_by.is_none()).flat_map(|r| &r.edits).filter(|e| e.named == named);
    let container = &entry.0[..entry.0.len().checked_sub(1)?];
    let beside = |memo: &Memo| memo.verb == "install" && memo.path().0.starts_with(container);
    let made = standing().filter_map(Memo::read).filter(beside).filter_map(|m| m.made).min()?;
    let document = Document::parse(&planned.after, format).ok()?;
    let left = |steps: &usize| {
        let node = document.get(&Path(entry.0[..*steps].to_vec())).ok().flatten()?;
        pruned(&node.value).is_none().then_some(*steps)
    };
    let steps = (made..entry.0.len()).find_map(|n| left(&n))?;
    let edit = document.plan(&[Op::remove(Path(entry.0[..steps].to_vec()))]).ok()?;
    let after = edit.apply(&planned.after);
    let maker = standing().find(|e| e.created_file);
    let goes = maker.is_some() && matches!(after.trim(), "" | "{}");
    let mut step = Step::between(text, (!goes).then_some(after), Outcome::Removed);
    if let (true, Some(maker)) = (goes, maker) {
        step.made_dirs.clone_from(&maker.created_dirs);
    }
    step.notes.clone_from(&planned.notes);
    Some(step)
}

/// Whether both mean the same when empty containers do not count: those the installation made go with it.
fn same_but_emptied(a: &Value, b: &Value) -> bool {
    match (pruned(a), pruned(b)) {
        (None, None) => true,
        (Some(a), Some(b)) => a.same(&b),
        _ => false,
    }
}

/// The value without empty containers; nothing if that is all it is.
fn pruned(value: &Value) -> Option<Value> {
    match value {
        Value::Object(members) => {
            let kept: Vec<_> = members.iter().filter_map(|(k, v)| Some((k.clone(), pruned(v)?))).collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) if items.is_empty() => None,
        Value::Null => None,
        other => Some(other.clone()),
    }
}

/// What a file should become so that an entry is what it was before `done` (`share`, `tap attach`) changed its launch, as far as the journal knows it and
/// nobody touched the place since. `planned` is the launch put together from its command line; `fits` says whether a text
/// holds the server as it was before.
pub fn relaunch_exactly(
    done: &str,
    records: &[Record],
    named: &std::path::Path,
    text: &str,
    planned: &Planned,
    fits: impl Fn(&str) -> bool,
) -> Option<Step> {
    let standing = records.iter().filter(|r| r.undone_by.is_none()).flat_map(Record::edits_to_undo);
    let ours = |memo: &Memo| memo.verb == done && memo.path() == planned.entry;
    let shares = standing.filter(|e| e.named == named && Memo::read(e).is_some_and(|memo| ours(&memo)));
    let mut now = text.to_owned();
    // One that was given new options since takes more than one step back.
    for edit in shares {
        let Ok(Step { after: Some(after), .. }) = take_back(edit, Some(&now)) else { continue };
        now = after;
        if fits(&now) {
            let entry = Document::parse(&now, planned.memo.format()).ok()?.get(&planned.entry).ok()??.value.to_json();
            let mut step = Step::between(text, Some(now), planned.outcome);
            step.memo = Memo { after: Some(entry), ..planned.memo.clone() }.to_value();
            return Some(step);
        }
    }
    None
}
