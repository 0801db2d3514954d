//! What the session's own lists say of its tools.

use std::collections::BTreeMap;

use mcp_capture::{RowKind, Session, Status};
use mcp_wire::object;

/// Definitions by name, as the newest list has them.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    seen: u32,
    all: BTreeMap<String, String>,
}

impl Definitions {
    /// Reads the lists that have been answered since.
    pub(super) fn learn(&mut self, session: &Session) {
        let total = u32::try_from(session.rows().len()).unwrap_or(u32::MAX);
        for number in self.seen..total {
            let Some(row) = session.rows().get(session.index(), number) else { break };
            if row.kind != RowKind::Operation || session.index().symbols.get(row.operation).0 != "tools/list" {
                continue;
            }
            if row.status == Status::Pending {
                // Looked at again when it is answered.
                self.seen = number;
                return;
            }
            let Some(answer) = row.end.and_then(|end| session.payload(end).ok().flatten()) else { continue };
            let Ok(text) = std::str::from_utf8(&answer) else { continue };
            let Some(tools) = object::get_path(text, &["result", "tools"]) else { continue };
            for span in object::elements(tools) {
                let tool = &tools[span];
                if let Some(name) = object::get_string(tool, "name") {
                    self.all.insert(name, tool.to_owned());
                }
            }
        }
        self.seen = total;
    }

    pub(super) fn get(&self, tool: &str) -> Option<&str> {
        self.all.get(tool).map(String::as_str)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.all.keys().cloned().collect()
    }
}
