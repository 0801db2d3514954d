//! What recording costs the traffic, and what a million frames cost the viewer.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mcp_capture::{Direction, Filter, Hop, Needle, Options, Recorder, Redactor, Rows, Session};

const LONG: Duration = Duration::from_mins(10);

fn call(id: u32) -> Bytes {
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"tool_{}","arguments":{{"query":"panic in parser","limit":{id}}},"_meta":{{"progressToken":{id}}}}}}}{}"#,
        id % 43,
        "\n"
    ))
}

fn answer(id: u32) -> Bytes {
    Bytes::from(format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"found {id} issues\"}}]}}}}\n"
    ))
}

fn sink(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let mut number = 0;
    let mut run = |name: &str, redactor: fn() -> Option<Redactor>, c: &mut Criterion| {
        c.bench_function(name, |b| {
            b.iter_custom(|count| {
                number += 1;
                let path = dir.path().join(format!("{name}-{number}.mcpcap"));
                let (recorder, sink) = Recorder::start(&path, Options { redactor: redactor(), ..Options::default() }).unwrap();
                let frame = call(7);
                let mut spent = Duration::ZERO;
                // In bursts that fit the queue: what is dropped would be too cheap.
                let mut left = count;
                while left > 0 {
                    let burst = left.min(50_000);
                    let start = Instant::now();
                    for _ in 0..burst {
                        black_box(sink.frame(Hop::Client(1), Direction::ToServer, frame.clone()));
                    }
                    spent += start.elapsed();
                    recorder.flush(LONG);
                    left -= burst;
                }
                recorder.finish();
                spent
            });
        });
    };
    run("sink-frame", || None, c);
    run("sink-frame-redacted", || Some(Redactor::default()), c);
}

fn recorder(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let mut group = c.benchmark_group("recorder");
    group.sample_size(10);
    let mut number = 0;
    for (name, size, redact) in
        [("200-bytes", 0, false), ("200-bytes-redacted", 0, true), ("64-KiB", 65536, false), ("64-KiB-redacted", 65536, true)]
    {
        let pad = "x ".repeat(size / 2);
        let frames: Vec<Bytes> = (0..if size == 0 { 20_000 } else { 300 })
            .map(|id| {
                if size == 0 {
                    call(id)
                } else {
                    Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"text\":\"{pad}\"}}}}\n"))
                }
            })
            .collect();
        group.throughput(Throughput::Bytes(frames.iter().map(|f| f.len() as u64).sum()));
        group.bench_function(name, |b| {
            b.iter_batched(
                || {
                    number += 1;
                    let path = dir.path().join(format!("{name}-{number}.mcpcap"));
                    let redactor = redact.then(|| Redactor::new(["some-secret-value"]));
                    Recorder::start(&path, Options { redactor, ..Options::default() }).unwrap()
                },
                |(recorder, sink)| {
                    for frame in &frames {
                        sink.frame(Hop::Client(1), Direction::ToServer, frame.clone());
                    }
                    recorder.finish()
                },
                BatchSize::PerIteration,
            );
        });
    }
}

fn viewer(c: &mut Criterion) {
    const CALLS: u32 = 500_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("million.mcpcap");
    let options = Options { part_limit: 1 << 40, ..Options::default() };
    let (recorder, sink) = Recorder::start(&path, options).unwrap();
    for id in 0..CALLS {
        sink.frame(Hop::Client(1), Direction::ToServer, call(id));
        sink.frame(Hop::Client(1), Direction::ToClient, answer(id));
        if id % 10_000 == 0 {
            recorder.flush(LONG);
        }
    }
    assert_eq!(recorder.finish().lost, 0);
    let mut group = c.benchmark_group("million-frames");
    group.sample_size(10);
    group.bench_function("open", |b| b.iter(|| Session::open(&path).unwrap()));
    let session = Session::open(&path).unwrap();
    assert_eq!(session.rows().len(), CALLS as usize);
    group.bench_function("rows", |b| {
        b.iter(|| {
            let mut rows = Rows::default();
            rows.extend(session.index());
            rows
        });
    });
    for (name, text) in [
        ("filter-tool", "tool:tool_1*"),
        ("filter-mixed", "tool:tool_1* and (dur>500ms or is:error) and not client:cursor"),
        ("filter-pending", "is:pending"),
    ] {
        let filter: Filter = text.parse().unwrap();
        group.bench_function(name, |b| b.iter(|| session.filtered(&filter).unwrap()));
    }
    group.throughput(Throughput::Bytes(std::fs::metadata(&path).unwrap().len()));
    for (name, needle) in
        [("search-exact", Needle::text("found 499999 Issues")), ("search-any-case", Needle::text("found 499999 issues"))]
    {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut hits = 0;
                session
                    .search(&needle, 0, |_| {
                        hits += 1;
                        true
                    })
                    .unwrap();
                hits
            });
        });
    }
    let without = dir.path().join("alone.mcpcap");
    std::fs::copy(&path, &without).unwrap();
    group.bench_function("open-without-index", |b| b.iter(|| Session::open(&without).unwrap()));
}

criterion_group!(benches, sink, recorder, viewer);
criterion_main!(benches);
