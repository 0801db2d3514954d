//! One page that needs nothing else: no server, no network, no other file. Folding is the browser's own; searching is a few lines
//! of script. Everything that came from a peer is text to the browser.

use std::io::{self, Write};

use super::{ExportError, each};
use crate::detail::{Detail, unix_ms};
use crate::exchange::{Row, RowFlags, RowKind};
use crate::file::Type;
use crate::session::Session;
use crate::text::{arguments_of, duration, shortened, size, status, title, visible};
use crate::tree::Tree;
use crate::when;

/// Of one value so many characters are shown: a page of a gigabyte opens nowhere.
const LONGEST: usize = 200_000;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

pub(super) fn write(session: &Session, rows: &[u32], out: &mut dyn Write) -> Result<u64, ExportError> {
    let header = session.header();
    let name = session.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let facts = [
        ("server", header.server.clone()),
        ("client", header.client.clone()),
        ("command", header.command.join(" ")),
        ("recorded", format!("{} UTC by {} {}", when::minute(header.started_ms), header.recorder, header.program)),
    ];
    let facts: Vec<String> = facts
        .iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .map(|(what, value)| format!("<dt>{what}</dt><dd>{}</dd>", escaped(&shortened(value, 2000))))
        .collect();
    let facts = facts.concat();
    let head = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<dl>{facts}</dl>\n\
         <form><input type=\"search\" id=\"search\" placeholder=\"Search in everything\" aria-label=\"Search in everything\"> \
         <label><input type=\"checkbox\" id=\"bad\"> only what went wrong</label> <button type=\"button\" id=\"open\">Unfold</button> \
         <button type=\"button\" id=\"shut\">Fold</button> <output id=\"count\"></output></form>\n<main>\n",
        title = escaped(&name),
    );
    out.write_all(head.as_bytes()).map_err(ExportError::Write)?;
    let mut count = 0;
    for row in each(session, rows) {
        let item = item(session, &row).map_err(ExportError::Read)?;
        out.write_all(item.as_bytes()).map_err(ExportError::Write)?;
        count += 1;
    }
    write!(out, "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n").map_err(ExportError::Write)?;
    Ok(count)
}

fn item(session: &Session, row: &Row) -> io::Result<String> {
    let detail = Detail::of(session, row)?;
    let bad = if row.status.is_bad() || row.flags.has(RowFlags::LINT) { " bad" } else { "" };
    let took = row.duration.map(duration).unwrap_or_default();
    let mut text = format!(
        "<details class=\"row{bad}\" id=\"r{0}\"><summary><span class=\"n\">{0}</span> <time>{1}</time> <b>{2}</b> <i>{3}</i> \
         <span class=\"s\">{4}</span> <span class=\"t\">{took}</span> <span class=\"z\">{5}</span></summary>\n",
        row.sequence,
        when::clock(unix_ms(session, row.at)),
        escaped(&title(session, row)?),
        escaped(&shortened(&detail.request().and_then(|r| r.text()).map(arguments_of).unwrap_or_default(), 160)),
        escaped(&status(row)),
        size(u64::from(row.received)),
    );
    if row.kind == RowKind::Operation {
        let is_error = detail.answer().is_some_and(|answer| answer.get(&["error"]).is_some());
        for (what, value) in [("arguments", detail.arguments()), (if is_error { "error" } else { "result" }, detail.outcome())] {
            if let Some(value) = value {
                text.push_str(&format!("<details open><summary>{what}</summary><pre>{}</pre></details>\n", pretty(value)));
            }
        }
    }
    for message in &detail.messages {
        let is_frame = message.kind == Type::Frame;
        let shown = message.text().map_or_else(|| String::from_utf8_lossy(&message.bytes).into_owned(), ToOwned::to_owned);
        text.push_str(&format!(
            "<details class=\"m\"{}><summary>{} {} <span class=\"z\">{}</span></summary><pre>{}</pre></details>\n",
            if is_frame { "" } else { " open" },
            message.stamp.sequence,
            message.word(),
            size(message.length),
            pretty(&shown)
        ));
    }
    text.push_str("</details>\n");
    Ok(text)
}

fn pretty(value: &str) -> String {
    let text = Tree::parse(value).map_or_else(|| value.to_owned(), |tree| tree.pretty());
    let cut = shortened(&text, LONGEST);
    cut.lines().map(escaped).collect::<Vec<_>>().join("\n")
}

/// Text for between tags and within attributes, with everything visible.
fn escaped(text: &str) -> String {
    let text = visible(text);
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
