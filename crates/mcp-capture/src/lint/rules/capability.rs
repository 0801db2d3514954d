//! What was declared and what is used.

use mcp_wire::Kind;
use serde_json::Value;

use crate::lint::json::at;
use crate::lint::output::Look;
use crate::lint::rule::Family::Capability;
use crate::lint::rule::Severity::{Error, Warning};
use crate::lint::rule::{Revision, Rule};
use crate::lint::shape::{self, Known};

static SERVER_FEATURE: Rule = Rule::new(
    "undeclared-server-feature",
    Capability,
    Warning,
    "basic/lifecycle",
    "The client uses what the server did not declare",
    "A server without the capability answers with an error. Clients that ask anyway make a log of errors out of healthy \
     servers, and wait for answers that cannot come.",
);
static SILENT_FEATURE: Rule = Rule::new(
    "capability-missing",
    Capability,
    Error,
    "basic/lifecycle",
    "The server offers what it did not declare",
    "Clients look at the capabilities and do not ask for what is not among them, so that what the server offers is never \
     seen.",
);
static LIE: Rule = Rule::new(
    "capability-without-method",
    Capability,
    Error,
    "basic/lifecycle",
    "The server declares a capability and does not know its methods",
    "Clients ask for it at once, because it was declared, and report the server as broken when they get an error.",
);
static NOTIFICATION: Rule = Rule::new(
    "undeclared-notification",
    Capability,
    Error,
    "basic/lifecycle",
    "The server notifies of what it did not declare",
    "Clients set up what they listen for by the capabilities, and drop the rest: the change is not noticed.",
);
static CLIENT_FEATURE: Rule = Rule::new(
    "undeclared-client-feature",
    Capability,
    Error,
    "basic/lifecycle",
    "The server asks for what the client did not declare",
    "The client cannot do it and answers with an error, so that the call the server needed it for fails. A server looks at \
     the capabilities first and does without.",
);
static CLIENT_NOTIFICATION: Rule = Rule::new(
    "undeclared-roots-change",
    Capability,
    Error,
    "client/roots",
    "The client notifies of changed roots without having declared that it does",
    "A server that does not expect it goes on with the roots it has read.",
)
.legacy();
static URL_MODE: Rule = Rule::new(
    "undeclared-elicitation-mode",
    Capability,
    Error,
    "client/elicitation",
    "The server asks in a mode that the client did not declare",
    "A capability without `url` means forms only. A client that cannot open an address has to refuse.",
)
.since(Revision::R2025_11);
static SAMPLING_TOOLS: Rule = Rule::new(
    "undeclared-sampling-tools",
    Capability,
    Error,
    "client/sampling",
    "The server gives tools to a model of a client that did not declare `sampling.tools`",
    "A client without it must refuse the request; one that does not look lets the model run without the tools.",
)
.since(Revision::R2025_11);
static SAMPLING_CONTEXT: Rule = Rule::new(
    "undeclared-sampling-context",
    Capability,
    Warning,
    "client/sampling",
    "The server asks for context of a client that did not declare `sampling.context`",
    "Without the declaration `includeContext` is left out or `none`; the client is free to ignore anything else.",
)
.since(Revision::R2025_11);

pub(super) static RULES: &[&Rule] = &[
    &SERVER_FEATURE,
    &SILENT_FEATURE,
    &LIE,
    &NOTIFICATION,
    &CLIENT_FEATURE,
    &CLIENT_NOTIFICATION,
    &URL_MODE,
    &SAMPLING_TOOLS,
    &SAMPLING_CONTEXT,
];

/// What a server has to declare for a method.
fn needed(method: &str, revision: Option<Revision>) -> Option<&'static [&'static str]> {
    // What the revision does not have needs nothing.
    if revision.is_some_and(|revision| !matches!(shape::known(method, revision), Known::Yes(_))) {
        return None;
    }
    Some(match method {
        "tools/list" | "tools/call" => &["tools"],
        "prompts/list" | "prompts/get" => &["prompts"],
        "resources/list" | "resources/templates/list" | "resources/read" => &["resources"],
        "resources/subscribe" | "resources/unsubscribe" => &["resources", "subscribe"],
        "logging/setLevel" => &["logging"],
        "completion/complete" if revision.is_some_and(|revision| revision >= Revision::R2025_03) => &["completions"],
        "tasks/list" if revision == Some(Revision::R2025_11) => &["tasks", "list"],
        "tasks/cancel" if revision == Some(Revision::R2025_11) => &["tasks", "cancel"],
        _ => return None,
    })
}

/// Whether a capability is there. `false` says no, and so does null.
fn declares(capabilities: &Value, path: &[&str]) -> bool {
    at(capabilities, path).is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)))
}

pub(super) fn check(look: &mut Look<'_>) {
    match (look.message.kind, look.message.is_from_client()) {
        (Kind::Request, true) => {
            let method = look.message.method;
            if let (Some(server), Some(path)) = (look.server(), needed(method, look.revision))
                && !declares(&server, path)
            {
                let message = format!("`{method}` needs the capability `{}`", path.join("."));
                look.report_once(&SERVER_FEATURE, "method", message, String::new());
            }
        }
        (Kind::Result | Kind::Error, false) => answer(look),
        (Kind::Notification, false) => notification(look),
        (Kind::Request, false) => {
            let (method, body) = (look.message.method.to_owned(), look.message.body);
            if !look.is_modern() {
                asked(look, &method, body.get("params"), "params");
            }
        }
        (Kind::Notification, true)
            if look.message.method == "notifications/roots/list_changed"
                && look.talk.client.as_deref().is_some_and(|client| !declares(client, &["roots", "listChanged"])) =>
        {
            let message = "the client did not declare `roots.listChanged`".to_owned();
            look.report_once(&CLIENT_NOTIFICATION, "method", message, String::new());
        }
        _ => {}
    }
}

fn answer(look: &mut Look<'_>) {
    let Some(open) = &look.asked else { return };
    let method = open.asked.method.clone();
    let (Some(server), Some(path)) = (look.server(), needed(&method, look.revision)) else { return };
    let is_declared = declares(&server, path);
    if look.message.kind == Kind::Result && !is_declared && !is_empty_list(look.message.result()) {
        let message = format!("`{method}` is answered, and the capability `{}` was not declared", path.join("."));
        look.report_once(&SILENT_FEATURE, "", message, String::new());
    }
    // Whoever offers resources need not offer templates or completions for each.
    let is_central =
        matches!(&*method, "tools/list" | "prompts/list" | "resources/list" | "logging/setLevel" | "resources/subscribe");
    if look.message.error_code() == Some(-32_601) && is_declared && is_central {
        let message = format!("the capability `{}` was declared, and `{method}` is not known", path.join("."));
        look.report_once(&LIE, "error.code", message, String::new());
    }
}

/// A list of nothing offers nothing.
fn is_empty_list(result: Option<&Value>) -> bool {
    ["tools", "prompts", "resources", "resourceTemplates"]
        .iter()
        .any(|key| result.and_then(|result| result.get(key)).and_then(Value::as_array).is_some_and(Vec::is_empty))
        || result.and_then(Value::as_object).is_some_and(serde_json::Map::is_empty)
}

fn notification(look: &mut Look<'_>) {
    let path: &[&str] = match look.message.method {
        "notifications/tools/list_changed" => &["tools", "listChanged"],
        "notifications/prompts/list_changed" => &["prompts", "listChanged"],
        "notifications/resources/list_changed" => &["resources", "listChanged"],
        "notifications/resources/updated" => &["resources", "subscribe"],
        "notifications/message" => &["logging"],
        _ => return,
    };
    let Some(server) = look.server() else { return };
    if !declares(&server, path) {
        let message = format!("`{}` needs the capability `{}`", look.message.method, path.join("."));
        look.report_once(&NOTIFICATION, "method", message, String::new());
    }
}

/// What a server asks of the client, in a request of its own or in a result.
pub(super) fn asked(look: &mut Look<'_>, method: &str, params: Option<&Value>, path: &str) {
    let Some(client) = look.client() else { return };
    let needed: &[&str] = match method {
        "roots/list" => &["roots"],
        "sampling/createMessage" => &["sampling"],
        "elicitation/create" => &["elicitation"],
        _ => return,
    };
    if !declares(&client, needed) {
        let message = format!("`{method}` needs the client's capability `{}`", needed[0]);
        look.report(&CLIENT_FEATURE, path, message, String::new());
        return;
    }
    let param = |key: &str| params.and_then(|params| params.get(key)).filter(|value| !value.is_null());
    match method {
        "elicitation/create" => {
            let is_url = param("mode").and_then(Value::as_str) == Some("url");
            let has_form = declares(&client, &["elicitation", "form"]);
            let has_url = declares(&client, &["elicitation", "url"]);
            if (is_url && !has_url) || (!is_url && has_url && !has_form) {
                let mode = if is_url { "url" } else { "form" };
                look.report(&URL_MODE, &format!("{path}.mode"), format!("the mode `{mode}` was not declared"), String::new());
            }
        }
        "sampling/createMessage" => {
            let has_tools = param("tools").or(param("toolChoice")).is_some();
            if has_tools && !declares(&client, &["sampling", "tools"]) {
                let message = "`sampling.tools` was not declared".to_owned();
                look.report(&SAMPLING_TOOLS, &format!("{path}.tools"), message, String::new());
            }
            let context = param("includeContext").and_then(Value::as_str).is_some_and(|word| word != "none");
            if context && !declares(&client, &["sampling", "context"]) {
                let message = "`sampling.context` was not declared".to_owned();
                look.report(&SAMPLING_CONTEXT, &format!("{path}.includeContext"), message, String::new());
            }
        }
        _ => {}
    }
}
