//! An edit of a file like `~/.claude.json`, end to end with its check, against programs that print the file anew.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jsonc_parser::cst::CstInputValue;
use mcp_edit::{Document, Format, Op, Path, Value};

/// Projects with their prompt histories: what makes the real file large.
fn claude_json(bytes: usize) -> String {
    let mut text = String::from("{\n  \"numStartups\": 184,\n  \"projects\": {");
    let mut project = 0;
    while text.len() < bytes {
        text.push_str(if project == 0 { "\n" } else { ",\n" });
        write!(text, "    \"/home/me/code/project-{project}\": {{\n      \"allowedTools\": [],\n      \"history\": [\n").unwrap();
        for i in 0..100 {
            let comma = if i < 99 { "," } else { "" };
            write!(
                text,
                "        {{\n          \"display\": \"Prompt {i}: why does \\\"cargo test\\\" fail here? It printed this:\\n{}\",\n          \
                 \"pastedContents\": {{}}\n        }}{comma}\n",
                "thread 'main' panicked at src/main.rs: index out of bounds ".repeat(i % 7),
            )
            .unwrap();
        }
        text.push_str(
            "      ],\n      \"mcpServers\": {},\n      \"lastCost\": 0.25,\n      \"hasTrustDialogAccepted\": true\n    }",
        );
        project += 1;
    }
    text.push_str("\n  },\n  \"mcpServers\": {\n    \"time\": {\n      \"command\": \"uvx\",\n      \"args\": [\n        \"mcp-server-time\"\n      ]\n    }\n  }\n}\n");
    text
}

fn edit(text: &str, op: &Op) -> String {
    Document::parse(text, Format::Json).unwrap().plan(std::slice::from_ref(op)).unwrap().apply(text)
}

fn by_serde(text: &str) -> String {
    let mut root: serde_json::Value = serde_json::from_str(text).unwrap();
    root["mcpServers"]["calculator"] = serde_json::json!({"command": "mcp", "args": ["serve", "calculator"]});
    serde_json::to_string_pretty(&root).unwrap()
}

fn by_jsonc_parser(text: &str) -> String {
    let root = jsonc_parser::cst::CstRootNode::parse(text, &jsonc_parser::ParseOptions::default()).unwrap();
    let servers = root.object_value_or_set().object_value_or_set("mcpServers");
    let text = |text: &str| CstInputValue::String(text.to_owned());
    let args = CstInputValue::Array(vec![text("serve"), text("calculator")]);
    servers.append("calculator", CstInputValue::Object(vec![("command".to_owned(), text("mcp")), ("args".to_owned(), args)]));
    root.to_string()
}

fn benches(c: &mut Criterion) {
    let entry = Value::object([("command", Value::from("mcp")), ("args", Value::strings(["serve", "calculator"]))]);
    let add = Op::set(Path::keys(["mcpServers", "calculator"]), entry);
    let change = Op::set(Path::keys(["mcpServers", "time", "command"]), Value::from("npx"));
    for (name, bytes) in [("10 MB", 10_000_000), ("30 kB", 30_000)] {
        let text = claude_json(bytes);
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(20);
        group.bench_function("parse", |b| b.iter(|| Document::parse(black_box(&text), Format::Json).is_ok()));
        group.bench_function("add a server", |b| b.iter(|| edit(black_box(&text), &add)));
        group.bench_function("change a server", |b| b.iter(|| edit(black_box(&text), &change)));
        group.bench_function("baseline: serde_json::Value, parse and print", |b| b.iter(|| by_serde(black_box(&text))));
        group.bench_function("baseline: jsonc-parser tree", |b| b.iter(|| by_jsonc_parser(black_box(&text))));
        group.finish();
    }
}

criterion_group!(json, benches);
criterion_main!(json);
