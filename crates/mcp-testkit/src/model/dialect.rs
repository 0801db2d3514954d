//! The four chat APIs, reduced to what a scripted answer needs.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// A chat API, known by the end of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `…/chat/completions`, the common one.
    Chat,
    /// `…/responses`, its successor.
    Responses,
    /// `…/messages`, of Anthropic.
    Messages,
    /// `…:generateContent`, of Gemini.
    Gemini,
}

/// A tool a client offers. Codex puts the tools of one server into a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offered {
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl Offered {
    /// Namespace and name in one word, for comparing and for reports.
    pub(super) fn joined(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// What the model says next.
pub(super) enum Answer<'a> {
    /// Asks for a tool.
    Ask {
        /// The tool, as it was offered.
        tool: Offered,
        /// The arguments of the call.
        arguments: &'a Value,
    },
    /// Ends the turn.
    Done,
}

/// The tools offered in a request, whatever the dialect.
pub(super) fn offered(request: &Value) -> Vec<Offered> {
    let name_of = |tool: &Value| tool["name"].as_str().map(str::to_owned);
    let mut found = Vec::new();
    for tool in request["tools"].as_array().into_iter().flatten() {
        if let Some(declared) = tool["functionDeclarations"].as_array() {
            found.extend(declared.iter().filter_map(name_of).map(|name| Offered { namespace: None, name }));
        } else if tool["type"] == "namespace" {
            let inner = tool["tools"].as_array().into_iter().flatten();
            found.extend(inner.filter_map(name_of).map(|name| Offered { namespace: name_of(tool), name }));
        } else if let Some(name) = name_of(&tool["function"]).or_else(|| name_of(tool)) {
            found.push(Offered { namespace: None, name });
        }
    }
    found
}

/// The tool results in the conversation, as JSON text.
pub(super) fn results(request: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for conversation in ["messages", "input", "contents"] {
        collect_results(&request[conversation], &mut found);
    }
    found
}

fn collect_results(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            let is_result = matches!(
                members.get("type").and_then(Value::as_str),
                Some("tool_result" | "function_call_output" | "mcp_tool_call_output")
            ) || members.get("role").and_then(Value::as_str) == Some("tool")
                || members.contains_key("functionResponse");
            if is_result {
                found.push(value.to_string());
            } else {
                members.values().for_each(|member| collect_results(member, found));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_results(item, found)),
        _ => {}
    }
}

impl Dialect {
    pub(super) fn of(path: &str) -> Option<Self> {
        if path.ends_with("/chat/completions") {
            Some(Self::Chat)
        } else if path.ends_with("/responses") {
            Some(Self::Responses)
        } else if path.ends_with("/messages") {
            Some(Self::Messages)
        } else if path.ends_with("enerateContent") {
            Some(Self::Gemini)
        } else {
            None
        }
    }

    /// Gemini says in the path whether the answer is a stream, the others in the body.
    pub(super) fn wants_stream(self, path: &str, request: &Value) -> bool {
        match self {
            Self::Gemini => path.ends_with(":streamGenerateContent"),
            _ => request["stream"] == true,
        }
    }

    /// The answer in one piece.
    pub(super) fn whole(self, answer: &Answer) -> Value {
        match self {
            Self::Chat => {
                let (message, reason) = chat_message(answer);
                json!({
                    "id": "chat-1", "object": "chat.completion", "created": 1, "model": "fake",
                    "choices": [{"index": 0, "message": message, "finish_reason": reason}],
                    "usage": chat_usage(),
                })
            }
            Self::Responses => response(&response_item(answer), true),
            Self::Messages => {
                let (start, _, reason) = block(answer);
                let mut content = start;
                match answer {
                    Answer::Ask { arguments, .. } => content["input"] = (*arguments).clone(),
                    Answer::Done => content["text"] = json!("DONE"),
                }
                let mut message = empty_message();
                message["content"] = json!([content]);
                message["stop_reason"] = json!(reason);
                message
            }
            Self::Gemini => {
                let part = match answer {
                    Answer::Ask { tool, arguments } => json!({"functionCall": {"name": tool.name, "args": arguments}}),
                    Answer::Done => json!({"text": "DONE"}),
                };
                json!({
                    "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
                    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
                    "modelVersion": "fake",
                })
            }
        }
    }

    /// The answer as server-sent events, all at once: no client here minds that they arrive together.
    pub(super) fn stream(self, answer: &Answer) -> String {
        match self {
            Self::Chat => {
                let (message, reason) = chat_message(answer);
                let chunk = |choices: Value| json!({"id": "chat-1", "object": "chat.completion.chunk", "created": 1, "model": "fake", "choices": choices});
                let mut last = chunk(json!([]));
                last["usage"] = chat_usage();
                let events = [
                    chunk(json!([{"index": 0, "delta": message, "finish_reason": null}])),
                    chunk(json!([{"index": 0, "delta": {}, "finish_reason": reason}])),
                    last,
                ];
                unnamed(&events) + "data: [DONE]\n\n"
            }
            Self::Responses => {
                let item = response_item(answer);
                named(&[
                    json!({"type": "response.created", "response": response(&item, false)}),
                    json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
                    json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
                    json!({"type": "response.completed", "response": response(&item, true)}),
                ])
            }
            Self::Messages => {
                let (start, delta, reason) = block(answer);
                named(&[
                    json!({"type": "message_start", "message": empty_message()}),
                    json!({"type": "content_block_start", "index": 0, "content_block": start}),
                    json!({"type": "content_block_delta", "index": 0, "delta": delta}),
                    json!({"type": "content_block_stop", "index": 0}),
                    json!({
                        "type": "message_delta", "usage": {"output_tokens": 1},
                        "delta": {"stop_reason": reason, "stop_sequence": null},
                    }),
                    json!({"type": "message_stop"}),
                ])
            }
            Self::Gemini => unnamed(&[self.whole(answer)]),
        }
    }
}

fn unnamed(events: &[Value]) -> String {
    let mut text = String::new();
    for event in events {
        let _ = write!(text, "data: {event}\n\n");
    }
    text
}

fn named(events: &[Value]) -> String {
    let mut text = String::new();
    for event in events {
        let _ = write!(text, "event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    }
    text
}

fn chat_usage() -> Value {
    json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})
}

fn chat_message(answer: &Answer) -> (Value, &'static str) {
    match answer {
        Answer::Ask { tool, arguments } => {
            let function = json!({"name": tool.name, "arguments": arguments.to_string()});
            let call = json!({"index": 0, "id": "call_1", "type": "function", "function": function});
            (json!({"role": "assistant", "content": null, "tool_calls": [call]}), "tool_calls")
        }
        Answer::Done => (json!({"role": "assistant", "content": "DONE"}), "stop"),
    }
}

fn response_item(answer: &Answer) -> Value {
    match answer {
        Answer::Ask { tool, arguments } => {
            let mut item = json!({
                "type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed",
                "name": tool.name, "arguments": arguments.to_string(),
            });
            if let Some(namespace) = &tool.namespace {
                item["namespace"] = json!(namespace);
            }
            item
        }
        Answer::Done => json!({
            "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "DONE", "annotations": []}],
        }),
    }
}

fn response(item: &Value, complete: bool) -> Value {
    json!({
        "id": "resp_1", "object": "response", "created_at": 1, "model": "fake",
        "status": if complete { "completed" } else { "in_progress" },
        "output": if complete { json!([item]) } else { json!([]) },
        "usage": {
            "input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
            "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
        },
    })
}

fn empty_message() -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "fake", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1},
    })
}

/// A content block as it starts, what is added to it, and why the turn ends.
fn block(answer: &Answer) -> (Value, Value, &'static str) {
    match answer {
        Answer::Ask { tool, arguments } => (
            json!({"type": "tool_use", "id": "toolu_1", "name": tool.name, "input": {}}),
            json!({"type": "input_json_delta", "partial_json": arguments.to_string()}),
            "tool_use",
        ),
        Answer::Done => (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": "DONE"}), "end_turn"),
    }
}
