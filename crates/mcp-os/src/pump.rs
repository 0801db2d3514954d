//! This process's own input and output as plain bytes: no buffer in between, no lock, no lines.

use std::io;

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
pub fn write_output(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => wait(rustix::stdio::stdout(), rustix::event::PollFlags::OUT)?,
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
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
