//! A recording that asks another server the same again, and compares what it answers.

use std::collections::HashMap;

use bytes::Bytes;
use mcp_wire::{Frame, author};
use serde_json_path::JsonPath;

use super::recording::{Exchange, Said, frame};
use crate::compare::{Difference, differences};
use crate::tree::Tree;

/// Names the server chooses anew each time: what the client brings back of them has to be today's.
const CARRIED: [(&str, &str); 3] = [("taskId", "taskId"), ("requestState", "requestState"), ("nextCursor", "cursor")];

/// An `--ignore` that is no `JSONPath`.
#[derive(Debug, thiserror::Error)]
#[error("read the path `{path}`")]
pub struct BadPath {
    /// As it was given.
    pub path: String,
    /// What is wrong.
    pub source: serde_json_path::ParseError,
}

/// Compares answers.
#[derive(Debug, Default)]
pub struct Verifier {
    ignored: Vec<JsonPath>,
    /// What a server's name of then is called today, by the member that brings it.
    carried: HashMap<(&'static str, String), Tree>,
}

impl Verifier {
    /// Leaves out what these paths find in a message: `$.result.structuredContent.time`.
    pub fn ignoring<S: AsRef<str>>(paths: &[S]) -> Result<Self, BadPath> {
        let read = |path: &S| JsonPath::parse(path.as_ref()).map_err(|source| BadPath { path: path.as_ref().to_owned(), source });
        Ok(Self { ignored: paths.iter().map(read).collect::<Result<_, _>>()?, carried: HashMap::new() })
    }

    /// The recorded request with an id of today.
    pub fn request(&self, exchange: &Exchange, id: &str) -> Bytes {
        let mut text = String::from_utf8_lossy(exchange.request.with_id(id).trim_ascii_end()).into_owned();
        for (_, member) in CARRIED {
            let Some(span) = mcp_wire::object::find_path(&text, &["params", member]) else { continue };
            let then = serde_json::from_str::<String>(&text[span.clone()]).ok();
            if let Some(today) = then.and_then(|then| self.carried.get(&(member, then))) {
                text.replace_range(span, &today.compact());
            }
        }
        text.push('\n');
        frame(Bytes::from(text), &exchange.request).line()
    }

    /// Where an answer differs from the recorded one.
    pub fn compare(&mut self, exchange: &Exchange, answer: &Frame) -> Vec<Difference> {
        let Some(recorded) = exchange.answer() else { return Vec::new() };
        let outcome = |frame: &Frame| {
            let part = |key: &str, text: Option<&str>| Some((key.to_owned(), Tree::parse(text?)?));
            Tree::Object(part("result", frame.result()).or_else(|| part("error", frame.error())).into_iter().collect())
        };
        let (before, after) = (outcome(recorded), outcome(answer));
        self.carry(&before, &after);
        let ignored: Vec<String> = [recorded, answer].iter().flat_map(|frame| self.ignored_in(frame)).collect();
        differences(&before, &after)
            .into_iter()
            .filter(|difference| !self.is_carried(difference))
            .filter(|difference| !ignored.iter().any(|path| is_within(&difference.path, path)))
            .collect()
    }

    /// What the client answered to a question like this one, else a refusal.
    pub fn answer_question(&self, exchange: &Exchange, question: &Frame, asked: &mut Vec<usize>) -> Bytes {
        let params = |frame: &Frame| frame.params().and_then(Tree::parse).map(|params| params.without(&["_meta"]));
        let wanted = params(question);
        let alike = |is_exact: bool, asked: &[usize]| {
            exchange.steps.iter().enumerate().find_map(|(at, step)| match &step.said {
                Said::Question(then, Some(answer))
                    if then.method() == question.method() && !asked.contains(&at) && (!is_exact || params(then) == wanted) =>
                {
                    Some((at, answer.clone()))
                }
                _ => None,
            })
        };
        let id = question.id().unwrap_or("null");
        match alike(true, asked).or_else(|| alike(false, asked)) {
            Some((at, answer)) => {
                asked.push(at);
                answer.with_id(id)
            }
            None if question.method() == "ping" => author::result(id, "{}"),
            None => author::error(Some(id), -32601, &format!("the recording does not answer `{}` here", question.method()), None),
        }
    }

    /// Remembers what the server's own names of then are today.
    fn carry(&mut self, before: &Tree, after: &Tree) {
        for (key, member) in CARRIED {
            let mut pairs = Vec::new();
            gather(before, after, key, &mut pairs);
            for (then, now) in pairs {
                if let Tree::Text(then) = then {
                    self.carried.insert((member, then), now);
                }
            }
        }
    }

    fn is_carried(&self, difference: &Difference) -> bool {
        let (Some(Tree::Text(before)), Some(after)) = (&difference.before, &difference.after) else { return false };
        CARRIED.iter().any(|(key, member)| {
            difference.path.ends_with(&format!(".{key}")) && self.carried.get(&(*member, before.clone())) == Some(after)
        })
    }

    fn ignored_in(&self, frame: &Frame) -> Vec<String> {
        let Ok(value) = serde_json::from_str::<serde_json::Value>(frame.text().trim()) else { return Vec::new() };
        self.ignored.iter().flat_map(|path| path.query_located(&value).locations().map(plain).collect::<Vec<_>>()).collect()
    }
}

/// A path as differences spell it.
fn plain(path: &serde_json_path::NormalizedPath<'_>) -> String {
    use serde_json_path::PathElement;
    let mut text = "$".to_owned();
    for element in path.iter() {
        match element {
            PathElement::Name(name) => text.push_str(&crate::compare::step(name)),
            PathElement::Index(at) => text.push_str(&format!("[{at}]")),
        }
    }
    text
}

fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn gather(before: &Tree, after: &Tree, key: &str, found: &mut Vec<(Tree, Tree)>) {
    match (before, after) {
        (Tree::Object(members), Tree::Object(_)) => {
            for (name, value) in members {
                let Some(other) = after.get(name) else { continue };
                if name == key && matches!((value, other), (Tree::Text(_), Tree::Text(_))) {
                    found.push((value.clone(), other.clone()));
                }
                gather(value, other, key, found);
            }
        }
        (Tree::Array(left), Tree::Array(right)) => {
            left.iter().zip(right).for_each(|(value, other)| gather(value, other, key, found));
        }
        _ => {}
    }
}
