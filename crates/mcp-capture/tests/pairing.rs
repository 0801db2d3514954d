//! Operations made of frames.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod common;

use common::{record, record_with, rows};
use mcp_capture::event::{Event, Http, HttpPhase, Peer};
use mcp_capture::{Direction, EndedBy, Hop, RowFlags, RowKind, Session, Status};

fn shape(session: &Session) -> Vec<String> {
    rows(session)
        .iter()
        .map(|row| {
            let (method, name) = session.index().symbols.get(row.operation);
            let entries = session.rows().entries(row.number).len();
            format!("{method}{}{name} {} {entries}", if name.is_empty() { "" } else { " " }, row.status.word())
        })
        .collect()
}

#[test]
fn answer_progress_log_and_nested_request_are_one_row() {
    let made = record(
        r#"
        > {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":"p"}}}
        < {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}
        < {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}
        < {"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}
        > {"jsonrpc":"2.0","id":1,"result":{"role":"assistant"}}
        ! warming up
        < Loading model
        < {"jsonrpc":"2.0","id":1,"result":{"content":[]}}
        < {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}
        "#,
    );
    assert_eq!(shape(&made.session), ["tools/call t ok 6", "  1", "  1", "notifications/message info  1"]);
    let all = rows(&made.session);
    assert!([RowFlags::NESTED, RowFlags::STDERR, RowFlags::STRAY].iter().all(|f| all[0].flags.has(*f)));
    assert_eq!([all[1].kind, all[2].kind], [RowKind::Stderr, RowKind::Stray]);
    assert!(all[0].duration.is_some());
}

#[test]
fn log_lines_and_nested_requests_of_two_calls_at_once_are_not_guessed() {
    let made = record(
        r#"
        > {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}
        > {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"b"}}
        < {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}
        < {"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{}}
        > {"jsonrpc":"2.0","id":"q","result":{}}
        < {"jsonrpc":"2.0","id":2,"result":{}}
        < {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"warning"}}
        < {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}
        "#,
    );
    assert_eq!(
        shape(&made.session),
        ["tools/call a error 3", "tools/call b ok 2", "notifications/message info  1", "elicitation/create ok 2"]
    );
}

#[test]
fn ids_are_compared_as_spelt_and_by_client_and_direction() {
    let made = record(
        r#"
        1> {"jsonrpc":"2.0","id":1,"method":"ping"}
        2> {"jsonrpc":"2.0","id":1,"method":"ping"}
        1> {"jsonrpc":"2.0","id":"1","method":"ping"}
        1> {"jsonrpc":"2.0","id":1.0,"method":"ping"}
        1< {"jsonrpc":"2.0","id":1,"method":"ping"}
        2< {"jsonrpc":"2.0","id":1,"result":{}}
        1< {"jsonrpc":"2.0","id":"1","result":{}}
        "#,
    );
    let open: Vec<bool> = rows(&made.session).iter().map(|row| row.status.is_open()).collect();
    assert_eq!(open, [true, false, false, true, true]);
}

#[test]
fn cancelled_late_and_double_answers_are_told_apart() {
    let made = record(
        r#"
        > {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}
        > {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"user"}}
        < {"jsonrpc":"2.0","id":1,"result":{}}
        > {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t"}}
        > {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2,"reason":"Request timed out"}}
        > {"jsonrpc":"2.0","id":3,"method":"ping"}
        < {"jsonrpc":"2.0","id":3,"result":{}}
        < {"jsonrpc":"2.0","id":3,"result":{}}
        > {"jsonrpc":"2.0","id":3,"method":"tools/list"}
        < {"jsonrpc":"2.0","id":3,"result":{}}
        < {"jsonrpc":"2.0","id":99,"result":{}}
        "#,
    );
    let all = rows(&made.session);
    let status: Vec<Status> = all.iter().map(|row| row.status).collect();
    assert_eq!(status, [Status::Cancelled, Status::TimedOut, Status::Ok, Status::Ok, Status::None]);
    assert!(all[0].flags.has(RowFlags::LATE) && all[0].ended_by == EndedBy::Client);
    assert!(!all[1].flags.has(RowFlags::LATE));
    assert!(all[2].flags.has(RowFlags::DUPLICATE) && !all[3].flags.has(RowFlags::DUPLICATE));
    assert!(all[4].kind == RowKind::Answer && all[4].flags.has(RowFlags::LINT));
}

#[test]
fn retries_with_input_are_the_same_operation() {
    let made = record(
        r#"
        1> {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"book"}}
        1< {"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","inputRequests":{"a":{}},"requestState":"s1"}}
        2> {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"book","requestState":"s1","inputResponses":{"a":{}},"_meta":{"progressToken":4}}}
        2< {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":4,"progress":1}}
        2< {"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","inputRequests":{"b":{}}}}
        3> {"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"book","inputResponses":{"b":{}}}}
        3< {"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","content":[]}}
        4> {"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"book"}}
        "#,
    );
    assert_eq!(shape(&made.session), ["tools/call book ok 7", "tools/call book pending 1"]);
    assert!(rows(&made.session)[0].flags.has(RowFlags::RETRIED));
}

#[test]
fn polls_of_a_task_belong_to_the_call_that_made_it() {
    let modern = record(
        r#"
        > {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"long"}}
        < {"jsonrpc":"2.0","id":1,"result":{"resultType":"task","taskId":"t1","status":"working"}}
        > {"jsonrpc":"2.0","id":2,"method":"tasks/get","params":{"taskId":"t1"}}
        < {"jsonrpc":"2.0","id":2,"result":{"taskId":"t1","status":"working"}}
        > {"jsonrpc":"2.0","id":3,"method":"tasks/get","params":{"taskId":"t1"}}
        < {"jsonrpc":"2.0","id":3,"result":{"taskId":"t1","status":"completed","result":{}}}
        "#,
    );
    assert_eq!(shape(&modern.session), ["tools/call long ok 6"]);
    let legacy = record(
        r#"
        > {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"long","task":{"ttl":1}}}
        < {"jsonrpc":"2.0","id":1,"result":{"task":{"taskId":"t1","status":"working"}}}
        < {"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"t1","status":"working"}}
        > {"jsonrpc":"2.0","id":3,"method":"tasks/result","params":{"taskId":"t1"}}
        < {"jsonrpc":"2.0","id":3,"result":{"isError":true,"content":[]}}
        > {"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"long","task":{"ttl":1}}}
        < {"jsonrpc":"2.0","id":4,"result":{"task":{"taskId":"t2","status":"working"}}}
        "#,
    );
    assert_eq!(shape(&legacy.session), ["tools/call long failed 5", "tools/call long task 2"]);
}

#[test]
fn what_is_open_closes_with_its_client_its_stream_or_the_server() {
    let made = record_with(common::options(), |sink| {
        common::say(sink, r#"1> {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#);
        common::say(sink, r#"2> {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"b"}}"#);
        let frame = sink.frame(
            Hop::Client(3),
            Direction::ToServer,
            bytes::Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"c"}}"#),
        );
        sink.event(Hop::Client(3), Event::Http(Http { frame, phase: HttpPhase::Dropped, ..Http::default() }));
        sink.event(Hop::Client(1), Event::Peer(Peer { peer: 1, open: false, ..Peer::default() }));
        common::say(sink, "x process ends");
        common::say(sink, r#"2< {"jsonrpc":"2.0","id":1,"result":{}}"#);
        common::say(sink, r#"4> {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"d"}}"#);
        common::say(sink, "x process ends");
    });
    let calls: Vec<(Status, EndedBy)> =
        rows(&made.session).iter().filter(|r| r.kind == RowKind::Operation).map(|r| (r.status, r.ended_by)).collect();
    assert_eq!(
        calls,
        [
            (Status::Closed, EndedBy::Left),
            (Status::Ok, EndedBy::Answer),
            (Status::Cancelled, EndedBy::Stream),
            (Status::Closed, EndedBy::Process)
        ]
    );
}

#[test]
fn messages_of_a_batch_are_paired_one_by_one() {
    let made = record(
        r#"
        > [{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"tools/list"},{"jsonrpc":"2.0","method":"notifications/initialized"},7]
        < [{"jsonrpc":"2.0","id":2,"result":{}},{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}]
        "#,
    );
    assert_eq!(shape(&made.session), ["ping error 2", "tools/list ok 2", "notifications/initialized  1", "  1"]);
}

#[test]
fn twenty_thousand_in_flight_are_all_paired_in_any_order() {
    let made = record_with(common::options(), |sink| {
        for id in 0..20_000 {
            common::say(
                sink,
                &format!(r#"> {{"jsonrpc":"2.0","id":"id-{id}","method":"tools/call","params":{{"name":"t{}"}}}}"#, id % 7),
            );
        }
        for id in 0..20_000_u32 {
            let id = (id * 7919) % 20_000;
            common::say(sink, &format!(r#"< {{"jsonrpc":"2.0","id":"id-{id}","result":{{"n":{id}}}}}"#));
        }
    });
    let session = &made.session;
    let all = rows(session);
    assert_eq!(all.len(), 20_000);
    for row in all {
        assert_eq!(row.status, Status::Ok);
        let ids = [row.first, row.end.unwrap()].map(|at| session.payload(at).unwrap().unwrap());
        let id = |bytes: &[u8]| mcp_wire::Frame::parse(bytes::Bytes::copy_from_slice(bytes)).unwrap().id().unwrap().to_owned();
        assert_eq!(id(&ids[0]), id(&ids[1]));
    }
}

#[test]
fn rows_are_the_same_whether_they_came_one_by_one_or_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.mcpcap");
    let (recorder, sink) = mcp_capture::Recorder::start(&path, common::options()).unwrap();
    let mut live = Session::open(&path).unwrap();
    let mut changed = false;
    for id in 0..50 {
        common::say(
            &sink,
            &format!(
                r#"> {{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t","_meta":{{"progressToken":{id}}}}}}}"#
            ),
        );
        assert!(recorder.flush(std::time::Duration::from_mins(1)));
        live.refresh().unwrap();
        // Somebody else looks at the same, and goes on for itself.
        let mut other = live.clone();
        let before = rows(&other);
        common::say(
            &sink,
            &format!(r#"< {{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{id}}}}}"#),
        );
        common::say(&sink, &format!(r#"< {{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
        assert!(recorder.flush(std::time::Duration::from_mins(1)));
        changed |= live.refresh().unwrap().rows_changed;
        assert_eq!(rows(&other), before);
        other.refresh().unwrap();
        assert_eq!(rows(&other), rows(&live));
    }
    recorder.finish();
    live.refresh().unwrap();
    assert!(changed && live.is_ended());
    assert_eq!(rows(&live), rows(&Session::open(&path).unwrap()));
}
