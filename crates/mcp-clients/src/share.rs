//! Entries that start no server of their own but join a shared one: `mcp run-once --name NAME … -- COMMAND ARGS…`.
//!
//! [`RunOnce`] wraps a launch, [`Shared`] recognises a wrapped one and finds what is inside. Whether and how an entry in a
//! file changes is the business of [`plan`](crate::plan).

use crate::descriptor::Syntax;
use crate::entry::{Launch, Remote, Stdio, Transport};
use crate::text::{Piece, Text};

/// The subcommand that joins a shared server.
const VERB: &str = "run-once";

/// The variable that moves our own directories, and with them the daemon an entry finds.
pub const HOME: &str = "MCP_HOME";

/// How an entry is to start a shared server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOnce {
    /// The `mcp` program, by its absolute path: clients started from a desktop have a short `PATH`.
    pub program: String,
    /// What the daemon calls the server.
    pub name: String,
    /// Further options for `run-once`, as words.
    pub options: Vec<String>,
    /// Where our own directories were moved to, if they were.
    pub home: Option<String>,
}

impl RunOnce {
    /// The program and its arguments up to where the inner command begins, or all of them for an address.
    pub fn words(&self, inner: &Launch) -> Vec<Text> {
        let mut words: Vec<Text> = [&self.program, VERB, "--name", &self.name].map(Text::literal).to_vec();
        words.extend(self.options.iter().map(Text::literal));
        match inner {
            Launch::Stdio(stdio) => {
                // What somebody wrote into the entry matters to the server: with another value it is another server.
                for (name, _) in &stdio.env {
                    if name != HOME && !self.names_variable(name) {
                        words.extend(["--env-key", name].map(Text::literal));
                    }
                }
                words.push(Text::literal("--"));
            }
            Launch::Remote(remote) => {
                words.push(Text::literal("--url"));
                words.push(remote.url.clone());
                for (name, value) in &remote.headers {
                    words.push(Text::literal("--header"));
                    words.push(Text::literal(format!("{name}: ")).followed_by(value));
                }
            }
        }
        words
    }

    /// [`RunOnce::wrap`] for a client that fills in no variables in arguments: `run-once` does so for headers, as long as
    /// the client hands them on.
    pub fn wrap_handing_on(&self, inner: &Launch) -> Launch {
        let mut written = inner.clone();
        let mut variables: Vec<String> = Vec::new();
        if let Launch::Remote(remote) = &mut written {
            for (_, value) in &mut remote.headers {
                if value.pieces().iter().any(|piece| matches!(piece, Piece::Own { .. })) {
                    continue;
                }
                variables.extend(value.variables().map(str::to_owned));
                *value = Text::literal(value.to_string());
            }
        }
        let mut launch = self.wrap(&written);
        if let Launch::Stdio(stdio) = &mut launch {
            variables.sort();
            variables.dedup();
            stdio.env.extend(variables.into_iter().map(|name| (name.clone(), Text::variable(name))));
        }
        launch
    }

    fn names_variable(&self, name: &str) -> bool {
        let after = |pair: &[String]| pair[0] == "--env-key" && pair[1] == name;
        self.options.windows(2).any(after) || self.options.iter().any(|o| o.strip_prefix("--env-key=") == Some(name))
    }

    /// The launch that joins a server which `inner` reaches.
    pub fn wrap(&self, inner: &Launch) -> Launch {
        let mut words = self.words(inner);
        let command = words.remove(0);
        let mut stdio = match inner {
            Launch::Stdio(stdio) => {
                words.push(stdio.command.clone());
                words.extend(stdio.args.iter().cloned());
                stdio.clone()
            }
            Launch::Remote(_) => Stdio::default(),
        };
        (stdio.command, stdio.args) = (command, words);
        if let Some(home) = self.home.as_ref().filter(|_| !stdio.env.iter().any(|(name, _)| name == HOME)) {
            stdio.env.push((HOME.to_owned(), Text::literal(home)));
        }
        Launch::Stdio(stdio)
    }
}

/// What a launch that joins a shared server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The `mcp` program it starts.
    pub program: String,
    /// What the daemon calls the server; `None` leaves that to `run-once`.
    pub name: Option<String>,
    /// The other options, as words.
    pub options: Vec<Text>,
    /// How the server itself is reached. The variable of [`HOME`] is not among its own.
    pub inner: Launch,
    /// Where the inner command stands: how many words before it, the program's own included. `None` for an address.
    pub before: Option<usize>,
}

impl Shared {
    /// Recognises a launch that joins a shared server. A `run-once` that only listens (`--http`) or only keeps a process
    /// alive (`--dummy`) does not.
    pub fn of(launch: &Launch) -> Option<Self> {
        let Launch::Stdio(outer) = launch else { return None };
        let program = outer.command.as_literal().filter(|p| is_mcp(p))?;
        if outer.args.first()?.as_literal() != Some(VERB) {
            return None;
        }
        let mut words = outer.args.iter().enumerate().skip(1);
        let (mut name, mut url, mut headers, mut options) = (None, None, Vec::new(), Vec::new());
        let mut command = None;
        while let Some((at, word)) = words.next() {
            let text = word.to_string();
            let (flag, own) = text.split_once('=').map_or((text.as_str(), false), |(flag, _)| (flag, true));
            let mut value = || if own { Some(word.without_start(flag.len() + 1)) } else { Some(words.next()?.1.clone()) };
            match flag {
                "--" if !own => {
                    command = Some(at + 1);
                    break;
                }
                "--http" | "--dummy" => return None,
                "--name" => name = Some(value()?.as_literal()?.to_owned()),
                "--url" => url = Some(value()?),
                "--header" | "-H" => headers.push(header(&value()?)?),
                _ => options.push(word.clone()),
            }
        }
        let inner = match (command, url) {
            (Some(at), None) => {
                let mut inner = outer.clone();
                let mut words = inner.args.split_off(at).into_iter();
                inner.command = words.next()?;
                inner.args = words.collect();
                inner.env.retain(|(name, _)| name != HOME);
                Launch::Stdio(inner)
            }
            (None, Some(url)) => Launch::Remote(Remote { transport: Transport::of_address(&url.to_string()), url, headers }),
            _ => return None,
        };
        let before = command.map(|at| at + 1);
        Some(Self { program: program.to_owned(), name, options, inner, before })
    }

    /// What the daemon calls the server, for people.
    pub fn called(&self) -> &str {
        self.name.as_deref().unwrap_or("a name of its own")
    }
}

/// The way to the server itself, shared or not.
pub fn inner(launch: &Launch) -> Launch {
    Shared::of(launch).map_or_else(|| launch.clone(), |shared| shared.inner)
}

/// The same to compare: without what is ours, and without what a client finds out by itself.
pub fn own(launch: &Launch) -> Launch {
    let mut launch = inner(launch).meaning();
    match &mut launch {
        Launch::Stdio(stdio) => stdio.env.retain(|(name, _)| name != HOME),
        Launch::Remote(remote) => remote.transport = Transport::Http,
    }
    launch
}

/// Whether two launches start the same command, or call the same address, whatever is around them.
pub fn same_server(a: &Launch, b: &Launch) -> bool {
    match (a.meaning(), b.meaning()) {
        (Launch::Stdio(a), Launch::Stdio(b)) => a.command == b.command && a.args == b.args,
        (Launch::Remote(a), Launch::Remote(b)) => a.url == b.url && a.headers == b.headers,
        _ => false,
    }
}

/// Whether a path leads to this program, by its name.
pub fn is_mcp(path: &str) -> bool {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    matches!(name.as_str(), "mcp" | "mcp.exe")
}

/// `Name: value`. What the client leaves alone of it, `run-once` fills in.
fn header(text: &Text) -> Option<(String, Text)> {
    let shown = text.to_string();
    let (name, rest) = shown.split_once(':')?;
    let blanks = rest.len() - rest.trim_start().len();
    let value = text.without_start(name.len() + 1 + blanks);
    let value = value.as_literal().map(|text| Text::parse(text, Syntax::DollarBrace)).unwrap_or(value);
    Some((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;

    fn run_once(options: &[&str]) -> RunOnce {
        RunOnce {
            program: "/opt/bin/mcp".to_owned(),
            name: "web".to_owned(),
            options: options.iter().map(|o| (*o).to_owned()).collect(),
            home: Some("/srv/mcp".to_owned()),
        }
    }

    fn words(launch: &Launch) -> String {
        let Launch::Stdio(stdio) = launch else { panic!("it is local") };
        std::iter::once(&stdio.command).chain(&stdio.args).map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_wrapped_is_found_inside() {
        let mut inner = Entry::command("npx", ["-y", "--", "web"]).launch;
        let Launch::Stdio(stdio) = &mut inner else { unreachable!("a command is local") };
        stdio.env.push(("TOKEN".to_owned(), Text::variable("TOKEN")));
        stdio.env.push(("LEVEL".to_owned(), Text::literal("9")));
        let wrap = run_once(&["--isolate", "client", "--env-key=LEVEL"]);
        let wrapped = wrap.wrap(&inner);
        assert_eq!(
            words(&wrapped),
            "/opt/bin/mcp run-once --name web --isolate client --env-key=LEVEL --env-key TOKEN -- npx -y -- web"
        );
        let Launch::Stdio(outer) = &wrapped else { unreachable!("run-once is local") };
        assert_eq!(outer.env.last(), Some(&(HOME.to_owned(), Text::literal("/srv/mcp"))));
        let shared = Shared::of(&wrapped).unwrap();
        assert_eq!((shared.name.as_deref(), &shared.inner, shared.called()), (Some("web"), &inner, "web"));
        assert_eq!(outer.args[shared.before.unwrap() - 1], Text::literal("npx"));
    }

    #[test]
    fn an_address_goes_with_its_headers() {
        let headers = vec![
            ("Authorization".to_owned(), Text::parse("Bearer ${TOKEN}", Syntax::DollarBrace)),
            ("X-Odd".to_owned(), Text::literal("a: b=c")),
            ("X-Empty".to_owned(), Text::literal("")),
        ];
        let inner =
            Launch::Remote(Remote { transport: Transport::Http, url: Text::literal("https://a.example/mcp?x=1"), headers });
        let wrapped = run_once(&["--persistent"]).wrap(&inner);
        let shared = Shared::of(&wrapped).unwrap();
        assert_eq!((&shared.inner, shared.before), (&inner, None));
        assert_eq!(shared.options, [Text::literal("--persistent")]);
    }

    proptest::proptest! {
        #[test]
        fn any_words_and_options_come_back(
            command in "[a-z./ $-]{1,8}",
            args in proptest::collection::vec("(--|--name|--url=x|-H|--http|[a-zA-Z=:${} \\\"-]{0,8})", 0..6),
            name in "[a-z =:-]{1,8}",
            options in proptest::sample::subsequence(
                vec!["--persistent", "--isolate=client", "--env-key=A", "--restart=never", "--unknown"], 0..5),
            env in proptest::collection::btree_map("[A-Z]{1,3}", "[a-z]{0,3}", 0..3),
        ) {
            let mut inner = Entry::command(command, args).launch;
            if let Launch::Stdio(stdio) = &mut inner {
                stdio.env.extend(env.into_iter().map(|(name, value)| (name, Text::literal(value))));
            }
            let wrap = RunOnce { name, ..run_once(&options) };
            let shared = Shared::of(&wrap.wrap(&inner)).expect("it was wrapped");
            proptest::prop_assert_eq!((&shared.inner, shared.name.as_ref()), (&inner, Some(&wrap.name)));
            let again = wrap.wrap(&shared.inner);
            proptest::prop_assert_eq!(again, wrap.wrap(&inner));
        }
    }

    #[test]
    fn other_programs_and_other_uses_are_not_shared_servers() {
        let launch = |line: &str| {
            let mut words = line.split(' ');
            Entry::command(words.next().unwrap(), words).launch
        };
        for line in [
            "mcp run-once -- npx x",
            "/a/b/mcp run-once --name=x --ephemeral=5s -- npx x",
            r"C:\Tools\MCP.EXE run-once --url https://a.example",
            "mcp run-once --url=https://a.example -H X-A:b",
        ] {
            assert!(Shared::of(&launch(line)).is_some(), "{line}");
        }
        for line in [
            "npx run-once -- x",
            "/a/mcp-other run-once -- x",
            "mcp serve calculator",
            "mcp run-once --name x",
            "mcp run-once --name",
            "mcp run-once --http 127.0.0.1:0 -- x",
            "mcp run-once --dummy -- x",
            "mcp run-once x --",
            "mcp",
        ] {
            assert!(Shared::of(&launch(line)).is_none(), "{line}");
        }
    }

    #[test]
    fn the_same_server_is_the_same_command_whatever_is_around_it() {
        let plain = Entry::command("cmd", ["/c", "npx", "x"]).launch;
        let wrapped = run_once(&["--persistent"]).wrap(&Entry::command("npx", ["x"]).launch);
        assert!(same_server(&inner(&plain), &inner(&wrapped)));
        assert!(!same_server(&inner(&plain), &Entry::command("npx", ["y"]).launch));
    }
}
