//! From the start of a process to the answer to its first call.

use anyhow::{Context, Result};
use mcp_testkit::sandbox::Sandbox;

use super::{
    Bench,
    sample::{Sample, middle, ratio},
    systems::{Era, Part, end_all_at},
    table::{Table, figure},
    turn,
};

/// Each is over in some milliseconds.
const TIMES: usize = 5;

/// A name, whether it may fail, and what runs it once.
type Candidate<'a> = (String, bool, Box<dyn Fn() -> Result<Sample> + 'a>);

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let direct = bench.programs.direct()?;
    let joined = bench.programs.shared()?;
    let mux = bench.programs.mux.clone().map(|mux| bench.programs.muxed(&mux)).transpose()?;
    let stdio =
        |words: &[String]| -> Vec<String> { ["cold-stdio", "--"].map(str::to_owned).iter().chain(words).cloned().collect() };

    let served: Vec<_> = bench
        .programs
        .http()
        .into_iter()
        .filter(|s| !matches!(s.part, Part::Bridged | Part::Direct) && s.eras.contains(&Era::Legacy))
        .collect();

    let cold = Sandbox::new()?;
    let (load, shim) = (&bench.load, stdio(&bench.programs.shim()));
    let mut candidates: Vec<Candidate<'_>> = vec![
        ("a server of one's own".to_owned(), false, Box::new(|| load.run(&direct.sandbox, stdio(&direct.client)))),
        (
            "mcp run-once, first".to_owned(),
            false,
            Box::new(|| {
                end_all_at(&cold.home())?;
                load.run(&cold, &shim)
            }),
        ),
        // Making directories that survive a power cut is paid for once in the life of a home.
        ("mcp run-once in a new home".to_owned(), false, Box::new(|| load.run(&Sandbox::new()?, &shim))),
        ("mcp run-once, joining".to_owned(), false, Box::new(|| load.run(&joined.sandbox, stdio(&joined.client)))),
    ];
    if let Some(mux) = &mux {
        candidates.push(("rmcp-mux, joining".to_owned(), true, Box::new(|| load.run(&mux.sandbox, stdio(&mux.client)))));
    }
    for system in &served {
        candidates.push((
            format!("{}, HTTP", system.name),
            system.part == Part::Peer,
            Box::new(|| {
                let (words, port) = system.words()?;
                let mut arguments = vec!["cold-http".to_owned()];
                arguments.extend(port.into_iter().flat_map(|port| ["--port".to_owned(), port.to_string()]));
                arguments.push("--".to_owned());
                arguments.extend(words);
                load.run(&Sandbox::new()?, arguments)
            }),
        ));
    }

    let mut samples = vec![Vec::new(); candidates.len()];
    for round in 0..=bench.rounds * TIMES {
        for index in turn(candidates.len(), round) {
            let (name, is_peer, once) = &candidates[index];
            // Node and Python take a second each.
            if *is_peer && round > bench.rounds {
                continue;
            }
            match once().with_context(|| name.clone()) {
                Ok(sample) if round > 0 => samples[index].push(sample),
                Ok(_) => (),
                Err(error) if *is_peer => eprintln!("{error:#}"),
                Err(error) => return Err(error),
            }
        }
    }
    let mut table = Table::new(&["first answer", "ms", "of a server of one's own"]);
    let base = samples[0].clone();
    let mut judged = Vec::new();
    for ((name, ..), rounds) in candidates.iter().zip(&samples) {
        let took = middle(rounds, "first_ms");
        table.row([name.clone(), figure(took), figure(ratio(rounds, &base, "first_ms"))]);
        if let Some(how) = name.strip_prefix("mcp run-once, ") {
            judged.push((how.to_owned(), took));
        }
    }
    drop(candidates);
    let own = middle(&base, "first_ms");
    for (how, took) in judged {
        match how.as_str() {
            "joining" => bench.verdict.at_most("joining: start of the shim to its first answer", took, 1.5, " ms"),
            _ => bench.verdict.at_most(&format!("cold first call ({how}) over the server's own start"), took - own, 10.0, " ms"),
        }
    }
    table.print("Cold");
    Ok(())
}
