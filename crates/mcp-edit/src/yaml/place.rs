//! Where the bytes of one change go.

use super::lines::{
    break_at, broken, column, end_above, first_on_line, is_blank, line_end, line_start, next_line, skip_trivia, with_comments,
};
use super::scalar::{double_quoted, single_quoted};
use super::style::{Flow, Style};
use super::tree::{Form, Kind, Node, Tree};
use super::write::{self, Lines};
use crate::{Problem, ProblemKind, Splice, Value};

/// A text and its tree, asked for the splices of one change.
pub(super) struct Placing<'a, 't> {
    pub(super) text: &'t str,
    tree: &'a Tree<'t>,
}

pub(super) fn splice(range: std::ops::Range<usize>, text: impl Into<String>) -> Splice {
    Splice { range, text: text.into() }
}

impl<'a, 't> Placing<'a, 't> {
    pub(super) fn new(text: &'t str, tree: &'a Tree<'t>) -> Self {
        Self { text, tree }
    }

    /// The nodes from the root to the end of a way.
    pub(super) fn nodes(&self, way: &[usize]) -> Vec<&'a Node<'t>> {
        let mut nodes: Vec<&'a Node<'t>> = self.tree.root.iter().collect();
        for index in way {
            let last = *nodes.last().expect("a way starts at a root");
            nodes.push(last.child(*index));
        }
        nodes
    }

    fn unsupported(&self, at: usize, sentence: &str) -> Problem {
        Problem::at(self.text, at, ProblemKind::Unsupported(sentence.into()))
    }

    /// The habits for a child of the last of `nodes`.
    pub(super) fn style(&self, nodes: &[&'a Node<'t>]) -> Style {
        let children = |node: &'a Node<'t>| -> Vec<&'a Node<'t>> {
            match &node.kind {
                Kind::Map(_, entries) => entries.iter().map(|e| &e.value).collect(),
                Kind::Seq(_, items) => items.iter().collect(),
                _ => Vec::new(),
            }
        };
        // What stands side by side at the root has nothing in common.
        let siblings: Vec<_> = nodes.iter().skip(1).rev().take(2).rev().flat_map(|n| children(n)).collect();
        let mut style = Style::observe(self.text, &siblings, self.tree.root.as_ref());
        style.flow = Flow::observe(self.text, nodes);
        style
    }

    /// A new last child of the collection (or empty value) at the end of `way`.
    pub(super) fn insert(&self, way: &[usize], key: Option<&str>, value: &Value) -> Result<Vec<Splice>, Problem> {
        let nodes = self.nodes(way);
        let made = || match key {
            Some(key) => Value::object([(key, value.clone())]),
            None => Value::Array(vec![value.clone()]),
        };
        let Some(&node) = nodes.last() else { return Ok(vec![self.first_content(&made())]) };
        let mut style = self.style(&nodes);
        let (form, in_flow) = match &node.kind {
            Kind::Map(form, _) | Kind::Seq(form, _) => (*form, in_flow(&nodes)),
            _ if way.is_empty() => return self.root_content(node, &made()),
            _ => return self.replace(way, &made()),
        };
        match form {
            Form::Block if keeps_blank_lines(node) && node.end == self.text.len() => {
                Err(self.unsupported(node.end, "a line break here would become part of the text above"))
            }
            Form::Block => Ok(vec![self.insert_block(node, key, value, &mut style)]),
            Form::Flow if node.has_children() || in_flow || way.is_empty() => Ok(self.insert_flow(node, key, value, &mut style)),
            Form::Flow if text_is_blank(&self.text[node.start + 1..node.end - 1]) => self.replace(way, &made()),
            Form::Flow => Ok(self.insert_flow(node, key, value, &mut style)),
            Form::Pair => Err(self.unsupported(node.start, "a pair without braces cannot get another member")),
        }
    }

    /// Content for a text that has none.
    fn first_content(&self, value: &Value) -> Splice {
        let style = Style::observe(self.text, &[], None);
        let (before, nl) = (&self.text[..self.tree.end], style.newline);
        let body = Lines::body(value, 0, &style).join(&style);
        let bare = before.trim_start_matches('\u{feff}').is_empty();
        let open = bare || before.ends_with(['\n', '\r']);
        let lead = if open { "" } else { nl };
        let trail = if open || self.tree.end < self.text.len() { nl } else { "" };
        splice(self.tree.end..self.tree.end, format!("{lead}{body}{trail}"))
    }

    /// Content in place of an explicit null.
    fn root_content(&self, node: &Node<'t>, value: &Value) -> Result<Vec<Splice>, Problem> {
        if node.props.is_some() {
            return Err(self.unsupported(node.start, "an empty document with an anchor or tag cannot be edited"));
        }
        let style = Style::observe(self.text, &[], None);
        let lead = if column(self.text, node.start) == 0 { "" } else { style.newline };
        Ok(vec![splice(node.start..node.end, format!("{lead}{}", Lines::body(value, 0, &style).join(&style)))])
    }

    fn insert_block(&self, node: &Node<'t>, key: Option<&str>, value: &Value, style: &mut Style) -> Splice {
        let text = self.text;
        let column = self.column_of(node);
        let at = with_comments(text, node.end, column);
        // Where line breaks are mixed, the one of this place.
        style.newline = break_at(text, at, style.newline);
        let root = self.tree.root.as_ref().is_some_and(|r| std::ptr::eq(r, node));
        // A neighbour of the same kind in brackets asks for brackets, unless these are the settings at the root.
        let list = matches!(value, Value::Array(_));
        let neighbour = (0..node.child_count()).rev().map(|i| node.child(i)).find_map(|n| match &n.kind {
            Kind::Map(form, entries) if !list && !entries.is_empty() => Some(*form == Form::Flow),
            Kind::Seq(form, items) if list && !items.is_empty() => Some(*form == Form::Flow),
            _ => None,
        });
        let brackets = if root { Some(false) } else { neighbour };
        if brackets == Some(true) {
            let neighbours: Vec<_> = (0..node.child_count()).map(|i| node.child(i)).collect();
            style.flow = Flow::observe(text, &neighbours);
        }
        let lines = match (key, brackets) {
            (Some(key), Some(brackets)) => {
                style.set_brackets(key, brackets);
                Lines::member(key, value, column, style)
            }
            (Some(key), None) => Lines::member(key, value, column, style),
            (None, Some(true)) => {
                let gap = " ".repeat(style.gap - 1);
                Lines { lines: vec![format!("-{gap}{}", write::flow(value, column + style.gap, style, false))] }
            }
            (None, _) => Lines::item(value, column, style),
        };
        splice(at..at, format!("{}{}{}", style.newline, " ".repeat(column), lines.join(style)))
    }

    /// The column of a block collection's keys or dashes.
    pub(super) fn column_of(&self, node: &Node<'t>) -> usize {
        match &node.kind {
            Kind::Seq(_, items) => items.first().map_or(0, |i| column(self.text, i.head - 1)),
            _ => column(self.text, node.start),
        }
    }

    fn insert_flow(&self, node: &Node<'t>, key: Option<&str>, value: &Value, style: &mut Style) -> Vec<Splice> {
        let text = self.text;
        let above = node.child_count().checked_sub(1).map_or(node.start, |last| node.child(last).end);
        style.newline = break_at(text, line_end(text, above), style.newline);
        let style = &*style;
        let render = |indent: usize| match key {
            Some(key) => write::flow_member(key, value, indent, style),
            None => write::flow(value, indent, style, true),
        };
        let close = node.end - 1;
        let line = line_start(text, node.start);
        let base = text[line..].chars().take_while(|c| *c == ' ').count();
        let (start, end) = match &node.kind {
            Kind::Map(_, entries) if !entries.is_empty() => {
                let last = &entries[entries.len() - 1];
                (last.start, last.value.end)
            }
            Kind::Seq(_, items) if !items.is_empty() => (item_start(&items[items.len() - 1], false), items[items.len() - 1].end),
            _ => {
                let inner = &text[node.start + 1..close];
                if !text_is_blank(inner) {
                    let at = line_start(text, close);
                    let indent = column(text, close) + style.step;
                    return vec![splice(at..at, format!("{}{}{}", " ".repeat(indent), render(indent), style.newline))];
                }
                let spread = if key.is_some() { style.flow.spread_maps } else { style.flow.spread_lists };
                let new = if spread {
                    let nl = style.newline;
                    let indent = base + style.step;
                    format!("{nl}{}{}{nl}{}", " ".repeat(indent), render(indent), " ".repeat(base))
                } else {
                    let pad = if style.flow.padded && key.is_some() { " " } else { "" };
                    format!("{pad}{}{pad}", render(base))
                };
                return vec![splice(node.start + 1..close, new)];
            }
        };
        let own_line = first_on_line(text, start) && line_start(text, start) > node.start;
        let comma = skip_trivia(text, end);
        let has_comma = text[comma..].starts_with(',');
        let new = if own_line {
            let indent = column(text, start);
            format!("{}{}{}", style.newline, " ".repeat(indent), render(indent))
        } else {
            format!("{}{}", if style.flow.tight { "" } else { " " }, render(base))
        };
        let rest_of_line = |at: usize| {
            let eol = line_end(text, at);
            let rest = text[at..eol].trim_start_matches([' ', '\t']);
            (rest.is_empty() || rest.starts_with('#')).then_some(eol)
        };
        if has_comma {
            let at = if own_line { rest_of_line(comma + 1).unwrap_or(comma + 1) } else { comma + 1 };
            return vec![splice(at..at, format!("{new},"))];
        }
        let lead = if text[..end].ends_with(':') { " ," } else { "," };
        match rest_of_line(end) {
            Some(eol) if own_line => vec![splice(end..end, lead), splice(eol..eol, new)],
            _ => vec![splice(end..end, format!("{lead}{new}"))],
        }
    }

    /// Another value at the end of `way`, which is not the root.
    pub(super) fn replace(&self, way: &[usize], value: &Value) -> Result<Vec<Splice>, Problem> {
        let nodes = self.nodes(way);
        let (index, parent) = (way.last(), nodes.len().checked_sub(2).map(|i| nodes[i]));
        let (Some(&index), Some(parent)) = (index, parent) else {
            return Err(self.unsupported(0, "the whole document cannot be replaced"));
        };
        let node = nodes[nodes.len() - 1];
        let style = self.style(&nodes);
        let text = self.text;
        let (key, colon) = match &parent.kind {
            Kind::Map(_, entries) => (entries[index].key.scalar(), entries[index].colon),
            _ => (None, None),
        };
        let block_parent = parent.is_block_collection();
        if !block_parent || !write::is_block(value, key, &style) {
            let base = text[line_start(text, node.start)..].chars().take_while(|c| *c == ' ').count();
            let new = match (&node.kind, value) {
                (Kind::Quoted(_, '"'), Value::String(string)) => double_quoted(string),
                (Kind::Quoted(..), Value::String(string)) => single_quoted(string).unwrap_or_else(|| double_quoted(string)),
                _ => write::flow(value, base, &style, !block_parent),
            };
            return Ok(self.replace_inline(parent, index, node, colon, &new));
        }
        Ok(self.replace_block(parent, node, value, &style))
    }

    /// The new value is `new`, on the line of its key or dash.
    fn replace_inline(&self, parent: &Node<'t>, index: usize, node: &Node<'t>, colon: Option<usize>, new: &str) -> Vec<Splice> {
        let text = self.text;
        if node.is_empty() {
            let lead = match (&parent.kind, colon) {
                (Kind::Map(..), None) => ": ",
                _ => " ",
            };
            let (from, to) = match &node.tag {
                Some(_) => (node.head, node.after_props()),
                None => (node.after_props(), node.after_props()),
            };
            return vec![splice(from..to, format!("{lead}{new}"))];
        }
        let props = node.props.as_ref().map_or(node.start, |p| p.start);
        if let Kind::Block { header_end, .. } = node.kind {
            let start = if node.tag.is_some() { props } else { node.start };
            let eol = line_end(text, header_end);
            return vec![splice(start..header_end, new), splice(eol..node.end.max(eol), "")];
        }
        if !node.is_block_collection() {
            let start = if node.tag.is_some() || node.scalar().is_none() { props } else { node.start };
            return vec![splice(start..node.end, new)];
        }
        let end = with_comments(text, node.end, self.column_of(parent).max(self.first_column(parent, index)));
        if broken(text, node.head, node.start) {
            let eol = line_end(text, node.after_props());
            vec![splice(node.head..node.after_props(), format!(" {new}")), splice(eol..end, "")]
        } else {
            vec![splice(props..end, new)]
        }
    }

    fn first_column(&self, parent: &Node<'t>, index: usize) -> usize {
        match &parent.kind {
            Kind::Map(_, entries) => column(self.text, entries[index].start),
            _ => self.column_of(parent),
        }
    }

    /// The new value is a collection by indentation.
    fn replace_block(&self, parent: &Node<'t>, node: &Node<'t>, value: &Value, style: &Style) -> Vec<Splice> {
        let text = self.text;
        let at = self.column_of(parent);
        let nl = style.newline;
        let dashed = matches!(parent.kind, Kind::Seq(..));
        let inner = match value {
            _ if dashed => at + style.gap,
            Value::Array(_) => at + style.dash,
            _ => at + style.step,
        };
        let lines = Lines::body(value, inner, style);
        let (first, rest) = lines.lines.split_first().expect("a value has at least one line");
        let rest = rest.iter().fold(String::new(), |text, line| text + nl + line);
        // Behind a dash the first line stays on the dash's line; behind a colon it gets a line of its own.
        let (head, below) = if dashed {
            (format!("{}{first}", " ".repeat(style.gap - 1)), rest)
        } else {
            (String::new(), format!("{nl}{}{first}{rest}", " ".repeat(inner)))
        };
        if node.is_empty() {
            let (from, to) =
                if node.tag.is_some() { (node.head, node.after_props()) } else { (node.after_props(), node.after_props()) };
            let after = if dashed { line_end(text, to) } else { with_comments(text, to, at) };
            if dashed && node.props.is_some() {
                // An anchor before the first key would be the key's.
                return vec![splice(node.head..to, head), splice(after..after, below)];
            }
            return vec![splice(from..to, head), splice(after..after, below)];
        }
        let same_line = !broken(text, node.head, node.start);
        if let Kind::Block { header_end, .. } = node.kind
            && same_line
        {
            let eol = line_end(text, header_end);
            return vec![splice(node.head..header_end, head), splice(eol..node.end.max(eol), below)];
        }
        if node.is_block_collection() || !same_line {
            let end = if node.is_block_collection() { with_comments(text, node.end, at) } else { line_end(text, node.end) };
            let eol = if same_line { node.head } else { line_end(text, node.after_props()) };
            if dashed {
                return vec![splice(node.head..end, format!("{head}{below}"))];
            }
            return vec![splice(node.head..node.after_props(), ""), splice(eol..end, below)];
        }
        let eol = line_end(text, node.end);
        vec![splice(node.head..node.end, head), splice(eol..eol, below)]
    }

    /// Nothing at the end of `way`, which is not the root.
    pub(super) fn remove(&self, way: &[usize]) -> Result<Vec<Splice>, Problem> {
        let nodes = self.nodes(way);
        let (Some(&index), true) = (way.last(), nodes.len() > 1) else {
            return Err(self.unsupported(0, "the whole document cannot be removed"));
        };
        let (parent, node) = (nodes[nodes.len() - 2], nodes[nodes.len() - 1]);
        match parent.kind {
            Kind::Map(Form::Pair, _) => Err(self.unsupported(parent.start, "a pair without braces cannot lose its member")),
            Kind::Map(Form::Flow, _) | Kind::Seq(Form::Flow, _) => Ok(self.remove_flow(parent, index)),
            _ => self.remove_block(parent, index, node, nodes.len() == 2),
        }
    }

    fn remove_block(&self, parent: &Node<'t>, index: usize, node: &Node<'t>, root: bool) -> Result<Vec<Splice>, Problem> {
        let text = self.text;
        let start = match &parent.kind {
            Kind::Map(_, entries) => entries[index].start,
            _ => item_start(node, true),
        };
        let empty = if matches!(parent.kind, Kind::Map(..)) { "{}" } else { "[]" };
        let last = with_comments(text, node.end, column(text, start));
        if root && parent.child_count() == 1 && matches!(parent.kind, Kind::Seq(..)) {
            // Nothing at all would be an empty mapping.
            return Ok(vec![splice(start..last, empty)]);
        }
        // Nothing behind an anchor or tag would be a null.
        let vanishes = root && parent.props.is_none();
        let mut to = next_line(text, last);
        if !first_on_line(text, start) {
            if parent.child_count() == 1 {
                return Ok(vec![splice(start..last, if vanishes { "" } else { empty })]);
            }
            // The first of a mapping that starts behind a dash: what comes next takes its place.
            while to < text.len() {
                let blank = text[to..].len() - text[to..].trim_start_matches([' ', '\t']).len();
                let content = to + blank;
                if !matches!(text.as_bytes().get(content), Some(b'\n' | b'\r')) {
                    to = content;
                    break;
                }
                to = next_line(text, to);
            }
            return Ok(vec![splice(start..to, "")]);
        }
        let mut from = line_start(text, start);
        let kept = index > 0 && keeps_blank_lines(parent.child(index - 1));
        if kept {
            // Blank lines below would become part of the text above.
            while to < text.len() && is_blank(&text[to..line_end(text, to)]) {
                to = next_line(text, to);
            }
        }
        if last == text.len() && kept {
            return Err(
                self.unsupported(start, "the end of the text above is its last line break, and the file has none at its end")
            );
        }
        if last == text.len() && from > 0 {
            // The text has no final line break, and should have none afterwards.
            from = end_above(text, from);
            loop {
                let line = line_start(text, from);
                let above = end_above(text, line);
                if above == line || !is_blank(&text[line..from]) {
                    break;
                }
                from = above;
            }
        }
        let lines = splice(from..to, "");
        if parent.child_count() > 1 || vanishes {
            return Ok(vec![lines]);
        }
        let head = parent.after_props();
        Ok(vec![splice(head..head, format!(" {empty}")), lines])
    }

    fn remove_flow(&self, parent: &Node<'t>, index: usize) -> Vec<Splice> {
        let text = self.text;
        let (open, close) = (parent.start, parent.end - 1);
        let bounds = |i: usize| match &parent.kind {
            Kind::Map(_, entries) => (entries[i].start, entries[i].value.end),
            Kind::Seq(_, items) => (item_start(&items[i], false), items[i].end),
            _ => unreachable!("only collections lose members"),
        };
        let (start, end) = bounds(index);
        let comma_after = |end: usize| {
            let comma = skip_trivia(text, end);
            text[comma..].starts_with(',').then_some(comma)
        };
        let own_comma = comma_after(end);
        let tail = own_comma.map_or(end, |c| c + 1);
        let eol = line_end(text, tail);
        let rest = text[tail..eol].trim_start_matches([' ', '\t']);
        let own_lines = first_on_line(text, start)
            && line_start(text, start) > open
            && eol < close
            && (rest.is_empty() || rest.starts_with('#'));
        if parent.child_count() == 1 {
            let around = format!("{}{}", &text[open + 1..start], &text[tail..close]);
            if text_is_blank(&around) {
                return vec![splice(open + 1..close, "")];
            }
            return if own_lines {
                vec![splice(line_start(text, start)..next_line(text, tail), "")]
            } else {
                vec![splice(start..tail, "")]
            };
        }
        if index + 1 < parent.child_count() {
            let (next, _) = bounds(index + 1);
            let to = if own_lines { next_line(text, tail) } else { next };
            if own_lines {
                return vec![splice(line_start(text, start)..to, "")];
            }
            // Comments between the two stay.
            let to = if text_is_blank(&text[tail..next]) { next } else { tail };
            return vec![splice(start..to, "")];
        }
        let (_, before_end) = bounds(index - 1);
        let before = comma_after(before_end).expect("a comma stands between two members");
        if own_comma.is_some() {
            if own_lines {
                return vec![splice(line_start(text, start)..next_line(text, tail), "")];
            }
            let from = if text_is_blank(&text[before + 1..start]) { before + 1 } else { start };
            return vec![splice(from..tail, "")];
        }
        let from = if text[..before].ends_with(' ') && text[..before_end].ends_with(':') { before - 1 } else { before };
        if own_lines {
            return vec![splice(from..before + 1, ""), splice(line_start(text, start)..next_line(text, tail), "")];
        }
        if text_is_blank(&text[before + 1..start]) {
            return vec![splice(from..end, "")];
        }
        let line = line_start(text, start);
        let cut = if first_on_line(text, start) && line > before { end_above(text, line) } else { start };
        vec![splice(from..before + 1, ""), splice(cut..end, "")]
    }
}

/// Whether a text is blanks and line breaks only.
fn text_is_blank(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_whitespace())
}

/// Whether a value ends with a `|+` scalar, to which the line breaks below belong.
fn keeps_blank_lines(node: &Node<'_>) -> bool {
    match &node.kind {
        Kind::Block { keep, .. } => *keep,
        Kind::Map(Form::Block, entries) => entries.last().is_some_and(|e| keeps_blank_lines(&e.value)),
        Kind::Seq(Form::Block, items) => items.last().is_some_and(keeps_blank_lines),
        _ => false,
    }
}

/// Whether the last of the nodes stands inside brackets.
fn in_flow(nodes: &[&Node<'_>]) -> bool {
    nodes[..nodes.len() - 1].iter().any(|n| matches!(n.kind, Kind::Map(Form::Flow | Form::Pair, _) | Kind::Seq(Form::Flow, _)))
}

/// The first byte of a list's element: of its dash, or of its anchor or tag.
fn item_start(item: &Node<'_>, block: bool) -> usize {
    if block { item.head - 1 } else { item.props.as_ref().map_or(item.start, |p| p.start.min(item.start)) }
}
