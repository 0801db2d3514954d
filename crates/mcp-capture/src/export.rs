//! A capture in the formats of other tools. Each format is a file that writes to anything that can be written to.

use std::io::{self, Write};

use crate::event::Direction;
use crate::exchange::{Row, RowKind};
use crate::session::Session;

mod call;
mod curl;
mod har;
mod html;
mod jsonl;
mod markdown;
mod otlp;

/// What can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// A JSON object a line: every record.
    Jsonl,
    /// HTTP Archive 1.2.
    Har,
    /// A report for an issue or a pull request.
    Markdown,
    /// One page that needs nothing else.
    Html,
    /// OpenTelemetry spans, as OTLP/JSON.
    Otlp,
    /// `curl` commands. HTTP only.
    Curl,
    /// `mcp call` commands.
    McpCall,
}

impl Format {
    /// All of them, as they are called.
    pub const ALL: [(&'static str, Self); 7] = [
        ("jsonl", Self::Jsonl),
        ("har", Self::Har),
        ("markdown", Self::Markdown),
        ("html", Self::Html),
        ("otlp", Self::Otlp),
        ("curl", Self::Curl),
        ("mcp-call", Self::McpCall),
    ];

    /// The format of this name, or of files with this ending.
    pub fn named(name: &str) -> Option<Self> {
        let name = match name {
            "md" => "markdown",
            "htm" => "html",
            "ndjson" => "jsonl",
            other => other,
        };
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }
}

/// Why nothing, or not all, was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The capture could not be read.
    #[error("read the capture")]
    Read(#[source] io::Error),
    /// The answer could not be written.
    #[error("write the export")]
    Write(#[source] io::Error),
    /// `curl` cannot do that.
    #[error("`curl` speaks HTTP, and this session went over {transport}")]
    NotHttp {
        /// What it went over.
        transport: String,
    },
}

/// Writes some rows of a session, which are given by their numbers in ascending order. Returns how many things were written:
/// records, or operations.
pub fn export(session: &Session, rows: &[u32], format: Format, out: &mut dyn Write) -> Result<u64, ExportError> {
    let count = match format {
        Format::Jsonl => jsonl::write(session, rows, out),
        Format::Har => har::write(session, rows, out),
        Format::Markdown => markdown::write(session, rows, out),
        Format::Html => html::write(session, rows, out),
        Format::Otlp => otlp::write(session, rows, out),
        Format::Curl => curl::write(session, rows, out),
        Format::McpCall => call::write(session, rows, out),
    }?;
    out.flush().map_err(ExportError::Write)?;
    Ok(count)
}

/// These rows.
fn each<'a>(session: &'a Session, rows: &'a [u32]) -> impl Iterator<Item = Row> + 'a {
    rows.iter().filter_map(|number| session.rows().get(session.index(), *number))
}

/// The operations among them; of two recorded hops only what clients asked.
fn operations<'a>(session: &'a Session, rows: &'a [u32]) -> impl Iterator<Item = Row> + 'a {
    let told = crate::replay::told_hop(session);
    each(session, rows).filter(move |row| row.kind == RowKind::Operation && told.is(row.hop))
}

fn is_from_client(row: &Row) -> bool {
    row.direction == Direction::ToServer
}

/// A word of a command line for POSIX shells.
fn shell(word: &str) -> String {
    let is_plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c));
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_shell_are_one_word() {
        assert_eq!(
            [shell("a-b.c"), shell(""), shell("it's $HOME"), shell("a\nb")],
            ["a-b.c", "''", r"'it'\''s $HOME'", "'a\nb'"]
        );
        for (name, format) in Format::ALL {
            assert_eq!(Format::named(name), Some(format));
        }
        assert_eq!((Format::named("md"), Format::named("doc")), (Some(Format::Markdown), None));
    }
}
