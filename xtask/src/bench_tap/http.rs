//! A hop before a server that speaks HTTP: one client, one keep-alive connection, 256 bytes echoed.

use anyhow::{Context as _, Result};

use super::Bench;
use crate::bench_run_once::{
    sample::{Load, Sample, median, middle},
    systems::{Era, HttpSystem, Part, Running},
    table::{Table, figure},
    turn,
};

struct Candidate {
    system: HttpSystem,
    running: Option<Running>,
    rounds: Vec<Sample>,
    trouble: Option<String>,
}

const DIRECT: usize = 0;
const TAP: usize = 2;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let echo = Bench::tool("echo-server");
    let direct = system("direct", Part::Direct, Bench::words(&echo, &["--http"]));
    let server = direct.start().context("start the echo server")?;
    let url = server.url.clone();
    let bare = Bench::words(&Bench::tool("bare-bridge"), &["--", &echo.display().to_string()]);
    let tap = Bench::words(&bench.mcp, &["tap", "--name", "bench", "--url", &url]);
    let mut candidates = vec![Candidate { system: direct, running: Some(server), rounds: Vec::new(), trouble: None }];
    candidates.push(started(system("bare bridge to a stdio server", Part::Baseline, bare))?);
    candidates.push(started(system("`mcp tap --url`", Part::Ours, tap))?);
    let out = tempfile::tempdir().context("make a folder for recordings")?;
    for (number, peer) in bench.peers.hops.iter().enumerate() {
        let out = out.path().join(number.to_string()).display().to_string();
        let fill = |word: &String| word.replace("{url}", &url).replace("{out}", &out);
        let words = peer.command.as_ref().map(|words| words.iter().map(fill).collect());
        candidates.push(match words {
            Ok(words) => started(system(&peer.name, Part::Peer, words))?,
            Err(reason) => Candidate {
                system: system(&peer.name, Part::Peer, Vec::new()),
                running: None,
                rounds: Vec::new(),
                trouble: Some(reason.clone()),
            },
        });
    }
    let load = Load { program: Bench::tool("load") };
    for round in 0..=bench.rounds {
        for index in turn(candidates.len(), round) {
            let candidate = &mut candidates[index];
            let Some(running) = &candidate.running else { continue };
            let pid = running.child.id().to_string();
            let words = ["http", &running.url, "--era", Era::Legacy.word(), "--seconds", "0.5", "--pid", &pid];
            match load.run(&running.sandbox, words) {
                // The first round only warms up.
                Ok(sample) if round > 0 => candidate.rounds.push(sample),
                Ok(_) => (),
                Err(error) if candidate.system.part == Part::Peer => {
                    candidate.running = None;
                    candidate.trouble = Some(format!("{error:#}"));
                }
                Err(error) => return Err(error).with_context(|| candidate.system.name.clone()),
            }
        }
    }
    report(bench, &candidates);
    Ok(())
}

fn system(name: &str, part: Part, command: Vec<String>) -> HttpSystem {
    HttpSystem { name: name.to_owned(), part, command, eras: vec![Era::Legacy] }
}

fn started(system: HttpSystem) -> Result<Candidate> {
    let (running, trouble) = match system.start() {
        Ok(running) => (Some(running), None),
        Err(error) if system.part == Part::Peer => (None, Some(format!("{error:#}"))),
        Err(error) => return Err(error).with_context(|| system.name.clone()),
    };
    Ok(Candidate { system, running, rounds: Vec::new(), trouble })
}

fn report(bench: &mut Bench, candidates: &[Candidate]) {
    let direct = &candidates[DIRECT].rounds;
    // What a hop adds, round by round.
    let hop = |rounds: &[Sample]| median(rounds.iter().zip(direct).map(|(one, direct)| one.get("p50_us") - direct.get("p50_us")));
    let mut table = Table::new(&["", "p50 µs", "over direct µs", "p99 µs", "CPU-s per 1,000", "MiB", "wrong"]);
    for candidate in candidates {
        if let Some(trouble) = &candidate.trouble {
            let mut cells = vec![candidate.system.name.clone(), trouble.clone()];
            cells.resize(7, String::new());
            table.row(cells);
            continue;
        }
        let shown = |key: &str| figure(middle(&candidate.rounds, key));
        table.row([
            candidate.system.name.clone(),
            shown("p50_us"),
            figure(hop(&candidate.rounds)),
            shown("p99_us"),
            shown("cpu_ms_per_call"),
            figure(middle(&candidate.rounds, "pss_kib") / 1024.0),
            figure(candidate.rounds.iter().map(Sample::faults).sum()),
        ]);
    }
    table.print("A server that speaks HTTP");
    let ours = hop(&candidates[TAP].rounds);
    bench.verdict.faults("`mcp tap --url`", &candidates[TAP].rounds);
    let peers = candidates.iter().filter(|candidate| candidate.system.part == Part::Peer && candidate.trouble.is_none());
    let best = peers.map(|candidate| hop(&candidate.rounds)).fold(f64::NAN, f64::min);
    if best.is_finite() {
        bench.verdict.at_most("HTTP hop / the best peer's", ours / best, 0.5, "x");
    }
}
