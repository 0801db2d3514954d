//! A client of others, around a server and around a tap around it. It records nothing, so that only the time from its start to
//! its end can be compared.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use mcp_testkit::sandbox::Sandbox;

use super::Bench;
use crate::bench_run_once::{
    sample::median,
    table::{Table, figure},
};

#[expect(clippy::unnecessary_wraps, reason = "a section, as the others")]
pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let mut table = Table::new(&["one `tools/list`, from start to end", "ms", "through `mcp tap` ms"]);
    let echo = Bench::tool("echo-server").display().to_string();
    let tap = Bench::words(&bench.mcp, &["tap", "--name", "bench", "--", &echo]);
    for peer in &bench.peers.clients {
        let row = peer.command.clone().and_then(|words| {
            let sandbox = Sandbox::new().map_err(|error| error.to_string())?;
            let (mut direct, mut tapped) = (Vec::new(), Vec::new());
            for _ in 0..bench.rounds {
                direct.push(once(&sandbox, &words, std::slice::from_ref(&echo)).map_err(|error| format!("{error:#}"))?);
                tapped.push(once(&sandbox, &words, &tap).map_err(|error| format!("{error:#}"))?);
            }
            Ok([figure(median(direct)), figure(median(tapped))])
        });
        let [direct, tapped] = row.unwrap_or_else(|reason| [reason, String::new()]);
        table.row([peer.name.clone(), direct, tapped]);
    }
    if !bench.peers.clients.is_empty() {
        table.print("Clients of others");
    }
    Ok(())
}

fn once(sandbox: &Sandbox, words: &[String], server: &[String]) -> Result<f64> {
    let begin = std::time::Instant::now();
    let mut command = sandbox.command(&words[0]);
    let outcome = sandbox.run(command.args(&words[1..]).args(server), Duration::from_mins(1)).context("start it")?;
    let took = begin.elapsed();
    ensure!(outcome.succeeded() && outcome.stdout.contains("\"echo\""), "it failed: {}", outcome.text().trim());
    Ok(took.as_secs_f64() * 1000.0)
}
