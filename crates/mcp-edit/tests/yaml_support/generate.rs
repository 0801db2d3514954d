//! Documents in every layout people use, and operations on them, from a tape of bytes. An empty tape gives the simplest
//! choice everywhere, so shorter tapes are simpler cases.

#![allow(clippy::format_push_string, reason = "a text is put together here, and the pieces are easier to read this way")]

use mcp_edit::{Op, Path, Step, Value};

/// Choices, read from bytes.
pub(crate) struct Tape<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Tape<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn pick(&mut self, below: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(byte) % below
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.pick(n) == n - 1
    }

    fn of<'x, T: ?Sized>(&mut self, choices: &[&'x T]) -> &'x T {
        choices[self.pick(choices.len())]
    }
}

const KEYS: [&str; 10] = ["name", "cmd", "args", "envs", "enabled", "time-out", "a.b", "é", "\"q k\"", "'on'"];
const PLAIN: [&str; 16] =
    ["npx", "-y", "12", "true", "null", "~", "1e3", "yes", "http://x/y", "ü", "a b", "0x1F", "two\n  lines", "C:\\x", "a#b", "-"];
const STRINGS: [&str; 26] = [
    "npx",
    "-y",
    "",
    "yes",
    "on",
    "null",
    "~",
    "1e3",
    "0x1",
    "12:30",
    "2001-01-01",
    " lead",
    "trail ",
    "a: b",
    "a #b",
    "# c",
    "- x",
    "*x",
    "&x",
    "!t",
    "{x",
    "a, b",
    "l1\nl2\n",
    "it's \"q\"",
    "é\u{1f600}",
    "tab\tx\u{7}",
];

/// A text and the state of making it.
struct Maker<'a, 'b> {
    tape: &'b mut Tape<'a>,
    out: String,
    step: usize,
    dash: usize,
    gap: usize,
    comments: usize,
    anchors: usize,
    /// Anchors whose value is complete.
    ready: Vec<usize>,
    last_is_block_scalar: bool,
}

/// A document.
pub(crate) fn document(tape: &mut Tape<'_>) -> String {
    let step = 2 + tape.pick(3);
    let dash = if tape.one_in(2) { 0 } else { step };
    let gap = if tape.one_in(6) { 4 } else { 2 };
    let (crlf, bom, bare) = (tape.one_in(5), tape.one_in(6), tape.one_in(5));
    let markers = tape.pick(6);
    let mut maker = Maker {
        tape,
        out: String::new(),
        step,
        dash,
        gap,
        comments: 0,
        anchors: 0,
        ready: Vec::new(),
        last_is_block_scalar: false,
    };
    if markers == 5 {
        maker.out.push_str("%YAML 1.1\n");
    }
    if markers >= 4 {
        maker.out.push_str("---\n");
    }
    match maker.tape.pick(12) {
        11 => maker.noise(0),
        10 => {
            maker.flow(0, 0, true);
            maker.out.push('\n');
        }
        9 => maker.sequence(0, 0, false),
        _ => maker.mapping(0, 0, false),
    }
    maker.noise(0);
    let mut end_marked = false;
    if markers == 4 {
        maker.out.push_str("...\n");
        end_marked = true;
    }
    let keep_newline = maker.last_is_block_scalar || end_marked;
    let mut text = maker.out;
    if bare && !keep_newline {
        text.truncate(text.trim_end_matches('\n').len());
    }
    if crlf {
        text = text.replace('\n', "\r\n");
    }
    if bom {
        text.insert(0, '\u{feff}');
    }
    text
}

impl Maker<'_, '_> {
    fn comment(&mut self) -> String {
        self.comments += 1;
        format!("#c{}", self.comments)
    }

    /// Perhaps blank lines and comment lines at `column`.
    fn noise(&mut self, column: usize) {
        while self.tape.one_in(5) {
            if self.tape.one_in(2) {
                let comment = self.comment();
                self.out.push_str(&format!("{}{comment}\n", " ".repeat(column)));
            } else {
                self.out.push('\n');
            }
        }
    }

    fn end_line(&mut self) {
        if self.tape.one_in(5) {
            let comment = self.comment();
            self.out.push_str(&format!("  {comment}"));
        }
        self.out.push('\n');
    }

    fn mapping(&mut self, column: usize, depth: usize, inline: bool) {
        let mut keys = Vec::new();
        for i in 0..=self.tape.pick(4) {
            let key = KEYS[self.tape.pick(KEYS.len())];
            if keys.contains(&key) {
                continue;
            }
            keys.push(key);
            if !(inline && i == 0) {
                self.noise(column);
                self.out.push_str(&" ".repeat(column));
            }
            self.out.push_str(key);
            self.out.push(':');
            self.last_is_block_scalar = false;
            self.value(column, depth + 1, false, key);
        }
        if self.tape.one_in(6) && !self.last_is_block_scalar {
            // A comment that stands deeper than the keys it follows.
            self.noise(column + self.step);
        }
    }

    fn sequence(&mut self, column: usize, depth: usize, inline: bool) {
        for i in 0..=self.tape.pick(3) {
            if !(inline && i == 0) {
                self.noise(column);
                self.out.push_str(&" ".repeat(column));
            }
            self.out.push('-');
            self.last_is_block_scalar = false;
            self.value(column, depth + 1, true, "");
        }
    }

    /// A value behind a colon or dash, to the end of its last line.
    fn value(&mut self, column: usize, depth: usize, dashed: bool, key: &str) {
        let lead = if dashed { self.gap - 1 } else { 1 };
        let named = key == "name" && self.tape.pick(3) > 0;
        let choice = if named { 0 } else { self.tape.pick(if depth < 4 { 14 } else { 8 }) };
        let anchor = if choice != 7 && self.tape.one_in(12) {
            self.anchors += 1;
            self.out.push_str(&format!("{}&a{}", " ".repeat(lead), self.anchors));
            Some(self.anchors)
        } else {
            None
        };
        let lead = if anchor.is_some() { 1 } else { lead };
        let space = " ".repeat(lead);
        match choice {
            0 if named => {
                let name = ["n1", "n2", "n3"][self.tape.pick(3)];
                self.out.push_str(&format!("{space}{name}"));
                self.end_line();
            }
            0..=2 => {
                let word = PLAIN[self.tape.pick(PLAIN.len())];
                let word = if word == "-" { "z" } else { word };
                self.out.push_str(&format!("{space}{}", word.replace('\n', &format!("\n{}", " ".repeat(column)))));
                self.end_line();
            }
            3 | 4 => {
                let quoted = self.quoted();
                self.out.push_str(&format!("{space}{quoted}"));
                self.end_line();
            }
            5 => self.end_line(),
            6 => {
                let header = self.tape.of(&["|", ">", "|-", ">+", "|+", ">-"]);
                self.out.push_str(&format!("{space}{header}"));
                self.end_line();
                let indent = " ".repeat(column + self.step.max(if dashed { 2 } else { 0 }));
                for i in 0..=self.tape.pick(3) {
                    // Neither a blank line nor a deeper one may come first: both would say something about the indentation.
                    let choices: &[&str] =
                        if i == 0 { &["text", "# none", "é"] } else { &["text", "# none", "é", "", "  more"] };
                    match self.tape.of(choices) {
                        "" => self.out.push('\n'),
                        line => self.out.push_str(&format!("{indent}{line}\n")),
                    }
                }
                self.last_is_block_scalar = true;
                if self.tape.one_in(4) {
                    self.out.push('\n');
                }
            }
            7 if !self.ready.is_empty() => {
                let which = self.ready[self.tape.pick(self.ready.len())];
                self.out.push_str(&format!("{space}*a{which}"));
                self.end_line();
            }
            7 => {
                self.out.push_str(&format!("{space}{}", self.tape.of(&["{}", "[]", "{ }"])));
                self.end_line();
            }
            8 | 9 => {
                self.out.push_str(&space);
                let spread = self.tape.one_in(3);
                self.flow(column, depth, spread);
                self.end_line();
            }
            10..=12 if dashed && anchor.is_none() && self.tape.pick(4) > 0 => {
                self.out.push_str(&space);
                self.mapping(column + self.gap, depth, true);
            }
            10..=12 => {
                self.end_line();
                self.mapping(column + self.step, depth, false);
            }
            _ if dashed && anchor.is_none() => {
                self.out.push_str(&space);
                self.sequence(column + self.gap, depth, true);
            }
            _ => {
                self.end_line();
                let dash = if dashed { self.step } else { self.dash };
                self.sequence(column + dash, depth, false);
            }
        }
        self.ready.extend(anchor);
    }

    fn quoted(&mut self) -> String {
        let string = STRINGS[self.tape.pick(STRINGS.len())];
        if self.tape.one_in(2) && !string.contains(['\n', '\t', '\u{7}']) {
            return format!("'{}'", string.replace('\'', "''"));
        }
        let escaped = string.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{}\"", escaped.replace('\n', "\\n").replace('\t', "\\t").replace('\u{7}', "\\a"))
    }

    fn flow(&mut self, column: usize, depth: usize, spread: bool) {
        let object = depth == 0 || self.tape.one_in(2);
        let json = self.tape.one_in(3);
        let pad = if self.tape.one_in(4) { " " } else { "" };
        let inner = column + self.step;
        self.out.push(if object { '{' } else { '[' });
        let count = self.tape.pick(4);
        let mut keys = Vec::new();
        for i in 0..count {
            let key = KEYS[self.tape.pick(KEYS.len())];
            if object && keys.contains(&key) {
                continue;
            }
            if i > 0 {
                self.out.push(',');
            }
            if spread {
                self.end_line();
                self.noise(inner);
                self.out.push_str(&" ".repeat(inner));
            } else {
                self.out.push_str(if i > 0 { " " } else { pad });
            }
            keys.push(key);
            if object {
                let key = if json { format!("\"{}\"", key.trim_matches(['"', '\''])) } else { key.to_owned() };
                self.out.push_str(&format!("{key}: "));
            }
            match self.tape.pick(if depth < 3 { 5 } else { 3 }) {
                0 if !json => {
                    let word = self.tape.of(&["npx", "-y", "12", "true", "~", "a b"]);
                    self.out.push_str(word);
                }
                0..=2 => {
                    let quoted = self.quoted();
                    self.out.push_str(&quoted);
                }
                _ => self.flow(inner, depth + 1, spread),
            }
        }
        if !keys.is_empty() {
            if self.tape.one_in(5) {
                self.out.push(',');
            }
            if spread {
                self.end_line();
                self.out.push_str(&" ".repeat(column.max(1)));
            } else {
                self.out.push_str(pad);
            }
        }
        self.out.push(if object { '}' } else { ']' });
    }
}

/// An operation on something that `root` has, or nearly has.
pub(crate) fn operation(tape: &mut Tape<'_>, root: &Value) -> Op {
    let mut paths = Vec::new();
    collect(root, &Path::default(), &mut paths);
    let kind = tape.pick(5);
    let known: Vec<_> = paths.iter().filter(|(p, _)| !p.0.is_empty()).collect();
    let containers: Vec<_> =
        paths.iter().filter(|(_, v)| matches!(v, Value::Object(_) | Value::Array(_) | Value::Null)).collect();
    if kind >= 2 && !known.is_empty() {
        let (path, old) = known[tape.pick(known.len())];
        if kind == 4 {
            return Op::Remove { path: path.clone(), prune: tape.pick(3) };
        }
        // An element that loses its name could not be found a second time.
        let renames = path.0.windows(2).any(|w| matches!(w, [Step::Item { .. }, Step::Key(key)] if key == "name"));
        if renames {
            return Op::remove(path.clone());
        }
        let value = if tape.one_in(3) { vary(tape, old) } else { value(tape, 0) };
        return Op::set(path.clone(), named(path, value));
    }
    let (mut path, mut holder) = match containers.get(tape.pick(containers.len().max(1))) {
        Some((path, value)) => (path.clone(), Some(value)),
        None => (Path::default(), None),
    };
    for _ in 0..=tape.pick(3) / 2 {
        let name = tape.of(&["new", "né w", "no", "x.y", "1"]);
        let list = match holder {
            Some(Value::Array(_)) => true,
            Some(Value::Object(_)) => false,
            _ => tape.one_in(3),
        };
        path = if list { path.step(Step::Item { field: "name".into(), value: name.to_owned() }) } else { path.key(name) };
        // The element made on the way is an object.
        holder = None;
        if list {
            break;
        }
    }
    let made = named(&path, value(tape, 0));
    Op::set(path, made)
}

/// The value, as an object with the name the path asks for when the path ends with an element.
fn named(path: &Path, value: Value) -> Value {
    let Some(Step::Item { field, value: name }) = path.0.last() else { return value };
    let mut members = vec![(field.clone(), Value::from(name.as_str()))];
    if let Value::Object(more) = value {
        members.extend(more.into_iter().filter(|(k, _)| k != field));
    }
    Value::Object(members)
}

fn collect(value: &Value, path: &Path, out: &mut Vec<(Path, Value)>) {
    out.push((path.clone(), value.clone()));
    match value {
        Value::Object(members) => members.iter().for_each(|(k, v)| collect(v, &path.key(k), out)),
        Value::Array(items) => {
            for item in items {
                if let Some(name) = item.get("name").and_then(Value::as_str) {
                    collect(item, &path.step(Step::Item { field: "name".into(), value: name.to_owned() }), out);
                }
            }
        }
        _ => {}
    }
}

/// Something like `old`, so that edits of single fields and elements happen.
fn vary(tape: &mut Tape<'_>, old: &Value) -> Value {
    match old {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().filter(|_| !tape.one_in(4)).cloned().collect();
            if let Some(i) = members.len().checked_sub(1) {
                members[i].1 = value(tape, 1);
            }
            if tape.one_in(2) {
                members.push(("extra".into(), value(tape, 1)));
            }
            Value::Object(members)
        }
        Value::Array(items) => {
            let mut items: Vec<_> = items.iter().filter(|_| !tape.one_in(4)).cloned().collect();
            if tape.one_in(2) {
                items.push(value(tape, 1));
            }
            Value::Array(items)
        }
        _ => value(tape, 1),
    }
}

fn value(tape: &mut Tape<'_>, depth: usize) -> Value {
    match tape.pick(if depth < 3 { 9 } else { 5 }) {
        0 | 1 => Value::from(STRINGS[tape.pick(STRINGS.len())]),
        2 => Value::Number(tape.of(&["1", "300", "1.5", "-2e3"]).into()),
        3 => Value::Bool(tape.one_in(2)),
        4 => Value::Null,
        5 | 6 => {
            let count = tape.pick(4);
            Value::Array((0..count).map(|_| value(tape, depth + 1)).collect())
        }
        _ => {
            let count = tape.pick(4);
            let keys = ["cmd", "args", "x y", "true", ""];
            let start = tape.pick(keys.len());
            Value::Object((0..count).map(|i| (keys[(start + i) % keys.len()].to_owned(), value(tape, depth + 1))).collect())
        }
    }
}
