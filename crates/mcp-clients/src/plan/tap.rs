//! Putting a wrapper that records around an entry's command, and taking it away: its launch changes, and nothing else in it.

use mcp_edit::{Op, Value};

use super::share::{without_home, words_of};
use super::{Outcome, PlanError, Work, Worked};
use crate::descriptor::Part;
use crate::entry::Launch;
use crate::share::Shared;
use crate::tap::{self, Tap, Tapped};

impl Work<'_> {
    /// Wraps an entry's command.
    pub(super) fn tap(&self, name: &str, how: &Tap) -> Result<Worked, PlanError> {
        let refused = |why: String, hint| PlanError::NotTappable { name: name.to_owned(), why, hint };
        let Some((path, old)) = self.find(name)? else { return Ok((Outcome::NotThere, Vec::new(), Vec::new())) };
        let entry = self
            .client
            .entry
            .read(&old, self.file.named_by.as_deref())
            .map_err(|error| refused(error.to_string(), "only an entry that starts a program can be wrapped"))?;
        let unchanged = |note: String| Ok((Outcome::Unchanged, Vec::new(), vec![note]));
        if Tapped::of(&entry.launch).is_some() {
            return unchanged(format!("`{name}` is recorded already"));
        }
        if let Some(shared) = Shared::of(&entry.launch) {
            let called = shared.called();
            return unchanged(format!(
                "`{name}` is shared, and needs no wrapper: `mcp inspect --attach {called}` shows what the daemon sees"
            ));
        }
        let (Some(shape), Launch::Stdio(stdio)) = (self.stdio_of(&entry.launch), &entry.launch) else {
            return Err(refused(
                "it calls an address and starts no program".to_owned(),
                "`mcp tap --url ADDRESS --listen 127.0.0.1:0` records on the way to an address; put the URL it prints into the entry",
            ));
        };
        if stdio.command.as_literal().is_none() {
            return Err(refused(
                format!("only {} can fill in its command `{}`", self.client.name, stdio.command),
                "write the program's path out in the entry, then attach",
            ));
        }
        let words = || {
            let mut words = self.spelled(&how.words())?;
            words.push(self.spell(&stdio.command, Part::Args)?);
            words.extend(words_of(shape, self.launch_in(&old)).into_iter().skip(1));
            Ok::<_, PlanError>(words)
        };
        let words = words().map_err(|error| match error {
            PlanError::Write(why) => {
                refused(why.to_string(), "leave this entry as it is; `--client` names the clients to change")
            }
            other => other,
        })?;
        let new = self.with_home(shape, self.with_words(shape, &old, &words), how.home.as_ref())?;
        Ok((Outcome::Attached, vec![Op::set(path, new)], Vec::new()))
    }

    /// Makes an entry start its server itself again, by what its command line says.
    pub(super) fn untap(&self, name: &str) -> Result<Worked, PlanError> {
        let Some((path, old)) = self.find(name)? else { return Ok((Outcome::NotThere, Vec::new(), Vec::new())) };
        let entry = self.client.entry.read(&old, self.file.named_by.as_deref()).ok();
        let tapped = entry.as_ref().and_then(|entry| Tapped::of(&entry.launch));
        let Some((tapped, shape)) = tapped.zip(self.client.entry.stdio.as_ref()) else {
            return Ok((Outcome::Unchanged, Vec::new(), vec![format!("`{name}` is not recorded")]));
        };
        let Launch::Stdio(stdio) = &tapped.inner else { unreachable!("what is wrapped is a command") };
        let mut words = vec![self.spell(&stdio.command, Part::Command)?];
        words.extend(words_of(shape, self.launch_in(&old)).into_iter().skip(tapped.before + 1));
        let new = without_home(shape, &self.with_words(shape, &old, &words), self.client.entry.nested.as_deref());
        let notes = vec![format!("`{name}` was put together from what `mcp tap` was told")];
        Ok((Outcome::Detached, vec![Op::set(path, new)], notes))
    }

    /// Holds the result against what it was to be.
    pub(super) fn tapped(&self, name: &str, old: &Value, how: Option<&Tap>) -> Result<(), PlanError> {
        let (before, after) = self.launches(name, old)?;
        let is_said = match (Tapped::of(&after), how) {
            (Some(tapped), Some(how)) => tapped.program == how.program,
            (None, None) => true,
            _ => false,
        };
        if !is_said {
            return Err(self.rejected("it would not say to `mcp tap` what it should"));
        }
        if tap::own(&before) != tap::own(&after) {
            return Err(self.rejected("another server would be started"));
        }
        Ok(())
    }
}
