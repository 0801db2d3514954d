//! What is in the capture.

use mcp_capture::event::{Event, Flags, Record};
use mcp_capture::{RowKind, Session, Status};
use serde_json::json;

use crate::session::{Tap, rows, until};

fn frames(session: &Session, direction: mcp_capture::Direction) -> Vec<u8> {
    let mut all = Vec::new();
    for at in 0..u32::try_from(session.index().len()).unwrap() {
        if let Some((stamp, Record::Frame(bytes, _))) = session.record(at).unwrap()
            && stamp.direction == direction
        {
            all.extend_from_slice(&bytes);
        }
    }
    all
}

#[test]
fn the_capture_holds_the_very_bytes_in_order_and_how_it_ended() {
    let stream = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\r\n\xff\x00\n\nno end";
    let mut tap = Tap::around(&["sh", "-c", "cat; echo aside >&2; exit 3"]);
    tap.write(stream);
    assert_eq!(tap.close().code(), Some(3));
    let session = Session::open(&tap.capture()).unwrap();
    assert!(session.is_ended());
    for direction in [mcp_capture::Direction::ToServer, mcp_capture::Direction::ToClient] {
        assert_eq!(frames(&session, direction), stream);
    }
    let header = session.header();
    assert_eq!((header.server.as_str(), header.client.as_str(), header.transport.as_str()), ("case", "test", "stdio"));
    let mut records = (0..u32::try_from(session.index().len()).unwrap()).filter_map(|at| session.record(at).unwrap());
    assert!(records.any(|(_, record)| matches!(&record, Record::Stderr(bytes) if bytes == "aside\n")));
    assert!(records.any(|(_, record)| matches!(record, Record::Event(Event::Process(p)) if !p.started && p.code == Some(3))));
}

#[test]
fn secrets_of_variables_and_command_lines_are_replaced_unless_asked_for() {
    let secret = "hunter2hunter2";
    let script = "echo \"$MY_API_KEY\"; cat";
    for (options, is_raw) in [(&["--name", "case"][..], false), (&["--name", "case", "--raw"][..], true)] {
        let mut tap = Tap::start(options, &["sh", "-c", script, "--token", secret], &[("MY_API_KEY", secret)]);
        tap.write(format!("{{\"password\":\"{secret}\"}}\n").as_bytes());
        tap.close();
        let bytes = std::fs::read(tap.capture()).unwrap();
        let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert_eq!(is_there, is_raw);
    }
}

#[test]
fn of_100_300_healthy_calls_none_is_pending_lost_or_paired_wrongly() {
    let mut tap = Tap::calculator();
    for id in 1..=300 {
        tap.ping(id);
        assert_eq!(tap.hear()["id"], json!(id));
    }
    let mut next = 301;
    for _ in 0..5 {
        let burst: String = (next..next + 20_000)
            .map(|id| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}\n"))
            .collect::<Vec<_>>()
            .concat();
        let mut stdin = tap.child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || {
            std::io::Write::write_all(&mut stdin, burst.as_bytes()).unwrap();
            stdin
        });
        let mut seen = vec![false; 20_000];
        for _ in 0..20_000 {
            let id = tap.hear()["id"].as_u64().unwrap();
            assert!(!std::mem::replace(&mut seen[usize::try_from(id - next).unwrap()], true), "{id} was answered twice");
        }
        tap.child.stdin = Some(writer.join().unwrap());
        next += 20_000;
    }
    assert!(tap.close().success());
    let session = Session::open(&tap.capture()).unwrap();
    let calls: Vec<_> = rows(&session).into_iter().filter(|row| row.kind == RowKind::Operation).collect();
    // With the one that opens the session.
    assert_eq!(calls.len(), 100_301);
    assert_eq!(calls.iter().filter(|row| row.status != Status::Ok).count(), 0);
    for row in calls.iter().skip(1).step_by(997) {
        let [asked, answered] = [row.first, row.end.unwrap()].map(|at| session.payload(at).unwrap().unwrap());
        let id = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap()["id"].clone();
        assert_eq!(id(&asked), id(&answered));
    }
    assert!(rows(&session).iter().all(|row| row.kind != RowKind::Gap));
}

#[test]
fn a_killed_wrapper_leaves_a_capture_that_can_be_read() {
    let mut tap = Tap::calculator();
    tap.add(7, 2, 3);
    assert_eq!(tap.hear()["id"], json!(7));
    tap.recorded("the call is there", |session| rows(session).iter().any(|row| row.id != 0).then_some(()));
    // The answer may be in the next write.
    tap.recorded("and its answer", |session| (session.index().len() > 3).then_some(()));
    tap.child.kill().unwrap();
    tap.wait();
    let path = tap.capture();
    until("nobody records any more", || (!mcp_capture::store::is_live(&path)).then_some(()));
    let session = Session::open(&path).unwrap();
    assert!(!session.is_ended() && session.index().len() > 3);
}

#[test]
fn a_long_line_is_recorded_whole_and_a_longer_one_by_its_beginning() {
    let mut tap = Tap::around(&["sh", "-c", "cat >/dev/null"]);
    let line = vec![b'x'; 3 << 20];
    tap.write(&line);
    tap.write(b"\n");
    tap.write(&vec![b'y'; 65 << 20]);
    tap.write(b"\n{}\n");
    tap.close();
    let session = Session::open(&tap.capture()).unwrap();
    let mut lengths = Vec::new();
    for at in 0..u32::try_from(session.index().len()).unwrap() {
        if let Some((stamp, Record::Frame(bytes, length))) = session.record(at).unwrap() {
            lengths.push((bytes.len(), length, stamp.flags.has(Flags::TRUNCATED)));
        }
    }
    assert_eq!(lengths, [(3 << 20 | 1, 3 << 20 | 1, false), (64 << 10, 65 << 20 | 1, true), (3, 3, false)]);
}
