//! What the threads of a tap share.

use std::io;
use std::process::{ChildStderr, ChildStdout};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mcp_capture::Direction;
use mcp_capture::event::Flags;

use super::Spec;
use super::lane::Lane;
use super::restart::{self, Opening, Stage as Restart};
use super::spawn;
use super::tape::{Opened, Tape};
use crate::acting::rules::{Act, Message, Rules};
use crate::acting::wire::{Report, Request, What};
use crate::acting::{About, Stage};

/// So many messages of a client are looked at for how it opens the session.
const LOOKED_AT: u8 = 8;

/// See the module.
pub(super) struct Shared {
    pub(super) tape: Tape,
    pub(super) to_server: Lane,
    pub(super) to_client: Lane,
    /// The capture's.
    session: String,
    server: String,
    client: String,
    pid: AtomicU32,
    rules: Mutex<Rules<()>>,
    pub(super) opening: Mutex<Opening>,
    looked_at: AtomicU8,
    is_restarting: AtomicBool,
    has_timer: AtomicBool,
    stage: Mutex<Restart>,
    changed: Condvar,
}

impl Shared {
    pub(super) fn new(opened: &Opened, spec: &Spec, pid: u32) -> Self {
        Self {
            tape: opened.tape.clone(),
            to_server: Lane::new(Direction::ToServer),
            to_client: Lane::new(Direction::ToClient),
            session: opened.session.clone(),
            server: spec.recording.name.clone(),
            client: opened.client.clone(),
            pid: AtomicU32::new(pid),
            rules: Mutex::default(),
            opening: Mutex::default(),
            looked_at: AtomicU8::new(0),
            is_restarting: AtomicBool::new(false),
            has_timer: AtomicBool::new(false),
            stage: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// The server's process.
    pub(super) fn pid(&self) -> u32 {
        self.pid.load(Ordering::Acquire)
    }

    pub(super) fn lane(&self, direction: Direction) -> &Lane {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    /// Remembers how the client opened the session: a server that is started again has to be told the same.
    #[inline]
    pub(super) fn saw(&self, direction: Direction, message: &Bytes) {
        if direction == Direction::ToServer && self.looked_at.load(Ordering::Relaxed) < LOOKED_AT {
            self.looked_at.fetch_add(1, Ordering::Relaxed);
            self.opening.lock().unwrap_or_else(PoisonError::into_inner).note(message);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rules<()>> {
        // Nothing in there panics half-way; and traffic must go on even if it did.
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes or asks the rules, then does what they say.
    pub(super) fn with_rules<T>(&self, change: impl FnOnce(&mut Rules<()>, &mut Vec<Act<()>>) -> T) -> T {
        let mut acts = Vec::new();
        let mut rules = self.lock();
        let answer = change(&mut rules, &mut acts);
        let is_armed = rules.is_armed() || self.is_restarting.load(Ordering::Acquire);
        self.to_server.arm(is_armed);
        self.to_client.arm(is_armed);
        drop(rules);
        for act in acts {
            // Whoever is written to may be gone: its own lane learns that.
            let _ = self.perform(act);
        }
        answer
    }

    /// Asks the rules about a message, and does with it what they say.
    pub(super) fn judge(&self, direction: Direction, message: Bytes) -> io::Result<()> {
        let mut acts = Vec::new();
        let mut rules = self.lock();
        rules.judge(Message { place: (), direction, bytes: message }, &self.client, &mut acts);
        let is_armed = rules.is_armed() || self.is_restarting.load(Ordering::Acquire);
        if !is_armed {
            self.to_server.arm(false);
            self.to_client.arm(false);
        }
        drop(rules);
        acts.into_iter().try_for_each(|act| self.perform(act))
    }

    /// Lets messages go when their time has come, on a thread that lives as long as there may be any.
    pub(super) fn keep_time(self: &Arc<Self>) {
        /// No finer than this: a delay is a fault, not a clock.
        const STEP: Duration = Duration::from_millis(2);
        if self.has_timer.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = Arc::clone(self);
        spawn("delays", move || {
            while shared.with_rules(|rules, acts| {
                rules.due(acts);
                // In the same breath as the look, so that a fault that comes now starts a new timer.
                let is_needed = rules.needs_time();
                shared.has_timer.store(is_needed, Ordering::Release);
                is_needed
            }) {
                std::thread::sleep(STEP);
            }
        });
    }

    /// Lets go of everything that is held in one direction.
    pub(super) fn release(&self, direction: Direction) {
        self.with_rules(|rules, acts| rules.release_way(direction, acts));
    }

    fn perform(&self, act: Act<()>) -> io::Result<()> {
        match act {
            Act::Record { message: Message { direction, bytes, .. }, flags, altered } => {
                self.tape.marked(direction, bytes.clone(), flags, altered);
                if flags.has(Flags::DROPPED) { Ok(()) } else { self.lane(direction).insert(bytes) }
            }
            Act::Initialized => {
                let initialized = self.opening.lock().unwrap_or_else(PoisonError::into_inner).initialized.clone();
                self.is_restarting(false);
                initialized.map_or(Ok(()), |message| {
                    self.tape.frame(Direction::ToServer, message.clone(), Flags::INJECTED);
                    self.to_server.insert(message)
                })
            }
        }
    }

    fn stage(&self) -> MutexGuard<'_, Restart> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server is to be ended and started again; or that is done.
    pub(super) fn is_restarting(&self, is_restarting: bool) {
        let mut stage = self.stage();
        self.is_restarting.store(is_restarting, Ordering::Release);
        stage.is_wanted = is_restarting;
        drop(stage);
        self.changed.notify_all();
        self.with_rules(|_, _| ());
    }

    /// Whether the server's end was wanted for this.
    pub(super) fn wants_restart(&self) -> bool {
        std::mem::take(&mut self.stage().is_wanted)
    }

    /// Waits while the server is being restarted; `false`: it was not.
    pub(super) fn waits_for_restart(&self, direction: Direction) -> bool {
        if direction == Direction::ToClient || !self.is_restarting.load(Ordering::Acquire) {
            return false;
        }
        let mut stage = self.stage();
        while self.is_restarting.load(Ordering::Acquire) && !stage.is_over {
            stage = self.changed.wait(stage).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// There is a new server.
    pub(super) fn restarted(&self, pid: u32, output: Option<ChildStdout>, errors: Option<ChildStderr>) {
        self.pid.store(pid, Ordering::Release);
        let mut stage = self.stage();
        (stage.output, stage.errors) = (output, errors);
        drop(stage);
        self.changed.notify_all();
    }

    /// No further server comes.
    pub(super) fn is_over(&self) {
        self.stage().is_over = true;
        self.changed.notify_all();
    }

    /// The output of the next server, if this one's end is not the end.
    pub(super) fn next_output(&self) -> Option<ChildStdout> {
        self.next(|stage| stage.output.take())
    }

    /// The error output of the next server.
    pub(super) fn next_errors(&self) -> Option<ChildStderr> {
        self.next(|stage| stage.errors.take())
    }

    fn next<T>(&self, take: impl Fn(&mut Restart) -> Option<T>) -> Option<T> {
        let mut stage = self.stage();
        loop {
            if let Some(found) = take(&mut stage) {
                return Some(found);
            }
            if stage.is_over || !self.is_restarting.load(Ordering::Acquire) {
                return None;
            }
            // A restart that fails ends it; the time is for what nobody thought of.
            stage = self.changed.wait_timeout(stage, Duration::from_secs(1)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What a viewer gets at. It is the session's own pointer, since delays and restarts outlast the question.
pub(super) struct Viewed(pub(super) Arc<Shared>);

impl Stage for Viewed {
    fn came(&self, viewer: u64, reports: SyncSender<Report>) {
        self.0.with_rules(|rules, _| rules.viewer_came(viewer, reports));
    }

    fn ask(&self, viewer: u64, request: Request) -> Report {
        let Self(shared) = self;
        if matches!(request.what, What::Restart) {
            return restart::restart(shared, request.number);
        }
        let about = About { session: &shared.session, server: &shared.server, pid: shared.pid() };
        let (report, needs_time) = shared.with_rules(|rules, acts| {
            let report = rules.answer(viewer, request, &about, |_| Ok(()), acts);
            (report, rules.needs_time())
        });
        if needs_time {
            shared.keep_time();
        }
        report
    }

    fn left(&self, viewer: u64) {
        self.0.with_rules(|rules, acts| rules.viewer_left(viewer, acts));
    }
}
