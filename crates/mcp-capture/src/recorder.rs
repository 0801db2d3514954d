//! The recorder: one thread that takes what the traffic queued, replaces secrets, and writes capture and index.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::event::Header;
use crate::redact::Redactor;
use crate::ring::{Item, LARGE, Limits, Queue, Sink, What};
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

/// What a recording that is begun on the recorder's own thread needs to know there.
pub struct Later {
    /// The session's name: it is known at once.
    pub session: String,
    /// Finds the file and what is recorded of the session.
    pub begin: Box<dyn FnOnce() -> Result<(PathBuf, Options), String> + Send>,
    /// Told why nothing is recorded, if that is so.
    pub on_failure: Box<dyn FnOnce(&str) + Send>,
}

impl std::fmt::Debug for Later {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Later").field("session", &self.session).finish_non_exhaustive()
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
    /// Set when the files are there; `None`: they could not be made.
    path: Arc<OnceLock<Option<PathBuf>>>,
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

    /// Starts to record, and makes the files while the first messages already come: a session need not wait for a disk.
    pub fn start_later(later: Later) -> Result<(Self, Sink), WriteError> {
        let zero = Instant::now();
        let queue = Queue::new(Limits::default(), zero);
        let path = Arc::new(OnceLock::new());
        let trouble = Arc::new(Mutex::new(None));
        let Later { session, begin, on_failure } = later;
        let (for_thread, place, known) = (Arc::clone(&queue), Arc::clone(&path), Arc::clone(&trouble));
        let work = move || {
            let begun = begin().and_then(|(path, options)| {
                let header = filled(&options);
                let files = Files::create(&path, &header).map_err(|error| mcp_os::causes::on_one_line(&error))?;
                let begun = Loop::begin(Box::new(files), header, options, &for_thread, known);
                begun.map(|begun| (path, begun)).map_err(|error| mcp_os::causes::on_one_line(&error))
            });
            match begun {
                Ok((path, loops)) => {
                    let _ = place.set(Some(path));
                    loops.run_to_the_end()
                }
                Err(reason) => {
                    // Whoever waits for what was recorded waits for this to be told.
                    on_failure(&reason);
                    for_thread.give_up();
                    let _ = place.set(None);
                    Summary::default()
                }
            }
        };
        Self::spawn(work, queue, trouble, path, session)
    }

    fn on(
        output: Box<dyn Output>,
        path: &Path,
        header: Header,
        zero: Instant,
        options: Options,
    ) -> Result<(Self, Sink), WriteError> {
        let queue = Queue::new(options.limits, zero);
        let trouble = Arc::new(Mutex::new(None));
        let session = header.session.clone();
        let loops = Loop::begin(output, header, options, &queue, Arc::clone(&trouble))?;
        let path = Arc::new(OnceLock::from(Some(path.to_owned())));
        Self::spawn(move || loops.run_to_the_end(), queue, trouble, path, session)
    }

    fn spawn(
        work: impl FnOnce() -> Summary + Send + 'static,
        queue: Arc<Queue>,
        trouble: Arc<Mutex<Option<String>>>,
        path: Arc<OnceLock<Option<PathBuf>>>,
        session: String,
    ) -> Result<(Self, Sink), WriteError> {
        let thread = std::thread::Builder::new().name("capture".to_owned()).stack_size(256 * 1024);
        let thread = thread.spawn(work).map_err(|source| WriteError::Thread { source })?;
        queue.attach(thread.thread().clone());
        let recorder = Self { queue: Arc::clone(&queue), thread: Some(thread), trouble, path, session };
        Ok((recorder, Sink::new(queue)))
    }

    /// Whether the files are there. `None`: that is not known yet.
    pub fn is_begun(&self) -> Option<bool> {
        self.path.get().map(Option::is_some)
    }

    /// The file of the first part. Of a recording that is begun later it is empty until it is begun.
    pub fn path(&self) -> &Path {
        self.path.get().and_then(Option::as_deref).unwrap_or(Path::new(""))
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

/// How long the writer naps while nothing can be written.
const TROUBLE: Duration = Duration::from_millis(250);
/// After so many bytes memory is given back as soon as nothing more comes, otherwise after this time without a message.
const MUCH: u64 = 1 << 20;
const WHILE: Duration = Duration::from_secs(5);

struct Loop {
    /// What went through since memory was given back.
    passed: u64,
    queue: Arc<Queue>,
    writer: Writer,
    redactor: Option<Redactor>,
    on_trouble: Option<TroubleListener>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Loop {
    fn begin(
        output: Box<dyn Output>,
        header: Header,
        options: Options,
        queue: &Arc<Queue>,
        trouble: Arc<Mutex<Option<String>>>,
    ) -> Result<Self, WriteError> {
        let limit = if options.part_limit == 0 { PART_LIMIT } else { options.part_limit };
        Ok(Self {
            // What the start needed is to be given back in any case.
            passed: MUCH,
            queue: Arc::clone(queue),
            writer: Writer::begin(output, header, limit)?,
            redactor: options.redactor,
            on_trouble: options.on_trouble,
            trouble,
        })
    }

    fn run_to_the_end(mut self) -> Summary {
        self.run();
        self.writer.finish()
    }

    fn run(&mut self) {
        let mut batch = VecDeque::new();
        let (mut idle, mut written) = (0, 0);
        while self.queue.take(&mut batch) {
            if !batch.is_empty() {
                idle = 0;
                written += batch.len() as u64;
                self.write(&mut batch);
                if written >= AT_ONCE {
                    self.queue.nap(NAP);
                }
            } else if self.writer.trouble().is_some() {
                // Trouble is looked at again from time to time: space may come back while nobody says anything.
                self.queue.nap(TROUBLE);
                self.writer.flush();
                self.report();
            } else if written < AT_ONCE && idle == 0 {
                // As long as all those naps, but woken by the first that comes.
                idle = NAPS;
                self.queue.sleep(Some(NAP * NAPS));
            } else if idle < NAPS {
                idle += 1;
                self.queue.nap(NAP);
            } else {
                self.sleep();
            }
        }
    }

    /// Sleeps until something comes. Before, what is not needed meanwhile is given back: at once after a burst, and after a
    /// while in any case, but not in every pause, since the message after it then has to wait for some pages of the program.
    fn sleep(&mut self) {
        let is_much = self.passed >= MUCH;
        if self.passed > 0 && !is_much {
            self.queue.sleep(Some(WHILE));
            if self.queue.has_work() {
                return;
            }
        }
        if self.passed > 0 {
            self.queue.drop_spare();
            mcp_os::memory::give_back();
            self.passed = 0;
        }
        self.queue.sleep(None);
    }

    fn write(&mut self, batch: &mut VecDeque<Item>) {
        let (mut bytes, mut records, mut last) = (0, 0, 0);
        while let Some(item) = batch.pop_front() {
            let size = item.what.size();
            last = match &item.what {
                What::Gap(gap) => gap.last,
                _ => item.stamp.sequence,
            };
            let large = match &item.what {
                What::Frame(bytes, _) if size >= LARGE => Some(bytes.clone()),
                _ => None,
            };
            self.writer.item(item, self.redactor.as_ref());
            if let Some(bytes) = large {
                self.queue.reuse(bytes);
            }
            bytes += size;
            records += 1;
            self.passed += size as u64;
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
