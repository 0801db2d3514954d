//! `cargo xtask bench-run-once`: what one server process for everybody costs, beside the barest bridge that does the job,
//! beside a server of one's own, and beside programs others use.
//!
//! Every figure comes from rounds in which all candidates take turns, so that a slow moment of the machine meets all of them;
//! ratios are taken within a round. Tables are printed as Markdown, for `docs/speed.md`.

mod cold;
mod http;
mod large;
mod many;
pub(crate) mod sample;
mod stdio;
pub(crate) mod systems;
pub(crate) mod table;

use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::{Arg, Parser, ValueExt as _};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use self::{
    sample::{Load, Sample},
    systems::Programs,
};
use crate::root::release_build;

const SECTIONS: [&str; 5] = ["http", "stdio", "large", "cold", "many"];

/// What was asked for.
pub(crate) struct Options {
    /// Also the programs of others.
    with_peers: bool,
    /// Short and few rounds: to see that it works.
    quick: bool,
    /// These sections only.
    only: Vec<String>,
}

impl Options {
    pub(crate) fn parse(arguments: &mut Parser) -> Result<Self> {
        let mut options = Self { with_peers: false, quick: false, only: Vec::new() };
        while let Some(argument) = arguments.next()? {
            match argument {
                Arg::Long("peers") => options.with_peers = true,
                Arg::Long("quick") => options.quick = true,
                Arg::Long("only") => {
                    options.only = arguments.value()?.string()?.split(',').map(str::to_owned).collect();
                    if let Some(unknown) = options.only.iter().find(|name| !SECTIONS.contains(&name.as_str())) {
                        bail!("there is no section `{unknown}`; there are {}", SECTIONS.join(", "));
                    }
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }

    fn wants(&self, section: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == section)
    }
}

/// What every section needs.
struct Bench {
    programs: Programs,
    load: Load,
    rounds: usize,
    seconds: f64,
    verdict: Verdict,
}

/// Lines that say whether a limit is kept, and whether all were.
#[derive(Default)]
pub(crate) struct Verdict {
    lines: Vec<String>,
    is_over: bool,
}

impl Verdict {
    fn note(&mut self, is_kept: bool, what: &str, figure: f64, bound: &str, limit: f64, unit: &str) {
        let word = if is_kept { "ok  " } else { "OVER" };
        self.is_over |= !is_kept;
        self.lines.push(format!("{word} {what}: {}{unit}, {bound} {limit}{unit}", table::figure(figure)));
    }

    /// A figure that must not be larger. One that could not be taken does not keep its limit.
    pub(crate) fn at_most(&mut self, what: &str, figure: f64, limit: f64, unit: &str) {
        self.note(figure <= limit, what, figure, "at most", limit, unit);
    }

    /// A figure that must not be smaller.
    pub(crate) fn at_least(&mut self, what: &str, figure: f64, limit: f64, unit: &str) {
        self.note(figure >= limit, what, figure, "at least", limit, unit);
    }

    /// Prints the lines; the task fails if a limit is not kept.
    pub(crate) fn tell(&self) -> ExitCode {
        println!("\n### Limits\n\n```text");
        for line in &self.lines {
            println!("{line}");
        }
        println!("```");
        if self.is_over { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    /// Wrong or missing answers of ours, of which there may be none.
    pub(crate) fn faults(&mut self, what: &str, rounds: &[Sample]) {
        let faults: f64 = rounds.iter().map(Sample::faults).sum();
        if faults > 0.0 {
            self.at_most(&format!("{what}: wrong, failed or missing answers"), faults, 0.0, "");
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    // A thousand clients are a thousand connections on both sides.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most.min(20_000), most)?;

    let programs = Programs::get(release_build()?, options.with_peers)?;
    let load = Load { program: programs.load.clone() };
    let (rounds, seconds) = if options.quick { (5, 0.2) } else { (15, 0.5) };
    let mut bench = Bench { programs, load, rounds, seconds, verdict: Verdict::default() };
    println!(
        "{rounds} rounds of {seconds} s, taking turns; medians. Calls echo 256 bytes; every answer is checked. CPU is the processor \
         time of the system with its server, in seconds per 1,000 calls; memory is what the processes hold, shared pages divided."
    );
    for (name, section) in [
        ("http", http::run as fn(&mut Bench) -> Result<()>),
        ("stdio", stdio::run),
        ("large", large::run),
        ("cold", cold::run),
        ("many", many::run),
    ] {
        if options.wants(name) {
            section(&mut bench)?;
        }
    }
    Ok(bench.verdict.tell())
}

/// The order of a round: another one comes first each time.
pub(crate) fn turn(count: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |index| (index + round) % count.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_first_once() {
        let firsts: Vec<_> = (0..3).filter_map(|round| turn(3, round).next()).collect();
        assert_eq!(firsts, [0, 1, 2]);
        assert_eq!(turn(3, 2).collect::<Vec<_>>(), [2, 0, 1]);
    }

    #[test]
    fn figure_that_was_not_taken_keeps_no_limit() {
        let mut verdict = Verdict::default();
        verdict.at_most("this", 1.0, 1.5, "x");
        assert!(!verdict.is_over);
        verdict.at_least("that", f64::NAN, 0.6, "x");
        assert!(verdict.is_over);
        assert_eq!(verdict.lines, ["ok   this: 1.00x, at most 1.5x", "OVER that: –x, at least 0.6x"]);
    }
}
