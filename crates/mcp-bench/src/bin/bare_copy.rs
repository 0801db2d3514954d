//! `bare-copy COMMAND…`: the least that can stand between a client and a stdio server: two threads that copy bytes.
//!
//! What `mcp tap` costs is told as a multiple of this.

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};

const CHUNK: usize = 64 * 1024;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let Some((program, arguments)) = words.split_first() else { return ExitCode::from(2) };
    let child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else { return ExitCode::FAILURE };
    let (mut to, mut from) = (child.stdin.take().expect("stdin is piped"), child.stdout.take().expect("stdout is piped"));
    std::thread::spawn(move || {
        let (mut input, mut buffer) = (unbuffered(0), vec![0; CHUNK]);
        while let Ok(length @ 1..) = input.read(&mut buffer) {
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
    });
    let (mut output, mut buffer) = (unbuffered(1), vec![0; CHUNK]);
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if output.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = child.wait();
    ExitCode::SUCCESS
}

/// Standard input or output as a file, without the buffers of the standard library.
fn unbuffered(number: u8) -> std::fs::File {
    let path = format!("/dev/fd/{number}");
    std::fs::File::options().read(number == 0).write(number == 1).open(path).expect("a process may open its own pipes")
}
