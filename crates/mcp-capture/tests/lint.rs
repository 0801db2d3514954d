//! Every rule has transcripts that break it and transcripts that come close and do not.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mcp_capture::lint::transcript::{self, Transcript};
use mcp_capture::lint::{Finding, Linter, Profile, rules};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/lint")
}

fn judged(transcript: &Transcript) -> Vec<Finding> {
    let mut linter = Linter::new(Profile::default());
    linter.begin(&transcript.header);
    for (entry, (stamp, record)) in (0..).zip(&transcript.records) {
        linter.record(entry, stamp, record);
    }
    linter.finish();
    linter.findings().to_vec()
}

/// The words behind `# also` or `# allow`.
fn words<'a>(text: &'a str, sign: &str) -> BTreeSet<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(sign)).flat_map(str::split_whitespace).collect()
}

fn transcripts(dir: &Path, beginning: &str) -> Vec<(PathBuf, String)> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(beginning))
        .collect();
    found.sort();
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

fn told(findings: &[Finding]) -> String {
    let line = |finding: &Finding| format!("  {}: {} at {}\n", finding.rule.id, finding.message, finding.path);
    findings.iter().map(line).collect::<Vec<_>>().concat()
}

#[test]
fn every_rule_has_a_transcript_that_breaks_it_and_one_that_does_not() {
    let mut faults = String::new();
    for rule in rules() {
        let dir = fixtures().join(rule.id);
        let (bad, good) = (transcripts(&dir, "bad"), transcripts(&dir, "good"));
        if bad.is_empty() || good.is_empty() {
            faults += &format!("{} has {} bad and {} good transcripts\n", rule.id, bad.len(), good.len());
        }
        for (path, text) in bad {
            let findings = judged(&transcript::parse(&text).unwrap_or_else(|fault| panic!("{}: {fault}", path.display())));
            let found: BTreeSet<&str> = findings.iter().map(|finding| finding.rule.id).collect();
            let mut wanted = words(&text, "# also ");
            wanted.insert(rule.id);
            if found != wanted {
                faults += &format!("{} should break {wanted:?}:\n{}", path.display(), told(&findings));
            }
        }
        for (path, text) in good {
            let findings = judged(&transcript::parse(&text).unwrap_or_else(|fault| panic!("{}: {fault}", path.display())));
            let allowed = words(&text, "# allow ");
            let findings: Vec<Finding> = findings.into_iter().filter(|finding| !allowed.contains(finding.rule.id)).collect();
            if !findings.is_empty() || allowed.contains(rule.id) {
                faults += &format!("{} should break nothing:\n{}", path.display(), told(&findings));
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn every_folder_of_transcripts_is_a_rules() {
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(rules().iter().any(|rule| rule.id == name), "{name} is no rule");
    }
}

#[test]
fn names_of_rules_are_words_with_hyphens_and_occur_once() {
    let names: BTreeSet<&str> = rules().iter().map(|rule| rule.id).collect();
    assert_eq!(names.len(), rules().len());
    for rule in rules() {
        assert!(rule.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{}", rule.id);
        assert!(rule.why.len() > 40 && rule.why.ends_with('.'), "{} has no reason", rule.id);
        assert!(!rule.title.ends_with('.'), "{}", rule.id);
        assert!(rule.since <= rule.until, "{}", rule.id);
    }
}
