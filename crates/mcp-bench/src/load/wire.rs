//! The connection of one client: a keep-alive HTTP connection, or the pipes of a process.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    os::fd::{AsFd as _, BorrowedFd},
    process::{ChildStdin, ChildStdout},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::client::Target;
use crate::http::{Chunked, Head, unchunk};

const TIMEOUT: Duration = Duration::from_secs(30);
const STEP: usize = 64 * 1024;

/// Both directions of a connection, and what of the next message has come.
#[derive(Debug)]
pub struct Wire {
    ends: Ends,
    buffer: Vec<u8>,
    filled: usize,
    /// Nothing before this place ends a line or a head.
    scanned: usize,
    /// How far the chunks of an answer that is not whole yet have been joined.
    unchunked: usize,
    body: Vec<u8>,
}

#[derive(Debug)]
enum Ends {
    Http(TcpStream),
    Pipes(ChildStdin, ChildStdout),
}

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// Something, perhaps enough.
    Bytes,
    /// Nothing for now.
    Nothing,
    /// The end.
    End,
}

impl Wire {
    /// A new HTTP connection.
    pub fn connect(target: &Target) -> Result<Self> {
        let address =
            target.authority.to_socket_addrs().context("resolve the host")?.next().context("the host has no address")?;
        let stream = TcpStream::connect_timeout(&address, TIMEOUT).with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self::new(Ends::Http(stream)))
    }

    /// The pipes of a process.
    pub fn pipes(stdin: ChildStdin, stdout: ChildStdout) -> Self {
        Self::new(Ends::Pipes(stdin, stdout))
    }

    fn new(ends: Ends) -> Self {
        Self { ends, buffer: vec![0; 4 * 1024], filled: 0, scanned: 0, unchunked: 0, body: Vec::new() }
    }

    /// From now on nothing here waits.
    pub fn stop_waiting(&self) -> Result<()> {
        match &self.ends {
            Ends::Http(stream) => stream.set_nonblocking(true)?,
            Ends::Pipes(stdin, stdout) => {
                for pipe in [stdin.as_fd(), stdout.as_fd()] {
                    rustix::fs::fcntl_setfl(pipe, rustix::fs::OFlags::NONBLOCK)?;
                }
            }
        }
        Ok(())
    }

    /// The file descriptor that becomes readable.
    pub fn readable(&self) -> BorrowedFd<'_> {
        match &self.ends {
            Ends::Http(stream) => stream.as_fd(),
            Ends::Pipes(_, stdout) => stdout.as_fd(),
        }
    }

    /// Writes as much as can be written.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.ends {
            Ends::Http(stream) => stream.write(bytes),
            Ends::Pipes(stdin, _) => stdin.write(bytes),
        };
        match written {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }

    /// Writes everything, waiting.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.ends {
            Ends::Http(stream) => stream.write_all(bytes),
            Ends::Pipes(stdin, _) => stdin.write_all(bytes),
        }
    }

    /// Reads once.
    pub fn read(&mut self) -> io::Result<Came> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled + self.filled.max(STEP), 0);
        }
        let room = &mut self.buffer[self.filled..];
        let read = match &mut self.ends {
            Ends::Http(stream) => stream.read(room),
            Ends::Pipes(_, stdout) => stdout.read(room),
        };
        match read {
            Ok(0) => Ok(Came::End),
            Ok(length) => {
                self.filled += length;
                Ok(Came::Bytes)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(Came::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Takes the next whole message off what has come and shows its JSON texts: one for a line or a body, several for a
    /// stream of events. Also says whether there was a message, and the status it had.
    pub fn take(&mut self, mut see: impl FnMut(&[u8])) -> Result<Option<u16>> {
        let used = match &self.ends {
            Ends::Pipes(..) => {
                let Some(step) = memchr::memchr(b'\n', &self.buffer[self.scanned..self.filled]) else {
                    self.scanned = self.filled;
                    return Ok(None);
                };
                let end = self.scanned + step;
                see(&self.buffer[..end]);
                (end + 1, 200)
            }
            Ends::Http(_) => {
                let bytes = &self.buffer[..self.filled];
                let Some(head) = Head::parse(bytes) else { return Ok(None) };
                let rest = &bytes[head.length..];
                let (body, length) = if head.is_chunked() {
                    match unchunk(rest, &mut self.unchunked, &mut self.body) {
                        Chunked::Whole(length) => (&self.body[..], length),
                        Chunked::Partial => return Ok(None),
                        Chunked::Broken => bail!("the chunks of an answer are broken"),
                    }
                } else if let Some(length) = head.content_length() {
                    let Some(body) = rest.get(..length) else { return Ok(None) };
                    (body, length)
                } else {
                    ensure!(matches!(head.status(), 202 | 204), "an answer does not say how long it is");
                    (&rest[..0], 0)
                };
                if head.is_event_stream() {
                    events(body, &mut see);
                } else if !body.is_empty() {
                    see(body);
                }
                (head.length + length, head.status())
            }
        };
        let (used, status) = used;
        self.buffer.copy_within(used..self.filled, 0);
        self.filled -= used;
        self.scanned = 0;
        if self.buffer.len() > 16 * STEP && self.filled == 0 {
            self.buffer = vec![0; STEP];
        }
        Ok(Some(status))
    }

    /// Sends a request, waits for what answers it, and gives its status, its session header and its last message.
    pub fn ask(&mut self, request: &[u8]) -> Result<(u16, Option<String>, Vec<u8>)> {
        self.write_all(request).context("send")?;
        loop {
            match self.read().context("wait for an answer")? {
                Came::End => bail!("the connection was closed instead of an answer"),
                Came::Nothing => bail!("no answer within {} s", TIMEOUT.as_secs()),
                Came::Bytes => (),
            }
            let session = Head::parse(&self.buffer[..self.filled])
                .and_then(|head| head.header("mcp-session-id"))
                .map(|value| String::from_utf8_lossy(value).into_owned());
            let mut last = Vec::new();
            while let Some(status) = self.take(|message| last = message.to_vec())? {
                let is_other = crate::json::member(&last, "method").is_some();
                if !is_other || matches!(self.ends, Ends::Http(_)) {
                    return Ok((status, session, last));
                }
            }
        }
    }

    /// Closes the way to the server, and for pipes gives back the other direction.
    pub fn hang_up(self) -> Option<ChildStdout> {
        match self.ends {
            Ends::Http(_) => None,
            Ends::Pipes(_, stdout) => Some(stdout),
        }
    }
}

/// The data of each event of a whole stream.
fn events(body: &[u8], see: &mut impl FnMut(&[u8])) {
    for line in body.split(|byte| *byte == b'\n') {
        // Nobody cuts one message into several lines of data.
        if let Some(data) = line.strip_prefix(b"data:") {
            let data = data.trim_ascii();
            if !data.is_empty() {
                see(data);
            }
        }
    }
}
