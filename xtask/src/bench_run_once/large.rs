//! Answers of a megabyte and of ten.

use anyhow::{Context, Result};

use super::{
    Bench, http,
    sample::{Sample, middle, ratio},
    stdio,
    systems::{Era, Part},
    table::{Table, figure},
    turn,
};

const SIZES: [(usize, &str); 2] = [(1 << 20, "1 MiB"), (10 << 20, "10 MiB")];

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let era = Era::Legacy;
    let by_pipe = stdio::systems(&bench.programs)?;
    let by_http = bench.programs.http().into_iter().filter(|system| !matches!(system.part, Part::Bridged | Part::Peer)).collect();
    let by_http: Vec<_> = http::start(by_http, era)?.into_iter().flatten().collect();
    let names: Vec<String> = by_pipe
        .iter()
        .map(|system| format!("{}, pipes", system.name))
        .chain(by_http.iter().map(|(system, _)| format!("{}, HTTP", system.name)))
        .collect();
    let mut table = Table::new(&["answer", "system", "p50 ms", "of direct"]);
    for (size, shown) in SIZES {
        let size = size.to_string();
        // So many calls that a round takes a fraction of a second.
        let more = ["--blob", &size, "--warm-up", "0.05", "--seconds", &bench.seconds.min(0.5).to_string()].map(str::to_owned);
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); names.len()];
        for round in 0..=bench.rounds {
            for index in turn(names.len(), round) {
                let sample = if let Some(system) = by_pipe.get(index) {
                    stdio::once(&bench.load, system, era, 1, &more)
                } else {
                    let (_, at) = &by_http[index - by_pipe.len()];
                    bench.load.run(&at.sandbox, ["http", &at.url].iter().chain(&more))
                };
                let sample = sample.with_context(|| format!("{} with {shown}", names[index]));
                match sample {
                    Ok(sample) if round > 0 => samples[index].push(sample),
                    Ok(_) => (),
                    Err(error) if by_pipe.get(index).is_some_and(|system| system.part == Part::Peer) => eprintln!("{error:#}"),
                    Err(error) => return Err(error),
                }
            }
        }
        for (name, rounds) in names.iter().zip(&samples) {
            // Pipes beside pipes, HTTP beside HTTP.
            let base = if name.ends_with("HTTP") { &samples[by_pipe.len()] } else { &samples[0] };
            let times = ratio(rounds, base, "p50_us");
            table.row([shown.to_owned(), name.clone(), figure(middle(rounds, "p50_us") / 1000.0), figure(times)]);
            if name.starts_with("mcp") {
                bench.verdict.at_most(&format!("{name}: {shown} / direct"), times, 1.5, "x");
                bench.verdict.faults(&format!("{name}: {shown}"), rounds);
            }
        }
    }
    table.print("Large answers");
    Ok(())
}
