//! A report to paste into an issue: what the session was, a table of its operations, and each of them in full.

use std::io::{self, Write};

use super::{ExportError, each};
use crate::detail::{Detail, Message, unix_ms};
use crate::exchange::{Row, RowKind};
use crate::file::Type;
use crate::session::Session;
use crate::text::{duration, shortened, size, status, title, visible};
use crate::tree::Tree;
use crate::when;

/// Of one value so many characters are shown.
const LONGEST: usize = 20_000;

pub(super) fn write(session: &Session, rows: &[u32], out: &mut dyn Write) -> Result<u64, ExportError> {
    let header = session.header();
    let head = format!(
        "# MCP session with {}\n\n- Recorded {} (UTC) by {} {}\n- Client: {}\n- Command: {}\n\n",
        inline(&header.server),
        when::minute(header.started_ms),
        inline(&header.recorder),
        inline(&header.program),
        inline(&header.client),
        code(&header.command.join(" ")),
    );
    out.write_all(head.as_bytes()).map_err(ExportError::Write)?;
    out.write_all(b"| # | at | what | status | took | sent | received |\n| ---: | --- | --- | --- | ---: | ---: | ---: |\n")
        .map_err(ExportError::Write)?;
    let mut count = 0;
    for row in each(session, rows) {
        let line = line(session, &row).map_err(ExportError::Read)?;
        out.write_all(line.as_bytes()).map_err(ExportError::Write)?;
        count += 1;
    }
    for row in each(session, rows).filter(|row| row.kind == RowKind::Operation) {
        let detail = Detail::of(session, &row).map_err(ExportError::Read)?;
        let text = in_full(session, &detail).map_err(ExportError::Read)?;
        out.write_all(text.as_bytes()).map_err(ExportError::Write)?;
    }
    Ok(count)
}

fn line(session: &Session, row: &Row) -> io::Result<String> {
    Ok(format!(
        "| {} | {} | {} | {} | {} | {} | {} |\n",
        row.sequence,
        when::clock(unix_ms(session, row.at)),
        code(&title(session, row)?),
        status(row),
        row.duration.map(duration).unwrap_or_default(),
        size(u64::from(row.sent)),
        size(u64::from(row.received)),
    ))
}

fn in_full(session: &Session, detail: &Detail) -> io::Result<String> {
    let row = &detail.row;
    let took = row.duration.map(|nanos| format!(", {}", duration(nanos))).unwrap_or_default();
    let mut text = format!("\n## {} {}\n\n{}{took}\n", row.sequence, code(&title(session, row)?), status(row));
    let is_error = detail.answer().is_some_and(|answer| answer.get(&["error"]).is_some());
    for (what, value) in [("Arguments", detail.arguments()), (if is_error { "Error" } else { "Result" }, detail.outcome())] {
        if let Some(value) = value {
            text.push_str(&format!("\n{what}:\n\n{}", block(value, "json")));
        }
    }
    let mut children = detail.children().filter(|message| message.kind == Type::Frame).peekable();
    if children.peek().is_some() {
        text.push_str("\nMeanwhile:\n\n");
        let lines: Vec<String> = children.map(Message::text).map(|text| text.unwrap_or("(not UTF-8)").to_owned()).collect();
        text.push_str(&block(&lines.join("\n"), "jsonl"));
    }
    Ok(text)
}

/// A block with a fence that nothing in it closes.
fn block(value: &str, language: &str) -> String {
    let pretty = if language == "json" {
        Tree::parse(value).map_or_else(|| value.to_owned(), |tree| tree.pretty())
    } else {
        value.to_owned()
    };
    let safe: Vec<String> = shortened(&pretty, LONGEST).lines().map(|line| visible(line).into_owned()).collect();
    let safe = safe.join("\n");
    let fence = "`".repeat((longest_run(&safe) + 1).max(3));
    format!("{fence}{language}\n{safe}\n{fence}\n")
}

/// Code within a line or a cell.
fn code(text: &str) -> String {
    let text = visible(&shortened(text, 200)).replace('|', "\\|");
    let ticks = "`".repeat(longest_run(&text) + 1);
    // A blank keeps ticks at the ends apart from the fence.
    let gap = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    if text.is_empty() { "–".to_owned() } else { format!("{ticks}{gap}{text}{gap}{ticks}") }
}

fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for letter in text.chars() {
        run = if letter == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Text of others between ours.
fn inline(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { code(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_fence() {
        assert_eq!(block("\"a```b\"", "json"), "````json\n\"a```b\"\n````\n");
        assert_eq!(code("a|`b`"), "``  a\\|`b` ``".replace("  ", " "));
        assert_eq!(code("x\n# heading"), "`x␊# heading`");
        assert!(!block("{\"a\":\"\u{1b}[31m\u{202e}\"}", "json").contains(['\u{1b}', '\u{202e}']));
    }
}
