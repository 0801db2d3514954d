//! What it costs to judge a hundred thousand frames.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mcp_capture::lint::{Linter, Profile};
use mcp_capture::{Direction, Hop, Limits, Options, Recorder, Session};

const FRAMES: u32 = 100_000;

/// An opening, a list of tools with schemas, and calls with progress that break nothing.
fn recorded(dir: &std::path::Path) -> Session {
    let path = dir.join("calls.mcpcap");
    let limits = Limits { bytes: 1 << 30, records: 10_000_000 };
    let (recorder, sink) = Recorder::start(&path, Options { limits, ..Options::default() }).unwrap();
    let say = |direction, text: String| {
        sink.frame(Hop::Client(1), direction, Bytes::from(text + "\n"));
    };
    let (ask, tell) = (Direction::ToServer, Direction::ToClient);
    say(ask, r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#.into());
    say(tell, r#"{"jsonrpc":"2.0","id":"i","result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}"#.into());
    say(ask, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.into());
    let tool = |n: u32| {
        format!(
            r#"{{"name":"tool_{n}","description":"finds things","inputSchema":{{"type":"object","properties":{{"query":{{"type":"string","minLength":1}},"limit":{{"type":"integer","minimum":0}}}},"required":["query"]}}}}"#
        )
    };
    let tools: Vec<String> = (0..43).map(tool).collect();
    say(ask, r#"{"jsonrpc":"2.0","id":"l","method":"tools/list"}"#.into());
    say(tell, format!(r#"{{"jsonrpc":"2.0","id":"l","result":{{"tools":[{}]}}}}"#, tools.join(",")));
    for id in 0..FRAMES / 4 {
        let name = id % 43;
        say(
            ask,
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"tool_{name}","arguments":{{"query":"panic in parser","limit":{id}}},"_meta":{{"progressToken":{id}}}}}}}"#
            ),
        );
        for step in 1..3 {
            say(
                tell,
                format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{id},"progress":{step},"total":2}}}}"#
                ),
            );
        }
        say(
            tell,
            format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"found {id} issues"}}]}}}}"#),
        );
    }
    recorder.finish();
    Session::open(&path).unwrap()
}

fn lint(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let session = recorded(dir.path());
    let mut group = c.benchmark_group("lint");
    group.sample_size(10).measurement_time(Duration::from_secs(10)).throughput(Throughput::Elements(u64::from(FRAMES)));
    group.bench_function("session_of_100_000_frames", |b| {
        b.iter(|| {
            let found = Linter::new(Profile::default()).check_session(&session).unwrap();
            assert!(found.is_empty(), "{found:?}");
            black_box(found)
        });
    });
    group.finish();
}

criterion_group!(benches, lint);
criterion_main!(benches);
