//! An [`Entry`](crate::entry::Entry) in a client's own dialect ([`Shape::write`]), back ([`Shape::read`]), and what the client
//! itself would object to ([`Shape::objection`]).

use std::time::Duration;

use mcp_edit::Value;

use crate::descriptor::{Part, RemoteShape, Shape, StdioShape, Switch, Syntax, Unit};

mod check;
mod read;
mod write;

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
    /// Nothing but the switch: the server itself is defined in another file.
    #[error("the entry only switches a server on or off; how to reach it stands in another file")]
    SwitchAlone,
    /// A word for a transport that this client has and no other.
    #[error("the server is reached over `{0}`, which no other client knows")]
    OnlyHere(String),
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

/// Said of a client where a switched-off entry would be on.
pub(crate) const NO_SWITCH: &str = "has no switch inside an entry";

/// An entry in a client's dialect.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The entry.
    pub value: Value,
    /// What could not be carried or changed its meaning, one sentence each.
    pub notes: Vec<String>,
}

impl Shape {
    fn constant(&self, key: &str) -> Option<Value> {
        self.constants.get(key).map(from_toml)
    }

    /// Every key of an entry that says how the server is reached: what an update replaces. All else in an entry is the
    /// user's and stays.
    pub fn launch_keys(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = self.type_key.as_deref().into_iter().chain(self.nested.as_deref()).collect();
        keys.extend(self.type_before.iter().map(String::as_str));
        keys.extend(self.stdio.iter().flat_map(StdioShape::keys));
        keys.extend(self.http.iter().chain(&self.sse).flat_map(RemoteShape::keys));
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

    /// Whether an entry holds nothing but this client's switch, and the client takes that for a word about a server that
    /// stands in another file.
    pub fn is_switch_alone(&self, entry: &Value) -> bool {
        let Some(Switch::Disabled(key) | Switch::Enabled(key)) = &self.switch else { return false };
        self.switch_alone && entry.as_object().is_some_and(|m| m.len() == 1 && m[0].0 == *key)
    }

    /// Keys of an entry for a local server that mean nothing, or are an error, beside an address; and the other way round.
    pub fn keys_only_for(&self, local: bool) -> Vec<&str> {
        let stdio: Vec<&str> = self.stdio.iter().flat_map(StdioShape::keys).collect();
        let remote: Vec<&str> = self.http.iter().chain(&self.sse).flat_map(RemoteShape::keys).collect();
        let (own, other, more) = if local { (stdio, remote, &self.stdio_only) } else { (remote, stdio, &self.remote_only) };
        own.into_iter().filter(|k| !other.contains(k)).chain(more.iter().map(String::as_str)).collect()
    }

    /// Whether the client finds out by itself which HTTP transport a server speaks: both are written the same way.
    pub fn detects_transport(&self) -> bool {
        let looks = |s: &RemoteShape| (s.url.0.first().cloned(), s.words.first().cloned().filter(|_| !s.untyped));
        match (&self.http, &self.sse) {
            (Some(http), Some(sse)) => looks(http) == looks(sse),
            _ => false,
        }
    }

    /// Whether the client fills in variables in the arguments of a program.
    pub fn fills_in_arguments(&self) -> bool {
        self.variables.syntax != Syntax::None && self.variables.within.contains(&Part::Args)
    }

    /// Every key this client gives a meaning to in an entry.
    pub fn knows(&self, key: &str) -> bool {
        let switch = matches!(&self.switch, Some(Switch::Disabled(k) | Switch::Enabled(k)) if k == key);
        let tools = self.allow_tools.iter().chain(&self.deny_tools).chain(&self.approve_tools).chain(&self.name_key);
        switch
            || self.launch_keys().contains(&key)
            || tools.chain(&self.known).chain(&self.remote_only).chain(&self.stdio_only).any(|k| k == key)
            || self.constants.contains_key(key)
    }
}

impl StdioShape {
    /// Every key that says how to start the server.
    fn keys(&self) -> impl Iterator<Item = &str> {
        let names = [&self.command, &self.args].into_iter().chain(&self.env.0);
        names.chain(&self.env_names).chain(&self.cwd).chain(&self.env_file).map(String::as_str)
    }
}

impl RemoteShape {
    /// Every key that says how to reach the server.
    fn keys(&self) -> impl Iterator<Item = &str> {
        let names = self.url.0.iter().chain(self.headers.0.first());
        names.chain(&self.headers_from_env).chain(&self.bearer_from_env).chain(&self.env_names).map(String::as_str)
    }
}

impl Unit {
    /// The word in output.
    fn word(self) -> &'static str {
        match self {
            Self::Ms => "milliseconds",
            Self::S | Self::Seconds => "seconds",
        }
    }

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
