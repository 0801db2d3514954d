//! Real AI clients: how each is set up, asked what it thinks of its servers, and made to call a tool. One file per client.
//!
//! Facts are about the versions pinned in `tests/real_clients/packages.toml`; a client that changes its output needs its file
//! here looked at, which is the point of running it.

mod amp;
mod claude_code;
mod cline;
mod codex;
mod continue_cli;
mod copilot;
mod droid;
mod gemini;
mod goose;
mod opencode;
mod qwen;

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use crate::{
    install,
    model::{FakeModel, Script},
    sandbox::{Outcome, Sandbox},
};

/// What a client says about one server in its own list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The list does not have it.
    Absent,
    /// The list has it; the client does not start servers for its list.
    Listed,
    /// The client started it and spoke to it.
    Connected,
    /// The list has it, and it did not work.
    Broken(String),
}

/// What a client's own list and diagnostics say.
#[derive(Debug, Clone)]
pub struct View {
    /// About the server asked for.
    pub standing: Standing,
    /// Every warning or error about its configuration, whichever entry it names: a sandbox has no others than those we made.
    pub complaints: Vec<String>,
    /// What the client printed, for a failure message.
    pub output: String,
}

/// A real client. What it cannot do without a terminal or an account is `None`.
pub trait RealClient: Send + Sync {
    /// The id `mcp` knows it by.
    fn id(&self) -> &'static str;

    /// The name of its program in `node_modules/.bin`.
    fn program(&self) -> &'static str;

    /// The file `mcp` edits at user scope, from the home directory.
    fn config(&self) -> &'static str;

    /// What that file holds before `mcp` comes: settings of the client's own, needed for it to reach the model.
    fn settings(&self, model: &str) -> String;

    /// Writes what else the client needs before it runs.
    fn prepare(&self, _session: &Session) -> io::Result<()> {
        Ok(())
    }

    /// The variables it runs with.
    fn variables(&self, _model: &str) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Asks for its own view of its servers.
    fn view(&self, _session: &Session, _server: &str) -> Option<io::Result<View>> {
        None
    }

    /// What it calls itself when it opens a conversation with a server.
    fn calls_itself(&self) -> &'static str;

    /// Arguments for one headless prompt that may call `tool` of `server`.
    fn prompt(&self, _server: &str, _tool: &str) -> Option<Vec<String>> {
        None
    }

    /// Arguments of its own command for adding a stdio server at user scope.
    fn add(&self, _server: &str, _command: &[String]) -> Option<Vec<String>> {
        None
    }

    /// Arguments of its own command for removing a server at user scope.
    fn remove(&self, _server: &str) -> Option<Vec<String>> {
        None
    }

    /// The longest one command of it may take.
    fn limit(&self) -> Duration {
        Duration::from_secs(100)
    }
}

/// Every client there is a harness for; those that CI runs come first.
pub fn all() -> [&'static dyn RealClient; 12] {
    [
        &claude_code::ClaudeCode,
        &codex::Codex,
        &gemini::GeminiCli,
        &goose::Goose,
        &qwen::QwenCode,
        &opencode::OPENCODE,
        &opencode::KILO,
        &copilot::CopilotCli,
        &cline::ClineCli,
        &continue_cli::ContinueCli,
        &droid::Droid,
        &amp::Amp,
    ]
}

/// A home for one client or several: an empty sandbox with a Node that all of them can run on.
pub fn home() -> io::Result<Sandbox> {
    let mut sandbox = Sandbox::new()?;
    if let Ok(node) = install::node_bin() {
        sandbox.search_first(&node.canonicalize()?);
    }
    Ok(sandbox)
}

/// One installed client in a sandbox, with a model of its own.
pub struct Session {
    /// The home it runs in.
    pub sandbox: Arc<Sandbox>,
    /// The model it is told to use.
    pub model: FakeModel,
    client: &'static dyn RealClient,
    program: PathBuf,
}

impl Session {
    /// Sets a client up in a sandbox of its own: its settings, and nothing about servers.
    pub fn begin(client: &'static dyn RealClient, program: &Path, script: Script) -> io::Result<Self> {
        Self::begin_beside(&Arc::new(home()?), client, program, FakeModel::start(script)?)
    }

    /// Sets a client up in a sandbox that other clients share.
    pub fn begin_beside(
        sandbox: &Arc<Sandbox>,
        client: &'static dyn RealClient,
        program: &Path,
        model: FakeModel,
    ) -> io::Result<Self> {
        let sandbox = Arc::clone(sandbox);
        let session = Self { sandbox, model, client, program: program.to_owned() };
        session.sandbox.write(client.config(), &client.settings(session.model.url()))?;
        client.prepare(&session)?;
        Ok(session)
    }

    /// The client it runs.
    pub fn client(&self) -> &'static dyn RealClient {
        self.client
    }

    /// The client's program with its variables, in the working directory of the sandbox.
    pub fn command<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(&self, arguments: I) -> Command {
        let mut command = self.sandbox.command(&self.program);
        command
            // Of several clients; the others ignore them.
            .envs([("DISABLE_TELEMETRY", "1"), ("DO_NOT_TRACK", "1"), ("DISABLE_AUTOUPDATER", "1")])
            .envs(self.client.variables(self.model.url()))
            .args(arguments);
        command
    }

    /// Runs the client.
    pub fn run<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(&self, arguments: I) -> io::Result<Outcome> {
        self.sandbox.run(&mut self.command(arguments), self.client.limit())
    }
}

/// Builds a view from a client's list in which each server has a line of its own.
///
/// `entry` finds the line; `connected` is what it contains when the server was reached.
fn view_of_lines(output: String, entry: impl Fn(&str) -> bool, connected: &str, complains: impl Fn(&str) -> bool) -> View {
    let standing = match output.lines().find(|line| entry(line)) {
        None => Standing::Absent,
        Some(line) if line.contains(connected) => Standing::Connected,
        Some(line) => Standing::Broken(line.trim().to_owned()),
    };
    let complaints = output.lines().filter(|line| complains(line)).map(|line| line.trim().to_owned()).collect();
    View { standing, complaints, output }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).into()
}

fn words_then<const N: usize>(first: [&str; N], rest: &[String]) -> Vec<String> {
    let mut all = words(first);
    all.extend_from_slice(rest);
    all
}
