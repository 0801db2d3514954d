//! `mcp trace`: what was recorded, for people and scripts. One file per subcommand.

pub(crate) mod check;
pub(crate) mod diff;
mod export;
mod grep;
mod ls;
mod prune;
mod query;
mod redact;
mod serve;
mod sessions;
mod show;
mod stats;
mod tail;

use clap::Subcommand;

pub(crate) use query::{complete_filter, filter};
pub(crate) use sessions::{complete as complete_sessions, open as open_file};

use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;

/// Look into what clients and servers said
///
/// Sessions are recorded by `mcp tap`, `mcp tap attach` and the daemon. A SESSION is a name, the beginning of one, a server's name,
/// a file, `latest`, or `-1` for the newest, `-2` for the one before. A FILTER is written as in `mcp inspect`: `tool:search*
/// is:error`, `dur>500ms`, `size>10k`, `"some text"`, `json $.params.arguments.repo = "acme"`, with `and`, `or`, `not` and brackets.
/// Times are UTC.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mcp trace ls                                  every session\n  mcp trace show latest is:error                what went wrong in the newest\n  mcp trace show latest 412                     one operation in full\n  mcp trace tail                                follow what is being said now\n  mcp trace grep 'tool:search* dur>1s'          in all sessions\n  mcp trace stats github                        times, bytes and tokens per tool\n  mcp trace diff -2 -1 --exit-code              what changed since the last run\n  mcp trace export latest --format html -o s.html"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Trace,
}

#[derive(Debug, Subcommand)]
enum Trace {
    #[command(visible_alias = "list")]
    Ls(ls::Args),
    Show(show::Args),
    Tail(tail::Args),
    Grep(grep::Args),
    Stats(stats::Args),
    Check(check::Args),
    Rules(check::rules::Args),
    Diff(diff::Args),
    Export(export::Args),
    Redact(redact::Args),
    Prune(prune::Args),
    Rm(prune::RmArgs),
    Serve(serve::Args),
}

pub(crate) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Trace::Ls(args) => ls::run(ctx, args),
        Trace::Show(args) => show::run(ctx, args),
        Trace::Tail(args) => tail::run(ctx, args),
        Trace::Grep(args) => grep::run(ctx, args),
        Trace::Stats(args) => stats::run(ctx, args),
        Trace::Check(args) => check::run(ctx, args),
        Trace::Rules(args) => check::rules::run(ctx, args),
        Trace::Diff(args) => diff::run(ctx, args),
        Trace::Export(args) => export::run(ctx, args),
        Trace::Redact(args) => redact::run(ctx, args),
        Trace::Prune(args) => prune::run(ctx, args),
        Trace::Rm(args) => prune::rm(ctx, args),
        Trace::Serve(args) => serve::run(ctx, args),
    }
}
