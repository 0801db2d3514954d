//! Into which clients.

use mcp_clients::descriptor::{Descriptor, Scope};
use mcp_clients::locate::Sign;
use mcp_clients::survey::{self, ClientReport, FileState};

use super::Args;
use crate::ctx::Ctx;
use crate::report::Failure;

/// The clients to install into and the scope in each: those named, all that are installed, the user's default ones, or
/// those chosen in a dialogue.
pub(super) fn clients<'c>(ctx: &'c Ctx, args: &Args) -> Result<Vec<(&'c Descriptor, Scope)>, Failure> {
    let asked = args.scope.map(Scope::from);
    if !args.which.clients.is_empty() {
        let named = args.which.clients.iter().map(|id| ctx.client(id)).collect::<Result<Vec<_>, _>>()?;
        let mut chosen: Vec<(&Descriptor, Scope)> = Vec::new();
        for client in named {
            if !chosen.iter().any(|(c, _)| c.id == client.id) {
                chosen.push((client, scope(client, asked)));
            }
        }
        return Ok(chosen);
    }
    let mut reports = survey::survey(ctx.clients().all(), &ctx.platform, &ctx.project, |name| ctx.find(name));
    reports.retain(ClientReport::is_installed);
    if args.all_clients {
        return all(ctx, &reports, asked);
    }
    let defaults = crate::cmd::config::default_clients(ctx)?;
    if !defaults.is_empty() {
        return defaults.iter().map(|id| ctx.client(id).map(|c| (c, scope(c, asked)))).collect();
    }
    let ids: Vec<&str> = reports.iter().filter(|r| !r.client.files.is_empty()).map(|r| r.client.id.as_str()).collect();
    if !ctx.ui.can_ask || args.doing.yes {
        let here = if ids.is_empty() { "none was found here".to_owned() } else { format!("here are: {}", ids.join(", ")) };
        return Err(Failure::missing("into which client?")
            .hint(format!("`--client CLIENT` names one ({here}), `--all-clients` takes all of them")));
    }
    choose(&reports, asked)
}

/// The scope asked for, else the user's, else the first the client has.
fn scope(client: &Descriptor, asked: Option<Scope>) -> Scope {
    asked.unwrap_or_else(|| {
        let mut scopes = client.files.iter().map(|f| f.scope).filter(|s| *s != Scope::System);
        if client.files.iter().any(|f| f.scope == Scope::User) { Scope::User } else { scopes.next().unwrap_or(Scope::User) }
    })
}

fn all<'c>(ctx: &Ctx, reports: &[ClientReport<'c>], asked: Option<Scope>) -> Result<Vec<(&'c Descriptor, Scope)>, Failure> {
    let mut chosen = Vec::new();
    for report in reports {
        let scope = scope(report.client, asked);
        if report.files.iter().any(|f| f.site.is_target && f.site.file.scope == scope) {
            chosen.push((report.client, scope));
        } else if report.client.manual.is_empty() {
            ctx.ui.note(format_args!("{} is left out: it has no file for the {scope} scope", report.client.name));
        } else {
            ctx.ui.note(format_args!(
                "{} is left out: its servers are added by hand (`mcp clients --client {}` says how)",
                report.client.name, report.client.id
            ));
        }
    }
    if chosen.is_empty() {
        return Err(Failure::missing("no client was found here")
            .hint("`mcp clients --all` shows where we looked; `--client` names one anyway"));
    }
    Ok(chosen)
}

fn choose<'c>(reports: &[ClientReport<'c>], asked: Option<Scope>) -> Result<Vec<(&'c Descriptor, Scope)>, Failure> {
    let here: Vec<&ClientReport<'_>> = reports.iter().filter(|r| r.files.iter().any(|f| f.site.is_target)).collect();
    if here.is_empty() {
        return Err(Failure::missing("no client was found here").hint("`mcp clients --all` shows where we looked"));
    }
    let line = |report: &&ClientReport<'_>| {
        let scope = scope(report.client, asked);
        let state =
            report.files.iter().find(|f| f.site.is_target && f.site.file.scope == scope).map_or("no file for this scope", |f| {
                match f.state {
                    FileState::Ok => "ok",
                    FileState::Absent => "no file yet",
                    FileState::ReadOnly => "read-only",
                    FileState::Unreadable(_) => "unreadable",
                    FileState::Unparsable(_) => "unparsable",
                }
            });
        let sign = match report.signs.first() {
            Some(Sign::Binary(_)) => "",
            _ => ", no program on PATH",
        };
        crate::ui::choice(&format!("{}  ({state}{sign})", report.client.name))
    };
    let lines: Vec<String> = here.iter().map(line).collect();
    let ticked: Vec<bool> = here.iter().map(|r| matches!(r.signs.first(), Some(Sign::Binary(_)))).collect();
    let picked = dialoguer::MultiSelect::with_theme(&*crate::ui::theme())
        .with_prompt("Into which clients? (space ticks, enter goes on)")
        .items(&lines)
        .defaults(&ticked)
        .interact()
        .map_err(crate::ui::asked)?;
    if picked.is_empty() {
        return Err(Failure::missing("no client was chosen"));
    }
    Ok(picked.into_iter().map(|i| (here[i].client, scope(here[i].client, asked))).collect())
}
