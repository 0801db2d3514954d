//! Generated documents times generated operations, read back by a parser of another family (libyaml).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod cases;
#[path = "yaml_support/generate.rs"]
mod generate;
#[path = "yaml_support/libyaml.rs"]
mod libyaml;

use std::cell::Cell;

use generate::Tape;
use mcp_edit::{Document, Format, Op, Path, ProblemKind, Value};

/// The unique comments of a generated text that start outside of a range.
fn comments(text: &str, except: &std::ops::Range<usize>) -> Vec<String> {
    text.match_indices("#c")
        .filter(|(at, _)| !except.contains(at))
        .map(|(at, _)| text[at..].chars().take_while(|c| !c.is_whitespace()).collect::<String>() + " ")
        .collect()
}

/// The range of a value and of the comments and blank lines that follow it.
fn territory(text: &str, path: &Path) -> std::ops::Range<usize> {
    let document = Document::parse(text, Format::Yaml).unwrap();
    let span = document.get(path).unwrap().map_or(0..0, |n| n.span);
    let mut end = text[span.end..].find('\n').map_or(text.len(), |i| span.end + i + 1);
    for line in text[end..].split_inclusive('\n') {
        if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
            break;
        }
        end += line.len();
    }
    // The comment on the key's line is not the value's, unless the value starts there.
    span.start..end
}

/// Where the key or dash of a value is, which goes with it.
fn announced(text: &str, path: &Path, start: usize) -> usize {
    let document = Document::parse(text, Format::Yaml).unwrap();
    let (parent, last) = path.split_last().unwrap();
    match last {
        mcp_edit::Step::Key(key) => {
            let members = document.members(&parent, None).unwrap_or_default().unwrap_or_default();
            members.iter().find(|m| m.name == *key).map_or(start, |m| m.name_span.start)
        }
        mcp_edit::Step::Item { .. } => text[..start].rfind('-').unwrap_or(start),
    }
}

/// The part of a path up to the first step that leads nowhere, and whether what lacks it holds something.
fn first_missing(root: &Value, path: &Path) -> Option<(Path, bool)> {
    let mut at = root;
    for (i, step) in path.0.iter().enumerate() {
        let next = match (step, at) {
            (mcp_edit::Step::Key(key), _) => at.get(key),
            (mcp_edit::Step::Item { field, value }, Value::Array(items)) => {
                items.iter().find(|v| v.get(field).and_then(Value::as_str) == Some(value))
            }
            _ => None,
        };
        let Some(next) = next else {
            let holds = at.as_object().is_some_and(|o| !o.is_empty()) || at.as_array().is_some_and(|a| !a.is_empty());
            return Some((Path(path.0[..=i].to_vec()), holds));
        };
        at = next;
    }
    None
}

/// What may be meant afterwards: a container that holds a comment is not pruned.
fn outcomes(before: &Value, op: &Op) -> Vec<Value> {
    let after = |op: &Op| {
        let mut value = before.clone();
        op.apply_to(&mut value).unwrap();
        value
    };
    match op {
        Op::Set { .. } => vec![after(op)],
        Op::Remove { path, prune } => (0..=*prune).map(|prune| after(&Op::Remove { path: path.clone(), prune })).collect(),
    }
}

/// Checks every rule; true when the operation was not refused.
fn check(text: &str, op: &Op) -> bool {
    let before = libyaml::read(text).unwrap_or_else(|e| panic!("the generator made a bad text: {e}\n{text}"));
    let document = Document::parse(text, Format::Yaml).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let root = document.get(&Path::default()).unwrap().map_or(Value::Object(Vec::new()), |n| n.value);
    assert!(root.same(&before), "read differently:\n{text}\nours   {root:?}\ntheirs {before:?}");
    let edit = match document.plan(std::slice::from_ref(op)) {
        Ok(edit) => edit,
        Err(problem) => {
            let expected = matches!(
                problem.kind,
                ProblemKind::Alias(_)
                    | ProblemKind::Unsupported(_)
                    | ProblemKind::NotContainer { .. }
                    | ProblemKind::DuplicateKey(_)
            );
            assert!(expected, "{problem}\n{op:?}\n{text}");
            return false;
        }
    };
    let after = edit.apply(text);
    let wanted = outcomes(&before, op);
    let have = libyaml::read(&after).unwrap_or_else(|e| panic!("{e}\n{op:?}\n{text}----\n{after}"));
    let agreed = wanted.iter().any(|want| have.same(want));
    assert!(agreed, "{op:?}\n{text}----\n{after}\nhave {have:?}\nwant {wanted:?}");
    assert_eq!(edit.inverse(text).apply(&after), text);
    let next = Document::parse(&after, Format::Yaml).unwrap();
    assert!(next.plan(std::slice::from_ref(op)).unwrap().is_empty(), "a second time\n{op:?}\n{text}----\n{after}");
    if !text.contains('\r') {
        assert!(!after.contains('\r'), "{after:?}");
    } else if !text.replace("\r\n", "").contains('\n') {
        assert!(!after.replace("\r\n", "").contains('\n'), "line breaks are mixed\n{op:?}\n{text:?}----\n{after:?}");
    }
    assert_eq!(text.starts_with('\u{feff}'), after.starts_with('\u{feff}'));
    let missing = match op {
        Op::Set { path, .. } => first_missing(&before, path),
        Op::Remove { .. } => None,
    };
    let lost = match (op, &missing) {
        (Op::Set { .. }, Some(_)) => 0..0,
        (Op::Set { path, value }, None) => {
            let old = document.get(path).unwrap().unwrap().value;
            let containers = [&old, value].iter().any(|v| matches!(v, Value::Array(_) | Value::Object(_)));
            // What stands on the key's line before the value stays, what stands between that line and the value may go.
            let range = territory(text, path);
            let key = announced(text, path, range.start).min(range.start);
            let line = text[key..].find('\n').map_or(text.len(), |i| key + i);
            if containers { line.min(range.start)..range.end } else { 0..0 }
        }
        (Op::Remove { path, prune }, _) => {
            // Of what is pruned, only the comments on the lines of keys may go.
            let whole = (0..=*prune).rev().find(|p| have.same(&outcomes(&before, op)[*p])).unwrap_or(0);
            let up = path.0.len().saturating_sub(whole).max(1);
            let gone = Path(path.0[..up].to_vec());
            let range = territory(text, &gone);
            announced(text, &gone, range.start).min(range.start)..range.end
        }
    };
    let padded = after.replace(['\n', '\r'], " ") + " ";
    for comment in comments(text, &lost) {
        assert!(padded.contains(&comment), "{comment} is lost\n{op:?}\n{text}----\n{after}");
    }
    if let Some((path, true)) = missing {
        let back = next.plan(&[Op::remove(path)]).unwrap_or_else(|e| panic!("{e}\n{op:?}\n{text}----\n{after}"));
        assert_eq!(back.apply(&after), text, "taking it away again\n{op:?}\n{text}----\n{after}");
    }
    true
}

#[test]
fn every_rule_holds_for_generated_edits() {
    let (done, refused) = (Cell::new(0_u32), Cell::new(0_u32));
    let tapes = proptest::collection::vec(proptest::num::u8::ANY, 0..300);
    cases::run(&tapes, |bytes| {
        let mut tape = Tape::new(&bytes);
        let text = generate::document(&mut tape);
        let root = libyaml::read(&text).unwrap_or_else(|e| panic!("the generator made a bad text: {e}\n{text}"));
        let op = generate::operation(&mut tape, &root);
        let count = if check(&text, &op) { &done } else { &refused };
        count.set(count.get() + 1);
        Ok(())
    });
    assert!(refused.get() < done.get() / 4, "{} edits done, {} refused: the generator is off", done.get(), refused.get());
}
