//! Asking a filter.

use serde_json::Value;

use super::{Expr, Field, Filter, Glob, Is, JsonTerm, JsonTest, Since, Term};
use crate::event::{Direction, Flags, Hop};
use crate::exchange::{RowFlags, RowKind, Status};
use crate::scan::{Class, Scan, key};
use crate::session::Needle;

/// What a filter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fits.
    Yes,
    /// It does not.
    No,
    /// That depends on the payload.
    NeedsPayload,
}

impl Verdict {
    fn of(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

/// What is known of a row or of one message.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What it is.
    pub kind: RowKind,
    /// The method asked for; empty for none.
    pub method: &'a str,
    /// The tool, prompt, URI or task.
    pub name: &'a str,
    /// [`key`] of the id; 0 for none.
    pub id: u64,
    /// The client's name.
    pub client: &'a str,
    /// Where.
    pub hop: Hop,
    /// Which way it began.
    pub direction: Direction,
    /// How it stands.
    pub status: Status,
    /// What else.
    pub flags: RowFlags,
    /// Nanoseconds it took, or has taken so far.
    pub duration: u64,
    /// Bytes, both ways.
    pub size: u64,
    /// Bytes of what came back.
    pub received: u64,
    /// Nanoseconds since the session's zero.
    pub at: u64,
}

impl Facts<'static> {
    /// Of something of which nothing is known.
    pub fn none() -> Self {
        Self {
            kind: RowKind::Stray,
            method: "",
            name: "",
            id: 0,
            client: "",
            hop: Hop::Client(1),
            direction: Direction::ToServer,
            status: Status::None,
            flags: RowFlags::default(),
            duration: 0,
            size: 0,
            received: 0,
            at: 0,
        }
    }
}

impl Facts<'_> {
    /// Of one message, for breakpoints and faults. An answer has no method: pass the facts of its request, with the status set.
    /// Hop, direction and client are for the caller to set.
    pub fn of_message(bytes: &[u8]) -> MessageFacts {
        MessageFacts { scan: crate::scan::scan(&bytes::Bytes::copy_from_slice(bytes)), size: bytes.len() as u64 }
    }
}

/// What was read of one message. See [`Facts::of_message`].
#[derive(Clone, Debug)]
pub struct MessageFacts {
    scan: Scan,
    size: u64,
}

impl MessageFacts {
    /// As a filter takes them.
    pub fn facts(&self) -> Facts<'_> {
        let has = |flag| self.scan.flags.has(flag);
        let (kind, status) = match self.scan.class {
            Class::Request => (RowKind::Operation, Status::Pending),
            Class::Notification => (RowKind::Notification, Status::None),
            Class::Result if has(Flags::IS_ERROR) => (RowKind::Answer, Status::Failed),
            Class::Result if has(Flags::INPUT_REQUIRED) => (RowKind::Answer, Status::Input),
            Class::Result => (RowKind::Answer, Status::Ok),
            Class::Error => (RowKind::Answer, Status::Error),
            Class::None | Class::Batch => (RowKind::Stray, Status::None),
        };
        Facts {
            kind,
            method: &self.scan.method,
            name: &self.scan.name,
            id: self.scan.id,
            status,
            size: self.size,
            ..Facts::none()
        }
    }
}

/// What is the same for all rows of a session.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The session's name or id.
    pub session: &'a str,
    /// The server's name.
    pub server: &'a str,
    /// The time of the newest record.
    pub now: u64,
    /// Milliseconds since 1970 when the session's clock stood at 0.
    pub started_ms: u64,
    /// Seconds to add to UTC for times of day.
    pub utc_offset: i32,
}

impl Filter {
    /// What can be said without a payload.
    #[inline]
    pub fn verdict(&self, facts: &Facts<'_>, context: &Context<'_>) -> Verdict {
        verdict(&self.root, facts, context)
    }

    /// Whether a row fits whose messages have these payloads, or one message with this one.
    pub fn matches(&self, facts: &Facts<'_>, context: &Context<'_>, payloads: &[&[u8]]) -> bool {
        match self.verdict(facts, context) {
            Verdict::Yes => true,
            Verdict::No => false,
            Verdict::NeedsPayload => matches(&self.root, facts, context, payloads),
        }
    }

    /// Texts that occur in every match, for a search of the file before anything is decoded: one of the alternatives must
    /// occur. `None`: a match need not hold any certain text.
    pub fn needles(&self) -> Option<Vec<Needle>> {
        needles(&self.root)
    }
}

fn verdict(expr: &Expr, facts: &Facts<'_>, context: &Context<'_>) -> Verdict {
    match expr {
        Expr::All => Verdict::Yes,
        Expr::And(all) => {
            let mut found = Verdict::Yes;
            for expr in all {
                match verdict(expr, facts, context) {
                    Verdict::No => return Verdict::No,
                    Verdict::NeedsPayload => found = Verdict::NeedsPayload,
                    Verdict::Yes => {}
                }
            }
            found
        }
        Expr::Or(all) => {
            let mut found = Verdict::No;
            for expr in all {
                match verdict(expr, facts, context) {
                    Verdict::Yes => return Verdict::Yes,
                    Verdict::NeedsPayload => found = Verdict::NeedsPayload,
                    Verdict::No => {}
                }
            }
            found
        }
        Expr::Not(inner) => match verdict(inner, facts, context) {
            Verdict::Yes => Verdict::No,
            Verdict::No => Verdict::Yes,
            Verdict::NeedsPayload => Verdict::NeedsPayload,
        },
        Expr::Term(term) => term_verdict(term, facts, context),
    }
}

fn term_verdict(term: &Term, facts: &Facts<'_>, context: &Context<'_>) -> Verdict {
    match term {
        Term::Field(field, globs) => Verdict::of(globs.iter().any(|glob| field_fits(*field, glob, facts, context))),
        Term::Is(all) => Verdict::of(all.iter().any(|is| is_so(*is, facts))),
        Term::Duration(order, nanos) => {
            // What took no time because it is no call is not `dur<1s`.
            Verdict::of(facts.kind == RowKind::Operation && order.holds(facts.duration, *nanos))
        }
        Term::Size(order, bytes) => Verdict::of(order.holds(facts.size, *bytes)),
        Term::Tokens(order, tokens) => Verdict::of(order.holds(facts.received.div_ceil(4), *tokens)),
        Term::Since(Since::Ago(nanos)) => Verdict::of(facts.at >= context.now.saturating_sub(*nanos)),
        Term::Since(Since::Clock(seconds)) => Verdict::of(is_since(*seconds, facts, context)),
        Term::Text(_) | Term::TextRegex(_) | Term::Json(_) => Verdict::NeedsPayload,
    }
}

/// The last time of day before the newest record that reads so.
fn is_since(seconds: u32, facts: &Facts<'_>, context: &Context<'_>) -> bool {
    const DAY: i64 = 86_400;
    let second_of = |nanos: u64| {
        let seconds = context.started_ms / 1000 + nanos / 1_000_000_000;
        i64::try_from(seconds).unwrap_or(i64::MAX / 2) + i64::from(context.utc_offset)
    };
    let newest = second_of(context.now);
    let mut from = newest.div_euclid(DAY) * DAY + i64::from(seconds);
    if from > newest {
        from -= DAY;
    }
    second_of(facts.at) >= from
}

fn field_fits(field: Field, glob: &Glob, facts: &Facts<'_>, context: &Context<'_>) -> bool {
    match field {
        Field::Tool => facts.method == "tools/call" && glob.fits(facts.name),
        Field::Method => !facts.method.is_empty() && glob.fits(facts.method),
        Field::Name => !facts.name.is_empty() && glob.fits(facts.name),
        Field::Id => {
            let spelt = glob.as_str();
            facts.id != 0 && (facts.id == key(spelt) || facts.id == key(&format!("\"{spelt}\"")))
        }
        Field::Session => glob.fits(context.session),
        Field::Client => glob.fits(facts.client),
        Field::Server => glob.fits(context.server),
        Field::From if matches!(facts.kind, RowKind::Stderr) => glob.fits("server") || glob.fits("stderr"),
        Field::From if facts.direction == Direction::ToClient => glob.fits("server") || glob.fits(context.server),
        Field::From => glob.fits("client") || glob.fits(facts.client),
        Field::Direction if facts.direction == Direction::ToServer => glob.fits("in") || glob.fits("to-server"),
        Field::Direction => glob.fits("out") || glob.fits("to-client"),
        Field::Hop => glob.fits(if facts.hop == Hop::Server { "server" } else { "client" }),
    }
}

fn is_so(is: Is, facts: &Facts<'_>) -> bool {
    let flag = |flags| facts.flags.has(flags);
    match is {
        Is::Error => facts.status.is_bad(),
        Is::Pending => facts.status.is_open(),
        Is::Late => flag(RowFlags::LATE),
        Is::Cancelled => matches!(facts.status, Status::Cancelled | Status::TimedOut),
        Is::TimedOut => facts.status == Status::TimedOut,
        Is::Held => flag(RowFlags::HELD),
        Is::Altered => flag(RowFlags::ALTERED),
        Is::Lint => flag(RowFlags::LINT),
        Is::Stderr => facts.kind == RowKind::Stderr || flag(RowFlags::STDERR),
        Is::Stray => facts.kind == RowKind::Stray || flag(RowFlags::STRAY),
        Is::Gap => facts.kind == RowKind::Gap || flag(RowFlags::GAP),
        Is::Ok => facts.status == Status::Ok,
        Is::Nested => flag(RowFlags::NESTED),
        Is::Notification => facts.kind == RowKind::Notification,
        Is::Call => facts.kind == RowKind::Operation,
        Is::Input => facts.status == Status::Input || flag(RowFlags::RETRIED),
        Is::Task => facts.status == Status::Task,
        Is::Duplicate => flag(RowFlags::DUPLICATE),
        Is::Event => matches!(facts.kind, RowKind::Other(_)),
    }
}

fn matches(expr: &Expr, facts: &Facts<'_>, context: &Context<'_>, payloads: &[&[u8]]) -> bool {
    match expr {
        Expr::All => true,
        Expr::And(all) => all.iter().all(|expr| matches(expr, facts, context, payloads)),
        Expr::Or(all) => all.iter().any(|expr| matches(expr, facts, context, payloads)),
        Expr::Not(inner) => !matches(inner, facts, context, payloads),
        Expr::Term(Term::Text(text)) => with_needle(text, |needle| payloads.iter().any(|payload| needle.is_in(payload))),
        Expr::Term(Term::TextRegex(pattern)) => payloads.iter().any(|payload| pattern.0.is_match(payload)),
        Expr::Term(Term::Json(json)) => payloads.iter().any(|payload| json_fits(json, payload)),
        Expr::Term(term) => term_verdict(term, facts, context) == Verdict::Yes,
    }
}

fn json_fits(term: &JsonTerm, payload: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(payload) else { return false };
    let found = term.path.query(&value).all();
    match &term.test {
        JsonTest::Exists => !found.is_empty(),
        JsonTest::Is(wanted) => found.iter().any(|value| equal(value, wanted)),
        JsonTest::IsNot(wanted) => found.iter().any(|value| !equal(value, wanted)),
        JsonTest::Compare(order, number) => found.iter().any(|v| v.as_f64().is_some_and(|v| order.holds(v, *number))),
        JsonTest::Fits(pattern) => found.iter().any(|value| match value {
            Value::String(text) => pattern.0.is_match(text.as_bytes()),
            other => pattern.0.is_match(other.to_string().as_bytes()),
        }),
    }
}

/// `1` and `1.0` are equal here.
fn equal(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(a), Some(b)) => left == right || (a - b).abs() < f64::EPSILON * a.abs(),
        _ => left == right,
    }
}

/// Texts are looked for in one row after the other: to make a needle takes longer than to use it.
fn with_needle<T>(text: &str, look: impl FnOnce(&Needle) -> T) -> T {
    const KEPT: usize = 8;
    thread_local! {
        static NEEDLES: std::cell::RefCell<Vec<(String, Needle)>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    NEEDLES.with_borrow_mut(|known| {
        let at = known.iter().position(|(spelt, _)| spelt == text).unwrap_or_else(|| {
            if known.len() >= KEPT {
                known.remove(0);
            }
            known.push((text.to_owned(), Needle::text(text)));
            known.len() - 1
        });
        look(&known[at].1)
    })
}

fn needles(expr: &Expr) -> Option<Vec<Needle>> {
    match expr {
        Expr::Term(Term::Text(text)) => Some(vec![Needle::text(text)]),
        Expr::Term(Term::TextRegex(pattern)) => Some(vec![Needle::Regex(pattern.0.clone())]),
        // The longest text is the one that is found in the fewest places.
        Expr::And(all) => all.iter().filter_map(needles).max_by_key(|all| all.iter().map(Needle::length).min()),
        Expr::Or(all) => {
            let each: Option<Vec<Vec<Needle>>> = all.iter().map(needles).collect();
            each.map(|each| each.into_iter().flatten().collect())
        }
        Expr::All | Expr::Not(_) | Expr::Term(_) => None,
    }
}
