//! `mcp trace tail`: what is being said now.

use std::time::Duration;

use clap_complete::engine::ArgValueCompleter;
use mcp_capture::detail::{RowView, unix_ms};
use mcp_capture::text::visible;
use mcp_capture::{Filter, Row, Session, store, when};

use super::grep::Found;
use super::query::{self, Bounds};
use super::sessions;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::BAD;

/// How often a file is looked at that somebody else writes.
const NAP: Duration = Duration::from_millis(50);

/// Follow a session: each operation as it ends, everything else as it comes
///
/// Without SESSION, the newest that is being recorded, or else the newest. Ends when the session does.
#[derive(Debug, clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  mcp trace tail\n  mcp trace tail github is:error\n  mcp trace tail 'tool:search*' --json | jq -r .title"
)]
pub(super) struct Args {
    /// The session, and what has to fit
    #[arg(value_name = "[SESSION] [FILTER]", add = ArgValueCompleter::new(complete))]
    words: Vec<String>,
    #[command(flatten)]
    bounds: Bounds,
    /// So many lines of what was said before
    #[arg(long, short = 'n', default_value_t = 10, value_name = "LINES")]
    lines: usize,
    /// Only what is there
    #[arg(long)]
    no_follow: bool,
    /// Answer in JSON, one object a line
    #[arg(long)]
    json: bool,
}

fn complete(current: &std::ffi::OsStr) -> Vec<clap_complete::engine::CompletionCandidate> {
    let mut all = sessions::complete(current);
    all.extend(query::complete_filter(current));
    all
}

pub(super) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let (path, words) = wanted(ctx, &args.words)?;
    let filter = query::filter(words)?;
    let mut session = sessions::open_path(&path)?;
    let is_live = store::is_live(&path);
    let name = sessions::name_of(&session);
    let what = if is_live { "is being recorded" } else { "has ended" };
    ctx.ui.note(format_args!("{} {what}", visible(&name)));
    let mut waiting: Vec<u32> = Vec::new();
    let before = query::rows(&session, &filter, &args.bounds)?;
    let teller = Teller { ctx, args, name: &name };
    let rows = before.iter().filter_map(|number| query::row(&session, *number));
    let shown: Vec<u32> = rows.filter(|row| !(is_live && row.status.is_open())).map(|row| row.number).collect();
    for row in shown[shown.len().saturating_sub(args.lines)..].iter().filter_map(|number| query::row(&session, *number)) {
        teller.tell(&session, &row)?;
    }
    let mut next = u32::try_from(session.rows().len()).unwrap_or(u32::MAX);
    waiting.extend(session.rows().iter(session.index()).filter(|row| row.status.is_open()).map(|row| row.number));
    while !args.no_follow && is_live && !session.is_ended() {
        // Asked before it is read: what was written until the lock was let go is read then.
        let goes_on = store::is_live(&path);
        let changes = session.refresh().map_err(Failure::file)?;
        if changes.records > 0 {
            let mut ready: Vec<Row> = Vec::new();
            let get = |number| session.rows().get(session.index(), number);
            waiting.retain(|number| {
                let Some(row) = get(*number) else { return false };
                if !row.status.is_open() {
                    ready.push(row);
                }
                row.status.is_open()
            });
            let end = u32::try_from(session.rows().len()).unwrap_or(u32::MAX);
            for row in (next..end).filter_map(get) {
                if row.status.is_open() { waiting.push(row.number) } else { ready.push(row) }
            }
            next = end;
            ready.sort_by_key(|row| row.end.unwrap_or(row.first));
            for row in ready {
                if fits(&session, &filter, &row)? {
                    teller.tell(&session, &row)?;
                }
            }
        } else if !goes_on {
            break;
        } else {
            std::thread::sleep(NAP);
        }
    }
    // What nobody will answer any more; of a session that had ended it was told already.
    if is_live && !args.no_follow {
        for row in waiting.iter().filter_map(|number| session.rows().get(session.index(), *number)) {
            if fits(&session, &filter, &row)? {
                teller.tell(&session, &row)?;
            }
        }
        ctx.ui.note(format_args!("{} has ended", visible(&name)));
    }
    Ok(Exit::Done)
}

fn fits(session: &Session, filter: &Filter, row: &Row) -> Result<bool, Failure> {
    session.matches(filter, row).map_err(|e| sessions::unread(session, e))
}

/// The session the first word names, if it does, and the filter.
fn wanted<'w>(ctx: &Ctx, words: &'w [String]) -> Result<(std::path::PathBuf, &'w [String]), Failure> {
    if let Some(first) = words.first() {
        match sessions::find(ctx, first) {
            Ok(path) => return Ok((path, &words[1..])),
            // Several of that name, or a file that cannot be read.
            Err(failure) if failure.exit != Exit::No => return Err(failure),
            Err(_) => {}
        }
    }
    let all = sessions::all(ctx)?;
    let newest = all.iter().find(|session| session.is_live).or(all.first()).ok_or_else(sessions::nothing)?;
    Ok((newest.path.clone(), words))
}

struct Teller<'a> {
    ctx: &'a Ctx,
    args: &'a Args,
    name: &'a str,
}

impl Teller<'_> {
    fn tell(&self, session: &Session, row: &Row) -> Result<(), Failure> {
        let failed = |e| sessions::unread(session, e);
        if self.args.json {
            let row = RowView::of(session, row).map_err(failed)?;
            self.ctx.ui.out(query::line("mcp.trace.tail/1", Found { session: self.name, row }));
            return Ok(());
        }
        let line = mcp_capture::text::line(session, row).map_err(failed)?;
        let clock = when::clock(unix_ms(session, row.at));
        if row.status.is_bad() {
            self.ctx.ui.out(format_args!("{clock} {BAD}{line}{BAD:#}"));
        } else {
            self.ctx.ui.out(format_args!("{clock} {line}"));
        }
        Ok(())
    }
}
