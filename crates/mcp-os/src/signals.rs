//! Signals that a wrapper passes on to what it wraps, and dying as that did.
//!
//! They are blocked and waited for, not handled: that needs no `unsafe`, and leaves each with its default effect, which is
//! wanted when the wrapper has to end the way its child did.

/// How a child that has ended is to be imitated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With this code.
    Code(u8),
    /// By this signal.
    Signal(i32),
}

impl Ending {
    /// What this status says.
    pub fn of(status: std::process::ExitStatus) -> Self {
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Self::Signal(signal);
        }
        // Only Windows has more than a byte; what does not fit is a failure all the same.
        Self::Code(status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1)))
    }
}

#[cfg(unix)]
mod unix {
    use nix::sys::signal::{self, SigSet, Signal};
    use nix::unistd::Pid;

    /// What a client or a terminal sends to a server. What stops and continues a process cannot be passed on so.
    const PASSED_ON: [Signal; 6] =
        [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];

    /// Signals that wait to be fetched instead of having their effect.
    #[derive(Debug)]
    pub struct Held(SigSet);

    /// Holds back the signals that are to be passed on, in this thread and all it starts from now on. A program started from
    /// now on would hold them back as well: start it before.
    pub fn hold() -> Option<Held> {
        let set: SigSet = PASSED_ON.into_iter().collect();
        set.thread_block().ok().map(|()| Held(set))
    }

    impl Held {
        /// Waits for the next one.
        pub fn next(&self) -> Option<i32> {
            self.0.wait().ok().map(|signal| signal as i32)
        }
    }

    /// Sends a signal to a process, or to its whole group.
    pub fn send(pid: u32, number: i32, to_group: bool) {
        let (Ok(pid), Ok(signal)) = (i32::try_from(pid), Signal::try_from(number)) else { return };
        if pid > 1 {
            // It may have ended meanwhile.
            let _ = if to_group { signal::killpg(Pid::from_raw(pid), signal) } else { signal::kill(Pid::from_raw(pid), signal) };
        }
    }

    /// Whether a signal is one that a terminal sends to everybody in front of it.
    pub fn is_of_terminal(number: i32) -> bool {
        [Signal::SIGINT, Signal::SIGQUIT].iter().any(|signal| *signal as i32 == number)
    }

    /// Ends this process by a signal. Returns if that is not possible.
    pub fn die(number: i32) {
        let Ok(signal) = Signal::try_from(number) else { return };
        // The memory image of what really failed is there already.
        let _ = rustix::process::setrlimit(
            rustix::process::Resource::Core,
            rustix::process::Rlimit { current: Some(0), maximum: Some(0) },
        );
        if signal == Signal::SIGPIPE {
            // Rust's start-up code ignores it, and to undo that takes `unsafe`, or another program: that keeps our number.
            use std::os::unix::process::CommandExt as _;
            let _ = std::process::Command::new("/bin/sh").args(["-c", "kill -s PIPE $$"]).exec();
            return;
        }
        let _ = SigSet::from(signal).thread_unblock();
        // Rust's start-up code has a handler for those of bad memory accesses, which only steps aside the first time.
        for _ in 0..2 {
            let _ = signal::raise(signal);
        }
    }
}

#[cfg(unix)]
pub use unix::{Held, die, hold, is_of_terminal, send};

#[cfg(not(unix))]
mod other {
    /// Nothing: a console's signals reach the child by themselves.
    #[derive(Debug)]
    pub struct Held(());

    /// There is nothing to hold back.
    pub fn hold() -> Option<Held> {
        None
    }

    impl Held {
        /// None comes.
        pub fn next(&self) -> Option<i32> {
            None
        }
    }

    /// Does nothing.
    pub fn send(_pid: u32, _number: i32, _to_group: bool) {}

    /// There are none.
    pub fn is_of_terminal(_number: i32) -> bool {
        false
    }

    /// Not possible.
    pub fn die(_number: i32) {}
}

#[cfg(not(unix))]
pub use other::{Held, die, hold, is_of_terminal, send};
