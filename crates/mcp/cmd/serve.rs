//! `mcp serve`: run a bundled server on standard input and output.

use clap_complete::engine::ArgValueCompleter;

use crate::complete;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::Ui;

/// Run a bundled MCP server on standard input and output
///
/// This is what a client starts after `mcp install calculator`. It speaks both eras of the protocol and ends when its
/// input ends.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mcp serve calculator\n  mcp install calculator --client claude-code   so that a client starts it"
)]
pub(crate) struct Args {
    /// The server
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(complete::bundled))]
    name: String,
}

pub(crate) fn run(_: Ui, args: &Args) -> Result<Exit, Failure> {
    let names: Vec<&str> = mcp_servers::bundled().iter().map(|b| b.name).collect();
    if !names.contains(&args.name.as_str()) {
        return Err(Failure::missing(format_args!("there is no bundled server `{}`", args.name))
            .hint(format!("bundled are: {}", names.join(", "))));
    }
    mcp_servers::serve(&args.name).map_err(Failure::no_answer)?;
    Ok(Exit::Done)
}
