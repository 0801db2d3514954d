//! A parsed document of any format: questions about it, and edits of it.

use std::ops::Range;

use crate::{Edit, Op, Path, Problem, ProblemKind, Splice, Step, Value, json, problem, toml, yaml};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JSON. Comments and trailing commas are read and kept, and never written into a file that had none.
    Json,
    /// TOML 1.0.
    Toml,
    /// YAML 1.2, one document.
    Yaml,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Byte range of the value in the text. Of a TOML table that is written in several places, the first header.
    pub span: Range<usize>,
    /// What it means.
    pub value: Value,
}

/// One member of an object, or one named element of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its key, or the string that names it.
    pub name: String,
    /// Byte range of the key (or of the naming string): where an error points to.
    pub name_span: Range<usize>,
    /// The value.
    pub node: Node,
}

/// Where a JSON document is more than strict JSON: byte offsets of the first of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Laxness {
    /// A comment.
    pub comment: Option<usize>,
    /// A comma before a closing bracket.
    pub trailing_comma: Option<usize>,
}

/// What each format's module does. Paths given are never empty for `plan`.
pub(crate) trait Backend<'t>: Sized {
    /// Reads the whole text, so that every syntax error is found here.
    fn parse(text: &'t str) -> Result<Self, Problem>;
    /// The value at a path. `Ok(None)` when it is not there; an error when the way leads through a duplicate key, an
    /// alias or something that is no container.
    fn get(&self, path: &Path) -> Result<Option<Node>, Problem>;
    /// The members of the object at a path, in file order. For a list, `name_field` says which member names an element,
    /// and elements without it are left out. A key that stands twice is listed twice.
    fn members(&self, path: &Path, name_field: Option<&str>) -> Result<Option<Vec<Member>>, Problem>;
    /// What a strict reader would refuse.
    fn laxness(&self) -> Laxness {
        Laxness::default()
    }
    /// The splices for one operation; none when nothing changes.
    fn plan(&self, op: &Op) -> Result<Vec<Splice>, Problem>;
}

enum Parsed<'t> {
    Json(json::Json<'t>),
    Toml(toml::Toml<'t>),
    Yaml(yaml::Yaml<'t>),
}

/// A document that parses.
pub struct Document<'t> {
    text: &'t str,
    parsed: Parsed<'t>,
}

macro_rules! backend {
    ($self:ident, $b:ident => $call:expr) => {
        match &$self.parsed {
            Parsed::Json($b) => $call,
            Parsed::Toml($b) => $call,
            Parsed::Yaml($b) => $call,
        }
    };
}

impl<'t> Document<'t> {
    /// Reads `text`, which may start with a byte order mark. Text without any value (empty, or comments only) is an
    /// empty object.
    pub fn parse(text: &'t str, format: Format) -> Result<Self, Problem> {
        let parsed = match format {
            Format::Json => json::Json::parse(text).map(Parsed::Json),
            Format::Toml => toml::Toml::parse(text).map(Parsed::Toml),
            Format::Yaml => yaml::Yaml::parse(text).map(Parsed::Yaml),
        };
        match parsed {
            Ok(parsed) => Ok(Self { text, parsed }),
            Err(problem) => match problem::conflict_marker(text) {
                Some(offset) => Err(Problem::at(text, offset, ProblemKind::ConflictMarkers)),
                None => Err(problem),
            },
        }
    }

    /// The text this was read from.
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// The format this was read as.
    pub fn format(&self) -> Format {
        match self.parsed {
            Parsed::Json(_) => Format::Json,
            Parsed::Toml(_) => Format::Toml,
            Parsed::Yaml(_) => Format::Yaml,
        }
    }

    /// What a strict JSON reader would refuse; nothing for the other formats.
    pub fn laxness(&self) -> Laxness {
        backend!(self, b => b.laxness())
    }

    /// The value at `path`; `None` when it is not there.
    pub fn get(&self, path: &Path) -> Result<Option<Node>, Problem> {
        backend!(self, b => b.get(path))
    }

    /// The members of the object at `path`, or the elements of the list there that `name_field` names; `None` when
    /// nothing is there.
    pub fn members(&self, path: &Path, name_field: Option<&str>) -> Result<Option<Vec<Member>>, Problem> {
        backend!(self, b => b.members(path, name_field))
    }

    /// One edit that carries out `ops` in order. The result has been read back and holds what was asked for.
    pub fn plan(&self, ops: &[Op]) -> Result<Edit, Problem> {
        self.plan_and(ops, |_| ()).map(|(edit, ..)| edit)
    }

    /// [`Document::plan`], the edited text (`None`: nothing changes), and what `look` sees in it: both are at hand here,
    /// and making or reading a large text again takes time.
    pub fn plan_and<R>(&self, ops: &[Op], look: impl FnOnce(&Document<'_>) -> R) -> Result<(Edit, Option<String>, R), Problem> {
        let mut done = Edit::default();
        for op in ops {
            op.check_names().map_err(|sentence| Problem { kind: ProblemKind::Unsupported(sentence), place: None })?;
            let step = if done.is_empty() {
                backend!(self, b => b.plan(op))?
            } else {
                let middle = done.apply(self.text);
                let document = Document::parse(&middle, self.format()).map_err(|p| mismatch(&p))?;
                backend!(document, b => b.plan(op))?
            };
            done = done.then(self.text, &Edit::new(step));
        }
        if done.is_empty() {
            return Ok((done, None, look(self)));
        }
        let after = done.apply(self.text);
        let document = Document::parse(&after, self.format()).map_err(|p| mismatch(&p))?;
        self.verify(&document, ops)?;
        let seen = look(&document);
        Ok((done, Some(after), seen))
    }

    /// Reads the edited text back. Every operation's value must be there (or gone), and for TOML and YAML, whose
    /// grammars have action at a distance, the whole document must mean what it meant before plus the operations. JSON
    /// has none, and its files may be large, so there the siblings on the way are compared by name only.
    fn verify(&self, document: &Document<'_>, ops: &[Op]) -> Result<(), Problem> {
        if self.format() != Format::Json {
            let root =
                |d: &Document<'_>| Ok::<_, Problem>(d.get(&Path::default())?.map_or(Value::Object(Vec::new()), |n| n.value));
            let mut wanted = vec![root(self)?];
            for op in ops {
                wanted = outcomes(&wanted, op).map_err(|m| mismatch(&m))?;
            }
            let have = root(document)?;
            return if wanted.iter().any(|want| have.same(want)) { Ok(()) } else { Err(mismatch(&"another value changed")) };
        }
        for (i, op) in ops.iter().enumerate() {
            if ops[i + 1..]
                .iter()
                .any(|later| later.path().0.starts_with(&op.path().0) || op.path().0.starts_with(&later.path().0))
            {
                continue; // what a later operation made of it is checked there
            }
            let have = document.get(op.path()).map_err(|p| mismatch(&p))?;
            let good = match op {
                Op::Set { value, .. } => have.is_some_and(|n| n.value.same(value)),
                Op::Remove { .. } => have.is_none(),
            };
            if !good {
                return Err(mismatch(&op.path()));
            }
        }
        if let (Parsed::Json(before), Parsed::Json(after)) = (&self.parsed, &document.parsed) {
            for op in ops {
                same_neighbours(before, after, op.path(), ops)?;
            }
        }
        Ok(())
    }
}

/// What each of these may mean after `op`: a removal may prune less than it was allowed to, to spare a comment.
fn outcomes(before: &[Value], op: &Op) -> Result<Vec<Value>, String> {
    let mut after: Vec<Value> = Vec::new();
    for value in before {
        for prune in 0..=if let Op::Remove { prune, .. } = op { *prune } else { 0 } {
            let op = match op {
                Op::Remove { path, .. } => Op::Remove { path: path.clone(), prune },
                Op::Set { .. } => op.clone(),
            };
            let mut value = value.clone();
            op.apply_to(&mut value)?;
            if !after.contains(&value) {
                after.push(value);
            }
        }
    }
    Ok(after)
}

/// Every object on the way to `path` has the keys it had, but for those the operations are about.
fn same_neighbours(before: &json::Json<'_>, after: &json::Json<'_>, path: &Path, ops: &[Op]) -> Result<(), Problem> {
    let mut object = path.clone();
    while object.0.pop().is_some() {
        let level = object.0.len();
        let within = || ops.iter().filter(|op| op.path().0.starts_with(&object.0));
        if ops.iter().any(|op| object.0.starts_with(&op.path().0)) {
            continue; // replaced as a whole, or inside what was
        }
        if object.0.iter().any(|step| matches!(step, Step::Item { .. })) {
            continue; // the operation may have taken away the name that leads there
        }
        let ours = |name: &str| within().any(|op| matches!(&op.path().0[level], Step::Key(key) if key == name));
        let theirs = |names: Vec<std::borrow::Cow<'_, str>>| {
            names.into_iter().filter(|name| !ours(name)).map(std::borrow::Cow::into_owned).collect::<Vec<String>>()
        };
        let Some(old) = before.names(&object)? else { continue };
        if theirs(old) != theirs(after.names(&object)?.unwrap_or_default()) {
            return Err(mismatch(&object));
        }
    }
    Ok(())
}

fn mismatch(what: &dyn std::fmt::Display) -> Problem {
    Problem { kind: ProblemKind::Mismatch(what.to_string()), place: None }
}
