//! A thousand connected clients: nothing may fail, and idle ones may cost little.

use anyhow::{Context, Result};

use super::{
    Bench, http,
    sample::{Sample, middle},
    systems::{Era, Part},
    table::{Table, figure},
    turn,
};

const MANY: f64 = 1000.0;
const ROUNDS: usize = 3;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let mut table = Table::new(&[
        "1,000 clients",
        "system",
        "calls/s",
        "p50 ms",
        "p99 ms",
        "MiB before",
        "MiB connected",
        "KB per idle client",
        "MiB after",
        "wrong",
    ]);
    for era in Era::BOTH {
        let systems = bench.programs.http().into_iter().filter(|s| matches!(s.part, Part::Baseline | Part::Ours)).collect();
        let running: Vec<_> = http::start(systems, era)?.into_iter().flatten().collect();
        let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); running.len()];
        for round in 0..ROUNDS {
            for index in turn(running.len(), round) {
                let (system, at) = &running[index];
                // One call, so that what the first client needs is there before.
                let (pid, seconds) = (at.child.id().to_string(), (bench.seconds * 2.0).to_string());
                bench.load.run(&at.sandbox, ["http", &at.url, "--era", era.word(), "--calls", "1", "--warm-up", "0"])?;
                let before = bench.load.memory(&at.sandbox, &[at.child.id()])?;
                let own = resident_kib(at.child.id())?;
                let arguments = ["http", &at.url, "--era", era.word(), "--clients", "1000", "--seconds", &seconds, "--pid", &pid];
                let mut sample = bench.load.run(&at.sandbox, arguments).with_context(|| system.name.clone())?;
                sample.set("before_kib", before.get("rss_kib"));
                sample.set("own_kib", own);
                sample.set("each_kib", (sample.get("idle_rss_kib") - before.get("rss_kib")) / MANY);
                samples[index].push(sample);
            }
        }
        for ((system, _), rounds) in running.iter().zip(&samples) {
            // What an earlier round left behind is not counted for the later ones.
            let first = &rounds[..1];
            table.row([
                era.word().to_owned(),
                system.name.clone(),
                figure(middle(rounds, "per_second")),
                figure(middle(rounds, "p50_us") / 1000.0),
                figure(middle(rounds, "p99_us") / 1000.0),
                figure(middle(first, "before_kib") / 1024.0),
                figure(middle(first, "idle_rss_kib") / 1024.0),
                figure(middle(first, "each_kib") * 1.024),
                figure(middle(rounds, "rss_kib") / 1024.0),
                figure(rounds.iter().map(Sample::faults).sum()),
            ]);
            if system.part == Part::Ours {
                let what = |what: &str| format!("1,000 {} clients over HTTP: {what}", era.word());
                let faults = rounds.iter().map(Sample::faults).sum();
                bench.verdict.at_most(&what("wrong, failed or missing answers"), faults, 0.0, "");
                bench.verdict.at_most(
                    &what("the process that serves, resident, before"),
                    middle(first, "own_kib") * 1.024 / 1000.0,
                    8.0,
                    " MB",
                );
                bench.verdict.at_most(&what("more for each idle client"), middle(first, "each_kib") * 1.024, 100.0, " KB");
            }
        }
    }
    table.print("A thousand clients");
    Ok(())
}

/// What one process holds, without its server and its guard; pages of the program count in full.
fn resident_kib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("read the status of a process")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("find VmRSS")?;
    line.trim().trim_end_matches(" kB").trim().parse().context("read VmRSS")
}
