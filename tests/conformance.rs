//! The official conformance suites against `mcp run-once`: what they find is, check by check, what they find when they ask the
//! server itself. The server is `mcp-fixture`.
//!
//! `cargo xtask test` installs the suites and Node; without them the trials are reported as ignored with the reason.
//!
//! `MCP_CONFORMANCE_TABLE` names a file for a table of the results; `MCP_UNDER_TEST` names another `mcp` than the one built with
//! the tests.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "conformance/judge.rs"]
mod judge;
#[path = "peers/mod.rs"]
mod peers;
#[path = "conformance/suite.rs"]
mod suite;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::Path,
    process::{Command, ExitCode},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use libtest_mimic::{Arguments, Trial};
use mcp_testkit::sandbox::Sandbox;

use self::{
    peers::{Endpoint, Stop, fixture, fixture_client, mcp, skippable},
    suite::{Findings, Suite},
};

/// Raw requests of the suites declare no capabilities, and the first client would decide for all.
const FULL: [&str; 2] = ["--client-capabilities", "full"];

const AT_ONCE: usize = 4;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![Trial::test("judge_sees_differences", || judge::sees_differences().map_err(Into::into))];
    for suite in Suite::ALL {
        let word = suite.word();
        trials.push(skippable(format!("direct::{word}"), move || Ok(judge::passed(&direct(suite)?)?)));
        trials.push(skippable(format!("through::{word}"), move || through(suite)));
        trials.push(skippable(format!("crowd::{AT_ONCE}_at_once_on_a_cold_server::{word}"), move || at_once(suite)));
    }
    trials.push(skippable("crowd::beside_two_busy_shims::legacy".to_owned(), beside_shims));
    trials.push(skippable("bridge::legacy_suite_on_a_modern_server".to_owned(), || {
        bridged(Suite::Legacy, "modern", "expected-legacy-on-modern.yml")
    }));
    trials.push(skippable("bridge::old_suite_on_a_modern_server".to_owned(), || {
        bridged(Suite::Old, "modern", "expected-old-on-modern.yml")
    }));
    trials.push(skippable("bridge::modern_suite_on_a_legacy_server".to_owned(), || {
        bridged(Suite::Modern, "legacy", "expected-modern-on-legacy.yml")
    }));

    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(path) = std::env::var_os("MCP_CONFORMANCE_TABLE") {
        std::fs::write(path, table()).unwrap();
    }
    conclusion.exit_code()
}

/// What a suite finds when it asks the fixture itself. It is asked once.
fn direct(suite: Suite) -> Result<Findings, Stop> {
    static FOUND: [OnceLock<Result<Findings, Stop>>; 3] = [const { OnceLock::new() }; 3];
    let found = FOUND[suite as usize].get_or_init(|| {
        let endpoint = Endpoint::direct("both")?;
        suite.run(&endpoint.url).inspect(|findings| record("the server itself", suite, findings))
    });
    found.clone()
}

/// The arguments of `mcp run-once` for the fixture.
fn before_fixture(eras: &str) -> Result<Vec<String>, String> {
    let fixture = fixture()?.display().to_string();
    let words = FULL.into_iter().chain(["--", &fixture, "--stdio", "--eras", eras]);
    Ok(words.map(str::to_owned).collect())
}

fn through(suite: Suite) -> Result<(), Stop> {
    let direct = direct(suite)?;
    let sandbox = Sandbox::new()?;
    let endpoint = Endpoint::through(&sandbox, &before_fixture("both")?)?;
    let found = suite.run(&endpoint.url)?;
    record("`mcp run-once`", suite, &found);
    Ok(judge::equal(&direct, &found)?)
}

fn at_once(suite: Suite) -> Result<(), Stop> {
    let direct = direct(suite)?;
    let sandbox = Sandbox::new()?;
    let endpoint = Endpoint::through(&sandbox, &before_fixture("both")?)?;
    let found = thread::scope(|scope| {
        let runs: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| suite.run(&endpoint.url))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect::<Result<Vec<Findings>, Stop>>()
    })?;
    for (index, found) in found.iter().enumerate() {
        judge::equal(&direct, found).map_err(|error| format!("run {} of {AT_ONCE}:\n{error}", index + 1))?;
    }
    record(&format!("`mcp run-once`, {AT_ONCE} at once, each"), suite, &found[0]);
    Ok(())
}

/// The suite on the URL of a shared daemon, while two clients on stdio come, use every feature and go.
fn beside_shims() -> Result<(), Stop> {
    let suite = Suite::Legacy;
    let direct = direct(suite)?;
    let sandbox = Sandbox::new()?;
    let client = fixture_client()?;
    let mut run_once = vec![mcp().display().to_string(), "run-once".into(), "--name".into(), "fixture".into()];
    run_once.extend(before_fixture("both")?);
    let visit = || -> Result<(), Stop> {
        let mut command = sandbox.command(&client);
        let visit = sandbox.run(command.arg("legacy").args(&run_once), Duration::from_mins(1))?;
        if visit.succeeded() { Ok(()) } else { Err(format!("a client on stdio saw: {}", visit.text()).into()) }
    };
    // The first one starts the server.
    visit()?;
    let asked = sandbox.run(sandbox.command(mcp()).args(["daemon", "url", "fixture"]), Duration::from_mins(1))?;
    let url = asked.stdout.trim();
    if !asked.succeeded() || !url.starts_with("http") {
        return Err(format!("`mcp daemon url` said: {}", asked.text()).into());
    }
    let is_over = AtomicBool::new(false);
    let found = thread::scope(|scope| {
        let busy = || -> Result<usize, Stop> {
            let mut visits = 0;
            while !is_over.load(Ordering::Relaxed) {
                visit()?;
                visits += 1;
            }
            Ok(visits)
        };
        let shims = [scope.spawn(busy), scope.spawn(busy)];
        let found = suite.run(url);
        is_over.store(true, Ordering::Relaxed);
        for shim in shims {
            if shim.join().unwrap()? == 0 {
                return Err(Stop::Fail("a client on stdio never came through".to_owned()));
            }
        }
        found
    })?;
    stop_daemon(&sandbox)?;
    record("the daemon, beside two busy clients on stdio", suite, &found);
    Ok(judge::equal(&direct, &found)?)
}

fn stop_daemon(sandbox: &Sandbox) -> Result<(), Stop> {
    let mut command: Command = sandbox.command(mcp());
    let stopped = sandbox.run(command.args(["daemon", "stop", "--all"]), Duration::from_mins(1))?;
    if stopped.succeeded() { Ok(()) } else { Err(format!("`mcp daemon stop` said: {}", stopped.text()).into()) }
}

/// A suite of one era, a server of the other.
fn bridged(suite: Suite, eras: &str, list: &str) -> Result<(), Stop> {
    let sandbox = Sandbox::new()?;
    let endpoint = Endpoint::through(&sandbox, &before_fixture(eras)?)?;
    let found = suite.run(&endpoint.url)?;
    record(&format!("`mcp run-once` before a server that is {eras} only"), suite, &found);
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance").join(list);
    Ok(judge::as_expected(&found, &list)?)
}

static RESULTS: Mutex<BTreeMap<(String, Suite), String>> = Mutex::new(BTreeMap::new());

fn record(row: &str, suite: Suite, findings: &Findings) {
    RESULTS.lock().unwrap().insert((row.to_owned(), suite), findings.figures());
}

/// Scenarios without a failure of all, checks passed : failed.
fn table() -> String {
    let results = RESULTS.lock().unwrap();
    let mut rows: Vec<&String> = Vec::new();
    for (row, _) in results.keys() {
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    // What all are compared with comes first.
    rows.sort_by_key(|row| (*row != "the server itself", row.len()));
    let mut text = String::from("| asked |");
    for suite in Suite::ALL {
        write!(text, " {} |", suite.title()).unwrap();
    }
    text.push_str("\n| --- | --- | --- | --- |\n");
    for row in rows {
        write!(text, "| {row} |").unwrap();
        for suite in Suite::ALL {
            write!(text, " {} |", results.get(&(row.clone(), suite)).map_or("–", String::as_str)).unwrap();
        }
        text.push('\n');
    }
    text
}
