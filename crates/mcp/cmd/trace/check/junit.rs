//! The answer as test reports of builds have it: each session a suite, each rule a case.

use std::fmt::Write as _;

use mcp_capture::lint::{Profile, Severity, rules};

use super::judged::{Group, Judged, Verdict};
use crate::ui::Ui;

pub(super) fn print(ui: Ui, verdict: &Verdict, profile: &Profile) {
    ui.exact().bytes(report(verdict, profile).as_bytes());
}

fn report(verdict: &Verdict, profile: &Profile) -> String {
    let mut suites = String::new();
    let (mut tests, mut failures) = (0, 0);
    for judged in &verdict.all {
        let mut cases = String::new();
        let (mut of_suite, mut failed) = (0, 0);
        for rule in rules() {
            let groups: Vec<&Group> = judged.groups.iter().filter(|group| group.first.rule == *rule).collect();
            if groups.is_empty() && !profile.wants(rule) {
                continue;
            }
            of_suite += 1;
            failed += usize::from(case(&mut cases, judged, rule.id, rule.severity, rule.title, &groups, verdict.fail_on));
        }
        let name = escaped(&judged.name);
        let _ = write!(
            suites,
            "  <testsuite name=\"{name}\" tests=\"{of_suite}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\">\n{cases}  </testsuite>\n"
        );
        (tests, failures) = (tests + of_suite, failures + failed);
    }
    if !verdict.missing.is_empty() {
        let count = verdict.missing.len();
        let _ = writeln!(
            suites,
            "  <testsuite name=\"expected tools\" tests=\"{count}\" failures=\"{count}\" errors=\"0\" skipped=\"0\">"
        );
        for name in &verdict.missing {
            let name = escaped(name);
            let _ = writeln!(
                suites,
                "    <testcase classname=\"expected tools\" name=\"{name}\"><failure type=\"expect-tool\" message=\"the tool is not listed\"/></testcase>"
            );
        }
        suites.push_str("  </testsuite>\n");
        (tests, failures) = (tests + count, failures + count);
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"mcp trace check\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">\n{suites}</testsuites>\n"
    )
}

/// One case. `true`: it failed.
fn case(
    out: &mut String,
    judged: &Judged,
    id: &str,
    severity: Severity,
    title: &str,
    groups: &[&Group],
    fail_on: Severity,
) -> bool {
    let name = escaped(&judged.name);
    if groups.is_empty() {
        let _ = writeln!(out, "    <testcase classname=\"{name}\" name=\"{id}\"/>");
        return false;
    }
    let mut text = String::new();
    for group in groups {
        let first = &group.first;
        let times = if group.records.len() > 1 { format!(" ({} times)", group.records.len()) } else { String::new() };
        let _ = writeln!(
            text,
            "record {}, {}, {} by the {}: {}{times} {}",
            first.sequence,
            first.subject,
            first.path,
            first.culprit(),
            first.message,
            first.evidence
        );
    }
    if let Some(group) = groups.first() {
        let _ = write!(text, "{}\n{}", group.first.rule.why, group.first.link());
    }
    let (title, text) = (escaped(title), escaped(&text));
    let fails = severity >= fail_on;
    let inside = if fails {
        format!("<failure type=\"{severity}\" message=\"{title}\">{text}</failure>")
    } else {
        format!("<system-out>{severity}: {title}\n{text}</system-out>")
    };
    let _ = writeln!(out, "    <testcase classname=\"{name}\" name=\"{id}\">{inside}</testcase>");
    fails
}

/// Text as XML has it. Characters XML does not have were made visible before.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in mcp_capture::text::visible(text).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // The sign a line end was made into by `visible`.
            '\u{240a}' => out.push('\n'),
            other => out.push(other),
        }
    }
    out
}
