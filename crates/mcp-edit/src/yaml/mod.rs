//! YAML: the parser's events say where things are; the bytes are ours.
//!
//! `tree` is the document with the place of everything, `value` what it means, `plan` turns an operation into changes of
//! single places, `place` says which bytes each changes, `style` how the neighbours look, `write` and `scalar` make the
//! new text, `lines` knows about lines.

mod lines;
mod place;
mod plan;
mod scalar;
mod style;
mod tree;
mod value;
mod write;

use crate::document::Backend;
use crate::{Member, Node, Op, Path, Problem, ProblemKind, Splice, Value};
use tree::{Kind, Tree};
use value::{Reading, Way, is_merge};

/// A YAML document.
pub(crate) struct Yaml<'t> {
    text: &'t str,
    tree: Tree<'t>,
}

impl<'t> Backend<'t> for Yaml<'t> {
    fn parse(text: &'t str) -> Result<Self, Problem> {
        Ok(Self { text, tree: tree::read(text)? })
    }

    fn get(&self, path: &Path) -> Result<Option<Node>, Problem> {
        let reading = Reading::new(self.text, &self.tree);
        let Way::Found(way) = reading.follow(path)? else { return Ok(None) };
        let Some(node) = reading.at(&way) else {
            let end = self.tree.end;
            return Ok(Some(Node { span: end..end, value: Value::Object(Vec::new()) }));
        };
        Ok(Some(Node { span: node.start..node.end, value: reading.value(node)? }))
    }

    fn members(&self, path: &Path, name_field: Option<&str>) -> Result<Option<Vec<Member>>, Problem> {
        let reading = Reading::new(self.text, &self.tree);
        let Way::Found(way) = reading.follow(path)? else { return Ok(None) };
        let Some(node) = reading.at(&way) else { return Ok(Some(Vec::new())) };
        let member = |name: String, name_span, node: &tree::Node<'_>| {
            Ok(Member { name, name_span, node: Node { span: node.start..node.end, value: reading.value(node)? } })
        };
        match (&node.kind, name_field) {
            (Kind::Map(_, entries), _) => entries
                .iter()
                .filter(|e| !is_merge(e))
                .map(|e| member(reading.name(e), e.key.start..e.key.end, &e.value))
                .collect::<Result<_, _>>()
                .map(Some),
            (Kind::Seq(_, items), Some(field)) => {
                let mut members = Vec::new();
                for item in items {
                    if let Some((name, span)) = reading.naming(item, field)? {
                        members.push(member(name, span, item)?);
                    }
                }
                Ok(Some(members))
            }
            (Kind::Alias(_), _) => Err(Problem::at(self.text, node.start, ProblemKind::Alias(path.to_string()))),
            _ => match reading.value(node)? {
                Value::Null => Ok(Some(Vec::new())),
                other => Err(Problem::not_container(self.text, node.start, &path.0, other.kind(), None)),
            },
        }
    }

    fn plan(&self, op: &Op) -> Result<Vec<Splice>, Problem> {
        plan::plan(self.text, &Reading::new(self.text, &self.tree), op)
    }
}
