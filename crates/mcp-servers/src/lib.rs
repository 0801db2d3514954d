//! The MCP servers that come with `mcp`, and a small client that starts a server as an application would and calls one
//! of its tools.
//!
//! Servers and client are rmcp peers. What they do not do is forward: nothing here carries other people's messages.

pub mod calculator;
mod captures;
mod exact_numbers;
mod lines;
pub mod probe;

use std::io;
use std::time::Duration;

use rmcp::ServerHandler;
use rmcp::service::{QuitReason, ServerInitializeError, ServiceExt};

/// A server that is part of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bundled {
    /// What `mcp serve` and `mcp install` call it.
    pub name: &'static str,
    /// One line about what it is for.
    pub summary: &'static str,
    /// The names of its tools, in the order it lists them.
    pub tools: &'static [&'static str],
}

/// Every server that is part of this program.
pub fn bundled() -> &'static [Bundled] {
    &[Bundled { name: calculator::NAME, summary: calculator::SUMMARY, tools: calculator::TOOL_NAMES }]
}

/// Why a bundled server could not be run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// No bundled server has that name.
    #[error("find a bundled server called `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The runtime did not start.
    #[error("start the async runtime")]
    Runtime(#[source] io::Error),
    /// The conversation could not be opened.
    #[error("open the conversation with the client")]
    Open(#[source] Box<ServerInitializeError>),
    /// The server stopped by itself, which is a bug.
    #[error("keep the server running")]
    Stopped(#[source] tokio::task::JoinError),
}

/// How long answers may take to leave once the conversation is over.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Serves a bundled server on stdin and stdout, in whichever era the client opens, and returns when stdin ends or the
/// client stops reading. Nothing but protocol is written to stdout.
pub fn serve(name: &str) -> Result<(), ServeError> {
    if name != calculator::NAME {
        return Err(ServeError::Unknown { name: name.to_owned() });
    }
    serve_handler(calculator::Calculator)
}

/// Serves recorded sessions to an agent, in the same way.
pub fn serve_captures(store: mcp_capture::Store) -> Result<(), ServeError> {
    serve_handler(captures::Captures::new(store))
}

fn serve_handler<H: ServerHandler>(handler: H) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(ServeError::Runtime)?;
    let served = runtime.block_on(async {
        let (transport, writer) = lines::Lines::new(tokio::io::stdin(), tokio::io::stdout());
        let served = converse(handler, transport).await;
        // Answers may still be on their way out. A client that has left and reads nothing is not waited for: whether
        // the last write worked changes nothing for anybody.
        let _ = tokio::time::timeout(LAST_ANSWERS, writer).await;
        served
    });
    // A read of stdin cannot be called off. After a broken pipe one may still wait for a client that is silent for ever.
    runtime.shutdown_background();
    served
}

async fn converse<H, R>(handler: H, transport: lines::Lines<R>) -> Result<(), ServeError>
where
    H: ServerHandler,
    R: tokio::io::AsyncRead + Unpin + Send + 'static,
{
    let running = match handler.serve(transport).await {
        Ok(running) => running,
        Err(error) if is_hang_up(&error) => return Ok(()),
        Err(error) => return Err(ServeError::Open(Box::new(error))),
    };
    match running.waiting().await {
        Ok(QuitReason::JoinError(error)) | Err(error) => Err(ServeError::Stopped(error)),
        Ok(_) => Ok(()),
    }
}

/// The client left before it opened anything, or while it was being answered.
fn is_hang_up(error: &ServerInitializeError) -> bool {
    matches!(
        error,
        ServerInitializeError::ConnectionClosed(_)
            | ServerInitializeError::TransportError { .. }
            | ServerInitializeError::Cancelled
    )
}
