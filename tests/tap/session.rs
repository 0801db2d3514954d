//! A client of a wrapped server, for tests.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mcp_capture::{Row, Session, Store};
use mcp_relay::acting::{Client, Meeting};
use serde_json::{Value, json};

pub(crate) const MCP: &str = env!("CARGO_BIN_EXE_mcp");
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A wrapped server and its client's end. Killed when dropped.
pub(crate) struct Tap {
    pub(crate) child: Child,
    pub(crate) home: tempfile::TempDir,
    lines: Receiver<String>,
}

impl Drop for Tap {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Tap {
    pub(crate) fn around(command: &[&str]) -> Self {
        Self::start(&["--name", "case", "--client", "test"], command, &[])
    }

    pub(crate) fn calculator() -> Self {
        let mut tap = Self::around(&[MCP, "serve", "calculator"]);
        tap.open();
        tap
    }

    pub(crate) fn start(options: &[&str], command: &[&str], env: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut start = Command::new(MCP);
        start.arg("tap").args(options).arg("--").args(command).env("MCP_HOME", home.path()).envs(env.iter().copied());
        let mut child = start.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, home, lines }
    }

    /// Opens the session as a client of the legacy era.
    pub(crate) fn open(&mut self) {
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        self.say(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}));
        assert!(self.hear()["result"]["serverInfo"].is_object());
        self.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn say(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    pub(crate) fn add(&mut self, id: u64, a: u64, b: u64) {
        let params = json!({"name": "add", "arguments": {"a": a, "b": b}});
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}));
    }

    pub(crate) fn ping(&mut self, id: u64) {
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": "ping"}));
    }

    pub(crate) fn hear(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(PATIENCE).expect("an answer comes")).unwrap()
    }

    /// Whether nothing has come so far.
    pub(crate) fn is_silent(&self) -> bool {
        self.lines.try_recv().is_err()
    }

    /// Ends the input and waits for the end.
    pub(crate) fn close(&mut self) -> ExitStatus {
        self.child.stdin = None;
        self.wait()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        until("the wrapper ends", || self.child.try_wait().unwrap())
    }

    pub(crate) fn capture(&self) -> PathBuf {
        let store = Store::at(self.home.path().join("state/captures"));
        until("there is a capture", || store.list().unwrap().first().map(|found| found.path.clone()))
    }

    pub(crate) fn control(&self) -> Client {
        let session = Session::open(&self.capture()).unwrap().header().session.clone();
        let meeting = Meeting::new(self.home.path().join("state/daemon/taps"));
        until("somebody listens", || Client::connect(&meeting, &session).ok())
    }

    /// What is recorded, once it holds.
    pub(crate) fn recorded<T>(&self, what: &str, mut look: impl FnMut(&Session) -> Option<T>) -> T {
        recorded(&self.capture(), what, &mut look)
    }
}

pub(crate) fn recorded<T>(path: &Path, what: &str, look: &mut impl FnMut(&Session) -> Option<T>) -> T {
    until(what, || look(&Session::open(path).unwrap()))
}

pub(crate) fn rows(session: &Session) -> Vec<Row> {
    session.rows().iter(session.index()).collect()
}

/// Waits for something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
