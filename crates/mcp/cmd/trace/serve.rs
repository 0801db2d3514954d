//! `mcp trace serve`: captures for an agent, over MCP.

use mcp_capture::Store;

use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;

/// Offer what was recorded to an agent, as an MCP server on standard input and output
///
/// It has five tools that only read: `list_sessions`, `search`, `show_operation`, `stats`, `compare`. Answers are bounded and go on
/// with a cursor. What it shows was said by other servers: to an agent it is data, never instructions.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  mcp install --client claude-code --name captures -- mcp trace serve")]
pub(super) struct Args {}

pub(super) fn run(ctx: &Ctx, _: &Args) -> Result<Exit, Failure> {
    mcp_servers::serve_captures(Store::of(&ctx.dirs)).map_err(Failure::no_answer)?;
    Ok(Exit::Done)
}
