//! The daemon: its main thread takes callers in, reads what they want, and sends each to the thread of its server.
//!
//! Everything here is small and quick, so that nobody waits for anybody: a server's work is done in [`crate::backend`].

mod answers;
mod door;
mod isolation;
mod registry;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_os::dirs::Dirs;
use mcp_os::guard::Guard;
use mcp_os::private::PrivateError;
use mcp_os::{clock, detach, private};
use tokio::runtime::LocalOptions;
use tokio::sync::{Notify, mpsc};

use crate::backend::{self, Report};
use crate::ensure::READY;
use crate::hello::Why;
use crate::identity::Identity;
use crate::link;
use crate::place::Place;
use crate::store::{State, Store};

use door::Door;
use registry::Server;
pub(crate) use registry::config;

/// How long a daemon stays without a server.
const LINGER: Duration = Duration::from_mins(1);
/// Sessions whose end is remembered, for shims that ask.
const MOST_FATES: usize = 256;
/// How long the daemon stays for shims that have not asked how their session ended.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How often the daemon looks whether its socket is still there.
const LOOK: Duration = Duration::from_secs(5);

/// Why a daemon does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The directory cannot be used.
    #[error(transparent)]
    Place(#[from] PrivateError),
    /// Another one runs.
    #[error("another daemon runs already{}", .0.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Running(Option<u32>),
    /// Something it needs cannot be made.
    #[error("{what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The runtime.
    #[error("start the daemon's runtime")]
    Runtime(#[source] io::Error),
}

/// The version of this program. Tests may give it another.
pub fn version() -> String {
    #[cfg(feature = "testing")]
    if let Ok(version) = std::env::var("MCP_TEST_VERSION") {
        return version;
    }
    env!("CARGO_PKG_VERSION").to_owned()
}

fn linger() -> Duration {
    #[cfg(feature = "testing")]
    if let Some(linger) = std::env::var("MCP_TEST_DAEMON_LINGER").ok().and_then(|v| crate::call::duration(&v)) {
        return linger;
    }
    LINGER
}

/// What the main thread knows.
struct Daemon {
    dirs: Dirs,
    place: Place,
    version: String,
    pid: u32,
    started: Instant,
    salt: Vec<u8>,
    transport: &'static str,
    store: RefCell<Store>,
    state: RefCell<State>,
    servers: RefCell<BTreeMap<Identity, Server>>,
    /// Servers that are ending: those of the same identity wait for them.
    ending: RefCell<HashMap<Identity, Vec<tokio::sync::oneshot::Sender<()>>>>,
    sessions: RefCell<HashMap<u64, Session>>,
    fates: RefCell<VecDeque<Fate>>,
    last_session: Cell<u64>,
    reports: mpsc::UnboundedSender<Report>,
    guard: RefCell<Option<Arc<Guard>>>,
    problems: RefCell<BTreeMap<&'static str, String>>,
    is_leaving: Cell<bool>,
    is_over: Cell<bool>,
    /// Something happened that may be the last thing.
    changed: Notify,
    session_ended: Notify,
    lock: RefCell<Option<File>>,
    /// What tells the file of the lock from another of that name.
    lock_id: Option<door::FileId>,
    door: RefCell<Option<Door>>,
    /// Callers that are being heard.
    callers: Cell<usize>,
}

/// A session of a client with a server.
struct Session {
    identity: Identity,
    /// How it will have ended, where we know before its server does.
    fate: Option<Why>,
}

/// How a session ended.
struct Fate {
    session: u64,
    why: Why,
    at: Instant,
    /// Its shim has not asked yet, though it will.
    is_untold: bool,
}

/// Runs the daemon to its end. Says on standard output when it is ready.
pub fn run(dirs: &Dirs) -> Result<(), ServeError> {
    let place = &Place::new(&dirs.daemon);
    detach::settle();
    detach::raise_open_files();
    backend::watch_for_panics();
    place.prepare()?;
    let io = |what, path: PathBuf| move |source| ServeError::Io { what, path, source };
    let lock = link::take_lock(&place.lock()).map_err(io("lock", place.lock()))?;
    let Some(lock) = lock else { return Err(ServeError::Running(State::load(place).map(|s| s.pid))) };
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|e| ServeError::Runtime(io::Error::other(e.to_string())))?;
    let salt = private::write_once(&place.salt(), &salt).map_err(io("write", place.salt()))?;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build_local(LocalOptions::default()).map_err(ServeError::Runtime)?;
    runtime.block_on(async {
        let (door, state) = door::open(place).await?;
        let (store, trouble) = Store::load(place);
        let (reports, received) = mpsc::unbounded_channel();
        let daemon = Rc::new(Daemon {
            dirs: dirs.clone(),
            place: place.clone(),
            version: version(),
            pid: std::process::id(),
            started: Instant::now(),
            salt,
            transport: door.transport(),
            store: RefCell::new(store),
            state: RefCell::new(state),
            servers: RefCell::default(),
            ending: RefCell::default(),
            sessions: RefCell::default(),
            fates: RefCell::default(),
            last_session: Cell::new(0),
            reports,
            guard: RefCell::default(),
            problems: RefCell::default(),
            is_leaving: Cell::new(false),
            is_over: Cell::new(false),
            changed: Notify::new(),
            session_ended: Notify::new(),
            lock: RefCell::new(Some(lock)),
            lock_id: door::file_id(&place.lock()),
            door: RefCell::new(Some(door)),
            callers: Cell::new(0),
        });
        daemon.set_problem("store", trouble);
        daemon.save_state();
        log_line(&format!("daemon {} started, process {}", daemon.version, daemon.pid));
        detach::report(READY);
        daemon.start_persistent();
        tokio::task::spawn_local(crate::quiet::give_memory_back());
        let ending = Rc::clone(&daemon);
        tokio::task::spawn_local(async move {
            terminated().await;
            log_line("asked to end by a signal");
            ending.stop_all(&Why::End(4, "the daemon was asked to end by a signal".to_owned())).await;
        });
        daemon.work(received).await;
        Ok(())
    })
}

/// Until somebody asks this process to end.
async fn terminated() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Tidies up where no daemon runs: logs of servers that are gone, sockets and records nobody needs. Returns what was removed.
pub fn tidy(place: &Place) -> io::Result<Vec<String>> {
    if !place.dir().is_dir() {
        return Ok(Vec::new());
    }
    // Held meanwhile, so that no daemon starts over what we remove.
    let Some(_lock) = link::take_lock(&place.lock())? else { return Ok(Vec::new()) };
    let (mut store, _) = Store::load(place);
    store.servers.retain(|_, r| !(r.is_persistent && r.is_stopped));
    store.save(place).map_err(io::Error::other)?;
    let kept: Vec<&str> = store.servers.values().filter(|r| r.is_persistent).map(|r| r.name.as_str()).collect();
    let mut done = answers::tidy_files(place, |name| kept.contains(&name));
    for path in [place.socket(), place.state(), place.address()] {
        if std::fs::remove_file(&path).is_ok() {
            done.push(path.file_name().unwrap_or_default().display().to_string());
        }
    }
    Ok(done)
}

/// A line in the daemon's own log.
fn log_line(text: &str) {
    use std::io::Write as _;
    // The log is our standard error; a full disk is no reason to stop.
    let _ = writeln!(io::stderr(), "{} {text}", clock::rfc3339(clock::now_ms()));
}

impl Daemon {
    async fn work(self: &Rc<Self>, mut received: mpsc::UnboundedReceiver<Report>) {
        let linger = linger();
        let mut empty_since = Some(tokio::time::Instant::now());
        loop {
            // Callers that only look do not make it stay.
            let is_empty = self.servers.borrow().is_empty() && self.ending.borrow().is_empty();
            if !is_empty {
                empty_since = None;
            } else if empty_since.is_none() {
                empty_since = Some(tokio::time::Instant::now());
            }
            let linger = if self.is_leaving.get() { Duration::ZERO } else { linger };
            let is_heard = self.callers.get() > 0 || self.has_untold();
            let leave = async {
                match empty_since {
                    Some(since) if !is_heard => tokio::time::sleep_until(since + linger).await,
                    _ => std::future::pending().await,
                }
            };
            let door = self.door.borrow().as_ref().map(Door::listener);
            let accepted = async {
                match &door {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                report = received.recv() => if let Some(report) = report { self.take(report) },
                accepted = accepted => match accepted {
                    Ok(caller) => self.greet(caller),
                    Err(e) => {
                        // No file descriptors are left, as a rule. It passes.
                        self.set_problem("accept", Some(format!("take in a caller: {e}")));
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                () = self.changed.notified() => {}
                () = tokio::time::sleep(if is_heard { LAST_WORDS / 10 } else { LOOK }) => self.look_at_door().await,
                () = leave => break,
            }
            if self.is_over.get() && is_empty && self.callers.get() == 0 && !self.has_untold() {
                break;
            }
        }
        self.close();
    }

    /// Whether a shim is about to ask how its session ended.
    fn has_untold(&self) -> bool {
        self.fates.borrow().iter().any(|f| f.is_untold && f.at.elapsed() < LAST_WORDS)
    }

    fn add_fate(&self, session: u64, why: Why) {
        let mut fates = self.fates.borrow_mut();
        if fates.len() >= MOST_FATES {
            fates.pop_front();
        }
        // One whose client left does not ask.
        let is_untold = why != Why::Unknown;
        fates.push_back(Fate { session, why, at: Instant::now(), is_untold });
        drop(fates);
        self.session_ended.notify_waiters();
    }

    /// Takes a caller in, in a task of its own.
    fn greet(self: &Rc<Self>, caller: door::Caller) {
        let daemon = Rc::clone(self);
        self.callers.set(self.callers.get() + 1);
        tokio::task::spawn_local(async move {
            let counted = Counted(Rc::clone(&daemon));
            daemon.hear(caller).await;
            drop(counted);
        });
    }

    /// The socket may be gone: someone tidied up, or took the whole directory away.
    async fn look_at_door(&self) {
        if self.is_leaving.get() {
            return;
        }
        if door::file_id(&self.place.lock()) != self.lock_id {
            // The directory was taken away. Whoever comes now starts another daemon, and that one is right.
            log_line("the lock is gone");
            return self.leave();
        }
        if self.door.borrow().as_ref().is_none_or(Door::is_in_place) {
            return;
        }
        log_line("the socket is gone; it is made anew");
        let opened = match self.place.prepare() {
            Ok(()) => door::open(&self.place).await.map_err(|e| mcp_os::causes::on_one_line(&e)),
            Err(e) => Err(mcp_os::causes::on_one_line(&e)),
        };
        match opened {
            Ok((door, state)) => {
                *self.door.borrow_mut() = Some(door);
                let ports = std::mem::take(&mut self.state.borrow_mut().ports);
                *self.state.borrow_mut() = State { ports, ..state };
                self.save_state();
                self.set_problem("door", None);
            }
            Err(text) => self.set_problem("door", Some(text)),
        }
    }

    fn set_problem(&self, key: &'static str, problem: Option<String>) {
        let old = match problem {
            Some(text) => {
                let is_new = self.problems.borrow().get(key) != Some(&text);
                if is_new {
                    log_line(&text);
                }
                self.problems.borrow_mut().insert(key, text)
            }
            None => self.problems.borrow_mut().remove(key),
        };
        drop(old);
    }

    fn save_state(&self) {
        if !self.is_leaving.get() {
            let saved = self.state.borrow().save(&self.place);
            self.set_problem("state", saved.err().map(|e| format!("write {}: {e}", self.place.state().display())));
        }
    }

    /// Changes what outlives the daemon.
    fn remember(&self, change: impl FnOnce(&mut Store)) {
        let mut store = self.store.borrow_mut();
        change(&mut store);
        if !self.is_leaving.get() {
            let saved = store.save(&self.place);
            drop(store);
            self.set_problem("store", saved.err());
        }
    }

    /// Takes no new callers: gives up the socket, then the lock. Those who have a session are answered at another socket.
    fn leave(&self) {
        if self.is_leaving.replace(true) {
            return;
        }
        log_line("leaving: no new clients");
        let old = self.door.borrow_mut().take();
        if let Some(door) = old {
            *self.door.borrow_mut() = door.move_aside(&self.place, self.pid);
        }
        let _ = std::fs::remove_file(self.place.state());
        self.lock.borrow_mut().take();
        self.release_all(self.door.borrow().is_some());
        self.changed.notify_one();
    }

    fn close(&self) {
        if let Some(door) = self.door.borrow_mut().take() {
            door.remove();
        }
        if !self.is_leaving.get() {
            let _ = std::fs::remove_file(self.place.state());
        }
        log_line("daemon ended");
        // The lock goes last: the next daemon finds nothing of ours.
        self.lock.borrow_mut().take();
    }
}

/// A caller that is being heard.
struct Counted(Rc<Daemon>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.callers.set(self.0.callers.get() - 1);
        self.0.changed.notify_one();
    }
}
