//! `mcp list`: every server in every client.

use std::collections::BTreeMap;

use clap_complete::engine::ArgValueCompleter;
use mcp_clients::descriptor::Scope;
use mcp_clients::entry::{Entry, Launch};
use mcp_clients::share;
use mcp_clients::survey::{self, ClientReport, FileReport, FileState, Server};
use mcp_clients::tap::Tapped;
use mcp_clients::{secret, undo};
use mcp_os::journal::Journal;
use serde_json::{Value as Json, json};

use crate::args::{ScopeArg, Which};
use crate::cmd::share::is_shared;
use crate::cmd::tap::attach::is_tapped;
use crate::complete;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::{FAINT, STRONG, WARN, clean, count, table};

/// List the servers in every client's files
///
/// One row per server and place. `differs` marks a name that means different things in different places, `shadowed` an
/// entry that a stronger scope hides, `off` one that is switched off, `shared` one that joins a server others use too,
/// `recorded` one that `mcp tap` is around (SERVER is what runs then). Secrets are masked.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "ls",
    alias = "list-installed",
    after_help = "Examples:\n  mcp list\n  mcp list github\n  mcp list --client claude-code --scope user\n  mcp list --json | jq '.servers[] | select(.differs)'"
)]
pub(crate) struct Args {
    /// Only servers of this name
    #[arg(add = ArgValueCompleter::new(complete::servers))]
    name: Option<String>,
    #[command(flatten)]
    which: Which,
    /// Only this scope
    #[arg(long, value_enum)]
    scope: Option<ScopeArg>,
    /// Show secrets instead of masking them
    #[arg(long)]
    reveal: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

struct Row<'r> {
    report: &'r ClientReport<'r>,
    file: &'r FileReport<'r>,
    server: &'r Server,
    effective: bool,
    differs: bool,
}

pub(crate) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    for id in &args.which.clients {
        ctx.client(id)?;
    }
    let wanted = |id: &String| args.which.clients.is_empty() || args.which.clients.contains(id);
    let clients = ctx.clients().all().iter().filter(|c| wanted(&c.id));
    let mut reports = survey::survey(clients, &ctx.platform, &ctx.project, |name| ctx.find(name));
    survey::leave_to_installed(&mut reports);
    let mut rows = rows(&reports);
    let scope = args.scope.map(Scope::from);
    rows.retain(|r| args.name.as_ref().is_none_or(|n| *n == r.server.name) && scope.is_none_or(|s| s == r.file.site.file.scope));
    let parked = parked(ctx, &reports, args);
    if args.json {
        let servers: Vec<Json> = rows.iter().map(|r| as_json(r, args.reveal)).collect();
        let parked: Vec<Json> = parked
            .iter()
            .map(|(client, scope, name, id)| json!({ "client": client, "scope": scope, "name": name, "change": id }))
            .collect();
        let problems: Vec<Json> = broken(&reports)
            .iter()
            .map(|(r, f, why)| json!({ "client": r.client.id, "path": f.site.path, "reason": why }))
            .collect();
        let answer = json!({ "schema": "mcp.list/1", "servers": servers, "kept_off": parked, "unread": problems });
        ctx.ui.out(serde_json::to_string_pretty(&answer).unwrap_or_default());
    } else {
        show(ctx, args, &rows, &parked);
        for (report, file, why) in broken(&reports) {
            ctx.ui.warn(format_args!("{} could not be read for {}: {why}", ctx.show(&file.site.path), report.client.name));
        }
    }
    let none = rows.is_empty() && parked.is_empty();
    Ok(if none && args.name.is_some() { Exit::No } else { Exit::Done })
}

/// All servers, by name, then by client.
fn rows<'r>(reports: &'r [ClientReport<'r>]) -> Vec<Row<'r>> {
    let mut rows: Vec<Row<'r>> = Vec::new();
    for report in reports {
        for (i, file) in report.files.iter().enumerate() {
            for server in &file.servers {
                let effective =
                    survey::effective(report.client, &report.files, &server.name) == Some(i) && report.managed.is_none();
                rows.push(Row { report, file, server, effective, differs: false });
            }
        }
    }
    let mut meanings: BTreeMap<&str, Vec<Option<Launch>>> = BTreeMap::new();
    for row in &rows {
        let meaning = row.server.entry.as_ref().ok().map(|e| own(&e.launch).meaning());
        let known = meanings.entry(&row.server.name).or_default();
        if !known.contains(&meaning) {
            known.push(meaning);
        }
    }
    for row in &mut rows {
        row.differs = meanings.get(row.server.name.as_str()).is_some_and(|m| m.len() > 1);
    }
    rows.sort_by_key(|a| a.server.name.to_lowercase());
    rows
}

/// Servers that `mcp disable` took out of a file and keeps: client, scope, name, change.
fn parked(ctx: &Ctx, reports: &[ClientReport<'_>], args: &Args) -> Vec<(String, &'static str, String, u64)> {
    let records = Journal::open(&ctx.dirs.state).list().map(|(records, _)| records).unwrap_or_default();
    let mut found = Vec::new();
    for report in reports {
        for file in &report.files {
            let names = records.iter().flat_map(|r| &r.edits).filter(|e| e.named == file.site.path).filter_map(undo::Memo::read);
            let mut names: Vec<String> = names.filter(|m| m.verb == "disable" && m.after.is_none()).map(|m| m.name).collect();
            names.sort();
            names.dedup();
            for name in names {
                let there = file.servers.iter().any(|s| s.name == name);
                let asked = args.name.as_ref().is_none_or(|n| *n == name)
                    && args.scope.is_none_or(|s| Scope::from(s) == file.site.file.scope);
                let entries = mcp_clients::plan::entry_paths(file.site.file, file.site.project.as_deref(), &name);
                let last = undo::last_for(&records, &file.site.path, &entries)
                    .filter(|(_, edit, _)| edit.scope == file.site.file.scope.word());
                if let (false, true, Some((record, _, memo))) = (there, asked, last)
                    && memo.verb == "disable"
                {
                    found.push((report.client.id.clone(), file.site.file.scope.word(), name, record.header.id));
                }
            }
        }
    }
    found
}

/// The files that could not be read and why, each once: one file can hold several scopes.
fn broken<'r>(reports: &'r [ClientReport<'r>]) -> Vec<(&'r ClientReport<'r>, &'r FileReport<'r>, String)> {
    let mut found: Vec<(&ClientReport<'_>, &FileReport<'_>, String)> = Vec::new();
    for (report, file) in reports.iter().flat_map(|r| r.files.iter().map(move |f| (r, f))) {
        let why = match &file.state {
            FileState::Unreadable(error) => error.to_string(),
            FileState::Unparsable(problem) => problem.to_string(),
            _ => continue,
        };
        if !found.iter().any(|(r, f, _)| r.client.id == report.client.id && f.site.path == file.site.path) {
            found.push((report, file, why));
        }
    }
    found
}

fn show(ctx: &Ctx, args: &Args, rows: &[Row<'_>], parked: &[(String, &'static str, String, u64)]) {
    if rows.is_empty() && parked.is_empty() {
        match &args.name {
            Some(name) => ctx.ui.note(format_args!("There is no server called `{}`. `mcp list` shows every server", clean(name))),
            None => ctx.ui.note("No servers found. `mcp install` adds one, `mcp clients` shows where we looked"),
        }
        return;
    }
    let mut cells: Vec<Vec<String>> = vec![["NAME", "CLIENT", "SCOPE", "STATE", "SERVER"].map(str::to_owned).to_vec()];
    for row in rows {
        cells.push(vec![
            clean(&row.server.name),
            row.report.client.id.clone(),
            row.file.site.file.scope.word().to_owned(),
            states(row).join(","),
            summary(row.server, args.reveal),
        ]);
    }
    for (client, scope, name, _) in parked {
        cells.push(vec![
            clean(name),
            client.clone(),
            (*scope).to_owned(),
            "off (kept)".to_owned(),
            format!("`mcp enable {}` puts it back", clean(name)),
        ]);
    }
    for (i, line) in table(&cells).iter().enumerate() {
        if i == 0 { ctx.ui.out(format_args!("{FAINT}{line}{FAINT:#}")) } else { ctx.ui.out(line) }
    }
    if args.name.is_some() {
        for row in rows {
            details(ctx, row, args.reveal);
        }
    }
    let mut names: Vec<&str> = rows.iter().map(|r| r.server.name.as_str()).collect();
    names.dedup();
    let mut clients: Vec<&str> = rows.iter().map(|r| r.report.client.id.as_str()).collect();
    clients.sort_unstable();
    clients.dedup();
    ctx.ui.note(format_args!("{} in {}", count(names.len(), "server"), count(clients.len(), "client")));
}

fn states(row: &Row<'_>) -> Vec<&'static str> {
    let mut states = Vec::new();
    if row.server.entry.is_err() {
        states.push("broken");
    }
    if row.server.is_off {
        states.push("off");
    }
    if row.report.managed.is_some() {
        states.push("overruled");
    } else if !row.effective {
        states.push("shadowed");
    }
    if row.differs {
        states.push("differs");
    }
    if is_shared(row.server) {
        states.push("shared");
    }
    if is_tapped(row.server) {
        states.push("recorded");
    }
    if states.is_empty() {
        states.push("ok");
    }
    states
}

/// The command line or address in one line.
fn summary(server: &Server, reveal: bool) -> String {
    let secrets = if reveal { Vec::new() } else { secret::secrets(&server.value) };
    let text = match &server.entry {
        Ok(entry) => match &own(&entry.launch) {
            Launch::Stdio(stdio) => {
                let words = std::iter::once(&stdio.command).chain(&stdio.args);
                words.map(|w| quoted(&secret::mask(&w.to_string(), &secrets))).collect::<Vec<_>>().join(" ")
            }
            Launch::Remote(remote) => {
                format!("{} ({})", secret::mask(&remote.url.to_string(), &secrets), remote.transport.word())
            }
        },
        Err(error) => secret::mask(&error.to_string(), &secrets),
    };
    clean(&text)
}

/// The way to the server itself, shared or recorded or neither.
fn own(launch: &Launch) -> Launch {
    let launch = share::inner(launch);
    Tapped::of(&launch).map_or(launch, |tapped| tapped.inner)
}

fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains(char::is_whitespace) { format!("{word:?}") } else { word.to_owned() }
}

/// Everything known about one entry, below the table.
fn details(ctx: &Ctx, row: &Row<'_>, reveal: bool) {
    let secrets = if reveal { Vec::new() } else { secret::secrets(&row.server.value) };
    let place = format!("{}:{}", ctx.show(&row.file.site.path), row.server.place);
    ctx.ui.out("");
    ctx.ui.out(format_args!(
        "{STRONG}{}{STRONG:#} in {} ({})  {FAINT}{place}{FAINT:#}",
        clean(&row.server.name),
        row.report.client.name,
        row.file.site.file.scope
    ));
    match &row.server.entry {
        Err(error) => ctx.ui.out(format_args!("  {WARN}{error}{WARN:#}")),
        Ok(_) => {
            for (key, value) in row.server.value.as_object().unwrap_or_default() {
                let shown = match value.as_str() {
                    Some(text) => text.to_owned(),
                    None => value.to_json(),
                };
                ctx.ui.out(format_args!("  {key}: {}", clean(&secret::mask(&shown, &secrets))));
            }
        }
    }
}

fn as_json(row: &Row<'_>, reveal: bool) -> Json {
    let secrets = if reveal { Vec::new() } else { secret::secrets(&row.server.value) };
    let masked: Json = serde_json::from_str(&secret::mask(&row.server.value.to_json(), &secrets)).unwrap_or_default();
    json!({
        "name": row.server.name,
        "client": row.report.client.id,
        "scope": row.file.site.file.scope.word(),
        "path": row.file.site.path,
        "line": row.server.place.line,
        "column": row.server.place.column,
        "transport": row.server.entry.as_ref().ok().map(Entry::transport_word),
        "server": summary(row.server, reveal),
        "entry": masked,
        "effective": row.effective && !row.server.is_off,
        "off": row.server.is_off,
        "differs": row.differs,
        "shared": is_shared(row.server),
        "recorded": is_tapped(row.server),
        "broken": row.server.entry.as_ref().err().map(ToString::to_string),
    })
}
