//! The server that is asked: a process, lines in and out.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::ChildStdin;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use bytes::Bytes;
use mcp_os::process::{Child, SpawnError, Spec, ending, spawn};
use mcp_wire::Frame;

/// How long a server may take to end after its input did.
const GRACE: Duration = Duration::from_secs(2);

pub(super) struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<Frame>,
}

/// What came.
pub(super) enum Heard {
    Frame(Frame),
    Silence,
    End,
}

impl Peer {
    /// Starts the command, or the shim that reaches a URL.
    pub(super) fn start(url: Option<&str>, command: &[OsString]) -> Result<Self, SpawnError> {
        let spec = match (url, command.split_first()) {
            (None, Some((program, args))) => Spec { program: program.clone(), args: args.to_vec(), ..Spec::default() },
            (url, _) => {
                let program = std::env::current_exe().unwrap_or_else(|_| "mcp".into()).into_os_string();
                let args = ["run-once", "--url", url.unwrap_or_default()].map(OsString::from).to_vec();
                Spec { program, args, ..Spec::default() }
            }
        };
        let mut child = spawn(&Spec { inherit_stderr: true, ..spec })?;
        let input = child.stdin.take();
        let output = child.stdout.take();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let Some(output) = output else { return };
            let mut output = BufReader::new(output);
            loop {
                let mut line = Vec::new();
                match output.read_until(b'\n', &mut line) {
                    Ok(1..) => {}
                    _ => return,
                }
                // What is no message is a stray print, which is not what is compared.
                let bytes = Bytes::from(line);
                let frames = match Frame::parse(bytes.clone()) {
                    Ok(frame) => vec![frame],
                    Err(mcp_wire::NotAFrame::Batch) => Frame::split_batch(&bytes).into_iter().flatten().collect(),
                    Err(_) => Vec::new(),
                };
                for frame in frames {
                    if sender.send(frame).is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Self { child, input, lines })
    }

    /// Sends a line. `false`: nobody reads it.
    pub(super) fn send(&mut self, line: &[u8]) -> bool {
        self.input.as_mut().is_some_and(|input| input.write_all(line).and_then(|()| input.flush()).is_ok())
    }

    /// Waits for a message.
    pub(super) fn hear(&self, patience: Duration) -> Heard {
        match self.lines.recv_timeout(patience) {
            Ok(frame) => Heard::Frame(frame),
            Err(RecvTimeoutError::Timeout) => Heard::Silence,
            Err(RecvTimeoutError::Disconnected) => Heard::End,
        }
    }

    /// Ends it, and says how it ended if that was by itself.
    pub(super) fn end(mut self) -> Option<String> {
        let early = self.child.try_wait().ok().flatten();
        drop(self.input.take());
        let _ = self.child.shut_down(GRACE);
        early.map(ending)
    }
}
