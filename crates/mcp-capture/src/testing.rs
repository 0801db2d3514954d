//! What must hold for any bytes. Property tests and fuzz targets call the same functions.

use bytes::Bytes;

use crate::filter::{Context, Facts, Filter, Vocabulary, complete};
use crate::redact::Redactor;
use crate::session::Session;
use crate::text;

/// Opens bytes as a capture, with and without its index, and looks at everything in it.
///
/// # Panics
/// When a promise is broken.
pub fn check_file(directory: &std::path::Path, capture: &[u8], index: &[u8]) {
    let path = directory.join("any.mcpcap");
    std::fs::write(&path, capture).expect("a scratch directory can be written to");
    std::fs::write(directory.join("any.mcpidx"), index).expect("a scratch directory can be written to");
    let Ok(with) = Session::open(&path) else { return };
    look_at(&with);
    std::fs::remove_file(directory.join("any.mcpidx")).expect("it was just written");
    let without = Session::open(&path).expect("the index is not needed");
    look_at(&without);
}

fn look_at(session: &Session) {
    let context = session.context();
    for row in session.rows().iter(session.index()) {
        let line = text::line(session, &row).expect("the file can be read");
        assert!(!line.chars().any(text::is_hidden), "{line:?}");
        for at in session.rows().entries(row.number) {
            session.record(at).expect("the file can be read");
            session.payload(at).expect("the file can be read");
        }
        Filter::all().verdict(&session.facts(&row, context.now), &context);
    }
}

/// Reads any text as a filter. What is one means the same when it is printed; errors are within the text.
///
/// # Panics
/// When a promise is broken.
pub fn check_filter(text: &str) {
    for cursor in (0..=text.len()).step_by((text.len() / 8).max(1)) {
        for completion in complete(text, cursor, &Vocabulary::default()) {
            assert!(text.get(completion.replaces).is_some());
        }
    }
    match text.parse::<Filter>() {
        Err(error) => {
            assert!(error.at.start <= error.at.end && text.get(error.at.clone()).is_some(), "{error:?} in {text:?}");
        }
        Ok(filter) => {
            let printed = filter.to_string();
            let again: Filter = printed.parse().unwrap_or_else(|e| panic!("{printed:?} of {text:?}: {e}"));
            assert_eq!(again, filter, "{printed:?} of {text:?}");
            assert_eq!(again.to_string(), printed);
            let message = Facts::of_message(br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#);
            filter.matches(&message.facts(), &Context::default(), &[text.as_bytes()]);
        }
    }
}

/// Replaces secrets in any text: no value is left, JSON stays JSON, and what has none is not touched.
///
/// # Panics
/// When a promise is broken.
pub fn check_redact(values: &[String], bytes: &[u8]) {
    let redactor = Redactor::new(values);
    let input = Bytes::copy_from_slice(bytes);
    let output = redactor.replace(&input);
    let after = output.as_ref().unwrap_or(&input);
    for value in values.iter().filter(|value| value.len() >= 6 && !"[redacted:".contains(value.as_str())) {
        assert!(memchr::memmem::find(after, value.as_bytes()).is_none(), "{value:?} is in {:?}", String::from_utf8_lossy(after));
        let escaped = serde_json::to_string(value).expect("a string is JSON");
        let escaped = &escaped[1..escaped.len() - 1];
        assert!(
            memchr::memmem::find(after, escaped.as_bytes()).is_none(),
            "{escaped:?} is in {:?}",
            String::from_utf8_lossy(after)
        );
    }
    let is_json = |bytes: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    // A message is an object or a batch; a bare number is taken for text.
    if is_json(bytes) && matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[')) {
        assert!(is_json(after), "{:?} became {:?}", String::from_utf8_lossy(bytes), String::from_utf8_lossy(after));
    }
    assert!(output.as_ref().is_none_or(|output| output != &input), "what is not changed is not copied");
}
