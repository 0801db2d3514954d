//! What results carry: blocks of content, resources, completions, roots.

use mcp_wire::Kind;
use serde_json::Value;

use crate::lint::json::{evidence, is_redacted};
use crate::lint::output::Look;
use crate::lint::rule::Family::Tools;
use crate::lint::rule::Rule;
use crate::lint::rule::Severity::{Error, Warning};
use crate::lint::rules::lists;

static BASE64: Rule = Rule::new(
    "invalid-base64",
    Tools,
    Error,
    "server/tools",
    "Data is not Base64",
    "Images, sounds and blobs are Base64 in the standard alphabet. A client cannot show what it cannot decode, and a model's \
     provider refuses the request that contains it.",
);
static NOTHING: Rule = Rule::new(
    "resource-without-content",
    Tools,
    Error,
    "server/resources",
    "The contents of a resource have neither `text` nor `blob`",
    "Typed clients refuse the whole result; others show nothing.",
);
static BOTH: Rule = Rule::new(
    "resource-text-and-blob",
    Tools,
    Warning,
    "server/resources",
    "The contents of a resource have `text` and `blob`",
    "They are the one or the other. Which one is shown depends on the client.",
);
static COMPLETIONS: Rule = Rule::new(
    "too-many-completions",
    Tools,
    Error,
    "server/utilities/completion",
    "More than a hundred completions are given",
    "A hundred is the most. Clients that check refuse the answer, which is asked for with every key that is pressed.",
);
static ROOT: Rule = Rule::new(
    "root-uri",
    Tools,
    Error,
    "client/roots",
    "A root is no `file://` URI",
    "Servers take roots for folders. They fail at another scheme, or take the text for a path below their own folder.",
);

pub(super) static RULES: &[&Rule] = &[&BASE64, &NOTHING, &BOTH, &COMPLETIONS, &ROOT];

pub(super) fn check(look: &mut Look<'_>) {
    if look.message.kind != Kind::Result {
        return;
    }
    let Some(open) = &look.asked else { return };
    let method = open.asked.method.clone();
    let Some(result) = look.message.result() else { return };
    let items = |key: &str| result.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    match &*method {
        "tools/call" | "tasks/result" => {
            for (index, block) in items("content").iter().enumerate() {
                self::block(look, block, &format!("result.content[{index}]"));
            }
        }
        "prompts/get" => {
            for (index, message) in items("messages").iter().enumerate() {
                if let Some(content) = message.get("content") {
                    block(look, content, &format!("result.messages[{index}].content"));
                }
            }
        }
        "resources/read" => {
            for (index, contents) in items("contents").iter().enumerate() {
                resource(look, contents, &format!("result.contents[{index}]"));
            }
        }
        "completion/complete" => {
            let values = result.get("completion").and_then(|completion| completion.get("values")).and_then(Value::as_array);
            if let Some(values) = values.filter(|values| values.len() > 100) {
                look.report(&COMPLETIONS, "result.completion.values", format!("{} values", values.len()), String::new());
            }
        }
        "roots/list" => roots(look, result, "result"),
        _ => {}
    }
}

/// The roots of a client.
pub(super) fn roots(look: &mut Look<'_>, result: &Value, path: &str) {
    for (index, root) in result.get("roots").and_then(Value::as_array).into_iter().flatten().enumerate() {
        if let Some(uri) = root.get("uri").and_then(Value::as_str).filter(|uri| !uri.starts_with("file://")) {
            look.report(
                &ROOT,
                &format!("{path}.roots[{index}].uri"),
                "it does not begin with `file://`".to_owned(),
                uri.to_owned(),
            );
        }
    }
}

fn block(look: &mut Look<'_>, block: &Value, path: &str) {
    match block.get("type").and_then(Value::as_str) {
        Some("image" | "audio") => base64(look, block.get("data"), &format!("{path}.data")),
        Some("resource") => {
            if let Some(contents) = block.get("resource") {
                resource(look, contents, &format!("{path}.resource"));
            }
        }
        Some("resource_link") => lists::uri(look, block.get("uri"), &format!("{path}.uri")),
        _ => {}
    }
}

fn resource(look: &mut Look<'_>, contents: &Value, path: &str) {
    let has = |key: &str| contents.get(key).is_some_and(|value| !value.is_null());
    match (has("text"), has("blob")) {
        (false, false) => look.report(&NOTHING, path, "there is neither `text` nor `blob`".to_owned(), evidence(contents)),
        (true, true) => look.report(&BOTH, path, "there is `text` and `blob`".to_owned(), String::new()),
        _ => {}
    }
    base64(look, contents.get("blob"), &format!("{path}.blob"));
}

fn base64(look: &mut Look<'_>, value: Option<&Value>, path: &str) {
    let Some(value) = value else { return };
    if let Some(text) = value.as_str()
        && !is_redacted(value)
        && let Some(fault) = base64_fault(text.as_bytes())
    {
        look.report(&BASE64, path, fault.to_owned(), evidence(value));
    }
}

/// What is wrong with Base64.
fn base64_fault(text: &[u8]) -> Option<&'static str> {
    let end = text.iter().rposition(|b| *b != b'=').map_or(0, |at| at + 1);
    let (body, padding) = text.split_at(end);
    if body.iter().any(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))) {
        return Some(if text.starts_with(b"data:") {
            "it is an address with `data:` and not the data"
        } else if body.iter().any(|b| matches!(b, b'-' | b'_')) {
            "it has characters of the other alphabet, for addresses"
        } else {
            "it has characters that Base64 does not have"
        });
    }
    if !text.len().is_multiple_of(4) || padding.len() > 2 || body.len() % 4 == 1 {
        return Some("its length is not a multiple of 4");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::base64_fault;

    #[test]
    fn base64_is_what_standard_decoders_take() {
        for good in ["", "AA==", "AAA=", "AAAA", "+/9=", "iVBORw0KGgo="] {
            assert_eq!(base64_fault(good.as_bytes()), None, "{good}");
        }
        for bad in ["A", "AA", "AAAAA", "A===", "AA-_", "A A=", "AAAA\n", "data:image/png;base64,AAAA", "äaaa", "AA=A"] {
            assert!(base64_fault(bad.as_bytes()).is_some(), "{bad}");
        }
    }
}
