//! Generated texts and files, and what the fuzzer ever found or started from.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use mcp_capture::testing::{check_file, check_filter, check_redact};
use proptest::prelude::*;

fn piece() -> impl Strategy<Value = String> {
    let fixed: Vec<&'static str> = vec![
        "tool:",
        "method:",
        "id:7",
        "is:error",
        "is:pending|late",
        "is:x",
        "dur>500ms",
        "dur<=2s",
        "size>10k",
        "tok<1.5k",
        "since:5m",
        "since:15:30",
        "text:",
        "text~\"a.b\"",
        "text~\"(\"",
        "\"two words\"",
        "and",
        "or",
        "not",
        "(",
        ")",
        "json $.a.b = 1",
        "json $.a[?@.b == 'x'] ~ \"re\"",
        "json $.params.arguments.repo = \"acme\"",
        "json $.a != x",
        "json $..b",
        "json $.a >= 2.5",
        "json",
        "a|b",
        "*",
        "se?rch*",
        "foo",
        "äö",
        "tol:x",
        "x=y",
        "https://a/b",
        "\"",
        "\\",
        "\"a\\\"b\\\\\"",
        "dir:in",
        "from:client",
        "hop:server",
        "name:\"x y\"",
        "client:\"a|b\"",
        "server:a|b",
    ];
    prop_oneof![4 => proptest::sample::select(fixed).prop_map(str::to_owned), 1 => "[ -~]{0,6}"]
}

fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{6,9}",
        "[0-9]{6,8}",
        Just("na\"b\\c/d".to_owned()),
        Just("line\nbreak".to_owned()),
        Just("u00e9abc".to_owned()),
        Just("\":{\"a\":".to_owned()),
        Just("pässwörd".to_owned()),
        "[\\\\\"nu01]{6,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn filters_mean_what_they_print(pieces in proptest::collection::vec((piece(), prop_oneof![Just(" "), Just("")]), 0..9)) {
        let text: String = pieces.into_iter().flat_map(|(piece, blank)| [piece, blank.to_owned()]).collect();
        check_filter(&text);
    }

}

proptest! {
    // Each case compiles expressions of its own.
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn no_secret_is_left_in_json(secrets in proptest::collection::vec(secret(), 1..4), parts in proptest::collection::vec((0..8_u8, "[a-z\"\\\\\n ]{0,6}"), 1..6), pick in any::<u8>()) {
        let secret = &secrets[usize::from(pick) % secrets.len()];
        let mut object = serde_json::Map::new();
        for (n, (kind, text)) in parts.iter().enumerate() {
            let value = match kind {
                0 => serde_json::json!(secret),
                1 => serde_json::json!(format!("{text}{secret}{text}")),
                2 => serde_json::json!({ "token": text, "list": [secret, 1, null] }),
                3 => serde_json::json!(secret.parse::<u64>().ok()),
                4 => serde_json::json!(serde_json::to_string(&serde_json::json!({ "inner": secret })).unwrap()),
                5 => serde_json::json!({ secret.clone(): text }),
                _ => serde_json::json!(text),
            };
            object.insert(format!("k{n}"), value);
        }
        let mut text = serde_json::to_string(&object).unwrap();
        text.push('\n');
        check_redact(&secrets, text.as_bytes());
    }

    #[test]
    fn no_secret_is_left_in_any_text(secrets in proptest::collection::vec(secret(), 0..3), text in ".{0,80}", at in 0..80_usize) {
        let mut text = text;
        if let Some(secret) = secrets.first() {
            let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
            text.insert_str(at, secret);
        }
        check_redact(&secrets, text.as_bytes());
    }
}

/// A capture with every type of record, and its index.
fn sample() -> (Vec<u8>, Vec<u8>) {
    let at = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/version-1.mcpcap");
    (std::fs::read(&at).unwrap(), std::fs::read(at.with_extension("mcpidx")).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_are_read_as_far_as_they_go(cut in any::<prop::sample::Index>(), changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), on_index in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        let (mut capture, mut index) = sample();
        let damaged = if on_index { &mut index } else { &mut capture };
        damaged.truncate(cut.index(damaged.len()) + 1);
        for (at, byte) in changes {
            let at = at.index(damaged.len());
            damaged[at] = byte;
        }
        check_file(dir.path(), &capture, &index);
    }
}

#[test]
fn the_corpus_of_the_fuzzers_passes() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let dir = tempfile::tempdir().unwrap();
    let mut count = 0;
    for entry in std::fs::read_dir(corpus.join("filter")).unwrap() {
        check_filter(&String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()));
        count += 1;
    }
    for entry in std::fs::read_dir(corpus.join("capture")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        check_file(dir.path(), &bytes, &[]);
        check_file(dir.path(), &sample().0, &bytes);
        count += 1;
    }
    assert!(count > 4, "the corpus is there");
}
