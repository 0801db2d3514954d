//! What a client starts instead of its server: a pump between standard input and output and the daemon.
//!
//! It reads no line and knows no message. Two threads copy bytes until one end is closed; everything clever is in the daemon.

use std::io::{Read as _, Write as _};
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_os::pump;

use crate::call::Call;
use crate::ensure::{self, EnsureError, Ensured};
use crate::hello::{Answer, Head, Why, WhyHead};
use crate::link::Link;
use crate::place::Place;

/// How much is copied at once. A buffer this large is a mapping of its own for the usual allocators, so of its pages only those
/// exist that a message has reached: a client of small messages has a smaller shim than with 64 KiB.
const CHUNK: usize = 256 * 1024;
/// So much of the input goes before there is a second thread: it fits the buffer of every new connection, so that the write cannot
/// wait while nobody reads what comes back.
const EARLY: usize = 4 * 1024;
/// How often a daemon that ends before it answers is looked for again.
const TRIES: u32 = 5;
/// How long the daemon may take to answer. It starts no server before it does.
const PATIENCE: Duration = Duration::from_secs(20);

/// How the shim ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The exit code.
    pub exit: u8,
    /// What to say on standard error.
    pub text: Option<String>,
}

impl Ended {
    fn well() -> Self {
        Self { exit: 0, text: None }
    }

    fn badly(exit: u8, text: impl Into<String>) -> Self {
        Self { exit, text: Some(text.into()) }
    }
}

/// The session's connection, shared by both threads.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Where input goes; `None` while a new daemon is looked for.
    link: Option<Link>,
    /// The client has said all it wanted.
    is_finished: bool,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Joins the server and pumps until the end.
pub fn run(place: &Place, mut call: Call) -> Ended {
    let mut session = match join(place, &call) {
        Ok(session) => session,
        Err(ended) => return ended,
    };
    call.ticket = None;
    let gate = Arc::new(Gate::default());
    let reader = Arc::clone(&gate);
    // Both are made here: a second thread that allocates gets a heap of its own.
    let (mut chunk, mut input) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut waiting = if pump::has_input() { pump::read_input(&mut input[..EARLY]).unwrap_or(0) } else { 0 };
    // What the client has said already goes on before there is a second thread: the daemon is at it meanwhile.
    if { &session.link }.write_all(&input[..waiting]).is_ok() {
        waiting = 0;
    }
    if let Err(e) = std::thread::Builder::new().stack_size(128 * 1024).spawn(move || pump_input(&reader, input, waiting)) {
        return Ended::badly(4, format!("start a thread: {e}"));
    }
    loop {
        if let Err(ended) = open(&gate, &session.link) {
            return ended;
        }
        // A reset is an end too: the daemon was killed.
        while let Ok(read @ 1..) = { &session.link }.read(&mut chunk) {
            if pump::write_output(&chunk[..read]).is_err() {
                // The client does not listen any more.
                return Ended::well();
            }
        }
        // Closes the gate when the other thread is between two writes, so that no chunk is torn.
        let mut state = gate.lock();
        if state.is_finished {
            return Ended::well();
        }
        state.link = None;
        drop(state);
        session.link.finish();
        match fate(place, &session.id) {
            Why::Resume(ticket) => {
                call.ticket = Some(ticket);
                session = match join(place, &call) {
                    Ok(session) => session,
                    Err(ended) => return ended,
                };
                call.ticket = None;
            }
            Why::End(exit, text) => return Ended { exit, text: Some(text).filter(|t| !t.is_empty()) },
            Why::Unknown => {
                return Ended::badly(
                    4,
                    format!("the daemon ended, and the session with `{}` with it; start it again", session.name),
                );
            }
        }
    }
}

fn open(gate: &Gate, link: &Link) -> Result<(), Ended> {
    let copy = link.try_clone().map_err(|e| Ended::badly(4, format!("copy the connection: {e}")))?;
    let mut state = gate.lock();
    if state.is_finished {
        copy.finish();
    }
    state.link = Some(copy);
    drop(state);
    gate.opened.notify_all();
    Ok(())
}

/// Standard input to the daemon, to its end; so many bytes were read before. Runs in its own thread, which ends with the process.
fn pump_input(gate: &Gate, mut chunk: Vec<u8>, mut waiting: usize) {
    loop {
        let read = match std::mem::take(&mut waiting) {
            // A broken input is an end too.
            0 => pump::read_input(&mut chunk).unwrap_or(0),
            waiting => waiting,
        };
        let mut state = gate.lock();
        while state.link.is_none() {
            state = gate.opened.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let Some(link) = &state.link else { continue };
        if read == 0 {
            link.finish();
            state.is_finished = true;
            return;
        }
        if { link }.write_all(&chunk[..read]).is_err() {
            // The other thread sees the end as well, and what it means.
            return;
        }
    }
}

/// A session.
struct Session {
    link: Link,
    id: String,
    name: String,
}

/// Asks for a session until somebody answers.
fn join(place: &Place, call: &Call) -> Result<Session, Ended> {
    let failed = |e: &EnsureError| Ended::badly(4, mcp_os::causes::on_one_line(e));
    let body = call.to_bytes();
    let mut hello = Head::RunOnce(body.len()).to_string().into_bytes();
    hello.extend_from_slice(&body);
    let mut found = ensure::ensure(place);
    let mut trouble = String::new();
    for _ in 0..TRIES {
        let Ensured { link, started } = found.map_err(|e| failed(&e))?;
        if let Some(child) = started {
            reap(child);
        }
        let answer = link
            .set_patience(Some(PATIENCE))
            .and_then(|()| { &link }.write_all(&hello))
            .and_then(|()| link.read_line())
            .and_then(|line| link.set_patience(None).map(|()| line));
        match answer.as_deref().map(Answer::parse) {
            Ok(Some(Answer::Ok(id, name))) => return Ok(Session { link, id, name }),
            Ok(Some(Answer::Error(exit, text))) => return Err(Ended::badly(exit, text)),
            Ok(Some(Answer::Older(_))) => {
                found = ensure::replace(place, &call.version);
                continue;
            }
            Ok(None) => "what answers is no daemon of ours".clone_into(&mut trouble),
            // It was about to leave.
            Err(e) => trouble = e.to_string(),
        }
        std::thread::sleep(Duration::from_millis(20));
        found = ensure::ensure(place);
    }
    Err(Ended::badly(4, format!("talk to the daemon: {trouble}")))
}

/// Waits for a daemon we started, so that nothing is left of it when it ends before us.
fn reap(mut child: Child) {
    let _ = std::thread::Builder::new().stack_size(32 * 1024).spawn(move || child.wait());
}

/// How a session ended, as its daemon knows it.
fn fate(place: &Place, session: &str) -> Why {
    // A daemon that takes no new clients listens elsewhere.
    let pid = session.split_once('-').and_then(|(pid, _)| pid.parse().ok());
    let own = pid.and_then(|pid| Link::connect_to(&place.leaving_socket(pid)).ok().flatten());
    let Some(link) = own.or_else(|| Link::connect(place).ok().flatten()) else { return Why::Unknown };
    let asked = link
        .set_patience(Some(PATIENCE))
        .and_then(|()| { &link }.write_all(Head::Why(session.to_owned()).to_string().as_bytes()))
        .and_then(|()| link.read_line());
    match asked.as_deref().map(WhyHead::parse) {
        Ok(WhyHead::End(exit, text)) => Why::End(exit, text),
        Ok(WhyHead::Resume(length)) => {
            let mut ticket = vec![0; length];
            { &link }.read_exact(&mut ticket).map_or(Why::Unknown, |()| Why::Resume(ticket))
        }
        _ => Why::Unknown,
    }
}
