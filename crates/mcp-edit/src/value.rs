//! A value as all four formats have it, in the order of the file.

/// A value read from, or to be written to, a document.
///
/// Numbers are kept as the text they were written with, so a 20-digit integer survives a copy from one file to another.
/// Comparing with `==` minds the order of keys; [`Value::same`] does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null` in JSON and YAML; TOML has none.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, spelled as in the file it came from (`30000`, `1e3`, `0.50`).
    Number(Box<str>),
    /// Text, with escapes decoded. TOML dates are read as text.
    String(String),
    /// An ordered list.
    Array(Vec<Value>),
    /// Keys and values in file order.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// An object from pairs, in the order given.
    pub fn object<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Object(pairs.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    /// An array of strings.
    pub fn strings<S: Into<String>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::Array(items.into_iter().map(|s| Self::String(s.into())).collect())
    }

    /// The member `key` of an object; `None` when this is no object or has no such member.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object()?.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// The truth of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The number as a float; `None` for everything that is no number.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(n) => n.replace('_', "").parse().ok(),
            _ => None,
        }
    }

    /// The items of an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<&[(String, Value)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// What kind of value this is, as a reader would say it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// This as one line of JSON, numbers as they were spelled. (A number that JSON cannot spell, such as TOML's `0x1f` or
    /// `inf`, becomes a string.)
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.push_json(&mut out);
        out
    }

    fn push_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Self::Number(number) if crate::json::is_number(number) => out.push_str(number),
            Self::Number(number) => push_json_string(number, out),
            Self::String(text) => push_json_string(text, out),
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.push_json(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (i, (key, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    push_json_string(key, out);
                    out.push(':');
                    value.push_json(out);
                }
                out.push('}');
            }
        }
    }

    /// Whether both mean the same when the order of keys does not count. Of a key that stands several times, the first is
    /// compared with the first, and so on.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Array(a), Self::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
            (Self::Object(a), Self::Object(b)) => {
                if a.iter().map(|(key, _)| key).eq(b.iter().map(|(key, _)| key)) {
                    return a.iter().zip(b).all(|((_, a), (_, b))| a.same(b));
                }
                a.len() == b.len()
                    && a.iter().enumerate().all(|(i, (key, value))| {
                        let earlier = a[..i].iter().filter(|(k, _)| k == key).count();
                        b.iter().filter(|(k, _)| k == key).nth(earlier).is_some_and(|(_, twin)| value.same(twin))
                    })
            }
            _ => self == other,
        }
    }
}

/// Appends a JSON string, with the escapes JSON requires and no others.
pub(crate) fn push_json_string(text: &str, out: &mut String) {
    push_quoted(text, out, |c| c < ' ');
}

/// Appends a text in double quotes, with the escapes that JSON, TOML and YAML share: those that any of them requires, and
/// one for each character below U+10000 that `hidden` is true for.
pub(crate) fn push_quoted(text: &str, out: &mut String, hidden: impl Fn(char) -> bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if hidden(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_does_not_count_but_how_often_one_stands_does() {
        let object = |pairs: &[(&str, i64)]| Value::object(pairs.iter().map(|(k, n)| (*k, Value::from(*n))));
        assert!(object(&[("a", 1), ("b", 2)]).same(&object(&[("b", 2), ("a", 1)])));
        assert!(object(&[("a", 1), ("a", 2), ("b", 3)]).same(&object(&[("a", 1), ("b", 3), ("a", 2)])));
        assert!(!object(&[("a", 1), ("a", 2)]).same(&object(&[("a", 2), ("a", 1)])));
        assert!(!object(&[("a", 1), ("a", 1)]).same(&object(&[("a", 1), ("b", 1)])));
        assert!(!object(&[("a", 1), ("b", 1)]).same(&object(&[("a", 1), ("a", 1)])));
    }
}
