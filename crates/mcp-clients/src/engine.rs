//! Carrying plans out: each file is looked at, planned for, shown, and then, inside the locks, compared, journalled and
//! replaced.
//!
//! A [`Job`] is one file and a function that says what it should become. [`preview`] reads and plans without touching
//! anything. [`commit`] takes our lock and the client's, reads again, plans again if somebody was faster, writes the new
//! files beside the old ones, notes everything in the undo journal with one sync, and renames. One failing file never
//! stops the others.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use mcp_edit::{Edit, Problem, Splice};
use mcp_os::dirs::Dirs;
use mcp_os::file::{self, Found, ReadError, Target};
use mcp_os::journal::{FileEdit, Journal, JournalError, Origin, RecordWriter};
use mcp_os::lock::{DirLock, FileLock, Flock, LockError};
use mcp_os::write::{self, Options, Prepared, Request, WriteError};

use crate::descriptor::{Lock, Scope};
use crate::plan::{Outcome, PlanError, Planned};

/// How long we wait for other programs' locks. Claude Code holds its own for milliseconds, and a dead one is stolen after
/// [`STALE`].
const PATIENCE: Duration = Duration::from_secs(30);

/// A lock folder whose time was not refreshed for this long belongs to a dead process (Claude Code refreshes its own every
/// few seconds and steals at about this age).
const STALE: Duration = Duration::from_secs(10);

/// How often a plan is made again because another program keeps changing the file.
const ATTEMPTS: usize = 8;

/// How long a file changed last for its content to count as finished: a program that writes it in place has emptied it first,
/// and may be anywhere between that and its last byte.
const UNFINISHED: Duration = Duration::from_millis(250);

/// How long we wait for such a file to be finished.
const PATIENCE_UNFINISHED: Duration = Duration::from_secs(2);

/// What a file should become.
#[derive(Clone, Debug)]
pub struct Step {
    /// The new text; `None` when the file should go.
    pub after: Option<String>,
    /// The splices of the old text.
    pub edit: Edit,
    /// What that is.
    pub outcome: Outcome,
    /// What the user should know.
    pub notes: Vec<String>,
    /// What the journal should remember, to undo by meaning.
    pub memo: serde_json::Value,
    /// Directories we made for the file, which go with it as far as they are empty.
    pub made_dirs: Vec<PathBuf>,
    /// The secrets of all servers in the file, where the planner has them at hand.
    pub secrets: Option<Vec<String>>,
}

impl Step {
    /// What a plan says.
    pub fn planned(planned: Planned) -> Self {
        let Planned { edit, after, outcome, notes, memo, secrets, .. } = planned;
        Self { after: Some(after), edit, outcome, notes, memo: memo.to_value(), made_dirs: Vec::new(), secrets: Some(secrets) }
    }

    /// A step that leaves a text as it is.
    pub fn nothing(outcome: Outcome) -> Self {
        Self {
            after: None,
            edit: Edit::default(),
            outcome,
            notes: Vec::new(),
            memo: serde_json::Value::Null,
            made_dirs: Vec::new(),
            secrets: None,
        }
    }

    /// A step from one text to another, of which only the middle differs.
    pub fn between(old: &str, after: Option<String>, outcome: Outcome) -> Self {
        let new = after.as_deref().unwrap_or_default();
        let head = old.floor_char_boundary(common(old.bytes().zip(new.bytes())));
        let tail = common(old[head..].bytes().rev().zip(new[head..].bytes().rev()));
        let tail = old.len() - old.ceil_char_boundary(old.len() - tail);
        let splice = Splice { range: head..old.len() - tail, text: new[head..new.len() - tail].to_owned() };
        Self { edit: Edit::new(vec![splice]), after, ..Self::nothing(outcome) }
    }
}

/// How many bytes are the same on both sides.
fn common(mut pairs: impl ExactSizeIterator<Item = (u8, u8)>) -> usize {
    let all = pairs.len();
    pairs.position(|(a, b)| a != b).unwrap_or(all)
}

/// Says what a file should become, given its text (`None`: there is no file).
pub type Planner<'c> = Box<dyn Fn(Option<&str>) -> Result<Step, JobError> + Send + Sync + 'c>;

/// One file to change.
pub struct Job<'c> {
    /// Whose, for the journal and the report.
    pub client: String,
    /// For whom, for the journal and the report.
    pub scope: Scope,
    /// The file, as named.
    pub path: PathBuf,
    /// The client's own lock.
    pub lock: Option<Lock>,
    /// What it should become.
    pub planner: Planner<'c>,
}

/// Why a file was not changed. It is untouched unless the cause says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is not text.
    #[error("read {}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Problem,
    },
    /// The change cannot be made to it.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An administrator's file has the say.
    #[error("{} {effect}", path.display())]
    Managed {
        /// That file.
        path: PathBuf,
        /// What it does.
        effect: String,
    },
    /// It may only be read.
    #[error("write {}: it is read-only", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else is at it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The undo journal could not be written, so nothing else was.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Another program changes it over and over.
    #[error("write {}: another program keeps changing it; it is left as that program wrote it", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// What is to be undone was changed by someone else since.
    #[error("undo the change of {}: the same place was changed since", path.display())]
    Conflict {
        /// The file.
        path: PathBuf,
        /// What we had put there.
        ours: String,
        /// What is there now, as far as it can be found.
        now: Option<String>,
        /// What was there before.
        before: String,
    },
    /// The client keeps its servers where we cannot write them.
    #[error("{0}")]
    NoFile(String),
}

/// A job looked at and planned, with nothing changed yet.
pub struct Preview<'c> {
    /// The job.
    pub job: Job<'c>,
    /// The file behind all links.
    pub target: Target,
    /// Its text; `None` when there is no file.
    pub before: Option<String>,
    /// Its permission bits.
    pub mode: Option<u32>,
    /// What it should become.
    pub step: Step,
}

impl Preview<'_> {
    /// Whether there is anything to write.
    pub fn is_change(&self) -> bool {
        !self.step.edit.is_empty() || (self.before.is_some() && self.deletes())
    }

    fn deletes(&self) -> bool {
        self.step.after.is_none() && self.step.outcome != Outcome::Unchanged && self.step.outcome != Outcome::NotThere
    }

    fn done(&self, written: bool) -> Done {
        Done { outcome: self.step.outcome, notes: self.step.notes.clone(), written }
    }
}

/// A file that was changed, or needed no change.
#[derive(Clone, Debug)]
pub struct Done {
    /// What happened.
    pub outcome: Outcome,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Whether it was written.
    pub written: bool,
}

/// Reads a file and plans for it. A file that another program has begun to write and not finished, as it seems, is waited
/// for.
pub fn preview(job: Job<'_>) -> Result<Preview<'_>, JobError> {
    let start = Instant::now();
    loop {
        let found = file::read(&job.path)?;
        let planned = plan(&job, &found);
        if looks_unfinished(&found, &planned) && start.elapsed() < PATIENCE_UNFINISHED {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        }
        let (before, step) = planned?;
        let (mode, read_only) = match &found {
            Found::File(loaded) => (loaded.mode, loaded.read_only),
            Found::Absent(_) => (None, false),
        };
        let preview = Preview { job, target: found.target().clone(), before, mode, step };
        if read_only && preview.is_change() {
            return Err(JobError::ReadOnly { path: preview.target.path });
        }
        return Ok(preview);
    }
}

fn plan(job: &Job<'_>, found: &Found) -> Result<(Option<String>, Step), JobError> {
    let before = text_of(found)?.map(str::to_owned);
    let step = (job.planner)(before.as_deref())?;
    Ok((before, step))
}

/// Whether the file is empty or makes no sense, and was written a moment ago.
fn looks_unfinished(found: &Found, planned: &Result<(Option<String>, Step), JobError>) -> bool {
    let Found::File(loaded) = found else { return false };
    let is_odd = match planned {
        Ok(_) => loaded.bytes.is_empty(),
        Err(JobError::Plan(PlanError::Edit(_)) | JobError::Decode { .. } | JobError::Conflict { .. }) => true,
        Err(_) => false,
    };
    is_odd && loaded.modified.and_then(|m| SystemTime::now().duration_since(m).ok()).is_some_and(|age| age < UNFINISHED)
}

fn text_of(found: &Found) -> Result<Option<&str>, JobError> {
    let path = &found.target().path;
    found.bytes().map(mcp_edit::decode).transpose().map_err(|source| JobError::Decode { path: path.clone(), source })
}

/// Makes the changes. `command` is what the journal calls this. Returns one result per preview, in order, and the number
/// under which all of it can be undone (`None` when nothing was written).
pub fn commit(
    dirs: &Dirs,
    command: &str,
    details: &serde_json::Value,
    previews: Vec<Preview<'_>>,
) -> (Vec<Result<Done, JobError>>, Option<u64>) {
    // A killed process noted which files it was at. It was the last one, or another has been here since.
    let newest = Journal::open(&dirs.state).newest();
    newest.iter().flat_map(|record| &record.edits).for_each(|e| tidy(dirs, &e.target));

    let count = previews.len();
    let mut results: Vec<Option<Result<Done, JobError>>> = (0..count).map(|_| None).collect();
    let mut waiting: Vec<(usize, Preview<'_>)> = Vec::new();
    for (i, preview) in previews.into_iter().enumerate() {
        if preview.is_change() {
            waiting.push((i, preview));
        } else {
            tidy(dirs, &preview.target.path);
            results[i] = Some(Ok(preview.done(false)));
        }
    }
    let mut record: Option<RecordWriter> = None;
    let mut wrote = false;
    while !waiting.is_empty() {
        // Two jobs for one file take turns.
        let mut batch: Vec<(usize, Preview<'_>)> = Vec::new();
        let mut later = Vec::new();
        for item in waiting {
            if batch.iter().any(|(_, p)| p.target.path == item.1.target.path) { later.push(item) } else { batch.push(item) }
        }
        waiting = later;
        for (i, result) in commit_batch(dirs, command, details, &mut record, batch) {
            wrote |= result.as_ref().is_ok_and(|d| d.written);
            results[i] = Some(result);
        }
    }
    let id = record.as_ref().map(RecordWriter::id);
    if !wrote && let Some(record) = record {
        // An empty record would only puzzle its reader; if it cannot be deleted it is merely that.
        let _ = record.discard();
    }
    let results = results.into_iter().map(|r| r.expect("every job was put in a batch")).collect();
    (results, id.filter(|_| wrote))
}

/// Both locks of a file, in the order they are released.
struct Locks {
    _client: Option<ClientLock>,
    _own: FileLock,
}

#[expect(dead_code, reason = "held until dropped")]
enum ClientLock {
    Directory(DirLock),
    File(Flock),
}

fn lock(dirs: &Dirs, preview: &Preview<'_>) -> Result<Locks, JobError> {
    let own = FileLock::acquire(&dirs.locks(), &preview.target.path.to_string_lossy(), PATIENCE)?;
    let named = &preview.target.named;
    let fill = |template: &str| {
        let folder = named.parent().map(|p| p.display().to_string()).unwrap_or_default();
        PathBuf::from(template.replace("{file}", &named.display().to_string()).replace("{folder}", &folder))
    };
    // A lock in a folder that does not exist yet protects from nobody.
    let client = match &preview.job.lock {
        _ if !named.parent().is_some_and(Path::is_dir) => None,
        Some(Lock::Directory(template)) => Some(ClientLock::Directory(DirLock::acquire(&fill(template), STALE, PATIENCE)?)),
        Some(Lock::Flock(template)) => Some(ClientLock::File(Flock::acquire(&fill(template), PATIENCE)?)),
        None => None,
    };
    Ok(Locks { _client: client, _own: own })
}

/// Makes changes of different files. Locks are taken in the order of the paths, so that two commands never wait for each
/// other.
fn commit_batch(
    dirs: &Dirs,
    command: &str,
    details: &serde_json::Value,
    record: &mut Option<RecordWriter>,
    mut batch: Vec<(usize, Preview<'_>)>,
) -> Vec<(usize, Result<Done, JobError>)> {
    batch.sort_by(|a, b| a.1.target.path.cmp(&b.1.target.path));
    let mut results = Vec::new();
    let mut open: Vec<(usize, Preview<'_>, Locks)> = Vec::new();
    for (i, preview) in batch {
        match lock(dirs, &preview).and_then(|locks| Ok((same_file(preview)?, locks))) {
            Ok((preview, locks)) => open.push((i, preview, locks)),
            Err(error) => results.push((i, Err(error))),
        }
    }
    for attempt in 0..ATTEMPTS {
        let mut again = Vec::new();
        for ((i, preview, locks), result) in write_all(dirs, command, details, record, open) {
            match result {
                Err(JobError::Write(WriteError::Changed { .. })) if attempt + 1 < ATTEMPTS => match refresh(preview) {
                    Ok(preview) => again.push((i, preview, locks)),
                    Err(error) => results.push((i, Err(error))),
                },
                Err(JobError::Write(WriteError::Changed { path, .. })) => results.push((i, Err(JobError::Busy { path }))),
                result => results.push((i, result)),
            }
        }
        if again.is_empty() {
            break;
        }
        open = again;
    }
    results
}

/// Plans again if the name has come to lead to another file. Whether the file's content is the one planned for is found
/// when the new one is readied, which compares: a large file is not read once more for it.
fn same_file(preview: Preview<'_>) -> Result<Preview<'_>, JobError> {
    if file::resolve(&preview.target.named)? == preview.target { Ok(preview) } else { self::preview(preview.job) }
}

/// Reads and plans again, inside the locks.
fn refresh(preview: Preview<'_>) -> Result<Preview<'_>, JobError> {
    let found = file::read(&preview.target.named)?;
    if text_of(&found)? == preview.before.as_deref() && found.target() == &preview.target {
        return Ok(preview);
    }
    self::preview(preview.job)
}

type Opened<'c> = (usize, Preview<'c>, Locks);

/// Writes the new files beside the old, notes all in the journal with one sync, and renames.
fn write_all<'c>(
    dirs: &Dirs,
    command: &str,
    details: &serde_json::Value,
    record: &mut Option<RecordWriter>,
    open: Vec<Opened<'c>>,
) -> Vec<(Opened<'c>, Result<Done, JobError>)> {
    let recovery = dirs.recovery();
    let previews: Vec<&Preview<'_>> = open.iter().map(|(_, preview, _)| preview).collect();
    let mut results: Vec<Result<Done, JobError>> = previews.iter().map(|preview| Ok(preview.done(false))).collect();

    let changing = previews.iter().enumerate().filter(|(_, preview)| preview.is_change());
    let (written, deleted): (Vec<usize>, Vec<usize>) = changing.map(|(n, _)| n).partition(|n| previews[*n].step.after.is_some());
    let requests: Vec<Request<'_>> = written.iter().map(|n| request(previews[*n], &recovery)).collect();
    let (prepared, described) =
        prepare_and_describe(&requests, || written.iter().chain(&deleted).map(|n| edit(previews[*n])).collect::<Vec<FileEdit>>());
    let mut described = described.into_iter();
    let (mut ready, mut edits): (Vec<(usize, Prepared<'_>)>, Vec<FileEdit>) = (Vec::new(), Vec::new());
    for ((n, prepared), edit) in written.iter().zip(prepared).zip(described.by_ref()) {
        match prepared {
            Ok(prepared) => {
                edits.push(FileEdit { created_dirs: prepared.created_dirs().to_vec(), ..edit });
                ready.push((*n, prepared));
            }
            Err(error) => results[*n] = Err(error.into()),
        }
    }
    edits.extend(described);
    // By their position in the journal.
    let noted: Vec<usize> = ready.iter().map(|(n, _)| *n).chain(deleted.iter().copied()).collect();
    let first = match note(dirs, command, details, record, edits) {
        Ok(first) => first,
        Err(error) => {
            drop(ready);
            for n in noted {
                results[n] = Err(error.again().into());
            }
            return open.into_iter().zip(results).collect();
        }
    };

    let (places, ready): (Vec<usize>, Vec<Prepared<'_>>) = ready.into_iter().unzip();
    for (n, result) in places.into_iter().zip(write::commit_all(ready)) {
        results[n] = result.map(|_| previews[n].done(true)).map_err(JobError::from);
    }
    for n in &deleted {
        let preview = previews[*n];
        let removed = write::remove(&preview.target, preview.before.as_deref().unwrap_or_default().as_bytes());
        results[*n] = removed.map(|_| preview.done(true)).map_err(JobError::from);
    }
    remove_made_dirs(deleted.iter().filter(|n| results[**n].is_ok()).map(|n| previews[*n]));
    let failed: Vec<usize> = (0..noted.len()).filter(|k| results[noted[*k]].is_err()).map(|k| first + k).collect();
    if let (false, Some(record)) = (failed.is_empty(), record) {
        // The file's content tells as well, so failing here loses nothing.
        let _ = record.abandon(&failed);
    }
    open.into_iter().zip(results).collect()
}

fn request<'p>(preview: &'p Preview<'_>, recovery: &'p Path) -> Request<'p> {
    // What belongs to one user may hold secrets.
    let private = matches!(preview.job.scope, Scope::User | Scope::Local);
    let options = Options { mode_if_new: if private { 0o600 } else { 0o644 }, private: false, recovery };
    let before = preview.before.as_deref().map(str::as_bytes);
    let after = preview.step.after.as_deref().unwrap_or_default().as_bytes();
    Request { target: &preview.target, before, after, options }
}

/// Removes the folders that were made for files that are gone now, as far as nothing else is in them.
fn remove_made_dirs<'p>(deleted: impl Iterator<Item = &'p Preview<'p>>) {
    let mut made: Vec<&PathBuf> = deleted.flat_map(|preview| &preview.step.made_dirs).collect();
    // Two files may have shared one: the innermost go first, whosever they are.
    made.sort_by_key(|dir| std::cmp::Reverse(dir.components().count()));
    for dir in made {
        // One that is not empty has found another use.
        let _ = std::fs::remove_dir(dir);
    }
}

/// Deletes what a killed process left beside a file.
fn tidy(dirs: &Dirs, target: &Path) {
    // Somebody may be writing this very moment: the lock tells, and whoever has it tidies up.
    if !write::has_leftovers(target) {
        return;
    }
    if let Ok(_lock) = FileLock::acquire(&dirs.locks(), &target.to_string_lossy(), Duration::ZERO) {
        write::clean_up(target);
    }
}

/// What the journal keeps of a change.
/// Readies the new files and describes the edits: for large files side by side, since both take a while.
fn prepare_and_describe<'p>(
    requests: &[Request<'p>],
    describe: impl FnOnce() -> Vec<FileEdit>,
) -> (Vec<Result<Prepared<'p>, WriteError>>, Vec<FileEdit>) {
    const LARGE: usize = 1024 * 1024;
    if requests.iter().all(|r| r.after.len() < LARGE) {
        return (write::prepare_all(requests), describe());
    }
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| write::prepare_all(requests));
        let described = describe();
        (writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), described)
    })
}

fn edit(preview: &Preview<'_>) -> FileEdit {
    let origin = Origin { client: preview.job.client.clone(), scope: preview.job.scope.word().to_owned() };
    let splices = preview.step.edit.splices().iter().map(|s| (s.range.clone(), s.text.as_str()));
    let after = preview.step.after.as_deref().unwrap_or_default();
    let mut edit = FileEdit::new(origin, &preview.target, preview.before.as_deref(), after, splices);
    edit.mode = preview.mode;
    edit.ops = preview.step.memo.clone();
    edit
}

/// Notes what is about to happen. Returns the journal position of the first edit.
fn note(
    dirs: &Dirs,
    command: &str,
    details: &serde_json::Value,
    record: &mut Option<RecordWriter>,
    edits: Vec<FileEdit>,
) -> Result<usize, JournalError> {
    if edits.is_empty() {
        return Ok(0);
    }
    if record.is_none() {
        *record = Some(Journal::open(&dirs.state).begin(command, details.clone())?);
    }
    record.as_mut().map_or(Ok(0), |r| r.append(edits))
}
