//! What must hold for any bytes. Property tests and fuzz targets call the same functions.

use bytes::Bytes;
use serde_json::Value;

use crate::lines::{Line, Lines};
use crate::{Frame, Kind, object};

/// Reads bytes as a frame and holds the envelope against a full parse of the same text.
///
/// # Panics
/// When a promise is broken.
pub fn check_frame(bytes: &[u8]) {
    let parsed = Frame::parse(Bytes::copy_from_slice(bytes));
    let value: Option<Value> = serde_json::from_slice(bytes).ok();
    let Ok(frame) = parsed else { return };
    assert!(serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok(), "a frame is JSON: {}", frame.text());
    // What nests too deeply for a tree is still passed on.
    let Some(Value::Object(members)) = value else { return };
    let read = |text: Option<&str>| text.map(|t| serde_json::from_str::<Value>(t).expect("a member's text is JSON"));
    for (key, text) in [("id", frame.id()), ("params", frame.params()), ("result", frame.result()), ("error", frame.error())] {
        assert_eq!(read(text).as_ref(), members.get(key), "{key} of {}", frame.text());
    }
    assert_eq!(members.get("method").and_then(Value::as_str).unwrap_or_default(), frame.method());
    let (is_call, is_answer) = (members.contains_key("method"), members.contains_key("result") || members.contains_key("error"));
    assert_eq!(frame.kind().is_response(), is_answer && !is_call);
    assert_eq!(frame.kind() == Kind::Request, is_call && members.contains_key("id"));

    let other = frame.with_id("4711");
    assert_eq!(memchr::memchr_iter(b'\n', &other).count(), 1, "one line end");
    assert_eq!(frame.clone().into_with_id("4711"), other);
    let mut wanted = members.clone();
    if frame.id().is_some() {
        wanted.insert("id".to_owned(), Value::from(4711));
    }
    assert_eq!(serde_json::from_slice::<Value>(&other).expect("a spliced frame is JSON"), Value::Object(wanted));
    check_objects(frame.text());
}

/// Walks an object and takes members out of it, beside a full parse.
fn check_objects(text: &str) {
    let Ok(Value::Object(all)) = serde_json::from_str::<Value>(text) else { return };
    let mut found = serde_json::Map::new();
    for member in object::members(text) {
        let value = serde_json::from_str(&text[member.value_span.clone()]).expect("a value's text is JSON");
        found.insert(member.key.into_owned(), value);
    }
    assert_eq!(found, all, "{text}");
    for key in all.keys() {
        let mut cut = text.to_owned();
        for range in object::removals(text, |k| k == key).into_iter().rev() {
            cut.replace_range(range, "");
        }
        let mut wanted = all.clone();
        wanted.remove(key);
        assert_eq!(serde_json::from_str::<Value>(&cut).ok(), Some(Value::Object(wanted)), "{key} out of {text}");
        if let Some(inner) = object::get(text, key).filter(|v| v.starts_with('{')) {
            check_objects(inner);
        }
    }
}

/// Cuts a stream that comes in pieces of this size, and all at once: the lines are the same.
///
/// # Panics
/// When a promise is broken.
pub fn check_lines(stream: &[u8], step: usize, limit: usize) {
    let cut = |step: usize| {
        let mut lines = Lines::new(limit);
        let mut found = Vec::new();
        for piece in stream.chunks(step.max(1)) {
            lines.push(piece);
            found.extend(std::iter::from_fn(|| lines.next_line()));
        }
        found.extend(lines.finish_stream());
        found
    };
    // Which bytes of an over-long line are kept depends on how it came; that it was one, and how long, does not.
    let essence = |lines: Vec<Line>| -> Vec<Result<Bytes, u64>> {
        lines
            .into_iter()
            .map(|line| match line {
                Line::Text(text) => Ok(text),
                Line::TooLong { size, .. } => Err(size),
            })
            .collect()
    };
    assert_eq!(essence(cut(step)), essence(cut(stream.len())));
}
