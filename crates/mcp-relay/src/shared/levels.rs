//! One log level for a server with many clients: the most verbose that somebody wants.

use std::collections::BTreeMap;

use mcp_wire::author::{self, code};
use mcp_wire::methods::{self, LOG_LEVELS};
use mcp_wire::{Frame, object};

use super::Shared;
use super::call::{Call, Purpose};
use super::requests::with_our_id;
use crate::route::{PeerId, StreamId};

/// Who wants what. Levels are places in [`LOG_LEVELS`].
#[derive(Default)]
pub(super) struct Levels {
    wanted: BTreeMap<PeerId, usize>,
    sent: Option<usize>,
}

impl Levels {
    /// A client that set no level gets everything.
    pub(super) fn lets_through(&self, peer: PeerId, rank: usize) -> bool {
        self.wanted.get(&peer).is_none_or(|wanted| rank >= *wanted)
    }

    /// What the server was told.
    pub(super) fn sent(&self) -> Option<usize> {
        self.sent
    }

    pub(super) fn note_sent(&mut self, rank: usize) {
        self.sent = Some(rank);
    }

    pub(super) fn len(&self) -> usize {
        self.wanted.len()
    }
}

/// The parameters of `logging/setLevel`.
pub(super) fn params(rank: usize) -> String {
    format!("{{\"level\":\"{}\"}}", LOG_LEVELS[rank.min(LOG_LEVELS.len() - 1)])
}

impl Shared {
    /// What the server has to be told so that everybody gets what it wants. A client that never set a level wants everything,
    /// as soon as somebody did.
    pub(super) fn most_verbose(&self) -> Option<usize> {
        let silent = self.legacy_clients().iter().any(|peer| !self.levels.wanted.contains_key(peer));
        let wanted = self.levels.wanted.values().min().copied()?;
        Some(if silent { 0 } else { wanted })
    }

    /// A client's `logging/setLevel` on a legacy server.
    pub(super) fn set_level(&mut self, peer: PeerId, stream: StreamId, frame: &Frame) {
        let rank = frame.get_string(&["params", "level"]).and_then(|l| methods::log_rank(&l));
        let Some(rank) = rank.filter(|_| self.up.can(&["logging"])) else {
            // A level nobody knows, or a server without logging: the server says what it thinks of that.
            self.forward(peer, stream, frame, None);
            return;
        };
        self.levels.wanted.insert(peer, rank);
        let effective = self.most_verbose();
        if effective == self.levels.sent {
            self.answer(peer, stream, author::result(frame.id().unwrap_or("null"), "{}"));
            return;
        }
        self.levels.sent = effective;
        let id = self.next_id();
        let call = Call::new(self.now, peer, stream, frame, Purpose::OnBehalf);
        let message = match (effective, frame.find(&["params", "level"])) {
            (Some(other), Some(span)) if other != rank => {
                let ours = id.to_string();
                let level = format!("\"{}\"", LOG_LEVELS[other]);
                let mut edits = vec![(frame.id_span().unwrap_or(0..0), ours.as_str()), (span, &level)];
                edits.sort_by_key(|(span, _)| span.start);
                frame.spliced(&edits)
            }
            _ => with_our_id(frame, id),
        };
        self.start_call(id, call, message);
    }

    /// A bridged legacy client's `logging/setLevel`: a modern server is told with each request.
    pub(super) fn remember_level(&mut self, peer: PeerId, stream: StreamId, frame: &Frame) {
        let id = frame.id().unwrap_or("null");
        match frame.get_string(&["params", "level"]).and_then(|l| methods::log_rank(&l)) {
            _ if !self.up.can(&["logging"]) => {
                self.answer_error(peer, stream, id, code::METHOD_NOT_FOUND, "the server has no logging");
            }
            None => self.answer_error(peer, stream, id, code::INVALID_PARAMS, "there is no such log level"),
            Some(rank) => {
                self.levels.wanted.insert(peer, rank);
                self.answer(peer, stream, author::result(id, "{}"));
            }
        }
    }

    /// A client had set this level at another daemon.
    pub(super) fn want_level(&mut self, peer: PeerId, rank: usize) {
        self.levels.wanted.insert(peer, rank.min(LOG_LEVELS.len() - 1));
    }

    /// The level a client set.
    pub(super) fn level_of(&self, peer: PeerId) -> Option<usize> {
        self.levels.wanted.get(&peer).copied()
    }

    /// A modern client's request on a legacy server wants log lines.
    pub(super) fn raise_level_for(&mut self, rank: usize) {
        if self.up.can(&["logging"]) && self.levels.sent.is_none_or(|sent| sent > rank) {
            self.levels.sent = Some(rank);
            self.ask_server("logging/setLevel", Some(&params(rank)), Purpose::Unheard);
        }
    }

    pub(super) fn release_level_of(&mut self, peer: PeerId) {
        if self.levels.wanted.remove(&peer).is_none() || self.levels.sent.is_none() {
            return;
        }
        if let Some(rank) = self.most_verbose()
            && self.levels.sent != Some(rank)
            && self.up.is_ready()
        {
            self.levels.sent = Some(rank);
            self.ask_server("logging/setLevel", Some(&params(rank)), Purpose::Unheard);
        }
    }

    /// The text of the list in a `roots/list` result.
    pub(super) fn roots_in(frame: &Frame) -> Option<&str> {
        frame.result().and_then(|r| object::get(r, "roots"))
    }
}
