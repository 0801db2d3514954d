//! `cargo xtask test`: everything tests need, then every test.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Write},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result};
use mcp_testkit::install::{self, Installed, Packages, Report, Role};

use crate::{
    root::{cargo, root, target},
    tally::Tally,
};

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Also the clients CI leaves out.
    pub(crate) all_clients: bool,
    /// Use what is in the cache.
    pub(crate) no_install: bool,
    /// For the test programs.
    pub(crate) passed_on: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let begin = Instant::now();
    let (packages, left_out) = packages(options.all_clients)?;
    let cache = target().join("test-cache");
    let reports = if options.no_install { Vec::new() } else { install::install(&packages, &cache, &tell)? };
    let installed_after = begin.elapsed();

    let mut command = cargo();
    // The processes under test are built behind a feature.
    command.args(["test", "--workspace", "--features", "testing", "--no-fail-fast", "--"]).args(&options.passed_on);
    command.env(install::CACHE_VARIABLE, &cache);
    if options.all_clients {
        command.env("MCP_TEST_ALL_CLIENTS", "1");
    }
    // Cargo says on one stream which program runs and the program answers on the other; one pipe keeps them in order.
    let (reader, writer) = std::io::pipe().context("make a pipe")?;
    command.stdout(writer.try_clone().context("share the pipe")?).stderr(writer);
    let mut child = command.spawn().context("start cargo")?;
    // The command holds the other end of the pipe as well, and we want to see its end.
    drop(command);
    let mut tally = Tally::default();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).context("read what cargo says")? > 0 {
        std::io::stdout().write_all(&line).context("pass on what cargo says")?;
        tally.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    let status = child.wait().context("wait for cargo")?;

    let [passed, mut failed, skipped] = tally.totals();
    println!("\n{}", tally.summary().trim_end());
    let missing: Vec<&Report> = reports.iter().filter(|report| matches!(report.result, Installed::Not(_))).collect();
    if !missing.is_empty() || !left_out.is_empty() {
        println!("Not installed");
        for Report { name, result, .. } in missing {
            if let Installed::Not(reason) = result {
                println!("  {name}: could not be installed: {reason}");
            }
        }
        if !left_out.is_empty() {
            println!("  only with --all-clients: {}", left_out.join(", "));
        }
    }
    if options.no_install {
        println!("Installed nothing, as asked");
    } else {
        println!("Installed in {:.0} s, done after {:.0} s", installed_after.as_secs_f64(), begin.elapsed().as_secs_f64());
    }
    if !status.success() && failed == 0 {
        println!("`cargo test` ended with {status} before it came to a result: see above");
        failed = 1;
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What to install, and the names of what is left out.
fn packages(all_clients: bool) -> Result<(Packages, Vec<String>)> {
    let mut packages = Packages::read(&root().join("tests/real_clients/packages.toml"))?;
    let mut left_out = Vec::new();
    packages.npm.retain(|package| {
        let wanted = all_clients || !package.all;
        if !wanted {
            left_out.push(package.name.clone());
        }
        wanted && package.role != Role::Bench
    });
    for list in ["tests/servers/packages.toml", "tests/conformance/packages.toml"] {
        let more = Packages::read(&root().join(list))?;
        // Two lists may name a package; the folder can hold one of them, and the versions agree or the later list loses.
        for package in more.npm {
            if packages.npm.iter().all(|known| known.name != package.name) {
                packages.npm.push(package);
            }
        }
        packages.py.extend(more.py);
    }
    Ok((packages, left_out))
}

fn tell(Report { name, result, took }: &Report) {
    match result {
        Installed::Already => println!("{name}: already there"),
        Installed::Now => println!("{name}: installed in {:.1} s", took.as_secs_f64()),
        Installed::Not(reason) => println!("{name}: could not be installed: {reason}"),
    }
}
