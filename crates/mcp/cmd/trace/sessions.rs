//! Finding sessions by what people call them.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use clap_complete::engine::CompletionCandidate;
use mcp_capture::store::{FindError, Summary};
use mcp_capture::{ReadError, Session, Store, when};

use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::Ui;

/// What to do when there is nothing yet.
const TEACH: &str = "put a tap around a server: `mcp tap attach NAME`, or `mcp tap -- COMMAND`; then use it and come back";

/// All sessions, the newest first.
pub(super) fn all(ctx: &Ctx) -> Result<Vec<Summary>, Failure> {
    Store::of(&ctx.dirs).list().map_err(Failure::file)
}

/// Nothing was recorded yet.
pub(super) fn nothing() -> Failure {
    no(Failure::missing("nothing was recorded yet").hint(TEACH))
}

/// It worked, and the answer is no.
pub(super) fn no(mut failure: Failure) -> Failure {
    failure.exit = Exit::No;
    failure
}

/// The file of a session.
pub(super) fn find(ctx: &Ctx, name: &str) -> Result<PathBuf, Failure> {
    let store = Store::of(&ctx.dirs);
    // `-1` is the newest.
    if let Some(back) = name.strip_prefix('-').and_then(|digits| digits.parse::<usize>().ok()).filter(|back| *back > 0) {
        let all = all(ctx)?;
        let count = all.len();
        return match all.into_iter().nth(back - 1) {
            Some(session) => Ok(session.path),
            None if count == 0 => Err(nothing()),
            None => Err(no(Failure::missing(format_args!("there is no session {name}: there are {count}")))),
        };
    }
    store.find(name).map_err(|error| match error {
        FindError::None { .. } if all(ctx).is_ok_and(|all| all.is_empty()) && !Path::new(name).is_absolute() => nothing(),
        FindError::None { name, .. } => {
            let name = mcp_capture::text::visible(&name).into_owned();
            no(Failure::missing(format_args!("there is no session `{name}`")).hint("`mcp trace ls` lists what was recorded"))
        }
        FindError::Several { name, all } => {
            Failure::missing(format_args!("`{name}` could be several sessions")).hint(format!("there are {}", all.join(", ")))
        }
        error => Failure::file(error),
    })
}

/// Opens a session by what it is called.
pub(crate) fn open(ctx: &Ctx, name: &str) -> Result<Session, Failure> {
    open_path(&find(ctx, name)?)
}

pub(super) fn open_path(path: &Path) -> Result<Session, Failure> {
    Session::open(path).map_err(|error| {
        let is_other = matches!(error, ReadError::Beginning { .. } | ReadError::NoHeader { .. });
        let failure = Failure::file(error);
        if is_other { failure.hint("captures are files `*.mcpcap`, made by `mcp tap` and the daemon") } else { failure }
    })
}

/// A capture that cannot be read any further.
pub(super) fn unread(session: &Session, error: io::Error) -> Failure {
    Failure::file(anyhow::Error::new(error).context(format!("read the capture {}", session.path().display())))
}

/// What a session is called: its file without its ending.
pub(super) fn name_of(session: &Session) -> String {
    session.path().file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Names of sessions, for the shell.
pub(crate) fn complete(current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let Ok(ctx) = Ctx::new(Ui::new(true)) else { return Vec::new() };
    let all = all(&ctx).unwrap_or_default();
    let newest = all.first().map(|_| ("latest".to_owned(), "the newest".to_owned()));
    newest
        .into_iter()
        .chain(all.into_iter().map(|session| {
            let help = format!("{} {}", session.header.server, when::minute(session.header.started_ms));
            (session.name, help)
        }))
        .filter(|(name, _)| name.starts_with(&*current))
        .map(|(name, help)| CompletionCandidate::new(name).help(Some(mcp_capture::text::visible(&help).into_owned().into())))
        .collect()
}
