//! The steps of the tools that ask their client for something.

use std::time::Duration;

use rmcp::{
    ErrorData,
    model::{ClientCapabilities, InputRequest, InputRequests, InputRequiredResult, JsonObject, SealOptions},
};
use serde_json::{Value, json};

use crate::{
    ask::{Asking, Step},
    server::Fixture,
    tasks::{confirmation, two_questions},
};

/// How long a client may think about its answers.
const PATIENCE: Duration = Duration::from_mins(10);

/// The step of a tool, or nothing if it asks for nothing.
pub(crate) fn of(fixture: &Fixture, tool: &str, arguments: &JsonObject, asking: &Asking) -> Option<Result<Step, ErrorData>> {
    let text = |name: &str| {
        let value = arguments.get(name).and_then(Value::as_str);
        value.ok_or_else(|| ErrorData::invalid_params(format!("the argument `{name}` is missing"), None))
    };
    Some(match tool {
        "ask" => text("question").map(|question| {
            one(asking, "answer", form(question, &json!({"answer": {"type": "string"}})), |given| told(given, "answer"))
        }),
        "think" | "test_sampling" => text("prompt").map(|prompt| {
            one(asking, "response", sampling(prompt, 100), |given| sampled(given).map(|said| format!("LLM response: {said}")))
        }),
        "test_elicitation" => text("message").map(|message| {
            let asked = form(
                message,
                &json!({
                    "username": {"type": "string", "description": "User's response"},
                    "email": {"type": "string", "description": "User's email address"}
                }),
            );
            one(asking, "user", asked, |given| any(given, "User response"))
        }),
        "test_elicitation_sep1034_defaults" => {
            Ok(one(asking, "profile", defaults(), |given| any(given, "Elicitation completed")))
        }
        "test_elicitation_sep1330_enums" => Ok(one(asking, "choices", enums(), |given| any(given, "Elicitation completed"))),
        "test_input_required_result_elicitation" | "test_streaming_elicitation" => {
            Ok(one(asking, "user_name", name_form("What is your name?"), |given| {
                told(given, "name").map(|name| format!("Hello, {name}!"))
            }))
        }
        "test_input_required_result_sampling" => {
            Ok(one(asking, "capital_question", sampling("What is the capital of France?", 100), sampled))
        }
        "test_input_required_result_list_roots" => Ok(one(asking, "client_roots", roots(), rooted)),
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            confirmed(fixture, asking, tool)
        }
        "test_input_required_result_multiple_inputs" => all_three(fixture, asking, tool),
        "test_input_required_result_multi_round" => two_rounds(fixture, asking, tool),
        "confirm_delete" => Ok(one(asking, "confirm", confirmation("the file"), |given| any(given, "Confirmed"))),
        "multi_input" => Ok(both(asking)),
        "test_input_required_result_capabilities" => Ok(as_capable(asking)),
        _ => return None,
    })
}

/// The step of the prompt that asks.
pub(crate) fn context(asking: &Asking) -> Step {
    let question = form("What context should the prompt use?", &json!({"context": {"type": "string"}}));
    one(asking, "user_context", question, |given| {
        told(given, "context").map(|context| format!("Consider this context: {context}"))
    })
}

/// What an answer means; nothing if it is not one, and the question is put again.
type Meaning = Option<String>;

/// One question, without a state: anything but a usable answer brings the question back.
fn one(asking: &Asking, key: &str, question: InputRequest, meaning: impl Fn(&Value) -> Meaning) -> Step {
    if let Some(said) = asking.responses.get(key).and_then(meaning) {
        return Step::Done(said);
    }
    if lacks(&asking.capabilities, &question) {
        return Step::Failed(format!("the client cannot be asked for `{key}`"));
    }
    Step::Ask(InputRequiredResult::from_input_requests(InputRequests::from([(key.to_owned(), question)])))
}

fn lacks(declared: &ClientCapabilities, question: &InputRequest) -> bool {
    match question {
        InputRequest::CreateMessage(_) => declared.sampling.is_none(),
        InputRequest::Elicitation(_) => declared.elicitation.is_none(),
        InputRequest::ListRoots(_) => declared.roots.is_none(),
        _ => true,
    }
}

/// A state that must come back whole.
fn confirmed(fixture: &Fixture, asking: &Asking, tool: &str) -> Result<Step, ErrorData> {
    let Some(_) = opened(fixture, asking, tool)? else {
        let question = form("Please confirm", &json!({"ok": {"type": "boolean"}}));
        return Ok(sealed(fixture, tool, [("confirm", question)], &json!({"round": 1})));
    };
    Ok(match asking.responses.get("confirm").and_then(|given| any(given, "state-ok")) {
        Some(said) => Step::Done(said),
        None => Step::Failed("the state came back without an answer".to_owned()),
    })
}

fn all_three(fixture: &Fixture, asking: &Asking, tool: &str) -> Result<Step, ErrorData> {
    let asked = || {
        let questions = [
            ("user_name", name_form("What is your name?")),
            ("greeting", sampling("Generate a greeting", 50)),
            ("client_roots", roots()),
        ];
        sealed(fixture, tool, questions, &json!({"round": 1}))
    };
    if opened(fixture, asking, tool)?.is_none() {
        return Ok(asked());
    }
    let given = |key: &str| asking.responses.get(key);
    let name = given("user_name").and_then(|given| told(given, "name"));
    let (greeting, roots) = (given("greeting").and_then(sampled), given("client_roots").and_then(rooted));
    Ok(match (name, greeting, roots) {
        (Some(name), Some(greeting), Some(roots)) => Step::Done(format!("{greeting} (to {name}; {roots})")),
        _ => asked(),
    })
}

fn two_rounds(fixture: &Fixture, asking: &Asking, tool: &str) -> Result<Step, ErrorData> {
    let first = || sealed(fixture, tool, [("step1", name_form("Step 1: What is your name?"))], &json!({"round": 1}));
    let second = |name: &str| {
        let question = form("Step 2: What is your favorite color?", &json!({"color": {"type": "string"}}));
        sealed(fixture, tool, [("step2", question)], &json!({"round": 2, "name": name}))
    };
    let Some(state) = opened(fixture, asking, tool)? else { return Ok(first()) };
    if state["round"] == 1 {
        let name = asking.responses.get("step1").and_then(|given| told(given, "name"));
        return Ok(name.map_or_else(first, |name| second(&name)));
    }
    let name = state["name"].as_str().unwrap_or_default();
    let color = asking.responses.get("step2").and_then(|given| told(given, "color"));
    Ok(color.map_or_else(|| second(name), |color| Step::Done(format!("{name} likes {color}"))))
}

/// Two questions at once. Answers count for one round only, so both have to come together.
fn both(asking: &Asking) -> Step {
    let questions = two_questions();
    if questions.iter().all(|(key, _)| asking.responses.contains_key(*key)) {
        return Step::Done("both were answered".to_owned());
    }
    let questions = questions.into_iter().map(|(key, question)| (key.to_owned(), question)).collect();
    Step::Ask(InputRequiredResult::from_input_requests(questions))
}

/// Asks only for what the client said it can do.
fn as_capable(asking: &Asking) -> Step {
    if !asking.responses.is_empty() {
        return Step::Done(format!("answered: {}", asking.responses.keys().cloned().collect::<Vec<_>>().join(", ")));
    }
    let questions =
        [("capital_question", sampling("What is the capital of France?", 100)), ("user_name", name_form("What is your name?"))];
    let possible: InputRequests = questions
        .into_iter()
        .filter(|(_, question)| !lacks(&asking.capabilities, question))
        .map(|(key, question)| (key.to_owned(), question))
        .collect();
    if possible.is_empty() {
        return Step::Done("nothing can be asked of this client".to_owned());
    }
    Step::AskAny(InputRequiredResult::from_input_requests(possible))
}

/// Questions with a state that only we can have made, for this tool.
fn sealed<const N: usize>(fixture: &Fixture, tool: &str, questions: [(&str, InputRequest); N], state: &Value) -> Step {
    let options = SealOptions::new().associated_data(tool.as_bytes()).ttl(PATIENCE);
    let state = fixture.common.seal.seal_with(state.to_string().as_bytes(), &options);
    let questions = questions.into_iter().map(|(key, question)| (key.to_owned(), question)).collect();
    Step::Ask(InputRequiredResult::new(Some(questions), Some(state)))
}

/// The state that came back, if any did. One that was tampered with is an error.
fn opened(fixture: &Fixture, asking: &Asking, tool: &str) -> Result<Option<Value>, ErrorData> {
    let Some(state) = &asking.state else { return Ok(None) };
    let refused = |_| ErrorData::invalid_params("the request state is not one of ours", None);
    let plain = fixture.common.seal.open_with(state, tool.as_bytes()).map_err(refused)?;
    Ok(serde_json::from_slice(&plain).ok())
}

fn question(method: &str, params: &Value) -> InputRequest {
    serde_json::from_value(json!({"method": method, "params": params})).expect("a request of this crate")
}

/// A form in which every field is required.
pub(crate) fn form(message: &str, properties: &Value) -> InputRequest {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    question("elicitation/create", &json!({"mode": "form", "message": message, "requestedSchema": schema}))
}

fn name_form(message: &str) -> InputRequest {
    form(message, &json!({"name": {"type": "string"}}))
}

fn sampling(prompt: &str, most: u32) -> InputRequest {
    let message = json!({"role": "user", "content": {"type": "text", "text": prompt}});
    question("sampling/createMessage", &json!({"messages": [message], "maxTokens": most}))
}

fn roots() -> InputRequest {
    question("roots/list", &json!({}))
}

/// SEP-1034: a default for every primitive type.
fn defaults() -> InputRequest {
    form(
        "Check the defaults",
        &json!({
            "name": {"type": "string", "description": "Your name", "default": "John Doe"},
            "age": {"type": "integer", "description": "Your age", "default": 30},
            "score": {"type": "number", "description": "Your score", "default": 95.5},
            "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
            "verified": {"type": "boolean", "default": true}
        }),
    )
}

/// SEP-1330: the five ways to offer a choice.
fn enums() -> InputRequest {
    let titled = |pairs: &[(&str, &str)]| -> Vec<Value> {
        pairs.iter().map(|(value, title)| json!({"const": value, "title": title})).collect()
    };
    let options = json!(["option1", "option2", "option3"]);
    let one_of = titled(&[("value1", "First Option"), ("value2", "Second Option"), ("value3", "Third Option")]);
    let any_of = titled(&[("value1", "First Choice"), ("value2", "Second Choice"), ("value3", "Third Choice")]);
    form(
        "Choose",
        &json!({
            "untitledSingle": {"type": "string", "enum": options},
            "titledSingle": {"type": "string", "oneOf": one_of},
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"]
            },
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
            "titledMulti": {"type": "array", "items": {"anyOf": any_of}}
        }),
    )
}

/// What the user wrote into one field of a form.
pub(crate) fn told(given: &Value, field: &str) -> Meaning {
    match given["action"].as_str()? {
        "accept" => given["content"][field].as_str().map(str::to_owned),
        refusal => Some(format!("nobody ({refusal})")),
    }
}

/// Whatever the user did with a form.
fn any(given: &Value, about: &str) -> Meaning {
    let action = given["action"].as_str()?;
    Some(format!("{about}: action={action}, content={}", given["content"]))
}

/// The text a model came up with.
fn sampled(given: &Value) -> Meaning {
    let content = &given["content"];
    let block = content.get(0).unwrap_or(content);
    block["text"].as_str().map(str::to_owned)
}

fn rooted(given: &Value) -> Meaning {
    let roots = given["roots"].as_array()?;
    let uris: Vec<&str> = roots.iter().filter_map(|root| root["uri"].as_str()).collect();
    Some(format!("{} roots: {}", uris.len(), uris.join(" ")))
}
