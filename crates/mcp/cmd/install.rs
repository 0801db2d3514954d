//! `mcp install`: put a server into clients' files.

use clap_complete::engine::ArgValueCompleter;
use mcp_clients::descriptor::{Descriptor, Scope};
use mcp_clients::engine::{Job, JobError, Step};
use mcp_clients::entry::{Entry, Launch};
use mcp_clients::locate;
use mcp_clients::plan::{self, Change};
use mcp_clients::secret;
use mcp_clients::share::{RunOnce, inner};

use crate::args::{Doing, ScopeArg, Which};
use crate::changes::{self, Item, Manner};
use crate::cmd::share::{self, Known, Sharing};
use crate::complete;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;

mod gather;
mod targets;

/// Put a server into clients' files
///
/// SOURCE is a bundled server (`calculator`), a well-known one (`github`; see the list with `mcp install` on a terminal),
/// `npm:PACKAGE[@VERSION]`, `pypi:PACKAGE[==VERSION]`, `docker:IMAGE[:TAG]` or an address. `-- COMMAND ARGS…` installs
/// any command; after a SOURCE, `-- ARGS…` are further arguments for the server. Without anything, a short dialogue.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "add",
    after_help = "Examples:\n  mcp install     a short dialogue\n  mcp install github --client claude-code --env GITHUB_PERSONAL_ACCESS_TOKEN\n  mcp install npm:@playwright/mcp@latest --all-clients --dry-run\n  mcp install filesystem --client codex -- ~/Documents\n  mcp install https://mcp.sentry.dev/mcp --client cursor,zed\n  mcp install --name build --client goose -- node ./server.js --port 0\n  mcp install --from-json @snippet.json --client opencode\n  mcp install --from claude-code github --client codex\n  mcp install npm:@playwright/mcp --all-clients --shared --isolate client"
)]
pub(crate) struct Args {
    /// What to install
    #[arg(add = ArgValueCompleter::new(complete::sources), conflicts_with_all = ["from_json", "from"])]
    source: Option<String>,
    /// The command to install, or further arguments for SOURCE
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["from_json", "from"])]
    words: Vec<String>,
    /// A snippet in any client's dialect: the text, @FILE, or - for standard input
    #[arg(long, value_name = "TEXT|@FILE|-", conflicts_with = "from")]
    from_json: Option<String>,
    /// Copy the entry NAME from CLIENT
    #[arg(long, num_args = 2, value_names = ["CLIENT", "NAME"])]
    from: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Every client that is installed here
    #[arg(long, conflicts_with = "clients")]
    all_clients: bool,
    /// For whom
    #[arg(long, value_enum)]
    scope: Option<ScopeArg>,
    /// The server's name in the clients
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A variable for the server; without a value, its client's own
    #[arg(long, short, value_name = "K[=V]")]
    env: Vec<String>,
    /// A header for a remote server
    #[arg(long, short = 'H', value_name = "K: V")]
    header: Vec<String>,
    /// The server's working directory
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// How long the client waits for an answer: 500ms, 30s, 2m
    #[arg(long, value_name = "TIME", value_parser = gather::duration)]
    timeout: Option<std::time::Duration>,
    /// How the server speaks, where SOURCE leaves that open
    #[arg(long, value_enum)]
    transport: Option<gather::TransportArg>,
    /// Replace an entry of the same name that means something else
    #[arg(long, short)]
    force: bool,
    /// Let the server run once for all its clients: the entries join it through `mcp run-once`
    #[arg(long)]
    shared: bool,
    #[command(flatten)]
    doing: Doing,
    #[command(flatten)]
    sharing: Sharing,
}

/// A server to install.
struct Wanted {
    name: String,
    entry: Entry,
    /// It is another client's, whose forms it may hold.
    copied: bool,
    notes: Vec<String>,
}

pub(crate) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let wanted = gather::servers(ctx, args)?;
    let clients = targets::clients(ctx, args)?;
    let mut sharing = sharing(ctx, args, &wanted, &clients)?;
    for note in wanted.iter().flat_map(|w| &w.notes) {
        ctx.ui.note(note);
    }
    let mut items = Vec::new();
    for (client, scope) in &clients {
        for server in &wanted {
            items.push(item(ctx, client, *scope, server, args.force, sharing.as_mut()));
        }
    }
    let explicit = !args.which.clients.is_empty();
    if !explicit && !args.doing.yes && !args.doing.dry_run && !ctx.ui.can_ask {
        return Err(Failure::missing("nobody is there to confirm a change of every client")
            .hint("`--yes` confirms it, `--dry-run` shows it, `--client` names the clients"));
    }
    let manner = Manner {
        verb: "install",
        command: command_line(args, &wanted),
        dry_run: args.doing.dry_run,
        ask: !args.doing.yes && !args.doing.json,
        json: args.doing.json,
        reveal: args.doing.reveal,
    };
    let finished = changes::run(ctx, &manner, items)?;
    if finished.undo.is_some() && !manner.json {
        warn_about_programs(ctx, &wanted);
    }
    Ok(finished.exit)
}

/// What the entries are wrapped in.
struct Wrapping {
    how: RunOnce,
    known: Known,
}

fn sharing(ctx: &Ctx, args: &Args, wanted: &[Wanted], clients: &[(&Descriptor, Scope)]) -> Result<Option<Wrapping>, Failure> {
    let options = args.sharing.words();
    if !args.shared {
        let Some(first) = options.first() else { return Ok(None) };
        let flag = first.split('=').next().unwrap_or_default();
        return Err(Failure::missing(format_args!("`{flag}` is for a shared server")).hint("add `--shared`"));
    }
    // An entry that is replaced no longer has a name that another could want.
    let replaced = |client: &str, scope: Scope, server: &str| {
        clients.iter().any(|(c, s)| c.id == client && *s == scope) && wanted.iter().any(|w| w.name == server)
    };
    let home = ctx.platform.var("MCP_HOME").map(str::to_owned);
    let how = RunOnce { program: share::known_program()?, name: String::new(), options, home };
    Ok(Some(Wrapping { how, known: Known::survey(ctx, replaced) }))
}

impl Wrapping {
    /// The entry as one that joins a shared server, and what to know about it.
    fn wrap(&mut self, client: &Descriptor, server: &Wanted) -> (Entry, Option<String>) {
        let (name, note) = self.known.name(&server.name, client, &server.entry.launch);
        let how = RunOnce { name, ..self.how.clone() };
        let inner = inner(&server.entry.launch);
        let launch = if client.entry.fills_in_arguments() { how.wrap(&inner) } else { how.wrap_handing_on(&inner) };
        (Entry { launch, ..server.entry.clone() }, note)
    }
}

fn item<'c>(
    ctx: &Ctx,
    client: &'c Descriptor,
    scope: Scope,
    server: &Wanted,
    force: bool,
    sharing: Option<&mut Wrapping>,
) -> Item<'c> {
    let os = ctx.platform.os;
    let (mut job, mut paste) = (Err(nowhere(client, scope)), None);
    if let Some(site) =
        locate::sites(client, &ctx.platform, &ctx.project).into_iter().find(|s| s.is_target && s.file.scope == scope)
    {
        let for_everyone = sharing.as_ref().and_then(|_| share::of_everyone(&site));
        let (file, project, warning) = (site.file, site.project.clone(), site.warning);
        let (entry, note) = sharing.map_or_else(|| (server.entry.clone(), None), |sharing| sharing.wrap(client, server));
        let notes: Vec<String> = warning.into_iter().chain(note).chain(for_everyone).collect();
        paste = plan::snippet(client, file, project.as_deref(), &server.name, &entry, os).ok();
        let change = Change::Install { name: server.name.clone(), entry, force };
        job = Ok(Job {
            client: client.id.clone(),
            scope,
            path: site.path,
            lock: file.lock.clone(),
            planner: Box::new(move |text| {
                let mut planned = plan::plan(client, file, project.as_deref(), text, &change, os)?;
                planned.notes.extend(notes.iter().cloned());
                Ok(Step::planned(planned))
            }),
        });
    }
    if let Some((path, effect)) = locate::managed(client, &ctx.platform) {
        job = Err(JobError::Managed { path, effect: effect.to_owned() });
    }
    Item { client: Some(client), id: client.id.clone(), scope, server: server.name.clone(), job, paste, secrets: Vec::new() }
}

/// Why a client has no file for a scope, and what there is instead.
pub(crate) fn nowhere(client: &Descriptor, scope: Scope) -> JobError {
    if !client.manual.is_empty() {
        return JobError::NoFile(format!(
            "{} keeps its servers where no other program can write them. By hand:\n  {}",
            client.name,
            client.manual.join("\n  ")
        ));
    }
    if client.files.iter().any(|f| f.scope == scope && f.only_existing) {
        return JobError::NoFile(format!("{} has not made its file yet: start it once, then run this again", client.name));
    }
    let mut scopes: Vec<&str> = client.files.iter().map(|f| f.scope).filter(|s| *s != Scope::System).map(Scope::word).collect();
    scopes.dedup();
    JobError::NoFile(format!("{} has no {scope} scope; it has {}", client.name, scopes.join(", ")))
}

/// The command line as the journal remembers it: enough to recognise, without values that may be secret.
fn command_line(args: &Args, wanted: &[Wanted]) -> String {
    let mut words = vec!["mcp install".to_owned()];
    match (&args.source, args.from.as_slice(), &args.from_json) {
        (Some(source), ..) => words.push(secret::mask_word(source)),
        (_, [client, name], _) => words.push(format!("--from {client} {name}")),
        (.., Some(_)) => words.push("--from-json …".to_owned()),
        _ => {}
    }
    let names: Vec<&str> = wanted.iter().map(|w| w.name.as_str()).collect();
    if args.source.as_deref() != Some(names[0]) && args.from.is_empty() {
        words.push(format!("--name {}", names.join(",")));
    }
    for client in &args.which.clients {
        words.push(format!("--client {client}"));
    }
    if args.all_clients {
        words.push("--all-clients".to_owned());
    }
    if let Some(scope) = args.scope {
        words.push(format!("--scope {}", Scope::from(scope)));
    }
    if args.shared {
        words.push("--shared".to_owned());
    }
    words.join(" ")
}

/// A server whose program is missing was installed all the same; its user should know before the client says so.
fn warn_about_programs(ctx: &Ctx, wanted: &[Wanted]) {
    let mut told: Vec<String> = Vec::new();
    for server in wanted {
        let Launch::Stdio(stdio) = inner(&server.entry.launch) else { continue };
        let Some(program) = stdio.command.as_literal() else { continue };
        if ctx.find(program).is_some() || told.iter().any(|t| t == program) {
            continue;
        }
        told.push(program.to_owned());
        let where_from = match program {
            "npx" | "node" | "npm" => ": it comes with Node.js",
            "uvx" | "uv" => ": it comes with uv",
            "docker" => ": it comes with Docker",
            _ => "",
        };
        ctx.ui.warn(format_args!("`{program}` is not on this shell's PATH, so `{}` cannot start yet{where_from}", server.name));
    }
}
