//! What the screen wants done. Everything here ends in a message to it.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mcp_capture::export::{Format, export};
use mcp_capture::filter::Filter;
use mcp_capture::lint::{self, Finding, Linter, Profile};
use mcp_capture::stats::Stats;
use mcp_capture::store::{self, Store};
use mcp_capture::{RowKind, Session};
use mcp_os::dirs::Dirs;
use mcp_relay::acting::Meeting;
use mcp_tui::app::{CopyAs, Effect, FindingLine, Inbox, Msg, SessionLine, Severity, Target, ToolLine};
use mcp_tui::terminal::{self, Waker};

use super::live::Holder;
use super::outside;
use super::peer::{Peer, Start};
use super::watch::Watch;
use crate::ctx::Ctx;

/// Tells the screen things, from any thread.
#[derive(Clone)]
pub(super) struct Teller {
    inbox: Inbox,
    waker: Waker,
}

impl Teller {
    pub(super) fn tell(&self, msg: Msg) {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).push_back(msg);
        self.waker.wake();
    }

    fn outcome(&self, outcome: Result<String, String>) {
        match outcome {
            Ok(text) if text.is_empty() => {}
            Ok(text) => self.tell(Msg::Done(text)),
            Err(text) => self.tell(Msg::Failed(text)),
        }
    }
}

/// How often a session that goes on is looked into.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a recording may take to appear.
const PATIENCE: Duration = Duration::from_secs(10);

/// Carries effects out.
pub(super) struct Performer {
    dirs: Dirs,
    store: Store,
    teller: Teller,
    /// The session on the screen.
    open: Option<(PathBuf, Watch)>,
    /// The same for whoever looks into it, so that it is read once.
    unseen: Option<Session>,
    /// The server we are the client of, and its recording.
    peer: Option<(Peer, Option<PathBuf>)>,
    /// The tap that records the session on the screen, if it goes on.
    holder: Option<Holder>,
    /// Where taps are found.
    meeting: Meeting,
}

impl Performer {
    pub(super) fn new(ctx: &Ctx, store: Store, inbox: Inbox, waker: Waker) -> Self {
        let teller = Teller { inbox, waker };
        let meeting = Meeting::new(mcp_daemon::place::Place::new(&ctx.dirs.daemon).taps());
        Self { dirs: ctx.dirs.clone(), store, teller, open: None, unseen: None, peer: None, holder: None, meeting }
    }

    pub(super) fn tell(&self, msg: Msg) {
        self.teller.tell(msg);
    }

    /// Ends what was started.
    pub(super) fn end(&mut self) {
        self.open = None;
        self.holder = None;
        if let Some((peer, _)) = self.peer.take() {
            peer.end();
        }
    }

    pub(super) fn perform(&mut self, effect: Effect, screen: &mut terminal::Session) {
        match effect {
            Effect::ListSessions => self.list_sessions(),
            Effect::Open(path) => self.open(&path),
            Effect::OpenOther(path) => match Session::open(&path) {
                Ok(session) => self.tell(Msg::OpenedOther(session)),
                Err(e) => self.tell(Msg::Failed(e.to_string())),
            },
            Effect::Record(name) => self.record(&name),
            Effect::Lint => self.look_into(),
            Effect::CopyText(text) => self.teller.outcome(outside::copy(&text).map(|()| "copied".to_owned())),
            Effect::CopyRow(row, form) => {
                let text = self.row_as(row, form).and_then(|text| outside::copy(&text));
                self.teller.outcome(text.map(|()| "copied".to_owned()));
            }
            Effect::External(bytes) => {
                let shown = screen.outside(|| outside::page(&bytes)).unwrap_or_else(|e| Err(e.to_string()));
                self.teller.outcome(shown.map(|()| String::new()));
            }
            Effect::Edit(text) => match screen.outside(|| outside::edit(&text)).unwrap_or_else(|e| Err(e.to_string())) {
                Ok(text) => self.tell(Msg::Edited(text)),
                Err(e) => self.tell(Msg::Failed(e)),
            },
            Effect::Export { format, filter } => {
                let outcome = self.export(&format, &filter);
                self.teller.outcome(outcome);
            }
            Effect::Cassette(_) => {
                let text = self
                    .open
                    .as_ref()
                    .map_or_else(String::new, |(path, _)| format!("`mcp mock {}` answers from this session", path.display()));
                self.tell(Msg::Done(text));
            }
            Effect::Mark(mark) => {
                let Some((path, _)) = &self.open else { return };
                match store::marks::add(path, &mark) {
                    Ok(()) => self.tell(Msg::Marks(store::marks::read(path))),
                    Err(e) => self.tell(Msg::Failed(format!("keep the mark: {e}"))),
                }
            }
            Effect::Send { target, method, params } => self.send(target, &method, &params),
            Effect::Answer(question, text) => {
                if let Some((peer, _)) = &self.peer {
                    self.teller.outcome(peer.answer(question, text.as_deref()).map(|()| "answered".to_owned()));
                }
            }
            Effect::Dismiss(question) => {
                if let Some((peer, _)) = &self.peer {
                    peer.dismiss(question);
                }
            }
            Effect::Verify(rows) => self.verify(&rows),
            Effect::ShowAttach => self.tell(Msg::Confirm {
                title: "record what your clients say to their servers".to_owned(),
                what: output(&["tap", "attach", "--all", "--dry-run"]),
                verb: "attach".to_owned(),
                effect: Box::new(Effect::Attach),
            }),
            Effect::Attach => {
                self.tell(Msg::Page { title: "attached".to_owned(), text: output(&["tap", "attach", "--all", "--yes"]) });
            }
            Effect::ShowDetach(server) => self.tell(Msg::Confirm {
                title: format!("undo the attach of {server}"),
                what: output(&["tap", "detach", &server, "--dry-run"]),
                verb: "detach".to_owned(),
                effect: Box::new(Effect::Detach(server)),
            }),
            Effect::Detach(server) => {
                self.tell(Msg::Page { title: "detached".to_owned(), text: output(&["tap", "detach", &server, "--yes"]) });
            }
            Effect::Delete(path) => {
                let removed = store::summary(&path).map_err(|e| e.to_string());
                let removed = removed.and_then(|summary| store::remove(&summary).map_err(|e| format!("delete it: {e}")));
                self.teller.outcome(removed.map(|()| "deleted".to_owned()));
                self.list_sessions();
            }
            Effect::KeepHistory(lines) => {
                self.teller.outcome(outside::write_history(&self.dirs, &lines).map(|()| String::new()));
            }
            Effect::Breakpoint(filter) => self.hold(|holder| holder.breakpoint(&filter)),
            Effect::Fault(line) => self.hold(|holder| holder.fault(&line)),
            Effect::ClearRules => self.hold(Holder::clear),
            Effect::Release(held, text) => self.hold(|holder| holder.release(held, text)),
            Effect::ReleaseAll => self.hold(Holder::release_all),
            Effect::DropHeld(held) => self.hold(|holder| holder.drop_held(held)),
            Effect::Restart => self.hold(Holder::restart),
        }
    }

    /// Asks the tap that records the session for something.
    fn hold(&mut self, ask: impl FnOnce(&mut Holder) -> Result<(), String>) {
        let asked = self.holder.as_mut().map_or_else(|| Err("nobody holds this session".to_owned()), ask);
        self.teller.outcome(asked.map(|()| String::new()));
    }

    /// Finds the sessions there are.
    pub(super) fn list_sessions(&mut self) {
        let sessions = match self.store.list() {
            Ok(sessions) => sessions,
            Err(e) => return self.tell(Msg::Failed(e.to_string())),
        };
        let zone = jiff::tz::TimeZone::system();
        let lines = sessions.into_iter().map(|summary| {
            let started = i64::try_from(summary.header.started_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
            SessionLine {
                path: summary.path,
                name: summary.name,
                server: summary.header.server,
                client: summary.header.client,
                transport: summary.header.transport,
                recorder: summary.header.recorder,
                started: started
                    .map_or_else(String::new, |at| at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()),
                is_live: summary.is_live,
                bytes: summary.size,
                frames: Some(summary.frames),
            }
        });
        let mut lines: Vec<SessionLine> = lines.collect();
        let servers = daemon_servers(&lines);
        lines.splice(0..0, servers);
        self.tell(Msg::Sessions(lines));
    }

    /// Opens a session.
    pub(super) fn open(&mut self, path: &Path) {
        match Session::open(path) {
            Ok(session) => {
                self.open = Some((path.to_owned(), Watch::start(path, &session, self.teller.waker.clone())));
                self.unseen = Some(session.clone());
                self.tell(Msg::Opened(session));
                self.holder = None;
                self.holder = Holder::connect(&self.meeting, path, self.teller.clone());
            }
            Err(e) => self.tell(Msg::Failed(e.to_string())),
        }
    }

    /// Starts a server and is its client.
    pub(super) fn be_client(&mut self, start: &Start) {
        if let Some((peer, _)) = self.peer.take() {
            peer.end();
        }
        let peer = match Peer::start(start, self.teller.clone()) {
            Ok(peer) => peer,
            Err(e) => return self.tell(Msg::Failed(e)),
        };
        let pid = peer.pid();
        let begin = Instant::now();
        let found = loop {
            let sessions = self.store.list().unwrap_or_default();
            if let Some(found) = sessions.into_iter().find(|s| s.header.pid == pid && s.is_live) {
                break Some(found.path);
            }
            if begin.elapsed() > PATIENCE {
                break None;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        self.peer = Some((peer, found.clone()));
        match found {
            Some(path) => self.open(&path),
            None => self.tell(Msg::Failed(format!("`{}` did not start", start.command.join(" ")))),
        }
    }

    /// Records a server of the daemon from now on, and opens the recording.
    pub(super) fn record(&mut self, name: &str) {
        let said = output(&["daemon", "record", name]);
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE / 5 {
            let sessions = self.store.list().unwrap_or_default();
            let found = sessions.into_iter().find(|s| s.is_live && s.header.recorder == "daemon" && s.header.server == name);
            if let Some(found) = found {
                return self.open(&found.path);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.tell(Msg::Failed(said));
    }

    /// What takes longer than opening: statistics and the linter, again and again while the session goes on.
    fn look_into(&mut self) {
        let (Some((_, watch)), Some(mut session)) = (&self.open, self.unseen.take()) else { return };
        let (teller, is_over) = (self.teller.clone(), watch.ending());
        // Without a thread the panels stay empty.
        let _ = std::thread::Builder::new().name("look".to_owned()).spawn(move || {
            let mut linter = Linter::new(Profile::default());
            let mut seen = None;
            while !is_over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let (length, is_ended) = (session.index().len(), session.is_ended());
                if seen.replace(length) != Some(length) {
                    tell_costs(&session, &teller);
                    if linter.continue_from(&session).is_ok() {
                        let found = lines_of(&session, &linter);
                        if is_ended {
                            // First, because the screen marks rows with what it is told, and would copy what is shared.
                            drop(session);
                            return teller.tell(Msg::Findings(found));
                        }
                        teller.tell(Msg::Findings(found));
                    }
                }
                if is_ended {
                    return;
                }
                // The longer it takes, the rarer it is done: never more than a tenth of a core.
                std::thread::sleep(AGAIN.max(began.elapsed() * 9));
                if session.refresh().is_err() {
                    return;
                }
            }
        });
    }

    fn send(&mut self, target: Target, method: &str, params: &str) {
        let shown = self.open.as_ref().map(|(path, _)| path.clone());
        let is_ours = self.peer.as_ref().is_some_and(|(_, recording)| *recording == shown);
        if target == Target::Live && !is_ours {
            return self.hold(|holder| holder.send(method, params));
        }
        if !is_ours {
            let Some(start) = shown.and_then(|path| start_of(&path)) else {
                return self.tell(Msg::Failed("the recording does not say how its server was started".to_owned()));
            };
            self.be_client(&start);
        }
        if let Some((peer, _)) = &self.peer {
            self.teller.outcome(peer.send(method, params).map(|()| String::new()));
        }
    }

    fn export(&self, format: &str, filter: &str) -> Result<String, String> {
        let (path, _) = self.open.as_ref().ok_or("no session is open")?;
        let stem = path.file_stem().map_or_else(|| "session".to_owned(), |stem| stem.to_string_lossy().into_owned());
        if format == "redacted" {
            let target = format!("{stem}-redacted.mcpcap");
            return Ok(output(&["trace", "redact", &path.to_string_lossy(), "-o", &target]));
        }
        let known = Format::named(format).ok_or_else(|| format!("there is no format `{format}`"))?;
        let session = Session::open(path).map_err(|e| e.to_string())?;
        let filter: Filter = if filter.trim().is_empty() {
            Filter::all()
        } else {
            filter.parse().map_err(|e: mcp_capture::filter::FilterError| e.to_string())?
        };
        let rows = session.filtered(&filter).map_err(|e| e.to_string())?;
        let ending = match known {
            Format::Markdown => "md",
            Format::Otlp => "otlp.json",
            Format::Curl | Format::McpCall => "sh",
            _ => format,
        };
        let (file, target) = create_new(&stem, ending)?;
        let mut out = BufWriter::new(file);
        let count = export(&session, &rows, known, &mut out).map_err(|e| e.to_string())?;
        out.flush().map_err(|e| format!("write {}: {e}", target.display()))?;
        Ok(format!("{count} written to {}", target.display()))
    }

    /// An operation as a command.
    fn row_as(&self, row: u32, form: CopyAs) -> Result<String, String> {
        let (path, _) = self.open.as_ref().ok_or("no session is open")?;
        let session = Session::open(path).map_err(|e| e.to_string())?;
        let format = match form {
            CopyAs::Curl => Format::Curl,
            CopyAs::McpCall => Format::McpCall,
            _ => Format::Jsonl,
        };
        let mut out = Vec::new();
        export(&session, &[row], format, &mut out).map_err(|e| e.to_string())?;
        Ok(String::from_utf8_lossy(&out).trim_end().to_owned())
    }

    fn verify(&self, rows: &[u32]) {
        let Some((path, _)) = &self.open else { return };
        let Some(start) = start_of(path) else {
            return self.tell(Msg::Failed("the recording does not say how its server was started".to_owned()));
        };
        let Ok(session) = Session::open(path) else { return };
        let ids: Vec<String> = rows
            .iter()
            .filter_map(|row| session.rows().get(session.index(), *row))
            .filter(|row| row.kind == RowKind::Operation)
            .map(|row| session.index().symbols.get(row.operation).1.to_owned())
            .filter(|name| !name.is_empty())
            .map(|name| format!("tool:{}", serde_json::Value::from(name)))
            .collect();
        let filter = ids.join(" or ");
        let path = path.to_string_lossy();
        let mut words = vec!["verify", &path];
        if !filter.is_empty() {
            words.push(&filter);
        }
        words.push("--");
        words.extend(start.command.iter().map(String::as_str));
        self.tell(Msg::Page { title: "called again, and compared".to_owned(), text: output(&words) });
    }
}

/// Servers of the daemon that nobody records: they can be recorded at once.
fn daemon_servers(recorded: &[SessionLine]) -> Vec<SessionLine> {
    let said = output(&["daemon", "status", "--json"]);
    let Ok(status) = serde_json::from_str::<serde_json::Value>(&said) else { return Vec::new() };
    let names = status["servers"].as_array().into_iter().flatten().filter_map(|server| server["name"].as_str());
    let is_new = |name: &&str| !recorded.iter().any(|line| line.is_live && line.recorder == "daemon" && line.server == *name);
    names
        .filter(is_new)
        .map(|name| SessionLine {
            name: name.to_owned(),
            server: name.to_owned(),
            recorder: "daemon".to_owned(),
            ..SessionLine::default()
        })
        .collect()
}

/// What this program prints when it is asked this.
fn output(words: &[&str]) -> String {
    let Ok(program) = std::env::current_exe() else { return "this program is not found any more".to_owned() };
    match Command::new(program).args(words).stdin(Stdio::null()).env("NO_COLOR", "1").output() {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&said).trim_end().to_owned()
        }
        Err(e) => format!("run `mcp {}`: {e}", words.join(" ")),
    }
}

/// What tools cost.
fn tell_costs(session: &Session, teller: &Teller) {
    if let Ok(stats) = Stats::of(session, session.rows().iter(session.index())) {
        let line = |usage: mcp_capture::stats::Usage| ToolLine {
            name: usage.name,
            calls: usage.calls,
            errors: usage.errors,
            percentiles: usage.times.map_or([0; 3], |t| [t.p50_us * 1_000, t.p95_us * 1_000, t.p99_us * 1_000]),
            definition: usage.definition.unwrap_or(0),
            results: usage.received,
        };
        teller.tell(Msg::Tools(stats.tools.into_iter().map(line).collect()));
    }
}

/// What the linter found.
fn lines_of(session: &Session, linter: &Linter) -> Vec<FindingLine> {
    let line = |finding: &Finding| FindingLine {
        rule: finding.rule.id.to_owned(),
        severity: match finding.severity() {
            lint::Severity::Info => Severity::Info,
            lint::Severity::Warning => Severity::Warning,
            lint::Severity::Error => Severity::Error,
        },
        row: session.rows().of_entry(finding.entry),
        sequence: finding.sequence,
        message: finding.message.clone(),
        explanation: finding.explain(),
    };
    linter.findings().iter().map(line).collect()
}

/// A new file in this directory; an earlier one keeps its name.
fn create_new(stem: &str, ending: &str) -> Result<(File, PathBuf), String> {
    for number in 1..100 {
        let name = if number == 1 { format!("{stem}.{ending}") } else { format!("{stem}-{number}.{ending}") };
        match File::options().write(true).create_new(true).open(&name) {
            Ok(file) => return Ok((file, PathBuf::from(name))),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(format!("write {name}: {e}")),
        }
    }
    Err(format!("there are a hundred files {stem}.{ending} here"))
}

/// How the server of a recording can be started again: as the recording has it, with today's variables.
fn start_of(path: &Path) -> Option<Start> {
    let summary = store::summary(path).ok()?;
    if summary.header.command.is_empty() {
        return None;
    }
    let mut start = Start::new(&summary.header.server, summary.header.command);
    start.cwd = Some(PathBuf::from(summary.header.cwd)).filter(|cwd| cwd.is_dir());
    Some(start)
}
