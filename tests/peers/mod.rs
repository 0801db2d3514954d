//! The programs that `mcp run-once` is put between: the fixture, and `mcp` itself as an endpoint.
//!
//! `MCP_FIXTURE` names another fixture than the one beside `mcp`, and `MCP_UNDER_TEST` another `mcp`.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use libtest_mimic::{Completion, Failed, Trial};
use mcp_testkit::{install, sandbox};

/// For a program to say where it listens, on a busy machine.
const READY: Duration = Duration::from_mins(1);

/// Why a trial cannot take place. It is reported, and does not count as passed.
#[derive(Clone, Debug)]
pub(crate) struct Skip(pub(crate) String);

/// What ends a trial early.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    Skip(Skip),
    Fail(String),
}

impl From<Skip> for Stop {
    fn from(skip: Skip) -> Self {
        Self::Skip(skip)
    }
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self::Fail(message)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Fail(error.to_string())
    }
}

pub(crate) fn skippable(name: String, run: impl FnOnce() -> Result<(), Stop> + Send + 'static) -> Trial {
    Trial::ignorable_test(name, || match run() {
        Ok(()) => Ok(Completion::Completed),
        Err(Stop::Skip(Skip(reason))) => Ok(Completion::ignored_with(reason)),
        Err(Stop::Fail(message)) => Err(Failed::from(message)),
    })
}

/// `mcp`.
pub(crate) fn mcp() -> PathBuf {
    std::env::var_os("MCP_UNDER_TEST").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_mcp")), PathBuf::from)
}

/// The fixture's server.
pub(crate) fn fixture() -> Result<PathBuf, String> {
    beside("mcp-fixture")
}

/// The fixture's client.
pub(crate) fn fixture_client() -> Result<PathBuf, String> {
    beside("mcp-fixture-client")
}

/// A program of `mcp-fixture`, which cargo builds beside `mcp` when it tests the workspace.
fn beside(name: &str) -> Result<PathBuf, String> {
    let folder = std::env::var_os("MCP_FIXTURE").map_or_else(|| Path::new(env!("CARGO_BIN_EXE_mcp")).to_owned(), PathBuf::from);
    let program = folder.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if program.is_file() {
        return Ok(program);
    }
    Err(format!("{} is missing: `cargo build -p mcp-fixture` makes it", program.display()))
}

/// Node 22, from the cache.
pub(crate) fn node() -> Result<PathBuf, Skip> {
    let folder = install::node_bin().map_err(|reason| Skip(format!("node {reason}")))?;
    Ok(absolute(&folder.join(format!("node{}", std::env::consts::EXE_SUFFIX))))
}

/// The folder of an npm package, from the cache.
pub(crate) fn npm(name: &str) -> Result<PathBuf, Skip> {
    install::npm(name).map(|folder| absolute(&folder)).map_err(|reason| Skip(format!("{name} {reason}")))
}

/// The interpreter of a virtual environment, from the cache.
pub(crate) fn python(name: &str) -> Result<PathBuf, Skip> {
    let folder = install::python(name).map_err(|reason| Skip(format!("{name} {reason}")))?;
    // Not resolved: a link to the system's interpreter is what makes it one of the environment.
    Ok(absolute(&folder).join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" }))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A program that serves HTTP until it is dropped.
pub(crate) struct Endpoint {
    child: Child,
    pub(crate) url: String,
}

impl Endpoint {
    /// Starts it and waits for its first line, the URL.
    pub(crate) fn start(command: &mut Command) -> Result<Self, String> {
        let what = format!("{command:?}");
        let log = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        let stderr = log.reopen().map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = sandbox::spawn_leader(command).map_err(|error| format!("start {what}: {error}"))?;
        let mut output = BufReader::new(child.stdout.take().expect("piped above"));
        let (sender, first) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = output.read_line(&mut line);
            let _ = sender.send(line);
            // What comes later is read, so that it never blocks.
            let _ = std::io::copy(&mut output, &mut std::io::sink());
        });
        let line = first.recv_timeout(READY).unwrap_or_default();
        let mut endpoint = Self { child, url: line.trim().to_owned() };
        if endpoint.url.starts_with("http") {
            return Ok(endpoint);
        }
        sandbox::end_group(&mut endpoint.child);
        let said = std::fs::read_to_string(log.path()).unwrap_or_default();
        Err(format!("{what} printed no URL but {line:?}\n{said}"))
    }

    /// The fixture, asked directly.
    pub(crate) fn direct(eras: &str) -> Result<Self, String> {
        Self::start(Command::new(fixture()?).args(["--http", "0", "--eras", eras]))
    }

    /// A server behind `mcp run-once`, in a sandbox that has to live as long.
    pub(crate) fn through<A: AsRef<OsStr>>(sandbox: &sandbox::Sandbox, arguments: &[A]) -> Result<Self, String> {
        let mut command = sandbox.command(mcp());
        command.args(["run-once", "--http", "127.0.0.1:0", "--no-token"]).args(arguments);
        Self::start(&mut command)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        sandbox::end_group(&mut self.child);
        let _ = self.child.wait();
    }
}
