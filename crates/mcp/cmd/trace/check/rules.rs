//! `mcp trace rules`: the rules, and the reasons of one.

use std::ffi::OsStr;
use std::fmt::Write as _;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use mcp_capture::lint::{self, Family, Rule, Severity};
use serde::Serialize;

use crate::cmd::trace::query;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::{FAINT, STRONG, table};

/// List the rules sessions are judged by, or explain one
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mcp trace rules\n  mcp trace rules unknown-tool-argument\n  mcp trace rules --json | jq -r '.rules[].id'"
)]
pub(in crate::cmd::trace) struct Args {
    /// The rule
    #[arg(value_name = "RULE", add = ArgValueCompleter::new(complete))]
    rule: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Described<'a> {
    id: &'a str,
    severity: Severity,
    family: &'a str,
    title: &'a str,
    why: &'a str,
    revisions: String,
    link: String,
}

fn described(rule: &Rule) -> Described<'_> {
    Described {
        id: rule.id,
        severity: rule.severity,
        family: rule.family.title(),
        title: rule.title,
        why: rule.why,
        revisions: rule.revisions(),
        link: rule.link(None),
    }
}

pub(in crate::cmd::trace) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let all: Vec<&Rule> = match &args.rule {
        None => lint::rules().to_vec(),
        Some(id) => vec![lint::rule(id).ok_or_else(|| {
            let failure = Failure::missing(format_args!("there is no rule `{}`", mcp_capture::text::visible(id)));
            match nearest(id) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint("`mcp trace rules` lists them"),
            }
        })?],
    };
    if args.json {
        #[derive(Serialize)]
        struct Answer<'a> {
            rules: Vec<Described<'a>>,
        }
        query::document(ctx.ui, "mcp.trace.rules/1", Answer { rules: all.into_iter().map(described).collect() });
        return Ok(Exit::Done);
    }
    if let (Some(_), [rule]) = (&args.rule, &all[..]) {
        ctx.ui.out(format_args!("{STRONG}{}{STRONG:#}  {}  revisions: {}", rule.id, rule.severity, rule.revisions()));
        ctx.ui.out(format_args!("{}\n", rule.title));
        for line in wrapped(rule.why, 98) {
            ctx.ui.out(line);
        }
        ctx.ui.out(format_args!("\n{FAINT}{}{FAINT:#}", rule.link(None)));
        return Ok(Exit::Done);
    }
    let mut cells = vec![["RULE", "SEVERITY", "REVISIONS", "WHAT IS WRONG"].map(str::to_owned).to_vec()];
    cells.extend(
        all.iter().map(|rule| vec![rule.id.to_owned(), rule.severity.to_string(), rule.revisions(), rule.title.to_owned()]),
    );
    let mut out = ctx.ui.stream();
    for (at, line) in table(&cells).iter().enumerate() {
        if at == 0 { out.line(format_args!("{FAINT}{line}{FAINT:#}")) } else { out.line(line) }
    }
    Ok(Exit::Done)
}

/// The rule whose name is most like this.
pub(super) fn nearest(id: &str) -> Option<&'static str> {
    let all = lint::rules().iter().map(|rule| (strsim::normalized_damerau_levenshtein(id, rule.id), rule.id));
    all.filter(|(likeness, _)| *likeness > 0.6).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, id)| id)
}

/// Names of rules, for the shell.
pub(super) fn complete(current: &OsStr) -> Vec<CompletionCandidate> {
    super::candidates(current)
}

/// The text in lines of at most so many characters.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a line from the start");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            let _ = write!(line, " {word}");
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// The page of the documentation.
pub(crate) fn page(made: &str) -> String {
    let count = lint::rules().len();
    let mut page = format!(
        "{made}# Rules\n\n`mcp trace check` judges recorded sessions by these {count} rules; the inspector shows the same findings. \
         `mcp trace rules NAME` says as much as this page. An *error* is against the specification or does harm, a *warning* is \
         something that some peers do not cope with, *info* is worth knowing. `--skip NAME` silences a rule, a baseline silences \
         single findings.\n"
    );
    for family in Family::ALL {
        let _ = write!(page, "\n## {}\n", family.title());
        for rule in lint::rules().iter().filter(|rule| rule.family == family) {
            let _ = write!(
                page,
                "\n### {}\n\n{}. *{}*, revisions: {}.\n\n{}\n\n[Specification]({})\n",
                rule.id,
                rule.title,
                rule.severity,
                rule.revisions(),
                rule.why,
                rule.link(None)
            );
        }
    }
    page
}
