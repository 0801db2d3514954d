//! `cargo xtask bench-install`: one server into ten clients, by `mcp` and by add-mcp, on the same files.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use mcp_testkit::{
    install::{self, Packages, Role},
    sandbox::Sandbox,
};

use crate::{
    fixture::{self, CLIENTS},
    measure::{judged, median, shown, time},
    root::{release_build, root, target},
};

const RUNS: usize = 31;

pub(crate) fn run() -> Result<ExitCode> {
    let mcp = release_build()?;
    let cache = target().join("test-cache");
    let mut packages = Packages::read(&root().join("tests/real_clients/packages.toml"))?;
    packages.npm.retain(|package| package.role == Role::Bench || package.name == "node");
    install::install(&packages, &cache, &|_| ())?;
    let folder = |name: &str| -> Result<std::path::PathBuf> {
        let path = cache.join("npm").join(name);
        ensure!(path.join(".installed").is_file(), "{name} could not be installed");
        Ok(path.canonicalize()?)
    };
    let node = folder("node")?.join("node_modules/node/bin/node");
    let add_mcp = folder("add-mcp")?.join("node_modules/add-mcp");
    let rival = install::npm_version(&folder("add-mcp")?, "add-mcp").context("read the version of add-mcp")?;
    let add_mcp = add_mcp.join(program_of(&add_mcp)?);

    let sandbox = Sandbox::new().context("make a sandbox")?;
    let compared: Vec<_> = CLIENTS.iter().filter_map(|(id, rival, file, _)| Some((*id, (*rival)?, *file))).collect();
    let ours = || {
        let mut command = sandbox.command(&mcp);
        command.arg("install").args(compared.iter().flat_map(|(id, ..)| ["--client", *id]));
        command.args(["--name", "bench", "--yes", "--", "node", "bench-server.js"]);
        command
    };
    let theirs = || {
        let mut command = sandbox.command(&node);
        command.arg(&add_mcp).args(["node bench-server.js", "--global", "--name", "bench", "--yes"]);
        command.args(compared.iter().flat_map(|(_, id, _)| ["--agent", *id]));
        command
    };
    let files: Vec<&str> = compared.iter().map(|(.., file)| *file).collect();
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..=RUNS {
        for (times, command) in times.iter_mut().zip([&ours as &dyn Fn() -> Command, &theirs]) {
            fixture::plant(&sandbox).context("plant the configs")?;
            let took = time(&mut command())?;
            // Whoever is fast by not doing it is not fast.
            let written = written(&sandbox, &files)?;
            ensure!(
                written == files.len(),
                "`{}` wrote to {written} of {} files",
                command().get_program().display(),
                files.len()
            );
            if round > 0 {
                times.push(took);
            }
        }
    }
    let [ours, theirs] = times.map(|times| median(&times));
    println!("one server into {} clients, medians of {RUNS} runs, interleaved", files.len());
    println!("  mcp: {}\n  add-mcp {rival}: {}", shown(ours), shown(theirs));
    let mut kept = judged("`mcp install`", ours.as_secs_f64() * 1000.0, 40.0, "ms");
    kept &= judged("`mcp install` / add-mcp", ours.as_secs_f64() / theirs.as_secs_f64(), 0.5, "x");
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The script a package installs as its program.
fn program_of(package: &std::path::Path) -> Result<String> {
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(package.join("package.json"))?)?;
    let bin = &manifest["bin"];
    let script = bin.as_str().or_else(|| bin.as_object()?.values().next()?.as_str());
    Ok(script.context("the package has no program")?.to_owned())
}

/// How many of the files name the new server.
fn written(sandbox: &Sandbox, files: &[&str]) -> Result<usize> {
    let mut count = 0;
    for file in files {
        let bytes = sandbox.read(file)?.unwrap_or_default();
        count += usize::from(String::from_utf8_lossy(&bytes).contains("bench-server.js"));
    }
    Ok(count)
}
