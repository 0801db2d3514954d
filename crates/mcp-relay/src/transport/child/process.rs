//! The process itself: started as the leader of a group of its own, and never left behind.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_os::guard::Guard;
use process_wrap::tokio::{ChildWrapper, CommandWrap};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};

use super::{Spec, StderrSink};

/// A running server. Dropped before it was reaped it is killed with all it started.
pub(super) struct Process {
    inner: Box<dyn ChildWrapper>,
    id: u32,
    guard: Option<Arc<Guard>>,
    is_reaped: bool,
}

/// The three streams of a process.
pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

impl Process {
    pub(super) fn start(spec: &Spec, guard: Option<Arc<Guard>>, sink: &StderrSink) -> Result<(Self, Pipes), String> {
        let mut command = Command::new(&spec.program);
        command.args(&spec.args).env_clear().envs(spec.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(folder) = &spec.cwd {
            // The system's word for it would be that the program was not found.
            if !folder.is_dir() {
                return Err(format!("its working directory `{}` is not there", folder.display()));
            }
            command.current_dir(folder);
        }
        let mut wrap = CommandWrap::from(command);
        #[cfg(unix)]
        wrap.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        wrap.wrap(process_wrap::tokio::KillOnDrop).wrap(process_wrap::tokio::JobObject);
        let mut inner = wrap.spawn().map_err(|e| format!("`{}`: {e}", spec.program.display()))?;
        let id = inner.id().expect("a process that nobody has waited for has an id");
        let pipes = Pipes {
            stdin: inner.stdin().take().expect("a pipe was asked for"),
            stdout: inner.stdout().take().expect("a pipe was asked for"),
            stderr: inner.stderr().take().expect("a pipe was asked for"),
        };
        #[cfg(unix)]
        {
            mcp_os::process::widen(&pipes.stdin);
            mcp_os::process::widen(&pipes.stdout);
        }
        if let Some(Err(e)) = guard.as_ref().map(|guard| guard.add(id)) {
            sink(&format!("mcp: were the daemon killed, this server would not be ended: {e}"));
        }
        Ok((Self { inner, id, guard, is_reaped: false }, pipes))
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Waits for it to end, and ends what is left of its group. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> Option<ExitStatus> {
        // The leader alone: waiting for the group would be waiting for children that may outlive it.
        let status = self.inner.inner_mut().wait().await.ok();
        self.reaped();
        status
    }

    fn reaped(&mut self) {
        if self.is_reaped {
            return;
        }
        self.is_reaped = true;
        // At once: the id may be given away again when the last member of the group is gone. Fails if it is.
        let _ = self.inner.start_kill();
        if let Some(guard) = &self.guard {
            let _ = guard.remove(self.id);
        }
    }

    /// Asks the group to end, where there is a way to ask.
    pub(super) fn terminate(&mut self) {
        if !self.is_reaped {
            #[cfg(unix)]
            let _ = self.inner.signal(SIGTERM);
            #[cfg(windows)]
            self.kill();
        }
    }

    /// Ends the group.
    pub(super) fn kill(&mut self) {
        if !self.is_reaped {
            let _ = self.inner.start_kill();
        }
    }
}

/// The same on every Unix.
#[cfg(unix)]
const SIGTERM: i32 = 15;

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_reaped {
            return;
        }
        // The thread ends, and with it whoever would have waited. A killed process is gone within a moment.
        self.kill();
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline {
            if !matches!(self.inner.inner_mut().try_wait(), Ok(None)) {
                self.reaped();
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
