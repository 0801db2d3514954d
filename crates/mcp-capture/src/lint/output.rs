//! Where findings are collected: with a limit, and found again by record.

use std::collections::HashMap;
use std::sync::Arc;

use mcp_wire::Kind;

use crate::event::{Direction, Hop, Stamp};
use crate::lint::finding::Finding;
use crate::lint::message::Message;
use crate::lint::profile::Profile;
use crate::lint::rule::{Revision, Rule};
use crate::lint::state::{Conversation, Open, Side};
use crate::text::{shortened, visible};

/// So many findings of one rule are kept; the rest is counted.
const MOST_OF_A_RULE: u32 = 1000;

/// Which record a finding is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) entry: u32,
    pub(super) sequence: u64,
    pub(super) hop: Hop,
    pub(super) direction: Direction,
}

impl Place {
    pub(super) fn of(entry: u32, stamp: &Stamp) -> Self {
        Self { entry, sequence: stamp.sequence, hop: stamp.hop, direction: stamp.direction }
    }
}

/// What is said of it.
#[derive(Debug, Default)]
pub(super) struct Said<'a> {
    pub(super) subject: &'a str,
    pub(super) path: &'a str,
    pub(super) message: String,
    pub(super) evidence: String,
    pub(super) related: &'a [u64],
}

#[derive(Debug)]
pub(super) struct Output {
    pub(super) profile: Profile,
    pub(super) session: Arc<str>,
    pub(super) findings: Vec<Finding>,
    by_entry: HashMap<u32, Vec<u32>>,
    counts: HashMap<&'static str, u32>,
    pub(super) left_out: u64,
}

impl Output {
    pub(super) fn new(profile: Profile) -> Self {
        Self {
            profile,
            session: Arc::from(""),
            findings: Vec::new(),
            by_entry: HashMap::new(),
            counts: HashMap::new(),
            left_out: 0,
        }
    }

    pub(super) fn put(&mut self, rule: &'static Rule, revision: Option<Revision>, place: Place, said: &Said<'_>) {
        if !rule.holds_for(revision) || !self.profile.wants(rule) {
            return;
        }
        let count = self.counts.entry(rule.id).or_default();
        *count += 1;
        if *count > MOST_OF_A_RULE {
            self.left_out += 1;
            return;
        }
        let at = u32::try_from(self.findings.len()).unwrap_or(u32::MAX);
        self.by_entry.entry(place.entry).or_default().push(at);
        let safe = |text: &str, length| visible(&shortened(text, length)).into_owned();
        self.findings.push(Finding {
            rule,
            session: Arc::clone(&self.session),
            sequence: place.sequence,
            entry: place.entry,
            hop: place.hop,
            direction: place.direction,
            revision,
            subject: safe(said.subject, 200),
            path: safe(said.path, 300),
            message: safe(&said.message, 500),
            evidence: safe(&said.evidence, 200),
            related: said.related.to_vec(),
        });
    }

    pub(super) fn of_entry(&self, entry: u32) -> impl Iterator<Item = &Finding> {
        self.by_entry.get(&entry).into_iter().flatten().filter_map(|at| self.findings.get(*at as usize))
    }
}

/// A message, and all one needs to judge it.
#[derive(Debug)]
pub(super) struct Look<'a> {
    pub(super) message: &'a Message<'a>,
    pub(super) talk: &'a mut Conversation,
    pub(super) side: &'a mut Side,
    pub(super) out: &'a mut Output,
    pub(super) revision: Option<Revision>,
    /// The request that an answer answers, as it stood before.
    pub(super) asked: Option<Open>,
    /// Whose lists are looked at: a client's number, 0 for all.
    pub(super) owner: u64,
    pub(super) is_http: bool,
}

impl Look<'_> {
    /// The operation in a few words.
    pub(super) fn subject(&self) -> String {
        let join = |method: &str, name: &str| if name.is_empty() { method.to_owned() } else { format!("{method} {name}") };
        match (&self.asked, self.message.kind) {
            (Some(open), Kind::Result | Kind::Error) => join(&open.asked.method, &open.asked.name),
            (None, Kind::Result | Kind::Error) => String::new(),
            _ => join(self.message.method, name_of(self.message)),
        }
    }

    pub(super) fn report(&mut self, rule: &'static Rule, path: &str, message: String, evidence: String) {
        let related: Vec<u64> = self.asked.iter().map(|open| open.asked.sequence).collect();
        self.report_with(rule, path, message, evidence, &related);
    }

    pub(super) fn report_with(&mut self, rule: &'static Rule, path: &str, message: String, evidence: String, related: &[u64]) {
        let subject = self.subject();
        let place = Place::of(self.message.entry, &self.message.stamp);
        self.out.put(rule, self.revision, place, &Said { subject: &subject, path, message, evidence, related });
    }

    /// Reports once for each conversation.
    pub(super) fn report_once(&mut self, rule: &'static Rule, path: &str, message: String, evidence: String) {
        if self.talk.is_first(rule.id) {
            self.report(rule, path, message, evidence);
        }
    }

    pub(super) fn is_modern(&self) -> bool {
        self.revision.is_some_and(Revision::is_modern)
    }

    /// What the client declared, for this message.
    pub(super) fn client(&self) -> Option<std::sync::Arc<serde_json::Value>> {
        match &self.asked {
            Some(open) if open.asked.revision.is_some_and(Revision::is_modern) => open.asked.client.clone(),
            _ => self.talk.client.clone(),
        }
    }

    /// What the server declared.
    pub(super) fn server(&self) -> Option<std::sync::Arc<serde_json::Value>> {
        if self.is_modern() { self.side.discovered.clone() } else { self.talk.server.clone() }
    }
}

/// What a request is about.
pub(super) fn name_of<'a>(message: &'a Message<'_>) -> &'a str {
    let member = match message.method {
        "tasks/result" => "taskId",
        "resources/subscribe" | "resources/unsubscribe" | "notifications/resources/updated" => "uri",
        other => match mcp_wire::methods::name_member(other) {
            Some(member) => member,
            None => return "",
        },
    };
    message.param_text(member).unwrap_or_default()
}
