//! From text to [`Tree`].
//!
//! `toml_edit` says whether the text is legal. Its own low-level parser then says where every key, comma and comment is;
//! the document model of `toml_edit` forgets some of those places, so the tree is made from the events.

use std::borrow::Cow;
use std::ops::Range;

use toml_parser::decoder::ScalarKind;
use toml_parser::parser::{Event, EventKind, parse_document};
use toml_parser::{Raw, Source};

use super::tree::{Block, Entry, Home, Id, Item, Key, Kind, Line, LineKind, List, Node, ROOT, Tree};
use crate::{Problem, ProblemKind, Value};

/// The problem of a text that is no TOML.
pub(super) fn check(text: &str) -> Result<(), Problem> {
    let Err(error) = toml_edit::Document::parse(text) else { return Ok(()) };
    let message = error.message().trim_end();
    let Some(span) = error.span() else {
        return Err(Problem { kind: ProblemKind::Syntax(message.to_owned()), place: None });
    };
    if message.starts_with("duplicate key") {
        let raw = text.get(span.clone()).unwrap_or_default();
        return Err(Problem::at(text, span.start, ProblemKind::DuplicateKey(key_name(raw, span.clone()))));
    }
    let before = text.get(..span.start).unwrap_or_default().trim_end_matches([' ', '\t']);
    let rest = text.get(span.start..).unwrap_or_default().trim_start_matches([' ', '\t']);
    if before.ends_with('=') && (rest.is_empty() || rest.starts_with(['\r', '\n', '#'])) {
        // The parser takes what is not there for a string without quotes.
        return Err(Problem::syntax(text, span.start, "a value is missing here"));
    }
    Err(Problem::syntax(text, span.start, message))
}

/// What a key means that is written like this.
fn key_name(raw: &str, span: Range<usize>) -> String {
    let encoding = Source::new(raw).lex().next().and_then(|t| t.kind().encoding());
    let mut name = Cow::Borrowed("");
    Raw::new_unchecked(raw, encoding, toml_parser::Span::new_unchecked(span.start, span.end)).decode_key(&mut name, &mut ());
    name.into_owned()
}

/// Reads what an edit made of a text; the newline stays that of the first text, which may be gone for a moment.
pub(super) fn read_again<'n>(before: &Tree<'_>, text: &'n str) -> Tree<'n> {
    Tree { newline: before.newline, ..read(text) }
}

/// What most lines end with.
fn newline(text: &str) -> &'static str {
    let all = memchr::memchr_iter(b'\n', text.as_bytes()).count();
    let crlf = text.matches("\r\n").count();
    if crlf * 2 > all { "\r\n" } else { "\n" }
}

/// Reads a legal text. On an illegal one the tree is any tree.
pub(super) fn read(text: &str) -> Tree<'_> {
    let tokens = Source::new(text).lex().into_vec();
    let mut events = Vec::with_capacity(tokens.len());
    parse_document(&tokens, &mut events, &mut ());
    let root =
        Node { parent: ROOT, key: None, kind: Kind::Table { block: Some(0) }, span: 0..text.len(), children: vec![], via: None };
    let tree = Tree {
        text,
        nodes: vec![root],
        entries: Vec::new(),
        blocks: vec![Block { table: ROOT, lines: 0..0 }],
        lines: Vec::new(),
        newline: newline(text),
        astray: None,
    };
    let mut reader = Reader { events, at: 0, tree };
    reader.document();
    reader.tree
}

struct Reader<'t> {
    events: Vec<Event>,
    at: usize,
    tree: Tree<'t>,
}

fn range(event: &Event) -> Range<usize> {
    event.span().start()..event.span().end()
}

impl Reader<'_> {
    fn next(&mut self) -> Option<Event> {
        let event = self.events.get(self.at).copied();
        self.at += 1;
        event
    }

    fn document(&mut self) {
        let mut start = if self.tree.text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let mut kind = LineKind::Blank;
        let mut table = ROOT;
        while let Some(event) = self.next() {
            match event.kind() {
                EventKind::Newline => {
                    let end = event.span().end();
                    self.tree.lines.push(Line { range: start..end, kind });
                    (start, kind) = (end, LineKind::Blank);
                }
                EventKind::Comment if kind == LineKind::Blank => kind = LineKind::Comment,
                EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                    let line = self.tree.lines.len();
                    kind = LineKind::Header(self.tree.blocks.len());
                    self.tree.blocks.last_mut().expect("the root's block is there").lines.end = line;
                    table = self.header(&event);
                    self.tree.blocks.push(Block { table, lines: line..line });
                }
                EventKind::SimpleKey => {
                    let line = self.tree.lines.len();
                    kind = LineKind::Entry(self.entry(&event, table, Home::Line(line)));
                }
                _ => {}
            }
        }
        if start < self.tree.text.len() {
            self.tree.lines.push(Line { range: start..self.tree.text.len(), kind });
        }
        self.tree.blocks.last_mut().expect("the root's block is there").lines.end = self.tree.lines.len();
    }

    fn key(&self, event: &Event) -> Key {
        let span = range(event);
        let mut name = Cow::Borrowed("");
        let raw = &self.tree.text[span.clone()];
        Raw::new_unchecked(raw, event.encoding(), event.span()).decode_key(&mut name, &mut ());
        Key { name: name.into_owned(), span }
    }

    fn add(&mut self, parent: Id, key: Option<Key>, kind: Kind, span: Range<usize>) -> Id {
        let id = self.tree.nodes.len();
        self.tree.nodes.push(Node { parent, key, kind, span, children: Vec::new(), via: None });
        self.tree.nodes[parent].children.push(id);
        id
    }

    /// The table a header names, made if need be.
    fn header(&mut self, open: &Event) -> Id {
        let mut keys = Vec::new();
        let mut span = range(open);
        while let Some(event) = self.next() {
            match event.kind() {
                EventKind::SimpleKey => keys.push(self.key(&event)),
                EventKind::StdTableClose | EventKind::ArrayTableClose => {
                    span.end = event.span().end();
                    break;
                }
                EventKind::Newline => {
                    self.at -= 1;
                    break;
                }
                _ => {}
            }
        }
        let block = Some(self.tree.blocks.len());
        let last = keys.pop();
        let mut table = ROOT;
        for key in keys {
            table = self.table(table, key, &span);
        }
        let Some(last) = last else { return table };
        if open.kind() == EventKind::ArrayTableOpen {
            let tables = match self.tree.child(table, &last.name) {
                Some(tables) => tables,
                None => self.add(table, Some(last), Kind::Tables, span.clone()),
            };
            return self.add(tables, None, Kind::Table { block }, span);
        }
        let table = self.table(table, last, &span);
        if let Kind::Table { block: own @ None } = &mut self.tree.nodes[table].kind {
            *own = block;
        }
        table
    }

    /// The table `key` in `parent`, made if need be; of an array of tables, the last one.
    fn table(&mut self, parent: Id, key: Key, span: &Range<usize>) -> Id {
        match self.tree.child(parent, &key.name) {
            Some(id) => match (&self.tree.node(id).kind, self.tree.node(id).children.last()) {
                (Kind::Tables, Some(element)) => *element,
                _ => id,
            },
            None => self.add(parent, Some(key), Kind::Table { block: None }, span.clone()),
        }
    }

    /// Reads `key = value` from its first key on.
    fn entry(&mut self, first: &Event, table: Id, home: Home) -> usize {
        let mut keys = vec![self.key(first)];
        while let Some(event) = self.next() {
            match event.kind() {
                EventKind::SimpleKey => keys.push(self.key(&event)),
                EventKind::KeySep | EventKind::Whitespace => {}
                _ => break,
            }
        }
        let entry = self.tree.entries.len();
        let start = keys[0].span.start;
        self.tree.entries.push(Entry { keys: Vec::new(), home, leaf: table });
        let mut parent = table;
        for (i, key) in keys.iter().enumerate().take(keys.len() - 1) {
            let key = Key { name: key.name.clone(), span: key.span.clone() };
            let span = start..key.span.end;
            if self.tree.child(parent, &key.name).is_some_and(|c| matches!(self.tree.node(c).kind, Kind::Tables)) {
                self.tree.astray = Some(key.span.start);
            }
            parent = self.table(parent, key, &span);
            self.tree.nodes[parent].via = Some((entry, i));
        }
        let last = keys.last().map(|k| Key { name: k.name.clone(), span: k.span.clone() });
        let leaf = self.value(parent, last);
        self.tree.entries[entry].keys = keys;
        self.tree.entries[entry].leaf = leaf;
        entry
    }

    /// Reads the next value.
    fn value(&mut self, parent: Id, key: Option<Key>) -> Id {
        while let Some(event) = self.next() {
            match event.kind() {
                EventKind::Scalar => {
                    let value = self.scalar(&event);
                    return self.add(parent, key, Kind::Scalar(value), range(&event));
                }
                EventKind::ArrayOpen | EventKind::InlineTableOpen => return self.list(&event, parent, key),
                EventKind::Newline => {
                    self.at -= 1;
                    break;
                }
                _ => {}
            }
        }
        self.add(parent, key, Kind::Scalar(Value::Null), 0..0)
    }

    fn scalar(&self, event: &Event) -> Value {
        let text = &self.tree.text[range(event)];
        let mut decoded = Cow::Borrowed("");
        match Raw::new_unchecked(text, event.encoding(), event.span()).decode_scalar(&mut decoded, &mut ()) {
            ScalarKind::String => Value::String(decoded.into_owned()),
            ScalarKind::Boolean(truth) => Value::Bool(truth),
            ScalarKind::DateTime => Value::String(text.to_owned()),
            ScalarKind::Float | ScalarKind::Integer(_) => Value::Number(text.into()),
        }
    }

    /// Reads an array or inline table from behind its bracket on.
    fn list(&mut self, open: &Event, parent: Id, key: Option<Key>) -> Id {
        let id = self.add(parent, key, Kind::Scalar(Value::Null), range(open));
        let mut list = List { open: open.span().end(), close: open.span().end(), items: Vec::new() };
        while let Some(event) = self.next() {
            match event.kind() {
                EventKind::ArrayClose | EventKind::InlineTableClose => {
                    list.close = event.span().start();
                    self.tree.nodes[id].span.end = event.span().end();
                    break;
                }
                EventKind::ValueSep => {
                    if let Some(item) = list.items.last_mut() {
                        item.comma = Some(event.span().start());
                    }
                }
                EventKind::SimpleKey => {
                    let entry = self.entry(&event, id, Home::Item(id, list.items.len()));
                    let end = self.tree.node(self.tree.entries[entry].leaf).span.end;
                    list.items.push(Item { span: event.span().start()..end, comma: None });
                }
                EventKind::Scalar | EventKind::ArrayOpen | EventKind::InlineTableOpen => {
                    self.at -= 1;
                    let item = self.value(id, None);
                    list.items.push(Item { span: self.tree.node(item).span.clone(), comma: None });
                }
                _ => {}
            }
        }
        self.tree.nodes[id].kind = if open.kind() == EventKind::ArrayOpen { Kind::Array(list) } else { Kind::Inline(list) };
        id
    }
}
