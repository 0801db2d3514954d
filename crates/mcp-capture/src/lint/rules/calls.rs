//! Calls of tools and prompts, compared with what was advertised.

use std::sync::Arc;

use mcp_schema::{Problem, Schema};
use mcp_wire::Kind;
use serde_json::{Map, Value};

use crate::lint::catalog::{self, Tool};
use crate::lint::json::{evidence, push_pointer};
use crate::lint::output::Look;
use crate::lint::rule::Family::Tools;
use crate::lint::rule::Severity::{Error, Info, Warning};
use crate::lint::rule::{Revision, Rule};
use crate::lint::state::State;

static UNKNOWN_TOOL: Rule = Rule::new(
    "unknown-tool",
    Tools,
    Warning,
    "server/tools",
    "A tool is called that the server does not list",
    "The client has an old list, or the model made the name up and the client did not look. The server can only refuse it.",
);
static ARGUMENTS: Rule = Rule::new(
    "invalid-tool-arguments",
    Tools,
    Error,
    "server/tools",
    "The arguments of a call break the tool's own `inputSchema`",
    "The server said what it takes. It refuses the call, or works with values it never expected; a client that checks before \
     it sends can let the model correct itself.",
);
static ARGUMENT: Rule = Rule::new(
    "unknown-tool-argument",
    Tools,
    Warning,
    "server/tools",
    "A call has an argument that the tool's `inputSchema` does not name",
    "It is ignored in silence most of the time: a misspelt name is an option that never took effect. A schema with \
     `additionalProperties: false` would have it refused.",
);
static STRUCTURED: Rule = Rule::new(
    "invalid-structured-content",
    Tools,
    Error,
    "server/tools",
    "`structuredContent` breaks the tool's own `outputSchema`",
    "Servers must keep to the schema they advertise. Clients that check throw the result away, and the model learns of an \
     error instead of the answer.",
)
.since(Revision::R2025_06);
static MISSING: Rule = Rule::new(
    "structured-content-missing",
    Tools,
    Error,
    "server/tools",
    "A result has no `structuredContent` although the tool declares an `outputSchema`",
    "Who declares a schema has to give a value that fits. Both official client libraries turn such a result into an error.",
)
.since(Revision::R2025_06);
static ERROR_CONTENT: Rule = Rule::new(
    "error-structured-content",
    Tools,
    Info,
    "server/tools",
    "A result that says it failed has `structuredContent` that breaks the `outputSchema`",
    "Of a failed call no client expects it, and some check it all the same and report that instead of the reason.",
)
.since(Revision::R2025_06);
static NO_TEXT: Rule = Rule::new(
    "structured-content-without-text",
    Tools,
    Info,
    "server/tools",
    "A result has `structuredContent` and nothing in `content`",
    "Clients that do not know structured results show the model an empty answer. The same as JSON in a text costs little.",
)
.since(Revision::R2025_06);
static UNKNOWN_PROMPT: Rule = Rule::new(
    "unknown-prompt",
    Tools,
    Warning,
    "server/prompts",
    "A prompt is asked for that the server does not list",
    "The client has an old list or the name is misspelt. The server can only refuse it.",
);
static PROMPT_ARGUMENT: Rule = Rule::new(
    "prompt-argument-missing",
    Tools,
    Warning,
    "server/prompts",
    "A prompt is asked for without an argument it requires",
    "The server refuses it, or makes a text with a hole in it.",
);
static UNKNOWN_ARGUMENT: Rule = Rule::new(
    "unknown-prompt-argument",
    Tools,
    Warning,
    "server/prompts",
    "A prompt is asked for with an argument it does not name",
    "It is ignored in silence: a misspelt name is a value that never reaches the text.",
);

pub(super) static RULES: &[&Rule] = &[
    &UNKNOWN_TOOL,
    &ARGUMENTS,
    &ARGUMENT,
    &STRUCTURED,
    &MISSING,
    &ERROR_CONTENT,
    &NO_TEXT,
    &UNKNOWN_PROMPT,
    &PROMPT_ARGUMENT,
    &UNKNOWN_ARGUMENT,
];

pub(super) fn check(look: &mut Look<'_>) {
    match (look.message.kind, look.message.method) {
        (Kind::Request, "tools/call") => call(look),
        (Kind::Request, "prompts/get") => prompt(look),
        (Kind::Result, _) => {
            let Some(open) = &look.asked else { return };
            if &*open.asked.method == "tools/call" && open.state != State::Answered {
                let tool = open.asked.tool.clone();
                result(look, tool.as_ref());
            }
        }
        _ => {}
    }
}

fn call(look: &mut Look<'_>) {
    let Some(name) = look.message.param_text("name") else { return };
    let owner = look.owner;
    let catalog = look.side.catalog(owner);
    if catalog.has_tool(name) == Some(false) {
        let related: Vec<u64> = catalog.lists.get("tools").map(|list| list.sequence).into_iter().collect();
        look.report_with(&UNKNOWN_TOOL, "params.name", format!("`{name}` is not in the list of tools"), String::new(), &related);
        return;
    }
    let Some(tool) = catalog.tools.get(name).cloned() else { return };
    if catalog.called.len() < 4096 {
        catalog.called.insert(name.into(), tool.digest);
    }
    // A retry brings the same arguments, which were judged.
    if look.message.param("inputResponses").or(look.message.param("requestState")).is_some() {
        return;
    }
    let none = Value::Object(Map::new());
    let arguments = look.message.param("arguments").filter(|value| !value.is_null()).unwrap_or(&none);
    let problems = catalog::problems(tool.input(), arguments);
    let related = [tool.sequence];
    for problem in &problems {
        told(look, &ARGUMENTS, "params.arguments", arguments, problem, &related);
    }
    if problems.is_empty()
        && let Some(key) = unnamed(tool.input(), arguments)
    {
        let mut path = "params.arguments".to_owned();
        crate::lint::json::push_key(&mut path, &key);
        let message = format!("`{name}` has no argument `{key}`");
        look.report_with(&ARGUMENT, &path, message, arguments.get(&key).map(evidence).unwrap_or_default(), &related);
    }
}

fn told(look: &mut Look<'_>, rule: &'static Rule, base: &str, value: &Value, problem: &Problem, related: &[u64]) {
    let mut path = base.to_owned();
    push_pointer(&mut path, &problem.pointer);
    let found = value.pointer(&problem.pointer).map(evidence).unwrap_or_default();
    let last = path.rsplit('.').next().unwrap_or(&path).to_owned();
    let message = match problem.message.strip_prefix("it ") {
        Some(rest) => format!("`{last}` {rest}"),
        None => format!("`{last}`: {}", problem.message),
    };
    look.report_with(rule, &path, message, found, related);
}

/// An argument that a plain schema does not name.
fn unnamed(schema: &Schema, arguments: &Value) -> Option<String> {
    let schema = schema.value().as_object()?;
    let properties = schema.get("properties")?.as_object()?;
    let is_plain = schema.keys().all(|key| {
        matches!(
            key.as_str(),
            "$schema"
                | "type"
                | "properties"
                | "required"
                | "title"
                | "description"
                | "$defs"
                | "definitions"
                | "default"
                | "examples"
                | "$id"
                | "$comment"
        )
    });
    if !is_plain {
        return None;
    }
    let required = schema.get("required").and_then(Value::as_array);
    let is_named = |key: &String| {
        properties.contains_key(key) || required.is_some_and(|all| all.iter().any(|name| name.as_str() == Some(key.as_str())))
    };
    arguments.as_object()?.keys().find(|key| !is_named(key)).cloned()
}

fn result(look: &mut Look<'_>, tool: Option<&Arc<Tool>>) {
    let Some(result) = look.message.result() else { return };
    let is_complete = result.get("resultType").and_then(Value::as_str).is_none_or(|word| word == "complete");
    let is_task = look.asked.as_ref().is_some_and(|open| open.asked.is_task) || result.get("task").is_some();
    if !is_complete || is_task {
        return;
    }
    let is_error = result.get("isError").and_then(Value::as_bool).unwrap_or(false);
    let content = result.get("structuredContent").filter(|content| !content.is_null());
    let is_empty = result.get("content").and_then(Value::as_array).is_some_and(Vec::is_empty);
    if content.is_some() && is_empty {
        look.report(&NO_TEXT, "result.content", "`content` is empty".to_owned(), String::new());
    }
    let Some((tool, schema)) = tool.and_then(|tool| Some((tool, tool.output()?))) else { return };
    let asked = look.asked.as_ref().map_or(0, |open| open.asked.sequence);
    let related = [tool.sequence, asked];
    match content {
        None if is_error => {}
        None => {
            let message = format!("`{}` declares an outputSchema, and the result has no `structuredContent`", tool.name);
            look.report_with(&MISSING, "result.structuredContent", message, String::new(), &related);
        }
        Some(content) => {
            let rule = if is_error { &ERROR_CONTENT } else { &STRUCTURED };
            for problem in catalog::problems(schema, content) {
                told(look, rule, "result.structuredContent", content, &problem, &related);
            }
        }
    }
}

fn prompt(look: &mut Look<'_>) {
    let Some(name) = look.message.param_text("name") else { return };
    let owner = look.owner;
    let catalog = look.side.catalog(owner);
    if catalog.has_prompt(name) == Some(false) {
        look.report(&UNKNOWN_PROMPT, "params.name", format!("`{name}` is not in the list of prompts"), String::new());
        return;
    }
    let Some(known) = catalog.prompts.get(name).cloned() else { return };
    let given = look.message.param("arguments").and_then(Value::as_object);
    for (argument, _) in known.iter().filter(|(_, is_required)| *is_required) {
        if given.is_none_or(|given| !given.contains_key(&**argument)) {
            let message = format!("`{name}` requires the argument `{argument}`");
            look.report(&PROMPT_ARGUMENT, "params.arguments", message, String::new());
        }
    }
    let unknown = given.into_iter().flat_map(Map::keys).find(|key| !known.iter().any(|(name, _)| **name == ***key));
    if let Some(key) = unknown.cloned() {
        let message = format!("`{name}` has no argument `{key}`");
        look.report(&UNKNOWN_ARGUMENT, "params.arguments", message, String::new());
    }
}
