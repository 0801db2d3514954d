//! Just enough JSON to find a member of an object without reading what comes after it.

use std::ops::Range;

/// Where the value of a member of the outermost object is. Keys are compared as they are spelled.
pub fn member(text: &[u8], key: &str) -> Option<Range<usize>> {
    let mut at = skip_space(text, 0);
    if text.get(at) != Some(&b'{') {
        return None;
    }
    at += 1;
    loop {
        at = skip_space(text, at);
        match text.get(at)? {
            b',' => at += 1,
            b'"' => {
                let end = skip_string(text, at)?;
                let is_wanted = &text[at + 1..end - 1] == key.as_bytes();
                at = skip_space(text, end);
                if text.get(at) != Some(&b':') {
                    return None;
                }
                let begin = skip_space(text, at + 1);
                at = skip_value(text, begin)?;
                if is_wanted {
                    return Some(begin..at);
                }
            }
            _ => return None,
        }
    }
}

/// The value of a member below nested objects.
pub fn path<'a>(text: &'a [u8], keys: &[&str]) -> Option<&'a [u8]> {
    let mut value = text;
    for key in keys {
        value = &value[member(value, key)?];
    }
    Some(value)
}

/// A number, if a value is a whole one.
pub fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

fn skip_space(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Behind the string that begins here.
fn skip_string(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Behind the value that begins here.
fn skip_value(text: &[u8], mut at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => skip_string(text, at),
        b'{' | b'[' => {
            let mut depth = 0_usize;
            loop {
                match text.get(at)? {
                    b'"' => {
                        at = skip_string(text, at)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => (),
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        _ => {
            let end = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
            Some(at + text[at..].iter().position(end)?)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn member_is_found_only_in_the_outermost_object() {
        let text = br#" {"a": {"id": 1, "b": ["}", "\"id\":"]}, "c":[{"id":2}], "s": "x\\\"", "id" : 3 , "n": null}"#;
        assert_eq!(&text[member(text, "id").unwrap()], b"3");
        assert_eq!(path(text, &["a", "id"]).unwrap(), b"1");
        assert_eq!(path(text, &["s"]).unwrap(), br#""x\\\"""#);
        assert_eq!(path(text, &["n"]).unwrap(), b"null");
        assert_eq!(member(text, "b"), None);
    }

    #[test]
    fn torn_text_has_no_members() {
        let text = br#"{"a":[1,"x"],"id":"7"}"#;
        for end in 0..text.len() - 1 {
            assert_eq!(member(&text[..end], "id"), None, "{end}");
        }
        assert_eq!(number(b"42"), Some(42));
        assert_eq!(number(b"\"42\""), None);
        assert_eq!(number(b""), None);
    }
}
