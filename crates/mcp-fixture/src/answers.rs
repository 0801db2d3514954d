//! Results that are the same every time.

use rmcp::{
    ErrorData,
    model::{CallToolResult, ContentBlock},
};
use serde_json::{Value, json};

/// A red dot.
pub(crate) const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";

/// A header and no sound: 8 kHz, one channel, eight bits.
pub(crate) const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

pub(crate) fn text(said: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(said)])
}

pub(crate) fn failure(said: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(said)])
}

/// A result from the JSON it should be on the wire.
pub(crate) fn content(blocks: &Value) -> CallToolResult {
    serde_json::from_value(json!({"resultType": "complete", "content": blocks})).expect("the blocks are literals of this crate")
}

/// The results that depend on nothing.
pub(crate) fn fixed(tool: &str) -> Option<CallToolResult> {
    Some(match tool {
        "test_simple_text" => text("This is a simple text response for testing."),
        "test_image_content" => content(&json!([{"type": "image", "data": PNG, "mimeType": "image/png"}])),
        "test_audio_content" => content(&json!([{"type": "audio", "data": WAV, "mimeType": "audio/wav"}])),
        "test_embedded_resource" => content(&json!([{"type": "resource", "resource": {
            "uri": "test://embedded-resource",
            "mimeType": "text/plain",
            "text": "This is an embedded resource content."
        }}])),
        "test_multiple_content_types" => content(&json!([
            {"type": "text", "text": "Multiple content types test:"},
            {"type": "image", "data": PNG, "mimeType": "image/png"},
            {"type": "resource", "resource": {
                "uri": "test://mixed-content-resource",
                "mimeType": "application/json",
                "text": json!({"test": "data", "value": 123}).to_string()
            }}
        ])),
        "test_error_handling" => failure("This tool intentionally returns an error for testing"),
        _ => return None,
    })
}

pub(crate) fn unknown(what: &str, name: &str) -> ErrorData {
    ErrorData::invalid_params(format!("there is no {what} called `{name}`"), None)
}
