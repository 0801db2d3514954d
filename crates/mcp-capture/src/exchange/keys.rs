//! What requests, tokens, states and tasks are looked up by.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use mcp_wire::methods::is_nestable;

use crate::event::{Direction, Hop};

/// One client on one hop.
pub(super) type Who = u32;

/// The client a record was seen with, the two hops apart.
pub(super) fn who(hop: Hop) -> Who {
    match hop {
        // The index keeps 24 bits of a client's number.
        Hop::Client(peer) => peer << 2 | 2,
        Hop::Server => 0,
    }
}

/// A request, token, state or task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    who: u32,
    what: u64,
}

impl Key {
    /// A request of this direction by its id, or a token of such a request.
    pub(super) fn request(hop: Hop, direction: Direction, id: u64) -> Self {
        Self { who: who(hop) | u32::from(direction == Direction::ToClient), what: id }
    }

    /// What outlives a connection, since each modern HTTP request may be a client of its own: a state or a task. Kept apart by
    /// hop alone.
    pub(super) fn lasting(hop: Hop, what: u64) -> Self {
        Self { who: u32::from(hop != Hop::Server), what }
    }
}

pub(super) type Map<K, V> = HashMap<K, V, Seeded>;

/// Multiplies and folds: ids of hostile peers must not all fall into one place, hence the seed.
#[derive(Clone, Debug)]
pub(super) struct Seeded(u64);

impl Default for Seeded {
    fn default() -> Self {
        Self(std::hash::RandomState::new().hash_one(0_u8) | 1)
    }
}

impl BuildHasher for Seeded {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded(self.0)
    }
}

pub(super) struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are folded into one")]
        let folded = (wide >> 64) as u64 ^ wide as u64;
        self.0 = folded;
    }
}

/// What a method means for pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing special.
    Plain,
    /// A call during which the server may turn to the client.
    Call,
    Cancelled,
    Progress,
    Log,
    TaskStatus,
    /// Asks how a task stands.
    TaskGet,
    /// Waits for a task's result (2025-11-25).
    TaskResult,
    TaskCancel,
    /// Answers what a task asks for.
    TaskUpdate,
}

impl Meaning {
    pub(super) fn of(method: &str) -> Self {
        match method {
            "notifications/cancelled" => Self::Cancelled,
            "notifications/progress" => Self::Progress,
            "notifications/message" => Self::Log,
            "notifications/tasks" | "notifications/tasks/status" => Self::TaskStatus,
            "tasks/get" => Self::TaskGet,
            "tasks/result" => Self::TaskResult,
            "tasks/cancel" => Self::TaskCancel,
            "tasks/update" => Self::TaskUpdate,
            _ if is_nestable(method) => Self::Call,
            _ => Self::Plain,
        }
    }
}
