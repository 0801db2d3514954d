//! The way from the traffic to the file: a bounded queue that never makes anybody wait.
//!
//! A [`Sink`] gives a message its number and time and queues it, before its owner writes it on, so that an answer is never
//! recorded before its question. When the queue is full the copy is dropped and counted, and a gap is recorded in its place.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::event::{Direction, Event, Flags, Gap, Hop, Stamp};

/// How much may wait to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of messages.
    pub bytes: usize,
    /// Messages.
    pub records: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 20, records: 1 << 20 }
    }
}

/// What waits to be written.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) stamp: Stamp,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// A message, and its true length.
    Frame(Bytes, u64),
    Stderr(Bytes),
    Event(Box<Event>),
    Gap(Gap),
}

impl What {
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Frame(bytes, _) | Self::Stderr(bytes) => bytes.len(),
            Self::Event(event) => match &**event {
                Event::Altered(_, bytes) => bytes.len() + 200,
                _ => 200,
            },
            Self::Gap(_) => 0,
        }
    }
}

/// Of a message that does not fit the queue even alone, so much is kept.
const KEPT: usize = 64 * 1024;

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// Bytes that wait or are being written.
    bytes: usize,
    /// Items that are being written.
    out: usize,
    sequence: u64,
    lost: Option<(Stamp, Gap)>,
    is_closed: bool,
    /// Numbers up to this one have been written, or are lost.
    done: u64,
}

/// The writer runs, naps for some milliseconds and wakes by itself, or sleeps until it is woken.
const AWAKE: u8 = 0;
const NAPPING: u8 = 1;
const ASLEEP: u8 = 2;
/// With so much waiting, a nap is over.
const ENOUGH: usize = 256 * 1024;
const ENOUGH_ITEMS: usize = 2048;

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    written: Condvar,
    rest: AtomicU8,
    writer: OnceLock<Thread>,
    /// Buffers of large messages that were written.
    spare: Mutex<Vec<Vec<u8>>>,
    limits: Limits,
    zero: Instant,
}

/// From this size on a buffer is used again: the system makes and clears each page of a fresh one, which takes longer than the
/// copy that goes into it.
pub(crate) const LARGE: usize = 64 * 1024;
/// So many of them wait to be used again, none larger than this.
const SPARE: usize = 2;
const LARGEST_SPARE: usize = 4 << 20;

impl Queue {
    pub(crate) fn new(limits: Limits, zero: Instant) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            written: Condvar::new(),
            rest: AtomicU8::new(AWAKE),
            writer: OnceLock::new(),
            spare: Mutex::default(),
            limits,
            zero,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way; and traffic must go on even if it did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn attach(&self, writer: Thread) {
        let _ = self.writer.set(writer);
    }

    fn put(&self, hop: Hop, direction: Direction, flags: Flags, what: What) -> u64 {
        let size = what.size();
        let mut state = self.lock();
        state.sequence += 1;
        let sequence = state.sequence;
        // The time is taken with the number, so that the two never disagree about what came first.
        let at = u64::try_from(self.zero.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let stamp = Stamp { sequence, at, hop, direction, flags };
        if state.is_closed {
            return sequence;
        }
        let is_full = state.items.len() + state.out >= self.limits.records || state.bytes + size > self.limits.bytes;
        if is_full {
            let (_, gap) = state.lost.get_or_insert_with(|| (stamp, Gap { cause: "queue".to_owned(), ..Gap::default() }));
            gap.records += 1;
            gap.bytes += size as u64;
            gap.last = sequence;
        } else {
            if let Some(lost) = state.lost.take() {
                state.items.push_back(Item { stamp: lost.0, what: What::Gap(lost.1) });
            }
            state.bytes += size;
            state.items.push_back(Item { stamp, what });
        }
        let is_much = state.bytes >= ENOUGH || state.items.len() >= ENOUGH_ITEMS;
        drop(state);
        self.wake(is_much);
        sequence
    }

    /// Wakes the writer if it sleeps, or also from a nap. In steady traffic it only naps, and this is one atomic load.
    fn wake(&self, also_from_nap: bool) {
        let rest = self.rest.load(Ordering::SeqCst);
        if (rest == ASLEEP || (rest == NAPPING && also_from_nap))
            && self.rest.swap(AWAKE, Ordering::SeqCst) != AWAKE
            && let Some(writer) = self.writer.get()
        {
            writer.unpark();
        }
    }

    /// The writer's side: takes all that waits into an empty queue. `false`: nothing waits, and nothing will.
    pub(crate) fn take(&self, into: &mut VecDeque<Item>) -> bool {
        debug_assert!(into.is_empty(), "what was taken before has been written");
        // A burst leaves a large queue behind, which an idle session need not keep.
        if into.capacity() > 4 * ENOUGH_ITEMS {
            *into = VecDeque::new();
        }
        let mut state = self.lock();
        std::mem::swap(&mut state.items, into);
        if let Some(lost) = state.lost.take() {
            into.push_back(Item { stamp: lost.0, what: What::Gap(lost.1) });
        }
        state.out = into.len();
        !into.is_empty() || !state.is_closed
    }

    /// The writer's side: one item is done with.
    pub(crate) fn release(&self, sequence: u64, bytes: usize, records: usize) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
        state.out = state.out.saturating_sub(records);
        state.done = state.done.max(sequence);
        drop(state);
        self.written.notify_all();
    }

    /// The writer's side: this message was written.
    pub(crate) fn reuse(&self, mut bytes: Bytes) {
        // Its capacity stays, and nothing is moved when it becomes a vector again.
        bytes.truncate(0);
        if !bytes.is_unique() {
            return;
        }
        let buffer = Vec::from(bytes);
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE && (LARGE..=LARGEST_SPARE).contains(&buffer.capacity()) {
            spare.push(buffer);
        }
    }

    /// The writer's side: no large message is to be expected.
    pub(crate) fn drop_spare(&self) {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The writer's side: whether something waits, or nothing will come.
    pub(crate) fn has_work(&self) -> bool {
        let state = self.lock();
        state.is_closed || !state.items.is_empty() || state.lost.is_some()
    }

    /// The writer's side: naps, unless much came meanwhile.
    pub(crate) fn nap(&self, time: Duration) {
        self.rest.store(NAPPING, Ordering::SeqCst);
        let state = self.lock();
        let is_needed = state.is_closed || state.bytes >= ENOUGH || state.items.len() >= ENOUGH_ITEMS;
        drop(state);
        if !is_needed {
            std::thread::park_timeout(time);
        }
        self.rest.store(AWAKE, Ordering::SeqCst);
    }

    /// The writer's side: sleeps until something comes, or until this time is over.
    pub(crate) fn sleep(&self, time: Option<Duration>) {
        self.rest.store(ASLEEP, Ordering::SeqCst);
        let is_needed = self.has_work();
        let deadline = time.map(|time| Instant::now() + time);
        while !is_needed && self.rest.load(Ordering::SeqCst) == ASLEEP {
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => std::thread::park(),
                Some(Duration::ZERO) => break,
                Some(left) => std::thread::park_timeout(left),
            }
        }
        self.rest.store(AWAKE, Ordering::SeqCst);
    }

    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.wake(true);
    }

    /// The writer's side: nothing will be written. Nobody waits for it, and nothing is kept for it.
    pub(crate) fn give_up(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.items = VecDeque::new();
        state.bytes = 0;
        state.done = u64::MAX;
        drop(state);
        self.written.notify_all();
    }

    /// Waits until all that was put so far has been written or lost, or the time is over.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        let wanted = state.sequence;
        drop(state);
        self.wake(true);
        state = self.lock();
        loop {
            if state.done >= wanted {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.written.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Where the traffic hands over its copies. Cheap to clone; all clones number together.
#[derive(Clone, Debug)]
pub struct Sink {
    queue: Arc<Queue>,
}

impl Sink {
    pub(crate) fn new(queue: Arc<Queue>) -> Self {
        Self { queue }
    }

    /// An empty buffer for a large message that is still coming: one that was used before, if there is one.
    pub fn buffer(&self) -> Vec<u8> {
        self.queue.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Records a message with its line end as it came, and returns its number. Call it before the message is written on.
    pub fn frame(&self, hop: Hop, direction: Direction, bytes: Bytes) -> u64 {
        self.frame_with(hop, direction, bytes, Flags::NONE)
    }

    /// Records a message of which more is known: held, altered, injected, dropped.
    pub fn frame_with(&self, hop: Hop, direction: Direction, bytes: Bytes, flags: Flags) -> u64 {
        let length = bytes.len() as u64;
        if bytes.len() > self.queue.limits.bytes {
            let kept = Bytes::copy_from_slice(&bytes[..KEPT.min(self.queue.limits.bytes)]);
            return self.beginning_of_frame(hop, direction, kept, length, flags);
        }
        self.queue.put(hop, direction, flags, What::Frame(bytes, length))
    }

    /// Records a message of which only the beginning is at hand; `length` is the whole message's.
    pub fn beginning_of_frame(&self, hop: Hop, direction: Direction, kept: Bytes, length: u64, flags: Flags) -> u64 {
        self.queue.put(hop, direction, flags.with(Flags::TRUNCATED), What::Frame(kept, length))
    }

    /// Records what the server wrote to its standard error: best line by line.
    pub fn stderr(&self, bytes: Bytes) -> u64 {
        self.queue.put(Hop::Server, Direction::ToClient, Flags::NONE, What::Stderr(bytes))
    }

    /// Records anything else. `hop` says whose it is.
    pub fn event(&self, hop: Hop, event: Event) -> u64 {
        self.queue.put(hop, Direction::ToServer, Flags::NONE, What::Event(Box::new(event)))
    }

    /// Waits until all that was recorded so far is in the file, or will never be, or the time is over (`false`).
    pub fn flush(&self, timeout: Duration) -> bool {
        self.queue.flush(timeout)
    }

    /// Nanoseconds since the session's zero.
    pub fn now(&self) -> u64 {
        u64::try_from(self.queue.zero.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
