//! `--isolate`: what of a client's first message sets its server apart.

use bytes::Bytes;
use mcp_wire::Frame;
use mcp_wire::object;
use mcp_wire::version::Era;

/// Whether the first message is needed to choose.
pub(super) fn needs_message(isolate: &str) -> bool {
    isolate != "client"
}

/// What sets the server apart: one per client, one per set of capabilities, one per client that has roots, one per era.
pub(super) fn key(isolate: &str, session: u64, pid: u32, first: &[u8]) -> String {
    let own = || format!("client {pid}-{session}");
    if isolate == "client" {
        return own();
    }
    let line = first.split(|b| *b == b'\n').next().unwrap_or_default();
    let Ok(frame) = Frame::parse(Bytes::copy_from_slice(line)) else { return format!("{isolate}: unknown") };
    let is_legacy = frame.method() == "initialize";
    let path: &[&str] =
        if is_legacy { &["params", "capabilities"] } else { &["params", "_meta", "io.modelcontextprotocol/clientCapabilities"] };
    let capabilities = frame.get(path).unwrap_or("{}");
    match isolate {
        "era" => format!("era {}", if is_legacy { Era::Legacy } else { Era::Modern }),
        "roots" if object::find(capabilities, "roots").is_some() => own(),
        "roots" => "no roots".to_owned(),
        _ => format!("capabilities {}", canonical(capabilities)),
    }
}

/// The same text for the same object, whatever the order of its keys and the blanks between them.
fn canonical(text: &str) -> String {
    fn sorted(value: serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(map) => {
                let mut members: Vec<_> = map.into_iter().map(|(k, v)| (k, sorted(v))).collect();
                members.sort_by(|a, b| a.0.cmp(&b.0));
                serde_json::Value::Object(members.into_iter().collect())
            }
            serde_json::Value::Array(items) => items.into_iter().map(sorted).collect(),
            other => other,
        }
    }
    serde_json::from_str(text).map_or_else(|_| text.to_owned(), |value| sorted(value).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGACY: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{"roots":{},"elicitation":{"url":{},"form":{}}}}}
{"more":1}"#;
    const SAME: &[u8] = br#"{"id":7,"params":{"capabilities":{ "elicitation":{"form":{},"url":{}}, "roots":{} }},"method":"initialize","jsonrpc":"2.0"}"#;
    const MODERN: &[u8] =
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/clientCapabilities":{}}}}"#;

    #[test]
    fn keys_follow_what_the_client_said() {
        let key = |isolate, first| key(isolate, 3, 9, first);
        assert_eq!(key("client", b""), "client 9-3");
        assert_eq!(key("era", LEGACY), "era legacy");
        assert_eq!(key("era", MODERN), "era modern");
        assert_eq!(key("roots", LEGACY), "client 9-3");
        assert_eq!(key("roots", MODERN), "no roots");
        assert_eq!(key("capabilities", LEGACY), key("capabilities", SAME));
        assert_ne!(key("capabilities", LEGACY), key("capabilities", MODERN));
        assert_eq!(key("capabilities", b"no json\n"), "capabilities: unknown");
    }
}
