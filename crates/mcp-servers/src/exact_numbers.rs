//! Keeps the digits of numbers in tool arguments.
//!
//! rmcp reads a message into typed values, where `123456789012345678901234567890` becomes a double with seventeen
//! digits and `1e400` an error. The calculator takes decimal strings as well as numbers, so the numbers of a
//! `tools/call` are put in quotes before rmcp sees the message, and arrive as they were written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    arguments: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
}

/// The message with each number directly under `params.arguments` in quotes; any other message as it is.
pub(crate) fn quote(message: &str) -> Cow<'_, str> {
    let mut numbers = numbers(message).unwrap_or_default();
    if numbers.is_empty() {
        return Cow::Borrowed(message);
    }
    numbers.sort_by_key(|number| number.start);
    let mut quoted = String::with_capacity(message.len() + 2 * numbers.len());
    let mut copied = 0;
    for Range { start, end } in numbers {
        quoted.push_str(&message[copied..start]);
        quoted.push('"');
        quoted.push_str(&message[start..end]);
        quoted.push('"');
        copied = end;
    }
    quoted.push_str(&message[copied..]);
    Cow::Owned(quoted)
}

fn numbers(message: &str) -> Option<Vec<Range<usize>>> {
    let call: Call<'_> = serde_json::from_str(message).ok()?;
    if call.method? != "tools/call" {
        return None;
    }
    let params: Params<'_> = serde_json::from_str(call.params?.get()).ok()?;
    let is_number = |raw: &&RawValue| raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let position = |raw: &RawValue| {
        // A borrowed raw value is a part of the text it was read from.
        let start = raw.get().as_ptr().addr() - message.as_ptr().addr();
        start..start + raw.get().len()
    };
    Some(params.arguments?.into_values().filter(is_number).map(position).collect())
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn numbers_of_a_call_keep_their_text() {
        let sent = r#"{"method":"tools\/call","id":7,"params":{"_meta":{"progressToken":3},"name":"add","arguments":{"a":123456789012345678901234567890,"\u0062" : -1e400 , "c":"5","d":[1]}}}"#;
        let seen = r#"{"method":"tools\/call","id":7,"params":{"_meta":{"progressToken":3},"name":"add","arguments":{"a":"123456789012345678901234567890","\u0062" : "-1e400" , "c":"5","d":[1]}}}"#;
        assert_eq!(quote(sent), seen);
    }

    #[test]
    fn other_messages_are_left_alone() {
        for message in [
            r#"{"method":"tools/list","params":{"arguments":{"a":1}}}"#,
            r#"{"method":"tools/call","params":{"arguments":[1]}}"#,
            r#"{"method":"tools/call"}"#,
            r#"{"result":{"arguments":{"a":1}}}"#,
            "[1]",
            "no json",
        ] {
            assert_eq!(quote(message), message);
        }
    }
}
