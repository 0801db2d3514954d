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

#[test]
fn a_session_that_grows_is_judged_as_one_that_is_whole() {
    use std::time::Duration;

    use bytes::Bytes;
    use mcp_capture::{Options, Record, Recorder, Session};

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.mcpcap");
    let text = std::fs::read_to_string(fixtures().join("invalid-tool-arguments/bad.txt")).unwrap();
    let transcript = transcript::parse(&text).unwrap();
    let header = transcript.header.clone();
    let (recorder, sink) = Recorder::start(&path, Options { header, ..Options::default() }).unwrap();
    let mut live = Linter::new(Profile::default());
    let mut session = None;
    let mut seen = Vec::new();
    for (stamp, record) in &transcript.records {
        if let Record::Frame(bytes, _) = record {
            sink.frame(stamp.hop, stamp.direction, Bytes::clone(bytes));
            assert!(recorder.flush(Duration::from_mins(1)));
            let session = session.get_or_insert_with(|| Session::open(&path).unwrap());
            session.refresh().unwrap();
            seen.extend(live.continue_from(session).unwrap().iter().map(|finding| (finding.rule.id, finding.sequence)));
        }
    }
    recorder.finish();
    let mut session = session.unwrap();
    session.refresh().unwrap();
    seen.extend(live.continue_from(&session).unwrap().iter().map(|finding| (finding.rule.id, finding.sequence)));
    let whole = Linter::new(Profile::default()).check_session(&session).unwrap();
    let whole: Vec<_> = whole.iter().map(|finding| (finding.rule.id, finding.sequence)).collect();
    assert_eq!(seen, whole);
    assert_eq!(seen, [("invalid-tool-arguments", 6)]);
    let row = session.rows().of_entry(session.find(6).unwrap()).unwrap();
    assert_eq!(live.findings_of(&session, row).count(), 1);
    assert_eq!(live.findings_of(&session, 0).count(), 0);
}

#[test]
fn hostile_texts_of_peers_are_safe_to_print() {
    let text = "hello 2025-06-18 {\"tools\":{}}\n=< \\x1b[31mred\\x07 \u{202e}text\\n\n> {\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"\\u001b]0;x\\u0007\"}}\n< {\"id\":1,\"result\":{\"content\":[{\"type\":\"\\u001b[2J\"}]}}\n";
    let findings = judged(&transcript::parse(text).unwrap());
    assert!(findings.len() >= 2, "{findings:?}");
    for finding in findings {
        for text in [&finding.subject, &finding.path, &finding.message, &finding.evidence] {
            assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
        }
    }
}

#[test]
fn a_flood_of_findings_is_counted_and_not_kept() {
    let mut text = "hello 2025-06-18\n".to_owned();
    for _ in 0..1500 {
        text += "=< noise\\n\n";
    }
    let transcript = transcript::parse(&text).unwrap();
    let mut linter = Linter::new(Profile::default());
    linter.begin(&transcript.header);
    for (entry, (stamp, record)) in (0..).zip(&transcript.records) {
        linter.record(entry, stamp, record);
    }
    assert_eq!((linter.findings().len(), linter.left_out()), (1000, 500));
}
