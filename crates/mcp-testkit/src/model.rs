//! A scripted model, so that real clients can be driven without an account and without a network.
//!
//! It speaks just enough of four chat APIs. When a turn offers the tool the script wants, it asks for that tool once; every
//! other turn ends with `DONE`. What was offered and what came back is kept for the test to judge: a tool result that reached
//! the model proves that the client read our entry, started the server, and carried the call there and back.

mod dialect;
mod http;

use std::{
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};

use self::{
    dialect::{Answer, Dialect, Offered},
    http::{Listener, Reply, Request},
};

/// What the model is to ask for.
#[derive(Debug, Clone)]
pub struct Script {
    /// The name of the server entry, as it was written into the client's file.
    pub server: String,
    /// The tool, as the server calls it.
    pub tool: String,
    /// The arguments of the call.
    pub arguments: Value,
}

impl Script {
    /// Wants `tool` of `server` called with `arguments`.
    pub fn new(server: &str, tool: &str, arguments: Value) -> Self {
        Self { server: server.to_owned(), tool: tool.to_owned(), arguments }
    }

    /// Whether an offered name is the wanted tool.
    ///
    /// Clients join server and tool in their own ways (`mcp__ev__echo`, `mcp_ev_echo`, `ev-echo`); Continue does not name the
    /// server at all. A client's built-in tool that happens to end alike must not be mistaken for ours.
    fn wants(&self, offered: &Offered) -> bool {
        // Some put an underscore for a hyphen.
        let (joined, tool) = (offered.joined().replace('-', "_"), self.tool.replace('-', "_"));
        joined == tool
            || joined
                .strip_suffix(tool.as_str())
                .and_then(|before| before.strip_suffix(['_', '-', '.', '/']))
                .is_some_and(|before| before.trim_end_matches(['_', '-', '.', '/']).ends_with(&self.server))
    }
}

/// One request for an answer, as the model saw it.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The path of the request.
    pub path: String,
    /// The tools that were offered, by the client's names.
    pub offered: Vec<String>,
    /// The tool results in the conversation so far, as JSON text.
    pub results: Vec<String>,
    /// The tool the model asked for, if it did.
    pub asked: Option<String>,
}

/// No client is kept waiting longer than this. Each gives up on its model later.
const HELD_AT_MOST: Duration = Duration::from_secs(100);

/// Keeps a client that has been offered the wanted tool waiting for its answer.
#[derive(Default)]
struct Hold {
    state: Mutex<Held>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// No one has come yet.
    #[default]
    Waiting,
    /// A client waits.
    Holding,
    /// All may pass.
    Released,
}

impl Hold {
    /// Keeps the caller until the hold is released.
    fn pass(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == Held::Waiting {
            *state = Held::Holding;
        }
        let _released = self.changed.wait_timeout_while(state, HELD_AT_MOST, |state| *state != Held::Released);
    }

    fn release(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Held::Released;
        self.changed.notify_all();
    }
}

/// A running model on a port of its own. It stops when dropped.
pub struct FakeModel {
    url: String,
    turns: Arc<Mutex<Vec<Turn>>>,
    hold: Arc<Hold>,
    _listener: Listener,
}

impl FakeModel {
    /// Starts a model that follows the script.
    pub fn start(script: Script) -> io::Result<Self> {
        let model = Self::start_held(script)?;
        model.release();
        Ok(model)
    }

    /// Starts a model that follows the script, and does not ask for the tool before it is released. A client that is held has
    /// its servers connected and has told their tools: the moment to look at several clients at once.
    pub fn start_held(script: Script) -> io::Result<Self> {
        let (turns, hold) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Hold::default()));
        let (kept, held) = (Arc::clone(&turns), Arc::clone(&hold));
        let listener = Listener::start(move |request| answer(request, &script, &kept, &held))?;
        Ok(Self { url: format!("http://{}", listener.address()), turns, hold, _listener: listener })
    }

    /// Whether a client waits to be asked for the tool.
    pub fn is_holding(&self) -> bool {
        *self.hold.state.lock().unwrap_or_else(PoisonError::into_inner) == Held::Holding
    }

    /// Lets the client go on.
    pub fn release(&self) {
        self.hold.release();
    }

    /// The base address, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every request for an answer so far.
    pub fn turns(&self) -> Vec<Turn> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every tool name that was offered at least once, in order.
    pub fn offered(&self) -> Vec<String> {
        let mut names = Vec::new();
        for name in self.turns().into_iter().flat_map(|turn| turn.offered) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Whether a tool result containing `text` reached the model. A digit or point right after it does not count: a result of
    /// `0.30000000000000004` is not `0.3`.
    pub fn received(&self, text: &str) -> bool {
        self.received_after(0, text)
    }

    /// The same, not counting the first `turns` of [`Self::turns`]: in a conversation that begins later.
    pub fn received_after(&self, turns: usize, text: &str) -> bool {
        self.turns().iter().skip(turns).flat_map(|turn| &turn.results).any(|result| contains_whole(result, text))
    }
}

impl Drop for FakeModel {
    fn drop(&mut self) {
        // A thread that holds a client must not outlive the model.
        self.release();
    }
}

fn contains_whole(text: &str, part: &str) -> bool {
    text.match_indices(part).any(|(at, _)| !text[at + part.len()..].starts_with(|c: char| c.is_ascii_digit() || c == '.'))
}

/// Answers one HTTP request.
fn answer(request: &Request, script: &Script, turns: &Mutex<Vec<Turn>>, hold: &Hold) -> Reply {
    let path = request.target.split('?').next().unwrap_or_default();
    if request.method != "POST" {
        // Some clients look for the list of models before they start.
        return plain(&models());
    }
    let asked: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let Some(dialect) = Dialect::of(path) else {
        let counts = path.to_ascii_lowercase().contains("count");
        return plain(&if counts { json!({"input_tokens": 1, "totalTokens": 1}) } else { json!({}) });
    };
    let offered = dialect::offered(&asked);
    let results = dialect::results(&asked);
    let tool = if results.is_empty() { offered.iter().find(|offered| script.wants(offered)).cloned() } else { None };
    turns.lock().unwrap_or_else(PoisonError::into_inner).push(Turn {
        path: path.to_owned(),
        offered: offered.iter().map(Offered::joined).collect(),
        results,
        asked: tool.as_ref().map(Offered::joined),
    });
    if tool.is_some() {
        hold.pass();
    }
    let answer = tool.map_or(Answer::Done, |tool| Answer::Ask { tool, arguments: &script.arguments });
    if dialect.wants_stream(path, &asked) {
        Reply { media_type: "text/event-stream", body: dialect.stream(&answer) }
    } else {
        plain(&dialect.whole(&answer))
    }
}

fn plain(value: &Value) -> Reply {
    Reply { media_type: "application/json", body: value.to_string() }
}

fn models() -> Value {
    json!({"object": "list", "data": [{"id": "fake", "object": "model", "created": 1, "owned_by": "nobody"}], "models": []})
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::{
        io::{Read, Write},
        net::{Shutdown, TcpStream},
    };

    use super::*;

    fn post(model: &FakeModel, path: &str, body: &Value) -> String {
        let mut stream = TcpStream::connect(model.url().strip_prefix("http://").unwrap()).unwrap();
        let body = body.to_string();
        write!(stream, "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    fn script() -> Script {
        Script::new("ev", "add", json!({"a": "0.1", "b": "0.2"}))
    }

    fn offered(namespace: Option<&str>, name: &str) -> Offered {
        Offered { namespace: namespace.map(str::to_owned), name: name.to_owned() }
    }

    #[test]
    fn own_tool_is_known_under_every_clients_prefix() {
        for name in ["add", "mcp__ev__add", "mcp_ev_add", "ev_add", "ev-add", "ev__add"] {
            assert!(script().wants(&offered(None, name)), "{name}");
        }
        assert!(script().wants(&offered(Some("mcp__ev"), "add")));
        let long = Script::new("ev", "take-long", json!({}));
        assert!(long.wants(&offered(None, "mcp__ev__take-long")) && long.wants(&offered(Some("mcp__ev"), "take_long")));
        for name in ["todo__add", "readd", "mcp__ev__addition", "mcp__ev__add_all", "extension_add"] {
            assert!(!script().wants(&offered(None, name)), "{name}");
        }
    }

    #[test]
    fn held_client_is_asked_when_it_is_released() {
        let model = FakeModel::start_held(script()).unwrap();
        let tool = json!({"type": "function", "function": {"name": "ev_add"}});
        std::thread::scope(|scope| {
            let offers_nothing = post(&model, "/v1/chat/completions", &json!({"messages": []}));
            assert!(offers_nothing.contains("DONE") && !model.is_holding(), "{offers_nothing}");
            let asked = scope.spawn(|| post(&model, "/v1/chat/completions", &json!({"messages": [], "tools": [tool]})));
            while !model.is_holding() {
                assert!(!asked.is_finished(), "it was not held");
                std::thread::sleep(Duration::from_millis(1));
            }
            model.release();
            assert!(asked.join().unwrap().contains("ev_add") && !model.is_holding());
        });
    }

    #[test]
    fn longer_number_is_not_the_expected_one() {
        assert!(contains_whole(r#"{"sum":"0.3"}"#, "0.3"));
        assert!(!contains_whole(r#"{"sum":0.30000000000000004}"#, "0.3"));
    }

    #[test]
    fn each_dialect_is_asked_once_and_then_done() {
        let tool = |name: &str| json!({"name": name});
        for (path, first, second) in [
            (
                "/v1/chat/completions",
                json!({"messages": [], "tools": [{"type": "function", "function": tool("ev_add")}]}),
                json!({"messages": [{"role": "tool", "content": "0.3"}], "tools": [{"type": "function", "function": tool("ev_add")}]}),
            ),
            (
                "/v1/responses",
                json!({"input": [], "tools": [{"type": "namespace", "name": "mcp__ev", "tools": [tool("add")]}]}),
                json!({"input": [{"type": "function_call_output", "output": "0.3"}], "tools": []}),
            ),
            (
                "/v1/messages",
                json!({"messages": [], "tools": [tool("mcp__ev__add")]}),
                json!({"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "0.3"}]}], "tools": []}),
            ),
            (
                "/v1beta/models/fake:generateContent",
                json!({"contents": [], "tools": [{"functionDeclarations": [tool("mcp_ev_add")]}]}),
                json!({"contents": [{"parts": [{"functionResponse": {"response": "0.3"}}]}]}),
            ),
        ] {
            for streamed in [false, true] {
                let model = FakeModel::start(script()).unwrap();
                let path = if streamed { path.replace(":generate", ":streamGenerate") } else { path.to_owned() };
                let with_flag = |body: &Value| {
                    let mut body = body.clone();
                    body["stream"] = json!(streamed);
                    body
                };
                let reply = post(&model, &path, &with_flag(&first));
                // The arguments travel as text inside JSON in three dialects, and as JSON in one.
                assert!(reply.contains("0.1") && reply.contains("add") && !reply.contains(r#""DONE""#), "{path}: {reply}");
                assert_eq!(reply.contains("data: "), streamed, "{path}: {reply}");
                assert!(!model.received("0.3"));
                let reply = post(&model, &path, &with_flag(&second));
                assert!(reply.contains(r#""DONE""#), "{path}: {reply}");
                assert!(model.received("0.3"), "{path}");
                let asked: Vec<bool> = model.turns().iter().map(|turn| turn.asked.is_some()).collect();
                assert_eq!(asked, [true, false], "{path}");
            }
        }
    }
}
