//! `mcp trace stats`: what calls cost.

use clap_complete::engine::ArgValueCompleter;
use mcp_capture::stats::{BYTES_PER_TOKEN, Stats, Usage};
use mcp_capture::text::{duration, size, visible};
use serde::Serialize;

use super::query::{self, Bounds, Since};
use super::sessions;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::{FAINT, count, table};

/// Count what each tool cost: calls, errors, times, bytes and tokens
///
/// Tokens are estimated: a quarter of the bytes of the JSON, rounded up. Every model counts in its own way; compare the numbers with
/// each other rather than with a bill. Times are from the request to its answer; of 100 calls, 95 took no longer than P95.
#[derive(Debug, clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  mcp trace stats\n  mcp trace stats github\n  mcp trace stats github client:claude-code\n  mcp trace stats --json | jq '.never_called'"
)]
pub(super) struct Args {
    /// The session
    #[arg(value_name = "SESSION", default_value = "latest", add = ArgValueCompleter::new(sessions::complete))]
    session: String,
    /// Only what fits
    #[arg(value_name = "FILTER", add = ArgValueCompleter::new(query::complete_filter))]
    filter: Vec<String>,
    #[command(flatten)]
    since: Since,
    /// Only so many tools, those that brought back most
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let session = sessions::open(ctx, &args.session)?;
    let filter = query::filter(&args.filter)?;
    let rows = query::rows(&session, &filter, &Bounds::since(&args.since))?;
    let rows = rows.iter().filter_map(|number| query::row(&session, *number));
    let mut stats = Stats::of(&session, rows).map_err(|e| sessions::unread(&session, e))?;
    let name = sessions::name_of(&session);
    stats.tools.truncate(args.limit.unwrap_or(usize::MAX));
    if args.json {
        #[derive(Serialize)]
        struct Answer<'a> {
            session: &'a str,
            server: &'a str,
            bytes_per_token: u64,
            #[serde(flatten)]
            stats: &'a Stats,
        }
        let answer = Answer { session: &name, server: &session.header().server, bytes_per_token: BYTES_PER_TOKEN, stats: &stats };
        query::document(ctx.ui, "mcp.trace.stats/1", answer);
        return Ok(Exit::Done);
    }
    if stats.total.calls == 0 && stats.tools.is_empty() {
        ctx.ui.note(format_args!("Nothing was asked in {}", visible(&name)));
        return Ok(if filter.is_all() { Exit::Done } else { Exit::No });
    }
    let head = ["TOOL", "CALLS", "ERRORS", "P50", "P95", "P99", "DEFINITION", "~TOKENS", "RESULTS", "~TOKENS"];
    let mut cells: Vec<Vec<String>> = vec![head.map(str::to_owned).to_vec()];
    cells.extend(stats.tools.iter().map(line));
    if !stats.methods.is_empty() {
        cells.push(vec!["METHOD".to_owned()]);
        cells.extend(stats.methods.iter().map(line));
    }
    let mut total = stats.total.clone();
    (total.definition, total.definition_tokens) = (Some(stats.definitions), Some(stats.definitions_tokens));
    cells.push(line(&total));
    for (i, line) in table(&cells).iter().enumerate() {
        if i == 0 || line == "METHOD" { ctx.ui.out(format_args!("{FAINT}{line}{FAINT:#}")) } else { ctx.ui.out(line) }
    }
    if !stats.never_called.is_empty() {
        let unused: u64 = stats.tools.iter().filter(|tool| tool.calls == 0).filter_map(|tool| tool.definition_tokens).sum();
        ctx.ui.out(format_args!(
            "{} never called: {} (about {unused} tokens of definitions)",
            count(stats.never_called.len(), "tool"),
            visible(&stats.never_called.join(", "))
        ));
    }
    ctx.ui.note(format_args!("~TOKENS is an estimate: {BYTES_PER_TOKEN} bytes of JSON each"));
    Ok(Exit::Done)
}

fn line(usage: &Usage) -> Vec<String> {
    let time = |micros: Option<u64>| micros.map_or_else(|| "-".to_owned(), |micros| duration(micros * 1_000));
    let some = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), size);
    vec![
        visible(&usage.name).into_owned(),
        usage.calls.to_string(),
        usage.errors.to_string(),
        time(usage.times.map(|t| t.p50_us)),
        time(usage.times.map(|t| t.p95_us)),
        time(usage.times.map(|t| t.p99_us)),
        some(usage.definition),
        some(usage.definition_tokens),
        size(usage.received),
        size(usage.result_tokens),
    ]
}
