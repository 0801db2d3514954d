//! Developer tasks of this workspace: `cargo xtask`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a task's output is for the developer who started it")]

mod bench_big;
#[cfg(target_os = "linux")]
mod bench_inspect;
mod bench_install;
#[cfg(target_os = "linux")]
mod bench_run_once;
mod bench_start;
#[cfg(target_os = "linux")]
mod bench_tap;
mod fixture;
mod fuzz;
mod generate;
mod measure;
mod root;
mod tally;
mod test;
mod tidy;
#[cfg(unix)]
mod transparency;

use std::{ffi::OsString, process::ExitCode};

use anyhow::{Result, bail};
use lexopt::{Arg, Parser, ValueExt};

const HELP: &str = "\
Usage: cargo xtask TASK

Tasks:
  test [--all-clients] [--no-install] [-- FILTER]
                   install what tests need into target/test-cache, run every test, say what was skipped and why
  gen [--check]    make man pages, completions and the reference anew; with --check only compare
  tidy             check rules no compiler knows: layers, paths and hosts that do not belong here, lengths of files
  fuzz [SECONDS]   run each fuzz target for a while (60 s)
  bench-start      time and memory of `mcp --version` and `mcp list` against an empty program
  bench-install    `mcp install` into ten clients against add-mcp
  bench-run-once [--peers] [--quick] [--only http,stdio,large,cold,many]
                   what sharing a server costs, beside a bare bridge, a server each, and with --peers programs of others
  bench-tap [--peers] [--quick] [--only stdio,http,client] [-- WRAPPER…]
                   a round trip direct, through a bare copy of bytes, and through `mcp tap` that records; with --peers through
                   programs of others
  bench-inspect    the inspector over a session of a million messages: first screen, keys, filters, memory, idling
  transparency [-- WRAPPER…]
                   whether a wrapper around a server can be told from none: `mcp tap`, and another one if its words are given
  bench-big        an edit of a 10 MB ~/.claude.json against writing such a file";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let mut arguments = Parser::from_env();
    let Some(Arg::Value(task)) = arguments.next()? else {
        println!("{HELP}");
        return Ok(ExitCode::from(2));
    };
    match task.to_string_lossy().as_ref() {
        "test" => test::run(&test_options(&mut arguments)?),
        "gen" => generate::run(gen_check(&mut arguments)?),
        "tidy" => nothing_more(&mut arguments).and_then(|()| tidy::run()),
        "fuzz" => {
            let seconds = match arguments.next()? {
                None => 60,
                Some(Arg::Value(seconds)) => seconds.parse()?,
                Some(other) => return Err(other.unexpected().into()),
            };
            nothing_more(&mut arguments)?;
            fuzz::run(seconds)
        }
        "bench-start" => nothing_more(&mut arguments).and_then(|()| bench_start::run()),
        "bench-install" => nothing_more(&mut arguments).and_then(|()| bench_install::run()),
        "bench-run-once" => run_once(&mut arguments),
        "bench-big" => nothing_more(&mut arguments).and_then(|()| bench_big::run()),
        #[cfg(target_os = "linux")]
        "bench-inspect" => nothing_more(&mut arguments).and_then(|()| bench_inspect::run()),
        #[cfg(target_os = "linux")]
        "bench-tap" => bench_tap::run(&bench_tap::Options::parse(&mut arguments)?),
        #[cfg(unix)]
        "transparency" => {
            let words: Vec<OsString> = arguments.raw_args()?.collect();
            transparency::run(words.iter().skip(usize::from(words.first().is_some_and(|word| word == "--"))).cloned().collect())
        }
        // Started by `bench-start`, to measure a program as the only child of a small parent.
        "peak" => bench_start::peak(&arguments.raw_args()?.collect::<Vec<_>>()),
        other => bail!("there is no task `{other}`\n\n{HELP}"),
    }
}

#[cfg(target_os = "linux")]
fn run_once(arguments: &mut Parser) -> Result<ExitCode> {
    bench_run_once::run(&bench_run_once::Options::parse(arguments)?)
}

#[cfg(not(target_os = "linux"))]
fn run_once(_arguments: &mut Parser) -> Result<ExitCode> {
    bail!("what processes use is read from /proc, which only Linux has")
}

fn nothing_more(arguments: &mut Parser) -> Result<()> {
    match arguments.next()? {
        None => Ok(()),
        Some(other) => Err(other.unexpected().into()),
    }
}

fn gen_check(arguments: &mut Parser) -> Result<bool> {
    let check = match arguments.next()? {
        None => false,
        Some(Arg::Long("check")) => true,
        Some(other) => return Err(other.unexpected().into()),
    };
    nothing_more(arguments)?;
    Ok(check)
}

fn test_options(arguments: &mut Parser) -> Result<test::Options> {
    let mut options = test::Options::default();
    // Whatever follows `--` belongs to the test programs, options included.
    let words: Vec<OsString> = arguments.raw_args()?.collect();
    let (own, theirs) = words.split_at(words.iter().position(|word| word == "--").unwrap_or(words.len()));
    options.passed_on = theirs.iter().skip(1).cloned().collect();
    let mut own = Parser::from_args(own);
    while let Some(argument) = own.next()? {
        match argument {
            Arg::Long("all-clients") => options.all_clients = true,
            Arg::Long("no-install") => options.no_install = true,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}
