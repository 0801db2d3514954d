//! How a conversation is opened.

use std::sync::Arc;

use mcp_wire::Kind;
use mcp_wire::methods::meta;
use serde_json::Value;

use crate::lint::json::evidence;
use crate::lint::output::Look;
use crate::lint::rule::Family::Sequence;
use crate::lint::rule::Revision;
use crate::lint::rule::Rule;
use crate::lint::rule::Severity::{Error, Info, Warning};
use crate::lint::state::Phase;

static FIRST: Rule = Rule::new(
    "first-message",
    Sequence,
    Error,
    "basic/lifecycle",
    "A conversation begins with a request that opens nothing",
    "The server does not know which revision is spoken nor what the client can do. Most servers answer with an error, some \
     guess an old revision.",
);
static TWICE: Rule = Rule::new(
    "initialize-twice",
    Sequence,
    Error,
    "basic/lifecycle",
    "`initialize` is sent although the conversation is open",
    "What was agreed on cannot be changed. Servers refuse it, or forget subscriptions and open requests of the client.",
)
.legacy();
static EARLY_REQUEST: Rule = Rule::new(
    "request-before-initialize-result",
    Sequence,
    Warning,
    "basic/lifecycle",
    "The client asks for something before `initialize` is answered",
    "It cannot know yet what the server offers, nor the revision. Only `ping` is sensible there; servers may refuse the rest.",
)
.legacy();
static NO_INITIALIZED: Rule = Rule::new(
    "initialized-missing",
    Sequence,
    Error,
    "basic/lifecycle",
    "The client goes on without `notifications/initialized`",
    "The server must wait with its own requests until it has come. Some servers refuse everything before it.",
)
.legacy();
static EARLY_INITIALIZED: Rule = Rule::new(
    "initialized-early",
    Sequence,
    Error,
    "basic/lifecycle",
    "`notifications/initialized` comes before `initialize` is answered",
    "It says that the client has taken in the answer, which it has not seen. A server that is still starting loses it.",
)
.legacy();
static SERVER_REQUEST: Rule = Rule::new(
    "server-request-before-initialized",
    Sequence,
    Warning,
    "basic/lifecycle",
    "The server asks for something before the client is ready",
    "Before `notifications/initialized` the client may not have set up what answers such a request, so that it is lost or \
     refused. Only `ping` is sensible there.",
)
.legacy();
static SERVER_NOTIFICATION: Rule = Rule::new(
    "server-notification-before-initialized",
    Sequence,
    Info,
    "basic/lifecycle",
    "The server notifies of something before the client is ready",
    "Before `notifications/initialized` only log messages are expected. Clients drop the rest or complain.",
)
.legacy();
static REVISION: Rule = Rule::new(
    "unknown-revision",
    Sequence,
    Warning,
    "basic/lifecycle",
    "A revision is named that does not exist",
    "Revisions are dates of published specifications. The other side cannot know another one, and at best falls back to \
     its own.",
);
static MODERN_ASKED: Rule = Rule::new(
    "initialize-for-modern-revision",
    Sequence,
    Info,
    "basic/lifecycle",
    "`initialize` asks for a revision that has no `initialize`",
    "A server has to offer an older one, which works. Some servers refuse it instead, because nobody who speaks that revision \
     would ask so.",
)
.legacy();
static CANCELLED: Rule = Rule::new(
    "initialize-cancelled",
    Sequence,
    Error,
    "basic/utilities/cancellation",
    "`initialize` is cancelled",
    "A client must not cancel it: both sides would be left with half a conversation. It ends the connection instead.",
)
.legacy();
static MIXED: Rule = Rule::new(
    "mixed-eras",
    Sequence,
    Warning,
    "basic/lifecycle",
    "One conversation mixes `initialize` with requests that bring their own revision",
    "A server that was opened with `initialize` treats everything after it so, or refuses what looks otherwise; which of both \
     differs from library to library.",
);
static UNSUPPORTED: Rule = Rule::new(
    "unsupported-revision",
    Sequence,
    Error,
    "basic/versioning",
    "A request is made in a revision that the server said it does not support",
    "The server listed what it supports. It has to refuse this request, so that nothing comes of it but time lost.",
)
.modern();
static NOT_REQUESTED: Rule = Rule::new(
    "newer-revision-answered",
    Sequence,
    Info,
    "basic/lifecycle",
    "The server answers with a newer revision than the client asked for",
    "A server that does not know the revision asked for offers another. A newer one is rarely known to an older client, \
     which then has to leave; a server that can speak older revisions should.",
)
.legacy();

pub(super) static RULES: &[&Rule] = &[
    &FIRST,
    &TWICE,
    &EARLY_REQUEST,
    &NO_INITIALIZED,
    &EARLY_INITIALIZED,
    &SERVER_REQUEST,
    &SERVER_NOTIFICATION,
    &REVISION,
    &MODERN_ASKED,
    &CANCELLED,
    &MIXED,
    &UNSUPPORTED,
    &NOT_REQUESTED,
];

pub(super) fn check(look: &mut Look<'_>) {
    match (look.message.kind, look.message.is_from_client()) {
        (Kind::Request, true) => client_request(look),
        (Kind::Notification, true) => client_notification(look),
        (Kind::Request, false) if is_before_ready(look) && look.message.method != "ping" => {
            let message = format!("`{}` before `notifications/initialized`", look.message.method);
            look.report_once(&SERVER_REQUEST, "", message, String::new());
        }
        (Kind::Notification, false) => {
            // Progress and cancellation belong to a request the client made itself.
            let is_fine =
                matches!(look.message.method, "notifications/message" | "notifications/progress" | "notifications/cancelled");
            if is_before_ready(look) && !is_fine {
                let message = format!("`{}` before `notifications/initialized`", look.message.method);
                look.report_once(&SERVER_NOTIFICATION, "", message, String::new());
            }
        }
        (Kind::Result, false) => result(look),
        _ => {}
    }
}

fn is_before_ready(look: &Look<'_>) -> bool {
    !look.is_modern() && !look.talk.has_gap && look.talk.is_begun && look.talk.phase < Phase::Ready
}

fn client_request(look: &mut Look<'_>) {
    let method = look.message.method;
    let own = look.message.meta(meta::PROTOCOL_VERSION);
    let is_first = !look.talk.is_begun && !look.talk.has_gap;
    if is_first && own.is_none() && !look.message.is_skimmed && !matches!(method, "initialize" | "ping" | "server/discover") {
        let message = format!("the first message is `{method}`, without a revision of its own");
        look.report(&FIRST, "", message, String::new());
    }
    if let Some(name) = own.and_then(Value::as_str) {
        if Revision::of(name).is_none_or(|revision| !revision.is_modern()) {
            let path = format!("params._meta[\"{}\"]", meta::PROTOCOL_VERSION);
            look.report_once(
                &REVISION,
                &path,
                format!("\"{name}\" is no revision that requests bring with them"),
                name.to_owned(),
            );
        }
        if look.talk.phase >= Phase::Answered {
            look.report_once(
                &MIXED,
                "",
                format!("`{method}` brings a revision although `initialize` was answered"),
                name.to_owned(),
            );
        }
        let supported = &look.side.supported;
        if !supported.is_empty() && !supported.iter().any(|known| &**known == name) && method != "server/discover" {
            look.report(&UNSUPPORTED, "", format!("the server does not list {name} among its revisions"), name.to_owned());
        }
        return;
    }
    match (method, look.talk.phase) {
        ("initialize", _) => initialize(look),
        ("ping", _) => {}
        (_, Phase::Asked) if !look.talk.has_gap => {
            let message = format!("`{method}` before `initialize` is answered");
            look.report_once(&EARLY_REQUEST, "", message, String::new());
        }
        (_, Phase::Answered) if !look.talk.has_gap => {
            let message = format!("`{method}` without `notifications/initialized` before it");
            look.report_once(&NO_INITIALIZED, "", message, String::new());
        }
        _ => {}
    }
}

fn initialize(look: &mut Look<'_>) {
    if look.talk.phase >= Phase::Answered {
        look.report(&TWICE, "", "`initialize` was answered before".to_owned(), String::new());
    }
    let Some(name) = look.message.param_text("protocolVersion") else { return };
    let (rule, message) = match Revision::of(name) {
        None => (&REVISION, format!("\"{name}\" is no revision")),
        Some(revision) if revision.is_modern() => (&MODERN_ASKED, format!("\"{name}\" has no `initialize`")),
        Some(_) => return,
    };
    look.report(rule, "params.protocolVersion", message, name.to_owned());
}

fn client_notification(look: &mut Look<'_>) {
    match look.message.method {
        "notifications/initialized" if look.talk.phase < Phase::Answered && !look.talk.has_gap => {
            let message = "`initialize` is not answered yet".to_owned();
            look.report(&EARLY_INITIALIZED, "", message, String::new());
        }
        "notifications/cancelled" => {
            let id = look.message.param("requestId").map_or(0, crate::lint::message::value_key);
            let is_initialize = look.talk.to_server.get(id).is_some_and(|open| &*open.asked.method == "initialize");
            if is_initialize && look.talk.phase == Phase::Asked {
                look.report(&CANCELLED, "params.requestId", "`initialize` must not be cancelled".to_owned(), String::new());
            }
        }
        _ => {}
    }
}

fn result(look: &mut Look<'_>) {
    let Some(open) = &look.asked else { return };
    if &*open.asked.method != "initialize" {
        return;
    }
    let Some(version) = look.message.result().and_then(|result| result.get("protocolVersion")) else { return };
    let Some(name) = version.as_str() else { return };
    let (asked, answered) = (open.asked.revision, Revision::of(name));
    match answered {
        Some(answered) if !answered.is_modern() => {
            if let Some(asked) = asked.filter(|asked| answered > *asked) {
                let message = format!("the client asked for {asked} and got {answered}");
                look.report(&NOT_REQUESTED, "result.protocolVersion", message, evidence(version));
            }
        }
        _ => {
            let message = format!("\"{name}\" is no revision that has `initialize`");
            look.report(&REVISION, "result.protocolVersion", message, evidence(version));
        }
    }
}

/// Remembers what was agreed on.
pub(super) fn note_result(look: &mut Look<'_>) {
    let Some(open) = &look.asked else { return };
    let Some(result) = look.message.result() else { return };
    match &*open.asked.method {
        "initialize" => {
            look.talk.phase = look.talk.phase.max(Phase::Answered);
            look.talk.revision = look.revision;
            look.talk.revision_name = result.get("protocolVersion").and_then(Value::as_str).map(Into::into);
            look.talk.server = result.get("capabilities").cloned().map(Arc::new);
        }
        "server/discover" => {
            look.side.discovered = result.get("capabilities").cloned().map(Arc::new);
            let versions = result.get("supportedVersions").and_then(Value::as_array);
            look.side.supported = versions.into_iter().flatten().filter_map(Value::as_str).take(64).map(Into::into).collect();
        }
        "logging/setLevel" => {
            look.talk.level = open.asked.kept.as_str().and_then(mcp_wire::methods::log_rank);
        }
        "resources/subscribe" => {
            if let Some(uri) = open.asked.kept.as_str().filter(|_| look.talk.subscriptions.len() < 4096) {
                look.talk.subscriptions.insert(uri.into());
            }
        }
        "resources/unsubscribe" => {
            if let Some(uri) = open.asked.kept.as_str() {
                look.talk.subscriptions.remove(uri);
            }
        }
        _ => {}
    }
}
