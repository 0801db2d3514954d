//! Being the client of a server: the inspector starts it behind `mcp tap`, so what is said is recorded as for any other client.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_clients::entry::Launch;
use mcp_clients::survey;
use mcp_clients::text::Text;
use mcp_tui::app::{Asked, Msg};
use mcp_tui::form::Purpose;
use mcp_wire::version::{NEWEST, NEWEST_LEGACY};
use serde_json::{Value, json};

use super::perform::Teller;
use crate::ctx::Ctx;

/// How a server is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) name: String,
    pub(super) command: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: Option<PathBuf>,
}

impl Start {
    pub(super) fn new(name: &str, command: Vec<String>) -> Self {
        Self { name: name.to_owned(), command, env: Vec::new(), cwd: None }
    }
}

/// How a server of some client is started, with its variables filled in from ours.
pub(super) fn of_client(ctx: &Ctx, name: &str) -> Option<Start> {
    let filled = |text: &Text| {
        let full = text.fill(|variable| std::env::var(variable).ok().map(Text::literal));
        full.as_literal().map(str::to_owned)
    };
    for report in survey::survey(ctx.clients().all(), &ctx.platform, &ctx.project, |_| None) {
        for server in report.files.iter().flat_map(|file| &file.servers).filter(|server| server.name == name) {
            match server.entry.as_ref().map(|entry| &entry.launch) {
                Ok(Launch::Stdio(stdio)) => {
                    let words = std::iter::once(&stdio.command).chain(&stdio.args).map(filled);
                    let env = stdio.env.iter().filter_map(|(name, text)| Some((name.clone(), filled(text)?)));
                    let command = words.collect::<Option<Vec<String>>>()?;
                    let cwd = stdio.cwd.as_ref().and_then(filled).map(PathBuf::from);
                    return Some(Start { name: name.to_owned(), command, env: env.collect(), cwd });
                }
                Ok(Launch::Remote(remote)) => {
                    let program = std::env::current_exe().ok()?.to_string_lossy().into_owned();
                    let url = filled(&remote.url)?;
                    let mut command = vec![program, "run-once".to_owned(), "--ephemeral=0".to_owned(), "--url".to_owned(), url];
                    for (header, value) in &remote.headers {
                        command.extend(["--header".to_owned(), format!("{header}: {}", filled(value)?)]);
                    }
                    return Some(Start::new(name, command));
                }
                Err(_) => {}
            }
        }
    }
    None
}

/// What a question of the server was.
enum Question {
    /// A request of a legacy server, with its id.
    Request(Value),
    /// One of the questions of a call that waits for its answers.
    Input(String),
}

/// What the user said to a question.
enum Answer {
    Content(Value),
    Declined,
    Dismissed,
}

/// A call that waits for answers of the user (2026-07-28).
struct Waiting {
    method: String,
    params: Value,
    state: Option<Value>,
    open: VecDeque<(String, Value)>,
    answers: BTreeMap<String, Value>,
}

#[derive(Default)]
struct State {
    last_id: u64,
    last_question: u64,
    is_modern: bool,
    is_ready: bool,
    /// What was asked before the server was open.
    queued: Vec<(String, Value)>,
    sent: BTreeMap<u64, (String, Value)>,
    questions: BTreeMap<u64, (Question, Purpose)>,
    waiting: Option<Waiting>,
}

/// A server that this program is the client of.
pub(super) struct Peer {
    child: Child,
    pid: u32,
    talk: Arc<Talk>,
}

struct Talk {
    stdin: Mutex<Option<ChildStdin>>,
    state: Mutex<State>,
    teller: Teller,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Peer {
    /// Starts a server behind a wrapper that records, and opens the conversation.
    pub(super) fn start(start: &Start, teller: Teller) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|e| format!("find this program: {e}"))?;
        let mut command = Command::new(program);
        command.args(["tap", "--name", &start.name, "--client", "mcp-inspect", "--"]).args(&start.command);
        command.envs(start.env.iter().map(|(name, value)| (name, value)));
        if let Some(cwd) = &start.cwd {
            command.current_dir(cwd);
        }
        // What the server says on standard error is in the recording.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|e| format!("start `{}`: {e}", start.command.join(" ")))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let pid = child.id();
        let talk = Arc::new(Talk { stdin: Mutex::new(stdin), state: Mutex::default(), teller });
        let reader = Arc::clone(&talk);
        let stdout = stdout.ok_or("the server has no standard output")?;
        std::thread::Builder::new()
            .name("peer".to_owned())
            .spawn(move || reader.read(stdout))
            .map_err(|e| format!("start a thread: {e}"))?;
        talk.open();
        Ok(Self { child, pid, talk })
    }

    /// The process that records.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a request; its answer is in the recording.
    pub(super) fn send(&self, method: &str, params: &str) -> Result<(), String> {
        let params: Value = serde_json::from_str(params).map_err(|e| format!("the params are no JSON: {e}"))?;
        self.talk.request(method, params);
        Ok(())
    }

    /// Answers a question of the server; none declines it.
    pub(super) fn answer(&self, question: u64, text: Option<&str>) -> Result<(), String> {
        let content = text.map(serde_json::from_str::<Value>).transpose().map_err(|e| format!("the answer is no JSON: {e}"))?;
        self.talk.answer(question, content.map_or(Answer::Declined, Answer::Content));
        Ok(())
    }

    /// Answers a question of the server by saying that nobody did.
    pub(super) fn dismiss(&self, question: u64) {
        self.talk.answer(question, Answer::Dismissed);
    }

    /// Ends the server as the specification has it: its input is closed, then it is waited for a little.
    pub(super) fn end(mut self) {
        locked(&self.talk.stdin).take();
        for _ in 0..40 {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Talk {
    fn write(&self, message: &Value) {
        let mut line = message.to_string();
        line.push('\n');
        // A server that is gone shows in the recording.
        if let Some(stdin) = &mut *locked(&self.stdin) {
            let _ = stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush());
        }
    }

    fn capabilities() -> Value {
        json!({"roots": {}, "sampling": {}, "elicitation": {"form": {}}})
    }

    fn info() -> Value {
        json!({"name": "mcp-inspect", "version": env!("CARGO_PKG_VERSION")})
    }

    fn open(&self) {
        let params = json!({"protocolVersion": NEWEST_LEGACY, "capabilities": Self::capabilities(), "clientInfo": Self::info()});
        self.write_request("initialize", params);
    }

    /// Sends a request now.
    fn write_request(&self, method: &str, mut params: Value) {
        let mut state = locked(&self.state);
        state.last_id += 1;
        let id = state.last_id;
        state.sent.insert(id, (method.to_owned(), params.clone()));
        if state.is_modern {
            if !params.is_object() {
                params = json!({});
            }
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": NEWEST,
                "io.modelcontextprotocol/clientCapabilities": Self::capabilities(),
                "io.modelcontextprotocol/clientInfo": Self::info(),
            });
            if let (Some(own), Value::Object(meta)) = (params.get_mut("_meta").and_then(Value::as_object_mut), &meta) {
                own.extend(meta.clone());
            } else {
                params["_meta"] = meta;
            }
        }
        drop(state);
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
    }

    /// Sends a request when the server is open.
    fn request(&self, method: &str, params: Value) {
        let mut state = locked(&self.state);
        if state.is_ready {
            drop(state);
            self.write_request(method, params);
        } else {
            state.queued.push((method.to_owned(), params));
        }
    }

    fn read(&self, stdout: ChildStdout) {
        for line in BufReader::new(stdout).split(b'\n') {
            let Ok(line) = line else { break };
            if let Ok(message) = serde_json::from_slice::<Value>(&line) {
                self.on_message(&message);
            }
        }
        self.teller.tell(Msg::Failed("the server ended".to_owned()));
    }

    fn on_message(&self, message: &Value) {
        match (message.get("method").and_then(Value::as_str), message.get("id")) {
            (Some(method), Some(id)) => self.on_request(method, id, message.get("params").unwrap_or(&Value::Null)),
            (None, Some(id)) => {
                let sent = id.as_u64().and_then(|id| locked(&self.state).sent.remove(&id));
                if let Some((method, params)) = sent {
                    self.on_answer(&method, params, message);
                }
            }
            _ => {}
        }
    }

    fn on_answer(&self, method: &str, params: Value, message: &Value) {
        let result = message.get("result");
        match (method, result) {
            ("initialize", Some(result)) => {
                self.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
                self.opened(result);
            }
            ("initialize", None) => {
                // A server of the era without a handshake.
                locked(&self.state).is_modern = true;
                self.write_request("server/discover", json!({}));
            }
            ("server/discover", Some(result)) => self.opened(result),
            ("server/discover", None) => {
                let said = message["error"]["message"].as_str().unwrap_or("no reason");
                self.teller.tell(Msg::Failed(format!("the server opens in neither era: {said}")));
            }
            ("tools/list" | "prompts/list" | "resources/list", Some(result)) => {
                if let Some(cursor) = result.get("nextCursor").filter(|c| c.is_string()) {
                    self.write_request(method, json!({"cursor": cursor}));
                }
            }
            (_, Some(result)) if result["resultType"] == "input_required" => self.on_input_required(method, params, result),
            _ => {}
        }
    }

    /// The server is open: what it offers is asked for, so that tools can be chosen.
    fn opened(&self, result: &Value) {
        let offers = &result["capabilities"];
        let queued = {
            let mut state = locked(&self.state);
            state.is_ready = true;
            std::mem::take(&mut state.queued)
        };
        for (capability, method) in [("tools", "tools/list"), ("prompts", "prompts/list"), ("resources", "resources/list")] {
            if offers.get(capability).is_some() {
                self.write_request(method, json!({}));
            }
        }
        for (method, params) in queued {
            self.write_request(&method, params);
        }
    }

    fn on_request(&self, method: &str, id: &Value, params: &Value) {
        let answer = match method {
            "ping" => json!({}),
            "roots/list" => {
                let here = std::env::current_dir().unwrap_or_default();
                let uri = url::Url::from_directory_path(&here).map(String::from).unwrap_or_default();
                json!({"roots": [{"uri": uri, "name": "here"}]})
            }
            _ => {
                if self.ask(method, params, Question::Request(id.clone())) {
                    return;
                }
                let error = json!({"code": -32601, "message": format!("the inspector does not answer {method}")});
                return self.write(&json!({"jsonrpc": "2.0", "id": id, "error": error}));
            }
        };
        self.write(&json!({"jsonrpc": "2.0", "id": id, "result": answer}));
    }

    /// Puts a question before the user. `false`: it is none we know.
    fn ask(&self, method: &str, params: &Value, question: Question) -> bool {
        let message = params["message"].as_str().unwrap_or_default();
        let (title, purpose, schema, draft) = match method {
            "elicitation/create" if params.get("url").is_some() => {
                let url = params["url"].as_str().unwrap_or_default();
                let title = format!("the server asks you to open {url}: {message}");
                (title, Purpose::Elicitation, json!({"type": "object", "properties": {}}), None)
            }
            "elicitation/create" => {
                (format!("the server asks: {message}"), Purpose::Elicitation, params["requestedSchema"].clone(), None)
            }
            "sampling/createMessage" => {
                let said = params["messages"].to_string();
                let schema = json!({
                    "type": "object", "required": ["text"],
                    "properties": {"text": {"type": "string", "description": "what the model would answer"}},
                });
                (format!("the server asks a model: {said}"), Purpose::Sampling, schema, None)
            }
            _ => return false,
        };
        let mut state = locked(&self.state);
        state.last_question += 1;
        let id = state.last_question;
        state.questions.insert(id, (question, purpose));
        drop(state);
        self.teller.tell(Msg::Asked(Asked { id, title, purpose, schema, draft }));
        true
    }

    /// Takes an answer of the user: content, a refusal, or neither.
    fn answer(&self, question: u64, answer: Answer) {
        let Some((question, purpose)) = locked(&self.state).questions.remove(&question) else { return };
        let result = match (purpose, answer) {
            (Purpose::Sampling, Answer::Content(content)) => Ok(json!({
                "role": "assistant", "model": "by hand", "stopReason": "endTurn",
                "content": {"type": "text", "text": content["text"]},
            })),
            (Purpose::Sampling, _) => Err(json!({"code": -1, "message": "the user does not answer"})),
            (_, Answer::Content(content)) => Ok(json!({"action": "accept", "content": content})),
            (_, Answer::Declined) => Ok(json!({"action": "decline"})),
            (_, Answer::Dismissed) => Ok(json!({"action": "cancel"})),
        };
        match (question, result) {
            (Question::Request(id), Ok(result)) => self.write(&json!({"jsonrpc": "2.0", "id": id, "result": result})),
            (Question::Request(id), Err(error)) => self.write(&json!({"jsonrpc": "2.0", "id": id, "error": error})),
            (Question::Input(key), Ok(result)) => {
                if let Some(waiting) = &mut locked(&self.state).waiting {
                    waiting.answers.insert(key, result);
                }
                self.next_input();
            }
            // A call whose question is refused is not made again.
            (Question::Input(_), Err(_)) => locked(&self.state).waiting = None,
        }
    }

    fn on_input_required(&self, method: &str, params: Value, result: &Value) {
        let open = result["inputRequests"].as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
        locked(&self.state).waiting = Some(Waiting {
            method: method.to_owned(),
            params,
            state: result.get("requestState").cloned(),
            open: open.collect(),
            answers: BTreeMap::new(),
        });
        self.next_input();
    }

    /// Puts the next question of a call before the user, or calls again with the answers.
    fn next_input(&self) {
        let next = match &mut locked(&self.state).waiting {
            Some(waiting) => waiting.open.pop_front(),
            None => return,
        };
        if let Some((key, request)) = next {
            let method = request["method"].as_str().unwrap_or_default().to_owned();
            if !self.ask(&method, &request["params"], Question::Input(key)) {
                self.next_input();
            }
            return;
        }
        let Some(mut waiting) = locked(&self.state).waiting.take() else { return };
        waiting.params["inputResponses"] = json!(waiting.answers);
        if let Some(state) = waiting.state {
            waiting.params["requestState"] = state;
        }
        self.write_request(&waiting.method, waiting.params);
    }
}
