//! What differs between two JSON texts, by structure: members by key, elements by the best alignment.
//!
//! Numbers are equal by value (`1.0` is `1`) and shown as spelled; the order of members does not count.

use bytes::Bytes;

use crate::scan::{self, Children, Index};

mod view;

pub use view::Comparison;

/// Arrays longer than this together are compared place by place: alignment takes their product.
const ALIGNED: usize = 400;
/// Rows beyond this are left out, and that is said.
const MOST: usize = 50_000;
/// Nesting beyond this is compared as text.
const DEEPEST: usize = 200;

/// How a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The same on both sides.
    Same,
    /// Only on the right.
    Added,
    /// Only on the left.
    Removed,
    /// Another value.
    Changed,
}

/// One value, or the line of a container whose inside differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where: `$.params.arguments.repo`; of the left side where there is one.
    pub path: String,
    /// The last step of the path, without its dot.
    pub name: String,
    /// How deep.
    pub depth: u16,
    /// How it stands. A container with something different inside is [`Change::Same`].
    pub change: Change,
    /// As it is spelled on the left; empty for a container that is gone into.
    pub left: Option<Bytes>,
    /// As it is spelled on the right.
    pub right: Option<Bytes>,
    /// Whether what differs is inside, in the rows that follow.
    pub is_open: bool,
}

/// Compares two texts. `None` if one is not JSON.
pub fn compare(left: &Bytes, right: &Bytes) -> Option<Vec<Row>> {
    let side = |bytes: &Bytes| -> Option<(Bytes, Index)> {
        serde_json::from_slice::<serde::de::IgnoredAny>(bytes).ok()?;
        Some((
            bytes.slice(scan::blank(bytes, 0)..),
            Index::build(bytes.slice(scan::blank(bytes, 0)..).as_ref()).unwrap_or_default(),
        ))
    };
    let (left, right) = (side(left)?, side(right)?);
    let mut differ = Differ { left: &left, right: &right, rows: Vec::new() };
    let whole = |(bytes, index): &(Bytes, Index)| 0..scan::value_end(bytes, index, 0).unwrap_or(bytes.len());
    differ.walk("$", "$", 0, whole(&left), whole(&right));
    Some(differ.rows)
}

type Span = std::ops::Range<usize>;

struct Differ<'a> {
    left: &'a (Bytes, Index),
    right: &'a (Bytes, Index),
    rows: Vec<Row>,
}

impl Differ<'_> {
    fn walk(&mut self, path: &str, name: &str, depth: u16, left: Span, right: Span) {
        if self.rows.len() >= MOST {
            return;
        }
        let (a, b) = (&self.left.0[left.clone()], &self.right.0[right.clone()]);
        if equal(a, b, 0) {
            self.push(path, name, depth, Change::Same, Some(left), Some(right));
            return;
        }
        let kinds = (a.first(), b.first());
        if usize::from(depth) >= DEEPEST || !matches!(kinds, (Some(b'{'), Some(b'{')) | (Some(b'['), Some(b'['))) {
            self.push(path, name, depth, Change::Changed, Some(left), Some(right));
            return;
        }
        self.rows.push(Row {
            path: path.to_owned(),
            name: name.to_owned(),
            depth,
            change: Change::Same,
            left: Some(Bytes::new()),
            right: Some(Bytes::new()),
            is_open: true,
        });
        let is_object = kinds.0 == Some(&b'{');
        let lefts = listed(self.left, left.start);
        let rights = listed(self.right, right.start);
        if is_object { self.members(path, depth, &lefts, &rights) } else { self.elements(path, depth, &lefts, &rights) }
    }

    fn members(&mut self, path: &str, depth: u16, lefts: &[(String, Span)], rights: &[(String, Span)]) {
        let by_key = |list: &[(String, Span)]| -> std::collections::HashMap<String, usize> {
            // Of two equal keys the last counts, as with most parsers.
            list.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect()
        };
        let (in_left, in_right) = (by_key(lefts), by_key(rights));
        // The left side's order, with what is new behind the member it follows on the right.
        let mut emitted = vec![false; rights.len()];
        for (at, (key, span)) in lefts.iter().enumerate() {
            if in_left.get(key) != Some(&at) {
                continue;
            }
            let inner = format!("{path}{}", step(key));
            match in_right.get(key) {
                None => self.push(&inner, key, depth + 1, Change::Removed, Some(span.clone()), None),
                Some(other) => {
                    emitted[*other] = true;
                    self.walk(&inner, key, depth + 1, span.clone(), rights[*other].1.clone());
                    for (place, (key, span)) in rights.iter().enumerate().skip(other + 1) {
                        if in_left.contains_key(key) || emitted[place] {
                            break;
                        }
                        if in_right.get(key) == Some(&place) {
                            self.push(&format!("{path}{}", step(key)), key, depth + 1, Change::Added, None, Some(span.clone()));
                        }
                        emitted[place] = true;
                    }
                }
            }
        }
        for (place, (key, span)) in rights.iter().enumerate() {
            if !emitted[place] && in_right.get(key) == Some(&place) {
                self.push(&format!("{path}{}", step(key)), key, depth + 1, Change::Added, None, Some(span.clone()));
            }
        }
    }

    fn elements(&mut self, path: &str, depth: u16, lefts: &[(String, Span)], rights: &[(String, Span)]) {
        let text = |side: &Bytes, span: &Span| side.slice(span.clone());
        let a: Vec<Bytes> = lefts.iter().map(|(_, span)| text(&self.left.0, span)).collect();
        let b: Vec<Bytes> = rights.iter().map(|(_, span)| text(&self.right.0, span)).collect();
        for (left, right) in aligned(&a, &b) {
            let number = left.or(right).unwrap_or_default().to_string();
            let inner = format!("{path}[{number}]");
            match (left, right) {
                (Some(l), Some(r)) => self.walk(&inner, &number, depth + 1, lefts[l].1.clone(), rights[r].1.clone()),
                (Some(l), None) => self.push(&inner, &number, depth + 1, Change::Removed, Some(lefts[l].1.clone()), None),
                (None, Some(r)) => self.push(&inner, &number, depth + 1, Change::Added, None, Some(rights[r].1.clone())),
                (None, None) => {}
            }
        }
    }

    fn push(&mut self, path: &str, name: &str, depth: u16, change: Change, left: Option<Span>, right: Option<Span>) {
        if self.rows.len() < MOST {
            let (left, right) = (left.map(|span| self.left.0.slice(span)), right.map(|span| self.right.0.slice(span)));
            self.rows.push(Row { path: path.to_owned(), name: name.to_owned(), depth, change, left, right, is_open: false });
        }
    }
}

fn listed((bytes, index): &(Bytes, Index), start: usize) -> Vec<(String, Span)> {
    Children::new(bytes, index, start)
        .map(|child| (child.key.map_or_else(String::new, |key| scan::decode(&bytes[key])), child.value))
        .collect()
}

fn step(key: &str) -> String {
    crate::tree::step(key)
}

/// Which elements face each other. What is equal stays together; what is left between is paired in order.
fn aligned(left: &[Bytes], right: &[Bytes]) -> Vec<(Option<usize>, Option<usize>)> {
    let mut pairs = Vec::new();
    let ahead = left.iter().zip(right).take_while(|(a, b)| equal(a, b, 0)).count();
    let behind = left[ahead..].iter().rev().zip(right[ahead..].iter().rev()).take_while(|(a, b)| equal(a, b, 0)).count();
    pairs.extend((0..ahead).map(|at| (Some(at), Some(at))));
    let (a, b) = (&left[ahead..left.len() - behind], &right[ahead..right.len() - behind]);
    let mut kept: Vec<(usize, usize)> = Vec::new();
    if !a.is_empty() && !b.is_empty() && a.len() + b.len() <= ALIGNED {
        // The most similar pairs in order: what is equal counts most, one container with the same `name`, `id` or `type` some.
        let mut best = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
        for (i, x) in a.iter().enumerate().rev() {
            for (j, y) in b.iter().enumerate().rev() {
                let paired = best[i + 1][j + 1] + likeness(x, y);
                best[i][j] = paired.max(best[i + 1][j]).max(best[i][j + 1]);
            }
        }
        let (mut i, mut j) = (0, 0);
        while i < a.len() && j < b.len() {
            let like = likeness(&a[i], &b[j]);
            if like > 0 && best[i][j] == best[i + 1][j + 1] + like {
                kept.push((i, j));
                i += 1;
                j += 1;
            } else if best[i][j] == best[i + 1][j] {
                i += 1;
            } else {
                j += 1;
            }
        }
    }
    kept.push((a.len(), b.len()));
    let (mut i, mut j) = (0, 0);
    for (next_i, next_j) in kept {
        let common = (next_i - i).min(next_j - j);
        pairs.extend((0..common).map(|at| (Some(ahead + i + at), Some(ahead + j + at))));
        pairs.extend((i + common..next_i).map(|at| (Some(ahead + at), None)));
        pairs.extend((j + common..next_j).map(|at| (None, Some(ahead + at))));
        if next_i < a.len() {
            pairs.push((Some(ahead + next_i), Some(ahead + next_j)));
        }
        (i, j) = (next_i + 1, next_j + 1);
    }
    pairs.extend((0..behind).map(|at| (Some(left.len() - behind + at), Some(right.len() - behind + at))));
    pairs
}

fn likeness(a: &Bytes, b: &Bytes) -> u32 {
    if equal(a, b, 0) {
        return 4;
    }
    if a.first() != Some(&b'{') || b.first() != Some(&b'{') {
        return 0;
    }
    let index = Index::default();
    let name = |bytes: &Bytes| -> Option<Bytes> {
        let known = [b"\"name\"".as_slice(), b"\"id\"", b"\"uri\"", b"\"key\""];
        Children::new(bytes, &index, 0)
            .take(8)
            .find(|c| c.key.as_ref().is_some_and(|k| known.contains(&&bytes[k.clone()])))
            .map(|c| bytes.slice(c.value))
    };
    match (name(a), name(b)) {
        (Some(x), Some(y)) if equal(&x, &y, 0) => 2,
        _ => 0,
    }
}

/// Whether two values mean the same.
fn equal(a: &[u8], b: &[u8], depth: usize) -> bool {
    if a == b {
        return true;
    }
    let index = Index::default();
    match (a.first(), b.first()) {
        (Some(b'"'), Some(b'"')) => (a.contains(&b'\\') || b.contains(&b'\\')) && scan::decode(a) == scan::decode(b),
        (Some(b'-' | b'0'..=b'9'), Some(b'-' | b'0'..=b'9')) => match (number(a), number(b)) {
            (Some(x), Some(y)) => x == y,
            _ => false,
        },
        (Some(b'['), Some(b'[')) if depth < DEEPEST => {
            let (mut x, mut y) = (Children::new(a, &index, 0), Children::new(b, &index, 0));
            loop {
                match (x.next(), y.next()) {
                    (None, None) => return true,
                    (Some(x), Some(y)) if equal(&a[x.value.clone()], &b[y.value.clone()], depth + 1) => {}
                    _ => return false,
                }
            }
        }
        (Some(b'{'), Some(b'{')) if depth < DEEPEST => {
            let members = |bytes: &[u8]| -> std::collections::HashMap<String, Span> {
                let decoded = |c: scan::Child| (c.key.map_or_else(String::new, |key| scan::decode(&bytes[key])), c.value);
                Children::new(bytes, &index, 0).map(decoded).collect()
            };
            let (x, y) = (members(a), members(b));
            x.len() == y.len()
                && x.iter()
                    .all(|(key, span)| y.get(key).is_some_and(|other| equal(&a[span.clone()], &b[other.clone()], depth + 1)))
        }
        _ => false,
    }
}

/// Sign, digits without zeros at either end, and the power of ten of the last digit: equal for equal values of any length.
fn number(spelled: &[u8]) -> Option<(bool, Vec<u8>, i64)> {
    let text = std::str::from_utf8(spelled).ok()?;
    let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut power = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(part.len()).ok()?)?;
    let mut digits: Vec<u8> = whole.bytes().chain(part.bytes()).skip_while(|d| *d == b'0').collect();
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    while digits.last() == Some(&b'0') {
        digits.pop();
        power = power.checked_add(1)?;
    }
    Some(if digits.is_empty() { (false, digits, 0) } else { (is_negative, digits, power) })
}

#[cfg(test)]
mod tests;
