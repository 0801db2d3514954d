//! The answer to an opening that was not recorded: recording began later, or in another process of the server.

use std::collections::BTreeSet;

use mcp_wire::Frame;
use mcp_wire::methods::meta;
use serde_json::{Map, Value, json};

use super::recording::Recording;

/// A result for `initialize` or `server/discover`, if the recording is of that era: with the revision that was spoken and the
/// capabilities that were used.
pub(super) fn made_up(recording: &Recording, request: &Frame) -> Option<String> {
    let spoken: BTreeSet<String> = recording
        .exchanges
        .iter()
        .filter_map(|exchange| exchange.request.get_string(&["params", "_meta", meta::PROTOCOL_VERSION]))
        .collect();
    let server = json!({ "name": recording.server, "version": "recorded" });
    let result = match (request.method(), spoken.is_empty()) {
        ("server/discover", false) => json!({
            "resultType": "complete",
            "supportedVersions": spoken,
            "capabilities": capabilities(recording),
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": { meta::SERVER_INFO: server },
        }),
        ("initialize", true) => json!({
            "protocolVersion": request.get_string(&["params", "protocolVersion"])?,
            "capabilities": capabilities(recording),
            "serverInfo": server,
        }),
        _ => return None,
    };
    Some(result.to_string())
}

fn capabilities(recording: &Recording) -> Value {
    let mut all = Map::new();
    for exchange in &recording.exchanges {
        let (area, verb) = exchange.method.split_once('/').unwrap_or((&exchange.method, ""));
        match (area, verb) {
            ("tools" | "prompts", _) => drop(all.entry(area).or_insert_with(|| json!({ "listChanged": true }))),
            ("resources", _) => drop(all.entry(area).or_insert_with(|| json!({ "subscribe": true, "listChanged": true }))),
            ("logging" | "completion", _) => {
                let name = if area == "logging" { "logging" } else { "completions" };
                all.entry(name).or_insert_with(|| json!({}));
            }
            _ => {}
        }
    }
    Value::Object(all)
}
