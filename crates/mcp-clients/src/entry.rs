//! A server's record in a client's file, in words no client owns.

use std::time::Duration;

use mcp_edit::Value;

use crate::text::Text;

/// How to reach one server, and what a client may do with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Start it, or call it.
    pub launch: Launch,
    /// `false` when the client leaves it alone.
    pub enabled: bool,
    /// How long to wait for it to start.
    pub startup_timeout: Option<Duration>,
    /// How long to wait for an answer.
    pub timeout: Option<Duration>,
    /// The only tools to offer.
    pub allow_tools: Option<Vec<String>>,
    /// Tools not to offer.
    pub deny_tools: Option<Vec<String>>,
    /// Tools that may run without asking.
    pub approve_tools: Option<Vec<String>>,
    /// Members of the client's entry that have no word here, as they were.
    pub extra: Vec<(String, Value)>,
    /// The clients that know what `extra` means ([`Shape::family`](crate::descriptor::Shape::family)); empty: nobody.
    pub family: String,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// A program that speaks on its standard input and output.
    Stdio(Stdio),
    /// An address.
    Remote(Remote),
}

/// A local server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stdio {
    /// The program.
    pub command: Text,
    /// Its arguments.
    pub args: Vec<Text>,
    /// Its variables. `NAME = ${NAME}` means: handed on from the client's own environment.
    pub env: Vec<(String, Text)>,
    /// Its working directory.
    pub cwd: Option<Text>,
    /// A file with further variables.
    pub env_file: Option<Text>,
}

/// A remote server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// How it speaks.
    pub transport: Transport,
    /// Its address.
    pub url: Text,
    /// Headers sent with every request.
    pub headers: Vec<(String, Text)>,
}

/// How a remote server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP.
    Http,
    /// The older HTTP+SSE.
    Sse,
}

impl Transport {
    /// What an address that says nothing else is reached by: the older way where its path ends in `/sse`.
    pub fn of_address(url: &str) -> Self {
        let path = url.split(['?', '#']).next().unwrap_or(url);
        if path.trim_end_matches('/').ends_with("/sse") { Self::Sse } else { Self::Http }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Http => Self::Sse,
            Self::Sse => Self::Http,
        }
    }

    /// The word on the command line and in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Sse => "sse",
        }
    }
}

impl Entry {
    /// An enabled entry with nothing but a way to reach the server.
    pub fn new(launch: Launch) -> Self {
        Self {
            launch,
            enabled: true,
            startup_timeout: None,
            timeout: None,
            allow_tools: None,
            deny_tools: None,
            approve_tools: None,
            extra: Vec::new(),
            family: String::new(),
        }
    }

    /// A local server from literal words.
    pub fn command<S: Into<String>>(command: impl Into<String>, args: impl IntoIterator<Item = S>) -> Self {
        Self::new(Launch::Stdio(Stdio {
            command: Text::literal(command),
            args: args.into_iter().map(Text::literal).collect(),
            ..Stdio::default()
        }))
    }

    /// `stdio`, `http` or `sse`.
    pub fn transport_word(&self) -> &'static str {
        match &self.launch {
            Launch::Stdio(_) => "stdio",
            Launch::Remote(remote) => remote.transport.word(),
        }
    }

    /// Every string that may name a variable.
    pub fn texts(&self) -> Vec<&Text> {
        match &self.launch {
            Launch::Stdio(s) => std::iter::once(&s.command)
                .chain(&s.args)
                .chain(s.env.iter().map(|(_, v)| v))
                .chain(&s.cwd)
                .chain(&s.env_file)
                .collect(),
            Launch::Remote(r) => std::iter::once(&r.url).chain(r.headers.iter().map(|(_, v)| v)).collect(),
        }
    }

    /// The names of all variables the entry uses, sorted, each once.
    pub fn variables(&self) -> Vec<String> {
        let mut names: Vec<String> = self.texts().into_iter().flat_map(Text::variables).map(str::to_owned).collect();
        names.sort();
        names.dedup();
        names
    }

    /// How the server is reached, to be compared ([`Launch::meaning`]). Time-outs and switches do not count.
    pub fn meaning(&self) -> Launch {
        self.launch.meaning()
    }
}

impl Launch {
    /// What is the same in two launches that reach the same server the same way, whichever clients they are in: the launch
    /// without Windows' `cmd /c`, with variables and headers in order and headers in small letters.
    #[must_use]
    pub fn meaning(&self) -> Self {
        let mut launch = self.clone();
        if let Self::Stdio(stdio) = &mut launch {
            stdio.unwrap_cmd(|_| true);
            stdio.env.sort_by(|a, b| a.0.cmp(&b.0));
        } else if let Self::Remote(remote) = &mut launch {
            remote.headers.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
            remote.headers.sort_by(|a, b| a.0.cmp(&b.0));
        }
        launch
    }
}

/// Programs that are batch files on Windows (`npx.cmd`), which it starts through a shell only.
fn is_batch(command: &str) -> bool {
    const BATCH: [&str; 6] = ["npx", "npm", "pnpm", "pnpx", "yarn", "bunx"];
    BATCH.contains(&command.to_ascii_lowercase().trim_end_matches(".cmd"))
}

impl Stdio {
    /// The same for a system and a client: `cmd /c` goes in front of a batch file where `needs_cmd`, and away from one
    /// elsewhere. Around any other program it is the user's own.
    #[must_use]
    pub fn fitted(mut self, needs_cmd: bool) -> Self {
        self.unwrap_cmd(is_batch);
        if needs_cmd && self.command.as_literal().is_some_and(is_batch) {
            let command = std::mem::replace(&mut self.command, Text::literal("cmd"));
            self.args.splice(0..0, [Text::literal("/c"), command]);
        }
        self
    }

    /// Takes `cmd /c` away from a program for which `of` holds.
    fn unwrap_cmd(&mut self, of: impl Fn(&str) -> bool) {
        let is = |text: &Text, word: &str| text.as_literal().is_some_and(|t| t.eq_ignore_ascii_case(word));
        if (is(&self.command, "cmd") || is(&self.command, "cmd.exe"))
            && self.args.len() > 1
            && is(&self.args[0], "/c")
            && self.args[1].as_literal().is_some_and(of)
        {
            self.args.remove(0);
            self.command = self.args.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(stdio: &Stdio) -> Vec<String> {
        std::iter::once(&stdio.command).chain(&stdio.args).map(ToString::to_string).collect()
    }

    #[test]
    fn a_shell_of_the_users_own_stays() {
        let stdio = |command: &str, args: &[&str]| match Entry::command(command, args.iter().copied()).launch {
            Launch::Stdio(stdio) => stdio,
            Launch::Remote(_) => unreachable!("a command is local"),
        };
        assert_eq!(words(&stdio("cmd", &["/c", "npx", "-y", "x"]).fitted(false)), ["npx", "-y", "x"]);
        assert_eq!(words(&stdio("npx", &["-y", "x"]).fitted(true)), ["cmd", "/c", "npx", "-y", "x"]);
        assert_eq!(words(&stdio("cmd", &["/c", "npx"]).fitted(true)), ["cmd", "/c", "npx"]);
        for needs in [true, false] {
            assert_eq!(words(&stdio("cmd", &["/c", "mine.bat"]).fitted(needs)), ["cmd", "/c", "mine.bat"]);
        }
    }
}
