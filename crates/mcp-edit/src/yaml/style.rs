//! How the neighbourhood writes things.

use std::collections::HashMap;

use super::lines::{broken, column, first_on_line, newline};
use super::tree::{Form, Kind, Node};

/// The habits a new value follows.
#[derive(Clone, Debug)]
pub(super) struct Style {
    /// The line break.
    pub newline: &'static str,
    /// Columns from a mapping to the one below it.
    pub step: usize,
    /// Columns from a key to the dashes below it.
    pub dash: usize,
    /// Columns from a dash to what follows it.
    pub gap: usize,
    /// Whether collections under a key of this name are in brackets.
    by_key: HashMap<String, bool>,
    /// The same for lists and mappings under any other key.
    lists: Option<bool>,
    maps: Option<bool>,
    /// How flow collections look.
    pub flow: Flow,
}

/// How flow collections look.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "five habits that have nothing to do with one another")]
pub(super) struct Flow {
    /// Keys and texts are quoted, as in JSON.
    pub json: bool,
    /// `{"a":1}` rather than `{"a": 1}`.
    pub tight: bool,
    /// `{ a: 1 }` rather than `{a: 1}`.
    pub padded: bool,
    /// Mappings are spread over lines.
    pub spread_maps: bool,
    /// Lists are spread over lines.
    pub spread_lists: bool,
}

impl Style {
    /// The habits seen in `siblings`, the last of which counts most, then in the whole document.
    pub(super) fn observe<'a, 't: 'a>(text: &str, siblings: &[&'a Node<'t>], root: Option<&'a Node<'t>>) -> Self {
        let mut seen = Seen::default();
        for node in siblings.iter().rev() {
            seen.look(text, node, None, None);
        }
        let (by_key, lists, maps) = (std::mem::take(&mut seen.by_key), seen.lists, seen.maps);
        // Whether new lists are in brackets is the siblings' habit only; widths are usually the file's.
        if let Some(root) = root {
            seen.look(text, root, None, None);
        }
        let step = seen.step.unwrap_or(2);
        Self {
            newline: newline(text),
            step,
            dash: seen.dash.unwrap_or(step),
            gap: seen.gap.unwrap_or(2),
            by_key,
            lists,
            maps,
            flow: Flow::default(),
        }
    }

    /// From now on, collections under `key` are written in brackets, or not.
    pub(super) fn set_brackets(&mut self, key: &str, brackets: bool) {
        self.by_key.insert(key.to_owned(), brackets);
    }

    /// Whether a list (or else a mapping) under `key` is written in brackets.
    pub(super) fn in_brackets(&self, key: Option<&str>, list: bool) -> bool {
        let general = if list { self.lists } else { self.maps };
        key.and_then(|k| self.by_key.get(k).copied()).or(general).unwrap_or(false)
    }
}

impl Flow {
    /// The habits of a flow collection, seen in the collection itself and what surrounds it (outermost first).
    pub(super) fn observe(text: &str, around: &[&Node<'_>]) -> Self {
        let mut flow = Self::default();
        for node in around {
            if let Kind::Map(Form::Flow, entries) = &node.kind
                && let Some(entry) = entries.last()
            {
                flow.json = matches!(entry.key.kind, Kind::Quoted(_, '"'));
                flow.tight = flow.json && entry.colon.is_some_and(|c| text.as_bytes().get(c + 1) != Some(&b' '));
                flow.padded = text.as_bytes().get(node.start + 1) == Some(&b' ');
                flow.spread_maps = first_on_line(text, entry.start);
                for entry in entries {
                    flow.look(text, &entry.value);
                }
            } else if let Kind::Seq(Form::Flow, items) = &node.kind {
                flow.look(text, node);
                for item in items {
                    flow.look(text, item);
                }
            }
        }
        flow
    }

    fn look(&mut self, text: &str, node: &Node<'_>) {
        match &node.kind {
            Kind::Seq(Form::Flow, items) if !items.is_empty() => self.spread_lists = broken(text, node.start, items[0].start),
            Kind::Map(Form::Flow, entries) if !entries.is_empty() => {
                self.spread_maps = broken(text, node.start, entries[0].start);
                for entry in entries {
                    if matches!(entry.value.kind, Kind::Seq(..)) {
                        self.look(text, &entry.value);
                    }
                }
            }
            _ => {}
        }
    }
}

#[derive(Default)]
struct Seen {
    step: Option<usize>,
    dash: Option<usize>,
    gap: Option<usize>,
    by_key: HashMap<String, bool>,
    lists: Option<bool>,
    maps: Option<bool>,
}

impl Seen {
    fn look(&mut self, text: &str, node: &Node<'_>, key: Option<&str>, parent_column: Option<usize>) {
        match &node.kind {
            Kind::Map(form, entries) if !entries.is_empty() => {
                self.note(key, *form != Form::Block, false);
                if *form != Form::Block {
                    return;
                }
                let here = column(text, entries[0].start);
                if let Some(parent) = parent_column
                    && here > parent
                {
                    self.step.get_or_insert(here - parent);
                }
                for entry in entries.iter().rev() {
                    self.look(text, &entry.value, entry.key.scalar(), Some(here));
                }
            }
            Kind::Seq(form, items) if !items.is_empty() => {
                self.note(key, *form != Form::Block, true);
                if *form != Form::Block {
                    return;
                }
                let here = column(text, items[0].head - 1);
                if let Some(parent) = parent_column
                    && here >= parent
                {
                    self.dash.get_or_insert(here - parent);
                }
                for item in items.iter().rev() {
                    if !item.is_empty() && !broken(text, item.head, item.start) && item.props.is_none() {
                        self.gap.get_or_insert(item.start - item.head + 1);
                    }
                    self.look(text, item, None, None);
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, key: Option<&str>, brackets: bool, list: bool) {
        let Some(key) = key else { return };
        self.by_key.entry(key.to_owned()).or_insert(brackets);
        if list { &mut self.lists } else { &mut self.maps }.get_or_insert(brackets);
    }
}
