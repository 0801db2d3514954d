//! New values as text.

use super::scalar::{double_quoted, is_number, plain_is_safe};
use super::style::{Flow, Style};
use super::tree::MAX_DEPTH;
use crate::{Problem, ProblemKind, Value};

/// A parser need not look further than this for the colon of a key.
pub(super) const MAX_KEY: usize = 1000;

/// Refuses what YAML, or this crate, cannot write.
pub(super) fn check(value: &Value, depth: usize) -> Result<(), Problem> {
    let refuse = |sentence: String| Err(Problem { kind: ProblemKind::Unsupported(sentence), place: None });
    match value {
        _ if depth > MAX_DEPTH => refuse(format!("a value nested more than {MAX_DEPTH} levels deep")),
        Value::Number(number) if !is_number(number) => refuse(format!("YAML has no number like `{number}`")),
        Value::Array(items) => items.iter().try_for_each(|v| check(v, depth + 1)),
        Value::Object(members) => members.iter().try_for_each(|(key, v)| {
            check_key(key)?;
            check(v, depth + 1)
        }),
        _ => Ok(()),
    }
}

/// Refuses a key that is too long to be found again.
pub(super) fn check_key(key: &str) -> Result<(), Problem> {
    if double_quoted(key).len() <= MAX_KEY {
        return Ok(());
    }
    Err(Problem { kind: ProblemKind::Unsupported("a key of more than 1000 characters".into()), place: None })
}

/// A text in the quotes it needs.
pub(super) fn text(text: &str, flow: bool, json: bool) -> String {
    if !json && plain_is_safe(text, flow) { text.to_owned() } else { double_quoted(text) }
}

/// Whether a value is written by indentation, given the habits and the key it stands under.
pub(super) fn is_block(value: &Value, key: Option<&str>, style: &Style) -> bool {
    match value {
        Value::Array(items) => !items.is_empty() && !style.in_brackets(key, true),
        Value::Object(members) => !members.is_empty() && !style.in_brackets(key, false),
        _ => false,
    }
}

/// A value on one line, or as a flow collection whose closing bracket is indented by `indent` when it takes several.
pub(super) fn flow(value: &Value, indent: usize, style: &Style, in_flow: bool) -> String {
    let Flow { json, tight, padded, spread_maps, spread_lists } = style.flow;
    let (open, close, spread, parts) = match value {
        Value::Null => return "null".to_owned(),
        Value::Bool(truth) => return truth.to_string(),
        Value::Number(number) => return number.to_string(),
        Value::String(string) => return text(string, in_flow, in_flow && json),
        Value::Array(items) => {
            let parts: Vec<_> = items.iter().map(|v| flow(v, indent + style.step, style, true)).collect();
            ('[', ']', spread_lists, parts)
        }
        Value::Object(members) => {
            let parts = members.iter().map(|(k, v)| flow_member(k, v, indent + style.step, style)).collect();
            ('{', '}', spread_maps, parts)
        }
    };
    if parts.is_empty() {
        return format!("{open}{close}");
    }
    if spread {
        let inner = " ".repeat(indent + style.step);
        let nl = style.newline;
        let body = parts.join(&format!(",{nl}{inner}"));
        return format!("{open}{nl}{inner}{body}{nl}{}{close}", " ".repeat(indent));
    }
    let pad = if padded && open == '{' { " " } else { "" };
    format!("{open}{pad}{}{pad}{close}", parts.join(if tight { "," } else { ", " }))
}

/// `key: value` inside a flow mapping.
pub(super) fn flow_member(key: &str, value: &Value, indent: usize, style: &Style) -> String {
    let Flow { json, tight, .. } = style.flow;
    format!("{}:{}{}", text(key, true, json), if tight { "" } else { " " }, flow(value, indent, style, true))
}

/// A member or value by indentation: the first line without, the others with the spaces before them, as lines of the whole
/// text whose first starts at `column`.
pub(super) struct Lines {
    /// The lines.
    pub lines: Vec<String>,
}

impl Lines {
    /// `key: value` at `column`.
    pub(super) fn member(key: &str, value: &Value, column: usize, style: &Style) -> Self {
        let mut lines = Self { lines: vec![String::new()] };
        lines.put_member(key, value, column, style);
        lines
    }

    /// `- value` with the dash at `column`.
    pub(super) fn item(value: &Value, column: usize, style: &Style) -> Self {
        let mut lines = Self { lines: vec![String::new()] };
        lines.put_item(value, column, style);
        lines
    }

    /// The members of a mapping or the items of a list at `column`.
    pub(super) fn body(value: &Value, column: usize, style: &Style) -> Self {
        let mut lines = Self { lines: vec![String::new()] };
        lines.put_body(value, column, style);
        lines
    }

    /// The text, the first line as it is.
    pub(super) fn join(&self, style: &Style) -> String {
        self.lines.join(style.newline)
    }

    fn push(&mut self, text: &str) {
        self.lines.last_mut().expect("there is always a line").push_str(text);
    }

    fn put_body(&mut self, value: &Value, column: usize, style: &Style) {
        match value {
            Value::Object(members) => {
                for (i, (key, value)) in members.iter().enumerate() {
                    self.break_before(i, column);
                    self.put_member(key, value, column, style);
                }
            }
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.break_before(i, column);
                    self.put_item(item, column, style);
                }
            }
            scalar => self.push(&flow(scalar, column, style, false)),
        }
    }

    fn break_before(&mut self, index: usize, column: usize) {
        if index > 0 {
            self.lines.push(" ".repeat(column));
        }
    }

    fn put_member(&mut self, key: &str, value: &Value, column: usize, style: &Style) {
        self.push(&text(key, false, false));
        self.push(":");
        if is_block(value, Some(key), style) {
            let inner = column + if matches!(value, Value::Array(_)) { style.dash } else { style.step };
            self.lines.push(" ".repeat(inner));
            self.put_body(value, inner, style);
        } else {
            self.push(" ");
            self.push(&flow(value, column, style, false));
        }
    }

    fn put_item(&mut self, value: &Value, column: usize, style: &Style) {
        self.push("-");
        self.push(&" ".repeat(style.gap - 1));
        if is_block(value, None, style) {
            self.put_body(value, column + style.gap, style);
        } else {
            self.push(&flow(value, column, style, false));
        }
    }
}
