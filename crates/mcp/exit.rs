//! Exit codes. Documented in `docs/exit-codes.md`; the command tests assert them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, also when the reader of our pipe left.
    Done = 0,
    /// It worked, and the answer is no.
    No = 1,
    /// The command line is wrong or says too little.
    Usage = 2,
    /// A file could not be read or changed safely.
    File = 3,
    /// Something we need did not answer.
    NoAnswer = 4,
    /// A bug in this program.
    Bug = 70,
    /// Interrupted.
    Interrupted = 130,
}

impl Exit {
    /// The end another process of ours had.
    pub(crate) fn of(code: u8) -> Self {
        match code {
            0 => Self::Done,
            1 => Self::No,
            2 => Self::Usage,
            3 => Self::File,
            70 => Self::Bug,
            130 => Self::Interrupted,
            _ => Self::NoAnswer,
        }
    }
}

/// The code for the operating system.
pub(crate) fn to_code(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}
