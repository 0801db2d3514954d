//! What the official SDKs say to each other breaks no rule: clients and servers of the matrix with `mcp tap` between them, over
//! stdio and over HTTP, in both eras, judged by `mcp trace check`. A finding here is a false alarm, or news about an SDK.
//!
//! `cargo xtask test` installs the SDKs; what is not installed is reported as ignored with the reason. `MCP_MATRIX_ALL` runs every
//! client with every server.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[allow(dead_code, reason = "the matrix makes a table of them, too")]
#[path = "matrix/cast.rs"]
mod cast;
#[path = "peers/mod.rs"]
mod peers;

use std::{process::ExitCode, time::Duration};

use libtest_mimic::Arguments;
use mcp_testkit::sandbox::Sandbox;

use self::{
    cast::{CLIENTS, Client, Eras, SERVERS, Sdk, Server},
    peers::{Endpoint, Stop, mcp, skippable},
};

const LIMIT: Duration = Duration::from_mins(2);

/// What is right to be told: every client of the matrix calls a tool that does not exist, and rmcp asks for the newest revision in
/// the opening that revision does not have.
const EXPECTED: [&str; 2] = ["unknown-tool", "initialize-for-modern-revision"];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let all = std::env::var_os("MCP_MATRIX_ALL").is_some();
    let mut trials = Vec::new();
    for (at, client) in CLIENTS.into_iter().enumerate() {
        let servers = SERVERS.into_iter().filter(|server| can_talk(client, *server));
        // Each client meets each server sooner or later, and two each time.
        let count = if all { usize::MAX } else { 2 };
        let servers: Vec<Server> = servers.collect();
        for server in servers.iter().cycle().skip(at).take(count.min(servers.len())).copied() {
            let name = format!("{}_{}::{}", client.sdk.word(), client.eras.word(), server.word());
            trials.push(skippable(name, move || visit(client, server)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Without us between them not all can.
fn can_talk(client: Client, server: Server) -> bool {
    let has_common = !matches!((client.eras, server.eras), (Eras::Legacy, Eras::Modern) | (Eras::Modern, Eras::Legacy));
    // Over HTTP, rmcp takes the list of older revisions for the end of the matter and does not fall back.
    let gives_up = client.sdk == Sdk::Rust && client.eras == Eras::Dual && server.is_remote && server.eras == Eras::Legacy;
    has_common && !gives_up
}

fn visit(client: Client, server: Server) -> Result<(), Stop> {
    let sandbox = Sandbox::new()?;
    let words = client.words()?;
    let mut command = sandbox.command(&words[0]);
    command.args(&words[1..]);
    let mut ends = None;
    if server.is_remote {
        let remote = Endpoint::direct(server.eras_word())?;
        let mut tap = sandbox.command(mcp());
        tap.args(["tap", "--name", "peer", "--url", &remote.url]);
        let tapped = Endpoint::start(&mut tap)?;
        command.arg(&tapped.url);
        ends = Some((tapped, remote));
    } else {
        command.arg(mcp()).args(["tap", "--name", "peer", "--"]).args(server.words()?);
    }
    let outcome = sandbox.run(&mut command, LIMIT).map_err(|error| error.to_string())?;
    drop(ends);
    if !outcome.succeeded() {
        return Err(format!("{command:?} ended with {:?}:\n{}", outcome.code, outcome.text()).into());
    }
    judge(&sandbox)
}

fn judge(sandbox: &Sandbox) -> Result<(), Stop> {
    let checked = sandbox.run(sandbox.command(mcp()).args(["trace", "check", "latest", "--json"]), LIMIT)?;
    let answer: serde_json::Value =
        serde_json::from_str(&checked.stdout).map_err(|error| format!("{error}:\n{}", checked.text()))?;
    let findings = answer["sessions"][0]["findings"].as_array().cloned().unwrap_or_default();
    let rule = |finding: &serde_json::Value| finding["rule"].as_str().unwrap_or_default().to_owned();
    // Were nothing recorded, nothing would be found.
    if !findings.iter().any(|finding| rule(finding) == "unknown-tool") {
        return Err(format!("the call of a tool that does not exist was not found:\n{}", checked.stdout).into());
    }
    let surprises: Vec<String> =
        findings.iter().filter(|finding| !EXPECTED.contains(&rule(finding).as_str())).map(ToString::to_string).collect();
    if surprises.is_empty() { Ok(()) } else { Err(surprises.join("\n").into()) }
}
