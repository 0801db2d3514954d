//! Comparing by structure: two values, what a server offers then and now, two sessions.

use std::collections::HashMap;
use std::io;

use serde::{Serialize, Serializer};

use crate::detail::Detail;
use crate::event::Direction;
use crate::exchange::{Row, RowKind};
use crate::listing::Listing;
use crate::session::Session;
use crate::tree::Tree;

/// One place where two values differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Where: `$.content[0].text`.
    pub path: String,
    /// What was there; nothing if it is new.
    #[serde(serialize_with = "as_json")]
    pub before: Option<Tree>,
    /// What is there; nothing if it is gone.
    #[serde(serialize_with = "as_json")]
    pub after: Option<Tree>,
}

#[expect(clippy::ref_option, reason = "serde asks for it")]
fn as_json<S: Serializer>(value: &Option<Tree>, serializer: S) -> Result<S::Ok, S::Error> {
    let raw = value.as_ref().and_then(|value| serde_json::value::RawValue::from_string(value.compact()).ok());
    raw.serialize(serializer)
}

/// Where two values differ, in the order of the first. Of arrays, what is equal at both ends is left out; what remains is
/// compared in pairs if there is as much of it on both sides.
pub fn differences(before: &Tree, after: &Tree) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(before, after, &mut "$".to_owned(), &mut found);
    found
}

fn walk(before: &Tree, after: &Tree, path: &mut String, found: &mut Vec<Difference>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Tree::Object(left), Tree::Object(right)) => {
            for (key, value) in left {
                within(path, &step(key), |path| match after.get(key) {
                    Some(other) => walk(value, other, path, found),
                    None => found.push(Difference { path: path.clone(), before: Some(value.clone()), after: None }),
                });
            }
            for (key, value) in right.iter().filter(|(key, _)| before.get(key).is_none()) {
                let path = format!("{path}{}", step(key));
                found.push(Difference { path, before: None, after: Some(value.clone()) });
            }
        }
        (Tree::Array(left), Tree::Array(right)) => {
            let start = left.iter().zip(right).take_while(|(a, b)| a == b).count();
            let (left_rest, right_rest) = (&left[start..], &right[start..]);
            let end = left_rest.iter().rev().zip(right_rest.iter().rev()).take_while(|(a, b)| a == b).count();
            let (left_rest, right_rest) = (&left_rest[..left_rest.len() - end], &right_rest[..right_rest.len() - end]);
            let pairs = if left_rest.len() == right_rest.len() { left_rest.len() } else { 0 };
            for (at, (a, b)) in left_rest.iter().zip(right_rest).take(pairs).enumerate() {
                within(path, &format!("[{}]", start + at), |path| walk(a, b, path, found));
            }
            for (at, value) in left_rest.iter().enumerate().skip(pairs) {
                found.push(Difference { path: format!("{path}[{}]", start + at), before: Some(value.clone()), after: None });
            }
            for (at, value) in right_rest.iter().enumerate().skip(pairs) {
                found.push(Difference { path: format!("{path}[{}]", start + at), before: None, after: Some(value.clone()) });
            }
        }
        _ => found.push(Difference { path: path.clone(), before: Some(before.clone()), after: Some(after.clone()) }),
    }
}

fn within(path: &mut String, step: &str, walk: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push_str(step);
    walk(path);
    path.truncate(length);
}

/// A step to a member, as `JSONPath` has it.
pub(crate) fn step(key: &str) -> String {
    let is_plain = key.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain { format!(".{key}") } else { format!("['{}']", key.replace('\\', "\\\\").replace('\'', "\\'")) }
}

/// How an offer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is different.
    Changed,
    /// The list has another order, which costs a model's cache.
    Reordered,
}

/// One tool, prompt, resource or template that is not what it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// `tool`, `prompt`, `resource`, `template`.
    pub what: &'static str,
    /// Its name; of a list in another order, empty.
    pub name: String,
    /// How it changed.
    pub change: Change,
    /// Where, if it is different.
    pub differences: Vec<Difference>,
}

/// What a server offers otherwise than before.
pub fn drift(before: &Listing, after: &Listing) -> Vec<Drift> {
    let mut found = Vec::new();
    for ((what, left), (_, right)) in before.lists().into_iter().zip(after.lists()) {
        let find =
            |list: &[(String, Tree)], name: &str| list.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        for (name, value) in left {
            let (change, differences) = match find(right, name) {
                None => (Change::Removed, Vec::new()),
                Some(other) if other == *value => continue,
                Some(other) => (Change::Changed, differences(value, &other)),
            };
            found.push(Drift { what, name: name.clone(), change, differences });
        }
        for (name, _) in right.iter().filter(|(name, _)| find(left, name).is_none()) {
            found.push(Drift { what, name: name.clone(), change: Change::Added, differences: Vec::new() });
        }
        let common = |list: &[(String, Tree)], other: &[(String, Tree)]| -> Vec<String> {
            list.iter().map(|(name, _)| name.clone()).filter(|name| find(other, name).is_some()).collect()
        };
        if common(left, right) != common(right, left) {
            found.push(Drift { what, name: String::new(), change: Change::Reordered, differences: Vec::new() });
        }
    }
    found
}

/// An operation, by the number of its first record and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mention {
    /// The number.
    pub number: u64,
    /// The method.
    pub method: String,
    /// The tool, prompt, URI or task.
    pub name: String,
}

/// Two operations that differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// The one.
    pub before: Mention,
    /// The other.
    pub after: Mention,
    /// Where their parameters and outcomes differ: `$.params…`, `$.result…`, `$.error…`, and `$.status`.
    pub differences: Vec<Difference>,
}

/// How two sessions differ.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SessionDifference {
    /// What is offered otherwise.
    pub drift: Vec<Drift>,
    /// Operations only the first has.
    pub only_before: Vec<Mention>,
    /// Operations only the second has.
    pub only_after: Vec<Mention>,
    /// Operations both have that differ.
    pub changed: Vec<Pair>,
    /// How many are the same in both.
    pub same: usize,
}

impl SessionDifference {
    /// Nothing differs.
    pub fn is_empty(&self) -> bool {
        self.drift.is_empty() && self.only_before.is_empty() && self.only_after.is_empty() && self.changed.is_empty()
    }
}

/// What is compared of an operation.
fn substance(detail: &Detail) -> Tree {
    let part = |message: Option<&crate::detail::Message>, key: &str| {
        message.and_then(|message| message.get(&[key])).and_then(Tree::parse).map(|value| value.without(&["_meta"]))
    };
    let mut members = Vec::new();
    members.extend(part(detail.request(), "params").map(|value| ("params".to_owned(), value)));
    members.push(("status".to_owned(), Tree::Text(detail.row.status.word().to_owned())));
    members.extend(part(detail.answer(), "result").map(|value| ("result".to_owned(), value)));
    members.extend(part(detail.answer(), "error").map(|value| ("error".to_owned(), value)));
    Tree::Object(members)
}

/// Where two operations differ: in what was asked, how it ended, and what was answered. Ids and `_meta` are no difference.
pub fn operations(before: &Detail, after: &Detail) -> Vec<Difference> {
    differences(&substance(before), &substance(after))
}

struct Operation {
    row: Row,
    mention: Mention,
    params: u64,
    is_paired: bool,
}

/// Compares two sessions: each operation of the first with the one of the second that asks for the same, else with one of the
/// same method and name, in order.
pub fn sessions(before: &Session, after: &Session) -> io::Result<SessionDifference> {
    let mut left = operations_of(before)?;
    let mut right = operations_of(after)?;
    let mut found =
        SessionDifference { drift: drift(&Listing::of(before)?, &Listing::of(after)?), ..SessionDifference::default() };
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for is_exact in [true, false] {
        let key = |operation: &Operation| {
            (operation.mention.method.clone(), operation.mention.name.clone(), if is_exact { operation.params } else { 0 })
        };
        let mut waiting: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, operation) in right.iter().enumerate().rev().filter(|(_, operation)| !operation.is_paired) {
            waiting.entry(key(operation)).or_default().push(at);
        }
        for (at, operation) in left.iter_mut().enumerate().filter(|(_, operation)| !operation.is_paired) {
            if let Some(other) = waiting.get_mut(&key(operation)).and_then(Vec::pop) {
                operation.is_paired = true;
                right[other].is_paired = true;
                pairs.push((at, other));
            }
        }
    }
    pairs.sort_unstable();
    for (a, b) in pairs {
        let (a, b) = (&left[a], &right[b]);
        let differences = operations(&Detail::of(before, &a.row)?, &Detail::of(after, &b.row)?);
        if differences.is_empty() {
            found.same += 1;
        } else {
            found.changed.push(Pair { before: a.mention.clone(), after: b.mention.clone(), differences });
        }
    }
    let only = |all: Vec<Operation>| {
        all.into_iter().filter(|operation| !operation.is_paired).map(|operation| operation.mention).collect()
    };
    (found.only_before, found.only_after) = (only(left), only(right));
    Ok(found)
}

/// What clients asked for; of two hops only the clients' one.
fn operations_of(session: &Session) -> io::Result<Vec<Operation>> {
    let hop = crate::replay::told_hop(session);
    let mut all = Vec::new();
    for row in session.rows().iter(session.index()) {
        if row.kind != RowKind::Operation || row.direction != Direction::ToServer || !hop.is(row.hop) {
            continue;
        }
        let (method, name) = session.index().symbols.get(row.operation);
        let params = Detail::of(session, &row)?.request().and_then(|request| request.get(&["params"])).and_then(Tree::parse);
        let params = params.map_or_else(String::new, |params| params.without(&["_meta"]).canonical());
        let mention = Mention { number: row.sequence, method: method.to_owned(), name: name.to_owned() };
        all.push(Operation { row, mention, params: xxhash_rust::xxh3::xxh3_64(params.as_bytes()), is_paired: false });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(before: &str, after: &str) -> Vec<String> {
        let tree = |text| Tree::parse(text).expect("it is JSON");
        differences(&tree(before), &tree(after))
            .into_iter()
            .map(|d| {
                let side = |tree: Option<Tree>| tree.map_or_else(|| "-".to_owned(), |tree| tree.compact());
                format!("{} {} {}", d.path, side(d.before), side(d.after))
            })
            .collect()
    }

    #[test]
    fn differences_name_the_innermost_place() {
        assert_eq!(paths(r#"{"a":{"b":[1,2,{"c":3}]}}"#, r#"{"a":{"b":[1,2,{"c":4}]}}"#), ["$.a.b[2].c 3 4"]);
        assert_eq!(paths(r#"{"a":1,"b":2}"#, r#"{"b":2.0,"a b":1}"#), ["$.a 1 -", "$['a b'] - 1"]);
        assert_eq!(paths("[1,2,3,4]", "[1,9,2,3,4]"), ["$[1] - 9"]);
        assert_eq!(paths("[1,2,3]", "[1,3]"), ["$[1] 2 -"]);
        assert_eq!(paths("{}", "[]"), ["$ {} []"]);
        assert!(paths(r#"{"a":[1,{"x":1}]}"#, r#"{ "a" : [1.0,{"x":1}] }"#).is_empty());
    }

    #[test]
    fn drift_tells_new_gone_other_and_order() {
        let listing = |tools: &[(&str, &str)]| Listing {
            tools: tools.iter().map(|(name, value)| ((*name).to_owned(), Tree::parse(value).expect("JSON"))).collect(),
            ..Listing::default()
        };
        let before = listing(&[("a", "{}"), ("b", r#"{"description":"x"}"#), ("c", "{}")]);
        let after = listing(&[("c", "{}"), ("b", r#"{"description":"y"}"#), ("d", "{}")]);
        let seen: Vec<(String, Change)> = drift(&before, &after).into_iter().map(|d| (d.name, d.change)).collect();
        let wanted = [("a", Change::Removed), ("b", Change::Changed), ("d", Change::Added), ("", Change::Reordered)]
            .map(|(n, c)| (n.to_owned(), c));
        assert_eq!(seen, wanted);
        assert!(drift(&before, &before).is_empty());
    }
}
