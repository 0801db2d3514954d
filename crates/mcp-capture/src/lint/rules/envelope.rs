//! The members of JSON-RPC.

use mcp_wire::Kind;
use serde_json::Value;

use crate::lint::json::{evidence, kind};
use crate::lint::output::Look;
use crate::lint::rule::Family::Envelope;
use crate::lint::rule::Rule;
use crate::lint::rule::Severity::{Error, Info, Warning};
use crate::lint::rules::lines;
use crate::lint::state::State;

static VERSION: Rule = Rule::new(
    "jsonrpc-version",
    Envelope,
    Error,
    "basic",
    "`jsonrpc` is not \"2.0\"",
    "Both official client libraries check this member before anything else and drop a message without it, so that the \
     request stays without an answer.",
);
static ID_REUSED: Rule = Rule::new(
    "id-reused",
    Envelope,
    Error,
    "basic",
    "A request has the id of one that is still open",
    "The answer to one of them is taken for the answer to the other. Which one is a matter of timing, so that it goes wrong \
     only under load.",
);
static ID_USED_BEFORE: Rule = Rule::new(
    "id-used-before",
    Envelope,
    Warning,
    "basic",
    "A request has the id of one that was answered before",
    "Up to 2025-11-25 an id is used once for each session. A late answer, a cancellation or progress of the earlier request \
     would be taken for one of the later.",
)
.legacy();
static SECOND_ANSWER: Rule = Rule::new(
    "duplicate-answer",
    Envelope,
    Error,
    "basic",
    "A request is answered a second time",
    "A request has one answer. The second is dropped with an error in some clients, and taken for the answer to another \
     request where ids are used again.",
);
static NO_QUESTION: Rule = Rule::new(
    "answer-without-question",
    Envelope,
    Error,
    "basic",
    "An answer has an id that nobody asked with",
    "Whoever asked still waits, until a timeout. Mostly the id was changed on the way: a number became a string, or was \
     rounded.",
);
static RESULT_WITHOUT_ID: Rule = Rule::new(
    "result-without-id",
    Envelope,
    Error,
    "basic",
    "A result has no id",
    "Only an error about a message that could not be read may be without one. This result finds no request, which waits \
     until its timeout.",
);
static PARAMS_TYPE: Rule = Rule::new(
    "params-type",
    Envelope,
    Error,
    "basic",
    "`params` is no object",
    "JSON-RPC allows a list, this protocol does not: all params have names. Libraries refuse the message as invalid.",
);
static ERROR_OBJECT: Rule = Rule::new(
    "error-object",
    Envelope,
    Error,
    "basic",
    "`error` lacks an integer `code` or a `message`",
    "A client that cannot read the error reports that instead of what happened.",
);
static ERROR_CODE: Rule = Rule::new(
    "reserved-error-code",
    Envelope,
    Warning,
    "basic",
    "An error has a code that is reserved and not given a meaning",
    "Codes from -32768 to -32000 belong to JSON-RPC and to this protocol. A later revision may give this one a meaning that \
     clients act upon. Codes of one's own are outside that range.",
);
static ERROR_ERA: Rule = Rule::new(
    "error-code-of-other-revision",
    Envelope,
    Warning,
    "basic",
    "An error has a code that the agreed revision does not have",
    "Clients act upon some codes: they ask the user to open an address, or try again with another revision. In a revision \
     that has not got the code nothing of that happens.",
);
static NOTIFICATION_ID: Rule = Rule::new(
    "notification-with-id",
    Envelope,
    Error,
    "basic",
    "A notification has an id",
    "With an id it is a request, and the other side answers it with an error that it does not know the method.",
);
static REQUEST_WITHOUT_ID: Rule = Rule::new(
    "request-without-id",
    Envelope,
    Error,
    "basic",
    "A request has no id",
    "Without an id it is a notification: it is not answered, and whoever sent it waits.",
);
static EXTRA_MEMBER: Rule = Rule::new(
    "extra-envelope-member",
    Envelope,
    Info,
    "basic",
    "A message has a member beside those of JSON-RPC",
    "What is to be said beside belongs into `_meta`. Strict parsers refuse a message with members they do not know.",
);

pub(super) static RULES: &[&Rule] = &[
    &VERSION,
    &ID_REUSED,
    &ID_USED_BEFORE,
    &SECOND_ANSWER,
    &NO_QUESTION,
    &RESULT_WITHOUT_ID,
    &PARAMS_TYPE,
    &ERROR_OBJECT,
    &ERROR_CODE,
    &ERROR_ERA,
    &NOTIFICATION_ID,
    &REQUEST_WITHOUT_ID,
    &EXTRA_MEMBER,
];

pub(super) fn check(look: &mut Look<'_>) {
    if !look.message.is_skimmed {
        members(look);
    }
    if look.message.kind == Kind::Request && lines::id_is_fraction(look.message.id) {
        let id = look.message.id.to_owned();
        look.report(lines::id_type(), "id", "`id` must be a string or an integer".to_owned(), id);
    }
    match look.message.kind {
        Kind::Request => request(look),
        Kind::Notification => notification(look),
        Kind::Result | Kind::Error => answer(look),
    }
    if look.message.kind == Kind::Error && !look.message.is_skimmed {
        error(look);
    }
}

fn members(look: &mut Look<'_>) {
    let body = look.message.body;
    match body.get("jsonrpc") {
        Some(Value::String(version)) if version == "2.0" => {}
        Some(other) => look.report(&VERSION, "jsonrpc", "`jsonrpc` must be \"2.0\"".to_owned(), evidence(other)),
        None => look.report(&VERSION, "jsonrpc", "`jsonrpc` is missing".to_owned(), String::new()),
    }
    if let Some(params) = body.get("params").filter(|params| !params.is_object()) {
        let message = format!("`params` must be an object and is {}", kind(params));
        look.report(&PARAMS_TYPE, "params", message, evidence(params));
    }
    let extra = body.as_object().and_then(|members| {
        members.keys().find(|key| !matches!(key.as_str(), "jsonrpc" | "id" | "method" | "params" | "result" | "error"))
    });
    if let Some(key) = extra {
        look.report_once(&EXTRA_MEMBER, key, format!("the message has a member `{key}`"), String::new());
    }
}

fn request(look: &mut Look<'_>) {
    let (id, direction) = (look.message.id_key(), look.message.stamp.direction);
    if look.message.method.starts_with("notifications/") {
        let message = format!("`{}` has the id {}", look.message.method, look.message.id);
        look.report(&NOTIFICATION_ID, "id", message, String::new());
    }
    let requests = look.talk.requests(direction);
    let before = requests.get(id).map(|open| (open.state, open.asked.sequence));
    let was_used = requests.was_used(id);
    match before {
        Some((State::Waiting, sequence)) => {
            let message = format!("the id {} is that of request {sequence}, which is not answered yet", look.message.id);
            look.report_with(&ID_REUSED, "id", message, look.message.id.to_owned(), &[sequence]);
        }
        _ if was_used && look.message.method != "initialize" => {
            let message = format!("the id {} was used before in this session", look.message.id);
            let related: Vec<u64> = before.iter().map(|(_, sequence)| *sequence).collect();
            if look.talk.is_first(ID_USED_BEFORE.id) {
                look.report_with(&ID_USED_BEFORE, "id", message, look.message.id.to_owned(), &related);
            }
        }
        _ => {}
    }
}

fn notification(look: &mut Look<'_>) {
    let method = look.message.method;
    if !method.starts_with("notifications/") && super::shapes::is_known_request(method) {
        look.report(&REQUEST_WITHOUT_ID, "id", format!("`{method}` is a request and has no id"), String::new());
    }
}

fn answer(look: &mut Look<'_>) {
    let id = look.message.id;
    if id.is_empty() {
        if look.message.kind == Kind::Result {
            look.report(&RESULT_WITHOUT_ID, "id", "the result has no id".to_owned(), String::new());
        }
        return;
    }
    match &look.asked {
        None => {
            let direction = look.message.stamp.direction.reversed();
            let proves_nothing = look.talk.has_gap || look.talk.requests(direction).has_forgotten;
            let was_used = look.talk.requests(direction).was_used(look.message.id_key());
            if was_used {
                let message = format!("the request with the id {id} was answered before");
                look.report(&SECOND_ANSWER, "id", message, id.to_owned());
            } else if !proves_nothing {
                look.report(&NO_QUESTION, "id", format!("no request with the id {id} was sent"), id.to_owned());
            }
        }
        Some(open) if open.state == State::Answered => {
            look.report(&SECOND_ANSWER, "id", format!("the request with the id {id} was answered before"), id.to_owned());
        }
        Some(_) => {}
    }
}

fn error(look: &mut Look<'_>) {
    let Some(error) = look.message.error() else { return };
    let is_whole = error.get("code").is_some_and(Value::is_i64) && error.get("message").is_some_and(Value::is_string);
    if !is_whole {
        let message = "`error` must have an integer `code` and a `message`".to_owned();
        look.report(&ERROR_OBJECT, "error", message, evidence(error));
    }
    let Some(code) = look.message.error_code() else { return };
    let is_modern = look.is_modern();
    let belongs = match code {
        -32_002 => !is_modern,
        -32_042 => look.revision.is_none_or(|revision| revision == crate::lint::Revision::R2025_11),
        // A server may say so to what looks modern to it, whatever the client meant.
        -32_020 | -32_021 => is_modern || look.revision.is_none(),
        _ => true,
    };
    if !belongs {
        let name = look.revision.map_or("this revision", crate::lint::Revision::name);
        look.report(&ERROR_ERA, "error.code", format!("the code {code} has no meaning in {name}"), evidence(error));
    }
    let is_reserved = matches!(code, -32_768..=-32_020);
    let has_meaning = matches!(code, -32_700 | -32_603..=-32_600 | -32_042 | -32_022..=-32_020);
    if is_reserved && !has_meaning {
        look.report(&ERROR_CODE, "error.code", format!("the code {code} is reserved"), evidence(error));
    }
}
