//! The tap's side.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use mcp_capture::filter::Filter;
use mcp_os::{private, signals};

use super::super::meeting::Meeting;
use super::super::shared::Shared;
use super::super::{say, spawn};
use super::wire::{FaultKind, Report, Request, VERSION, What};

/// So much may wait to be read by a viewer.
const QUEUE: usize = 4096;
/// The longest request: an edited message is in it.
const LONGEST: u64 = 96 << 20;

/// The way in. What it left on disk goes with it.
#[derive(Debug)]
pub(in crate::tap) struct Door(PathBuf);

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

enum Listener {
    #[cfg(unix)]
    Unix(UnixListener),
    Tcp(TcpListener, String),
}

enum Stream {
    #[cfg(unix)]
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn try_clone(&self) -> io::Result<Self> {
        match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
        }
    }

    fn end(&self) {
        let _ = match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lets viewers in. If that is not possible, one line says so and nobody can act.
pub(in crate::tap) fn serve(shared: &Arc<Shared>, dir: PathBuf, session: &str) -> Option<Door> {
    let meeting = Meeting::new(dir);
    let listener = listen(&meeting, session);
    let (listener, path) = listener.map_err(|error| say(&format!("nobody can act on this session: {error}"))).ok()?;
    let (shared, session) = (Arc::clone(shared), session.to_owned());
    spawn("control", move || {
        sweep(&meeting);
        let last = AtomicU64::new(0);
        while let Ok((stream, token)) = listener.accept() {
            // 0 is nobody.
            let viewer = last.fetch_add(1, Ordering::Relaxed) + 1;
            let (shared, session) = (Arc::clone(&shared), session.clone());
            spawn("viewer", move || attend(&shared, &session, viewer, stream, token.as_deref()));
        }
    });
    Some(Door(path))
}

impl Listener {
    fn accept(&self) -> io::Result<(Stream, Option<String>)> {
        match self {
            #[cfg(unix)]
            Self::Unix(listener) => Ok((Stream::Unix(listener.accept()?.0), None)),
            Self::Tcp(listener, token) => Ok((Stream::Tcp(listener.accept()?.0), Some(token.clone()))),
        }
    }
}

fn listen(meeting: &Meeting, session: &str) -> io::Result<(Listener, PathBuf)> {
    private::directory(meeting.dir()).map_err(io::Error::other)?;
    #[cfg(unix)]
    if meeting.has_sockets(session) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = meeting.socket(session);
        let listener = UnixListener::bind(&path)?;
        // The directory keeps others out from the first moment on; this is for whoever opens it one day.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        return Ok((Listener::Unix(listener), path));
    }
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut token = [0; 32];
    getrandom::fill(&mut token).map_err(io::Error::other)?;
    let token: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = meeting.address(session);
    private::write(&path, format!("{}\n{token}\n", listener.local_addr()?).as_bytes())?;
    Ok((Listener::Tcp(listener, token), path))
}

/// Removes sockets whose owners were killed.
fn sweep(meeting: &Meeting) {
    #[cfg(unix)]
    for entry in std::fs::read_dir(meeting.dir()).into_iter().flatten().flatten() {
        let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        if is_socket(&entry.path()) && UnixStream::connect(entry.path()).is_err_and(refused) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    #[cfg(not(unix))]
    let _ = meeting;
}

#[cfg(unix)]
fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    path.symlink_metadata().is_ok_and(|meta| meta.file_type().is_socket())
}

#[cfg(not(unix))]
fn is_socket(_path: &Path) -> bool {
    false
}

/// One viewer, from its first word to its last.
fn attend(shared: &Arc<Shared>, session: &str, viewer: u64, stream: Stream, token: Option<&str>) {
    let Ok(writer) = stream.try_clone() else { return };
    let mut lines = BufReader::new(stream);
    if let Some(token) = token {
        let mut first = String::new();
        let is_right = (&mut lines).take(256).read_line(&mut first).is_ok()
            && first.trim_end().len() == token.len()
            && first.trim_end().bytes().zip(token.bytes()).fold(0, |found, (a, b)| found | (a ^ b)) == 0;
        if !is_right {
            return;
        }
    }
    let (send, receive) = sync_channel(QUEUE);
    shared.with_rules(|rules, _| rules.viewer_came(viewer, send.clone()));
    spawn("reports", move || report(&receive, writer));
    loop {
        let mut line = String::new();
        match (&mut lines).take(LONGEST).read_line(&mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let answer = match serde_json::from_str::<Request>(&line) {
            Ok(request) => answer(shared, session, viewer, request),
            Err(error) => Report::Failed { number: 0, reason: format!("that is no request: {error}") },
        };
        if send.send(answer).is_err() {
            break;
        }
    }
    shared.with_rules(|rules, acts| rules.viewer_left(viewer, acts));
}

fn report(reports: &Receiver<Report>, mut to: Stream) {
    for report in reports {
        let Ok(mut line) = serde_json::to_vec(&report) else { continue };
        line.push(b'\n');
        if to.write_all(&line).is_err() {
            break;
        }
    }
    to.end();
}

fn answer(shared: &Arc<Shared>, session: &str, viewer: u64, request: Request) -> Report {
    let number = request.number;
    let done = |id| Report::Done { number, id };
    let failed = |reason: String| Report::Failed { number, reason };
    let when = |is_so: bool, reason: &str| if is_so { done(None) } else { failed(reason.to_owned()) };
    match request.what {
        What::Hello => Report::Hello {
            number,
            version: VERSION,
            session: session.to_owned(),
            server: shared.server.clone(),
            pid: shared.pid(),
        },
        What::Status => {
            let ((breakpoints, faults), held) = shared.with_rules(|rules, _| (rules.names(), rules.list()));
            Report::Status { number, pid: shared.pid(), breakpoints, faults, held }
        }
        What::Breakpoint { id, filter, direction } => match filter.parse::<Filter>() {
            Ok(filter) => {
                let way = direction.map(super::wire::Way::direction);
                shared.with_rules(|rules, _| rules.add_breakpoint(viewer, id, filter, way));
                done(None)
            }
            Err(error) => failed(error.to_string()),
        },
        What::Fault { id, filter, direction, kind, probability, count } => match filter.parse::<Filter>() {
            Ok(filter) => {
                let way = direction.map(super::wire::Way::direction);
                let is_delay = matches!(kind, FaultKind::Delay { .. });
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was put between 0 and 1000")]
                let per_mille = probability.map_or(1000, |p| (p.clamp(0.0, 1.0) * 1000.0).round() as u32);
                shared.with_rules(|rules, _| rules.add_fault(viewer, id, filter, way, kind, per_mille, count));
                if is_delay {
                    shared.keep_time();
                }
                done(None)
            }
            Err(error) => failed(error.to_string()),
        },
        What::Release { held, message } => {
            let edited = match message.map(|message| message.line()) {
                None => None,
                Some(Some(line)) => Some(line),
                Some(None) => return failed("the message is no base64".to_owned()),
            };
            let was_held = shared.with_rules(|rules, acts| rules.let_go(held, edited, "release", acts));
            when(was_held, "no message of this number is held")
        }
        What::Drop { held } => {
            when(shared.with_rules(|rules, acts| rules.discard(held, acts)), "no message of this number is held")
        }
        What::ReleaseAll => {
            shared.release(None);
            done(None)
        }
        What::Clear { id } => {
            when(shared.with_rules(|rules, _| rules.clear(id.as_deref())), "there is no breakpoint or fault of this name")
        }
        What::Send { direction, message } => match message.line() {
            None => failed("the message is no base64".to_owned()),
            Some(line) => {
                let direction = direction.direction();
                match shared.with_rules(|rules, acts| rules.send(viewer, direction, &line, acts)) {
                    Ok(id) => done(id),
                    Err(reason) => failed(reason),
                }
            }
        },
        What::Restart => restart(shared, number),
    }
}

/// Asks the server to end, and kills it if it does not; the thread that waits for it starts the next one.
fn restart(shared: &Arc<Shared>, number: u64) -> Report {
    const TERM: i32 = 15;
    const KILL: i32 = 9;
    const GRACE: Duration = Duration::from_secs(2);
    if !cfg!(unix) {
        return Report::Failed { number, reason: "a server cannot be asked to end here".to_owned() };
    }
    let pid = shared.pid();
    shared.is_restarting(true);
    signals::send(pid, TERM, true);
    let deadline = std::time::Instant::now() + GRACE;
    while shared.pid() == pid && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    if shared.pid() == pid {
        signals::send(pid, KILL, true);
    }
    Report::Done { number, id: None }
}
