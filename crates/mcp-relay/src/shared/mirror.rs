//! Which arguments of which tools a modern HTTP client repeats in headers (basic/transports/streamable-http, `x-mcp-header`).

use std::rc::Rc;

use foldhash::HashMap;
use mcp_wire::object;
use serde_json::Value;

use crate::route::Mirrored;

/// So many tools are remembered.
const MOST: usize = 4096;

/// Reads the tools of a `tools/list` result.
pub(super) fn learn(result: &str, known: &mut HashMap<String, Rc<[Mirrored]>>) {
    let Some(tools) = object::get(result, "tools") else { return };
    for span in object::elements(tools) {
        let tool = &tools[span];
        let Some(name) = object::get_string(tool, "name") else { continue };
        if !tool.contains("x-mcp-header") {
            known.remove(&name);
            continue;
        }
        let Some(schema) = object::get(tool, "inputSchema").and_then(|s| serde_json::from_str::<Value>(s).ok()) else { continue };
        let mut found = Vec::new();
        walk(&schema, &mut Vec::new(), &mut found);
        if known.len() < MOST {
            known.insert(name, found.into());
        }
    }
}

/// Only what is reached through `properties` alone can be mirrored.
fn walk(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Mirrored>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        path.push(name.clone());
        let kind = property.get("type").and_then(Value::as_str);
        if let (Some(header), Some(kind @ ("string" | "integer" | "boolean"))) =
            (property.get("x-mcp-header").and_then(Value::as_str), kind)
        {
            let header = format!("Mcp-Param-{header}");
            found.push(Mirrored { header, path: path.clone(), is_integer: kind == "integer" });
        }
        walk(property, path, found);
        path.pop();
    }
}
