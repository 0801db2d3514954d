//! New values as text.

use crate::json::scan::is_number;
use crate::json::style::Habits;
use crate::json::walk::DEEPEST;
use crate::value::push_json_string;
use crate::{Problem, ProblemKind, Value};

/// How a new value is laid out.
pub(super) struct Layout<'h> {
    pub(super) habits: &'h Habits,
    /// Everything on one line.
    pub(super) flat: bool,
    /// How many containers around the entry are new too. Those always have a line for each member.
    pub(super) made: usize,
}

impl Layout<'_> {
    /// `value` as it stands on a line that starts with `indent`.
    pub(super) fn value(&self, value: &Value, indent: &str) -> String {
        let mut out = String::new();
        self.write(&mut out, value, indent, 0, self.flat);
        out
    }

    /// A member, or an element when there is no key.
    pub(super) fn member(&self, key: Option<&str>, value: &Value, indent: &str) -> String {
        let mut out = String::new();
        if let Some(key) = key {
            push_json_string(key, &mut out);
            out.push_str(self.habits.colon());
        }
        self.write(&mut out, value, indent, 0, self.flat);
        out
    }

    fn spreads(&self, value: &Value, depth: usize) -> bool {
        match value {
            _ if depth < self.made => true,
            Value::Object(_) if depth == self.made => self.habits.entries.unwrap_or(true),
            Value::Object(_) => self.habits.inner.unwrap_or(true),
            Value::Array(items) => {
                self.habits.lists.unwrap_or(false) || items.iter().any(|v| matches!(v, Value::Array(_) | Value::Object(_)))
            }
            _ => false,
        }
    }

    fn write(&self, out: &mut String, value: &Value, indent: &str, depth: usize, flat: bool) {
        let (open, close, padding, children): (_, _, _, Vec<(Option<&str>, &Value)>) = match value {
            Value::Null => return out.push_str("null"),
            Value::Bool(truth) => return out.push_str(if *truth { "true" } else { "false" }),
            Value::Number(number) => return out.push_str(number),
            Value::String(text) => return push_json_string(text, out),
            Value::Array(items) => ('[', ']', &self.habits.brackets, items.iter().map(|v| (None, v)).collect()),
            Value::Object(members) => {
                ('{', '}', &self.habits.braces, members.iter().map(|(k, v)| (Some(k.as_str()), v)).collect())
            }
        };
        out.push(open);
        if !children.is_empty() {
            let flat = flat || !self.spreads(value, depth);
            let deeper = format!("{indent}{}", self.habits.unit());
            let line = |indent: &str| format!("{}{indent}", self.habits.newline());
            let (before, between, after) = if flat {
                let padding = padding.clone().unwrap_or_default();
                (padding.clone(), self.habits.comma().to_owned(), padding)
            } else {
                (line(&deeper), format!(",{}", line(&deeper)), line(indent))
            };
            for (i, (key, value)) in children.into_iter().enumerate() {
                out.push_str(if i == 0 { &before } else { &between });
                if let Some(key) = key {
                    push_json_string(key, out);
                    out.push_str(self.habits.colon());
                }
                self.write(out, value, &deeper, depth + 1, flat);
            }
            out.push_str(&after);
        }
        out.push(close);
    }
}

/// Refuses what would not be JSON, or would not be one clear meaning, once written.
pub(super) fn check(value: &Value) -> Result<(), Problem> {
    let refuse = |kind| Err(Problem { kind, place: None });
    let mut todo = vec![(value, DEEPEST)];
    while let Some((value, levels)) = todo.pop() {
        match value {
            Value::Number(number) if !is_number(number) => {
                return refuse(ProblemKind::Unsupported(format!("`{number}` cannot be written as a JSON number")));
            }
            Value::Array(_) | Value::Object(_) if levels == 0 => {
                return refuse(ProblemKind::Unsupported(format!("the new value is nested more than {DEEPEST} levels deep")));
            }
            Value::Array(items) => todo.extend(items.iter().map(|v| (v, levels - 1))),
            Value::Object(members) => {
                let mut seen = std::collections::HashSet::new();
                for (key, value) in members {
                    if !seen.insert(key) {
                        return refuse(ProblemKind::DuplicateKey(key.clone()));
                    }
                    todo.push((value, levels - 1));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
