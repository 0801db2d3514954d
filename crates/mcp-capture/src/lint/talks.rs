//! Which conversation a message belongs to.
//!
//! On a pipe that is the hop. Over HTTP many clients are behind one hop: a client of an older revision is known by the session
//! id in the heads of its requests, and a request since 2026-07-28 is a conversation of its own. What comes back says neither:
//! an answer belongs to the request whose id it has, a notification to the request its token or subscription is of.

use std::collections::{HashMap, VecDeque};

use mcp_wire::Kind;
use mcp_wire::methods::meta;

use crate::event::{Direction, Hop};
use crate::lint::message::{Message, value_key};
use crate::lint::state::{Conversation, State};

/// So many conversations are remembered.
const MOST: usize = 4096;
/// Marks the conversation of a single request, or of a client whose session id is not known yet.
const OWN: u64 = 1 << 63;

/// Names a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) hop: Hop,
    /// Over HTTP what [`session`] makes of a session id; 0 for none.
    pub(super) session: u64,
}

/// A session id as a number.
pub(super) fn session(id: &str) -> u64 {
    (xxhash_rust::xxh3::xxh3_64(id.as_bytes()) & !OWN).max(1)
}

/// All conversations.
#[derive(Debug, Default)]
pub(super) struct Talks {
    all: HashMap<Key, Conversation>,
    order: VecDeque<Key>,
    /// Some were forgotten.
    pub(super) has_forgotten: bool,
}

impl Talks {
    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Conversation> {
        self.all.get_mut(&key)
    }

    pub(super) fn begin(&mut self, key: Key, has_gap: bool) -> &mut Conversation {
        if !self.all.contains_key(&key) {
            if self.all.len() >= MOST
                && let Some(oldest) = self.order.pop_front()
            {
                self.all.remove(&oldest);
                self.has_forgotten = true;
            }
            self.order.push_back(key);
        }
        self.all.entry(key).or_insert_with(|| Conversation { has_gap, ..Conversation::default() })
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Conversation> {
        self.order.retain(|known| *known != key);
        self.all.remove(&key)
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Conversation> {
        self.all.values_mut()
    }

    /// All of a hop, or all, in an order that is the same each time.
    pub(super) fn keys(&self, hop: Option<Hop>) -> Vec<Key> {
        let mut keys: Vec<Key> = self.all.keys().copied().filter(|key| hop.is_none_or(|hop| key.hop == hop)).collect();
        keys.sort_unstable();
        keys
    }

    /// A client was given its session id, or none: its conversation is known by it from now on.
    pub(super) fn named(&mut self, hop: Hop, before: u64, session: u64) {
        if before == session {
            return;
        }
        if let Some(talk) = self.remove(Key { hop, session: before }) {
            let key = Key { hop, session };
            self.remove(key);
            self.order.push_back(key);
            self.all.insert(key, talk);
        }
    }

    /// Whether it is the conversation of a single request, or of a client that has no session yet.
    pub(super) fn is_own(key: Key) -> bool {
        key.session & OWN != 0
    }

    /// The conversation of a message over HTTP, and whether that is certain.
    pub(super) fn over_http(&self, message: &Message<'_>, session: u64) -> (Key, bool) {
        let hop = message.stamp.hop;
        if message.is_from_client() {
            let is_own = message.method == "initialize" || message.meta(meta::PROTOCOL_VERSION).is_some();
            if is_own {
                return (Key { hop, session: OWN | message.stamp.sequence }, true);
            }
            let key = Key { hop, session };
            if session != 0 || self.all.contains_key(&key) {
                return (key, true);
            }
            // It does not say whose it is, and should.
            let named: Vec<Key> = self.keys(Some(hop)).into_iter().filter(|key| !Self::is_own(*key)).collect();
            return match named[..] {
                [] => (key, true),
                [only] => (only, true),
                [first, ..] => (first, false),
            };
        }
        let asked: Vec<Key> = self.asked(message, hop);
        match asked[..] {
            [only] => (only, true),
            [first, ..] => (first, false),
            [] => {
                let all = self.keys(Some(hop));
                // Nothing says whose it is; the one that is alone it must be.
                let open: Vec<Key> =
                    all.iter().copied().filter(|key| self.all.get(key).is_some_and(|talk| talk.to_server.waiting > 0)).collect();
                match (&open[..], &all[..]) {
                    ([only], _) | ([], [only]) => (*only, true),
                    ([first, ..], _) | ([], [first, ..]) => (*first, false),
                    ([], []) => (Key { hop, session }, true),
                }
            }
        }
    }

    /// The conversations with a request that a message of the server refers to.
    fn asked(&self, message: &Message<'_>, hop: Hop) -> Vec<Key> {
        let id = match message.kind {
            Kind::Result | Kind::Error if !message.id.is_empty() => Some(message.id_key()),
            Kind::Notification => message.meta(meta::SUBSCRIPTION_ID).or(message.param("requestId")).map(value_key),
            _ => None,
        };
        let token = (message.method == "notifications/progress").then(|| message.param("progressToken").map(value_key)).flatten();
        let mut found: Vec<(u64, Key)> = self
            .all
            .iter()
            .filter(|(key, _)| key.hop == hop)
            .filter_map(|(key, talk)| {
                let open = match (token, id) {
                    (Some(token), _) => talk.to_server.of_token(token)?,
                    (None, Some(id)) => talk.to_server.get(id)?,
                    (None, None) => return None,
                };
                // An answer is one to a request that waits for it; a subscription may have ended meanwhile.
                (open.state != State::Answered).then_some((open.asked.sequence, *key))
            })
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, key)| key).collect()
    }

    /// A conversation of one request that has its answer is over, unless more may come.
    pub(super) fn answered(&mut self, key: Key, direction: Direction) {
        let is_over = |talk: &Conversation| talk.to_server.waiting == 0 && talk.revision.is_some_and(super::Revision::is_modern);
        if Self::is_own(key) && direction == Direction::ToClient && self.all.get(&key).is_some_and(is_over) {
            self.remove(key);
        }
    }
}
