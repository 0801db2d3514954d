//! The document as a tree with the exact place of everything, made from the parser's events.

use std::borrow::Cow;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle, Tag};

use super::lines::{column, is_blank, line_end, line_start, skip_trivia};
use crate::{Problem, ProblemKind};

/// Deeper than this is no configuration, and recursion must end somewhere.
pub(super) const MAX_DEPTH: usize = 128;

/// A value with its places in the text.
#[derive(Debug)]
pub(super) struct Node<'t> {
    /// Right behind the `:` or `-` that announces it (for a root: where the document starts).
    pub head: usize,
    /// Its anchor and tag, if any, from the first byte of the first to the last of the second.
    pub props: Option<Range<usize>>,
    /// The anchor's number and name.
    pub anchor: Option<(usize, Box<str>)>,
    /// The tag as the parser resolved it.
    pub tag: Option<Box<str>>,
    /// Its first byte, after anchor and tag. An empty value starts and ends where they end, or at `head`.
    pub start: usize,
    /// Behind its last byte; of a block scalar behind its last line of content, without the line break.
    pub end: usize,
    /// What it is.
    pub kind: Kind<'t>,
}

/// The kinds of values.
#[derive(Debug)]
pub(super) enum Kind<'t> {
    /// A plain scalar.
    Plain(Cow<'t, str>),
    /// A quoted one, with its quote.
    Quoted(Cow<'t, str>, char),
    /// A `|` or `>` scalar.
    Block {
        /// Its text.
        text: Cow<'t, str>,
        /// Behind the indicators, before a comment on that line.
        header_end: usize,
        /// Whether trailing line breaks are content (`|+`).
        keep: bool,
    },
    /// A mapping.
    Map(Form, Vec<Entry<'t>>),
    /// A sequence; of a block one the items' `head` is behind the dash.
    Seq(Form, Vec<Node<'t>>),
    /// `*name`, with the anchor's number.
    Alias(usize),
}

/// How a collection is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// By indentation.
    Block,
    /// In brackets.
    Flow,
    /// `[a: b]`: a mapping of one pair without brackets.
    Pair,
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Entry<'t> {
    /// First byte: of `?`, of the key's anchor or tag, or of the key.
    pub start: usize,
    /// Written with `?`.
    pub explicit: bool,
    /// The key.
    pub key: Node<'t>,
    /// Where its colon is; a flow mapping allows `{key}`.
    pub colon: Option<usize>,
    /// The value.
    pub value: Node<'t>,
}

impl Node<'_> {
    /// Whether nothing is written where the value would be.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end && matches!(self.kind, Kind::Plain(_))
    }

    /// The text of a scalar.
    pub(super) fn scalar(&self) -> Option<&str> {
        match &self.kind {
            Kind::Plain(text) | Kind::Quoted(text, _) | Kind::Block { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether it is a collection by indentation.
    pub(super) fn is_block_collection(&self) -> bool {
        matches!(self.kind, Kind::Map(Form::Block, _) | Kind::Seq(Form::Block, _))
    }

    /// How many children it has.
    pub(super) fn child_count(&self) -> usize {
        match &self.kind {
            Kind::Map(_, entries) => entries.len(),
            Kind::Seq(_, items) => items.len(),
            _ => 0,
        }
    }

    /// Whether it is a collection that holds something.
    pub(super) fn has_children(&self) -> bool {
        self.child_count() > 0
    }

    /// Behind anchor and tag, or behind the colon or dash.
    pub(super) fn after_props(&self) -> usize {
        self.props.as_ref().map_or(self.head, |p| p.end)
    }
}

impl<'t> Node<'t> {
    /// The child with this number.
    pub(super) fn child(&self, index: usize) -> &Node<'t> {
        match &self.kind {
            Kind::Map(_, entries) => &entries[index].value,
            Kind::Seq(_, items) => &items[index],
            _ => unreachable!("a scalar has no children to ask for"),
        }
    }
}

/// The document of a text.
pub(super) struct Tree<'t> {
    /// Its value; `None` when there is nothing but comments and markers.
    pub root: Option<Node<'t>>,
    /// Before the `...` that ends it, or the end of the text: where content can be appended.
    pub end: usize,
}

/// Reads the one document of `text`.
pub(super) fn read(text: &str) -> Result<Tree<'_>, Problem> {
    let mut options = Options::default();
    options.emit_anchor_events = true;
    options.set_emit_comments(false);
    let mut events = Vec::new();
    for item in Parser::new_from_str_with_options(text, options) {
        let (event, span) = item.map_err(|e| {
            let mut offset = e.marker().byte_offset().unwrap_or(text.len());
            // Of a tab in the indentation the parser reports what comes after it.
            let line = line_start(text, offset);
            if let Some(tab) = text[line..offset].find('\t')
                && is_blank(&text[line..offset])
            {
                offset = line + tab;
            }
            Problem::syntax(text, offset, e.info())
        })?;
        events.push((event, span));
    }
    let mut reader = Reader { text, events: events.into_iter().peekable() };
    reader.document()
}

struct Reader<'t, I: Iterator<Item = (Event<'t>, Span)>> {
    text: &'t str,
    events: std::iter::Peekable<I>,
}

impl<'t, I: Iterator<Item = (Event<'t>, Span)>> Reader<'t, I> {
    fn document(&mut self) -> Result<Tree<'t>, Problem> {
        let mut tree = Tree { root: None, end: self.text.len() };
        let mut seen = false;
        while let Some((event, span)) = self.events.next() {
            let at = span.byte_range().map_or(self.text.len(), |r| r.start);
            match event {
                Event::DocumentStart(..) if seen => {
                    let kind =
                        ProblemKind::Unsupported("a second document starts here; only files with one can be edited".into());
                    return Err(Problem::at(self.text, at, kind));
                }
                Event::DocumentStart(explicit, _) => {
                    seen = true;
                    let from = if explicit { at + 3 } else { 0 };
                    let root = self.node(from, 0)?;
                    if !(root.is_empty() && root.props.is_none()) {
                        tree.root = Some(root);
                    }
                }
                Event::DocumentEnd if self.text[at..].starts_with("...") => tree.end = at,
                _ => {}
            }
        }
        Ok(tree)
    }

    fn next(&mut self) -> (Event<'t>, Range<usize>, Option<Range<usize>>) {
        let (event, span) = self.events.next().expect("the parser closes every collection it opens, or reports an error");
        let range = span.byte_range().expect("a parser over a string knows byte offsets");
        let tag = span.tag_span().and_then(|s| s.byte_range());
        (event, range, tag)
    }

    /// The node that the next event starts. `from` is behind whatever announces it.
    fn node(&mut self, from: usize, depth: usize) -> Result<Node<'t>, Problem> {
        let (event, span, tag_span) = self.next();
        if depth > MAX_DEPTH {
            let kind = ProblemKind::Unsupported(format!("values nested more than {MAX_DEPTH} levels deep"));
            return Err(Problem::at(self.text, span.start, kind));
        }
        let mut anchor = None;
        let mut props = tag_span;
        if let Some((Event::Anchor(..), _)) = self.events.peek() {
            let (event, at, _) = self.next();
            if let Event::Anchor(id, name) = event {
                anchor = Some((id, Box::from(name.as_ref())));
            }
            props = Some(props.map_or(at.clone(), |p| p.start.min(at.start)..p.end.max(at.end)));
        }
        let after = props.as_ref().map_or(from, |p| p.end);
        let tag_name = |tag: Option<Cow<'t, Tag>>| tag.map(|t| format!("{}{}", t.handle(), t.suffix()).into_boxed_str());
        let mut node = Node { head: from, props, anchor, tag: None, start: span.start, end: span.end, kind: Kind::Alias(0) };
        match event {
            Event::Alias(id) => node.kind = Kind::Alias(id),
            Event::Scalar(value, style, _, tag) => {
                node.tag = tag_name(tag);
                match style {
                    ScalarStyle::Plain if span.is_empty() => {
                        (node.start, node.end) = (after, after);
                        node.kind = Kind::Plain(Cow::Borrowed(""));
                    }
                    ScalarStyle::Plain => node.kind = Kind::Plain(value),
                    ScalarStyle::SingleQuoted => node.kind = Kind::Quoted(value, '\''),
                    ScalarStyle::DoubleQuoted => node.kind = Kind::Quoted(value, '"'),
                    ScalarStyle::Literal | ScalarStyle::Folded => self.block_scalar(&mut node, value, after, span.end),
                }
            }
            Event::SequenceStart(style, _, tag) => {
                node.tag = tag_name(tag);
                let block = style == StructureStyle::Block;
                let (items, end) = self.items(after, span.end, block, depth)?;
                if block {
                    node.start = skip_trivia(self.text, after);
                }
                node.end = end;
                node.kind = Kind::Seq(if block { Form::Block } else { Form::Flow }, items);
            }
            Event::MappingStart(style, _, tag) => {
                node.tag = tag_name(tag);
                let form = match style {
                    StructureStyle::Block => Form::Block,
                    StructureStyle::Flow if self.text[span.start..span.end] == *"{" => Form::Flow,
                    StructureStyle::Flow => Form::Pair,
                };
                let inner = if form == Form::Flow { span.end } else { after };
                let (entries, end) = self.entries(inner, form, depth)?;
                if form != Form::Flow {
                    node.start = entries.first().map_or(after, |e| e.start);
                }
                node.end = end;
                node.kind = Kind::Map(form, entries);
            }
            _ => unreachable!("the parser starts every node with one of the events above"),
        }
        Ok(node)
    }

    /// Places a `|` or `>` scalar, of which the parser reports the content only.
    fn block_scalar(&self, node: &mut Node<'t>, value: Cow<'t, str>, after: usize, content_end: usize) {
        let text = self.text;
        node.start = skip_trivia(text, after);
        let header_end = text[node.start..]
            .find(|c: char| !matches!(c, '|' | '>' | '+' | '-' | '0'..='9'))
            .map_or(text.len(), |i| node.start + i);
        let keep = text[node.start..header_end].contains('+');
        let indicated = text[node.start..header_end].contains(|c: char| c.is_ascii_digit());
        let from = line_end(text, header_end);
        // The parser has already read the indentation of the next line.
        let next = line_start(text, content_end);
        let content_end = if is_blank(&text[next..content_end]) { next } else { content_end };
        let content = &text[from..content_end.max(from)];
        let lines = || content.split(['\n', '\r']);
        let indent = |l: &str| l.len() - l.trim_start_matches(' ').len();
        let least = lines().filter(|l| !l.trim_matches(' ').is_empty()).map(indent).min();
        let limit = if indicated { 0 } else { least.unwrap_or(usize::MAX) };
        node.end = if keep {
            from + content.strip_suffix("\r\n").or_else(|| content.strip_suffix(['\n', '\r'])).unwrap_or(content).len()
        } else {
            let mut end = header_end;
            let mut at = from;
            for line in lines() {
                // A line of more blanks than the indentation has blanks as content.
                if !line.trim_matches(' ').is_empty() || line.len() > limit {
                    end = at + line.len();
                }
                at += line.len() + 1;
            }
            end
        };
        node.end = node.end.max(header_end);
        node.kind = Kind::Block { text: value, header_end, keep };
    }

    fn items(&mut self, after: usize, open: usize, block: bool, depth: usize) -> Result<(Vec<Node<'t>>, usize), Problem> {
        let mut items: Vec<Node<'t>> = Vec::new();
        let mut at = if block { after } else { open };
        loop {
            if let Some((Event::SequenceEnd, _)) = self.events.peek() {
                let (_, span, _) = self.next();
                return Ok((items, if block { at } else { span.end }));
            }
            if block {
                at = skip_trivia(self.text, at) + 1;
            } else if !items.is_empty() {
                at = self.after_comma(at);
            }
            let item = self.node(at, depth + 1)?;
            at = item.end;
            items.push(item);
        }
    }

    fn after_comma(&self, at: usize) -> usize {
        let comma = skip_trivia(self.text, at);
        if self.text[comma..].starts_with(',') { comma + 1 } else { at }
    }

    fn entries(&mut self, inner: usize, form: Form, depth: usize) -> Result<(Vec<Entry<'t>>, usize), Problem> {
        let mut entries: Vec<Entry<'t>> = Vec::new();
        let mut at = inner;
        loop {
            if let Some((Event::MappingEnd, _)) = self.events.peek() {
                let (_, span, _) = self.next();
                return Ok((entries, if form == Form::Flow { span.end } else { at }));
            }
            if form == Form::Flow && !entries.is_empty() {
                at = self.after_comma(at);
            }
            let start = skip_trivia(self.text, at);
            let mut rest = self.text[start..].chars();
            let explicit = rest.next() == Some('?') && rest.next().is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
            // A key that is not there is where its colon is.
            let key = self.node(if explicit { start + 1 } else { start }, depth + 1)?;
            let colon = skip_trivia(self.text, key.end);
            // Behind a `?` without a value of its own, the next colon is that of another entry.
            let ours = form != Form::Block || !explicit || column(self.text, colon) == column(self.text, start);
            let colon = (ours && self.text[colon..].starts_with(':')).then_some(colon);
            let value = self.node(colon.map_or(key.end, |c| c + 1), depth + 1)?;
            at = value.end;
            let start = if explicit { start } else { key.props.as_ref().map_or(key.start, |p| p.start.min(key.start)) };
            entries.push(Entry { start, explicit, key, colon, value });
        }
    }
}
