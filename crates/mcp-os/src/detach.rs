//! Processes that outlive whoever started them, and how they say that they are ready.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Starts a program that is to live on by itself: nothing of ours is kept open in it but a pipe on its standard output, for
/// one line that says it is ready ([`report`]). It calls [`settle`] first thing.
pub fn spawn(program: &Path, args: &[&str], errors: File, vars: &[(&str, &OsStr)]) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).current_dir(root());
    command.envs(vars.iter().copied()).env(STEP_ASIDE, "1");
    #[cfg(windows)]
    {
        use std::os::windows::process::CommandExt as _;
        /// `DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP`.
        const FLAGS: u32 = 0x0000_0008 | 0x0000_0200;
        command.creation_flags(FLAGS);
    }
    command.spawn()
}

/// Set for a program that is to start itself once more and end.
const STEP_ASIDE: &str = "MCP_STEP_ASIDE";

/// Starts this program once more with the same arguments and pipes, if it was started by [`spawn`]; `true`: it was, and this
/// process has to end. A client may end everything below the process it started, going by who is whose parent: what
/// outlives its caller must not be its child. (A daemon was gone after OpenCode 1.18 had been run; this is the likely cause.)
pub fn step_aside() -> bool {
    if !cfg!(unix) || std::env::var_os(STEP_ASIDE).is_none() {
        return false;
    }
    let Ok(program) = std::env::current_exe() else { return false };
    Command::new(program).args(std::env::args_os().skip(1)).env_remove(STEP_ASIDE).spawn().is_ok()
}

/// A directory that is always there, so that none is kept from being removed.
fn root() -> &'static Path {
    Path::new(if cfg!(windows) { "C:\\" } else { "/" })
}

/// Leaves the session of whoever started us: neither its terminal nor its signals reach us any more. Does nothing where we
/// lead a session already, as under a service manager.
pub fn settle() {
    #[cfg(unix)]
    let _ = rustix::process::setsid();
}

/// Says one line on standard output and closes it, so that whoever reads it is not kept waiting for more.
pub fn report(line: &str) {
    // The reader may have left: then nobody waits.
    let _ = writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush());
    #[cfg(unix)]
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

/// Lets this process have as many files and sockets open as it may: one for each client adds up.
pub fn raise_open_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        /// Enough; an unlimited number makes some programs close a billion descriptors when they start.
        const ENOUGH: u64 = 65_536;
        let limit = getrlimit(Resource::Nofile);
        let wanted = limit.maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
        if limit.current.is_some_and(|current| current < wanted) {
            let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
        }
    }
}
