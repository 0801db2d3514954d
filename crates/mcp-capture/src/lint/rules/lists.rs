//! Lists of tools, prompts, resources and templates.

use std::collections::HashSet;
use std::sync::Arc;

use mcp_wire::Kind;
use serde_json::Value;

use crate::lint::catalog::{Difference, Tool};
use crate::lint::json::{digest, evidence};
use crate::lint::output::Look;
use crate::lint::rule::Family::Tools;
use crate::lint::rule::Severity::{Error, Info, Warning};
use crate::lint::rule::{Revision, Rule};
use crate::lint::rules::security;

static INPUT_SCHEMA: Rule = Rule::new(
    "tool-input-schema",
    Tools,
    Error,
    "server/tools",
    "An `inputSchema` is no JSON Schema of an object",
    "Models are given this schema and clients check arguments with it. A client drops the tool, or a model's provider refuses \
     the whole request because of it.",
);
static OUTPUT_SCHEMA: Rule = Rule::new(
    "tool-output-schema",
    Tools,
    Error,
    "server/tools",
    "An `outputSchema` is no JSON Schema",
    "Clients compile it to check results, and fail at the list or at each call of the tool. Up to 2025-11-25 it also has the \
     type object.",
)
.since(Revision::R2025_06);
static REMOTE: Rule = Rule::new(
    "tool-schema-remote-reference",
    Tools,
    Warning,
    "server/tools",
    "A schema refers to another one on the network",
    "It must not be fetched without being asked for, since the address is the server's choice. Clients see a schema with a \
     hole in it, or none.",
);
static NAME: Rule = Rule::new(
    "tool-name",
    Tools,
    Warning,
    "server/tools",
    "The name of a tool has characters or a length that are not advised",
    "Names are 1 to 128 letters, digits, `_`, `-` and `.`. Providers of models accept less than that and refuse the whole \
     list because of one name.",
);
static LONG_NAME: Rule = Rule::new(
    "tool-name-long",
    Tools,
    Info,
    "server/tools",
    "The name of a tool is longer than 64 characters",
    "It is allowed, and several providers of models refuse more than 64 characters, to which clients add the server's name.",
);
static DUPLICATE: Rule = Rule::new(
    "duplicate-name",
    Tools,
    Error,
    "server/tools",
    "Two things in a list have the same name",
    "A call names one of them. Which one is called, and by which description the model chose it, are two different questions \
     then.",
);
static DESCRIPTION: Rule = Rule::new(
    "tool-description-missing",
    Tools,
    Info,
    "server/tools",
    "A tool has no description",
    "The description is what a model chooses a tool by. Without it there is only the name to guess from.",
);
static LARGE: Rule = Rule::new(
    "tool-definition-large",
    Tools,
    Warning,
    "server/tools",
    "The definition of a tool is very large",
    "Every conversation pays for it in tokens, used or not, and a model that reads pages of options chooses worse.",
);
static LARGE_LIST: Rule = Rule::new(
    "tool-list-large",
    Tools,
    Info,
    "server/tools",
    "All definitions of a server together are very large",
    "They are part of every request to the model. Clients warn of it, cut the list, or load tools only when they are searched \
     for.",
);
static ORDER: Rule = Rule::new(
    "list-order-changed",
    Tools,
    Warning,
    "server/tools",
    "A list comes in another order than before",
    "Clients put definitions at the beginning of what the model reads, where an equal beginning is cached. Another order \
     throws the cache away and costs its price again. Mostly it is a table without an order.",
);
static CHANGED: Rule = Rule::new(
    "list-changed-silently",
    Tools,
    Warning,
    "server/tools",
    "A list is different from before, and no notification said so",
    "Clients read the list once and again when they are told that it changed. Without that they call what is gone, and do not \
     see what is new.",
)
.legacy();
static CURSOR: Rule = Rule::new(
    "cursor-loop",
    Tools,
    Error,
    "server/utilities/pagination",
    "A page points back to a page that was read",
    "A client that reads until there is no further page reads the same pages again and again, and never gets to work.",
);
static HEADER: Rule = Rule::new(
    "tool-parameter-header",
    Tools,
    Error,
    "server/tools",
    "An `x-mcp-header` is not allowed where it is",
    "Clients on HTTP have to leave out a tool whose annotation is invalid. It names a header with the characters headers have, \
     once in a tool, and stands on strings, integers and booleans that are reached through `properties` alone.",
)
.modern();
static URI: Rule = Rule::new(
    "resource-uri",
    Tools,
    Error,
    "server/resources",
    "The URI of a resource is none",
    "A URI begins with a scheme, as `file:` and `https:`. Clients that parse it drop the resource or the whole list.",
);

pub(super) static RULES: &[&Rule] = &[
    &INPUT_SCHEMA,
    &OUTPUT_SCHEMA,
    &REMOTE,
    &NAME,
    &LONG_NAME,
    &DUPLICATE,
    &DESCRIPTION,
    &LARGE,
    &LARGE_LIST,
    &ORDER,
    &CHANGED,
    &CURSOR,
    &HEADER,
    &URI,
];

/// Definitions of one page that are looked at.
const MOST: usize = 5000;

pub(super) fn check(look: &mut Look<'_>) {
    if look.message.kind != Kind::Result {
        return;
    }
    let Some(open) = &look.asked else { return };
    let (method, is_first) = (open.asked.method.clone(), open.asked.kept.is_null());
    let member = match &*method {
        "tools/list" => "tools",
        "prompts/list" => "prompts",
        "resources/list" => "resources",
        "resources/templates/list" => "resourceTemplates",
        _ => return,
    };
    let Some(items) = look.message.result().and_then(|result| result.get(member)).and_then(Value::as_array) else { return };
    let key = match member {
        "resources" => "uri",
        "resourceTemplates" => "uriTemplate",
        _ => "name",
    };
    let named: Vec<(&str, &Value)> = items.iter().take(MOST).filter_map(|item| Some((item.get(key)?.as_str()?, item))).collect();
    duplicates(look, member, key, &named);
    match member {
        "tools" => {
            for (index, tool) in items.iter().take(MOST).enumerate() {
                check_tool(look, tool, &format!("result.tools[{index}]"));
            }
        }
        "resources" => {
            for (index, resource) in items.iter().take(MOST).enumerate() {
                let path = format!("result.resources[{index}].uri");
                uri(look, resource.get("uri"), &path);
            }
        }
        _ => {}
    }
    let next = look.message.result().and_then(|result| result.get("nextCursor")).filter(|next| !next.is_null());
    let sequence = look.message.stamp.sequence;
    let owner = look.owner;
    let list = look.side.catalog(owner).list(&method);
    let is_new = list.page(is_first, named.iter().map(|(name, item)| ((*name).into(), digest(item))), next);
    if let Some(next) = next.filter(|_| !is_new) {
        look.report(&CURSOR, "result.nextCursor", "the cursor was given before in this list".to_owned(), evidence(next));
    }
    if next.is_none() {
        ended(look, &method, sequence);
    }
    remember(look, member, &named, is_first);
}

fn ended(look: &mut Look<'_>, method: &str, sequence: u64) {
    let owner = look.owner;
    let list = look.side.catalog(owner).list(method);
    let before = list.sequence;
    let was_told = std::mem::replace(&mut list.is_stale, false);
    let difference = list.end(sequence);
    let of_tools = method == "tools/list";
    match difference {
        None => {}
        Some(Difference::Order) => {
            let message = "the same list in another order".to_owned();
            look.report_with(&ORDER, "result", message, String::new(), &[before]);
        }
        Some(Difference::Content(added, removed, changed)) => {
            let count = |what: &str, names: &[Box<str>]| match names {
                [] => None,
                [only] => Some(format!("`{only}` {what}")),
                [first, rest @ ..] => Some(format!("`{first}` and {} more {what}", rest.len())),
            };
            let parts = [count("added", &added), count("removed", &removed), count("changed", &changed)];
            let message = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
            if !was_told {
                look.report_with(&CHANGED, "result", message, String::new(), &[before]);
            }
            if of_tools {
                security::changed(look, &changed, before);
            }
        }
    }
}

fn remember(look: &mut Look<'_>, member: &str, named: &[(&str, &Value)], is_first: bool) {
    let sequence = look.message.stamp.sequence;
    let owner = look.owner;
    let catalog = look.side.catalog(owner);
    match member {
        "tools" => {
            if is_first {
                catalog.tools.clear();
            }
            for (name, item) in named {
                if let Some(tool) = Tool::new(item, sequence) {
                    catalog.tools.insert((*name).into(), Arc::new(tool));
                }
            }
        }
        "prompts" => {
            if is_first {
                catalog.prompts.clear();
            }
            for (name, item) in named {
                let arguments = item.get("arguments").and_then(Value::as_array).into_iter().flatten();
                let arguments = arguments.filter_map(|argument| {
                    let is_required = argument.get("required").and_then(Value::as_bool).unwrap_or(false);
                    Some((argument.get("name")?.as_str()?.into(), is_required))
                });
                catalog.prompts.insert((*name).into(), arguments.collect());
            }
        }
        _ => {}
    }
}

fn duplicates(look: &mut Look<'_>, member: &str, key: &str, named: &[(&str, &Value)]) {
    let mut seen = HashSet::new();
    for (index, (name, _)) in named.iter().enumerate() {
        if !seen.insert(*name) {
            let path = format!("result.{member}[{index}].{key}");
            look.report(&DUPLICATE, &path, format!("`{name}` is in the list twice"), String::new());
        }
    }
}

/// A URI has a scheme.
pub(super) fn uri(look: &mut Look<'_>, value: Option<&Value>, path: &str) {
    let Some(text) = value.and_then(Value::as_str) else { return };
    let scheme = text.split(':').next().filter(|scheme| scheme.len() < text.len()).unwrap_or_default();
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    if (!is_scheme || text.contains(char::is_whitespace)) && !text.contains("[redacted:") {
        look.report(&URI, path, "it is no URI".to_owned(), text.to_owned());
    }
}

fn check_tool(look: &mut Look<'_>, tool: &Value, path: &str) {
    let Some(name) = tool.get("name").and_then(Value::as_str) else { return };
    let is_plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    let in_path = format!("{path}.name");
    if !is_plain || name.len() > 128 {
        look.report(
            &NAME,
            &in_path,
            format!("the name `{name}` is not 1 to 128 of the characters A-Z a-z 0-9 _ - ."),
            String::new(),
        );
    } else if name.len() > 64 {
        look.report(&LONG_NAME, &in_path, format!("the name has {} characters", name.len()), name.to_owned());
    }
    if tool.get("description").and_then(Value::as_str).is_none_or(|text| text.trim().is_empty()) {
        look.report(&DESCRIPTION, &format!("{path}.description"), format!("`{name}` has no description"), String::new());
    }
    schemas(look, tool, name, path);
    let size = tool.to_string().len();
    let limit = look.out.profile.large_definition;
    if size > limit {
        let message = format!("the definition of `{name}` has {size} bytes");
        look.report(&LARGE, path, message, String::new());
    }
    let limit = look.out.profile.large_catalog;
    if path.ends_with("[0]") && look.message.length > limit {
        let message = format!("the list has {} bytes", look.message.length);
        look.report_once(&LARGE_LIST, "result.tools", message, String::new());
    }
    security::definition(look, tool, name, path);
}

fn schemas(look: &mut Look<'_>, tool: &Value, name: &str, path: &str) {
    // A schema in which something was replaced is not what the server sent.
    let text = tool.to_string();
    if text.contains("[redacted:") {
        return;
    }
    let made = Tool::new(tool, 0);
    for (key, rule) in [("inputSchema", &INPUT_SCHEMA), ("outputSchema", &OUTPUT_SCHEMA)] {
        let Some(schema) = tool.get(key).filter(|schema| schema.is_object()) else { continue };
        let path = format!("{path}.{key}");
        let must_be_object = key == "inputSchema" || !look.is_modern();
        if must_be_object && schema.get("type").and_then(Value::as_str) != Some("object") {
            let found = schema.get("type").map_or("missing".to_owned(), Value::to_string);
            look.report(
                rule,
                &format!("{path}.type"),
                format!("the type of `{name}`'s {key} must be \"object\" and is {found}"),
                String::new(),
            );
            continue;
        }
        if let Some(reference) = remote(schema, 0) {
            look.report(&REMOTE, &path, format!("the {key} of `{name}` refers to {reference}"), reference.to_owned());
            continue;
        }
        let compiled = made.as_ref().and_then(|tool| if key == "inputSchema" { Some(tool.input()) } else { tool.output() });
        if let Some(fault) = compiled.and_then(|schema| schema.fault()) {
            // Dialects of patterns differ, and ours is not the one that counts.
            if !fault.contains("pattern") && !fault.contains("regex") {
                look.report(rule, &path, format!("the {key} of `{name}` is no JSON Schema: {fault}"), String::new());
            }
        }
    }
    if look.is_modern() && text.contains("x-mcp-header") {
        headers(look, tool, name, path);
    }
}

/// A reference that leaves the schema.
fn remote(schema: &Value, depth: usize) -> Option<&str> {
    match schema {
        _ if depth > 64 => None,
        Value::Object(members) => {
            let own = members.get("$ref").or(members.get("$dynamicRef")).and_then(Value::as_str);
            let own = own.filter(|to| to.contains("://") && !to.contains("json-schema.org/"));
            own.or_else(|| members.values().find_map(|value| remote(value, depth + 1)))
        }
        Value::Array(items) => items.iter().find_map(|value| remote(value, depth + 1)),
        _ => None,
    }
}

fn headers(look: &mut Look<'_>, tool: &Value, name: &str, path: &str) {
    let mut found = Vec::new();
    let schema = tool.get("inputSchema").unwrap_or(&Value::Null);
    annotated(schema, "inputSchema", true, 0, &mut found);
    let mut seen = HashSet::new();
    for (place, header, kind, is_reached) in found {
        let text = header.as_str().unwrap_or_default();
        let is_token = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        let fault = match () {
            () if !is_token => "is no name of a header",
            () if !matches!(kind, Some("string" | "integer" | "boolean")) => {
                "stands on a property that is no string, integer or boolean"
            }
            () if !is_reached => "stands where `properties` alone do not lead",
            () if !seen.insert(text.to_ascii_lowercase()) => "is there twice",
            () => continue,
        };
        look.report(&HEADER, &format!("{path}.{place}"), format!("`x-mcp-header` of `{name}` {fault}"), evidence(header));
    }
}

type Annotated<'a> = (String, &'a Value, Option<&'a str>, bool);

fn annotated<'a>(schema: &'a Value, path: &str, is_reached: bool, depth: usize, found: &mut Vec<Annotated<'a>>) {
    let Some(members) = schema.as_object().filter(|_| depth < 64 && found.len() < 256) else { return };
    if let Some(header) = members.get("x-mcp-header") {
        found.push((path.to_owned(), header, members.get("type").and_then(Value::as_str), is_reached));
    }
    for (key, value) in members {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    annotated(property, &format!("{path}.properties.{name}"), is_reached, depth + 1, found);
                }
            }
            (_, Value::Object(_)) => annotated(value, &format!("{path}.{key}"), false, depth + 1, found),
            (_, Value::Array(items)) => {
                for item in items {
                    annotated(item, &format!("{path}.{key}"), false, depth + 1, found);
                }
            }
            _ => {}
        }
    }
}
