//! The few calls that need to know the platform. Each platform's file offers the same functions.

#[cfg(unix)]
#[path = "sys/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "sys/windows.rs"]
mod platform;

pub(crate) use platform::*;
