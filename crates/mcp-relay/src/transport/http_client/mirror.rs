//! Headers that repeat parts of a modern message (basic/transports/streamable-http): values as they may stand in a header,
//! and which arguments of a tool have to be repeated.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp_wire::{Frame, object};

use crate::route::Mirrored;

/// The member of a property's schema that asks for a header.
const ANNOTATION: &str = "x-mcp-header";
/// Schemas nested deeper than this are not followed.
const DEEPEST: usize = 64;

/// A tool whose annotations break the rules; a client that speaks HTTP must do without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnnotation {
    /// On something that is no argument, or nested too deep.
    #[error("`x-mcp-header` stands where it cannot be followed")]
    Place,
    /// No header can be made of it.
    #[error("`x-mcp-header` has a value that is no header name")]
    Name,
    /// Only texts, integers and truth values may be repeated.
    #[error("`x-mcp-header` stands at an argument that is neither a string, an integer nor a boolean")]
    Type,
    /// Two arguments want the same header.
    #[error("`x-mcp-header` has the same name twice")]
    Twice,
}

/// The arguments that have to be repeated, from the text of a tool's `inputSchema`.
pub fn annotations(schema: &str) -> Result<Vec<Mirrored>, BadAnnotation> {
    let mut found = Vec::new();
    walk(schema, &mut Vec::new(), true, 0, &mut found)?;
    for (at, one) in found.iter().enumerate() {
        if found[..at].iter().any(|other: &Mirrored| other.header.eq_ignore_ascii_case(&one.header)) {
            return Err(BadAnnotation::Twice);
        }
    }
    Ok(found)
}

fn walk(
    schema: &str,
    path: &mut Vec<String>,
    is_argument: bool,
    depth: usize,
    found: &mut Vec<Mirrored>,
) -> Result<(), BadAnnotation> {
    if !schema.contains(ANNOTATION) && !schema.contains('\\') {
        return Ok(());
    }
    if depth > DEEPEST {
        return Err(BadAnnotation::Place);
    }
    for member in object::members(schema) {
        let value = &schema[member.value_span];
        match &*member.key {
            ANNOTATION if !is_argument || path.is_empty() => return Err(BadAnnotation::Place),
            ANNOTATION => found.push(annotation(schema, value, path)?),
            "properties" => {
                for property in object::members(value) {
                    path.push(property.key.into_owned());
                    walk(&value[property.value_span], path, is_argument, depth + 1, found)?;
                    path.pop();
                }
            }
            "$defs" | "definitions" | "patternProperties" | "dependentSchemas" => {
                for inner in object::members(value) {
                    walk(&value[inner.value_span], path, false, depth + 1, found)?;
                }
            }
            "items"
            | "prefixItems"
            | "anyOf"
            | "allOf"
            | "oneOf"
            | "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "additionalProperties"
            | "unevaluatedProperties"
            | "unevaluatedItems"
            | "propertyNames" => {
                for inner in object::elements(value) {
                    walk(&value[inner], path, false, depth + 1, found)?;
                }
                walk(value, path, false, depth + 1, found)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn annotation(schema: &str, value: &str, path: &[String]) -> Result<Mirrored, BadAnnotation> {
    let name: String = serde_json::from_str(value).map_err(|_| BadAnnotation::Name)?;
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(BadAnnotation::Name);
    }
    let kind = object::get_string(schema, "type");
    if !matches!(kind.as_deref(), Some("string" | "integer" | "boolean")) {
        return Err(BadAnnotation::Type);
    }
    let header = format!("Mcp-Param-{name}");
    Ok(Mirrored { header, path: path.to_vec(), is_integer: kind.as_deref() == Some("integer") })
}

/// The headers of a call with these `arguments` (their text): name and value.
pub fn headers(mirrored: &[Mirrored], arguments: &str) -> Vec<(String, String)> {
    let value = |one: &Mirrored| {
        let keys: Vec<&str> = one.path.iter().map(String::as_str).collect();
        let raw = object::get_path(arguments, &keys)?;
        let text = match raw.as_bytes().first()? {
            b'"' => sentinel(&serde_json::from_str::<String>(raw).ok()?).into_owned(),
            b't' | b'f' => raw.to_owned(),
            b'-' | b'0'..=b'9' => decimal(raw),
            // Null is as good as absent, and the rest fits no annotation: the server says what it thinks of it.
            _ => return None,
        };
        Some((one.header.clone(), text))
    };
    mirrored.iter().filter_map(value).collect()
}

/// A number as an integer is written in a header. What is none stays as spelt.
fn decimal(raw: &str) -> String {
    if raw.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return raw.to_owned();
    }
    #[expect(clippy::cast_possible_truncation, reason = "within ±2^53 a float without a fraction is an integer exactly")]
    match raw.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 => (number as i64).to_string(),
        _ => raw.to_owned(),
    }
}

/// A text as it may stand in a header: as it is, or Base64 between marks where it would not survive or could be taken for
/// such a value itself.
pub fn sentinel(text: &str) -> Cow<'_, str> {
    let is_visible = text.bytes().all(|b| (0x20..=0x7e).contains(&b));
    let has_blank_ends = text.starts_with(' ') || text.ends_with(' ');
    let is_marked = text.starts_with("=?base64?") && text.ends_with("?=");
    let is_plain = is_visible && !has_blank_ends && !is_marked;
    if is_plain { Cow::Borrowed(text) } else { Cow::Owned(format!("=?base64?{}?=", STANDARD.encode(text))) }
}

/// What went by of the tools of a server.
#[derive(Debug, Default)]
pub struct Schemas(HashMap<String, Rc<[Mirrored]>>);

impl Schemas {
    /// The arguments of a tool that have to be repeated; nothing if its schema did not go by.
    pub fn get(&self, tool: &str) -> Option<Rc<[Mirrored]>> {
        self.0.get(tool).cloned()
    }

    /// Reads the result of a `tools/list`. When a tool has to be left out, the message without it, and why.
    pub fn note(&mut self, list: &Frame) -> Option<(Frame, Vec<(String, BadAnnotation)>)> {
        let span = list.find(&["result", "tools"])?;
        let tools = &list.text()[span.clone()];
        let (mut kept, mut bad) = (Vec::new(), Vec::new());
        for tool in object::elements(tools) {
            let text = &tools[tool];
            let Some(name) = object::get_string(text, "name") else {
                kept.push(text);
                continue;
            };
            match annotations(object::get(text, "inputSchema").unwrap_or("{}")) {
                Ok(mirrored) => {
                    self.0.insert(name, mirrored.into());
                    kept.push(text);
                }
                Err(error) => {
                    self.0.remove(&name);
                    bad.push((name, error));
                }
            }
        }
        if bad.is_empty() {
            return None;
        }
        let without = list.spliced(&[(span, &format!("[{}]", kept.join(",")))]);
        let frame = Frame::parse(without.slice(..without.len() - 1)).expect("an array of some of the elements is an array");
        Some((frame, bad))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn schema(properties: &str) -> String {
        format!(r#"{{"type":"object","properties":{{{properties}}}}}"#)
    }

    #[test]
    fn annotated_arguments_become_headers() {
        let schema = schema(
            r#""region":{"type":"string","x-mcp-header":"Region"},
               "deep":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}},
               "flag":{"type":"boolean","x-mcp-header":"Flag"},
               "x-mcp-header":{"type":"string"},"plain":{"default":{"x-mcp-header":1}}"#,
        );
        let mirrored = annotations(&schema).unwrap();
        let wanted = [
            ("Mcp-Param-Region", vec!["region"], false),
            ("Mcp-Param-N", vec!["deep", "n"], true),
            ("Mcp-Param-Flag", vec!["flag"], false),
        ];
        let found: Vec<_> =
            mirrored.iter().map(|m| (&*m.header, m.path.iter().map(String::as_str).collect::<Vec<_>>(), m.is_integer)).collect();
        assert_eq!(found, wanted);
        let values = |arguments| headers(&mirrored, arguments).into_iter().map(|(_, v)| v).collect::<Vec<_>>();
        assert_eq!(values(r#"{"region":"eu","deep":{"n":1e2},"flag":true}"#), ["eu", "100", "true"]);
        assert_eq!(values(r#"{"region":null,"deep":{"n":12345678901234567890}}"#), ["12345678901234567890"]);
        assert_eq!(values(r#"{"region":"Zürich","flag":false}"#), ["=?base64?WsO8cmljaA==?=", "false"]);
    }

    #[test]
    fn annotations_that_break_the_rules_are_named() {
        let bad = |properties: &str| annotations(&schema(properties)).unwrap_err();
        assert_eq!(bad(r#""a":{"type":"number","x-mcp-header":"A"}"#), BadAnnotation::Type);
        assert_eq!(bad(r#""a":{"x-mcp-header":"A"}"#), BadAnnotation::Type);
        assert_eq!(bad(r#""a":{"type":"string","x-mcp-header":"A B"}"#), BadAnnotation::Name);
        assert_eq!(bad(r#""a":{"type":"string","x-mcp-header":""}"#), BadAnnotation::Name);
        assert_eq!(bad(r#""a":{"type":"string","x-mcp-header":7}"#), BadAnnotation::Name);
        assert_eq!(bad(r#""a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}"#), BadAnnotation::Place);
        assert_eq!(bad(r#""a":{"anyOf":[{"type":"string","x-mcp-header":"A"}]}"#), BadAnnotation::Place);
        assert_eq!(annotations(r#"{"x-mcp-header":"A","type":"string"}"#), Err(BadAnnotation::Place));
        let twice = r#""a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}"#;
        assert_eq!(bad(twice), BadAnnotation::Twice);
    }

    #[test]
    fn a_value_that_would_not_survive_a_header_is_wrapped() {
        for plain in ["eu-west", "a b", "=?base64?x", ""] {
            assert_eq!(sentinel(plain), plain);
        }
        for (text, wrapped) in [
            (" a", "=?base64?IGE=?="),
            ("a ", "=?base64?YSA=?="),
            ("a\nb", "=?base64?YQpi?="),
            ("ü", "=?base64?w7w=?="),
            ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
        ] {
            assert_eq!(sentinel(text), wrapped, "{text:?}");
        }
    }

    #[test]
    fn a_tool_with_a_bad_annotation_is_left_out_and_the_rest_stays_as_spelt() {
        let text = r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[ {"name":"good", "inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}},{"name":"bad","inputSchema":{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}},{"name":"plain","big":12345678901234567890} ],"ttlMs":0}}"#;
        let mut schemas = Schemas::default();
        let (frame, bad) = schemas.note(&Frame::parse(text.into()).unwrap()).unwrap();
        assert_eq!(bad, [("bad".to_owned(), BadAnnotation::Type)]);
        assert_eq!(
            frame.text(),
            r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"good", "inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}},{"name":"plain","big":12345678901234567890}],"ttlMs":0}}"#
        );
        assert_eq!((schemas.get("good").unwrap().len(), schemas.get("plain").unwrap().len()), (1, 0));
        assert!(schemas.get("bad").is_none() && schemas.note(&frame).is_none());
    }
}
