//! `mcp trace show`: the operations of a session, or one of them in full.

use std::io::IsTerminal as _;

use clap_complete::engine::ArgValueCompleter;
use mcp_capture::detail::{Detail, DetailView, Message, RowView, unix_ms};
use mcp_capture::text::{duration, shortened, size, status, title, visible, visible_bytes};
use mcp_capture::tree::Tree;
use mcp_capture::{Direction, Hop, RowKind, Session, when};
use serde::Serialize;

use super::query::{self, Bounds};
use super::sessions;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::{BAD, FAINT, GOOD, STRONG, count};

/// Show the operations of a session, or one of them in full
///
/// Every line begins with a number; `mcp trace show SESSION NUMBER` shows that one: arguments, result, times, and every message
/// that belongs to it.
#[derive(Debug, clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  mcp trace show latest\n  mcp trace show latest is:error\n  mcp trace show latest 412\n  mcp trace show latest 412 --raw > message.json"
)]
pub(super) struct Args {
    /// The session
    #[arg(value_name = "SESSION", default_value = "latest", add = ArgValueCompleter::new(sessions::complete))]
    session: String,
    /// The number of an operation, or what has to fit
    #[arg(value_name = "NUMBER|FILTER", add = ArgValueCompleter::new(query::complete_filter))]
    what: Vec<String>,
    #[command(flatten)]
    bounds: Bounds,
    /// Write the exact bytes of its messages, also of those that fit a filter
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Write exact bytes to a terminal as well, whatever they do to it
    #[arg(long, requires = "raw")]
    force: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    if args.raw && !args.force && std::io::stdout().is_terminal() {
        return Err(Failure::missing("exact bytes could take over this terminal")
            .hint("send them elsewhere (`> FILE`, `| less`), or add `--force`"));
    }
    let session = sessions::open(ctx, &args.session)?;
    let number = match args.what.as_slice() {
        [one] => one.trim_start_matches('#').parse::<u64>().ok(),
        _ => None,
    };
    match number {
        Some(number) => one(ctx, args, &session, number),
        None => many(ctx, args, &session),
    }
}

fn one(ctx: &Ctx, args: &Args, session: &Session, number: u64) -> Result<Exit, Failure> {
    let failed = |e| sessions::unread(session, e);
    let name = sessions::name_of(session);
    let Some(detail) = Detail::find(session, number).map_err(failed)? else {
        let failure = Failure::missing(format_args!("`{}` has no record {number}", visible(&name)));
        return Err(sessions::no(failure.hint(format!("`mcp trace show {}` lists them", visible(&name)))));
    };
    if args.raw {
        raw(ctx, &detail.messages);
        return Ok(Exit::Done);
    }
    if args.json {
        #[derive(Serialize)]
        struct Answer<'a> {
            session: &'a str,
            #[serde(flatten)]
            detail: DetailView,
        }
        let detail = detail.view(session).map_err(failed)?;
        query::document(ctx.ui, "mcp.trace.operation/1", Answer { session: &name, detail });
        return Ok(Exit::Done);
    }
    in_full(ctx, session, &detail).map_err(failed)?;
    Ok(Exit::Done)
}

/// The bytes as they went over the wire, one message after the other.
fn raw(ctx: &Ctx, messages: &[Message]) {
    let mut out = ctx.ui.exact();
    for message in messages {
        out.bytes(&message.bytes);
        if !message.bytes.ends_with(b"\n") {
            out.bytes(b"\n");
        }
    }
}

fn in_full(ctx: &Ctx, session: &Session, detail: &Detail) -> std::io::Result<()> {
    let row = &detail.row;
    let how = status(row);
    let colour = if row.status.is_bad() { BAD } else { GOOD };
    let took = row.duration.map(|nanos| format!(" {}", duration(nanos))).unwrap_or_default();
    let mut out = ctx.ui.stream();
    out.line(format_args!("{STRONG}#{} {}{STRONG:#}  {colour}{how}{colour:#}{took}", row.sequence, title(session, row)?));
    let client = if row.hop == Hop::Server { "mcp".to_owned() } else { visible(&session.peer_name(row.hop)).into_owned() };
    let server = visible(&session.header().server).into_owned();
    let way =
        if row.direction == Direction::ToServer { format!("{client} → {server}") } else { format!("{server} → {client}") };
    let id =
        detail.request().and_then(|request| request.get(&["id"])).map(|id| format!(", id {}", visible(id))).unwrap_or_default();
    out.line(format_args!(
        "{FAINT}{way}, {} (+{}), sent {}, received {}{id}{FAINT:#}",
        when::clock(unix_ms(session, row.at)),
        duration(row.at),
        size(u64::from(row.sent)),
        size(u64::from(row.received)),
    ));
    if row.kind == RowKind::Operation {
        for (what, value) in [("arguments", detail.arguments()), ("result", detail.outcome())] {
            let what =
                if what == "result" && detail.answer().is_some_and(|a| a.get(&["error"]).is_some()) { "error" } else { what };
            if let Some(value) = value {
                out.line(format_args!("\n{STRONG}{what}{STRONG:#}"));
                pretty(&mut out, value);
            }
        }
    } else if let Some(message) = detail.request() {
        out.line("");
        match message.json() {
            Some(json) => pretty(&mut out, json),
            None => out.line(format_args!("  {}", visible_bytes(message.bytes.trim_ascii_end()))),
        }
    }
    if detail.messages.len() > 1 {
        out.line(format_args!("\n{STRONG}messages{STRONG:#}"));
        for message in &detail.messages {
            let arrow = if message.stamp.direction == Direction::ToServer { "→" } else { "←" };
            let text = message.text().unwrap_or_default();
            let what = match message.get(&["method"]) {
                Some(method) => format!("{} {}", method.trim_matches('"'), mcp_capture::text::arguments_of(text)),
                None if message.class.is_response() => String::new(),
                None => shortened(text, 200).into_owned(),
            };
            let line = format!(
                "{:>6} {:>9}  {arrow} {:<12} {:>7}  {}",
                message.stamp.sequence,
                format!("+{}", duration(message.stamp.at.saturating_sub(row.at))),
                message.word(),
                size(message.length),
                visible(&what)
            );
            out.line(line.trim_end());
        }
    }
    Ok(())
}

/// JSON with its structure, everything in it visible.
pub(super) fn pretty(out: &mut crate::ui::Stream, json: &str) {
    let text = Tree::parse(json).map_or_else(|| json.to_owned(), |tree| tree.pretty());
    for line in text.lines() {
        out.line(format_args!("  {}", visible(line)));
    }
}

fn many(ctx: &Ctx, args: &Args, session: &Session) -> Result<Exit, Failure> {
    let failed = |e| sessions::unread(session, e);
    let filter = query::filter(&args.what)?;
    let rows = query::rows(session, &filter, &args.bounds)?;
    let name = sessions::name_of(session);
    if args.raw {
        for row in rows.iter().filter_map(|number| query::row(session, *number)) {
            raw(ctx, &Detail::of(session, &row).map_err(failed)?.messages);
        }
    } else if args.json {
        #[derive(Serialize)]
        struct Answer<'a> {
            session: &'a str,
            path: String,
            server: &'a str,
            started: String,
            ended: bool,
            operations: Vec<RowView>,
        }
        let operations = rows
            .iter()
            .filter_map(|number| query::row(session, *number))
            .map(|row| RowView::of(session, &row))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        let answer = Answer {
            session: &name,
            path: session.path().display().to_string(),
            server: &session.header().server,
            started: when::rfc3339(session.header().started_ms),
            ended: session.is_ended(),
            operations,
        };
        query::document(ctx.ui, "mcp.trace.show/1", answer);
    } else {
        let mut out = ctx.ui.stream();
        for row in rows.iter().filter_map(|number| query::row(session, *number)) {
            let line = mcp_capture::text::line(session, &row).map_err(failed)?;
            let clock = when::clock(unix_ms(session, row.at));
            if row.status.is_bad() {
                out.line(format_args!("{clock} {BAD}{line}{BAD:#}"));
            } else {
                out.line(format_args!("{clock} {line}"));
            }
        }
        drop(out);
        let of = if rows.len() == session.rows().len() { String::new() } else { format!(" of {}", session.rows().len()) };
        let lines = if of.is_empty() { count(rows.len(), "line") } else { format!("{}{of} lines", rows.len()) };
        ctx.ui.note(format_args!("{lines} in {}", visible(&name)));
    }
    Ok(if rows.is_empty() && !filter.is_all() { Exit::No } else { Exit::Done })
}
