//! Where callers come in: a Unix socket, or a port on the loopback address with a token where the socket's path would be too
//! long or the system has none.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use mcp_os::{clock, private};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use super::ServeError;
use crate::backend::Stream;
use crate::hello::{Head, LONGEST_LINE};
use crate::link::TOKEN;
use crate::place::Place;
use crate::secret::secret;
use crate::store::State;

/// How long a caller may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open door.
pub(super) struct Door {
    listener: Rc<Listener>,
    /// The file of the socket and what tells it from another of that name.
    file: Option<(PathBuf, Option<FileId>)>,
    token: Option<String>,
}

/// What callers connect to.
pub(super) enum Listener {
    #[cfg(unix)]
    Unix(UnixListener),
    Tcp(TcpListener, String),
}

/// Somebody who connected.
pub(super) enum Caller {
    #[cfg(unix)]
    Unix(UnixStream),
    /// With the token it has to know.
    Tcp(TcpStream, String),
}

/// What tells a file from another of the same name.
pub(super) type FileId = (u64, u64);

#[cfg(unix)]
pub(super) fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::symlink_metadata(path).ok().map(|m| (m.dev(), m.ino()))
}

#[cfg(not(unix))]
pub(super) fn file_id(path: &Path) -> Option<FileId> {
    path.exists().then_some((0, 0))
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<Caller> {
        match self {
            #[cfg(unix)]
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Caller::Unix(stream)),
            Self::Tcp(listener, token) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Caller::Tcp(stream, token.clone()))
            }
        }
    }
}

/// Opens the door. Whoever calls this holds the daemon's lock, so that a socket which is there is nobody's.
pub(super) async fn open(place: &Place) -> Result<(Door, State), ServeError> {
    let mut state =
        State { format: 1, pid: std::process::id(), version: super::version(), started: clock::now_ms(), ..State::default() };
    #[cfg(unix)]
    if place.has_sockets() {
        let path = place.socket();
        let listener = bind(&path).map_err(|source| ServeError::Io { what: "listen at", path: path.clone(), source })?;
        // A file of an earlier daemon would send nobody anywhere.
        let _ = std::fs::remove_file(place.address());
        state.socket = Some(path.clone());
        let id = file_id(&path);
        return Ok((Door { listener: Rc::new(Listener::Unix(listener)), file: Some((path, id)), token: None }, state));
    }
    let io = |source| ServeError::Io { what: "listen on the loopback address for", path: place.dir().to_owned(), source };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(io)?;
    let address = listener.local_addr().map_err(io)?.to_string();
    let token = secret().map_err(io)?;
    let path = place.address();
    private::write(&path, format!("{address}\n{token}\n").as_bytes()).map_err(|source| ServeError::Io {
        what: "write",
        path: path.clone(),
        source,
    })?;
    state.address = Some(address);
    state.token = Some(token.clone());
    let id = file_id(&path);
    Ok((Door { listener: Rc::new(Listener::Tcp(listener, token.clone())), file: Some((path, id)), token: Some(token) }, state))
}

#[cfg(unix)]
fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    private::close_to_others(path)?;
    Ok(listener)
}

impl Door {
    pub(super) fn listener(&self) -> Rc<Listener> {
        Rc::clone(&self.listener)
    }

    /// As `status` has it.
    pub(super) fn transport(&self) -> &'static str {
        if self.token.is_some() { "tcp" } else { "unix" }
    }

    /// Whether callers still find it.
    pub(super) fn is_in_place(&self) -> bool {
        self.file.as_ref().is_none_or(|(path, id)| file_id(path) == *id)
    }

    /// Moves to where only those look who had a session. On TCP there is no such place: those learn nothing more.
    #[cfg(unix)]
    pub(super) fn move_aside(self, place: &Place, pid: u32) -> Option<Self> {
        let aside = place.leaving_socket(pid);
        let (path, id) = self.file.clone()?;
        if self.token.is_some() {
            self.remove();
            return None;
        }
        // A socket goes on under another name. One that is not ours any more is left alone.
        if file_id(&path) == id && std::fs::rename(&path, &aside).is_ok() {
            let id = file_id(&aside);
            return Some(Self { file: Some((aside, id)), ..self });
        }
        None
    }

    /// There is no such place.
    #[cfg(not(unix))]
    pub(super) fn move_aside(self, _place: &Place, _pid: u32) -> Option<Self> {
        self.remove();
        None
    }

    /// Closes it for good.
    pub(super) fn remove(self) {
        if let Some((path, id)) = &self.file
            && file_id(path) == *id
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Caller {
    /// Whether it is the user we work for.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            #[cfg(unix)]
            Self::Unix(stream) => {
                let user = private::user();
                match stream.peer_cred() {
                    Ok(peer) if peer.uid() == user => Ok(()),
                    Ok(peer) => {
                        Err(format!("this daemon belongs to user {user} and serves nobody else (you are user {})", peer.uid()))
                    }
                    Err(e) => Err(format!("find out who is calling: {e}")),
                }
            }
            // The token says it.
            Self::Tcp(..) => Ok(()),
        }
    }

    /// The process at the other end, as the system knows it.
    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.peer_cred().ok().and_then(|c| c.pid()).and_then(|pid| u32::try_from(pid).ok()),
            Self::Tcp(..) => None,
        }
    }

    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.read_buf(buffer).await,
            Self::Tcp(stream, _) => stream.read_buf(buffer).await,
        }
    }

    /// Says something.
    pub(super) async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.write_all(bytes).await,
            Self::Tcp(stream, _) => stream.write_all(bytes).await,
        }
    }

    /// Says a last thing, and hears the caller out: to close on words that nobody has read would lose ours as well.
    pub(super) async fn dismiss(mut self, bytes: &[u8]) {
        const MOMENT: Duration = Duration::from_secs(1);
        let hear_out = async {
            self.say(bytes).await?;
            match &mut self {
                #[cfg(unix)]
                Self::Unix(stream) => stream.shutdown().await?,
                Self::Tcp(stream, _) => stream.shutdown().await?,
            }
            let mut unheard = Vec::with_capacity(8192);
            while self.read(&mut unheard).await? > 0 {
                unheard.clear();
            }
            io::Result::Ok(())
        };
        // The caller may be gone, or say more than anybody wants to hear.
        let _ = tokio::time::timeout(MOMENT, hear_out).await;
    }

    /// Reads a first line, what follows it, and what came early behind that.
    pub(super) async fn hello(&mut self) -> Result<(Head, Vec<u8>, Vec<u8>), String> {
        tokio::time::timeout(PATIENCE, self.read_hello()).await.map_err(|_| "the greeting took too long".to_owned())?
    }

    async fn read_hello(&mut self) -> Result<(Head, Vec<u8>, Vec<u8>), String> {
        let mut buffer = Vec::with_capacity(8192);
        #[cfg_attr(not(unix), expect(irrefutable_let_patterns, reason = "elsewhere there is another kind"))]
        if let Self::Tcp(_, token) = self {
            let wanted = format!("{TOKEN} {token}");
            if self.line(&mut buffer).await? != wanted {
                return Err("the token is not the one in the daemon's directory".to_owned());
            }
        }
        let line = self.line(&mut buffer).await?;
        let head = Head::parse(&line).map_err(|e| e.to_string())?;
        while buffer.len() < head.body() {
            buffer.reserve(head.body() - buffer.len());
            self.more(&mut buffer).await?;
        }
        let early = buffer.split_off(head.body());
        Ok((head, buffer, early))
    }

    /// A line from the buffer, filled as need be.
    async fn line(&mut self, buffer: &mut Vec<u8>) -> Result<String, String> {
        loop {
            if let Some(at) = buffer.iter().position(|b| *b == b'\n') {
                let rest = buffer.split_off(at + 1);
                let line = std::mem::replace(buffer, rest);
                return String::from_utf8(line[..at].to_vec()).map_err(|_| "the greeting is no text".to_owned());
            }
            if buffer.len() > LONGEST_LINE {
                return Err("the greeting has no end".to_owned());
            }
            self.more(buffer).await?;
        }
    }

    async fn more(&mut self, buffer: &mut Vec<u8>) -> Result<(), String> {
        match self.read(buffer).await {
            Ok(0) => Err("it hung up".to_owned()),
            Ok(_) => Ok(()),
            Err(e) => Err(e.to_string()),
        }
    }

    /// Reads on until there is a whole line of a client, or its end.
    pub(super) async fn first_line(&mut self, early: &mut Vec<u8>, longest: usize) -> io::Result<()> {
        let mut looked = 0;
        loop {
            if early[looked..].contains(&b'\n') || early.len() > longest {
                return Ok(());
            }
            looked = early.len();
            if self.read(early).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Lets go of the socket, for another thread.
    pub(super) fn into_stream(self) -> io::Result<Stream> {
        match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.into_std().map(Stream::Unix),
            Self::Tcp(stream, _) => stream.into_std().map(Stream::Tcp),
        }
    }
}
