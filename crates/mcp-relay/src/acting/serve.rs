//! The session's side.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use mcp_os::private;

use super::meeting::Meeting;
use super::wire::{Report, Request};

/// So much may wait to be read by a viewer.
const QUEUE: usize = 4096;
/// The longest request: an edited message is in it.
const LONGEST: u64 = 96 << 20;

/// The way in. What it left on disk goes with it, and those who are inside leave.
#[derive(Debug)]
pub struct Door {
    path: PathBuf,
    address: Option<SocketAddr>,
    inside: Arc<Inside>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.inside.close();
        // Somebody waits for the next one to come.
        match self.address {
            Some(address) => drop(TcpStream::connect(address)),
            #[cfg(unix)]
            None => drop(UnixStream::connect(&self.path)),
            #[cfg(not(unix))]
            None => {}
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Those who were let in; `None`: the door is closed.
#[derive(Debug)]
struct Inside(Mutex<Option<HashMap<u64, Stream>>>);

impl Default for Inside {
    fn default() -> Self {
        Self(Mutex::new(Some(HashMap::new())))
    }
}

impl Inside {
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, Stream>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `false`: nobody is let in any more.
    fn enter(&self, viewer: u64, stream: &Stream) -> bool {
        let Some(inside) = &mut *self.lock() else { return false };
        if let Ok(stream) = stream.try_clone() {
            inside.insert(viewer, stream);
        }
        true
    }

    fn leave(&self, viewer: u64) {
        if let Some(inside) = &mut *self.lock() {
            inside.remove(&viewer);
        }
    }

    fn close(&self) {
        self.lock().take().into_iter().flatten().for_each(|(_, stream)| stream.end());
    }
}

enum Listener {
    #[cfg(unix)]
    Unix(UnixListener),
    Tcp(TcpListener, String),
}

#[derive(Debug)]
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

/// A session that can be acted on.
pub(crate) trait Stage: Send + Sync + 'static {
    /// A viewer came; it is told things here.
    fn came(&self, viewer: u64, reports: SyncSender<Report>);
    /// It wants something.
    fn ask(&self, viewer: u64, request: Request) -> Report;
    /// It left: what it wanted ends, what it held goes on.
    fn left(&self, viewer: u64);
}

/// Lets viewers in, until the door is dropped.
pub(crate) fn serve(stage: Arc<dyn Stage>, meeting: Meeting, session: &str) -> io::Result<Door> {
    let (listener, path) = listen(&meeting, session)?;
    let inside = Arc::new(Inside::default());
    let door = Door { path, address: listener.address(), inside: Arc::clone(&inside) };
    spawn("control", move || {
        sweep(&meeting);
        // 0 is nobody.
        let mut viewer = 0;
        while let Ok((stream, token)) = listener.accept() {
            viewer += 1;
            if !inside.enter(viewer, &stream) {
                break;
            }
            let (stage, inside) = (Arc::clone(&stage), Arc::clone(&inside));
            let attended = spawn("viewer", move || {
                attend(&*stage, viewer, stream, token.as_deref());
                inside.leave(viewer);
            });
            if attended.is_err() {
                break;
            }
        }
    })?;
    Ok(door)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).stack_size(256 * 1024).spawn(work).map(drop)
}

impl Listener {
    /// Where it is reached, if that is no path.
    fn address(&self) -> Option<SocketAddr> {
        match self {
            #[cfg(unix)]
            Self::Unix(_) => None,
            Self::Tcp(listener, _) => listener.local_addr().ok(),
        }
    }

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
    let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token);
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
fn is_socket(path: &std::path::Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    path.symlink_metadata().is_ok_and(|meta| meta.file_type().is_socket())
}

/// One viewer, from its first word to its last.
fn attend(stage: &dyn Stage, viewer: u64, stream: Stream, token: Option<&str>) {
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
    if spawn("reports", move || report(&receive, writer)).is_err() {
        return;
    }
    stage.came(viewer, send.clone());
    loop {
        let mut line = String::new();
        match (&mut lines).take(LONGEST).read_line(&mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let answer = match serde_json::from_str::<Request>(&line) {
            Ok(request) => stage.ask(viewer, request),
            Err(error) => Report::Failed { number: 0, reason: format!("that is no request: {error}") },
        };
        if send.send(answer).is_err() {
            break;
        }
    }
    stage.left(viewer);
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
