//! Well-known servers by name: the data of `servers.toml` and looking things up in it.
//!
//! A [`Server`] can be had in one or more ways, best first: [`Launch`]. [`Server::resolve`] turns one of them, with what
//! the user gave, into an [`Entry`](crate::entry::Entry), or says what is [`Missing`].

mod resolve;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::descriptor::Syntax;
use crate::entry::Transport;
use crate::text::Text;

pub use resolve::{EnvGiven, Missing, docker, npx, uvx};

/// A list of servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    servers: Vec<Server>,
}

/// A server people know by name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its name on the command line, and the one it gets in a client.
    pub id: String,
    /// Its name in running text.
    pub title: String,
    /// What it does, in one line.
    pub description: String,
    /// Who makes it.
    pub publisher: String,
    /// Where to read about it.
    pub homepage: String,
    /// The day all of this was last checked, `YYYY-MM-DD`.
    pub verified: String,
    /// Other names for it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What a user should know before relying on it.
    pub note: Option<String>,
    #[serde(rename = "launch")]
    launches: Vec<Launch>,
    /// What can or must be told to it through the environment, headers or its address.
    #[serde(default, rename = "variable")]
    pub variables: Vec<Variable>,
    /// What can or must stand on its command line, in the order in which people give it.
    #[serde(default, rename = "argument")]
    pub arguments: Vec<Argument>,
}

/// A value for a server that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// The name of the environment variable.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Whether a launch that uses it is useless without.
    #[serde(default)]
    pub required: bool,
    /// Whether to type it hidden and to mask it in output.
    #[serde(default)]
    pub secret: bool,
    /// Where to get one.
    pub url: Option<String>,
    /// What is written when none is given.
    pub default: Option<String>,
}

/// A word for a server's command line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    /// Its name in templates and messages.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Whether a launch that uses it is useless without.
    #[serde(default)]
    pub required: bool,
    /// Whether there can be several; only the last argument of a server can say so.
    #[serde(default)]
    pub repeated: bool,
}

/// One way to have a server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawLaunch")]
pub struct Launch {
    /// The way.
    pub how: How,
    /// Whether the client logs in by itself, in a browser.
    pub oauth: bool,
    /// The document that names the address or image.
    pub source: Option<String>,
    /// The newest version of the package on the day it was checked.
    pub verified_version: Option<String>,
}

/// Where a server comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// It runs elsewhere.
    Remote {
        /// How it speaks.
        transport: Transport,
        /// Its address.
        url: Text,
        /// Headers for every request.
        headers: Vec<(String, Text)>,
    },
    /// It is started here.
    Local {
        /// By what.
        runner: Runner,
        /// The package or image, without a version.
        package: String,
        /// Groups of words; a group goes when an argument in it was not given. Arguments are written `{name}`.
        args: Vec<Vec<String>>,
        /// Its environment.
        env: Vec<(String, Text)>,
    },
}

/// What starts a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// `npx -y`, for packages of npm.
    Npm,
    /// `uvx`, for packages of `PyPI`.
    Pypi,
    /// `docker run -i --rm`, for images.
    Docker,
}

/// Why a catalog cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The file is not what it should be.
    #[error("{0}")]
    Parse(String),
    /// Two servers want one name.
    #[error("two servers are called `{0}`")]
    Ambiguous(String),
    /// A server says something that cannot be.
    #[error("server `{id}`: {what}")]
    Inconsistent {
        /// Which server.
        id: String,
        /// What is wrong.
        what: String,
    },
}

impl Catalog {
    /// The one that comes with the program.
    pub fn embedded() -> &'static Self {
        static EMBEDDED: LazyLock<Catalog> =
            LazyLock::new(|| Catalog::parse(include_str!("../servers.toml")).expect("a test parses the embedded catalog"));
        &EMBEDDED
    }

    /// Reads and checks a catalog.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            #[serde(rename = "server")]
            servers: Vec<Server>,
        }
        let File { servers } = toml::from_str(text).map_err(|e| CatalogError::Parse(e.to_string()))?;
        let mut names = HashSet::new();
        for server in &servers {
            if let Some(taken) = server.names().find(|name| !names.insert(*name)) {
                return Err(CatalogError::Ambiguous(taken.to_owned()));
            }
            server.check().map_err(|what| CatalogError::Inconsistent { id: server.id.clone(), what })?;
        }
        Ok(Self { servers })
    }

    /// All servers, in the order of the file.
    pub fn all(&self) -> &[Server] {
        &self.servers
    }

    /// The server with this id or alias, in whatever case it was typed.
    pub fn get(&self, name: &str) -> Option<&Server> {
        self.servers.iter().find(|s| s.names().any(|n| n.eq_ignore_ascii_case(name)))
    }

    /// Up to three servers that may have been meant by a name nobody has, likeliest first.
    pub fn nearest(&self, name: &str) -> Vec<&Server> {
        let name = name.to_ascii_lowercase();
        let distance = |candidate: &str| {
            // Half of `postgres-server` or `hugging` says enough; a two-letter half does not.
            if name.len() > 2 && candidate.len() > 2 && (candidate.contains(&name) || name.contains(candidate)) {
                return Some(1);
            }
            let edits = strsim::damerau_levenshtein(&name, candidate);
            (edits <= (candidate.chars().count() / 3).clamp(1, 3)).then_some(edits)
        };
        let mut near: Vec<(usize, &Server)> =
            self.servers.iter().filter_map(|s| Some((s.names().filter_map(distance).min()?, s))).collect();
        near.sort_by_key(|(edits, _)| *edits);
        near.into_iter().take(3).map(|(_, server)| server).collect()
    }
}

impl Server {
    /// The ways to have it, best first; there is at least one.
    pub fn launches(&self) -> &[Launch] {
        &self.launches
    }

    /// The id and all aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.id.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// What it declares about a variable.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|v| v.name == name)
    }

    /// The best of the launches `accept` lets through, for a user who gave these variables: one that has a place for each
    /// of them that the server knows, if there is one. So a token chooses the launch that takes a token over the one that
    /// asks in a browser.
    pub fn launch_for(&self, given: &[(String, EnvGiven)], accept: impl Fn(&Launch) -> bool) -> Option<&Launch> {
        let known: Vec<&str> = given.iter().map(|(name, _)| name.as_str()).filter(|n| self.variable(n).is_some()).collect();
        let mut accepted = self.launches.iter().filter(|l| accept(l));
        let takes_all = |launch: &&Launch| known.iter().all(|name| launch.uses(name));
        accepted.clone().find(takes_all).or_else(|| accepted.next())
    }

    /// What serde cannot see.
    fn check(&self) -> Result<(), String> {
        let Self { id, launches, variables, arguments, .. } = self;
        let plain =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if let Some(name) = self.names().find(|n| !plain(n)) {
            return Err(format!("the name `{name}` has more than small letters, digits and `-`"));
        }
        if !is_date(&self.verified) {
            return Err(format!("`verified` is not a date: {}", self.verified));
        }
        if launches.is_empty() {
            return Err("there is no launch".to_owned());
        }
        if arguments.iter().rev().skip(1).any(|a| a.repeated) {
            return Err("only the last argument can be repeated".to_owned());
        }
        for launch in launches {
            if let Some(name) = launch.variables().find(|n| self.variable(n).is_none()) {
                return Err(format!("`${{{name}}}` is not a variable of `{id}`"));
            }
            if let How::Remote { url, .. } = &launch.how {
                let dispensable = |v: &&Variable| !v.required && v.default.is_none();
                if let Some(v) = url.variables().filter_map(|n| self.variable(n)).find(dispensable) {
                    return Err(format!("`{}` stands in an address, so it is required or has a default", v.name));
                }
            }
            if let Some(name) = launch.arguments().find(|n| !arguments.iter().any(|a| a.name == *n)) {
                return Err(format!("`{{{name}}}` is not an argument of `{id}`"));
            }
        }
        if let Some(v) = variables.iter().find(|v| !launches.iter().any(|l| l.uses(&v.name))) {
            return Err(format!("no launch uses the variable `{}`", v.name));
        }
        if let Some(a) = arguments.iter().find(|a| !launches.iter().any(|l| l.arguments().any(|n| n == a.name))) {
            return Err(format!("no launch uses the argument `{}`", a.name));
        }
        Ok(())
    }
}

impl Launch {
    /// `http`, `sse` or `stdio`.
    pub fn transport_word(&self) -> &'static str {
        match &self.how {
            How::Remote { transport, .. } => transport.word(),
            How::Local { .. } => "stdio",
        }
    }

    /// The word for its kind in the file and on the command line: `http`, `sse`, `npm`, `pypi` or `docker`.
    pub fn kind_word(&self) -> &'static str {
        match &self.how {
            How::Remote { transport, .. } => transport.word(),
            How::Local { runner, .. } => runner.word(),
        }
    }

    /// The address, or the package as SOURCE on the command line spells it: `npm:@playwright/mcp`.
    pub fn summary(&self) -> String {
        match &self.how {
            How::Remote { url, .. } => url.to_string(),
            How::Local { runner, package, .. } => format!("{}:{package}", runner.word()),
        }
    }

    /// The names of the variables in its templates.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let (url, pairs) = match &self.how {
            How::Remote { url, headers, .. } => (Some(url), headers),
            How::Local { env, .. } => (None, env),
        };
        url.into_iter().chain(pairs.iter().map(|(_, text)| text)).flat_map(Text::variables)
    }

    /// Whether this variable is in one of its templates.
    pub fn uses(&self, variable: &str) -> bool {
        self.variables().any(|name| name == variable)
    }

    /// The names of the arguments in its templates.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        let args: &[Vec<String>] = match &self.how {
            How::Remote { .. } => &[],
            How::Local { args, .. } => args,
        };
        args.iter().flatten().filter_map(|word| resolve::placeholder(word).map(|(_, name, _)| name))
    }
}

impl Runner {
    /// The word in front of the colon in SOURCE.
    pub fn word(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pypi => "pypi",
            Self::Docker => "docker",
        }
    }
}

/// `YYYY-MM-DD`, as far as that matters here.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts.as_slice(), [y, m, d] if y.len() == 4 && m.len() == 2 && d.len() == 2)
        && parts.iter().all(|p| p.bytes().all(|b| b.is_ascii_digit()))
}

/// A `[[server.launch]]` as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLaunch {
    kind: Kind,
    url: Option<String>,
    package: Option<String>,
    #[serde(default)]
    args: Vec<Words>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    auth: Option<Auth>,
    source: Option<String>,
    verified_version: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Http,
    Sse,
    Npm,
    Pypi,
    Docker,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Auth {
    Oauth,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Group(Vec<String>),
}

impl TryFrom<RawLaunch> for Launch {
    type Error = String;

    fn try_from(raw: RawLaunch) -> Result<Self, String> {
        let RawLaunch { kind, url, package, args, env, headers, auth, source, verified_version } = raw;
        let texts = |map: BTreeMap<String, String>| -> Vec<(String, Text)> {
            map.into_iter().map(|(key, text)| (key, Text::parse(&text, Syntax::DollarBrace))).collect()
        };
        let how = match (kind, url, package) {
            (Kind::Http | Kind::Sse, Some(url), None) if args.is_empty() && env.is_empty() => How::Remote {
                transport: if kind == Kind::Http { Transport::Http } else { Transport::Sse },
                url: Text::parse(&url, Syntax::DollarBrace),
                headers: texts(headers),
            },
            (Kind::Http | Kind::Sse, ..) => return Err("a remote launch has `url` and maybe `headers`".to_owned()),
            (_, None, Some(package)) if headers.is_empty() && auth.is_none() => How::Local {
                runner: match kind {
                    Kind::Npm => Runner::Npm,
                    Kind::Pypi => Runner::Pypi,
                    _ => Runner::Docker,
                },
                package,
                args: args
                    .into_iter()
                    .map(|words| match words {
                        Words::One(word) => vec![word],
                        Words::Group(words) => words,
                    })
                    .collect(),
                env: texts(env),
            },
            _ => return Err("a local launch has `package` and maybe `args` and `env`".to_owned()),
        };
        if source.is_none() && verified_version.is_none() {
            return Err("a launch needs `verified_version` or `source`, to be checked again by".to_owned());
        }
        Ok(Self { how, oauth: auth.is_some(), source, verified_version })
    }
}
