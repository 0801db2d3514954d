//! JSON with its numbers as they are spelt, compared by their values: what a recorded answer is compared with another by.
//!
//! `serde_json` reads `123456789012345678901234567890` as a double, and two numbers that differ in their last digits would be
//! equal. Here a number keeps its digits, and `1`, `1.0` and `10e-1` are the same.

use mcp_wire::object;

/// Deeper values are not looked into: nobody means them, and each level takes stack.
const DEEPEST: usize = 128;

/// A JSON value.
#[derive(Clone, Debug)]
pub enum Tree {
    /// `null`
    Null,
    /// `true` and `false`
    Bool(bool),
    /// As it is spelt.
    Number(String),
    /// Decoded.
    Text(String),
    /// `[…]`
    Array(Vec<Tree>),
    /// `{…}` in the order it is written; a key that stands twice has its last value.
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads JSON. `None`: it is none, or is nested too deeply.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
        read(text.trim(), 0)
    }

    /// The member of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(known, _)| known == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The members of an object; none of anything else.
    pub fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }

    /// The text of a string.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Takes members away, here and nowhere deeper.
    #[must_use]
    pub fn without(mut self, keys: &[&str]) -> Self {
        if let Self::Object(members) = &mut self {
            members.retain(|(key, _)| !keys.contains(&key.as_str()));
        }
        self
    }

    /// JSON in which equal values are spelt equally: keys sorted, numbers in one form, no blanks.
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, true);
        out
    }

    /// JSON in one line, as it was ordered and spelt.
    pub fn compact(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, false);
        out
    }

    fn write(&self, out: &mut String, is_canonical: bool) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(spelt) if is_canonical => out.push_str(&number(spelt)),
            Self::Number(spelt) => out.push_str(spelt),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    item.write(out, is_canonical);
                }
                out.push(']');
            }
            Self::Object(members) => {
                let mut order: Vec<&(String, Self)> = members.iter().collect();
                if is_canonical {
                    order.sort_by(|a, b| a.0.cmp(&b.0));
                }
                out.push('{');
                for (at, (key, value)) in order.into_iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    out.push_str(&quoted(key));
                    out.push(':');
                    value.write(out, is_canonical);
                }
                out.push('}');
            }
        }
    }

    /// JSON for people, two blanks a level.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        self.write_pretty(&mut out, 0);
        out
    }

    fn write_pretty(&self, out: &mut String, depth: usize) {
        let line = |out: &mut String, depth: usize| {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        };
        match self {
            Self::Array(items) if !items.is_empty() => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    line(out, depth + 1);
                    item.write_pretty(out, depth + 1);
                }
                line(out, depth);
                out.push(']');
            }
            Self::Object(members) if !members.is_empty() => {
                out.push('{');
                for (at, (key, value)) in members.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    line(out, depth + 1);
                    out.push_str(&quoted(key));
                    out.push_str(": ");
                    value.write_pretty(out, depth + 1);
                }
                line(out, depth);
                out.push('}');
            }
            other => other.write(out, false),
        }
    }
}

/// Numbers are equal by value, objects whatever the order of their keys.
impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b || number(a) == number(b),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(key, value)| other.get(key).is_some_and(|found| found == value))
            }
            _ => false,
        }
    }
}

fn read(text: &str, depth: usize) -> Option<Tree> {
    if depth > DEEPEST {
        return None;
    }
    Some(match text.as_bytes().first()? {
        b'n' => Tree::Null,
        b't' => Tree::Bool(true),
        b'f' => Tree::Bool(false),
        b'"' => Tree::Text(serde_json::from_str(text).ok()?),
        b'[' => Tree::Array(object::elements(text).map(|span| read(&text[span], depth + 1)).collect::<Option<_>>()?),
        b'{' => {
            let mut members: Vec<(String, Tree)> = Vec::new();
            let mut places = std::collections::HashMap::new();
            for member in object::members(text) {
                let value = read(&text[member.value_span], depth + 1)?;
                if let Some(at) = places.get(&*member.key) {
                    let place: &mut (String, Tree) = &mut members[*at];
                    place.1 = value;
                } else {
                    places.insert(member.key.to_string(), members.len());
                    members.push((member.key.into_owned(), value));
                }
            }
            Tree::Object(members)
        }
        _ => Tree::Number(text.to_owned()),
    })
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// One spelling for each value: `-12e3` for -12000.0.
fn number(spelt: &str) -> String {
    let (sign, rest) = spelt.strip_prefix('-').map_or(("", spelt), |rest| ("-", rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return "0".to_owned();
    }
    let short = digits.trim_end_matches('0');
    let shift = i64::try_from(digits.len() - short.len()).unwrap_or(0) - i64::try_from(fraction.len()).unwrap_or(0);
    // An exponent that no integer holds belongs to no number anybody compares; its spelling does then.
    match exponent.parse::<i64>().ok().and_then(|exponent| exponent.checked_add(shift)) {
        Some(0) => format!("{sign}{short}"),
        Some(exponent) => format!("{sign}{short}e{exponent}"),
        None => spelt.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Tree {
        Tree::parse(text).unwrap_or_else(|| panic!("{text} is JSON"))
    }

    #[test]
    fn numbers_are_equal_by_value_and_only_so() {
        for (a, b) in [("1", "1.0"), ("10e-1", "1"), ("0", "-0.0"), ("1200", "1.2E3"), ("0.5", "5e-1")] {
            assert_eq!(tree(a), tree(b), "{a} {b}");
            assert_eq!(tree(a).canonical(), tree(b).canonical());
        }
        for (a, b) in [("123456789012345678901234567890", "123456789012345678901234567891"), ("1", "-1"), ("1", "\"1\"")] {
            assert_ne!(tree(a), tree(b), "{a} {b}");
        }
    }

    #[test]
    fn order_and_blanks_do_not_count() {
        let (a, b) = (tree(r#" {"b": [1, {"c":null}], "a":"x\u0041"} "#), tree(r#"{"a":"xA","b":[1.0,{"c":null}]}"#));
        assert_eq!(a, b);
        assert_eq!(a.canonical(), r#"{"a":"xA","b":[1,{"c":null}]}"#);
        assert_eq!(a.compact(), r#"{"b":[1,{"c":null}],"a":"xA"}"#);
        assert_ne!(a, tree(r#"{"a":"xA","b":[{"c":null},1]}"#));
        assert_eq!(tree(r#"{"a":1,"a":2}"#).compact(), r#"{"a":2}"#);
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_none() {
        for text in ["", "{", "[1,]", "nul", "01"] {
            assert!(Tree::parse(text).is_none(), "{text}");
        }
        assert!(Tree::parse(&"[".repeat(5000)).is_none());
        assert_eq!(tree("{\"a\":[1,{}]}").pretty(), "{\n  \"a\": [\n    1,\n    {}\n  ]\n}");
    }
}
