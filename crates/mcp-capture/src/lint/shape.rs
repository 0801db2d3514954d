//! What messages look like: the table `shapes.txt`, and values compared with it.
//!
//! Members the table does not know are fine everywhere: the protocol is open.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::lint::json::{evidence, is_redacted, kind, push_index, push_key};
use crate::lint::rule::Revision;

/// So many faults of one message are told.
const MOST: usize = 20;

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Missing,
    Null,
    Type,
    Word,
}

/// A value that is not as the table has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) wrong: Wrong,
    pub(super) path: String,
    pub(super) message: String,
    pub(super) evidence: String,
}

/// Who may send a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
    Both,
}

/// A set of revisions: one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct When(u8);

impl When {
    const ALWAYS: Self = Self(0b1_1111);

    fn has(self, revision: Revision) -> bool {
        self.0 >> (revision as u8) & 1 == 1
    }

    fn parse(text: &str) -> Option<Self> {
        let bit = |letter: u8| letter.checked_sub(b'a').filter(|at| *at < 5).map(|at| 1_u8 << at);
        match text.strip_prefix('@')?.as_bytes() {
            [since, b'-'] => Some(Self(Self::ALWAYS.0 & !(bit(*since)? - 1))),
            [b'-', until] => Some(Self(bit(*until)? | (bit(*until)? - 1))),
            [since, b'-', until] => Some(Self((bit(*until)? | (bit(*until)? - 1)) & !(bit(*since)? - 1))),
            [only] => Some(Self(bit(*only)?)),
            _ => None,
        }
    }
}

#[derive(Debug)]
enum Type {
    Text,
    Number,
    Integer,
    Boolean,
    Object,
    Array,
    Any,
    Null,
    List(Box<Type>),
    Map(Box<Type>),
    OneOrMany(Box<Type>),
    Either(Vec<Type>),
    Word(&'static str),
    Named(&'static str),
}

#[derive(Debug)]
struct Member {
    name: &'static str,
    is_optional: bool,
    kind: Type,
    when: When,
}

#[derive(Debug)]
struct Variant {
    word: &'static str,
    of: &'static str,
    when: When,
}

#[derive(Debug)]
enum Definition {
    Record(Vec<Member>),
    Union(&'static str, Vec<Variant>),
    Words(Vec<&'static str>),
}

#[derive(Debug)]
struct Message {
    sender: Sender,
    when: When,
    members: Vec<Member>,
}

#[derive(Debug, Default)]
struct Table {
    params: HashMap<&'static str, Vec<Message>>,
    results: HashMap<&'static str, Vec<Message>>,
    types: HashMap<&'static str, Definition>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        read(include_str!("shapes.txt")).unwrap_or_else(|line| panic!("the table of shapes, which a test reads: {line}"))
    })
}

fn read(text: &'static str) -> Result<Table, &'static str> {
    let mut table = Table::default();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut body = Vec::new();
        while let Some(next) = lines.peek().filter(|next| next.starts_with("  ")) {
            body.push(next.trim_start());
            lines.next();
        }
        let mut words: Vec<&'static str> = line.split(' ').collect();
        let when = match words.last().filter(|word| word.starts_with('@')) {
            Some(word) => {
                let when = When::parse(word).ok_or(line)?;
                words.pop();
                when
            }
            None => When::ALWAYS,
        };
        match words[..] {
            ["params", sender, method] => {
                let sender = match sender {
                    "client" => Sender::Client,
                    "server" => Sender::Server,
                    _ => Sender::Both,
                };
                table.params.entry(method).or_default().push(Message { sender, when, members: members(&body)? });
            }
            ["result", method] => {
                table.results.entry(method).or_default().push(Message { sender: Sender::Both, when, members: members(&body)? });
            }
            ["type", name] => {
                table.types.insert(name, Definition::Record(members(&body)?));
            }
            ["words", name, all] => {
                table.types.insert(name, Definition::Words(all.split('|').map(|word| word.trim_matches('"')).collect()));
            }
            ["union", name, by] => {
                let variants = body.iter().map(|line| variant(line)).collect::<Result<_, _>>()?;
                table.types.insert(name, Definition::Union(by, variants));
            }
            _ => return Err(line),
        }
    }
    Ok(table)
}

fn variant(line: &'static str) -> Result<Variant, &'static str> {
    let mut words = line.split(' ');
    let (Some(word), Some(of)) = (words.next(), words.next()) else { return Err(line) };
    let when = words.next().map_or(Some(When::ALWAYS), When::parse).ok_or(line)?;
    Ok(Variant { word, of, when })
}

fn members(lines: &[&'static str]) -> Result<Vec<Member>, &'static str> {
    lines
        .iter()
        .map(|line| {
            let mut words = line.split(' ');
            let (Some(name), Some(kind)) = (words.next(), words.next()) else { return Err(*line) };
            let when = words.next().map_or(Some(When::ALWAYS), When::parse).ok_or(*line)?;
            let is_optional = name.ends_with('?');
            Ok(Member { name: name.trim_end_matches('?'), is_optional, kind: type_of(kind), when })
        })
        .collect()
}

fn type_of(text: &'static str) -> Type {
    // Alternatives stand outermost, unless all of it is in brackets.
    let mut depth = 0_u32;
    let mut cuts = Vec::new();
    for (at, letter) in text.char_indices() {
        match letter {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            '|' if depth == 0 => cuts.push(at),
            _ => {}
        }
    }
    if !cuts.is_empty() {
        let mut all = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([text.len()]) {
            all.push(type_of(&text[from..cut]));
            from = cut + 1;
        }
        return Type::Either(all);
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Type::List(Box::new(type_of(inner)));
    }
    if let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        return Type::Map(Box::new(type_of(inner)));
    }
    if let Some(inner) = text.strip_suffix('*') {
        return Type::OneOrMany(Box::new(type_of(inner)));
    }
    if let Some(word) = text.strip_prefix('"') {
        return Type::Word(word.trim_end_matches('"'));
    }
    match text {
        "string" => Type::Text,
        "number" => Type::Number,
        "integer" => Type::Integer,
        "boolean" => Type::Boolean,
        "object" => Type::Object,
        "array" => Type::Array,
        "any" => Type::Any,
        "null" => Type::Null,
        name => Type::Named(name),
    }
}

/// What the table knows of a method in a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Sent by these.
    Yes(Sender),
    /// In these other revisions only.
    Elsewhere(&'static str),
    /// Not at all.
    No,
}

/// Whether a revision has a method.
pub(super) fn known(method: &str, revision: Revision) -> Known {
    let Some((name, messages)) = table().params.get_key_value(method) else { return Known::No };
    match messages.iter().find(|message| message.when.has(revision)) {
        Some(message) => Known::Yes(message.sender),
        None => Known::Elsewhere(name),
    }
}

/// The revisions that have a method, in words.
pub(super) fn revisions_of(method: &str) -> String {
    let all: Vec<&str> = Revision::ALL
        .into_iter()
        .filter(|revision| matches!(known(method, *revision), Known::Yes(_)))
        .map(Revision::name)
        .collect();
    match all[..] {
        [] => "no revision".to_owned(),
        [only] => only.to_owned(),
        [first, .., last] => format!("{first} to {last}"),
    }
}

/// Compares the params of a request or notification.
pub(super) fn params(method: &str, revision: Revision, value: Option<&Value>) -> Vec<Fault> {
    message(table().params.get(method), "params", revision, value)
}

/// Compares a result.
pub(super) fn result(method: &str, revision: Revision, value: Option<&Value>) -> Vec<Fault> {
    message(table().results.get(method), "result", revision, value)
}

fn message(known: Option<&'static Vec<Message>>, name: &str, revision: Revision, value: Option<&Value>) -> Vec<Fault> {
    let mut check = Check { revision, faults: Vec::new(), path: name.to_owned() };
    let Some(message) = known.and_then(|all| all.iter().find(|message| message.when.has(revision))) else {
        return Vec::new();
    };
    match value {
        Some(Value::Object(members)) => {
            check.members(&message.members, members);
            // Every message may have it, so that the table does not say so each time.
            check.members(meta(), members);
        }
        // That params are no object is said by another rule.
        Some(_) if name == "params" => {}
        Some(other) => check.wrong_type("an object", other),
        None => check.members(&message.members, &Map::new()),
    }
    check.faults
}

/// What every message may have.
fn meta() -> &'static [Member] {
    static META: [Member; 1] = [Member { name: "_meta", is_optional: true, kind: Type::Object, when: When::ALWAYS }];
    &META
}

struct Check {
    revision: Revision,
    faults: Vec<Fault>,
    path: String,
}

impl Check {
    fn put(&mut self, wrong: Wrong, message: String, evidence: String) {
        if self.faults.len() < MOST {
            self.faults.push(Fault { wrong, path: self.path.clone(), message, evidence });
        }
    }

    fn wrong_type(&mut self, wanted: &str, value: &Value) {
        if !is_redacted(value) {
            self.put(Wrong::Type, format!("`{}` must be {wanted} and is {}", self.path, kind(value)), evidence(value));
        }
    }

    fn below<T>(&mut self, extend: impl FnOnce(&mut String), check: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        extend(&mut self.path);
        let result = check(self);
        self.path.truncate(length);
        result
    }

    fn members(&mut self, members: &'static [Member], value: &Map<String, Value>) {
        let revision = self.revision;
        for member in members.iter().filter(|member| member.when.has(revision)) {
            self.below(
                |path| push_key(path, member.name),
                |check| match value.get(member.name) {
                    Some(Value::Null) if member.is_optional && !matches!(member.kind, Type::Any) => {
                        let message = format!("`{}` is null; what is not there is left out", check.path);
                        check.put(Wrong::Null, message, String::new());
                    }
                    Some(value) => check.value(&member.kind, value),
                    None if member.is_optional => {}
                    None => check.put(Wrong::Missing, format!("`{}` is missing", check.path), String::new()),
                },
            );
        }
    }

    fn value(&mut self, wanted: &'static Type, value: &Value) {
        match (wanted, value) {
            (Type::Text, Value::String(_))
            | (Type::Number, Value::Number(_))
            | (Type::Boolean, Value::Bool(_))
            | (Type::Object, Value::Object(_))
            | (Type::Array, Value::Array(_))
            | (Type::Null, Value::Null)
            | (Type::Any, _) => {}
            (Type::Integer, Value::Number(number)) if number.as_f64().is_some_and(|n| n.fract() == 0.0) => {}
            (Type::List(inner), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.below(|path| push_index(path, index), |check| check.value(inner, item));
                }
            }
            (Type::Map(inner), Value::Object(members)) => {
                for (key, item) in members {
                    self.below(|path| push_key(path, key), |check| check.value(inner, item));
                }
            }
            (Type::OneOrMany(inner), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.below(|path| push_index(path, index), |check| check.value(inner, item));
                }
            }
            (Type::OneOrMany(inner), _) => self.value(inner, value),
            (Type::Either(all), _) => self.either(all, value),
            (Type::Word(word), Value::String(text)) if text == word => {}
            (Type::Word(word), Value::String(_)) => self.word(&[word], value),
            (Type::Named(name), _) => self.named(name, value),
            (other, _) => self.wrong_type(&name_of(other), value),
        }
    }

    fn either(&mut self, all: &'static [Type], value: &Value) {
        let fits = |wanted: &'static Type| {
            let mut check = Check { revision: self.revision, faults: Vec::new(), path: String::new() };
            check.value(wanted, value);
            check.faults.is_empty()
        };
        if all.iter().any(fits) {
            return;
        }
        let words: Vec<&str> = all.iter().filter_map(|one| if let Type::Word(word) = one { Some(*word) } else { None }).collect();
        if words.len() == all.len() && value.is_string() {
            self.word(&words, value);
        } else {
            let names: Vec<String> = all.iter().map(name_of).collect();
            self.wrong_type(&names.join(" or "), value);
        }
    }

    fn word(&mut self, words: &[&str], value: &Value) {
        if is_redacted(value) {
            return;
        }
        let all: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        self.put(Wrong::Word, format!("`{}` must be {}", self.path, all.join(" or ")), evidence(value));
    }

    fn named(&mut self, name: &'static str, value: &Value) {
        match (table().types.get(name), value) {
            (Some(Definition::Record(members)), Value::Object(value)) => self.members(members, value),
            (Some(Definition::Words(words)), Value::String(text)) => {
                if !words.contains(&text.as_str()) {
                    self.word(words, value);
                }
            }
            (Some(Definition::Words(_)), other) => self.wrong_type("a string", other),
            (Some(Definition::Record(_) | Definition::Union(..)), other) if !other.is_object() => {
                self.wrong_type("an object", other);
            }
            (Some(Definition::Union(by, variants)), value) => {
                let revision = self.revision;
                let word = value.get(*by).and_then(Value::as_str);
                let found = variants.iter().find(|variant| Some(variant.word) == word && variant.when.has(revision));
                match (found, value.get(*by)) {
                    (Some(variant), _) => self.named(variant.of, value),
                    (None, tag) => self.below(
                        |path| push_key(path, by),
                        |check| match tag {
                            None => check.put(Wrong::Missing, format!("`{}` is missing", check.path), String::new()),
                            Some(tag @ Value::String(_)) => {
                                let words: Vec<&str> = variants.iter().filter(|v| v.when.has(revision)).map(|v| v.word).collect();
                                check.word(&words, tag);
                            }
                            Some(other) => check.wrong_type("a string", other),
                        },
                    ),
                }
            }
            (None | Some(Definition::Record(_)), _) => {}
        }
    }
}

fn name_of(wanted: &Type) -> String {
    match wanted {
        Type::Text => "a string".to_owned(),
        Type::Number => "a number".to_owned(),
        Type::Integer => "an integer".to_owned(),
        Type::Boolean => "a boolean".to_owned(),
        Type::Object | Type::Map(_) | Type::Named(_) => "an object".to_owned(),
        Type::Array | Type::List(_) => "an array".to_owned(),
        Type::Any => "anything".to_owned(),
        Type::Null => "null".to_owned(),
        Type::OneOrMany(inner) => format!("{} or an array", name_of(inner)),
        Type::Either(all) => all.iter().map(name_of).collect::<Vec<_>>().join(" or "),
        Type::Word(word) => format!("\"{word}\""),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn types_in(kind: &Type, found: &mut Vec<&'static str>) {
        match kind {
            Type::Named(name) => found.push(name),
            Type::List(inner) | Type::Map(inner) | Type::OneOrMany(inner) => types_in(inner, found),
            Type::Either(all) => all.iter().for_each(|one| types_in(one, found)),
            _ => {}
        }
    }

    #[test]
    fn every_type_the_table_names_is_in_the_table() {
        let table = table();
        let mut names = Vec::new();
        let messages = table.params.values().chain(table.results.values()).flatten();
        messages.flat_map(|message| &message.members).for_each(|member| types_in(&member.kind, &mut names));
        for definition in table.types.values() {
            match definition {
                Definition::Record(members) => members.iter().for_each(|member| types_in(&member.kind, &mut names)),
                Definition::Union(_, variants) => names.extend(variants.iter().map(|variant| variant.of)),
                Definition::Words(_) => {}
            }
        }
        for name in &names {
            assert!(table.types.contains_key(name), "{name}");
        }
        for name in table.types.keys() {
            assert!(names.contains(name), "{name} is never used");
        }
    }

    #[test]
    fn faults_have_the_path_of_the_value() {
        let value = json!({"tools": [{"name": "a", "inputSchema": {}}, {"name": 7, "inputSchema": [], "annotations": {"readOnlyHint": "yes"}}]});
        let faults = result("tools/list", Revision::R2025_06, Some(&value));
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["result.tools[1].name", "result.tools[1].inputSchema", "result.tools[1].annotations.readOnlyHint"]);
        assert_eq!(faults[1].message, "`result.tools[1].inputSchema` must be an object and is an array");
    }

    #[test]
    fn a_revision_has_its_own_words() {
        let value = json!({"content": [{"type": "audio", "data": "", "mimeType": "audio/wav"}]});
        assert_eq!(result("tools/call", Revision::R2024_11, Some(&value)).len(), 1);
        assert_eq!(result("tools/call", Revision::R2025_03, Some(&value)), []);
        assert_eq!(known("elicitation/create", Revision::R2025_03), Known::Elsewhere("elicitation/create"));
        assert_eq!(known("ping", Revision::R2026_07), Known::Elsewhere("ping"));
        assert_eq!(known("x/y", Revision::R2026_07), Known::No);
        assert_eq!(revisions_of("elicitation/create"), "2025-06-18 to 2026-07-28");
    }
}
