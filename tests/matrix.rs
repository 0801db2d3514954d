//! The compatibility matrix of the specification, with `mcp run-once` in the middle: clients and servers on the official SDKs,
//! each of the legacy era, the modern one or both, over stdio and over HTTP on either side. The specification says *Fails* for two of the
//! pairs; here every cell has to say *Works*.
//!
//! Every client does the same: list the tools, call some, count progress, have its user asked, read a resource, watch another
//! (tests/matrix/client.mjs, visit.py, and the fixture's client on rmcp). `cargo xtask test` installs the SDKs; what is not
//! installed is reported as ignored with the reason.
//!
//! `MCP_MATRIX_ALL` runs every client with every server, which takes minutes; `MCP_MATRIX_TABLE` names a file for the table.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "matrix/cast.rs"]
mod cast;
#[path = "peers/mod.rs"]
mod peers;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    process::ExitCode,
    sync::Mutex,
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Trial};
use mcp_testkit::sandbox::Sandbox;

use self::{
    cast::{CLIENTS, Client, Eras, SERVERS, Server},
    peers::{Endpoint, Stop, mcp, skippable},
};

/// One visit takes a second or two.
const LIMIT: Duration = Duration::from_mins(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Over {
    Stdio,
    Http,
}

impl Over {
    const BOTH: [Self; 2] = [Self::Stdio, Self::Http];

    fn word(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    client: Client,
    server: Server,
    over: Over,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let all = std::env::var_os("MCP_MATRIX_ALL").is_some();
    let mut trials = vec![Trial::test("some_cells_stand_for_all", || some_cells_stand_for_all().map_err(Into::into))];
    for cell in cells(all) {
        let (client, server) = (cell.client, cell.server.word());
        let name = format!("{}_{}::{server}::{}", client.sdk.word(), client.eras.word(), cell.over.word());
        trials.push(skippable(name, move || visit(cell)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(path) = std::env::var_os("MCP_MATRIX_TABLE") {
        std::fs::write(path, table()).unwrap();
    }
    conclusion.exit_code()
}

/// Every cell, or so many that each client and each server takes part in every pair of eras it belongs to, over both.
fn cells(all: bool) -> Vec<Cell> {
    let mut cells = Vec::new();
    for over in Over::BOTH {
        let everything: Vec<Cell> =
            CLIENTS.iter().flat_map(|&client| SERVERS.iter().map(move |&server| Cell { client, server, over })).collect();
        if all {
            cells.extend(everything);
            continue;
        }
        // Pair by pair: walk through the clients and servers side by side until each had its turn.
        for client_eras in Eras::ALL {
            for server_eras in Eras::ALL {
                let clients: Vec<Client> = CLIENTS.iter().copied().filter(|client| client.eras == client_eras).collect();
                let servers: Vec<Server> = SERVERS.iter().copied().filter(|server| server.eras == server_eras).collect();
                for turn in 0..clients.len().max(servers.len()) {
                    let (client, server) = (clients[turn % clients.len()], servers[turn % servers.len()]);
                    cells.push(Cell { client, server, over });
                }
            }
        }
    }
    cells
}

fn some_cells_stand_for_all() -> Result<(), String> {
    let some = cells(false);
    let mut missing = Vec::new();
    for over in Over::BOTH {
        for client in CLIENTS {
            for eras in Eras::ALL {
                if !some.iter().any(|cell| cell.over == over && cell.client == client && cell.server.eras == eras) {
                    missing.push(format!("{client:?} over {over:?} with a server that is {eras:?}"));
                }
            }
        }
        for server in SERVERS {
            for eras in Eras::ALL {
                if !some.iter().any(|cell| cell.over == over && cell.server == server && cell.client.eras == eras) {
                    missing.push(format!("{server:?} over {over:?} with a client that is {eras:?}"));
                }
            }
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(missing.join("\n")) }
}

fn visit(cell: Cell) -> Result<(), Stop> {
    let client = cell.client.words()?;
    let sandbox = Sandbox::new()?;
    let elsewhere = if cell.server.is_remote { Some(Endpoint::direct(cell.server.eras_word())?) } else { None };
    let server = match &elsewhere {
        Some(elsewhere) => vec!["--url".to_owned(), elsewhere.url.clone()],
        None => [vec!["--".to_owned()], cell.server.words()?].concat(),
    };
    let begin = Instant::now();
    let result = visit_with(&sandbox, cell, &client, &server);
    record(cell, if result.is_ok() { "Works" } else { "Fails" });
    result.map_err(|error| format!("after {:.1} s: {error}", begin.elapsed().as_secs_f64()).into())
}

fn visit_with(sandbox: &Sandbox, cell: Cell, client: &[String], server: &[String]) -> Result<(), String> {
    let mut command = sandbox.command(&client[0]);
    command.args(&client[1..]);
    let _endpoint = match cell.over {
        Over::Stdio => {
            command.arg(mcp()).arg("run-once").args(server);
            None
        }
        Over::Http => {
            let endpoint = Endpoint::through(sandbox, server)?;
            command.arg(&endpoint.url);
            Some(endpoint)
        }
    };
    let outcome = sandbox.run(&mut command, LIMIT).map_err(|error| error.to_string())?;
    // On Linux the sandbox ends what was started in it; elsewhere the daemon would stay for a while.
    if cell.over == Over::Stdio && cfg!(not(target_os = "linux")) {
        let stopped = sandbox.run(sandbox.command(mcp()).args(["daemon", "stop", "--all"]), LIMIT);
        stopped.map_err(|error| error.to_string())?;
    }
    let seen: serde_json::Value = outcome
        .stdout
        .lines()
        .last()
        .and_then(|line| serde_json::from_str(line).ok())
        .filter(|_| outcome.succeeded())
        .ok_or_else(|| format!("{command:?} ended with {:?}:\n{}", outcome.code, outcome.text()))?;
    // A client that speaks both must not have been turned back to the old era: `mcp` speaks the modern one with everybody.
    let era = if cell.client.eras == Eras::Legacy { "legacy" } else { "modern" };
    if seen["era"] != era || seen["tools"].as_u64().is_none_or(|tools| tools < 5) {
        return Err(format!("expected the {era} era and five tools at least, and it saw {seen}"));
    }
    Ok(())
}

type Pair = (Eras, Eras, Over);

/// Who met whom in a cell, and how that went.
static RESULTS: Mutex<BTreeMap<Pair, Vec<(String, &str)>>> = Mutex::new(BTreeMap::new());

fn record(cell: Cell, result: &'static str) {
    let met = format!("{}–{}", cell.client.sdk.title(), cell.server.title());
    let pair = (cell.client.eras, cell.server.eras, cell.over);
    RESULTS.lock().unwrap().entry(pair).or_default().push((met, result));
}

fn table() -> String {
    let results = RESULTS.lock().unwrap();
    let mut text = String::from("| client, over | legacy server | modern server | dual server |\n| --- | --- | --- | --- |\n");
    for client in Eras::ALL {
        for over in Over::BOTH {
            write!(text, "| {}, {} |", client.word(), over.word()).unwrap();
            for server in Eras::ALL {
                let met = results.get(&(client, server, over)).map(Vec::as_slice).unwrap_or_default();
                let failed: Vec<&str> =
                    met.iter().filter(|(_, result)| *result == "Fails").map(|(who, _)| who.as_str()).collect();
                match (met.len(), failed.as_slice()) {
                    (0, _) => text.push_str(" not run |"),
                    (count, []) => write!(text, " *Works* ({count} pairs) |").unwrap(),
                    (_, failed) => write!(text, " *Fails* ({}) |", failed.join(", ")).unwrap(),
                }
            }
            text.push('\n');
        }
    }
    text.push_str("\nClients and servers that met:\n\n");
    for ((client, server, over), met) in results.iter() {
        let mut who: Vec<&str> = met.iter().map(|(who, _)| who.as_str()).collect();
        who.sort_unstable();
        writeln!(text, "- {} client, {} server, {}: {}", client.word(), server.word(), over.word(), who.join(", ")).unwrap();
    }
    text
}
