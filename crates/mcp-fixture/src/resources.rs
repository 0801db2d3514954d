//! Resources.

use rmcp::{
    ErrorData,
    model::{ReadResourceResult, Resource, ResourceTemplate},
};
use serde_json::{Value, json};

use crate::answers::PNG;

/// The one that `touch` changes.
pub(crate) const WATCHED: &str = "test://watched-resource";

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a literal of this crate")
}

pub(crate) fn list() -> Vec<Resource> {
    from(json!([
        {"uri": "test://static-text", "name": "static-text", "description": "A line of text", "mimeType": "text/plain"},
        {"uri": "test://static-binary", "name": "static-binary", "description": "A red dot", "mimeType": "image/png"},
        {"uri": WATCHED, "name": "watched-resource", "description": "Changes when `touch` is called", "mimeType": "text/plain"}
    ]))
}

pub(crate) fn templates() -> Vec<ResourceTemplate> {
    from(json!([{
        "uriTemplate": "test://template/{id}/data",
        "name": "template-data",
        "description": "Data about any id",
        "mimeType": "application/json"
    }]))
}

pub(crate) fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let contents = match uri {
        "test://static-text" => {
            json!({"uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource."})
        }
        "test://static-binary" => json!({"uri": uri, "mimeType": "image/png", "blob": PNG}),
        WATCHED => json!({"uri": uri, "mimeType": "text/plain", "text": "Watch me."}),
        _ => {
            let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
            let Some(id) = id.filter(|id| !id.is_empty() && !id.contains('/')) else {
                return Err(ErrorData::resource_not_found("there is no such resource", Some(json!({"uri": uri}))));
            };
            let data = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
            json!({"uri": uri, "mimeType": "application/json", "text": data.to_string()})
        }
    };
    Ok(from(json!({"resultType": "complete", "contents": [contents]})))
}
