//! Round trips over pipes.

use anyhow::{Context as _, Result, ensure};
use mcp_testkit::sandbox::Sandbox;
use serde_json::Value;

use super::Bench;
use crate::bench_run_once::{
    sample::{Load, Sample, middle, ratio},
    table::{Table, figure},
    turn,
};

struct Candidate {
    name: String,
    words: Vec<String>,
    is_peer: bool,
    rounds: Vec<Sample>,
    /// Why there are no figures of it.
    trouble: Option<String>,
}

const DIRECT: usize = 0;
const BARE: usize = 1;
const TAP: usize = 2;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let mut candidates = candidates(bench);
    let load = Load { program: Bench::tool("round-trips") };
    for round in 0..bench.rounds {
        for index in turn(candidates.len(), round) {
            let candidate = &mut candidates[index];
            // A peer written in Python takes a minute.
            if candidate.trouble.is_some() || (candidate.is_peer && candidate.rounds.len() >= bench.rounds.div_ceil(3)) {
                continue;
            }
            match once(bench, &load, candidate, index == TAP) {
                Ok(sample) => candidate.rounds.push(sample),
                Err(error) if candidate.is_peer => candidate.trouble = Some(format!("{error:#}")),
                Err(error) => return Err(error).with_context(|| candidate.name.clone()),
            }
        }
    }
    report(bench, &candidates);
    Ok(())
}

fn candidates(bench: &Bench) -> Vec<Candidate> {
    let candidate =
        |name: &str, words, is_peer| Candidate { name: name.to_owned(), words, is_peer, rounds: Vec::new(), trouble: None };
    let mut all = vec![
        candidate("direct", Vec::new(), false),
        candidate("bare copy", Bench::words(&Bench::tool("bare-copy"), &[]), false),
        candidate("`mcp tap`", Bench::words(&bench.mcp, &["tap", "--name", "bench", "--"]), false),
    ];
    if !bench.other.is_empty() {
        all.push(candidate(&bench.other[0], bench.other.clone(), true));
    }
    for peer in &bench.peers.wrappers {
        let (words, trouble) = match &peer.command {
            Ok(words) => (words.clone(), None),
            Err(reason) => (Vec::new(), Some(reason.clone())),
        };
        all.push(Candidate { trouble, ..candidate(&peer.name, words, true) });
    }
    all
}

fn once(bench: &Bench, load: &Load, candidate: &Candidate, is_ours: bool) -> Result<Sample> {
    let sandbox = Sandbox::new().context("make a sandbox")?;
    let out = sandbox.scratch().join("recorded").display().to_string();
    let mut words = vec!["--".to_owned()];
    words.extend(candidate.words.iter().map(|word| word.replace("{out}", &out)));
    words.push(Bench::tool("echo-server").display().to_string());
    let sample = load.run(&sandbox, words)?;
    if is_ours {
        is_complete(bench, &sandbox, sample.get("calls"))?;
    }
    Ok(sample)
}

/// Every call and every answer is in the captures.
fn is_complete(bench: &Bench, sandbox: &Sandbox, calls: f64) -> Result<()> {
    let mut command = sandbox.command(&bench.mcp);
    let outcome = sandbox.run(command.args(["trace", "ls", "--json", "--limit", "1000"]), std::time::Duration::from_mins(1))?;
    ensure!(outcome.succeeded(), "`mcp trace ls` failed: {}", outcome.stderr.trim());
    let listed: Value = serde_json::from_str(&outcome.stdout).context("understand `mcp trace ls`")?;
    let sum = |key: &str| -> f64 {
        listed["sessions"].as_array().into_iter().flatten().filter_map(|session| session[key].as_f64()).sum()
    };
    let (frames, lost) = (sum("frames"), sum("lost"));
    ensure!((frames - 2.0 * calls).abs() < 0.5 && lost == 0.0, "{frames} messages of {calls} calls were recorded, {lost} lost");
    Ok(())
}

fn report(bench: &mut Bench, candidates: &[Candidate]) {
    let mut table = Table::new(&[
        "",
        "start ms",
        "ping µs",
        "1 KiB µs",
        "64 KiB µs",
        "1 MiB ms",
        "20,000 in flight ms",
        "MiB idle",
        "MiB after 1 MiB messages, at once",
        "a second later",
    ]);
    for candidate in candidates {
        if let Some(trouble) = &candidate.trouble {
            let mut cells = vec![candidate.name.clone(), trouble.clone()];
            cells.resize(10, String::new());
            table.row(cells);
            continue;
        }
        let shown = |key: &str, unit: f64| figure(middle(&candidate.rounds, key) / unit);
        table.row([
            candidate.name.clone(),
            shown("start", 1000.0),
            shown("ping", 1.0),
            shown("k1", 1.0),
            shown("k64", 1.0),
            shown("m1", 1000.0),
            shown("burst", 1.0),
            shown("idle", 1024.0),
            shown("rss", 1024.0),
            shown("rest", 1024.0),
        ]);
    }
    table.print("A stdio server");
    let (direct, bare, ours) = (&candidates[DIRECT].rounds, &candidates[BARE].rounds, &candidates[TAP].rounds);
    let verdict = &mut bench.verdict;
    verdict.at_most("ping / bare copy", ratio(ours, bare, "ping"), 1.3, "x");
    verdict.at_most("1 KiB / bare copy", ratio(ours, bare, "k1"), 1.3, "x");
    verdict.at_most("1 MiB / bare copy", ratio(ours, bare, "m1"), 1.5, "x");
    let later = crate::bench_run_once::sample::median(
        ours.iter().zip(direct).map(|(ours, direct)| (ours.get("start") - direct.get("start")) / 1000.0),
    );
    verdict.at_most("start, later than direct", later, 2.0, " ms");
    for (what, key) in [("idle", "idle"), ("at once after 1 MiB messages", "rss"), ("a second after them", "rest")] {
        verdict.at_most(&format!("resident, {what}"), middle(ours, key) / 1024.0, 4.0, " MiB");
    }
}
