//! One client as data: where its files are, how an entry looks, what it minds.
//!
//! A descriptor is a TOML file, `clients/<id>.toml` here or in the user's configuration directory. The structs below are
//! its schema; unknown keys are errors, so a typing mistake is found when the file is read.

use serde::Deserialize;

use crate::platform::Os;

mod entry;
mod names;

pub use entry::{DurationKey, Inherits, Mark, Part, RemoteShape, Shape, StdioShape, Switch, Syntax, Unit, Untyped, Variables};
pub use names::Names;

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
