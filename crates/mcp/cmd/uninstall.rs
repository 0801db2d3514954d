//! `mcp uninstall`: take a server out of clients' files.

use std::sync::Arc;

use mcp_clients::descriptor::Scope;
use mcp_clients::engine::{Job, JobError, Step};
use mcp_clients::locate::Site;
use mcp_clients::plan::{self, Change, Outcome};
use mcp_clients::platform::Os;
use mcp_clients::survey::{self, FileState, Server};
use mcp_clients::undo;
use mcp_os::journal::{Journal, Record};

use crate::args::{Doing, ServerArgs, Which};
use crate::changes::{self, Item, Manner};
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;

/// Take a server out of clients' files
///
/// Without --client it goes from every client that has it. When nobody touched the place since `mcp install` wrote it,
/// the file is given back the very bytes it had before.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "rm",
    alias = "remove",
    after_help = "Examples:\n  mcp uninstall github --dry-run\n  mcp uninstall github --client codex\n  mcp rm github --scope project --yes"
)]
pub(crate) struct Args {
    #[command(flatten)]
    what: ServerArgs,
}

pub(crate) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let ServerArgs { name, which, scope, doing } = &args.what;
    let records: Arc<Vec<Record>> = Arc::new(Journal::open(&ctx.dirs.state).list().map(|(r, _)| r).unwrap_or_default());
    let (items, unread) = items_with(ctx, name, which, scope.map(Scope::from), |site, os| {
        let (client, file, project) = (site.client, site.file, site.project.clone());
        let (name, path, records) = (name.clone(), site.path.clone(), Arc::clone(&records));
        Box::new(move |text| {
            let change = Change::Uninstall { name: name.clone() };
            let planned = plan::plan(client, file, project.as_deref(), text, &change, os)?;
            let format = file.format.editor();
            let exact = text.filter(|_| planned.outcome == Outcome::Removed).and_then(|t| {
                let entry = planned.ops.first().map(mcp_edit::Op::path)?;
                undo::remove_exactly(&records, &path, t, &planned)
                    .or_else(|| undo::remove_with_ours(&records, &path, entry, format, t, &planned))
            });
            Ok(match exact {
                Some(step) => Step { memo: planned.memo.to_value(), ..step },
                None => Step::planned(planned),
            })
        })
    })?;
    finish(ctx, "uninstall", name, *doing, which.clients.is_empty(), items, &unread)
}

/// Asks, changes and reports; when the name is nowhere, says what there is.
pub(crate) fn finish(
    ctx: &Ctx,
    verb: &'static str,
    name: &str,
    doing: Doing,
    everywhere: bool,
    items: Vec<Item<'_>>,
    unread: &[String],
) -> Result<Exit, Failure> {
    if items.is_empty() {
        for line in unread {
            ctx.ui.warn(line);
        }
        let names = known_names(ctx);
        let near = crate::ctx::nearest(name, names.iter().map(String::as_str));
        let mut failure = Failure::missing(format_args!("no client has a server called `{name}`"));
        failure.exit = if unread.is_empty() { Exit::No } else { Exit::File };
        return Err(match near {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`mcp list` shows every server"),
        });
    }
    if everywhere && items.len() > 1 && !doing.yes && !doing.dry_run && !ctx.ui.can_ask {
        let ids: Vec<&str> = items.iter().map(|i| i.id.as_str()).collect();
        return Err(Failure::missing(format_args!("`{name}` is in several places: {}", ids.join(", ")))
            .hint("say which with `--client`, or take all with `--yes`"));
    }
    let manner = Manner {
        verb,
        command: format!("mcp {verb} {name}"),
        dry_run: doing.dry_run,
        ask: !doing.yes && !doing.json,
        json: doing.json,
        reveal: doing.reveal,
    };
    Ok(changes::run(ctx, &manner, items)?.exit)
}

fn known_names(ctx: &Ctx) -> Vec<String> {
    let reports = survey::survey(ctx.clients().all(), &ctx.platform, &ctx.project, |_| None);
    reports.iter().flat_map(|r| &r.files).flat_map(|f| &f.servers).map(|s| s.name.clone()).collect()
}

/// The planner for a site.
pub(crate) type MakePlanner<'c> = mcp_clients::engine::Planner<'c>;

/// One item for every file that has the server, and a line for each file that could not be looked into. Files of clients
/// named explicitly are always items, so that what keeps them from being changed is reported.
pub(crate) fn items_with<'c>(
    ctx: &'c Ctx,
    name: &str,
    which: &Which,
    scope: Option<Scope>,
    planner: impl Fn(&Site<'c>, Os) -> MakePlanner<'c>,
) -> Result<(Vec<Item<'c>>, Vec<String>), Failure> {
    items_where(ctx, name, which, scope, |_| true, |site, _, os| planner(site, os))
}

/// The same for servers of which `keep` holds. The planner is told the server as it is now, if the file can be read.
pub(crate) fn items_where<'c>(
    ctx: &'c Ctx,
    name: &str,
    which: &Which,
    scope: Option<Scope>,
    keep: impl Fn(&Server) -> bool,
    mut planner: impl FnMut(&Site<'c>, Option<&Server>, Os) -> MakePlanner<'c>,
) -> Result<(Vec<Item<'c>>, Vec<String>), Failure> {
    for id in &which.clients {
        ctx.client(id)?;
    }
    let wanted = |id: &String| which.clients.is_empty() || which.clients.contains(id);
    let clients = ctx.clients().all().iter().filter(|c| wanted(&c.id));
    let (mut items, mut unread) = (Vec::new(), Vec::new());
    let mut reports = survey::survey(clients, &ctx.platform, &ctx.project, |name| ctx.find(name));
    survey::leave_to_installed(&mut reports);
    // Several clients may read one file: it is changed once.
    let mut seen: Vec<(std::path::PathBuf, Vec<mcp_edit::Path>)> = Vec::new();
    for report in reports {
        for file in report.files {
            let site = &file.site;
            let place = (site.path.clone(), plan::tables(site.file, site.project.as_deref()));
            if seen.contains(&place) {
                continue;
            }
            if scope.is_some_and(|s| s != site.file.scope) {
                continue;
            }
            let server = file.servers.iter().find(|s| s.name == name && keep(s));
            let blocked = matches!(file.state, FileState::Unreadable(_) | FileState::Unparsable(_));
            if blocked && which.clients.is_empty() {
                unread.push(format!("{} could not be looked into", ctx.show(&site.path)));
            }
            if server.is_none() && (!blocked || which.clients.is_empty()) {
                continue;
            }
            seen.push(place);
            let managed = report
                .managed
                .as_ref()
                .map(|(path, effect)| JobError::Managed { path: path.clone(), effect: (*effect).to_owned() });
            let job = managed.map_or_else(
                || {
                    Ok(Job {
                        client: report.client.id.clone(),
                        scope: site.file.scope,
                        path: site.path.clone(),
                        lock: site.file.lock.clone(),
                        planner: planner(site, server, ctx.platform.os),
                    })
                },
                Err,
            );
            items.push(Item {
                client: Some(report.client),
                id: report.client.id.clone(),
                scope: site.file.scope,
                server: name.to_owned(),
                job,
                paste: None,
                secrets: Vec::new(),
            });
        }
    }
    // One file can be two sites.
    unread.dedup();
    Ok((items, unread))
}
