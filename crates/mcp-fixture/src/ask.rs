//! Asking the client while it waits for us, in the words of either era.
//!
//! What a tool wants to know is written once, as a step: given the answers so far, either a result or more questions. In the
//! modern era the questions are the result, and the client comes back with the answers. In the legacy era they are requests of
//! ours, all sent at once, and the step is taken again when they are answered.

use rmcp::{
    ErrorData, RoleServer,
    model::{
        ClientCapabilities, ClientResult, InputRequest, InputRequests, InputRequiredResult, InputResponses, ProtocolVersion,
        ServerRequest,
    },
    service::{RequestContext, ServiceError},
};
use serde_json::Value;
use tokio::task::JoinSet;

/// A client that never says anything useful is not asked for ever.
const ROUNDS: usize = 5;

/// What a step has to go by.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    pub(crate) responses: InputResponses,
    pub(crate) state: Option<String>,
    pub(crate) capabilities: ClientCapabilities,
}

/// How far a step came.
#[derive(Debug)]
pub(crate) enum Step {
    /// To the end, with something to say.
    Done(String),
    /// The user or the client would not have it.
    Failed(String),
    /// To questions, a state to be given back, or both.
    Ask(InputRequiredResult),
}

pub(crate) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

/// Takes the step; again and again where we are the one who sends the questions.
pub(crate) async fn until_done(
    context: &RequestContext<RoleServer>,
    mut asking: Asking,
    step: impl Fn(&Asking) -> Result<Step, ErrorData>,
) -> Result<Step, ErrorData> {
    for _ in 0..ROUNDS {
        let required = match step(&asking)? {
            Step::Ask(required) if !is_modern(context) => required,
            reached => return Ok(reached),
        };
        match send_all(context, required.input_requests.unwrap_or_default()).await {
            Ok(responses) => asking.responses = responses,
            Err(error) => return Ok(Step::Failed(format!("the client did not answer: {error}"))),
        }
        asking.state = required.request_state;
    }
    Ok(Step::Failed(format!("asked {ROUNDS} times in vain")))
}

/// Sends every question at once and waits for all answers.
async fn send_all(context: &RequestContext<RoleServer>, questions: InputRequests) -> Result<InputResponses, ServiceError> {
    let mut answers = InputResponses::new();
    // The answers must come from within this task: rmcp learns from it which call a question belongs to.
    let mut pending = Vec::new();
    for (key, question) in questions {
        let request = match question {
            InputRequest::CreateMessage(request) => ServerRequest::CreateMessageRequest(request),
            InputRequest::Elicitation(request) => ServerRequest::ElicitRequest(request),
            InputRequest::ListRoots(request) => ServerRequest::ListRootsRequest(request),
            _ => continue,
        };
        pending
            .push((key, context.peer.send_request_with_option(request, rmcp::service::PeerRequestOptions::no_options()).await?));
    }
    let mut waiting = JoinSet::new();
    for (key, handle) in pending {
        waiting.spawn(async move { (key, handle.await_response().await) });
    }
    while let Some(joined) = waiting.join_next().await {
        let (key, answer) = joined.expect("waiting for an answer does not panic");
        let value = match answer? {
            ClientResult::CreateMessageResult(result) => serde_json::to_value(result),
            ClientResult::ElicitResult(result) => serde_json::to_value(result),
            ClientResult::ListRootsResult(result) => serde_json::to_value(result),
            other => serde_json::to_value(other),
        };
        answers.insert(key, value.unwrap_or(Value::Null));
    }
    Ok(answers)
}
