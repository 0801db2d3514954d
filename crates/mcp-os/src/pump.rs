//! This process's own input and output as plain bytes: no buffer in between, no lock, no lines.

use std::io;

/// Whether a read from standard input would not wait. `false` where that cannot be known.
#[cfg(unix)]
pub fn has_input() -> bool {
    let mut fds = [rustix::event::PollFd::from_borrowed_fd(rustix::stdio::stdin(), rustix::event::PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// Whether a read from standard input would not wait. `false` where that cannot be known.
#[cfg(not(unix))]
pub fn has_input() -> bool {
    false
}

/// Reads from standard input; 0 is its end.
#[cfg(unix)]
pub fn read_input(buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::io::read(rustix::stdio::stdin(), &mut *buffer) {
            Ok(read) => return Ok(read),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => wait(rustix::stdio::stdin(), rustix::event::PollFlags::IN)?,
            Err(e) => return Err(e.into()),
        }
    }
}

/// Writes all of it to standard output.
#[cfg(unix)]
pub fn write_output(bytes: &[u8]) -> io::Result<()> {
    write_all(rustix::stdio::stdout(), bytes)
}

/// Writes all of it to standard error.
#[cfg(unix)]
pub fn write_errors(bytes: &[u8]) -> io::Result<()> {
    write_all(rustix::stdio::stderr(), bytes)
}

#[cfg(unix)]
fn write_all(fd: std::os::fd::BorrowedFd<'static>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => wait(fd, rustix::event::PollFlags::OUT)?,
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Lets go of standard input, so that whoever writes to it learns that nobody reads. (The number stays taken: a file that is
/// opened later must not become it.)
#[cfg(unix)]
pub fn close_input() {
    if let Ok(null) = std::fs::File::open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
    }
}

/// Lets go of standard output, so that its reader sees the end.
#[cfg(unix)]
pub fn close_output() {
    if let Ok(null) = std::fs::File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

/// Lets go of standard error, so that its reader sees the end.
#[cfg(unix)]
pub fn close_errors() {
    if let Ok(null) = std::fs::File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

/// Whoever made the pipe may have made it one that never waits: then we do.
#[cfg(unix)]
fn wait(fd: std::os::fd::BorrowedFd<'static>, what: rustix::event::PollFlags) -> io::Result<()> {
    let mut fds = [rustix::event::PollFd::from_borrowed_fd(fd, what)];
    match rustix::event::poll(&mut fds, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Reads from standard input; 0 is its end.
#[cfg(not(unix))]
pub fn read_input(buffer: &mut [u8]) -> io::Result<usize> {
    io::Read::read(&mut io::stdin().lock(), buffer)
}

/// Writes all of it to standard output.
#[cfg(not(unix))]
pub fn write_output(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    io::Write::write_all(&mut stdout, bytes)?;
    io::Write::flush(&mut stdout)
}

/// Writes all of it to standard error.
#[cfg(not(unix))]
pub fn write_errors(bytes: &[u8]) -> io::Result<()> {
    io::Write::write_all(&mut io::stderr().lock(), bytes)
}

/// Lets go of standard input: not before the process ends, without `unsafe`.
#[cfg(not(unix))]
pub fn close_input() {}

/// Lets go of standard output: not before the process ends, without `unsafe`.
#[cfg(not(unix))]
pub fn close_output() {}

/// Lets go of standard error: not before the process ends, without `unsafe`.
#[cfg(not(unix))]
pub fn close_errors() {}
