//! One client as data: where its files are, how an entry looks, what it minds.
//!
//! A descriptor is a TOML file, `clients/<id>.toml` here or in the user's configuration directory. The structs below are
//! its schema; unknown keys are errors, so a typing mistake is found when the file is read.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::platform::Os;

/// Everything known about one client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    /// The id used on the command line: `[a-z0-9-]+`, the stem of the file's name.
    pub id: String,
    /// The name people know it by.
    pub name: String,
    /// Its documentation about MCP servers.
    pub docs: String,
    /// The day these facts were last checked, `YYYY-MM-DD`.
    pub verified: String,
    /// How sure: `ran`, `source`, `documented`, `peers` or `issues`.
    pub evidence: Evidence,
    /// What a user should know before relying on it ("discontinued 2026-05-15").
    #[serde(default)]
    pub note: Option<String>,
    /// Signs that it is installed.
    #[serde(default)]
    pub detect: Detect,
    /// Its configuration files. The first of a scope is the one a new entry goes to.
    #[serde(default, rename = "file")]
    pub files: Vec<File>,
    /// Files of an administrator that, when present, replace all others.
    #[serde(default, rename = "managed")]
    pub managed: Vec<Managed>,
    /// Scopes by strength, strongest first: of two entries of one name the first counts.
    #[serde(default)]
    pub precedence: Vec<Scope>,
    /// How an entry is written.
    #[serde(default)]
    pub entry: Shape,
    /// Which server names it accepts.
    #[serde(default)]
    pub names: Names,
    /// What the user does so that a change takes effect, as a sentence.
    #[serde(default)]
    pub reload: String,
    /// Where there is no file contract: the steps a person takes, one per line. Such a client has no `file`.
    #[serde(default)]
    pub manual: Vec<String>,
}

/// Where the facts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// That client was run and watched.
    Ran,
    /// Read in its source.
    Source,
    /// Stated in its documentation.
    Documented,
    /// Only known from other tools' tables.
    Peers,
    /// From an issue thread.
    Issues,
}

/// Signs that a client is installed. A binary is stronger evidence than a path.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detect {
    /// Programs on `PATH`.
    #[serde(default)]
    pub binaries: Vec<String>,
    /// Files or folders, as path templates (see [`crate::platform`]).
    #[serde(default)]
    pub paths: PerOs,
}

/// Which entries a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everything this user does.
    User,
    /// A folder, shared with everyone who has it.
    Project,
    /// A folder, for this user only.
    Local,
    /// Everyone on the machine; read, never written.
    System,
}

impl Scope {
    /// The word on the command line and in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Local => "local",
            Self::System => "system",
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// One configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Who its entries are for.
    pub scope: Scope,
    /// How it is written.
    pub format: FileFormat,
    /// The path templates, best first: the first that exists is the file, else the first of all is made.
    pub path: PerOs,
    /// Environment variables that move it, strongest first.
    #[serde(default)]
    pub moved: Vec<Moved>,
    /// Every candidate that exists is read, not only the first.
    #[serde(default)]
    pub merged: bool,
    /// For a project file: where it is looked for.
    #[serde(default)]
    pub find: Find,
    /// Keys from the root to the servers. `{project}` stands for the project's directory as the client spells it.
    pub servers: Vec<String>,
    /// Other places in the file that the client reads servers from. A new entry goes there only when that is where the file
    /// keeps its servers.
    #[serde(default)]
    pub also: Vec<Vec<String>>,
    /// The servers are a list whose elements are named by this member.
    #[serde(default)]
    pub named_by: Option<String>,
    /// The client refuses comments in this file.
    #[serde(default)]
    pub refuses_comments: bool,
    /// The client refuses trailing commas in this file.
    #[serde(default)]
    pub refuses_trailing_commas: bool,
    /// The client refuses a byte order mark in this file.
    #[serde(default)]
    pub refuses_bom: bool,
    /// Text of a new file, with the servers inside left out (for example `{"mcpServers": {}}` where the key is required).
    #[serde(default)]
    pub skeleton: Option<String>,
    /// The lock its own writers take.
    #[serde(default)]
    pub lock: Option<Lock>,
    /// What still has to happen before an entry written here counts ("approve it with …").
    #[serde(default)]
    pub gate: Option<String>,
    /// Written only when it exists already: an extension's storage, say.
    #[serde(default)]
    pub only_existing: bool,
}

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// JSON; comments are read where present.
    Json,
    /// JSON in which the client accepts comments.
    Jsonc,
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
}

impl FileFormat {
    /// The editor for it.
    pub fn editor(self) -> mcp_edit::Format {
        match self {
            Self::Json | Self::Jsonc => mcp_edit::Format::Json,
            Self::Toml => mcp_edit::Format::Toml,
            Self::Yaml => mcp_edit::Format::Yaml,
        }
    }

    /// The word in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Jsonc => "jsonc",
            Self::Toml => "toml",
            Self::Yaml => "yaml",
        }
    }
}

/// A variable that moves a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// The variable.
    pub env: String,
    /// The path templates when it is set and not empty; `{}` is its value. On a system without any it is not heeded.
    pub path: PerOs,
    /// The client stops when the value is no folder that exists.
    #[serde(default)]
    pub must_exist: bool,
}

/// Where a project file is looked for, starting in the working directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Find {
    /// There only.
    #[default]
    Cwd,
    /// There and in each parent up to the root of the git work tree (without git: there only).
    UpToGit,
    /// There and in every parent.
    Up,
    /// At the root of the git work tree (without git: there).
    Git,
}

/// A lock other programs honour.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Lock {
    /// A folder made beside the file, as named (links unresolved): the template's `{file}` is that path.
    Directory(String),
    /// `flock` on a file; the template's `{file}` is the path of the file, `{folder}` its folder.
    Flock(String),
}

/// A file that takes over when it exists.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Managed {
    /// Path templates.
    pub path: PerOs,
    /// What it does, as a sentence that follows the path.
    pub effect: String,
}

/// Path templates that may differ by operating system.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "PerOsForm")]
pub struct PerOs {
    /// Used on Linux.
    pub linux: Vec<String>,
    /// Used on macOS.
    pub macos: Vec<String>,
    /// Used on Windows.
    pub windows: Vec<String>,
}

impl PerOs {
    /// The templates for a system.
    pub fn on(&self, os: Os) -> &[String] {
        match os {
            Os::Linux => &self.linux,
            Os::MacOs => &self.macos,
            Os::Windows => &self.windows,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PerOsForm {
    Same(OneOrMany),
    Differs {
        #[serde(default)]
        linux: OneOrMany,
        #[serde(default)]
        macos: OneOrMany,
        #[serde(default)]
        windows: OneOrMany,
    },
}

impl From<PerOsForm> for PerOs {
    fn from(form: PerOsForm) -> Self {
        match form {
            PerOsForm::Same(all) => Self { linux: all.0.clone(), macos: all.0.clone(), windows: all.0 },
            PerOsForm::Differs { linux, macos, windows } => Self { linux: linux.0, macos: macos.0, windows: windows.0 },
        }
    }
}

/// One string, or several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrManyForm")]
pub struct OneOrMany(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrManyForm {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrManyForm> for OneOrMany {
    fn from(form: OneOrManyForm) -> Self {
        match form {
            OneOrManyForm::One(one) => Self(vec![one]),
            OneOrManyForm::Many(many) => Self(many),
        }
    }
}

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

/// Which names a client accepts for a server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// The characters, as single ones and ranges: `a-zA-Z0-9_-`. Empty: any.
    #[serde(default)]
    pub chars: String,
    /// The longest.
    #[serde(default = "default_longest")]
    pub longest: usize,
    /// Names with a meaning of their own.
    #[serde(default)]
    pub reserved: Vec<String>,
}

impl Default for Names {
    fn default() -> Self {
        Self { chars: String::new(), longest: default_longest(), reserved: Vec::new() }
    }
}

fn default_longest() -> usize {
    64
}

impl Names {
    /// Why this client would not take `name`; `None` when it would.
    pub fn objection(&self, name: &str) -> Option<String> {
        if name.is_empty() {
            return Some("a name must not be empty".to_owned());
        }
        if self.reserved.iter().any(|r| r == name) {
            return Some(format!("`{name}` is reserved"));
        }
        if name.chars().count() > self.longest {
            return Some(format!("`{name}` is longer than {} characters", self.longest));
        }
        let bad = name.chars().find(|c| c.is_control() || !(self.chars.is_empty() || in_ranges(&self.chars, *c)))?;
        Some(format!(
            "`{name}` holds {bad:?}; allowed are {}",
            if self.chars.is_empty() { "printable characters" } else { &self.chars }
        ))
    }
}

/// Whether `c` is in a set such as `a-z0-9_-` (a dash at either end is itself).
fn in_ranges(set: &str, c: char) -> bool {
    let set: Vec<char> = set.chars().collect();
    let mut i = 0;
    while i < set.len() {
        if i + 2 < set.len() && set[i + 1] == '-' {
            if (set[i]..=set[i + 2]).contains(&c) {
                return true;
            }
            i += 3;
        } else {
            if set[i] == c {
                return true;
            }
            i += 1;
        }
    }
    false
}

/// Why a descriptor cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorError {
    /// Not TOML, or not of this schema.
    #[error("read the client descriptor {origin}: {message}")]
    Parse {
        /// The file.
        origin: String,
        /// What the reader said, with line and column.
        message: String,
    },
    /// It contradicts itself.
    #[error("the client descriptor {origin} {message}")]
    Nonsense {
        /// The file.
        origin: String,
        /// What is wrong, as the end of the sentence.
        message: String,
    },
}

impl Descriptor {
    /// Reads one. `origin` is what errors call it.
    pub fn parse(text: &str, origin: &str) -> Result<Self, DescriptorError> {
        let mut descriptor: Self = toml::from_str(text)
            .map_err(|e| DescriptorError::Parse { origin: origin.to_owned(), message: e.to_string().trim_end().to_owned() })?;
        if descriptor.entry.family.is_empty() {
            descriptor.entry.family.clone_from(&descriptor.id);
        }
        descriptor.check().map_err(|message| DescriptorError::Nonsense { origin: origin.to_owned(), message })?;
        Ok(descriptor)
    }

    fn check(&self) -> Result<(), String> {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.id.is_empty() || !self.id.chars().all(fine) {
            return Err(format!("has the id `{}`; only a-z, 0-9 and `-` may be used", self.id));
        }
        if self.files.is_empty() == self.manual.is_empty() {
            return Err("needs either a `file` or `manual` steps, and not both".to_owned());
        }
        if !self.files.is_empty() && self.entry.stdio.is_none() && self.entry.http.is_none() {
            return Err("says neither how a local nor how a remote server is written".to_owned());
        }
        let words = |s: &[String], untyped: bool| !untyped && s.is_empty();
        let typed = [
            self.entry.stdio.as_ref().map(|s| words(&s.words, s.untyped)),
            self.entry.http.as_ref().map(|s| words(&s.words, s.untyped)),
            self.entry.sse.as_ref().map(|s| words(&s.words, s.untyped)),
        ];
        if self.entry.type_key.is_some() && typed.contains(&Some(true)) {
            return Err("has a type key, and a transport with neither `words` nor `untyped`".to_owned());
        }
        if self.files.iter().any(|f| f.servers.is_empty() && f.named_by.is_some()) {
            return Err("names a list of servers without keys that lead to it".to_owned());
        }
        Ok(())
    }
}
