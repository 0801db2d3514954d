//! Child processes that end with everything they started.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use process_wrap::std::{ChildWrapper, CommandWrap};

/// What to start.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// The program; a bare name is looked up in `PATH`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables set in addition.
    pub env: Vec<(OsString, OsString)>,
    /// Start from an empty environment.
    pub clear_env: bool,
    /// Its working directory; ours if `None`.
    pub cwd: Option<PathBuf>,
    /// Let its error output go where ours goes instead of into a pipe.
    pub inherit_stderr: bool,
}

/// A child that was not started.
#[derive(Debug, thiserror::Error)]
#[error("start `{}`", program.display())]
pub struct SpawnError {
    /// The program.
    pub program: OsString,
    /// What the system said.
    pub source: io::Error,
}

/// A running child, leader of its own process group (on Windows: of its own job), killed with all it started when dropped.
#[derive(Debug)]
pub struct Child {
    inner: Box<dyn ChildWrapper>,
    /// Its input; dropping it closes the pipe.
    pub stdin: Option<ChildStdin>,
    /// Its output.
    pub stdout: Option<ChildStdout>,
    /// Its error output, unless inherited.
    pub stderr: Option<ChildStderr>,
    is_reaped: bool,
}

/// Starts a child with pipes for its input and output.
pub fn spawn(spec: &Spec) -> Result<Child, SpawnError> {
    let mut command = Command::new(&spec.program);
    command.args(&spec.args).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(if spec.inherit_stderr { Stdio::inherit() } else { Stdio::piped() });
    if spec.clear_env {
        command.env_clear();
    }
    command.envs(spec.env.iter().map(|(k, v)| (k, v)));
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    let mut wrap = CommandWrap::from(command);
    #[cfg(unix)]
    wrap.wrap(process_wrap::std::ProcessGroup::leader());
    #[cfg(windows)]
    wrap.wrap(process_wrap::std::JobObject);
    let mut inner = wrap.spawn().map_err(|source| SpawnError { program: spec.program.clone(), source })?;
    let (stdin, stdout, stderr) = (inner.stdin().take(), inner.stdout().take(), inner.stderr().take());
    Ok(Child { inner, stdin, stdout, stderr, is_reaped: false })
}

/// How a process ended, as it reads after its name: `exited with status 3`, `was killed by signal 9 (SIGKILL)`.
pub fn ending(status: ExitStatus) -> String {
    crate::sys::ending(status)
}

/// Lets a pipe hold more: a message of megabytes then needs a quarter of the turns between the two processes, and passed up to
/// twice as fast. (1 MiB was slower than the 64 KiB there are: it falls out of the processor's cache.) Memory is used only while
/// something is in the pipe. A system that refuses is as good as one that does not know of it: only Linux does.
#[cfg(unix)]
pub fn widen(pipe: &impl std::os::fd::AsFd) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, 256 * 1024);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = pipe;
}

impl Child {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.inner.id()
    }

    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.inner.try_wait()?;
        self.is_reaped |= status.is_some();
        Ok(status)
    }

    /// Waits until it ends by itself. What it started is left alone.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.inner.wait()?;
        self.is_reaped = true;
        Ok(status)
    }

    /// Waits until it ends or the time is up.
    pub fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + timeout;
        let mut wait = Duration::from_millis(1);
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(Some(status));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::sleep(wait.min(left));
            wait = (wait * 2).min(Duration::from_millis(20));
        }
    }

    /// Closes its input and gives it `grace` to leave by itself; then kills it and all it started.
    pub fn shut_down(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        match self.wait_timeout(grace)? {
            Some(status) => {
                // What it left behind has no reason to live on.
                let _ = self.inner.start_kill();
                Ok(status)
            }
            None => self.kill_tree(),
        }
    }

    /// Asks it and all it started to end. Where the system has no way to ask, nothing happens.
    pub fn ask_to_end(&self) {
        #[cfg(unix)]
        let _ = crate::sys::terminate_group(self.id());
    }

    /// Kills it and all it started, and waits for it.
    pub fn kill_tree(&mut self) -> io::Result<ExitStatus> {
        // Fails when everything is gone already, which is what we want.
        let _ = self.inner.start_kill();
        let status = self.inner.wait()?;
        self.is_reaped = true;
        Ok(status)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_reaped {
            let _ = self.kill_tree();
        }
    }
}
