//! What was found, for people, for scripts, and for CI.

use std::fmt::Write as _;

use mcp_capture::detail::visible_json;
use mcp_capture::text::{duration, visible};
use serde::Serialize;

use super::Checked;
use crate::cmd::trace::diff::told;
use crate::ui::{BAD, FAINT, GOOD, Ui, count};

fn named(checked: &Checked) -> String {
    let text = format!("#{} {} {}", checked.number, checked.method, checked.name);
    visible(text.trim_end()).into_owned()
}

fn tally(checked: &[Checked]) -> [usize; 4] {
    ["same", "different", "no answer", "skipped"].map(|outcome| checked.iter().filter(|one| one.outcome == outcome).count())
}

pub(super) fn text(ui: Ui, all: &[Checked]) {
    for checked in all {
        let name = named(checked);
        match checked.outcome {
            "same" => {
                ui.out(format_args!("{GOOD}same{GOOD:#}       {name}  {FAINT}{}{FAINT:#}", duration(checked.took_us * 1_000)));
            }
            "different" => {
                ui.out(format_args!("{BAD}different{BAD:#}  {name}"));
                for difference in &checked.differences {
                    ui.out(format_args!("             {}", told(difference)));
                }
            }
            other => {
                let colour = if other == "skipped" { FAINT } else { BAD };
                let reason = checked.reason.as_deref().unwrap_or_default();
                ui.out(format_args!("{colour}{other:<9}{colour:#}  {name}: {reason}"));
            }
        }
    }
    let [same, different, missing, skipped] = tally(all);
    ui.note(format_args!(
        "{} the same, {different} different, {missing} without an answer, {skipped} skipped",
        count(same, "answer")
    ));
}

pub(super) fn json(ui: Ui, server: &str, all: &[Checked]) {
    #[derive(Serialize)]
    struct Answer<'a> {
        schema: &'static str,
        server: &'a str,
        same: usize,
        different: usize,
        unanswered: usize,
        skipped: usize,
        calls: &'a [Checked],
    }
    let [same, different, unanswered, skipped] = tally(all);
    let answer = Answer { schema: "mcp.verify/1", server, same, different, unanswered, skipped, calls: all };
    ui.out(visible_json(&serde_json::to_string_pretty(&answer).unwrap_or_default()));
}

pub(super) fn junit(ui: Ui, server: &str, all: &[Checked]) {
    let [_, different, missing, skipped] = tally(all);
    let seconds = |micros: u64| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        xml,
        "<testsuites>\n<testsuite name=\"{}\" tests=\"{}\" failures=\"{different}\" errors=\"{missing}\" skipped=\"{skipped}\" time=\"{}\">",
        escaped(server),
        all.len(),
        seconds(all.iter().map(|one| one.took_us).sum())
    );
    for checked in all {
        let head = format!(
            "<testcase classname=\"{}\" name=\"{}\" time=\"{}\"",
            escaped(&checked.method),
            escaped(&named(checked)),
            seconds(checked.took_us)
        );
        let reason = checked.reason.as_deref().unwrap_or_default();
        let _ = match checked.outcome {
            "different" => {
                let lines: Vec<String> = checked.differences.iter().map(told).collect();
                let message = count(lines.len(), "difference");
                writeln!(xml, "{head}><failure message=\"{message}\">{}</failure></testcase>", escaped(&lines.join("\n")))
            }
            "no answer" => writeln!(xml, "{head}><error message=\"{}\"/></testcase>", escaped(reason)),
            "skipped" => writeln!(xml, "{head}><skipped message=\"{}\"/></testcase>", escaped(reason)),
            _ => writeln!(xml, "{head}/>"),
        };
    }
    xml.push_str("</testsuite>\n</testsuites>");
    ui.out(xml);
}

/// Text for XML: control characters cannot even be escaped there.
fn escaped(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| visible(line).into_owned()).collect();
    lines.join("\n").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
