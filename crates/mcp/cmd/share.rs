//! `mcp share` and `mcp unshare`: let an installed server run once for all its clients, and back.

use std::sync::Arc;

use clap_complete::engine::ArgValueCompleter;
use mcp_clients::descriptor::{Descriptor, Scope};
use mcp_clients::engine::{JobError, Step};
use mcp_clients::entry::Launch;
use mcp_clients::locate::Site;
use mcp_clients::plan::{self, Change, Outcome};
use mcp_clients::share::{self, RunOnce, Shared};
use mcp_clients::survey;
use mcp_clients::undo;
use mcp_edit::Document;
use mcp_os::journal::{Journal, Record};

use crate::args::{Doing, ScopeArg, ServerArgs, Which};
use crate::changes::Item;
use crate::cmd::uninstall::{finish, items_where};
use crate::complete;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;

mod options;

pub(crate) use options::Sharing;

/// Let an installed server run once for all its clients
///
/// The entry then starts `mcp run-once`, which joins the server if it runs already and starts it if not. Only the launch
/// changes; variables, time-outs and switches stay. With options, an entry that is shared already gets these. A server that
/// remembers something of its client (a login, an open page) wants `--isolate client`. `mcp unshare` gives the entry back
/// as it was.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mcp share github --dry-run\n  mcp share github --client claude-code,codex\n  mcp share playwright --isolate client --yes\n  mcp share memory --persistent"
)]
pub(crate) struct ShareArgs {
    #[command(flatten)]
    what: ServerArgs,
    #[command(flatten)]
    sharing: Sharing,
}

/// Give a shared server back to each client
///
/// When nobody touched the place since `mcp share`, the file gets the very bytes back that it had. Otherwise, and after
/// `mcp install --shared`, the entry is put together from what `mcp run-once` was told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  mcp unshare github --dry-run\n  mcp unshare github --client codex")]
pub(crate) struct UnshareArgs {
    /// The server's name
    #[arg(add = ArgValueCompleter::new(complete::shared_servers))]
    name: String,
    #[command(flatten)]
    which: Which,
    /// Only this scope
    #[arg(long, value_enum)]
    scope: Option<ScopeArg>,
    #[command(flatten)]
    doing: Doing,
}

pub(crate) fn share(ctx: &Ctx, args: &ShareArgs) -> Result<Exit, Failure> {
    let ServerArgs { name, which, scope, doing } = &args.what;
    let options = args.sharing.words();
    let anew = !options.is_empty();
    let scope = scope.map(Scope::from);
    let replaced = |client: &str, of: Scope, server: &str| {
        anew && server == name
            && scope.is_none_or(|s| s == of)
            && (which.clients.is_empty() || which.clients.iter().any(|c| c == client))
    };
    let mut known = Known::survey(ctx, replaced);
    let program = known_program()?;
    let home = ctx.platform.var("MCP_HOME").map(str::to_owned);
    let (mut items, unread) = items_where(
        ctx,
        name,
        which,
        scope,
        |_| true,
        |site, server, os| {
            let (client, file, project) = (site.client, site.file, site.project.clone());
            let launch = server.and_then(|s| s.entry.as_ref().ok()).map(|e| &e.launch);
            let (called, note) = launch.map_or_else(|| (name.clone(), None), |launch| known.name(name, client, launch));
            let notes: Vec<String> = note.into_iter().chain(of_everyone(site)).collect();
            let how = RunOnce { program: program.clone(), name: called, options: options.clone(), home: home.clone() };
            let change = Change::Share { name: name.clone(), how, anew };
            Box::new(move |text| {
                let mut planned = plan::plan(client, file, project.as_deref(), text, &change, os)?;
                if planned.outcome == Outcome::Shared {
                    planned.notes.extend(notes.iter().cloned());
                }
                Ok(Step::planned(planned))
            })
        },
    )?;
    items.extend(without_files(ctx, name, which)?);
    finish(ctx, "share", name, *doing, which.clients.is_empty(), items, &unread)
}

pub(crate) fn unshare(ctx: &Ctx, args: &UnshareArgs) -> Result<Exit, Failure> {
    let UnshareArgs { name, which, scope, doing } = args;
    let records: Arc<Vec<Record>> = Arc::new(Journal::open(&ctx.dirs.state).list().map(|(r, _)| r).unwrap_or_default());
    let scope = scope.map(Scope::from);
    let items = |only_shared: bool| {
        let keep = |server: &survey::Server| !only_shared || is_shared(server);
        items_where(ctx, name, which, scope, keep, |site, _, os| {
            let (site, name, records) = (site.clone(), name.clone(), Arc::clone(&records));
            Box::new(move |text| {
                let (client, file, project) = (site.client, site.file, site.project.as_deref());
                let planned = plan::plan(client, file, project, text, &Change::Unshare { name: name.clone() }, os)?;
                let fits = |after: &str| is_unshared(&site, after, &planned);
                let exact = text
                    .filter(|_| planned.outcome == Outcome::Unshared)
                    .and_then(|text| undo::relaunch_exactly("share", &records, &site.path, text, &planned, fits));
                Ok(exact.unwrap_or_else(|| Step::planned(planned)))
            })
        })
    };
    // Where it is shared; if it is nowhere, each place says so.
    let (mut found, mut unread) = items(which.clients.is_empty())?;
    if found.is_empty() {
        (found, unread) = items(false)?;
    }
    finish(ctx, "unshare", name, *doing, which.clients.is_empty(), found, &unread)
}

/// Whether a text holds the entry of a plan, unshared and otherwise meaning the same.
fn is_unshared(site: &Site<'_>, text: &str, planned: &plan::Planned) -> bool {
    let read = |text: &str| {
        let document = Document::parse(text, site.file.format.editor()).ok()?;
        let node = document.get(&planned.entry).ok()??;
        Some(site.client.entry.read(&node.value, site.file.named_by.as_deref()).ok()?.launch)
    };
    let (Some(launch), Some(wanted)) = (read(text), read(&planned.after)) else { return false };
    Shared::of(&launch).is_none() && share::same_server(&launch, &wanted)
}

/// Whether an entry joins a shared server.
pub(crate) fn is_shared(server: &survey::Server) -> bool {
    server.entry.as_ref().is_ok_and(|entry| Shared::of(&entry.launch).is_some())
}

/// This program's own path. It is absolute: clients started from a desktop have a short `PATH`.
pub(crate) fn own_program() -> Result<String, Failure> {
    let program =
        std::env::current_exe().map_err(|e| Failure::file(anyhow::Error::new(e).context("find this program's own path")))?;
    let text = program.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::missing("this program's own path is not UTF-8, so no configuration file can hold it"))
}

/// The same, for an entry that is to be known as ours, and given back, by the name of what it starts.
pub(crate) fn known_program() -> Result<String, Failure> {
    own_program().and_then(known)
}

fn known(program: String) -> Result<String, Failure> {
    if mcp_clients::share::is_mcp(&program) {
        return Ok(program);
    }
    let what = format_args!("this program is `{program}`, and what starts it is known by the name `mcp`");
    Err(Failure::missing(what).hint("give the file that name, in a folder of its own if something else has it"))
}

/// What to know of an entry in a file that others have too.
pub(crate) fn of_everyone(site: &Site<'_>) -> Option<String> {
    (site.file.scope == Scope::Project)
        .then(|| "everyone with this folder gets the path that `mcp` has on this machine".to_owned())
}

/// Named clients that have no file to change.
fn without_files<'c>(ctx: &'c Ctx, name: &str, which: &Which) -> Result<Vec<Item<'c>>, Failure> {
    let mut items = Vec::new();
    for id in &which.clients {
        let client = ctx.client(id)?;
        if client.files.is_empty() {
            let job: Result<_, JobError> = Err(crate::cmd::install::nowhere(client, Scope::User));
            let (id, server) = (client.id.clone(), name.to_owned());
            items.push(Item { client: Some(client), id, scope: Scope::User, server, job, paste: None, secrets: Vec::new() });
        }
    }
    Ok(items)
}

/// What the daemon calls the servers that entries share: it has one of a name.
pub(crate) struct Known(Vec<(String, Launch, String)>);

impl Known {
    /// All that is shared on this machine, but for what is about to be replaced.
    pub(crate) fn survey(ctx: &Ctx, replaced: impl Fn(&str, Scope, &str) -> bool) -> Self {
        let reports = survey::survey(ctx.clients().all(), &ctx.platform, &ctx.project, |_| None);
        let mut known = Vec::new();
        for report in &reports {
            for file in &report.files {
                for server in file.servers.iter().filter(|s| !replaced(&report.client.id, file.site.file.scope, &s.name)) {
                    let shared = server.entry.as_ref().ok().and_then(|e| Shared::of(&e.launch));
                    let named = shared.and_then(|s| Some((s.name?, s.inner, report.client.name.clone())));
                    known.extend(named);
                }
            }
        }
        Self(known)
    }

    /// A name for a server: its own, unless that is taken by another one. Then also a note about it.
    pub(crate) fn name(&mut self, name: &str, client: &Descriptor, launch: &Launch) -> (String, Option<String>) {
        let inner = share::inner(launch);
        let own = plain(name);
        let candidates = std::iter::once(own.clone())
            .chain(std::iter::once(format!("{own}-{}", client.id)))
            .chain((2..).map(|n| format!("{own}-{}-{n}", client.id)));
        for candidate in candidates {
            match self.0.iter().find(|(taken, ..)| *taken == candidate) {
                Some((_, other, _)) if !share::same_server(other, &inner) => {}
                Some(_) => return self.told(name, candidate),
                None => {
                    self.0.push((candidate.clone(), inner, client.name.clone()));
                    return self.told(name, candidate);
                }
            }
        }
        unreachable!("there is always a further number")
    }

    fn told(&self, name: &str, chosen: String) -> (String, Option<String>) {
        let own = plain(name);
        let other = self.0.iter().find(|(taken, ..)| *taken == own).map_or("another client", |(.., who)| who);
        let why = match (chosen == name, chosen == own) {
            (true, _) => return (chosen, None),
            (false, true) => format!("the daemon calls `{name}` `{chosen}`"),
            (false, false) => format!("`{name}` is another server in {other}: the daemon calls this one `{chosen}`"),
        };
        (chosen, Some(why))
    }
}

/// A server's name as the daemon takes it, with room for a client's behind it.
fn plain(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name.chars().map(|c| if fits(c) { c } else { '-' }).take(40).collect();
    let name = name.trim_start_matches(['-', '.']);
    if name.is_empty() { "server".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_becomes_one_the_daemon_takes() {
        for name in ["web", "my server", "@scope/web", "-x", "..", "", "größe", "日本", "a:b", &"long".repeat(30)] {
            let plain = plain(name);
            assert_eq!(mcp_daemon::identity::check_name(&format!("{plain}-vscode-insiders-12")), Ok(()), "{name}");
        }
        assert_eq!((plain("web").as_str(), plain("my server").as_str()), ("web", "my-server"));
    }

    #[test]
    fn a_renamed_program_is_refused_before_anything_is_planned() {
        for good in ["/usr/bin/mcp", "C:\\Tools\\MCP.exe"] {
            assert!(known(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["/usr/bin/mcp-0.1", "/usr/bin/mcp/other"] {
            assert!(known(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
