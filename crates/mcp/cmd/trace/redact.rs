//! `mcp trace redact`: a copy that can be handed to others.

use std::path::PathBuf;

use clap_complete::engine::ArgValueCompleter;
use mcp_capture::redact::{CopyError, copy_redacted};
use mcp_capture::store::names;
use mcp_capture::{Redactor, Session};
use serde::Serialize;

use super::query;
use super::sessions;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::count;

/// Copy a session with its secrets replaced
///
/// Replaced are the values of members, headers and arguments whose names say so, texts of the shapes tokens have, and what
/// `--name` and `--env` add. Equal secrets become equal `[redacted:1a2b]`. The first file is left as it is.
#[derive(Debug, clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  mcp trace redact latest -o for-the-issue.mcpcap\n  mcp trace redact s.mcpcap -o t.mcpcap --name customer --env DB_URL"
)]
pub(super) struct Args {
    /// The session
    #[arg(value_name = "SESSION", add = ArgValueCompleter::new(sessions::complete))]
    session: String,
    /// The copy
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Also values of members, headers and arguments of this name
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// Also the value this variable has now, wherever it stands
    #[arg(long, value_name = "VARIABLE")]
    env: Vec<String>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let path = sessions::find(ctx, &args.session)?;
    let mut values = Vec::new();
    for variable in &args.env {
        let Some(value) = ctx.platform.vars.get(variable) else {
            return Err(Failure::missing(format_args!("the variable `{variable}` is not set")));
        };
        values.push(value.clone());
    }
    let redactor = Redactor::with_names(&values, &args.name);
    if args.output.exists() {
        return Err(
            Failure::file(anyhow::anyhow!("{} is there already", args.output.display())).hint("choose another name for the copy")
        );
    }
    let header = sessions::open_path(&path)?.header().session.clone();
    let (mut changed, mut parts) = (0, 0);
    loop {
        let from = names::part(&path, parts + 1);
        if parts > 0 && !mcp_capture::Part::open(&from).is_ok_and(|part| part.header().session == header) {
            break;
        }
        changed += copy_redacted(&from, &names::part(&args.output, parts + 1), &redactor).map_err(|error| match error {
            CopyError::Read(error) => Failure::file(error),
            error => Failure::file(error),
        })?;
        parts += 1;
    }
    // Opening it once proves that it can be.
    Session::open(&args.output).map_err(Failure::file)?;
    if args.json {
        #[derive(Serialize)]
        struct Answer {
            path: String,
            changed: u64,
            parts: u32,
        }
        let path = std::path::absolute(&args.output).unwrap_or_else(|_| args.output.clone()).display().to_string();
        query::document(ctx.ui, "mcp.trace.redact/1", Answer { path, changed, parts });
    } else {
        let records = count(usize::try_from(changed).unwrap_or(usize::MAX), "record");
        ctx.ui.note(format_args!("Wrote {}: secrets replaced in {records}", ctx.show(&args.output)));
    }
    Ok(Exit::Done)
}
