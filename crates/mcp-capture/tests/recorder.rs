//! Recording: nothing is lost unsaid, whatever happens to the disk or the process.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod common;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use common::{options, record, record_with, say, texts, until};
use mcp_capture::event::{Altered, Event, Http, HttpPhase, Mark, Note, Peer, Process};
use mcp_capture::store::{Policy, marks, names};
use mcp_capture::{Direction, Flags, Header, Hop, Limits, Options, Output, Record, Recorder, Redactor, Row, Session, Store};

const LONG: Duration = Duration::from_mins(1);

fn frames(session: &Session) -> Vec<(u64, String)> {
    (0..u32::try_from(session.index().len()).unwrap())
        .filter_map(|at| session.record(at).unwrap())
        .filter_map(|(stamp, record)| match record {
            Record::Frame(bytes, _) => Some((stamp.sequence, String::from_utf8_lossy(&bytes).trim_end().to_owned())),
            _ => None,
        })
        .collect()
}

#[test]
fn bytes_are_kept_exactly() {
    let odd: [&'static [u8]; 6] =
        [b"{\"a\":1}\r\n", b"\xff\xfe no utf-8\n", b"nul\0nul\n", b"no line end", b"\n", b"\xef\xbb\xbf{}\n"];
    let made = record_with(options(), |sink| {
        for bytes in odd {
            sink.frame(Hop::Client(1), Direction::ToServer, Bytes::from_static(bytes));
        }
        sink.beginning_of_frame(
            Hop::Client(1),
            Direction::ToClient,
            Bytes::from_static(b"{\"id\":5,\"result\":{"),
            1 << 33,
            Flags::NONE,
        );
    });
    for (at, bytes) in (0..).zip(odd) {
        assert_eq!(made.session.payload(at).unwrap().unwrap(), bytes);
        // Not a byte of the record behind it.
        assert_eq!(made.session.payload_start(at, 4096).unwrap(), bytes);
        assert_eq!(made.session.payload_start(at, 1).unwrap(), bytes[..1]);
    }
    assert_eq!(made.session.payload_start(6, 4096).unwrap(), made.session.payload(6).unwrap().unwrap());
    let flags = made.session.index().get(3).unwrap().stamp.flags;
    assert!(flags.has(Flags::NO_NEWLINE) && flags.has(Flags::NOT_A_MESSAGE));
    assert!(
        matches!(made.session.record(6).unwrap(), Some((_, Record::Frame(kept, length))) if kept.len() == 18 && length == 1 << 33)
    );
}

#[test]
fn files_are_closed_to_others_and_the_lock_goes_with_the_recorder() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("captures"));
    let path = store.path_for(&common::header()).unwrap();
    let (recorder, sink) = Recorder::start(&path, options()).unwrap();
    say(&sink, r#"> {"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    assert!(recorder.flush(LONG));
    assert!(store.list().unwrap()[0].is_live);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!([mode(&path), mode(&names::index(&path)), mode(store.root())], [0o600, 0o600, 0o700]);
    }
    let second = store.path_for(&common::header()).unwrap();
    assert_ne!(second, path);
    recorder.finish();
    let listed = store.list().unwrap();
    assert!(!listed[0].is_live && listed[0].is_ended && listed[0].frames == 1 && !names::live(&path).exists());
}

#[test]
fn full_queue_leaves_a_gap_with_its_size_and_never_blocks() {
    let gate = Arc::new(Mutex::new(()));
    let memory = Memory { gate: Arc::clone(&gate), ..Memory::default() };
    let bytes = Arc::clone(&memory.capture);
    let limits = Limits { bytes: 4000, records: 1000 };
    let (recorder, sink) = Recorder::start_on(Box::new(memory), Options { limits, ..options() }).unwrap();
    let closed = gate.lock().unwrap();
    for n in 0..100 {
        sink.frame(Hop::Client(1), Direction::ToServer, Bytes::from(format!("{n:<99}\n")));
    }
    drop(closed);
    assert!(recorder.flush(LONG));
    sink.frame(Hop::Client(1), Direction::ToServer, Bytes::from_static(b"after\n"));
    let summary = recorder.finish();
    assert!(summary.lost >= 20 && summary.frames + summary.lost == 101, "{summary:?}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.mcpcap");
    std::fs::write(&path, &*bytes.lock().unwrap()).unwrap();
    let session = Session::open(&path).unwrap();
    let mut lost = 0;
    let mut expected = 1;
    for at in 0..u32::try_from(session.index().len()).unwrap() {
        let (stamp, record) = session.record(at).unwrap().unwrap();
        match record {
            Record::Gap(gap) => {
                assert_eq!((stamp.sequence, gap.bytes), (expected, gap.records * 100));
                lost += gap.records;
                expected = gap.last + 1;
            }
            Record::Frame(..) => {
                assert_eq!(stamp.sequence, expected);
                expected += 1;
            }
            _ => {}
        }
    }
    assert_eq!((lost, expected), (summary.lost, 102));
}

/// A disk of memory that can be full, fail half-way, or be held up.
#[derive(Default)]
struct Memory {
    capture: Arc<Mutex<Vec<u8>>>,
    gate: Arc<Mutex<()>>,
    is_full: Arc<AtomicBool>,
    cannot_cut: Arc<AtomicBool>,
}

impl Output for Memory {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        drop(self.gate.lock().unwrap());
        let mut capture = self.capture.lock().unwrap();
        if self.is_full.load(Ordering::SeqCst) {
            capture.extend_from_slice(&bytes[..bytes.len() / 2]);
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device"));
        }
        capture.extend_from_slice(bytes);
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        if self.cannot_cut.load(Ordering::SeqCst) {
            return Err(io::Error::other("not now"));
        }
        self.capture.lock().unwrap().truncate(usize::try_from(length).unwrap());
        Ok(())
    }

    fn index(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn next_part(&mut self, _: u32) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn full_disk_is_reported_and_leaves_a_gap_when_space_is_back() {
    let memory = Memory::default();
    let (capture, is_full, cannot_cut) =
        (Arc::clone(&memory.capture), Arc::clone(&memory.is_full), Arc::clone(&memory.cannot_cut));
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let on_trouble = Some(Box::new(move |trouble: Option<&str>| listener.lock().unwrap().push(trouble.map(str::to_owned))) as _);
    let (recorder, sink) = Recorder::start_on(Box::new(memory), Options { on_trouble, ..options() }).unwrap();
    let send = |n: u32| sink.frame(Hop::Client(1), Direction::ToServer, Bytes::from(format!("{{\"n\":{n}}}\n")));
    send(1);
    assert!(recorder.flush(LONG));
    is_full.store(true, Ordering::SeqCst);
    cannot_cut.store(true, Ordering::SeqCst);
    send(2);
    send(3);
    assert!(recorder.flush(LONG));
    until("the trouble", || recorder.trouble().is_some_and(|t| t.contains("no space")));
    cannot_cut.store(false, Ordering::SeqCst);
    send(4);
    assert!(recorder.flush(LONG));
    is_full.store(false, Ordering::SeqCst);
    until("the end of the trouble, though nobody says anything", || recorder.trouble().is_none());
    send(5);
    let summary = recorder.finish();
    assert_eq!((summary.frames, summary.lost, summary.trouble), (2, 3, None));
    assert_eq!(told.lock().unwrap().iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.mcpcap");
    std::fs::write(&path, &*capture.lock().unwrap()).unwrap();
    let session = Session::open(&path).unwrap();
    assert_eq!(frames(&session).iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 5]);
    assert!(
        matches!(session.record(1).unwrap(), Some((stamp, Record::Gap(gap))) if (stamp.sequence, gap.records, gap.last) == (2, 3, 4))
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_really_full_disk_stops_nobody() {
    use std::process::{Command, Stdio};
    let dir = tempfile::tempdir().unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(dir.path()).stderr(Stdio::null()).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: a small file system can be mounted by root only");
        return;
    }
    let path = dir.path().join("s.mcpcap");
    let (recorder, sink) = Recorder::start(&path, options()).unwrap();
    let ballast = dir.path().join("ballast");
    std::fs::write(&ballast, vec![0; 40 * 1024]).unwrap();
    for n in 0..2000 {
        sink.frame(Hop::Client(1), Direction::ToServer, Bytes::from(format!("{{\"n\":{n}}}\n")));
    }
    assert!(recorder.flush(LONG));
    until("the trouble", || recorder.trouble().is_some());
    std::fs::remove_file(&ballast).unwrap();
    until("the end of the trouble", || recorder.trouble().is_none());
    sink.frame(Hop::Client(1), Direction::ToServer, Bytes::from_static(b"{\"last\":1}\n"));
    let summary = recorder.finish();
    let session = Session::open(&path).unwrap();
    let all = frames(&session);
    assert_eq!(all.last().unwrap(), &(2001, "{\"last\":1}".to_owned()));
    assert_eq!(summary.frames + summary.lost, 2001);
    assert_eq!(all.len() as u64, summary.frames);
    drop(session);
    assert!(Command::new("umount").arg(dir.path()).status().unwrap().success());
}

#[test]
fn large_session_goes_on_in_parts_that_open_as_one() {
    let made = record_with(Options { part_limit: 4000, ..options() }, |sink| {
        for n in 0..300 {
            say(sink, &format!(r#"> {{"jsonrpc":"2.0","id":{n},"method":"tools/call","params":{{"name":"t{n}"}}}}"#));
            if n % 10 == 9 {
                std::thread::yield_now();
            }
            say(sink, &format!(r#"< {{"jsonrpc":"2.0","id":{n},"result":{{}}}}"#));
            if n % 50 == 0 {
                // Parts end between batches, and this makes several.
                std::thread::sleep(Duration::from_millis(12));
            }
        }
    });
    let summary = mcp_capture::store::summary(&made.path).unwrap();
    assert!(summary.parts > 1 && summary.is_ended && summary.frames == 600, "{summary:?}");
    let rows = common::rows(&made.session);
    assert_eq!(rows.len(), 300);
    for (n, row) in rows.iter().enumerate() {
        assert_eq!(row.status, mcp_capture::Status::Ok);
        assert_eq!(made.session.index().symbols.get(row.operation), ("tools/call", format!("t{n}").as_str()));
    }
    let with = frames(&made.session);
    for part in 1..=summary.parts {
        std::fs::remove_file(names::index(&names::part(&made.path, part))).unwrap();
    }
    let without = Session::open(&made.path).unwrap();
    assert_eq!(frames(&without), with);
    without.write_sidecars().unwrap();
    let again = Session::open(&made.path).unwrap();
    assert_eq!((frames(&again), common::rows(&again)), (with, common::rows(&without)));
}

#[test]
fn missing_short_foreign_or_wrong_index_changes_nothing() {
    let lines = |n: u32| [format!("> {{\"jsonrpc\":\"2.0\",\"id\":{n},\"method\":\"m{}\"}}", n % 5), format!("! line {n}")];
    let made = record(&(0..40).flat_map(lines).collect::<Vec<_>>().join("\n"));
    let index = names::index(&made.path);
    let whole = std::fs::read(&index).unwrap();
    let good = (texts(&made.session), common::rows(&made.session));
    let same = || {
        let session = Session::open(&made.path).unwrap();
        assert_eq!((texts(&session), common::rows(&session)), good);
    };
    for length in [0, 7, 40, 80, 81, 500, 1234, whole.len() - 40, whole.len() - 1] {
        std::fs::write(&index, &whole[..length]).unwrap();
        same();
    }
    let mut other = whole.clone();
    other[8] = 200;
    std::fs::write(&index, &other).unwrap();
    same();
    let foreign = record("> {}\n");
    common::copy(&names::index(&foreign.path), &index);
    same();
    std::fs::remove_file(&index).unwrap();
    same();
}

#[test]
fn two_readers_follow_a_writer_and_see_everything_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.mcpcap");
    let (recorder, sink) = Recorder::start(&path, Options { part_limit: 100_000, ..options() }).unwrap();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || {
                let mut session = Session::open(&path).unwrap();
                let mut seen = session.index().len();
                until("the end of the session", || {
                    let changes = session.refresh().unwrap();
                    seen += changes.records as usize;
                    assert_eq!(seen, session.index().len());
                    session.is_ended()
                });
                frames(&session)
            })
        })
        .collect();
    let writers: Vec<_> = [(Direction::ToServer, "a"), (Direction::ToClient, "b")]
        .map(|(direction, name)| {
            let sink = sink.clone();
            std::thread::spawn(move || {
                for n in 0..5000 {
                    sink.frame(Hop::Client(1), direction, Bytes::from(format!("{name}{n}\n")));
                }
            })
        })
        .into_iter()
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    recorder.finish();
    for reader in readers {
        let seen = reader.join().unwrap();
        assert_eq!(seen.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (1..=10_000).collect::<Vec<_>>());
        for name in ["a", "b"] {
            let of: Vec<&String> = seen.iter().map(|(_, text)| text).filter(|text| text.starts_with(name)).collect();
            assert!(of.len() == 5000 && of.iter().enumerate().all(|(n, text)| **text == format!("{name}{n}")));
        }
    }
}

/// The part of the killed recorder, when this program is started again by the test below.
#[test]
fn as_the_recorder_that_is_killed() {
    let Some(path) = std::env::var_os("MCP_TEST_CAPTURE") else { return };
    let (recorder, sink) = Recorder::start(Path::new(&path), Options { part_limit: 200_000, ..options() }).unwrap();
    let mut n = 0_u32;
    loop {
        sink.frame(
            Hop::Client(1),
            Direction::ToServer,
            Bytes::from(format!("{{\"n\":{n},\"pad\":\"{}\"}}\n", "x".repeat((n % 3000) as usize))),
        );
        n += 1;
        if n.is_multiple_of(50) {
            recorder.flush(LONG);
        }
    }
}

#[test]
#[cfg(unix)]
fn killed_recorder_leaves_a_file_that_is_whole_up_to_its_end() {
    use std::process::{Command, Stdio};
    static SEED: AtomicU32 = AtomicU32::new(1);
    for round in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.mcpcap");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "as_the_recorder_that_is_killed"])
            .env("MCP_TEST_CAPTURE", &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Any instant will do; the size of the file is one that differs from round to round.
        let seed = SEED.fetch_add(1, Ordering::SeqCst).wrapping_mul(2_654_435_761);
        let wanted = u64::from(seed % 400_000);
        until("a recorder at work", || mcp_capture::store::summary(&path).is_ok_and(|summary| summary.size > wanted));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!mcp_capture::store::is_live(&path), "the lock went with its holder");
        let session = Session::open(&path).unwrap();
        let seen = frames(&session);
        assert!(!session.is_ended(), "round {round}");
        for (at, (number, text)) in seen.iter().enumerate() {
            assert_eq!(*number, at as u64 + 1);
            assert!(text.starts_with(&format!("{{\"n\":{at},")), "{text:.40}");
        }
    }
}

#[test]
fn secrets_are_replaced_before_they_are_written() {
    let redactor = Redactor::new(["s3cr3t-value", "pa\"ss\nword"]);
    let header = Header {
        command: ["srv", "--token", "abcdefgh", "--url=https://u:pw@h/"].map(String::from).to_vec(),
        ..common::header()
    };
    let made = record_with(Options { header, redactor: Some(redactor), ..Options::default() }, |sink| {
        say(
            sink,
            r#"> {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"api_key":"k1","note":"s3cr3t-value","b":"pa\"ss\nword"},"_meta":{"progressToken":"p"}}}"#,
        );
        say(sink, "! connecting with Authorization: Bearer abcdefghijklmnop and s3cr3t-value");
        let headers = vec![("Authorization".to_owned(), "Bearer x".to_owned()), ("Accept".to_owned(), "text/html".to_owned())];
        sink.event(Hop::Client(1), Event::Http(Http { frame: 1, headers, ..Http::default() }));
    });
    let all = std::fs::read(&made.path).unwrap();
    for secret in ["k1\"", "s3cr3t", "pa\\\"ss", "abcdefgh", "Bearer x", ":pw@"] {
        assert!(memchr::memmem::find(&all, secret.as_bytes()).is_none(), "{secret}");
    }
    assert!(memchr::memmem::find(&all, b"\"progressToken\":\"p\"").is_some());
    assert!(made.session.index().get(0).unwrap().stamp.flags.has(Flags::REDACTED));
    assert!(!made.session.header().raw);
}

#[test]
fn copy_with_secrets_replaced_opens_like_the_first() {
    let made = record(
        r#"
        > {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"password":"hunter2"}}}
        < {"jsonrpc":"2.0","id":1,"result":{"content":[]}}
        "#,
    );
    let to = made.dir.path().join("copy.mcpcap");
    assert_eq!(mcp_capture::redact::copy_redacted(&made.path, &to, &Redactor::default()).unwrap(), 1);
    let copy = Session::open(&to).unwrap();
    assert!(!texts(&copy)[0].contains("hunter2") && texts(&copy)[1] == texts(&made.session)[1]);
    assert_eq!(common::rows(&copy).len(), 1);
    assert!(mcp_capture::redact::copy_redacted(&made.path, &to, &Redactor::default()).is_err(), "it is not overwritten");
}

#[test]
fn sessions_are_found_by_all_their_names_and_pruned_by_age_and_size() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path());
    let make = |server: &str, started_ms: u64| {
        let header = Header { server: server.into(), started_ms, ..common::header() };
        let path = store.path_for(&header).unwrap();
        let (recorder, sink) = Recorder::start(&path, Options { header, ..Options::default() }).unwrap();
        say(&sink, "> {}");
        (recorder, path)
    };
    let (one, first) = make("files", 1_000_000_000_000);
    let (two, second) = make("git", 1_000_000_100_000);
    let (live, third) = make("git", 1_000_000_200_000);
    let session = one.session().to_owned();
    one.finish();
    two.finish();
    let names: Vec<String> = store.list().unwrap().into_iter().map(|s| s.name).collect();
    assert!(names[2].starts_with("20010909T014640Z-files-claude-"), "{names:?}");
    for name in [first.to_str().unwrap(), "files", &names[2], &session, &session[..10], "20010909T014640"] {
        assert_eq!(store.find(name).unwrap(), first, "{name}");
    }
    assert_eq!(store.find("latest").unwrap(), third);
    assert_eq!(store.find("git").unwrap(), third);
    assert!(store.find("2001").unwrap_err().to_string().contains("it could be"));
    assert!(store.find("nothing").unwrap_err().to_string().contains("there is none"));

    marks::add(&first, &Mark { frame: 1, mark: "a".into(), comment: "look".into(), ..Mark::default() }).unwrap();
    marks::add(&first, &Mark { frame: 2, comment: "gone".into(), ..Mark::default() }).unwrap();
    marks::add(&first, &Mark { frame: 2, removed: true, ..Mark::default() }).unwrap();
    assert_eq!(Session::open(&first).unwrap().marks().iter().map(|m| m.comment.as_str()).collect::<Vec<_>>(), ["look"]);

    let now = mcp_os::clock::now_ms();
    let old = Policy { max_age: Some(Duration::ZERO), max_size: None };
    until("the sessions to be past", || mcp_os::clock::now_ms() > now + 1);
    let found = store.prunable(&old, mcp_os::clock::now_ms()).unwrap();
    assert_eq!(found.iter().map(|s| s.path.clone()).collect::<Vec<_>>(), [first.clone(), second.clone()]);
    assert!(first.exists());
    let much = Policy { max_age: None, max_size: Some(found[1].size + store.list().unwrap()[0].size) };
    assert!(store.prune(&much, 0).unwrap().iter().all(|pruned| pruned.error.is_none() && pruned.session.path == first));
    assert!(!first.exists() && !names::marks(&first).exists() && second.exists());
    assert_eq!(store.prune(&old, mcp_os::clock::now_ms()).unwrap().len(), 1);
    live.finish();
    assert!(third.exists());
}

/// All rows of a session as text, without what took how long.
fn rendition(session: &Session) -> String {
    let lines: Vec<String> = session
        .rows()
        .iter(session.index())
        .map(|row| {
            let line = mcp_capture::text::line(session, &Row { duration: None, ..row }).unwrap();
            format!("{line} {:?}", session.rows().entries(row.number))
        })
        .collect();
    lines.join("\n")
}

/// Writes the fixture of the version the code has now. Run by hand when the version grows; a fixture that is committed is
/// never written again.
#[test]
#[ignore = "run by hand when the format's version grows: writes the fixture of that version"]
fn make_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/version-{}.mcpcap", mcp_capture::file::MAJOR));
    let header = Header {
        session: "0123456789abcdef".into(),
        started_ms: 1_795_516_396_000,
        program: "0.1.0".into(),
        pid: 42,
        ..common::header()
    };
    let (recorder, sink) =
        Recorder::start(&path, Options { header, redactor: Some(Redactor::default()), ..Options::default() }).unwrap();
    sink.event(Hop::Server, Event::Process(Process { pid: 43, started: true, ..Process::default() }));
    sink.event(
        Hop::Client(1),
        Event::Peer(Peer {
            peer: 1,
            open: true,
            pid: Some(41),
            name: "claude-code".into(),
            version: "2.1".into(),
            era: "legacy".into(),
            ..Peer::default()
        }),
    );
    say(
        &sink,
        r#"
        > {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":{"q":"panic","token":"abc"},"_meta":{"progressToken":"p"}}}
        < {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}
        ! warming up
        < Loading model
        < {"jsonrpc":"2.0","id":1,"result":{"content":[]}}
        "#,
    );
    sink.event(
        Hop::Client(1),
        Event::Http(Http {
            frame: 3,
            phase: HttpPhase::Response,
            status: 200,
            headers: vec![("Content-Type".into(), "application/json".into())],
            ..Http::default()
        }),
    );
    let flags = Flags::ALTERED;
    let frame = sink.frame_with(
        Hop::Client(1),
        Direction::ToServer,
        Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}\n"),
        flags,
    );
    let altered = Altered { frame, what: "edit".into(), by: "breakpoint 1".into() };
    sink.event(
        Hop::Client(1),
        Event::Altered(altered, Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"pong\"}\n")),
    );
    sink.beginning_of_frame(
        Hop::Client(1),
        Direction::ToClient,
        Bytes::from_static(b"{\"id\":2,\"result\":{\"x\":\""),
        100_000_000,
        Flags::NONE,
    );
    sink.event(Hop::Server, Event::Note(Note { text: "all is well".into() }));
    sink.event(Hop::Server, Event::Process(Process { pid: 43, code: Some(0), ..Process::default() }));
    recorder.finish();
    std::fs::write(path.with_extension("txt"), rendition(&Session::open(&path).unwrap()) + "\n").unwrap();
}

#[test]
fn golden_file_of_version_1_reads_as_it_always_did() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/version-1.mcpcap");
    let session = Session::open(&path).unwrap();
    let wanted = std::fs::read_to_string(path.with_extension("txt")).unwrap();
    assert_eq!(rendition(&session), wanted.trim_end());
    assert_eq!((session.header().session.as_str(), session.header().pid, session.is_ended()), ("0123456789abcdef", 42, true));
    let copy = tempfile::tempdir().unwrap();
    let alone = copy.path().join("alone.mcpcap");
    common::copy(&path, &alone);
    let alone = Session::open(&alone).unwrap();
    assert_eq!((texts(&alone), common::rows(&alone)), (texts(&session), common::rows(&session)));
}

#[test]
fn newer_minor_version_and_unknown_records_are_read_over_and_newer_major_is_refused() {
    let made = record("> {\"a\":1}\n> {\"b\":2}\n");
    let mut bytes = std::fs::read(&made.path).unwrap();
    bytes[10] = 9;
    let end = {
        let part = mcp_capture::Part::open(&made.path).unwrap();
        part.record(part.start()).unwrap().unwrap().next
    };
    let mut unknown = Vec::new();
    mcp_capture::file::push_record(&mut unknown, mcp_capture::file::Type::Unknown(77), None, &[b"whatever"]);
    let at = usize::try_from(end).unwrap();
    bytes.splice(at..at, unknown);
    let newer = made.dir.path().join("newer.mcpcap");
    std::fs::write(&newer, &bytes).unwrap();
    assert_eq!(texts(&Session::open(&newer).unwrap())[..2], ["{\"a\":1}", "{\"b\":2}"]);
    bytes[8] = 2;
    std::fs::write(&newer, &bytes).unwrap();
    let error = Session::open(&newer).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("version 2"));
}
