//! `mcp call` commands: one for each call of a tool.

use std::io::Write;

use super::{ExportError, is_from_client, operations, shell};
use crate::detail::{Detail, visible_json};
use crate::session::Session;
use crate::text::visible;
use crate::tree::Tree;

pub(super) fn write(session: &Session, rows: &[u32], out: &mut dyn Write) -> Result<u64, ExportError> {
    let server = visible(&session.header().server).into_owned();
    let mut count = 0;
    for row in operations(session, rows).filter(is_from_client) {
        let (method, name) = session.index().symbols.get(row.operation);
        if method != "tools/call" {
            continue;
        }
        let detail = Detail::of(session, &row).map_err(ExportError::Read)?;
        let arguments = detail.request().and_then(|request| request.get(&["params", "arguments"])).and_then(Tree::parse);
        let arguments = arguments.unwrap_or(Tree::Object(Vec::new())).compact();
        writeln!(out, "mcp call {} {} {}", shell(&server), shell(&visible(name)), shell(&visible_json(&arguments)))
            .map_err(ExportError::Write)?;
        count += 1;
    }
    Ok(count)
}
