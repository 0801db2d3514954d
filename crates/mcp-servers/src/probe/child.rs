//! The process of a probed server: started in a group of its own, so that `npx` and `uvx` do not leave the real server
//! behind, and ended with all of that group.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap};
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::ServerCommand;

/// How long a server has to leave after its input ended.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the rest of stderr may take to arrive after the process has gone.
const LAST_WORDS: Duration = Duration::from_millis(500);
const STDERR_BYTES: usize = 16 * 1024;
const STDERR_LINES: usize = 20;

/// What a server process left behind.
#[derive(Debug, Clone, Default)]
pub struct Aftermath {
    /// The last lines it wrote to stderr, oldest first.
    pub stderr: Vec<String>,
    /// How it ended by itself; absent when it had to be killed.
    pub exit: Option<ExitStatus>,
}

pub(super) struct Child {
    process: Box<dyn ChildWrapper>,
    stderr: JoinHandle<Vec<u8>>,
    ended: bool,
}

impl Child {
    pub(super) fn start(command: &ServerCommand) -> io::Result<(Self, ChildStdout, ChildStdin)> {
        let mut plain = Command::new(&command.program);
        plain.args(&command.args).envs(command.env.iter().map(|(name, value)| (name, value)));
        if let Some(cwd) = &command.cwd {
            plain.current_dir(cwd);
        }
        plain.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut grouped = CommandWrap::from(plain);
        #[cfg(unix)]
        grouped.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        grouped.wrap(process_wrap::tokio::JobObject);
        let mut process = grouped.spawn()?;
        let piped = "the three streams were asked for as pipes";
        let stdout = process.stdout().take().expect(piped);
        let stdin = process.stdin().take().expect(piped);
        let stderr = tokio::spawn(tail(process.stderr().take().expect(piped)));
        Ok((Self { process, stderr, ended: false }, stdout, stdin))
    }

    /// Waits for the server to leave, then kills what is left of its group.
    pub(super) async fn end(&mut self) -> Aftermath {
        // Only the server itself is waited for: what it started may outlive it for ever.
        let waiting = self.process.inner_mut().wait();
        let exit = tokio::time::timeout(PATIENCE, waiting).await.ok().and_then(Result::ok);
        // An empty group is an error, and the usual case.
        let _ = self.process.start_kill();
        if exit.is_none() {
            let _ = tokio::time::timeout(PATIENCE, self.process.inner_mut().wait()).await;
        }
        self.ended = true;
        let stderr = match tokio::time::timeout(LAST_WORDS, &mut self.stderr).await {
            Ok(read) => read.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        Aftermath { stderr: last_lines(&stderr), exit }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.process.start_kill();
        }
    }
}

/// The last bytes of a stream, however much it says.
async fn tail(mut stream: ChildStderr) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        kept.extend_from_slice(&chunk[..read]);
        if kept.len() > 2 * STDERR_BYTES {
            kept.drain(..kept.len() - STDERR_BYTES);
        }
    }
    kept
}

fn last_lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(STDERR_LINES)..].iter().map(|&line| line.to_owned()).collect()
}
