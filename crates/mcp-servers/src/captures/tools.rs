//! How the tools present themselves.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};

const SESSION: &str =
    "A session: its name from list_sessions, the beginning of it, a server's name (its newest session), or `latest`.";
const FILTER: &str = "What has to fit. Terms are joined by blanks (and), `or`, `not`, brackets: `tool:search*`, `method:tools/list`, `is:error`, `is:pending`, `is:stderr`, `client:NAME`, `dur>500ms`, `size>10k`, `since:5m`, a word or \"some text\" in the messages, `json $.params.arguments.repo = \"acme\"`.";

pub(super) fn all() -> Vec<Tool> {
    [
        (
            "list_sessions",
            "List recorded sessions",
            "Recorded sessions, the newest first: server, client, when, how many operations and errors. `next_cursor` goes on.",
            json!({
                "server": text("Only sessions of this server."),
                "limit": number("How many, at most 100; 20 if not given.", 100),
                "cursor": text("`next_cursor` of the page before."),
            }),
            json!([]),
        ),
        (
            "search",
            "Search recorded operations",
            "Operations and other records that fit a filter, in one session or in all, the newest session first. One line each; read one with show_operation. `next_cursor` goes on.",
            json!({
                "filter": text(FILTER),
                "session": text(SESSION),
                "limit": number("How many, at most 200; 50 if not given.", 200),
                "cursor": text("`next_cursor` of the page before."),
            }),
            json!(["filter"]),
        ),
        (
            "show_operation",
            "Show a recorded operation",
            "One operation in full: arguments, result, times, and every message that belongs to it, as JSON text. Long ones come in pieces: ask again with `offset` set to `next_offset`.",
            json!({
                "session": text(SESSION),
                "number": number("The number of the operation.", u64::MAX),
                "offset": number("Where to go on in the text; 0 if not given.", u64::MAX),
                "max_chars": number("How much text, at most 50000; 20000 if not given.", 50_000),
            }),
            json!(["session", "number"]),
        ),
        (
            "stats",
            "Count what tools cost",
            "Per tool: calls, errors, times, bytes of definition and results, estimated tokens (a quarter of the bytes); and tools that were never called.",
            json!({ "session": text(SESSION), "filter": text(FILTER) }),
            json!(["session"]),
        ),
        (
            "compare",
            "Compare two recorded sessions",
            "What differs between two sessions: tools that are new, gone or changed, operations only one of them has, and answers that differ, by path.",
            json!({
                "before": text(SESSION),
                "after": text(SESSION),
                "limit": number("How many differences of each kind, at most 200; 50 if not given.", 200),
            }),
            json!(["before", "after"]),
        ),
    ]
    .into_iter()
    .map(|(name, title, description, properties, required)| {
        let schema = json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
        let annotations = ToolAnnotations::with_title(title).read_only(true).destructive(false).idempotent(true).open_world(false);
        Tool::new(name, description, Arc::new(object(schema))).with_title(title).with_annotations(annotations)
    })
    .collect()
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn number(description: &str, most: u64) -> Value {
    if most == u64::MAX {
        return json!({ "type": "integer", "minimum": 0, "description": description });
    }
    json!({ "type": "integer", "minimum": 1, "maximum": most, "description": description })
}

fn object(schema: Value) -> JsonObject {
    match schema {
        Value::Object(schema) => schema,
        _ => unreachable!("schemas are written as objects above"),
    }
}
