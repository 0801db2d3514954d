//! What 2026-07-28 brought: circumstances in each request, types of results, caching, and input that is asked for in
//! results.

use std::sync::Arc;

use mcp_wire::Kind;
use mcp_wire::methods::{LOG_LEVELS, is_cacheable, log_rank, may_need_input, meta};
use serde_json::Value;

use crate::lint::json::{digest, evidence};
use crate::lint::output::Look;
use crate::lint::rule::Family::Modern;
use crate::lint::rule::Rule;
use crate::lint::rule::Severity::{Error, Info, Warning};
use crate::lint::rules::{capability, content, input, methods, shapes};
use crate::lint::shape;
use crate::lint::state::Question;

static METADATA: Rule = Rule::new(
    "request-metadata",
    Modern,
    Error,
    "basic",
    "A request lacks its revision or the client's capabilities",
    "Each request stands alone: what it needs to be understood is in its `_meta`. A server refuses one without it.",
)
.modern();
static CLIENT_INFO: Rule = Rule::new(
    "client-info-missing",
    Modern,
    Info,
    "basic",
    "A request does not say which client makes it",
    "A server cannot require it, and its logs do not say who asked.",
)
.modern();
static META_LEVEL: Rule = Rule::new(
    "request-log-level",
    Modern,
    Error,
    "server/utilities/logging",
    "A request asks for a log level that does not exist",
    "The levels are those of syslog, from debug to emergency. A server refuses another one or sends nothing.",
)
.modern();
static RESULT_TYPE: Rule = Rule::new(
    "result-type-missing",
    Modern,
    Error,
    "basic",
    "A result has no `resultType`",
    "It says whether the result is complete or asks for input. Without it the server looks like one of an older revision, and \
     a client may start over with `initialize`.",
)
.modern();
static UNKNOWN_TYPE: Rule = Rule::new(
    "result-type-unknown",
    Modern,
    Error,
    "basic",
    "A result has a `resultType` that nobody agreed on",
    "Clients have to take a result of a type they do not know for an invalid one. Types of extensions need the extension.",
)
.modern();
static CACHE: Rule = Rule::new(
    "cache-hints",
    Modern,
    Error,
    "server/utilities/caching",
    "A result that can be kept does not say for how long and by whom",
    "Lists, contents of resources and what is discovered have `ttlMs`, not below zero, and `cacheScope`, `public` or \
     `private`. Without them a client asks again each time, or a shared cache gives one user what is another's.",
)
.modern();
static NOT_ALLOWED: Rule = Rule::new(
    "input-required-not-allowed",
    Modern,
    Error,
    "basic/patterns/mrtr",
    "Input is asked for in the answer to a request that cannot have it",
    "Only `tools/call`, `prompts/get` and `resources/read` can be asked again with input. Clients take this for an error.",
)
.modern();
static EMPTY: Rule = Rule::new(
    "input-required-empty",
    Modern,
    Error,
    "basic/patterns/mrtr",
    "Input is asked for, and neither what nor a state is given",
    "At least one of `inputRequests` and `requestState` is there. With neither the client would send the very same again, \
     forever.",
)
.modern();
static REQUEST_KIND: Rule = Rule::new(
    "input-request-unknown",
    Modern,
    Error,
    "basic/patterns/mrtr",
    "What is asked for is no form, no completion and no list of roots",
    "The client has nothing to answer it with, and the call ends there.",
)
.modern();
static STATE: Rule = Rule::new(
    "request-state-changed",
    Modern,
    Error,
    "basic/patterns/mrtr",
    "A request is asked again with another state than the server gave",
    "The state is the server's own and comes back exactly as it was. A server that protects it refuses what was changed; one \
     that does not goes on with the wrong work.",
)
.modern();
static STATE_MISSING: Rule = Rule::new(
    "request-state-missing",
    Modern,
    Error,
    "basic/patterns/mrtr",
    "A request is asked again without the state the server gave",
    "The state is all the server remembers. Without it the work begins anew, and the user is asked the same once more.",
)
.modern();
static ANSWER_MISSING: Rule = Rule::new(
    "input-response-missing",
    Modern,
    Warning,
    "basic/patterns/mrtr",
    "A request is asked again without all the input that was asked for",
    "The server has to ask for the rest once more, which costs a round.",
)
.modern();
static ANSWER_EXTRA: Rule = Rule::new(
    "input-response-not-requested",
    Modern,
    Warning,
    "basic/patterns/mrtr",
    "A request is asked again with input nobody asked for",
    "The server ignores it. Mostly the answers of earlier rounds are sent along, which the state already has.",
)
.modern();
static OTHER_REQUEST: Rule = Rule::new(
    "retry-of-other-request",
    Modern,
    Error,
    "basic/patterns/mrtr",
    "Input is given to another request than the one it was asked for",
    "The state belongs to the same method with the same params. A careful server refuses it; another one does the work of one \
     request with the consent for a different one.",
)
.modern();

pub(super) static RULES: &[&Rule] = &[
    &METADATA,
    &CLIENT_INFO,
    &META_LEVEL,
    &RESULT_TYPE,
    &UNKNOWN_TYPE,
    &CACHE,
    &NOT_ALLOWED,
    &EMPTY,
    &REQUEST_KIND,
    &STATE,
    &STATE_MISSING,
    &ANSWER_MISSING,
    &ANSWER_EXTRA,
    &OTHER_REQUEST,
];

/// A digest of what is asked, without what may be different when it is asked again.
pub(in crate::lint) fn digest_of_question(params: &Value) -> u64 {
    let Some(members) = params.as_object() else { return 0 };
    members
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "_meta" | "inputResponses" | "requestState"))
        .fold(7, |sum: u64, (key, value)| sum.wrapping_add(xxhash_rust::xxh3::xxh3_64_with_seed(key.as_bytes(), digest(value))))
}

pub(super) fn check(look: &mut Look<'_>) {
    if !look.is_modern() {
        return;
    }
    match (look.message.kind, look.message.is_from_client()) {
        (Kind::Request, true) => {
            metadata(look);
            let state = look.message.param("requestState");
            if state.or(look.message.param("inputResponses")).is_some() {
                retry(look);
            }
        }
        (Kind::Result, false) => result(look),
        _ => {}
    }
}

fn metadata(look: &mut Look<'_>) {
    // The revision is known to be there: it is what makes the request a modern one. Unless another request told it.
    for (key, is_object) in [(meta::PROTOCOL_VERSION, false), (meta::CLIENT_CAPABILITIES, true)] {
        let path = format!("params._meta[\"{key}\"]");
        match look.message.meta(key) {
            Some(value) if value.is_object() == is_object && value.is_string() != is_object => {}
            Some(value) => {
                let wanted = if is_object { "an object" } else { "a string" };
                look.report(&METADATA, &path, format!("`{key}` must be {wanted}"), evidence(value));
            }
            None => look.report(&METADATA, &path, format!("`{key}` is missing"), String::new()),
        }
    }
    if look.message.meta(meta::CLIENT_INFO).is_none() {
        let path = format!("params._meta[\"{}\"]", meta::CLIENT_INFO);
        look.report_once(&CLIENT_INFO, &path, format!("`{}` is missing", meta::CLIENT_INFO), String::new());
    }
    if let Some(level) = look.message.meta(meta::LOG_LEVEL)
        && level.as_str().and_then(log_rank).is_none()
    {
        let path = format!("params._meta[\"{}\"]", meta::LOG_LEVEL);
        let message = format!("the level must be one of {}", LOG_LEVELS.join(", "));
        look.report(&META_LEVEL, &path, message, evidence(level));
    }
}

fn result(look: &mut Look<'_>) {
    let Some(open) = look.asked.clone() else { return };
    let Some(result) = look.message.result() else { return };
    let method = &*open.asked.method;
    match result.get("resultType").map(|word| word.as_str()) {
        None => look.report(&RESULT_TYPE, "result.resultType", "`resultType` is missing".to_owned(), String::new()),
        Some(Some("complete")) => {
            if is_cacheable(method) {
                cache(look, result);
            }
        }
        Some(Some("input_required")) => needs_input(look, result),
        // Told by the rules of tasks.
        Some(Some("task")) => {}
        Some(word) => {
            let extensions = look.client().and_then(|client| client.get("extensions")?.as_object().map(serde_json::Map::len));
            if extensions.unwrap_or_default() == 0 || word.is_none() {
                let message = "it is neither `complete` nor `input_required`".to_owned();
                look.report(&UNKNOWN_TYPE, "result.resultType", message, word.unwrap_or_default().to_owned());
            }
        }
    }
}

fn cache(look: &mut Look<'_>, result: &Value) {
    match result.get("ttlMs") {
        Some(value) if value.as_f64().is_some_and(|ms| ms >= 0.0) => {}
        Some(value) => look.report(&CACHE, "result.ttlMs", "`ttlMs` must be a number from 0 on".to_owned(), evidence(value)),
        None => look.report(&CACHE, "result.ttlMs", "`ttlMs` is missing".to_owned(), String::new()),
    }
    match result.get("cacheScope") {
        Some(value) if matches!(value.as_str(), Some("public" | "private")) => {}
        Some(value) => {
            let message = "`cacheScope` must be `public` or `private`".to_owned();
            look.report(&CACHE, "result.cacheScope", message, evidence(value));
        }
        None => look.report(&CACHE, "result.cacheScope", "`cacheScope` is missing".to_owned(), String::new()),
    }
}

fn needs_input(look: &mut Look<'_>, result: &Value) {
    let Some(open) = look.asked.clone() else { return };
    let method = &*open.asked.method;
    if !may_need_input(method) {
        let message = format!("`{method}` cannot be asked again with input");
        look.report(&NOT_ALLOWED, "result.resultType", message, String::new());
    }
    let requests = result.get("inputRequests").and_then(Value::as_object);
    let state = result.get("requestState").and_then(Value::as_str);
    if requests.is_none() && state.is_none() {
        let message = "there is neither `inputRequests` nor `requestState`".to_owned();
        look.report(&EMPTY, "result", message, String::new());
    }
    let mut keys = Vec::new();
    for (key, request) in requests.into_iter().flatten() {
        let mut path = "result.inputRequests".to_owned();
        crate::lint::json::push_key(&mut path, key);
        let method = request.get("method").and_then(Value::as_str).unwrap_or_default();
        let params = request.get("params");
        if matches!(method, "elicitation/create" | "sampling/createMessage" | "roots/list") {
            let below = format!("{path}.params");
            if let Some(revision) = look.revision {
                shapes::tell(look, shape::params(method, revision, params), &below);
            }
            capability::asked(look, method, params, &below);
            input::asked(look, method, params, &below);
            methods::deprecated(look, &path, method);
            if method == "sampling/createMessage" {
                let context = params.and_then(|params| params.get("includeContext"));
                methods::context(look, &format!("{below}.includeContext"), context);
            }
        } else {
            let message = format!("`{path}.method` is none a client answers");
            look.report(&REQUEST_KIND, &format!("{path}.method"), message, evidence(request));
        }
        let kept = match method {
            "elicitation/create" => params.and_then(|params| params.get("requestedSchema")).cloned().unwrap_or(Value::Null),
            _ => Value::Null,
        };
        keys.push((Box::from(key.as_str()), serde_json::json!({"method": method, "schema": kept})));
    }
    let question =
        Question { asked: Arc::clone(&open.asked), state: state.map(Into::into), keys, sequence: look.message.stamp.sequence };
    look.side.question(question);
}

/// A request that brings input, or a state.
fn retry(look: &mut Look<'_>) {
    let state = look.message.param_text("requestState").map(str::to_owned);
    let digest = look.message.params().map_or(0, digest_of_question);
    let method = look.message.method;
    let is_same = |question: &Question| &*question.asked.method == method && question.asked.digest == digest;
    let questions = &look.side.questions;
    let by_state =
        state.as_deref().and_then(|state| questions.iter().rposition(|question| question.state.as_deref() == Some(state)));
    let Some(at) = by_state.or_else(|| questions.iter().rposition(is_same)) else {
        // The question may have been on a connection that is not recorded.
        if state.is_some() && !look.talk.has_gap && !look.side.has_forgotten && !questions.is_empty() {
            let message = "no result gave this state".to_owned();
            look.report(&STATE, "params.requestState", message, state.unwrap_or_default());
        }
        return;
    };
    let Some(question) = look.side.questions.remove(at) else { return };
    let related = [question.asked.sequence, question.sequence];
    match (by_state.is_some(), &question.state, &state) {
        (true, ..) if !is_same(&question) => {
            let message = "the state was given for another request, or for other params".to_owned();
            look.report_with(&OTHER_REQUEST, "params", message, String::new(), &related);
        }
        (false, Some(_), None) => {
            let message = "`params.requestState` is missing".to_owned();
            look.report_with(&STATE_MISSING, "params.requestState", message, String::new(), &related);
        }
        (false, _, Some(sent)) => {
            let message = "it is not the state that was given".to_owned();
            look.report_with(&STATE, "params.requestState", message, sent.clone(), &related);
        }
        _ => {}
    }
    let given = look.message.param("inputResponses").and_then(Value::as_object).cloned().unwrap_or_default();
    for (key, asked) in &question.keys {
        let mut path = "params.inputResponses".to_owned();
        crate::lint::json::push_key(&mut path, key);
        match given.get(&**key) {
            None => look.report_with(&ANSWER_MISSING, &path, format!("`{key}` is not answered"), String::new(), &related),
            Some(response) => answered(look, response, asked, &path),
        }
    }
    if let Some(key) = given.keys().find(|key| !question.keys.iter().any(|(known, _)| **known == ***key)) {
        let message = format!("`{key}` was not asked for");
        look.report_with(&ANSWER_EXTRA, "params.inputResponses", message, String::new(), &related);
    }
}

fn answered(look: &mut Look<'_>, response: &Value, asked: &Value, path: &str) {
    let method = asked.get("method").and_then(Value::as_str).unwrap_or_default();
    if let Some(revision) = look.revision {
        shapes::tell(look, shape::result(method, revision, Some(response)), path);
    }
    match method {
        "elicitation/create" => input::answered(look, response, asked.get("schema").unwrap_or(&Value::Null), path),
        "roots/list" => content::roots(look, response, path),
        _ => {}
    }
}
