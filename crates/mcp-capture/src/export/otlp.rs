//! Spans as OTLP/JSON (one `ExportTraceServiceRequest`), named as OpenTelemetry's conventions for MCP have it. A request that
//! brought a `traceparent` goes on with that trace.

use std::fmt::Write as _;
use std::io::Write;

use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::{ExportError, is_from_client, operations};
use crate::detail::{Detail, Message, visible_json};
use crate::exchange::Status;
use crate::file::Type;
use crate::session::Session;

const CLIENT: u8 = 3;
const SERVER: u8 = 2;

pub(super) fn write(session: &Session, rows: &[u32], out: &mut dyn Write) -> Result<u64, ExportError> {
    let header = session.header();
    let resource = json!({ "attributes": [
        text("service.name", &header.server),
        text("mcp.session.recording", &header.session),
        text("process.command", &header.command.join(" ")),
    ] });
    let scope = json!({ "name": "mcp", "version": env!("CARGO_PKG_VERSION") });
    let resource = resource.to_string();
    write!(
        out,
        "{{\"resourceSpans\":[{{\"resource\":{},\"scopeSpans\":[{{\"scope\":{scope},\"spans\":[",
        visible_json(&resource)
    )
    .map_err(ExportError::Write)?;
    let trace = format!("{:032x}", xxh3_128(header.session.as_bytes()));
    let mut count = 0;
    for row in operations(session, rows) {
        let span = span(session, &Detail::of(session, &row).map_err(ExportError::Read)?, &trace);
        let comma = if count > 0 { ",\n" } else { "\n" };
        write!(out, "{comma}{}", visible_json(&span.to_string())).map_err(ExportError::Write)?;
        count += 1;
    }
    out.write_all(b"\n]}]}]}\n").map_err(ExportError::Write)?;
    Ok(count)
}

fn span(session: &Session, detail: &Detail, trace: &str) -> Value {
    let row = &detail.row;
    let (method, name) = session.index().symbols.get(row.operation);
    let start = session.header().started_ms.saturating_mul(1_000_000).saturating_add(row.at);
    let parent = detail.request().and_then(traceparent);
    let (trace, parent) = parent.map_or_else(|| (trace.to_owned(), String::new()), |(trace, span)| (trace, span));
    let mut title = method.to_owned();
    if matches!(method, "tools/call" | "prompts/get") {
        let _ = write!(title, " {name}");
    }
    let mut attributes = vec![
        text("mcp.method.name", method),
        text("network.transport", if session.header().transport == "stdio" { "pipe" } else { "tcp" }),
        number("mcp.trace.number", row.sequence),
        number("mcp.request.size", u64::from(row.sent)),
        number("mcp.response.size", u64::from(row.received)),
    ];
    attributes.extend(
        detail.request().and_then(|request| request.get(&["id"])).map(|id| text("jsonrpc.request.id", id.trim_matches('"'))),
    );
    if !name.is_empty() {
        attributes.push(text(
            match method {
                "tools/call" => "gen_ai.tool.name",
                "prompts/get" => "gen_ai.prompt.name",
                "initialize" => "mcp.protocol.version",
                _ => "mcp.resource.uri",
            },
            name,
        ));
    }
    let code = detail.answer().and_then(|answer| answer.get(&["error", "code"]));
    attributes.extend(code.map(|code| text("rpc.response.status_code", code)));
    let failure = match row.status {
        Status::Error => Some(code.unwrap_or("error").to_owned()),
        Status::Failed => Some("tool_error".to_owned()),
        Status::TimedOut | Status::Cancelled | Status::Closed => Some(row.status.word().replace(' ', "_")),
        _ => None,
    };
    attributes.extend(failure.as_deref().map(|failure| text("error.type", failure)));
    let message = detail.answer().and_then(|answer| answer.get(&["error", "message"])).map(unquoted);
    let status = match (&failure, row.status.is_open()) {
        (Some(failure), _) => json!({ "code": 2, "message": message.unwrap_or_else(|| failure.clone()) }),
        (None, true) => json!({}),
        (None, false) => json!({ "code": 1 }),
    };
    let events: Vec<Value> = detail
        .children()
        .filter(|message| message.kind == Type::Frame)
        .map(|message| {
            let at = session.header().started_ms.saturating_mul(1_000_000).saturating_add(message.stamp.at);
            let what = message.get(&["method"]).map_or_else(|| message.word().to_owned(), unquoted);
            json!({ "timeUnixNano": at.to_string(), "name": what, "attributes": [number("mcp.trace.number", message.stamp.sequence)] })
        })
        .collect();
    json!({
        "traceId": trace,
        "spanId": format!("{:016x}", xxhash_rust::xxh3::xxh3_64(format!("{} {}", session.header().session, row.sequence).as_bytes())),
        "parentSpanId": parent,
        "name": title,
        "kind": if is_from_client(row) { CLIENT } else { SERVER },
        "startTimeUnixNano": start.to_string(),
        "endTimeUnixNano": (start + row.duration.unwrap_or(0)).to_string(),
        "attributes": attributes,
        "events": events,
        "status": status,
    })
}

fn unquoted(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
}

/// The trace and span of `00-…-…-01`.
fn traceparent(request: &Message) -> Option<(String, String)> {
    let value = unquoted(request.get(&["params", "_meta", "traceparent"])?);
    let mut parts = value.split('-').skip(1);
    let (trace, span) = (parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit()) && text.bytes().any(|b| b != b'0')
    };
    (is_hex(trace, 32) && is_hex(span, 16)).then(|| (trace.to_ascii_lowercase(), span.to_ascii_lowercase()))
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: u64) -> Value {
    // 64-bit integers are strings in the JSON of protocol buffers.
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}
