//! The part of a descriptor about entries: which keys they have, and what those mean.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::OneOrMany;

/// How an entry is written and read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Local servers; absent when the client has none.
    #[serde(default)]
    pub stdio: Option<StdioShape>,
    /// Remote servers over streamable HTTP.
    #[serde(default)]
    pub http: Option<RemoteShape>,
    /// Remote servers over the older HTTP+SSE.
    #[serde(default)]
    pub sse: Option<RemoteShape>,
    /// The key that holds the word for the transport.
    #[serde(default, rename = "type")]
    pub type_key: Option<String>,
    /// What an entry with an address and no such word is taken for: `http`, `sse` or `nothing` (it is skipped).
    #[serde(default)]
    pub untyped_url: Untyped,
    /// The key under which this client may nest the whole launch, as Cline's command line does (`transport`); only read.
    #[serde(default)]
    pub nested: Option<String>,
    /// A key that repeats the server's name inside the entry.
    #[serde(default)]
    pub name_key: Option<String>,
    /// Members every new entry gets, after the others.
    #[serde(default)]
    pub constants: BTreeMap<String, toml::Value>,
    /// The entry's own switch.
    #[serde(default)]
    pub switch: Option<Switch>,
    /// How long to wait for the server to start.
    #[serde(default)]
    pub startup_timeout: Option<DurationKey>,
    /// How long to wait for an answer.
    #[serde(default)]
    pub timeout: Option<DurationKey>,
    /// The key listing the only tools to offer.
    #[serde(default)]
    pub allow_tools: Option<String>,
    /// The key listing tools not to offer.
    #[serde(default)]
    pub deny_tools: Option<String>,
    /// The key listing tools that may run without asking.
    #[serde(default)]
    pub approve_tools: Option<String>,
    /// How a variable is spelled inside a string.
    #[serde(default)]
    pub variables: Variables,
    /// Further keys this client knows in an entry: they are no surprise when met, and have no counterpart elsewhere.
    #[serde(default)]
    pub known: Vec<String>,
    /// Such keys that go with an address only.
    #[serde(default)]
    pub remote_only: Vec<String>,
    /// Such keys that go with a local server only.
    #[serde(default)]
    pub stdio_only: Vec<String>,
    /// Clients in which every key means the same as here; the client's own id where nothing is said. Only between these are
    /// keys copied that have no word in an [`Entry`](crate::entry::Entry): `oauth`, `tools` or `trust` mean something else
    /// elsewhere.
    #[serde(default)]
    pub family: String,
    /// Words in the type key that this client knows and no other (Claude Code's `ws`).
    #[serde(default)]
    pub other_words: Vec<String>,
    /// Keys without which this client takes no entry.
    #[serde(default)]
    pub required: Vec<String>,
    /// An entry must not hold keys of a local and of a remote server at once.
    #[serde(default)]
    pub exclusive: bool,
    /// An entry may hold nothing but the switch: it is for a server of another file.
    #[serde(default)]
    pub switch_alone: bool,
    /// What one malformed entry does to the client, when that is more than the loss of that entry ("does not start").
    #[serde(default)]
    pub bad_entry: Option<String>,
    /// Marks of entries that are no servers but something only this client can make sense of: tools it has built in, what
    /// an extension brings. They are fine as they are and are not listed.
    #[serde(default)]
    pub own: Vec<Mark>,
}

/// A member whose value tells a kind of entry.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The key.
    pub key: String,
    /// Its values.
    pub words: Vec<String>,
}

/// What an untyped address means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Untyped {
    /// Streamable HTTP.
    #[default]
    Http,
    /// HTTP+SSE.
    Sse,
    /// The entry is skipped or fails.
    Nothing,
}

/// A local server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdioShape {
    /// Words in the type key that mean this; the first is written, unless `untyped`.
    #[serde(default)]
    pub words: Vec<String>,
    /// No type word is written.
    #[serde(default)]
    pub untyped: bool,
    /// The key of the program.
    #[serde(default = "default_command")]
    pub command: String,
    /// The program and its arguments are one list under `command`.
    #[serde(default)]
    pub command_is_list: bool,
    /// The key of the arguments.
    #[serde(default = "default_args")]
    pub args: String,
    /// An empty list of arguments is written too.
    #[serde(default)]
    pub args_required: bool,
    /// The key of the variables. The first is written, all are read.
    #[serde(default = "default_env")]
    pub env: OneOrMany,
    /// A variable's value may be `null` (it is taken away) or a number.
    #[serde(default)]
    pub env_may_be_null: bool,
    /// The key of a list of variable names that are passed on from the client's own environment.
    #[serde(default)]
    pub env_names: Option<String>,
    /// What a server gets without asking: the client's `all`, a `filtered` or only a `listed` part of its variables.
    #[serde(default)]
    pub inherits: Inherits,
    /// The key of the working directory; absent when the client cannot set one.
    #[serde(default)]
    pub cwd: Option<String>,
    /// The key of a file with further variables.
    #[serde(default)]
    pub env_file: Option<String>,
    /// On Windows this client starts programs without a shell, so `npx` and its like need `cmd /c` in front.
    #[serde(default)]
    pub windows_needs_cmd: bool,
}

fn default_command() -> String {
    "command".to_owned()
}

fn default_args() -> String {
    "args".to_owned()
}

fn default_env() -> OneOrMany {
    OneOrMany(vec!["env".to_owned()])
}

/// Which of its own variables a client hands to a local server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inherits {
    /// All of them.
    #[default]
    All,
    /// All but names that look like secrets.
    Filtered,
    /// A short fixed list.
    Listed,
}

/// A remote server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteShape {
    /// Words in the type key that mean this; the first is written, unless `untyped`.
    #[serde(default)]
    pub words: Vec<String>,
    /// No type word is written.
    #[serde(default)]
    pub untyped: bool,
    /// The key of the address. The first is written, all are read.
    #[serde(default = "default_url")]
    pub url: OneOrMany,
    /// The keys from the entry to the headers.
    #[serde(default = "default_headers")]
    pub headers: OneOrMany,
    /// The key of a map from header to the variable that holds its value.
    #[serde(default)]
    pub headers_from_env: Option<String>,
    /// The key of the variable that holds a bearer token.
    #[serde(default)]
    pub bearer_from_env: Option<String>,
    /// The key of a list in which every variable used in the headers must be named too.
    #[serde(default)]
    pub env_names: Option<String>,
}

fn default_url() -> OneOrMany {
    OneOrMany(vec!["url".to_owned()])
}

fn default_headers() -> OneOrMany {
    OneOrMany(vec!["headers".to_owned()])
}

/// How a client switches an entry off.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Switch {
    /// A boolean in the entry that is `true` when off.
    Disabled(String),
    /// A boolean in the entry that is `false` when off.
    Enabled(String),
    /// A list of names elsewhere in the same file.
    List(Vec<String>),
}

/// A key that holds a duration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DurationKey {
    /// The key.
    pub key: String,
    /// `ms` or `s`.
    pub unit: Unit,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Milliseconds, whole.
    Ms,
    /// Seconds, whole: a fraction is rounded up.
    S,
    /// Seconds, with a fraction where needed.
    Seconds,
}

/// How a client spells a variable inside a string, and where it looks for one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variables {
    /// The spelling that is written. The readable ones are a property of the spelling (see [`crate::text`]).
    #[serde(default)]
    pub syntax: Syntax,
    /// Parts of an entry in which variables are replaced: `command`, `args`, `env`, `url`, `headers`, `cwd`.
    #[serde(default)]
    pub within: Vec<Part>,
    /// Words of this spelling, beside the variable's, that the client knows: `input` in `${input:key}`. Only asked where the
    /// spelling is shared by clients with different words (`dollar-env`).
    #[serde(default)]
    pub words: Vec<String>,
}

/// A way of spelling variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Syntax {
    /// There are no variables; every character is itself.
    #[default]
    None,
    /// `${VAR}`, also read `${VAR:-default}`.
    DollarBrace,
    /// `${VAR}`, also read `$VAR` and `${VAR:-default}` (Gemini CLI, Copilot CLI).
    Dollar,
    /// `${env:VAR}`, and other words before the colon (`input`, `workspaceFolder`) that are the client's own.
    DollarEnv,
    /// `{env:VAR}`, and `{file:path}`.
    BraceEnv,
    /// `${{ secrets.VAR }}`.
    Secrets,
    /// A shell's: `$VAR`, `${VAR}`, `$(command)`; a literal `$` is written `\$`.
    Shell,
}

/// A part of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The program.
    Command,
    /// Its arguments.
    Args,
    /// The values of its variables.
    Env,
    /// The address.
    Url,
    /// The values of its headers.
    Headers,
    /// The working directory.
    Cwd,
}

impl Part {
    /// The word in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Command => "the command",
            Self::Args => "an argument",
            Self::Env => "a variable's value",
            Self::Url => "the address",
            Self::Headers => "a header",
            Self::Cwd => "the working directory",
        }
    }
}
