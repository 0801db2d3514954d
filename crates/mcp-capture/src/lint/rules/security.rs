//! What may deceive a model or a person, or gives something away.

use mcp_wire::Kind;
use serde_json::Value;

use crate::event::Flags;
use crate::lint::json::evidence;
use crate::lint::output::Look;
use crate::lint::rule::Family::Security;
use crate::lint::rule::Rule;
use crate::lint::rule::Severity::{Error, Info, Warning};

static HIDDEN: Rule = Rule::new(
    "hidden-characters",
    Security,
    Error,
    "server/tools",
    "A definition has characters that people do not see",
    "Characters without width, marks that turn the direction of writing, tags and escape sequences are read by the model \
     and not by whoever approves the tool. That is how instructions are hidden.",
);
static INSTRUCTIONS: Rule = Rule::new(
    "suspicious-description",
    Security,
    Warning,
    "server/tools",
    "A definition speaks to the model about other things than the tool",
    "A description that asks to hide something from the user, to read keys, or to forget earlier instructions is an attack on \
     the model until somebody has read it and found it harmless.",
);
static CHANGED: Rule = Rule::new(
    "tool-changed-after-use",
    Security,
    Warning,
    "server/tools",
    "The definition of a tool changed after it was called",
    "What somebody approved is not what is offered now. A server that waits with its instructions until it is trusted does \
     just that; an honest change is told in its list of changes.",
);
static SECRET_ARGUMENT: Rule = Rule::new(
    "secret-in-arguments",
    Security,
    Info,
    "server/tools",
    "The arguments of a call have something that looks like a secret",
    "The model wrote these arguments, so it knows the secret, and so does its provider. Secrets reach a server through its \
     environment or by a login.",
);
static SECRET_RESULT: Rule = Rule::new(
    "secret-in-result",
    Security,
    Info,
    "server/tools",
    "The result of a call has something that looks like a secret",
    "The model reads it, its provider stores it, and the next call may carry it elsewhere.",
);
static ESCAPES: Rule = Rule::new(
    "escape-sequence-in-result",
    Security,
    Info,
    "server/tools",
    "A result has escape sequences of a terminal",
    "A client that prints it as it is lets the server move the cursor, colour lines or hide them. Models read it as noise, \
     which costs tokens.",
);

pub(super) static RULES: &[&Rule] = &[&HIDDEN, &INSTRUCTIONS, &CHANGED, &SECRET_ARGUMENT, &SECRET_RESULT, &ESCAPES];

/// What a frame has where something was replaced.
const MARK: &str = "[redacted:";

/// What descriptions of tools do not say.
const PHRASES: [&str; 14] = [
    "ignore previous instructions",
    "ignore all previous",
    "ignore the above",
    "disregard previous",
    "disregard all previous",
    "forget previous instructions",
    "do not tell the user",
    "don't tell the user",
    "do not mention this",
    "do not inform the user",
    "without telling the user",
    "<important>",
    ".ssh/id_",
    "<!--",
];

pub(super) fn check(look: &mut Look<'_>) {
    match (look.message.kind, look.message.method) {
        (Kind::Request, "tools/call") if look.message.stamp.flags.has(Flags::REDACTED) => {
            let place = look.message.param("arguments").and_then(|value| find(value, "params.arguments", 0));
            if let Some(path) = place {
                look.report(&SECRET_ARGUMENT, &path, "something secret was replaced here".to_owned(), String::new());
            }
        }
        (Kind::Result, _) => {
            let Some(open) = &look.asked else { return };
            match &*open.asked.method {
                "tools/call" => result(look),
                "prompts/list" => list(look, "prompts"),
                "initialize" => {
                    if let Some(text) =
                        look.message.result().and_then(|result| result.get("instructions")).and_then(Value::as_str)
                    {
                        characters(look, text, "the instructions", "result.instructions");
                    }
                }
                _ => {}
            }
        }
        _ => {}
    }
}

fn list(look: &mut Look<'_>, member: &str) {
    let items = look.message.result().and_then(|result| result.get(member)).and_then(Value::as_array);
    for (index, item) in items.into_iter().flatten().enumerate() {
        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
        texts(look, item, name, &format!("result.{member}[{index}]"), 0);
    }
}

fn result(look: &mut Look<'_>) {
    let Some(result) = look.message.result() else { return };
    if look.message.stamp.flags.has(Flags::REDACTED)
        && let Some(path) = find(result, "result", 0)
    {
        look.report(&SECRET_RESULT, &path, "something secret was replaced here".to_owned(), String::new());
    }
    let blocks = result.get("content").and_then(Value::as_array);
    for (index, block) in blocks.into_iter().flatten().enumerate() {
        let text = block.get("text").and_then(Value::as_str).unwrap_or_default();
        if text.contains("\u{1b}[") || text.contains("\u{1b}]") {
            let path = format!("result.content[{index}].text");
            let message = "the text has escape sequences".to_owned();
            look.report_once(&ESCAPES, &path, message, evidence(&Value::String(text.to_owned())));
            return;
        }
    }
}

/// The first place where something was replaced.
fn find(value: &Value, path: &str, depth: usize) -> Option<String> {
    match value {
        _ if depth > 64 => None,
        Value::String(text) => text.contains(MARK).then(|| path.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| find(item, &format!("{path}[{index}]"), depth + 1))
        }
        Value::Object(members) => members.iter().find_map(|(key, item)| find(item, &format!("{path}.{key}"), depth + 1)),
        _ => None,
    }
}

/// Looks at all texts of a definition.
pub(super) fn definition(look: &mut Look<'_>, tool: &Value, name: &str, path: &str) {
    texts(look, tool, name, path, 0);
}

fn texts(look: &mut Look<'_>, value: &Value, name: &str, path: &str, depth: usize) {
    match value {
        _ if depth > 32 => {}
        Value::String(text) => {
            let is_told = characters(look, text, &format!("`{name}`"), path);
            if !is_told && path.ends_with("description") {
                phrases(look, text, name, path);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                texts(look, item, name, &format!("{path}[{index}]"), depth + 1);
            }
        }
        Value::Object(members) => {
            for (key, item) in members {
                texts(look, item, name, &format!("{path}.{key}"), depth + 1);
            }
        }
        _ => {}
    }
}

/// Characters nobody sees. Signs that are parts of emoji, and marks that some scripts are written with, are none of them.
fn is_hidden(letter: char, before: Option<char>) -> bool {
    match letter {
        '\n' | '\r' | '\t' => false,
        '\u{200c}' | '\u{200d}' => before.is_none_or(|before| before.is_ascii()),
        '\u{00ad}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => true,
        '\u{e0000}'..='\u{e007f}' => !matches!(before, Some('\u{1f3f4}' | '\u{e0000}'..='\u{e007f}')),
        other => other.is_control(),
    }
}

fn characters(look: &mut Look<'_>, text: &str, of: &str, path: &str) -> bool {
    let mut before = None;
    for (at, letter) in text.char_indices() {
        if is_hidden(letter, before) {
            let start = text[..at].char_indices().rev().nth(30).map_or(0, |(start, _)| start);
            let message = format!("{of} has the character U+{:04X}", u32::from(letter));
            look.report(&HIDDEN, path, message, text[start..].to_owned());
            return true;
        }
        before = Some(letter);
    }
    false
}

fn phrases(look: &mut Look<'_>, text: &str, name: &str, path: &str) {
    let lower = text.to_lowercase();
    if let Some(phrase) = PHRASES.into_iter().find(|phrase| lower.contains(phrase)) {
        look.report(&INSTRUCTIONS, path, format!("the description of `{name}` has \"{phrase}\""), text.to_owned());
    }
}

/// Tools whose definition is not what it was.
pub(super) fn changed(look: &mut Look<'_>, names: &[Box<str>], before: u64) {
    let owner = look.owner;
    for name in names {
        if look.side.catalog(owner).called.contains_key(name) {
            let message = format!("`{name}` was called and is defined otherwise now");
            look.report_with(&CHANGED, "result.tools", message, String::new(), &[before]);
        }
    }
}
