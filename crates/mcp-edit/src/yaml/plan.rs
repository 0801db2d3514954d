//! From an operation to changes of single places.
//!
//! An object set over an object becomes one change per member that differs. Each change is planned on a text that has been
//! read afresh, so none needs to know about the others; the edits are then joined to one.

use super::lines::{column, line_end, line_start, with_comments};
use super::place::Placing;
use super::tree::{self, Form, Kind, Node};
use super::value::{Reading, Way};
use super::write;
use crate::{Edit, Op, Path, Problem, ProblemKind, Splice, Step, Value};

/// A change of one place, named by the children's numbers from the root on.
#[derive(Debug)]
enum Change {
    /// A new last child of this collection (or of the empty value there), with its key in a mapping.
    Insert(Vec<usize>, Option<String>, Value),
    /// Another value here.
    Replace(Vec<usize>, Value),
    /// Nothing here.
    Remove(Vec<usize>),
}

/// The splices that carry out `op`.
pub(super) fn plan(text: &str, reading: &Reading<'_, '_>, op: &Op) -> Result<Vec<Splice>, Problem> {
    let changes = match op {
        Op::Set { path, value } => set(text, reading, path, value)?,
        Op::Remove { path, prune } => remove(text, reading, path, *prune)?,
    };
    let mut done = Edit::default();
    for change in changes {
        let middle = done.apply(text);
        let tree = tree::read(&middle)?;
        let placing = Placing::new(&middle, &tree);
        let splices = match change {
            Change::Insert(way, key, value) => placing.insert(&way, key.as_deref(), &value)?,
            Change::Replace(way, value) => placing.replace(&way, &value)?,
            Change::Remove(way) => placing.remove(&way)?,
        };
        done = done.then(text, &Edit::new(splices));
    }
    Ok(done.splices().to_vec())
}

fn set(text: &str, reading: &Reading<'_, '_>, path: &Path, value: &Value) -> Result<Vec<Change>, Problem> {
    write::check(value, path.0.len())?;
    match reading.follow(path)? {
        Way::Found(way) => {
            let Some(node) = reading.at(&way) else { return fill(value) };
            if reading.value(node)?.same(value) {
                return Ok(Vec::new());
            }
            check_way(text, reading, &way)?;
            let mut diff = Diff { reading, changes: Vec::new(), gone: Vec::new() };
            diff.node(node, &mut way.clone(), value)?;
            // From the back, so that the numbers of what is still to go stay right.
            diff.gone.sort();
            diff.changes.extend(diff.gone.into_iter().rev().map(Change::Remove));
            Ok(diff.changes)
        }
        Way::Missing(way, taken) => {
            check_way(text, reading, &way)?;
            if let Some(node) = reading.at(&way) {
                reading.check_anchor(node)?;
            }
            let rest = Path(path.0[taken + 1..].to_vec());
            let (key, mut made) = match &path.0[taken] {
                Step::Key(key) => (Some(key.clone()), Value::Null),
                Step::Item { .. } if rest.0.is_empty() => (None, Value::Null),
                Step::Item { field, value } => (None, Value::object([(field.clone(), Value::from(value.as_str()))])),
            };
            let misfit = |sentence| Problem { kind: ProblemKind::Unsupported(sentence), place: None };
            Op::set(rest, value.clone()).apply_to(&mut made).map_err(misfit)?;
            write::check(&made, taken + 1)?;
            key.iter().try_for_each(|k| write::check_key(k))?;
            Ok(vec![Change::Insert(way, key, made)])
        }
    }
}

/// Gives a text that has none its content.
fn fill(value: &Value) -> Result<Vec<Change>, Problem> {
    let Some(members) = value.as_object() else {
        let sentence = format!("an empty document cannot become {}", value.kind());
        return Err(Problem { kind: ProblemKind::Unsupported(sentence), place: None });
    };
    Ok(members.iter().map(|(key, value)| Change::Insert(Vec::new(), Some(key.clone()), value.clone())).collect())
}

fn remove(text: &str, reading: &Reading<'_, '_>, path: &Path, mut prune: usize) -> Result<Vec<Change>, Problem> {
    let Way::Found(mut way) = reading.follow(path)? else { return Ok(Vec::new()) };
    if way.is_empty() {
        return Ok(Vec::new());
    }
    while prune > 0 && way.len() > 1 {
        let parent = reading.at(&way[..way.len() - 1]).expect("part of a way that was found");
        if parent.child_count() != 1 || holds_comment(text, parent) {
            break;
        }
        way.pop();
        prune -= 1;
    }
    check_way(text, reading, &way)?;
    reading.check_anchors_within(reading.at(&way).expect("part of a way that was found"))?;
    Ok(vec![Change::Remove(way)])
}

/// Whether a collection of one child holds comments that are not the child's.
fn holds_comment(text: &str, parent: &Node<'_>) -> bool {
    let child = parent.child(0);
    let (start, block) = match &parent.kind {
        Kind::Map(form, entries) => (entries[0].start, *form == Form::Block),
        Kind::Seq(form, _) => (if *form == Form::Block { child.head - 1 } else { child.start }, *form == Form::Block),
        _ => return false,
    };
    let (before, after) = if block {
        let line = line_start(text, parent.head.min(start));
        let indent = text[line..].len() - text[line..].trim_start_matches(' ').len();
        let last = with_comments(text, child.end, column(text, start));
        (line_end(text, parent.after_props()).min(start)..start, last..with_comments(text, last, indent))
    } else {
        (parent.start..start, line_end(text, child.end).min(parent.end)..parent.end)
    };
    text[before].contains('#') || text[after].contains('#')
}

/// Refuses a change below a value that is used elsewhere, or behind a key that is not written `key:`.
fn check_way(text: &str, reading: &Reading<'_, '_>, way: &[usize]) -> Result<(), Problem> {
    let Some(mut node) = reading.root else { return Ok(()) };
    for index in way {
        reading.check_anchor(node)?;
        if let Kind::Map(form, entries) = &node.kind {
            let entry = &entries[*index];
            reading.check_anchor(&entry.key)?;
            if entry.explicit || *form == Form::Pair || matches!(entry.key.kind, Kind::Alias(_)) {
                let kind = ProblemKind::Unsupported("this way of writing a key cannot be edited".into());
                return Err(Problem::at(text, entry.start, kind));
            }
        }
        node = node.child(*index);
    }
    Ok(())
}

struct Diff<'r, 'a, 't> {
    reading: &'r Reading<'a, 't>,
    changes: Vec<Change>,
    gone: Vec<Vec<usize>>,
}

impl Diff<'_, '_, '_> {
    fn node(&mut self, node: &Node<'_>, way: &mut Vec<usize>, value: &Value) -> Result<(), Problem> {
        if self.reading.value(node)?.same(value) {
            return Ok(());
        }
        self.reading.check_anchor(node)?;
        match (&node.kind, value) {
            (Kind::Map(form, entries), Value::Object(members)) if *form != Form::Pair && !members.is_empty() => {
                let names: Vec<_> = entries.iter().map(|e| self.reading.name(e)).collect();
                let plain = entries.iter().all(|e| !e.explicit && e.key.scalar().is_some());
                if entries.is_empty() || !plain || names.iter().enumerate().any(|(i, n)| names[..i].contains(n)) {
                    return self.whole(node, way, value);
                }
                for (i, entry) in entries.iter().enumerate() {
                    way.push(i);
                    match value.get(&names[i]) {
                        Some(wanted) => self.node(&entry.value, way, wanted)?,
                        None => self.gone(&[&entry.key, &entry.value], way)?,
                    }
                    way.pop();
                }
                for (key, member) in members.iter().filter(|(k, _)| !names.contains(k)) {
                    self.changes.push(Change::Insert(way.clone(), Some(key.clone()), member.clone()));
                }
                Ok(())
            }
            (Kind::Seq(_, items), Value::Array(wanted)) if !items.is_empty() && !wanted.is_empty() => {
                let mut first = 0;
                while first < items.len().min(wanted.len()) && self.reading.value(&items[first])?.same(&wanted[first]) {
                    first += 1;
                }
                let surplus = items.len().saturating_sub(wanted.len());
                for i in first..items.len() {
                    way.push(i);
                    if i < first + surplus {
                        self.gone(&[&items[i]], way)?;
                    } else {
                        self.node(&items[i], way, &wanted[i - surplus])?;
                    }
                    way.pop();
                }
                for value in wanted.iter().skip(items.len()) {
                    self.changes.push(Change::Insert(way.clone(), None, value.clone()));
                }
                Ok(())
            }
            _ => self.whole(node, way, value),
        }
    }

    fn whole(&mut self, node: &Node<'_>, way: &[usize], value: &Value) -> Result<(), Problem> {
        self.reading.check_anchors_within(node)?;
        self.changes.push(Change::Replace(way.to_vec(), value.clone()));
        Ok(())
    }

    fn gone(&mut self, nodes: &[&Node<'_>], way: &[usize]) -> Result<(), Problem> {
        nodes.iter().try_for_each(|n| self.reading.check_anchors_within(n))?;
        self.gone.push(way.to_vec());
        Ok(())
    }
}
