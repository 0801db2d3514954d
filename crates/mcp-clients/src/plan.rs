//! What a change of a client's file would be: text and intention in, text out.

use mcp_edit::{Document, Edit, Format, Op, Path, Problem, Splice, Step, Value};

use crate::descriptor::{Descriptor, File, Switch};
use crate::entry::Entry;
use crate::platform::Os;
use crate::shape::{ReadError, WriteError};

/// An intended change of one file.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a handful exist per command")]
pub enum Change {
    /// Add a server, or with `force` replace how an existing one is reached.
    Install {
        /// Its name in the file.
        name: String,
        /// How to reach it.
        entry: Entry,
        /// Replace an entry of this name that means something else.
        force: bool,
    },
    /// Take a server out.
    Uninstall {
        /// Its name in the file.
        name: String,
    },
    /// Switch a server on by the client's own switch.
    Enable {
        /// Its name in the file.
        name: String,
    },
    /// Switch a server off by the client's own switch.
    Disable {
        /// Its name in the file.
        name: String,
    },
}

/// What a plan comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new entry.
    Added,
    /// An entry reaches the server another way.
    Updated,
    /// An entry went.
    Removed,
    /// An entry was switched on.
    Enabled,
    /// An entry was switched off.
    Disabled,
    /// Everything is as wanted already.
    Unchanged,
    /// There is no entry of that name.
    NotThere,
}

impl Outcome {
    /// The word in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Removed => "removed",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Unchanged => "unchanged",
            Self::NotThere => "not there",
        }
    }
}

/// A change worked out for one text.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The splices of the text (of the empty text when the file did not exist).
    pub edit: Edit,
    /// The text afterwards.
    pub after: String,
    /// What that is.
    pub outcome: Outcome,
    /// What the user should know, one sentence each.
    pub notes: Vec<String>,
    /// The operations behind the splices.
    pub ops: Vec<Op>,
}

/// Why a change cannot be made to a file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The text cannot be read or edited.
    #[error("{0}")]
    Edit(#[from] Problem),
    /// The client has no way to say this.
    #[error("{0}")]
    Write(#[from] WriteError),
    /// The client would not take the name.
    #[error("{client} does not accept the server name: {why}")]
    Name {
        /// The client's name.
        client: String,
        /// The reason.
        why: String,
    },
    /// An entry of this name means something else.
    #[error("`{name}` is already there and means something else")]
    Exists {
        /// The name.
        name: String,
        /// The entry that is there.
        old: Value,
        /// The entry that was to be written.
        new: Value,
    },
    /// The client has no switch of its own in this file.
    #[error("{client} has no switch for a single server in its file")]
    NoSwitch {
        /// The client's name.
        client: String,
    },
    /// The result would not be understood by the client. A bug in the descriptor.
    #[error("{client} would not accept the new entry: {why}")]
    Rejected {
        /// The client's name.
        client: String,
        /// The reason.
        why: ReadError,
    },
}

/// Where a server called `name` stands below `table`.
pub fn entry_path(table: &Path, file: &File, name: &str) -> Path {
    table.step(match &file.named_by {
        Some(field) => Step::Item { field: field.clone(), value: name.to_owned() },
        None => Step::Key(name.to_owned()),
    })
}

/// The places in a file the client reads servers from; new ones go to the first, as long as the file uses it.
pub fn tables(file: &File, project: Option<&str>) -> Vec<Path> {
    let key = |s: &String| if s == "{project}" { project.unwrap_or_default().to_owned() } else { s.clone() };
    std::iter::once(&file.servers).chain(&file.also).map(|keys| Path::keys(keys.iter().map(key))).collect()
}

/// Works a change out. `text` is `None` when the file does not exist; `project` is the project's directory as the client
/// spells it.
pub fn plan(
    client: &Descriptor,
    file: &File,
    project: Option<&str>,
    text: Option<&str>,
    change: &Change,
    os: Os,
) -> Result<Planned, PlanError> {
    let format = file.format.editor();
    let base = match text {
        Some(text) if !text.trim_start_matches('\u{feff}').trim().is_empty() => text,
        _ => file.skeleton.as_deref().filter(|_| matches!(change, Change::Install { .. })).unwrap_or(text.unwrap_or_default()),
    };
    let document = Document::parse(base, format)?;
    let work = Work { client, file, document: &document, tables: tables(file, project), os };
    let (outcome, ops, notes) = match change {
        Change::Install { name, entry, force } => work.install(name, entry, *force)?,
        Change::Uninstall { name } => work.uninstall(name)?,
        Change::Enable { name } => work.switch(name, true)?,
        Change::Disable { name } => work.switch(name, false)?,
    };
    let mut edit = document.plan(&ops)?;
    let after = edit.apply(base);
    let old = text.unwrap_or_default();
    if old != base {
        edit = Edit::new(if after == old { Vec::new() } else { vec![Splice { range: 0..old.len(), text: after.clone() }] });
    }
    if let Change::Install { name, entry, .. } = change {
        accepted(client, file, project, &after, name, entry, format)?;
    }
    let outcome = if edit.is_empty() && outcome != Outcome::NotThere { Outcome::Unchanged } else { outcome };
    Ok(Planned { edit, after, outcome, notes, ops })
}

/// The entry as a file of its own: what a person pastes when we may not write.
pub fn snippet(
    client: &Descriptor,
    file: &File,
    project: Option<&str>,
    name: &str,
    entry: &Entry,
    os: Os,
) -> Result<String, PlanError> {
    let bare = File { skeleton: None, ..file.clone() };
    let change = Change::Install { name: name.to_owned(), entry: entry.clone(), force: true };
    plan(client, &bare, project, None, &change, os).map(|p| p.after)
}

/// Holds the edited text against the client's own rules: one bad entry keeps some clients from starting at all.
fn accepted(
    client: &Descriptor,
    file: &File,
    project: Option<&str>,
    after: &str,
    name: &str,
    entry: &Entry,
    format: Format,
) -> Result<(), PlanError> {
    let document = Document::parse(after, format)?;
    let mut found = None;
    for table in tables(file, project) {
        found = found.or(document.get(&entry_path(&table, file, name))?);
    }
    let Some(node) = found else { return Ok(()) };
    let read = client
        .entry
        .read(&node.value, file.named_by.as_deref())
        .map_err(|why| PlanError::Rejected { client: client.name.clone(), why })?;
    debug_assert_eq!(
        read.transport_word(),
        if entry.transport_word() == "sse" { read.transport_word() } else { entry.transport_word() }
    );
    Ok(())
}

type Worked = (Outcome, Vec<Op>, Vec<String>);

struct Work<'a> {
    client: &'a Descriptor,
    file: &'a File,
    document: &'a Document<'a>,
    tables: Vec<Path>,
    os: Os,
}

impl Work<'_> {
    /// The entry called `name`, wherever the client reads it from.
    fn find(&self, name: &str) -> Result<Option<(Path, Value)>, Problem> {
        for table in &self.tables {
            let path = entry_path(table, self.file, name);
            if let Some(node) = self.document.get(&path)? {
                return Ok(Some((path, node.value)));
            }
        }
        Ok(None)
    }

    /// Where a new entry goes: the first place, unless the file keeps its servers in another one. A client may read only
    /// one of them, and an entry in the first would hide all others.
    fn home(&self) -> Result<&Path, Problem> {
        let first = &self.tables[0];
        // `mcp.servers` inside OpenCode's `mcp` is a table of servers, not a server.
        let is_table = |name: &str| self.tables.contains(&first.key(name));
        let members = self.document.members(first, self.file.named_by.as_deref())?.unwrap_or_default();
        if members.iter().all(|m| is_table(&m.name)) {
            for table in &self.tables[1..] {
                if self.document.get(table)?.is_some() {
                    return Ok(table);
                }
            }
        }
        Ok(first)
    }

    fn install(&self, name: &str, entry: &Entry, force: bool) -> Result<Worked, PlanError> {
        let client = self.client;
        if let Some(why) = client.names.objection(name) {
            return Err(PlanError::Name { client: client.name.clone(), why });
        }
        let shape = &client.entry;
        let written = shape.write(entry, name, &client.name, self.os)?;
        let mut notes = written.notes;
        let mut new = written.value;
        if let (Some(field), Value::Object(members)) = (&self.file.named_by, &mut new)
            && !members.iter().any(|(k, _)| k == field)
        {
            members.insert(0, (field.clone(), Value::from(name)));
        }
        notes.extend(
            self.listed_off(name)?
                .map(|_| format!("`{name}` is switched off in {}: `mcp enable {name}` switches it on", client.name)),
        );
        let Some((path, old)) = self.find(name)? else {
            return Ok((Outcome::Added, vec![Op::set(entry_path(self.home()?, self.file, name), new)], notes));
        };
        let wanted = shape.read(&new, self.file.named_by.as_deref());
        if let (Ok(have), Ok(want)) = (shape.read(&old, self.file.named_by.as_deref()), &wanted)
            && have.meaning() == want.meaning()
            && (want.timeout.is_none() || have.timeout == want.timeout)
            && (want.startup_timeout.is_none() || have.startup_timeout == want.startup_timeout)
        {
            return Ok((Outcome::Unchanged, Vec::new(), notes));
        }
        if !force {
            return Err(PlanError::Exists { name: name.to_owned(), old, new });
        }
        let merged = self.merge(&old, &new);
        Ok((Outcome::Updated, vec![Op::set(path, merged)], notes))
    }

    /// The old entry reaching the server the new way: what the user keeps beside that (approvals, filters, notes) stays.
    fn merge(&self, old: &Value, new: &Value) -> Value {
        let (Value::Object(old), Value::Object(new)) = (old, new) else { return new.clone() };
        let ours = self.client.entry.launch_keys();
        let nested = self.client.entry.nested.as_deref();
        // A new entry that says nothing of time-outs has no opinion of them.
        let waits = |key: &str| self.client.entry.startup_timeout.iter().chain(&self.client.entry.timeout).any(|w| w.key == key);
        let mut merged: Vec<(String, Value)> = Vec::new();
        for (key, value) in old {
            match new.iter().find(|(k, _)| k == key) {
                Some((_, new)) if ours.contains(&key.as_str()) => merged.push((key.clone(), new.clone())),
                None if (ours.contains(&key.as_str()) && !waits(key)) || nested == Some(key) => {}
                _ => merged.push((key.clone(), value.clone())),
            }
        }
        for (key, value) in new {
            if !merged.iter().any(|(k, _)| k == key) {
                merged.push((key.clone(), value.clone()));
            }
        }
        Value::Object(merged)
    }

    fn uninstall(&self, name: &str) -> Result<Worked, PlanError> {
        let Some((path, _)) = self.find(name)? else { return Ok((Outcome::NotThere, Vec::new(), Vec::new())) };
        let mut ops = vec![Op::remove(path)];
        ops.extend(self.listed_off(name)?);
        Ok((Outcome::Removed, ops, Vec::new()))
    }

    fn switch(&self, name: &str, on: bool) -> Result<Worked, PlanError> {
        let no_switch = || PlanError::NoSwitch { client: self.client.name.clone() };
        let outcome = if on { Outcome::Enabled } else { Outcome::Disabled };
        let switch = self.client.entry.switch.as_ref().ok_or_else(no_switch)?;
        let Some((path, value)) = self.find(name)? else { return Ok((Outcome::NotThere, Vec::new(), Vec::new())) };
        let (key, truth) = match switch {
            Switch::Disabled(key) => (key, !on),
            Switch::Enabled(key) => (key, on),
            Switch::List(keys) => {
                let path = Path::keys(keys.iter().cloned());
                let op = if on { self.listed_off(name)? } else { self.list_off(name, &path)? };
                return Ok((outcome, op.into_iter().collect(), Vec::new()));
            }
        };
        // Absent means on: nothing to say then.
        let absent = value.get(key).is_none() && on;
        let ops = if absent { Vec::new() } else { vec![Op::set(path.key(key), Value::Bool(truth))] };
        Ok((outcome, ops, Vec::new()))
    }

    /// The operation that takes `name` off the list of what is switched off, if the client has one and it is on it.
    fn listed_off(&self, name: &str) -> Result<Option<Op>, Problem> {
        let Some(Switch::List(keys)) = &self.client.entry.switch else { return Ok(None) };
        let path = Path::keys(keys.iter().cloned());
        let Some(node) = self.document.get(&path)? else { return Ok(None) };
        let items = node.value.as_array().unwrap_or_default();
        let rest: Vec<Value> = items.iter().filter(|v| v.as_str() != Some(name)).cloned().collect();
        Ok((rest.len() < items.len()).then(|| Op::set(path, Value::Array(rest))))
    }

    fn list_off(&self, name: &str, path: &Path) -> Result<Option<Op>, Problem> {
        let mut items = match self.document.get(path)?.map(|n| n.value) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        if items.iter().any(|v| v.as_str() == Some(name)) {
            return Ok(None);
        }
        items.push(Value::from(name));
        Ok(Some(Op::set(path.clone(), Value::Array(items))))
    }
}
