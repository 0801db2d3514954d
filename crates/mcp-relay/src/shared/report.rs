//! How things stand, for `mcp daemon status`.

use std::time::Instant;

use mcp_wire::methods::meta;
use mcp_wire::version::Era;

use super::Shared;
use super::call::Purpose;
use super::client::party;
use super::lifecycle::State;
use crate::status::{ClientStatus, Status};

impl Shared {
    pub(super) fn report(&self, now: Instant) -> Status {
        let server = self.server_era();
        let state = match &self.up.state {
            _ if self.is_draining => "draining",
            State::Closed | State::Spawned => "idle",
            State::Opening(_) => "starting",
            State::Ready => "ready",
            State::Waiting { .. } => "waiting",
            State::Failed { .. } => "failed",
        };
        let mut clients: Vec<ClientStatus> = Vec::new();
        for (peer, client) in &self.clients {
            if client.via == crate::route::Via::Http && client.era == Some(Era::Modern) {
                // One request; those are summed up below.
                continue;
            }
            clients.push(ClientStatus {
                id: peer.0,
                client: client.info.as_deref().map(party),
                via: client.via.word().to_owned(),
                pid: client.pid,
                era: client.era.map(|e| e.word().to_owned()),
                protocol_version: client.version.as_deref().map(str::to_owned),
                is_bridged: client.era.is_some() && server.is_some() && client.era != server,
                in_flight: client.open.len(),
                calls: client.calls,
                asked: client.asked.len(),
            });
        }
        for (client, calls) in self.seen.recent(now) {
            clients.push(ClientStatus {
                client: Some(client),
                via: "http".to_owned(),
                era: Some(Era::Modern.word().to_owned()),
                is_bridged: server == Some(Era::Legacy),
                calls,
                ..ClientStatus::default()
            });
        }
        let info = match server {
            Some(Era::Legacy) => self.up.said(&["serverInfo"]),
            Some(Era::Modern) => self.up.said(&["_meta", meta::SERVER_INFO]),
            None => None,
        };
        let in_flight = self
            .calls
            .values()
            .filter(|c| !matches!(c.purpose, Purpose::Listen | Purpose::Wishes(_) | Purpose::Unheard | Purpose::Barrier(_)))
            .count();
        Status {
            state: state.to_owned(),
            reason: self.up.last_fate.clone().filter(|_| !matches!(self.up.state, State::Ready)),
            era: server.map(|e| e.word().to_owned()),
            protocol_version: Some(self.up.version.to_string()).filter(|v| !v.is_empty()),
            server: info.map(party),
            clients,
            in_flight,
            calls: self.answered,
            errors: self.errors,
            p50_us: self.latency.quantile(50),
            p95_us: self.latency.quantile(95),
            restarts: self.up.restarts,
            is_interactive: self.turns.is_interactive,
            noise_lines: self.noise,
            notes: self.counts.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect(),
            tables: self.tables(),
        }
    }

    /// The size of every table that must be empty when nobody is there and nothing is on its way.
    fn tables(&self) -> Vec<(String, usize)> {
        let sizes = [
            ("clients", self.clients.len()),
            ("calls", self.calls.len()),
            ("questions", self.nested.len()),
            ("waiting", self.waiting.len()),
            ("units", self.turns.units()),
            ("queued", self.turns.queue.len()),
            ("queued_answers", self.turns.answers.len()),
            ("held_questions", self.turns.held.len()),
            ("listens", self.listens.len()),
            ("parked", self.parked.len()),
            ("gatherings", self.gatherings.len()),
            ("tasks", self.tasks.len()),
            ("elicitations", self.elicitations.len()),
            ("levels", self.levels.len()),
            ("subscriptions", self.subscribers.len()),
        ];
        sizes.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect()
    }
}
