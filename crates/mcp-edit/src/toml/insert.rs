//! New entries and tables, in the style of their neighbours.

use super::list;
use super::tree::{Home, Id, Kind, LineKind, ROOT, Tree};
use super::write;
use crate::{Splice, Value};

/// How an object is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    /// `[a.b]` and lines below.
    Header,
    /// `b = { … }`
    Inline,
    /// `b.x = …`
    Dotted,
}

fn shape_of(tree: &Tree<'_>, id: Id) -> Option<Shape> {
    match tree.node(id).kind {
        Kind::Inline(_) => Some(Shape::Inline),
        Kind::Table { .. } if tree.takes_headers(id) => Some(Shape::Header),
        Kind::Table { .. } => Some(Shape::Dotted),
        _ => None,
    }
}

/// The shape of the last object among `ids`, one with the key `name` going before all others.
fn common_shape(tree: &Tree<'_>, ids: impl Iterator<Item = Id>, name: &str) -> Option<Shape> {
    let objects: Vec<Id> = ids.filter(|id| tree.is_object(*id)).collect();
    let named = |id: &&Id| tree.node(**id).key.as_ref().is_some_and(|k| k.name == name);
    let model = objects.iter().rfind(named).or(objects.last())?;
    shape_of(tree, *model)
}

/// The members of the objects in `holder`, apart from those of `not`.
fn grandchildren<'a>(tree: &'a Tree<'_>, holder: Id, not: Option<Id>) -> impl Iterator<Item = Id> + 'a {
    let objects = tree.node(holder).children.iter().filter(move |c| tree.is_object(**c) && Some(**c) != not);
    objects.flat_map(|c| tree.node(*c).children.iter().copied())
}

/// How a new object with the key `name` is written in `parent`.
fn shape_for(tree: &Tree<'_>, parent: Id, name: &str) -> Shape {
    let mut above = parent;
    loop {
        if matches!(tree.node(above).kind, Kind::Inline(_)) {
            return Shape::Inline;
        }
        if above == ROOT {
            break;
        }
        above = tree.node(above).parent;
    }
    if parent == ROOT {
        return Shape::Header;
    }
    let headers = tree.takes_headers(parent);
    let holder = tree.node(parent).parent;
    let siblings = common_shape(tree, tree.node(parent).children.iter().copied(), name);
    // What other top-level tables hold says nothing about this one.
    let cousins = || (holder != ROOT).then(|| common_shape(tree, grandchildren(tree, holder, Some(parent)), name)).flatten();
    match siblings.or_else(cousins) {
        Some(Shape::Inline) => Shape::Inline,
        Some(Shape::Dotted) if body(tree, parent).is_some() => Shape::Dotted,
        _ if headers => Shape::Header,
        _ => Shape::Dotted,
    }
}

/// How objects inside a new object of `parent` are written.
fn nested_shape(tree: &Tree<'_>, parent: Id, name: &str, outer: Shape) -> Shape {
    if parent == ROOT {
        return outer;
    }
    match common_shape(tree, grandchildren(tree, parent, None), name) {
        Some(Shape::Header) if outer != Shape::Header => outer,
        Some(shape) => shape,
        None => outer,
    }
}

/// The member `name`, which `parent` does not have. `as_tables`: a list of objects is to be `[[name]]` if it can be.
pub(super) fn member(tree: &Tree<'_>, parent: Id, name: &str, value: &Value, as_tables: bool) -> Vec<Splice> {
    match value {
        Value::Object(members) => match shape_for(tree, parent, name) {
            Shape::Header => tables(tree, parent, parent, Some(name), &[members], false),
            Shape::Inline => entries(tree, parent, &[(write::key(name), value)]),
            Shape::Dotted => {
                let mut flat = Vec::new();
                let nested = |key: &str| nested_shape(tree, parent, key, Shape::Dotted);
                flatten(&mut flat, &write::key(name), value, &nested);
                entries(tree, parent, &flat)
            }
        },
        Value::Array(items) if as_tables && tree.takes_headers(parent) => {
            let objects: Option<Vec<_>> = items.iter().map(Value::as_object).collect();
            match objects {
                Some(objects) if !objects.is_empty() => tables(tree, parent, parent, Some(name), &objects, true),
                _ => entries(tree, parent, &[(write::key(name), value)]),
            }
        }
        _ => entries(tree, parent, &[(write::key(name), value)]),
    }
}

/// One more element of a list. None when it is written `[[x]]` and the element is no object.
pub(super) fn element(tree: &Tree<'_>, list: Id, value: &Value) -> Option<Vec<Splice>> {
    match &tree.node(list).kind {
        Kind::Array(inside) => {
            let equals = tree.equals(tree.entries.iter().rposition(|e| tree.within(e.leaf, list)));
            Some(list::push(tree, inside, false, &write::inline(value, equals)))
        }
        _ => Some(tables(tree, list, list, None, &[value.as_object()?], true)),
    }
}

fn flatten<'v>(flat: &mut Vec<(String, &'v Value)>, key: &str, value: &'v Value, nested: &dyn Fn(&str) -> Shape) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let key = format!("{key}.{}", write::key(name));
                if value.as_object().is_some() && nested(name) != Shape::Dotted {
                    flat.push((key, value));
                } else {
                    flatten(flat, &key, value, nested);
                }
            }
        }
        _ => flat.push((key.to_owned(), value)),
    }
}

/// Where lines for a table's own entries go.
enum Body {
    /// Between brackets of this inline table.
    Braces(Id),
    /// Before this line.
    Line { at: usize, indent: String, blank_after: bool },
}

/// The place for entries of `table`, the entry they take their style from, and what goes before their keys. None when
/// the table only exists because headers name what is below it.
fn body(tree: &Tree<'_>, table: Id) -> Option<(Body, Option<usize>, String)> {
    let node = tree.node(table);
    let within = || tree.entries.iter().rposition(|e| tree.within(e.leaf, table));
    match node.kind {
        Kind::Inline(_) => Some((Body::Braces(table), within(), String::new())),
        Kind::Table { block: Some(block) } => {
            let own = tree.last_own_line(block);
            let model = match own.map(|l| tree.lines[l].kind) {
                Some(LineKind::Entry(entry)) => Some(entry),
                _ => tree.entries.len().checked_sub(1),
            };
            let body = match own {
                Some(line) => Body::Line { at: line + 1, indent: tree.indent(line).to_owned(), blank_after: false },
                None if tree.blocks.len() > 1 => {
                    Body::Line { at: tree.lead(tree.blocks[1].lines.start), indent: String::new(), blank_after: true }
                }
                None => {
                    let at = behind_text(tree);
                    Body::Line { at, indent: String::new(), blank_after: at == 0 && !tree.lines.is_empty() }
                }
            };
            Some((body, model, String::new()))
        }
        Kind::Table { block: None } => {
            let (entry, index) = node.via?;
            let keys = &tree.entries[entry].keys;
            let prefix = format!("{}.", &tree.text[keys[0].span.start..keys[index].span.end]);
            let body = match tree.entries[entry].home {
                Home::Item(holder, _) => Body::Braces(holder),
                Home::Line(line) => Body::Line { at: line + 1, indent: tree.indent(line).to_owned(), blank_after: false },
            };
            Some((body, Some(entry), prefix))
        }
        _ => None,
    }
}

/// The index behind the last line that is not blank.
fn behind_text(tree: &Tree<'_>) -> usize {
    tree.lines.iter().rposition(|l| l.kind != LineKind::Blank).map_or(0, |l| l + 1)
}

/// `key = value` in a table's own body.
fn entries(tree: &Tree<'_>, table: Id, entries: &[(String, &Value)]) -> Vec<Splice> {
    let Some((body, model, prefix)) = body(tree, table) else {
        let header = format!("[{}]", write::keys(tree.names(table)));
        let equals = tree.equals(tree.entries.len().checked_sub(1));
        let mut lines = vec![header];
        lines.extend(entries.iter().map(|(key, value)| format!("{key}{equals}{}", write::inline(value, equals))));
        let first = tree.blocks_in(table).next().map_or(tree.lines.len(), |b| tree.lead(tree.blocks[b].lines.start));
        if spaced(tree, table) {
            lines.push(String::new());
        }
        return vec![put(tree, first, &lines)];
    };
    let equals = tree.equals(model);
    let texts = entries.iter().map(|(key, value)| format!("{prefix}{key}{equals}{}", write::inline(value, equals)));
    match body {
        Body::Braces(holder) => {
            let Kind::Inline(inside) = &tree.node(holder).kind else { return Vec::new() };
            list::push(tree, inside, true, &texts.collect::<Vec<_>>().join(", "))
        }
        Body::Line { at, indent, blank_after } => {
            let mut lines: Vec<_> = texts.map(|t| format!("{indent}{t}")).collect();
            if blank_after {
                lines.push(String::new());
            }
            vec![put(tree, at, &lines)]
        }
    }
}

/// Lines before the line with this index. At the end of a text without final newline there will be none either.
fn put(tree: &Tree<'_>, at: usize, lines: &[String]) -> Splice {
    let newline = tree.newline;
    let mut text: String = lines.iter().flat_map(|line| [line.as_str(), newline]).collect();
    let offset = tree.lines.get(at).map_or(tree.text.len(), |l| l.range.start);
    if at == tree.lines.len() && at > 0 && !tree.text.ends_with('\n') {
        text.truncate(text.len() - newline.len());
        text.insert_str(0, newline);
    }
    Splice { range: offset..offset, text }
}

/// Whether a blank line stands before the header of a block and its comment; none for the first thing in a file.
fn is_spaced(tree: &Tree<'_>, block: usize) -> Option<bool> {
    let lead = (block > 0).then(|| tree.lead(tree.blocks[block].lines.start))?;
    Some(tree.is_blank(lead.checked_sub(1)?))
}

/// Whether tables in `holder` have a blank line before them; else those below it; else any.
fn spaced(tree: &Tree<'_>, holder: Id) -> bool {
    let child = |b: &usize| tree.node(tree.blocks[*b].table).parent == holder;
    let last = |blocks: &mut dyn DoubleEndedIterator<Item = usize>| blocks.rev().find_map(|b| is_spaced(tree, b));
    last(&mut tree.blocks_in(holder).filter(child))
        .or_else(|| last(&mut tree.blocks_in(holder)))
        .or_else(|| last(&mut (0..tree.blocks.len())))
        .unwrap_or(true)
}

/// What new tables take over from their neighbours.
struct Look<'t> {
    header_indent: &'t str,
    key_indent: &'t str,
    equals: &'static str,
    /// A blank line before a sub-table.
    spaced: bool,
}

fn look<'t>(tree: &'t Tree<'_>, holder: Id, spaced: bool) -> Look<'t> {
    let below = |b: &usize| {
        let table = tree.blocks[*b].table;
        table != holder && tree.node(table).parent != holder
    };
    let blocks: Vec<usize> = tree.blocks_in(holder).filter(|b| *b > 0).collect();
    let entry = tree.entries.iter().rposition(|e| tree.within(e.leaf, holder) && matches!(e.home, Home::Line(_)));
    let entry_indent = entry.and_then(|e| match tree.entries[e].home {
        Home::Line(line) if holder != ROOT => Some(tree.indent(line)),
        _ => None,
    });
    let subs = if holder == ROOT { None } else { blocks.iter().rev().filter(|b| below(b)).find_map(|b| is_spaced(tree, *b)) };
    Look {
        header_indent: blocks.last().filter(|_| holder != ROOT).map_or("", |b| tree.indent(tree.blocks[*b].lines.start)),
        key_indent: entry_indent.unwrap_or_default(),
        equals: tree.equals(entry.or(tree.entries.len().checked_sub(1))),
        spaced: subs.unwrap_or(spaced),
    }
}

/// `[holder.name]` or `[[…]]` for each of `objects`, behind everything that belongs to `after`.
fn tables(tree: &Tree<'_>, holder: Id, after: Id, name: Option<&str>, objects: &[&[(String, Value)]], list: bool) -> Vec<Splice> {
    let spaced = spaced(tree, holder);
    let look = look(tree, holder, spaced);
    let mut path = tree.names(holder);
    path.extend(name.map(str::to_owned));
    let mut lines: Vec<String> = Vec::new();
    for members in objects {
        if spaced && !lines.is_empty() {
            lines.push(String::new());
        }
        let nested = |key: &str| nested_shape(tree, holder, key, Shape::Header);
        table_lines(&mut lines, &path, members, list, &look, &nested);
    }
    let at = match tree.blocks_in(after).next_back() {
        Some(block) if after != ROOT => tree.block_end(block),
        _ => behind_text(tree),
    };
    if at > 0 && spaced {
        lines.insert(0, String::new());
    }
    if at == 0 && !tree.lines.is_empty() {
        lines.push(String::new());
    }
    vec![put(tree, at, &lines)]
}

fn table_lines(
    lines: &mut Vec<String>,
    path: &[String],
    members: &[(String, Value)],
    list: bool,
    look: &Look<'_>,
    nested: &dyn Fn(&str) -> Shape,
) {
    let is_table = |(key, value): &(String, Value)| value.as_object().is_some() && nested(key) == Shape::Header;
    let (subs, own): (Vec<_>, Vec<_>) = members.iter().partition(|m| is_table(m));
    if list || !own.is_empty() || subs.is_empty() {
        let name = write::keys(path);
        lines.push(format!("{}{}", look.header_indent, if list { format!("[[{name}]]") } else { format!("[{name}]") }));
        for (key, value) in own {
            let mut flat = Vec::new();
            if nested(key) == Shape::Dotted {
                flatten(&mut flat, &write::key(key), value, nested);
            } else {
                flat.push((write::key(key), value));
            }
            let entry = |(key, value)| format!("{}{key}{}{}", look.key_indent, look.equals, write::inline(value, look.equals));
            lines.extend(flat.into_iter().map(entry));
        }
    }
    for (key, value) in subs {
        if look.spaced && lines.last().is_some_and(|l| !l.is_empty()) {
            lines.push(String::new());
        }
        let mut path = path.to_vec();
        path.push(key.clone());
        let shape = nested(key);
        table_lines(lines, &path, value.as_object().unwrap_or_default(), false, look, &|_| shape);
    }
}
