//! Entries whose server is wrapped: `mcp tap --name NAME --client CLIENT -- COMMAND ARGS…`.
//!
//! [`Tap`] wraps a command, [`Tapped`] recognises a wrapped one and finds what is inside. Variables and the working directory
//! need nothing: the wrapper's are the server's.

use crate::entry::{Launch, Stdio};
use crate::share;
use crate::text::Text;

/// The subcommand that wraps a server.
const VERB: &str = "tap";

/// How an entry is to start its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// The `mcp` program, by its absolute path: clients started from a desktop have a short `PATH`.
    pub program: String,
    /// What the server is called in captures.
    pub name: String,
    /// What the client is called in captures.
    pub client: String,
    /// Where our own directories were moved to, if they were.
    pub home: Option<String>,
}

impl Tap {
    /// The program and its arguments up to where the inner command begins.
    pub fn words(&self) -> Vec<Text> {
        [&self.program, VERB, "--name", &self.name, "--client", &self.client, "--"].map(Text::literal).to_vec()
    }
}

/// What a launch that wraps a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tapped {
    /// The `mcp` program it starts.
    pub program: String,
    /// The server itself. The variable that moves our directories is not among its own.
    pub inner: Launch,
    /// Where the inner command stands: how many words before it, the program's own included.
    pub before: usize,
}

impl Tapped {
    /// Recognises a launch that wraps a server.
    pub fn of(launch: &Launch) -> Option<Self> {
        let Launch::Stdio(outer) = launch else { return None };
        let program = outer.command.as_literal().filter(|program| share::is_mcp(program))?;
        if outer.args.first()?.as_literal() != Some(VERB) {
            return None;
        }
        let at = outer.args.iter().position(|word| word.as_literal() == Some("--"))? + 1;
        let mut inner: Stdio = outer.clone();
        let mut words = inner.args.split_off(at).into_iter();
        inner.command = words.next()?;
        inner.args = words.collect();
        inner.env.retain(|(name, _)| name != share::HOME);
        Some(Self { program: program.to_owned(), inner: Launch::Stdio(inner), before: at + 1 })
    }
}

/// The way to the server itself, without our wrapper and without what leads to our own directories, to compare.
pub fn own(launch: &Launch) -> Launch {
    let mut launch = Tapped::of(launch).map_or_else(|| launch.clone(), |tapped| tapped.inner).meaning();
    if let Launch::Stdio(stdio) = &mut launch {
        stdio.env.retain(|(name, _)| name != share::HOME);
    }
    launch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;

    #[test]
    fn what_is_wrapped_is_found_inside() {
        let inner = Entry::command("npx", ["-y", "--", "web"]).launch;
        let tap = Tap { program: "/opt/bin/mcp".into(), name: "web".into(), client: "zed".into(), home: None };
        let Launch::Stdio(mut stdio) = inner.clone() else { unreachable!("a command is local") };
        let mut words = tap.words();
        words.push(stdio.command.clone());
        words.append(&mut stdio.args);
        stdio.command = words.remove(0);
        stdio.args = words;
        let wrapped = Launch::Stdio(stdio);
        let tapped = Tapped::of(&wrapped).expect("it is wrapped");
        assert_eq!((&tapped.inner, own(&wrapped)), (&inner, own(&inner)));
        assert_eq!(tapped.before, 7);
        assert_eq!(Tapped::of(&inner), None);
        assert_eq!(Tapped::of(&Entry::command("/opt/bin/mcp", ["tap", "--name", "x"]).launch), None);
    }
}
