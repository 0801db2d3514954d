//! `mcp-fixture`: a server for tests, which keeps the contracts of the official conformance suite.
//!
//! One binary is a server of either era or of both, over stdio or streamable HTTP, so a test can put the same tools behind
//! every kind of connection. Whatever a tool asks its client for, it asks in the words of the era it was called in.

#![expect(deprecated, reason = "the suite asks for sampling, roots and logging as long as clients have them")]

mod answers;
mod ask;
mod http;
mod prompts;
mod resources;
mod server;
mod stdio;
mod steps;
mod tasks;
mod tools;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::server::Eras;

const USAGE: &str = "usage: mcp-fixture [--eras legacy|modern|both] (--stdio | --http PORT)

--http 0 takes a free port; the URL is the first line on stdout.";

enum Transport {
    Stdio,
    Http(u16),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: who started us may show the last words of a server.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("mcp-fixture: {error:#}\n").as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    use lexopt::{Arg::Long, ValueExt as _};

    let mut transport = None;
    let mut eras = Eras::Both;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("stdio") => transport = Some(Transport::Stdio),
            Long("http") => transport = Some(Transport::Http(arguments.value()?.parse()?)),
            Long("eras") => eras = arguments.value()?.parse()?,
            _ => bail!("{}\n{USAGE}", argument.unexpected()),
        }
    }
    let Some(transport) = transport else { bail!("{USAGE}") };

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let served = runtime.block_on(async {
        match transport {
            Transport::Stdio => stdio::serve(eras).await,
            Transport::Http(port) => http::serve(eras, port).await,
        }
    });
    // A read of stdin cannot be called off.
    runtime.shutdown_background();
    served
}
