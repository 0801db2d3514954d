//! An answer that is passed on while it still arrives. It is always the last message of its lane.

use super::{Account, Context, Lane, Opening, Piece, Poll, State, Style, Waiting, begin_event, cost};
use bytes::{BufMut as _, Bytes, BytesMut};

use crate::outlet::{Overflow, Place};
use crate::route::Class;

/// How far such an answer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coming {
    /// There is none.
    #[default]
    Nothing,
    /// More comes.
    Arriving,
    /// The last part has come.
    Complete,
    /// It broke off.
    Torn,
    /// Its reader left in the middle of it: nobody can do anything with the rest.
    Lost,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts {
    coming: Coming,
    /// The first part has been written and the last has not.
    is_within: bool,
    /// Nothing waited when it began, so it may have any size.
    is_alone: bool,
    /// Its client has been told meanwhile not to wait for it.
    is_excused: bool,
}

impl Parts {
    pub(super) fn is_arriving(self) -> bool {
        self.coming == Coming::Arriving
    }

    /// Whether a message is the reason why the answer broke off.
    pub(super) fn is_reason(self, class: Class) -> bool {
        self.coming == Coming::Torn && class == Class::Response
    }

    pub(super) fn excuse(&mut self) {
        self.is_excused = self.is_arriving();
    }
}

/// The answer broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's answer broke off")]
pub(in super::super) struct Torn;

impl Lane {
    /// Whether the answer can come in parts: somebody waits for it, and for nothing else.
    pub(in super::super) fn takes_parts(&self) -> bool {
        let state = self.state.borrow();
        let is_open = state.reader != 0 && !state.is_over && !state.is_cut;
        is_open && state.due == Some(1) && state.parts.coming == Coming::Nothing
    }

    /// Takes the next part.
    pub(in super::super) fn push_part(&self, account: &Account, place: Place, frame: Bytes) -> Result<(), Overflow> {
        let state = &mut *self.state.borrow_mut();
        if state.is_cut || frame.is_empty() {
            return Ok(());
        }
        if place == Place::First {
            state.parts =
                Parts { coming: Coming::Arriving, is_alone: account.waiting.get() == 0, is_within: false, is_excused: false };
            self.answered(state);
        } else if !state.parts.is_arriving() {
            return Ok(());
        }
        if state.parts.is_alone {
            account.waiting.set(account.waiting.get() + cost(&frame));
        } else {
            account.take(cost(&frame))?;
        }
        if place == Place::Last {
            state.parts.coming = Coming::Complete;
        }
        state.waiting.push_back(Waiting { class: Class::Response, frame, place: Some(place) });
        state.wake();
        Ok(())
    }

    /// The rest will not come. Where nothing of it has been written it is as though it had not begun.
    pub(in super::super) fn tear(&self, account: &Account) {
        let state = &mut *self.state.borrow_mut();
        if !state.parts.is_arriving() {
            return;
        }
        if state.waiting.iter().any(|w| w.place == Some(Place::First)) {
            drop_parts(state, account);
            let was_excused = std::mem::take(&mut state.parts).is_excused;
            if !was_excused {
                (state.due, state.is_over, state.left) = (Some(1), false, None);
            }
        } else {
            state.parts.coming = Coming::Torn;
            let frame = Bytes::from_static(b"\n");
            account.waiting.set(account.waiting.get() + cost(&frame));
            state.waiting.push_back(Waiting { class: Class::Response, frame, place: Some(Place::Last) });
        }
        state.wake();
    }

    /// Whether what is written next continues a message.
    pub(in super::super) fn is_within_message(&self) -> bool {
        self.state.borrow().parts.is_within
    }

    /// The next part as part of an event.
    pub(super) fn next_part(
        &self,
        state: &mut State,
        account: &Account,
        style: Style,
        mut keep: impl FnMut(u64, usize) -> bool,
    ) -> Option<Piece> {
        let Waiting { frame, place, .. } = state.waiting.pop_front()?;
        account.give(cost(&frame));
        state.taken += 1;
        let mut head = BytesMut::new();
        if place == Some(Place::First) {
            begin_event(self.number, state, style, &mut head);
            head.put_slice(b"data: ");
            if style == Style::Numbered {
                // To come back to this stream is of no use any more.
                keep(state.sequence, usize::MAX);
                state.kept.clear();
            }
        }
        state.parts.is_within = place != Some(Place::Last);
        let tail: &[u8] = if state.parts.is_within { b"" } else { b"\n" };
        Some(Piece::Part(head.freeze(), frame, Bytes::from_static(tail)))
    }

    /// The next part as part of a body that is this message alone.
    pub(in super::super) fn poll_parts(
        &self,
        cx: &Context<'_>,
        reader: u64,
        account: &Account,
    ) -> Poll<Option<Result<Bytes, Torn>>> {
        let state = &mut *self.state.borrow_mut();
        if state.reader != reader {
            return Poll::Ready(Some(Err(Torn)));
        }
        let Some(front) = state.waiting.front() else {
            if state.parts.coming == Coming::Complete {
                return Poll::Ready(None);
            }
            if state.is_cut || (state.is_over && !state.parts.is_arriving()) {
                return Poll::Ready(Some(Err(Torn)));
            }
            state.wait(cx);
            return Poll::Pending;
        };
        if state.parts.coming == Coming::Torn && front.place == Some(Place::Last) {
            return Poll::Ready(Some(Err(Torn)));
        }
        let Some(Waiting { mut frame, place, .. }) = state.waiting.pop_front() else { return Poll::Ready(None) };
        account.give(cost(&frame));
        state.taken += 1;
        state.parts.is_within = matches!(place, Some(Place::First | Place::Middle));
        if place.is_none() {
            // It broke off before anything of it was written, and this is the reason.
            state.parts.coming = Coming::Complete;
        }
        if !state.parts.is_within && frame.ends_with(b"\n") {
            frame.truncate(frame.len() - 1);
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

/// The answer's reader is gone. If it has read the beginning of it, the rest is of no use to anybody.
pub(super) fn lose_parts(state: &mut State, account: &Account) {
    let is_begun = state.parts.coming != Coming::Nothing && !state.waiting.iter().any(|w| w.place == Some(Place::First));
    if is_begun {
        drop_parts(state, account);
        state.parts = Parts { coming: Coming::Lost, ..Parts::default() };
    }
}

fn drop_parts(state: &mut State, account: &Account) {
    state.waiting.retain(|w| {
        if w.place.is_some() {
            account.give(cost(&w.frame));
        }
        w.place.is_none()
    });
}

/// How an answer begins whose first message is in parts.
pub(super) fn opening(state: &State) -> Option<Opening> {
    state.waiting.front().is_some_and(|w| w.place.is_some()).then_some(Opening::Parts)
}
