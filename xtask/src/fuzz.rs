//! `cargo xtask fuzz`: every fuzz target for a while, starting from the committed corpus.

use std::{
    fs,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result};

use crate::root::{must, root, target};

/// Pinned, so that two runs do the same.
const CARGO_FUZZ: &str = "0.13.2";

pub(crate) fn run(seconds: u64) -> Result<ExitCode> {
    let manifest = root().join("fuzz").join("Cargo.toml");
    let text = fs::read_to_string(&manifest).with_context(|| format!("read {}", manifest.display()))?;
    let targets = targets(&text)?;
    anyhow::ensure!(!targets.is_empty(), "{} has no targets", manifest.display());
    let path = tool()?;
    let mut broken = Vec::new();
    for target in &targets {
        println!("fuzz {target} for {seconds} s");
        let mut command = Command::new("cargo");
        // Started through rustup: the sanitizers need a nightly compiler, the rest of the workspace does not.
        command.env("PATH", &path).env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").current_dir(root());
        command.args(["+nightly", "fuzz", "run", target]);
        // New inputs go to the first folder, below the ignored artifacts; the committed corpus is only read.
        let found = root().join("fuzz").join("artifacts").join(format!("corpus-{target}"));
        fs::create_dir_all(&found).context("make a folder for new inputs")?;
        command.arg(&found).arg(root().join("fuzz").join("corpus").join(target));
        command.args(["--", "-print_final_stats=1"]).arg(format!("-max_total_time={seconds}"));
        if !command.status().context("start cargo fuzz")?.success() {
            broken.push(target.as_str());
        }
    }
    println!("{} targets, {} broken {}", targets.len(), broken.len(), broken.join(" "));
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The names of the fuzz targets.
fn targets(manifest: &str) -> Result<Vec<String>> {
    let manifest: toml::Table = toml::from_str(manifest).context("understand fuzz/Cargo.toml")?;
    let programs = manifest.get("bin").and_then(toml::Value::as_array).into_iter().flatten();
    Ok(programs.filter_map(|program| program.get("name")?.as_str()).map(str::to_owned).collect())
}

/// A search path on which `cargo fuzz` is found. It is built into `target/` if need be, not into the developer's home.
fn tool() -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let known = Command::new("cargo-fuzz").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if known.is_ok_and(|status| status.success()) {
        return Ok(path);
    }
    let tools = target().join("tools");
    if !tools.join("bin").join(crate::root::program("cargo-fuzz")).is_file() {
        let version = format!("cargo-fuzz@{CARGO_FUZZ}");
        must(crate::root::cargo().args(["install", "--locked", &version, "--root"]).arg(&tools))?;
    }
    let all = std::iter::once(tools.join("bin")).chain(std::env::split_paths(&path));
    std::env::join_paths(all).context("join the search path")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn targets_are_the_programs_of_the_manifest() {
        let text =
            "[package]\nname = 'fuzz'\n[[bin]]\nname = 'json'\npath = 'json.rs'\n[[bin]]\nname = 'toml'\npath = 'toml.rs'\n";
        assert_eq!(targets(text).unwrap(), ["json", "toml"]);
    }
}
