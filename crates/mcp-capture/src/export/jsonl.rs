//! Every record as a JSON object in a line of its own, behind one line about the session.

use std::io::Write;

use serde::Serialize;

use super::ExportError;
use crate::detail::{Message, MessageView, visible_json};
use crate::event::Header;
use crate::file::Type;
use crate::scan::Class;
use crate::session::Session;
use crate::when;

#[derive(Serialize)]
struct First<'a> {
    schema: &'static str,
    name: String,
    started: String,
    #[serde(flatten)]
    header: &'a Header,
}

#[derive(Serialize)]
struct Line {
    schema: &'static str,
    /// The number of the operation it belongs to.
    operation: Option<u64>,
    #[serde(flatten)]
    message: MessageView,
}

pub(super) fn write(session: &Session, rows: &[u32], out: &mut dyn Write) -> Result<u64, ExportError> {
    let is_all = rows.len() == session.rows().len();
    let mut wanted = vec![is_all; session.rows().len()];
    for row in rows {
        wanted[*row as usize] = true;
    }
    let header = session.header();
    let name = session.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
    line(out, &First { schema: "mcp.trace.session/1", name, started: when::rfc3339(header.started_ms), header })?;
    let mut count = 0;
    for (at, entry) in session.index().iter_from(0) {
        if entry.is_element || matches!(entry.kind, Type::Header | Type::Footer) {
            continue;
        }
        // A batch belongs to the operations of its messages.
        let row = match entry.class {
            Class::Batch => {
                let elements = session.index().iter_from(at + 1).take_while(|(_, entry)| entry.is_element);
                elements.filter_map(|(at, _)| session.rows().of_entry(at)).find(|row| wanted[*row as usize])
            }
            _ => session.rows().of_entry(at),
        };
        if !row.map_or(is_all, |row| wanted[row as usize]) {
            continue;
        }
        let Some(message) = Message::read(session, at).map_err(ExportError::Read)? else { continue };
        let operation = row.and_then(|row| session.rows().get(session.index(), row)).map(|row| row.sequence);
        line(out, &Line { schema: "mcp.trace.record/1", operation, message: message.view(session) })?;
        count += 1;
    }
    Ok(count)
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> Result<(), ExportError> {
    let text = serde_json::to_string(value).map_err(|e| ExportError::Write(e.into()))?;
    writeln!(out, "{}", visible_json(&text)).map_err(ExportError::Write)
}
