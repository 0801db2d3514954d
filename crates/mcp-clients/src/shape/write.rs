//! An entry as a client writes it.

use mcp_edit::Value;

use super::{NO_SWITCH, WriteError, Written, from_toml};
use crate::descriptor::{DurationKey, Inherits, Part, RemoteShape, Shape, StdioShape, Switch, Syntax, Unit};
use crate::entry::{Entry, Launch, Remote, Stdio, Transport};
use crate::platform::Os;
use crate::text::{Piece, Text};

impl Shape {
    /// The entry in this dialect. `client` is the name used in messages, `server` the entry's name.
    pub fn write(&self, entry: &Entry, server: &str, client: &str, os: Os) -> Result<Written, WriteError> {
        let mut out =
            Writer { shape: self, client, at_home: entry.family == self.family, members: Vec::new(), notes: Vec::new() };
        match &entry.launch {
            Launch::Stdio(stdio) => {
                let shape = self.stdio.as_ref().ok_or_else(|| WriteError::NoStdio { client: client.to_owned() })?;
                let stdio = stdio.clone().fitted(os == Os::Windows && shape.windows_needs_cmd);
                out.name(server);
                out.type_word(&shape.words, shape.untyped);
                out.stdio(shape, &stdio)?;
            }
            Launch::Remote(remote) => {
                let shape = self.remote(remote.transport).ok_or_else(|| self.no_transport(remote.transport, client))?;
                out.name(server);
                out.type_word(&shape.words, shape.untyped);
                out.remote(shape, remote)?;
            }
        }
        out.durations(entry);
        out.lists(entry);
        match (&self.switch, entry.enabled) {
            (Some(Switch::Disabled(key)), false) => out.put(key, Value::Bool(true)),
            (Some(Switch::Enabled(key)), false) => out.put(key, Value::Bool(false)),
            (_, false) => out.notes.push(format!("{client} {NO_SWITCH}: the server will be on")),
            (_, true) => {}
        }
        for (key, value) in &self.constants {
            if !out.members.iter().any(|(k, _)| k == key) {
                out.put(key, from_toml(value));
            }
        }
        for (key, value) in &entry.extra {
            if entry.family == self.family && self.knows(key) && !out.members.iter().any(|(k, _)| k == key) {
                out.put(key, value.clone());
            } else {
                out.notes.push(if self.knows(key) {
                    format!("`{key}` may mean something else in {client} and was left out")
                } else {
                    format!("`{key}` has no counterpart in {client} and was left out")
                });
            }
        }
        Ok(Written { value: Value::Object(out.members), notes: out.notes })
    }

    fn no_transport(&self, transport: Transport, client: &str) -> WriteError {
        let has: Vec<&str> = [("stdio", self.stdio.is_some()), ("http", self.http.is_some()), ("sse", self.sse.is_some())]
            .iter()
            .filter(|(_, h)| *h)
            .map(|(w, _)| *w)
            .collect();
        let instead = format!("; it speaks {}", has.join(" and "));
        WriteError::NoTransport { client: client.to_owned(), transport: transport.word(), instead }
    }
}

/// An entry being put together.
struct Writer<'a> {
    shape: &'a Shape,
    client: &'a str,
    /// The entry comes from a client in which every form means the same as in this one.
    at_home: bool,
    members: Vec<(String, Value)>,
    notes: Vec<String>,
}

impl Writer<'_> {
    fn put(&mut self, key: &str, value: Value) {
        self.members.push((key.to_owned(), value));
    }

    fn type_word(&mut self, words: &[String], untyped: bool) {
        if let (Some(key), Some(word), false) = (&self.shape.type_key, words.first(), untyped) {
            self.put(key, Value::from(word.as_str()));
        }
    }

    fn name(&mut self, server: &str) {
        if let Some(key) = &self.shape.name_key {
            self.put(key, Value::from(server));
        }
    }

    fn spell(&mut self, text: &Text, part: Part) -> Result<Value, WriteError> {
        let within = self.shape.variables.within.contains(&part);
        let syntax = if within { self.shape.variables.syntax } else { Syntax::None };
        if let Some(form) = text.misread(syntax) {
            self.notes.push(format!("{} will replace `{form}` in {} by a variable's value", self.client, part.word()));
        }
        let refused =
            |why: String| WriteError::Variable { client: self.client.to_owned(), text: text.to_string(), part: part.word(), why };
        for piece in text.pieces() {
            let Piece::Own { syntax: Syntax::DollarEnv, raw } = piece else { continue };
            let word = raw.trim_start_matches("${").split([':', '}']).next().unwrap_or_default();
            if syntax == Syntax::DollarEnv && !self.at_home && !self.shape.variables.words.iter().any(|w| w == word) {
                return Err(refused(format!("`{raw}` is a form only another client knows")));
            }
            if word == "input" {
                self.notes.push(format!("`{raw}` asks for what the file's `inputs` must describe"));
            }
        }
        text.spell(syntax).map(Value::String).map_err(|why| refused(why.to_string()))
    }

    fn stdio(&mut self, shape: &StdioShape, stdio: &Stdio) -> Result<(), WriteError> {
        let command = self.spell(&stdio.command, Part::Command)?;
        let args = stdio.args.iter().map(|a| self.spell(a, Part::Args)).collect::<Result<Vec<_>, _>>()?;
        if shape.command_is_list {
            self.put(&shape.command, Value::Array(std::iter::once(command).chain(args).collect()));
        } else {
            self.put(&shape.command, command);
            if !args.is_empty() || shape.args_required {
                self.put(&shape.args, Value::Array(args));
            }
        }
        let spells = self.shape.variables.within.contains(&Part::Env) && self.shape.variables.syntax != Syntax::None;
        let (mut vars, mut names) = (Vec::new(), Vec::new());
        for (name, text) in &stdio.env {
            if text.as_variable() == Some(name) {
                if shape.env_names.is_some() {
                    names.push(Value::from(name.as_str()));
                    continue;
                }
                if !spells && shape.inherits == Inherits::All {
                    self.notes
                        .push(format!("{} hands its whole environment on, so `{name}` needs no line of its own", self.client));
                    continue;
                }
            }
            vars.push((name.clone(), self.spell(text, Part::Env)?));
        }
        if !vars.is_empty() {
            self.put(shape.env.0.first().map_or("env", |k| k), Value::Object(vars));
        }
        if let (Some(key), false) = (&shape.env_names, names.is_empty()) {
            self.put(key, Value::Array(names));
        }
        for (text, key, what) in
            [(&stdio.cwd, &shape.cwd, "a working directory"), (&stdio.env_file, &shape.env_file, "a file of variables")]
        {
            match (text, key) {
                (Some(text), Some(key)) => {
                    let value = self.spell(text, Part::Cwd)?;
                    self.put(key, value);
                }
                (Some(text), None) => self.notes.push(format!("{} cannot set {what}: `{text}` was left out", self.client)),
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn remote(&mut self, shape: &RemoteShape, remote: &Remote) -> Result<(), WriteError> {
        let url = self.spell(&remote.url, Part::Url)?;
        self.put(shape.url.0.first().map_or("url", |k| k), url);
        let (mut headers, mut from_env, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (name, text) in &remote.headers {
            match (&shape.bearer_from_env, text.as_bearer_variable()) {
                (Some(key), Some(variable)) if name.eq_ignore_ascii_case("authorization") => {
                    self.put(key, Value::from(variable));
                    continue;
                }
                _ => {}
            }
            if let (Some(_), Some(variable)) = (&shape.headers_from_env, text.as_variable()) {
                from_env.push((name.clone(), Value::from(variable)));
                continue;
            }
            for variable in text.variables() {
                if !names.contains(&Value::from(variable)) {
                    names.push(Value::from(variable));
                }
            }
            headers.push((name.clone(), self.spell(text, Part::Headers)?));
        }
        if !headers.is_empty() {
            let mut keys = shape.headers.0.iter().rev();
            let first = keys.next_back().map_or("headers", |k| k);
            let value = keys.fold(Value::Object(headers), |inner, key| Value::object([(key.as_str(), inner)]));
            self.put(first, value);
        }
        if let (Some(key), false) = (&shape.headers_from_env, from_env.is_empty()) {
            self.put(key, Value::Object(from_env));
        }
        if let (Some(key), false) = (&shape.env_names, names.is_empty()) {
            self.put(key, Value::Array(names));
        }
        Ok(())
    }

    fn durations(&mut self, entry: &Entry) {
        let pairs = [
            (entry.startup_timeout, &self.shape.startup_timeout, "a start-up time-out"),
            (entry.timeout, &self.shape.timeout, "a time-out"),
        ];
        for (duration, key, what) in pairs {
            match (duration, key) {
                (Some(duration), Some(DurationKey { key, unit })) => {
                    if *unit == Unit::S && duration.subsec_nanos() > 0 {
                        self.notes.push(format!("{} counts whole seconds: {what} of {duration:?} was rounded up", self.client));
                    }
                    self.put(key, unit.write(duration));
                }
                (Some(duration), None) => {
                    self.notes.push(format!("{} cannot set {what} for one server: {duration:?} was left out", self.client));
                }
                (None, _) => {}
            }
        }
    }

    fn lists(&mut self, entry: &Entry) {
        const ONLY: &str = "a list of the only tools to offer";
        let lists = [
            (&entry.allow_tools, &self.shape.allow_tools, ONLY),
            (&entry.deny_tools, &self.shape.deny_tools, "a list of tools not to offer"),
            (&entry.approve_tools, &self.shape.approve_tools, "a list of tools that may run without asking"),
        ];
        for (items, key, what) in lists {
            match (items, key) {
                (Some(items), Some(key)) => self.put(key, Value::strings(items.iter().cloned())),
                // An empty list of the only tools is as strong as one can be.
                (Some(items), None) if !items.is_empty() || what == ONLY => {
                    let items = if items.is_empty() { "an empty one".to_owned() } else { items.join(", ") };
                    self.notes.push(format!("{} has no {} in an entry: {items} was left out", self.client, &what[2..]));
                }
                _ => {}
            }
        }
    }
}
