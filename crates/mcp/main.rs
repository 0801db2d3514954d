//! `mcp`: one name, one switchboard and one flight recorder for every MCP server on a machine.
//!
//! This crate holds what people touch: arguments, prompts, printing, exit codes. The work is done by the libraries; each
//! command is one file in `cmd/`.

use std::io::Write as _;
use std::process::ExitCode;

mod args;
mod changes;
mod cmd;
mod complete;
mod ctx;
mod exit;
mod report;
mod ui;

fn main() -> ExitCode {
    // Asked for by scripts and prompts at every turn: answered before anything else is built.
    let mut words = std::env::args_os().skip(1);
    if let (Some(word), None) = (words.next(), words.next())
        && (word == "--version" || word == "-V")
    {
        // A reader that left has its answer.
        let _ = writeln!(std::io::stdout(), "mcp {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    complete::answer_shell();
    // The panic itself was printed by the hook.
    let ended = std::panic::catch_unwind(args::run).unwrap_or_else(|_| {
        let _ = writeln!(std::io::stderr(), "error: this is a bug in mcp; please report what you see above");
        exit::Exit::Bug
    });
    exit::to_code(ended)
}
