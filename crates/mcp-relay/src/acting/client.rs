//! The viewer's side, for programs that may block.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::meeting::Meeting;
use super::wire::{Report, Request, What};

/// Why a tap could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Nobody listens for this session: it is over, or not recorded by a tap.
    #[error("reach the session `{session}`: nobody listens for it")]
    Absent {
        /// The session.
        session: String,
    },
    /// The connection failed.
    #[error("talk to the session `{session}`")]
    Io {
        /// The session.
        session: String,
        /// What the system said.
        source: io::Error,
    },
    /// It said no.
    #[error("{0}")]
    Refused(String),
}

trait Connection: Read + Write + Send {
    fn again(&self) -> io::Result<Box<dyn Connection>>;
    fn patience(&self, time: Option<Duration>) -> io::Result<()>;
}

#[cfg(unix)]
impl Connection for UnixStream {
    fn again(&self) -> io::Result<Box<dyn Connection>> {
        Ok(Box::new(self.try_clone()?))
    }

    fn patience(&self, time: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(time)
    }
}

impl Connection for TcpStream {
    fn again(&self) -> io::Result<Box<dyn Connection>> {
        Ok(Box::new(self.try_clone()?))
    }

    fn patience(&self, time: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(time)
    }
}

/// A connection to a tap. Dropping it lifts its breakpoints and faults, and lets go of what they hold.
pub struct Client {
    session: String,
    writer: Box<dyn Connection>,
    reader: Reader,
    last: u64,
    early: VecDeque<Report>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("session", &self.session).finish_non_exhaustive()
    }
}

/// What a tap says, for a thread of its own.
pub struct Reader {
    lines: BufReader<Box<dyn Connection>>,
    line: Vec<u8>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// The next report. `None`: the session is over, or the connection ended.
    pub fn next_report(&mut self) -> io::Result<Option<Report>> {
        loop {
            // After a time-out the line goes on where it was.
            if self.lines.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            let line = std::mem::take(&mut self.line);
            // What a later version says is skipped.
            if let Ok(report) = serde_json::from_slice(&line) {
                return Ok(Some(report));
            }
        }
    }
}

impl Client {
    /// Connects to the tap that records this session.
    pub fn connect(meeting: &Meeting, session: &str) -> Result<Self, ControlError> {
        let failed = |source| ControlError::Io { session: session.to_owned(), source };
        let writer = match open(meeting, session) {
            Ok(Some(writer)) => writer,
            Ok(None) => return Err(ControlError::Absent { session: session.to_owned() }),
            Err(error) => return Err(failed(error)),
        };
        let lines = BufReader::new(writer.again().map_err(failed)?);
        let reader = Reader { lines, line: Vec::new() };
        Ok(Self { session: session.to_owned(), writer, reader, last: 0, early: VecDeque::new() })
    }

    /// Says what is wanted, and does not wait for what is said to it; returns its number.
    pub fn send(&mut self, what: What) -> Result<u64, ControlError> {
        self.last += 1;
        let request = Request { number: self.last, what };
        let mut line = serde_json::to_vec(&request).map_err(|error| ControlError::Refused(error.to_string()))?;
        line.push(b'\n');
        self.writer.write_all(&line).map_err(|source| ControlError::Io { session: self.session.clone(), source })?;
        Ok(self.last)
    }

    /// Says what is wanted and waits for the answer. Reports that come meanwhile wait for [`Self::next`].
    pub fn ask(&mut self, what: What) -> Result<Report, ControlError> {
        let wanted = self.send(what)?;
        let _ = self.reader.lines.get_ref().patience(None);
        loop {
            let report = self.reader.next_report();
            let report = report.map_err(|source| ControlError::Io { session: self.session.clone(), source })?;
            let Some(report) = report else { return Err(ControlError::Absent { session: self.session.clone() }) };
            match report {
                Report::Failed { number, reason } if number == wanted => return Err(ControlError::Refused(reason)),
                Report::Hello { number, .. } | Report::Status { number, .. } | Report::Done { number, .. }
                    if number == wanted =>
                {
                    return Ok(report);
                }
                other => self.early.push_back(other),
            }
        }
    }

    /// The next report, if one comes within this time.
    pub fn next(&mut self, patience: Duration) -> Result<Option<Report>, ControlError> {
        if let Some(report) = self.early.pop_front() {
            return Ok(Some(report));
        }
        let failed = |source| ControlError::Io { session: self.session.clone(), source };
        self.reader.lines.get_ref().patience(Some(patience.max(Duration::from_millis(1)))).map_err(failed)?;
        match self.reader.next_report() {
            Ok(Some(report)) => Ok(Some(report)),
            Ok(None) => Err(ControlError::Absent { session: self.session.clone() }),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// A second reader of the same connection, for a thread that waits for reports while this one sends. Use either this or
    /// [`Self::ask`] and [`Self::next`].
    pub fn reader(&self) -> Result<Reader, ControlError> {
        let failed = |source| ControlError::Io { session: self.session.clone(), source };
        let _ = self.reader.lines.get_ref().patience(None);
        let lines = BufReader::new(self.writer.again().map_err(failed)?);
        Ok(Reader { lines, line: Vec::new() })
    }
}

fn open(meeting: &Meeting, session: &str) -> io::Result<Option<Box<dyn Connection>>> {
    #[cfg(unix)]
    if meeting.has_sockets(session) {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        return match UnixStream::connect(meeting.socket(session)) {
            Ok(stream) => Ok(Some(Box::new(stream))),
            Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => Ok(None),
            Err(error) => Err(error),
        };
    }
    let Ok(text) = std::fs::read_to_string(meeting.address(session)) else { return Ok(None) };
    let mut lines = text.lines();
    let address: Option<SocketAddr> = lines.next().and_then(|line| line.parse().ok());
    let (Some(address), Some(token)) = (address.filter(|a| a.ip().is_loopback()), lines.next()) else { return Ok(None) };
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(2)) else { return Ok(None) };
    stream.write_all(format!("{token}\n").as_bytes())?;
    Ok(Some(Box::new(stream)))
}
