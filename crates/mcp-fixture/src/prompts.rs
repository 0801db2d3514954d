//! Prompts.

use rmcp::{
    ErrorData, RoleServer,
    model::{GetPromptRequestParams, GetPromptResponse, GetPromptResult, JsonObject, Prompt},
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::{
    answers::{PNG, unknown},
    ask::{self, Asking, Step},
    steps,
};

pub(crate) fn list() -> Vec<Prompt> {
    let argument = |name: &str, about: &str| json!({"name": name, "description": about, "required": true});
    let prompts = json!([
        {"name": "test_simple_prompt", "description": "A sentence"},
        {"name": "test_prompt_with_arguments", "description": "Two arguments, put into a sentence", "arguments": [
            argument("arg1", "The first"), argument("arg2", "The second")
        ]},
        {"name": "test_prompt_with_embedded_resource", "description": "A resource and what to do with it", "arguments": [
            argument("resourceUri", "The resource")
        ]},
        {"name": "test_prompt_with_image", "description": "A red dot and what to do with it"},
        {"name": "test_input_required_result_prompt", "description": "Asks for a context first"}
    ]);
    serde_json::from_value(prompts).expect("a literal of this crate")
}

/// What an argument may be completed to.
pub(crate) fn values(prompt: &str, argument: &str) -> &'static [&'static str] {
    match (prompt, argument) {
        ("test_prompt_with_arguments", "arg1") => &["paris", "park", "party"],
        ("test_prompt_with_arguments", "arg2") => &["lima", "london"],
        _ => &[],
    }
}

pub(crate) async fn get(
    asked: GetPromptRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<GetPromptResponse, ErrorData> {
    let user = |content: Value| json!({"role": "user", "content": content});
    let say = |text: String| user(json!({"type": "text", "text": text}));
    let given = |name: &str| argument(asked.arguments.as_ref(), name);
    let messages = match asked.name.as_str() {
        "test_simple_prompt" => vec![say("This is a simple prompt for testing.".to_owned())],
        "test_prompt_with_arguments" => {
            vec![say(format!("Prompt with arguments: arg1='{}', arg2='{}'", given("arg1")?, given("arg2")?))]
        }
        "test_prompt_with_embedded_resource" => vec![
            user(json!({"type": "resource", "resource": {
                "uri": given("resourceUri")?,
                "mimeType": "text/plain",
                "text": "Embedded resource content for testing."
            }})),
            say("Please process the embedded resource above.".to_owned()),
        ],
        "test_prompt_with_image" => vec![
            user(json!({"type": "image", "data": PNG, "mimeType": "image/png"})),
            say("Please analyze the image above.".to_owned()),
        ],
        "test_input_required_result_prompt" => {
            let asking = Asking {
                responses: asked.input_responses.unwrap_or_default(),
                state: asked.request_state,
                capabilities: context.client_capabilities().unwrap_or_default(),
            };
            return match ask::until_done(context, asking, |asking| Ok(steps::context(asking))).await? {
                Step::Done(text) => Ok(result(&[say(text)]).into()),
                Step::Failed(error) => Err(ErrorData::internal_error(error, None)),
                Step::Ask(required) | Step::AskAny(required) => Ok(required.into()),
            };
        }
        other => return Err(unknown("prompt", other)),
    };
    Ok(result(&messages).into())
}

fn result(messages: &[Value]) -> GetPromptResult {
    serde_json::from_value(json!({"resultType": "complete", "messages": messages})).expect("a literal of this crate")
}

fn argument(arguments: Option<&JsonObject>, name: &str) -> Result<String, ErrorData> {
    let value = arguments.and_then(|arguments| arguments.get(name)).and_then(Value::as_str);
    value.map(str::to_owned).ok_or_else(|| ErrorData::invalid_params(format!("the argument `{name}` is missing"), None))
}
