//! What a draw costs: a list of a million rows, a payload of 50 MB.
#![allow(missing_docs, reason = "criterion's macros make items without documentation")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use mcp_tui::{
    keymap::Action,
    list::{Cell, Column, List, Row},
    theme::{Role, Theme},
    tree::Tree,
};
use ratatui::{buffer::Buffer, layout::Rect};

const AREA: Rect = Rect { x: 0, y: 0, width: 200, height: 50 };

const COLUMNS: [Column; 6] = [
    Column { title: "#", width: 8, grow: 0, is_right: true, priority: 0 },
    Column { title: "time", width: 10, grow: 0, is_right: false, priority: 2 },
    Column { title: "from", width: 10, grow: 0, is_right: false, priority: 3 },
    Column { title: "op", width: 20, grow: 1, is_right: false, priority: 0 },
    Column { title: "status", width: 10, grow: 0, is_right: false, priority: 1 },
    Column { title: "bytes", width: 8, grow: 0, is_right: true, priority: 4 },
];

fn row(number: usize) -> Row {
    let cells = vec![
        Cell::new(number.to_string(), Role::Dim),
        Cell::new("15:30:07", Role::Dim),
        Cell::new("claude", Role::Text),
        Cell::new(format!("tools/call search_issues {number}"), Role::Text),
        Cell::new("ok", Role::Ok),
        Cell::new("91.0 kB", Role::Number),
    ];
    Row { cells, sign: None, indent: 0 }
}

fn lists(c: &mut Criterion) {
    let mut list = List::default();
    list.set_height(49);
    list.set_total(1_000_000);
    list.select(500_000);
    let mut buffer = Buffer::empty(AREA);
    c.bench_function("list of 1e6 rows, draw 200x50", |b| {
        b.iter(|| {
            list.update(Action::Down);
            list.draw(AREA, &mut buffer, &Theme::default(), &COLUMNS, row);
        });
    });
}

/// 50 MB as a server might send them: many small issues.
fn issues() -> Bytes {
    let issue = r#"{"number": 812, "title": "panic in parser", "labels": ["bug", "p1"], "body": "It \"fails\" when the input is empty, see above.", "score": 0.50},"#;
    let count = 50_000_000 / issue.len();
    let list = issue.repeat(count);
    Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"issues":[{}],"text":""}}}}"#, list.trim_end_matches(',')))
}

/// 50 MB in one string.
fn one_string() -> Bytes {
    Bytes::from(format!(r#"{{"result":{{"content":[{{"type":"text","text":"{}"}}]}}}}"#, "0123456789abcdef ".repeat(2_941_176)))
}

fn trees(c: &mut Criterion) {
    let mut group = c.benchmark_group("tree of 50 MB");
    group.sample_size(10);
    for (name, bytes) in [("many objects", issues()), ("one string", one_string())] {
        group.bench_function(format!("{name}, open"), |b| b.iter(|| Tree::open(black_box(bytes.clone()))));
        let mut tree = Tree::open(bytes.clone()).expect("it is JSON");
        tree.set_height(50);
        group.bench_function(format!("{name}, unfold three levels"), |b| b.iter(|| tree.unfold_to(black_box(3))));
        let mut buffer = Buffer::empty(AREA);
        group.bench_function(format!("{name}, draw 200x50"), |b| {
            b.iter(|| {
                tree.update(Action::Down);
                tree.draw(AREA, &mut buffer, &Theme::default());
            });
        });
        group.bench_function(format!("{name}, search for what is not there"), |b| {
            b.iter(|| tree.search(black_box("no such words")));
        });
    }
    group.finish();
}

criterion_group!(benches, lists, trees);
criterion_main!(benches);
