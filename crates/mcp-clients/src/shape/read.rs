//! What a client's entry means.

use mcp_edit::Value;

use super::ReadError;
use crate::descriptor::{Part, RemoteShape, Shape, Switch, Syntax, Untyped};
use crate::entry::{Entry, Launch, Remote, Stdio, Transport};
use crate::text::Text;

impl Shape {
    /// Understands a client's entry. `name_key` and the naming member of lists are left out of `extra`.
    pub fn read(&self, value: &Value, named_by: Option<&str>) -> Result<Entry, ReadError> {
        let Value::Object(outer) = value else { return Err(ReadError::NotObject(value.kind())) };
        if self.is_switch_alone(value) {
            return Err(ReadError::SwitchAlone);
        }
        let nested = self.nested.as_ref().and_then(|k| value.get(k)).filter(|v| matches!(v, Value::Object(_)));
        let inner = nested.unwrap_or(value);
        let mut seen: Vec<&str> = self.name_key.as_deref().into_iter().chain(named_by).chain(self.nested.as_deref()).collect();
        let transport = self.transport_of(inner)?;
        let launch = match transport {
            None => Launch::Stdio(self.read_stdio(inner, &mut seen)?),
            Some(transport) => Launch::Remote(self.read_remote(inner, transport, &mut seen)?),
        };
        seen.extend(self.type_key.as_deref().into_iter().chain(self.type_before.iter().map(String::as_str)));
        let mut entry = Entry::new(launch);
        entry.family.clone_from(&self.family);
        match &self.switch {
            Some(Switch::Disabled(key)) => entry.enabled = value.get(key).and_then(Value::as_bool) != Some(true),
            Some(Switch::Enabled(key)) => entry.enabled = value.get(key).and_then(Value::as_bool) != Some(false),
            _ => {}
        }
        if let Some(Switch::Disabled(key) | Switch::Enabled(key)) = &self.switch {
            seen.push(key);
        }
        for (slot, key) in [(&mut entry.startup_timeout, &self.startup_timeout), (&mut entry.timeout, &self.timeout)] {
            if let Some(key) = key {
                *slot = value.get(&key.key).and_then(Value::as_f64).and_then(|n| key.unit.read(n));
                seen.push(&key.key);
            }
        }
        let lists = [
            (&mut entry.allow_tools, &self.allow_tools),
            (&mut entry.deny_tools, &self.deny_tools),
            (&mut entry.approve_tools, &self.approve_tools),
        ];
        for (slot, key) in lists {
            if let Some(key) = key {
                let items = value.get(key).and_then(Value::as_array);
                *slot = items.map(|items| items.iter().filter_map(Value::as_str).map(str::to_owned).collect());
                seen.push(key);
            }
        }
        // `tools: ["*"]`, which Copilot writes into every entry, says nothing.
        if entry.allow_tools.as_ref().is_some_and(|t| t.iter().any(|t| t == "*")) {
            entry.allow_tools = None;
        }
        // Clients without a type key of their own find the transport out; what others have them say is said by it.
        let idle = |key: &str, v: &Value| key == "type" && self.type_key.is_none() && matches!(v, Value::String(_));
        let plain = |(key, v): &&(String, Value)| {
            !seen.contains(&key.as_str()) && !idle(key, v) && self.constant(key).as_ref() != Some(v)
        };
        entry.extra.extend(outer.iter().filter(plain).cloned());
        if nested.is_some() {
            entry.extra.extend(inner.as_object().into_iter().flatten().filter(plain).cloned());
        }
        entry.extra.extend(self.left_over(inner, transport));
        Ok(entry)
    }

    /// What has no word in an [`Entry`] although its key has: variables that are taken away, and what stands beside
    /// headers that lie deeper than others.
    fn left_over(&self, value: &Value, transport: Option<Transport>) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        match (transport, &self.stdio) {
            (None, Some(shape)) if shape.env_may_be_null => {
                let vars = shape.env.0.iter().filter_map(|k| value.get(k)?.as_object()).flatten();
                let gone = vars.filter(|(_, v)| matches!(v, Value::Null));
                found.extend(gone.map(|(name, v)| (format!("{}.{name}", shape.env.0[0]), v.clone())));
            }
            (Some(transport), _) => {
                if let Some([outer, inner]) = self.remote(transport).map(|s| s.headers.0.as_slice()) {
                    let beside = value.get(outer).and_then(Value::as_object).unwrap_or_default();
                    let beside = beside.iter().filter(|(k, _)| k != inner);
                    found.extend(beside.map(|(key, v)| (format!("{outer}.{key}"), v.clone())));
                }
            }
            _ => {}
        }
        found
    }

    /// Which transport an entry is for: `None` is stdio.
    fn transport_of(&self, value: &Value) -> Result<Option<Transport>, ReadError> {
        let stdio = self.stdio.as_ref();
        let remotes = [(Transport::Http, self.http.as_ref()), (Transport::Sse, self.sse.as_ref())];
        let has_url = |shape: &RemoteShape| shape.url.0.iter().any(|k| value.get(k).is_some());
        let has_command = stdio.is_some_and(|s| value.get(&s.command).is_some());
        if let Some((key, word)) = self.type_key.as_ref().and_then(|k| Some((k, value.get(k)?.as_str()?))) {
            let is = |words: &[String]| words.iter().any(|w| w == word);
            if stdio.is_some_and(|s| is(&s.words)) {
                return Ok(None);
            }
            for (transport, shape) in remotes {
                if shape.is_some_and(|s| is(&s.words)) {
                    return Ok(Some(transport));
                }
            }
            if is(&self.other_words) {
                return Err(ReadError::OnlyHere(word.to_owned()));
            }
            if !has_command && !remotes.iter().any(|(_, s)| s.is_some_and(|s| s.untyped && has_url(s))) {
                let words =
                    stdio.map(|s| &s.words).into_iter().chain(remotes.iter().filter_map(|(_, s)| Some(&s.as_ref()?.words)));
                let known: Vec<String> = words.flatten().map(|w| format!("`{w}`")).collect();
                return Err(ReadError::UnknownType { key: key.clone(), word: word.to_owned(), known: known.join(", ") });
            }
        }
        if has_command {
            return Ok(None);
        }
        let found: Vec<Transport> = remotes.iter().filter(|(_, s)| s.is_some_and(has_url)).map(|(t, _)| *t).collect();
        match (found.as_slice(), self.untyped_url) {
            ([], _) => Err(ReadError::NoLaunch {
                command: stdio.map_or("command", |s| &s.command).to_owned(),
                url: self.http.as_ref().or(self.sse.as_ref()).and_then(|s| s.url.0.first()).map_or("url", |u| u).to_owned(),
            }),
            ([one], Untyped::Http | Untyped::Sse) => Ok(Some(*one)),
            (_, Untyped::Http) => Ok(Some(Transport::Http)),
            (_, Untyped::Sse) => Ok(Some(Transport::Sse)),
            (_, Untyped::Nothing) => Err(ReadError::Untyped(self.type_key.clone().unwrap_or_else(|| "type".to_owned()))),
        }
    }

    fn read_stdio<'a>(&'a self, value: &Value, seen: &mut Vec<&'a str>) -> Result<Stdio, ReadError> {
        let Some(shape) = &self.stdio else {
            return Err(ReadError::NoLaunch { command: "command".into(), url: "url".into() });
        };
        seen.extend([shape.command.as_str(), shape.args.as_str()]);
        seen.extend(shape.env.0.iter().map(String::as_str).chain(shape.env_names.as_deref()));
        seen.extend(shape.cwd.as_deref().into_iter().chain(shape.env_file.as_deref()));
        let wrong = |key: &str, found: &Value, wanted| ReadError::WrongKind { key: key.to_owned(), found: found.kind(), wanted };
        let mut stdio = Stdio::default();
        let strings = |key: &str, part: Part| match value.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .map(|v| v.as_str().map(|s| self.text(s, part)).ok_or_else(|| wrong(key, v, "a string")))
                .collect::<Result<Vec<_>, _>>(),
            Some(other) => Err(wrong(key, other, "a list of strings")),
        };
        if shape.command_is_list {
            let mut words = strings(&shape.command, Part::Args)?;
            if words.is_empty() {
                let found = value.get(&shape.command).unwrap_or(&Value::Null);
                return Err(wrong(&shape.command, found, "a list of the program and its arguments"));
            }
            stdio.command = words.remove(0);
            stdio.args = words;
        } else {
            let command = value.get(&shape.command).unwrap_or(&Value::Null);
            let text = command.as_str().ok_or_else(|| wrong(&shape.command, command, "a string"))?;
            stdio.command = self.text(text, Part::Command);
            stdio.args = strings(&shape.args, Part::Args)?;
        }
        for key in &shape.env.0 {
            match value.get(key) {
                None | Some(Value::Null) => {}
                Some(Value::Object(vars)) => {
                    for (name, v) in vars {
                        if shape.env_may_be_null && *v == Value::Null {
                            continue; // see `left_over`
                        }
                        let text = scalar(v).ok_or_else(|| wrong(&format!("{key}.{name}"), v, "a string"))?;
                        stdio.env.push((name.clone(), self.text(&text, Part::Env)));
                    }
                }
                Some(other) => return Err(wrong(key, other, "an object of strings")),
            }
        }
        if let Some(items) = shape.env_names.as_ref().and_then(|k| value.get(k)).and_then(Value::as_array) {
            for item in items {
                // Codex also takes `{name, source}`.
                if let Some(name) = item.as_str().or_else(|| item.get("name")?.as_str()) {
                    stdio.env.push((name.to_owned(), Text::variable(name)));
                }
            }
        }
        let one = |key: &Option<String>| match key.as_ref().and_then(|k| Some((k, value.get(k)?))) {
            None | Some((_, Value::Null)) => Ok(None),
            Some((_, Value::String(s))) => Ok(Some(self.text(s, Part::Cwd))),
            Some((key, other)) => Err(wrong(key, other, "a string")),
        };
        stdio.cwd = one(&shape.cwd)?;
        stdio.env_file = one(&shape.env_file)?;
        Ok(stdio)
    }

    fn read_remote<'a>(&'a self, value: &Value, transport: Transport, seen: &mut Vec<&'a str>) -> Result<Remote, ReadError> {
        let shape = self.remote(transport).ok_or_else(|| ReadError::NoLaunch { command: "command".into(), url: "url".into() })?;
        seen.extend(shape.url.0.iter().map(String::as_str).chain(shape.headers.0.first().map(String::as_str)));
        seen.extend(
            shape
                .headers_from_env
                .as_deref()
                .into_iter()
                .chain(shape.bearer_from_env.as_deref())
                .chain(shape.env_names.as_deref()),
        );
        // A client with one key per transport is read by any of them.
        let mut keys = shape.url.0.iter().chain(self.http.iter().chain(&self.sse).flat_map(|s| &s.url.0));
        let (key, url) = keys.find_map(|k| Some((k, value.get(k)?))).ok_or_else(|| ReadError::NoLaunch {
            command: "command".into(),
            url: shape.url.0.first().cloned().unwrap_or_default(),
        })?;
        seen.push(self.http.iter().chain(&self.sse).flat_map(|s| &s.url.0).find(|k| *k == key).map_or("url", |k| k));
        let text =
            url.as_str().ok_or_else(|| ReadError::WrongKind { key: key.clone(), found: url.kind(), wanted: "a string" })?;
        let mut remote = Remote { transport, url: self.text(text, Part::Url), headers: Vec::new() };
        let mut headers = Some(value);
        for step in &shape.headers.0 {
            headers = headers.and_then(|v| v.get(step));
        }
        match headers {
            None | Some(Value::Null) => {}
            Some(Value::Object(members)) => {
                for (name, v) in members {
                    let key = || format!("{}.{name}", shape.headers.0.join("."));
                    let text =
                        scalar(v).ok_or_else(|| ReadError::WrongKind { key: key(), found: v.kind(), wanted: "a string" })?;
                    remote.headers.push((name.clone(), self.text(&text, Part::Headers)));
                }
            }
            Some(other) => {
                return Err(ReadError::WrongKind {
                    key: shape.headers.0.join("."),
                    found: other.kind(),
                    wanted: "an object of strings",
                });
            }
        }
        if let Some(members) = shape.headers_from_env.as_ref().and_then(|k| value.get(k)).and_then(Value::as_object) {
            remote.headers.extend(members.iter().filter_map(|(k, v)| Some((k.clone(), Text::variable(v.as_str()?)))));
        }
        if let Some(name) = shape.bearer_from_env.as_ref().and_then(|k| value.get(k)).and_then(Value::as_str) {
            remote.headers.push(("Authorization".to_owned(), Text::parse(&format!("Bearer ${{{name}}}"), Syntax::DollarBrace)));
        }
        Ok(remote)
    }

    fn text(&self, text: &str, part: Part) -> Text {
        if self.variables.within.contains(&part) { Text::parse(text, self.variables.syntax) } else { Text::literal(text) }
    }

    pub(crate) fn remote(&self, transport: Transport) -> Option<&RemoteShape> {
        match transport {
            Transport::Http => self.http.as_ref(),
            Transport::Sse => self.sse.as_ref(),
        }
    }
}

/// The text of a scalar: some clients take numbers and booleans where others insist on strings.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
