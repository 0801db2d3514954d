//! Sharing and unsharing an entry: its launch changes, and nothing else in it.

use mcp_edit::{Op, Value};

use super::{Outcome, PlanError, Work, Worked};
use crate::descriptor::{Part, StdioShape, Syntax};
use crate::entry::{Entry, Launch};
use crate::secret;
use crate::shape::WriteError;
use crate::share::{self, RunOnce, Shared};
use crate::text::Text;

impl Work<'_> {
    /// Makes an entry join a shared server. One that does already is given new options only where `anew` says so.
    pub(super) fn share(&self, name: &str, how: &RunOnce, anew: bool) -> Result<Worked, PlanError> {
        self.shared(name, how, anew).map_err(|error| match error {
            PlanError::Write(why) => {
                not_shareable(name, why.to_string(), "leave this entry as it is; `--client` names the clients to change")
            }
            other => other,
        })
    }

    fn shared(&self, name: &str, how: &RunOnce, anew: bool) -> Result<Worked, PlanError> {
        let Some((path, old)) = self.find(name)? else { return Ok((Outcome::NotThere, Vec::new(), Vec::new())) };
        let entry = self.entry_to_share(name, &old)?;
        let before = Shared::of(&entry.launch);
        if let Some(shared) = before.as_ref().filter(|_| !anew) {
            let note = format!("`{name}` is shared already: the daemon calls it `{}`", shared.called());
            return Ok((Outcome::Unchanged, Vec::new(), vec![note]));
        }
        let inner = before.as_ref().map_or(&entry.launch, |shared| &shared.inner);
        let mut notes = Vec::new();
        let new = match (self.stdio_of(&entry.launch), inner) {
            (Some(shape), Launch::Stdio(stdio)) => {
                if stdio.command.as_literal().is_none() {
                    return Err(not_shareable(
                        name,
                        format!("only {} can fill in its command `{}`", self.client.name, stdio.command),
                        "write the program's path out in the entry, then share it",
                    ));
                }
                let rest = before.as_ref().map_or(1, |shared| shared.before.map_or(1, |at| at + 1));
                let mut words = self.spelled(&how.words(inner))?;
                words.push(self.spell(&stdio.command, Part::Args)?);
                words.extend(words_of(shape, self.launch_in(&old)).into_iter().skip(rest));
                let relaunched = self.with_words(shape, &old, &words);
                self.with_home(shape, relaunched, how.home.as_ref())?
            }
            _ => self.with_launch(name, &old, self.wrapped(how, inner), &mut notes)?,
        };
        if let Launch::Remote(remote) = inner
            && remote.headers.iter().any(|(name, value)| match value.as_literal() {
                Some(_) => secret::is_secret_name(name),
                None => self.client.entry.fills_in_arguments(),
            })
        {
            notes.push(format!(
                "{} hands the headers to `mcp run-once` as arguments, which other users of this machine may be able to see",
                self.client.name
            ));
        }
        Ok((Outcome::Shared, vec![Op::set(path, new)], notes))
    }

    /// Makes an entry start its own server again, by what its command line says.
    pub(super) fn unshare(&self, name: &str) -> Result<Worked, PlanError> {
        let Some((path, old)) = self.find(name)? else { return Ok((Outcome::NotThere, Vec::new(), Vec::new())) };
        let entry = self.client.entry.read(&old, self.file.named_by.as_deref()).ok();
        let shared = entry.as_ref().and_then(|entry| Shared::of(&entry.launch));
        let Some((shared, shape)) = shared.zip(self.client.entry.stdio.as_ref()) else {
            return Ok((Outcome::Unchanged, Vec::new(), vec![format!("`{name}` is not shared")]));
        };
        let mut notes = vec![format!("`{name}` was put together from what `run-once` was told")];
        let new = match (&shared.inner, shared.before) {
            (Launch::Stdio(stdio), Some(before)) => {
                let mut words = vec![self.spell(&stdio.command, Part::Command)?];
                words.extend(words_of(shape, self.launch_in(&old)).into_iter().skip(before + 1));
                without_home(shape, &self.with_words(shape, &old, &words), self.client.entry.nested.as_deref())
            }
            (inner, _) => self.with_launch(name, &old, self.fitting(inner), &mut notes)?,
        };
        Ok((Outcome::Unshared, vec![Op::set(path, new)], notes))
    }

    /// Holds the result of sharing or unsharing against what it was to be.
    pub(super) fn relaunched(&self, name: &str, old: &Value, how: Option<&RunOnce>) -> Result<(), PlanError> {
        let (before, after) = self.launches(name, old)?;
        let said = match (Shared::of(&after), how) {
            (Some(shared), Some(how)) => shared.program == how.program && shared.name.as_ref() == Some(&how.name),
            (None, None) => true,
            _ => false,
        };
        if !said {
            return Err(self.rejected("it would not say to `mcp run-once` what it should"));
        }
        if share::own(&before) != share::own(&after) {
            return Err(self.rejected("another server would be started"));
        }
        Ok(())
    }

    pub(super) fn rejected(&self, why: &str) -> PlanError {
        PlanError::Rejected { client: self.client.name.clone(), why: why.to_owned() }
    }

    /// How an entry was launched, and how it is now that it was changed.
    pub(super) fn launches(&self, name: &str, old: &Value) -> Result<(Launch, Launch), PlanError> {
        let shape = &self.client.entry;
        let named_by = self.file.named_by.as_deref();
        let (_, new) = self.find(name)?.ok_or_else(|| self.rejected("it is not found afterwards"))?;
        if let Some(why) = shape.objection(&new, named_by) {
            return Err(self.rejected(&why));
        }
        let launch = |value| shape.read(value, named_by).map(|e| e.launch).map_err(|e| self.rejected(&e.to_string()));
        Ok((launch(old)?, launch(&new)?))
    }

    fn entry_to_share(&self, name: &str, value: &Value) -> Result<Entry, PlanError> {
        self.client.entry.read(value, self.file.named_by.as_deref()).map_err(|error| {
            not_shareable(name, error.to_string(), "only an entry that starts a program or calls an address can be shared")
        })
    }

    pub(super) fn stdio_of(&self, launch: &Launch) -> Option<&StdioShape> {
        self.client.entry.stdio.as_ref().filter(|_| matches!(launch, Launch::Stdio(_)))
    }

    /// The part of an entry that says how the server is reached.
    pub(super) fn launch_in<'v>(&self, entry: &'v Value) -> &'v Value {
        let nested = self.client.entry.nested.as_deref().and_then(|key| entry.get(key));
        nested.filter(|v| matches!(v, Value::Object(_))).unwrap_or(entry)
    }

    /// A program and its arguments as the client spells them.
    pub(super) fn spelled(&self, words: &[Text]) -> Result<Vec<Value>, PlanError> {
        let part = |i| if i == 0 { Part::Command } else { Part::Args };
        words.iter().enumerate().map(|(i, word)| self.spell(word, part(i))).collect()
    }

    pub(super) fn spell(&self, text: &Text, part: Part) -> Result<Value, PlanError> {
        let variables = &self.client.entry.variables;
        let syntax = if variables.within.contains(&part) { variables.syntax } else { Syntax::None };
        let refused = |why: String| {
            let client = self.client.name.clone();
            PlanError::Write(WriteError::Variable { client, text: text.to_string(), part: part.word(), why })
        };
        if let Some(form) = text.misread(syntax) {
            return Err(refused(format!("it would replace `{form}` by a variable's value there")));
        }
        text.spell(syntax).map(Value::String).map_err(|why| refused(why.to_string()))
    }

    /// The entry with another program and other arguments in the places it has them.
    pub(super) fn with_words(&self, shape: &StdioShape, entry: &Value, words: &[Value]) -> Value {
        let put = |launch: &Value| {
            let mut launch = launch.clone();
            if shape.command_is_list {
                set(&mut launch, &shape.command, Value::Array(words.to_vec()), None);
                return launch;
            }
            let (command, args) = words.split_first().expect("a launch has a program");
            set(&mut launch, &shape.command, command.clone(), None);
            if args.is_empty() && !shape.args_required {
                remove(&mut launch, &shape.args);
            } else {
                set(&mut launch, &shape.args, Value::Array(args.to_vec()), Some(&shape.command));
            }
            launch
        };
        within(entry, self.client.entry.nested.as_deref(), put)
    }

    /// The entry with the variable that leads to our own directories, unless it has one.
    pub(super) fn with_home(&self, shape: &StdioShape, entry: Value, home: Option<&String>) -> Result<Value, PlanError> {
        let Some(home) = home else { return Ok(entry) };
        let home = self.spell(&Text::literal(home), Part::Env)?;
        Ok(within(&entry, self.client.entry.nested.as_deref(), |launch| {
            let mut launch = launch.clone();
            let there = shape.env.0.iter().find(|key| launch.get(key).is_some());
            let key = there.or(shape.env.0.first()).map_or("env", |key| key).to_owned();
            let mut variables = launch.get(&key).and_then(Value::as_object).unwrap_or_default().to_vec();
            if !variables.iter().any(|(name, _)| name == share::HOME) {
                variables.push((share::HOME.to_owned(), home.clone()));
                set(&mut launch, &key, Value::Object(variables), Some(&shape.args));
            }
            launch
        }))
    }

    /// The entry with a launch of another kind: what the user keeps beside it stays as far as it goes with that.
    fn with_launch(&self, name: &str, old: &Value, launch: Launch, notes: &mut Vec<String>) -> Result<Value, PlanError> {
        let mut new = self.client.entry.write(&Entry::new(launch), name, &self.client.name, self.os)?;
        if let (Some(field), Value::Object(members)) = (&self.file.named_by, &mut new.value)
            && !members.iter().any(|(key, _)| key == field)
        {
            members.insert(0, (field.clone(), Value::from(name)));
        }
        notes.append(&mut new.notes);
        Ok(self.merge(old, &new.value, notes))
    }

    fn wrapped(&self, how: &RunOnce, inner: &Launch) -> Launch {
        if self.client.entry.fills_in_arguments() { how.wrap(inner) } else { how.wrap_handing_on(inner) }
    }

    /// An address by the way the client has to it.
    fn fitting(&self, launch: &Launch) -> Launch {
        let mut launch = launch.clone();
        if let Launch::Remote(remote) = &mut launch
            && self.client.entry.remote(remote.transport).is_none()
        {
            remote.transport = remote.transport.other();
        }
        launch
    }
}

fn not_shareable(name: &str, why: String, hint: &'static str) -> PlanError {
    PlanError::NotShareable { name: name.to_owned(), why, hint }
}

/// For two launches that lead to the same server and only one of which need be shared: whether the wanted one is.
pub(super) fn differ_in_sharing(have: &Launch, want: &Launch) -> Option<bool> {
    let (is, should) = (Shared::of(have).is_some(), Shared::of(want).is_some());
    ((is || should) && share::own(have) == share::own(want)).then_some(should)
}

/// The program and its arguments, as they are spelled.
pub(super) fn words_of(shape: &StdioShape, launch: &Value) -> Vec<Value> {
    let list = |key: &str| launch.get(key).and_then(Value::as_array).unwrap_or_default().to_vec();
    if shape.command_is_list {
        return list(&shape.command);
    }
    launch.get(&shape.command).cloned().into_iter().chain(list(&shape.args)).collect()
}

pub(super) fn without_home(shape: &StdioShape, entry: &Value, nested: Option<&str>) -> Value {
    within(entry, nested, |launch| {
        let mut launch = launch.clone();
        for key in &shape.env.0 {
            let Some(variables) = launch.get(key).and_then(Value::as_object) else { continue };
            let rest: Vec<(String, Value)> = variables.iter().filter(|(name, _)| name != share::HOME).cloned().collect();
            if rest.len() == variables.len() {
                continue;
            }
            if rest.is_empty() { remove(&mut launch, key) } else { set(&mut launch, key, Value::Object(rest), None) }
        }
        launch
    })
}

/// The entry with its launch changed, wherever in it that is.
fn within(entry: &Value, nested: Option<&str>, change: impl Fn(&Value) -> Value) -> Value {
    match nested.and_then(|key| Some((key, entry.get(key).filter(|v| matches!(v, Value::Object(_)))?))) {
        Some((key, launch)) => {
            let mut entry = entry.clone();
            set(&mut entry, key, change(launch), None);
            entry
        }
        None => change(entry),
    }
}

/// Sets a member; a new one goes behind `after`, or to the end.
fn set(object: &mut Value, key: &str, value: Value, after: Option<&str>) {
    let Value::Object(members) = object else { return };
    if let Some((_, old)) = members.iter_mut().find(|(k, _)| k == key) {
        *old = value;
        return;
    }
    let at = members.iter().position(|(k, _)| Some(k.as_str()) == after).map_or(members.len(), |at| at + 1);
    members.insert(at, (key.to_owned(), value));
}

fn remove(object: &mut Value, key: &str) {
    if let Value::Object(members) = object {
        members.retain(|(k, _)| k != key);
    }
}
