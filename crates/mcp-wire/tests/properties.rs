//! Generated messages and streams, and what the fuzzer ever found or started from.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fmt::Write as _;

use mcp_wire::testing::{check_frame, check_lines};
use proptest::prelude::*;

/// JSON text with odd spacing, escapes, big numbers and equal keys.
fn json(depth: u32) -> BoxedStrategy<String> {
    let blank = prop_oneof![Just(""), Just(" "), Just("\n\t"), Just("\r\n")];
    let text = prop_oneof![
        Just("\"id\"".to_owned()),
        Just("\"\\\"id\\\":1\"".to_owned()),
        Just("\"progressToken\"".to_owned()),
        "\"[a-z/{}:,\\[\\]äö ]{0,12}\"",
        Just("\"\\u00e4\\\\\"".to_owned()),
    ];
    let number = prop_oneof![
        Just("0".to_owned()),
        Just("-1".to_owned()),
        Just("1.0".to_owned()),
        Just("1e2".to_owned()),
        Just("123456789012345678901234567890".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
    ];
    let leaf = prop_oneof![text, number, Just("null".to_owned()), Just("true".to_owned())].boxed();
    if depth == 0 {
        return leaf;
    }
    let key = prop_oneof![
        Just("id"),
        Just("method"),
        Just("params"),
        Just("result"),
        Just("error"),
        Just("_meta"),
        Just("\\u0069d"),
        Just("progressToken"),
        Just("a"),
        Just("b"),
        Just("x-mcp-header")
    ];
    let member = (key, blank.clone(), json(depth - 1), blank.clone());
    let object = proptest::collection::vec(member, 0..5).prop_map(|members| {
        let mut text = "{".to_owned();
        for (n, (key, before, value, after)) in members.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            write!(text, "{comma}{before}\"{key}\"{after}:{before}{value}{after}").unwrap();
        }
        text + "}"
    });
    let array = proptest::collection::vec(json(depth - 1), 0..4).prop_map(|items| format!("[{}]", items.join(" ,\n")));
    prop_oneof![2 => leaf, 4 => object, 1 => array].boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn the_envelope_is_what_a_full_parse_says(text in json(4)) {
        check_frame(text.as_bytes());
    }

    #[test]
    fn damaged_text_is_no_frame(text in json(3), at in any::<prop::sample::Index>(), with in prop_oneof![
        Just(""), Just("\""), Just("\\"), Just(","), Just("}"), Just("["), Just("\u{1}"), Just("0"), Just("-"), Just("e"), Just("\\u00"),
    ]) {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{text}}}"#);
        let mut characters: Vec<char> = text.chars().collect();
        let at = at.index(characters.len());
        characters.splice(at..=at, with.chars());
        check_frame(characters.into_iter().collect::<String>().as_bytes());
    }

    #[test]
    fn a_frame_with_an_envelope_survives(id in prop_oneof![Just("7"), Just("\"a\""), Just("1.0")], params in json(3)) {
        check_frame(format!("{{\"jsonrpc\":\"2.0\",\"params\":{params}, \"method\":\"m\",\"id\" :{id}}}").as_bytes());
        check_frame(format!("{{\"result\":{params},\"id\":{id},\"jsonrpc\":\"2.0\"}}").as_bytes());
    }

    #[test]
    fn a_stream_is_cut_alike_however_it_is_torn(
        pieces in proptest::collection::vec(prop_oneof!["[a-z{}\"]{0,40}", Just("\r".to_owned()), Just("\u{feff}".to_owned())], 0..12),
        step in 1_usize..50,
        limit in 1_usize..60,
    ) {
        check_lines(pieces.join("\n").as_bytes(), step, limit);
    }
}

#[test]
fn the_committed_corpus_holds() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut read = 0;
    for entry in std::fs::read_dir(corpus.join("frame")).unwrap() {
        check_frame(&std::fs::read(entry.unwrap().path()).unwrap());
        read += 1;
    }
    assert!(read > 5, "the corpus is there");
}
