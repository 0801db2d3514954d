//! Generated documents in all layouts, times generated operations: every promise holds.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod cases;
mod common;

use std::fmt::Write;

use mcp_edit::testing::check_edit;
use mcp_edit::{Format, Op, Path, Step, Value};
use proptest::prelude::*;

/// Few names, so that operations meet what the document holds.
const NAMES: &[&str] = &["a", "b", "mcpServers", "env", "args", "x.y", "ü", "qu\"ote", ""];

fn name() -> impl Strategy<Value = String> {
    proptest::sample::select(NAMES).prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        proptest::sample::select(&["0", "-1", "30000", "12345678901234567890", "0.50", "1e3"][..])
            .prop_map(|n| Value::Number(n.into())),
        proptest::sample::select(
            &["", "npx", "\u{1}\u{1f}", "// no comment", "/* nor */", "{\"", "\\", "tab\t", "\u{1f600}", "line\nbreak", ",]}"][..]
        )
        .prop_map(Value::from),
    ]
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    proptest::collection::vec((name(), inner), 0..4).prop_map(|members| {
        let mut unique: Vec<(String, Value)> = Vec::new();
        for (key, value) in members {
            if !unique.iter().any(|(k, _)| *k == key) {
                unique.push((key, value));
            }
        }
        Value::Object(unique)
    })
}

fn named_element() -> impl Strategy<Value = Value> {
    (name(), scalar()).prop_map(|(name, value)| Value::object([("name", Value::String(name)), ("v", value)]))
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            3 => object(inner.clone()),
            1 => proptest::collection::vec(inner, 0..4).prop_map(Value::Array),
            1 => proptest::collection::vec(named_element(), 0..3).prop_map(Value::Array),
        ]
    })
}

/// How a document is written: one choice after the other, drawn from `dice`.
struct Writer<'d> {
    dice: std::iter::Cycle<std::slice::Iter<'d, u8>>,
    out: String,
    newline: &'static str,
    unit: &'static str,
    /// No comment and no trailing comma.
    strict: bool,
    /// Layout as a person would do it, not white space anywhere.
    neat: bool,
}

impl Writer<'_> {
    fn roll(&mut self, sides: u8) -> u8 {
        self.dice.next().copied().unwrap_or_default() % sides
    }

    /// White space and comments where none is needed.
    fn gap(&mut self) {
        if self.neat {
            return;
        }
        match self.roll(if self.strict { 6 } else { 9 }) {
            0 => self.out.push(' '),
            1 => self.out.push_str("  \t"),
            2 => self.out.push_str(self.newline),
            6 => self.out.push_str("/* c */"),
            7 => {
                self.out.push_str("// c");
                self.out.push_str(self.newline);
            }
            8 => {
                self.out.push_str(" /* two");
                self.out.push_str(self.newline);
                self.out.push_str("lines */ ");
            }
            _ => {}
        }
    }

    fn line(&mut self, depth: usize) {
        self.out.push_str(self.newline);
        self.out.push_str(&self.unit.repeat(depth));
    }

    fn string(&mut self, text: &str) {
        let plain = serde_json::to_string(text).unwrap();
        if self.roll(8) == 0 && !text.is_empty() && text.is_ascii() {
            self.out.push('"');
            text.bytes().for_each(|b| write!(self.out, "\\u{b:04X}").unwrap());
            self.out.push('"');
        } else {
            self.out.push_str(&plain);
        }
    }

    fn value(&mut self, value: &Value, depth: usize, flat: bool) {
        let (brackets, children): (_, Vec<(Option<&str>, &Value)>) = match value {
            Value::Null => return self.out.push_str("null"),
            Value::Bool(truth) => return self.out.push_str(&truth.to_string()),
            Value::Number(number) => return self.out.push_str(number),
            Value::String(text) => return self.string(text),
            Value::Array(items) => (['[', ']'], items.iter().map(|v| (None, v)).collect()),
            Value::Object(members) => (['{', '}'], members.iter().map(|(k, v)| (Some(k.as_str()), v)).collect()),
        };
        let flat = flat || self.roll(4) == 0;
        self.out.push(brackets[0]);
        self.gap();
        let last = children.len().wrapping_sub(1);
        for (i, (key, value)) in children.into_iter().enumerate() {
            if !flat {
                if !self.strict && self.roll(8) == 0 {
                    self.line(depth + 1);
                    self.out.push_str("// above");
                }
                self.line(depth + 1);
            }
            if let Some(key) = key {
                self.string(key);
                self.gap();
                self.out.push(':');
                if self.roll(3) > 0 {
                    self.out.push(' ');
                }
                self.gap();
            }
            self.value(value, depth + 1, flat);
            self.gap();
            if i < last || (!self.strict && self.roll(3) == 0) {
                self.out.push(',');
                if flat && self.roll(3) > 0 {
                    self.out.push(' ');
                }
            }
            self.gap();
            if !flat && !self.strict && self.roll(4) == 0 {
                self.out.push_str(" // behind");
                if i == last && self.roll(2) == 0 {
                    self.line(depth + 1);
                    self.out.push_str("/* below */");
                }
            }
        }
        if !flat {
            self.line(depth);
        }
        self.gap();
        self.out.push(brackets[1]);
    }
}

fn write(value: &Value, dice: &[u8]) -> String {
    let mut w = Writer {
        dice: dice.iter().cycle(),
        out: String::new(),
        newline: ["\n", "\n", "\r\n"][usize::from(dice[0] % 3)],
        unit: ["  ", "    ", "\t", "   "][usize::from(dice[1] % 4)],
        strict: dice[2].is_multiple_of(3),
        neat: dice[3].is_multiple_of(2),
    };
    if dice[4].is_multiple_of(8) {
        w.out.push('\u{feff}');
    }
    w.gap();
    w.value(value, 0, false);
    w.gap();
    if dice[5].is_multiple_of(2) {
        w.out.push_str(w.newline);
    }
    w.out
}

fn document() -> impl Strategy<Value = (Value, String)> {
    let root = prop_oneof![20 => object(value()), 1 => value()];
    (root, proptest::collection::vec(any::<u8>(), 16..64)).prop_map(|(value, dice)| {
        let text = write(&value, &dice);
        (value, text)
    })
}

/// Paths that mostly lead somewhere: each step is drawn from what the value holds, or new.
fn path_in(value: &Value, picks: &[u8]) -> Path {
    let mut path = Path::default();
    let mut at = Some(value);
    for pick in picks {
        let n = usize::from(*pick);
        let name = NAMES[n % NAMES.len()].to_owned();
        let step = match at {
            Some(Value::Object(members)) if !members.is_empty() && n % 5 != 0 => Step::Key(members[n % members.len()].0.clone()),
            Some(Value::Array(items)) => match items.get(n % (items.len() + 1)).and_then(|v| v.get("name")?.as_str()) {
                Some(name) => Step::Item { field: "name".to_owned(), value: name.to_owned() },
                None => Step::Item { field: "name".to_owned(), value: name },
            },
            _ if n % 11 == 0 => Step::Item { field: "name".to_owned(), value: name },
            _ => Step::Key(name),
        };
        at = at.and_then(|value| match &step {
            Step::Key(key) => value.get(key),
            Step::Item { field, value: name } => {
                value.as_array()?.iter().find(|v| v.get(field).and_then(Value::as_str) == Some(name))
            }
        });
        path = path.step(step);
    }
    path
}

fn operation(root: &Value, picks: &[u8], new: Value, prune: Option<usize>) -> Op {
    let path = path_in(root, picks);
    if let Some(prune) = prune {
        return Op::Remove { path, prune };
    }
    // Mostly, an element keeps its name: what takes it away is refused.
    match path.0.last().cloned() {
        Some(Step::Item { field, value }) if !picks[0].is_multiple_of(8) => {
            Op::set(path, Value::object([(field, Value::String(value)), ("v".to_owned(), new)]))
        }
        _ => Op::set(path, new),
    }
}

#[test]
fn every_operation_keeps_every_promise() {
    let picks = proptest::collection::vec(any::<u8>(), 1..4);
    let prune = proptest::option::of(0..3usize);
    cases::run(&(document(), picks, value(), prune), |((root, text), picks, new, prune)| {
        check_edit(&text, Format::Json, &operation(&root, &picks, new, prune), common::READERS);
        Ok(())
    });
}

#[test]
fn the_writer_of_the_test_writes_what_it_means() {
    cases::run(&document(), |(root, text)| {
        let read = mcp_edit::Document::parse(&text, Format::Json).map(|d| d.get(&Path::default()).unwrap().unwrap().value);
        prop_assert_eq!(read, Ok(root), "{}", text);
        Ok(())
    });
}
