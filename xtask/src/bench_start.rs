//! `cargo xtask bench-start`: what a start of `mcp` costs, beside a Rust program that does nothing.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, bail};
use mcp_testkit::sandbox::Sandbox;

use crate::{
    fixture,
    measure::{judged, median, shown, time},
    root::{cargo, must, program, release_build, root, target},
};

/// Enough for a steady median, and over in a few seconds.
const RUNS: usize = 301;

pub(crate) fn run() -> Result<ExitCode> {
    let mcp = release_build()?;
    let empty = empty_program()?;
    let sandbox = Sandbox::new().context("make a sandbox")?;
    fixture::plant(&sandbox).context("plant the configs")?;

    let commands: [(&str, &Path, &[&str]); 3] =
        [("an empty program", &empty, &[]), ("`mcp --version`", &mcp, &["--version"]), ("`mcp list`", &mcp, &["list"])];
    let mut times = [const { Vec::new() }; 3];
    // Interleaved, so that a slow moment of the machine meets all three.
    for round in 0..=RUNS {
        for ((_, program, arguments), times) in commands.iter().zip(&mut times) {
            let took = time(sandbox.command(program).args(*arguments))?;
            // The first round fills the caches.
            if round > 0 {
                times.push(took);
            }
        }
    }
    let medians = times.each_ref().map(|times| median(times));
    println!("medians of {RUNS} runs, interleaved");
    for ((name, ..), median) in commands.iter().zip(medians) {
        println!("  {name}: {}", shown(median));
    }
    let mut kept = judged("`mcp --version` / empty", medians[1].as_secs_f64() / medians[0].as_secs_f64(), 1.5, "x");
    let clients = fixture::CLIENTS.len();
    kept &= judged(&format!("`mcp list` over {clients} clients"), medians[2].as_secs_f64() * 1000.0, 15.0, "ms");
    kept &= judged("release binary", fixture::megabytes(&mcp)?, 15.0, "MB");
    if cfg!(unix) {
        let figure = peak_of(&sandbox, &mcp, &["--version"])?;
        let floor = peak_of(&sandbox, &empty, &[])?;
        println!("  peak memory of an empty program: {floor:.2} MiB");
        kept &= judged("peak memory of `mcp --version`", figure, 10.0, "MiB");
    }
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds a program that does nothing, with the release profile of this workspace.
fn empty_program() -> Result<PathBuf> {
    let text = fs::read_to_string(root().join("Cargo.toml")).context("read Cargo.toml")?;
    let manifest: toml::Table = toml::from_str(&text).context("understand Cargo.toml")?;
    let profile = manifest.get("profile").and_then(|profile| profile.get("release")).cloned();
    let mut own: toml::Table = toml::from_str("[package]\nname = 'empty'\nversion = '0.0.0'\nedition = '2024'\n[workspace]\n")?;
    if let Some(profile) = profile {
        own.insert("profile".into(), toml::Table::from_iter([("release".to_owned(), profile)]).into());
    }
    let dir = target().join("bench").join("empty");
    fs::create_dir_all(dir.join("src")).context("make a package")?;
    fs::write(dir.join("Cargo.toml"), toml::to_string(&own)?)?;
    fs::write(dir.join("src/main.rs"), "fn main() {}\n")?;
    must(cargo().args(["build", "--quiet", "--release", "--offline", "--target-dir"]).arg(dir.join("target")).current_dir(&dir))?;
    Ok(dir.join("target").join("release").join(program("empty")))
}

/// The most memory a program had resident, in MiB. A small parent of its own starts it: the kernel counts a parent's pages as
/// the child's until the child has become its program.
fn peak_of(sandbox: &Sandbox, program: &Path, arguments: &[&str]) -> Result<f64> {
    let mut command = sandbox.command(std::env::current_exe().context("find this program")?);
    let output = command.arg("peak").arg(program).args(arguments).output().context("start the parent")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let kib: f64 = text.trim().parse().with_context(|| format!("read the peak from {text:?}"))?;
    Ok(kib / 1024.0)
}

/// The other side of [`peak_of`]: runs a program and prints its peak in KiB.
#[cfg(unix)]
pub(crate) fn peak(words: &[OsString]) -> Result<ExitCode> {
    use nix::sys::resource::{UsageWho, getrusage};
    let Some((program, arguments)) = words.split_first() else { bail!("`peak` wants a program") };
    must(Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()))?;
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).context("ask for the usage")?.max_rss();
    // macOS counts in bytes.
    println!("{}", if cfg!(target_os = "macos") { peak / 1024 } else { peak });
    Ok(ExitCode::SUCCESS)
}

#[cfg(not(unix))]
pub(crate) fn peak(_words: &[OsString]) -> Result<ExitCode> {
    bail!("peak memory is measured on Unix only")
}
