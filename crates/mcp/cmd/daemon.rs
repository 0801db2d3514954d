//! `mcp daemon`: the process behind `mcp run-once`.

mod login;
mod screen;
mod tail;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use clap_complete::engine::ArgValueCompleter;
use mcp_daemon::client::{self, AskError};
use mcp_daemon::control::{Reply, Request};
use mcp_daemon::place::Place;
use mcp_daemon::serve::{self, ServeError};
use mcp_os::dirs::Dirs;

use crate::complete;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::{BAD, count};

/// Look after the shared servers that `mcp run-once` starts
///
/// One daemon serves all shared servers of a user. It starts with the first of them and leaves a minute after the last.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mcp daemon status                 what runs, for whom, how fast\n  mcp daemon url docs               an address for clients that take one\n  mcp daemon logs -f docs           what the server says\n  mcp daemon record docs            what is said, into a capture\n  mcp daemon stop docs              end one; `--all` ends all and the daemon\n  mcp daemon enable                 start the servers that stay at login\n\nExit codes: 1 nothing of that name is running, 4 the daemon does not answer"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Daemon,
}

#[derive(Debug, Subcommand)]
enum Daemon {
    /// Show every shared server, its clients and how it does (also `mcp ps`)
    Status(StatusArgs),
    /// Print a URL at which a server can be reached; it stays from then on
    Url {
        /// The server
        #[arg(add = ArgValueCompleter::new(complete::running_servers))]
        name: String,
    },
    /// Record what a server and its clients say, on both sides of the daemon; prints the capture's file
    Record {
        /// The server
        #[arg(add = ArgValueCompleter::new(complete::running_servers))]
        name: String,
        /// It is enough
        #[arg(long)]
        stop: bool,
    },
    /// Start the servers that stay, or one of them
    Start {
        /// The server
        #[arg(add = ArgValueCompleter::new(complete::running_servers))]
        name: Option<String>,
    },
    /// End a server when its calls are answered
    Stop {
        /// The server
        #[arg(add = ArgValueCompleter::new(complete::running_servers), required_unless_present = "all")]
        name: Option<String>,
        /// All servers, and the daemon
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
    /// Replace the daemon by a new one; sessions that are busy end first
    Restart,
    /// Print a server's log
    Logs {
        /// The server
        #[arg(add = ArgValueCompleter::new(complete::running_servers))]
        name: String,
        /// Go on as it grows
        #[arg(long, short)]
        follow: bool,
        /// So many lines from the end
        #[arg(long, short = 'n', default_value_t = 100, value_name = "LINES")]
        lines: usize,
    },
    /// End servers nobody uses; remove logs, sockets and records nobody needs
    Gc,
    /// Start the daemon at login, and with it the servers that stay
    Enable {
        /// Show what would be written and run
        #[arg(long, short = 'n')]
        dry_run: bool,
    },
    /// Do not start the daemon at login any more
    Disable {
        /// Show what would be removed and run
        #[arg(long, short = 'n')]
        dry_run: bool,
    },
    /// Be the daemon
    #[command(hide = true)]
    Run {
        /// Somebody else's daemon is as good: one that runs already is no failure
        #[arg(long)]
        login: bool,
    },
}

/// `mcp daemon status` and `mcp ps`.
#[derive(Debug, clap::Args)]
#[command(about = "Show every shared server, its clients and how it does")]
pub(crate) struct StatusArgs {
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let place = Place::new(&ctx.dirs.daemon);
    match &args.command {
        Daemon::Status(args) => status(ctx, args),
        Daemon::Url { name } => url(ctx, &place, name),
        Daemon::Record { name, stop } => record(ctx, &place, name, *stop),
        Daemon::Start { name } => start(ctx, &place, name.as_deref()),
        Daemon::Stop { name, .. } => stop(ctx, &place, name.as_deref()),
        Daemon::Restart => {
            let had_one = client::restart(&place).map_err(asked)?;
            ctx.ui.note(if had_one { "The daemon was replaced by a new one" } else { "The daemon was started" });
            Ok(Exit::Done)
        }
        Daemon::Logs { name, follow, lines } => tail::logs(ctx, &place, name, *follow, *lines),
        Daemon::Gc => gc(ctx, &place),
        Daemon::Enable { dry_run } => login::enable(ctx, *dry_run),
        Daemon::Disable { dry_run } => login::disable(ctx, *dry_run),
        Daemon::Run { login } => Ok(match serve::run(&ctx.dirs) {
            Err(ServeError::Running(_)) if *login => Exit::Done,
            Ok(()) => Exit::Done,
            Err(error) => told(&error),
        }),
    }
}

/// The daemon, started without the rest of the program.
pub(crate) fn run_here() -> ExitCode {
    if mcp_os::detach::step_aside() {
        return ExitCode::SUCCESS;
    }
    let ended = match Dirs::from_env(&|name| std::env::var_os(name)) {
        Ok(dirs) => serve::run(&dirs).map_err(|e| told(&e)).err(),
        Err(error) => {
            mcp_os::detach::report(&format!("error {error}"));
            Some(Exit::Usage)
        }
    };
    crate::exit::to_code(ended.unwrap_or(Exit::Done))
}

/// Tells whoever started the daemon, and its log, why there is none.
fn told(error: &ServeError) -> Exit {
    let text = mcp_os::causes::on_one_line(error);
    let _ = writeln!(std::io::stderr(), "error: {text}");
    mcp_os::detach::report(&format!("error {text}"));
    match error {
        ServeError::Running(_) => Exit::No,
        ServeError::Runtime(_) => Exit::NoAnswer,
        _ => Exit::File,
    }
}

pub(crate) fn asked(error: AskError) -> Failure {
    Failure::no_answer(error)
}

/// An answer that may be no.
fn accepted(reply: Reply) -> Result<Reply, Failure> {
    match reply {
        Reply::No { exit, text } => {
            let mut failure = Failure::no_answer(anyhow::anyhow!("{text}"));
            failure.exit = Exit::of(exit);
            Err(failure)
        }
        other => Ok(other),
    }
}

fn none_runs() -> Failure {
    let mut failure = Failure::no_answer(anyhow::anyhow!("no daemon is running"));
    failure.exit = Exit::No;
    failure.hint("it starts with the first `mcp run-once`, or by `mcp daemon start`")
}

pub(crate) fn status(ctx: &Ctx, args: &StatusArgs) -> Result<Exit, Failure> {
    let report = client::status(&Place::new(&ctx.dirs.daemon)).map_err(asked)?;
    if args.json {
        ctx.ui.out(serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        screen::show(ctx, &report);
    }
    Ok(Exit::Done)
}

fn url(ctx: &Ctx, place: &Place, name: &str) -> Result<Exit, Failure> {
    let reply = client::ask_or_start(place, &Request::Url { name: name.to_owned() }).map_err(asked)?;
    if let Reply::Url(url) = accepted(reply)? {
        ctx.ui.out(url);
        ctx.ui.note(format_args!("Whoever knows it can use `{name}`. It stays until `mcp daemon stop {name}`"));
    }
    Ok(Exit::Done)
}

fn record(ctx: &Ctx, place: &Place, name: &str, stop: bool) -> Result<Exit, Failure> {
    let request = Request::Record { name: name.to_owned(), stop };
    let reply = client::ask(place, &request).map_err(asked)?.ok_or_else(none_runs)?;
    if let Reply::Recording { path, .. } = accepted(reply)? {
        ctx.ui.out(path.display());
        ctx.ui.note(if stop {
            "Nothing more is recorded".to_owned()
        } else {
            format!("Recorded until the server ends, or `mcp daemon record {name} --stop`")
        });
    }
    Ok(Exit::Done)
}

fn start(ctx: &Ctx, place: &Place, name: Option<&str>) -> Result<Exit, Failure> {
    let reply = client::ask_or_start(place, &Request::Start { name: name.map(str::to_owned) }).map_err(asked)?;
    if let Reply::Done(names) = accepted(reply)? {
        ctx.ui.note(if names.is_empty() {
            "The daemon runs; no server is to stay".to_owned()
        } else {
            format!("Started {}", names.join(", "))
        });
    }
    Ok(Exit::Done)
}

fn stop(ctx: &Ctx, place: &Place, name: Option<&str>) -> Result<Exit, Failure> {
    let request = Request::Stop { name: name.map(str::to_owned) };
    let found = name.is_none() && !client::ask_leaving(place, &request).is_empty();
    match client::ask(place, &request).map_err(asked)? {
        Some(reply) => {
            if let Reply::Done(names) = accepted(reply)? {
                match name {
                    Some(name) => ctx.ui.note(format_args!("Stopped `{name}`")),
                    None => ctx.ui.note(format_args!("Stopped {} and the daemon", count(names.len(), "server"))),
                }
            }
        }
        None if !found => return Err(none_runs()),
        None => {}
    }
    Ok(Exit::Done)
}

fn gc(ctx: &Ctx, place: &Place) -> Result<Exit, Failure> {
    let done = match client::ask(place, &Request::Gc).map_err(asked)? {
        Some(reply) => match accepted(reply)? {
            Reply::Done(done) => done,
            _ => Vec::new(),
        },
        None => mcp_daemon::serve::tidy(place).map_err(|e| Failure::file(anyhow::anyhow!("{e}")))?,
    };
    for thing in &done {
        ctx.ui.out(format_args!("removed {thing}"));
    }
    if done.is_empty() {
        ctx.ui.note("Nothing to tidy up");
    }
    Ok(Exit::Done)
}

/// A problem, as status has it.
fn problem(text: &str) -> String {
    format!("{BAD}!{BAD:#} {text}")
}
