//! A recording answers the clients of the official SDKs: each visits the fixture's server while a wrapper records, and then visits
//! `mcp mock` of that recording. It does the same both times (tests/matrix/client.mjs, visit.py): lists, calls, progress, a question to
//! its user, resources, a subscription, an error.
//!
//! `cargo xtask test` installs the SDKs; what is not installed is reported as ignored with the reason.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[allow(dead_code, reason = "only its clients and eras are needed here")]
#[path = "matrix/cast.rs"]
mod cast;
#[path = "peers/mod.rs"]
mod peers;

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use bytes::Bytes;
use libtest_mimic::Arguments;
use mcp_capture::{Direction, Header, Hop, Options, Recorder};
use mcp_testkit::sandbox::{Outcome, Sandbox};

use self::{
    cast::{CLIENTS, Client, Eras},
    peers::{Stop, fixture, mcp, skippable},
};

const LIMIT: Duration = Duration::from_mins(2);

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [first, path, command @ ..] = words.as_slice()
        && first == "record"
    {
        return record(Path::new(path), command);
    }
    let trials = CLIENTS.into_iter().map(|client| {
        let name = format!("{}_{}_accepts_a_recording", client.sdk.word(), client.eras.word());
        skippable(name, move || visit(client))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn visit(client: Client) -> Result<(), Stop> {
    let words = client.words()?;
    let sandbox = Sandbox::new()?;
    let capture = sandbox.home().join("visit.mcpcap");
    let eras = if client.eras == Eras::Dual { "both" } else { client.eras.word() };
    let own = std::env::current_exe()?;
    let mut real: Vec<OsString> = vec![own.into(), "record".into(), capture.clone().into(), fixture()?.into()];
    real.extend(["--stdio", "--eras", eras].map(OsString::from));
    succeeded("the real server", &run(&sandbox, &words, &real)?)?;
    let capture = longest(&capture);
    let mock: Vec<OsString> =
        [mcp().into(), "mock".into(), capture.into(), "--strict".into(), "--speed".into(), "10".into()].to_vec();
    succeeded("the recording", &run(&sandbox, &words, &mock)?)?;
    Ok(())
}

fn run(sandbox: &Sandbox, client: &[String], server: &[OsString]) -> Result<Outcome, Stop> {
    let mut command = sandbox.command(&client[0]);
    command.args(&client[1..]).args(server);
    Ok(sandbox.run(&mut command, LIMIT)?)
}

fn succeeded(what: &str, outcome: &Outcome) -> Result<(), Stop> {
    if outcome.succeeded() {
        Ok(())
    } else {
        Err(format!("with {what} the client ended with {:?}:\n{}", outcome.code, outcome.text()).into())
    }
}

/// Some clients start a server twice: to try what it speaks, and to talk with it.
fn takes(path: &Path) -> impl Iterator<Item = PathBuf> {
    (1..).map(move |take| path.with_extension(format!("{take}.mcpcap")))
}

fn longest(path: &Path) -> PathBuf {
    let there = takes(path).take_while(|take| take.exists());
    there.max_by_key(|take| take.metadata().unwrap().len()).unwrap()
}

/// A wrapper: lines in, lines out, each recorded before it is passed on.
fn record(path: &Path, command: &[OsString]) -> ExitCode {
    let header = Header { server: "fixture".into(), transport: "stdio".into(), recorder: "test".into(), ..Header::default() };
    let path = takes(path).find(|take| !take.exists()).unwrap();
    let (recorder, sink) = Recorder::start(&path, Options { header, ..Options::default() }).unwrap();
    let mut child = Command::new(&command[0]).args(&command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut to_server = child.stdin.take().unwrap();
    let from_client = sink.clone();
    std::thread::spawn(move || {
        let mut input = BufReader::new(std::io::stdin());
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            from_client.frame(Hop::Client(1), Direction::ToServer, Bytes::from(line.clone()));
            if to_server.write_all(&line).is_err() {
                break;
            }
            line.clear();
        }
    });
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        sink.frame(Hop::Client(1), Direction::ToClient, Bytes::from(line.clone()));
        let mut out = std::io::stdout().lock();
        if out.write_all(&line).and_then(|()| out.flush()).is_err() {
            break;
        }
        line.clear();
    }
    drop(recorder);
    let _ = child.kill();
    let _ = child.wait();
    ExitCode::SUCCESS
}
