//! TOML: what a text says where ([`tree`], [`read`]), and the splices that change it.
//!
//! An operation is carried out in small steps. Each step looks at the text as it is by then, finds the first difference
//! to the goal and plans the splices that settle it; the steps are then joined into one edit. That way no step has to
//! foresee what another one does to a table that is spread over the file.

mod insert;
mod list;
mod read;
mod remove;
mod tree;
mod write;

use tree::{Id, Kind, ROOT, Seg, Tree};

use crate::document::Backend;
use crate::{Edit, Member, Node, Op, Path, Problem, ProblemKind, Splice, Step, Value};

/// A TOML document.
pub(crate) struct Toml<'t> {
    tree: Tree<'t>,
}

impl<'t> Backend<'t> for Toml<'t> {
    fn parse(text: &'t str) -> Result<Self, Problem> {
        read::check(text)?;
        Ok(Self { tree: read::read(text) })
    }

    fn get(&self, path: &Path) -> Result<Option<Node>, Problem> {
        Ok(self.tree.find(path)?.map(|id| self.node(id)))
    }

    fn members(&self, path: &Path, name_field: Option<&str>) -> Result<Option<Vec<Member>>, Problem> {
        let Some(id) = self.tree.find(path)? else { return Ok(None) };
        let children = self.tree.node(id).children.iter().copied();
        if self.tree.is_object(id) {
            let member = |child| {
                let key = self.tree.node(child).key.as_ref()?;
                Some(Member { name: key.name.clone(), name_span: key.span.clone(), node: self.node(child) })
            };
            return Ok(Some(children.filter_map(member).collect()));
        }
        if let (true, Some(field)) = (self.tree.is_list(id), name_field) {
            let member = |child| {
                let (name, name_span) = self.tree.named(child, field)?;
                Some(Member { name: name.to_owned(), name_span, node: self.node(child) })
            };
            return Ok(Some(children.filter_map(member).collect()));
        }
        Err(self.tree.no_container(id, &path.0, None))
    }

    fn plan(&self, op: &Op) -> Result<Vec<Splice>, Problem> {
        let edit = match op {
            Op::Set { path, value } => match Goal::of(&self.tree, path, value)? {
                Some(goal) => goal.reach(&self.tree, Edit::default())?,
                None => Edit::default(),
            },
            Op::Remove { path, prune } => remove_at(&self.tree, path, *prune)?,
        };
        if let (Some(offset), false) = (self.tree.astray, edit.is_empty()) {
            let sentence = "a dotted key may not lead into an array of tables; a file with one cannot be edited";
            return Err(Problem::at(self.tree.text, offset, ProblemKind::Unsupported(sentence.to_owned())));
        }
        Ok(keep_end(self.tree.text, edit).splices().to_vec())
    }
}

impl Toml<'_> {
    fn node(&self, id: Id) -> Node {
        Node { span: self.tree.node(id).span.clone(), value: self.tree.value(id) }
    }
}

/// A value that shall stand at a place.
struct Goal {
    segs: Vec<Seg>,
    value: Value,
    /// The value is a list that came to be because the path names an element of it: `[[x]]` if possible.
    as_tables: bool,
}

/// More steps than this mean that they lead nowhere.
const MAX_STEPS: usize = 100_000;

impl Goal {
    /// What [`Op::Set`] asks for, with containers that are missing made part of the value. None when it is so already.
    fn of(tree: &Tree<'_>, path: &Path, value: &Value) -> Result<Option<Self>, Problem> {
        let mut id = ROOT;
        for (i, step) in path.0.iter().enumerate() {
            let Some(child) = tree.step(id, path, i)? else {
                let mut segs = tree.segs(id);
                let as_tables = matches!(path.0.get(i + 1), Some(Step::Item { .. }));
                let (seg, rest) = match step {
                    Step::Key(key) => (Seg::Key(key.clone()), &path.0[i + 1..]),
                    Step::Item { .. } => (Seg::Index(tree.node(id).children.len()), &path.0[i..]),
                };
                segs.push(seg);
                let mut made = Value::Null;
                let op = Op::set(Path(rest.to_vec()), value.clone());
                op.apply_to(&mut made).map_err(|m| Problem { kind: ProblemKind::Unsupported(m), place: None })?;
                if let (Step::Item { .. }, Value::Array(items)) = (step, &mut made) {
                    made = items.pop().unwrap_or(Value::Null);
                }
                write::check(&made, segs.len())?;
                return Ok(Some(Self { segs, value: made, as_tables }));
            };
            id = child;
        }
        if tree.value(id).same(value) {
            return Ok(None);
        }
        write::check(value, path.0.len())?;
        Ok(Some(Self { segs: tree.segs(id), value: value.clone(), as_tables: false }))
    }

    /// The edit `done` and all that is still to be done after it.
    fn reach(&self, tree: &Tree<'_>, mut done: Edit) -> Result<Edit, Problem> {
        for _ in 0..MAX_STEPS {
            let text = done.apply(tree.text);
            let step = if done.is_empty() { self.next(tree)? } else { self.next(&read::read_again(tree, &text))? };
            match step {
                Some(splices) => done = done.then(tree.text, &Edit::new(splices)),
                None => return Ok(done),
            }
        }
        Err(Problem { kind: ProblemKind::Mismatch("the edit does not come to an end".to_owned()), place: None })
    }

    /// The splices that bring the text closer.
    fn next(&self, tree: &Tree<'_>) -> Result<Option<Vec<Splice>>, Problem> {
        let (id, depth) = tree.follow(&self.segs);
        let Some((first, rest)) = self.segs[depth..].split_first() else {
            return settle(tree, id, &self.value);
        };
        let wrap = |value, seg: &Seg| match seg {
            Seg::Key(key) => Value::Object(vec![(key.clone(), value)]),
            Seg::Index(_) => Value::Array(vec![value]),
        };
        let value = rest.iter().rev().fold(self.value.clone(), wrap);
        match first {
            Seg::Key(key) => Ok(Some(insert::member(tree, id, key, &value, self.as_tables && rest.is_empty()))),
            Seg::Index(_) => match insert::element(tree, id, &value) {
                Some(splices) => Ok(Some(splices)),
                None => Err(no_table(tree, id, &value)),
            },
        }
    }
}

fn no_table(tree: &Tree<'_>, id: Id, value: &Value) -> Problem {
    let sentence = format!("{} cannot be an element of an array of tables", value.kind());
    Problem::at(tree.text, tree.node(id).span.start, ProblemKind::Unsupported(sentence))
}

/// The splices for the first difference between what `id` means and `want`.
fn settle(tree: &Tree<'_>, id: Id, want: &Value) -> Result<Option<Vec<Splice>>, Problem> {
    if tree.value(id).same(want) {
        return Ok(None);
    }
    let node = tree.node(id);
    match (&node.kind, want) {
        (Kind::Inline(_) | Kind::Table { .. }, Value::Object(members)) => {
            let mut missing = None;
            for (key, value) in members {
                match tree.child(id, key) {
                    Some(child) => {
                        if let Some(splices) = settle(tree, child, value)? {
                            return Ok(Some(splices));
                        }
                    }
                    None => missing = missing.or(Some((key, value))),
                }
            }
            // What is new comes before what goes, so that a table does not vanish in between.
            if let Some((key, value)) = missing {
                return Ok(Some(insert::member(tree, id, key, value, false)));
            }
            let is_extra = |c: &&Id| tree.node(**c).key.as_ref().is_some_and(|k| want.get(&k.name).is_none());
            Ok(node.children.iter().find(is_extra).map(|extra| remove::node(tree, *extra)))
        }
        (Kind::Tables, Value::Array(items)) if !items.is_empty() && items.iter().all(|i| i.as_object().is_some()) => {
            for (child, item) in node.children.iter().zip(items) {
                if let Some(splices) = settle(tree, *child, item)? {
                    return Ok(Some(splices));
                }
            }
            match items.get(node.children.len()) {
                Some(item) => insert::element(tree, id, item).map(Some).ok_or_else(|| no_table(tree, id, item)),
                None => Ok(node.children.last().map(|last| remove::node(tree, *last))),
            }
        }
        (Kind::Table { .. }, _) if node.key.is_none() => Err(no_table(tree, node.parent, want)),
        (Kind::Table { .. } | Kind::Tables, _) => Ok(Some(remove::node(tree, id))),
        (Kind::Scalar(_) | Kind::Array(_) | Kind::Inline(_), _) => {
            let entry = tree.entries.iter().position(|e| e.leaf == id);
            Ok(Some(vec![Splice { range: node.span.clone(), text: write::inline(want, tree.equals(entry)) }]))
        }
    }
}

/// A text without final newline stays so, even if it was empty between two steps or blank lines come to be its last.
fn keep_end(old: &str, edit: Edit) -> Edit {
    let new = edit.apply(old);
    let was_open = !old.ends_with('\n') && !old.trim_start_matches('\u{feff}').is_empty();
    if !was_open || !new.ends_with('\n') {
        return edit;
    }
    let end = new.trim_end_matches(['\r', '\n']).len();
    edit.then(old, &Edit::new(vec![Splice { range: end..new.len(), text: String::new() }]))
}

/// The edit for [`Op::Remove`]. A container that is left empty and not pruned is written down where nothing else says
/// that it exists.
fn remove_at(tree: &Tree<'_>, path: &Path, prune: usize) -> Result<Edit, Problem> {
    let Some(target) = tree.find(path)? else { return Ok(Edit::default()) };
    let mut id = target;
    for _ in 0..prune {
        let parent = tree.node(id).parent;
        if parent == ROOT || tree.node(parent).children.len() > 1 {
            break;
        }
        id = parent;
    }
    if id == ROOT {
        return Ok(Edit::default());
    }
    let mut done = Edit::new(remove::pruned(tree, id, target));
    let parent = tree.node(id).parent;
    if let (Some(key), true) = (&tree.node(id).key, tree.is_object(parent)) {
        let segs = tree.segs(parent);
        loop {
            let text = done.apply(tree.text);
            let now = read::read_again(tree, &text);
            let (holder, depth) = now.follow(&segs);
            let Some(rest) = (depth == segs.len()).then(|| now.child(holder, &key.name)).flatten() else { break };
            done = done.then(tree.text, &Edit::new(remove::node(&now, rest)));
        }
    }
    let empty = if tree.is_list(parent) { Value::Array(Vec::new()) } else { Value::Object(Vec::new()) };
    let text = done.apply(tree.text);
    let segs = tree.segs(parent);
    let vanished = read::read(&text).follow(&segs).1 < segs.len();
    if vanished { Goal { segs, value: empty, as_tables: false }.reach(tree, done) } else { Ok(done) }
}
