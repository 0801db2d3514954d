//! A wrapper around one server that passes every byte on and keeps a copy of what was said.
//!
//! Standard input and output are moved by two threads that block in `read` and `write`: no runtime, no parser, one copy
//! for the capture. A chunk is passed on as it came, whole line or not; lines are cut only to be numbered, and a message has its
//! number before its last byte is passed on. When somebody who watches wants to act ([`acting`]), the [`lane`] concerned
//! is armed: then whole messages are gathered and asked about before they go on. Until then that costs one atomic
//! load for each chunk.
//!
//! It is here and not in a crate of its own because it is one of the pipeline's routes; it shares no code with tokio.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mcp_os::guard::Guard;
use mcp_os::process::{self, Child, SpawnError};
use mcp_os::signals::{self, Ending};

mod cutter;
pub mod http;
mod lane;
mod pump;
mod restart;
mod shared;
mod tape;

pub use tape::{Recording, Tape};

use crate::acting::{self, Door, Meeting};
use pump::Pump;
use shared::{Shared, Viewed};
use tape::Opened;

/// What to wrap, and how.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// The program that is the server.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// How it is recorded.
    pub recording: Recording,
    /// Where those who want to act find us; `None`: nobody can.
    pub meeting: Option<PathBuf>,
    /// The program that is the orphan guard (`PROGRAM util guard`); without one, a server may outlive a wrapper that was
    /// killed so that it could not clean up.
    pub guard: Option<PathBuf>,
}

/// So long the pumps have to reach the end of what an ended server left behind while they find nothing to pass on: somebody
/// else may hold its output open for good.
const LINGER: Duration = Duration::from_millis(250);
/// So long a capture may take to be written when everything else is over.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the server between our standard input and output until it ends; says how.
pub fn run(spec: &Spec) -> Result<Ending, SpawnError> {
    mcp_os::memory::keep_together();
    // The server first: it is what takes time, and it must not inherit that signals are held back.
    let mut child = start(spec)?;
    let held = signals::hold();
    let opened = Arc::new(Tape::open(&spec.recording, &words(spec), "stdio"));
    let shared = Arc::new(Shared::new(&opened, spec, child.id()));
    opened.tape.process_started(child.id());
    shared.to_server.connect(child.stdin.take().map(|pipe| Box::new(pipe) as lane::Downstream));
    shared.to_client.connect(Some(Box::new(pump::Output)));
    let pumps = [Pump::input(&shared), Pump::output(&shared, child.stdout.take()), Pump::errors(&shared, child.stderr.take())];
    let mut later = Later::start(spec, &shared, &opened, held);
    let status = loop {
        let status = child.wait();
        if let Some(guard) = later.guard() {
            let _ = guard.remove(child.id());
        }
        let is_restart = shared.wants_restart();
        let unanswered = if is_restart {
            wait_for(&pumps[1..2]);
            opened.unanswered()
        } else {
            Vec::new()
        };
        opened.tape.process_ended(child.id(), status.as_ref().ok().copied());
        if !is_restart {
            break status;
        }
        match restart::again(spec, &shared, &unanswered) {
            Ok(next) => child = next,
            Err(error) => {
                say(&format!("cannot restart: {error}"));
                break status;
            }
        }
        if let Some(guard) = later.guard() {
            let _ = guard.add(child.id());
        }
    };
    shared.is_over();
    wait_for(&pumps[1..]);
    drop(later);
    Arc::into_inner(opened).expect("the thread that shared it has ended").finish(PATIENCE);
    Ok(status.map_or(Ending::Code(1), Ending::of))
}

fn start(spec: &Spec) -> Result<Child, SpawnError> {
    process::spawn(&process::Spec { program: spec.program.clone(), args: spec.args.clone(), ..process::Spec::default() })
}

/// Lets viewers in. If that is not possible, one line says so and nobody can act.
fn door(stage: Arc<dyn acting::Stage>, dir: PathBuf, session: &str) -> Option<Door> {
    let door = acting::serve(stage, Meeting::new(dir), session);
    door.map_err(|error| say(&format!("nobody can act on this session: {error}"))).ok()
}

fn words(spec: &Spec) -> Vec<String> {
    std::iter::once(&spec.program).chain(&spec.args).map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Starts a thread with a small stack: what these do needs little.
fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Option<JoinHandle<T>> {
    let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(256 * 1024).spawn(work);
    thread.map_err(|error| say(&format!("cannot start a thread: {error}"))).ok()
}

/// One line on standard error, which belongs to the server: only for trouble.
fn say(text: &str) {
    let _ = mcp_os::pump::write_errors(format!("mcp tap: {text}\n").as_bytes());
}

fn guarded(program: &std::path::Path, pid: u32) -> Option<Guard> {
    let guard = Guard::start(program).and_then(|guard| guard.add(pid).map(|()| guard));
    guard.map_err(|error| say(&format!("{error}: the server will outlive this process if it is killed with SIGKILL"))).ok()
}

/// So long everything waits that no message needs, while the server starts: it has use for the processors.
const LATER: Duration = Duration::from_millis(20);

/// What another thread makes a moment after the start: the orphan guard, and the way in for those who want to act.
struct Later {
    /// Dropped when the session is over: what was not begun by then is not needed.
    quit: Option<Sender<()>>,
    thread: Option<JoinHandle<Made>>,
    made: Made,
}

type Made = (Option<Guard>, Option<Door>);

impl Later {
    fn start(spec: &Spec, shared: &Arc<Shared>, opened: &Arc<Opened>, held: Option<signals::Held>) -> Self {
        let (quit, over) = channel();
        let (guard, meeting, pid) = (spec.guard.clone(), spec.meeting.clone(), shared.pid());
        let (shared, opened) = (Arc::clone(shared), Arc::clone(opened));
        let thread = spawn("later", move || {
            if over.recv_timeout(LATER) != Err(RecvTimeoutError::Timeout) {
                return (None, None);
            }
            if let Some(held) = held {
                let shared = Arc::clone(&shared);
                spawn("signals", move || pass_signals_on(&held, &shared));
            }
            let guard = guard.and_then(|program| guarded(&program, pid));
            let is_recording = loop {
                match opened.is_recording() {
                    Some(is_recording) => break is_recording,
                    // A disk that does not answer must not keep us from ending.
                    None if over.recv_timeout(LATER) == Err(RecvTimeoutError::Timeout) => {}
                    None => return (guard, None),
                }
            };
            // Without a capture nobody can know of the session.
            let meeting = meeting.filter(|_| is_recording);
            let door = meeting.and_then(|dir| door(Arc::new(Viewed(Arc::clone(&shared))), dir, &opened.session));
            // The start alone needed most of what is in memory by now.
            mcp_os::memory::give_back();
            (guard, door)
        });
        Self { quit: Some(quit), thread, made: (None, None) }
    }

    /// The guard, if there is one. Waits until it was started.
    fn guard(&mut self) -> Option<&Guard> {
        drop(self.quit.take());
        if let Some(thread) = self.thread.take() {
            self.made = thread.join().unwrap_or_default();
        }
        self.made.0.as_ref()
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        self.guard();
    }
}

fn pass_signals_on(held: &signals::Held, shared: &Shared) {
    use std::io::IsTerminal as _;
    while let Some(signal) = held.next() {
        // The server has a group of its own, so that what a terminal sends to everybody in front reaches it through us alone.
        let is_for_all = signals::is_of_terminal(signal) && std::io::stderr().is_terminal();
        signals::send(shared.pid(), signal, is_for_all);
    }
}

/// Waits until all has been passed on.
fn wait_for(pumps: &[Pump]) {
    let mut quiet = Instant::now();
    while pumps.iter().any(|pump| !pump.is_done()) {
        if pumps.iter().any(Pump::is_writing) {
            quiet = Instant::now();
        } else if quiet.elapsed() > LINGER {
            return;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}
