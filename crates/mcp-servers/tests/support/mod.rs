//! A server process on real pipes, spoken to in raw lines.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The calculator, built as a program of its own.
pub(crate) const CALCULATOR: &str = env!("CARGO_BIN_EXE_mcp-calculator");

const PATIENCE: Duration = Duration::from_secs(20);

/// A running calculator, killed when dropped.
pub(crate) struct Server {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let (mut server, stdout) = Self::start_unread();
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        server.lines = lines;
        server
    }

    /// A server whose output is the caller's to read, or not.
    pub(crate) fn start_unread() -> (Self, ChildStdout) {
        let mut process =
            Command::new(CALCULATOR).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().unwrap();
        (Self { process, stdin, lines: channel().1 }, stdout)
    }

    pub(crate) fn write(&mut self, line: &str) {
        self.write_raw(format!("{line}\n").as_bytes());
    }

    pub(crate) fn write_raw(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().expect("the input is open").write_all(bytes).unwrap();
    }

    pub(crate) fn take_input(&mut self) -> ChildStdin {
        self.stdin.take().expect("the input is open")
    }

    pub(crate) fn send(&mut self, message: &Value) {
        self.write(&message.to_string());
    }

    /// The next line of the answer, which must be JSON.
    pub(crate) fn receive(&mut self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("the server answers in time");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    pub(crate) fn ask(&mut self, message: &Value) -> Value {
        self.send(message);
        self.receive()
    }

    /// Ends the input.
    pub(crate) fn hang_up(&mut self) {
        drop(self.stdin.take());
    }

    /// Waits for the process to end by itself; what it wrote to stderr comes with its status.
    pub(crate) fn wait(&mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the server does not end");
            thread::sleep(Duration::from_millis(5));
        };
        let mut stderr = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (status, stderr)
    }

    /// Every line that is left once the process has ended.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.lines.recv_timeout(PATIENCE).ok()).collect()
    }

    pub(crate) fn initialize(&mut self, version: &str) -> Value {
        let answer = self.ask(&json!({
            "jsonrpc": "2.0", "id": "init", "method": "initialize",
            "params": {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
        }));
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The metadata that each request carries from 2026-07-28.
pub(crate) fn modern_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    })
}

/// A call of one tool; `arguments` is JSON text, so that numbers go out as they are written.
pub(crate) fn call(id: u32, tool: &str, arguments: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#)
}
