//! `mcp trace check`: recorded sessions judged by the rules of the protocol, for people and for builds.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::ValueEnum;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use mcp_capture::lint::{self, Linter, Profile, Severity};

use super::sessions;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;

mod baseline;
mod document;
mod judged;
mod junit;
pub(super) mod rules;
mod sarif;
mod text;

use judged::{Judged, Verdict};
pub(crate) use rules::page;

/// Judge sessions by the rules of the protocol
///
/// Each rule has a name, a reason and a place in the specification: `mcp trace rules` lists them, `mcp trace rules NAME` explains
/// one. Exit 1 when something is found that is as bad as `--fail-on`, or when an expected tool is not listed. A baseline holds
/// what was found before and is not to be told again.
#[derive(Debug, clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  mcp trace check                                     the newest session\n  mcp trace check github --severity warning           nothing that is only worth knowing\n  mcp trace check run.mcpcap --format sarif > r.sarif  for a code host\n  mcp trace check --fail-on warning --skip large-result\n  mcp trace check run.mcpcap --baseline known.json --update-baseline"
)]
pub(super) struct Args {
    /// The sessions
    #[arg(value_name = "SESSION", default_value = "latest", add = ArgValueCompleter::new(sessions::complete))]
    sessions: Vec<String>,
    /// How to answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Answer in JSON: the same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Only this rule, or these
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = known, add = ArgValueCompleter::new(rules::complete))]
    only: Vec<String>,
    /// Not this rule, or these
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = known, add = ArgValueCompleter::new(rules::complete))]
    skip: Vec<String>,
    /// Tell nothing that is less bad
    #[arg(long, value_enum, default_value_t = Level::Info)]
    severity: Level,
    /// What makes the answer no
    #[arg(long, value_enum, default_value_t = Level::Error)]
    fail_on: Level,
    /// So many findings that are as bad as `--fail-on` are allowed
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_errors: usize,
    /// Findings that are known and not told again
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write what is found now into the baseline
    #[arg(long, requires = "baseline")]
    update_baseline: bool,
    /// A tool the server has to list
    #[arg(long, value_name = "NAME")]
    expect_tool: Vec<String>,
    /// Show the messages of each finding as well
    #[arg(long)]
    reproduce: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One document
    Json,
    /// For the test reports of a build
    Junit,
    /// SARIF 2.1.0, for code hosts
    Sarif,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    /// Worth knowing
    Info,
    /// Some peers will not cope
    Warning,
    /// Against the specification, or harmful
    Error,
}

impl Level {
    pub(super) fn severity(self) -> Severity {
        match self {
            Self::Info => Severity::Info,
            Self::Warning => Severity::Warning,
            Self::Error => Severity::Error,
        }
    }
}

/// A rule there is.
fn known(id: &str) -> Result<String, String> {
    if lint::rule(id).is_some() {
        return Ok(id.to_owned());
    }
    Err(match rules::nearest(id) {
        Some(near) => format!("there is no such rule; did you mean `{near}`?"),
        None => "there is no such rule: `mcp trace rules` lists them".to_owned(),
    })
}

pub(super) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let profile =
        Profile { only: args.only.clone(), skip: args.skip.clone(), severity: args.severity.severity(), ..Profile::default() };
    let mut all = Vec::new();
    for name in &args.sessions {
        let session = sessions::open(ctx, name)?;
        let mut linter = Linter::new(profile.clone());
        let findings = linter.check_session(&session).map_err(|e| sessions::unread(&session, e))?;
        let tools = linter.tools();
        all.push(Judged::new(session, findings, linter.left_out(), tools));
    }
    let mut verdict = Verdict {
        missing: expected(&args.expect_tool, &all),
        all,
        silenced: 0,
        fail_on: args.fail_on.severity(),
        allowed: args.max_errors,
    };
    if let Some(path) = &args.baseline {
        if args.update_baseline {
            baseline::write(path, &verdict)?;
            ctx.ui.note(format_args!("Wrote {} to {}", crate::ui::count(verdict.groups(), "finding"), ctx.show(path)));
        }
        let known = baseline::read(path)?;
        verdict.silence(&known);
    }
    let format = if args.json { Format::Json } else { args.format };
    match format {
        Format::Text => text::print(ctx.ui, &verdict, args.reproduce)?,
        Format::Json => document::print(ctx.ui, &verdict),
        Format::Junit => junit::print(ctx.ui, &verdict, &profile),
        Format::Sarif => sarif::print(ctx.ui, &verdict),
    }
    Ok(if verdict.is_bad() { Exit::No } else { Exit::Done })
}

/// The expected tools that no session lists.
fn expected(names: &[String], all: &[Judged]) -> Vec<String> {
    let listed: BTreeSet<&str> = all.iter().flat_map(|judged| &judged.tools).map(String::as_str).collect();
    names.iter().filter(|name| !listed.contains(name.as_str())).cloned().collect()
}

/// Names of rules, for the shell.
fn candidates(current: &std::ffi::OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    lint::rules()
        .iter()
        .filter(|rule| rule.id.starts_with(&*current))
        .map(|rule| CompletionCandidate::new(rule.id).help(Some(rule.title.into())))
        .collect()
}
