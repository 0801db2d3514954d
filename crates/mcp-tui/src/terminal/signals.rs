//! Signals: the one place of this crate where systems differ.

#[cfg(unix)]
pub(super) use unix::{listen, stop};
#[cfg(windows)]
pub(super) use windows::{listen, stop};

#[cfg(unix)]
mod unix {
    use std::{io, sync::mpsc::Sender, thread};

    use signal_hook::{
        consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP},
        iterator::Signals,
        low_level,
    };

    use super::super::Wake;

    /// Turns what asks us to go into a message, so that the loop ends and the terminal is given back on the ordinary way.
    pub(in super::super) fn listen(sender: Sender<Wake>) -> io::Result<()> {
        let mut signals = Signals::new([SIGTERM, SIGHUP, SIGINT])?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for _ in signals.forever() {
                if sender.send(Wake::Quit).is_err() {
                    // The screen is gone; whoever asks now means the program.
                    let _ = low_level::emulate_default_handler(SIGTERM);
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
