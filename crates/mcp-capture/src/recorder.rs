//! The recorder: one thread that takes what the traffic queued, replaces secrets, and writes capture and index.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::event::Header;
use crate::redact::Redactor;
use crate::ring::{Item, Limits, Queue, Sink, What};
use crate::write::{Files, Output, Summary, WriteError, Writer};

/// How a session is to be recorded.
#[derive(Default)]
pub struct Options {
    /// What is known of it. `session`, `started_ms`, `pid`, `part` and `raw` are filled in.
    pub header: Header,
    /// What replaces secrets; `None` records them as they are.
    pub redactor: Option<Redactor>,
    /// How much may wait to be written.
    pub limits: Limits,
    /// A part that has grown over this goes on in a next one; 0 means 256 MiB.
    pub part_limit: u64,
    /// Called on the recorder's thread when writing begins to fail, and with `None` when it works again.
    pub on_trouble: Option<TroubleListener>,
}

/// See [`Options::on_trouble`].
pub type TroubleListener = Box<dyn FnMut(Option<&str>) + Send>;

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("header", &self.header).field("limits", &self.limits).finish_non_exhaustive()
    }
}

const PART_LIMIT: u64 = 256 << 20;
/// How long the writer naps while there is traffic: so much is lost with `kill -9`, and so late is a viewer.
const NAP: Duration = Duration::from_millis(5);
/// After so many naps without traffic it sleeps.
const NAPS: u32 = 40;
/// So many records of a session are written at once: a client that does not like how a server opens kills it, and its wrapper with it,
/// within a nap (Codex 0.169), and it is just those messages that somebody wants to see then.
const AT_ONCE: u64 = 64;

/// A session being recorded. Dropping it ends the recording in order.
#[derive(Debug)]
pub struct Recorder {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<Summary>>,
    trouble: Arc<Mutex<Option<String>>>,
    path: PathBuf,
    session: String,
}

impl Recorder {
    /// Starts to record into a new file. Its directory must be there; see [`Store::path_for`](crate::store::Store::path_for).
    pub fn start(path: &Path, options: Options) -> Result<(Self, Sink), WriteError> {
        let zero = Instant::now();
        let header = filled(&options);
        let files = Files::create(path, &header)?;
        Self::on(Box::new(files), path, header, zero, options)
    }

    /// Starts to record into something else than files: for tests of what happens when writing fails.
    pub fn start_on(output: Box<dyn Output>, options: Options) -> Result<(Self, Sink), WriteError> {
        let header = filled(&options);
        Self::on(output, Path::new(""), header, Instant::now(), options)
    }

    fn on(
        output: Box<dyn Output>,
        path: &Path,
        header: Header,
        zero: Instant,
        mut options: Options,
    ) -> Result<(Self, Sink), WriteError> {
        let queue = Queue::new(options.limits, zero);
        let trouble = Arc::new(Mutex::new(None));
        let session = header.session.clone();
        let limit = if options.part_limit == 0 { PART_LIMIT } else { options.part_limit };
        let writer = Writer::begin(output, header, limit)?;
        let mut loops = Loop {
            queue: Arc::clone(&queue),
            writer,
            redactor: options.redactor.take(),
            on_trouble: options.on_trouble.take(),
            trouble: Arc::clone(&trouble),
        };
        let thread = std::thread::Builder::new()
            .name("capture".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || {
                loops.run();
                loops.writer.finish()
            })
            .map_err(|source| WriteError::Thread { source })?;
        queue.attach(thread.thread().clone());
        let recorder = Self { queue: Arc::clone(&queue), thread: Some(thread), trouble, path: path.to_owned(), session };
        Ok((recorder, Sink::new(queue)))
    }

    /// The file of the first part.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The session's name in the headers.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Why nothing can be written at the moment, if so.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until all that was recorded so far is in the file, or the time is over (`false`).
    pub fn flush(&self, timeout: Duration) -> bool {
        self.queue.flush(timeout)
    }

    /// Writes what waits and the footer. What clones of the sink still record is dropped.
    pub fn finish(mut self) -> Summary {
        self.end()
    }

    fn end(&mut self) -> Summary {
        self.queue.close();
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}

fn filled(options: &Options) -> Header {
    let mut header = options.header.clone();
    if header.session.is_empty() {
        header.session = crate::store::new_session();
    }
    if header.started_ms == 0 {
        header.started_ms = mcp_os::clock::now_ms();
    }
    if header.pid == 0 {
        header.pid = std::process::id();
    }
    header.part = 1;
    header.first_sequence = 1;
    header.raw = options.redactor.is_none();
    if let Some(redactor) = &options.redactor {
        header.command = redactor.command(&header.command);
    }
    header
}

struct Loop {
    queue: Arc<Queue>,
    writer: Writer,
    redactor: Option<Redactor>,
    on_trouble: Option<TroubleListener>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Loop {
    fn run(&mut self) {
        let mut batch = VecDeque::new();
        let mut idle = NAPS;
        let mut written = 0;
        while self.queue.take(&mut batch) {
            if batch.is_empty() {
                idle += 1;
                // Trouble is looked at again from time to time: space may come back while nobody says anything.
                let nap = if self.writer.trouble().is_some() { Duration::from_millis(250) } else { NAP };
                self.queue.rest(((idle < NAPS && written >= AT_ONCE) || self.writer.trouble().is_some()).then_some(nap));
                if self.writer.trouble().is_some() {
                    self.writer.flush();
                    self.report();
                }
                continue;
            }
            idle = 0;
            written += batch.len() as u64;
            self.write(&mut batch);
            if written >= AT_ONCE {
                self.queue.rest(Some(NAP));
            }
        }
    }

    fn write(&mut self, batch: &mut VecDeque<Item>) {
        let (mut bytes, mut records, mut last) = (0, 0, 0);
        while let Some(item) = batch.pop_front() {
            let size = item.what.size();
            last = match &item.what {
                What::Gap(gap) => gap.last,
                _ => item.stamp.sequence,
            };
            self.writer.item(item, self.redactor.as_ref());
            bytes += size;
            records += 1;
            if self.writer.is_full() {
                self.writer.flush();
                self.queue.release(last, bytes, records);
                (bytes, records) = (0, 0);
            }
        }
        self.writer.flush();
        self.queue.release(last, bytes, records);
        self.report();
    }

    /// Tells of a change between well and not.
    fn report(&mut self) {
        let now = self.writer.trouble();
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if now.is_some() != known.is_some() {
            *known = now.map(ToOwned::to_owned);
            drop(known);
            if let Some(listener) = &mut self.on_trouble {
                listener(now);
            }
        }
    }
}
