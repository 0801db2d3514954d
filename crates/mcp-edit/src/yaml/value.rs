//! From the tree to what it means, and the way down a path.

use std::collections::HashMap;

use super::scalar::{is_number, resolve};
use super::tree::{Entry, Kind, MAX_DEPTH, Node, Tree};
use crate::{Path, Problem, ProblemKind, Step, Value};

/// Aliases may not multiply a document to more values than this.
const MAX_EXPANDED: usize = 100_000;

/// The tree with its anchors found.
pub(super) struct Reading<'a, 't> {
    text: &'t str,
    /// The value of the document.
    pub root: Option<&'a Node<'t>>,
    anchors: HashMap<usize, &'a Node<'t>>,
    aliases: Vec<(usize, usize)>,
}

/// How far a path leads: the children's numbers from the root on.
#[derive(Debug)]
pub(super) enum Way {
    /// To its end.
    Found(Vec<usize>),
    /// Into this container, which lacks the next step. The number counts the steps that were found.
    Missing(Vec<usize>, usize),
}

impl<'a, 't> Reading<'a, 't> {
    pub(super) fn new(text: &'t str, tree: &'a Tree<'t>) -> Self {
        let mut reading = Self { text, root: tree.root.as_ref(), anchors: HashMap::new(), aliases: Vec::new() };
        let mut todo: Vec<&'a Node<'t>> = tree.root.iter().collect();
        while let Some(node) = todo.pop() {
            if let Some((id, _)) = node.anchor {
                reading.anchors.insert(id, node);
            }
            match &node.kind {
                Kind::Alias(id) => reading.aliases.push((*id, node.start)),
                Kind::Map(_, entries) => todo.extend(entries.iter().flat_map(|e| [&e.key, &e.value])),
                Kind::Seq(_, items) => todo.extend(items),
                _ => {}
            }
        }
        reading
    }

    /// What a node means. A merge key stays a member named `<<`.
    pub(super) fn value(&self, node: &Node<'_>) -> Result<Value, Problem> {
        self.expand(node, 0, &mut 0, false)
    }

    fn expand(&self, node: &Node<'_>, depth: usize, count: &mut usize, aliased: bool) -> Result<Value, Problem> {
        let unsupported = |sentence: &str| Problem::at(self.text, node.start, ProblemKind::Unsupported(sentence.into()));
        *count += usize::from(aliased);
        if *count > MAX_EXPANDED {
            return Err(unsupported("aliases here expand to more values than any configuration needs"));
        }
        if depth > MAX_DEPTH {
            return Err(unsupported("values nested too deeply, counting what aliases stand for"));
        }
        Ok(match &node.kind {
            Kind::Plain(text) => match node.tag.as_deref() {
                None => resolve(text),
                Some(tag) => tagged(tag, text),
            },
            Kind::Quoted(text, _) | Kind::Block { text, .. } => match node.tag.as_deref() {
                None => Value::String(text.to_string()),
                Some(tag) => tagged(tag, text),
            },
            Kind::Alias(id) => {
                let target = self.anchors.get(id).ok_or_else(|| unsupported("an alias of something that cannot be found"))?;
                self.expand(target, depth + 1, count, true)?
            }
            Kind::Seq(_, items) => {
                Value::Array(items.iter().map(|n| self.expand(n, depth + 1, count, aliased)).collect::<Result<_, _>>()?)
            }
            Kind::Map(_, entries) => Value::Object(
                entries.iter().map(|e| Ok((self.name(e), self.expand(&e.value, depth + 1, count, aliased)?))).collect::<Result<
                    _,
                    Problem,
                >>(
                )?,
            ),
        })
    }

    /// The name of an entry; a key that is no scalar is named by its source text, so that two of them stay two.
    pub(super) fn name(&self, entry: &Entry<'_>) -> String {
        if let Some(name) = entry.key.scalar() {
            return name.to_owned();
        }
        if let Kind::Alias(id) = entry.key.kind
            && let Some(name) = self.anchors.get(&id).and_then(|n| n.scalar())
        {
            return name.to_owned();
        }
        format!("? {}", &self.text[entry.key.start..entry.key.end])
    }

    /// The node at the end of a way.
    pub(super) fn at(&self, way: &[usize]) -> Option<&'a Node<'t>> {
        let mut node = self.root?;
        for index in way {
            node = node.child(*index);
        }
        Some(node)
    }

    /// Follows a path as far as it leads.
    pub(super) fn follow(&self, path: &Path) -> Result<Way, Problem> {
        let mut way = Vec::new();
        let Some(mut node) = self.root else {
            return match path.0.first() {
                None => Ok(Way::Found(way)),
                Some(Step::Key(_)) => Ok(Way::Missing(way, 0)),
                step @ Some(Step::Item { .. }) => Err(Problem::not_container(self.text, self.text.len(), &[], "an object", step)),
            };
        };
        for (taken, step) in path.0.iter().enumerate() {
            let here = || Path(path.0[..taken].to_vec()).to_string();
            let found = match (&node.kind, step) {
                (Kind::Alias(_), _) => return Err(self.alias(node.start, here())),
                (Kind::Map(_, entries), Step::Key(key)) => self.find_key(entries, key, || path_to(path, taken))?,
                (Kind::Seq(_, items), Step::Item { field, value }) => {
                    self.find_item(items, field, value, || path_to(path, taken))?
                }
                _ if self.value(node)? == Value::Null => None,
                _ => {
                    let found = self.value(node)?.kind();
                    return Err(Problem::not_container(self.text, node.start, &path.0[..taken], found, Some(step)));
                }
            };
            let Some(index) = found else { return Ok(Way::Missing(way, taken)) };
            way.push(index);
            node = node.child(index);
        }
        Ok(Way::Found(way))
    }

    fn find_key(&self, entries: &[Entry<'_>], key: &str, here: impl Fn() -> String) -> Result<Option<usize>, Problem> {
        let mut found = None;
        for (i, entry) in entries.iter().enumerate() {
            if self.name(entry) == key {
                if found.is_some() {
                    return Err(Problem::at(self.text, entry.key.start, ProblemKind::DuplicateKey(key.to_owned())));
                }
                found = Some(i);
            }
        }
        if found.is_none() {
            for entry in entries.iter().filter(|e| is_merge(e)) {
                let merged = self.value(&entry.value)?;
                let holds = match &merged {
                    Value::Array(all) => all.iter().any(|v| v.get(key).is_some()),
                    other => other.get(key).is_some(),
                };
                if holds {
                    return Err(self.alias(entry.key.start, here()));
                }
            }
        }
        Ok(found)
    }

    fn find_item(
        &self,
        items: &[Node<'_>],
        field: &str,
        name: &str,
        here: impl Fn() -> String,
    ) -> Result<Option<usize>, Problem> {
        let mut found = None;
        for (i, item) in items.iter().enumerate() {
            if self.named(item, field)?.as_deref() == Some(name) {
                if matches!(item.kind, Kind::Alias(_)) {
                    return Err(self.alias(item.start, here()));
                }
                if found.is_some() {
                    return Err(Problem::at(self.text, item.start, ProblemKind::DuplicateKey(name.to_owned())));
                }
                found = Some(i);
            }
        }
        Ok(found)
    }

    /// The string that names an element of a list.
    fn named(&self, item: &Node<'_>, field: &str) -> Result<Option<String>, Problem> {
        Ok(self.naming(item, field)?.map(|(name, _)| name))
    }

    /// The string that names an element of a list, and its place.
    pub(super) fn naming(&self, item: &Node<'_>, field: &str) -> Result<Option<(String, std::ops::Range<usize>)>, Problem> {
        let place = match item.kind {
            Kind::Alias(_) => Some(item.start..item.end),
            _ => None,
        };
        let target = match item.kind {
            Kind::Alias(id) => self.anchors.get(&id).copied(),
            _ => None,
        };
        let Kind::Map(_, entries) = &target.unwrap_or(item).kind else { return Ok(None) };
        let Some(entry) = entries.iter().find(|e| e.key.scalar() == Some(field)) else { return Ok(None) };
        Ok(match self.value(&entry.value)? {
            Value::String(name) => Some((name, place.unwrap_or(entry.value.start..entry.value.end))),
            _ => None,
        })
    }

    fn alias(&self, at: usize, name: String) -> Problem {
        Problem::at(self.text, at, ProblemKind::Alias(name))
    }

    /// Refuses a change at `node` when what it means is used elsewhere through its anchor.
    pub(super) fn check_anchor(&self, node: &Node<'_>) -> Result<(), Problem> {
        match &node.anchor {
            Some((id, name)) if self.aliases.iter().any(|(a, _)| a == id) => {
                let at = node.props.as_ref().map_or(node.start, |p| p.start);
                Err(self.alias(at, format!("*{name}")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses to take away `gone` when something in it is used from outside.
    pub(super) fn check_anchors_within(&self, node: &Node<'_>) -> Result<(), Problem> {
        let range = node.props.as_ref().map_or(node.start, |p| p.start)..node.end;
        let mut todo = vec![node];
        while let Some(node) = todo.pop() {
            if let Some((id, name)) = &node.anchor
                && self.aliases.iter().any(|(a, at)| a == id && !range.contains(at))
            {
                let at = node.props.as_ref().map_or(node.start, |p| p.start);
                return Err(self.alias(at, format!("*{name}")));
            }
            match &node.kind {
                Kind::Map(_, entries) => todo.extend(entries.iter().flat_map(|e| [&e.key, &e.value])),
                Kind::Seq(_, items) => todo.extend(items),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether an entry is `<<: …`.
pub(super) fn is_merge(entry: &Entry<'_>) -> bool {
    matches!(&entry.key.kind, Kind::Plain(key) if key == "<<")
}

/// The path as far as the step being taken.
fn path_to(path: &Path, taken: usize) -> String {
    Path(path.0[..=taken].to_vec()).to_string()
}

/// A scalar with an explicit tag. A tag that is not one of the core schema's says nothing we could use, so its text stays
/// text.
fn tagged(tag: &str, text: &str) -> Value {
    match tag.strip_prefix("tag:yaml.org,2002:") {
        Some("null") => Value::Null,
        Some("bool") => match resolve(text) {
            truth @ Value::Bool(_) => truth,
            _ => Value::from(text),
        },
        Some("int" | "float") if is_number(text) => Value::Number(text.into()),
        _ => Value::from(text),
    }
}
