//! Members of params and results, compared with the table of the revision.

use mcp_wire::Kind;
use mcp_wire::methods::is_nestable;
use serde_json::Value;

use crate::lint::output::Look;
use crate::lint::rule::Family::Shape;
use crate::lint::rule::Severity::{Error, Warning};
use crate::lint::rule::{Revision, Rule};
use crate::lint::shape::{self, Fault, Known, Wrong};

static MISSING: Rule = Rule::new(
    "missing-member",
    Shape,
    Error,
    "schema",
    "A member is missing that the revision requires",
    "Typed clients and servers refuse the whole message when one required member is missing, and the user reads that the \
     server is broken.",
);
static TYPE: Rule = Rule::new(
    "wrong-type",
    Shape,
    Error,
    "schema",
    "A member has a value of the wrong type",
    "Typed clients and servers refuse the whole message because of it: a list of fifty tools is lost by one of them.",
);
static WORD: Rule = Rule::new(
    "unknown-word",
    Shape,
    Error,
    "schema",
    "A member has a word that the revision does not know",
    "The revision lists the words that may stand there. Typed peers refuse the message, others ignore what they do not know.",
);
static NULL: Rule = Rule::new(
    "null-member",
    Shape,
    Warning,
    "schema",
    "A member is null instead of being left out",
    "Optional members are left out. The official TypeScript library refuses a message with null in such a place; others take \
     it for missing.",
);

pub(super) static RULES: &[&Rule] = &[&MISSING, &TYPE, &WORD, &NULL];

pub(super) fn is_known_request(method: &str) -> bool {
    !method.starts_with("notifications/")
        && Revision::ALL.into_iter().any(|revision| matches!(shape::known(method, revision), Known::Yes(_)))
}

pub(super) fn check(look: &mut Look<'_>) {
    let Some(revision) = look.revision else { return };
    match look.message.kind {
        Kind::Request | Kind::Notification => {
            let faults = shape::params(look.message.method, revision, look.message.params());
            tell(look, faults, "");
        }
        Kind::Result => {
            let Some(open) = &look.asked else { return };
            let result = look.message.result();
            let word = result.and_then(|result| result.get("resultType")).and_then(Value::as_str);
            // What asks for input, or is a task, has another shape; so has an answer to a request for a task.
            if word.is_some_and(|word| word != "complete") || open.asked.is_task {
                return;
            }
            if result.is_some_and(|result| result.get("task").is_some()) && is_nestable(&open.asked.method) {
                return;
            }
            let method = open.asked.method.clone();
            tell(look, shape::result(&method, revision, result), "");
        }
        Kind::Error => {}
    }
}

/// Reports what is wrong with a value; `below` stands in the place of the path's first step.
pub(super) fn tell(look: &mut Look<'_>, faults: Vec<Fault>, below: &str) {
    for fault in faults {
        let rule = match fault.wrong {
            Wrong::Missing => &MISSING,
            Wrong::Null => &NULL,
            Wrong::Type => &TYPE,
            Wrong::Word => &WORD,
        };
        if below.is_empty() {
            look.report(rule, &fault.path, fault.message, fault.evidence);
        } else {
            let (first, rest) = fault.path.split_once('.').unwrap_or((&fault.path, ""));
            let path = if rest.is_empty() { below.to_owned() } else { format!("{below}.{rest}") };
            let message = fault.message.replace(&format!("`{first}"), &format!("`{below}"));
            look.report(rule, &path, message, fault.evidence);
        }
    }
}
