//! The answer as SARIF 2.1.0, which code hosts show beside the code.

use mcp_capture::lint::{Rule, Severity, rules};
use serde_json::{Value, json};

use super::judged::{Group, Judged, Verdict};
use crate::ui::Ui;

pub(super) fn print(ui: Ui, verdict: &Verdict) {
    let text = serde_json::to_string_pretty(&report(verdict)).unwrap_or_default();
    ui.out(mcp_capture::detail::visible_json(&text));
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn report(verdict: &Verdict) -> Value {
    let mut results: Vec<Value> = verdict.iter().map(|(judged, group)| result(judged, group)).collect();
    for name in &verdict.missing {
        results.push(json!({
            "ruleId": "expected-tool",
            "level": "error",
            "message": {"text": format!("the tool `{name}` is expected and not listed")},
        }));
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "mcp",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules().iter().map(|rule| described(rule)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn described(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "helpUri": rule.link(None),
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {"tags": [rule.family.title()], "revisions": rule.revisions()},
    })
}

fn result(judged: &Judged, group: &Group) -> Value {
    let first = &group.first;
    let index = rules().iter().position(|rule| *rule == first.rule);
    let found = if first.evidence.is_empty() { String::new() } else { format!(" (found {})", first.evidence) };
    json!({
        "ruleId": first.rule.id,
        "ruleIndex": index,
        "level": level(first.severity()),
        "message": {"text": format!("{}{found}", first.message)},
        "locations": [{
            "physicalLocation": {"artifactLocation": {"uri": uri(&judged.session.path().to_string_lossy())}},
            "logicalLocations": [{
                "name": if first.subject.is_empty() { "session" } else { &first.subject },
                "fullyQualifiedName": format!("{}#{} {}", judged.name, first.sequence, first.path).trim_end(),
            }],
        }],
        "occurrenceCount": group.records.len(),
        "partialFingerprints": {"mcp/1": group.fingerprint},
        "properties": {
            "records": group.records.iter().take(100).collect::<Vec<_>>(),
            "by": first.culprit(),
            "revision": first.revision.map(mcp_capture::lint::Revision::name),
        },
    })
}

/// A path as a reference of URIs.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.replace('\\', "/").bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
