//! Linux, macOS and the BSDs.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{Access, AtFlags, OFlags};
use rustix::io::Errno;

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    dev: u64,
    ino: u64,
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(meta: &Metadata) -> Self {
        Self {
            dev: meta.dev(),
            ino: meta.ino(),
            len: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// True when another change now would surely get another stamp. Clocks of file systems tick in up to 2 s (FAT), so
    /// a file touched just now may be touched again without a trace.
    pub(crate) fn is_settled(&self) -> bool {
        let (seconds, nanos) = self.changed;
        let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u32::try_from(nanos)) else { return false };
        let changed = UNIX_EPOCH + Duration::new(seconds, nanos);
        SystemTime::now().duration_since(changed).is_ok_and(|age| age > Duration::from_secs(3))
    }

    /// The same file, not written to since, though it may have got another name (which some systems count as a change).
    pub(crate) fn is_unwritten_since(&self, before: &Self) -> bool {
        before.is_settled() && *self == Self { changed: self.changed, ..*before }
    }

    /// The same file, whatever its content.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }
}

/// Opens for reading without waiting for a FIFO's writer and without following a link.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// Opens for writing in place, with the same care.
pub(crate) fn open_to_write(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
    OpenOptions::new().read(true).write(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// What stands in the place of a file, in words.
pub(crate) fn special_kind(meta: &Metadata) -> Option<&'static str> {
    let kind = meta.file_type();
    if kind.is_file() || kind.is_symlink() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a named pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else if kind.is_block_device() || kind.is_char_device() {
        Some("a device")
    } else {
        Some("no regular file")
    }
}

pub(crate) fn is_loop(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// The directory refuses new files, which says nothing about the file itself.
pub(crate) fn is_refused(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::ACCESS | Errno::PERM))
}

/// Another mount sits on the file itself (a container's bind mount): it can be written, never replaced.
pub(crate) fn is_mount_point(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::BUSY)
}

/// No scanner keeps a file from being opened here.
pub(crate) fn is_shared_badly(_error: &io::Error) -> bool {
    false
}

/// Nor from being renamed.
pub(crate) fn is_held_by_another(_error: &io::Error) -> bool {
    false
}

pub(crate) fn hard_links(_file: &File, meta: &Metadata) -> u64 {
    meta.nlink()
}

#[expect(clippy::unnecessary_wraps, reason = "Windows has none")]
pub(crate) fn mode(meta: &Metadata) -> Option<u32> {
    Some(meta.mode() & 0o7777)
}

/// Nobody may write it (also when we are root, whom the kernel would let), or we may not. Where the system cannot tell,
/// writing will.
pub(crate) fn is_read_only(path: &Path, meta: &Metadata) -> bool {
    let may_write = || rustix::fs::accessat(rustix::fs::CWD, path, Access::WRITE_OK, AtFlags::EACCESS);
    meta.mode() & 0o222 == 0 || matches!(may_write(), Err(Errno::ACCESS | Errno::PERM | Errno::ROFS))
}

#[expect(clippy::unnecessary_wraps, reason = "Windows has none")]
pub(crate) fn permissions(mode: u32) -> Option<std::fs::Permissions> {
    Some(std::fs::Permissions::from_mode(mode))
}

pub(crate) fn create_dir(path: &Path, private: bool) -> io::Result<()> {
    std::fs::DirBuilder::new().mode(if private { 0o700 } else { 0o777 }).create(path)
}

/// Makes a rename in `dir` survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Gives the new file the owner, mode and extended attributes of the old one. `false`: the owner cannot be kept, so the
/// old file must not be replaced. Attributes are copied as far as the system lets us (an ACL is one; a security label
/// may not be ours to set).
pub(crate) fn take_after(new: &File, old: &File, old_meta: &Metadata) -> io::Result<bool> {
    let made = new.metadata()?;
    if (made.uid(), made.gid()) != (old_meta.uid(), old_meta.gid()) {
        match std::os::unix::fs::fchown(new, Some(old_meta.uid()), Some(old_meta.gid())) {
            Ok(()) => {}
            Err(e) if is_refused(&e) => return Ok(false),
            Err(e) => return Err(e),
        }
    }
    copy_attributes(new, old);
    if made.mode() & 0o7777 != old_meta.mode() & 0o7777 {
        new.set_permissions(std::fs::Permissions::from_mode(old_meta.mode() & 0o7777))?;
    }
    Ok(true)
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn copy_attributes(new: &File, old: &File) {
    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
    // The usual file has none, or one short label: one system call, nothing allocated.
    let mut names = [0_u8; 1024];
    let Ok(len) = flistxattr(old, &mut names[..]) else { return };
    for name in names[..len].split(|b| *b == 0).filter(|n| !n.is_empty()) {
        let mut value = vec![0_u8; 4096];
        if let Ok(len) = fgetxattr(old, name, &mut value[..]) {
            let _ = fsetxattr(new, name, &value[..len], XattrFlags::empty());
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn copy_attributes(_new: &File, _old: &File) {}

/// Swaps two names in one step. `None`: the system or the file system has no such thing.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn exchange(a: &Path, b: &Path) -> Option<io::Result<()>> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => None,
        other => Some(other.map_err(io::Error::from)),
    }
}

/// Swaps two names in one step: not here.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn exchange(_a: &Path, _b: &Path) -> Option<io::Result<()>> {
    None
}

/// Renames, failing when `to` exists.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn rename_exclusive(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

/// Renames, failing when `to` exists (asked before, where the system cannot do both in one step).
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn rename_exclusive(from: &Path, to: &Path) -> io::Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(from, to)
}

fn group(pgid: u32) -> Option<rustix::process::Pid> {
    // 0 would be our own group and 1 everything there is.
    i32::try_from(pgid).ok().filter(|id| *id > 1).and_then(rustix::process::Pid::from_raw)
}

/// Asks a process group to end. `false`: it is not there.
pub(crate) fn terminate_group(pgid: u32) -> bool {
    group(pgid).is_some_and(|g| rustix::process::kill_process_group(g, rustix::process::Signal::TERM).is_ok())
}

/// Ends a process group. `false`: it is not there.
pub(crate) fn kill_group(pgid: u32) -> bool {
    group(pgid).is_some_and(|g| rustix::process::kill_process_group(g, rustix::process::Signal::KILL).is_ok())
}

/// Whether a process group has a member, be it one that only waits to be reaped.
pub(crate) fn has_group(pgid: u32) -> bool {
    // Being refused means that somebody is there.
    group(pgid).is_some_and(|g| !matches!(rustix::process::test_kill_process_group(g), Err(Errno::SRCH)))
}

/// Leaves the session of whoever started us, and with it the signals meant for its groups.
pub(crate) fn leave_session() {
    // Fails for the leader of a group, which has a group of its own already.
    let _ = rustix::process::setsid();
}

/// Writes fail instead of waiting for a reader.
pub(crate) fn never_wait(pipe: &impl std::os::fd::AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(pipe)?;
    Ok(rustix::fs::fcntl_setfl(pipe, flags | OFlags::NONBLOCK)?)
}

/// Whether a process is there; one that only waits to be reaped may count.
#[expect(clippy::unnecessary_wraps, reason = "Windows cannot tell")]
pub(crate) fn is_there(pid: u32) -> Option<bool> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    Some(pid.is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(Errno::SRCH))))
}

/// How a process ended, to be put after its name.
pub(crate) fn ending(status: std::process::ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => match signal_name(signal) {
            Some(name) => format!("was killed by signal {signal} ({name})"),
            None => format!("was killed by signal {signal}"),
        },
        (None, None) => "ended".to_owned(),
    }
}

/// The numbers differ between systems, so that the names have to be looked up.
fn signal_name(number: i32) -> Option<&'static str> {
    use rustix::process::Signal;
    const NAMES: [(Signal, &str); 18] = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
        (Signal::SYS, "SIGSYS"),
    ];
    NAMES.iter().find(|(signal, _)| signal.as_raw() == number).map(|(_, name)| *name)
}
