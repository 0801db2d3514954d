//! `cargo xtask bench-tap`: what a wrapper that records costs, beside no wrapper, beside a bare copy of bytes, and with `--peers`
//! beside programs of others.
//!
//! All candidates take turns in each round, so that a slow moment of the machine meets all of them; ratios are taken within a
//! round, and their middle is judged. Tables are printed as Markdown, for `docs/speed.md`.

mod client;
mod http;
mod peers;
mod stdio;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, bail};
use lexopt::{Arg, Parser, ValueExt as _};

use crate::bench_run_once::Verdict;
use crate::root::{cargo, must, program, release_build, target};

const SECTIONS: [&str; 3] = ["stdio", "http", "client"];

/// What was asked for.
pub(crate) struct Options {
    with_peers: bool,
    /// Few rounds: to see that it works.
    quick: bool,
    only: Vec<String>,
    /// The words of another wrapper around a stdio server.
    other: Vec<OsString>,
}

impl Options {
    pub(crate) fn parse(arguments: &mut Parser) -> Result<Self> {
        let mut options = Self { with_peers: false, quick: false, only: Vec::new(), other: Vec::new() };
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
                // Behind `--`.
                Arg::Value(word) => {
                    options.other = std::iter::once(word).chain(arguments.raw_args()?).collect();
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }
}

/// What every section needs.
struct Bench {
    mcp: PathBuf,
    peers: peers::Peers,
    other: Vec<String>,
    rounds: usize,
    verdict: Verdict,
}

impl Bench {
    /// A program of our bench crate.
    fn tool(name: &str) -> PathBuf {
        target().join("release").join(program(name))
    }

    fn words(path: &Path, more: &[&str]) -> Vec<String> {
        std::iter::once(path.display().to_string()).chain(more.iter().map(|word| (*word).to_owned())).collect()
    }
}

/// Takes turns, prints tables, and says whether the limits are kept.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let mcp = release_build()?;
    must(cargo().args(["build", "--quiet", "--release", "--package", "mcp-bench"]))?;
    let peers = if options.with_peers { peers::Peers::get()? } else { peers::Peers::default() };
    let other = options.other.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let rounds = if options.quick { 3 } else { 7 };
    let mut bench = Bench { mcp, peers, other, rounds, verdict: Verdict::default() };
    println!("{rounds} rounds, taking turns; medians. Every answer is checked for its id and its place.");
    for (name, section) in [("stdio", stdio::run as fn(&mut Bench) -> Result<()>), ("http", http::run), ("client", client::run)] {
        if options.only.is_empty() || options.only.iter().any(|only| only == name) {
            section(&mut bench)?;
        }
    }
    Ok(bench.verdict.tell())
}
