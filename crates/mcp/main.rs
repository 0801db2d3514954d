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
    let first = words.next();
    // What is started all the time, or runs all the time, does without the rest as well.
    if first.as_deref().is_some_and(|w| w == "run-once")
        && let Some(code) = cmd::run_once::quick(words.by_ref())
    {
        return code;
    }
    if first.as_deref().is_some_and(|w| w == "tap")
        && let Some(code) = cmd::tap::quick(words.by_ref())
    {
        return code;
    }
    match (first.as_deref().and_then(|w| w.to_str()), std::env::args_os().nth(2).as_deref().and_then(|w| w.to_str())) {
        (Some("--version" | "-V"), None) => {
            // A reader that left has its answer.
            let _ = writeln!(std::io::stdout(), "mcp {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        (Some("daemon"), Some("run")) if std::env::args_os().len() == 3 => return cmd::daemon::run_here(),
        (Some("util"), Some("guard")) if std::env::args_os().len() == 3 => {
            mcp_os::guard::run(std::io::stdin());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    complete::answer_shell();
    // The panic itself was printed by the hook.
    let ended = std::panic::catch_unwind(args::run).unwrap_or_else(|_| {
        let _ = writeln!(std::io::stderr(), "error: this is a bug in mcp; please report what you see above");
        exit::Exit::Bug
    });
    exit::to_code(ended)
}
