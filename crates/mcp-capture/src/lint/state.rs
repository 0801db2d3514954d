//! What has to be remembered of a conversation to judge its next message. All of it is bounded.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::event::Direction;
use crate::lint::catalog::{Catalog, Tool};
use crate::lint::rule::Revision;

/// So many requests are remembered after their answer, and so many tokens, tasks and states in all.
const REMEMBERED: usize = 4096;
/// So many requests may be open before old ones are forgotten.
const OPEN: usize = 65_536;
/// So many ids are remembered to see one used again.
const IDS: usize = 50_000;

/// What was asked, as its answer needs it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Box<str>,
    /// Tool, prompt, URI, task.
    pub(super) name: Box<str>,
    pub(super) sequence: u64,
    pub(super) entry: u32,
    pub(super) at: u64,
    pub(super) revision: Option<Revision>,
    /// What the client can do, for this request.
    pub(super) client: Option<Arc<Value>>,
    pub(super) token: Option<u64>,
    /// The rank of the log level it asks for.
    pub(super) level: Option<usize>,
    /// Digest of what is asked, without what changes on a retry.
    pub(super) digest: u64,
    /// The cursor of a list, the filter of a subscription, the schema of a form, the URI of a subscription.
    pub(super) kept: Value,
    pub(super) tool: Option<Arc<Tool>>,
    /// It asked for a task (2025-11-25).
    pub(super) is_task: bool,
}

/// How a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Cancelled,
    Answered,
}

/// A request and how it stands.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) asked: Arc<Asked>,
    pub(super) state: State,
    pub(super) progress: Option<f64>,
    /// When anything was heard of it last.
    pub(super) heard: u64,
    /// The notification that acknowledges a subscription came.
    pub(super) acknowledged: Option<Value>,
    pub(super) is_reported: bool,
    /// HTTP said that it was not taken.
    pub(super) is_refused: bool,
}

/// The requests of one direction.
#[derive(Debug, Default)]
pub(super) struct Requests {
    all: HashMap<u64, Open>,
    answered: VecDeque<u64>,
    order: VecDeque<u64>,
    tokens: HashMap<u64, u64>,
    used: HashSet<u64>,
    /// Ids of requests that are neither answered nor cancelled.
    pub(super) waiting: usize,
    /// Some were forgotten, so that what is missing proves nothing.
    pub(super) has_forgotten: bool,
}

impl Requests {
    pub(super) fn get(&self, id: u64) -> Option<&Open> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Open> {
        self.all.get_mut(&id)
    }

    pub(super) fn by_token(&mut self, token: u64) -> Option<&mut Open> {
        let id = self.tokens.get(&token)?;
        self.all.get_mut(id)
    }

    /// Whether this id was used before, as far as that is remembered.
    pub(super) fn was_used(&self, id: u64) -> bool {
        self.used.contains(&id)
    }

    pub(super) fn ask(&mut self, id: u64, asked: Asked) {
        if self.used.len() < IDS {
            self.used.insert(id);
        }
        if let Some(token) = asked.token {
            self.tokens.insert(token, id);
        }
        let heard = asked.at;
        let open = Open {
            asked: Arc::new(asked),
            state: State::Waiting,
            progress: None,
            heard,
            acknowledged: None,
            is_reported: false,
            is_refused: false,
        };
        if let Some(before) = self.all.insert(id, open) {
            self.waiting -= usize::from(before.state == State::Waiting);
        }
        self.waiting += 1;
        self.order.push_back(id);
        if self.all.len() > OPEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.has_forgotten = true;
            self.forget(oldest);
        }
        while self.order.len() > 2 * OPEN {
            self.order.pop_front();
        }
    }

    /// Notes an answer; gives the request as it stood before.
    pub(super) fn answer(&mut self, id: u64) -> Option<Open> {
        let open = self.all.get_mut(&id)?;
        let before = open.clone();
        self.waiting -= usize::from(open.state == State::Waiting);
        open.state = State::Answered;
        if before.state != State::Answered {
            self.answered.push_back(id);
        }
        if self.answered.len() > REMEMBERED
            && let Some(oldest) = self.answered.pop_front()
            && self.all.get(&oldest).is_some_and(|open| open.state == State::Answered)
        {
            self.forget(oldest);
        }
        Some(before)
    }

    pub(super) fn cancel(&mut self, id: u64) {
        if let Some(open) = self.all.get_mut(&id)
            && open.state == State::Waiting
        {
            open.state = State::Cancelled;
            self.waiting -= 1;
        }
    }

    /// HTTP said that it was not taken; an answer in the body may follow.
    pub(super) fn refuse(&mut self, id: u64) {
        if let Some(open) = self.all.get_mut(&id) {
            open.is_refused = true;
        }
    }

    pub(super) fn of_token(&self, token: u64) -> Option<&Open> {
        self.all.get(self.tokens.get(&token)?)
    }

    fn forget(&mut self, id: u64) {
        if let Some(open) = self.all.remove(&id) {
            self.waiting -= usize::from(open.state == State::Waiting);
            if let Some(token) = open.asked.token
                && self.tokens.get(&token) == Some(&id)
            {
                self.tokens.remove(&token);
            }
        }
    }

    /// The request sent last: how it stands, and its number.
    pub(super) fn last(&self) -> Option<(State, u64)> {
        let open = self.all.get(self.order.back()?)?;
        Some((open.state, open.asked.sequence))
    }

    /// All that have no answer.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Open> {
        self.all.values().filter(|open| open.state == State::Waiting)
    }

    pub(super) fn waiting_mut(&mut self) -> impl Iterator<Item = &mut Open> {
        self.all.values_mut().filter(|open| open.state == State::Waiting)
    }
}

/// How far the opening has come (up to 2025-11-25).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    #[default]
    Start,
    Asked,
    Answered,
    Ready,
}

/// One client's conversation with the server, on one hop.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) revision: Option<Revision>,
    /// The name of the revision, also of one we do not know.
    pub(super) revision_name: Option<Box<str>>,
    pub(super) phase: Phase,
    /// Something was said in it before.
    pub(super) is_begun: bool,
    /// Its beginning, or something in between, is not in the capture.
    pub(super) has_gap: bool,
    pub(super) client: Option<Arc<Value>>,
    pub(super) server: Option<Arc<Value>>,
    pub(super) to_server: Requests,
    pub(super) to_client: Requests,
    /// The rank of the level set, with the entry of the request that did it.
    pub(super) level: Option<usize>,
    pub(super) subscriptions: HashSet<Box<str>>,
    /// Rules that are worth one finding for each conversation.
    pub(super) said: HashSet<&'static str>,
    /// Names of tasks and whether they have ended.
    pub(super) tasks: HashMap<Box<str>, bool>,
    /// The session id HTTP gave.
    pub(super) http_session: Option<Box<str>>,
    /// Lines that may be pieces of one message.
    pub(super) pieces: Pieces,
}

/// Lines that are no message each and may be one together.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub(super) text: String,
    pub(super) lines: Vec<(u32, u64, Direction, bool)>,
}

impl Conversation {
    pub(super) fn requests(&mut self, direction: Direction) -> &mut Requests {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    /// `true` the first time it is called with this rule.
    pub(super) fn is_first(&mut self, rule: &'static str) -> bool {
        self.said.insert(rule)
    }

    pub(super) fn remember_task(&mut self, task: &str, has_ended: bool) {
        if self.tasks.len() < REMEMBERED || self.tasks.contains_key(task) {
            self.tasks.insert(task.into(), has_ended);
        }
    }
}

/// A result that asks for input, and waits for the retry.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) asked: Arc<Asked>,
    pub(super) state: Option<Box<str>>,
    pub(super) keys: Vec<(Box<str>, Value)>,
    pub(super) sequence: u64,
}

/// What is common to all clients on one side of us.
#[derive(Debug, Default)]
pub(super) struct Side {
    catalogs: HashMap<u64, Catalog>,
    pub(super) discovered: Option<Arc<Value>>,
    pub(super) supported: Vec<Box<str>>,
    pub(super) questions: VecDeque<Question>,
    /// Questions were dropped, so that a retry without one proves nothing.
    pub(super) has_forgotten: bool,
    /// What HTTP heads are compared with, the newest last.
    pub(super) recent: VecDeque<Recent>,
}

/// A message that an HTTP head may belong to.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    pub(super) sequence: u64,
    /// The conversation it is of.
    pub(super) session: u64,
    pub(super) id: u64,
    pub(super) kind: Option<mcp_wire::Kind>,
    pub(super) direction: Direction,
    pub(super) method: Box<str>,
    pub(super) name: Option<Box<str>>,
    pub(super) revision: Option<Revision>,
    pub(super) revision_name: Option<Box<str>>,
    pub(super) error: Option<i64>,
    pub(super) was_ready: bool,
    /// The origin its head named.
    pub(super) origin: Option<Box<str>>,
}

impl Side {
    /// The lists one client got; in the modern era all get the same.
    pub(super) fn catalog(&mut self, owner: u64) -> &mut Catalog {
        if self.catalogs.len() >= 256 && !self.catalogs.contains_key(&owner) {
            self.catalogs.clear();
        }
        self.catalogs.entry(owner).or_default()
    }

    /// The names of all tools.
    pub(super) fn tools(&self) -> impl Iterator<Item = &str> {
        self.catalogs.values().flat_map(|catalog| catalog.tools.keys()).map(|name| &**name)
    }

    pub(super) fn question(&mut self, question: Question) {
        self.questions.push_back(question);
        if self.questions.len() > REMEMBERED {
            self.questions.pop_front();
            self.has_forgotten = true;
        }
    }

    pub(super) fn remember(&mut self, recent: Recent) {
        // One that waited for its head comes a little late.
        let later = self.recent.iter().rev().take_while(|other| other.sequence > recent.sequence).count();
        self.recent.insert(self.recent.len() - later, recent);
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
    }

    pub(super) fn recent(&mut self, sequence: u64) -> Option<&mut Recent> {
        let at = self.recent.binary_search_by_key(&sequence, |recent| recent.sequence).ok()?;
        self.recent.get_mut(at)
    }
}
