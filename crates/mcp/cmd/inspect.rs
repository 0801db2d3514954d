//! `mcp inspect`: the screen on which one sees what clients and servers say.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap_complete::engine::ArgValueCompleter;
use mcp_capture::store::{FindError, Store};
use mcp_tui::app::{App, Inbox, Msg};
use mcp_tui::terminal;
use mcp_tui::theme::{Background, Theme};

use crate::complete;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;

mod live;
mod outside;
mod peer;
mod perform;
mod watch;

/// See what clients and servers really say
///
/// Without anything, all recorded sessions: those that go on now and those of the past. With a session, that one. With a
/// server's name, a command or an address, the inspector is the client itself: it opens the server, records what is said and
/// lets you call its tools. `?` shows the keys of each screen.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mcp inspect                              sessions, live and past\n  mcp inspect latest                       the newest one\n  mcp inspect recording.mcpcap             a file somebody sent\n  mcp inspect github                       a server of your clients: its last session, or call it yourself\n  mcp inspect -- npx -y @scope/server      be the client of a command\n  mcp inspect --url https://host/mcp       be the client of a remote server\n\nRecord first: `mcp tap attach NAME` for the servers of your clients, or press `A` on the first screen"
)]
pub(crate) struct Args {
    /// A session (name, beginning of one, `latest`, a file) or the name of a server
    #[arg(value_name = "SESSION|SERVER", add = ArgValueCompleter::new(complete::sessions_and_servers), conflicts_with_all = ["command", "url"])]
    what: Option<String>,
    /// Open this server of the daemon, and record it from now on
    #[arg(long, value_name = "SERVER", conflicts_with_all = ["what", "command", "url"])]
    attach: Option<String>,
    /// Be the client of a remote server
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    url: Option<String>,
    /// Only rows that fit this filter
    #[arg(long, short, value_name = "FILTER")]
    filter: Option<String>,
    /// The ground the letters stand on [default: as the terminal says]
    #[arg(long, value_name = "GROUND", value_enum)]
    background: Option<Ground>,
    /// Leave the mouse to the terminal
    #[arg(long)]
    no_mouse: bool,
    /// Be the client of this command
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What the letters stand on.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Ground {
    /// Dark letters.
    Light,
    /// Light letters.
    Dark,
}

/// What is opened first.
enum First {
    Sessions,
    Session(PathBuf),
    Peer(peer::Start),
    Daemon(String),
}

/// Runs it.
pub(crate) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    if let Some(filter) = &args.filter {
        crate::cmd::trace::filter(std::slice::from_ref(filter))?;
    }
    let store = Store::of(&ctx.dirs);
    let first = first(ctx, &store, args)?;
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        let failure = Failure::usage(anyhow::anyhow!("the inspector needs a terminal on both ends"));
        return Err(failure.hint("`mcp trace show`, `tail`, `grep` and `export` say the same in a pipe; `mcp trace --help`"));
    }
    let background = args.background.map(|ground| match ground {
        Ground::Light => Background::Light,
        Ground::Dark => Background::Dark,
    });
    let theme = Theme::detect(background, |name| std::env::var(name).ok());
    let inbox = Inbox::default();
    let offset = jiff::ZonedDateTime::now().offset().seconds();
    let history = outside::read_history(&ctx.dirs);
    let mut app = App::new(theme, Inbox::clone(&inbox), history, offset);
    let mut screen = terminal::Session::start(terminal::Options { has_mouse: !args.no_mouse })
        .map_err(|e| Failure::missing(anyhow::Error::new(e).context("take over the terminal")))?;
    let mut performer = perform::Performer::new(ctx, store, inbox, screen.waker());
    if let Ok((width, height)) = crossterm::terminal::size() {
        performer.tell(Msg::Resize(width, height));
    }
    match first {
        First::Sessions => performer.list_sessions(),
        First::Session(path) => performer.open(&path),
        First::Peer(start) => performer.be_client(&start),
        First::Daemon(name) => performer.record(&name),
    }
    if let Some(filter) = &args.filter {
        performer.tell(Msg::Filter(filter.clone()));
    }
    let ran = screen.run(&mut app, &mut |effect, screen| {
        performer.perform(effect, screen);
        Ok(())
    });
    drop(screen);
    performer.end();
    ran.map_err(|e| Failure::missing(anyhow::Error::new(e).context("draw on the terminal")))?;
    if let Some(summary) = app.summary() {
        ctx.ui.note(&summary);
    }
    Ok(Exit::Done)
}

fn first(ctx: &Ctx, store: &Store, args: &Args) -> Result<First, Failure> {
    if let Some(name) = &args.attach {
        return Ok(First::Daemon(name.clone()));
    }
    if let Some(url) = &args.url {
        let program =
            std::env::current_exe().map_err(|e| Failure::missing(anyhow::Error::new(e).context("find this program")))?;
        let command = vec![
            program.to_string_lossy().into_owned(),
            "run-once".to_owned(),
            "--ephemeral=0".to_owned(),
            "--url".to_owned(),
            url.clone(),
        ];
        return Ok(First::Peer(peer::Start::new(url, command)));
    }
    if !args.command.is_empty() {
        let name =
            std::path::Path::new(&args.command[0]).file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        return Ok(First::Peer(peer::Start::new(&name, args.command.clone())));
    }
    let Some(what) = &args.what else { return Ok(First::Sessions) };
    match store.find(what) {
        Ok(path) => Ok(First::Session(path)),
        Err(FindError::None { .. }) => {
            if let Some(start) = peer::of_client(ctx, what) {
                Ok(First::Peer(start))
            } else {
                let failure = Failure::missing(anyhow::anyhow!("there is no session and no server `{what}`"));
                Err(failure.hint("`mcp inspect` lists the sessions, `mcp list` the servers"))
            }
        }
        Err(e) => Err(Failure::missing(anyhow::Error::new(e))),
    }
}
