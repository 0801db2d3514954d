//! What a plain word means, and when a text may be written as one.

use crate::Value;
use crate::value::push_quoted;

/// The value of a plain scalar by the YAML 1.2 core schema.
pub(super) fn resolve(word: &str) -> Value {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if is_number(word) => Value::Number(word.into()),
        _ => Value::String(word.to_owned()),
    }
}

/// Whether the core schema reads a word as an integer or a float.
pub(super) fn is_number(word: &str) -> bool {
    if let Some(digits) = word.strip_prefix("0x") {
        return !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    }
    if let Some(digits) = word.strip_prefix("0o") {
        return !digits.is_empty() && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
    }
    if matches!(word, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let body = word.strip_prefix(['-', '+']).unwrap_or(word);
    if matches!(body, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(body);
    let mut rest = &body[whole..];
    let mut part = 0;
    if let Some(after) = rest.strip_prefix('.') {
        part = digits(after);
        rest = &after[part..];
    }
    if whole + part == 0 {
        return false;
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

/// Whether `text` can stand without quotes and is the same string to readers of YAML 1.1 and 1.2.
pub(super) fn plain_is_safe(text: &str, flow: bool) -> bool {
    let Some(first) = text.chars().next() else { return false };
    if first == ' ' || text.ends_with([' ', ':']) || !text.chars().all(is_printable) {
        return false;
    }
    let second = text.chars().nth(1);
    match first {
        '-' if second.is_none_or(|c| c == ' ' || (flow && matches!(c, ',' | '[' | ']' | '{' | '}'))) => return false,
        '?' | ':' | ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
            return false;
        }
        _ => {}
    }
    if text.starts_with("---") || text.starts_with("...") || text.contains(": ") || text.contains(" #") {
        return false;
    }
    // Readers disagree about colons inside a flow plain scalar.
    if flow && text.contains([',', '[', ']', '{', '}', ':', '?']) {
        return false;
    }
    !is_ambiguous(text)
}

fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}')
}

/// Whether some YAML reader takes the word for something other than a string: wider than any schema, since quotes that
/// are not needed do no harm.
fn is_ambiguous(word: &str) -> bool {
    const WORDS: [&str; 14] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "=", "<<", "inf", "nan"];
    if WORDS.iter().any(|w| word.eq_ignore_ascii_case(w)) {
        return true;
    }
    let body = word.strip_prefix(['-', '+']).unwrap_or(word);
    if [".inf", ".nan"].iter().any(|w| body.eq_ignore_ascii_case(w)) {
        return true;
    }
    body.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && body.bytes().all(|b| b.is_ascii_hexdigit() || b"_xXoO.:+-tTzZ ".contains(&b))
}

/// The text in double quotes, with the escapes JSON has too. Whatever is not printable is below U+10000.
pub(super) fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_quoted(text, &mut out, |c| !is_printable(c));
    out
}

/// The text in single quotes; `None` when it holds what they cannot express.
pub(super) fn single_quoted(text: &str) -> Option<String> {
    text.chars().all(is_printable).then(|| format!("'{}'", text.replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_the_core_schema_says() {
        for number in ["0", "-1", "+12", "1e3", "1.", ".5", "-1.5E-7", "0x1F", "0o17", ".inf", "-.INF", ".nan", "0123"] {
            assert_eq!(resolve(number), Value::Number(number.into()));
        }
        for string in
            ["yes", "on", "1_000", "0b1", "1e", ".", "-", "+", "0x", "12:30", "2001-01-01", "-.nan", "e3", "nuLL", "1 2"]
        {
            assert_eq!(resolve(string), Value::from(string));
        }
        assert_eq!(resolve("~"), Value::Null);
        assert_eq!(resolve("TRUE"), Value::Bool(true));
    }

    #[test]
    fn quotes_are_used_where_a_reader_could_err() {
        let needed = [
            "",
            " a",
            "a ",
            "a: b",
            "a:",
            "a #b",
            "#a",
            "- a",
            "-",
            "? a",
            "?a",
            "!a",
            "&a",
            "*a",
            "|",
            ">",
            "@a",
            "`a",
            "%a",
            "'a",
            "\"a",
            "{a",
            "[a",
            "yes",
            "No",
            "ON",
            "off",
            "y",
            "N",
            "null",
            "~",
            "True",
            "1",
            "1e3",
            "0x1",
            "0o7",
            "0b1",
            "1_000",
            "12:30",
            "2001-12-14",
            "2001-12-14t21:59:43.10-05:00",
            ".5",
            ".inf",
            "-.INF",
            ".NaN",
            "=",
            "<<",
            "a\nb",
            "a\tb",
            "\u{7f}",
            "\u{feff}",
            "\u{2028}",
            "---",
            "--- a",
            "...",
            "+1",
            "-1",
            "1.2.3",
            "nan",
        ];
        for text in needed {
            assert!(!plain_is_safe(text, false), "{text:?}");
        }
        for text in [
            "npx",
            "-y",
            "--port",
            "@a/b".trim_start_matches('@'),
            "a b",
            "/usr/bin/x",
            "a:b",
            "http://h/p",
            "a#b",
            "été",
            "./x",
            "C:\\x",
        ] {
            assert!(plain_is_safe(text, false), "{text:?}");
        }
        for text in ["a,b", "[", "http://h", "a}"] {
            assert!(!plain_is_safe(text, true), "{text:?}");
        }
    }
}
