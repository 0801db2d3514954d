//! The orphan guard: a process whose only work is to outlive its owner by a moment. When the owner is killed so that it cannot
//! clean up, the guard ends the process groups the owner had started.
//!
//! The owner holds the writing end of a pipe and writes `+GROUP START` and `-GROUP` to it. However the owner ends, the system
//! closes the pipe, and that is what the guard waits for. Nothing is polled, and no process is asked to watch its parent
//! (the parent-death signal of Linux has to be set inside the child, and reaches neither grandchildren nor other systems).
//!
//! On Windows there is nothing to do: the job object of a child kills it and all it started when the last handle is closed,
//! and the system closes ours.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long groups have between being asked to end and being killed.
pub const GRACE: Duration = Duration::from_secs(2);

/// Why the guard does not know of a group. The work can go on without it.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// It does not run.
    #[error("start the orphan guard `{}`", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was started and does not take what it is told.
    #[error("tell the orphan guard about process group {group}")]
    Tell {
        /// The group.
        group: u32,
        /// What the system said.
        source: io::Error,
    },
}

#[cfg(unix)]
pub use unix::{Guard, run};

#[cfg(unix)]
mod unix {
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::io::Write as _;
    use std::process::{Child, Command, Stdio};
    use std::sync::{Mutex, PoisonError};
    use std::time::Instant;

    use super::{Duration, GRACE, GuardError, Path, PathBuf, Read, io};
    use crate::{proc, sys};

    /// Process groups by id, each with the time its leader started (0: not known), so that a group which got the id of an
    /// ended one is left alone.
    type Groups = BTreeMap<u32, u64>;

    /// The owner's side. May be used from several threads.
    #[derive(Debug)]
    pub struct Guard {
        program: PathBuf,
        args: Vec<OsString>,
        state: Mutex<State>,
    }

    #[derive(Debug)]
    struct State {
        process: Child,
        groups: Groups,
    }

    impl Guard {
        /// Starts a guard: `program util guard`.
        pub fn start(program: &Path) -> Result<Self, GuardError> {
            Self::start_with(program, &["util".into(), "guard".into()])
        }

        /// Starts a guard with other arguments. What is started has to call [`run`] with its standard input.
        pub fn start_with(program: &Path, args: &[OsString]) -> Result<Self, GuardError> {
            let state = State { process: launch(program, args)?, groups: Groups::new() };
            Ok(Self { program: program.to_owned(), args: args.to_owned(), state: Mutex::new(state) })
        }

        /// The process of the guard.
        pub fn id(&self) -> u32 {
            self.lock().process.id()
        }

        /// A process group was started by us. A guard that was killed is started again and told everything.
        pub fn add(&self, group: u32) -> Result<(), GuardError> {
            let mut state = self.lock();
            let start = proc::start_time(group).unwrap_or(0);
            state.groups.insert(group, start);
            match tell(&mut state.process, &format!("+{group} {start}\n")) {
                Ok(()) => Ok(()),
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => self.restart(&mut state),
                Err(source) => Err(GuardError::Tell { group, source }),
            }
        }

        /// A process group is over: its id may soon belong to somebody else.
        pub fn remove(&self, group: u32) -> Result<(), GuardError> {
            let mut state = self.lock();
            state.groups.remove(&group);
            match tell(&mut state.process, &format!("-{group}\n")) {
                Ok(()) => Ok(()),
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => self.restart(&mut state),
                Err(source) => Err(GuardError::Tell { group, source }),
            }
        }

        fn restart(&self, state: &mut State) -> Result<(), GuardError> {
            let _ = state.process.try_wait();
            state.process = launch(&self.program, &self.args)?;
            for (group, start) in &state.groups {
                tell(&mut state.process, &format!("+{group} {start}\n"))
                    .map_err(|source| GuardError::Tell { group: *group, source })?;
            }
            Ok(())
        }

        fn lock(&self) -> std::sync::MutexGuard<'_, State> {
            // Nothing in here panics half-way through a change.
            self.state.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            drop(state.process.stdin.take());
            // With nothing left to guard it ends at once, and is reaped here; otherwise it has work, and is not waited for.
            let deadline = Instant::now() + Duration::from_millis(500);
            while state.groups.is_empty() && matches!(state.process.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn launch(program: &Path, args: &[OsString]) -> Result<Child, GuardError> {
        let start = || {
            // The folder is given so that the guard keeps nobody's disk from being unmounted.
            let mut command = Command::new(program);
            command.args(args).env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
            let process = command.spawn()?;
            if let Some(pipe) = &process.stdin {
                // A guard that was stopped must not stop us with it.
                sys::never_wait(pipe)?;
            }
            Ok(process)
        };
        start().map_err(|source| GuardError::Start { program: program.to_owned(), source })
    }

    /// One line, far below `PIPE_BUF`: it is written whole or not at all.
    fn tell(process: &mut Child, line: &str) -> io::Result<()> {
        process.stdin.as_mut().map_or(Err(io::ErrorKind::BrokenPipe.into()), |pipe| pipe.write_all(line.as_bytes()))
    }

    /// The guard's side: returns when the owner is gone and its groups are too.
    pub fn run(mut input: impl Read) {
        sys::leave_session();
        // Somebody who kills every process of our name with -9 means the owner. The name in the list of processes decides.
        #[cfg(target_os = "linux")]
        let _ = std::fs::write("/proc/self/comm", "orphan-guard");
        let mut groups = Groups::new();
        let mut buffer = [0; 1024];
        let mut line = Vec::new();
        loop {
            match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    for byte in &buffer[..length] {
                        if *byte == b'\n' {
                            note(&mut groups, &line);
                            line.clear();
                        } else {
                            line.push(*byte);
                        }
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        end(groups);
    }

    fn note(groups: &mut Groups, line: &[u8]) {
        let Ok(line) = std::str::from_utf8(line) else { return };
        if let Some(rest) = line.strip_prefix('+') {
            let (group, start) = rest.split_once(' ').unwrap_or((rest, "0"));
            if let (Ok(group), Ok(start)) = (group.parse(), start.parse()) {
                groups.insert(group, start);
            }
        } else if let Some(Ok(group)) = line.strip_prefix('-').map(str::parse) {
            groups.remove(&group);
        }
    }

    fn end(mut groups: Groups) {
        groups.retain(|group, start| is_same(*group, *start) && sys::terminate_group(*group));
        let deadline = Instant::now() + GRACE;
        while !groups.is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
            groups.retain(|group, start| is_same(*group, *start) && sys::has_group(*group));
        }
        for (group, start) in &groups {
            if is_same(*group, *start) {
                sys::kill_group(*group);
            }
        }
    }

    /// An id is not given away while a member of its group lives, so that a leader of another age means: the group is over.
    fn is_same(group: u32, start: u64) -> bool {
        start == 0 || proc::start_time(group).is_none_or(|now| now == start)
    }
}

/// The owner's side: nothing to do here.
#[cfg(windows)]
#[derive(Debug)]
pub struct Guard(());

#[cfg(windows)]
impl Guard {
    /// Starts nothing.
    pub fn start(_program: &Path) -> Result<Self, GuardError> {
        Ok(Self(()))
    }

    /// Does nothing.
    pub fn add(&self, _group: u32) -> Result<(), GuardError> {
        Ok(())
    }

    /// Does nothing.
    pub fn remove(&self, _group: u32) -> Result<(), GuardError> {
        Ok(())
    }
}

/// The guard's side: waits for its owner to end, and has nothing to do then.
#[cfg(windows)]
pub fn run(mut input: impl Read) {
    let _ = io::copy(&mut input, &mut io::sink());
}
