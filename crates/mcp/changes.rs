//! From jobs to files and a report: what `install`, `uninstall`, `enable`, `disable`, `share`, `unshare` and `undo` have in
//! common.
//!
//! Every job is previewed, the differences are shown, the user is asked where that is called for, and what can be done is
//! done; one file that cannot be changed never stops the others.

use mcp_clients::descriptor::{Descriptor, Scope};
use mcp_clients::engine::{self, Job, JobError, Preview};
use mcp_clients::plan::Outcome;
use mcp_clients::{plan, secret};
use mcp_edit::{DiffLine, Document, Edit};
use serde_json::{Value as Json, json};

use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::{Failure, advice, excerpt};
use crate::ui::{self, BAD, FAINT, GOOD, PLACE, STRONG, WARN};

/// How to go about it.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// `install`, `undo`, …: the word in the JSON answer.
    pub(crate) verb: &'static str,
    /// What the journal calls it: the command line, without secrets.
    pub(crate) command: String,
    /// Show, do not do.
    pub(crate) dry_run: bool,
    /// Ask before doing, if someone is there.
    pub(crate) ask: bool,
    /// Answer in JSON.
    pub(crate) json: bool,
    /// Show secrets.
    pub(crate) reveal: bool,
}

/// One place to change.
pub(crate) struct Item<'c> {
    /// The client.
    pub(crate) client: Option<&'c Descriptor>,
    /// Its id, or what the journal had.
    pub(crate) id: String,
    /// The scope.
    pub(crate) scope: Scope,
    /// The server.
    pub(crate) server: String,
    /// What to do, or why it cannot be done.
    pub(crate) job: Result<Job<'c>, JobError>,
    /// What a person can paste when we cannot write.
    pub(crate) paste: Option<String>,
    /// Secrets that may be in what is told, beside those of the file.
    pub(crate) secrets: Vec<String>,
}

/// What became of an item.
struct Row<'c> {
    client: Option<&'c Descriptor>,
    id: String,
    scope: Scope,
    server: String,
    file: Option<std::path::PathBuf>,
    path: String,
    paste: Option<String>,
    diff: Vec<DiffLine>,
    secrets: Vec<String>,
    outcome: Result<(Outcome, Vec<String>, bool), Told>,
    /// Its failure or its notes were told before anything was written.
    is_announced: bool,
}

/// An error as told: message, causes, excerpt, advice.
struct Told {
    message: String,
    causes: Vec<String>,
    excerpt: Option<String>,
    hint: Option<String>,
    place: Option<mcp_edit::Place>,
    /// Pasting by hand is a way out.
    wants_paste: bool,
}

/// What must not be told of a row: its secrets, unless they were asked for.
#[derive(Clone, Copy)]
struct Discreet<'r> {
    secrets: &'r [String],
    reveal: bool,
}

impl Discreet<'_> {
    /// A sentence of ours, which may quote a value.
    fn sentence(&self, text: &str) -> String {
        if self.reveal { text.to_owned() } else { secret::mask(text, self.secrets) }
    }

    /// Lines of a file.
    fn lines(&self, text: &str) -> String {
        text.trim_matches(['\n', '\r']).lines().map(|l| self.line(l)).collect::<Vec<_>>().join("\n")
    }

    /// A line of a file.
    fn line(&self, text: &str) -> String {
        let text = ui::clean(text);
        if self.reveal { text } else { secret::mask_line(&secret::mask(&text, self.secrets)) }
    }
}

/// What was done.
pub(crate) struct Finished {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// The number of the change in the journal.
    pub(crate) undo: Option<u64>,
}

/// Carries items out.
pub(crate) fn run(ctx: &Ctx, manner: &Manner, items: Vec<Item<'_>>) -> Result<Finished, Failure> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut previews: Vec<(usize, Preview<'_>)> = Vec::new();
    for item in items {
        let Item { client, id, scope, server, job, paste, mut secrets } = item;
        secrets.extend(paste.iter().flat_map(|text| secrets_of_text(client, scope, text)));
        let mut row = Row {
            client,
            id,
            scope,
            server,
            file: None,
            path: String::new(),
            paste,
            diff: Vec::new(),
            secrets,
            outcome: Ok((Outcome::Unchanged, Vec::new(), false)),
            is_announced: false,
        };
        match job.and_then(|job| {
            row.path = ctx.show(&job.path);
            row.file = Some(job.path.clone());
            engine::preview(job)
        }) {
            Ok(mut preview) => {
                row.secrets = secrets_of_file(ctx, &row, &preview);
                if preview.is_change() {
                    row.diff = diff(preview.before.as_deref().unwrap_or_default(), &preview);
                    preview.step.notes.extend(exposed(&row, &preview));
                }
                row.outcome = Ok((preview.step.outcome, preview.step.notes.clone(), false));
                previews.push((rows.len(), preview));
            }
            Err(error) => row.outcome = Err(tell(manner, &row, &error)),
        }
        rows.push(row);
    }
    let changes = rows.iter().filter(|r| !r.diff.is_empty()).count();
    if !manner.json {
        for row in &mut rows {
            show_diff(ctx, manner, row);
            announce(ctx, manner, row);
        }
    }
    if changes > 0 && !manner.dry_run && manner.ask && ctx.ui.can_ask && !confirmed(changes)? {
        ctx.ui.note("Nothing was changed");
        return Ok(Finished { exit: Exit::No, undo: None });
    }
    let mut undo = None;
    if !manner.dry_run {
        let (places, previews): (Vec<usize>, Vec<Preview<'_>>) = previews.into_iter().unzip();
        let (results, id) = engine::commit(&ctx.dirs, &manner.command, &Json::Null, previews);
        undo = id;
        for (place, result) in places.into_iter().zip(results) {
            let row = &mut rows[place];
            row.outcome = match result {
                Ok(done) => Ok((done.outcome, done.notes, done.written)),
                Err(error) => {
                    row.is_announced = false;
                    Err(tell(manner, row, &error))
                }
            };
        }
    }
    let failed = rows.iter().any(|r| r.outcome.is_err());
    let absent = !rows.is_empty() && rows.iter().all(|r| matches!(r.outcome, Ok((Outcome::NotThere, ..))));
    let exit = match (failed, absent) {
        (true, _) => Exit::File,
        (false, true) => Exit::No,
        (false, false) => Exit::Done,
    };
    if manner.json {
        ctx.ui.out(as_json(manner, &rows, undo));
    } else {
        report(ctx, manner, &rows, undo);
    }
    Ok(Finished { exit, undo })
}

fn confirmed(changes: usize) -> Result<bool, Failure> {
    let question = if changes == 1 { "Write this change?".to_owned() } else { format!("Write these {changes} changes?") };
    dialoguer::Confirm::with_theme(&*ui::theme()).with_prompt(question).default(true).interact().map_err(crate::ui::asked)
}

/// What to say when a new secret goes where others can read it.
fn exposed(row: &Row<'_>, preview: &Preview<'_>) -> Option<String> {
    let (before, after) = (preview.before.as_deref().unwrap_or_default(), preview.step.after.as_deref()?);
    row.secrets.iter().find(|s| after.contains(*s) && !before.contains(*s))?;
    let advice = "`--env NAME` without a value keeps it out of the file";
    if row.scope == Scope::Project {
        return Some(format!("a secret goes into a file that everyone with this folder has: {advice}"));
    }
    let mode = preview.mode.filter(|m| m & 0o044 != 0)?;
    Some(format!(
        "a secret goes into a file that other users of this machine can read (mode {:o}): `chmod 600 {}`; {advice}",
        mode & 0o777,
        row.path
    ))
}

/// The change as a diff: from the planner's own splices, or for a file that goes, all of it.
fn diff(before: &str, preview: &Preview<'_>) -> Vec<DiffLine> {
    if preview.step.edit.is_empty() && preview.step.after.is_none() {
        return Edit::new(vec![mcp_edit::Splice { range: 0..before.len(), text: String::new() }]).diff(before);
    }
    preview.step.edit.diff(before)
}

/// The secrets anywhere in a text of a client's format.
fn secrets_of_text(client: Option<&Descriptor>, scope: Scope, text: &str) -> Vec<String> {
    let file = client.and_then(|c| c.files.iter().find(|f| f.scope == scope));
    let root = file.and_then(|f| Document::parse(text, f.format.editor()).ok()?.get(&mcp_edit::Path::default()).ok()?);
    root.map_or_else(Vec::new, |node| secret::secrets(&node.value))
}

/// The secrets of all servers in a file, before and after. What is there after was there before, but for the entry itself,
/// which the memo has both ways: one reading of a file that may be large is enough.
fn secrets_of_file(ctx: &Ctx, row: &Row<'_>, preview: &Preview<'_>) -> Vec<String> {
    let mut found = row.secrets.clone();
    if let Some(known) = &preview.step.secrets {
        found.extend(known.iter().cloned());
        return longest_first(found);
    }
    let memo = serde_json::from_value::<mcp_clients::undo::Memo>(preview.step.memo.clone());
    found.extend(memo.iter().flat_map(mcp_clients::undo::Memo::secrets));
    let project = ctx.project.key();
    let files = row.client.iter().flat_map(|c| &c.files).filter(|f| f.scope == row.scope);
    for file in files {
        if let Some(text) = preview.before.as_deref().or(preview.step.after.as_deref()) {
            let Ok(document) = Document::parse(text, file.format.editor()) else { continue };
            for table in plan::tables(file, Some(&project)) {
                let members = document.members(&table, file.named_by.as_deref()).ok().flatten().unwrap_or_default();
                found.extend(members.iter().flat_map(|m| secret::secrets(&m.node.value)));
            }
        }
    }
    longest_first(found)
}

/// A secret that is part of another is masked after it.
fn longest_first(mut found: Vec<String>) -> Vec<String> {
    found.sort_by_key(|s| std::cmp::Reverse(s.len()));
    found.dedup();
    found
}

fn tell(manner: &Manner, row: &Row<'_>, error: &JobError) -> Told {
    let discreet = row.discreet(manner);
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !error.to_string().ends_with(&text) {
            causes.push(text);
        }
        source = cause.source();
    }
    let problem = match error {
        JobError::Plan(plan::PlanError::Edit(problem)) | JobError::Decode { source: problem, .. } => Some(problem),
        _ => None,
    };
    // The excerpt is of the file as it is now; a file that is no text has none.
    let drawn = problem.and_then(|p| {
        let text = std::fs::read_to_string(row.file.as_ref()?).ok()?;
        excerpt(&row.path, &text, p, manner.reveal)
    });
    if let JobError::Conflict { ours, now, before, .. } = error {
        let version = |text: &str, none: &str| indent(if text.trim().is_empty() { none } else { text });
        causes.push(format!("we had written:\n{}", version(&discreet.lines(ours), "(nothing)")));
        let now = now.as_deref().unwrap_or_default();
        causes.push(format!("there is now:\n{}", version(&discreet.lines(now), "(nothing of that name)")));
        causes.push(format!("it was before:\n{}", version(&discreet.lines(before), "(nothing)")));
    }
    if let JobError::Plan(plan::PlanError::Exists { old, new, .. }) = error {
        let masked = |v: &mcp_edit::Value| {
            let json = v.to_json();
            if manner.reveal { json } else { secret::mask(&json, &secret::secrets(v)) }
        };
        causes.push(format!("there: {}", masked(old)));
        causes.push(format!("new:   {}", masked(new)));
    }
    Told {
        message: discreet.sentence(&error.to_string()),
        causes,
        excerpt: drawn,
        hint: advice(error),
        place: problem.and_then(|p| p.place),
        wants_paste: !matches!(error, JobError::Plan(plan::PlanError::Exists { .. } | plan::PlanError::Name { .. })),
    }
}

fn indent(text: &str) -> String {
    text.trim_matches(['\n', '\r']).lines().map(|l| format!("    {}", ui::clean(l))).collect::<Vec<_>>().join("\n")
}

fn show_diff(ctx: &Ctx, manner: &Manner, row: &Row<'_>) {
    if row.diff.is_empty() {
        return;
    }
    ctx.ui.out(format_args!("{STRONG}{}{STRONG:#} {FAINT}{}{FAINT:#}", row.path, title(row)));
    for line in &row.diff {
        let shown = |text: &str| row.discreet(manner).line(text);
        match line {
            DiffLine::Place { old, new } => {
                ctx.ui.out(format_args!("{PLACE}@@ -{},{} +{},{} @@{PLACE:#}", old.0, old.1, new.0, new.1));
            }
            DiffLine::Same(text) => ctx.ui.out(format_args!(" {}", shown(text))),
            DiffLine::Removed(text) => ctx.ui.out(format_args!("{BAD}-{}{BAD:#}", shown(text))),
            DiffLine::Added(text) => ctx.ui.out(format_args!("{GOOD}+{}{GOOD:#}", shown(text))),
            DiffLine::NoNewline => ctx.ui.out(format_args!("{FAINT}\\ no newline at the end{FAINT:#}")),
        }
    }
    ctx.ui.out("");
}

/// What has to be known before anything is written: which files cannot be changed, and what gets lost on the way.
fn announce(ctx: &Ctx, manner: &Manner, row: &mut Row<'_>) {
    match &row.outcome {
        Err(told) => show_failure(ctx, manner, row, told),
        Ok((_, notes, _)) if !row.diff.is_empty() => show_notes(ctx, manner, row, notes),
        Ok(_) => return,
    }
    row.is_announced = true;
}

fn show_notes(ctx: &Ctx, manner: &Manner, row: &Row<'_>, notes: &[String]) {
    for note in notes {
        ctx.ui.err(format_args!("  {WARN}note:{WARN:#} {}", row.discreet(manner).sentence(note)));
    }
}

fn show_failure(ctx: &Ctx, manner: &Manner, row: &Row<'_>, told: &Told) {
    let name = ui::clean(&row.server);
    let place = if row.path.is_empty() { String::new() } else { format!("  {FAINT}{}{FAINT:#}", row.path) };
    ctx.ui.out(format_args!("{BAD}✗{BAD:#} {}: `{name}` not changed{place}", title(row)));
    ctx.ui.err(format_args!("{BAD}error:{BAD:#} {}", told.message));
    told.causes.iter().for_each(|c| ctx.ui.err(format_args!("  {c}")));
    told.excerpt.iter().for_each(|e| ctx.ui.err(e));
    told.hint.iter().for_each(|h| ctx.ui.hint(h));
    if let Some(paste) = row.paste.as_ref().filter(|_| told.wants_paste) {
        let shown = row.discreet(manner).lines(paste);
        let hidden = if shown.contains(secret::MASK) { " (`--reveal` shows what is masked)" } else { "" };
        ctx.ui.err(format_args!("{FAINT}to paste by hand{hidden}:{FAINT:#}\n{}", indent(&shown)));
    }
}

fn title(row: &Row<'_>) -> String {
    format!("{} ({})", row.client.map_or(row.id.as_str(), |c| &c.name), row.scope)
}

fn report(ctx: &Ctx, manner: &Manner, rows: &[Row<'_>], undo: Option<u64>) {
    let would = if manner.dry_run { "would be " } else { "" };
    for row in rows {
        let name = ui::clean(&row.server);
        match &row.outcome {
            Ok((Outcome::Unchanged, ..)) => {
                ctx.ui.out(format_args!("{FAINT}={FAINT:#} {}: `{name}` is as wanted already", title(row)));
            }
            Ok((Outcome::NotThere, ..)) => ctx.ui.out(format_args!("{FAINT}-{FAINT:#} {}: there is no `{name}`", title(row))),
            Ok((outcome, ..)) => {
                ctx.ui.out(format_args!(
                    "{GOOD}✓{GOOD:#} {}: `{name}` {would}{}  {FAINT}{}{FAINT:#}",
                    title(row),
                    outcome.word(),
                    row.path
                ));
            }
            Err(told) if !row.is_announced => show_failure(ctx, manner, row, told),
            Err(_) => {}
        }
        if let (Ok((_, notes, _)), false) = (&row.outcome, row.is_announced) {
            show_notes(ctx, manner, row, notes);
        }
    }
    let changed: Vec<&Row<'_>> = rows.iter().filter(|r| r.diff_counts()).collect();
    if !changed.is_empty() && !manner.dry_run {
        // Two servers in one client need one restart.
        let mut told: Vec<(String, String)> = Vec::new();
        for row in &changed {
            for step in next_steps(row) {
                let line = (title(row), step);
                if !told.contains(&line) {
                    ctx.ui.note(format_args!("  {FAINT}{}:{FAINT:#} {}", line.0, line.1));
                    told.push(line);
                }
            }
        }
    }
    if let Some(id) = undo {
        ctx.ui.note(format_args!("Take it back with `mcp undo {id}`"));
    } else if manner.dry_run && !changed.is_empty() {
        ctx.ui.note("Nothing was written: this was a dry run");
    }
}

impl Row<'_> {
    fn diff_counts(&self) -> bool {
        self.outcome.is_ok() && !self.diff.is_empty()
    }

    fn discreet(&self, manner: &Manner) -> Discreet<'_> {
        Discreet { secrets: &self.secrets, reveal: manner.reveal }
    }
}

/// What still has to happen before the change counts.
fn next_steps(row: &Row<'_>) -> Vec<String> {
    let Some(client) = row.client else { return Vec::new() };
    let gate = client.files.iter().find(|f| f.scope == row.scope).and_then(|f| f.gate.clone());
    let added = matches!(
        row.outcome,
        Ok((
            Outcome::Added
                | Outcome::Updated
                | Outcome::Enabled
                | Outcome::Shared
                | Outcome::Unshared
                | Outcome::Attached
                | Outcome::Detached,
            ..
        ))
    );
    let reload = (!client.reload.is_empty()).then(|| client.reload.clone());
    reload.into_iter().chain(gate.filter(|_| added)).collect()
}

fn as_json(manner: &Manner, rows: &[Row<'_>], undo: Option<u64>) -> String {
    let changes: Vec<Json> = rows
        .iter()
        .map(|row| {
            let (outcome, notes, written) = match &row.outcome {
                Ok((outcome, notes, written)) => {
                    (outcome.word(), notes.iter().map(|n| row.discreet(manner).sentence(n)).collect(), *written)
                }
                Err(_) => ("failed", Vec::new(), false),
            };
            let error = row.outcome.as_ref().err().map(|told| {
                json!({
                    "message": told.message,
                    "causes": told.causes,
                    "hint": told.hint,
                    "excerpt": told.excerpt,
                    "line": told.place.map(|p| p.line),
                    "column": told.place.map(|p| p.column),
                })
            });
            json!({
                "client": row.id,
                "scope": row.scope.word(),
                "server": row.server,
                "path": row.file,
                "outcome": outcome,
                "written": written,
                "notes": notes,
                "next": if row.diff_counts() { next_steps(row) } else { Vec::new() },
                "diff": plain_diff(row, manner),
                "error": error,
                "paste": row.paste.as_ref().filter(|_| row.outcome.as_ref().is_err_and(|t| t.wants_paste)).map(|p| row.discreet(manner).lines(p)),
            })
        })
        .collect();
    let answer = json!({
        "schema": "mcp.changes/1",
        "verb": manner.verb,
        "dry_run": manner.dry_run,
        "undo": undo,
        "changes": changes,
    });
    serde_json::to_string_pretty(&answer).unwrap_or_default()
}

fn plain_diff(row: &Row<'_>, manner: &Manner) -> Vec<String> {
    let shown = |text: &str| row.discreet(manner).line(text);
    let line = |line: &DiffLine| match line {
        DiffLine::Place { old, new } => format!("@@ -{},{} +{},{} @@", old.0, old.1, new.0, new.1),
        DiffLine::Same(text) => format!(" {}", shown(text)),
        DiffLine::Removed(text) => format!("-{}", shown(text)),
        DiffLine::Added(text) => format!("+{}", shown(text)),
        DiffLine::NoNewline => "\\ no newline at the end".to_owned(),
    };
    row.diff.iter().map(line).collect()
}
