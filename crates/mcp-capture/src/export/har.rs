//! HTTP Archive 1.2. What went over standard input and output is written as if it had been posted, so that the same viewers show
//! it; its addresses end in `.invalid`, which no name server knows.

use std::io::Write;

use serde_json::{Value, json};

use super::{ExportError, is_from_client, operations};
use crate::detail::{Detail, unix_ms, visible_json};
use crate::event::{Event, Http, HttpPhase, Record};
use crate::file::Type;
use crate::session::Session;
use crate::text;
use crate::when;

pub(super) fn write(session: &Session, rows: &[u32], out: &mut dyn Write) -> Result<u64, ExportError> {
    let creator = json!({ "name": "mcp", "version": env!("CARGO_PKG_VERSION") });
    let comment = format!("MCP session with {}", text::visible(&session.header().server));
    let mut count = 0;
    write!(
        out,
        "{{\"log\":{{\"version\":\"1.2\",\"creator\":{creator},\"comment\":{},\"pages\":[],\"entries\":[",
        json!(comment)
    )
    .map_err(ExportError::Write)?;
    for row in operations(session, rows).filter(is_from_client) {
        let entry = entry(session, &Detail::of(session, &row).map_err(ExportError::Read)?).map_err(ExportError::Read)?;
        let comma = if count > 0 { ",\n" } else { "\n" };
        write!(out, "{comma}{}", visible_json(&entry.to_string())).map_err(ExportError::Write)?;
        count += 1;
    }
    out.write_all(b"\n]}}\n").map_err(ExportError::Write)?;
    Ok(count)
}

fn entry(session: &Session, detail: &Detail) -> std::io::Result<Value> {
    let (mut asked, mut answered) = (None, None);
    for message in detail.messages.iter().filter(|message| message.kind == Type::Http) {
        if let Some((_, Record::Event(Event::Http(http)))) = session.record(message.entry)? {
            match http.phase {
                HttpPhase::Request => asked = Some(http),
                HttpPhase::Response => answered = Some(http),
                HttpPhase::Dropped | HttpPhase::Other => {}
            }
        }
    }
    let header = session.header();
    let is_http = header.transport != "stdio";
    let base = match header.command.first().filter(|address| is_http && address.starts_with("http")) {
        Some(address) => address.clone(),
        None => format!("http://{}.invalid/mcp", host(&header.server)),
    };
    let (method, name) = session.index().symbols.get(detail.row.operation);
    let request = detail.request().and_then(|request| request.text()).unwrap_or_default();
    let answer = detail.answer().and_then(|answer| answer.text()).unwrap_or_default();
    let wait = detail.row.duration.map_or(0.0, millis);
    let is_pending = detail.answer().is_none();
    let status = answered.as_ref().map_or(if is_pending { 0 } else { 200 }, |http| http.status);
    let protocol = if is_http { "HTTP/1.1" } else { "stdio" };
    let content_type = json!([{ "name": "content-type", "value": "application/json" }]);
    Ok(json!({
        "startedDateTime": when::rfc3339(unix_ms(session, detail.row.at)),
        "time": wait,
        "request": {
            "method": asked.as_ref().map_or("POST", |http| http.method.as_str()),
            "url": base,
            "httpVersion": protocol,
            "cookies": [],
            "headers": asked.as_ref().map_or_else(|| content_type.clone(), headers),
            "queryString": [],
            "postData": { "mimeType": "application/json", "params": [], "text": request },
            "headersSize": -1,
            "bodySize": request.len(),
        },
        "response": {
            "status": status,
            "statusText": text::status(&detail.row),
            "httpVersion": protocol,
            "cookies": [],
            "headers": answered.as_ref().map_or_else(|| if is_pending { json!([]) } else { content_type }, headers),
            "content": { "size": answer.len(), "mimeType": "application/json", "text": answer },
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": answer.len(),
        },
        "cache": {},
        "timings": { "blocked": -1, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": wait, "receive": 0 },
        "comment": format!("#{} {method} {name}", detail.row.sequence).trim_end(),
        "_mcp": {
            "number": detail.row.sequence,
            "method": method,
            "name": name,
            "status": detail.row.status.word(),
            "messages": detail.children().filter(|message| message.kind == Type::Frame).filter_map(|message| message.text()).collect::<Vec<_>>(),
        },
    }))
}

#[expect(clippy::cast_precision_loss, reason = "HAR has milliseconds with fractions")]
fn millis(nanos: u64) -> f64 {
    (nanos / 1_000) as f64 / 1_000.0
}

fn headers(http: &Http) -> Value {
    http.headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

/// A server's name as a part of the name of a host.
fn host(server: &str) -> String {
    let name: String =
        server.chars().take(40).map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "server".to_owned() } else { name.to_owned() }
}
