//! What all `mcp trace` commands take: a filter, a time, a limit.

use std::ffi::OsStr;

use clap_complete::engine::CompletionCandidate;
use mcp_capture::detail::unix_ms;
use mcp_capture::filter::{Vocabulary, complete};
use mcp_capture::{Filter, FilterError, Row, Session, Store, when};
use serde::Serialize;

use crate::ctx::Ctx;
use crate::report::Failure;
use crate::ui::{BAD, Ui};

/// From when on.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct Since {
    /// Only what began since: `10m`, `2h`, `09:30`, `2026-11-24`
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Moment>,
}

/// How much of what fits is wanted.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Bounds {
    #[command(flatten)]
    since: Since,
    /// Only so many, the newest
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// A time before now, or a moment.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Ago(u64),
    Clock(u64),
    At(u64),
}

const DAY: u64 = 86_400_000;

fn moment(text: &str) -> Result<Moment, String> {
    if let Some(ago) = mcp_daemon::call::duration(text) {
        return Ok(Moment::Ago(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)));
    }
    if let Some(ms) = when::parse(&format!("1970-01-01T{text}")) {
        return Ok(Moment::Clock(ms));
    }
    when::parse(text).map(Moment::At).ok_or_else(|| "a time is `10m`, `2h`, `09:30` or `2026-11-24T09:30`, in UTC".to_owned())
}

impl Bounds {
    /// All of it, from then on.
    pub(super) fn since(since: &Since) -> Self {
        Self { since: *since, limit: None }
    }

    /// The earliest moment wanted, in milliseconds since 1970.
    pub(super) fn since_ms(&self) -> u64 {
        let now = mcp_os::clock::now_ms();
        match self.since.since {
            None => 0,
            Some(Moment::Ago(ms)) => now.saturating_sub(ms),
            Some(Moment::At(ms)) => ms,
            // The last one there was.
            Some(Moment::Clock(ms)) if now / DAY * DAY + ms > now => (now / DAY * DAY + ms).saturating_sub(DAY),
            Some(Moment::Clock(ms)) => now / DAY * DAY + ms,
        }
    }

    /// How many.
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }
}

/// The filter these words make.
pub(crate) fn filter(words: &[String]) -> Result<Filter, Failure> {
    let text = words.join(" ");
    text.parse().map_err(|error: FilterError| refused(&text, &error))
}

/// A filter that is none, with its place.
fn refused(text: &str, error: &FilterError) -> Failure {
    let shown = mcp_capture::text::visible(text);
    let column = text.get(..error.at.start).map_or(0, |before| before.chars().count());
    let width = text.get(error.at.clone()).map_or(1, |part| part.chars().count().max(1));
    let mut failure = Failure::missing(format_args!("this is no filter: {}", error.message));
    failure.excerpt = Some(format!("  {shown}\n  {}{BAD}{}{BAD:#}", " ".repeat(column), "^".repeat(width)));
    match &error.hint {
        Some(hint) => failure.hint(hint.clone()),
        None => failure.hint("filters look like `tool:search* is:error dur>500ms \"some text\"`"),
    }
}

/// The numbers of the rows that fit a filter and the bounds.
pub(super) fn rows(session: &Session, filter: &Filter, bounds: &Bounds) -> Result<Vec<u32>, Failure> {
    let from_ms = bounds.since_ms();
    let is_late = |number| row(session, number).is_some_and(|row| unix_ms(session, row.at) >= from_ms);
    let mut rows = Vec::new();
    session
        .filter_from(filter, 0, |number| {
            if from_ms == 0 || is_late(number) {
                rows.push(number);
            }
        })
        .map_err(|e| super::sessions::unread(session, e))?;
    let skip = rows.len().saturating_sub(bounds.limit());
    Ok(rows.split_off(skip))
}

/// A row by its number.
pub(super) fn row(session: &Session, number: u32) -> Option<Row> {
    session.rows().get(session.index(), number)
}

/// An answer with its schema.
#[derive(Debug, Serialize)]
pub(super) struct Tagged<'a, T> {
    pub(super) schema: &'a str,
    #[serde(flatten)]
    pub(super) answer: T,
}

/// A document of JSON, safe for a terminal.
pub(super) fn document(ui: Ui, schema: &str, answer: impl Serialize) {
    let text = serde_json::to_string_pretty(&Tagged { schema, answer }).unwrap_or_default();
    ui.out(mcp_capture::detail::visible_json(&text));
}

/// A line of JSON, safe for a terminal.
pub(super) fn line(schema: &str, answer: impl Serialize) -> String {
    let text = serde_json::to_string(&Tagged { schema, answer }).unwrap_or_default();
    mcp_capture::detail::visible_json(&text).into_owned()
}

/// Words of the filter language, with the names of the newest session.
pub(crate) fn complete_filter(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(text) = current.to_str() else { return Vec::new() };
    let newest = Ctx::new(Ui::new(true)).ok().and_then(|ctx| {
        let newest = Store::of(&ctx.dirs).list().ok()?.into_iter().next()?;
        Session::open(&newest.path).ok()
    });
    let vocabulary = newest.map_or_else(Vocabulary::default, |session| session.vocabulary());
    complete(text, text.len(), &vocabulary)
        .into_iter()
        .map(|found| {
            let mut whole = text.to_owned();
            whole.replace_range(found.replaces, &found.text);
            let help = (!found.help.is_empty()).then(|| found.help.into());
            CompletionCandidate::new(whole.trim_end()).help(help)
        })
        .collect()
}
