//! Headers that repeat what the body says, compared with the body (specification 2026-07-28,
//! basic/transports/streamable-http). Whoever reads the body has to check them: something before us may have decided by the
//! header.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;

use crate::route::Mirrored;

/// A header's value as text, decoded if it is in the Base64 form. None if it is malformed.
pub(super) fn decoded(value: &[u8]) -> Option<Cow<'_, str>> {
    let value = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    if !value.is_ascii() {
        return None;
    }
    match value.strip_prefix("=?base64?").and_then(|v| v.strip_suffix("?=")) {
        None => Some(Cow::Borrowed(value)),
        Some(encoded) => Some(Cow::Owned(String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?)),
    }
}

/// Whether a header says what a string of the body says; `json` has its quotes.
pub(super) fn is_string(header: &[u8], json: &str) -> bool {
    let Some(header) = decoded(header) else { return false };
    match json.strip_prefix('"').and_then(|j| j.strip_suffix('"')) {
        None => false,
        Some(plain) if !plain.contains('\\') => header == plain,
        Some(_) => serde_json::from_str::<String>(json).is_ok_and(|text| text == header),
    }
}

/// A number as sign, digits and power of ten, without leading and trailing zeros: equal if and only if the numbers are.
fn number(text: &str) -> Option<(bool, String, i64)> {
    let (is_negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix('+').unwrap_or(exponent).parse::<i64>().ok()?),
        None => (rest, 0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{part}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    let power = exponent.checked_sub(i64::try_from(part.len()).ok()?)?;
    let power = power.checked_add(i64::try_from(digits.len() - significant.len()).ok()?)?;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    Some((is_negative, significant.to_owned(), power))
}

fn is_integer(header: &str, json: &str) -> bool {
    let digits = header.strip_prefix('-').unwrap_or(header);
    let is_decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_decimal && number(header).is_some_and(|ours| number(json) == Some(ours))
}

/// What is wrong with the headers that repeat a tool's arguments, if anything.
pub(super) fn mismatch(headers: &HeaderMap, mirrored: &[Mirrored], arguments: Option<&str>) -> Option<String> {
    for one in mirrored {
        let path: Vec<&str> = one.path.iter().map(String::as_str).collect();
        let argument = arguments.and_then(|a| mcp_wire::object::get_path(a, &path)).filter(|a| *a != "null");
        let mut given = headers.get_all(one.header.as_str()).iter();
        let (first, second) = (given.next(), given.next());
        let name = &one.header;
        if second.is_some() {
            return Some(format!("the header {name} appears twice"));
        }
        match (first, argument) {
            (None, None) => {}
            (None, Some(argument)) if argument.starts_with(['{', '[']) => {}
            (None, Some(_)) => {
                return Some(format!("the header {name} is missing although the argument {} is there", one.path.join(".")));
            }
            (Some(_), None) => {
                return Some(format!("the header {name} is there although the argument {} is not", one.path.join(".")));
            }
            (Some(header), Some(argument)) => {
                let header = header.as_bytes();
                let is_equal = if argument.starts_with('"') {
                    is_string(header, argument)
                } else {
                    decoded(header).is_some_and(|h| h == argument || (one.is_integer && is_integer(&h, argument)))
                };
                if !is_equal {
                    return Some(format!("the header {name} is not what the argument {} is", one.path.join(".")));
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    #[test]
    fn strings_are_equal_plain_escaped_and_in_base64() {
        assert!(is_string(b"echo", r#""echo""#));
        assert!(is_string(b"  echo\t", r#""echo""#));
        assert!(is_string(b"a/b", r#""a\/b""#));
        assert!(is_string("=?base64?w6Rw?=".as_bytes(), r#""äp""#));
        assert!(is_string("=?base64?w6Rw?=".as_bytes(), r#""\u00e4p""#));
        assert!(is_string(b"=?base64?SGVsbG8", r#""=?base64?SGVsbG8""#), "no end: taken as it is");
        assert!(is_string(b"SGVsbG8=", r#""SGVsbG8=""#));
        assert!(is_string(b"=?BASE64?SGVsbG8=?=", r#""=?BASE64?SGVsbG8=?=""#), "the form is lower case");
        for (header, json) in [
            ("Echo", r#""echo""#),
            ("=?base64?SGVsbG8?=", r#""Hello""#),
            ("=?base64?SGVs!!!bG8=?=", r#""Hello""#),
            ("=?base64?/w==?=", r#""x""#),
            ("äp", r#""äp""#),
            ("1", "1"),
        ] {
            assert!(!is_string(header.as_bytes(), json), "{header} {json}");
        }
    }

    #[test]
    fn integers_are_equal_as_numbers() {
        for (header, json) in [("42", "42"), ("42", "42.0"), ("42", "4.2e1"), ("-7", "-70E-1"), ("0", "-0"), ("007", "7")] {
            assert!(is_integer(header, json), "{header} {json}");
        }
        assert!(is_integer("123456789012345678901234567890", "123456789012345678901234567890"));
        for (header, json) in
            [("42", "43"), ("4.2e1", "42"), ("", "0"), ("-", "0"), ("+1", "1"), ("1", "true"), ("10", "1"), ("1", "-1")]
        {
            assert!(!is_integer(header, json), "{header} {json}");
        }
        assert!(!is_integer("123456789012345678901234567891", "123456789012345678901234567890"));
    }

    #[test]
    fn a_header_is_there_exactly_when_the_argument_is() {
        let mirrored = [
            Mirrored { header: "Mcp-Param-Region".into(), path: vec!["region".into()], is_integer: false },
            Mirrored { header: "Mcp-Param-Size".into(), path: vec!["box".into(), "size".into()], is_integer: true },
        ];
        let check = |headers: &[(&'static str, &'static str)], arguments: Option<&str>| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            mismatch(&map, &mirrored, arguments)
        };
        let both = r#"{"region":"eu","box":{"size":3}}"#;
        assert_eq!(check(&[("mcp-param-region", "eu"), ("mcp-param-size", "3")], Some(both)), None);
        assert_eq!(check(&[], Some(r#"{"region":null,"box":{}}"#)), None);
        assert_eq!(check(&[], None), None);
        assert_eq!(check(&[("mcp-param-other", "x")], None), None, "unknown ones pass");
        assert_eq!(check(&[("mcp-param-region", "true")], Some(r#"{"region":true}"#)), None);
        for (headers, arguments) in [
            (&[("mcp-param-region", "eu")][..], Some(both)),
            (&[("mcp-param-region", "us"), ("mcp-param-size", "3")], Some(both)),
            (&[("mcp-param-region", "eu"), ("mcp-param-size", "4")], Some(both)),
            (&[("mcp-param-region", "eu"), ("mcp-param-region", "eu"), ("mcp-param-size", "3")], Some(both)),
            (&[("mcp-param-region", "null")], Some(r#"{"region":null}"#)),
            (&[("mcp-param-region", "eu")], None),
            (&[("mcp-param-region", "True")], Some(r#"{"region":true}"#)),
        ] {
            assert!(check(headers, arguments).is_some(), "{headers:?} {arguments:?}");
        }
    }
}
