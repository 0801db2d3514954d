//! `mcp trace diff`: what is different.

use std::path::PathBuf;

use clap_complete::engine::ArgValueCompleter;
use mcp_capture::Session;
use mcp_capture::compare::{self, Change, Difference, Drift, Mention, SessionDifference};
use mcp_capture::detail::Detail;
use mcp_capture::listing::Listing;
use mcp_capture::text::{shortened, visible};
use mcp_capture::tree::Tree;
use serde::Serialize;

use super::query;
use super::sessions;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::{BAD, GOOD, STRONG, WARN, count};

/// Compare two sessions, two operations, or what a server offers then and now
///
/// A and B are sessions, or operations: `latest#412`. Sessions are compared by what was asked: each operation with the one that
/// asks for the same, else with one of the same method and name. Values are compared by structure: the order of members, ids and
/// `_meta` are no difference, numbers count by value. With `--baseline` what the server lists in A is compared with a file.
#[derive(Debug, clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  mcp trace diff -2 -1\n  mcp trace diff latest#12 latest#40\n  mcp trace diff -2 -1 --tools --exit-code\n  mcp trace diff latest --baseline tools.json --update\n  mcp trace diff latest --baseline tools.json --exit-code"
)]
pub(super) struct Args {
    /// A session, or an operation `SESSION#NUMBER`
    #[arg(value_name = "A", add = ArgValueCompleter::new(sessions::complete))]
    before: String,
    /// Another one
    #[arg(value_name = "B", required_unless_present = "baseline", conflicts_with = "baseline", add = ArgValueCompleter::new(sessions::complete))]
    after: Option<String>,
    /// Only what the server offers: tools, prompts, resources
    #[arg(long)]
    tools: bool,
    /// Compare what the server offers with this file
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the file instead, as it is now
    #[arg(long, requires = "baseline")]
    update: bool,
    /// End with 1 if there is a difference
    #[arg(long)]
    exit_code: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

const BASELINE: &str = "mcp.trace.baseline/1";

pub(super) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let (before, number) = side(ctx, &args.before)?;
    if let Some(path) = &args.baseline {
        if number.is_some() {
            return Err(Failure::missing("a baseline is about a session, not about one operation"));
        }
        return baseline(ctx, args, &before, path);
    }
    let (after, other) = side(ctx, args.after.as_deref().unwrap_or_default())?;
    match (number, other) {
        (Some(a), Some(b)) => Ok(operations(ctx, args, &operation(&before, a)?, &operation(&after, b)?)),
        (None, None) => two_sessions(ctx, args, &before, &after),
        _ => Err(Failure::missing("one is a session and the other an operation").hint("`SESSION#NUMBER` is an operation")),
    }
}

/// A session, and the number of an operation if one was named.
fn side(ctx: &Ctx, name: &str) -> Result<(Session, Option<u64>), Failure> {
    if let Some((session, number)) = name.rsplit_once('#')
        && let Ok(number) = number.parse()
    {
        let session = if session.is_empty() { "latest" } else { session };
        return Ok((sessions::open(ctx, session)?, Some(number)));
    }
    Ok((sessions::open(ctx, name)?, None))
}

fn operation(session: &Session, number: u64) -> Result<(Detail, Mention), Failure> {
    let found = Detail::find(session, number).map_err(|e| sessions::unread(session, e))?;
    let detail = found.ok_or_else(|| {
        sessions::no(Failure::missing(format_args!("`{}` has no record {number}", visible(&sessions::name_of(session)))))
    })?;
    let (method, name) = session.index().symbols.get(detail.row.operation);
    let mention = Mention { number: detail.row.sequence, method: method.to_owned(), name: name.to_owned() };
    Ok((detail, mention))
}

fn ended(args: &Args, is_same: bool) -> Exit {
    if args.exit_code && !is_same { Exit::No } else { Exit::Done }
}

fn operations(ctx: &Ctx, args: &Args, before: &(Detail, Mention), after: &(Detail, Mention)) -> Exit {
    let differences = compare::operations(&before.0, &after.0);
    if args.json {
        #[derive(Serialize)]
        struct Answer<'a> {
            before: &'a Mention,
            after: &'a Mention,
            differences: &'a [Difference],
        }
        query::document(
            ctx.ui,
            "mcp.trace.diff-operations/1",
            Answer { before: &before.1, after: &after.1, differences: &differences },
        );
    } else {
        ctx.ui.out(format_args!("{STRONG}{} → {}{STRONG:#}", named(&before.1), named(&after.1)));
        show(ctx, &differences, "  ");
        if differences.is_empty() {
            ctx.ui.note("No difference");
        }
    }
    ended(args, differences.is_empty())
}

fn two_sessions(ctx: &Ctx, args: &Args, before: &Session, after: &Session) -> Result<Exit, Failure> {
    let failed = |e| sessions::unread(before, e);
    let found = if args.tools {
        let drift = compare::drift(&Listing::of(before).map_err(failed)?, &Listing::of(after).map_err(failed)?);
        SessionDifference { drift, ..SessionDifference::default() }
    } else {
        compare::sessions(before, after).map_err(failed)?
    };
    if args.json {
        #[derive(Serialize)]
        struct Answer<'a> {
            before: String,
            after: String,
            #[serde(flatten)]
            found: &'a SessionDifference,
        }
        let answer = Answer { before: sessions::name_of(before), after: sessions::name_of(after), found: &found };
        query::document(ctx.ui, "mcp.trace.diff/1", answer);
        return Ok(ended(args, found.is_empty()));
    }
    show_drift(ctx, &found.drift);
    for mention in &found.only_before {
        ctx.ui.out(format_args!("{BAD}- {}{BAD:#}", named(mention)));
    }
    for mention in &found.only_after {
        ctx.ui.out(format_args!("{GOOD}+ {}{GOOD:#}", named(mention)));
    }
    for pair in &found.changed {
        ctx.ui.out(format_args!("{WARN}~ {} → #{}{WARN:#}", named(&pair.before), pair.after.number));
        show(ctx, &pair.differences, "    ");
    }
    if found.is_empty() {
        ctx.ui.note("No difference");
    } else if !args.tools {
        ctx.ui.note(format_args!(
            "{} gone, {} new, {} different, {} the same",
            count(found.only_before.len(), "operation"),
            found.only_after.len(),
            found.changed.len(),
            found.same
        ));
    }
    Ok(ended(args, found.is_empty()))
}

fn baseline(ctx: &Ctx, args: &Args, session: &Session, path: &std::path::Path) -> Result<Exit, Failure> {
    let now = Listing::of(session).map_err(|e| sessions::unread(session, e))?;
    let shown = ctx.show(path);
    if args.update {
        if now == Listing::default() {
            return Err(sessions::no(
                Failure::missing("nothing was listed in this session, so there is nothing to keep")
                    .hint("a session in which the client asked for `tools/list` has something"),
            ));
        }
        let text = text_of(&session.header().server, &now);
        std::fs::write(path, text)
            .map_err(|e| Failure::file(anyhow::Error::new(e).context(format!("write {}", path.display()))))?;
        ctx.ui.note(format_args!("Wrote {shown}: {}", count(now.tools.len(), "tool")));
        return Ok(Exit::Done);
    }
    let text = std::fs::read_to_string(path).map_err(|e| {
        Failure::file(anyhow::Error::new(e).context(format!("read {}", path.display()))).hint("`--update` writes it")
    })?;
    let before = listing(&text)
        .ok_or_else(|| Failure::file(anyhow::anyhow!("{} is no baseline", path.display())).hint("`--update` writes one"))?;
    let drift = compare::drift(&before, &now);
    if args.json {
        #[derive(Serialize)]
        struct Answer<'a> {
            baseline: String,
            session: String,
            drift: &'a [Drift],
        }
        let baseline = std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
        query::document(ctx.ui, "mcp.trace.drift/1", Answer { baseline, session: sessions::name_of(session), drift: &drift });
    } else {
        show_drift(ctx, &drift);
        if drift.is_empty() {
            ctx.ui.note(format_args!("Everything is as in {shown}"));
        }
    }
    Ok(ended(args, drift.is_empty()))
}

/// A listing as a file for version control: a line for each value.
fn text_of(server: &str, listing: &Listing) -> String {
    let text = |text: &str| Tree::Text(text.to_owned());
    let mut members = vec![("schema".to_owned(), text(BASELINE)), ("server".to_owned(), text(server))];
    for (what, list) in listing.lists() {
        members.push((format!("{what}s"), Tree::Array(list.iter().map(|(_, value)| value.clone()).collect())));
    }
    Tree::Object(members).pretty() + "\n"
}

fn listing(text: &str) -> Option<Listing> {
    let tree = Tree::parse(text)?;
    if tree.get("schema")?.as_text()? != BASELINE {
        return None;
    }
    let list = |what: &str, key: &str| -> Vec<(String, Tree)> {
        let Some(Tree::Array(items)) = tree.get(what) else { return Vec::new() };
        items.iter().filter_map(|item| Some((item.get(key)?.as_text()?.to_owned(), item.clone()))).collect()
    };
    Some(Listing {
        tools: list("tools", "name"),
        prompts: list("prompts", "name"),
        resources: list("resources", "uri"),
        templates: list("templates", "uriTemplate"),
    })
}

fn named(mention: &Mention) -> String {
    let text = format!("#{} {} {}", mention.number, mention.method, mention.name);
    visible(text.trim_end()).into_owned()
}

fn show_drift(ctx: &Ctx, drift: &[Drift]) {
    for one in drift {
        let name = visible(&one.name);
        match one.change {
            Change::Added => ctx.ui.out(format_args!("{GOOD}+ {} {name}{GOOD:#}", one.what)),
            Change::Removed => ctx.ui.out(format_args!("{BAD}- {} {name}{BAD:#}", one.what)),
            Change::Changed => ctx.ui.out(format_args!("{WARN}~ {} {name}{WARN:#}", one.what)),
            Change::Reordered => ctx.ui.out(format_args!("{WARN}~ the {}s come in another order{WARN:#}", one.what)),
        }
        show(ctx, &one.differences, "    ");
    }
}

/// Differences, a line each.
fn show(ctx: &Ctx, differences: &[Difference], indent: &str) {
    for difference in differences {
        ctx.ui.out(format_args!("{indent}{}", told(difference)));
    }
}

/// `$.result.content[0].text: "3" → "4"`.
pub(crate) fn told(difference: &Difference) -> String {
    let side = |value: &Option<Tree>| {
        value.as_ref().map_or_else(|| "nothing".to_owned(), |value| shortened(&value.compact(), 120).into_owned())
    };
    visible(&format!("{}: {} → {}", difference.path, side(&difference.before), side(&difference.after))).into_owned()
}
