//! `mcp undo`: take a change back.

use clap_complete::engine::ArgValueCompleter;
use mcp_clients::undo::{self, Memo};
use mcp_os::journal::{Journal, JournalError, Record};
use serde_json::{Value as Json, json};

use crate::args::Doing;
use crate::changes::{self, Item, Manner};
use crate::complete;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::{FAINT, table};

/// Take a change back
///
/// Without a number, the last change that was not taken back. Later edits of the same file by others are kept; when
/// somebody changed the very place since, nothing is done and both versions are shown. Taking back is a change itself and
/// can be taken back by its number.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  mcp undo --list\n  mcp undo --dry-run\n  mcp undo 12")]
pub(crate) struct Args {
    /// The number of the change
    #[arg(value_name = "ID", add = ArgValueCompleter::new(complete::changes))]
    id: Option<u64>,
    /// List the changes that can be taken back
    #[arg(long, short, conflicts_with_all = ["id", "dry_run", "yes"])]
    list: bool,
    #[command(flatten)]
    doing: Doing,
}

pub(crate) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let journal = Journal::open(&ctx.dirs.state);
    if args.list {
        return list(ctx, &journal, args.doing.json);
    }
    let record = if let Some(id) = args.id {
        journal.get(id).map_err(|error| {
            // That there is no such change is an answer, not a file's trouble.
            let exit = if matches!(error, JournalError::Unknown { .. }) { Exit::No } else { Exit::File };
            Failure { exit, ..Failure::file(error) }.hint("`mcp undo --list` shows every change")
        })?
    } else {
        let (records, errors) = journal.list().map_err(Failure::file)?;
        for error in &errors {
            ctx.ui.warn(error);
        }
        let last = records.into_iter().find(|r| r.undone_by.is_none() && !is_undoing(r));
        last.ok_or_else(|| {
            let mut failure = Failure::missing("there is no change to take back");
            failure.exit = Exit::No;
            failure
        })?
    };
    if let Some(by) = record.undone_by {
        let id = record.header.id;
        let how = if by == id { "it was gone when it was to be taken back".to_owned() } else { format!("by change {by}") };
        let mut failure = Failure::missing(format_args!("change {id} was taken back already: {how}"));
        failure.exit = Exit::No;
        return Err(if by == id { failure } else { failure.hint(format!("`mcp undo {by}` does it again")) });
    }
    let id = record.header.id;
    let known: Vec<(String, Vec<String>)> =
        record.edits_to_undo().map(|e| Memo::read(e).map_or_else(Default::default, |m| (m.name.clone(), m.secrets()))).collect();
    let items = undo::jobs(ctx.clients(), &record).into_iter().zip(known).map(|(job, (server, secrets))| {
        let (client, scope) = (job.client.clone(), job.scope);
        Item { client: ctx.clients().get(&client), id: client, scope, server, job: Ok(job), paste: None, secrets }
    });
    let manner = Manner {
        verb: "undo",
        command: format!("mcp undo {id}"),
        dry_run: args.doing.dry_run,
        ask: !args.doing.yes && !args.doing.json,
        json: args.doing.json,
        reveal: args.doing.reveal,
    };
    if !manner.json {
        ctx.ui.note(format_args!("Taking back change {id}: {FAINT}{}{FAINT:#}", record.header.command));
    }
    let finished = changes::run(ctx, &manner, items.collect())?;
    if finished.exit == Exit::Done && !args.doing.dry_run {
        // Somebody else had taken it back: then the one before it is next.
        journal.mark_undone(id, finished.undo.unwrap_or(id)).map_err(Failure::file)?;
        // Taking an undo back makes the first change stand again.
        if let Some(first) = record.header.command.strip_prefix("mcp undo ").and_then(|n| n.parse().ok()) {
            journal.mark_standing(first).map_err(Failure::file)?;
        }
    }
    // It was never made (the process was killed before), or is back already: the next `mcp undo` is for the change before it.
    if finished.undo.is_none() && finished.exit == Exit::Done && !args.doing.dry_run {
        journal.mark_undone(id, id).map_err(Failure::file)?;
        ctx.ui.note(format_args!("Nothing of change {id} is left to take back"));
    }
    Ok(finished.exit)
}

fn is_undoing(record: &Record) -> bool {
    record.header.command.starts_with("mcp undo ")
}

fn list(ctx: &Ctx, journal: &Journal, as_json: bool) -> Result<Exit, Failure> {
    let (records, errors) = journal.list().map_err(Failure::file)?;
    for error in &errors {
        ctx.ui.warn(error);
    }
    if as_json {
        let changes: Vec<Json> = records
            .iter()
            .map(|r| {
                let files: Vec<Json> = r.edits.iter().map(|e| json!({ "client": e.client, "scope": e.scope, "path": e.named })).collect();
                json!({ "id": r.header.id, "time_unix_ms": r.header.time_unix_ms, "command": r.header.command, "undone_by": r.undone_by, "files": files })
            })
            .collect();
        let answer = json!({ "schema": "mcp.undo-list/1", "changes": changes });
        ctx.ui.out(serde_json::to_string_pretty(&answer).unwrap_or_default());
        return Ok(Exit::Done);
    }
    if records.is_empty() {
        ctx.ui.note("No change was made yet");
    }
    let mut rows = vec![["ID", "WHEN", "CHANGE", "WHERE"].map(str::to_owned).to_vec()];
    for record in &records {
        let mut clients: Vec<&str> = record.edits.iter().map(|e| e.client.as_str()).collect();
        clients.dedup();
        let state = record
            .undone_by
            .map(|by| if by == record.header.id { " (gone)".to_owned() } else { format!(" (taken back by {by})") })
            .unwrap_or_default();
        rows.push(vec![
            record.header.id.to_string(),
            ago(mcp_os::clock::now_ms().saturating_sub(record.header.time_unix_ms)),
            format!("{}{state}", record.header.command),
            clients.join(", "),
        ]);
    }
    if rows.len() > 1 {
        for (i, line) in table(&rows).iter().enumerate() {
            if i == 0 { ctx.ui.out(format_args!("{FAINT}{line}{FAINT:#}")) } else { ctx.ui.out(line) }
        }
    }
    Ok(Exit::Done)
}

/// A span of time as people say it.
fn ago(ms: u64) -> String {
    let (n, unit) = match ms / 1000 {
        0..60 => return "just now".to_owned(),
        s @ 60..3600 => (s / 60, "minute"),
        s @ 3600..86_400 => (s / 3600, "hour"),
        s => (s / 86_400, "day"),
    };
    format!("{} ago", crate::ui::count(usize::try_from(n).unwrap_or(usize::MAX), unit))
}
