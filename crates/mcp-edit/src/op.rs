//! What should become of a document.

use crate::{Path, Step, Value};

/// One intended change.
///
/// The way to a place leads through objects and lists only; `null` counts as an empty one. Where something else stands in
/// the way, both operations are refused: the document is not what its owner and we think it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Make the value at `path` this one. Containers on the way that do not exist are made. Nothing changes when the
    /// value there already means the same.
    ///
    /// An element of a list keeps the name by which the path finds it. A value that would take that name away is refused:
    /// done twice, the operation would make a second element.
    Set {
        /// Where.
        path: Path,
        /// What it becomes.
        value: Value,
    },
    /// Take away the value at `path` with its key. Nothing changes when there is none.
    Remove {
        /// Where.
        path: Path,
        /// How many of the containers around it go too, innermost first, as long as each is then empty. One that still
        /// holds a comment is not.
        prune: usize,
    },
}

impl Op {
    /// [`Op::Set`].
    pub fn set(path: Path, value: Value) -> Self {
        Self::Set { path, value }
    }

    /// [`Op::Remove`] that leaves empty containers alone.
    pub fn remove(path: Path) -> Self {
        Self::Remove { path, prune: 0 }
    }

    /// The place this is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Set { path, .. } | Self::Remove { path, .. } => path,
        }
    }

    /// What a document that means `root` means after this: the yardstick every edited text is held against.
    ///
    /// `Err` when the path leads through something that is no container, or a named element would lose its name. `root`
    /// may be anything then.
    pub fn apply_to(&self, root: &mut Value) -> Result<(), String> {
        self.check_names()?;
        match self {
            Self::Set { path, value } => set(root, &path.0, value),
            Self::Remove { path, prune } => remove(root, &path.0, *prune).map(drop),
        }
    }

    /// Refuses what would leave an element that its own path does not lead to.
    pub(crate) fn check_names(&self) -> Result<(), String> {
        let Self::Set { path, value } = self else { return Ok(()) };
        for (i, step) in path.0.iter().enumerate() {
            let Step::Item { field, value: name } = step else { continue };
            let named = match &path.0[i + 1..] {
                [] => value.get(field).and_then(Value::as_str) == Some(name),
                [Step::Key(key)] if key == field => value.as_str() == Some(name),
                [Step::Key(key), ..] => key != field,
                [Step::Item { .. }, ..] => return Err(format!("`{path}`: an element that has a name is no list")),
            };
            if !named {
                return Err(format!("the element would not be found again: the `{field}` of `{path}` would not be {name:?}"));
            }
        }
        Ok(())
    }
}

fn set(at: &mut Value, steps: &[Step], value: &Value) -> Result<(), String> {
    let Some((first, rest)) = steps.split_first() else {
        if !at.same(value) {
            *at = value.clone();
        }
        return Ok(());
    };
    if *at == Value::Null {
        *at = match first {
            Step::Key(_) => Value::Object(Vec::new()),
            Step::Item { .. } => Value::Array(Vec::new()),
        };
    }
    match (first, at) {
        (Step::Key(key), Value::Object(members)) => {
            if let Some(i) = members.iter().position(|(k, _)| k == key) {
                return set(&mut members[i].1, rest, value);
            }
            let mut made = Value::Null;
            set(&mut made, rest, value)?;
            members.push((key.clone(), made));
            Ok(())
        }
        (Step::Item { field, value: name }, Value::Array(items)) => {
            if let Some(i) = items.iter().position(|v| is_item(v, field, name)) {
                return set(&mut items[i], rest, value);
            }
            let mut made =
                if rest.is_empty() { Value::Null } else { Value::object([(field.clone(), Value::from(name.as_str()))]) };
            set(&mut made, rest, value)?;
            items.push(made);
            Ok(())
        }
        (step, other) => Err(misfit(step, other)),
    }
}

fn misfit(step: &Step, at: &Value) -> String {
    format!("{step:?} does not fit {}", at.kind())
}

/// True when `at` lost a member, so that it may be empty now.
fn remove(at: &mut Value, steps: &[Step], prune: usize) -> Result<bool, String> {
    let Some((first, rest)) = steps.split_first() else { return Ok(false) };
    let index = match (first, &*at) {
        (Step::Key(key), Value::Object(members)) => members.iter().position(|(k, _)| k == key),
        (Step::Item { field, value }, Value::Array(items)) => items.iter().position(|v| is_item(v, field, value)),
        (_, Value::Null) => None,
        (step, other) => return Err(misfit(step, other)),
    };
    let Some(index) = index else { return Ok(false) };
    let child = match at {
        Value::Object(members) => &mut members[index].1,
        Value::Array(items) => &mut items[index],
        _ => return Ok(false),
    };
    let emptied = |v: &Value| matches!(v, Value::Object(m) if m.is_empty()) || matches!(v, Value::Array(a) if a.is_empty());
    let goes = rest.is_empty() || (remove(child, rest, prune)? && rest.len() <= prune && emptied(child));
    if goes {
        match at {
            Value::Object(members) => drop(members.remove(index)),
            Value::Array(items) => drop(items.remove(index)),
            _ => {}
        }
    }
    Ok(goes)
}

fn is_item(value: &Value, field: &str, name: &str) -> bool {
    value.get(field).and_then(Value::as_str) == Some(name)
}
