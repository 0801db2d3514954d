//! Yaml.

use crate::document::Backend;
use crate::{Member, Node, Op, Path, Problem, ProblemKind, Splice};

/// A Yaml document.
pub(crate) struct Yaml<'t> {
    text: &'t str,
}

impl<'t> Backend<'t> for Yaml<'t> {
    fn parse(text: &'t str) -> Result<Self, Problem> {
        Ok(Self { text })
    }
    fn get(&self, _: &Path) -> Result<Option<Node>, Problem> {
        Err(Problem::at(self.text, 0, ProblemKind::Unsupported("not built yet".into())))
    }
    fn members(&self, _: &Path, _: Option<&str>) -> Result<Option<Vec<Member>>, Problem> {
        Err(Problem::at(self.text, 0, ProblemKind::Unsupported("not built yet".into())))
    }
    fn plan(&self, _: &Op) -> Result<Vec<Splice>, Problem> {
        Err(Problem::at(self.text, 0, ProblemKind::Unsupported("not built yet".into())))
    }
}
