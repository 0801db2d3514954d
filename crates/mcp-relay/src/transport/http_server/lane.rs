//! One answer that is being written: what waits to be written, and what was written and is kept for a client that comes back.
//!
//! The hub puts messages in and the connection takes them out; the two never run at the same time and never wait for each
//! other. What waits counts against an [`Account`], which belongs to one client.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes, BytesMut};
use foldhash::HashMap;

use crate::outlet::{Overflow, Place};
use crate::route::Class;

mod parts;

pub(super) use parts::Torn;
use parts::{Parts, lose_parts};

/// From so many waiting messages on, a later progress message takes the place of an earlier one. A client that reads at all
/// sees each of them, as it would without us.
const CROWD: usize = 32;
/// How many messages that belong to no request wait for a client that has no stream for them.
const PENDING: usize = 64;
/// Events up to this size are written together, in one piece.
const SMALL: usize = 16 << 10;
/// What a waiting message costs besides its bytes.
const OVERHEAD: usize = 96;

/// What is counted over all clients.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Answers somebody reads or waits for.
    pub(super) streams: Cell<usize>,
    /// Log lines that were dropped because a client read too slowly or had no stream.
    pub(super) dropped_logs: Cell<u64>,
    /// Other messages that took the place of earlier ones, or were dropped for want of a stream.
    pub(super) merged: Cell<u64>,
}

pub(super) fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

/// How much may wait for one client.
#[derive(Debug)]
pub(super) struct Account {
    limit: usize,
    waiting: Cell<usize>,
    counters: Rc<Counters>,
}

impl Account {
    pub(super) fn new(limit: usize, counters: Rc<Counters>) -> Self {
        Self { limit, waiting: Cell::new(0), counters }
    }

    pub(super) fn counters(&self) -> &Rc<Counters> {
        &self.counters
    }

    /// Bytes that wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.get()
    }

    fn is_tight(&self) -> bool {
        self.waiting.get() > self.limit / 2
    }

    /// One message passes however large it is: its size was judged when it came.
    fn take(&self, cost: usize) -> Result<(), Overflow> {
        let waiting = self.waiting.get();
        if waiting > 0 && waiting + cost > self.limit {
            return Err(Overflow);
        }
        self.waiting.set(waiting + cost);
        Ok(())
    }

    fn give(&self, cost: usize) {
        self.waiting.set(self.waiting.get().saturating_sub(cost));
    }
}

fn cost(frame: &Bytes) -> usize {
    frame.len() + OVERHEAD
}

#[derive(Debug)]
struct Waiting {
    class: Class,
    frame: Bytes,
    /// It is a part of a message.
    place: Option<Place>,
}

/// What a later message makes an earlier one worthless by.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Same {
    Progress(u64),
    Kind(String),
}

/// How events look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// 2026-07-28: data, nothing else.
    Plain,
    /// 2025: an id that names the stream and the place in it.
    Numbered,
    /// 2024-11-05: the type is spelt out; there is no resumption.
    Named,
}

/// How an answer begins.
#[derive(Debug)]
pub(super) enum Opening {
    /// With its only message.
    Json(Class, Bytes),
    /// With its only message, of which more is still to come.
    Parts,
    /// With one of several, or with nothing for a while.
    Events,
    /// There will be nothing.
    Nothing,
    /// The client's connection was ended by the route.
    Cut,
}

/// What is written next.
#[derive(Debug)]
pub(super) enum Piece {
    /// Whole events.
    Events(Bytes),
    /// The beginning of an event whose message is too large to be copied; the message and a blank line follow.
    Large(Bytes, Bytes),
    /// A part of an event: what stands before, the part of the message, and what stands behind.
    Part(Bytes, Bytes, Bytes),
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// How many have left `waiting`: places of messages are counted from the first ever.
    taken: u64,
    replaceable: HashMap<Same, u64>,
    kept: VecDeque<(u64, Bytes)>,
    sequence: u64,
    /// Responses still to come; none for a stream that has no natural end.
    due: Option<u32>,
    is_over: bool,
    is_cut: bool,
    parts: Parts,
    reader: u64,
    readers: u64,
    has_begun: bool,
    left: Option<Instant>,
    waker: Option<Waker>,
}

impl State {
    fn wait(&mut self, cx: &Context<'_>) {
        match &self.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => self.waker = Some(cx.waker().clone()),
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// One answer. See the [module](self).
#[derive(Debug)]
pub(super) struct Lane {
    number: u64,
    state: RefCell<State>,
}

impl Lane {
    /// An answer that is complete after so many responses, or with none of them endless.
    pub(super) fn new(number: u64, due: Option<u32>) -> Self {
        Self { number, state: RefCell::new(State { due, ..State::default() }) }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Takes a message that belongs here.
    pub(super) fn push(&self, account: &Account, class: Class, frame: Bytes) -> Result<(), Overflow> {
        let state = &mut *self.state.borrow_mut();
        if state.is_over && !state.parts.is_reason(class) || state.is_cut {
            return Ok(());
        }
        match class {
            Class::Log if account.is_tight() => {
                count(&account.counters.dropped_logs);
                return Ok(());
            }
            Class::Progress(call) => {
                if state.waiting.len() >= CROWD && replace(state, account, &Same::Progress(call), &frame) {
                    return Ok(());
                }
                if !state.waiting.is_empty() {
                    state.replaceable.insert(Same::Progress(call), state.taken + state.waiting.len() as u64);
                }
            }
            _ => {}
        }
        account.take(cost(&frame))?;
        state.waiting.push_back(Waiting { class, frame, place: None });
        if matches!(class, Class::Response | Class::Refusal) {
            self.answered(state);
        }
        state.wake();
        Ok(())
    }

    /// Takes a message for whom nobody reads now: one of each kind is kept.
    pub(super) fn push_pending(&self, account: &Account, class: Class, frame: Bytes) -> Result<(), Overflow> {
        let state = &mut *self.state.borrow_mut();
        if state.is_over || state.is_cut {
            return Ok(());
        }
        if matches!(class, Class::Log | Class::Progress(_)) {
            count(&account.counters.dropped_logs);
            return Ok(());
        }
        if let Some(kind) = kind(&frame) {
            let kind = Same::Kind(kind);
            if replace(state, account, &kind, &frame) {
                return Ok(());
            }
            state.replaceable.insert(kind, state.taken + state.waiting.len() as u64);
        }
        if state.waiting.len() >= PENDING
            && let Some(oldest) = state.waiting.pop_front()
        {
            account.give(cost(&oldest.frame));
            state.taken += 1;
            count(&account.counters.merged);
        }
        account.take(cost(&frame))?;
        state.waiting.push_back(Waiting { class, frame, place: None });
        Ok(())
    }

    fn answered(&self, state: &mut State) {
        let _ = self;
        if let Some(due) = &mut state.due {
            *due = due.saturating_sub(1);
            if *due == 0 {
                state.is_over = true;
                state.left.get_or_insert_with(Instant::now);
            }
        }
    }

    /// One of the responses that were to come will not come.
    pub(super) fn excuse(&self) {
        let state = &mut *self.state.borrow_mut();
        self.answered(state);
        state.parts.excuse();
        state.wake();
    }

    /// Nothing more is taken; what waits is written still.
    pub(super) fn finish(&self) {
        let state = &mut *self.state.borrow_mut();
        state.is_over = true;
        state.wake();
    }

    /// The connection it belongs to was ended. What waits is written still, unless it is thrown away.
    pub(super) fn cut(&self, account: &Account, throw_away: bool) {
        let state = &mut *self.state.borrow_mut();
        state.is_cut = true;
        if throw_away {
            state.waiting.drain(..).for_each(|w| account.give(cost(&w.frame)));
        }
        state.wake();
    }

    pub(super) fn is_over(&self) -> bool {
        self.state.borrow().is_over
    }

    pub(super) fn is_cut(&self) -> bool {
        self.state.borrow().is_cut
    }

    /// Whether somebody reads it, or waits for it to begin.
    pub(super) fn is_read(&self) -> bool {
        self.state.borrow().reader != 0
    }

    /// Whether the client knows its number.
    pub(super) fn has_begun(&self) -> bool {
        self.state.borrow().has_begun
    }

    /// Whether it is open and read: what belongs to no request can go here.
    pub(super) fn is_open(&self) -> bool {
        let state = self.state.borrow();
        state.reader != 0 && !state.is_over && !state.is_cut
    }

    /// Whether there is nothing left to write or to keep.
    pub(super) fn is_spent(&self) -> bool {
        let state = self.state.borrow();
        let is_complete = state.is_over && !state.parts.is_arriving();
        (is_complete || state.is_cut) && state.waiting.is_empty() && state.kept.is_empty()
    }

    /// Whether it is complete, and nobody has read it for this long.
    pub(super) fn is_stale(&self, now: Instant, after: Duration) -> bool {
        let state = self.state.borrow();
        state.reader == 0 && state.is_over && state.left.is_none_or(|left| now.duration_since(left) >= after)
    }

    /// Somebody reads it from now on, and whoever did so before does not. Gives the reader's number.
    pub(super) fn attach(&self) -> u64 {
        let state = &mut *self.state.borrow_mut();
        state.readers += 1;
        state.reader = state.readers;
        state.wake();
        state.reader
    }

    /// Puts what was written after this event back to be written again; gives the places from which on nothing is kept now.
    pub(super) fn rewind(&self, account: &Account, after: u64) {
        let state = &mut *self.state.borrow_mut();
        lose_parts(state, account);
        let mut first = None;
        while state.kept.back().is_some_and(|(sequence, _)| *sequence > after) {
            let Some((sequence, frame)) = state.kept.pop_back() else { break };
            account.waiting.set(account.waiting.get() + cost(&frame));
            // The class matters only to what has not been written once.
            state.waiting.push_front(Waiting { class: Class::Notification, frame, place: None });
            first = Some(sequence);
        }
        state.replaceable.clear();
        if let Some(first) = first {
            state.sequence = first - 1;
        }
    }

    /// This reader reads no more. Gives false if another took over.
    pub(super) fn detach(&self, account: &Account, reader: u64) -> bool {
        let state = &mut *self.state.borrow_mut();
        if state.reader != reader {
            return false;
        }
        lose_parts(state, account);
        state.reader = 0;
        state.left = Some(Instant::now());
        state.waker = None;
        true
    }

    /// Drops all that waits.
    pub(super) fn clear(&self, account: &Account) {
        let state = &mut *self.state.borrow_mut();
        state.waiting.drain(..).for_each(|w| account.give(cost(&w.frame)));
        state.kept.clear();
        state.replaceable.clear();
    }

    /// The oldest event that is kept for a client that comes back is kept no longer.
    pub(super) fn forget_oldest(&self) {
        self.state.borrow_mut().kept.pop_front();
    }

    /// The response, when it has come; for an answer that is not begun before.
    pub(super) fn poll_response(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let state = &mut *self.state.borrow_mut();
        if !state.is_over && !state.is_cut {
            state.wait(cx);
            return Poll::Pending;
        }
        let response = state.waiting.iter().rfind(|w| matches!(w.class, Class::Response | Class::Refusal));
        Poll::Ready(response.map(|w| w.frame.clone()))
    }

    /// How the answer begins. With `begin_now` it begins even if there is nothing to say.
    pub(super) fn poll_opening(&self, cx: &Context<'_>, account: &Account, begin_now: bool) -> Poll<Opening> {
        let state = &mut *self.state.borrow_mut();
        if let Some(opening) = parts::opening(state) {
            return Poll::Ready(opening);
        }
        let is_alone = state.is_over && state.waiting.len() == 1;
        match state.waiting.front().map(|w| w.class) {
            Some(Class::Response | Class::Refusal) if is_alone => {
                let only = state.waiting.pop_front().expect("there is one, as was just seen");
                account.give(cost(&only.frame));
                return Poll::Ready(Opening::Json(only.class, only.frame));
            }
            Some(_) => return Poll::Ready(Opening::Events),
            None => {}
        }
        if state.is_cut {
            return Poll::Ready(Opening::Cut);
        }
        if state.is_over {
            return Poll::Ready(Opening::Nothing);
        }
        if begin_now {
            return Poll::Ready(Opening::Events);
        }
        state.wait(cx);
        Poll::Pending
    }

    /// An event without a message, which tells a client the id to come back with.
    pub(super) fn priming(&self) -> Bytes {
        let state = &mut *self.state.borrow_mut();
        state.has_begun = true;
        Bytes::from(format!("id: {}-{}\nretry: 1000\ndata: \n\n", self.number, state.sequence))
    }

    /// What this reader writes next; none at the end. `keep` is told of each event that is kept, and says whether to.
    pub(super) fn poll_events(
        &self,
        cx: &Context<'_>,
        reader: u64,
        account: &Account,
        style: Style,
        mut keep: impl FnMut(u64, usize) -> bool,
    ) -> Poll<Option<Piece>> {
        let state = &mut *self.state.borrow_mut();
        if state.reader != reader {
            return Poll::Ready(None);
        }
        let Some(front) = state.waiting.front() else {
            if state.is_over && !state.parts.is_arriving() || state.is_cut {
                return Poll::Ready(None);
            }
            state.wait(cx);
            return Poll::Pending;
        };
        if front.place.is_some() {
            return Poll::Ready(self.next_part(state, account, style, keep));
        }
        let size = front.frame.len();
        let mut out = BytesMut::with_capacity(if size > SMALL { 64 } else { size + 64 });
        let fits = |w: &Waiting, out: &BytesMut| w.place.is_none() && (out.is_empty() || out.len() + w.frame.len() <= SMALL);
        while state.waiting.front().is_some_and(|w| fits(w, &out)) {
            let Some(Waiting { frame, .. }) = state.waiting.pop_front() else { break };
            account.give(cost(&frame));
            state.taken += 1;
            begin_event(self.number, state, style, &mut out);
            if style == Style::Numbered {
                if keep(state.sequence, frame.len()) {
                    state.kept.push_back((state.sequence, frame.clone()));
                } else {
                    state.kept.clear();
                }
            }
            out.put_slice(b"data: ");
            if frame.len() > SMALL {
                if state.waiting.is_empty() {
                    state.replaceable.clear();
                }
                return Poll::Ready(Some(Piece::Large(out.freeze(), frame)));
            }
            out.put_slice(frame.strip_suffix(b"\n").unwrap_or(&frame));
            out.put_slice(b"\n\n");
        }
        if state.waiting.is_empty() && !state.replaceable.is_empty() {
            state.replaceable.clear();
        }
        Poll::Ready(Some(Piece::Events(out.freeze())))
    }
}

/// What stands before the data of the next event.
fn begin_event(lane: u64, state: &mut State, style: Style, out: &mut BytesMut) {
    match style {
        Style::Plain => {}
        Style::Named => out.put_slice(b"event: message\n"),
        Style::Numbered => {
            state.sequence += 1;
            state.has_begun = true;
            let mut number = itoa::Buffer::new();
            out.put_slice(b"id: ");
            out.put_slice(number.format(lane).as_bytes());
            out.put_u8(b'-');
            out.put_slice(number.format(state.sequence).as_bytes());
            out.put_u8(b'\n');
        }
    }
}

/// Puts the message in the place of an earlier one that waits still.
fn replace(state: &mut State, account: &Account, same: &Same, frame: &Bytes) -> bool {
    let place = state.replaceable.get(same).and_then(|place| place.checked_sub(state.taken));
    let Some(earlier) = place.and_then(|place| state.waiting.get_mut(usize::try_from(place).ok()?)) else { return false };
    account.give(cost(&earlier.frame));
    account.waiting.set(account.waiting.get() + cost(frame));
    earlier.frame = frame.clone();
    count(&account.counters.merged);
    true
}

/// What a message is about, if a later one about the same replaces it.
fn kind(frame: &Bytes) -> Option<String> {
    let frame = mcp_wire::Frame::parse(frame.clone()).ok()?;
    let method = frame.method();
    if method == "notifications/resources/updated" {
        return Some(format!("{method} {}", frame.get(&["params", "uri"]).unwrap_or_default()));
    }
    method.ends_with("/list_changed").then(|| method.to_owned())
}

#[cfg(test)]
mod tests;
