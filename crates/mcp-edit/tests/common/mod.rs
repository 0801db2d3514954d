//! Second opinions: what other programs read from a JSON text.

use jsonc_parser::{JsonValue, ParseOptions, parse_to_value};
use mcp_edit::Value;
use mcp_edit::testing::Reader;

/// Strict readers first: a text they accept must stay one they accept, so no comment and no trailing comma may appear.
pub(crate) const READERS: &[Reader] = &[serde, without_trailing_commas, lenient];

fn serde(text: &str) -> Option<Value> {
    fn value(from: serde_json::Value) -> Value {
        match from {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(truth) => Value::Bool(truth),
            serde_json::Value::Number(number) => Value::Number(number.to_string().into()),
            serde_json::Value::String(text) => Value::String(text),
            serde_json::Value::Array(items) => Value::Array(items.into_iter().map(value).collect()),
            serde_json::Value::Object(members) => Value::Object(members.into_iter().map(|(k, v)| (k, value(v))).collect()),
        }
    }
    serde_json::from_str(text).ok().map(value)
}

fn without_trailing_commas(text: &str) -> Option<Value> {
    jsonc(text, false)
}

fn lenient(text: &str) -> Option<Value> {
    jsonc(text, true)
}

fn jsonc(text: &str, allow_trailing_commas: bool) -> Option<Value> {
    fn value(from: JsonValue<'_>) -> Value {
        match from {
            JsonValue::Null => Value::Null,
            JsonValue::Boolean(truth) => Value::Bool(truth),
            JsonValue::Number(number) => Value::Number(number.into()),
            JsonValue::String(text) => Value::String(text.into_owned()),
            JsonValue::Array(items) => Value::Array(items.into_iter().map(value).collect()),
            JsonValue::Object(members) => Value::Object(members.into_iter().map(|(k, v)| (k.to_string(), value(v))).collect()),
        }
    }
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_extended_string_escapes: false,
        allow_non_finite_numbers: false,
    };
    parse_to_value(text.trim_start_matches('\u{feff}'), &options).ok().flatten().map(value)
}
