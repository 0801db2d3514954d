//! Methods: whether the revision has them, and who may send them.

use mcp_wire::Kind;
use serde_json::Value;

use crate::event::Direction;
use crate::lint::engine::sender;
use crate::lint::json::evidence;
use crate::lint::output::Look;
use crate::lint::rule::Family::Sequence;
use crate::lint::rule::Severity::{Error, Info};
use crate::lint::rule::{Revision, Rule};
use crate::lint::shape::{Known, Sender, known, revisions_of};

static OTHER_REVISION: Rule = Rule::new(
    "method-of-other-revision",
    Sequence,
    Error,
    "changelog",
    "A method is used that the agreed revision does not have",
    "The other side knows the revision that was agreed on, and answers that it does not know the method, or ignores it.",
);
static UNKNOWN: Rule = Rule::new(
    "unknown-method",
    Sequence,
    Info,
    "basic",
    "A method is used that no revision has",
    "Methods of one's own work between programs that know each other. Others answer with an error. A name with a prefix of \
     one's own cannot collide with a later revision.",
);
static DIRECTION: Rule = Rule::new(
    "wrong-direction",
    Sequence,
    Error,
    "basic",
    "A message is sent by the wrong side",
    "Only servers offer tools and only clients have models. Nobody on the other side listens for this.",
);
static SERVER_REQUEST: Rule = Rule::new(
    "server-request-in-modern",
    Sequence,
    Error,
    "basic/patterns/mrtr",
    "The server sends a request",
    "Since 2026-07-28 servers ask in their answers (`input_required`), because there is no lasting connection a request could \
     come on. Clients refuse or ignore it.",
)
.modern();
static CLIENT_ANSWER: Rule = Rule::new(
    "client-answer-in-modern",
    Sequence,
    Error,
    "basic/patterns/mrtr",
    "The client sends an answer",
    "Since 2026-07-28 a client answers what a server asks by sending its request again with `inputResponses`.",
)
.modern();
static DEPRECATED: Rule = Rule::new(
    "deprecated-feature",
    Sequence,
    Info,
    "deprecated",
    "A feature is used that is deprecated",
    "It works and will be removed, in 2027-07-28 at the earliest. New programs do without.",
)
.modern();
static CONTEXT: Rule = Rule::new(
    "deprecated-include-context",
    Sequence,
    Info,
    "client/sampling",
    "`includeContext` asks for more than `none`",
    "The values `thisServer` and `allServers` are deprecated since 2025-11-25, and most clients ignore them.",
)
.since(Revision::R2025_11);

pub(super) static RULES: &[&Rule] =
    &[&OTHER_REVISION, &UNKNOWN, &DIRECTION, &SERVER_REQUEST, &CLIENT_ANSWER, &DEPRECATED, &CONTEXT];

pub(super) fn check(look: &mut Look<'_>) {
    match look.message.kind {
        Kind::Result | Kind::Error => {
            // An answer to what the server may not have asked is told of the question.
            if look.is_modern() && look.message.is_from_client() && look.asked.is_none() {
                look.report(&CLIENT_ANSWER, "", "the client sends an answer".to_owned(), String::new());
            }
        }
        Kind::Request | Kind::Notification => method(look),
    }
}

fn method(look: &mut Look<'_>) {
    let method = look.message.method;
    let direction = look.message.stamp.direction;
    if look.is_modern() && look.message.kind == Kind::Request && direction == Direction::ToClient {
        look.report(&SERVER_REQUEST, "method", format!("the server sends the request `{method}`"), String::new());
        return;
    }
    let Some(revision) = look.revision else { return };
    // Whoever probes with this wants to know whether the other side has it.
    let is_probe = method == "server/discover" || (method == "initialize" && revision.is_modern());
    match known(method, revision) {
        Known::Yes(by) => {
            let is_right = matches!(
                (by, direction),
                (Sender::Both, _) | (Sender::Client, Direction::ToServer) | (Sender::Server, Direction::ToClient)
            );
            if !is_right {
                look.report(&DIRECTION, "method", format!("the {} sends `{method}`", sender(direction)), String::new());
            }
        }
        Known::Elsewhere(_) if is_probe => {}
        Known::Elsewhere(_) => {
            let message = format!("`{method}` is of {} and not of {revision}", revisions_of(method));
            look.report(&OTHER_REVISION, "method", message, String::new());
        }
        Known::No => {
            // Extensions have methods of their own.
            let is_of_extension =
                method.starts_with("skills/") || method == "resources/directory/read" || method.starts_with("ui/");
            if !is_of_extension {
                look.report_once(&UNKNOWN, "method", format!("`{method}` is in no revision"), String::new());
            }
        }
    }
    if revision.is_modern() && method == "notifications/message" {
        look.report_once(&DEPRECATED, "method", "logging is deprecated".to_owned(), String::new());
    }
    if method == "sampling/createMessage" {
        context(look, "params.includeContext", look.message.param("includeContext"));
    }
}

/// Looks at one member of a request for a completion.
pub(super) fn context(look: &mut Look<'_>, path: &str, value: Option<&Value>) {
    if let Some(value) = value.filter(|value| matches!(value.as_str(), Some("thisServer" | "allServers"))) {
        look.report(&CONTEXT, path, format!("`includeContext` is {value}"), evidence(value));
    }
}

/// A server asks for what is deprecated.
pub(super) fn deprecated(look: &mut Look<'_>, path: &str, method: &str) {
    if matches!(method, "roots/list" | "sampling/createMessage") {
        look.report_once(&DEPRECATED, path, format!("`{method}` is deprecated"), String::new());
    }
}
