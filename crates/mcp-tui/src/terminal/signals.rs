//! Signals: the one place of this crate where systems differ.

#[cfg(unix)]
pub(super) use unix::{listen, stop};
#[cfg(windows)]
pub(super) use windows::{listen, stop};

#[cfg(unix)]
mod unix {
    use std::{
        io,
        sync::{atomic::Ordering, mpsc::Sender},
        thread,
    };

    use signal_hook::{
        consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP},
        iterator::Signals,
        low_level,
    };

    use super::super::{IS_TAKEN, Wake};

    /// Turns what asks us to go into a message, so that the loop ends and the terminal is given back on the ordinary way.
    pub(in super::super) fn listen(sender: Sender<Wake>) -> io::Result<()> {
        let mut signals = Signals::new([SIGTERM, SIGHUP, SIGINT, SIGTSTP, SIGCONT])?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                let is_taken = IS_TAKEN.load(Ordering::Acquire);
                let wake = match signal {
                    // What a key of an editor or pager sends goes to every process in the terminal, also to us.
                    SIGINT | SIGCONT if !is_taken => continue,
                    SIGTSTP if !is_taken => {
                        stop();
                        continue;
                    }
                    SIGTSTP => Wake::Suspend,
                    SIGCONT => Wake::Resumed,
                    _ => Wake::Quit,
                };
                if sender.send(wake).is_err() {
                    // The screen is gone; whoever asks now means the program.
                    let _ = low_level::emulate_default_handler(signal);
                }
            }
        })?;
        Ok(())
    }

    /// Stops until somebody resumes us. In raw mode ctrl-z is a key like any other, so we do what the terminal would.
    pub(in super::super) fn stop() {
        let _ = low_level::emulate_default_handler(SIGTSTP);
    }
}

#[cfg(windows)]
mod windows {
    use std::{io, sync::mpsc::Sender};

    use super::super::Wake;

    /// In raw mode ctrl-c is a key; closing the window ends the process and its console with it.
    pub(in super::super) fn listen(_sender: Sender<Wake>) -> io::Result<()> {
        Ok(())
    }

    /// There is no job control.
    pub(in super::super) fn stop() {}
}
