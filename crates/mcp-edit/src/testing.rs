//! What every edit of every text must hold to. Property tests and fuzz targets call the same functions.

use crate::{Document, Edit, Format, Op, Path, Problem, ProblemKind, Step, Value};

/// Another program's reading of a text; `None` when that program would refuse it.
pub type Reader = fn(&str) -> Option<Value>;

/// Plans `op` on `text` and checks everything that can be checked about the outcome. Text that does not parse is fine.
///
/// Each of `readers` that accepts `text` must accept the edited text too, and read from it what was asked for.
///
/// # Panics
/// When a promise is broken.
pub fn check_edit(text: &str, format: Format, op: &Op, readers: &[Reader]) {
    let Ok(document) = Document::parse(text, format) else { return };
    let Ok(Some(root)) = document.get(&Path::default()) else { return };
    let before = root.value;
    let edit = match document.plan(std::slice::from_ref(op)) {
        Ok(edit) if op.apply_to(&mut before.clone()).is_err() => panic!("{op:?} should be refused on {text:?}, is {edit:?}"),
        Ok(edit) => edit,
        Err(problem) => return check_refusal(text, &before, op, &problem),
    };
    let after = edit.apply(text);
    let shown = || format!("{op:?}\n--- before\n{text}\n--- after\n{after}\n---\n{text:?}\n{after:?}");

    check_splices(text, &edit, &after);
    let again = Document::parse(&after, format).unwrap_or_else(|problem| panic!("{problem}: {}", shown()));
    let have = again.get(&Path::default()).ok().flatten().map(|node| node.value);
    let meanings = meanings(&before, op);
    assert!(have.is_some_and(|have| meanings.iter().any(|want| sorted(&have) == sorted(want))), "another meaning: {}", shown());
    let second = again.plan(std::slice::from_ref(op)).map(|edit| edit.is_empty());
    assert_eq!(second, Ok(true), "doing it twice is not doing it once: {}", shown());
    for (i, read) in readers.iter().enumerate().filter(|_| !doubled(&before)) {
        if read(text).is_some_and(|value| loosely(&value) == loosely(&before)) {
            let have = read(&after).map(|value| loosely(&value));
            assert!(
                have.is_some_and(|have| meanings.iter().any(|want| have == loosely(want))),
                "reader {i} does not agree: {}",
                shown()
            );
        }
    }

    if text.contains("\r\n") && text.matches('\n').count() == text.matches("\r\n").count() {
        assert_eq!(after.matches('\n').count(), after.matches("\r\n").count(), "CRLF lost: {}", shown());
    }
    if !text.contains('\r') {
        assert!(!after.contains('\r'), "CRLF from nowhere: {}", shown());
    }
    assert_eq!(text.starts_with('\u{feff}'), after.starts_with('\u{feff}'), "byte order mark: {}", shown());
    if ![text, &after].iter().any(|text| text.trim_start_matches('\u{feff}').is_empty()) {
        // Only YAML takes a carriage return alone for a line break.
        let ends = |text: &str| text.ends_with('\n') || (format == Format::Yaml && text.ends_with('\r'));
        assert_eq!(ends(text), ends(&after), "final newline: {}", shown());
    }
    if let Op::Set { path, .. } = op {
        check_taking_back(&document, &again, path, &after);
    }
}

/// [`check_edit`] with many operations made up from what the text holds.
///
/// # Panics
/// When a promise is broken.
pub fn check_text(text: &str, format: Format, readers: &[Reader]) {
    let Ok(document) = Document::parse(text, format) else { return };
    let Ok(Some(root)) = document.get(&Path::default()) else { return };
    let mut paths = Vec::new();
    collect(&root.value, &Path::default(), &mut paths);
    let item = Step::Item { field: "name".to_owned(), value: "new".to_owned() };
    let step = paths.len().div_ceil(12).max(1);
    for path in paths.iter().step_by(step) {
        let _ = document.members(path, Some("name"));
        for prune in 0..3 {
            check_edit(text, format, &Op::Remove { path: path.clone(), prune }, readers);
        }
        let old = document.get(path).ok().flatten().map(|node| node.value);
        for value in [Value::from("other"), entry(), old.map_or(Value::Null, changed)] {
            check_edit(text, format, &Op::set(path.clone(), value), readers);
        }
        check_edit(text, format, &Op::set(path.key("new"), entry()), readers);
        check_edit(text, format, &Op::set(path.key("new").key("newer"), Value::from("text")), readers);
        check_edit(text, format, &Op::set(path.step(item.clone()).key("command"), Value::from("npx")), readers);
    }
}

/// A server's entry with a bit of everything.
pub fn entry() -> Value {
    Value::object([
        ("command", Value::from("npx")),
        ("args", Value::strings(["-y", "a \"quoted\" \\ one"])),
        ("env", Value::object([("KEY", Value::from("ü"))])),
        ("timeout", Value::from(30)),
    ])
}

/// The object with its first member gone, its last another and one more; anything else in a list.
fn changed(value: Value) -> Value {
    let Value::Object(mut members) = value else { return Value::Array(vec![value]) };
    if members.len() > 1 {
        members.remove(0);
    }
    if let Some((_, last)) = members.last_mut() {
        *last = Value::strings(["x", "y"]);
    }
    members.retain(|(key, _)| key != "added");
    members.push(("added".to_owned(), entry()));
    Value::Object(members)
}

fn collect(value: &Value, path: &Path, paths: &mut Vec<Path>) {
    if !path.0.is_empty() || paths.is_empty() {
        paths.push(path.clone());
    }
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| collect(value, &path.key(key), paths)),
        Value::Array(items) => {
            for item in items {
                if let Some(name) = item.get("name").and_then(Value::as_str) {
                    collect(item, &path.step(Step::Item { field: "name".to_owned(), value: name.to_owned() }), paths);
                }
            }
        }
        _ => {}
    }
}

/// An operation may be refused, for a reason that is true.
fn check_refusal(text: &str, before: &Value, op: &Op, problem: &Problem) {
    let shown = || format!("{problem} for {op:?} on {text:?}");
    match problem.kind {
        ProblemKind::Mismatch(_) => panic!("{}", shown()),
        ProblemKind::DuplicateKey(_) => {
            assert!(doubled(before) || matches!(op, Op::Set { value, .. } if doubled(value)), "{}", shown());
        }
        ProblemKind::NotContainer { .. } => {
            assert!(op.apply_to(&mut before.clone()).is_err(), "{}", shown());
        }
        _ => {}
    }
}

fn check_splices(text: &str, edit: &Edit, after: &str) {
    let (mut old, mut new) = (0, 0);
    for splice in edit.splices() {
        let kept = splice.range.start - old;
        assert_eq!(
            &text.as_bytes()[old..splice.range.start],
            &after.as_bytes()[new..new + kept],
            "bytes outside the splices changed"
        );
        old = splice.range.end;
        new += kept + splice.text.len();
    }
    assert_eq!(&text[old..], &after[new..], "bytes after the splices changed");
    assert_eq!(edit.inverse(text).apply(after), text, "the inverse does not give the first bytes back");
}

/// What the document may mean afterwards. More than one: a container with a comment in it is not pruned.
fn meanings(before: &Value, op: &Op) -> Vec<Value> {
    let smaller = match op {
        Op::Remove { path, prune } => (0..*prune).map(|prune| Op::Remove { path: path.clone(), prune }).collect(),
        Op::Set { .. } => Vec::new(),
    };
    std::iter::once(op)
        .chain(&smaller)
        .map(|op| {
            let mut value = before.clone();
            let _ = op.apply_to(&mut value);
            value
        })
        .collect()
}

/// What was put into a container that held something already is taken out again without a trace.
fn check_taking_back(before: &Document<'_>, after: &Document<'_>, path: &Path, text: &str) {
    let there = |path: &Path| before.get(path).ok().flatten();
    let mut made = 0;
    let mut at = path.clone();
    let container = loop {
        let Some((parent, _)) = at.split_last() else { return };
        if let Some(node) = there(&at) {
            // Something was overwritten, or `null` made way for a container.
            if made == 0 || node.value == Value::Null {
                return;
            }
            break node;
        }
        made += 1;
        at = parent;
        if at.0.is_empty() {
            match there(&at) {
                Some(node) => break node,
                None => return,
            }
        }
    };
    let span = &before.text()[container.span.clone()];
    let holds = match &container.value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => return,
    };
    // Of an empty container only these have one way back.
    let derivable = holds || (before.format() == Format::Json && (span == "{}" || span == "[]" || span.contains('/')));
    if !derivable || (span.is_empty() && before.format() == Format::Json) {
        return;
    }
    let topmost = Path(path.0[..=path.0.len() - made].to_vec());
    let mut ways = vec![Op::remove(topmost)];
    // An element we made keeps its name, so it is never empty.
    if !path.0[path.0.len() - made..path.0.len() - 1].iter().any(|step| matches!(step, Step::Item { .. })) {
        ways.push(Op::Remove { path: path.clone(), prune: made - 1 });
    }
    for op in ways {
        let back = after.plan(&[op]).unwrap_or_else(|problem| panic!("{problem}: cannot take {path} back out of\n{text}"));
        assert_eq!(back.apply(text), before.text(), "taking {path} back leaves a trace; between:\n{text}");
    }
}

/// Whether some object has a key twice, or some list two elements of one name.
fn doubled(value: &Value) -> bool {
    let twice = |mut names: Vec<&str>| {
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        names.len() < count
    };
    match value {
        Value::Object(members) => {
            twice(members.iter().map(|(k, _)| k.as_str()).collect()) || members.iter().any(|(_, v)| doubled(v))
        }
        Value::Array(items) => twice(items.iter().filter_map(|v| v.get("name")?.as_str()).collect()) || items.iter().any(doubled),
        _ => false,
    }
}

/// The value with its keys in alphabetical order, and a doubled key's values in the order of the file.
fn sorted(value: &Value) -> Value {
    normal(value, &|number| number.into())
}

/// The value as a reader sees it that keeps numbers as floats and keys in some order.
fn loosely(value: &Value) -> Value {
    normal(value, &|number| number.parse::<f64>().map_or_else(|_| number.into(), |f| f.to_string().into()))
}

fn normal(value: &Value, number: &dyn Fn(&str) -> Box<str>) -> Value {
    match value {
        Value::Number(text) => Value::Number(number(text)),
        Value::Array(items) => Value::Array(items.iter().map(|v| normal(v, number)).collect()),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().map(|(k, v)| (k.clone(), normal(v, number))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members)
        }
        other => other.clone(),
    }
}
