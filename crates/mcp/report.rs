//! Failures as their reader sees them: what, why, where, and what to do next.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use mcp_clients::engine::JobError;
use mcp_clients::plan::PlanError;
use mcp_edit::Problem;
use mcp_os::journal::JournalError;
use mcp_os::write::WriteError;

use crate::exit::Exit;
use crate::ui::{BAD, Ui};

/// A command that failed: its class, the chain of reasons, an excerpt of the file in question, and advice.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// The reasons, outermost first.
    pub(crate) error: anyhow::Error,
    /// The place in a file, drawn.
    pub(crate) excerpt: Option<String>,
    /// What to do next.
    pub(crate) hints: Vec<String>,
}

impl Failure {
    fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), excerpt: None, hints: Vec::new() }
    }

    /// The command line is wrong or says too little.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Exit::Usage, error)
    }

    /// The command line lacks something.
    pub(crate) fn missing(message: impl std::fmt::Display) -> Self {
        Self::usage(anyhow::anyhow!("{message}"))
    }

    /// A file could not be read or changed.
    pub(crate) fn file(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Exit::File, error)
    }

    /// Something did not answer.
    pub(crate) fn no_answer(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Exit::NoAnswer, error)
    }

    /// With advice.
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }

    /// With the place in a file.
    pub(crate) fn at(mut self, path: &str, text: &str, problem: &Problem) -> Self {
        self.excerpt = excerpt(path, text, problem, false);
        self
    }

    /// Prints it to stderr and gives the code to end with.
    pub(crate) fn print(&self, ui: Ui) -> Exit {
        ui.err(format_args!("{BAD}error:{BAD:#} {}", self.error));
        for cause in self.error.chain().skip(1) {
            ui.err(format_args!("  {cause}"));
        }
        if let Some(excerpt) = &self.excerpt {
            ui.err(excerpt);
        }
        for hint in &self.hints {
            ui.hint(hint);
        }
        self.exit
    }
}

/// The line of a file a problem is in, drawn with a mark below it. Long lines are cut around the place, and
/// what looks like a secret is masked unless it may be shown.
pub(crate) fn excerpt(path: &str, text: &str, problem: &Problem, reveal: bool) -> Option<String> {
    const WIDEST: usize = 160;
    let place = problem.place?;
    let offset = place.offset.min(text.len());
    let start = text[..offset].rfind('\n').map_or(0, |i| i + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |i| offset + i);
    let from = text.floor_char_boundary(start.max(offset.saturating_sub(WIDEST / 2)));
    let to = text.ceil_char_boundary(end.min(offset + WIDEST / 2));
    let line = crate::ui::clean(text[from..to].trim_end_matches('\r'));
    // Cleaning may have made the text before the place longer.
    let mark = crate::ui::clean(&text[from..offset.clamp(from, to)]).len().min(line.len());
    let (line, mark) = if reveal { (line, mark) } else { masked(&text[start..end], &line, mark) };
    let stop = line[mark..].chars().next().map_or(mark, |c| mark + c.len_utf8());
    let kind = problem.kind.to_string();
    let path = format!("{path}:{}:{}", place.line, place.column);
    let snippet = Snippet::source(line.as_str())
        .line_start(place.line)
        .annotation(AnnotationKind::Primary.span(mark..stop).label(kind.as_str()));
    let group = Group::with_level(Level::ERROR).element(snippet);
    let drawn = Renderer::plain().render(&[group]);
    Some(format!("  --> {path}\n{drawn}"))
}

/// A part of `whole` without secrets, and where a place in it is then.
fn masked(whole: &str, line: &str, mark: usize) -> (String, usize) {
    use mcp_clients::secret;
    // A line that was cut may have lost the key before a value: then the whole line decides.
    let hidden = if line.len() < whole.len() && secret::mask_line(whole) != whole {
        secret::MASK.to_owned()
    } else {
        secret::mask_line(line)
    };
    let same = |(a, b): &(char, char)| a == b;
    let head: usize = line.chars().zip(hidden.chars()).take_while(same).map(|(c, _)| c.len_utf8()).sum();
    if mark <= head {
        return (hidden, mark);
    }
    let tail: usize = line.chars().rev().zip(hidden.chars().rev()).take_while(same).map(|(c, _)| c.len_utf8()).sum();
    let mark = if line.len() - mark <= tail { hidden.len() - (line.len() - mark) } else { head };
    (hidden, mark)
}

/// What to do about a file that was not changed.
pub(crate) fn advice(error: &JobError) -> Option<String> {
    use mcp_edit::ProblemKind as Kind;
    let problem = match error {
        JobError::Plan(PlanError::Edit(problem)) | JobError::Decode { source: problem, .. } => Some(problem),
        _ => None,
    };
    let text = match (problem.map(|p| &p.kind), error) {
        (Some(Kind::ConflictMarkers), _) => "settle the merge conflict in the file, then run this again",
        (Some(Kind::Utf16), _) => "save the file as UTF-8, then run this again",
        (Some(Kind::DuplicateKey(_)), _) => "keep one of the two, then run this again",
        (Some(Kind::Alias(_)), _) => "write the aliased part out, or paste the lines below where they should go",
        (Some(Kind::Mismatch(_)), _) => "please report this file: it is a bug in `mcp`",
        (Some(_), _) => "mend the file, or paste the lines below where they should go",
        (None, JobError::Plan(PlanError::Exists { .. })) => "`--force` replaces it, `--name` gives the new one another name",
        (None, JobError::Plan(PlanError::Name { .. })) => "`--name` gives it another name",
        (None, JobError::Plan(PlanError::NotShareable { hint, .. } | PlanError::NotTappable { hint, .. })) => hint,
        (None, JobError::Conflict { .. }) => {
            "put the place back as it was written and try again, or keep what is there now: `mcp uninstall` takes it out"
        }
        (None, JobError::Lock(_)) => "close the program that holds the lock, or try again in a moment",
        (None, JobError::Busy { .. }) => "close the client, then run this again",
        (None, JobError::Write(WriteError::Beside { source, .. }) | JobError::Journal(JournalError::Io { source, .. }))
            if source.kind() == std::io::ErrorKind::StorageFull =>
        {
            "make room on the disk, then run this again"
        }
        (None, JobError::ReadOnly { .. }) => {
            "someone else manages this file (a package manager, an administrator): change it there"
        }
        _ => return None,
    };
    Some(text.to_owned())
}
