//! `cargo xtask tidy`: rules of this repository that no compiler checks.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};

use crate::root::root;

/// The crates by row; a crate uses lower rows only. From ARCHITECTURE.md.
const ROWS: [&[&str]; 6] = [
    &["mcp-wire", "mcp-edit", "mcp-schema", "mcp-os"],
    &["mcp-clients", "mcp-capture"],
    &["mcp-relay"],
    &["mcp-daemon", "mcp-doctor", "mcp-tui"],
    &["mcp-servers", "mcp-flow", "mcp-mesh"],
    &["mcp"],
];

/// Crates that are no part of the product: tests and tasks may use them, crates with a row may not.
const BESIDE: [&str; 4] = ["mcp-fixture", "mcp-testkit", "mcp-bench", "xtask"];

/// Where package tools fetch from. A committed file that names one pins everyone to it; kept in halves so that this file is
/// not its own finding.
const HOSTS: [[&str; 2]; 7] = [
    ["registry.npm", "js.org"],
    ["registry.yarn", "pkg.com"],
    ["files.python", "hosted.org"],
    ["pypi.org", "/simple"],
    ["index.crates", ".io"],
    ["static.crates", ".io"],
    ["proxy.golang", ".org"],
];

/// A file longer than this hides a second idea.
const LONGEST: usize = 600;

pub(crate) fn run() -> Result<ExitCode> {
    let mut findings = layers()?;
    let files = repository_files()?;
    findings.extend(strings(&files));
    findings.extend(lengths(&files));
    for finding in &findings {
        println!("tidy: {finding}");
    }
    println!("{} files looked at, {} findings", files.len(), findings.len());
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Each crate's own dependencies against the rows. Tests may reach anywhere.
fn layers() -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut manifests = vec![root().join("Cargo.toml")];
    for entry in fs::read_dir(root().join("crates")).context("list the crates")? {
        let manifest = entry?.path().join("Cargo.toml");
        if manifest.is_file() {
            manifests.push(manifest);
        }
    }
    manifests.sort();
    for path in manifests {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let manifest: toml::Table = toml::from_str(&text).with_context(|| format!("understand {}", path.display()))?;
        findings.extend(layer_faults(&manifest));
    }
    Ok(findings)
}

fn layer_faults(manifest: &toml::Table) -> Vec<String> {
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str).unwrap_or_default();
    if BESIDE.contains(&name) {
        return Vec::new();
    }
    let Some(row) = row_of(name) else {
        return vec![format!("crate `{name}` has no row; give it one in ARCHITECTURE.md and xtask/src/tidy.rs")];
    };
    let mut findings = Vec::new();
    for used in dependencies(manifest) {
        if BESIDE.contains(&used.as_str()) {
            findings.push(format!("`{name}` uses `{used}`, which is for tests and tasks only"));
        } else if row_of(&used).is_some_and(|below| below >= row) {
            findings.push(format!("`{name}` in row {row} uses `{used}`, which is not in a lower row"));
        }
    }
    findings
}

fn row_of(name: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&name))
}

/// What a crate is built with, for every platform; not what its tests use.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let tables_of = |table: &toml::Table| -> Vec<String> {
        ["dependencies", "build-dependencies"]
            .iter()
            .filter_map(|kind| table.get(*kind)?.as_table())
            .flat_map(|table| table.keys().cloned().collect::<Vec<_>>())
            .collect()
    };
    let mut found = tables_of(manifest);
    for platform in manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values) {
        found.extend(platform.as_table().map(&tables_of).unwrap_or_default());
    }
    found
}

/// Every file that is or would be committed.
fn repository_files() -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("ask git for the files")?;
    anyhow::ensure!(output.status.success(), "`git ls-files` failed: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).context("read the names of the files")?;
    // A file that was deleted and not yet committed is listed as well.
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).filter(|name| root().join(name).is_file()).collect())
}

/// Paths of the machine this runs on, and hosts of package registries.
fn strings(files: &[PathBuf]) -> Vec<String> {
    let mut forbidden: Vec<String> = HOSTS.iter().map(|halves| halves.concat()).collect();
    forbidden.push(root().display().to_string());
    // A home such as `/root` is too short a word to mean this machine.
    if let Some(home) = std::env::home_dir().filter(|home| home.components().count() > 2) {
        forbidden.push(home.display().to_string());
    }
    let mut findings = Vec::new();
    for file in files {
        // What is not text holds no such thing by accident.
        let Ok(text) = fs::read_to_string(root().join(file)) else { continue };
        findings.extend(faults_in(file, &text, &forbidden));
    }
    findings
}

fn faults_in(file: &Path, text: &str, forbidden: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for word in forbidden.iter().filter(|word| line.contains(word.as_str())) {
            findings.push(format!("{}:{}: `{word}` does not belong in the repository", file.display(), index + 1));
        }
    }
    findings
}

/// Rust files that are too long; also prints what the usual length is.
fn lengths(files: &[PathBuf]) -> Vec<String> {
    let mut counted: Vec<(usize, &PathBuf)> = files
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|file| Some((fs::read_to_string(root().join(file)).ok()?.lines().count(), file)))
        .collect();
    counted.sort();
    if let (Some((median, _)), Some((longest, file))) = (counted.get(counted.len() / 2), counted.last()) {
        println!("{} Rust files, median {median} lines, longest {longest} ({})", counted.len(), file.display());
    }
    let long = counted.iter().filter(|(lines, _)| *lines > LONGEST);
    long.map(|(lines, file)| format!("{} has {lines} lines, more than {LONGEST}: which second idea is in it?", file.display()))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn only_lower_rows_may_be_used() {
        let faults = |text: &str| layer_faults(&toml::from_str(text).unwrap());
        let clients = "[package]\nname = 'mcp-clients'\n";
        assert!(faults(&format!("{clients}[dependencies]\nmcp-edit = '1'\nserde = '1'\n")).is_empty());
        assert!(faults(&format!("{clients}[dev-dependencies]\nmcp-testkit = '1'\n")).is_empty());
        for wrong in [
            "[dependencies]\nmcp-capture = '1'",
            "[dependencies]\nmcp = '1'",
            "[dependencies]\nmcp-testkit = '1'",
            "[build-dependencies]\nmcp-servers = '1'",
            "[target.'cfg(unix)'.dependencies]\nmcp-relay = '1'",
        ] {
            assert_eq!(faults(&format!("{clients}{wrong}\n")).len(), 1, "{wrong}");
        }
        assert_eq!(faults("[package]\nname = 'mcp-new'\n").len(), 1);
    }

    #[test]
    fn forbidden_word_is_found_with_its_line() {
        let found = faults_in(Path::new("a.md"), "one\nsee there/it\n", &["there/".to_owned()]);
        assert_eq!(found, ["a.md:2: `there/` does not belong in the repository"]);
    }
}
