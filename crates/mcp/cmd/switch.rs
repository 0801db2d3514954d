//! `mcp disable` and `mcp enable`: switch a server off and on, by the client's own switch where it has one.

use std::sync::Arc;

use mcp_clients::descriptor::Scope;
use mcp_clients::engine::{Job, JobError, Step};
use mcp_clients::locate::{self, Site};
use mcp_clients::plan::{self, Change, Outcome, PlanError};
use mcp_clients::undo::{self, Memo};
use mcp_os::journal::{Journal, Record};

use crate::args::ServerArgs;
use crate::changes::Item;
use crate::cmd::uninstall::{finish, items_with};
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;

/// Switch a server off without losing its entry
///
/// Uses the client's own switch where it has one. Elsewhere the entry is taken out of the file and kept, and `mcp enable`
/// puts it back as it was.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  mcp disable github\n  mcp disable github --client claude-desktop --dry-run")]
pub(crate) struct DisableArgs {
    #[command(flatten)]
    what: ServerArgs,
}

/// Switch a server on again
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  mcp enable github\n  mcp enable github --client codex")]
pub(crate) struct EnableArgs {
    #[command(flatten)]
    what: ServerArgs,
}

pub(crate) fn disable(ctx: &Ctx, args: &DisableArgs) -> Result<Exit, Failure> {
    let ServerArgs { name, which, scope, doing } = &args.what;
    let (items, unread) = items_with(ctx, name, which, scope.map(Scope::from), |site, os| {
        let (client, file, project, name) = (site.client, site.file, site.project.clone(), name.clone());
        Box::new(move |text| {
            let change = Change::Disable { name: name.clone() };
            let (mut planned, parked) = match plan::plan(client, file, project.as_deref(), text, &change, os) {
                Err(PlanError::NoSwitch { .. }) => {
                    let out = Change::Uninstall { name: name.clone() };
                    (plan::plan(client, file, project.as_deref(), text, &out, os)?, true)
                }
                planned => (planned?, false),
            };
            if parked && planned.outcome == Outcome::Removed {
                planned.outcome = Outcome::Disabled;
                planned.notes.push(format!(
                    "{} has no switch for one server: the entry was taken out and is kept for `mcp enable {name}`",
                    client.name
                ));
            }
            planned.memo = planned.memo.as_verb(change.verb());
            Ok(Step::planned(planned))
        })
    })?;
    finish(ctx, "disable", name, *doing, which.clients.is_empty(), items, &unread)
}

pub(crate) fn enable(ctx: &Ctx, args: &EnableArgs) -> Result<Exit, Failure> {
    let ServerArgs { name, which, scope, doing } = &args.what;
    for id in &which.clients {
        ctx.client(id)?;
    }
    let records: Arc<Vec<Record>> = Arc::new(Journal::open(&ctx.dirs.state).list().map(|(r, _)| r).unwrap_or_default());
    let wanted = |id: &String| which.clients.is_empty() || which.clients.contains(id);
    let mut items = Vec::new();
    for client in ctx.clients().all().iter().filter(|c| wanted(&c.id)) {
        let managed = locate::managed(client, &ctx.platform);
        for site in locate::sites(client, &ctx.platform, &ctx.project) {
            if scope.is_some_and(|s| Scope::from(s) != site.file.scope) || !concerns(&site, name, &records) {
                continue;
            }
            let job = match &managed {
                Some((path, effect)) => Err(JobError::Managed { path: path.clone(), effect: (*effect).to_owned() }),
                None => Ok(Job {
                    client: client.id.clone(),
                    scope: site.file.scope,
                    path: site.path.clone(),
                    lock: site.file.lock.clone(),
                    planner: planner(&site, name.clone(), Arc::clone(&records), ctx.platform.os),
                }),
            };
            items.push(Item {
                client: Some(client),
                id: client.id.clone(),
                scope: site.file.scope,
                server: name.clone(),
                job,
                paste: None,
                secrets: Vec::new(),
            });
        }
    }
    finish(ctx, "enable", name, *doing, which.clients.is_empty(), items, &[])
}

/// Whether the server is in the file, or was taken out of it by `mcp disable`.
fn concerns(site: &Site<'_>, name: &str, records: &[Record]) -> bool {
    kept(site, name, records).is_some()
        || mcp_clients::survey::read_files(vec![site.clone()]).iter().any(|f| f.servers.iter().any(|s| s.name == name))
}

/// The change by which `mcp disable` switched the server off, if nothing happened to it since.
fn kept<'r>(site: &Site<'_>, name: &str, records: &'r [Record]) -> Option<&'r mcp_os::journal::FileEdit> {
    let entries = plan::entry_paths(site.file, site.project.as_deref(), name);
    let (_, edit, memo) = undo::last_for(records, &site.path, &entries)?;
    (memo.verb == "disable" && edit.scope == site.file.scope.word()).then_some(edit)
}

fn planner<'c>(
    site: &Site<'c>,
    name: String,
    records: Arc<Vec<Record>>,
    os: mcp_clients::platform::Os,
) -> mcp_clients::engine::Planner<'c> {
    let site = site.clone();
    Box::new(move |text| {
        let (client, file, project) = (site.client, site.file, site.project.as_deref());
        let change = Change::Enable { name: name.clone() };
        let planned = match plan::plan(client, file, project, text, &change, os) {
            Err(PlanError::NoSwitch { .. }) => None,
            planned => Some(planned?),
        };
        // Taking our own `disable` back gives the very bytes back; the switch is for what somebody else switched off.
        let back = kept(&site, &name, &records).map(|edit| undo::take_back(edit, text));
        let mut step = match (back, planned) {
            (Some(Ok(step)), _) if !step.edit.is_empty() => step,
            // Somebody put another entry there, or the file is gone: what is kept has no place to go back to.
            (Some(Err(error)), None) => return Err(error),
            (_, Some(planned)) => {
                return Ok(Step::planned(planned));
            }
            (_, None) => return Ok(Step::nothing(Outcome::Unchanged)),
        };
        step.outcome = Outcome::Enabled;
        if let Ok(memo) = serde_json::from_value::<Memo>(step.memo.clone()) {
            step.memo = memo.as_verb(change.verb()).to_value();
        }
        Ok(step)
    })
}
