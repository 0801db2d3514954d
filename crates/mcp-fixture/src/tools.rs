//! Tools: the list, and what a call of each does.

use std::{sync::atomic::Ordering, time::Duration};

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequestParams, CallToolResponse, ClientCapabilities, JsonObject, LoggingLevel, LoggingMessageNotificationParam,
        ProgressNotificationParam, Tool,
    },
    service::RequestContext,
    transport::common::http_header::HEADER_SESSION_ID,
};
use serde_json::{Value, json};

use crate::{
    answers::{self, failure, text, unknown},
    ask::{self, Asking, Step, is_modern},
    resources::WATCHED,
    server::{Change, Fixture},
    steps, tasks,
};

/// The pause that lets a client tell two notifications apart.
const PAUSE: Duration = Duration::from_millis(50);

/// Arguments that may be left out.
const OPTIONAL: [&str; 4] = ["priority", "seconds", "label", "filename"];

/// Every tool, always in this order.
pub(crate) fn list() -> Vec<Tool> {
    let plain = [
        ("test_simple_text", "Returns a text"),
        ("test_image_content", "Returns an image"),
        ("test_audio_content", "Returns a sound"),
        ("test_embedded_resource", "Returns a resource"),
        ("test_multiple_content_types", "Returns a text, an image and a resource"),
        ("test_error_handling", "Fails, and says so in its result"),
        ("test_tool_with_progress", "Reports progress three times"),
        ("test_tool_with_logging", "Logs three lines"),
        ("test_logging_tool", "Logs a line"),
        ("test_trigger_tool_change", "Announces that the list of tools changed"),
        ("test_trigger_prompt_change", "Announces that the list of prompts changed"),
        ("test_reconnection", "Closes the stream before it answers, where there is one"),
        ("test_elicitation_sep1034_defaults", "Asks for a form with defaults"),
        ("test_elicitation_sep1330_enums", "Asks for a form with choices"),
        ("test_input_required_result_elicitation", "Asks for a name"),
        ("test_input_required_result_sampling", "Asks a model"),
        ("test_input_required_result_list_roots", "Asks for the roots"),
        ("test_input_required_result_request_state", "Asks, and wants its state back"),
        ("test_input_required_result_multiple_inputs", "Asks for a name, a model and the roots at once"),
        ("test_input_required_result_multi_round", "Asks twice"),
        ("test_input_required_result_tampered_state", "Asks, and refuses a state that is not its own"),
        ("test_input_required_result_capabilities", "Asks for what the client can do"),
        ("test_missing_capability", "Works for clients with a model only"),
        ("test_streaming_elicitation", "Asks for a name"),
        ("count", "Reports progress three times"),
        ("touch", "Announces that the watched resource changed"),
    ];
    let mut tools: Vec<Value> = plain
        .iter()
        .map(|(name, about)| json!({"name": name, "description": about, "inputSchema": {"type": "object", "properties": {}}}))
        .collect();
    let string = json!({"type": "string"});
    let number = json!({"type": "number"});
    let with = [
        ("test_sampling", "Asks a model", json!({"prompt": string})),
        ("test_elicitation", "Asks for a form", json!({"message": string})),
        ("echo", "Returns the text it is given", json!({"text": string})),
        ("add", "Adds two numbers", json!({"a": number, "b": number})),
        ("ask", "Asks the user", json!({"question": string})),
        ("think", "Asks a model", json!({"prompt": string})),
        (
            "test_header",
            "Returns the region it is given, which a client also puts into a header",
            json!({
                "region": {"type": "string", "x-mcp-header": "Region"},
                "priority": {"type": "integer", "x-mcp-header": "Priority"}
            }),
        ),
    ];
    for (name, about, properties) in with.into_iter().chain(tasks::list()) {
        let names = properties.as_object().into_iter().flat_map(serde_json::Map::keys);
        let required: Vec<&String> = names.filter(|name| !OPTIONAL.contains(&name.as_str())).collect();
        let schema = json!({"type": "object", "properties": properties, "required": required});
        tools.push(json!({"name": name, "description": about, "inputSchema": schema}));
    }
    tools.push(json!({
        "name": "json_schema_2020_12_tool",
        "description": "Has a schema that uses what JSON Schema 2020-12 offers",
        "inputSchema": keywords()
    }));
    serde_json::from_value(Value::Array(tools)).expect("literals of this crate")
}

/// Keywords that a careless copy of a schema loses.
fn keywords() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {
            "$anchor": "postal",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}}
        }},
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "reach": {"enum": ["phone", "mail"]},
            "phone": {"type": "string"},
            "mail": {"type": "string"}
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["mail"]}]}],
        "if": {"properties": {"reach": {"const": "phone"}}, "required": ["reach"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["mail"]},
        "additionalProperties": false
    })
}

pub(crate) async fn call(
    fixture: &Fixture,
    call: CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let tool = call.name.as_ref();
    if let Some(result) = answers::fixed(tool) {
        return Ok(result.into());
    }
    let arguments = call.arguments.unwrap_or_default();
    if let Some(answer) = tasks::call(fixture, tool, &arguments, call.input_responses.as_ref(), context).await {
        return answer;
    }
    match tool {
        "echo" => return Ok(text(string(&arguments, "text")?).into()),
        "add" => return Ok(text((number(&arguments, "a")? + number(&arguments, "b")?).to_string()).into()),
        "test_header" => return Ok(text(string(&arguments, "region")?).into()),
        "json_schema_2020_12_tool" => return Ok(text("The arguments are taken as they are.").into()),
        "count" | "test_tool_with_progress" => return progress(context).await,
        "test_tool_with_logging" => {
            for (index, line) in ["Tool execution started", "Tool processing data", "Tool execution completed"].iter().enumerate()
            {
                if index > 0 {
                    tokio::time::sleep(PAUSE).await;
                }
                log(fixture, context, line).await?;
            }
            return Ok(text("Three lines were logged.").into());
        }
        "test_logging_tool" => {
            log(fixture, context, "A line for whoever asked for it").await?;
            return Ok(text("A line was logged.").into());
        }
        "test_trigger_tool_change" => fixture.common.announce(Change::Tools),
        "test_trigger_prompt_change" => fixture.common.announce(Change::Prompts),
        "touch" => fixture.common.announce(Change::Resource(WATCHED.to_owned())),
        "test_missing_capability" => {
            if context.client_capabilities().is_none_or(|declared| declared.sampling.is_none()) {
                let wanted = ClientCapabilities::builder().enable_sampling().build();
                return Err(ErrorData::missing_required_client_capability(wanted));
            }
            return Ok(text("The client has a model.").into());
        }
        "test_reconnection" => {
            close_streams(fixture, context).await;
            tokio::time::sleep(2 * PAUSE).await;
            return Ok(text("This answer came after the stream was closed.").into());
        }
        _ => return nested(fixture, tool, &arguments, call.input_responses, call.request_state, context).await,
    }
    Ok(text("The change was announced.").into())
}

async fn nested(
    fixture: &Fixture,
    tool: &str,
    arguments: &JsonObject,
    responses: Option<rmcp::model::InputResponses>,
    state: Option<String>,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let asking = Asking {
        responses: responses.unwrap_or_default(),
        state,
        capabilities: context.client_capabilities().unwrap_or_default(),
    };
    let step = |asking: &Asking| steps::of(fixture, tool, arguments, asking).unwrap_or_else(|| Err(unknown("tool", tool)));
    Ok(match ask::until_done(context, asking, step).await? {
        Step::Done(said) => text(said).into(),
        Step::Failed(why) => failure(why).into(),
        Step::Ask(required) | Step::AskAny(required) => required.into(),
    })
}

async fn progress(context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
    let token = context.meta.get_progress_token();
    for (index, done) in [0.0, 50.0, 100.0].into_iter().enumerate() {
        if index > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        if let Some(token) = &token {
            let progress = ProgressNotificationParam::new(token.clone(), done)
                .with_total(100.0)
                .with_message(format!("Completed step {done} of 100"));
            context.peer.notify_progress(progress).await.map_err(gone)?;
        }
    }
    // Clients forget who waits for progress as soon as the answer is read, and on a busy machine they read both at once.
    tokio::time::sleep(6 * PAUSE).await;
    Ok(text("All steps are done.").into())
}

/// Logs at level info, if the client wants that: in the modern era only for a request that says so.
async fn log(fixture: &Fixture, context: &RequestContext<RoleServer>, line: &str) -> Result<(), ErrorData> {
    let wanted = if is_modern(context) {
        context.meta.log_level()
    } else {
        let set = *fixture.conversation.level.lock().expect("no panic while it is held");
        Some(set.unwrap_or(LoggingLevel::Debug))
    };
    if !matches!(wanted, Some(LoggingLevel::Debug | LoggingLevel::Info)) {
        return Ok(());
    }
    let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(line)).with_logger("mcp-fixture");
    context.peer.notify_logging_message(message).await.map_err(gone)
}

/// Closes the streams of this HTTP session, so that the client has to come back for the answer.
async fn close_streams(fixture: &Fixture, context: &RequestContext<RoleServer>) {
    let Some(sessions) = &fixture.common.sessions else { return };
    let session = context
        .extensions
        .get::<hyper::http::request::Parts>()
        .and_then(|parts| parts.headers.get(HEADER_SESSION_ID)?.to_str().ok().map(str::to_owned));
    let Some(session) = session else { return };
    let Some(handle) = sessions.sessions.read().await.get(session.as_str()).cloned() else { return };
    // rmcp numbers the streams of a session and does not say which one a request came on. Those that are gone are errors.
    for stream in 0..=fixture.conversation.requests.load(Ordering::Relaxed) + 8 {
        let _ = handle.close_sse_stream(stream, Some(Duration::from_millis(500))).await;
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn gone(error: rmcp::ServiceError) -> ErrorData {
    ErrorData::internal_error(format!("tell the client: {error}"), None)
}

fn string(arguments: &JsonObject, name: &str) -> Result<String, ErrorData> {
    let value = arguments.get(name).and_then(Value::as_str);
    value.map(str::to_owned).ok_or_else(|| ErrorData::invalid_params(format!("`{name}` has to be a string"), None))
}

fn number(arguments: &JsonObject, name: &str) -> Result<f64, ErrorData> {
    let value = arguments.get(name).and_then(Value::as_f64);
    value.ok_or_else(|| ErrorData::invalid_params(format!("`{name}` has to be a number"), None))
}
