//! Walking the members of an object and the elements of an array in text that is known to be JSON.
//!
//! The text was checked when its [`Frame`](crate::Frame) was parsed; on other text these functions find nothing sensible
//! and still end and never panic. A key that appears twice counts with its last value, as most parsers have it.

use std::borrow::Cow;
use std::ops::Range;

/// One member of an object; positions are in the object's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// The key, decoded.
    pub key: Cow<'a, str>,
    /// The key with its quotes.
    pub key_span: Range<usize>,
    /// The value.
    pub value_span: Range<usize>,
}

/// The members of an object, in order. Nothing if the text is no object.
pub fn members(object: &str) -> Members<'_> {
    let start = blank(object.as_bytes(), 0);
    let at = if object.as_bytes().get(start) == Some(&b'{') { start + 1 } else { object.len() };
    Members { text: object, at }
}

/// See [`members`].
#[derive(Clone, Debug)]
pub struct Members<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let bytes = self.text.as_bytes();
        let mut at = blank(bytes, self.at);
        if bytes.get(at) == Some(&b',') {
            at = blank(bytes, at + 1);
        }
        if bytes.get(at) != Some(&b'"') {
            self.at = bytes.len();
            return None;
        }
        let key_end = string_end(bytes, at);
        let colon = blank(bytes, key_end);
        let value = blank(bytes, colon + 1);
        if bytes.get(colon) != Some(&b':') || value >= bytes.len() {
            self.at = bytes.len();
            return None;
        }
        let value_end = value_end(bytes, value);
        self.at = value_end;
        let raw = self.text.get(at + 1..key_end.saturating_sub(1))?;
        let key = if raw.contains('\\') {
            Cow::Owned(serde_json::from_str(self.text.get(at..key_end)?).ok()?)
        } else {
            Cow::Borrowed(raw)
        };
        Some(Member { key, key_span: at..key_end, value_span: value..value_end })
    }
}

/// The elements of an array, in order. Nothing if the text is no array.
pub fn elements(array: &str) -> Elements<'_> {
    let bytes = array.as_bytes();
    let start = blank(bytes, 0);
    Elements { bytes, at: if bytes.get(start) == Some(&b'[') { start + 1 } else { bytes.len() } }
}

/// See [`elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Elements<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let mut at = blank(self.bytes, self.at);
        if self.bytes.get(at) == Some(&b',') {
            at = blank(self.bytes, at + 1);
        }
        if at >= self.bytes.len() || self.bytes[at] == b']' {
            self.at = self.bytes.len();
            return None;
        }
        let end = value_end(self.bytes, at);
        self.at = end;
        Some(at..end)
    }
}

/// Where the value of a key lies in the object's text.
pub fn find(object: &str, key: &str) -> Option<Range<usize>> {
    members(object).filter(|m| m.key == key).last().map(|m| m.value_span)
}

/// The text of the value of a key.
pub fn get<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    find(object, key).map(|span| &object[span])
}

/// The string a key has as its value, decoded.
pub fn get_string(object: &str, key: &str) -> Option<String> {
    serde_json::from_str(get(object, key)?).ok()
}

/// Where the value lies that is reached by several keys; the whole text for none.
pub fn find_path(object: &str, keys: &[&str]) -> Option<Range<usize>> {
    let mut span = 0..object.len();
    for key in keys {
        let inner = find(&object[span.clone()], key)?;
        span = span.start + inner.start..span.start + inner.end;
    }
    Some(span)
}

/// The text of the value that is reached by several keys.
pub fn get_path<'a>(object: &'a str, keys: &[&str]) -> Option<&'a str> {
    find_path(object, keys).map(|span| &object[span])
}

/// The ranges to cut so that the members with these keys are gone and the rest is an object still, spelt as before.
pub fn removals(object: &str, is_unwanted: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
    let all: Vec<(Member<'_>, bool)> = members(object).map(|m| (is_unwanted(&m.key), m)).map(|(u, m)| (m, u)).collect();
    let mut cuts = Vec::new();
    let mut last_kept: Option<usize> = None;
    let mut at = 0;
    while at < all.len() {
        if !all[at].1 {
            last_kept = Some(all[at].0.value_span.end);
            at += 1;
            continue;
        }
        let from = at;
        while at < all.len() && all[at].1 {
            at += 1;
        }
        cuts.push(match (all.get(at), last_kept) {
            // What follows keeps its place after whatever stood before.
            (Some((next, _)), _) => all[from].0.key_span.start..next.key_span.start,
            (None, Some(end)) => end..all[at - 1].0.value_span.end,
            (None, None) => all[from].0.key_span.start..all[at - 1].0.value_span.end,
        });
    }
    cuts
}

/// Where a further member goes, and whether a comma has to stand before it.
pub fn insertion(object: &str) -> Option<(usize, bool)> {
    let end = object.trim_end_matches([' ', '\t', '\r', '\n']);
    let brace = end.len().checked_sub(1).filter(|at| end.as_bytes()[*at] == b'}')?;
    Some((brace, members(object).next().is_some()))
}

fn blank(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Behind the closing quote of the string that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(step) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += step;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

/// Behind the value that begins at `start`.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn without(object: &str, keys: &[&str]) -> String {
        let mut text = object.to_owned();
        for cut in removals(object, |k| keys.contains(&k)).into_iter().rev() {
            text.replace_range(cut, "");
        }
        text
    }

    #[test]
    fn members_and_elements_have_their_places() {
        let text = r#" { "a" : 1.50 ,"b\u0041":"x\"}" , "c":[1, {"d":[]}] , "e":null }"#;
        let found: Vec<(String, &str)> = members(text).map(|m| (m.key.to_string(), &text[m.value_span])).collect();
        let wanted = [("a", "1.50"), ("bA", r#""x\"}""#), ("c", r#"[1, {"d":[]}]"#), ("e", "null")];
        assert_eq!(found, wanted.map(|(k, v)| (k.to_owned(), v)));
        let list = r#"[ 1,"a,]" ,{"x":[2]},[] ]"#;
        assert_eq!(elements(list).map(|s| &list[s]).collect::<Vec<_>>(), ["1", r#""a,]""#, r#"{"x":[2]}"#, "[]"]);
        assert_eq!(elements("[]").count() + members("{}").count() + members("7").count(), 0);
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        assert_eq!(get(r#"{"a":1,"a":2}"#, "a"), Some("2"));
        assert_eq!(get_path(r#"{"a":{"b":{"c":"d"}}}"#, &["a", "b", "c"]), Some("\"d\""));
        assert_eq!(get_path("{}", &["a"]), None);
    }

    #[test]
    fn removal_leaves_an_object_spelt_as_before() {
        let text = r#"{ "a":1, "b" : 2 ,"c":3 }"#;
        assert_eq!(without(text, &["a"]), r#"{ "b" : 2 ,"c":3 }"#);
        assert_eq!(without(text, &["b"]), r#"{ "a":1, "c":3 }"#);
        assert_eq!(without(text, &["c"]), r#"{ "a":1, "b" : 2 }"#);
        assert_eq!(without(text, &["b", "c"]), r#"{ "a":1 }"#);
        assert_eq!(without(text, &["a", "c"]), r#"{ "b" : 2 }"#);
        assert_eq!(without(text, &["a", "b", "c"]), "{  }");
        assert_eq!(without(text, &["x"]), text);
    }

    #[test]
    fn broken_text_ends_the_walk() {
        for text in ["{", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":\"", "[", "[\"", "[{", "{\"a\\", "", "{,", "[,"] {
            assert!(members(text).count() <= 1 && elements(text).count() <= 1, "{text}");
        }
    }
}
