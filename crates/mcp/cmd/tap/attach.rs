//! `mcp tap attach` and `mcp tap detach`: a wrapper that records, around existing entries of clients, and away again.

use std::collections::BTreeSet;
use std::sync::Arc;

use clap_complete::engine::ArgValueCompleter;
use mcp_clients::descriptor::Scope;
use mcp_clients::engine::Step;
use mcp_clients::plan::{self, Change, Outcome};
use mcp_clients::survey::{self, Server};
use mcp_clients::tap::{self, Tap, Tapped};
use mcp_clients::undo;
use mcp_edit::Document;
use mcp_os::journal::{Journal, Record};

use crate::args::{Doing, ScopeArg, Which};
use crate::changes::Item;
use crate::cmd::share::{known_program, of_everyone};
use crate::cmd::uninstall::{finish, items_where};
use crate::complete;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;

/// Record what installed servers and their clients say
///
/// The entry then starts `mcp tap`, which starts the server as before and passes everything on. Only the launch changes;
/// variables, directories, time-outs and switches stay. `mcp tap detach` gives the entry back as it was.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mcp tap attach github --dry-run\n  mcp tap attach github --client claude-code,codex\n  mcp tap attach --all --yes"
)]
pub(crate) struct AttachArgs {
    /// The server's name
    #[arg(required_unless_present = "all", add = ArgValueCompleter::new(complete::servers))]
    name: Option<String>,
    #[command(flatten)]
    more: More,
}

/// Stop to record installed servers
///
/// When nobody touched the place since `mcp tap attach`, the file gets the very bytes back that it had. Otherwise the entry
/// is put together from what `mcp tap` was told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  mcp tap detach github\n  mcp tap detach --all --dry-run")]
pub(crate) struct DetachArgs {
    /// The server's name
    #[arg(required_unless_present = "all", add = ArgValueCompleter::new(complete::tapped_servers))]
    name: Option<String>,
    #[command(flatten)]
    more: More,
}

/// Which entries of which files, and how.
#[derive(Debug, clap::Args)]
struct More {
    /// Every server of the clients
    #[arg(long, conflicts_with = "name")]
    all: bool,
    #[command(flatten)]
    which: Which,
    /// Only this scope
    #[arg(long, value_enum)]
    scope: Option<ScopeArg>,
    #[command(flatten)]
    doing: Doing,
}

/// Whether an entry's server is wrapped.
pub(crate) fn is_tapped(server: &Server) -> bool {
    server.entry.as_ref().is_ok_and(|entry| Tapped::of(&entry.launch).is_some())
}

/// The servers that are meant.
fn names(ctx: &Ctx, name: Option<&String>, keep: impl Fn(&Server) -> bool) -> Vec<String> {
    if let Some(name) = name {
        return vec![name.clone()];
    }
    let reports = survey::survey(ctx.clients().all(), &ctx.platform, &ctx.project, |_| None);
    let all = reports.iter().flat_map(|r| &r.files).flat_map(|f| &f.servers).filter(|s| keep(s));
    all.map(|s| s.name.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

pub(crate) fn attach(ctx: &Ctx, args: &AttachArgs) -> Result<Exit, Failure> {
    let AttachArgs { name, more } = args;
    let program = known_program()?;
    let home = ctx.platform.var("MCP_HOME").map(str::to_owned);
    let (mut all, mut unread) = (Vec::new(), Vec::new());
    for name in names(ctx, name.as_ref(), |_| true) {
        let (items, more_unread) = items_where(
            ctx,
            &name,
            &more.which,
            more.scope.map(Scope::from),
            // What cannot be wrapped is an error where it was named, and left alone where all are meant.
            |server| !more.all || can_be_tapped(server),
            |site, _, os| {
                let (client, file, project) = (site.client, site.file, site.project.clone());
                let note = of_everyone(site);
                let how = Tap { program: program.clone(), name: name.clone(), client: client.id.clone(), home: home.clone() };
                let change = Change::Tap { name: name.clone(), how };
                Box::new(move |text| {
                    let mut planned = plan::plan(client, file, project.as_deref(), text, &change, os)?;
                    if planned.outcome == Outcome::Attached {
                        planned.notes.extend(note.clone());
                    }
                    Ok(Step::planned(planned))
                })
            },
        )?;
        all.extend(items);
        unread.extend(more_unread);
    }
    done(ctx, "tap attach", name.as_deref(), more, all, &mut unread)
}

fn can_be_tapped(server: &Server) -> bool {
    server.entry.as_ref().is_ok_and(|entry| matches!(entry.launch, mcp_clients::entry::Launch::Stdio(_)))
}

pub(crate) fn detach(ctx: &Ctx, args: &DetachArgs) -> Result<Exit, Failure> {
    let DetachArgs { name, more } = args;
    let records: Arc<Vec<Record>> = Arc::new(Journal::open(&ctx.dirs.state).list().map(|(r, _)| r).unwrap_or_default());
    let (mut all, mut unread) = (Vec::new(), Vec::new());
    for name in names(ctx, name.as_ref(), is_tapped) {
        let items = |only_tapped: bool| {
            let keep = |server: &Server| !only_tapped || is_tapped(server);
            items_where(ctx, &name, &more.which, more.scope.map(Scope::from), keep, |site, _, os| {
                let (site, name, records) = (site.clone(), name.clone(), Arc::clone(&records));
                Box::new(move |text| {
                    let (client, file, project) = (site.client, site.file, site.project.as_deref());
                    let planned = plan::plan(client, file, project, text, &Change::Untap { name: name.clone() }, os)?;
                    let read = |text: &str| {
                        let document = Document::parse(text, file.format.editor()).ok()?;
                        let node = document.get(&planned.entry).ok()??;
                        Some(client.entry.read(&node.value, file.named_by.as_deref()).ok()?.launch)
                    };
                    let fits = |text: &str| {
                        read(text).zip(read(&planned.after)).is_some_and(|(launch, wanted)| {
                            Tapped::of(&launch).is_none() && tap::own(&launch) == tap::own(&wanted)
                        })
                    };
                    let exact = text
                        .filter(|_| planned.outcome == Outcome::Detached)
                        .and_then(|text| undo::relaunch_exactly("tap attach", &records, &site.path, text, &planned, fits));
                    Ok(exact.unwrap_or_else(|| Step::planned(planned)))
                })
            })
        };
        // Where it is wrapped; if it is nowhere, each place says so.
        let (mut found, mut more_unread) = items(more.which.clients.is_empty())?;
        if found.is_empty() {
            (found, more_unread) = items(false)?;
        }
        all.extend(found);
        unread.extend(more_unread);
    }
    done(ctx, "tap detach", name.as_deref(), more, all, &mut unread)
}

fn done(
    ctx: &Ctx,
    verb: &'static str,
    name: Option<&str>,
    more: &More,
    items: Vec<Item<'_>>,
    unread: &mut Vec<String>,
) -> Result<Exit, Failure> {
    unread.dedup();
    if items.is_empty() && name.is_none() {
        for line in unread.iter() {
            ctx.ui.warn(line);
        }
        let which = if verb == "tap detach" { "no server is recorded" } else { "no client has a server that could be recorded" };
        ctx.ui.note(which);
        return Ok(Exit::Done);
    }
    // All of them were meant, so that there is nothing to choose.
    let everywhere = more.which.clients.is_empty() && !more.all;
    let exit = finish(ctx, verb, name.unwrap_or("--all"), more.doing, everywhere, items, unread)?;
    if verb == "tap attach" && exit == Exit::Done && !more.doing.dry_run && !more.doing.json {
        ctx.ui.note("From the client's next session on, `mcp inspect` shows what is said and `mcp trace ls` lists it");
    }
    Ok(exit)
}
