//! The filter language on rows, and what it says about mistakes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod common;

use common::record;
use mcp_capture::filter::{Vocabulary, complete};
use mcp_capture::{Filter, Session};

fn found(session: &Session, text: &str) -> Vec<u32> {
    let filter: Filter = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    let all = session.filtered(&filter).unwrap();
    let one_by_one: Vec<u32> =
        common::rows(session).iter().filter(|row| session.matches(&filter, row).unwrap()).map(|row| row.number).collect();
    assert_eq!(all, one_by_one, "{text}");
    all
}

#[test]
fn every_word_finds_what_it_says() {
    let made = record(
        r#"
        > {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search_issues","arguments":{"repo":"acme","limit":50}}}
        < {"jsonrpc":"2.0","id":1,"result":{"content":[{"text":"Panic in the parser"}]}}
        > {"jsonrpc":"2.0","id":"1","method":"tools/call","params":{"name":"get_file","arguments":{"repo":"other","limit":5}}}
        < {"jsonrpc":"2.0","id":"1","error":{"code":-32602,"message":"no such file"}}
        > {"jsonrpc":"2.0","id":12345678,"method":"tools/list"}
        < {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}
        ! rate limited
        < Loading
        "#,
    );
    let session = &made.session;
    for (text, wanted) in [
        ("", &[0, 1, 2, 3, 4, 5][..]),
        ("tool:search*", &[0]),
        ("tool:SEARCH_issues|get_file", &[0, 1]),
        ("method:tools/*", &[0, 1, 2]),
        ("not method:*", &[4, 5]),
        ("id:1", &[0, 1]),
        ("id:\"\\\"1\\\"\"", &[1]),
        ("id:12345678", &[2]),
        ("is:error", &[1]),
        ("is:ok|pending", &[0, 2]),
        ("is:stderr", &[4]),
        ("is:stray", &[5]),
        ("is:notification", &[3]),
        ("is:call and not is:error", &[0, 2]),
        ("from:server is:notification", &[3]),
        ("from:claude", &[0, 1, 2]),
        ("client:claude tool:*", &[0, 1]),
        ("server:files", &[0, 1, 2, 3, 4, 5]),
        ("server:other", &[]),
        ("dir:out", &[3, 4, 5]),
        ("size>100", &[0, 1]),
        ("dur<1h is:ok", &[0]),
        ("since:1h", &[0, 1, 2, 3, 4, 5]),
        ("panic", &[0]),
        ("PANIC", &[]),
        ("Panic", &[0]),
        ("\"no such file\" or rate", &[1, 4]),
        ("text~\"[Pp]anic|Load\"", &[0, 5]),
        ("json $.params.arguments.repo = \"acme\"", &[0]),
        ("json $.params.arguments.repo = other", &[1]),
        ("json $.params.arguments.limit > 10", &[0]),
        ("json $.params.arguments.repo != \"acme\"", &[1]),
        ("json $.error", &[1]),
        ("json $.result.content[?@.text].text ~ \"^Panic\"", &[0]),
        ("(tool:get* or panic) and not is:error", &[0]),
        ("not panic tool:*", &[1]),
    ] {
        assert_eq!(found(session, text), wanted, "{text}");
    }
}

#[test]
fn a_filter_prints_in_one_spelling() {
    for (text, printed) in [
        (
            "tool:search*   (dur>500ms or is:error) and not client:cursor",
            "tool:search* and (dur>500ms or is:error) and not client:cursor",
        ),
        ("a and (b and c)", "a and b and c"),
        ("not (a b)", "not (a and b)"),
        ("dur>1500ms size>=1000 tok<2M", "dur>1500ms and size>=1k and tok<2M"),
        ("since:9:05", "since:09:05:00"),
        ("\"and\" text:\"a:b\"", "text:\"and\" and text:\"a:b\""),
        ("https://a/b?c=d", "text:\"https://a/b?c=d\""),
        ("json $.a=1", "json $.a = 1"),
    ] {
        assert_eq!(text.parse::<Filter>().unwrap().to_string(), printed, "{text}");
    }
}

#[test]
fn mistakes_are_told_with_their_place_and_what_may_have_been_meant() {
    for (text, message) in [
        ("tol:x", "there is no `tol:` at column 1; did you mean `tool:`?"),
        ("a is:eror", "`is:` knows no `eror` at column 6; did you mean `error`?"),
        ("dur:5s", "`dur` goes with `>`, `>=`, `<` or `<=`, not with `:` at column 1"),
        ("dur>5x", "expected a time such as `500ms`, `2s` or `1m`, not `5x` at column 5"),
        ("tool:", "expected a value after it at column 1"),
        ("tool: x", "expected a value after it at column 1"),
        ("(a", "a bracket is opened and not closed at column 1"),
        ("a)", "a bracket is closed that was not opened at column 2"),
        ("a and", "expected a condition at column 6; such as `tool:NAME`, `is:error` or a word"),
        ("or a", "`or` needs a condition on its left at column 1; search for the word with \"or\""),
        ("\"a", "a quote is opened and not closed at column 1"),
        ("json $.a > x", "expected a number, not `x` at column 12"),
    ] {
        assert_eq!(text.parse::<Filter>().unwrap_err().to_string(), message, "{text}");
    }
    assert!("text~\"(\"".parse::<Filter>().unwrap_err().to_string().starts_with("this is no regular expression at column 6; "));
    assert!(format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000)).parse::<Filter>().is_err());
}

#[test]
fn words_and_values_are_completed() {
    let vocabulary =
        Vocabulary { tools: vec!["get_file".into(), "search_issues".into(), "two words".into()], ..Vocabulary::default() };
    let texts = |text: &str| {
        complete(text, text.len(), &vocabulary)
            .into_iter()
            .map(|c| format!("{}{}", &text[..c.replaces.start], c.text))
            .collect::<Vec<_>>()
    };
    assert_eq!(texts("to"), ["tool:", "tok>"]);
    assert_eq!(texts("is:error tool:s"), ["is:error tool:search_issues", "is:error tool:\"two words\""]);
    assert_eq!(texts("is:error|pe"), ["is:error|pending"]);
    assert!(texts("is:error a").contains(&"is:error and ".to_owned()));
    assert!(texts("text:\"to").is_empty());
}
