//! Calls over pipes: each client with its own process, which is the server itself or a shim to a shared one.

use anyhow::{Context, Result};

use super::{
    Bench,
    sample::{Load, Sample, median, middle, ratio},
    systems::{Era, Part, Programs, StdioSystem},
    table::{Table, figure},
    turn,
};

const CLIENTS: [usize; 4] = [1, 8, 16, 32];
const MIB: f64 = 1024.0;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let mut table = Table::new(&[
        "clients",
        "era",
        "system",
        "calls/s",
        "p50 µs",
        "p99 µs",
        "CPU-s per 1,000",
        "MiB",
        "MiB per shim",
        "wrong",
    ]);
    for era in Era::BOTH {
        let systems = systems(&bench.programs)?;
        let systems: Vec<_> = systems.into_iter().filter(|system| system.eras.contains(&era)).collect();
        let mut one = Vec::new();
        for clients in CLIENTS {
            let mut samples = vec![Vec::new(); systems.len()];
            for round in 0..=bench.rounds {
                for index in turn(systems.len(), round) {
                    let sample = once(&bench.load, &systems[index], era, clients, &["--seconds", &bench.seconds.to_string()])
                        .with_context(|| format!("{} with {clients} clients", systems[index].name))?;
                    if round > 0 {
                        samples[index].push(sample);
                    }
                }
            }
            report(bench, &systems, &samples, era, clients, &mut table);
            if clients == 1 {
                one = samples;
            } else if clients == 32 {
                memory(bench, &systems, &one, &samples);
            }
        }
    }
    table.print("Over standard input and output");
    Ok(())
}

/// A server each, then ours, then the others.
pub(super) fn systems(programs: &Programs) -> Result<Vec<StdioSystem>> {
    let mut systems = vec![programs.direct()?, programs.shared()?];
    if let Some(mux) = &programs.mux {
        systems.push(programs.muxed(mux)?);
    }
    Ok(systems)
}

pub(super) fn once(load: &Load, system: &StdioSystem, era: Era, clients: usize, more: &[&str]) -> Result<Sample> {
    let mut arguments: Vec<String> = ["stdio", "--era", era.word(), "--clients", &clients.to_string()].map(str::to_owned).into();
    arguments.extend(more.iter().map(|word| (*word).to_owned()));
    arguments.extend(system.watched.iter().flat_map(|pid| ["--pid".to_owned(), pid.to_string()]));
    arguments.push("--".to_owned());
    arguments.extend(system.client.iter().cloned());
    load.run(&system.sandbox, arguments)
}

fn report(bench: &mut Bench, systems: &[StdioSystem], samples: &[Vec<Sample>], era: Era, clients: usize, table: &mut Table) {
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let each = clients as f64 * MIB;
    for (system, rounds) in systems.iter().zip(samples) {
        table.row([
            clients.to_string(),
            era.word().to_owned(),
            system.name.to_owned(),
            figure(middle(rounds, "per_second")),
            figure(middle(rounds, "p50_us")),
            figure(middle(rounds, "p99_us")),
            figure(middle(rounds, "cpu_ms_per_call")),
            figure(middle(rounds, "pss_kib") / MIB),
            figure(middle(rounds, "own_pss_kib") / each),
            figure(median([rounds.iter().map(Sample::faults).sum()])),
        ]);
        if system.part != Part::Ours {
            continue;
        }
        let what = |what: &str| format!("shim, {clients} {} clients: {what}", era.word());
        bench.verdict.faults(&what("answers"), rounds);
        if clients == 1 {
            let more = median(rounds.iter().zip(&samples[0]).map(|(own, direct)| own.get("p50_us") - direct.get("p50_us")));
            bench.verdict.at_most(&what("p50 over direct"), more, 60.0, " µs");
            bench.verdict.at_most(&what("memory of a shim"), middle(rounds, "own_pss_kib") * 1024.0 / 1e6, 3.0, " MB");
        }
        let peer = systems.iter().zip(samples).find(|(system, _)| system.part == Part::Peer);
        if let Some((_, peer)) = peer.filter(|_| matches!(clients, 8 | 32)) {
            bench.verdict.at_least(&what("calls/s / rmcp-mux"), ratio(rounds, peer, "per_second"), 1.5, "x");
        }
        if let Some((_, peer)) = peer {
            bench.verdict.at_most(&what("memory of all / rmcp-mux"), ratio(rounds, peer, "pss_kib"), 1.0, "x");
        }
    }
}

/// What 31 more clients cost the process they share.
fn memory(bench: &mut Bench, systems: &[StdioSystem], one: &[Vec<Sample>], many: &[Vec<Sample>]) {
    let shared = |samples: &[Sample]| median(samples.iter().map(|sample| sample.get("rss_kib") - sample.get("own_rss_kib")));
    for ((system, one), many) in systems.iter().zip(one).zip(many) {
        if system.part == Part::Ours {
            let more = (shared(many) - shared(one)) / 31.0;
            bench.verdict.at_most("daemon: more for each further shim, after a run of calls", more * 1.024, 100.0, " KB");
        }
    }
}
