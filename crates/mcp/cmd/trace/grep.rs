//! `mcp trace grep`: in all sessions.

use clap_complete::engine::ArgValueCompleter;
use mcp_capture::Session;
use mcp_capture::detail::RowView;
use mcp_capture::text::visible;
use serde::Serialize;

use super::query::{self, Bounds};
use super::sessions;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;

/// Find operations and other records in all sessions
///
/// Sessions come newest first, what fits in each in order. Ends with 1 if nothing fits.
#[derive(Debug, clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  mcp trace grep panic\n  mcp trace grep 'tool:search* (is:error or dur>2s)' --since 1d\n  mcp trace grep is:stray github\n  mcp trace grep tool:search --json | jq .duration_us"
)]
pub(super) struct Args {
    /// What has to fit
    #[arg(value_name = "FILTER", add = ArgValueCompleter::new(query::complete_filter))]
    filter: String,
    /// Only in these sessions
    #[arg(value_name = "SESSION", add = ArgValueCompleter::new(sessions::complete))]
    sessions: Vec<String>,
    #[command(flatten)]
    bounds: Bounds,
    /// Answer in JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// A row and where it is.
#[derive(Serialize)]
pub(super) struct Found<'a> {
    pub(super) session: &'a str,
    #[serde(flatten)]
    pub(super) row: RowView,
}

pub(super) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let filter = query::filter(std::slice::from_ref(&args.filter))?;
    let mut paths = Vec::new();
    for name in &args.sessions {
        paths.push(sessions::find(ctx, name)?);
    }
    if args.sessions.is_empty() {
        let all = sessions::all(ctx)?;
        if all.is_empty() {
            return Err(sessions::nothing());
        }
        let from_ms = args.bounds.since_ms();
        paths.extend(all.into_iter().filter(|session| session.last_ms >= from_ms).map(|session| session.path));
    }
    let (mut left, mut found) = (args.bounds.limit(), 0);
    for path in &paths {
        let session = match Session::open(path) {
            Ok(session) => session,
            // Of many, one that cannot be read is no reason to say nothing of the others.
            Err(error) if args.sessions.is_empty() => {
                ctx.ui.warn(visible(&error.to_string()));
                continue;
            }
            Err(error) => return Err(Failure::file(error)),
        };
        let name = sessions::name_of(&session);
        let rows = query::rows(&session, &filter, &args.bounds)?;
        let mut out = ctx.ui.stream();
        for row in rows[rows.len().saturating_sub(left)..].iter().filter_map(|number| query::row(&session, *number)) {
            let failed = |e| sessions::unread(&session, e);
            if args.json {
                let row = RowView::of(&session, &row).map_err(failed)?;
                out.line(query::line("mcp.trace.grep/1", Found { session: &name, row }));
            } else {
                let line = mcp_capture::text::line(&session, &row).map_err(failed)?;
                out.line(format_args!("{}  {line}", visible(&name)));
            }
        }
        found += rows.len();
        left = left.saturating_sub(rows.len());
        if left == 0 {
            break;
        }
    }
    if found == 0 {
        ctx.ui.note("Nothing fits");
        return Ok(Exit::No);
    }
    Ok(Exit::Done)
}
