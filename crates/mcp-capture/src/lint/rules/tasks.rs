//! Tasks, in both designs.

use mcp_wire::Kind;
use mcp_wire::methods::meta;
use serde_json::Value;

use crate::lint::json::{at, evidence};
use crate::lint::output::Look;
use crate::lint::rule::Family::Tasks;
use crate::lint::rule::Severity::{Error, Warning};
use crate::lint::rule::{Revision, Rule};

/// The extension that has tasks since 2026-07-28.
const EXTENSION: &str = "io.modelcontextprotocol/tasks";

static UNSUPPORTED: Rule = Rule::new(
    "task-not-supported",
    Tasks,
    Error,
    "basic/utilities/tasks",
    "A task is asked for where the other side did not declare tasks",
    "The receiver ignores it and answers as usual, after the whole time, or with an error. Nobody has a task then.",
)
.since(Revision::R2025_11)
.until(Revision::R2025_11);
static FORBIDDEN: Rule = Rule::new(
    "task-forbidden",
    Tasks,
    Error,
    "basic/utilities/tasks",
    "A tool is called as a task that cannot be one",
    "A tool says with `execution.taskSupport` whether it can; without that it cannot. The server answers with an error.",
)
.since(Revision::R2025_11)
.until(Revision::R2025_11);
static REQUIRED: Rule = Rule::new(
    "task-required",
    Tasks,
    Error,
    "basic/utilities/tasks",
    "A tool is called without a task that works as one only",
    "The server must refuse it with the error that it does not know the method.",
)
.since(Revision::R2025_11)
.until(Revision::R2025_11);
static UNKNOWN: Rule = Rule::new(
    "unknown-task",
    Tasks,
    Warning,
    "basic/utilities/tasks",
    "A task is asked about that nobody made in this session",
    "It was made in another session, and a server that binds tasks to whoever made them refuses it; or its id is misspelt.",
)
.since(Revision::R2025_11);
static STATUS: Rule = Rule::new(
    "task-status-after-end",
    Tasks,
    Error,
    "basic/utilities/tasks",
    "A task that has ended has another status later",
    "`completed`, `failed` and `cancelled` are final. A client that saw the end has fetched the result and forgotten the task.",
)
.since(Revision::R2025_11);
static FIRST_STATUS: Rule = Rule::new(
    "task-begins-ended",
    Tasks,
    Warning,
    "basic/utilities/tasks",
    "A new task does not begin as `working`",
    "A task begins working. Clients that wait for a change of its status wait for one that was before they knew it.",
)
.since(Revision::R2025_11)
.until(Revision::R2025_11);
static RELATED: Rule = Rule::new(
    "related-task-missing",
    Tasks,
    Error,
    "basic/utilities/tasks",
    "The result of a task does not name it",
    "The result itself has no id of the task, so that `_meta` has to have it: it is how clients attribute it.",
)
.since(Revision::R2025_11)
.until(Revision::R2025_11);
static EXTENSION_MISSING: Rule = Rule::new(
    "task-without-extension",
    Tasks,
    Error,
    "basic/patterns",
    "The server answers with a task to a client that does not know tasks",
    "Since 2026-07-28 tasks are an extension, which each request declares. Other clients take the answer for an invalid one.",
)
.modern();
static CANCELLED: Rule = Rule::new(
    "task-cancelled-as-request",
    Tasks,
    Warning,
    "basic/utilities/tasks",
    "A request that made a task is cancelled by a notification",
    "It was answered with the task already, and nothing is cancelled. `tasks/cancel` cancels the task.",
)
.since(Revision::R2025_11);

pub(super) static RULES: &[&Rule] =
    &[&UNSUPPORTED, &FORBIDDEN, &REQUIRED, &UNKNOWN, &STATUS, &FIRST_STATUS, &RELATED, &EXTENSION_MISSING, &CANCELLED];

pub(super) fn check(look: &mut Look<'_>) {
    match look.message.kind {
        Kind::Request => request(look),
        Kind::Result => result(look),
        Kind::Notification => match look.message.method {
            "notifications/tasks" | "notifications/tasks/status" => {
                if let Some(params) = look.message.params() {
                    status(look, params, "params");
                }
            }
            "notifications/cancelled" => cancelled(look),
            _ => {}
        },
        Kind::Error => {}
    }
}

fn request(look: &mut Look<'_>) {
    let method = look.message.method;
    if look.revision == Some(Revision::R2025_11) {
        let is_task = look.message.param("task").is_some_and(Value::is_object);
        let path: &[&str] = match method {
            "tools/call" => &["tasks", "requests", "tools", "call"],
            "sampling/createMessage" => &["tasks", "requests", "sampling", "createMessage"],
            "elicitation/create" => &["tasks", "requests", "elicitation", "create"],
            _ => &[],
        };
        let other = if look.message.is_from_client() { look.server() } else { look.client() };
        let is_declared = other.as_ref().map(|capabilities| at(capabilities, path).is_some());
        if is_task && !path.is_empty() && is_declared == Some(false) {
            let message = format!("the capability `{}` was not declared", path.join("."));
            look.report(&UNSUPPORTED, "params.task", message, String::new());
        } else if method == "tools/call" {
            support(look, is_task, is_declared);
        }
    }
    if matches!(method, "tasks/get" | "tasks/result" | "tasks/cancel" | "tasks/update")
        && let Some(task) = look.message.param_text("taskId")
        // Modern requests may come on any connection.
        && !look.is_modern()
        && !look.talk.has_gap
        && !look.talk.tasks.contains_key(task)
        && look.talk.tasks.len() < 4096
    {
        look.report(&UNKNOWN, "params.taskId", "no task of this id was made in this session".to_owned(), task.to_owned());
    }
}

fn support(look: &mut Look<'_>, is_task: bool, is_declared: Option<bool>) {
    let owner = look.owner;
    let Some(name) = look.message.param_text("name") else { return };
    let Some(tool) = look.side.catalog(owner).tools.get(name).cloned() else { return };
    let related = [tool.sequence];
    match (is_task, tool.task_support.as_deref()) {
        (true, None | Some("forbidden")) => {
            let message = format!("`{name}` does not declare that it can be a task");
            look.report_with(&FORBIDDEN, "params.task", message, String::new(), &related);
        }
        (false, Some("required")) if is_declared == Some(true) => {
            let message = format!("`{name}` requires a task");
            look.report_with(&REQUIRED, "params.task", message, String::new(), &related);
        }
        _ => {}
    }
}

fn result(look: &mut Look<'_>) {
    let Some(open) = look.asked.clone() else { return };
    let Some(result) = look.message.result() else { return };
    match &*open.asked.method {
        "tasks/result" => {
            let id = result.get("_meta").and_then(|m| m.get(meta::RELATED_TASK)).and_then(|m| m.get("taskId"));
            let is_same = id.and_then(Value::as_str).is_some_and(|id| id == &*open.asked.name);
            if !is_same {
                let path = format!("result._meta[\"{}\"]", meta::RELATED_TASK);
                look.report(&RELATED, &path, format!("it does not name task {}", open.asked.name), String::new());
            }
        }
        "tasks/get" | "tasks/cancel" => status(look, result, "result"),
        "tasks/list" => {
            for (index, task) in result.get("tasks").and_then(Value::as_array).into_iter().flatten().enumerate() {
                status(look, task, &format!("result.tasks[{index}]"));
            }
        }
        _ if open.asked.is_task => {
            let Some(task) = result.get("task") else { return };
            let word = task.get("status").and_then(Value::as_str);
            if let Some(word) = word.filter(|word| *word != "working") {
                look.report(&FIRST_STATUS, "result.task.status", format!("the new task is `{word}`"), String::new());
            }
            if let Some(id) = task.get("taskId").and_then(Value::as_str) {
                look.talk.remember_task(id, word.is_some_and(has_ended));
            }
        }
        _ if result.get("resultType").and_then(Value::as_str) == Some("task") => {
            let client = look.client();
            let declares = client.as_deref().is_none_or(|client| at(client, &["extensions", EXTENSION]).is_some());
            if !declares {
                let message = format!("the client did not declare the extension `{EXTENSION}`");
                look.report(&EXTENSION_MISSING, "result.resultType", message, String::new());
            }
            if let Some(id) = result.get("taskId").and_then(Value::as_str) {
                look.talk.remember_task(id, false);
            }
        }
        _ => {}
    }
}

fn has_ended(word: &str) -> bool {
    matches!(word, "completed" | "failed" | "cancelled")
}

/// What is said of a task's status.
fn status(look: &mut Look<'_>, task: &Value, path: &str) {
    let (Some(id), Some(word)) = (task.get("taskId").and_then(Value::as_str), task.get("status").and_then(Value::as_str)) else {
        return;
    };
    let had_ended = look.talk.tasks.get(id).copied().unwrap_or(false);
    if had_ended && !has_ended(word) {
        let message = format!("the task had ended and is `{word}`");
        look.report(&STATUS, &format!("{path}.status"), message, evidence(task));
    }
    look.talk.remember_task(id, had_ended || has_ended(word));
}

fn cancelled(look: &mut Look<'_>) {
    let Some(id) = look.message.param("requestId") else { return };
    let direction = look.message.stamp.direction;
    let open = look.talk.requests(direction).get(crate::lint::message::value_key(id));
    if open.is_some_and(|open| open.asked.is_task) {
        let message = "the request made a task, which goes on".to_owned();
        look.report(&CANCELLED, "params.requestId", message, evidence(id));
    }
}
