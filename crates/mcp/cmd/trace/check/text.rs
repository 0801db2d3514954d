//! The answer for people: by session and operation, with evidence, reason, place in the specification and what silences it.

use std::collections::BTreeSet;

use mcp_capture::lint::{Severity, reproduction};
use mcp_capture::text::visible;
use mcp_capture::when;

use super::judged::{Group, Judged, Verdict};
use crate::cmd::trace::sessions;
use crate::report::Failure;
use crate::ui::{BAD, FAINT, GOOD, PLACE, STRONG, Stream, Ui, WARN, count};

pub(super) fn print(ui: Ui, verdict: &Verdict, reproduce: bool) -> Result<(), Failure> {
    let mut out = ui.stream();
    let mut explained = BTreeSet::new();
    for judged in &verdict.all {
        session(&mut out, judged);
        let mut subjects: Vec<&str> = Vec::new();
        for group in &judged.groups {
            if !subjects.contains(&group.first.subject.as_str()) {
                subjects.push(&group.first.subject);
            }
        }
        for subject in subjects {
            let title = if subject.is_empty() { "no operation" } else { subject };
            out.line(format_args!("\n{STRONG}{title}{STRONG:#}"));
            for group in judged.groups.iter().filter(|group| group.first.subject == subject) {
                finding(&mut out, judged, group, explained.insert(group.first.rule.id));
                if reproduce {
                    let text = reproduction(&judged.session, &group.first).map_err(|e| sessions::unread(&judged.session, e))?;
                    for line in text.lines() {
                        out.line(format_args!("      {FAINT}{line}{FAINT:#}"));
                    }
                }
            }
        }
        if judged.left_out > 0 {
            out.line(format_args!("\n{} more findings of the same rules were only counted", judged.left_out));
        }
        out.line("");
    }
    for name in &verdict.missing {
        out.line(format_args!("{BAD}error{BAD:#} the tool `{}` is expected and not listed\n", visible(name)));
    }
    summary(&mut out, verdict);
    Ok(())
}

fn session(out: &mut Stream, judged: &Judged) {
    let header = judged.session.header();
    let who = if header.client.is_empty() { header.server.clone() } else { format!("{} → {}", header.client, header.server) };
    out.line(format_args!(
        "{PLACE}{}{PLACE:#}  {}  {}  {}",
        visible(&judged.name),
        visible(&who),
        header.transport,
        when::minute(header.started_ms)
    ));
}

fn finding(out: &mut Stream, judged: &Judged, group: &Group, is_new: bool) {
    let first = &group.first;
    let (severity, rule, message) = (first.severity(), first.rule.id, &first.message);
    match severity {
        Severity::Error => out.line(format_args!("  {BAD}error[{rule}]{BAD:#} {message}")),
        Severity::Warning => out.line(format_args!("  {WARN}warning[{rule}]{WARN:#} {message}")),
        Severity::Info => out.line(format_args!("  {FAINT}info[{rule}]{FAINT:#} {message}")),
    }
    let at = judged.session.find(first.sequence).and_then(|at| judged.session.index().get(at));
    let clock = at.map(|entry| {
        let ms = judged.session.header().started_ms + entry.stamp.at / 1_000_000;
        format!(" at {}", when::clock(ms))
    });
    let path = if first.path.is_empty() { String::new() } else { format!(", {}", first.path) };
    out.line(format_args!("      record {}{}, by the {}{path}", first.sequence, clock.unwrap_or_default(), first.culprit()));
    if !first.evidence.is_empty() {
        out.line(format_args!("      found {}", first.evidence));
    }
    if group.records.len() > 1 {
        let others: Vec<String> = group.records.iter().skip(1).take(5).map(u64::to_string).collect();
        let rest = if group.records.len() > 6 { ", …" } else { "" };
        out.line(format_args!("      and {} more: {}{rest}", group.records.len() - 1, others.join(", ")));
    }
    // The reason once; it is the same the next time.
    if is_new {
        for line in super::rules::wrapped(first.rule.why, 94) {
            out.line(format_args!("      {FAINT}{line}{FAINT:#}"));
        }
        out.line(format_args!("      {FAINT}{}{FAINT:#}", first.link()));
        out.line(format_args!("      {FAINT}silence it with --skip {rule}{FAINT:#}"));
    }
}

fn summary(out: &mut Stream, verdict: &Verdict) {
    let words: Vec<String> = [Severity::Error, Severity::Warning, Severity::Info]
        .into_iter()
        .filter_map(|severity| {
            let n = verdict.count(severity);
            let word = if severity == Severity::Info { format!("{n} info") } else { count(n, severity.word()) };
            (n > 0).then_some(word)
        })
        .collect();
    let known = if verdict.silenced > 0 { format!(", {} in the baseline", verdict.silenced) } else { String::new() };
    let sessions = count(verdict.all.len(), "session");
    if words.is_empty() {
        out.line(format_args!("{GOOD}Nothing found{GOOD:#} in {sessions}{known}"));
    } else {
        out.line(format_args!("Found {} in {sessions}{known}", words.join(", ")));
    }
}
