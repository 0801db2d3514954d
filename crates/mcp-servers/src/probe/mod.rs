//! Starts a server as an application would, calls one tool, and ends the server again.
//!
//! The era is chosen by the caller. Finding it out by probing would make a silent server of the older era cost a
//! time-out, and `mcp demo` wants to show each era by itself.

mod child;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ClientConfig, Implementation, JsonObject,
    ProtocolVersion,
};
use rmcp::service::{
    ClientCacheConfig, ClientInitializeError, ClientLifecycleMode, ClientServiceExt, RoleClient, RunningService, ServiceError,
};
use serde_json::Value;

pub use child::Aftermath;
use child::Child;

/// How a client's entry says a server is started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerCommand {
    /// The program, as a path or a name to be found on `PATH`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables added to the inherited environment.
    pub env: Vec<(OsString, OsString)>,
    /// Where it runs; the current directory when absent.
    pub cwd: Option<PathBuf>,
}

/// How the conversation is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// `initialize`, revisions up to 2025-11-25.
    Legacy,
    /// `server/discover` and metadata on each request, from 2026-07-28.
    Modern,
}

/// What the server said.
#[derive(Debug, Clone, PartialEq)]
pub struct Called {
    /// The server's name for itself; empty if it gave none, which the newer era allows.
    pub server_name: String,
    /// The server's version of itself; empty if it gave none.
    pub server_version: String,
    /// The revision that was agreed on.
    pub protocol_version: String,
    /// The names of all tools, in the server's order.
    pub tools: Vec<String>,
    /// Whether the tool reported an error.
    pub is_error: bool,
    /// The text blocks of the result, one per line.
    pub result_text: String,
    /// The structured content of the result.
    pub structured: Option<Value>,
    /// From starting the process to the end of the handshake.
    pub handshake: Duration,
    /// From sending the call to its result.
    pub call: Duration,
}

/// The steps of a probe, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Opening the conversation.
    Handshake,
    /// Listing the tools.
    List,
    /// Calling the tool.
    Call,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Handshake => "open the conversation",
            Self::List => "list the tools",
            Self::Call => "call the tool",
        })
    }
}

/// Why a probe did not get a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Tool arguments are always an object.
    #[error("use arguments that are not a JSON object")]
    Arguments,
    /// The async runtime did not start.
    #[error("start the async runtime")]
    Runtime(#[source] std::io::Error),
    /// The process did not start.
    #[error("start `{}`", .program.display())]
    Start {
        /// What was to be started.
        program: OsString,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server did not open the conversation.
    #[error("open the conversation with the server")]
    Handshake {
        /// What went wrong.
        source: Box<ClientInitializeError>,
        /// What the process left behind.
        aftermath: Aftermath,
    },
    /// A request was refused or got lost.
    #[error("{step}")]
    Request {
        /// Which one.
        step: Step,
        /// What went wrong.
        source: Box<ServiceError>,
        /// What the process left behind.
        aftermath: Aftermath,
    },
    /// The server has no such tool.
    #[error("find a tool called `{tool}` (the server has: {})", .tools.join(", "))]
    NoSuchTool {
        /// What was asked for.
        tool: String,
        /// What there is.
        tools: Vec<String>,
    },
    /// The server answered the call with a question or a task, which a probe does not follow up.
    #[error("finish the call of `{tool}`, because the server wants more than an answer")]
    Unfinished {
        /// The tool.
        tool: String,
    },
    /// Time was up.
    #[error("{step} within {} s", .limit.as_secs_f32())]
    TimedOut {
        /// What was being done.
        step: Step,
        /// The limit for all steps together.
        limit: Duration,
        /// What the process left behind.
        aftermath: Aftermath,
    },
}

impl ProbeError {
    /// The last lines that the server wrote to stderr, where it was started and failed.
    pub fn stderr(&self) -> &[String] {
        match self {
            Self::Handshake { aftermath, .. } | Self::Request { aftermath, .. } | Self::TimedOut { aftermath, .. } => {
                &aftermath.stderr
            }
            _ => &[],
        }
    }
}

/// Starts the server, lists its tools, calls one, and ends the server with everything it started. All of it, save the
/// ending, has `timeout` to finish.
pub fn call_stdio(
    command: &ServerCommand,
    era: Era,
    tool: &str,
    arguments: Value,
    timeout: Duration,
) -> Result<Called, ProbeError> {
    let Value::Object(arguments) = arguments else { return Err(ProbeError::Arguments) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ProbeError::Runtime)?;
    runtime.block_on(probe(command, era, tool, arguments, timeout))
}

/// A probe's failure before the process was looked at for reasons.
enum Failure {
    Handshake(Box<ClientInitializeError>),
    Request(Step, Box<ServiceError>),
    TimedOut(Step),
    Final(ProbeError),
}

async fn probe(
    command: &ServerCommand,
    era: Era,
    tool: &str,
    arguments: JsonObject,
    timeout: Duration,
) -> Result<Called, ProbeError> {
    let started = Instant::now();
    let (mut child, stdout, stdin) =
        Child::start(command).map_err(|source| ProbeError::Start { program: command.program.clone(), source })?;
    let outcome = converse((stdout, stdin), era, tool, arguments, started, timeout).await;
    // The conversation is over and stdin is closed: a good server is leaving already.
    let aftermath = child.end().await;
    outcome.map_err(|failure| match failure {
        Failure::Handshake(source) => ProbeError::Handshake { source, aftermath },
        Failure::Request(step, source) => ProbeError::Request { step, source, aftermath },
        Failure::TimedOut(step) => ProbeError::TimedOut { step, limit: timeout, aftermath },
        Failure::Final(error) => error,
    })
}

async fn converse(
    pipes: (tokio::process::ChildStdout, tokio::process::ChildStdin),
    era: Era,
    tool: &str,
    arguments: JsonObject,
    started: Instant,
    timeout: Duration,
) -> Result<Called, Failure> {
    let deadline = tokio::time::Instant::from_std(started) + timeout;
    let opening = client_config().serve_with_lifecycle(pipes, lifecycle(era));
    let service = match tokio::time::timeout_at(deadline, opening).await {
        Ok(opened) => opened.map_err(|error| Failure::Handshake(Box::new(error)))?,
        Err(_) => return Err(Failure::TimedOut(Step::Handshake)),
    };
    let handshake = started.elapsed();
    let called = requests(&service, tool, arguments, handshake, deadline).await;
    // Waits until the pipes are closed, so that the server sees the end of its input.
    let _ = service.cancel().await;
    called
}

async fn requests(
    service: &RunningService<RoleClient, ClientConfig>,
    tool: &str,
    arguments: JsonObject,
    handshake: Duration,
    deadline: tokio::time::Instant,
) -> Result<Called, Failure> {
    service.peer().set_response_cache_config(ClientCacheConfig::disabled()).await;
    let listing = tokio::time::timeout_at(deadline, service.peer().list_all_tools()).await;
    let tools =
        listing.map_err(|_| Failure::TimedOut(Step::List))?.map_err(|error| Failure::Request(Step::List, Box::new(error)))?;
    let tools: Vec<String> = tools.into_iter().map(|tool| tool.name.into_owned()).collect();
    if !tools.iter().any(|known| known == tool) {
        return Err(Failure::Final(ProbeError::NoSuchTool { tool: tool.to_owned(), tools }));
    }

    let calling = Instant::now();
    let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
    let response = tokio::time::timeout_at(deadline, service.peer().call_tool_once(params)).await;
    let response =
        response.map_err(|_| Failure::TimedOut(Step::Call))?.map_err(|error| Failure::Request(Step::Call, Box::new(error)))?;
    let call = calling.elapsed();
    let CallToolResponse::Complete(result) = response else {
        return Err(Failure::Final(ProbeError::Unfinished { tool: tool.to_owned() }));
    };

    let server = service.peer().peer_info();
    let identity = server.as_ref().and_then(|server| server.server_info.as_ref());
    Ok(Called {
        server_name: identity.map(|identity| identity.name.clone()).unwrap_or_default(),
        server_version: identity.map(|identity| identity.version.clone()).unwrap_or_default(),
        protocol_version: server.as_ref().map(|server| server.protocol_version.to_string()).unwrap_or_default(),
        tools,
        is_error: result.is_error.unwrap_or(false),
        result_text: text_of(&result),
        structured: result.structured_content,
        handshake,
        call,
    })
}

fn text_of(result: &CallToolResult) -> String {
    let texts: Vec<&str> = result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.as_str()).collect();
    texts.join("\n")
}

fn client_config() -> ClientConfig {
    ClientConfig::new(ClientCapabilities::default(), Implementation::new("mcp", env!("CARGO_PKG_VERSION")))
        .with_protocol_version(ProtocolVersion::V_2025_11_25)
}

fn lifecycle(era: Era) -> ClientLifecycleMode {
    match era {
        Era::Legacy => ClientLifecycleMode::Initialize,
        Era::Modern => ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] },
    }
}
