//! `cargo xtask bench-tap`: what a wrapper that records costs, beside no wrapper and beside a bare copy of bytes.
//!
//! All candidates take turns in each round, so that a slow moment of the machine meets all of them; ratios are taken within a
//! round, and their middle is judged.

use std::{collections::BTreeMap, ffi::OsString, process::Command, process::ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::{
    measure::judged,
    root::{cargo, must, release_build, target},
};

const ROUNDS: usize = 5;

type Figures = BTreeMap<String, f64>;

/// Takes turns, prints a table, and says whether the limits are kept.
pub(crate) fn run(other: Vec<OsString>) -> Result<ExitCode> {
    let program = release_build()?;
    must(cargo().args(["build", "--quiet", "--release", "--package", "mcp-bench"]))?;
    let tool = |name: &str| target().join("release").join(name).into_os_string();
    let home = tempfile::tempdir().context("make a folder for captures")?;
    let tap: Vec<OsString> = vec![program.into(), "tap".into(), "--name".into(), "bench".into(), "--".into()];
    let mut candidates = vec![("direct", Vec::new()), ("bare copy", vec![tool("bare-copy")]), ("mcp tap", tap)];
    if !other.is_empty() {
        candidates.push(("other", other));
    }
    let mut rounds: Vec<Vec<Figures>> = Vec::new();
    for _ in 0..ROUNDS {
        let mut round = Vec::new();
        for (name, words) in &candidates {
            let mut command = Command::new(tool("round-trips"));
            command.arg("--").args(words).arg(tool("echo-server")).env("MCP_HOME", home.path());
            let output = command.output().with_context(|| format!("measure {name}"))?;
            if !output.status.success() {
                bail!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
            }
            round.push(figures(&String::from_utf8_lossy(&output.stdout)));
        }
        rounds.push(round);
    }
    let middle = |at: usize, key: &str| median(rounds.iter().map(|round| round[at][key]).collect());
    println!("| | start ms | ping µs | 1 KiB µs | 64 KiB µs | 1 MiB µs | 20,000 in flight ms | resident MiB |");
    println!("|---|---|---|---|---|---|---|---|");
    for (at, (name, _)) in candidates.iter().enumerate() {
        println!(
            "| {name} | {:.2} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} | {:.1} |",
            middle(at, "start") / 1000.0,
            middle(at, "ping"),
            middle(at, "k1"),
            middle(at, "k64"),
            middle(at, "m1"),
            middle(at, "burst"),
            middle(at, "rss") / 1024.0
        );
    }
    println!();
    let ratio = |key: &str| median(rounds.iter().map(|round| round[2][key] / round[1][key]).collect());
    let later = median(rounds.iter().map(|round| (round[2]["start"] - round[0]["start"]) / 1000.0).collect());
    let kept = [
        judged("ping, of a bare copy", ratio("ping"), 1.3, "x"),
        judged("1 KiB, of a bare copy", ratio("k1"), 1.3, "x"),
        judged("1 MiB, of a bare copy", ratio("m1"), 1.5, "x"),
        judged("start, later than direct", later, 2.0, "ms"),
        judged("resident", middle(2, "rss") / 1024.0, 4.0, "MiB"),
    ];
    Ok(if kept.iter().all(|kept| *kept) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn figures(line: &str) -> Figures {
    let pair = |word: &str| word.split_once('=').and_then(|(key, value)| Some((key.to_owned(), value.parse().ok()?)));
    line.split_whitespace().filter_map(pair).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
