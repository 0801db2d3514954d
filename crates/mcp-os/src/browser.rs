//! The user's browser.

use std::io;
use std::process::{Command, Stdio};

/// Opens an address in the browser the user has chosen. That one was started says nothing of whether anybody sees it.
pub fn open(url: &str) -> io::Result<()> {
    let mut command = opener(url);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    // Nobody waits for it, and an ended child that nobody asks about stays in the process table.
    std::thread::spawn(move || child.wait());
    Ok(())
}

#[cfg(windows)]
fn opener(url: &str) -> Command {
    // Not `start`, to which `&` in an address would be the next command.
    let mut command = Command::new("rundll32.exe");
    command.args(["url.dll,FileProtocolHandler", url]);
    command
}

#[cfg(target_vendor = "apple")]
fn opener(url: &str) -> Command {
    let mut command = Command::new("open");
    command.arg(url);
    command
}

#[cfg(not(any(windows, target_vendor = "apple")))]
fn opener(url: &str) -> Command {
    let mut command = Command::new("xdg-open");
    command.arg(url);
    command
}
