//! What a client itself would object to in an entry, beyond what keeps us from understanding it.

use mcp_edit::Value;

use super::ReadError;
use crate::descriptor::{Descriptor, Shape, Switch};
use crate::entry::Launch;

impl Descriptor {
    /// What an entry that this client would not take does to it, where that is more than the loss of the entry. A sentence.
    pub fn complaint(&self, name: &str, line: usize, value: &Value, named_by: Option<&str>) -> Option<String> {
        let effect = self.entry.bad_entry.as_ref()?;
        let why = self.entry.objection(value, named_by)?;
        Some(format!("`{name}` in line {line} is malformed ({why}): {} {effect}", self.name))
    }
}

impl Shape {
    /// Why the client would not take this entry; `None` when it would. Stricter than [`Shape::read`], which also
    /// understands what only other clients mind (a number for a variable's value).
    pub fn objection(&self, value: &Value, named_by: Option<&str>) -> Option<String> {
        if self.is_own(value) {
            return None;
        }
        let entry = match self.read(value, named_by) {
            Ok(entry) => entry,
            Err(ReadError::SwitchAlone | ReadError::OnlyHere(_)) => return None,
            Err(error) => return Some(error.to_string()),
        };
        let local = matches!(entry.launch, Launch::Stdio(_));
        let inner = self.nested.as_ref().and_then(|k| value.get(k)).filter(|v| matches!(v, Value::Object(_))).unwrap_or(value);
        let args = self.stdio.as_ref().filter(|s| local && s.args_required).map(|s| &s.args);
        if let Some(key) = self.required.iter().chain(args).find(|k| value.get(k).is_none() && inner.get(k).is_none()) {
            return Some(format!("`{key}` is missing"));
        }
        let foreign = self.keys_only_for(!local).into_iter().find(|k| inner.get(k).is_some());
        if let (true, Some(key)) = (self.exclusive, foreign) {
            let (has, wants) = if local { ("a program", "an address") } else { ("an address", "a program") };
            return Some(format!("`{key}` goes with {wants}, and the entry has {has}"));
        }
        self.members_objection(value, inner, local)
    }

    /// Members of the wrong kind.
    fn members_objection(&self, value: &Value, inner: &Value, local: bool) -> Option<String> {
        let mut maps: Vec<Vec<&str>> = Vec::new();
        let mut lists: Vec<&str> =
            [&self.allow_tools, &self.deny_tools, &self.approve_tools].into_iter().flatten().map(String::as_str).collect();
        let stdio = self.stdio.as_ref().filter(|_| local);
        if let Some(stdio) = stdio {
            let given: Vec<&String> = stdio.env.0.iter().filter(|k| inner.get(k).is_some()).collect();
            if let [one, other, ..] = given.as_slice() {
                return Some(format!("`{one}` and `{other}` are the same member"));
            }
            maps.extend(stdio.env.0.iter().map(|k| vec![k.as_str()]));
            lists.extend(stdio.env_names.as_deref());
        } else {
            for shape in self.http.iter().chain(&self.sse) {
                maps.push(shape.headers.0.iter().map(String::as_str).collect());
                maps.extend(shape.headers_from_env.as_deref().map(|k| vec![k]));
                lists.extend(shape.env_names.as_deref());
            }
        }
        let may_be_null = stdio.is_some_and(|s| s.env_may_be_null);
        for path in maps {
            let Some(map) = path.iter().try_fold(inner, |v, k| v.get(k)) else { continue };
            let wrong = map.as_object().unwrap_or_default().iter().find(|(_, v)| !matches!(v, Value::String(_)));
            if let (Some((name, v)), false) = (wrong, may_be_null) {
                return Some(format!("`{}.{name}` is {}; a string is expected", path.join("."), v.kind()));
            }
        }
        // Codex also takes `{name, source}` for the name of a variable.
        let is_name = |v: &Value| matches!(v, Value::String(_)) || v.get("name").is_some_and(|n| matches!(n, Value::String(_)));
        for key in lists {
            let at = value.get(key).or_else(|| inner.get(key));
            if let Some(wrong) = at.filter(|v| !v.as_array().is_some_and(|items| items.iter().all(is_name))) {
                return Some(format!("`{key}` is {}; a list of strings is expected", wrong.kind()));
            }
        }
        if let Some(Switch::Disabled(key) | Switch::Enabled(key)) = &self.switch
            && let Some(wrong) = value.get(key).filter(|v| !matches!(v, Value::Bool(_)))
        {
            return Some(format!("`{key}` is {}; true or false is expected", wrong.kind()));
        }
        for wait in self.startup_timeout.iter().chain(&self.timeout) {
            let wrong = |v: &&Value| v.as_f64().is_none_or(|n| n < 0.0);
            if let Some(wrong) = value.get(&wait.key).filter(wrong) {
                return Some(format!("`{}` is {}; a number of {} is expected", wait.key, wrong.kind(), wait.unit.word()));
            }
        }
        None
    }
}
