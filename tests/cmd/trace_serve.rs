//! `mcp trace serve`, asked by a client on rmcp in both eras.

use std::time::Duration;

use mcp_capture::Header;
use mcp_servers::probe::{Called, Era, ServerCommand, call_stdio};
use serde_json::{Value as Json, json};

use crate::captures::{LEGACY, MODERN, STARTED, Tape, header};
use crate::home::Home;

const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];
const FILES: &str = "20261124T103316Z-files-claude_code-7";
const NOTES: &str = "20261124T113316Z-notes-claude_code-8";

fn recorded() -> Home {
    let home = Home::new();
    let captures = home.path("of-mcp/state/captures");
    Tape::of("files").say(LEGACY).ended(&captures.join(format!("{FILES}.mcpcap")));
    let header = Header { session: "ab".into(), server: "notes".into(), started_ms: STARTED + 3_600_000, ..header() };
    Tape::with(&header).say(MODERN).ended(&captures.join(format!("{NOTES}.mcpcap")));
    home
}

fn asked(home: &Home, era: Era, tool: &str, arguments: Json) -> Called {
    let command = ServerCommand {
        program: env!("CARGO_BIN_EXE_mcp").into(),
        args: ["trace", "serve"].map(Into::into).to_vec(),
        env: vec![("MCP_HOME".into(), home.path("of-mcp").into())],
        cwd: Some(home.work()),
    };
    call_stdio(&command, era, tool, arguments, Duration::from_mins(1)).unwrap()
}

fn answer(home: &Home, era: Era, tool: &str, arguments: Json) -> Json {
    let called = asked(home, era, tool, arguments);
    assert!(!called.is_error, "{}", called.result_text);
    assert_eq!(called.tools, ["list_sessions", "search", "show_operation", "stats", "compare"]);
    let structured = called.structured.unwrap();
    assert_eq!(serde_json::from_str::<Json>(&called.result_text).unwrap(), structured, "old clients read the same as text");
    structured
}

#[test]
fn every_tool_answers_in_both_eras() {
    let home = recorded();
    for era in ERAS {
        let listed = answer(&home, era, "list_sessions", json!({}));
        assert_eq!((listed["sessions"][0]["name"].as_str(), listed["next_cursor"].as_str()), (Some(NOTES), None));
        assert_eq!((listed["sessions"][1]["operations"].as_u64(), listed["sessions"][1]["errors"].as_u64()), (Some(7), Some(2)));
        let found = answer(&home, era, "search", json!({ "filter": "tool:search is:ok", "session": "files" }));
        assert_eq!((found["found"].as_array().unwrap().len(), found["found"][0]["number"].as_u64()), (2, Some(6)));
        let shown = answer(&home, era, "show_operation", json!({ "session": "files", "number": 6 }));
        let text: Json = serde_json::from_str(shown["text"].as_str().unwrap()).unwrap();
        assert_eq!((text["arguments"]["query"].as_str(), text["messages"].as_array().unwrap().len()), (Some("panic"), 4));
        let stats = answer(&home, era, "stats", json!({ "session": "files" }));
        assert_eq!(stats["never_called"], json!(["unused"]));
        let compared = answer(&home, era, "compare", json!({ "before": "files", "after": "notes" }));
        assert_eq!(compared["counts"]["drift"], 3, "{compared}");
    }
}

#[test]
fn long_answers_go_on_where_they_stopped() {
    let home = recorded();
    let (mut cursor, mut pages) = (Json::Null, Vec::new());
    loop {
        let mut arguments = json!({ "filter": "is:call", "limit": 3 });
        if !cursor.is_null() {
            arguments["cursor"] = cursor;
        }
        let page = answer(&home, Era::Modern, "search", arguments);
        pages.extend(page["found"].as_array().unwrap().iter().map(|f| (f["session"].clone(), f["number"].clone())));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    let distinct: std::collections::HashSet<String> = pages.iter().map(|page| format!("{page:?}")).collect();
    assert_eq!((pages.len(), distinct.len()), (10, 10));

    let first = answer(&home, Era::Legacy, "list_sessions", json!({ "limit": 1 }));
    assert_eq!(first["next_cursor"], NOTES);
    let second = answer(&home, Era::Legacy, "list_sessions", json!({ "limit": 1, "cursor": NOTES }));
    assert_eq!((second["sessions"][0]["name"].as_str(), second["next_cursor"].as_str()), (Some(FILES), None));

    let whole = answer(&home, Era::Modern, "show_operation", json!({ "session": "files", "number": 6 }));
    let (mut text, mut offset) = (String::new(), json!(0));
    while !offset.is_null() {
        let piece = answer(
            &home,
            Era::Modern,
            "show_operation",
            json!({ "session": "files", "number": 6, "offset": offset, "max_chars": 700 }),
        );
        text.push_str(piece["text"].as_str().unwrap());
        offset = piece["next_offset"].clone();
    }
    assert_eq!(text, whole["text"].as_str().unwrap());
}

#[test]
fn a_call_that_makes_no_sense_is_told_how_to_mend_it() {
    let home = recorded();
    home.write("elsewhere.mcpcap", std::fs::read(home.path(&format!("of-mcp/state/captures/{FILES}.mcpcap"))).unwrap());
    let outside = home.path("elsewhere.mcpcap").display().to_string();
    for (tool, arguments, says) in [
        ("search", json!({ "filter": "dur>1x" }), "`filter` is no filter"),
        ("search", json!({ "filter": "x", "cursor": "y" }), "`cursor` is none of ours"),
        ("show_operation", json!({ "session": "files" }), "`number` is missing"),
        ("show_operation", json!({ "session": "files", "number": 999 }), "has no record 999"),
        ("stats", json!({ "session": "nobody" }), "list_sessions"),
        ("stats", json!({ "session": outside }), "there is no session"),
        ("compare", json!({ "before": "files" }), "`after` is missing"),
    ] {
        let called = asked(&home, Era::Legacy, tool, arguments.clone());
        assert!(called.is_error && called.result_text.contains(says), "{tool} {arguments}: {}", called.result_text);
    }
    let empty = Home::new();
    assert_eq!(answer(&empty, Era::Modern, "list_sessions", json!({}))["sessions"], json!([]));
}
