//! `mcp clients`: which AI clients are here, and where their files are.

use mcp_clients::descriptor::Evidence;
use mcp_clients::locate::Sign;
use mcp_clients::survey::{self, ClientReport, FileReport, FileState};
use serde_json::{Value as Json, json};

use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::ui::{BAD, FAINT, GOOD, STRONG, WARN, count};

/// List the AI clients on this machine and their configuration files
///
/// A client counts as installed when its program is on PATH or its files are there. For each file: its scope, its state
/// (ok, absent, read-only, unreadable, unparsable, managed), its format and how many servers it holds.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mcp clients\n  mcp clients --all\n  mcp clients --client codex,zed\n  mcp clients --json | jq -r '.clients[].id'"
)]
pub(crate) struct Args {
    /// Also those that are not installed
    #[arg(long, short)]
    all: bool,
    #[command(flatten)]
    which: crate::args::Which,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, crate::report::Failure> {
    for id in &args.which.clients {
        ctx.client(id)?;
    }
    let wanted = |id: &String| args.which.clients.is_empty() || args.which.clients.contains(id);
    let clients = ctx.clients().all().iter().filter(|c| wanted(&c.id));
    let mut reports = survey::survey(clients, &ctx.platform, &ctx.project, |name| ctx.find(name));
    let known = reports.len();
    reports.retain(|r| r.is_installed() || args.all || !args.which.clients.is_empty());
    if args.json {
        let clients: Vec<Json> = reports.iter().map(as_json).collect();
        let answer = json!({ "schema": "mcp.clients/1", "clients": clients });
        ctx.ui.out(serde_json::to_string_pretty(&answer).unwrap_or_default());
        return Ok(Exit::Done);
    }
    for report in &reports {
        show(ctx, report);
    }
    let installed = reports.iter().filter(|r| r.is_installed()).count();
    // Who names clients has not asked for the others.
    match (installed, args.all || !args.which.clients.is_empty()) {
        (0, false) => {
            ctx.ui.note(format_args!("None of the {known} known clients is installed here. `mcp clients --all` lists them"));
        }
        (_, false) => ctx.ui.note(format_args!(
            "{} installed; {} more are known: `mcp clients --all`",
            count(installed, "client"),
            known - installed
        )),
        (_, true) => {}
    }
    Ok(Exit::Done)
}

/// A file that is not there and that we would not make is of no interest.
fn matters(file: &FileReport<'_>) -> bool {
    file.site.is_target || !matches!(file.state, FileState::Absent)
}

fn show(ctx: &Ctx, report: &ClientReport<'_>) {
    let client = report.client;
    let files: Vec<&FileReport<'_>> = report.files.iter().filter(|f| matters(f)).collect();
    let sign = match report.signs.first() {
        Some(Sign::Binary(path)) => format!("found {}", ctx.show(path)),
        Some(Sign::Path(path)) => format!("found {} (no program on PATH)", ctx.show(path)),
        None => "not installed".to_owned(),
    };
    ctx.ui.out(format_args!("{STRONG}{}{STRONG:#}  {}  {FAINT}{sign}{FAINT:#}", client.id, client.name));
    if let Some((path, effect)) = &report.managed {
        ctx.ui.out(format_args!("  {WARN}managed{WARN:#}  {} {effect}", ctx.show(path)));
    }
    let rows: Vec<Vec<String>> = files
        .iter()
        .map(|f| {
            let servers = match f.state {
                FileState::Ok | FileState::ReadOnly => count(f.servers.len(), "server"),
                _ => "-".to_owned(),
            };
            vec![
                format!("  {}", f.site.file.scope),
                state_word(report, f),
                servers,
                f.site.file.format.word().to_owned(),
                ctx.show(&f.site.path),
            ]
        })
        .collect();
    for (line, file) in crate::ui::table(&rows).into_iter().zip(files) {
        let style = match file.state {
            FileState::Ok => GOOD,
            FileState::Absent => FAINT,
            FileState::ReadOnly => WARN,
            FileState::Unreadable(_) | FileState::Unparsable(_) => BAD,
        };
        ctx.ui.out(format_args!("{style}{line}{style:#}"));
        if file.target != file.site.path && !matches!(file.state, FileState::Absent | FileState::Unreadable(_)) {
            ctx.ui.out(format_args!("    {FAINT}is a link to {}{FAINT:#}", ctx.show(&file.target)));
        }
        if let Some(reason) = reason(&file.state) {
            ctx.ui.out(format_args!("    {reason}"));
        }
        file.warnings.iter().for_each(|w| ctx.ui.out(format_args!("    {WARN}warning:{WARN:#} {w}")));
    }
    for step in &client.manual {
        ctx.ui.out(format_args!("  {FAINT}by hand:{FAINT:#} {step}"));
    }
    if report.is_installed() && !client.reload.is_empty() {
        ctx.ui.out(format_args!("  {FAINT}after a change:{FAINT:#} {}", client.reload));
    }
    if let Some(note) = &client.note {
        ctx.ui.out(format_args!("  {FAINT}note:{FAINT:#} {note}"));
    }
    ctx.ui.out("");
}

fn state_word(report: &ClientReport<'_>, file: &FileReport<'_>) -> String {
    if report.managed.is_some() {
        return "managed".to_owned();
    }
    match &file.state {
        FileState::Ok => "ok".to_owned(),
        FileState::Absent => "absent".to_owned(),
        FileState::ReadOnly => "read-only".to_owned(),
        FileState::Unreadable(_) => "unreadable".to_owned(),
        FileState::Unparsable(problem) => match problem.place {
            Some(place) => format!("unparsable at {place}"),
            None => "unparsable".to_owned(),
        },
    }
}

fn reason(state: &FileState) -> Option<String> {
    match state {
        FileState::Unreadable(error) => {
            Some(std::error::Error::source(error).map_or(error.to_string(), |s| format!("{error}: {s}")))
        }
        FileState::Unparsable(problem) => Some(problem.kind.to_string()),
        _ => None,
    }
}

fn as_json(report: &ClientReport<'_>) -> Json {
    let client = report.client;
    let signs: Vec<Json> = report
        .signs
        .iter()
        .map(|sign| match sign {
            Sign::Binary(path) => json!({ "kind": "binary", "path": path }),
            Sign::Path(path) => json!({ "kind": "path", "path": path }),
        })
        .collect();
    let files: Vec<Json> = report
        .files
        .iter()
        .filter(|f| matters(f))
        .map(|f| {
            let place = match &f.state {
                FileState::Unparsable(problem) => problem.place,
                _ => None,
            };
            json!({
                "scope": f.site.file.scope.word(),
                "path": f.site.path,
                "target": f.target,
                "format": f.site.file.format.word(),
                "state": state_word(report, f).split(' ').next(),
                "line": place.map(|p| p.line),
                "column": place.map(|p| p.column),
                "reason": reason(&f.state),
                "servers": f.servers.len(),
                "new_entries_go_here": f.site.is_target,
                "gate": f.site.file.gate,
                "warnings": f.warnings,
            })
        })
        .collect();
    json!({
        "id": client.id,
        "name": client.name,
        "installed": report.is_installed(),
        "signs": signs,
        "managed": report.managed.as_ref().map(|(path, effect)| json!({ "path": path, "effect": effect })),
        "files": files,
        "reload": client.reload,
        "manual": client.manual,
        "note": client.note,
        "docs": client.docs,
        "verified": client.verified,
        "evidence": match client.evidence {
            Evidence::Ran => "ran",
            Evidence::Source => "source",
            Evidence::Documented => "documented",
            Evidence::Peers => "peers",
            Evidence::Issues => "issues",
        },
    })
}
