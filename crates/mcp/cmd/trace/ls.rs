//! `mcp trace ls`: every session.

use clap_complete::engine::ArgValueCompleter;
use mcp_capture::file::Type;
use mcp_capture::store::Summary;
use mcp_capture::text::{size, visible};
use mcp_capture::{Opening, RowKind, Session, when};
use serde::Serialize;

use super::query::{self, Bounds};
use super::sessions;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::{BAD, FAINT, count, table};

/// List what was recorded, the newest first
///
/// With a filter, the sessions in which something fits it, or whose name, server or client holds the word.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mcp trace ls\n  mcp trace ls github\n  mcp trace ls is:error --since 1d\n  mcp trace ls --json | jq -r '.sessions[0].path'"
)]
pub(super) struct Args {
    /// Only sessions in which something fits
    #[arg(value_name = "FILTER", add = ArgValueCompleter::new(query::complete_filter))]
    filter: Vec<String>,
    #[command(flatten)]
    bounds: Bounds,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// A session as it is listed.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    path: String,
    session: String,
    state: &'static str,
    started: String,
    ended: Option<String>,
    server: String,
    client: String,
    command: Vec<String>,
    transport: String,
    recorder: String,
    era: Option<&'static str>,
    revision: Option<String>,
    calls: u64,
    errors: u64,
    pending: u64,
    frames: u64,
    lost: u64,
    parts: u32,
    bytes: u64,
    raw: bool,
    problem: Option<String>,
}

pub(super) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let filter = query::filter(&args.filter)?;
    let word = args.filter.join(" ");
    let from_ms = args.bounds.since_ms();
    let all = sessions::all(ctx)?;
    let is_empty = all.is_empty();
    let mut listed = Vec::new();
    for summary in all.into_iter().filter(|summary| summary.last_ms >= from_ms) {
        if listed.len() >= args.bounds.limit() {
            break;
        }
        let called = [&summary.name, &summary.header.server, &summary.header.client];
        let is_called = !word.is_empty() && called.iter().any(|name| name.to_lowercase().contains(&word.to_lowercase()));
        match Session::open(&summary.path) {
            Ok(session) => {
                let mut fits = is_called || filter.is_all();
                if !fits {
                    session.filter_from(&filter, 0, |_| fits = true).map_err(|e| sessions::unread(&session, e))?;
                }
                if fits {
                    listed.push(of(&summary, Some(&session), None));
                }
            }
            Err(error) if is_called || filter.is_all() => listed.push(of(&summary, None, Some(error.to_string()))),
            Err(_) => {}
        }
    }
    if args.json {
        #[derive(Serialize)]
        struct Answer {
            sessions: Vec<Listed>,
        }
        query::document(ctx.ui, "mcp.trace.ls/1", Answer { sessions: listed });
        return Ok(Exit::Done);
    }
    if listed.is_empty() {
        if is_empty {
            ctx.ui.note("Nothing was recorded yet. `mcp tap attach NAME` puts a tap around a server of your clients, `mcp tap -- COMMAND` around a command");
            return Ok(Exit::Done);
        }
        ctx.ui.note("No session fits. `mcp trace ls` lists all");
        return Ok(Exit::No);
    }
    show(ctx, &listed);
    Ok(Exit::Done)
}

fn show(ctx: &Ctx, listed: &[Listed]) {
    let head = ["NAME", "SERVER", "CLIENT", "STARTED", "STATE", "ERA", "CALLS", "ERRORS", "SIZE"];
    let mut cells: Vec<Vec<String>> = vec![head.map(str::to_owned).to_vec()];
    for session in listed {
        cells.push(vec![
            visible(&session.name).into_owned(),
            visible(&session.server).into_owned(),
            visible(&session.client).into_owned(),
            session.started[..19].replace('T', " "),
            session.state.to_owned(),
            session.revision.as_deref().map_or_else(|| session.era.unwrap_or("-").to_owned(), |r| visible(r).into_owned()),
            session.calls.to_string(),
            session.errors.to_string(),
            size(session.bytes),
        ]);
    }
    for (i, line) in table(&cells).iter().enumerate() {
        match i {
            0 => ctx.ui.out(format_args!("{FAINT}{line}{FAINT:#}")),
            _ if listed[i - 1].errors > 0 => ctx.ui.out(format_args!("{BAD}{line}{BAD:#}")),
            _ => ctx.ui.out(line),
        }
    }
    for session in listed {
        if let Some(problem) = &session.problem {
            ctx.ui.warn(format_args!("{}: {}", visible(&session.name), visible(problem)));
        }
        if session.lost > 0 {
            ctx.ui.warn(format_args!(
                "{}: {} lost while it was recorded",
                visible(&session.name),
                count(session.lost.try_into().unwrap_or(usize::MAX), "record")
            ));
        }
    }
    ctx.ui.note(count(listed.len(), "session"));
}

fn of(summary: &Summary, session: Option<&Session>, problem: Option<String>) -> Listed {
    let (mut calls, mut errors, mut pending) = (0, 0, 0);
    let mut opening = Opening::default();
    if let Some(session) = session {
        for row in session.rows().iter(session.index()).filter(|row| row.kind == RowKind::Operation) {
            calls += 1;
            errors += u64::from(row.status.is_bad());
            pending += u64::from(row.status.is_open());
        }
        opening = Opening::of(session);
        errors -= opening.refused_probes;
    }
    let header = &summary.header;
    Listed {
        name: summary.name.clone(),
        path: summary.path.display().to_string(),
        session: header.session.clone(),
        state: match (summary.is_live, summary.is_ended) {
            (true, _) => "live",
            (false, true) => "ended",
            (false, false) => "cut off",
        },
        started: when::rfc3339(header.started_ms),
        ended: (!summary.is_live).then(|| when::rfc3339(summary.last_ms)),
        server: header.server.clone(),
        client: session.map_or_else(|| header.client.clone(), client_of),
        command: header.command.clone(),
        transport: header.transport.clone(),
        recorder: header.recorder.clone(),
        era: opening.era,
        revision: opening.revision,
        calls,
        errors,
        pending,
        frames: session.map_or(summary.frames, messages),
        lost: summary.lost,
        parts: summary.parts,
        bytes: summary.size,
        raw: header.raw,
        problem,
    }
}

fn messages(session: &Session) -> u64 {
    session.index().iter_from(0).filter(|(_, entry)| entry.kind == Type::Frame && !entry.is_element).count() as u64
}

fn client_of(session: &Session) -> String {
    let mut names: Vec<String> = session.peers().iter().map(|peer| peer.name.clone()).filter(|name| !name.is_empty()).collect();
    names.sort();
    names.dedup();
    match names.as_slice() {
        [] => session.header().client.clone(),
        [one] => one.clone(),
        several => format!("{} clients", several.len()),
    }
}
