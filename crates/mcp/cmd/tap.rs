//! `mcp tap`: a wrapper around a server that passes every byte on and records what is said.
//!
//! A client starts it in place of its server, so that the usual call is read without building the whole command line ([`quick`]).

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use mcp_os::dirs::Dirs;
use mcp_os::signals::{self, Ending};
use mcp_relay::tap::http::{self, HttpTap, HttpTapError};
use mcp_relay::tap::{self, Recording, Spec};

use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::Ui;

pub(crate) mod attach;

/// Record what a client and a server really say
///
/// Put it before a server's command: every byte is passed on as it came, and a copy goes into a capture, which `mcp inspect`
/// shows while it grows. Secrets are replaced by default. `mcp tap attach` does that to the entries of your clients, and
/// `mcp tap detach` takes it back. A server that is run by the daemon (`mcp share`) needs none of this.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  mcp tap -- npx -y @modelcontextprotocol/server-everything\n  mcp tap --name files --client zed -- npx -y @modelcontextprotocol/server-filesystem .\n  mcp tap --redact account_number -- ./my-server\n  mcp tap --url https://mcp.example.com/mcp --listen 127.0.0.1:8123\n  mcp tap attach github --client claude-code           record what an installed server says\n\nExit code: the server's own; if it was killed by a signal, so is this. 2 wrong command line, 126 or 127 the server could not be started"
)]
pub(crate) struct Args {
    #[command(flatten)]
    wrap: Wrap,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Attach(attach::AttachArgs),
    Detach(attach::DetachArgs),
}

/// What is wrapped, and how it is recorded.
#[derive(Debug, Default, clap::Args)]
struct Wrap {
    /// The server's name in captures; without it, one is made of the command
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The client's name in captures; without it, that of the program that started this
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Record secrets as they are
    #[arg(long)]
    raw: bool,
    /// A further name whose values are secret (repeat it)
    #[arg(long, value_name = "NAME", conflicts_with = "raw")]
    redact: Vec<String>,
    /// A remote server instead of a command: a proxy to it is served
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    url: Option<String>,
    /// Where the proxy listens; its URL is the first line on standard output [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDR", requires = "url")]
    listen: Option<String>,
    /// The command that starts the server
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Args {
    /// Whether clients' files are to be changed.
    pub(crate) fn is_about_clients(&self) -> bool {
        self.verb.is_some()
    }
}

/// Changes clients' files.
pub(crate) fn in_files(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    match &args.verb {
        Some(Verb::Attach(args)) => attach::attach(ctx, args),
        Some(Verb::Detach(args)) => attach::detach(ctx, args),
        None => run(ctx.ui, args),
    }
}

pub(crate) fn run(ui: Ui, args: &Args) -> Result<Exit, Failure> {
    let dirs = Dirs::from_env(&|name| std::env::var_os(name)).map_err(Failure::usage)?;
    if let Some(url) = &args.wrap.url {
        return proxy(ui, &dirs, &args.wrap, url);
    }
    let Some(spec) = args.wrap.spec(&dirs) else {
        return Err(Failure::missing("what is to be wrapped? The server's command follows `--`"));
    };
    Ok(Exit::of(wrap(&spec)))
}

/// Serves a proxy to an address until somebody interrupts.
fn proxy(ui: Ui, dirs: &Dirs, wrap: &Wrap, url: &str) -> Result<Exit, Failure> {
    let listen = wrap.listen.as_deref().unwrap_or("127.0.0.1:0");
    let Some(listen) = mcp_daemon::foreground::address(listen) else {
        return Err(Failure::missing(format_args!("`{listen}` is no address: `127.0.0.1:8000`, `:8000` or `8000`")));
    };
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    let recording = wrap.recording(dirs, host.rsplit('@').next().unwrap_or(host));
    let meeting = Some(mcp_daemon::place::Place::new(&dirs.daemon).taps());
    let tap = HttpTap { url: url.to_owned(), listen, recording, meeting };
    match http::run(&tap, |url| ui.out(url)) {
        Ok(()) => Ok(Exit::Done),
        Err(error @ (HttpTapError::Url(_) | HttpTapError::Open(_))) => Err(Failure::usage(error)),
        Err(error) => Err(Failure::no_answer(error)),
    }
}

/// Wraps a server, from the words behind `tap`. `None`: the whole command line has to look at it.
pub(crate) fn quick(words: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let wrap_args = Wrap::read(words)?;
    let dirs = Dirs::from_env(&|name| std::env::var_os(name)).ok()?;
    let spec = wrap_args.spec(&dirs)?;
    Some(ExitCode::from(wrap(&spec)))
}

impl Wrap {
    /// The options, if each is known and spelt in the usual way.
    fn read(mut words: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut found = Self::default();
        loop {
            let word = words.next()?.into_string().ok()?;
            if word == "--" {
                break;
            }
            let (key, attached) = word.split_once('=').map_or((word.as_str(), None), |(k, v)| (k, Some(v.to_owned())));
            let mut value = || attached.clone().or_else(|| words.next()?.into_string().ok()).filter(|v| !v.starts_with('-'));
            match key {
                "--name" if found.name.is_none() => found.name = Some(value()?),
                "--client" if found.client.is_none() => found.client = Some(value()?),
                "--redact" => found.redact.push(value()?),
                "--raw" if attached.is_none() && !found.raw => found.raw = true,
                _ => return None,
            }
        }
        found.command = words.collect();
        let is_good = !(found.command.is_empty() || found.raw && !found.redact.is_empty());
        is_good.then_some(found)
    }

    fn recording(&self, dirs: &Dirs, name: &str) -> Recording {
        Recording {
            store: dirs.captures.clone(),
            name: self.name.clone().unwrap_or_else(|| name.to_owned()),
            client: self.client.clone(),
            raw: self.raw,
            redact: self.redact.clone(),
            version: mcp_daemon::serve::version(),
        }
    }

    fn spec(&self, dirs: &Dirs) -> Option<Spec> {
        let (program, args) = self.command.split_first()?;
        Some(Spec {
            program: program.clone(),
            args: args.to_vec(),
            recording: self.recording(dirs, &name_of(program, args)),
            meeting: Some(mcp_daemon::place::Place::new(&dirs.daemon).taps()),
            guard: std::env::current_exe().ok(),
        })
    }
}

/// What a server is called that nobody named: by its package or script if another program runs it, else by its program.
fn name_of(program: &OsString, args: &[OsString]) -> String {
    let stem = |word: &OsString| Path::new(word).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let program = stem(program);
    let runs_another =
        ["npx", "uvx", "bunx", "node", "deno", "bun", "python", "python3", "uv", "pipx", "docker", "sh", "bash", "env"];
    if !runs_another.contains(&program.as_str()) {
        return program;
    }
    let subcommands = ["run", "exec", "dlx", "tool", "x"];
    let what = args.iter().find(|word| {
        let word = word.to_string_lossy();
        !word.starts_with('-') && !subcommands.contains(&word.as_ref()) && !word.contains(' ')
    });
    what.map(stem).filter(|name| !name.is_empty()).map_or(program, |name| name.split('@').next().unwrap_or(&name).to_owned())
}

/// Wraps, and ends as the server did.
fn wrap(spec: &Spec) -> u8 {
    match tap::run(spec) {
        Ok(Ending::Code(code)) => code,
        Ok(Ending::Signal(signal)) => {
            signals::die(signal);
            // It could not be: then as a shell says it.
            128_u8.saturating_add(u8::try_from(signal).unwrap_or(127))
        }
        Err(error) => {
            // Nobody can be told when that is closed.
            let _ = writeln!(std::io::stderr(), "error: {}: {}", error, error.source);
            if error.source.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_quick_way_reads_what_the_whole_command_line_reads() {
        for line in [
            "-- a",
            "-- a -- b --name c",
            "--name x --client=y --raw -- a b",
            "--redact a --redact=b -- c",
            "--raw --redact a -- c",
            "--name",
            "--name x",
            "--unknown -- a",
            "--",
        ] {
            let words = || line.split_whitespace().map(OsString::from);
            let dirs = Dirs::from_env(&|name| (name == "HOME").then(|| "/h".into())).expect("a home is enough");
            let slow = Line::try_parse_from(std::iter::once(OsString::from("tap")).chain(words())).ok();
            let slow = slow.and_then(|line| line.args.wrap.spec(&dirs));
            let quick = Wrap::read(words()).and_then(|wrap| wrap.spec(&dirs));
            assert_eq!(format!("{quick:?}"), format!("{slow:?}"), "{line}");
        }
    }

    #[test]
    fn a_server_is_named_after_what_is_really_run() {
        let name = |line: &str| {
            let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            name_of(&words[0], &words[1..])
        };
        assert_eq!(name("/usr/bin/my-server --port 1"), "my-server");
        assert_eq!(name("npx -y @scope/server-everything@1.2"), "server-everything");
        assert_eq!(name("uv run server.py"), "server");
        assert_eq!(name("npx"), "npx");
    }
}
