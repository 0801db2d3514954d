//! `mcp trace export`: a capture in the formats of other tools.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap_complete::engine::ArgValueCompleter;
use mcp_capture::export::{ExportError, Format, export};
use mcp_capture::text::visible;
use serde::Serialize;

use super::query::{self, Bounds};
use super::sessions;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;

/// Write a session, or what fits of it, in the format of another tool
///
/// `jsonl`: every record, a JSON object a line. `har`: HTTP Archive 1.2, for browsers' and other viewers. `markdown`: a report for an
/// issue. `html`: one page with search and folding that needs no network. `otlp`: OpenTelemetry spans as OTLP/JSON. `curl`:
/// commands that ask again, for sessions over HTTP. `mcp-call`: the same for a command `call`, which is not there yet. Secrets are as they were recorded:
/// replaced, unless that was switched off; see `mcp trace redact`.
#[derive(Debug, clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  mcp trace export latest -o session.html\n  mcp trace export github is:error --format markdown\n  mcp trace export latest --format otlp | curl -sS -H 'content-type: application/json' -d @- http://localhost:4318/v1/traces"
)]
pub(super) struct Args {
    /// The session
    #[arg(value_name = "SESSION", default_value = "latest", add = ArgValueCompleter::new(sessions::complete))]
    session: String,
    /// Only what fits
    #[arg(value_name = "FILTER", add = ArgValueCompleter::new(query::complete_filter))]
    filter: Vec<String>,
    /// The format; without it the ending of FILE decides, or it is `jsonl`
    #[arg(long, short, value_name = "FORMAT", value_parser = Format::ALL.map(|(name, _)| name))]
    format: Option<String>,
    /// Write into this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace FILE if it is there
    #[arg(long, requires = "output")]
    force: bool,
    #[command(flatten)]
    bounds: Bounds,
    /// Say in JSON what was written
    #[arg(long, requires = "output")]
    json: bool,
}

pub(super) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let ending = args.output.as_deref().and_then(Path::extension).and_then(|ending| ending.to_str());
    let format = args.format.as_deref().or(ending).and_then(Format::named).unwrap_or(Format::Jsonl);
    let session = sessions::open(ctx, &args.session)?;
    let filter = query::filter(&args.filter)?;
    let rows = query::rows(&session, &filter, &args.bounds)?;
    let name = sessions::name_of(&session);
    if rows.is_empty() {
        ctx.ui.note(format_args!("Nothing fits in {}", visible(&name)));
        return Ok(Exit::No);
    }
    if session.header().raw {
        ctx.ui.warn("this session was recorded with its secrets in it: `mcp trace redact` makes a copy without them");
    }
    let failed = |error| match error {
        ExportError::NotHttp { .. } => sessions::no(
            Failure::missing(error)
                .hint("`--format mcp-call` makes commands for any server, `--format jsonl` keeps the messages"),
        ),
        ExportError::Write(ref e) if e.kind() == std::io::ErrorKind::BrokenPipe => {
            let mut failure = Failure::file(error);
            failure.exit = Exit::Done;
            failure
        }
        other => Failure::file(other),
    };
    let Some(path) = &args.output else {
        let mut out = BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
        return match export(&session, &rows, format, &mut out).map_err(failed) {
            Ok(_) => Ok(Exit::Done),
            // The reader has what it wanted.
            Err(failure) if failure.exit == Exit::Done => Ok(Exit::Done),
            Err(failure) => Err(failure),
        };
    };
    let mut file = new_file(path, args.force)?;
    let written = {
        let mut out = BufWriter::with_capacity(256 * 1024, file.as_file_mut());
        let written = export(&session, &rows, format, &mut out).map_err(failed)?;
        out.flush().map_err(|e| Failure::file(anyhow::Error::new(e).context(format!("write {}", path.display()))))?;
        written
    };
    let bytes = file.as_file().metadata().map_or(0, |meta| meta.len());
    keep(file, path, args.force)?;
    if args.json {
        #[derive(Serialize)]
        struct Answer<'a> {
            session: &'a str,
            format: &'a str,
            path: String,
            written: u64,
            bytes: u64,
        }
        let word = Format::ALL.iter().find(|(_, known)| *known == format).map_or("", |(word, _)| word);
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string();
        query::document(ctx.ui, "mcp.trace.export/1", Answer { session: &name, format: word, path, written, bytes });
    } else {
        let what = if format == Format::Jsonl { "record" } else { "operation" };
        let count = crate::ui::count(usize::try_from(written).unwrap_or(usize::MAX), what);
        ctx.ui.note(format_args!("Wrote {count} to {}", ctx.show(path)));
    }
    Ok(Exit::Done)
}

/// A file that takes its place only when it is whole, readable by nobody else.
pub(super) fn new_file(path: &Path, is_forced: bool) -> Result<tempfile::NamedTempFile<File>, Failure> {
    if path.exists() && !is_forced {
        return Err(Failure::file(anyhow::anyhow!("{} is there already", path.display())).hint("`--force` replaces it"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::NamedTempFile::new_in(folder)
        .map_err(|e| Failure::file(anyhow::Error::new(e).context(format!("write a file in {}", folder.display()))))
}

/// Puts it in its place.
pub(super) fn keep(file: tempfile::NamedTempFile<File>, path: &Path, is_forced: bool) -> Result<(), Failure> {
    let kept = if is_forced { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map(drop).map_err(|e| Failure::file(anyhow::Error::new(e.error).context(format!("write {}", path.display()))))
}
