//! A stdio client's conversation, taken from one daemon to the next while the client notices nothing.
//!
//! That can be done when nothing of the client is under way. What has to be brought along is little: what it said at its
//! opening and was told, and what it set since. The next daemon opens the server as this client did, and goes on when the
//! server says the same as before.

use mcp_wire::author;
use mcp_wire::version::Era;
use mcp_wire::{Frame, object};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::call::Purpose;
use super::lifecycle::State;
use super::subscriptions::Subscriber;
use super::{Shared, levels};
use crate::route::{Action, PeerId, Via};

/// What is brought along; JSON, and nobody's business but the route's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ticket {
    era: Era,
    version: Option<String>,
    info: Option<String>,
    capabilities: String,
    is_initialized: bool,
    /// The text of what the server said at its opening.
    result: Option<String>,
    level: Option<usize>,
    uris: Vec<String>,
}

impl Shared {
    pub(super) fn ticket_for(&self, peer: PeerId) -> Option<String> {
        let client = self.clients.get(&peer)?;
        let is_waiting = self.waiting.iter().any(|(p, ..)| *p == peer);
        let is_parked = self.has_parked(peer);
        if client.via != Via::Stdio || !client.open.is_empty() || !client.asked.is_empty() || is_waiting || is_parked {
            return None;
        }
        if let Some((_, brought)) = self.resuming.iter().find(|(p, _)| *p == peer) {
            // It was just taken over, and goes on before the server has opened here: what it brought is what it takes along.
            return serde_json::to_string(brought).ok();
        }
        let uris = self.subscribers.of(Subscriber::Client(peer)).into_iter().chain(client.wishes.uris()).collect();
        let ticket = Ticket {
            era: client.era?,
            version: client.version.as_deref().map(str::to_owned),
            info: client.info.as_deref().map(str::to_owned),
            capabilities: client.capabilities.to_string(),
            is_initialized: client.is_initialized,
            result: self.up.result.as_deref().map(str::to_owned),
            level: self.level_of(peer),
            uris,
        };
        serde_json::to_string(&ticket).ok()
    }

    /// A client that was another daemon's.
    pub(super) fn on_resumed(&mut self, peer: PeerId, text: &str) {
        let Ok(ticket) = serde_json::from_str::<Ticket>(text) else {
            self.out.push(Action::End(peer, "the conversation cannot be taken over: open it anew".to_owned()));
            return;
        };
        let Some(client) = self.clients.get_mut(&peer) else { return };
        client.era = Some(ticket.era);
        client.version = ticket.version.as_deref().map(Into::into);
        client.info = ticket.info.as_deref().map(Into::into);
        client.capabilities = ticket.capabilities.as_str().into();
        client.is_initialized = ticket.is_initialized;
        if ticket.era == Era::Modern || !ticket.is_initialized {
            return;
        }
        let opening = initialize_of(&ticket);
        self.resuming.push((peer, ticket));
        match self.up.state {
            State::Ready => self.finish_resuming(),
            State::Closed | State::Spawned => {
                if let Some(opening) = opening {
                    self.open_for(&opening, Era::Legacy);
                }
            }
            State::Opening(_) | State::Waiting { .. } | State::Failed { .. } => {}
        }
    }

    /// The server is open: those who were taken over go on, if it is the server they know.
    pub(super) fn finish_resuming(&mut self) {
        for (peer, ticket) in std::mem::take(&mut self.resuming) {
            if ticket.result.as_deref() != self.up.result.as_deref() {
                let why = "the server was started again and is not the same: the conversation has to be opened anew";
                self.out.push(Action::End(peer, why.to_owned()));
                continue;
            }
            if let Some(rank) = ticket.level {
                self.want_level(peer, rank);
            }
            if self.server_era() == Some(Era::Modern) {
                if let Some(client) = self.clients.get_mut(&peer) {
                    client.wishes.add(ticket.uris);
                }
                self.tell_wishes(peer);
                continue;
            }
            self.say_initialized();
            if let Some(rank) = self.most_verbose().filter(|rank| self.levels.sent() != Some(*rank)) {
                self.levels.note_sent(rank);
                self.ask_server("logging/setLevel", Some(&levels::params(rank)), Purpose::Unheard);
            }
            for uri in ticket.uris {
                if self.subscribers.add(&uri, Subscriber::Client(peer)) {
                    let params = json!({"uri": uri}).to_string();
                    self.ask_server("resources/subscribe", Some(&params), Purpose::Unheard);
                }
            }
        }
    }
}

/// The `initialize` the client must have said.
fn initialize_of(ticket: &Ticket) -> Option<Frame> {
    let result = ticket.result.as_deref()?;
    let version = object::get_string(result, "protocolVersion").or_else(|| ticket.version.clone())?;
    let info = ticket.info.as_deref().unwrap_or("{\"name\":\"unknown\",\"version\":\"\"}");
    let params = format!("{{\"protocolVersion\":\"{version}\",\"capabilities\":{},\"clientInfo\":{info}}}", ticket.capabilities);
    let message = author::request("0", "initialize", Some(&params));
    Frame::parse(message.slice(..message.len() - 1)).ok()
}
