//! What holds for every TOML text and every operation.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod cases;

use mcp_edit::{Document, Format, Op, Path, ProblemKind, Step, Value};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

const BOM: &str = "\u{feff}";

fn key() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just("a"), 4 => Just("b"), 3 => Just("c"), 1 => Just("m.n"), 1 => Just("")]
}

fn written_key() -> impl Strategy<Value = String> {
    (key(), 0..4).prop_map(|(key, style)| match (key, style) {
        ("m.n" | "", 0 | 1) => format!("'{key}'"),
        ("m.n" | "", _) | (_, 0) => format!("\"{key}\""),
        _ => key.to_owned(),
    })
}

fn dotted(most: usize) -> impl Strategy<Value = String> {
    (prop::collection::vec(written_key(), 1..=most), 0..6)
        .prop_map(|(keys, style)| keys.join(if style == 0 { " . " } else { "." }))
}

/// `\n` in it is to become the file's newline.
fn written_value() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(vec![
        "1",
        "-7",
        "0x1F",
        "1_000",
        "2.5",
        "1e3",
        "true",
        "false",
        "\"x\"",
        "'y'",
        "\"\"",
        "\"t\\u00e9 # no\"",
        "1979-05-27T07:32:00Z",
        "'''\nl1\n# l2'''",
        "\"\"\"a\\\n  b\"\"\"",
    ])
    .prop_map(str::to_owned);
    scalar.prop_recursive(3, 12, 3, |inner| {
        let named = (prop::sample::select(vec!["x", "y"]), written_key(), inner.clone())
            .prop_map(|(name, key, value)| format!("{{ n = \"{name}\", {key} = {value} }}"));
        let items = prop::collection::vec(prop_oneof![1 => inner.clone(), 2 => named], 0..3);
        let array = (items, 0..5).prop_map(|(items, style)| match style {
            0 => format!("[\n  {}\n]", items.join(",\n  ")),
            1 if !items.is_empty() => format!("[\n\t{},\n]", items.join(", # why\n\t")),
            2 => format!("[ {} ]", items.join(" , ")),
            3 if !items.is_empty() => format!("[{},]", items.join(",")),
            _ => format!("[{}]", items.join(", ")),
        });
        let members = prop::collection::vec((dotted(2), inner), 0..3);
        let inline = (members, 0..4).prop_map(|(members, style)| {
            let equals = if style == 0 { "=" } else { " = " };
            let members: Vec<_> = members.iter().map(|(k, v)| format!("{k}{equals}{v}")).collect();
            match style {
                0 => format!("{{{}}}", members.join(",")),
                1 => format!("{{ {} }}", members.join(" , ")),
                _ if members.is_empty() => "{}".to_owned(),
                _ => format!("{{ {} }}", members.join(", ")),
            }
        });
        prop_oneof![array, inline]
    })
}

fn statement() -> impl Strategy<Value = String> {
    let tail = prop::sample::select(vec!["", "", "", "  # tail", " "]);
    let indent = prop::sample::select(vec!["", "", "", "  ", "\t"]);
    let body = prop_oneof![
        4 => dotted(3).prop_map(|k| format!("[{k}]")),
        1 => dotted(2).prop_map(|k| format!("[ {k} ]")),
        2 => dotted(2).prop_map(|k| format!("[[{k}]]")),
        6 => (dotted(3), written_value()).prop_map(|(k, v)| format!("{k} = {v}")),
        1 => (dotted(1), written_value()).prop_map(|(k, v)| format!("{k}={v}")),
        2 => prop::sample::select(vec!["x", "y"]).prop_map(|v| format!("n = \"{v}\"")),
        2 => (0..100).prop_map(|n| format!("# note {n}")),
        3 => Just(String::new()),
    ];
    (indent, body, tail).prop_map(|(indent, body, tail)| format!("{indent}{body}{tail}"))
}

/// Whether a text is legal and can be edited.
fn is_editable(text: &str) -> bool {
    let touch = Op::set(Path::default().key("untouched"), Value::from(1));
    Document::parse(text, Format::Toml).is_ok_and(|document| document.plan(&[touch]).is_ok())
}

/// A legal text: statements that do not fit what stands above them are left out.
fn text() -> impl Strategy<Value = String> {
    (prop::collection::vec(statement(), 0..10), any::<bool>(), 0..8, 0..3).prop_map(|(statements, crlf, bom, end)| {
        let mut text = String::new();
        for statement in statements {
            let length = text.len();
            text.push_str(&statement);
            text.push('\n');
            if !is_editable(&text) {
                text.truncate(length);
            }
        }
        if end == 0 {
            text.truncate(text.trim_end_matches('\n').len());
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        if bom == 0 { format!("{BOM}{text}") } else { text }
    })
}

fn new_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::from(5)),
        Just(Value::from(true)),
        Just(Value::Number("0.25".into())),
        Just(Value::from("plain")),
        Just(Value::from("C:\\x \"q\" 'p'\n\u{1}")),
        Just(Value::from("a \"b\"")),
    ];
    scalar.prop_recursive(3, 12, 4, |inner| {
        let object = prop::collection::btree_map(key(), inner.clone(), 0..4).prop_map(Value::object);
        let named = (prop::collection::btree_map(key(), inner.clone(), 0..3), prop::sample::select(vec!["x", "y"])).prop_map(
            |(members, name)| {
                Value::object(std::iter::once(("n", Value::from(name))).chain(members.into_iter().filter(|(k, _)| *k != "n")))
            },
        );
        prop_oneof![2 => object, 2 => named, 1 => prop::collection::vec(inner, 0..3).prop_map(Value::Array)]
    })
}

/// Choices that make a path: down what the document has, then away from it.
fn choices() -> impl Strategy<Value = (Vec<usize>, Vec<Step>)> {
    let step = prop_oneof![
        5 => key().prop_map(|k| Step::Key(k.into())),
        1 => prop::sample::select(vec!["x", "y", "z"]).prop_map(|v| Step::Item { field: "n".into(), value: v.into() }),
    ];
    (prop::collection::vec(0..5usize, 0..4), prop::collection::vec(step, 0..3))
}

fn path_in(root: &Value, (down, away): (Vec<usize>, Vec<Step>)) -> Path {
    let mut path = Path::default();
    let mut at = root;
    for choice in down {
        match at {
            Value::Object(members) if !members.is_empty() => {
                let (key, value) = &members[choice % members.len()];
                path = path.key(key.clone());
                at = value;
            }
            Value::Array(items) if !items.is_empty() => {
                let item = &items[choice % items.len()];
                let Some(name) = item.get("n").and_then(Value::as_str) else { break };
                path = path.step(Step::Item { field: "n".into(), value: name.into() });
                at = item;
            }
            _ => break,
        }
    }
    path.0.extend(away);
    if path.0.is_empty() { path.key("a") } else { path }
}

/// What another parser reads, numbers by what they mean.
fn meaning(text: &str) -> Value {
    fn convert(value: &toml::Value) -> Value {
        match value {
            toml::Value::String(s) => Value::from(s.as_str()),
            toml::Value::Integer(n) => Value::from(*n),
            toml::Value::Float(n) => Value::Number(format!("{n:?}").into()),
            toml::Value::Boolean(b) => Value::from(*b),
            toml::Value::Datetime(d) => Value::from(d.to_string()),
            toml::Value::Array(items) => Value::Array(items.iter().map(convert).collect()),
            toml::Value::Table(members) => Value::object(members.iter().map(|(k, v)| (k.clone(), convert(v)))),
        }
    }
    let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
    convert(&toml::Value::Table(table))
}

/// Numbers by what they mean.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(n) => {
            let digits = n.replace('_', "");
            let integer = match digits.strip_prefix("0x") {
                Some(hex) => i64::from_str_radix(hex, 16),
                None => digits.parse(),
            };
            integer.map_or_else(|_| Value::Number(format!("{:?}", digits.parse::<f64>().unwrap()).into()), Value::from)
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Value::Object(members) => Value::object(members.iter().map(|(k, v)| (k.clone(), plain(v)))),
        other => other.clone(),
    }
}

fn root(text: &str) -> Value {
    Document::parse(text, Format::Toml).unwrap().get(&Path::default()).unwrap().unwrap().value
}

fn lines(text: &str) -> Vec<&str> {
    text.trim_start_matches(BOM).split('\n').map(|l| l.trim_end_matches('\r')).collect()
}

/// How many of the old lines are not, in order, among the new ones.
fn lost_lines(old: &str, new: &str) -> usize {
    let (old, new) = (lines(old), lines(new));
    let mut common = vec![0; new.len() + 1];
    for line in &old {
        let mut diagonal = 0;
        for (i, candidate) in new.iter().enumerate() {
            let best = if line == candidate { diagonal + 1 } else { common[i + 1].max(common[i]) };
            diagonal = std::mem::replace(&mut common[i + 1], best);
        }
    }
    old.len() - common[new.len()]
}

/// True when `new` is `old` and one more header, with a blank line or without.
fn has_one_more_header(old: &str, new: &str) -> bool {
    let (old, new) = (lines(old), lines(new));
    (0..new.len()).filter(|i| new[*i].starts_with('[')).any(|i| {
        let without = |n: usize| [&new[..i], &new[i + n..]].concat() == old;
        without(1) || (new.get(i + 1) == Some(&"") && without(2))
    })
}

fn value_at(document: &Document<'_>, path: &Path) -> Option<Value> {
    document.get(path).ok().flatten().map(|n| n.value)
}

/// How many steps of a path lead to something.
fn depth(document: &Document<'_>, path: &Path) -> usize {
    (0..path.0.len()).take_while(|n| matches!(document.get(&Path(path.0[..=*n].to_vec())), Ok(Some(_)))).count()
}

fn holds(text: &str, op: &Op) -> TestCaseResult {
    let document = Document::parse(text, Format::Toml).unwrap();
    let old = meaning(text);
    prop_assert!(plain(&root(text)).same(&old), "read {:?}", root(text));
    let mut want = root(text);
    let allowed = op.apply_to(&mut want);
    let edit = match document.plan(std::slice::from_ref(op)) {
        Ok(edit) => edit,
        Err(problem) => {
            // `[[x]]` has no way to say that an element is no table.
            let no_table = matches!(op, Op::Set { path, value } if matches!(path.0.last(), Some(Step::Item { .. })) && value.as_object().is_none());
            let expected = match problem.kind {
                ProblemKind::NotContainer { .. } => allowed.is_err(),
                ProblemKind::Unsupported(_) => allowed.is_err() || no_table,
                ProblemKind::DuplicateKey(_) => has_twins(&root(text), op.path()),
                _ => false,
            };
            prop_assert!(expected, "{problem}");
            return Ok(());
        }
    };
    prop_assert!(allowed.is_ok(), "{allowed:?}");
    let new = edit.apply(text);
    prop_assert!(meaning(&new).same(&plain(&want)), "{new}");
    prop_assert_eq!(edit.inverse(text).apply(&new), text);
    prop_assert_eq!(new.starts_with(BOM), text.starts_with(BOM));
    let (old_body, new_body) = (text.trim_start_matches(BOM), new.trim_start_matches(BOM));
    if text.contains('\n') {
        let lone = |t: &str| t.matches('\n').count() - t.matches("\r\n").count();
        prop_assert!(if text.contains("\r\n") { lone(&new) == 0 } else { !new.contains('\r') }, "{new:?}");
    }
    if !old_body.is_empty() && !new_body.is_empty() {
        prop_assert_eq!(new.ends_with('\n'), text.ends_with('\n'), "{:?}", new);
    }
    let after = Document::parse(&new, Format::Toml).unwrap();
    let depth = depth(&document, op.path());
    let absent = depth < op.path().0.len();
    match op {
        Op::Set { path, value } => {
            prop_assert!(after.get(path).unwrap().unwrap().value.same(value));
            prop_assert!(after.plan(std::slice::from_ref(op)).unwrap().is_empty());
            let replaced = document.get(path).unwrap().filter(|n| !matches!(n.value, Value::Array(_) | Value::Object(_)));
            if let Some(node) = replaced {
                prop_assert!(edit.splices().iter().all(|s| s.range == node.span), "{edit:?}");
            }
            if absent {
                // In brackets, the line that ends a value changes, and a comma may come to the one before it.
                prop_assert!(lost_lines(text, &new) <= 1, "{new}");
                let made = Path(path.0[..=depth].to_vec());
                let back = after.plan(&[Op::remove(made)]).unwrap().apply(&new);
                // A table that only headers below it spoke of has a header now, and that stays.
                prop_assert!(back == text || has_one_more_header(text, &back), "{back:?}");
            }
        }
        Op::Remove { path, .. } => {
            prop_assert!(after.plan(std::slice::from_ref(op)).unwrap().is_empty());
            prop_assert_eq!(absent, edit.is_empty());
            // Nothing is new but a line that lost an item or comma, and a container that is written down now.
            prop_assert!(lost_lines(&new, text) <= 3, "{new}");
            let target = document.get(path).ok().flatten().map_or(0..0, |n| n.span);
            let is_table = text[target.clone()].starts_with('[') || matches!(value_at(&document, path), Some(Value::Object(_)));
            if !is_table {
                // With the line of the value, a header and blank lines may go, of comments only those in the value.
                let comments = |t: &str| lines(t).iter().filter(|l| l.trim_start().starts_with("# note")).count();
                prop_assert_eq!(comments(text), comments(&new), "{}", new);
            }
        }
    }
    Ok(())
}

/// True when a path names one of several elements with the same name.
fn has_twins(root: &Value, path: &Path) -> bool {
    let mut at = root;
    for step in &path.0 {
        let next = match (step, at) {
            (Step::Key(key), _) => at.get(key),
            (Step::Item { field, value }, Value::Array(items)) => {
                let mut named = items.iter().filter(|i| i.get(field).and_then(Value::as_str) == Some(value));
                let first = named.next();
                if named.next().is_some() {
                    return true;
                }
                first
            }
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return false,
        }
    }
    false
}

#[test]
fn every_edit_is_exact() {
    let cases = (text(), choices(), prop::option::of(new_value()), 0..4usize);
    cases::run(&cases, |(text, choices, value, prune)| {
        let path = path_in(&root(&text), choices);
        let op = match value {
            Some(value) => Op::Set { path, value },
            None => Op::Remove { path, prune },
        };
        holds(&text, &op).map_err(|error| TestCaseError::fail(format!("{error}\n{op:?}\n{text:?}")))
    });
}

#[test]
fn no_text_is_a_panic() {
    cases::run(&"[ab.=\\[\\]{}\"'# \n\r,0-9\\\\-]{0,40}", |text| {
        let accepted = text.parse::<toml::Table>().is_ok();
        prop_assert_eq!(Document::parse(&text, Format::Toml).is_ok(), accepted);
        Ok(())
    });
}
