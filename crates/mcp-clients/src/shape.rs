//! An [`Entry`] in a client's own dialect, and back.

use std::time::Duration;

use mcp_edit::Value;

use crate::descriptor::{DurationKey, Inherits, Part, RemoteShape, Shape, StdioShape, Switch, Syntax, Unit, Untyped};
use crate::entry::{Entry, Launch, Remote, Stdio, Transport};
use crate::platform::Os;
use crate::text::Text;

/// Why a client's entry cannot be understood. Its client will not start that server either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The entry is no object.
    #[error("the entry is {0}, not an object")]
    NotObject(&'static str),
    /// Neither a program nor an address.
    #[error("the entry has neither `{command}` nor `{url}`")]
    NoLaunch {
        /// The key of the program.
        command: String,
        /// The key of the address.
        url: String,
    },
    /// A member of the wrong kind.
    #[error("`{key}` is {found}; {wanted} is expected")]
    WrongKind {
        /// Which.
        key: String,
        /// What it is.
        found: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// A word for the transport that is not known for the client.
    #[error("`{key}` is `{word}`, which is none of the words known for this client ({known})")]
    UnknownType {
        /// The type key.
        key: String,
        /// Its value.
        word: String,
        /// The words it knows.
        known: String,
    },
    /// An address without the word the client needs.
    #[error("an entry with an address needs `{0}`")]
    Untyped(String),
}

/// Why an entry cannot be written for a client at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// No local servers.
    #[error("{client} starts no local servers from its configuration file")]
    NoStdio {
        /// The client's name.
        client: String,
    },
    /// No remote servers of this kind.
    #[error("{client} has no way to reach a server over {transport}{instead}")]
    NoTransport {
        /// The client's name.
        client: String,
        /// `http` or `sse`.
        transport: &'static str,
        /// What it has instead, as the end of the sentence.
        instead: String,
    },
    /// A variable that would be handed on as its own name.
    #[error("{client} cannot fill in `{text}` in {part} ({why})")]
    Variable {
        /// The client's name.
        client: String,
        /// The string.
        text: String,
        /// The part of the entry.
        part: &'static str,
        /// The reason.
        why: String,
    },
}

/// An entry in a client's dialect.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The entry.
    pub value: Value,
    /// What could not be carried or changed its meaning, one sentence each.
    pub notes: Vec<String>,
}

impl Shape {
    /// Understands a client's entry. `name_key` and the naming member of lists are left out of `extra`.
    pub fn read(&self, value: &Value, named_by: Option<&str>) -> Result<Entry, ReadError> {
        let Value::Object(outer) = value else { return Err(ReadError::NotObject(value.kind())) };
        let nested = self.nested.as_ref().and_then(|k| value.get(k)).filter(|v| matches!(v, Value::Object(_)));
        let inner = nested.unwrap_or(value);
        let mut seen: Vec<&str> = self.name_key.as_deref().into_iter().chain(named_by).chain(self.nested.as_deref()).collect();
        let transport = self.transport_of(inner)?;
        let launch = match transport {
            None => Launch::Stdio(self.read_stdio(inner, &mut seen)?),
            Some(transport) => Launch::Remote(self.read_remote(inner, transport, &mut seen)?),
        };
        seen.extend(self.type_key.as_deref());
        let mut entry = Entry::new(launch);
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
        let plain = |(key, v): &&(String, Value)| !seen.contains(&key.as_str()) && self.constant(key).as_ref() != Some(v);
        entry.extra = outer.iter().filter(plain).cloned().collect();
        if nested.is_some() {
            entry.extra.extend(inner.as_object().into_iter().flatten().filter(plain).cloned());
        }
        Ok(entry)
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
        let one = |key: &Option<String>, part| {
            key.as_ref().and_then(|k| value.get(k)).and_then(Value::as_str).map(|s| self.text(s, part))
        };
        stdio.cwd = one(&shape.cwd, Part::Cwd);
        stdio.env_file = one(&shape.env_file, Part::Cwd);
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

    fn remote(&self, transport: Transport) -> Option<&RemoteShape> {
        match transport {
            Transport::Http => self.http.as_ref(),
            Transport::Sse => self.sse.as_ref(),
        }
    }

    fn constant(&self, key: &str) -> Option<Value> {
        self.constants.get(key).map(from_toml)
    }

    /// Every key of an entry that says how the server is reached: what an update replaces. All else in an entry is the
    /// user's and stays.
    pub fn launch_keys(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = self.type_key.as_deref().into_iter().chain(self.nested.as_deref()).collect();
        if let Some(s) = &self.stdio {
            keys.extend([s.command.as_str(), s.args.as_str()]);
            keys.extend(s.env.0.iter().chain(&s.env_names).chain(&s.cwd).chain(&s.env_file).map(String::as_str));
        }
        for s in self.http.iter().chain(&self.sse) {
            keys.extend(s.url.0.iter().chain(s.headers.0.first()).map(String::as_str));
            keys.extend(s.headers_from_env.iter().chain(&s.bearer_from_env).chain(&s.env_names).map(String::as_str));
        }
        keys.extend(self.startup_timeout.iter().chain(&self.timeout).map(|k| k.key.as_str()));
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether an entry is of a kind only its client can make sense of ([`Shape::own`]).
    pub fn is_own(&self, entry: &Value) -> bool {
        let word = |key: &str| entry.get(key).and_then(Value::as_str);
        self.own.iter().any(|mark| word(&mark.key).is_some_and(|w| mark.words.iter().any(|m| m == w)))
    }

    /// Every key this client gives a meaning to in an entry.
    pub fn knows(&self, key: &str) -> bool {
        let switch = matches!(&self.switch, Some(Switch::Disabled(k) | Switch::Enabled(k)) if k == key);
        let tools = self.allow_tools.iter().chain(&self.deny_tools).chain(&self.approve_tools).chain(&self.name_key);
        switch
            || self.launch_keys().contains(&key)
            || tools.chain(&self.known).any(|k| k == key)
            || self.constants.contains_key(key)
    }

    /// The entry in this dialect. `client` is the name used in messages, `server` the entry's name.
    pub fn write(&self, entry: &Entry, server: &str, client: &str, os: Os) -> Result<Written, WriteError> {
        let mut out = Writer { shape: self, client, members: Vec::new(), notes: Vec::new() };
        match &entry.launch {
            Launch::Stdio(stdio) => {
                let shape = self.stdio.as_ref().ok_or_else(|| WriteError::NoStdio { client: client.to_owned() })?;
                let mut stdio = stdio.clone();
                stdio.unwrap_cmd();
                if os == Os::Windows && shape.windows_needs_cmd {
                    stdio.wrap_cmd();
                }
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
            (_, false) => out.notes.push(format!("{client} has no switch inside an entry: the server will be on")),
            (_, true) => {}
        }
        for (key, value) in &self.constants {
            if !out.members.iter().any(|(k, _)| k == key) {
                out.put(key, from_toml(value));
            }
        }
        for (key, value) in &entry.extra {
            if self.knows(key) && !out.members.iter().any(|(k, _)| k == key) {
                out.put(key, value.clone());
            } else {
                out.notes.push(format!("`{key}` has no counterpart in {client} and was left out"));
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
        text.spell(syntax).map(Value::String).map_err(|why| WriteError::Variable {
            client: self.client.to_owned(),
            text: text.to_string(),
            part: part.word(),
            why: why.to_string(),
        })
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
            names.extend(text.variables().map(Value::from));
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
            names.dedup();
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
        let lists = [
            (&entry.allow_tools, &self.shape.allow_tools, "a list of the only tools to offer"),
            (&entry.deny_tools, &self.shape.deny_tools, "a list of tools not to offer"),
            (&entry.approve_tools, &self.shape.approve_tools, "a list of tools that may run without asking"),
        ];
        for (items, key, what) in lists {
            match (items, key) {
                (Some(items), Some(key)) => self.put(key, Value::strings(items.iter().cloned())),
                (Some(items), None) if !items.is_empty() => {
                    self.notes.push(format!(
                        "{} has no {} in an entry: {} was left out",
                        self.client,
                        &what[2..],
                        items.join(", ")
                    ));
                }
                _ => {}
            }
        }
    }
}

impl Unit {
    fn read(self, number: f64) -> Option<Duration> {
        let seconds = if self == Self::Ms { number / 1000.0 } else { number };
        Duration::try_from_secs_f64(seconds).ok()
    }

    fn write(self, duration: Duration) -> Value {
        let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
        match self {
            Self::Ms => Value::Number(duration.as_millis().to_string().into()),
            Self::S => Value::Number(whole.to_string().into()),
            Self::Seconds if duration.subsec_nanos() == 0 => Value::Number(duration.as_secs().to_string().into()),
            Self::Seconds => Value::Number(duration.as_secs_f64().to_string().into()),
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

/// A TOML value from a descriptor as one of a document.
fn from_toml(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(s) => Value::from(s.as_str()),
        toml::Value::Integer(i) => Value::from(*i),
        toml::Value::Float(f) => Value::Number(f.to_string().into()),
        toml::Value::Boolean(b) => Value::Bool(*b),
        toml::Value::Datetime(d) => Value::String(d.to_string()),
        toml::Value::Array(items) => Value::Array(items.iter().map(from_toml).collect()),
        toml::Value::Table(table) => Value::object(table.iter().map(|(k, v)| (k.as_str(), from_toml(v)))),
    }
}
