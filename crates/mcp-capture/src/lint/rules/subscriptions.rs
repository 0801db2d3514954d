//! Subscriptions to resources, and the streams of `subscriptions/listen`.

use mcp_wire::Kind;
use mcp_wire::methods::meta;
use serde_json::Value;

use crate::event::Direction;
use crate::lint::json::evidence;
use crate::lint::message::value_key;
use crate::lint::output::Look;
use crate::lint::rule::Family::Sequence;
use crate::lint::rule::Rule;
use crate::lint::rule::Severity::{Error, Warning};

static UNSUBSCRIBED: Rule = Rule::new(
    "update-without-subscription",
    Sequence,
    Warning,
    "server/resources",
    "A change is told of a resource the client did not subscribe to",
    "The client has nothing to update. A server that tells everything to everybody costs each client the time to read it.",
);
static NO_ID: Rule = Rule::new(
    "subscription-id-missing",
    Sequence,
    Error,
    "basic/patterns/subscriptions",
    "A notification of changes names no subscription",
    "Since 2026-07-28 changes are told on a stream the client opened, and name it. On a shared pipe the client cannot know \
     which of its subscriptions this is about.",
)
.modern();
static WRONG_ID: Rule = Rule::new(
    "subscription-unknown",
    Sequence,
    Error,
    "basic/patterns/subscriptions",
    "A notification names a subscription that is not open",
    "The id is that of the request `subscriptions/listen`, spelt as the client spelt it. The client drops what it cannot \
     attribute.",
)
.modern();
static NO_ACKNOWLEDGEMENT: Rule = Rule::new(
    "subscription-not-acknowledged",
    Sequence,
    Error,
    "basic/patterns/subscriptions",
    "The first message of a subscription does not acknowledge it",
    "The acknowledgement says which of the wishes are granted. Without it the client does not know whether silence means that \
     nothing changed.",
)
.modern();
static NOT_WANTED: Rule = Rule::new(
    "subscription-not-requested",
    Sequence,
    Error,
    "basic/patterns/subscriptions",
    "A subscription brings what was not asked for",
    "The client chose what it wants to hear of. The rest is dropped, or is taken for what it had asked for.",
)
.modern();

pub(super) static RULES: &[&Rule] = &[&UNSUBSCRIBED, &NO_ID, &WRONG_ID, &NO_ACKNOWLEDGEMENT, &NOT_WANTED];

/// The member of a filter that asks for a notification.
fn wish(method: &str) -> Option<&'static str> {
    Some(match method {
        "notifications/tools/list_changed" => "toolsListChanged",
        "notifications/prompts/list_changed" => "promptsListChanged",
        "notifications/resources/list_changed" => "resourcesListChanged",
        "notifications/resources/updated" => "resourceSubscriptions",
        _ => return None,
    })
}

pub(super) fn check(look: &mut Look<'_>) {
    if look.message.kind != Kind::Notification || look.message.is_from_client() {
        return;
    }
    let method = look.message.method;
    if look.is_modern() {
        if wish(method).is_some() || method == "notifications/subscriptions/acknowledged" {
            modern(look, method);
        }
        return;
    }
    if method != "notifications/resources/updated" || look.revision.is_none() || look.talk.has_gap {
        return;
    }
    let Some(uri) = look.message.param_text("uri") else { return };
    // What is told of may lie below what was subscribed to, and a subscription may not be answered yet.
    let is_wanted = look.talk.subscriptions.iter().any(|known| uri.starts_with(&**known))
        || look.talk.to_server.waiting().any(|open| &*open.asked.method == "resources/subscribe")
        || look.talk.subscriptions.len() >= 4096;
    if !is_wanted {
        let message = "the client did not subscribe to it".to_owned();
        look.report(&UNSUBSCRIBED, "params.uri", message, uri.to_owned());
    }
}

fn modern(look: &mut Look<'_>, method: &str) {
    let path = format!("params._meta[\"{}\"]", meta::SUBSCRIPTION_ID);
    let Some(id) = look.message.meta(meta::SUBSCRIPTION_ID) else {
        look.report(&NO_ID, &path, format!("`{method}` names no subscription"), String::new());
        return;
    };
    let params = look.message.params();
    let proves_nothing = look.talk.has_gap;
    let open = look.talk.requests(Direction::ToServer).get_mut(value_key(id));
    let Some(open) = open.filter(|open| &*open.asked.method == "subscriptions/listen") else {
        if !proves_nothing {
            look.report(&WRONG_ID, &path, format!("no subscription has the id {id}"), evidence(id));
        }
        return;
    };
    let (asked, related) = (std::sync::Arc::clone(&open.asked), [open.asked.sequence]);
    if method == "notifications/subscriptions/acknowledged" {
        let granted = params.and_then(|params| params.get("notifications")).cloned().unwrap_or(Value::Null);
        let extra: Vec<String> = granted
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, value)| !matches!(value, Value::Bool(false) | Value::Null) && !is_wished(&asked.kept, key))
            .map(|(key, _)| key.clone())
            .collect();
        open.acknowledged = Some(granted);
        if let Some(key) = extra.first() {
            let message = format!("`{key}` is granted and was not asked for");
            look.report_with(&NOT_WANTED, &format!("params.notifications.{key}"), message, String::new(), &related);
        }
        return;
    }
    let is_new = !std::mem::replace(&mut open.is_reported, true);
    if open.acknowledged.is_none() && is_new {
        let message = format!("`{method}` before the acknowledgement");
        look.report_with(&NO_ACKNOWLEDGEMENT, "method", message, String::new(), &related);
    }
    if wish(method).is_some_and(|wish| !is_wished(&asked.kept, wish)) {
        let message = format!("the filter of subscription {id} does not ask for `{method}`");
        look.report_with(&NOT_WANTED, "method", message, evidence(&asked.kept), &related);
    }
}

fn is_wished(filter: &Value, key: &str) -> bool {
    // A key of a later extension cannot be judged.
    let is_known = matches!(key, "toolsListChanged" | "promptsListChanged" | "resourcesListChanged" | "resourceSubscriptions");
    !is_known || filter.get(key).is_some_and(|value| !matches!(value, Value::Bool(false) | Value::Null))
}
