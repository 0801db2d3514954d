//! A payload as a tree that is folded until somebody looks.
//!
//! The lines are spans of the raw text: numbers keep their spelling, keys their order. One pass over the text finds where
//! its large containers end; after that only what is unfolded is listed, and only what is on the screen is read.

use std::collections::HashMap;

use bytes::Bytes;
use crossterm::event::MouseEvent;
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    keymap::Action,
    list::{Clicked, List},
    pager::Pager,
    scan::{self, Children, Index},
};

mod draw;
mod image;
mod search;

pub use image::{Picture, describe};

/// So many children are listed at once; the line behind them lists as many more.
const PAGE: usize = 10_000;
/// Unfolding everything stops at so many lines.
const MOST_LINES: usize = 200_000;

/// A payload: JSON as a tree, everything else as text.
#[derive(Clone, Debug)]
pub enum Payload {
    /// An object or an array.
    Json(Box<Tree>),
    /// Anything else.
    Text(Box<Pager>),
}

impl Payload {
    /// Looks at the bytes once.
    pub fn open(bytes: Bytes) -> Self {
        match Tree::open(bytes.clone()) {
            Some(tree) => Self::Json(Box::new(tree)),
            None => Self::Text(Box::new(Pager::new(bytes))),
        }
    }

    /// How many rows fit.
    pub fn set_height(&mut self, rows: usize) {
        match self {
            Self::Json(tree) => tree.set_height(rows),
            Self::Text(pager) => pager.set_height(rows),
        }
    }

    /// Takes an action.
    pub fn update(&mut self, action: Action) -> Reply {
        match self {
            Self::Json(tree) => tree.update(action),
            Self::Text(pager) => {
                if pager.update(action) {
                    Reply::Done
                } else {
                    Reply::Ignored
                }
            }
        }
    }

    /// Draws it.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &crate::theme::Theme) {
        match self {
            Self::Json(tree) => tree.draw(area, buffer, theme),
            Self::Text(pager) => pager.draw(area, buffer, theme),
        }
    }

    /// Goes to the first hit from the cursor on.
    pub fn search(&mut self, words: &str) -> bool {
        match self {
            Self::Json(tree) => tree.search(words),
            Self::Text(pager) => pager.search(words),
        }
    }
}

/// What an action came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done, draw.
    Done,
    /// A value that wants a page of its own: its bytes as they were meant, a string decoded.
    Open(Bytes),
    /// Not an action of the tree.
    Ignored,
}

/// A text that lines are spans of: the payload, or a string in it that is JSON itself.
#[derive(Clone, Debug)]
struct Source {
    bytes: Bytes,
    index: Index,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
    String,
    Number,
    Literal,
    /// The rest of a container; its span begins behind the last child that is listed.
    More,
    /// From here on it is no JSON.
    Broken,
}

/// A line of the tree. Small: a payload may have a million.
#[derive(Clone, Copy, Debug)]
struct Line {
    source: u16,
    depth: u16,
    kind: Kind,
    is_open: bool,
    /// Position of an element in its array, or a member in its object.
    number: u32,
    /// The key with its quotes; empty in an array.
    key: (u32, u32),
    span: (u32, u32),
}

impl Line {
    fn start(&self) -> usize {
        self.span.0 as usize
    }

    fn end(&self) -> usize {
        self.span.1 as usize
    }

    fn begin(&self) -> usize {
        if self.key.1 > 0 { self.key.0 as usize } else { self.start() }
    }

    fn is_container(&self) -> bool {
        matches!(self.kind, Kind::Object | Kind::Array)
    }
}

/// A JSON payload, folded.
#[derive(Clone, Debug)]
pub struct Tree {
    sources: Vec<Source>,
    /// The source made from the string at a place.
    inner: HashMap<(u16, u32), u16>,
    lines: Vec<Line>,
    list: List,
    words: String,
    hit: Option<usize>,
    unfolded_to: u16,
}

impl Tree {
    /// `None` if the bytes are not one balanced object or array (or more than 4 GB).
    pub fn open(bytes: Bytes) -> Option<Self> {
        u32::try_from(bytes.len()).ok()?;
        let index = Index::build(&bytes)?;
        let start = scan::blank(&bytes, 0);
        let end = bytes.iter().rposition(|b| matches!(b, b'}' | b']')).map_or(bytes.len(), |at| at + 1);
        let kind = if bytes[start] == b'{' { Kind::Object } else { Kind::Array };
        let root = Line { source: 0, depth: 0, kind, is_open: false, number: 0, key: (0, 0), span: span(start, end) };
        let mut tree = Self {
            sources: vec![Source { bytes, index }],
            inner: HashMap::new(),
            lines: vec![root],
            list: List::default(),
            words: String::new(),
            hit: None,
            unfolded_to: 1,
        };
        tree.unfold(0, 1);
        tree.count();
        Some(tree)
    }

    /// How many rows fit.
    pub fn set_height(&mut self, rows: usize) {
        self.list.set_height(rows);
    }

    /// Takes an action.
    pub fn update(&mut self, action: Action) -> Reply {
        let at = self.at();
        match action {
            Action::ToggleFold if self.lines[at].is_open => self.fold(at),
            Action::Right if self.lines[at].is_open => _ = self.list.update(Action::Down),
            Action::ToggleFold | Action::Right => self.unfold(at, 1),
            Action::Left if self.lines[at].is_open && at > 0 => self.fold(at),
            Action::Left => {
                if let Some(parent) = self.parent(at) {
                    self.list.select(parent);
                }
            }
            Action::Open => match self.lines[at].kind {
                Kind::Object | Kind::Array | Kind::More if self.lines[at].is_open => self.fold(at),
                Kind::Object | Kind::Array | Kind::More => self.unfold(at, 1),
                _ => return Reply::Open(self.meant()),
            },
            Action::UnfoldAll => self.unfold_to(u16::MAX),
            Action::FoldAll => self.unfold_to(1),
            Action::UnfoldDeep => self.unfold_to(self.unfolded_to.saturating_add(1)),
            Action::FoldDeep => self.unfold_to(self.unfolded_to.saturating_sub(1).max(1)),
            Action::NextHit => _ = self.next_hit(),
            Action::PreviousHit => _ = self.previous_hit(),
            _ if self.list.update(action) => {}
            _ => return Reply::Ignored,
        }
        self.count();
        Reply::Done
    }

    /// Takes a mouse event in the area the tree was drawn in: a click moves, one more folds or opens.
    pub fn mouse(&mut self, event: MouseEvent, area: Rect) -> Reply {
        match self.list.mouse_on_rows(event, area) {
            Some(Clicked::Opened) => self.update(Action::Open),
            Some(Clicked::Moved) => Reply::Done,
            None => Reply::Ignored,
        }
    }

    /// Everything unfolded down to a depth, the rest folded; at most 200 000 lines.
    pub fn unfold_to(&mut self, depth: u16) {
        let begin = self.lines[self.at()].begin();
        let is_inner = self.lines[self.at()].source != 0;
        self.lines.truncate(1);
        self.lines[0].is_open = false;
        self.unfold(0, depth);
        self.unfolded_to = if depth == u16::MAX { self.lines.iter().map(|l| l.depth).max().unwrap_or(1) } else { depth };
        self.count();
        // The cursor stays where it was, or with what contains it.
        let kept = if is_inner { 0 } else { self.lines.partition_point(|line| line.begin() <= begin).saturating_sub(1) };
        self.list.select(kept);
    }

    /// How many lines there are now.
    pub fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// The place of the cursor: `$.params.arguments.repo`; behind a string that is JSON, `$.text » $.a`.
    pub fn path(&self) -> String {
        let mut at = self.at();
        let mut parts = Vec::new();
        while let Some(parent) = self.parent(at) {
            let line = &self.lines[at];
            let source = &self.sources[usize::from(line.source)].bytes;
            parts.push(match line.kind {
                Kind::More | Kind::Broken => String::new(),
                _ if line.key.1 == 0 => format!("[{}]", line.number),
                _ => step(&scan::decode(&source[line.key.0 as usize..line.key.1 as usize])),
            });
            if self.lines[parent].source != line.source {
                parts.push(" » $".to_owned());
            }
            at = parent;
        }
        parts.push("$".to_owned());
        parts.reverse();
        parts.concat()
    }

    /// The value under the cursor as it is spelled.
    pub fn value(&self) -> &[u8] {
        let line = &self.lines[self.at()];
        &self.sources[usize::from(line.source)].bytes[line.start()..line.end()]
    }

    /// The value under the cursor: a string without quotes and escapes, everything else as spelled.
    fn meant(&self) -> Bytes {
        let line = &self.lines[self.at()];
        let bytes = self.sources[usize::from(line.source)].bytes.slice(line.start()..line.end());
        if line.kind == Kind::String { Bytes::from(scan::decode(&bytes)) } else { bytes }
    }

    fn at(&self) -> usize {
        self.list.selected().unwrap_or(0)
    }

    fn parent(&self, at: usize) -> Option<usize> {
        let depth = self.lines[at].depth;
        self.lines[..at].iter().rposition(|line| line.depth < depth)
    }

    fn count(&mut self) {
        self.list.set_total(self.lines.len());
    }

    /// Behind the last line inside this one.
    fn end_of(&self, at: usize) -> usize {
        let depth = self.lines[at].depth;
        self.lines[at + 1..].iter().position(|line| line.depth <= depth).map_or(self.lines.len(), |step| at + 1 + step)
    }

    fn fold(&mut self, at: usize) {
        let end = self.end_of(at);
        self.lines.drain(at + 1..end);
        self.lines[at].is_open = false;
    }

    fn unfold(&mut self, at: usize, depth: u16) {
        let line = self.lines[at];
        match line.kind {
            Kind::Object | Kind::Array if !line.is_open && depth > 0 => {
                self.lines[at].is_open = true;
                let listed = self.listed(&line, line.start(), 0, depth);
                self.lines.splice(at + 1..=at, listed);
            }
            Kind::More => {
                let Some(parent) = self.parent(at) else { return };
                let container = self.lines[parent];
                let listed = self.listed(&container, line.start(), line.number, 1);
                self.lines.splice(at..=at, listed);
            }
            Kind::String if !line.is_open => {
                let Some(source) = self.inner_source(&line) else { return };
                self.lines[at].is_open = true;
                let bytes = &self.sources[usize::from(source)].bytes;
                let start = scan::blank(bytes, 0);
                let kind = if bytes[start] == b'{' { Kind::Object } else { Kind::Array };
                let root = Line { source, kind, span: span(start, bytes.len()), key: (0, 0), ..line };
                let listed = self.listed(&root, start, 0, depth);
                self.lines.splice(at + 1..=at, listed);
            }
            _ => {}
        }
    }

    /// The text of a string that is JSON itself, as a source of its own.
    fn inner_source(&mut self, line: &Line) -> Option<u16> {
        if let Some(known) = self.inner.get(&(line.source, line.span.0)) {
            return Some(*known);
        }
        let bytes = self.sources[usize::from(line.source)].bytes.slice(line.start()..line.end());
        if !holds_container(&bytes) {
            return None;
        }
        let bytes = Bytes::from(scan::decode(&bytes));
        let index = Index::build(&bytes)?;
        let number = u16::try_from(self.sources.len()).ok()?;
        self.sources.push(Source { bytes, index });
        self.inner.insert((line.source, line.span.0), number);
        Some(number)
    }

    /// The lines inside a container, `depth` levels of them, from a child on.
    fn listed(&self, container: &Line, from: usize, number: u32, depth: u16) -> Vec<Line> {
        let source = &self.sources[usize::from(container.source)];
        let bytes: &[u8] = &source.bytes;
        let first = if number == 0 {
            Children::new(bytes, &source.index, from)
        } else {
            Children::after(bytes, &source.index, container.kind == Kind::Object, from)
        };
        let mut lines: Vec<Line> = Vec::new();
        let page = u32::try_from(PAGE).unwrap_or(u32::MAX);
        let mut open = vec![(first, *container, number, from, number.saturating_add(page))];
        while let Some((children, parent, next, end, limit)) = open.last_mut() {
            let line = Line { depth: parent.depth + 1, is_open: false, number: *next, ..*container };
            let is_full = next >= limit || lines.len() >= MOST_LINES;
            let child = if is_full { None } else { children.next() };
            let Some(child) = child else {
                // The container's last byte is its bracket; what else is left, is either not listed or not JSON.
                let mut rest = scan::blank(bytes, if *next == 0 { parent.start() + 1 } else { *end });
                if bytes.get(rest) == Some(&b',') {
                    rest = scan::blank(bytes, rest + 1);
                }
                if rest + 1 < parent.end().min(trimmed(bytes)) {
                    let kind = if is_full { Kind::More } else { Kind::Broken };
                    lines.push(Line { kind, key: (0, 0), span: span(if is_full { *end } else { rest }, parent.end()), ..line });
                }
                open.pop();
                continue;
            };
            *next += 1;
            *end = child.value.end;
            let kind = match bytes[child.value.start] {
                b'{' => Kind::Object,
                b'[' => Kind::Array,
                b'"' => Kind::String,
                b'-' | b'0'..=b'9' => Kind::Number,
                _ => Kind::Literal,
            };
            let key = child.key.map_or((0, 0), |k| span(k.start, k.end));
            let mut line = Line { kind, key, span: span(child.value.start, child.value.end), ..line };
            line.is_open = line.is_container() && line.depth < container.depth.saturating_add(depth);
            lines.push(line);
            if line.is_open {
                open.push((Children::new(bytes, &source.index, line.start()), line, 0, line.start(), page));
            }
        }
        lines
    }
}

fn trimmed(bytes: &[u8]) -> usize {
    bytes.len() - bytes.iter().rev().take_while(|b| b.is_ascii_whitespace()).count()
}

#[expect(clippy::cast_possible_truncation, reason = "a longer text is refused when it is opened, and decoding only shortens")]
fn span(start: usize, end: usize) -> (u32, u32) {
    (start as u32, end as u32)
}

/// Whether a spelled string begins as an object or an array does.
fn holds_container(spelled: &[u8]) -> bool {
    let mut inner = &spelled[1..];
    while let Some(rest) = inner.strip_prefix(b"\\n").or_else(|| inner.strip_prefix(b" ")) {
        inner = rest;
    }
    matches!(inner.first(), Some(b'{' | b'['))
}

/// A member in a path: `.name`, or `["odd name"]`.
pub(crate) fn step(key: &str) -> String {
    let mut letters = key.chars();
    let is_plain = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_plain { format!(".{key}") } else { format!("[{}]", serde_json::Value::from(key)) }
}

#[cfg(test)]
mod tests;
