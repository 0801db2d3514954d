//! Calls per second, latency and processor time behind HTTP, for both eras of clients.

use anyhow::{Context, Result};

use super::{
    Bench,
    sample::{Sample, median, middle, ratio},
    systems::{Era, HttpSystem, Part, Running},
    table::{Table, figure},
    turn,
};

const CLIENTS: [usize; 3] = [1, 8, 32];

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let mut table = Table::new(&[
        "clients",
        "era",
        "system",
        "calls/s",
        "of the bare bridge",
        "p50 µs",
        "p99 µs",
        "CPU-s per 1,000",
        "of the bare bridge",
        "MiB",
        "wrong",
    ]);
    for era in Era::BOTH {
        let mut running = start(bench.programs.http(), era)?;
        for clients in CLIENTS {
            let mut samples = vec![Vec::new(); running.len()];
            for round in 0..=bench.rounds {
                for index in turn(running.len(), round) {
                    let Some((system, at)) = &running[index] else { continue };
                    match once(bench, at, era, clients) {
                        // The first round only warms up.
                        Ok(sample) if round > 0 => samples[index].push(sample),
                        Ok(_) => (),
                        Err(error) if system.part == Part::Peer => {
                            eprintln!("{} is left out with {clients} {} clients: {error:#}", system.name, era.word());
                            running[index] = None;
                        }
                        Err(error) => return Err(error).with_context(|| system.name.clone()),
                    }
                }
            }
            report(bench, &running, &samples, era, clients, &mut table);
        }
    }
    table.print("Over HTTP");
    Ok(())
}

type Candidate = Option<(HttpSystem, Running)>;

/// Starts what takes clients of this era. Of the peers, those that start.
pub(super) fn start(systems: Vec<HttpSystem>, era: Era) -> Result<Vec<Candidate>> {
    let mut running = Vec::new();
    for system in systems.into_iter().filter(|system| system.eras.contains(&era)) {
        match system.start() {
            Ok(at) => running.push(Some((system, at))),
            Err(error) if system.part == Part::Peer => eprintln!("{} is left out: {error:#}", system.name),
            Err(error) => return Err(error).with_context(|| system.name.clone()),
        }
    }
    Ok(running)
}

fn once(bench: &Bench, at: &Running, era: Era, clients: usize) -> Result<Sample> {
    let (clients, seconds, pid) = (clients.to_string(), bench.seconds.to_string(), at.child.id().to_string());
    let arguments = ["http", &at.url, "--era", era.word(), "--clients", &clients, "--seconds", &seconds, "--pid", &pid];
    bench.load.run(&at.sandbox, arguments)
}

fn report(bench: &mut Bench, running: &[Candidate], samples: &[Vec<Sample>], era: Era, clients: usize, table: &mut Table) {
    let is_base = |candidate: &&Candidate| candidate.as_ref().is_some_and(|(system, _)| system.part == Part::Baseline);
    let Some(base) = running.iter().position(|candidate| is_base(&candidate)).map(|index| &samples[index]) else { return };
    for (candidate, rounds) in running.iter().zip(samples) {
        let Some((system, _)) = candidate else { continue };
        let (speed, cpu) = (ratio(rounds, base, "per_second"), ratio(rounds, base, "cpu_ms_per_call"));
        table.row([
            clients.to_string(),
            era.word().to_owned(),
            system.name.clone(),
            figure(middle(rounds, "per_second")),
            figure(speed),
            figure(middle(rounds, "p50_us")),
            figure(middle(rounds, "p99_us")),
            figure(middle(rounds, "cpu_ms_per_call")),
            figure(cpu),
            figure(middle(rounds, "pss_kib") / 1024.0),
            figure(median([rounds.iter().map(Sample::faults).sum()])),
        ]);
        if matches!(system.part, Part::Peer | Part::Direct) {
            continue;
        }
        let what = |what: &str| format!("{} over HTTP, {clients} {} clients: {what}", system.name, era.word());
        bench.verdict.faults(&what("answers"), rounds);
        if system.part != Part::Ours {
            continue;
        }
        bench.verdict.at_least(&what("calls/s / bare bridge"), speed, 0.6, "x");
        bench.verdict.at_most(&what("CPU per call / bare bridge"), cpu, 1.8, "x");
        if clients == 1 {
            bench.verdict.at_most(&what("p50 / bare bridge"), ratio(rounds, base, "p50_us"), 1.4, "x");
        }
        if clients == 32 {
            bench.verdict.at_most(&what("p99 / bare bridge"), ratio(rounds, base, "p99_us"), 2.0, "x");
        }
    }
}
