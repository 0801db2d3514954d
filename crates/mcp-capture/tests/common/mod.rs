//! What the tests share: a capture made from lines.
#![allow(dead_code, clippy::unwrap_used, reason = "not every test uses all of it, and a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use mcp_capture::event::{Event, Process};
use mcp_capture::{Direction, Header, Hop, Limits, Options, Recorder, Row, Session, Sink};

pub(crate) fn header() -> Header {
    Header {
        server: "files".into(),
        client: "claude".into(),
        command: vec!["srv".into()],
        transport: "stdio".into(),
        ..Header::default()
    }
}

pub(crate) fn options() -> Options {
    Options { header: header(), limits: Limits::default(), ..Options::default() }
}

/// Lines as playbooks have them: `> …` to the server, `< …` from it, `1> …` with client 1, `! …` on standard error.
pub(crate) fn say(sink: &Sink, script: &str) {
    for line in script.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let digits = line.find(|c: char| !c.is_ascii_digit()).unwrap();
        let peer = line[..digits].parse().unwrap_or(1);
        let (sign, text) = line[digits..].split_at(1);
        let bytes = Bytes::from(format!("{}\n", text.trim_start()));
        match sign {
            ">" => drop(sink.frame(Hop::Client(peer), Direction::ToServer, bytes)),
            "<" => drop(sink.frame(Hop::Client(peer), Direction::ToClient, bytes)),
            "!" => drop(sink.stderr(bytes)),
            "x" => drop(sink.event(Hop::Server, Event::Process(Process { pid: 1, code: Some(7), ..Process::default() }))),
            other => panic!("{other}"),
        }
    }
}

pub(crate) struct Recorded {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) path: PathBuf,
    pub(crate) session: Session,
}

pub(crate) fn record(script: &str) -> Recorded {
    record_with(options(), |sink| say(sink, script))
}

pub(crate) fn record_with(options: Options, act: impl FnOnce(&Sink)) -> Recorded {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.mcpcap");
    let (recorder, sink) = Recorder::start(&path, options).unwrap();
    act(&sink);
    recorder.finish();
    let session = Session::open(&path).unwrap();
    Recorded { dir, path, session }
}

pub(crate) fn rows(session: &Session) -> Vec<Row> {
    session.rows().iter(session.index()).collect()
}

/// Waits for something, with a deadline.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while !done() {
        assert!(std::time::Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn texts(session: &Session) -> Vec<String> {
    (0..u32::try_from(session.index().len()).unwrap())
        .filter_map(|at| session.payload(at).unwrap())
        .map(|b| String::from_utf8_lossy(&b).trim_end().to_owned())
        .collect()
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}
