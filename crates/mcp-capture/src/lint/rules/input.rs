//! What a server asks of the client: forms and completions by a model, in requests of its own or inside of results.

use mcp_schema::Schema;
use mcp_wire::Kind;
use serde_json::Value;

use crate::lint::catalog;
use crate::lint::json::{evidence, push_key, push_pointer};
use crate::lint::output::Look;
use crate::lint::rule::Family::Input;
use crate::lint::rule::Severity::{Error, Warning};
use crate::lint::rule::{Revision, Rule};

static FORM: Rule = Rule::new(
    "elicitation-schema",
    Input,
    Error,
    "client/elicitation",
    "A form is asked for with a schema that is not flat",
    "A client makes the form from the schema: a flat object of texts, numbers, booleans and choices. It cannot show nested \
     objects, and refuses the request.",
)
.since(Revision::R2025_06);
static NO_FORM: Rule = Rule::new(
    "elicitation-incomplete",
    Input,
    Error,
    "client/elicitation",
    "A question lacks what its mode needs",
    "A form needs `requestedSchema`; an address needs `url`, and in 2025-11-25 `elicitationId`. Without it the client has \
     nothing to show.",
)
.since(Revision::R2025_06);
static SECRET: Rule = Rule::new(
    "elicitation-of-secret",
    Input,
    Warning,
    "client/elicitation",
    "A form asks for what looks like a secret",
    "What is typed into a form is read by the client and may be by the model. Secrets are asked for on a page of one's own, \
     in the mode `url`.",
)
.since(Revision::R2025_06);
static CONTENT: Rule = Rule::new(
    "elicitation-content",
    Input,
    Error,
    "client/elicitation",
    "The answer to a form breaks the schema of the form",
    "The server said what it takes and the client promised to check. The server refuses it, or trusts it.",
)
.since(Revision::R2025_06);
static CONTENT_ACTION: Rule = Rule::new(
    "elicitation-content-without-accept",
    Input,
    Warning,
    "client/elicitation",
    "A form that was not accepted brings content",
    "Who declines gives nothing away. Content beside `decline` or `cancel` is what somebody typed and did not want to send.",
)
.since(Revision::R2025_06);
static MIXED: Rule = Rule::new(
    "tool-results-mixed",
    Input,
    Error,
    "client/sampling",
    "A message has results of tools and something else",
    "Providers of models take results of tools alone in a message of the user, and refuse the whole conversation otherwise.",
)
.since(Revision::R2025_11);
static UNANSWERED: Rule = Rule::new(
    "tool-use-unanswered",
    Input,
    Error,
    "client/sampling",
    "The use of a tool in a conversation has no result behind it",
    "Each use is followed by a message with its result. Providers of models refuse a conversation in which one is missing.",
)
.since(Revision::R2025_11);

pub(super) static RULES: &[&Rule] = &[&FORM, &NO_FORM, &SECRET, &CONTENT, &CONTENT_ACTION, &MIXED, &UNANSWERED];

pub(super) fn check(look: &mut Look<'_>) {
    match look.message.kind {
        Kind::Request if !look.message.is_from_client() => {
            let method = look.message.method;
            asked(look, method, look.message.params(), "params");
        }
        Kind::Result if look.message.is_from_client() => {
            let Some(open) = &look.asked else { return };
            if &*open.asked.method == "elicitation/create" {
                let kept = open.asked.kept.clone();
                if let Some(result) = look.message.result() {
                    answered(look, result, &kept, "result");
                }
            }
        }
        _ => {}
    }
}

/// Looks at what a server asks.
pub(super) fn asked(look: &mut Look<'_>, method: &str, params: Option<&Value>, path: &str) {
    let Some(params) = params else { return };
    match method {
        "elicitation/create" => elicitation(look, params, path),
        "sampling/createMessage" => sampling(look, params, path),
        _ => {}
    }
}

fn elicitation(look: &mut Look<'_>, params: &Value, path: &str) {
    let has = |key: &str| params.get(key).is_some_and(|value| !value.is_null());
    if params.get("mode").and_then(Value::as_str) == Some("url") {
        let needs_id = look.revision == Some(Revision::R2025_11);
        for key in ["url", "elicitationId"].into_iter().filter(|key| (*key == "url" || needs_id) && !has(key)) {
            look.report(&NO_FORM, &format!("{path}.{key}"), format!("`{path}.{key}` is missing"), String::new());
        }
        return;
    }
    let Some(schema) = params.get("requestedSchema").filter(|schema| !schema.is_null()) else {
        let message = format!("`{path}.requestedSchema` is missing");
        look.report(&NO_FORM, &format!("{path}.requestedSchema"), message, String::new());
        return;
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let mut below = format!("{path}.requestedSchema.properties");
        push_key(&mut below, name);
        if let Some(fault) = field_fault(property, look.revision) {
            look.report(&FORM, &below, format!("`{name}` {fault}"), evidence(property));
        }
        let is_hidden = matches!(property.get("format").and_then(Value::as_str), Some("password"));
        if is_hidden || crate::redact::is_secret_name(name) {
            look.report(&SECRET, &below, format!("a form asks for `{name}`"), String::new());
        }
    }
}

/// What is wrong with one field of a form.
fn field_fault(property: &Value, revision: Option<Revision>) -> Option<String> {
    match property.get("type").and_then(Value::as_str) {
        Some("string" | "number" | "integer" | "boolean") => None,
        Some("array") if revision.is_none_or(|revision| revision >= Revision::R2025_11) => {
            let items = property.get("items").unwrap_or(&Value::Null);
            let is_choice = items.get("enum").or(items.get("anyOf")).or(items.get("oneOf")).is_some();
            (!is_choice).then(|| "is a list of something else than choices".to_owned())
        }
        Some(other) => Some(format!("has the type {other}")),
        // A choice of constants says its type by them.
        None if property.get("enum").or(property.get("oneOf")).is_some() => None,
        None => Some("has no type".to_owned()),
    }
}

/// Looks at what a client answers to a form.
pub(super) fn answered(look: &mut Look<'_>, result: &Value, schema: &Value, path: &str) {
    let action = result.get("action").and_then(Value::as_str).unwrap_or_default();
    let content = result.get("content").filter(|content| !content.is_null());
    if action != "accept" {
        let has_content = content.is_some_and(|content| content.as_object().is_none_or(|members| !members.is_empty()));
        if has_content {
            let message = format!("`content` beside the action `{action}`");
            look.report(&CONTENT_ACTION, &format!("{path}.content"), message, String::new());
        }
        return;
    }
    if !schema.is_object() {
        return;
    }
    let Some(content) = content else {
        look.report(&CONTENT, &format!("{path}.content"), "a form is accepted without content".to_owned(), String::new());
        return;
    };
    for problem in catalog::problems(&Schema::new(schema.clone()), content) {
        let mut at = format!("{path}.content");
        push_pointer(&mut at, &problem.pointer);
        let found = content.pointer(&problem.pointer).map(evidence).unwrap_or_default();
        look.report(&CONTENT, &at, format!("the content breaks the form: {}", problem.message), found);
    }
}

fn blocks(content: &Value) -> Vec<&Value> {
    match content {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    }
}

fn sampling(look: &mut Look<'_>, params: &Value, path: &str) {
    let messages = params.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (index, message) in messages.iter().enumerate() {
        let Some(content) = message.get("content") else { continue };
        let all = blocks(content);
        let of_type = |word: &'static str| all.iter().filter(move |b| b.get("type").and_then(Value::as_str) == Some(word));
        let results = of_type("tool_result").count();
        let here = format!("{path}.messages[{index}].content");
        if results > 0 && results < all.len() {
            look.report(&MIXED, &here, "results of tools and something else".to_owned(), String::new());
        }
        for used in of_type("tool_use") {
            let id = used.get("id");
            let next = messages.get(index + 1).and_then(|next| next.get("content")).map(blocks).unwrap_or_default();
            if !next.iter().any(|block| block.get("toolUseId") == id) {
                let id = id.map(evidence).unwrap_or_default();
                look.report(&UNANSWERED, &here, format!("the use {id} of a tool has no result in the next message"), id);
            }
        }
    }
}
