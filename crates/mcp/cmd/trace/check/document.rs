//! The answer as one document of JSON.

use mcp_capture::lint::{Finding, Severity};
use serde::Serialize;

use super::judged::{Group, Judged, Verdict};
use crate::cmd::trace::query;
use crate::ui::Ui;

#[derive(Serialize)]
struct Answer<'a> {
    ok: bool,
    errors: usize,
    warnings: usize,
    infos: usize,
    silenced: usize,
    missing_tools: &'a [String],
    sessions: Vec<OfSession<'a>>,
}

#[derive(Serialize)]
struct OfSession<'a> {
    session: &'a str,
    server: &'a str,
    client: &'a str,
    transport: &'a str,
    not_told: u64,
    findings: Vec<OfFinding<'a>>,
}

#[derive(Serialize)]
struct OfFinding<'a> {
    rule: &'a str,
    severity: Severity,
    by: &'a str,
    operation: &'a str,
    path: &'a str,
    message: &'a str,
    evidence: &'a str,
    revision: Option<&'a str>,
    record: u64,
    records: &'a [u64],
    related: &'a [u64],
    why: &'a str,
    link: String,
    fingerprint: &'a str,
}

pub(super) fn print(ui: Ui, verdict: &Verdict) {
    let answer = Answer {
        ok: !verdict.is_bad(),
        errors: verdict.count(Severity::Error),
        warnings: verdict.count(Severity::Warning),
        infos: verdict.count(Severity::Info),
        silenced: verdict.silenced,
        missing_tools: &verdict.missing,
        sessions: verdict.all.iter().map(session).collect(),
    };
    query::document(ui, "mcp.trace.check/1", answer);
}

fn session(judged: &Judged) -> OfSession<'_> {
    let header = judged.session.header();
    OfSession {
        session: &judged.name,
        server: &header.server,
        client: &header.client,
        transport: &header.transport,
        not_told: judged.left_out,
        findings: judged.groups.iter().map(finding).collect(),
    }
}

fn finding(group: &Group) -> OfFinding<'_> {
    let first: &Finding = &group.first;
    OfFinding {
        rule: first.rule.id,
        severity: first.severity(),
        by: first.culprit(),
        operation: &first.subject,
        path: &first.path,
        message: &first.message,
        evidence: &first.evidence,
        revision: first.revision.map(mcp_capture::lint::Revision::name),
        record: first.sequence,
        records: &group.records,
        related: &first.related,
        why: first.rule.why,
        link: first.link(),
        fingerprint: &group.fingerprint,
    }
}
