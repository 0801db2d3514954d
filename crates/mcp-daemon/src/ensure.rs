//! Finding the daemon, or starting it: one, however many ask at the same time.

use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mcp_os::private::{self, PrivateError};

use crate::hello::Head;
use crate::link::Link;
use crate::place::Place;

/// How long a caller waits for another one that starts the daemon, and for the daemon itself.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why there is no daemon.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnsureError {
    /// The directory cannot be used.
    #[error(transparent)]
    Place(#[from] PrivateError),
    /// It is there, and cannot be talked to.
    #[error("connect to the daemon at {}", path.display())]
    Connect {
        /// Its socket or address file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its program could not be started.
    #[error("start the daemon `{}`", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of it cannot be written.
    #[error("write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It ended instead of saying that it is ready.
    #[error("start the daemon: {0}")]
    Failed(String),
    /// Somebody else holds up everybody.
    #[error("wait for another process to start the daemon (waited {} s for {})", PATIENCE.as_secs(), .0.display())]
    Waited(PathBuf),
}

/// A connection, and the daemon's process if it was us who started it.
#[derive(Debug)]
pub struct Ensured {
    /// The connection; nothing has been said on it.
    pub link: Link,
    /// Our child.
    pub started: Option<Child>,
}

/// Connects to the daemon, starting it if there is none.
pub fn ensure(place: &Place) -> Result<Ensured, EnsureError> {
    start_unless(place, Found::Joined)
}

/// Makes a daemon that is older than us take no new clients, and connects to a new one beside it.
pub fn replace(place: &Place, version: &str) -> Result<Ensured, EnsureError> {
    start_unless(place, Found::LeftFor(version))
}

/// Makes the daemon take no new clients, whatever its version, and starts a new one beside it.
pub(crate) fn renew(place: &Place) -> Result<Ensured, EnsureError> {
    start_unless(place, Found::Left)
}

/// What is done with a daemon that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found<'a> {
    /// It is the one.
    Joined,
    /// It leaves, if it is older than this.
    LeftFor(&'a str),
    /// It leaves.
    Left,
}

/// Connects to the daemon that is there.
pub fn connect(place: &Place) -> Result<Option<Link>, EnsureError> {
    Link::connect(place).map_err(|source| EnsureError::Connect { path: place.socket(), source })
}

fn start_unless(place: &Place, found: Found<'_>) -> Result<Ensured, EnsureError> {
    if found == Found::Joined
        && let Some(link) = connect(place)?
    {
        return Ok(Ensured { link, started: None });
    }
    place.prepare()?;
    let path = place.start_lock();
    let file = private::lockable(&path).map_err(|source| EnsureError::File { path: path.clone(), source })?;
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(500);
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(std::fs::TryLockError::Error(source)) => return Err(EnsureError::File { path, source }),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() > deadline => return Err(EnsureError::Waited(path)),
            Err(std::fs::TryLockError::WouldBlock) => {}
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
        // The one who has the lock may be done before we get it.
        if found == Found::Joined
            && let Some(link) = connect(place)?
        {
            return Ok(Ensured { link, started: None });
        }
    }
    if let Some(link) = connect(place)? {
        let has_left = match found {
            Found::Joined => return Ok(Ensured { link, started: None }),
            Found::LeftFor(version) => leave(&link, version),
            Found::Left => crate::client::ask_to_leave(&link),
        };
        if !has_left {
            // Somebody was faster: this one is new enough.
            let link = connect(place)?.ok_or_else(|| EnsureError::Failed("it ended at once".to_owned()))?;
            return Ok(Ensured { link, started: None });
        }
    }
    let started = start(place, &["daemon", "run"])?;
    // It listens before it says that it is ready.
    let link = connect(place)?.ok_or_else(|| EnsureError::Failed("it ended at once".to_owned()))?;
    Ok(Ensured { link, started: Some(started) })
}

/// Asks a daemon to leave. Returns when it has given up its lock and its socket; `false`: it does not see why.
pub(crate) fn leave(link: &Link, version: &str) -> bool {
    let asked = link
        .set_patience(Some(PATIENCE))
        .and_then(|()| { link }.write_all(Head::Leave(version.to_owned()).to_string().as_bytes()));
    // One that ended meanwhile has left as well.
    asked.and_then(|()| link.read_line()).map_or(true, |line| line == "ok")
}

/// Starts a daemon and waits until it listens.
pub(crate) fn start(place: &Place, args: &[&str]) -> Result<Child, EnsureError> {
    let path = place.daemon_log();
    let errors = log_file(&path).map_err(|source| EnsureError::File { path, source })?;
    let program = this_program().map_err(|source| EnsureError::Spawn { program: "mcp".into(), source })?;
    // Threads of a daemon are few and small; an arena for each would be most of its memory.
    let vars = [("MALLOC_ARENA_MAX", OsStr::new("2"))];
    let mut child = mcp_os::detach::spawn(&program, args, errors, &vars)
        .map_err(|source| EnsureError::Spawn { program: program.clone(), source })?;
    let stdout = child.stdout.take().expect("its output was asked to be a pipe");
    // A daemon that hangs must not hang its caller: only a thread can be left behind while it reads.
    let (sender, receiver) = mpsc::channel();
    let spawned = std::thread::Builder::new().stack_size(64 * 1024).spawn(move || {
        let mut line = String::new();
        let _ = BufReader::with_capacity(1024, stdout).read_line(&mut line);
        let _ = sender.send(line);
    });
    spawned.map_err(|source| EnsureError::Spawn { program, source })?;
    let line = receiver.recv_timeout(PATIENCE).map_err(|_| {
        let _ = child.kill();
        let _ = child.wait();
        EnsureError::Failed(format!("it was not ready after {} s; see {}", PATIENCE.as_secs(), place.daemon_log().display()))
    })?;
    match line.trim_end().split_once(' ') {
        _ if line.trim_end() == READY => Ok(child),
        Some(("error", text)) => {
            let _ = child.wait();
            Err(EnsureError::Failed(text.to_owned()))
        }
        _ => {
            let ended = child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
            Err(EnsureError::Failed(format!("it ended ({ended}); see {}", place.daemon_log().display())))
        }
    }
}

/// What a daemon says when it listens.
pub(crate) const READY: &str = "ready";

/// The daemon's log, begun anew when it has become long. A disk that is full is no reason not to start.
fn log_file(path: &Path) -> io::Result<std::fs::File> {
    const LONGEST: u64 = 1 << 20;
    if std::fs::metadata(path).is_ok_and(|m| m.len() > LONGEST) {
        let mut old = path.as_os_str().to_owned();
        old.push(".1");
        let _ = std::fs::rename(path, old);
    }
    let null = if cfg!(windows) { "NUL" } else { "/dev/null" };
    private::append(path).or_else(|_| std::fs::File::options().write(true).open(null))
}

/// The file this program was started from, or what has replaced it since.
fn this_program() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let replaced = path.to_str().and_then(|p| p.strip_suffix(" (deleted)")).map(PathBuf::from);
    Ok(replaced.filter(|p| p.is_file()).unwrap_or(path))
}
