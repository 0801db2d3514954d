//! JSON, with or without comments and trailing commas.
//!
//! [`scan`] reads the whole text once and finds every error. After that, [`walk`] goes straight to a place, [`style`]
//! looks at its neighbourhood, [`print`] writes a value that fits in, and [`edit`] decides which bytes go and come.

mod edit;
mod print;
mod scan;
mod style;
mod walk;

use std::borrow::Cow;
use std::ops::Range;

use crate::document::Backend;
use crate::json::edit::{Removal, Spot, found, merge};
pub(crate) use crate::json::scan::is_number;
use crate::json::scan::{Scan, scan};
use crate::json::style::Habits;
use crate::json::walk::{Child, Container, DEEPEST, Walk};
use crate::{Laxness, Member, Node, Op, Path, Problem, ProblemKind, Splice, Step, Value};

/// A JSON document.
pub(crate) struct Json<'t> {
    text: &'t str,
    scan: Scan,
}

/// How far a path leads.
struct Way {
    /// The containers it leads through, outermost first.
    through: Vec<Container>,
    /// Which child it takes in each of them.
    turns: Vec<usize>,
    /// The last value it reaches.
    at: Range<usize>,
    /// How many of its steps lead nowhere.
    missing: usize,
}

impl Json<'_> {
    fn walk(&self) -> Walk<'_> {
        Walk { text: self.text, long: &self.scan.long }
    }

    fn problem(&self, offset: usize, kind: ProblemKind) -> Problem {
        Problem::at(self.text, offset, kind)
    }

    fn too_deep(&self, offset: usize) -> Problem {
        self.problem(offset, ProblemKind::Unsupported(format!("values nested more than {DEEPEST} levels deep are left alone")))
    }

    fn value(&self, start: usize) -> Result<Value, Problem> {
        self.walk().value(start).map_err(|offset| self.too_deep(offset))
    }

    fn not_container(&self, path: &[Step], at: usize, next: Option<&Step>) -> Problem {
        Problem::not_container(self.text, at, path, self.walk().kind(at), next)
    }

    /// Follows a path as far as it leads. `null` on the way counts as nothing.
    fn follow(&self, root: &Range<usize>, path: &Path) -> Result<Way, Problem> {
        let walk = self.walk();
        let mut way = Way { through: Vec::new(), turns: Vec::new(), at: root.clone(), missing: path.0.len() };
        for (i, step) in path.0.iter().enumerate() {
            let first = walk.byte(way.at.start);
            if first == Some(b'n') {
                break;
            }
            let bracket = match step {
                Step::Key(_) => b'{',
                Step::Item { .. } => b'[',
            };
            let Some(container) = walk.container(way.at.start).filter(|_| first == Some(bracket)) else {
                return Err(self.not_container(&path.0[..i], way.at.start, Some(step)));
            };
            let Some(turn) = self.turn(&container, step)? else { break };
            way.at = container.children[turn].value.clone();
            way.missing -= 1;
            way.through.push(container);
            way.turns.push(turn);
        }
        Ok(way)
    }

    /// Which child a step takes.
    fn turn(&self, container: &Container, step: &Step) -> Result<Option<usize>, Problem> {
        let walk = self.walk();
        let is_it = |child: &Child| match (step, &child.key) {
            (Step::Key(name), Some(key)) => Ok(walk.string(key) == name.as_str()),
            (Step::Item { field, value }, _) => Ok(self.name_of(child, field)?.is_some_and(|(name, _)| name == *value)),
            (Step::Key(_), None) => Ok(false),
        };
        let mut found = None;
        for (i, child) in container.children.iter().enumerate() {
            if is_it(child)? {
                if found.is_some() {
                    let (Step::Key(name) | Step::Item { value: name, .. }) = step;
                    return Err(self.problem(child.start(), ProblemKind::DuplicateKey(name.clone())));
                }
                found = Some(i);
            }
        }
        Ok(found)
    }

    /// What a list's element is called, and where that stands.
    fn name_of(&self, element: &Child, field: &str) -> Result<Option<(String, Range<usize>)>, Problem> {
        let walk = self.walk();
        if walk.byte(element.value.start) != Some(b'{') {
            return Ok(None);
        }
        let Some(object) = walk.container(element.value.start) else { return Ok(None) };
        let mut named = object.children.iter().filter(|c| c.key.as_ref().is_some_and(|key| walk.string(key) == field));
        let Some(first) = named.next() else { return Ok(None) };
        if let Some(second) = named.next() {
            return Err(self.problem(second.start(), ProblemKind::DuplicateKey(field.to_owned())));
        }
        let is_string = walk.byte(first.value.start) == Some(b'"');
        Ok(is_string.then(|| (walk.string(&first.value).into_owned(), first.value.clone())))
    }

    /// The keys of the object at `path`, in file order; `None` when there is no object.
    pub(crate) fn names(&self, path: &Path) -> Result<Option<Vec<Cow<'_, str>>>, Problem> {
        let walk = self.walk();
        let Some(root) = &self.scan.root else { return Ok(None) };
        let way = self.follow(root, path)?;
        let object = if way.missing > 0 { None } else { walk.container(way.at.start) };
        Ok(object.map(|object| object.children.into_iter().filter_map(|c| c.key).map(|key| walk.string(&key)).collect()))
    }

    fn set(&self, path: &Path, value: &Value) -> Result<Vec<Splice>, Problem> {
        print::check(value)?;
        let Some(root) = &self.scan.root else {
            if path.0.is_empty() && value.same(&Value::Object(Vec::new())) {
                return Ok(Vec::new());
            }
            if let Some(step @ Step::Item { .. }) = path.0.first() {
                return Err(Problem::not_container(self.text, self.text.len(), &[], "an object", Some(step)));
            }
            return Ok(found(self.text, &wrap(&path.0, value), path.0.len()));
        };
        let walk = self.walk();
        let way = self.follow(root, path)?;
        let nothing = Habits::default();
        if way.missing == 0 {
            return self.overwrite(&way, value);
        }
        let rest = &path.0[path.0.len() - way.missing..];
        let Some(container) = walk.container(way.at.start) else {
            // `null`, which a container takes the place of.
            let whole = wrap(rest, value);
            return Ok(match (way.through.split_last(), way.turns.last()) {
                (Some((container, around)), Some(&turn)) => {
                    Spot { walk, around, container, outer: &nothing }.replace(turn, &whole, way.missing)
                }
                _ => vec![Splice { range: way.at, text: print_root(self.text, &whole, way.missing) }],
            });
        };
        let spot = Spot { walk, around: &way.through, container: &container, outer: &nothing };
        let (key, whole) = match &rest[0] {
            Step::Key(key) => (Some(key.as_str()), wrap(&rest[1..], value)),
            item @ Step::Item { .. } => (None, wrap_item(item, &rest[1..], value)),
        };
        Ok(spot.insert(key, &whole, way.missing - 1))
    }

    /// Makes the value a path leads to mean something else.
    fn overwrite(&self, way: &Way, value: &Value) -> Result<Vec<Splice>, Problem> {
        let walk = self.walk();
        let start = way.at.start;
        let old = walk.value(start);
        if old.as_ref().is_ok_and(|old| old.same(value)) {
            return Ok(Vec::new());
        }
        // Of the line breaks, a root object may have the only one behind it.
        let nothing = Habits { newline: style::newline(self.text, start), ..Habits::default() };
        let last = way.through.split_last().zip(way.turns.last());
        if let (Some(b'{'), Value::Object(new)) = (walk.byte(start), value) {
            old.map_err(|offset| self.too_deep(offset))?;
            if let Some((offset, key)) = walk.duplicate(start) {
                return Err(self.problem(offset, ProblemKind::DuplicateKey(key)));
            }
            // An object of brackets only has no comment to lose and no habits to keep.
            if !walk.is_bare(start) {
                let outer = last.map_or(nothing, |((container, around), turn)| Habits::of(walk, around, container, Some(*turn)));
                return Ok(merge(walk, start, new, &outer));
            }
        }
        Ok(match last {
            Some(((container, around), turn)) => Spot { walk, around, container, outer: &nothing }.replace(*turn, value, 0),
            None => vec![Splice { range: way.at.clone(), text: print_root(self.text, value, 0) }],
        })
    }

    fn remove(&self, path: &Path, prune: usize) -> Result<Vec<Splice>, Problem> {
        let Some(root) = &self.scan.root else { return Ok(Vec::new()) };
        if path.0.is_empty() {
            let kind = ProblemKind::Unsupported("the document itself cannot be removed".to_owned());
            return Err(Problem { kind, place: None });
        }
        let walk = self.walk();
        let way = self.follow(root, path)?;
        if way.missing > 0 {
            return Ok(Vec::new());
        }
        let mut splices = Vec::new();
        for (container, &turn) in way.through.iter().zip(&way.turns).rev().take(prune.saturating_add(1)) {
            let removal = Removal::of(walk, container, turn);
            splices = removal.splices;
            if !removal.empties {
                break;
            }
        }
        Ok(splices)
    }
}

fn print_root(text: &str, value: &Value, made: usize) -> String {
    let habits = Habits { newline: style::newline(text, 0), ..Habits::default() };
    print::Layout { habits: &habits, flat: false, made }.value(value, "")
}

/// `value` inside the containers that `steps` ask for.
fn wrap(steps: &[Step], value: &Value) -> Value {
    match steps.split_first() {
        None => value.clone(),
        Some((Step::Key(key), rest)) => Value::object([(key.as_str(), wrap(rest, value))]),
        Some((item, rest)) => Value::Array(vec![wrap_item(item, rest, value)]),
    }
}

/// `value` inside a new element that answers to the step `item`.
fn wrap_item(item: &Step, rest: &[Step], value: &Value) -> Value {
    let mut made = wrap(rest, value);
    if let (Step::Item { field, value: name }, false, Value::Object(members)) = (item, rest.is_empty(), &mut made)
        && !members.iter().any(|(key, _)| key == field)
    {
        members.insert(0, (field.clone(), Value::from(name.as_str())));
    }
    made
}

impl<'t> Backend<'t> for Json<'t> {
    fn laxness(&self) -> Laxness {
        self.scan.lax
    }

    fn parse(text: &'t str) -> Result<Self, Problem> {
        Ok(Self { text, scan: scan(text)? })
    }

    fn get(&self, path: &Path) -> Result<Option<Node>, Problem> {
        let Some(root) = &self.scan.root else {
            let end = self.text.len();
            return Ok(path.0.is_empty().then(|| Node { span: end..end, value: Value::Object(Vec::new()) }));
        };
        let way = self.follow(root, path)?;
        if way.missing > 0 {
            return Ok(None);
        }
        Ok(Some(Node { value: self.value(way.at.start)?, span: way.at }))
    }

    fn members(&self, path: &Path, name_field: Option<&str>) -> Result<Option<Vec<Member>>, Problem> {
        let Some(root) = &self.scan.root else { return Ok(path.0.is_empty().then(Vec::new)) };
        let walk = self.walk();
        let way = self.follow(root, path)?;
        let first = walk.byte(way.at.start);
        if way.missing > 0 || first == Some(b'n') {
            return Ok(None);
        }
        let container = match (walk.container(way.at.start), first, name_field) {
            (Some(object), Some(b'{'), _) => object,
            (Some(list), _, Some(_)) => list,
            _ => return Err(self.not_container(&path.0, way.at.start, None)),
        };
        let mut members = Vec::new();
        for child in container.children {
            let named = match (&child.key, name_field) {
                (Some(key), _) => Some((walk.string(key).into_owned(), key.clone())),
                (None, Some(field)) => self.name_of(&child, field)?,
                (None, None) => None,
            };
            if let Some((name, name_span)) = named {
                let node = Node { value: self.value(child.value.start)?, span: child.value };
                members.push(Member { name, name_span, node });
            }
        }
        Ok(Some(members))
    }

    fn plan(&self, op: &Op) -> Result<Vec<Splice>, Problem> {
        match op {
            Op::Set { path, value } => self.set(path, value),
            Op::Remove { path, prune } => self.remove(path, *prune),
        }
    }
}
