//! The tools, prompts and resources a server advertises, and its schemas ready for use.

use std::collections::HashMap;
use std::sync::Arc;

use mcp_schema::{Problem, Schema};
use serde_json::Value;

use crate::lint::json::{digest, is_redacted};

/// A list of more definitions is cut.
const LONGEST_LIST: usize = 10_000;
/// Of one broken value no more is said.
const MOST_PROBLEMS: usize = 5;

/// A tool as it was advertised.
pub struct Tool {
    /// Its name.
    pub name: Box<str>,
    /// The number of the record that advertised it.
    pub sequence: u64,
    /// `execution.taskSupport` (2025-11-25).
    pub task_support: Option<Box<str>>,
    pub(super) digest: u64,
    input: Schema,
    output: Option<Schema>,
}

impl std::fmt::Debug for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tool").field("name", &self.name).field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl Tool {
    pub(super) fn new(definition: &Value, sequence: u64) -> Option<Self> {
        Some(Self {
            name: definition.get("name")?.as_str()?.into(),
            sequence,
            task_support: definition
                .get("execution")
                .and_then(|execution| execution.get("taskSupport"))
                .and_then(Value::as_str)
                .map(Into::into),
            digest: digest(definition),
            input: Schema::new(definition.get("inputSchema").cloned().unwrap_or(Value::Null)),
            output: definition.get("outputSchema").filter(|schema| !schema.is_null()).cloned().map(Schema::new),
        })
    }

    /// The schema of its arguments.
    pub fn input(&self) -> &Schema {
        &self.input
    }

    /// The schema of its results, if it declares one.
    pub fn output(&self) -> Option<&Schema> {
        self.output.as_ref()
    }
}

/// What is wrong with a value. What was replaced when it was recorded was perhaps right.
pub(super) fn problems(schema: &Schema, value: &Value) -> Vec<Problem> {
    schema.problems(value, MOST_PROBLEMS, &is_redacted)
}

/// One kind of list as it is read, page by page.
#[derive(Debug, Default)]
pub(super) struct List {
    building: Vec<(Box<str>, u64)>,
    /// The cursors seen since the first page.
    cursors: Vec<u64>,
    complete: Option<Vec<(Box<str>, u64)>>,
    /// Where the complete one was read.
    pub(super) sequence: u64,
    /// A `list_changed` came since.
    pub(super) is_stale: bool,
}

/// How a list differs from how it was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Difference {
    Order,
    /// Added, removed, changed.
    Content(Vec<Box<str>>, Vec<Box<str>>, Vec<Box<str>>),
}

impl List {
    /// Takes in a page. `Err`: the cursor was seen before.
    pub(super) fn page(&mut self, is_first: bool, items: impl Iterator<Item = (Box<str>, u64)>, next: Option<&Value>) -> bool {
        if is_first {
            self.building.clear();
            self.cursors.clear();
        }
        let room = LONGEST_LIST.saturating_sub(self.building.len());
        self.building.extend(items.take(room));
        let Some(next) = next else { return true };
        let cursor = digest(next);
        let is_new = !self.cursors.contains(&cursor);
        if self.cursors.len() < 1024 {
            self.cursors.push(cursor);
        }
        is_new
    }

    /// The last page was taken in: what is different.
    pub(super) fn end(&mut self, sequence: u64) -> Option<Difference> {
        let now = std::mem::take(&mut self.building);
        let difference = self.complete.as_ref().and_then(|before| compare(before, &now));
        self.complete = Some(now);
        self.sequence = sequence;
        difference
    }

    pub(super) fn has(&self, name: &str) -> Option<bool> {
        let complete = self.complete.as_ref().filter(|_| !self.is_stale)?;
        Some(complete.iter().any(|(known, _)| &**known == name))
    }
}

fn compare(before: &[(Box<str>, u64)], now: &[(Box<str>, u64)]) -> Option<Difference> {
    if before == now {
        return None;
    }
    let old: HashMap<&str, u64> = before.iter().map(|(name, digest)| (&**name, *digest)).collect();
    let new: HashMap<&str, u64> = now.iter().map(|(name, digest)| (&**name, *digest)).collect();
    let added: Vec<Box<str>> = now.iter().filter(|(name, _)| !old.contains_key(&**name)).map(|(name, _)| name.clone()).collect();
    let removed = before.iter().filter(|(name, _)| !new.contains_key(&**name)).map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let changed: Vec<Box<str>> = now
        .iter()
        .filter(|(name, digest)| old.get(&**name).is_some_and(|before| before != digest))
        .map(|(name, _)| name.clone())
        .collect();
    if added.is_empty() && removed.is_empty() && changed.is_empty() {
        return Some(Difference::Order);
    }
    Some(Difference::Content(added, removed, changed))
}

/// The lists of one server as one client got them.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub(super) tools: HashMap<Box<str>, Arc<Tool>>,
    /// Names and required arguments of prompts.
    pub(super) prompts: HashMap<Box<str>, Vec<(Box<str>, bool)>>,
    pub(super) lists: HashMap<&'static str, List>,
    /// Tools that were called, with the digest they had then.
    pub(super) called: HashMap<Box<str>, u64>,
}

impl Catalog {
    pub(super) fn list(&mut self, method: &str) -> &mut List {
        let kind = match method {
            "tools/list" => "tools",
            "prompts/list" => "prompts",
            "resources/list" => "resources",
            _ => "resourceTemplates",
        };
        self.lists.entry(kind).or_default()
    }

    pub(super) fn has_tool(&self, name: &str) -> Option<bool> {
        self.lists.get("tools")?.has(name)
    }

    pub(super) fn has_prompt(&self, name: &str) -> Option<bool> {
        self.lists.get("prompts")?.has(name)
    }
}
