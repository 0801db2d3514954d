//! From a launch and what the user gave to an entry.

use std::fmt;

use super::{Argument, How, Launch, Runner, Server, Variable};
use crate::entry::{self, Entry, Remote, Stdio};
use crate::text::Text;

/// A variable's value as the user gave it.
#[derive(Clone, PartialEq, Eq)]
pub enum EnvGiven {
    /// `--env NAME=VALUE`: these characters.
    Value(String),
    /// `--env NAME`: whatever the client's environment says when it starts the server.
    FromEnvironment,
}

/// What a launch still needs, or was given without having a place for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Missing {
    /// The server's id.
    pub server: String,
    /// Required variables nobody gave.
    pub variables: Vec<Variable>,
    /// Required arguments nobody gave.
    pub arguments: Vec<Argument>,
    /// Names of given variables, and given words, that this launch cannot hand to the server: nothing is started, so
    /// there is no environment and no command line.
    pub unusable: Vec<String>,
}

/// Values are often secret, so a debug print does not show them.
impl fmt::Debug for EnvGiven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value(_) => "Value(…)",
            Self::FromEnvironment => "FromEnvironment",
        })
    }
}

/// One line for each thing, the way they are given on the command line.
impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, variables, arguments, unusable } = self;
        if variables.is_empty() && arguments.is_empty() {
            return write!(f, "this launch of `{server}` has no use for {}", unusable.join(", "));
        }
        write!(f, "`{server}` needs more:")?;
        for Variable { name, description, url, .. } in variables {
            write!(f, "\n  {name}: {description}")?;
            if let Some(url) = url {
                write!(f, ", from {url}")?;
            }
        }
        for Argument { name, description, repeated, .. } in arguments {
            write!(f, "\n  <{name}>{}: {description}", if *repeated { "…" } else { "" })?;
        }
        if !unusable.is_empty() {
            write!(f, "\n  and has no use for {}", unusable.join(", "))?;
        }
        Ok(())
    }
}

impl Server {
    /// The entry for one of this server's launches. Nothing that was not given is written: optional parts go, required
    /// ones are listed in the error. Variables the server does not declare are passed on to a local server, for users who
    /// know more than the catalog; so are words that begin with `-` or are more than the declared arguments.
    pub fn resolve(&self, launch: &Launch, given: &[(String, EnvGiven)], words: &[String]) -> Result<Entry, Missing> {
        let mut missing = Missing { server: self.id.clone(), variables: Vec::new(), arguments: Vec::new(), unusable: Vec::new() };
        let value = |name: &str| self.value(name, given);

        // In the order of the declarations, because people are asked for them in that order.
        for variable in &self.variables {
            if variable.required && launch.uses(&variable.name) && value(&variable.name).is_none() {
                missing.variables.push(variable.clone());
            }
        }
        let taken = self.take_words(launch, words);
        for argument in &self.arguments {
            let used = launch.arguments().any(|name| name == argument.name);
            if argument.required && used && taken.of(&argument.name).is_empty() {
                missing.arguments.push(argument.clone());
            }
        }

        let launched = match &launch.how {
            How::Remote { transport, url, headers } => {
                missing.unusable.extend(given.iter().map(|(name, _)| name).filter(|name| !launch.uses(name)).cloned());
                missing.unusable.extend(words.iter().cloned());
                // An address cannot lose a part of itself: the catalog is checked for that.
                let url = url.fill(value);
                let headers = filled(headers, value);
                entry::Launch::Remote(Remote { transport: *transport, url, headers })
            }
            How::Local { runner, package, args, env } => {
                let mut env = filled(env, value);
                for (name, given) in given.iter().filter(|(name, _)| !launch.uses(name)) {
                    env.retain(|(known, _)| known != name);
                    env.push((name.clone(), given.text(name)));
                }
                let mut stdio = match runner {
                    Runner::Npm => npx(package),
                    Runner::Pypi => uvx(package),
                    Runner::Docker => docker(package, env.iter().map(|(name, _)| name.as_str())),
                };
                stdio.args.extend(args.iter().flat_map(|group| taken.expand(group)).map(Text::literal));
                stdio.args.extend(taken.rest.iter().copied().map(Text::literal));
                stdio.env = env;
                entry::Launch::Stdio(stdio)
            }
        };
        let complete = missing.variables.is_empty() && missing.arguments.is_empty() && missing.unusable.is_empty();
        if complete { Ok(Entry::new(launched)) } else { Err(missing) }
    }

    /// What to write for a variable. An empty value is none: it is what an unset variable in a script leaves behind.
    fn value(&self, name: &str, given: &[(String, EnvGiven)]) -> Option<Text> {
        let given = given.iter().rev().find(|(n, g)| n == name && *g != EnvGiven::Value(String::new()));
        given.map(|(name, given)| given.text(name)).or_else(|| self.variable(name)?.default.as_ref().map(Text::literal))
    }

    /// Deals the given words out to the arguments the launch uses, in order.
    fn take_words<'a>(&'a self, launch: &Launch, words: &'a [String]) -> Taken<'a> {
        let end = words.iter().position(|w| w.starts_with('-')).unwrap_or(words.len());
        let (mut free, flags) = words.split_at(end);
        let mut dealt = Vec::new();
        for argument in self.arguments.iter().filter(|a| launch.arguments().any(|name| name == a.name)) {
            let count = if argument.repeated { free.len() } else { free.len().min(1) };
            let (mine, others) = free.split_at(count);
            dealt.push((argument.name.as_str(), mine));
            free = others;
        }
        Taken { dealt, rest: free.iter().chain(flags).collect() }
    }
}

impl EnvGiven {
    fn text(&self, name: &str) -> Text {
        match self {
            Self::Value(value) => Text::literal(value),
            Self::FromEnvironment => Text::variable(name),
        }
    }
}

/// Words by the argument they are for.
struct Taken<'a> {
    dealt: Vec<(&'a str, &'a [String])>,
    rest: Vec<&'a String>,
}

impl Taken<'_> {
    fn of(&self, argument: &str) -> &[String] {
        self.dealt.iter().find(|(name, _)| *name == argument).map_or(&[], |(_, words)| words)
    }

    /// A group with its placeholders replaced; nothing when one of them has no word.
    fn expand(&self, group: &[String]) -> Vec<String> {
        let mut out = Vec::new();
        for word in group {
            let Some((before, name, after)) = placeholder(word) else {
                out.push(word.clone());
                continue;
            };
            let words = self.of(name);
            if words.is_empty() {
                return Vec::new();
            }
            out.extend(words.iter().map(|given| format!("{before}{given}{after}")));
        }
        out
    }
}

/// The name in `{name}` and what stands around it.
pub(super) fn placeholder(word: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = word.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// The pairs with their variables replaced, without those that have one nobody gave.
fn filled(pairs: &[(String, Text)], value: impl Fn(&str) -> Option<Text>) -> Vec<(String, Text)> {
    pairs
        .iter()
        .filter(|(_, text)| text.variables().all(|name| value(name).is_some()))
        .map(|(key, text)| (key.clone(), text.fill(&value)))
        .collect()
}

/// The command for a package of npm, `name` or `name@version`. `-y`, because a question on standard input would hang it.
pub fn npx(package: &str) -> Stdio {
    command("npx", &["-y", package])
}

/// The command for a package of `PyPI`, `name` or `name==version`.
pub fn uvx(package: &str) -> Stdio {
    command("uvx", &[package])
}

/// The command for an image. Docker hands on only those variables of its own environment that are named.
pub fn docker<'a>(image: &str, env: impl IntoIterator<Item = &'a str>) -> Stdio {
    let mut stdio = command("docker", &["run", "-i", "--rm"]);
    stdio.args.extend(env.into_iter().flat_map(|name| ["-e", name]).map(Text::literal));
    stdio.args.push(Text::literal(image));
    stdio
}

fn command(program: &str, args: &[&str]) -> Stdio {
    Stdio { command: Text::literal(program), args: args.iter().copied().map(Text::literal).collect(), ..Stdio::default() }
}
