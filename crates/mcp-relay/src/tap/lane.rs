//! One direction of a tap: who is written to, and where between lines something of ours may go.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mcp_capture::Direction;

/// Who is written to.
pub(super) type Downstream = Box<dyn Write + Send>;

/// One direction.
pub(super) struct Lane {
    pub(super) direction: Direction,
    is_armed: AtomicBool,
    outlet: Mutex<Outlet>,
}

#[derive(Default)]
struct Outlet {
    to: Option<Downstream>,
    /// What was written last did not end a line.
    is_within_line: bool,
    /// Messages of ours that wait for the line to end.
    waiting: Vec<Bytes>,
}

impl Lane {
    pub(super) fn new(direction: Direction) -> Self {
        Self { direction, is_armed: AtomicBool::new(false), outlet: Mutex::default() }
    }

    /// Whether messages are to be gathered and asked about before they go on.
    #[inline]
    pub(super) fn is_armed(&self) -> bool {
        self.is_armed.load(Ordering::Acquire)
    }

    pub(super) fn arm(&self, is_armed: bool) {
        self.is_armed.store(is_armed, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Outlet> {
        // What it guards is good between any two writes.
        self.outlet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes to this one from now on; `None`: to nobody.
    pub(super) fn connect(&self, to: Option<Downstream>) {
        let mut outlet = self.lock();
        outlet.to = to;
        outlet.is_within_line = false;
    }

    /// Writes a piece of the stream.
    pub(super) fn pass(&self, mut piece: &[u8]) -> io::Result<()> {
        let mut outlet = self.lock();
        if !outlet.waiting.is_empty()
            && let Some(end) = memchr::memchr(b'\n', piece)
        {
            outlet.write(&piece[..=end])?;
            for message in std::mem::take(&mut outlet.waiting) {
                outlet.write(&message)?;
            }
            piece = &piece[end + 1..];
        }
        outlet.write(piece)
    }

    /// Writes a message of its own between two lines.
    pub(super) fn insert(&self, message: Bytes) -> io::Result<()> {
        let mut outlet = self.lock();
        if outlet.is_within_line {
            outlet.waiting.push(message);
            return Ok(());
        }
        outlet.write(&message)
    }
}

impl Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(last) = bytes.last() else { return Ok(()) };
        self.is_within_line = *last != b'\n';
        self.to.as_mut().map_or(Err(io::ErrorKind::BrokenPipe.into()), |to| to.write_all(bytes))
    }
}
