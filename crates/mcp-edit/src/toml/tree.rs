//! What a TOML text says, and which bytes say it.

use std::ops::Range;

use crate::{Path, Problem, ProblemKind, Step, Value};

pub(super) type Id = usize;
pub(super) const ROOT: Id = 0;

/// A part of a dotted key.
pub(super) struct Key {
    pub(super) name: String,
    pub(super) span: Range<usize>,
}

pub(super) enum Kind {
    Scalar(Value),
    /// `[1, 2]`
    Array(List),
    /// `{ a = 1 }`
    Inline(List),
    /// Made by headers or dotted keys. `block` is its own `[header]`, if it has one.
    Table {
        block: Option<usize>,
    },
    /// `[[header]]`: its children are tables.
    Tables,
}

pub(super) struct Node {
    pub(super) parent: Id,
    /// Its key in the parent; none for the root and for elements of a list.
    pub(super) key: Option<Key>,
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
    pub(super) children: Vec<Id>,
    /// The last entry whose dotted key passes through this, and the index of this in that key.
    pub(super) via: Option<(usize, usize)>,
}

/// What stands between brackets or braces.
pub(super) struct List {
    /// The offset behind the opening bracket.
    pub(super) open: usize,
    /// The offset of the closing bracket.
    pub(super) close: usize,
    pub(super) items: Vec<Item>,
}

pub(super) struct Item {
    pub(super) span: Range<usize>,
    /// The offset of the comma behind it.
    pub(super) comma: Option<usize>,
}

/// Where an entry stands.
#[derive(Clone, Copy)]
pub(super) enum Home {
    /// On a line of its own.
    Line(usize),
    /// In braces: the inline table and the index in it.
    Item(Id, usize),
}

/// `key = value`.
pub(super) struct Entry {
    pub(super) keys: Vec<Key>,
    pub(super) home: Home,
    pub(super) leaf: Id,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LineKind {
    Blank,
    Comment,
    /// The header of this block.
    Header(usize),
    /// This entry, which may span several lines of text.
    Entry(usize),
}

/// A line with its line ending; together the lines are the text without its byte order mark.
pub(super) struct Line {
    pub(super) range: Range<usize>,
    pub(super) kind: LineKind,
}

/// A header and the lines up to the next one. The first block has no header and is the root's.
pub(super) struct Block {
    pub(super) table: Id,
    /// Its lines, header first.
    pub(super) lines: Range<usize>,
}

/// A step of a way through the tree that stays valid while names change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seg {
    Key(String),
    Index(usize),
}

/// Nodes are in an arena; the first is the root.
pub(super) struct Tree<'t> {
    pub(super) text: &'t str,
    pub(super) nodes: Vec<Node>,
    pub(super) entries: Vec<Entry>,
    pub(super) blocks: Vec<Block>,
    pub(super) lines: Vec<Line>,
    /// What the file ends its lines with.
    pub(super) newline: &'static str,
    /// Where a dotted key leads into an array of tables. The standard forbids that, our parser takes it for the array's
    /// last table; an edit could make another one the last.
    pub(super) astray: Option<usize>,
}

impl Tree<'_> {
    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    pub(super) fn child(&self, id: Id, name: &str) -> Option<Id> {
        self.node(id).children.iter().copied().find(|c| self.node(*c).key.as_ref().is_some_and(|k| k.name == name))
    }

    /// The string in the member `field` of an element, and its span.
    pub(super) fn named(&self, element: Id, field: &str) -> Option<(&str, Range<usize>)> {
        let node = self.node(self.child(element, field)?);
        match &node.kind {
            Kind::Scalar(value) => Some((value.as_str()?, node.span.clone())),
            _ => None,
        }
    }

    pub(super) fn is_object(&self, id: Id) -> bool {
        matches!(self.node(id).kind, Kind::Inline(_) | Kind::Table { .. })
    }

    pub(super) fn is_list(&self, id: Id) -> bool {
        matches!(self.node(id).kind, Kind::Array(_) | Kind::Tables)
    }

    /// True when `id` is `top` or below it.
    pub(super) fn within(&self, mut id: Id, top: Id) -> bool {
        while id != top && id != ROOT {
            id = self.node(id).parent;
        }
        id == top
    }

    pub(super) fn value(&self, id: Id) -> Value {
        let node = self.node(id);
        match &node.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::Array(_) | Kind::Tables => Value::Array(node.children.iter().map(|c| self.value(*c)).collect()),
            Kind::Inline(_) | Kind::Table { .. } => {
                let member = |c: &Id| (self.node(*c).key.as_ref().map_or_else(String::new, |k| k.name.clone()), self.value(*c));
                Value::Object(node.children.iter().map(member).collect())
            }
        }
    }

    fn kind_name(&self, id: Id) -> &'static str {
        match &self.node(id).kind {
            Kind::Scalar(value) => value.kind(),
            Kind::Array(_) | Kind::Tables => "a list",
            Kind::Inline(_) | Kind::Table { .. } => "an object",
        }
    }

    /// One step down from `id`, to which the steps before `index` led.
    pub(super) fn step(&self, id: Id, path: &Path, index: usize) -> Result<Option<Id>, Problem> {
        match &path.0[index] {
            Step::Key(key) if self.is_object(id) => Ok(self.child(id, key)),
            Step::Item { field, value } if self.is_list(id) => {
                let named = |c: &Id| self.named(*c, field).is_some_and(|(name, _)| name == value);
                let mut all = self.node(id).children.iter().copied().filter(named);
                match (all.next(), all.next()) {
                    (_, Some(twin)) => {
                        let kind = ProblemKind::DuplicateKey(value.clone());
                        Err(Problem::at(self.text, self.node(twin).span.start, kind))
                    }
                    (only, None) => Ok(only),
                }
            }
            step => Err(self.no_container(id, &path.0[..index], Some(step))),
        }
    }

    /// The node at a path.
    pub(super) fn find(&self, path: &Path) -> Result<Option<Id>, Problem> {
        let mut id = ROOT;
        for index in 0..path.0.len() {
            match self.step(id, path, index)? {
                Some(child) => id = child,
                None => return Ok(None),
            }
        }
        Ok(Some(id))
    }

    /// The problem that `id`, reached by `steps`, cannot hold the next step.
    pub(super) fn no_container(&self, id: Id, steps: &[Step], next: Option<&Step>) -> Problem {
        Problem::not_container(self.text, self.node(id).span.start, steps, self.kind_name(id), next)
    }

    /// The way from the root to a node.
    pub(super) fn segs(&self, mut id: Id) -> Vec<Seg> {
        let mut segs = Vec::new();
        while id != ROOT {
            let node = self.node(id);
            segs.push(match &node.key {
                Some(key) => Seg::Key(key.name.clone()),
                None => Seg::Index(self.node(node.parent).children.iter().position(|c| *c == id).unwrap_or(0)),
            });
            id = node.parent;
        }
        segs.reverse();
        segs
    }

    /// How far down `segs` the tree goes: the last node there is, and how many steps led to it.
    pub(super) fn follow(&self, segs: &[Seg]) -> (Id, usize) {
        let mut id = ROOT;
        for (i, seg) in segs.iter().enumerate() {
            let next = match seg {
                Seg::Key(key) if self.is_object(id) => self.child(id, key),
                Seg::Index(index) if self.is_list(id) => self.node(id).children.get(*index).copied(),
                _ => None,
            };
            match next {
                Some(next) => id = next,
                None => return (id, i),
            }
        }
        (id, segs.len())
    }

    /// The names in a header for this table.
    pub(super) fn names(&self, id: Id) -> Vec<String> {
        let key = |seg| match seg {
            Seg::Key(key) => Some(key),
            Seg::Index(_) => None,
        };
        self.segs(id).into_iter().filter_map(key).collect()
    }

    /// The blocks of a node and of all below it, in file order. The root's first block only counts for the root.
    pub(super) fn blocks_in(&self, top: Id) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (0..self.blocks.len()).filter(move |b| self.within(self.blocks[*b].table, top))
    }

    /// True when a header can name something below this: it is the root, or headers name it or something below it.
    pub(super) fn takes_headers(&self, id: Id) -> bool {
        id == ROOT || self.blocks_in(id).next().is_some()
    }

    /// The last line of a block that holds its header or an entry; none for a first block without entries.
    pub(super) fn last_own_line(&self, block: usize) -> Option<usize> {
        let lines = self.blocks[block].lines.clone();
        lines.rev().find(|l| matches!(self.lines[*l].kind, LineKind::Header(_) | LineKind::Entry(_)))
    }

    /// The index behind the last line that belongs to a block. Comments directly below its last entry do, unless they
    /// stand directly above the next header.
    pub(super) fn block_end(&self, block: usize) -> usize {
        let lines = self.blocks[block].lines.clone();
        let own = self.last_own_line(block).map_or(lines.start, |l| l + 1);
        let comments = (own..lines.end).take_while(|l| self.lines[*l].kind == LineKind::Comment).count();
        let touches_next = own + comments == lines.end && lines.end < self.lines.len();
        if touches_next { own } else { own + comments }
    }

    /// The first of the comment lines directly above a line, or the line itself.
    pub(super) fn lead(&self, line: usize) -> usize {
        line - (0..line).rev().take_while(|l| self.lines[*l].kind == LineKind::Comment).count()
    }

    pub(super) fn is_blank(&self, line: usize) -> bool {
        self.lines.get(line).is_some_and(|l| l.kind == LineKind::Blank)
    }

    /// The spaces a line starts with.
    pub(super) fn indent(&self, line: usize) -> &str {
        let text = &self.text[self.lines[line].range.clone()];
        &text[..text.len() - text.trim_start_matches([' ', '\t']).len()]
    }

    /// How an entry writes its equals sign.
    pub(super) fn equals(&self, entry: Option<usize>) -> &'static str {
        let tight = entry.map(|e| &self.entries[e]).is_some_and(|entry| {
            let key_end = entry.keys.last().map_or(0, |k| k.span.end);
            self.text.get(key_end..self.node(entry.leaf).span.start) == Some("=")
        });
        if tight { "=" } else { " = " }
    }
}
