//! What is a secret and what is not.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use bytes::Bytes;
use mcp_capture::Redactor;

fn replaced(redactor: &Redactor, text: &str) -> Option<String> {
    redactor.replace(&Bytes::copy_from_slice(text.as_bytes())).map(|b| String::from_utf8(b.to_vec()).unwrap())
}

#[test]
fn names_shapes_and_values_are_replaced_and_json_stays_json() {
    let redactor = Redactor::with_names(["hunter2-value", "quo\"te\\d"], ["X-Internal-Pin"]);
    for (text, secret) in [
        (r#"{"params":{"arguments":{"API-Key":"abc"}}}"#, "abc"),
        (r#"{"\u0061pi_key":"abc"}"#, "abc"),
        (r#"{"headers":{"Authorization":"Bearer abc"}}"#, "Bearer abc"),
        (r#"{"internalPin":"x","xInternalPin":"1234"}"#, "1234"),
        (r#"{"t":"see ghp_abcdefghijklmnopqrstuvwxyz0123456789 there"}"#, "ghp_abc"),
        (r#"{"t":"sk-ant-api03-abcdefghijklmnop"}"#, "sk-ant"),
        (r#"{"t":"xoxb-1234567890-abcdef"}"#, "xoxb"),
        (r#"{"t":"AKIAIOSFODNN7EXAMPLE"}"#, "AKIA"),
        (r#"{"t":"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_DEF-123"}"#, "eyJ"),
        (r#"{"t":"a\npm_line\npm_0123456789"}"#, "\0"),
        (r#"{"t":"-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\n"}"#, "MIIE"),
        (r#"{"t":"postgres://user:pass1234@host/db"}"#, "pass1234"),
        (r#"{"t":"curl -H 'x-api-key: abcd1234'"}"#, "abcd1234"),
        (r#"{"t":"{\"password\": \"abcd1234\"}"}"#, "abcd1234"),
        (r#"{"t":"xhunter2-valuex"}"#, "hunter2"),
        (r#"{"t":"quo\"te\\d"}"#, "quo"),
        (r#"{"t":"\u0068unter2-value"}"#, "unter2"),
        ("token=abcd1234 and more\n", "abcd1234"),
        ("[INFO] Authorization: Bearer abcdefgh\n", "abcdefgh"),
    ] {
        let Some(after) = replaced(&redactor, text) else {
            assert_eq!(secret, "\0", "{text}");
            continue;
        };
        assert!(!after.contains(secret) && after.contains("[redacted:"), "{text} became {after}");
        if text.starts_with('{') {
            serde_json::from_str::<serde_json::Value>(&after).unwrap();
        }
    }
}

#[test]
fn what_only_looks_like_a_secret_is_not_touched() {
    let redactor = Redactor::new(["short"]);
    for text in [
        r#"{"params":{"_meta":{"progressToken":"abc"},"cursor":"x"},"result":{"nextCursor":"abc","maxTokens":500}}"#,
        r#"{"usage":{"inputTokens":5,"token_type":"bearer"},"tokens":["a"],"key":"name","author":"me"}"#,
        r#"{"token":null,"password":"","secret":7,"api_key":{"a":1}}"#,
        r#"{"t":"the token is short, the basic idea; a sk-1 key; task-runner: risk-averse behaviour of the key"}"#,
        r#"{"uri":"https://example.com:8080/a?b=c@d"}"#,
        "plain text: nothing here\n",
    ] {
        assert_eq!(replaced(&redactor, text), None);
    }
}

#[test]
fn equal_secrets_are_recognised_within_a_session_and_not_across() {
    let (one, two) = (Redactor::default(), Redactor::default());
    let digits = |redactor: &Redactor| replaced(redactor, r#"{"token":"abc","a":{"secret":"abc"},"password":"other"}"#).unwrap();
    let value: serde_json::Value = serde_json::from_str(&digits(&one)).unwrap();
    assert_eq!(value["token"], value["a"]["secret"]);
    assert_eq!(digits(&one), digits(&one));
    // Four digits are the same by chance once in 65,536 times, all three values once in 2^48.
    assert_ne!(digits(&one), digits(&two));
}

#[test]
fn numbers_and_keys_that_are_secret_leave_json_behind() {
    let redactor = Redactor::new(["123456"]);
    let after = replaced(&redactor, r#"{"pin":9123456,"123456":{"x":[123456]}}"#).unwrap();
    assert!(!after.contains("123456"));
    serde_json::from_str::<serde_json::Value>(&after).unwrap();
}
