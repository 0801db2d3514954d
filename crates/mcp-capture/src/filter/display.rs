//! A filter as text, in one spelling.

use std::fmt::{self, Display, Formatter};

use super::{Expr, Field, Glob, JsonTest, Since, Term};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::And(all) => all.iter().enumerate().try_for_each(|(n, expr)| {
                f.write_str(if n > 0 { " and " } else { "" })?;
                inner(expr, matches!(expr, Self::Or(_) | Self::And(_)), f)
            }),
            Self::Or(all) => all.iter().enumerate().try_for_each(|(n, expr)| {
                f.write_str(if n > 0 { " or " } else { "" })?;
                inner(expr, matches!(expr, Self::Or(_)), f)
            }),
            Self::Not(expr) => {
                f.write_str("not ")?;
                inner(expr, matches!(**expr, Self::Or(_) | Self::And(_)), f)
            }
            Self::Term(term) => term.fmt(f),
        }
    }
}

fn inner(expr: &Expr, needs_brackets: bool, f: &mut Formatter<'_>) -> fmt::Result {
    if needs_brackets { write!(f, "({expr})") } else { expr.fmt(f) }
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field, globs) => globs_of(*field, globs, f),
            Self::Is(all) => write!(f, "is:{}", all.iter().map(|is| is.word()).collect::<Vec<_>>().join("|")),
            Self::Duration(order, nanos) => write!(f, "dur{}{}", order.sign(), time(*nanos)),
            Self::Size(order, bytes) => write!(f, "size{}{}", order.sign(), amount(*bytes)),
            Self::Tokens(order, tokens) => write!(f, "tok{}{}", order.sign(), amount(*tokens)),
            Self::Since(Since::Ago(nanos)) => write!(f, "since:{}", time(*nanos)),
            Self::Since(Since::Clock(seconds)) => {
                write!(f, "since:{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
            }
            Self::Text(text) if is_plain(text) && !is_special(text) => f.write_str(text),
            Self::Text(text) => write!(f, "text:{}", quoted(text)),
            Self::TextRegex(pattern) => write!(f, "text~{}", quoted(pattern.0.as_str())),
            Self::Json(json) => {
                write!(f, "json {}", json.spelt)?;
                match &json.test {
                    JsonTest::Exists => Ok(()),
                    JsonTest::Is(value) => write!(f, " = {value}"),
                    JsonTest::IsNot(value) => write!(f, " != {value}"),
                    JsonTest::Compare(order, number) => write!(f, " {} {number}", order.sign()),
                    JsonTest::Fits(pattern) => write!(f, " ~ {}", serde_json::Value::from(pattern.0.as_str())),
                }
            }
        }
    }
}

fn globs_of(field: Field, globs: &[Glob], f: &mut Formatter<'_>) -> fmt::Result {
    let word = field.word();
    match globs {
        [one] if !is_plain(one.as_str()) || one.as_str().contains('|') => write!(f, "{word}:{}", quoted(one.as_str())),
        all => write!(f, "{word}:{}", all.iter().map(Glob::as_str).collect::<Vec<_>>().join("|")),
    }
}

/// Can stand without quotes.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '(' | ')' | '"'))
}

/// Would mean something else if it stood without quotes.
fn is_special(text: &str) -> bool {
    matches!(text, "and" | "or" | "not" | "json") || text.contains([':', '~', '<', '>', '='])
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn time(nanos: u64) -> String {
    for (unit, word) in [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ] {
        if nanos > 0 && nanos.is_multiple_of(unit) {
            return format!("{}{word}", nanos / unit);
        }
    }
    format!("{nanos}ns")
}

fn amount(number: u64) -> String {
    for (unit, word) in [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")] {
        if number > 0 && number.is_multiple_of(unit) {
            return format!("{}{word}", number / unit);
        }
    }
    number.to_string()
}
