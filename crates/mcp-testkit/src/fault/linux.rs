//! The tracer.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{Call, End, Fault, Outcome};

/// How a call names what it is about.
#[derive(Clone, Copy)]
enum Subject {
    /// An open file.
    File,
    /// A path as the first argument.
    Path,
    /// A directory as the first argument and a path in it as the second.
    At,
    /// As `At`, and again as the third and fourth.
    TwoAt,
    /// Paths as the first two arguments.
    TwoPaths,
}

/// The calls that have to do with files.
fn subject(number: i64) -> Option<(&'static str, Subject)> {
    use Subject::{At, File, Path, TwoAt};
    Some(match number {
        libc::SYS_openat => ("openat", At),
        libc::SYS_openat2 => ("openat2", At),
        libc::SYS_newfstatat => ("newfstatat", At),
        libc::SYS_statx => ("statx", At),
        libc::SYS_mkdirat => ("mkdirat", At),
        libc::SYS_mknodat => ("mknodat", At),
        libc::SYS_unlinkat => ("unlinkat", At),
        libc::SYS_readlinkat => ("readlinkat", At),
        libc::SYS_faccessat => ("faccessat", At),
        libc::SYS_faccessat2 => ("faccessat2", At),
        libc::SYS_fchmodat => ("fchmodat", At),
        libc::SYS_fchownat => ("fchownat", At),
        libc::SYS_utimensat => ("utimensat", At),
        libc::SYS_renameat => ("renameat", TwoAt),
        libc::SYS_renameat2 => ("renameat2", TwoAt),
        libc::SYS_linkat => ("linkat", TwoAt),
        libc::SYS_truncate => ("truncate", Path),
        libc::SYS_chdir => ("chdir", Path),
        libc::SYS_getxattr => ("getxattr", Path),
        libc::SYS_setxattr => ("setxattr", Path),
        libc::SYS_listxattr => ("listxattr", Path),
        libc::SYS_read => ("read", File),
        libc::SYS_pread64 => ("pread64", File),
        libc::SYS_write => ("write", File),
        libc::SYS_writev => ("writev", File),
        libc::SYS_pwrite64 => ("pwrite64", File),
        libc::SYS_copy_file_range => ("copy_file_range", File),
        libc::SYS_sendfile => ("sendfile", File),
        libc::SYS_lseek => ("lseek", File),
        libc::SYS_fstat => ("fstat", File),
        libc::SYS_fsync => ("fsync", File),
        libc::SYS_fdatasync => ("fdatasync", File),
        libc::SYS_ftruncate => ("ftruncate", File),
        libc::SYS_fallocate => ("fallocate", File),
        libc::SYS_fchmod => ("fchmod", File),
        libc::SYS_fchown => ("fchown", File),
        libc::SYS_flock => ("flock", File),
        libc::SYS_getdents64 => ("getdents64", File),
        libc::SYS_flistxattr => ("flistxattr", File),
        libc::SYS_fgetxattr => ("fgetxattr", File),
        libc::SYS_fsetxattr => ("fsetxattr", File),
        libc::SYS_close => ("close", File),
        other => return old_subject(other),
    })
}

/// Calls that newer platforms no longer have.
#[cfg(target_arch = "x86_64")]
fn old_subject(number: i64) -> Option<(&'static str, Subject)> {
    use Subject::{Path, TwoPaths};
    Some(match number {
        libc::SYS_open => ("open", Path),
        libc::SYS_stat => ("stat", Path),
        libc::SYS_lstat => ("lstat", Path),
        libc::SYS_access => ("access", Path),
        libc::SYS_mkdir => ("mkdir", Path),
        libc::SYS_rmdir => ("rmdir", Path),
        libc::SYS_unlink => ("unlink", Path),
        libc::SYS_readlink => ("readlink", Path),
        libc::SYS_chmod => ("chmod", Path),
        libc::SYS_chown => ("chown", Path),
        libc::SYS_rename => ("rename", TwoPaths),
        libc::SYS_link => ("link", TwoPaths),
        _ => return None,
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn old_subject(_: i64) -> Option<(&'static str, Subject)> {
    let _ = Subject::TwoPaths;
    None
}

type Registers = libc::user_regs_struct;

#[cfg(target_arch = "x86_64")]
mod registers {
    use super::Registers;

    pub(super) fn number(r: &Registers) -> i64 {
        r.orig_rax.cast_signed()
    }

    pub(super) fn arguments(r: &Registers) -> [u64; 4] {
        [r.rdi, r.rsi, r.rdx, r.r10]
    }

    pub(super) fn spoil(r: &mut Registers) {
        (r.rdi, r.rsi, r.rdx, r.r10) = (u64::MAX, u64::MAX, u64::MAX, u64::MAX);
    }

    pub(super) fn set_result(r: &mut Registers, result: i64) {
        r.rax = result.cast_unsigned();
    }
}

#[cfg(target_arch = "aarch64")]
mod registers {
    use super::Registers;

    pub(super) fn number(r: &Registers) -> i64 {
        r.regs[8].cast_signed()
    }

    pub(super) fn arguments(r: &Registers) -> [u64; 4] {
        [r.regs[0], r.regs[1], r.regs[2], r.regs[3]]
    }

    pub(super) fn spoil(r: &mut Registers) {
        r.regs[..4].fill(u64::MAX);
    }

    pub(super) fn set_result(r: &mut Registers, result: i64) {
        r.regs[0] = result.cast_unsigned();
    }
}

pub(super) fn unavailable() -> Option<String> {
    match run(Command::new("/bin/true"), Path::new("/"), Fault::Nothing) {
        Ok(_) => None,
        Err(e) => Some(format!("this system does not let us trace a program: {e}")),
    }
}

/// What a thread of the program is about to return from.
enum Within {
    Call,
    /// A call whose arguments were spoilt so that it fails without effect; these registers go back, with this error.
    Spoilt(Box<Registers>, i32),
}

struct Tracer<'a> {
    watched: PathBuf,
    fault: Fault<'a>,
    matched: usize,
    calls: Vec<Call>,
    struck: Option<usize>,
    /// Every thread, and what it is in.
    threads: BTreeMap<Pid, Option<Within>>,
}

pub(super) fn run(mut command: Command, watched: &Path, fault: Fault<'_>) -> io::Result<Outcome> {
    // Files, since a pipe nobody reads would stop the program.
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    stop_at_exec(&mut command);
    let child = command.spawn()?;
    let main = Pid::from_raw(child.id().cast_signed());
    // The links of the watched directory are resolved, as those of what the program opens are.
    let watched = watched.canonicalize()?;
    let mut tracer = Tracer { watched, fault, matched: 0, calls: Vec::new(), struck: None, threads: BTreeMap::new() };
    let end = tracer.follow(main);
    if end.is_err() {
        tracer.kill_all(main);
    }
    let end = end?;
    let mut outcome = Outcome { calls: tracer.calls, struck: tracer.struck, end, stdout: Vec::new(), stderr: Vec::new() };
    for (file, text) in [(&mut stdout, &mut outcome.stdout), (&mut stderr, &mut outcome.stderr)] {
        file.rewind()?;
        file.read_to_end(text)?;
    }
    Ok(outcome)
}

#[expect(unsafe_code, reason = "std offers no other way to run code between fork and exec")]
fn stop_at_exec(command: &mut Command) {
    // SAFETY: the closure runs in the forked child, where only async-signal-safe calls are allowed. It makes one system
    // call, allocates nothing and takes no lock; turning an errno into an `io::Error` does neither.
    unsafe {
        command.pre_exec(|| ptrace::traceme().map_err(io::Error::from));
    }
}

impl Tracer<'_> {
    /// Runs the program to its end.
    fn follow(&mut self, main: Pid) -> io::Result<End> {
        // Only children of this very thread: the test runner's other threads have their own.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        match waitpid(main, Some(flags))? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {}
            other => return Err(io::Error::other(format!("the traced program did not stop at its start: {other:?}"))),
        }
        let events = Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK;
        ptrace::setoptions(main, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL | events)?;
        self.threads.insert(main, None);
        resume(main, None)?;
        let mut end = None;
        while !self.threads.is_empty() {
            match waitpid(None, Some(flags)) {
                Ok(WaitStatus::PtraceSyscall(thread)) => {
                    self.on_syscall(thread, main)?;
                    resume(thread, None)?;
                }
                Ok(WaitStatus::PtraceEvent(thread, _, _)) => resume(thread, None)?,
                Ok(WaitStatus::Stopped(thread, signal)) => {
                    // A new thread or child begins with a stop that is no signal of the program's own.
                    let is_new = self.threads.insert(thread, None).is_none() && signal == Signal::SIGSTOP;
                    resume(thread, if is_new { None } else { Some(signal) })?;
                }
                Ok(WaitStatus::Exited(thread, code)) => {
                    self.threads.remove(&thread);
                    if thread == main {
                        end = Some(End::Exited(code));
                    }
                }
                Ok(WaitStatus::Signaled(thread, signal, _)) => {
                    self.threads.remove(&thread);
                    if thread == main {
                        end = Some(End::Signalled(signal as i32));
                    }
                }
                Ok(_) => {}
                Err(Errno::ECHILD) => break,
                Err(e) => return Err(e.into()),
            }
        }
        end.ok_or_else(|| io::Error::other("the traced program vanished"))
    }

    fn on_syscall(&mut self, thread: Pid, main: Pid) -> io::Result<()> {
        match self.threads.insert(thread, None).flatten() {
            None => {
                let within = self.on_entry(thread, main)?;
                self.threads.insert(thread, Some(within));
            }
            Some(Within::Call) => {}
            Some(Within::Spoilt(mut before, errno)) => {
                registers::set_result(&mut before, -i64::from(errno));
                ptrace::setregs(thread, *before)?;
            }
        }
        Ok(())
    }

    fn on_entry(&mut self, thread: Pid, main: Pid) -> io::Result<Within> {
        let now = match ptrace::getregs(thread) {
            Ok(now) => now,
            // Killed in the meantime; the next wait says so.
            Err(Errno::ESRCH) => return Ok(Within::Call),
            Err(e) => return Err(e.into()),
        };
        let paths = paths(thread, &now);
        if self.calls.is_empty() && !paths.iter().any(|p| p.starts_with(&self.watched)) {
            return Ok(Within::Call);
        }
        let number = registers::number(&now);
        let name = subject(number).map_or_else(|| format!("#{number}"), |(name, _)| name.to_owned());
        let call = Call { name, path: paths.into_iter().next() };
        let position = self.calls.len();
        let strikes = match &self.fault {
            Fault::Nothing => false,
            Fault::Kill(at) => *at == position,
            Fault::Fail { matches, nth, .. } => {
                let matched = matches(&call);
                self.matched += usize::from(matched);
                matched && self.matched == nth + 1
            }
        };
        self.calls.push(call);
        if strikes {
            self.struck = Some(position);
            if let Fault::Fail { errno, .. } = self.fault {
                let mut spoilt = now;
                registers::spoil(&mut spoilt);
                ptrace::setregs(thread, spoilt)?;
                return Ok(Within::Spoilt(Box::new(now), errno));
            }
            self.kill_all(main);
        }
        Ok(Within::Call)
    }

    /// A kill during the stop at the beginning of a call keeps the call from being made.
    fn kill_all(&self, main: Pid) {
        let _ = kill(main, Signal::SIGKILL);
        for thread in self.threads.keys() {
            let _ = kill(*thread, Signal::SIGKILL);
        }
    }
}

/// Lets a thread go on to its next stop. One that is gone is no error: the next wait tells.
fn resume(thread: Pid, signal: Option<Signal>) -> io::Result<()> {
    match ptrace::syscall(thread, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// What a call is about.
fn paths(thread: Pid, now: &Registers) -> Vec<PathBuf> {
    let [first, second, third, fourth] = registers::arguments(now);
    let Some((_, subject)) = subject(registers::number(now)) else { return Vec::new() };
    let found = match subject {
        Subject::File => [file(thread, first), None],
        Subject::Path => [at(thread, None, first), None],
        Subject::At => [at(thread, Some(first), second), None],
        Subject::TwoAt => [at(thread, Some(first), second), at(thread, Some(third), fourth)],
        Subject::TwoPaths => [at(thread, None, first), at(thread, None, second)],
    };
    found.into_iter().flatten().collect()
}

/// The file behind a descriptor.
fn file(thread: Pid, descriptor: u64) -> Option<PathBuf> {
    // Registers are wider than descriptors, and the upper half means nothing.
    let descriptor = (descriptor & 0xffff_ffff).try_into().map(u32::cast_signed).ok()?;
    let link = if descriptor == libc::AT_FDCWD { "cwd".to_owned() } else { format!("fd/{descriptor}") };
    std::fs::read_link(format!("/proc/{thread}/{link}")).ok()
}

/// A path in the program's memory, below the directory of a descriptor if it is relative.
fn at(thread: Pid, directory: Option<u64>, address: u64) -> Option<PathBuf> {
    let mut bytes = vec![0; 4096];
    // Short at the end of a mapping.
    let len = File::open(format!("/proc/{thread}/mem")).ok()?.read_at(&mut bytes, address).ok()?;
    let end = bytes[..len].iter().position(|b| *b == 0)?;
    let path = Path::new(OsStr::from_bytes(&bytes[..end]));
    let here = (libc::AT_FDCWD.cast_unsigned()).into();
    if path.is_absolute() { Some(path.to_owned()) } else { Some(file(thread, directory.unwrap_or(here))?.join(path)) }
}
