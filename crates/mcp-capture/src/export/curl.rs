//! `curl` commands that ask the same again.

use std::io::Write;

use mcp_wire::methods::{meta, name_member};
use mcp_wire::object;

use super::{ExportError, is_from_client, operations, shell};
use crate::detail::{Detail, one_line};
use crate::event::{Event, HttpPhase, Record};
use crate::file::Type;
use crate::session::Session;
use crate::text::visible;

pub(super) fn write(session: &Session, rows: &[u32], out: &mut dyn Write) -> Result<u64, ExportError> {
    let header = session.header();
    let address = header.command.first().filter(|address| address.starts_with("http://") || address.starts_with("https://"));
    let Some(address) = address.filter(|_| header.transport != "stdio") else {
        return Err(ExportError::NotHttp {
            transport: if header.transport.is_empty() { "stdio".into() } else { header.transport.clone() },
        });
    };
    let mut count = 0;
    for row in operations(session, rows).filter(is_from_client) {
        let detail = Detail::of(session, &row).map_err(ExportError::Read)?;
        let Some(body) = detail.request().and_then(|request| request.json()) else { continue };
        let command = command(session, &detail, address, body).map_err(ExportError::Read)?;
        writeln!(out, "{command}").map_err(ExportError::Write)?;
        count += 1;
    }
    Ok(count)
}

fn command(session: &Session, detail: &Detail, address: &str, body: &str) -> std::io::Result<String> {
    let mut headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("accept".to_owned(), "application/json, text/event-stream".to_owned()),
    ];
    let mut recorded = Vec::new();
    for message in detail.messages.iter().filter(|message| message.kind == Type::Http) {
        if let Some((_, Record::Event(Event::Http(http)))) = session.record(message.entry)?
            && http.phase == HttpPhase::Request
        {
            recorded = http.headers;
        }
    }
    if recorded.is_empty() {
        // What a modern server wants repeated.
        let method = object::get_string(body, "method").unwrap_or_default();
        let params = object::get(body, "params").unwrap_or("{}");
        if let Some(version) = object::get_path(params, &["_meta", meta::PROTOCOL_VERSION]) {
            recorded.push(("mcp-protocol-version".to_owned(), version.trim_matches('"').to_owned()));
            recorded.push(("mcp-method".to_owned(), method.clone()));
            let name = name_member(&method).and_then(|member| object::get_string(params, member));
            recorded.extend(name.map(|name| ("mcp-name".to_owned(), name)));
        }
    }
    for (name, value) in recorded {
        let name = name.to_ascii_lowercase();
        if matches!(name.as_str(), "host" | "content-length" | "connection" | "accept-encoding" | "transfer-encoding") {
            continue;
        }
        headers.retain(|(known, _)| *known != name);
        headers.push((name, value));
    }
    let mut command = format!("curl -sS -N {}", shell(&visible(address)));
    for (name, value) in headers {
        command.push_str(&format!(" -H {}", shell(&visible(&format!("{name}: {value}")))));
    }
    command.push_str(&format!(" -d {}", shell(&crate::detail::visible_json(&one_line(body)))));
    Ok(command)
}
