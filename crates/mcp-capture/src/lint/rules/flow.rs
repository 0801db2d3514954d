//! Progress, cancellation and log messages.

use mcp_wire::Kind;
use mcp_wire::methods::{LOG_LEVELS, log_rank};
use serde_json::Value;

use crate::event::Direction;
use crate::lint::json::evidence;
use crate::lint::message::value_key;
use crate::lint::output::Look;
use crate::lint::rule::Family::Sequence;
use crate::lint::rule::Rule;
use crate::lint::rule::Severity::{Error, Info, Warning};
use crate::lint::state::State;

static TOKEN: Rule = Rule::new(
    "progress-without-token",
    Sequence,
    Error,
    "basic/utilities/progress",
    "Progress is told of a token that no request gave",
    "The client cannot know which request goes on, drops it, and may give the request up at its timeout although it goes on.",
);
static GROWS: Rule = Rule::new(
    "progress-not-growing",
    Sequence,
    Error,
    "basic/utilities/progress",
    "Progress does not grow",
    "The value increases with each notification. A bar that jumps back tells nothing, and clients that reset their timeout \
     with progress may take a value that stands still for a server that hangs.",
);
static LATE: Rule = Rule::new(
    "progress-after-answer",
    Sequence,
    Warning,
    "basic/utilities/progress",
    "Progress is told of a request that was answered",
    "Progress ends with the answer. The client has forgotten the token, and logs an error or takes it for another request's.",
);
static OVER: Rule = Rule::new(
    "progress-over-total",
    Sequence,
    Info,
    "basic/utilities/progress",
    "Progress is larger than its total",
    "A client that shows a share of the whole shows more than all of it.",
);
static TOKEN_TWICE: Rule = Rule::new(
    "progress-token-reused",
    Sequence,
    Error,
    "basic/utilities/progress",
    "Two open requests have the same progress token",
    "A token is unique among the open requests. Progress of one of them is shown for the other.",
);
static CANCEL_UNKNOWN: Rule = Rule::new(
    "cancel-unknown-request",
    Sequence,
    Warning,
    "basic/utilities/cancellation",
    "A request is cancelled that was never sent",
    "Nothing is cancelled: the request that was meant goes on. Mostly the id is spelt otherwise, as a number instead of a \
     string, or it is the other side's request.",
);
static CANCEL_HTTP: Rule = Rule::new(
    "cancel-over-http",
    Sequence,
    Warning,
    "basic/utilities/cancellation",
    "A request is cancelled by a notification over HTTP",
    "Since 2026-07-28 a request over HTTP is cancelled by closing its stream. The notification comes on a request of its own, \
     and nothing says which client sends it.",
)
.modern();
static ANSWER_CANCELLED: Rule = Rule::new(
    "answer-after-cancel",
    Sequence,
    Info,
    "basic/utilities/cancellation",
    "A request is answered although it was cancelled",
    "Both may have been under way at the same time, which is harmless. If it is so each time, the server does not stop the \
     work when it is cancelled.",
);
static REQUEST_CANCELLED: Rule = Rule::new(
    "request-after-cancel",
    Sequence,
    Warning,
    "basic/utilities/cancellation",
    "The server asks for something although all that it works on was cancelled",
    "Whoever cancelled is shown a question about work that is no longer wanted. A server that is cancelled stops asking.",
)
.legacy();
static LEVEL: Rule = Rule::new(
    "log-below-level",
    Sequence,
    Warning,
    "server/utilities/logging",
    "A log message is less severe than the client wants",
    "The client set a level to be spared of it. Each such message costs it time, and drowns those it asked for.",
);
static UNWANTED: Rule = Rule::new(
    "log-not-requested",
    Sequence,
    Error,
    "server/utilities/logging",
    "A log message is sent although no request asks for any",
    "Since 2026-07-28 a request says which log messages it wants, and without that it gets none.",
)
.modern();

pub(super) static RULES: &[&Rule] = &[
    &TOKEN,
    &GROWS,
    &LATE,
    &OVER,
    &TOKEN_TWICE,
    &CANCEL_UNKNOWN,
    &CANCEL_HTTP,
    &ANSWER_CANCELLED,
    &REQUEST_CANCELLED,
    &LEVEL,
    &UNWANTED,
];

pub(super) fn check(look: &mut Look<'_>) {
    let is_from_client = look.message.is_from_client();
    match (look.message.kind, look.message.method) {
        (Kind::Request, method) => {
            token(look);
            if !is_from_client && matches!(method, "sampling/createMessage" | "elicitation/create") {
                orphan(look);
            }
        }
        (Kind::Notification, "notifications/progress") => progress(look),
        (Kind::Notification, "notifications/cancelled") => cancelled(look),
        (Kind::Notification, "notifications/message") if !is_from_client => log(look),
        (Kind::Result | Kind::Error, _) => {
            if let Some(open) = look.asked.as_ref().filter(|open| open.state == State::Cancelled) {
                let message = format!("request {} was cancelled before", open.asked.sequence);
                // The graceful end of a subscription is an answer to what was cancelled.
                if &*open.asked.method != "subscriptions/listen" {
                    look.report(&ANSWER_CANCELLED, "id", message, String::new());
                }
            }
        }
        _ => {}
    }
}

fn token(look: &mut Look<'_>) {
    let Some(value) = look.message.meta("progressToken") else { return };
    let (key, direction) = (value_key(value), look.message.stamp.direction);
    let other = look
        .talk
        .requests(direction)
        .by_token(key)
        .filter(|open| open.state == State::Waiting && !open.asked.is_task)
        .map(|open| open.asked.sequence);
    if let Some(sequence) = other {
        let message = format!("request {sequence} has the same token and is open");
        look.report_with(&TOKEN_TWICE, "params._meta.progressToken", message, evidence(value), &[sequence]);
    }
}

fn progress(look: &mut Look<'_>) {
    let (Some(token), Some(value)) = (look.message.param("progressToken"), look.message.param("progress")) else { return };
    let (Some(progress), now) = (value.as_f64(), look.message.stamp.at) else { return };
    if let Some(total) = look.message.param("total").and_then(Value::as_f64)
        && total > 0.0
        && progress > total
    {
        look.report(&OVER, "params.progress", format!("{progress} of {total}"), String::new());
    }
    let direction = look.message.stamp.direction.reversed();
    let proves_nothing = look.talk.has_gap || look.talk.requests(direction).has_forgotten;
    let Some(open) = look.talk.requests(direction).by_token(value_key(token)) else {
        if !proves_nothing {
            look.report(&TOKEN, "params.progressToken", format!("no request gave the token {token}"), evidence(token));
        }
        return;
    };
    let (asked, state) = (std::sync::Arc::clone(&open.asked), open.state);
    let before = open.progress.replace(progress);
    open.heard = now;
    let related = [asked.sequence];
    if state == State::Answered && !asked.is_task {
        let message = format!("request {} was answered before", asked.sequence);
        look.report_with(&LATE, "params.progressToken", message, evidence(token), &related);
    } else if let Some(before) = before.filter(|before| progress <= *before) {
        let message = format!("the progress is {progress} and was {before}");
        look.report_with(&GROWS, "params.progress", message, evidence(value), &related);
    }
}

fn cancelled(look: &mut Look<'_>) {
    let Some(id) = look.message.param("requestId") else { return };
    if look.is_http && look.is_modern() && look.message.is_from_client() {
        let message = "over HTTP the stream of the request is closed instead".to_owned();
        look.report(&CANCEL_HTTP, "method", message, evidence(id));
        return;
    }
    let direction = look.message.stamp.direction;
    let requests = look.talk.requests(direction);
    let (is_known, forgotten) =
        (requests.was_used(value_key(id)) || requests.get(value_key(id)).is_some(), requests.has_forgotten);
    // A modern server ends a subscription by the client's id.
    let is_listen = look
        .talk
        .requests(direction.reversed())
        .get(value_key(id))
        .is_some_and(|open| &*open.asked.method == "subscriptions/listen");
    if !is_known && !is_listen && !forgotten && !look.talk.has_gap {
        let message = format!("no request with the id {id} was sent this way");
        look.report(&CANCEL_UNKNOWN, "params.requestId", message, evidence(id));
    }
}

/// A question of the server while nothing is open that it could be about.
fn orphan(look: &mut Look<'_>) {
    let requests = &look.talk.to_server;
    let is_of_task = look.message.meta(mcp_wire::methods::meta::RELATED_TASK).is_some();
    if requests.waiting > 0 || is_of_task || look.talk.has_gap || look.is_modern() {
        return;
    }
    let last = look.talk.to_server.last();
    if let Some((State::Cancelled, sequence)) = last {
        let message = format!("`{}` after request {sequence} was cancelled, and nothing else is open", look.message.method);
        look.report_with(&REQUEST_CANCELLED, "method", message, String::new(), &[sequence]);
    }
}

fn log(look: &mut Look<'_>) {
    let Some(level) = look.message.param("level") else { return };
    let Some(rank) = level.as_str().and_then(log_rank) else { return };
    if look.is_modern() {
        let requests = look.talk.requests(Direction::ToServer);
        // On one pipe it is not said which request it belongs to.
        let wanted = requests.waiting().filter_map(|open| open.asked.level).min();
        let (has_gap, forgotten) = (look.talk.has_gap, look.talk.to_server.has_forgotten);
        match wanted {
            None if !has_gap && !forgotten => {
                let message = "no open request asks for log messages".to_owned();
                look.report(&UNWANTED, "method", message, evidence(level));
            }
            Some(wanted) if rank < wanted => {
                let message = format!("`{}` is below `{}`", LOG_LEVELS[rank], LOG_LEVELS[wanted]);
                look.report(&LEVEL, "params.level", message, evidence(level));
            }
            _ => {}
        }
    } else if let Some(wanted) = look.talk.level.filter(|wanted| rank < *wanted) {
        let message = format!("`{}` is below `{}`, which the client set", LOG_LEVELS[rank], LOG_LEVELS[wanted]);
        look.report(&LEVEL, "params.level", message, evidence(level));
    }
}
