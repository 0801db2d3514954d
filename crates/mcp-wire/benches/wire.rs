//! What a message costs on its way through: cutting the stream, reading the envelope, changing the id, and that beside a
//! program that reads everything and prints it anew.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mcp_wire::{Frame, lines::Lines, object};

fn call(message: usize) -> String {
    let message = "a message, \\\"quoted\\\" now and then; ".repeat(message / 33 + 1);
    format!(
        r#"{{"jsonrpc":"2.0","id":1000000001,"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"{message}"}},"_meta":{{"progressToken":7,"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
    )
}

fn answer(size: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":17,"result":{{"content":[{{"type":"text","text":"{}"}}]}}}}"#, "x".repeat(size))
}

/// Small numbers in objects in arrays: all structure, no long strings to run over.
fn table(bytes: usize) -> String {
    let row = r#"{"id":12345,"name":"row","tags":["a","b"],"score":0.25,"ok":true},"#;
    let rows = row.repeat(bytes / row.len() + 1);
    format!(r#"{{"jsonrpc":"2.0","id":17,"result":{{"structuredContent":{{"rows":[{}]}}}}}}"#, rows.trim_end_matches(','))
}

fn by_value(text: &str) -> Vec<u8> {
    let mut value: serde_json::Value = serde_json::from_str(text).unwrap();
    value["id"] = 4_711.into();
    serde_json::to_vec(&value).unwrap()
}

fn benches(c: &mut Criterion) {
    let messages = [
        ("call of 256 bytes", call(256)),
        ("answer of 256 bytes", answer(256)),
        ("answer of 1 MiB", answer(1 << 20)),
        ("table of 1 MiB", table(1 << 20)),
        ("answer of 10 MiB", answer(10 << 20)),
    ];
    for (name, text) in messages {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(text.len() as u64));
        let bytes = Bytes::from(text.clone());
        group.bench_function("read the envelope", |b| b.iter(|| Frame::parse(black_box(bytes.clone())).unwrap()));
        let frame = Frame::parse(bytes.clone()).unwrap();
        group.bench_function("ask for id and method", |b| b.iter(|| black_box((frame.id(), frame.method().len()))));
        group.bench_function("give it another id", |b| b.iter(|| black_box(&frame).with_id(black_box("4711"))));
        group.bench_function("read and give it another id", |b| {
            b.iter(|| black_box(Frame::parse(black_box(bytes.clone())).unwrap().with_id(black_box("4711"))));
        });
        group.bench_function("the same by serde_json::Value", |b| b.iter(|| by_value(black_box(&text))));
        group.bench_function("find a member three deep", |b| {
            b.iter(|| black_box(object::find_path(black_box(&text), &["params", "_meta", "progressToken"])));
        });
        group.bench_function("find it through the frame", |b| {
            b.iter(|| black_box(black_box(&frame).find(&["params", "_meta", "progressToken"])));
        });
        // As a pipe gives it.
        let stream = text.clone() + "\n";
        group.bench_function("cut it off a stream", |b| {
            b.iter(|| {
                let mut lines = Lines::new(64 << 20);
                for part in stream.as_bytes().chunks(64 * 1024) {
                    lines.push(black_box(part));
                }
                lines.next_line().unwrap()
            });
        });
        group.finish();
    }
}

criterion_group!(wire, benches);
criterion_main!(wire);
