//! The command line: one enum variant and one match arm per command. What a command takes is in its own file.

use clap::{Args, ColorChoice, Parser, Subcommand};
use clap_complete::engine::ArgValueCompleter;
use mcp_clients::descriptor::Scope;

use crate::cmd;
use crate::complete;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::Ui;

/// One name, one switchboard and one flight recorder for every MCP server on this machine
///
/// `mcp` finds the AI clients on this machine and installs, lists, copies and removes MCP servers in their configuration
/// files. It changes only the bytes that have to change, and takes every change back with `mcp undo`.
#[derive(Debug, Parser)]
#[command(
    name = "mcp",
    bin_name = "mcp",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Examples:\n  mcp clients                               AI clients and their files\n  mcp list                                  every server in every client\n  mcp install github --client claude-code   a well-known server\n  mcp install npm:@playwright/mcp -c zed    an npm package\n  mcp undo                                  take the last change back\n\nExit codes: 0 done, 1 the answer is no, 2 wrong command line, 3 a file could not be read or changed, 4 something did not answer, 70 a bug in mcp, 130 interrupted"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Switches every command has.
#[derive(Debug, Args)]
struct Global {
    /// When to colour output
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Global options")]
    color: ColorChoice,
    /// Print the answer and errors only
    #[arg(long, short, global = true, help_heading = "Global options")]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Clients(cmd::clients::Args),
    List(cmd::list::Args),
    Install(Box<cmd::install::Args>),
    Uninstall(cmd::uninstall::Args),
    Disable(cmd::switch::DisableArgs),
    Enable(cmd::switch::EnableArgs),
    Share(Box<cmd::share::ShareArgs>),
    Unshare(cmd::share::UnshareArgs),
    Undo(cmd::undo::Args),
    Login(cmd::login::LoginArgs),
    Logout(cmd::login::LogoutArgs),
    RunOnce(Box<cmd::run_once::Args>),
    Tap(Box<cmd::tap::Args>),
    Daemon(cmd::daemon::Args),
    Ps(cmd::daemon::StatusArgs),
    Serve(cmd::serve::Args),
    Trace(cmd::trace::Args),
    Mock(cmd::mock::Args),
    Verify(cmd::verify::Args),
    Demo(cmd::demo::Args),
    Config(cmd::config::Args),
    Completions(cmd::completions::Args),
    Man(cmd::man::Args),
    Version(cmd::version::Args),
    #[command(hide = true)]
    Util(cmd::util::Args),
}

/// Reads the command line and runs the command.
pub(crate) fn run() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let wanted = !error.use_stderr();
            // Help that nobody reads is no failure.
            let _ = error.print();
            return if wanted { Exit::Done } else { Exit::Usage };
        }
    };
    match cli.global.color {
        ColorChoice::Always => anstream::ColorChoice::Always.write_global(),
        ColorChoice::Never => anstream::ColorChoice::Never.write_global(),
        ColorChoice::Auto => {}
    }
    let ui = Ui::new(cli.global.quiet);
    dispatch(ui, cli.command).unwrap_or_else(|failure| failure.print(ui))
}

fn dispatch(ui: Ui, command: Command) -> Result<Exit, Failure> {
    match command {
        // These need no home directory.
        Command::RunOnce(args) => cmd::run_once::run(ui, &args),
        Command::Tap(args) if !args.is_about_clients() => cmd::tap::run(ui, &args),
        Command::Serve(args) => cmd::serve::run(ui, &args),
        Command::Completions(args) => cmd::completions::run(ui, &args),
        Command::Man(args) => cmd::man::run(ui, &args),
        Command::Version(args) => Ok(cmd::version::run(ui, &args)),
        Command::Util(args) => cmd::util::run(ui, &args),
        other => at_home(&Ctx::new(ui)?, other),
    }
}

/// The commands that look at clients' files.
fn at_home(ctx: &Ctx, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Clients(args) => cmd::clients::run(ctx, &args),
        Command::List(args) => cmd::list::run(ctx, &args),
        Command::Install(args) => cmd::install::run(ctx, &args),
        Command::Uninstall(args) => cmd::uninstall::run(ctx, &args),
        Command::Disable(args) => cmd::switch::disable(ctx, &args),
        Command::Enable(args) => cmd::switch::enable(ctx, &args),
        Command::Share(args) => cmd::share::share(ctx, &args),
        Command::Unshare(args) => cmd::share::unshare(ctx, &args),
        Command::Tap(args) if args.is_about_clients() => cmd::tap::in_files(ctx, &args),
        Command::Undo(args) => cmd::undo::run(ctx, &args),
        Command::Login(args) => cmd::login::login(ctx, &args),
        Command::Logout(args) => cmd::login::logout(ctx, &args),
        Command::Daemon(args) => cmd::daemon::run(ctx, &args),
        Command::Ps(args) => cmd::daemon::status(ctx, &args),
        Command::Demo(args) => cmd::demo::run(ctx, &args),
        Command::Trace(args) => cmd::trace::run(ctx, &args),
        Command::Mock(args) => cmd::mock::run(ctx, &args),
        Command::Verify(args) => cmd::verify::run(ctx, &args),
        Command::Config(args) => cmd::config::run(ctx, &args),
        other => dispatch(ctx.ui, other),
    }
}

/// Runs a command line in surroundings of the caller's choice.
pub(crate) fn run_in(ctx: &Ctx, words: &[&str]) -> Result<Exit, Failure> {
    let cli = Cli::try_parse_from(std::iter::once("mcp").chain(words.iter().copied())).map_err(Failure::usage)?;
    at_home(ctx, cli.command)
}

/// Which clients a command is about.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Which {
    /// A client, by its id (repeat it, or separate several by commas)
    #[arg(long = "client", short, value_name = "CLIENT", value_delimiter = ',', add = ArgValueCompleter::new(complete::clients))]
    pub(crate) clients: Vec<String>,
}

/// An installed server, and what to do about it how.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server's name
    #[arg(add = ArgValueCompleter::new(complete::servers))]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Only this scope
    #[arg(long, value_enum)]
    pub(crate) scope: Option<ScopeArg>,
    #[command(flatten)]
    pub(crate) doing: Doing,
}

/// How a change is made.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Doing {
    /// Show what would change and write nothing
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    /// Answer yes to every question
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Show secrets instead of masking them
    #[arg(long)]
    pub(crate) reveal: bool,
}

/// `user`, `project` or `local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ScopeArg {
    /// Everything you do
    User,
    /// This folder, shared with everyone who has it
    Project,
    /// This folder, for you only
    Local,
}

impl From<ScopeArg> for Scope {
    fn from(scope: ScopeArg) -> Self {
        match scope {
            ScopeArg::User => Self::User,
            ScopeArg::Project => Self::Project,
            ScopeArg::Local => Self::Local,
        }
    }
}
