//! The Tasks extension of the modern era: tools that answer with a task when their client knows what that is.

use std::time::Duration;

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolResponse, CallToolResult, ClientCapabilities, CreateTaskResult, InputRequest, InputResponses, JsonObject},
    service::RequestContext,
    task_manager::{TaskContext, TaskExit, TaskFuture, TaskOptions},
};
use serde_json::{Value, json};

use crate::{
    answers::{failure, text},
    server::Fixture,
    steps::{form, told},
};

/// Tools of this module: name, what it says about itself, the properties of its arguments.
pub(crate) fn list() -> [(&'static str, &'static str, Value); 7] {
    let string = json!({"type": "string"});
    [
        ("greet", "Greets, at once", json!({"name": string})),
        ("slow_compute", "Takes as many seconds as it is told", json!({"seconds": {"type": "number"}, "label": string})),
        ("failing_job", "Fails after a second, as a task only", json!({})),
        ("protocol_error_job", "Ends in a protocol error", json!({})),
        ("confirm_delete", "Asks before it deletes nothing", json!({"filename": string})),
        ("multi_input", "Asks for two things at once", json!({})),
        ("test_tool_with_task", "Asks first and becomes a task then", json!({})),
    ]
}

/// The answer of a tool of this module, or nothing if it is none.
pub(crate) async fn call(
    fixture: &Fixture,
    tool: &str,
    arguments: &JsonObject,
    responses: Option<&InputResponses>,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let able = context.client_capabilities().is_some_and(|declared| declared.supports_tasks());
    let begin = |work: Work| {
        let options = TaskOptions::new().with_poll_interval_ms(100);
        let task = fixture.common.tasks.spawn(options, |task| -> TaskFuture { Box::pin(work.run(task)) });
        Ok(CreateTaskResult::new(task).into())
    };
    let given = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or("nobody").to_owned();
    Some(match tool {
        "greet" => Ok(text(format!("Hello, {}!", given("name"))).into()),
        "slow_compute" => {
            let seconds = arguments.get("seconds").and_then(Value::as_f64).unwrap_or(1.0).clamp(0.0, 60.0);
            let pause = Duration::from_secs_f64(seconds);
            if able {
                begin(Work::Sleep(pause))
            } else {
                // Nobody can look in on it: a token second will do.
                let pause = pause.min(Duration::from_secs(1));
                tokio::time::sleep(pause).await;
                Ok(computed(pause).into())
            }
        }
        "failing_job" | "test_tool_with_task" if !able => {
            Err(ErrorData::missing_required_client_capability(ClientCapabilities::builder().enable_tasks().build()))
        }
        "failing_job" => begin(Work::Fail),
        "protocol_error_job" if able => begin(Work::Break),
        "protocol_error_job" => Err(broken()),
        // Without tasks these two ask like any other tool.
        "confirm_delete" if able => begin(Work::Confirm(given("filename"))),
        "multi_input" if able => begin(Work::AskTwo),
        "test_tool_with_task" => {
            let name = responses.and_then(|responses| told(responses.get("user_name")?, "name"));
            match name {
                Some(name) => begin(Work::Greet(name)),
                None => Ok(rmcp::model::InputRequiredResult::from_input_requests(
                    [("user_name".to_owned(), form("What is your name?", &json!({"name": {"type": "string"}})))].into(),
                )
                .into()),
            }
        }
        _ => return None,
    })
}

/// What a task does.
enum Work {
    Sleep(Duration),
    Fail,
    Break,
    Confirm(String),
    AskTwo,
    Greet(String),
}

impl Work {
    async fn run(self, task: TaskContext) -> Result<CallToolResult, TaskExit> {
        match self {
            Self::Sleep(pause) => tokio::select! {
                () = task.cancelled() => Err(TaskExit::Cancelled),
                () = tokio::time::sleep(pause) => Ok(computed(pause)),
            },
            Self::Fail => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(failure("This job always fails"))
            }
            Self::Break => Err(TaskExit::Error(broken())),
            Self::Confirm(file) => {
                let answer = task.request_input("confirm", confirmation(&file)).await?;
                Ok(text(format!("{file}: {}", answer["action"].as_str().unwrap_or("no answer"))))
            }
            Self::AskTwo => {
                let [first, second] = two_questions();
                let (first, second) =
                    tokio::try_join!(task.request_input(first.0, first.1), task.request_input(second.0, second.1))?;
                Ok(text(format!("{} and {}", first["action"], second["action"])))
            }
            Self::Greet(name) => Ok(text(format!("Hello, {name}!"))),
        }
    }
}

fn computed(pause: Duration) -> CallToolResult {
    text(format!("Computed for {} s", pause.as_secs_f64()))
}

fn broken() -> ErrorData {
    ErrorData::internal_error("this job breaks the protocol", None)
}

pub(crate) fn confirmation(file: &str) -> InputRequest {
    form(&format!("Delete {file}?"), &json!({"confirm": {"type": "boolean"}}))
}

pub(crate) fn two_questions() -> [(&'static str, InputRequest); 2] {
    let field = json!({"value": {"type": "string"}});
    [("first", form("The first?", &field)), ("second", form("The second?", &field))]
}
