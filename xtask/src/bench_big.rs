//! `cargo xtask bench-big`: Claude Code's file grows with use; an edit of one of 10 MB.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use mcp_testkit::sandbox::Sandbox;

use crate::{
    measure::{judged, median, shown, time},
    root::release_build,
};

const RUNS: usize = 21;
const SIZE: usize = 10 << 20;
/// Older than what a time stamp is trusted for.
const SETTLED: Duration = Duration::from_secs(4);
const FILE: &str = ".claude.json";

pub(crate) fn run() -> Result<ExitCode> {
    let mcp = release_build()?;
    let sandbox = Sandbox::new().context("make a sandbox")?;
    let text = big();
    let path = sandbox.write(FILE, &text).context("write the file")?;
    let [mut floor, mut fresh, mut settled, mut uninstall] = [const { Vec::new() }; 4];
    for round in 0..=RUNS {
        // The floor: what writing such a file safely costs anyone, without looking at it.
        let beside = path.with_extension("beside");
        let begin = Instant::now();
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        let floor_took = begin.elapsed();

        // A file that somebody wrote a moment ago is compared once more, because its time stamps prove nothing yet. Users
        // meet the other case.
        let settles = round % 2 == 0;
        if settles {
            thread::sleep(SETTLED);
        }
        let mut command = sandbox.command(&mcp);
        let arguments = ["install", "--client", "claude-code", "--name", "bench", "--yes", "--", "node", "bench-server.js"];
        let install_took = time(command.args(arguments))?;
        let edited = fs::read_to_string(&path)?;
        ensure!(edited.len() > text.len() && edited.contains("bench-server.js"), "`mcp install` did not write the entry");
        let mut command = sandbox.command(&mcp);
        let uninstall_took = time(command.args(["uninstall", "bench", "--client", "claude-code", "--yes"]))?;
        ensure!(fs::read_to_string(&path)? == text, "`mcp uninstall` did not give back the first bytes");
        if round > 0 {
            floor.push(floor_took);
            if settles {
                settled.push(install_took);
            } else {
                fresh.push(install_took);
            }
            uninstall.push(uninstall_took);
        }
    }
    println!("{} MB of {FILE}, medians of {RUNS} runs", SIZE >> 20);
    println!("  writing such a file and renaming it: {}", shown(median(&floor)));
    println!("  `mcp install` into one written this moment: {}", shown(median(&fresh)));
    println!("  `mcp uninstall`: {}", shown(median(&uninstall)));
    let kept = judged("`mcp install`", median(&settled).as_secs_f64() * 1000.0, 60.0, "ms");
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A file as it is after a year: many projects with their histories, and a few servers at the end.
fn big() -> String {
    let mut text = String::with_capacity(SIZE + 4096);
    text.push_str("{\n  \"numStartups\": 4711,\n  \"projects\": {\n");
    let mut project = 0;
    while text.len() < SIZE {
        if project > 0 {
            text.push_str(",\n");
        }
        let _ = write!(text, "    \"/srv/projects/number-{project}\": {{\n      \"allowedTools\": [],\n      \"history\": [\n");
        for entry in 0..40 {
            let comma = if entry == 39 { "" } else { "," };
            let _ = writeln!(
                text,
                "        {{\"display\": \"why does \\\"step {entry}\\\" take so long? \\u2014 see log/{project}.txt\", \"pastedContents\": {{}}}}{comma}"
            );
        }
        text.push_str("      ],\n      \"mcpServers\": {},\n      \"hasTrustDialogAccepted\": true\n    }");
        project += 1;
    }
    text.push_str(
        "\n  },\n  \"mcpServers\": {\n    \"one\": {\n      \"type\": \"stdio\",\n      \"command\": \"npx\"\n    }\n  }\n}\n",
    );
    text
}
