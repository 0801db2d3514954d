//! The filter language: one for lists, breakpoints, faults, exports and `--where`.
//!
//! A [`Filter`] is parsed once and asked about [`Facts`]: what is known of a row or of one message. Terms about payloads are
//! answered when the payload is at hand; without it the [`Verdict`] says that it is needed.

use std::fmt;

mod complete;
mod display;
mod eval;
mod glob;
mod lex;
mod parse;

pub use complete::{Completion, Vocabulary, complete};
pub use eval::{Context, Facts, MessageFacts, Verdict};
pub use glob::Glob;
pub use parse::FilterError;

/// A parsed filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    root: Expr,
}

impl Filter {
    /// Everything.
    pub fn all() -> Self {
        Self { root: Expr::All }
    }

    /// Whether it lets everything through.
    pub fn is_all(&self) -> bool {
        self.root == Expr::All
    }

    /// Whether any term needs payloads.
    pub fn needs_payload(&self) -> bool {
        self.root.needs_payload()
    }

    pub(crate) fn of(root: Expr) -> Self {
        Self { root }
    }

    /// The parts.
    pub fn root(&self) -> &Expr {
        &self.root
    }
}

impl std::str::FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        parse::parse(text).map(Self::of)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.fmt(f)
    }
}

/// A filter or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// Everything: the empty filter.
    All,
    /// All of these; two or more, none of them an `And`.
    And(Vec<Expr>),
    /// Any of these; two or more, none of them an `Or`.
    Or(Vec<Expr>),
    /// Not this.
    Not(Box<Expr>),
    /// One condition.
    Term(Term),
}

impl Expr {
    fn needs_payload(&self) -> bool {
        match self {
            Self::All => false,
            Self::And(all) | Self::Or(all) => all.iter().any(Self::needs_payload),
            Self::Not(inner) => inner.needs_payload(),
            Self::Term(term) => term.needs_payload(),
        }
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// `tool:search*`: one of these globs fits.
    Field(Field, Vec<Glob>),
    /// `is:error|pending`.
    Is(Vec<Is>),
    /// `dur>500ms`, in nanoseconds.
    Duration(Order, u64),
    /// `size>10k`, in bytes.
    Size(Order, u64),
    /// `tok>1k`, estimated.
    Tokens(Order, u64),
    /// `since:5m`.
    Since(Since),
    /// A bare word, or `text:"…"`.
    Text(String),
    /// `text~"re"`.
    TextRegex(Pattern),
    /// `json $.params.arguments.repo = "acme"`.
    Json(JsonTerm),
}

impl Term {
    fn needs_payload(&self) -> bool {
        matches!(self, Self::Text(_) | Self::TextRegex(_) | Self::Json(_))
    }
}

/// What a value is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The tool of a `tools/call`.
    Tool,
    /// The method.
    Method,
    /// The tool, prompt, URI or task.
    Name,
    /// The id as it is spelt, or without its quotes.
    Id,
    /// The session's name or id.
    Session,
    /// The client.
    Client,
    /// The server.
    Server,
    /// Who said it first: `client`, `server`, or a client's name.
    From,
    /// `in`, `out`; `to-server`, `to-client`.
    Direction,
    /// `client` or `server`.
    Hop,
}

impl Field {
    /// All of them, as they are written.
    pub const ALL: [(&'static str, Self); 10] = [
        ("tool", Self::Tool),
        ("method", Self::Method),
        ("name", Self::Name),
        ("id", Self::Id),
        ("session", Self::Session),
        ("client", Self::Client),
        ("server", Self::Server),
        ("from", Self::From),
        ("dir", Self::Direction),
        ("hop", Self::Hop),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, field)| *field == self).map_or("", |(word, _)| word)
    }
}

/// What a row can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Is {
    /// It went wrong: an error, a failed tool, a timeout, a closed connection.
    Error,
    /// No answer yet.
    Pending,
    /// Answered after it was cancelled.
    Late,
    /// Taken back.
    Cancelled,
    /// Taken back because of time.
    TimedOut,
    /// Held by a breakpoint.
    Held,
    /// Not left alone.
    Altered,
    /// Against a rule.
    Lint,
    /// Standard error, or a call during which something was written there.
    Stderr,
    /// No message, or a call during which one was written.
    Stray,
    /// Something is missing.
    Gap,
    /// It was done.
    Ok,
    /// Asked by the server.
    Nested,
    /// Nobody answers it.
    Notification,
    /// A request with what belongs to it.
    Call,
    /// Asks for input, or was asked again with it.
    Input,
    /// A task that has not ended.
    Task,
    /// Answered twice.
    Duplicate,
    /// Notes, processes, clients: what is no traffic.
    Event,
}

impl Is {
    /// All of them, as they are written.
    pub const ALL: [(&'static str, Self); 19] = [
        ("error", Self::Error),
        ("pending", Self::Pending),
        ("late", Self::Late),
        ("cancelled", Self::Cancelled),
        ("timeout", Self::TimedOut),
        ("held", Self::Held),
        ("altered", Self::Altered),
        ("lint", Self::Lint),
        ("stderr", Self::Stderr),
        ("stray", Self::Stray),
        ("gap", Self::Gap),
        ("ok", Self::Ok),
        ("nested", Self::Nested),
        ("notification", Self::Notification),
        ("call", Self::Call),
        ("input", Self::Input),
        ("task", Self::Task),
        ("duplicate", Self::Duplicate),
        ("event", Self::Event),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, is)| *is == self).map_or("", |(word, _)| word)
    }
}

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
}

impl Order {
    /// Whether it holds.
    pub fn holds<T: PartialOrd + Copy>(self, left: T, right: T) -> bool {
        match self {
            Self::Above => left > right,
            Self::AtLeast => left >= right,
            Self::Below => left < right,
            Self::AtMost => left <= right,
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
        }
    }
}

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Since {
    /// Nanoseconds before the newest record.
    Ago(u64),
    /// Seconds since midnight (UTC, or in the zone of [`Context::utc_offset`](Context)).
    Clock(u32),
}

/// A regular expression over bytes; equal if it is spelt equally.
#[derive(Clone, Debug)]
pub struct Pattern(pub(crate) regex::bytes::Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// A condition on the JSON of a message.
#[derive(Clone, Debug)]
pub struct JsonTerm {
    pub(crate) path: serde_json_path::JsonPath,
    pub(crate) spelt: String,
    pub(crate) test: JsonTest,
}

impl PartialEq for JsonTerm {
    fn eq(&self, other: &Self) -> bool {
        self.spelt == other.spelt && self.test == other.test
    }
}

/// What is asked of the values a path finds; one of them is enough.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonTest {
    /// There is one.
    Exists,
    /// `=`
    Is(serde_json::Value),
    /// `!=`
    IsNot(serde_json::Value),
    /// `<`, `>`, …: numbers.
    Compare(Order, f64),
    /// `~`: a string, or the JSON of something else.
    Fits(Pattern),
}
