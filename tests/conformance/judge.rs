//! Whether what a suite found is what it should have found.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use crate::suite::{Check, Findings};

/// Scenarios about the HTTP endpoint itself, which is ours and not the server's: they have to pass, not to be equal.
const OURS: [&str; 7] = [
    "dns-rebinding-protection",
    "server-sse-multiple-streams",
    // A server on stdio has no stream to close, so there is nothing to come back for.
    "server-sse-polling",
    "server-session-lifecycle",
    "server-stateless",
    "http-header-validation",
    "http-custom-header-server-validation",
];

/// Nothing failed.
pub(crate) fn passed(findings: &Findings) -> Result<(), String> {
    let failures = findings.failures();
    if failures.is_empty() { Ok(()) } else { Err(listed("failed", failures.iter())) }
}

/// Check by check as the server alone has it.
pub(crate) fn equal(direct: &Findings, through: &Findings) -> Result<(), String> {
    let mut differences = String::new();
    let scenarios: BTreeSet<&String> = direct.0.keys().chain(through.0.keys()).collect();
    for scenario in scenarios {
        let found = through.0.get(scenario);
        if OURS.contains(&scenario.as_str()) {
            let failed = found.into_iter().flatten().filter(|check| check.status == "FAILURE");
            failed.for_each(|check| writeln!(differences, "{scenario}: {check:?}").expect("a string takes all"));
            if found.is_none() {
                writeln!(differences, "{scenario} did not run").expect("a string takes all");
            }
            continue;
        }
        let (before, after) = (counted(direct.0.get(scenario)), counted(found));
        if before != after {
            let messages: Vec<&Check> = found.into_iter().flatten().filter(|check| !check.message.is_empty()).collect();
            writeln!(differences, "{scenario}: alone {before:?}, through {after:?} {messages:?}").expect("a string takes all");
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(differences) }
}

/// How often each check ended in which way. Remarks are no results.
fn counted(checks: Option<&Vec<Check>>) -> BTreeMap<(&str, &str), usize> {
    let mut counted = BTreeMap::new();
    for check in checks.into_iter().flatten().filter(|check| check.status != "INFO") {
        *counted.entry((check.id.as_str(), check.status.as_str())).or_default() += 1;
    }
    counted
}

/// What fails is exactly what the file lists.
pub(crate) fn as_expected(findings: &Findings, file: &Path) -> Result<(), String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let expected = entries(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let failures = findings.failures();
    let covers =
        |entry: &str, failure: &str| failure == entry || failure.strip_prefix(entry).is_some_and(|rest| rest.starts_with(':'));
    let surprising = failures.iter().filter(|(failure, _)| !expected.iter().any(|entry| covers(entry, failure)));
    let surprising: BTreeMap<_, _> = surprising.collect();
    let stale: Vec<&String> = expected.iter().filter(|entry| !failures.keys().any(|failure| covers(entry, failure))).collect();
    if surprising.is_empty() && stale.is_empty() {
        return Ok(());
    }
    let name = file.file_name().unwrap_or_default().display();
    Err(format!("{}listed in {name} and passed: {stale:?}", listed("failed and is not listed", surprising.into_iter())))
}

/// The entries of a list of expected failures, in the form that the suite itself reads: a scenario, or one check of it. Each
/// group of entries has to follow a comment that says why.
fn entries(text: &str) -> Result<Vec<String>, String> {
    let mut entries = Vec::new();
    let mut is_explained = false;
    for (index, line) in text.lines().map(str::trim).enumerate() {
        match line.strip_prefix("- ") {
            Some(_) if !is_explained => return Err(format!("line {}: no comment above says why", index + 1)),
            Some(entry) => entries.push(entry.to_owned()),
            None if line.starts_with('#') => is_explained = true,
            None if line.is_empty() => is_explained = false,
            None if line == "server:" && entries.is_empty() => is_explained = false,
            None => return Err(format!("line {}: `{line}` is no entry", index + 1)),
        }
    }
    Ok(entries)
}

fn listed<'a>(what: &str, failures: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let mut text = String::new();
    for (failure, message) in failures {
        writeln!(text, "{what}: {failure} ({message})").expect("a string takes all");
    }
    text
}

/// The judge is judged too: it must see what it is there to see.
pub(crate) fn sees_differences() -> Result<(), String> {
    let check = |id: &str, status: &str| Check { id: id.to_owned(), status: status.to_owned(), message: String::new() };
    let findings = |scenario: &str, checks: &[(&str, &str)]| {
        let checks = checks.iter().map(|(id, status)| check(id, status)).collect();
        Findings(BTreeMap::from([(scenario.to_owned(), checks)]))
    };
    let good = findings("a", &[("x", "SUCCESS"), ("x", "SUCCESS"), ("note", "INFO")]);
    let fewer = findings("a", &[("x", "SUCCESS")]);
    let bad = findings("a", &[("x", "SUCCESS"), ("x", "FAILURE")]);
    let ours = findings("server-stateless", &[("x", "SUCCESS")]);
    let ours_warned = findings("server-stateless", &[("x", "WARNING")]);
    let ours_failed = findings("server-stateless", &[("x", "FAILURE")]);

    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let judged = |findings: &Findings, list: &str| {
        let file = folder.path().join("list.yml");
        fs::write(&file, list).map_err(|error| error.to_string())?;
        as_expected(findings, &file)
    };
    let cases = [
        ("equal", equal(&good, &findings("a", &[("x", "SUCCESS"), ("x", "SUCCESS")])).is_ok()),
        ("a check is gone", equal(&good, &fewer).is_err()),
        ("a check failed", equal(&good, &bad).is_err()),
        ("a scenario is gone", equal(&good, &Findings::default()).is_err()),
        ("ours warns", equal(&ours, &ours_warned).is_ok()),
        ("ours fails", equal(&ours, &ours_failed).is_err()),
        ("ours is gone", equal(&ours, &Findings::default()).is_err()),
        ("a listed check", judged(&bad, "server:\n  # why\n  - a:x\n").is_ok()),
        ("a listed scenario", judged(&bad, "server:\n  # why\n  - a\n").is_ok()),
        ("a check that is not listed", judged(&bad, "server:\n").is_err()),
        ("an entry that passes", judged(&bad, "server:\n  # why\n  - a:x\n  - b\n").is_err()),
        ("an entry without a reason", judged(&bad, "server:\n  - a:x\n").is_err()),
    ];
    let wrong: Vec<_> = cases.iter().filter(|(_, is_right)| !is_right).map(|(case, _)| case).collect();
    if wrong.is_empty() { Ok(()) } else { Err(format!("judged wrongly: {wrong:?}")) }
}
