//! What calls cost: counts, times, bytes and estimated tokens, per tool and per method.

use std::collections::HashMap;
use std::io;

use serde::Serialize;

use crate::exchange::{Row, RowKind, Status};
use crate::listing::Listing;
use crate::session::Session;

/// So many bytes of JSON are taken for a token. An estimate: every model cuts text in its own way, and short keys, digits and
/// other scripts than Latin cost more.
pub const BYTES_PER_TOKEN: u64 = 4;

/// Estimated tokens.
pub fn tokens(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// Times in microseconds of what was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// Half took no longer.
    pub p50_us: u64,
    /// 95 of 100 took no longer.
    pub p95_us: u64,
    /// 99 of 100 took no longer.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Percentiles {
    /// Of nanoseconds in any order. The time at a rank, never between two.
    pub fn of(mut nanos: Vec<u64>) -> Option<Self> {
        if nanos.is_empty() {
            return None;
        }
        nanos.sort_unstable();
        let at = |percent: usize| nanos[(nanos.len() * percent).div_ceil(100).saturating_sub(1)] / 1_000;
        Some(Self { p50_us: at(50), p95_us: at(95), p99_us: at(99), max_us: at(100) })
    }
}

/// A tool, or another method, in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// The tool, or the method.
    pub name: String,
    /// How often it was called.
    pub calls: u64,
    /// How often that went wrong.
    pub errors: u64,
    /// Calls without an answer yet.
    pub pending: u64,
    /// How long answers took.
    pub times: Option<Percentiles>,
    /// Bytes of all requests.
    pub sent: u64,
    /// Bytes of all that came back.
    pub received: u64,
    /// The most that one call brought back.
    pub largest: u64,
    /// Estimated tokens of all that came back.
    pub result_tokens: u64,
    /// Bytes of its definition, as it was listed last; `None` if it was not.
    pub definition: Option<u64>,
    /// Estimated tokens of that.
    pub definition_tokens: Option<u64>,
}

/// What a session, or a part of it, cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Tools, those that brought back most first; never-called ones last.
    pub tools: Vec<Usage>,
    /// Methods other than `tools/call`.
    pub methods: Vec<Usage>,
    /// Tools that were listed and never called.
    pub never_called: Vec<String>,
    /// All together.
    pub total: Usage,
    /// Bytes of all definitions of tools: what each conversation begins with.
    pub definitions: u64,
    /// Estimated tokens of that.
    pub definitions_tokens: u64,
}

#[derive(Default)]
struct Sum {
    usage: Usage,
    times: Vec<u64>,
}

impl Sum {
    fn add(&mut self, row: &Row) {
        let usage = &mut self.usage;
        usage.calls += 1;
        usage.errors += u64::from(row.status.is_bad());
        usage.pending += u64::from(row.status.is_open());
        usage.sent += u64::from(row.sent);
        usage.received += u64::from(row.received);
        usage.largest = usage.largest.max(u64::from(row.received));
        if matches!(row.status, Status::Ok | Status::Failed | Status::Error) {
            self.times.extend(row.duration);
        }
    }

    fn finish(mut self, name: &str) -> Usage {
        name.clone_into(&mut self.usage.name);
        self.usage.result_tokens = tokens(self.usage.received);
        self.usage.times = Percentiles::of(self.times);
        self.usage
    }
}

impl Stats {
    /// Of some rows.
    pub fn of(session: &Session, rows: impl IntoIterator<Item = Row>) -> io::Result<Self> {
        let mut sums: HashMap<_, Sum> = HashMap::new();
        let mut total = Sum::default();
        for row in rows.into_iter().filter(|row| row.kind == RowKind::Operation) {
            sums.entry(row.operation).or_default().add(&row);
            total.add(&row);
        }
        let mut tools = Vec::new();
        let mut methods: Vec<(String, Sum)> = Vec::new();
        for (operation, sum) in sums {
            let (method, name) = session.index().symbols.get(operation);
            if method == "tools/call" {
                tools.push(sum.finish(name));
                continue;
            }
            match methods.iter_mut().find(|(known, _)| known == method) {
                // `resources/read` of a thousand URIs is one method.
                Some((_, all)) => all.join(sum),
                None => methods.push((method.to_owned(), sum)),
            }
        }
        let listing = Listing::of(session)?;
        let mut stats = Self { total: total.finish("total"), ..Self::default() };
        for (name, definition) in &listing.tools {
            let bytes = definition.compact().len() as u64;
            stats.definitions += bytes;
            let known = tools.iter().position(|tool| tool.name == *name).unwrap_or_else(|| {
                stats.never_called.push(name.clone());
                tools.push(Usage { name: name.clone(), ..Usage::default() });
                tools.len() - 1
            });
            tools[known].definition = Some(bytes);
            tools[known].definition_tokens = Some(tokens(bytes));
        }
        stats.definitions_tokens = tokens(stats.definitions);
        stats.methods = methods.into_iter().map(|(method, sum)| sum.finish(&method)).collect();
        for list in [&mut tools, &mut stats.methods] {
            list.sort_by(|a, b| (b.received, b.calls, &a.name).cmp(&(a.received, a.calls, &b.name)));
        }
        stats.tools = tools;
        Ok(stats)
    }
}

impl Sum {
    fn join(&mut self, other: Self) {
        let (all, more) = (&mut self.usage, other.usage);
        all.calls += more.calls;
        all.errors += more.errors;
        all.pending += more.pending;
        all.sent += more.sent;
        all.received += more.received;
        all.largest = all.largest.max(more.largest);
        self.times.extend(other.times);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let of = |times: &[u64]| Percentiles::of(times.iter().map(|t| t * 1_000).collect());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some(Percentiles { p50_us: 7, p95_us: 7, p99_us: 7, max_us: 7 }));
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(of(&hundred), Some(Percentiles { p50_us: 50, p95_us: 95, p99_us: 99, max_us: 100 }));
        assert_eq!((tokens(0), tokens(1), tokens(4), tokens(5)), (0, 1, 1, 2));
    }
}
