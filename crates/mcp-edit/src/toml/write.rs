//! Values as TOML text.

use toml_parser::decoder::ScalarKind;
use toml_parser::{ParseError, Raw, Span};

use crate::value::push_quoted;
use crate::{Problem, ProblemKind, Value};

/// Readers of TOML give up on deeper nesting (`toml_edit` at 80).
const MAX_DEPTH: usize = 64;

/// Refuses what TOML cannot say. `depth` is how deep the value will stand.
pub(super) fn check(value: &Value, depth: usize) -> Result<(), Problem> {
    let refuse = |sentence: String| Err(Problem { kind: ProblemKind::Unsupported(sentence), place: None });
    if depth > MAX_DEPTH {
        return refuse(format!("a value nested more than {MAX_DEPTH} levels deep is too deep for readers of TOML"));
    }
    match value {
        Value::Null => refuse("TOML has no null".to_owned()),
        Value::Number(number) if !is_number(number) => refuse(format!("TOML cannot hold the number {number}")),
        Value::Array(items) => items.iter().try_for_each(|item| check(item, depth + 1)),
        Value::Object(members) => members.iter().enumerate().try_for_each(|(i, (key, value))| {
            if members[..i].iter().any(|(earlier, _)| earlier == key) {
                return Err(Problem { kind: ProblemKind::DuplicateKey(key.clone()), place: None });
            }
            check(value, depth + 1)
        }),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Whether TOML reads this as a number, and one that fits.
fn is_number(text: &str) -> bool {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b)) {
        return false;
    }
    let mut error: Option<ParseError> = None;
    let mut digits = std::borrow::Cow::Borrowed("");
    let kind = Raw::new_unchecked(text, None, Span::new_unchecked(0, text.len())).decode_scalar(&mut digits, &mut error);
    match kind {
        ScalarKind::Integer(radix) => error.is_none() && i64::from_str_radix(&digits, radix.value()).is_ok(),
        ScalarKind::Float => {
            let infinite = digits.parse::<f64>().is_ok_and(f64::is_infinite);
            error.is_none() && (!infinite || text.ends_with("inf"))
        }
        _ => false,
    }
}

/// A key, bare if it may be.
pub(super) fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { name.to_owned() } else { string(name) }
}

/// A dotted key.
pub(super) fn keys<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    names.into_iter().map(|n| key(n.as_ref())).collect::<Vec<_>>().join(".")
}

/// A value on one line.
pub(super) fn inline(value: &Value, equals: &str) -> String {
    match value {
        Value::Null => unreachable!("refused before anything is planned"),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => string(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|v| inline(v, equals)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members: Vec<_> = members.iter().map(|(k, v)| format!("{}{equals}{}", key(k), inline(v, equals))).collect();
            format!("{{ {} }}", members.join(", "))
        }
    }
}

/// A literal string where that saves escapes, else a basic one.
fn string(text: &str) -> String {
    if text.contains(['\\', '"']) && !text.contains(|c: char| c == '\'' || c.is_control()) {
        return format!("'{text}'");
    }
    let mut out = String::with_capacity(text.len() + 2);
    push_quoted(text, &mut out, char::is_control);
    out
}
