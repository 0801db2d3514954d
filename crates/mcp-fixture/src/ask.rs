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
    service::{PeerRequestOptions, RequestContext, ServiceError},
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
    /// To questions of which the client may refuse some.
    AskAny(InputRequiredResult),
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
        let (required, is_any_enough) = match step(&asking)? {
            Step::AskAny(required) if is_modern(context) => return Ok(Step::Ask(required)),
            Step::Ask(required) if !is_modern(context) => (required, false),
            Step::AskAny(required) => (required, true),
            reached => return Ok(reached),
        };
        let (answers, refusal) = send_all(context, required.input_requests.unwrap_or_default()).await;
        match refusal {
            Some(error) if answers.is_empty() || !is_any_enough => {
                return Ok(Step::Failed(format!("the client did not answer: {error}")));
            }
            _ => asking.responses = answers,
        }
        asking.state = required.request_state;
    }
    Ok(Step::Failed(format!("asked {ROUNDS} times in vain")))
}

/// Sends every question at once and waits for all answers; also the last refusal, if there was one.
async fn send_all(context: &RequestContext<RoleServer>, questions: InputRequests) -> (InputResponses, Option<ServiceError>) {
    let mut refusal = None;
    // They are sent from within this task: rmcp learns from it which call a question belongs to.
    let mut waiting = JoinSet::new();
    for (key, question) in questions {
        let request = match question {
            InputRequest::CreateMessage(request) => ServerRequest::CreateMessageRequest(request),
            InputRequest::Elicitation(request) => ServerRequest::ElicitRequest(request),
            InputRequest::ListRoots(request) => ServerRequest::ListRootsRequest(request),
            _ => continue,
        };
        match context.peer.send_request_with_option(request, PeerRequestOptions::no_options()).await {
            Ok(handle) => drop(waiting.spawn(async move { (key, handle.await_response().await) })),
            Err(error) => refusal = Some(error),
        }
    }
    let mut answers = InputResponses::new();
    while let Some(joined) = waiting.join_next().await {
        let (key, answer) = joined.expect("waiting for an answer does not panic");
        let value = match answer {
            Ok(ClientResult::CreateMessageResult(result)) => serde_json::to_value(result),
            Ok(ClientResult::ElicitResult(result)) => serde_json::to_value(result),
            Ok(ClientResult::ListRootsResult(result)) => serde_json::to_value(result),
            Ok(other) => serde_json::to_value(other),
            Err(error) => {
                refusal = Some(error);
                continue;
            }
        };
        answers.insert(key, value.unwrap_or(Value::Null));
    }
    (answers, refusal)
}
