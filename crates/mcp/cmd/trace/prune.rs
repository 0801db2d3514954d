//! `mcp trace prune` and `mcp trace rm`: deleting sessions.

use std::time::Duration;

use clap_complete::engine::ArgValueCompleter;
use mcp_capture::Store;
use mcp_capture::store::{self, Policy, Summary};
use mcp_capture::text::{size, visible};
use serde::Serialize;

use super::query;
use super::sessions;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::count;

/// Delete old sessions
///
/// Sessions that are being recorded are never deleted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  mcp trace prune --older-than 30d --dry-run\n  mcp trace prune --max-size 1G")]
pub(super) struct Args {
    /// Those whose last sign of life is older: `30d`, `12h`
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    older_than: Option<Duration>,
    /// The oldest, until the others take no more than this: `500M`, `2G`
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    max_size: Option<u64>,
    /// Show what would go and delete nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Delete sessions
#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true, after_help = "Examples:\n  mcp trace rm 20261124T103316Z-github\n  mcp trace rm -3 -4")]
pub(super) struct RmArgs {
    /// The sessions
    #[arg(value_name = "SESSION", required = true, add = ArgValueCompleter::new(sessions::complete))]
    sessions: Vec<String>,
    /// Show what would go and delete nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    mcp_daemon::call::duration(text).ok_or_else(|| "a duration is a number and `s`, `m`, `h` or `d`: `30d`".to_owned())
}

fn bytes(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[end..].to_ascii_lowercase().trim_end_matches('b') {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        "ki" => 1 << 10,
        "mi" => 1 << 20,
        "gi" => 1 << 30,
        _ => 0,
    };
    let number = text[..end].parse::<u64>().ok().filter(|_| unit > 0).and_then(|number| number.checked_mul(unit));
    number.ok_or_else(|| "a size is a number and `k`, `M` or `G`: `500M`".to_owned())
}

pub(super) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    if args.older_than.is_none() && args.max_size.is_none() {
        return Err(
            Failure::missing("say what is to go").hint("`--older-than 30d`, `--max-size 1G`, or both; `--dry-run` shows first")
        );
    }
    let store = Store::of(&ctx.dirs);
    let policy = Policy { max_age: args.older_than, max_size: args.max_size };
    let found = store.prunable(&policy, mcp_os::clock::now_ms()).map_err(Failure::file)?;
    Ok(delete(ctx, found, args.dry_run, args.json))
}

pub(super) fn rm(ctx: &Ctx, args: &RmArgs) -> Result<Exit, Failure> {
    let mut found: Vec<Summary> = Vec::new();
    for name in &args.sessions {
        let summary = store::summary(&sessions::find(ctx, name)?).map_err(Failure::file)?;
        if !found.iter().any(|known| known.path == summary.path) {
            found.push(summary);
        }
    }
    Ok(delete(ctx, found, args.dry_run, args.json))
}

#[derive(Serialize)]
struct Gone {
    name: String,
    path: String,
    bytes: u64,
    error: Option<String>,
}

fn delete(ctx: &Ctx, found: Vec<Summary>, is_dry: bool, is_json: bool) -> Exit {
    let mut gone = Vec::new();
    for summary in found {
        let error = if is_dry { None } else { store::remove(&summary).err() };
        gone.push(Gone {
            name: summary.name.clone(),
            path: summary.path.display().to_string(),
            bytes: summary.size,
            error: error.map(|error| error.to_string()),
        });
    }
    let has_failed = gone.iter().any(|one| one.error.is_some());
    let kept = |one: &&Gone| one.error.is_none();
    let (number, total) = (gone.iter().filter(kept).count(), gone.iter().filter(kept).map(|one| one.bytes).sum());
    if is_json {
        #[derive(Serialize)]
        struct Answer {
            dry_run: bool,
            sessions: Vec<Gone>,
            bytes: u64,
        }
        query::document(ctx.ui, "mcp.trace.removed/1", Answer { dry_run: is_dry, sessions: gone, bytes: total });
    } else {
        for one in &gone {
            match &one.error {
                None => ctx.ui.out(format_args!(
                    "{} {}  {}",
                    if is_dry { "would delete" } else { "deleted" },
                    visible(&one.name),
                    size(one.bytes)
                )),
                Some(error) => ctx.ui.warn(format_args!("{} stays: {}", visible(&one.name), visible(error))),
            }
        }
        if gone.is_empty() {
            ctx.ui.note("Nothing to delete");
        } else {
            ctx.ui.note(format_args!("{}, {} bytes", count(number, "session"), size(total)));
        }
    }
    if has_failed { Exit::File } else { Exit::Done }
}
