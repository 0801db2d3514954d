//! A connection between a caller and the daemon, seen from the caller: a Unix socket, or loopback TCP where there is none.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use mcp_os::private;

use crate::place::Place;

/// A connection to the daemon.
#[derive(Debug)]
pub enum Link {
    /// A Unix socket.
    #[cfg(unix)]
    Unix(UnixStream),
    /// Loopback TCP.
    Tcp(TcpStream),
}

impl Link {
    /// Connects to the daemon. `None`: nobody is there.
    pub fn connect(place: &Place) -> io::Result<Option<Self>> {
        #[cfg(unix)]
        if place.has_sockets() {
            return Self::connect_to(&place.socket());
        }
        Self::connect_tcp(place)
    }

    /// Connects to a socket. `None`: nobody is there, whether or not the file is.
    #[cfg(unix)]
    pub fn connect_to(socket: &Path) -> io::Result<Option<Self>> {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        match UnixStream::connect(socket) {
            Ok(stream) => Ok(Some(Self::Unix(stream))),
            Err(e) if matches!(e.kind(), NotFound | ConnectionRefused) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// There are no such sockets here.
    #[cfg(not(unix))]
    pub fn connect_to(_socket: &Path) -> io::Result<Option<Self>> {
        Ok(None)
    }

    fn connect_tcp(place: &Place) -> io::Result<Option<Self>> {
        const PATIENCE: Duration = Duration::from_secs(2);
        // A port outlives its owner in a file, and may be another program's by now: only the lock says that it is ours.
        if !is_locked(&place.lock())? {
            return Ok(None);
        }
        let Ok(text) = std::fs::read_to_string(place.address()) else { return Ok(None) };
        let mut lines = text.lines();
        let address: Option<SocketAddr> = lines.next().and_then(|l| l.parse().ok());
        let (Some(address), Some(token)) = (address.filter(|a| a.ip().is_loopback()), lines.next()) else { return Ok(None) };
        let Ok(mut stream) = TcpStream::connect_timeout(&address, PATIENCE) else { return Ok(None) };
        stream.set_nodelay(true)?;
        stream.write_all(format!("{TOKEN} {token}\n").as_bytes())?;
        Ok(Some(Self::Tcp(stream)))
    }

    /// Another handle on the same connection.
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
        }
    }

    /// Says that nothing more will be written.
    pub fn finish(&self) {
        // The other side may be gone: then it knows.
        let _ = match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// How long a read may take.
    pub fn set_patience(&self, patience: Option<Duration>) -> io::Result<()> {
        match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_read_timeout(patience),
            Self::Tcp(stream) => stream.set_read_timeout(patience),
        }
    }

    /// A line of the daemon, without its end. Bytes behind it stay unread.
    pub fn read_line(&self) -> io::Result<String> {
        const LONGEST: usize = 64 * 1024;
        let mut line = Vec::new();
        let mut block = [0; 256];
        while line.len() <= LONGEST {
            let there = match self.peek(&mut block) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                there => there?,
            };
            let end = block[..there].iter().position(|byte| *byte == b'\n');
            let taken = &mut block[..end.map_or(there, |end| end + 1)];
            { self }.read_exact(taken)?;
            line.extend_from_slice(taken);
            if end.is_some() {
                line.pop();
                return String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData.into());
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// What can be read, without taking it.
    fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            #[cfg(unix)]
            Link::Unix(stream) => Ok(rustix::net::recv(stream, buffer, rustix::net::RecvFlags::PEEK)?.0),
            Link::Tcp(stream) => stream.peek(buffer),
        }
    }
}

/// What a caller says first on TCP, with the token: there the system does not tell who it is.
pub const TOKEN: &str = "mcp-token/1";

impl Read for &Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            #[cfg(unix)]
            Link::Unix(stream) => (&mut &*stream).read(buffer),
            Link::Tcp(stream) => (&mut &*stream).read(buffer),
        }
    }
}

impl Write for &Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            #[cfg(unix)]
            Link::Unix(stream) => (&mut &*stream).write(bytes),
            Link::Tcp(stream) => (&mut &*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a daemon holds its lock.
pub fn is_locked(lock: &Path) -> io::Result<bool> {
    let file: File = match File::options().read(true).write(true).open(lock) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    // Shared, so that two who look at the same time do not take each other for the daemon.
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(std::fs::TryLockError::WouldBlock) => Ok(true),
        Err(std::fs::TryLockError::Error(e)) => Err(e),
    }
}

/// Takes the daemon's lock, if it is free. Those who only look hold it for an instant, so this tries for a moment.
pub(crate) fn take_lock(lock: &Path) -> io::Result<Option<File>> {
    const TRIES: u32 = 50;
    let file = private::lockable(lock)?;
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(4)),
            Err(std::fs::TryLockError::Error(e)) => return Err(e),
        }
    }
    Ok(None)
}
