//! A server as a child process, over its standard input and output.
//!
//! Four tasks per server, on the thread of its hub: one writes, one reads frames, one reads what it says on stderr, and one
//! waits for its end and tells the hub how it came. None of them keeps the hub.

mod ending;
mod inbox;
mod outbox;
mod process;

use std::ffi::OsString;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcp_os::guard::Guard;

use crate::hub::Hub;
use crate::upstream::{Connector, Fate, Upstream};
use ending::Ending;
use inbox::Tail;
use outbox::Outbox;
use process::Process;

/// What to start.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// The program, as an absolute path: nothing is looked up.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// All of its environment.
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory; ours if `None`.
    pub cwd: Option<PathBuf>,
}

/// How long each step of a server's end may take (specification, basic/lifecycle, shutdown over stdio).
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For reading what is queued for it; and again, from its input being closed, for ending by itself.
    pub closed: Duration,
    /// From being asked to end (`SIGTERM`) to being killed.
    pub terminated: Duration,
    /// From the end of its output to being treated as one that was closed: its exit status says more.
    pub silent: Duration,
    /// For what it had written before it ended to be read. Only a process that left its group can still hold the pipes.
    pub dead: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            closed: Duration::from_secs(2),
            terminated: Duration::from_secs(2),
            silent: Duration::from_millis(500),
            dead: Duration::from_secs(1),
        }
    }
}

/// Who is given what a server writes to stderr, line by line.
pub type StderrSink = Rc<dyn Fn(&str)>;

/// Starts a server as a child process, leader of its own process group (on Windows: alone in its own job).
pub struct ChildConnector {
    spec: Spec,
    patience: Patience,
    sink: StderrSink,
    guard: Option<Arc<Guard>>,
}

impl ChildConnector {
    /// For this server. What it writes to stderr goes to the sink.
    pub fn new(spec: Spec, sink: StderrSink) -> Self {
        Self { spec, patience: Patience::default(), sink, guard: None }
    }

    /// With other times.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// With a guard that ends the server should we be killed.
    #[must_use]
    pub fn with_guard(mut self, guard: Arc<Guard>) -> Self {
        self.guard = Some(guard);
        self
    }
}

impl Connector for ChildConnector {
    fn connect(&self, hub: &Hub, generation: u64) -> Result<Rc<dyn Upstream>, Fate> {
        let (process, pipes) = Process::start(&self.spec, self.guard.clone(), &self.sink).map_err(|text| Fate {
            text: format!("could not be started: {text}"),
            stderr: Vec::new(),
            was_wanted: false,
        })?;
        let pid = process.id();
        let outbox = Rc::new(Outbox::default());
        let tail = Rc::new(Tail::default());
        let limits = hub.limits();
        let ending = Ending {
            writer: tokio::task::spawn_local(outbox::write(
                pipes.stdin,
                Rc::clone(&outbox),
                hub.downgrade(),
                limits.server_queue,
            )),
            reader: tokio::task::spawn_local(inbox::read(pipes.stdout, hub.downgrade(), generation, limits.message)),
            stderr: tokio::task::spawn_local(inbox::read_stderr(pipes.stderr, Rc::clone(&tail), Rc::clone(&self.sink))),
            process,
            outbox: Rc::clone(&outbox),
            tail,
            patience: self.patience,
            hub: hub.downgrade(),
            generation,
        };
        tokio::task::spawn_local(ending.watch());
        Ok(Rc::new(Running { pid, outbox }))
    }
}

struct Running {
    pid: u32,
    outbox: Rc<Outbox>,
}

impl Upstream for Running {
    fn send(&self, frame: Bytes) {
        self.outbox.push(frame);
    }

    fn queued(&self) -> usize {
        self.outbox.queued()
    }

    fn close(&self) {
        self.outbox.close();
    }

    fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.outbox.close();
    }
}
