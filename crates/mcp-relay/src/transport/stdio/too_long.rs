//! What can be said about a message that was too long to be kept.

use bytes::Bytes;
use mcp_wire::author::{self, code};
use mcp_wire::{Frame, object};

/// What becomes of an over-long message of a client.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The client is told, with the id of its request if that was found.
    Refuse(Bytes),
    /// It was the answer to a request of the server, which gets this error in its place: it must not wait for ever.
    Pass(Frame),
}

/// Judges by what is left: the first and the last bytes.
pub(super) fn judge(size: u64, limit: usize, head: &[u8], tail: &[u8]) -> Verdict {
    let head = valid(head);
    let id = scalar(object::get(head, "id")).or_else(|| id_at_end(tail));
    let text = format!("the message has {size} bytes, and at most {limit} are accepted");
    let is_answer =
        object::get(head, "method").is_none() && (object::get(head, "result").is_some() || object::get(head, "error").is_some());
    if let (true, Some(id)) = (is_answer, &id) {
        let error = author::error(Some(id), code::INTERNAL, &format!("the client's answer was not passed on: {text}"), None);
        let line = error.slice(..error.len() - 1);
        if let Ok(frame) = Frame::parse(line) {
            return Verdict::Pass(frame);
        }
    }
    let id = id.filter(|_| !is_answer);
    Verdict::Refuse(author::error(id.as_deref(), code::INVALID_REQUEST, &text, None))
}

/// The beginning of a text, up to where it was cut, be it in the middle of a character.
fn valid(bytes: &[u8]) -> &str {
    let end = std::str::from_utf8(bytes).map_or_else(|e| e.valid_up_to(), str::len);
    std::str::from_utf8(&bytes[..end]).unwrap_or_default()
}

/// A string or a number that is complete.
fn scalar(text: Option<&str>) -> Option<String> {
    let text = text?.trim();
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    (value.is_string() || value.is_number()).then(|| text.to_owned())
}

/// The value of a last member `"id"`: after it come one brace and nothing else.
fn id_at_end(tail: &[u8]) -> Option<String> {
    let at = memchr::memmem::rfind(tail, b"\"id\"")?;
    // Within a string the quotes would be escaped.
    if at == 0 || tail[at - 1] == b'\\' {
        return None;
    }
    let rest = std::str::from_utf8(&tail[at + 4..]).ok()?;
    let value = rest.trim().strip_prefix(':')?.strip_suffix('}')?;
    scalar(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(head: &str, tail: &str) -> String {
        match judge(11, 10, head.as_bytes(), tail.as_bytes()) {
            Verdict::Refuse(answer) => String::from_utf8(answer.to_vec()).unwrap(),
            Verdict::Pass(frame) => panic!("{}", frame.text()),
        }
    }

    fn id_of(answer: &str) -> &str {
        object::get(answer, "id").unwrap()
    }

    #[test]
    fn the_id_is_found_at_either_end_and_nowhere_else() {
        assert_eq!(id_of(&refused(r#"{"jsonrpc":"2.0","id":7,"method":"m","params":{"a":"xx"#, r#"xx"}}"#)), "7");
        assert_eq!(id_of(&refused(r#"{"id" : "a\"b" ,"method":"m","params":{"id":9,"a":"xxxx"#, "")), r#""a\"b""#);
        assert_eq!(id_of(&refused(r#"{"method":"m","params":{"id":9,"a":"x"#, r#"x"},"id": 8 }"#)), "8");
        assert_eq!(id_of(&refused(r#"{"method":"m","params":{"id":9,"a":"x"#, r#"x","id":8}}"#)), "null");
        assert_eq!(id_of(&refused(r#"{"method":"m","params":{"a":"x"#, r#"x\"id\":8}"}}"#)), "null");
        assert_eq!(id_of(&refused(r#"{"method":"m","id":12"#, "")), "12", "what was cut off a number cannot be seen");
        assert_eq!(id_of(&refused("xxxx\u{e4}", "")), "null");
    }

    #[test]
    fn the_refusal_names_size_and_limit() {
        let answer = refused(r#"{"id":1,"method":"m""#, "");
        assert!(answer.contains("the message has 11 bytes, and at most 10 are accepted"), "{answer}");
        assert!(answer.contains("-32600"), "{answer}");
    }

    #[test]
    fn an_answer_that_is_too_long_becomes_an_error_for_the_server() {
        let Verdict::Pass(frame) = judge(11, 10, br#"{"jsonrpc":"2.0","id":"s1","result":{"a":"x"#, b"") else { panic!() };
        assert_eq!((frame.id(), frame.error_code()), (Some("\"s1\""), Some(code::INTERNAL)));
        let answer = refused(r#"{"jsonrpc":"2.0","result":{"a":"x"#, r#"x"}}"#);
        assert_eq!(id_of(&answer), "null");
    }
}
