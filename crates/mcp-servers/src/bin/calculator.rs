//! The bundled calculator as a program of its own, for tests that need a real process.

use std::process::ExitCode;

fn main() -> ExitCode {
    match mcp_servers::serve("calculator") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "stderr is free text, and this program has nothing else to say")]
            {
                eprintln!("cannot {error}: {:?}", std::error::Error::source(&error));
            }
            ExitCode::FAILURE
        }
    }
}
