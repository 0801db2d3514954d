//! Runs one fixture: a client, the text of its file before, a change, and the text after.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use std::{env, fs};

use mcp_clients::descriptor::{Descriptor, File, FileFormat, Scope, Switch, Syntax};
use mcp_clients::entry::{Entry, Launch, Remote, Stdio, Transport};
use mcp_clients::plan::{Change, Outcome, Planned, entry_path, plan, tables};
use mcp_clients::platform::Os;
use mcp_clients::share::{RunOnce, Shared};
use mcp_clients::text::Text;
use mcp_edit::{Document, Value};
use serde::Deserialize;

type Res<T> = Result<T, Box<dyn std::error::Error>>;

/// `case.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    scope: Scope,
    op: Op,
    name: String,
    /// Install over an entry that means something else.
    #[serde(default)]
    force: bool,
    /// The project's directory, where the file's keys need it.
    project: Option<String>,
    /// The system the entry is written for.
    #[serde(default)]
    os: System,
    /// Which of the scope's files, counting from 0: some clients have several.
    #[serde(default)]
    file: usize,
    /// The change is refused with a message that holds this.
    refused: Option<String>,
    /// What the user is told: one part of each note.
    #[serde(default)]
    says: Vec<String>,
    /// Options of `run-once`, for `share`.
    #[serde(default)]
    options: Vec<String>,
    /// What to install.
    entry: Option<Written>,
    /// What the client understands afterwards, where it can hold less than was asked for.
    understood: Option<Written>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Op {
    Install,
    Uninstall,
    Enable,
    Disable,
    Share,
    Unshare,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum System {
    #[default]
    Linux,
    Macos,
    Windows,
}

/// An entry as a person would ask for it. `${NAME}` is a variable.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    command: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    cwd: Option<String>,
    env_file: Option<String>,
    url: Option<String>,
    transport: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// `30s` or `1500ms`.
    timeout: Option<String>,
    startup_timeout: Option<String>,
}

impl Written {
    fn entry(&self) -> Res<Entry> {
        let text = |s: &String| Text::parse(s, Syntax::DollarBrace);
        let pairs = |map: &BTreeMap<String, String>| map.iter().map(|(k, v)| (k.clone(), text(v))).collect();
        let launch = match (&self.command, &self.url) {
            (Some(command), None) => Launch::Stdio(Stdio {
                command: text(command),
                args: self.args.iter().map(text).collect(),
                env: pairs(&self.env),
                cwd: self.cwd.as_ref().map(text),
                env_file: self.env_file.as_ref().map(text),
            }),
            (None, Some(url)) => Launch::Remote(Remote {
                transport: if self.transport.as_deref() == Some("sse") { Transport::Sse } else { Transport::Http },
                url: text(url),
                headers: pairs(&self.headers),
            }),
            _ => return Err("an entry has either a command or a url".into()),
        };
        let mut entry = Entry::new(launch);
        entry.timeout = self.timeout.as_deref().map(duration).transpose()?;
        entry.startup_timeout = self.startup_timeout.as_deref().map(duration).transpose()?;
        Ok(entry)
    }
}

fn duration(text: &str) -> Res<Duration> {
    match text.strip_suffix("ms") {
        Some(ms) => Ok(Duration::from_millis(ms.parse()?)),
        None => Ok(Duration::from_secs(text.strip_suffix('s').ok_or("a duration ends in `s` or `ms`")?.parse()?)),
    }
}

/// Runs the case in `folder` for a client. With `UPDATE_FIXTURES` set, `after` is written instead of compared.
pub(crate) fn run(client: &Descriptor, folder: &Path) -> Res<()> {
    let case: Case = toml::from_str(&fs::read_to_string(folder.join("case.toml"))?)?;
    let of_scope: Vec<&File> = client.files.iter().filter(|f| f.scope == case.scope).collect();
    let file = *of_scope.get(case.file).ok_or("the client has no such file")?;
    let extension = match file.format {
        FileFormat::Json => "json",
        FileFormat::Jsonc => "jsonc",
        FileFormat::Toml => "toml",
        FileFormat::Yaml => "yaml",
    };
    let before = match fs::read(folder.join(format!("before.{extension}"))) {
        Ok(bytes) => Some(String::from_utf8(bytes)?),
        Err(_) => None,
    };
    let entry = case.entry.as_ref().map(Written::entry).transpose()?;
    let name = case.name.clone();
    let change = match (case.op, entry.clone()) {
        (Op::Install, Some(entry)) => Change::Install { name, entry, force: case.force },
        (Op::Uninstall, None) => Change::Uninstall { name },
        (Op::Enable, None) => Change::Enable { name },
        (Op::Disable, None) => Change::Disable { name },
        (Op::Share, None) => {
            let program = if matches!(case.os, System::Windows) { r"C:\Tools\mcp.exe" } else { "/opt/mcp/bin/mcp" };
            let how = RunOnce { program: program.to_owned(), name: name.clone(), options: case.options.clone(), home: None };
            Change::Share { name, how, anew: false }
        }
        (Op::Unshare, None) => Change::Unshare { name },
        _ => return Err("`install` needs an entry, and only `install` takes one".into()),
    };
    let os = match case.os {
        System::Linux => Os::Linux,
        System::Macos => Os::MacOs,
        System::Windows => Os::Windows,
    };
    let go = |text: Option<&str>, change: &Change| plan(client, file, case.project.as_deref(), text, change, os);

    let planned = match (go(before.as_deref(), &change), &case.refused) {
        (Ok(planned), None) => planned,
        (Ok(planned), Some(refused)) => return Err(format!("not refused ({refused}) but: {}", planned.after).into()),
        (Err(error), Some(refused)) if error.to_string().contains(refused) => return Ok(()),
        (Err(error), _) => return Err(error.into()),
    };
    let mut notes = planned.notes.iter();
    for want in &case.says {
        notes.find(|n| n.contains(want)).ok_or_else(|| format!("nobody says {want:?} in {:?}", planned.notes))?;
    }
    ensure(planned.notes.len() == case.says.len(), || format!("more is said: {:?}", planned.notes))?;

    let after_path = folder.join(format!("after.{extension}"));
    if env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(&after_path, &planned.after)?;
    }
    let after = String::from_utf8(fs::read(&after_path)?)?;
    ensure(planned.after == after, || format!("not as expected:\n{}\nbut\n{}", after, planned.after))?;

    let old = before.clone().unwrap_or_default();
    ensure(planned.edit.apply(&old) == after, || "the splices do not make the text".into())?;
    ensure(planned.edit.inverse(&old).apply(&after) == old, || "the inverse does not give the first bytes back".into())?;
    let again = go(Some(&after), &change).map_err(|e| format!("the second time: {e}"))?;
    ensure(again.edit.is_empty() && again.after == after, || format!("the second time it changes again:\n{}", again.after))?;
    line_endings(&old, &after)?;

    let site = Site { client, file, project: case.project.as_deref() };
    match &change {
        Change::Install { name, .. } => {
            let wanted = match (&case.understood, entry) {
                (Some(less), _) => less.entry()?,
                (None, Some(entry)) => entry,
                (None, None) => return Err("an install without an entry".into()),
            };
            site.means(&after, name, &wanted)?;
            if planned.outcome == Outcome::Added {
                site.removal(&old, &planned, &go(Some(&after), &Change::Uninstall { name: name.clone() })?, name)?;
            }
        }
        Change::Uninstall { name } => ensure(site.value(&after, name)?.is_none(), || "the entry is still there".into())?,
        Change::Enable { name } => site.is_on(&after, name, true)?,
        Change::Disable { name } => site.is_on(&after, name, false)?,
        Change::Share { name, .. } => site.is_shared(&after, name, true)?,
        Change::Unshare { name } => site.is_shared(&after, name, false)?,
        Change::Tap { .. } | Change::Untap { .. } => return Err("no fixture is about a tap".into()),
    }
    site.nothing_else(&old, &after, &case.name)
}

/// A file of a client, and the project where its keys need one.
struct Site<'a> {
    client: &'a Descriptor,
    file: &'a File,
    project: Option<&'a str>,
}

impl Site<'_> {
    fn value(&self, text: &str, name: &str) -> Res<Option<Value>> {
        let document = Document::parse(text, self.file.format.editor())?;
        for table in tables(self.file, self.project) {
            if let Some(node) = document.get(&entry_path(&table, self.file, name))? {
                return Ok(Some(node.value));
            }
        }
        Ok(None)
    }

    fn read(&self, text: &str, name: &str) -> Res<Entry> {
        let value = self.value(text, name)?.ok_or("the entry is not there")?;
        Ok(self.client.entry.read(&value, self.file.named_by.as_deref())?)
    }

    /// The entry in `after` means what was asked for.
    fn means(&self, after: &str, name: &str, wanted: &Entry) -> Res<()> {
        let have = self.read(after, name)?;
        ensure(have.meaning() == wanted.meaning(), || format!("means {:?}\nnot {:?}", have.meaning(), wanted.meaning()))?;
        for (have, wanted) in [(have.timeout, wanted.timeout), (have.startup_timeout, wanted.startup_timeout)] {
            ensure(wanted.is_none() || have == wanted, || format!("waits {have:?}, not {wanted:?}"))?;
        }
        Ok(())
    }

    /// Taking out what was just put in gives the first bytes, unless the container was empty before: then a remover
    /// cannot know that the user did not want it.
    fn removal(&self, old: &str, installed: &Planned, removed: &Planned, name: &str) -> Res<()> {
        ensure(removed.outcome == Outcome::Removed, || "uninstall found nothing".into())?;
        ensure(self.value(&removed.after, name)?.is_none(), || "uninstall left the entry".into())?;
        let document = Document::parse(old, self.file.format.editor())?;
        let mut others = false;
        for table in tables(self.file, self.project) {
            others |= document.members(&table, self.file.named_by.as_deref())?.is_some_and(|m| !m.is_empty());
        }
        ensure(!others || removed.after == old, || {
            format!("install and uninstall of\n{}\nleave\n{}", installed.after, removed.after)
        })
    }

    fn is_on(&self, after: &str, name: &str, on: bool) -> Res<()> {
        let mut have = self.read(after, name)?.enabled;
        if let Some(Switch::List(keys)) = &self.client.entry.switch {
            let document = Document::parse(after, self.file.format.editor())?;
            let list = document.get(&mcp_edit::Path::keys(keys.iter().cloned()))?.map(|n| n.value);
            have = !list.as_ref().and_then(Value::as_array).is_some_and(|l| l.iter().any(|v| v.as_str() == Some(name)));
        }
        ensure(have == on, || format!("the entry is {}", if have { "on" } else { "off" }))
    }

    fn is_shared(&self, after: &str, name: &str, wanted: bool) -> Res<()> {
        let shared = Shared::of(&self.read(after, name)?.launch).is_some();
        ensure(shared == wanted, || format!("the entry is {}shared", if shared { "" } else { "not " }))
    }

    /// But for the entry (and the list of what is off) the text means the same. Where there is a reader that is not ours,
    /// it has the word: what other programs could read, they still can.
    fn nothing_else(&self, old: &str, after: &str, name: &str) -> Res<()> {
        let strict = |text: &str| serde_json::from_str::<serde_json::Value>(text.trim_start_matches('\u{feff}'));
        let ours = |text: &str| -> Res<serde_json::Value> {
            let document = Document::parse(text, self.file.format.editor())?;
            Ok(document.get(&mcp_edit::Path::default())?.map_or(serde_json::Value::Null, |n| plain(&n.value)))
        };
        let (old, after) = match self.file.format {
            FileFormat::Json | FileFormat::Jsonc if old.trim().is_empty() => return strict(after).map(drop).map_err(Into::into),
            FileFormat::Json | FileFormat::Jsonc => match strict(old) {
                Ok(old) => (old, strict(after)?),
                Err(_) => (ours(old)?, ours(after)?),
            },
            FileFormat::Toml => (toml::from_str(old)?, toml::from_str(after)?),
            FileFormat::Yaml if old.trim().is_empty() => return Ok(()),
            FileFormat::Yaml => (ours(old)?, ours(after)?),
        };
        let without = |mut value: serde_json::Value| {
            let mut lists: Vec<Vec<String>> = tables(self.file, self.project).iter().map(keys).collect();
            if let Some(Switch::List(keys)) = &self.client.entry.switch {
                lists.push(keys.clone());
            }
            for path in &lists {
                if let Some(at) = path.iter().try_fold(&mut value, |v, k| v.get_mut(k)) {
                    match at {
                        serde_json::Value::Object(members) => drop(members.shift_remove(name)),
                        serde_json::Value::Array(items) => {
                            let named = self.file.named_by.as_deref().unwrap_or_default();
                            items.retain(|v| v != name && v.get(named).is_none_or(|n| n != name));
                        }
                        _ => {}
                    }
                }
                prune(&mut value, path);
            }
            value
        };
        let (old, after) = (without(old), without(after));
        ensure(old == after, || format!("more than the entry changed:\n{old:#}\n{after:#}"))
    }
}

/// A value for comparing; numbers as they are spelled.
fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => number.to_string().into(),
        Value::String(text) => text.clone().into(),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(members) => members.iter().map(|(k, v)| (k.clone(), plain(v))).collect(),
    }
}

/// The keys of a path.
fn keys(path: &mcp_edit::Path) -> Vec<String> {
    let key = |step: &mcp_edit::Step| match step {
        mcp_edit::Step::Key(key) => key.clone(),
        mcp_edit::Step::Item { value, .. } => value.clone(),
    };
    path.0.iter().map(key).collect()
}

/// Takes empty containers along a path away: whether one is there says nothing.
fn prune(value: &mut serde_json::Value, path: &[String]) {
    let (Some((key, rest)), Some(members)) = (path.split_first(), value.as_object_mut()) else { return };
    if let Some(inner) = members.get_mut(key) {
        prune(inner, rest);
        if matches!(inner, serde_json::Value::Object(m) if m.is_empty())
            || matches!(inner, serde_json::Value::Array(a) if a.is_empty())
        {
            members.shift_remove(key);
        }
    }
}

/// A file with one kind of line ending keeps to it.
fn line_endings(old: &str, after: &str) -> Res<()> {
    let count = |text: &str| (text.matches("\r\n").count(), text.matches('\n').count());
    let (crlf, all) = count(old);
    let (crlf_after, all_after) = count(after);
    ensure(all == 0 || crlf != all || crlf_after == all_after, || "a bare line feed among CRLF".into())?;
    ensure(crlf > 0 || crlf_after == 0, || "CRLF in a file that had none".into())
}

fn ensure(truth: bool, message: impl FnOnce() -> String) -> Res<()> {
    if truth { Ok(()) } else { Err(message().into()) }
}
