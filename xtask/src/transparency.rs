//! `cargo xtask transparency`: a table of what a wrapper around a stdio server changes.

use std::{ffi::OsString, process::ExitCode};

use anyhow::{Context as _, Result};
use mcp_testkit::transparency::{Wrapper, cases};

use crate::root::release_build;

/// Tries every case directly, with `mcp tap`, and with another wrapper if there is one.
pub(crate) fn run(other: Vec<OsString>) -> Result<ExitCode> {
    let home = tempfile::tempdir().context("make a folder for captures")?;
    let program = release_build()?;
    let ours = Wrapper {
        words: vec![program.into(), "tap".into(), "--name".into(), "case".into(), "--".into()],
        env: vec![("MCP_HOME".into(), home.path().into())],
    };
    let mut wrappers = vec![("direct", Wrapper::default()), ("mcp tap", ours)];
    if !other.is_empty() {
        wrappers.push(("other", Wrapper { words: other, env: Vec::new() }));
    }
    print!("| case |");
    wrappers.iter().for_each(|(name, _)| print!(" {name} |"));
    println!("\n|---|{}", "---|".repeat(wrappers.len()));
    let (mut failures, mut is_ours_good) = (Vec::new(), true);
    for case in cases() {
        print!("| {} |", case.claim);
        for (name, wrapper) in &wrappers {
            match case.run(wrapper) {
                Ok(()) => print!(" yes |"),
                Err(why) => {
                    print!(" **no** |");
                    is_ours_good &= *name == "other";
                    failures.push(format!("{name}, {}: {why}", case.name));
                }
            }
        }
        println!();
    }
    if !failures.is_empty() {
        println!();
        failures.iter().for_each(|failure| println!("- {failure}"));
    }
    Ok(if is_ours_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
