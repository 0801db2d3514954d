//! What the caller tells the model, and what the model asks of the caller.

use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;
use crossterm::event::{KeyEvent, MouseEvent};
use mcp_capture::Session;
use mcp_capture::event::Mark;
use serde_json::Value;

use crate::form::Purpose;

/// A session that could be opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionLine {
    /// The file of its first part; empty for a server of the daemon that nobody records yet.
    pub path: PathBuf,
    /// What it is called.
    pub name: String,
    /// The server.
    pub server: String,
    /// The client, if known.
    pub client: String,
    /// `stdio`, `http`.
    pub transport: String,
    /// Who records: `tap`, `daemon`, `inspect`.
    pub recorder: String,
    /// When it began, as it is to be shown.
    pub started: String,
    /// It still goes on.
    pub is_live: bool,
    /// Its size on disk in bytes.
    pub bytes: u64,
    /// Messages, where the file says so.
    pub frames: Option<u64>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Deserves a look.
    Warning,
    /// Against the specification.
    Error,
}

/// Something the linter has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingLine {
    /// The rule's id.
    pub rule: String,
    /// How bad.
    pub severity: Severity,
    /// The row it is about.
    pub row: Option<u32>,
    /// The number of the message.
    pub sequence: u64,
    /// What is wrong, in one line.
    pub message: String,
    /// Why it matters, where it is written, how to reproduce it.
    pub explanation: String,
}

/// A tool and what it costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolLine {
    /// Its name.
    pub name: String,
    /// Calls, and those that failed.
    pub calls: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Nanoseconds: the middle call, the slowest of twenty, the slowest of a hundred.
    pub percentiles: [u64; 3],
    /// Bytes of its definition.
    pub definition: u64,
    /// Bytes of all its results.
    pub results: u64,
}

/// A message that a breakpoint holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its number for releasing it.
    pub id: u64,
    /// The client's number in the capture.
    pub client: u32,
    /// The breakpoint that holds it.
    pub by: String,
    /// Which way it goes.
    pub to_server: bool,
    /// Its bytes.
    pub bytes: Bytes,
}

/// How the live side of the open session stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Messages can be sent, held and dropped.
    pub can_act: bool,
    /// What is held.
    pub held: Vec<Held>,
    /// Breakpoints and faults, as text.
    pub rules: Vec<String>,
}

/// A question of the server to the client that the inspector is itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Its number for the answer.
    pub id: u64,
    /// What is asked, for the title.
    pub title: String,
    /// An elicitation or a sampling request.
    pub purpose: Purpose,
    /// The schema of the answer.
    pub schema: Value,
    /// What the answer may begin with, as JSON.
    pub draft: Option<String>,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The session that is on the screen, which somebody holds.
    Live,
    /// The same server, started anew.
    Fresh,
}

/// What happened.
#[derive(Debug)]
pub enum Msg {
    /// A key.
    Key(KeyEvent),
    /// The mouse.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The screen has so many columns and lines.
    Resize(u16, u16),
    /// Time went by.
    Tick(Instant),
    /// The open session's file may have grown.
    Changed,
    /// Show the rows that fit this filter.
    Filter(String),
    /// The sessions there are.
    Sessions(Vec<SessionLine>),
    /// A session was opened.
    Opened(Session),
    /// A second session was opened, to be compared with the first.
    OpenedOther(Session),
    /// Something did not work.
    Failed(String),
    /// Something was done.
    Done(String),
    /// The live side changed.
    Live(Live),
    /// What the linter found in the open session.
    Findings(Vec<FindingLine>),
    /// What the tools of the open session cost.
    Tools(Vec<ToolLine>),
    /// Marks and comments of the open session.
    Marks(Vec<Mark>),
    /// A text that was edited outside.
    Edited(String),
    /// The server asks something.
    Asked(Asked),
    /// A page of text to show.
    Page {
        /// Its title.
        title: String,
        /// The text.
        text: String,
    },
    /// A question before something is done that the caller had to look at first.
    Confirm {
        /// What is asked.
        title: String,
        /// What would happen.
        what: String,
        /// The word for yes.
        verb: String,
        /// What to do on yes.
        effect: Box<Effect>,
    },
}

/// As what something is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyAs {
    /// The request as JSON.
    Request,
    /// The answer as JSON.
    Answer,
    /// The value under the cursor.
    Value,
    /// The path of the cursor.
    Path,
    /// A line for the command `call`, which is not there yet.
    McpCall,
    /// A `curl` line.
    Curl,
    /// A case for a test.
    Test,
}

/// What is to be done outside the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Find the sessions.
    ListSessions,
    /// Open a session.
    Open(PathBuf),
    /// Open a second session beside the first.
    OpenOther(PathBuf),
    /// Begin to record a server of the daemon, and open the recording.
    Record(String),
    /// Run the linter on the open session.
    Lint,
    /// Put a text on the clipboard.
    CopyText(String),
    /// Put an operation on the clipboard in a form that takes more than its bytes.
    CopyRow(u32, CopyAs),
    /// Show bytes in the user's editor or pager.
    External(Bytes),
    /// Let the user edit a text outside; comes back as [`Msg::Edited`].
    Edit(String),
    /// Write the session, or the rows that fit the filter, in a format.
    Export {
        /// `jsonl`, `har`, …
        format: String,
        /// The filter in force.
        filter: String,
    },
    /// Write a recording that `mcp mock` answers from.
    Cassette(String),
    /// Keep a mark or comment.
    Mark(Mark),
    /// Send a request.
    Send {
        /// Where.
        target: Target,
        /// The method.
        method: String,
        /// The params as JSON.
        params: String,
    },
    /// Answer a question of the server: the id, and the JSON text of the result or none to decline.
    Answer(u64, Option<String>),
    /// Take a question of the server as not answered.
    Dismiss(u64),
    /// Hold messages that fit a filter.
    Breakpoint(String),
    /// Disturb messages: `delay 500ms on tool:x`.
    Fault(String),
    /// Lift all breakpoints and faults.
    ClearRules,
    /// Let a held message go, changed or not.
    Release(u64, Option<String>),
    /// Let all held messages go.
    ReleaseAll,
    /// Drop a held message.
    DropHeld(u64),
    /// Start the wrapped server anew.
    Restart,
    /// Call again what these rows called, and compare.
    Verify(Vec<u32>),
    /// Show what attaching to a client's servers would change.
    ShowAttach,
    /// Attach.
    Attach,
    /// Show what undoing an attach would change.
    ShowDetach(String),
    /// Undo an attach.
    Detach(String),
    /// Delete a recorded session.
    Delete(PathBuf),
    /// Remember the filters that were used.
    KeepHistory(Vec<String>),
}
