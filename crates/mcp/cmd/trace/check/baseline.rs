//! The baseline: what is known and not told again.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::judged::Verdict;
use crate::cmd::trace::export;
use crate::report::Failure;

const SCHEMA: &str = "mcp.trace.baseline/1";

#[derive(Debug, Serialize, Deserialize)]
struct Baseline {
    schema: String,
    findings: Vec<Known>,
}

/// A finding, by what it says: numbers that differ from run to run are not part of its fingerprint.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    rule: String,
    subject: String,
    fingerprint: String,
    #[serde(default)]
    message: String,
}

pub(super) fn read(path: &Path) -> Result<BTreeSet<String>, Failure> {
    let text = std::fs::read(path)
        .with_context(|| format!("read the baseline {}", path.display()))
        .map_err(|e| Failure::file(e).hint("`--update-baseline` makes one of what is found now"))?;
    let baseline: Baseline =
        serde_json::from_slice(&text).with_context(|| format!("read the baseline {}", path.display())).map_err(Failure::file)?;
    if baseline.schema != SCHEMA {
        return Err(Failure::file(anyhow::anyhow!(
            "{} is no baseline of this version: its schema is not {SCHEMA}",
            path.display()
        )));
    }
    Ok(baseline.findings.into_iter().map(|known| known.fingerprint).collect())
}

pub(super) fn write(path: &Path, verdict: &Verdict) -> Result<(), Failure> {
    let mut findings: Vec<Known> = verdict
        .iter()
        .map(|(_, group)| Known {
            rule: group.first.rule.id.to_owned(),
            subject: group.first.subject.clone(),
            fingerprint: group.fingerprint.clone(),
            message: group.first.message.clone(),
        })
        .collect();
    // Sorted, so that a change of it is easy to read.
    findings.sort();
    findings.dedup_by(|a, b| a.fingerprint == b.fingerprint);
    let text = serde_json::to_string_pretty(&Baseline { schema: SCHEMA.to_owned(), findings }).unwrap_or_default();
    let mut file = export::new_file(path, true)?;
    writeln!(file, "{text}").with_context(|| format!("write {}", path.display())).map_err(Failure::file)?;
    export::keep(file, path, true)
}
