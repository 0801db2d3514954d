//! The threads that move bytes.

use std::io::{self, Read, Write};
use std::process::{ChildStderr, ChildStdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mcp_capture::Limits;
use mcp_capture::event::Flags;
use mcp_os::pump;

use super::cutter::{Cut, Cutter};
use super::lane::Lane;
use super::shared::Shared;
use super::spawn;

/// As much as a pipe holds.
const CHUNK: usize = 64 * 1024;

/// So long the end of what the server says aside waits for a disk that does not answer.
const TOLD: Duration = Duration::from_millis(250);

const READING: u8 = 0;
const WRITING: u8 = 1;
const DONE: u8 = 2;

/// A thread that moves bytes, seen from outside.
pub(super) struct Pump(Arc<AtomicU8>);

impl Pump {
    /// It has passed on everything.
    pub(super) fn is_done(&self) -> bool {
        self.0.load(Ordering::Acquire) == DONE
    }

    /// It has something that it has not passed on yet.
    pub(super) fn is_writing(&self) -> bool {
        self.0.load(Ordering::Acquire) == WRITING
    }

    fn start(name: &str, work: impl FnOnce(&AtomicU8) + Send + 'static) -> Self {
        let state = Arc::new(AtomicU8::new(READING));
        let shared = Arc::clone(&state);
        spawn(name, move || {
            work(&shared);
            shared.store(DONE, Ordering::Release);
        });
        Self(state)
    }

    /// From the client to the server.
    pub(super) fn input(shared: &Arc<Shared>) -> Self {
        let shared = Arc::clone(shared);
        Self::start("input", move |state| {
            let mut mover = Mover::new(&shared, &shared.to_server);
            let ended = mover.run(state, pump::read_input);
            mover.finish();
            shared.to_server.connect(None);
            if ended.is_err() {
                // The server reads no more: neither do we, so that the client learns it.
                pump::close_input();
            }
        })
    }

    /// From the server to the client.
    pub(super) fn output(shared: &Arc<Shared>, pipe: Option<ChildStdout>) -> Self {
        let shared = Arc::clone(shared);
        Self::start("output", move |state| {
            let mut pipe = pipe;
            while let Some(mut from) = pipe.take() {
                widen(&from);
                let mut mover = Mover::new(&shared, &shared.to_client);
                let ended = mover.run(state, |buffer| read(&mut from, buffer));
                mover.finish();
                // Whoever still writes into it learns that nobody reads.
                drop(from);
                if ended.is_ok() {
                    state.store(DONE, Ordering::Release);
                    pipe = shared.next_output();
                }
            }
            shared.to_client.connect(None);
            pump::close_output();
        })
    }

    /// What the server says aside.
    pub(super) fn errors(shared: &Arc<Shared>, pipe: Option<ChildStderr>) -> Self {
        let shared = Arc::clone(shared);
        Self::start("errors", move |state| {
            let mut pipe = pipe;
            let mut buffer = vec![0; 8 * 1024];
            while let Some(mut from) = pipe.take() {
                let mut cutter = Cutter::new(CHUNK, shared.tape.clone());
                let ended = loop {
                    state.store(READING, Ordering::Release);
                    let length = match read(&mut from, &mut buffer) {
                        Ok(0) | Err(_) => break Ok(()),
                        Ok(length) => length,
                    };
                    state.store(WRITING, Ordering::Release);
                    cutter.push(&buffer[..length], |line| shared.tape.stderr(line));
                    if let Err(error) = pump::write_errors(&buffer[..length]) {
                        break Err(error);
                    }
                };
                if let Some(line) = cutter.finish() {
                    shared.tape.stderr(line);
                }
                drop(from);
                if ended.is_ok() {
                    state.store(DONE, Ordering::Release);
                    pipe = shared.next_errors();
                }
            }
            // A session may be over before it is known that nothing can be recorded of it: that is to be told here.
            shared.tape.flush(TOLD);
            pump::close_errors();
        })
    }
}

#[cfg(unix)]
fn widen(pipe: &ChildStdout) {
    mcp_os::process::widen(pipe);
}

#[cfg(not(unix))]
fn widen(_pipe: &ChildStdout) {}

fn read(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Our standard output.
pub(super) struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        pump::write_output(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One direction's loop.
struct Mover<'a> {
    shared: &'a Shared,
    lane: &'a Lane,
    cutter: Cutter,
    /// A line that has begun and is kept back until it is complete.
    gathered: Vec<u8>,
}

impl<'a> Mover<'a> {
    fn new(shared: &'a Shared, lane: &'a Lane) -> Self {
        Self { shared, lane, cutter: Cutter::new(Limits::default().bytes, shared.tape.clone()), gathered: Vec::new() }
    }

    /// Moves until nothing more comes (`Ok`), or nobody takes it.
    fn run(&mut self, state: &AtomicU8, mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = match read(&mut buffer) {
                Ok(0) | Err(_) => return Ok(()),
                Ok(length) => length,
            };
            state.store(WRITING, Ordering::Release);
            let chunk = &buffer[..length];
            if self.lane.is_armed() || !self.gathered.is_empty() {
                self.ask_about(chunk)?;
            } else {
                self.pass_recorded(chunk)?;
            }
            state.store(READING, Ordering::Release);
        }
    }

    /// Passes a piece on. While the server is being restarted, that waits.
    fn pass(&self, piece: &[u8]) -> io::Result<()> {
        match self.lane.pass(piece) {
            Err(_) if self.shared.waits_for_restart(self.lane.direction) => self.lane.pass(piece),
            other => other,
        }
    }

    /// Passes on message by message, each only after the rules were asked. What has begun to be passed on goes on so.
    fn ask_about(&mut self, chunk: &[u8]) -> io::Result<()> {
        let mut rest = chunk;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (piece, behind) = rest.split_at(end);
            rest = behind;
            if self.cutter.is_within_line() {
                self.pass_recorded(piece)?;
                continue;
            }
            self.gathered.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let message = Bytes::from(std::mem::take(&mut self.gathered));
                self.shared.waits_for_restart(self.lane.direction);
                self.shared.saw(self.lane.direction, &message);
                self.shared.judge(self.lane.direction, message)?;
            } else if self.gathered.len() > Limits::default().bytes || !self.lane.is_armed() {
                // Too long to be kept back, or nobody asks any more: from here on as it comes.
                let begun = std::mem::take(&mut self.gathered);
                self.pass_recorded(&begun)?;
            }
        }
        Ok(())
    }

    /// Passes a piece of the stream on, and a copy to the recording first.
    fn pass_recorded(&mut self, piece: &[u8]) -> io::Result<()> {
        let (shared, direction) = (self.shared, self.lane.direction);
        self.cutter.push(piece, |cut| {
            if let Cut::Whole(message) = &cut {
                shared.saw(direction, message);
            }
            shared.tape.cut(direction, cut, Flags::NONE);
        });
        self.pass(piece)
    }

    /// What was kept back for whoever watches; then the last line, if it has no end.
    fn finish(&mut self) {
        self.shared.release(self.lane.direction);
        let begun = std::mem::take(&mut self.gathered);
        // Nobody may be left to take it.
        let _ = self.pass_recorded(&begun);
        if let Some(last) = self.cutter.finish() {
            self.shared.tape.cut(self.lane.direction, last, Flags::NO_NEWLINE);
        }
    }
}
