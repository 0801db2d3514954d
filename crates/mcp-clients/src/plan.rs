//! What a change of a client's file would be: text and intention in, text out.

use mcp_edit::{Document, Edit, Op, Path, Place, Problem, ProblemKind, Splice, Step, Value};

use crate::descriptor::{Descriptor, File, Part, Switch, Syntax};
use crate::entry::{Entry, Launch};
use crate::platform::Os;
use crate::secret;
use crate::shape::{NO_SWITCH, WriteError};
use crate::share::RunOnce;
use crate::tap::Tap;
use crate::text::Text;
use crate::undo::Memo;

mod outcome;
mod share;
mod tap;

pub use outcome::Outcome;

/// An intended change of one file.
#[derive(Clone, Debug)]
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
    /// Make an entry join a server that others use too.
    Share {
        /// Its name in the file.
        name: String,
        /// By which command line.
        how: RunOnce,
        /// Also when it is shared already.
        anew: bool,
    },
    /// Make an entry start a server of its own again.
    Unshare {
        /// Its name in the file.
        name: String,
    },
    /// Put a wrapper that records around an entry's command.
    Tap {
        /// Its name in the file.
        name: String,
        /// By which command line.
        how: Tap,
    },
    /// Take that wrapper away.
    Untap {
        /// Its name in the file.
        name: String,
    },
}

impl Change {
    /// The server's name in the file.
    pub fn name(&self) -> &str {
        match self {
            Self::Install { name, .. }
            | Self::Uninstall { name }
            | Self::Enable { name }
            | Self::Disable { name }
            | Self::Share { name, .. }
            | Self::Unshare { name }
            | Self::Tap { name, .. }
            | Self::Untap { name } => name,
        }
    }

    /// What it does, as the command line calls it.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Install { .. } => "install",
            Self::Uninstall { .. } => "uninstall",
            Self::Enable { .. } => "enable",
            Self::Disable { .. } => "disable",
            Self::Share { .. } => "share",
            Self::Unshare { .. } => "unshare",
            Self::Tap { .. } => "tap attach",
            Self::Untap { .. } => "tap detach",
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
    /// Where the entry stands, stood, or would stand.
    pub entry: Path,
    /// What the journal should remember of it.
    pub memo: Memo,
    /// The secrets of all servers in the file, before and after: what must be masked where the text is shown.
    pub secrets: Vec<String>,
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
    /// The entry cannot join a shared server.
    #[error("`{name}` cannot be shared: {why}")]
    NotShareable {
        /// The server's name.
        name: String,
        /// The reason.
        why: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// No wrapper can be put around the entry.
    #[error("`{name}` cannot be wrapped: {why}")]
    NotTappable {
        /// The server's name.
        name: String,
        /// The reason.
        why: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The client would not take the result, or it would not mean what was asked for.
    #[error("{client} would not accept the new entry: {why}")]
    Rejected {
        /// The client's name.
        client: String,
        /// The reason.
        why: String,
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

/// Everywhere in a file where the client would read a server called `name` from.
pub fn entry_paths(file: &File, project: Option<&str>, name: &str) -> Vec<Path> {
    tables(file, project).iter().map(|table| entry_path(table, file, name)).collect()
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
    let (outcome, ops, mut notes) = match change {
        Change::Install { name, entry, force } => work.install(name, entry, *force)?,
        Change::Uninstall { name } => work.uninstall(name)?,
        Change::Enable { name } => work.switch(name, true)?,
        Change::Disable { name } => work.switch(name, false)?,
        Change::Share { name, how, anew } => work.share(name, how, *anew)?,
        Change::Unshare { name } => work.unshare(name)?,
        Change::Tap { name, how } => work.tap(name, how)?,
        Change::Untap { name } => work.untap(name)?,
    };
    let (entry, old) = match work.find(change.name())? {
        Some((path, value)) => (path, Some(value)),
        None => (entry_path(work.home()?, file, change.name()), None),
    };
    let readable = text.filter(|t| *t == base).map(|_| &document);
    let (mut edit, after, seen) = document.plan_and(&ops, |result| {
        let mut notes = Vec::new();
        let after = Work { client, file, document: result, tables: tables(file, project), os };
        match (change, &old) {
            _ if ops.is_empty() => {}
            (Change::Install { name, entry, .. }, _) => {
                after.accepted(name, entry)?;
                notes.extend(after.bad_neighbours(name)?);
            }
            (Change::Share { name, how, .. }, Some(old)) => after.relaunched(name, old, Some(how))?,
            (Change::Unshare { name }, Some(old)) => after.relaunched(name, old, None)?,
            (Change::Tap { name, how }, Some(old)) => after.tapped(name, old, Some(how))?,
            (Change::Untap { name }, Some(old)) => after.tapped(name, old, None)?,
            _ => {}
        }
        Ok::<_, PlanError>((notes, Memo::of(change, &entry, &ops, readable, result)))
    })?;
    let (more, memo) = seen?;
    let after = after.unwrap_or_else(|| base.to_owned());
    notes.extend(more);
    let old = text.unwrap_or_default();
    if old != base {
        edit = Edit::new(if after == old { Vec::new() } else { vec![Splice { range: 0..old.len(), text: after.clone() }] });
    }
    let secrets = work.secrets(memo.secrets());
    let outcome = if edit.is_empty() && outcome != Outcome::NotThere { Outcome::Unchanged } else { outcome };
    Ok(Planned { edit, after, outcome, notes, ops, entry, memo, secrets })
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

    /// The secrets of all servers in the file, and `more`.
    fn secrets(&self, mut more: Vec<String>) -> Vec<String> {
        for table in &self.tables {
            let members = self.document.members(table, self.file.named_by.as_deref()).ok().flatten().unwrap_or_default();
            more.extend(members.iter().flat_map(|m| secret::secrets(&m.node.value)));
        }
        more
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
        let mut ops = Vec::new();
        let listed_off = self.listed_off(name)?.is_some();
        if let (Some(Switch::List(keys)), false) = (&shape.switch, entry.enabled) {
            notes.retain(|n| !n.contains(NO_SWITCH));
            ops.extend(self.list_off(name, &Path::keys(keys.iter().cloned()))?);
        }
        let found = self.find(name)?;
        let have = found.as_ref().and_then(|(_, old)| shape.read(old, self.file.named_by.as_deref()).ok());
        if entry.enabled && (listed_off || have.as_ref().is_some_and(|h| !h.enabled)) {
            notes.push(format!("`{name}` is switched off in {}: `mcp enable {name}` switches it on", client.name));
        }
        let Some((path, old)) = found else {
            ops.insert(0, Op::set(entry_path(self.home()?, self.file, name), new));
            return Ok((Outcome::Added, ops, notes));
        };
        let wanted = shape.read(&new, self.file.named_by.as_deref());
        if let (Some(have), Ok(want)) = (&have, &wanted)
            && have.meaning() == want.meaning()
            && (want.timeout.is_none() || have.timeout == want.timeout)
            && (want.startup_timeout.is_none() || have.startup_timeout == want.startup_timeout)
        {
            return Ok((Outcome::Unchanged, Vec::new(), notes));
        }
        if let (Some(have), Ok(want), false) = (&have, &wanted, force) {
            match share::differ_in_sharing(&have.launch, &want.launch) {
                Some(true) => {}
                Some(false) => {
                    notes.push(format!("`{name}` is shared: `mcp unshare {name}` gives {} its own", client.name));
                    return Ok((Outcome::Unchanged, Vec::new(), notes));
                }
                None => return Err(PlanError::Exists { name: name.to_owned(), old, new }),
            }
        } else if !force {
            return Err(PlanError::Exists { name: name.to_owned(), old, new });
        }
        let merged = self.merge(&old, &new, &mut notes);
        ops.insert(0, Op::set(path, merged));
        Ok((Outcome::Updated, ops, notes))
    }

    /// The old entry reaching the server the new way: what the user keeps beside that (approvals, filters, notes) stays,
    /// as far as it goes with the new way.
    fn merge(&self, old: &Value, new: &Value, notes: &mut Vec<String>) -> Value {
        let (Value::Object(old_members), Value::Object(new_members)) = (old, new) else { return new.clone() };
        let shape = &self.client.entry;
        let launch = shape.launch_keys();
        // A new entry that says nothing of time-outs has no opinion of them.
        let waits = |key: &str| shape.startup_timeout.iter().chain(&shape.timeout).any(|w| w.key == key);
        let local = shape.stdio.as_ref().is_some_and(|s| new.get(&s.command).is_some());
        let misfits = shape.keys_only_for(!local);
        let mut merged: Vec<(String, Value)> = Vec::new();
        // Cline's command line nests the launch; what else is in there stays too.
        let nested = shape.nested.as_deref().filter(|k| matches!(old.get(k), Some(Value::Object(_))));
        let inner = nested.and_then(|k| old.get(k)?.as_object()).unwrap_or_default();
        for (key, value) in old_members.iter().filter(|(k, _)| Some(k.as_str()) != nested).chain(inner) {
            if merged.iter().any(|(k, _)| k == key) {
                continue;
            }
            let theirs = new.get(key);
            if launch.contains(&key.as_str()) {
                match (theirs, self.beside_headers(key, value, theirs)) {
                    (_, Some(both)) => merged.push((key.clone(), both)),
                    (Some(theirs), None) => merged.push((key.clone(), theirs.clone())),
                    (None, None) if waits(key) => merged.push((key.clone(), value.clone())),
                    (None, None) => {}
                }
            } else if misfits.contains(&key.as_str()) {
                notes.push(format!(
                    "`{key}` does not go with {} and was taken out",
                    if local { "a program" } else { "an address" }
                ));
            } else {
                let told = shape.constants.contains_key(key) || shape.name_key.as_ref() == Some(key);
                if theirs.is_some_and(|theirs| !theirs.same(value)) && !told {
                    notes.push(format!("`{key}` is left as it was in {}", self.client.name));
                }
                merged.push((key.clone(), value.clone()));
            }
        }
        for (key, value) in new_members {
            if !merged.iter().any(|(k, _)| k == key) {
                merged.push((key.clone(), value.clone()));
            }
        }
        Value::Object(merged)
    }

    /// Where headers lie inside another member (Continue's `requestOptions`): that member with the new headers and all
    /// else of the old. `None` for any other key, and when nothing else is in it.
    fn beside_headers(&self, key: &str, old: &Value, new: Option<&Value>) -> Option<Value> {
        let shape = &self.client.entry;
        let path = shape.http.iter().chain(&shape.sse).map(|s| &s.headers.0).find(|p| p.len() == 2 && p[0] == key)?;
        let mut members: Vec<(String, Value)> = old.as_object()?.iter().filter(|(k, _)| *k != path[1]).cloned().collect();
        if members.is_empty() {
            return None;
        }
        members.extend(new.and_then(Value::as_object).unwrap_or_default().iter().cloned());
        Some(Value::Object(members))
    }

    /// Holds the edited text against the client's own rules and against what was asked for.
    fn accepted(&self, name: &str, entry: &Entry) -> Result<(), PlanError> {
        let rejected = |why: String| PlanError::Rejected { client: self.client.name.clone(), why };
        let (_, value) = self.find(name)?.ok_or_else(|| rejected("it is not found afterwards".to_owned()))?;
        if let Some(why) = self.client.entry.objection(&value, self.file.named_by.as_deref()) {
            return Err(rejected(why));
        }
        let read = self.client.entry.read(&value, self.file.named_by.as_deref()).map_err(|e| rejected(e.to_string()))?;
        match self.lost(entry, &read) {
            Some(what) => Err(rejected(format!("{what} would not be what was asked for"))),
            None => Ok(()),
        }
    }

    /// What means something else in `read` than in `asked`, apart from what the notes of [`Shape::write`] give up.
    ///
    /// [`Shape::write`]: crate::descriptor::Shape::write
    fn lost(&self, asked: &Entry, read: &Entry) -> Option<&'static str> {
        let shape = &self.client.entry;
        let syntax = |part| if shape.variables.within.contains(&part) { shape.variables.syntax } else { Syntax::None };
        // What a note says the client misreads is as good as it gets.
        let same = |a: &Text, b: &Text, part| a == b || a.misread(syntax(part)).is_some();
        let all = |a: &[Text], b: &[Text], part| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, part));
        match (asked.meaning(), read.meaning()) {
            (Launch::Stdio(a), Launch::Stdio(b)) => {
                if !same(&a.command, &b.command, Part::Command) {
                    return Some("the command");
                }
                if !all(&a.args, &b.args, Part::Args) {
                    return Some("the arguments");
                }
                let handed_on = |name: &str, text: &Text| text.as_variable() == Some(name);
                let kept: Vec<&(String, Text)> =
                    a.env.iter().filter(|(n, t)| !handed_on(n, t) || b.env.iter().any(|(m, _)| m == n)).collect();
                let fits = |((m, a), (n, b)): (&&(String, Text), &(String, Text))| m == n && same(a, b, Part::Env);
                if kept.len() != b.env.len() || !kept.iter().zip(&b.env).all(fits) {
                    return Some("the environment");
                }
                let can = |key: &Option<String>| key.is_some();
                let stdio = shape.stdio.as_ref()?;
                let fits = |a: &Option<Text>, b: &Option<Text>| match (a, b) {
                    (Some(a), Some(b)) => same(a, b, Part::Cwd),
                    (a, b) => a.is_none() && b.is_none(),
                };
                if (can(&stdio.cwd) && !fits(&a.cwd, &b.cwd)) || (can(&stdio.env_file) && !fits(&a.env_file, &b.env_file)) {
                    return Some("the working directory");
                }
            }
            (Launch::Remote(a), Launch::Remote(b)) => {
                if a.transport != b.transport && !shape.detects_transport() {
                    return Some("the transport");
                }
                if !same(&a.url, &b.url, Part::Url) {
                    return Some("the address");
                }
                let fits = |((m, a), (n, b)): (&(String, Text), &(String, Text))| m == n && same(a, b, Part::Headers);
                if a.headers.len() != b.headers.len() || !a.headers.iter().zip(&b.headers).all(fits) {
                    return Some("the headers");
                }
            }
            _ => return Some("the transport"),
        }
        None
    }

    /// Entries already in the file that its client would not take, where one of them costs more than itself.
    fn bad_neighbours(&self, name: &str) -> Result<Vec<String>, Problem> {
        let mut notes = Vec::new();
        let named_by = self.file.named_by.as_deref();
        for table in self.tables.iter().filter(|_| self.client.entry.bad_entry.is_some()) {
            for member in self.document.members(table, named_by)?.unwrap_or_default() {
                if member.name != name && !self.tables.contains(&table.key(member.name.as_str())) {
                    let line = Place::of(self.document.text(), member.name_span.start).line;
                    notes.extend(self.client.complaint(&member.name, line, &member.node.value, named_by));
                }
            }
        }
        Ok(notes)
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
        let mut items = match self.document.get(path)? {
            None => Vec::new(),
            Some(node) => match node.value {
                Value::Array(items) => items,
                other => {
                    let kind = ProblemKind::Unsupported(format!("`{path}` is {}; a list of names is expected", other.kind()));
                    return Err(Problem::at(self.document.text(), node.span.start, kind));
                }
            },
        };
        if items.iter().any(|v| v.as_str() == Some(name)) {
            return Ok(None);
        }
        items.push(Value::from(name));
        Ok(Some(Op::set(path.clone(), Value::Array(items))))
    }
}
