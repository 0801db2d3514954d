//! Clients of shared servers, for tests: the shim as a client starts it, spoken to by lines.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::home::{Home, Run};

/// Nothing here takes as long, also on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

/// A home whose daemon ends with it.
pub(crate) struct Shared {
    pub(crate) home: Home,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The sandbox ends by force whatever is left then.
        let mut stop = self.home.command();
        let _ = stop.args(["daemon", "stop", "--all"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The program that the tests share.
pub(crate) fn calculator() -> [&'static str; 3] {
    [env!("CARGO_BIN_EXE_mcp"), "serve", "calculator"]
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self { home: Home::new() }
    }

    pub(crate) fn with(home: Home) -> Self {
        Self { home }
    }

    /// A shim with these options in front of the calculator.
    pub(crate) fn client(&self, options: &[&str]) -> Client {
        Client::start(self.shim(options, &calculator()))
    }

    /// The command of a shim.
    pub(crate) fn shim(&self, options: &[&str], server: &[&str]) -> Command {
        let mut command = self.home.command();
        command.arg("run-once").args(options).arg("--").args(server);
        command
    }

    pub(crate) fn run(&self, line: &str) -> Run {
        self.home.run(line)
    }

    /// What `mcp daemon status --json` says.
    pub(crate) fn status(&self) -> Json {
        self.run("daemon status --json").ok().json("mcp.daemon.status/1")
    }

    /// The status once it is as wanted.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, is_so: impl Fn(&Json) -> bool) -> Json {
        let begin = Instant::now();
        loop {
            let status = self.status();
            if is_so(&status) {
                return status;
            }
            assert!(begin.elapsed() < LIMIT, "it never came to this: {what}\n{status:#}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Every log there is, for a test that failed.
    pub(crate) fn logs(&self) -> String {
        let dir = self.home.path(".local/state/mcp/daemon");
        let mut text = String::new();
        for path in [dir.clone(), dir.join("logs")] {
            for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
                if entry.path().extension().is_some_and(|e| e == "log") {
                    let log = std::fs::read_to_string(entry.path()).unwrap_or_default();
                    text.push_str(&format!("--- {}\n{log}", entry.path().display()));
                }
            }
        }
        text
    }
}

/// The servers in a status.
pub(crate) fn servers(status: &Json) -> &Vec<Json> {
    status["servers"].as_array().unwrap()
}

/// A number in a status.
pub(crate) fn number(value: &Json) -> u32 {
    u32::try_from(value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))).unwrap()
}

/// A client at work.
pub(crate) struct Client {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Receiver<String>,
    last_id: u64,
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Client {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let (sender, lines) = channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let (sender, errors) = channel();
        let mut stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            let _ = sender.send(text);
        });
        Self { child, stdin, lines, errors, last_id: 0 }
    }

    pub(crate) fn send(&mut self, message: &Json) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{message}\n").as_bytes()).unwrap();
    }

    /// The next message.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Json {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}")),
            Err(RecvTimeoutError::Timeout) => panic!("no answer"),
            Err(RecvTimeoutError::Disconnected) => {
                let (status, text) = self.end();
                panic!("it ended ({status}): {text}")
            }
        }
    }

    /// Asks, and waits for the answer to that.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, params: &Json) -> Json {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let answer = self.receive();
            if answer["id"] == id {
                return answer;
            }
        }
    }

    /// Opens the conversation as a client of the legacy era that has these capabilities.
    #[track_caller]
    pub(crate) fn open_with(&mut self, capabilities: &Json) -> Json {
        let info = json!({"name": "test-client", "version": "1.2.3"});
        let answer =
            self.ask("initialize", &json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info}));
        assert!(answer["result"].is_object(), "{answer}");
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        answer
    }

    #[track_caller]
    pub(crate) fn open(&mut self) {
        self.open_with(&json!({}));
    }

    /// Adds two numbers with the calculator.
    #[track_caller]
    pub(crate) fn add(&mut self, a: u64, b: u64) -> String {
        let answer = self.ask("tools/call", &json!({"name": "add", "arguments": {"a": a.to_string(), "b": b.to_string()}}));
        answer["result"]["structuredContent"]["result"].as_str().unwrap_or_else(|| panic!("no sum: {answer}")).to_owned()
    }

    /// Says that nothing more comes.
    pub(crate) fn finish(&mut self) {
        self.stdin = None;
    }

    /// Waits for the end of the shim: how, and what it said on stderr.
    #[track_caller]
    pub(crate) fn end(&mut self) -> (ExitStatus, String) {
        let status = mcp_testkit::sandbox::wait(&mut self.child, LIMIT).unwrap().expect("the shim goes on and on");
        (status, self.errors.recv_timeout(LIMIT).unwrap_or_default())
    }
}

/// Kills a process the test has started, or had started.
#[cfg(unix)]
pub(crate) fn kill(pid: u32) {
    signal(pid, rustix::process::Signal::KILL);
}

/// Sends a signal to a process the test has started, or had started.
#[cfg(unix)]
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Waits until a process is gone.
#[track_caller]
pub(crate) fn wait_gone(pid: u32) {
    let begin = Instant::now();
    while mcp_os::proc::is_running(pid) == Some(true) {
        assert!(begin.elapsed() < LIMIT, "process {pid} lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}
