//! Why a document cannot be read or edited, and where.

use std::fmt;

use crate::{Path, Step};

/// A position a person can find: line and column, both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Byte offset from the start of the text, a byte order mark included.
    pub offset: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, counted in characters; a byte order mark does not count.
    pub column: usize,
}

impl Place {
    /// The line and column of a byte offset (clamped to the text).
    pub fn of(text: &str, offset: usize) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line = memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1;
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        let column = before[start..].chars().filter(|c| *c != '\u{feff}').count() + 1;
        Self { offset, line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The text is no document of its format. The sentence says what was expected or found.
    #[error("{0}")]
    Syntax(String),
    /// Bytes that are not UTF-8.
    #[error("the file is not valid UTF-8")]
    NotUtf8,
    /// The file is UTF-16 (by its byte order mark or its zero bytes).
    #[error("the file is UTF-16; its client reads UTF-8")]
    Utf16,
    /// `<<<<<<<`, `=======`, `>>>>>>>` or `|||||||` at the start of a line where the document does not parse.
    #[error("an unresolved merge conflict starts here")]
    ConflictMarkers,
    /// A key that stands twice on the way to the place we were asked about.
    #[error("the key `{0}` stands twice in the same object, so it is not clear which one counts")]
    DuplicateKey(String),
    /// The place is reached through a YAML alias (or merge key), so an edit would change other places too.
    #[error("`{0}` is reached through a YAML alias, so an edit here would change other places too")]
    Alias(String),
    /// The path leads through something that cannot hold members.
    #[error("{} is {found} where {wanted} was expected", if path.is_empty() { "the document".to_owned() } else { format!("`{path}`") })]
    NotContainer {
        /// The path up to there; empty for the document itself.
        path: String,
        /// What is there ("a string").
        found: String,
        /// What was expected ("an object").
        wanted: &'static str,
    },
    /// The document is legal, and this crate cannot edit this part of it without touching more than was asked.
    #[error("{0}")]
    Unsupported(String),
    /// The edited text did not read back as intended; nothing was changed. A bug in this crate.
    #[error("the edited text would not read back as intended ({0}); nothing was changed")]
    Mismatch(String),
}

/// A [`ProblemKind`] with its position, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What.
    pub kind: ProblemKind,
    /// Where.
    pub place: Option<Place>,
}

impl Problem {
    /// A problem at a byte offset of `text`.
    pub fn at(text: &str, offset: usize, kind: ProblemKind) -> Self {
        Self { kind, place: Some(Place::of(text, offset)) }
    }

    /// What is `found` at a byte offset of `text` cannot hold the step that comes after `steps`; without one, members.
    pub(crate) fn not_container(text: &str, offset: usize, steps: &[Step], found: &str, next: Option<&Step>) -> Self {
        let wanted = if matches!(next, Some(Step::Item { .. })) { "a list" } else { "an object" };
        let path = Path(steps.to_vec()).to_string();
        Self::at(text, offset, ProblemKind::NotContainer { path, found: found.to_owned(), wanted })
    }

    /// A syntax error at a byte offset of `text`.
    pub fn syntax(text: &str, offset: usize, message: impl Into<String>) -> Self {
        Self::at(text, offset, ProblemKind::Syntax(message.into()))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(place) => write!(f, "{} at {place}", self.kind),
            None => write!(f, "{}", self.kind),
        }
    }
}

impl std::error::Error for Problem {}

/// The offset of the first unresolved merge conflict marker. Only asked once a text failed to parse: a legal document
/// may hold such a line inside a string or comment.
pub(crate) fn conflict_marker(text: &str) -> Option<usize> {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if ["<<<<<<< ", ">>>>>>> ", "||||||| "].iter().any(|m| line.starts_with(m)) || line.trim_end() == "=======" {
            return Some(offset);
        }
        offset += line.len();
    }
    None
}
