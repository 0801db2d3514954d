//! `mcp run-once`: one server for everybody who names the same command.
//!
//! A client starts this in place of its server, and has many of them running: what takes no option out of the ordinary is
//! read without building the whole command line, and nothing but a pump is started ([`quick`]).

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use mcp_clients::descriptor::Syntax;
use mcp_clients::text::{Piece, Text};
use mcp_daemon::call::{self, Call, Lifetime, Options, What};
use mcp_daemon::foreground::{self, ForegroundError};
use mcp_daemon::place::Place;
use mcp_daemon::shim::{self, Ended};
use mcp_os::dirs::Dirs;

use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::Ui;

/// Run a server once for everybody who names the same command
///
/// This is what a client's entry starts in place of its server. The first caller starts the server, later ones join it; each
/// sees it as though alone. Callers share a server when command, arguments, working directory and the variables that matter
/// are the same (docs/run-once.md has the rule).
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mcp run-once -- npx -y @playwright/mcp@latest\n  mcp run-once --name docs --persistent -- uvx my-docs-server\n  mcp run-once --env-key OPENAI_API_KEY -- uvx my-server\n  mcp run-once --url https://mcp.example.com/mcp\n  mcp run-once --http 127.0.0.1:8000 -- node server.js   in the foreground, as a URL\n\nExit codes: 0 the client left, or the server was stopped; 2 wrong command line, or a name that is taken; 4 the daemon or the server ended"
)]
pub(crate) struct Args {
    /// The server's name; without it, one is made of the command
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// End the server so long after its last client left [default: 30s]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "30s", value_parser = duration, conflicts_with = "persistent")]
    ephemeral: Option<Duration>,
    /// Keep the server until it is stopped
    #[arg(long)]
    persistent: bool,
    /// The protocol spoken with the server: as the first client speaks, by `initialize`, or by `server/discover`
    #[arg(long, value_name = "ERA", default_value = "auto")]
    upstream_era: UpstreamEra,
    /// What the server is told that its client can do: what the first one says, everything, nothing, or a JSON object
    #[arg(long, value_name = "first|full|none|JSON", default_value = "first", value_parser = capabilities)]
    client_capabilities: String,
    /// Give some clients a server of their own: each, those that declare other capabilities, each that has roots, each era
    #[arg(long, value_name = "BY")]
    isolate: Option<Isolate>,
    /// Who answers when the server asks something while several clients have calls on their way
    #[arg(long, value_name = "RULE", default_value = "baton")]
    attribution: Attribution,
    /// A further variable that tells servers apart (repeat it)
    #[arg(long = "env-key", value_name = "VAR")]
    env_keys: Vec<String>,
    /// Whether a server that ended by itself is started again
    #[arg(long, value_name = "WHEN", default_value = "on-failure")]
    restart: Restart,
    /// Serve it in the foreground as streamable HTTP at this address; print the URL first
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["persistent", "ephemeral", "isolate", "dummy"])]
    http: Option<String>,
    /// Let in whoever connects to that address (loopback only)
    #[arg(long, requires = "http")]
    no_token: bool,
    /// Keep a process alive while anybody is connected; offer no tools
    #[arg(long, conflicts_with = "url")]
    dummy: bool,
    /// A remote server instead of a command
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    url: Option<String>,
    /// A header for the remote server (repeat it); `${NAME}` in its value is that variable
    #[arg(long = "header", value_name = "NAME: VALUE", requires = "url", value_parser = header)]
    headers: Vec<String>,
    /// The command that starts the server
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "url")]
    command: Vec<OsString>,
}

/// How the server is spoken to.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum UpstreamEra {
    Auto,
    Legacy,
    Modern,
}

/// What sets servers apart.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Isolate {
    Client,
    Capabilities,
    Roots,
    Era,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Attribution {
    Baton,
    Strict,
    Reject,
}

/// When a server is started again.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Restart {
    Never,
    OnFailure,
}

fn duration(text: &str) -> Result<Duration, String> {
    call::duration(text).ok_or_else(|| "a duration is a number and `ms`, `s`, `m`, `h` or `d`: `30s`".to_owned())
}

fn header(text: &str) -> Result<String, String> {
    call::header(text).map(|_| text.to_owned()).ok_or_else(|| "a header is `Name: value`".to_owned())
}

fn capabilities(text: &str) -> Result<String, String> {
    match text {
        "first" | "full" | "none" => Ok(text.to_owned()),
        _ => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(serde_json::Value::Object(_)) => Ok(text.to_owned()),
            Ok(_) => Err("`first`, `full`, `none`, or a JSON object".to_owned()),
            Err(e) => Err(format!("`first`, `full`, `none`, or a JSON object ({e})")),
        },
    }
}

fn word<V: ValueEnum + Copy>(value: V) -> String {
    value.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}

impl Args {
    fn options(&self) -> Options {
        let mut words = self.command.iter().cloned();
        let what = match (&self.url, words.next()) {
            (Some(url), _) => What::Url(url.clone()),
            (None, program) if self.dummy => What::Dummy { program: program.unwrap_or_default(), args: words.collect() },
            (None, program) => What::Command { program: program.unwrap_or_default(), args: words.collect() },
        };
        Options {
            what,
            name: self.name.clone(),
            lifetime: if self.persistent {
                Lifetime::Persistent
            } else {
                Lifetime::Ephemeral(self.ephemeral.unwrap_or(call::LINGER))
            },
            upstream_era: word(self.upstream_era),
            client_capabilities: self.client_capabilities.clone(),
            isolate: self.isolate.map(word),
            attribution: word(self.attribution),
            restart: word(self.restart),
            env_keys: self.env_keys.clone(),
            headers: self.headers.clone(),
        }
    }
}

pub(crate) fn run(ui: Ui, args: &Args) -> Result<Exit, Failure> {
    let mut options = args.options();
    fill(&mut options, &|name| std::env::var(name).ok()).map_err(Failure::missing)?;
    if let Some(name) = &options.name {
        mcp_daemon::identity::check_name(name)
            .map_err(|why| Failure::missing(format_args!("`{name}` cannot be a name: {why}")))?;
    }
    let dirs = Dirs::from_env(&|name| std::env::var_os(name)).map_err(Failure::usage)?;
    if let Some(address) = &args.http {
        return foreground(ui, &dirs, address, args.no_token, options);
    }
    let ended = pump(dirs.daemon, options);
    let code = ended.exit;
    say(&ended);
    Ok(Exit::of(code))
}

/// One server as a URL, until somebody interrupts.
fn foreground(ui: Ui, dirs: &Dirs, address: &str, no_token: bool, options: Options) -> Result<Exit, Failure> {
    let call = call(options).map_err(|e| Failure::file(anyhow::Error::new(e).context("find the working directory")))?;
    let ended = foreground::run(dirs, &call, address, !no_token, |url| {
        ui.out(url);
    });
    match ended {
        Ok(()) => Ok(Exit::Done),
        Err(error @ ForegroundError::Open(_)) => Err(Failure::usage(error).hint(
            "without `--no-token` the URL holds a token that has to be known; on `127.0.0.1` only this machine reaches it",
        )),
        Err(error @ (ForegroundError::Address(_) | ForegroundError::Program(_) | ForegroundError::Option(_))) => {
            Err(Failure::usage(error))
        }
        Err(error) => Err(Failure::no_answer(error)),
    }
}

/// Runs what takes nothing but a pump, from the words behind `run-once`. `None`: the whole command line has to look at it.
pub(crate) fn quick(words: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mut options = quick_options(words)?;
    fill(&mut options, &|name| std::env::var(name).ok()).ok()?;
    let dirs = Dirs::from_env(&|name| std::env::var_os(name)).ok()?;
    let ended = pump(dirs.daemon, options);
    say(&ended);
    Some(ExitCode::from(ended.exit))
}

/// Fills in the variables of headers. Not every client does that in arguments, and what it fills in there can be seen in the list
/// of processes.
fn fill(options: &mut Options, var: &impl Fn(&str) -> Option<String>) -> Result<(), String> {
    for header in &mut options.headers {
        let mut filled = String::new();
        for piece in Text::parse(header, Syntax::DollarBrace).pieces() {
            match piece {
                Piece::Literal(text) => filled.push_str(text),
                Piece::Own { raw, .. } => filled.push_str(raw),
                Piece::Variable { name, default } => {
                    let value = var(name).or_else(|| default.clone());
                    filled.push_str(&value.ok_or_else(|| {
                        format!("the variable `{name}`, which a header needs, is not set: its client has to hand it on")
                    })?);
                }
            }
        }
        *header = filled;
    }
    Ok(())
}

fn pump(daemon: PathBuf, options: Options) -> Ended {
    match call(options) {
        Ok(call) => shim::run(&Place::new(daemon), call),
        Err(e) => Ended { exit: 3, text: Some(format!("find the working directory: {e}")) },
    }
}

/// The options, with everything of this process that matters to the server.
fn call(options: Options) -> std::io::Result<Call> {
    Ok(Call {
        options,
        cwd: std::env::current_dir()?,
        env: std::env::vars_os().collect(),
        pid: std::process::id(),
        version: mcp_daemon::serve::version(),
        ticket: None,
    })
}

/// Says on standard error how it ended: standard output belongs to the protocol.
fn say(ended: &Ended) {
    if let Some(text) = &ended.text {
        let kind = if ended.exit == 0 { "mcp" } else { "error" };
        // Nobody can be told when that is closed.
        let _ = writeln!(std::io::stderr(), "{kind}: {text}");
    }
}

/// The options, if each is known and spelt in the usual way, and all go together.
fn quick_options(mut words: impl Iterator<Item = OsString>) -> Option<Options> {
    let mut options = Options::new(What::Url(String::new()));
    let (mut is_dummy, mut is_persistent, mut linger, mut url) = (false, false, None, None);
    while let Some(word) = words.next() {
        let word = word.into_string().ok()?;
        if word == "--" {
            break;
        }
        let (key, attached) = word.split_once('=').map_or((word.as_str(), None), |(k, v)| (k, Some(v.to_owned())));
        let mut value = || attached.clone().or_else(|| words.next()?.into_string().ok()).filter(|v| !v.starts_with('-'));
        let one_of = |value: Option<String>, known: &[&str]| value.filter(|v| known.contains(&v.as_str()));
        match key {
            "--name" => options.name = Some(value().filter(|n| mcp_daemon::identity::check_name(n).is_ok())?),
            "--persistent" if attached.is_none() => is_persistent = true,
            "--ephemeral" => linger = Some(call::duration(attached.as_deref().unwrap_or("30s"))?),
            "--upstream-era" => options.upstream_era = one_of(value(), &["auto", "legacy", "modern"])?,
            "--client-capabilities" => options.client_capabilities = one_of(value(), &["first", "full", "none"])?,
            "--isolate" => options.isolate = Some(one_of(value(), &["client", "capabilities", "roots", "era"])?),
            "--attribution" => options.attribution = one_of(value(), &["baton", "strict", "reject"])?,
            "--env-key" => options.env_keys.push(value()?),
            "--header" => options.headers.push(value().filter(|h| call::header(h).is_some())?),
            "--restart" => options.restart = one_of(value(), &["never", "on-failure"])?,
            "--dummy" if attached.is_none() => is_dummy = true,
            "--url" => url = Some(value()?),
            _ => return None,
        }
    }
    options.lifetime = match (is_persistent, linger) {
        (true, Some(_)) => return None,
        (true, None) => Lifetime::Persistent,
        (false, linger) => Lifetime::Ephemeral(linger.unwrap_or(call::LINGER)),
    };
    options.what = match (url, words.next()) {
        (None, _) if !options.headers.is_empty() => return None,
        (Some(url), None) if !is_dummy => What::Url(url),
        (None, Some(program)) if is_dummy => What::Dummy { program, args: words.collect() },
        (None, Some(program)) => What::Command { program, args: words.collect() },
        _ => return None,
    };
    Some(options)
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

    fn both(line: &str) -> (Option<Options>, Option<Options>) {
        let words = || line.split_whitespace().map(OsString::from);
        let slow = Line::try_parse_from(std::iter::once(OsString::from("run-once")).chain(words())).ok();
        (quick_options(words()), slow.map(|l| l.args.options()))
    }

    #[test]
    fn variables_of_headers_are_filled_in() {
        let filled = |header: &str| {
            let mut options = Options { headers: vec![header.to_owned()], ..Options::new(What::Url("u".into())) };
            fill(&mut options, &|name| (name == "A").then(|| "a b".to_owned())).map(|()| options.headers.remove(0))
        };
        assert_eq!(filled("X: Bearer ${A}!").as_deref(), Ok("X: Bearer a b!"));
        assert_eq!(filled("X: ${B:-c} $A {A}").as_deref(), Ok("X: c $A {A}"));
        assert!(filled("X: ${B}").unwrap_err().contains("`B`"));
    }

    #[test]
    fn the_quick_way_reads_what_the_whole_command_line_reads() {
        for line in [
            "-- a",
            "-- a -- b --name c",
            "--name x -- a b",
            "--name=x --persistent -- a",
            "--ephemeral -- a",
            "--ephemeral=5m -- a",
            "--upstream-era modern --client-capabilities full --isolate roots --attribution strict --restart never -- a",
            "--env-key A --env-key=B -- a",
            "--dummy -- a b",
            "--url https://example.com/mcp",
            "--url https://example.com/mcp --header X-A:b --header=X-C:d",
        ] {
            let (quick, slow) = both(line);
            assert!(quick.is_some() && quick == slow, "{line}: {quick:?} {slow:?}");
        }
    }

    #[test]
    fn the_quick_way_leaves_the_rest_to_the_whole_command_line() {
        for line in [
            "",
            "--",
            "a",
            "--help",
            "--http :0 -- a",
            "--persistent --ephemeral -- a",
            "--persistent=yes -- a",
            "--ephemeral=soon -- a",
            "--name",
            "--name --persistent -- a",
            "--upstream-era new -- a",
            "--client-capabilities {} -- a",
            "--url https://example.com -- a",
            "--dummy --url https://example.com",
            "--header X:y -- a",
            "--header nonsense --url https://example.com/mcp",
            "--quiet -- a",
        ] {
            assert_eq!(both(line).0, None, "{line}");
        }
    }
}
