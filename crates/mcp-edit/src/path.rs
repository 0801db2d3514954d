//! Where in a document something is.

use std::fmt;

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The member of an object (a table, a mapping) with this key. A dot in it is part of the key.
    Key(String),
    /// The element of a list whose member `field` is the string `value`, as in Continue's `mcpServers`.
    Item {
        /// The member that names the element.
        field: String,
        /// What it must equal.
        value: String,
    },
}

/// The steps from the root of a document to a value. The empty path is the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// A path of object keys.
    pub fn keys<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self(keys.into_iter().map(|k| Step::Key(k.into())).collect())
    }

    /// This path and one more key.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.step(Step::Key(key.into()))
    }

    /// This path and one more step.
    #[must_use]
    pub fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The path of what holds this, and the last step; `None` for the root.
    pub fn split_last(&self) -> Option<(Path, &Step)> {
        self.0.split_last().map(|(last, init)| (Path(init.to_vec()), last))
    }
}

/// `mcpServers.time`, with keys quoted where they need it: `projects."/home/me/a.b".mcpServers`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) => {
                    if i > 0 {
                        f.write_str(".")?;
                    }
                    let bare = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
                    if bare { f.write_str(key)? } else { write!(f, "{key:?}")? }
                }
                Step::Item { field, value } => write!(f, "[{field}={value:?}]")?,
            }
        }
        Ok(())
    }
}
