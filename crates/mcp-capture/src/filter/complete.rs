//! What can be typed next.

use std::ops::Range;

use super::parse::{NUMBERS, keys};
use super::{Field, Is};

/// Names that occur, to be offered as values.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// Tools.
    pub tools: Vec<String>,
    /// Methods.
    pub methods: Vec<String>,
    /// Clients.
    pub clients: Vec<String>,
    /// Servers.
    pub servers: Vec<String>,
    /// Sessions.
    pub sessions: Vec<String>,
}

/// One possibility.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What is replaced, in bytes of the text.
    pub replaces: Range<usize>,
    /// By what.
    pub text: String,
    /// What it means.
    pub help: &'static str,
}

const HELP: [(&str, &str); 16] = [
    ("tool", "the tool of a call"),
    ("method", "the method"),
    ("name", "tool, prompt, URI or task"),
    ("id", "the id of the request"),
    ("session", "the session"),
    ("client", "the client"),
    ("server", "the server"),
    ("from", "who said it first"),
    ("dir", "in or out"),
    ("hop", "the client's or the server's side"),
    ("is", "how it stands, or what it is"),
    ("since", "from when on"),
    ("text", "what the messages hold"),
    ("dur", "how long it took"),
    ("size", "bytes, both ways"),
    ("tok", "estimated tokens of the answer"),
];

/// What fits at the cursor, best first. The cursor is in bytes and may be anywhere.
pub fn complete(text: &str, cursor: usize, vocabulary: &Vocabulary) -> Vec<Completion> {
    let mut cursor = cursor.min(text.len());
    while !text.is_char_boundary(cursor) {
        cursor -= 1;
    }
    let before = &text[..cursor];
    // Within quotes nothing is known.
    if before.matches('"').count() % 2 == 1 {
        return Vec::new();
    }
    let start = before
        .rfind(|c: char| c.is_whitespace() || c == '(')
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let word = &before[start..];
    match word.split_once(':') {
        Some((key, value)) => values(key, value, cursor, vocabulary),
        None => words(word, start..cursor, before[..start].trim().is_empty()),
    }
}

fn words(word: &str, replaces: Range<usize>, is_first: bool) -> Vec<Completion> {
    let keys = keys().map(|key| {
        let sign = if NUMBERS.contains(&key) { ">" } else { ":" };
        let help = HELP.iter().find(|(known, _)| *known == key).map_or("", |(_, help)| help);
        (format!("{key}{sign}"), help)
    });
    let others = [("json $.", "a value in the message"), ("not ", "the opposite")].map(|(text, help)| (text.to_owned(), help));
    let between = [("and ", "both"), ("or ", "either")].map(|(text, help)| (text.to_owned(), help));
    let between = between.into_iter().filter(|_| !is_first);
    keys.chain(others)
        .chain(between)
        .filter(|(text, _)| text.starts_with(&word.to_ascii_lowercase()))
        .map(|(text, help)| Completion { replaces: replaces.clone(), text, help })
        .collect()
}

fn values(key: &str, value: &str, cursor: usize, vocabulary: &Vocabulary) -> Vec<Completion> {
    // Of several values the last is being typed.
    let last = value.rsplit('|').next().unwrap_or(value);
    let replaces = cursor - last.len()..cursor;
    let fixed = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let all: Vec<String> = match Field::ALL.iter().find(|(word, _)| *word == key).map(|(_, field)| *field) {
        Some(Field::Tool | Field::Name) => vocabulary.tools.clone(),
        Some(Field::Method) => vocabulary.methods.clone(),
        Some(Field::Client) => vocabulary.clients.clone(),
        Some(Field::Server) => vocabulary.servers.clone(),
        Some(Field::Session) => vocabulary.sessions.clone(),
        Some(Field::From) => fixed(&["client", "server"]).into_iter().chain(vocabulary.clients.clone()).collect(),
        Some(Field::Direction) => fixed(&["in", "out"]),
        Some(Field::Hop) => fixed(&["client", "server"]),
        None if key == "is" => Is::ALL.iter().map(|(word, _)| (*word).to_owned()).collect(),
        None if key == "since" => fixed(&["1m", "5m", "1h", "1d"]),
        // Ids and numbers are not guessed.
        Some(Field::Id) | None => Vec::new(),
    };
    let wanted = last.to_ascii_lowercase();
    let mut found: Vec<String> = all.into_iter().filter(|word| word.to_ascii_lowercase().contains(&wanted)).collect();
    found.sort_by_key(|word| !word.to_ascii_lowercase().starts_with(&wanted));
    found
        .into_iter()
        .map(|word| {
            let is_plain = !word.contains(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '|'));
            let text = if is_plain { word } else { format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")) };
            Completion { replaces: replaces.clone(), text, help: "" }
        })
        .collect()
}
