//! `mcp` killed, failed, raced and starved: whatever happens, a client's file has the bytes it had or the bytes it should
//! get, the journal knows of every change that was made, and whoever runs the command again succeeds.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed unwrap is a failed test, and what was counted is part of the result"
)]

#[path = "faults/errors.rs"]
#[cfg(unix)]
mod errors;
#[path = "faults/intrusions.rs"]
#[cfg(unix)]
mod intrusions;
#[path = "faults/kills.rs"]
#[cfg(unix)]
mod kills;
#[path = "faults/locks.rs"]
mod locks;
#[path = "faults/place.rs"]
mod place;
#[path = "faults/races.rs"]
mod races;
#[path = "faults/surroundings.rs"]
#[cfg(unix)]
mod surroundings;
#[path = "faults/upgrade.rs"]
mod upgrade;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let mut trials = Vec::new();
    trials.extend(races::trials());
    trials.extend(locks::trials());
    trials.extend(upgrade::trials());
    #[cfg(unix)]
    trials.extend(surroundings::trials());
    #[cfg(unix)]
    {
        let skip = mcp_testkit::fault::unavailable();
        if let Some(reason) = &skip {
            eprintln!("killing and failing system calls is skipped: {reason}");
        }
        let traced: Vec<Trial> = kills::trials().into_iter().chain(errors::trials()).chain(intrusions::trials()).collect();
        trials.extend(traced.into_iter().map(|trial| trial.with_ignored_flag(skip.is_some())));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
