//! `mcp trace` as people and scripts meet it.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use mcp_capture::event::{Event, Http, HttpPhase};
use mcp_capture::{Direction, Flags, Header, Hop, Options, Recorder};
use serde_json::Value as Json;

use crate::captures::{LEGACY, MODERN, STARTED, Tape, header};
use crate::home::{Home, Run};

const FILES: &str = "20261124T103316Z-files-claude_code-7";
const NOTES: &str = "20261124T113316Z-notes-claude_code-8";

fn place(home: &Home, name: &str) -> PathBuf {
    home.path("of-mcp/state/captures").join(format!("{name}.mcpcap"))
}

/// A home whose captures are where they are on every system.
fn home() -> Home {
    let home = Home::new();
    let root = home.path("of-mcp").display().to_string();
    home.var("MCP_HOME", &root)
}

/// An hour after the first session began; `files` was recorded, and an hour later `notes`.
fn recorded() -> Home {
    let home = home().var("MCP_TEST_NOW", &(STARTED + 7_200_000).to_string());
    Tape::of("files").say(LEGACY).ended(&place(&home, FILES));
    let header =
        Header { session: "00000000000000ab".into(), server: "notes".into(), started_ms: STARTED + 3_600_000, ..header() };
    Tape::with(&header).say(MODERN).ended(&place(&home, NOTES));
    home
}

fn lines(run: &Run) -> Vec<Json> {
    run.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn nothing_was_recorded_yet_and_every_command_says_what_to_do() {
    let home = home();
    home.run("trace ls").ok().says(&["Nothing was recorded yet", "mcp tap attach NAME"]);
    assert_eq!(home.run("trace ls --json").ok().json("mcp.trace.ls/1")["sessions"], serde_json::json!([]));
    for line in ["trace show", "trace tail", "trace grep x", "trace stats", "trace export", "trace diff -2 -1", "mock latest"] {
        let run = home.run(line).ends(1).says(&["nothing was recorded yet", "mcp tap attach NAME"]);
        assert_eq!(run.out, "", "{line}");
    }
    assert!(!home.path("of-mcp").exists(), "looking makes nothing");
}

#[test]
fn sessions_are_listed_newest_first() {
    let home = recorded();
    insta::assert_snapshot!(home.run("trace ls").ok().shown());
    insta::assert_snapshot!(home.run("trace ls --json").ok().shown());
    for (line, names) in [
        ("trace ls notes", vec![NOTES]),
        ("trace ls is:error", vec![FILES]),
        ("trace ls --limit 1", vec![NOTES]),
        ("trace ls --since 90m", vec![NOTES]),
        ("trace ls tool:write", vec![NOTES, FILES]),
    ] {
        let answer = home.run(&format!("{line} --json")).ok().json("mcp.trace.ls/1");
        let found: Vec<&str> = answer["sessions"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
        assert_eq!(found, names, "{line}");
    }
    home.run("trace ls tool:nothing").ends(1).says(&["No session fits"]);
}

#[test]
fn a_refused_try_of_the_newer_era_is_neither_the_era_nor_an_error() {
    let probe = r#"
    > {"jsonrpc":"2.0","id":"d","method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}
    < {"jsonrpc":"2.0","id":"d","error":{"code":-32601,"message":"Method not found"}}
    "#;
    let opened = LEGACY.lines().take(4).collect::<Vec<_>>().join("\n");
    for (script, era, revision, errors) in [
        (format!("{probe}{opened}"), "legacy", Json::from("2025-11-25"), 0),
        (probe.to_owned(), "modern", Json::from("2026-07-28"), 1),
    ] {
        let home = home();
        Tape::of("files").say(&script).ended(&place(&home, FILES));
        let listed = &home.run("trace ls --json").ok().json("mcp.trace.ls/1")["sessions"][0];
        assert_eq!((&listed["era"], &listed["revision"], &listed["errors"]), (&Json::from(era), &revision, &Json::from(errors)));
    }
}

#[cfg(unix)]
#[test]
fn what_a_client_without_variables_had_recorded_is_found_by_a_shell_with_them() {
    // Codex hands on eleven variables, and none of XDG's is among them.
    let home = Home::new();
    home.fed(&["tap", "--name", "echo", "--", "/bin/cat"], "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n").ok();
    let elsewhere = home.path("elsewhere").display().to_string();
    let shell = home.var("XDG_STATE_HOME", &elsewhere);
    shell.run("trace show latest").ok().says(&["ping"]);
}

#[test]
fn sessions_are_found_by_all_their_names() {
    let home = recorded();
    home.write("copy.mcpcap", std::fs::read(place(&home, FILES)).unwrap());
    for name in [FILES, "files", "20261124T103", "-2", "../copy.mcpcap", "00c0ffee00c0ffee"] {
        home.run(&format!("trace show {name} tool:search")).ok().says(&["tools/call search query=panic limit=50"]);
    }
    home.run("trace show latest").ok().says(&["server/discover"]);
    home.run("trace show -3").ends(1).says(&["there is no session -3: there are 2"]);
    home.run("trace show nobody").ends(1).says(&["there is no session `nobody`", "mcp trace ls"]);
    home.run("trace show 2026").ends(2).says(&["`2026` could be several sessions", NOTES, FILES]);
    home.write("text.mcpcap", "hello");
    home.run("trace show ../text.mcpcap").ends(3).says(&["it does not begin as a capture does", "made by `mcp tap`"]);
}

#[test]
fn operations_of_a_session() {
    let home = recorded();
    insta::assert_snapshot!(home.run("trace show files").ok().shown());
    insta::assert_snapshot!(home.run("trace show notes").ok().shown());
    insta::assert_snapshot!(home.mcp(&["trace", "show", "files", "is:error tool:write", "--json"]).ok().shown());
    home.run("trace show files tool:nothing").ends(1).says(&["0 of"]);
    home.run("trace show files dur>1x").ends(2).says(&["this is no filter", "^"]);
    assert_eq!(
        home.run("trace show files --limit 2 --json").ok().json("mcp.trace.show/1")["operations"].as_array().unwrap().len(),
        2
    );
}

#[test]
fn one_operation_in_full() {
    let home = recorded();
    insta::assert_snapshot!(home.run("trace show files 6").ok().shown());
    insta::assert_snapshot!(home.run("trace show files 6 --json").ok().shown());
    insta::assert_snapshot!(home.run("trace show files 11").ok().shown());
    // Any message of it will do.
    home.run("trace show files 9").ok().says(&["#6 tools/call search"]);
    home.run("trace show files 12345").ends(1).says(&["has no record 12345"]);
    home.run("trace show files 15").ok().says(&["listening on port 3000"]);
}

#[test]
fn digits_and_bytes_are_the_ones_that_came() {
    let home = recorded();
    let answer = home.run("trace show files 6 --json").ok();
    answer.says(&["123456789012345678901234567890"]);
    let raw = home.run("trace show files 6 --raw").ok();
    let wanted: Vec<&str> =
        LEGACY.lines().filter(|l| ["\"id\":2", "Token\":2", "half way"].iter().any(|w| l.contains(w))).collect();
    let wanted: Vec<String> = wanted.iter().map(|l| format!("{}\n", &l[l.find('{').unwrap()..])).collect();
    assert_eq!(raw.out, wanted.concat());
}

#[test]
fn found_in_all_sessions() {
    let home = recorded();
    insta::assert_snapshot!(home.run("trace grep tool:write").ok().shown());
    let found = lines(&home.run("trace grep is:stderr|stray --json").ok());
    assert!(found.iter().all(|line| line["schema"] == "mcp.trace.grep/1" && line["session"] == FILES), "{found:?}");
    assert_eq!(lines(&home.run("trace grep tool:write notes --json").ok()).len(), 1);
    assert_eq!(lines(&home.run("trace grep method:* --limit 3 --json").ok()).len(), 3);
    home.mcp(&["trace", "grep", "json $.result.structuredContent.matches > 3"]).ok().says(&["limit=50"]);
    home.run("trace grep no-such-text").ends(1).says(&["Nothing fits"]);
}

#[test]
fn an_ended_session_is_told_to_its_end() {
    let home = recorded();
    let run = home.run("trace tail files -n 2").ok();
    assert_eq!(run.out.lines().count(), 2, "{}", run.shown());
    run.says(&["has ended", "query=slow"]);
    // The first word is no session, so it is a filter.
    let found = lines(&home.run("trace tail tool:write --json").ok());
    assert_eq!(
        (found.len(), found[0]["schema"].as_str(), found[0]["session"].as_str()),
        (1, Some("mcp.trace.tail/1"), Some(NOTES))
    );
}

#[test]
fn a_session_is_followed_while_it_is_recorded() {
    let home = home();
    let path = place(&home, "20261124T103316Z-now-any-4");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let header = Header { server: "now".into(), ..header() };
    let (recorder, sink) = Recorder::start(&path, Options { header, ..Options::default() }).unwrap();
    let client = |text: &str| sink.frame(Hop::Client(1), Direction::ToServer, Bytes::from(format!("{text}\n")));
    let server = |text: &str| sink.frame(Hop::Client(1), Direction::ToClient, Bytes::from(format!("{text}\n")));
    client(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{}}}"#);
    assert!(recorder.flush(Duration::from_mins(1)));
    let mut command = home.command();
    command.args(["trace", "tail", "--json"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tail = command.spawn().unwrap();
    let mut said = BufReader::new(tail.stderr.take().unwrap());
    let mut told = BufReader::new(tail.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("is being recorded"), "{line}");
    // What is said later and answered at once is told first.
    client(r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"quick","arguments":{}}}"#);
    server(r#"{"jsonrpc":"2.0","id":2,"result":{"content":[]}}"#);
    let mut next = || {
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        let row: Json = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        (row["name"].as_str().unwrap_or_default().to_owned(), row["status"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(next(), ("quick".into(), "ok".into()));
    server(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}"#);
    assert_eq!(next(), ("slow".into(), "error".into()));
    client(r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"never","arguments":{}}}"#);
    home.run("trace rm latest").ends(3).says(&["stays: it is being recorded"]);
    drop(recorder);
    assert_eq!(next(), ("never".into(), "pending".into()), "the end of the session is the end of waiting");
    assert!(tail.wait().unwrap().success());
}

#[test]
fn statistics_say_that_tokens_are_estimated() {
    let home = recorded();
    let run = home.run("trace stats files").ok();
    insta::assert_snapshot!(run.shown());
    run.says(&["estimate: 4 bytes", "never called: unused"]);
    let answer = home.run("trace stats files --json").ok().json("mcp.trace.stats/1");
    let search = answer["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "search").unwrap();
    assert_eq!((search["calls"].as_u64(), search["pending"].as_u64()), (Some(3), Some(1)));
    assert_eq!(search["times"], serde_json::json!({ "p50_us": 7000, "p95_us": 15000, "p99_us": 15000, "max_us": 15000 }));
    let definition = r#"{"name":"search","description":"Search","inputSchema":{"type":"object"}}"#.len() as u64;
    assert_eq!(
        (search["definition"].as_u64(), search["definition_tokens"].as_u64()),
        (Some(definition), Some(definition.div_ceil(4)))
    );
    home.run("trace stats files tool:write").ok().says(&["write", "1"]);
}

#[test]
fn differences_of_sessions_and_operations() {
    let home = recorded();
    let changed = LEGACY
        .replace("3 matches", "5 matches")
        .replace("\"Search\"", "\"Searches\"")
        .replace("\"name\":\"unused\"", "\"name\":\"fresh\"");
    let header = Header { started_ms: STARTED + 60_000, session: "11".into(), server: "files2".into(), ..header() };
    Tape::with(&header).say(&changed).ended(&place(&home, "20261124T103416Z-files2-claude_code-9"));
    insta::assert_snapshot!(home.run("trace diff files files2").ok().shown());
    home.run("trace diff files files2 --exit-code").ends(1);
    home.run("trace diff files files --exit-code").ok().says(&["No difference"]);
    let tools = home.run("trace diff files files2 --tools --json").ok().json("mcp.trace.diff/1");
    assert_eq!(tools["drift"].as_array().unwrap().len(), 3, "{tools}");
    insta::assert_snapshot!(home.run("trace diff files#6 files#19").ok().shown());
    insta::assert_snapshot!(home.run("trace diff files#6 files#19 --json").ok().shown());
    home.run("trace diff files files#6").ends(2).says(&["SESSION#NUMBER"]);
    home.run("trace diff files#6 files#9999").ends(1);
    home.run("trace diff files").ends(2);
}

#[test]
fn drift_against_a_baseline() {
    let home = recorded();
    home.run("trace diff files --baseline tools.json").ends(3).says(&["--update"]);
    home.run("trace diff notes --baseline tools.json --update").ends(1).says(&["nothing was listed"]);
    home.run("trace diff files --baseline tools.json --update").ok().says(&["3 tools"]);
    home.run("trace diff files --baseline tools.json --exit-code").ok().says(&["Everything is as in"]);
    let text = home.read("project/tools.json");
    assert!(text.contains("mcp.trace.baseline/1") && text.lines().count() > 20, "{text}");
    home.write("project/tools.json", text.replace("\"Search\"", "\"Sought\"").replace("\"unused\"", "\"gone\""));
    let run = home.run("trace diff files --baseline tools.json --exit-code").ends(1);
    run.says(&["~ tool search", "$.description: \"Sought\" → \"Search\"", "- tool gone", "+ tool unused"]);
    let drift = home.run("trace diff files --baseline tools.json --json").ok().json("mcp.trace.drift/1");
    assert_eq!(drift["drift"].as_array().unwrap().len(), 3, "{drift}");
    home.write("project/tools.json", "{}");
    home.run("trace diff files --baseline tools.json").ends(3).says(&["is no baseline"]);
}

#[test]
fn every_record_as_a_line_of_json() {
    let home = recorded();
    let all = lines(&home.run("trace export files").ok());
    assert_eq!((all[0]["schema"].as_str(), all[0]["server"].as_str()), (Some("mcp.trace.session/1"), Some("files")));
    let records = LEGACY.lines().filter(|line| !line.trim().is_empty()).count();
    assert_eq!(all.len(), records + 1);
    assert!(all[1..].iter().all(|line| line["schema"] == "mcp.trace.record/1"));
    let search = lines(&home.run("trace export files tool:search is:ok").ok());
    assert_eq!(search.len() - 1, 6, "two requests with answers, progress and a log line");
    assert_eq!(search[1]["operation"], 6);
    home.run("trace export files tool:nothing").ends(1);
    home.run("trace export files -o out.html --json").ok().json("mcp.trace.export/1");
    home.run("trace export files -o out.html").ends(3).says(&["is there already", "--force"]);
    home.run("trace export files -o out.html --force").ok();
    assert!(home.read("project/out.html").starts_with("<!doctype html>"), "the ending of the file decides");
}

#[test]
fn an_http_archive_has_what_viewers_require() {
    let home = recorded();
    let archive: Json = serde_json::from_str(&home.run("trace export files --format har").ok().out).unwrap();
    let log = &archive["log"];
    assert_eq!((log["version"].as_str(), log["creator"]["name"].as_str()), (Some("1.2"), Some("mcp")));
    let entries = log["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 7, "requests of the client, and not the server's");
    let has = |value: &Json, keys: &str| {
        keys.split(' ').for_each(|key| assert!(value.get(key).is_some(), "{key} is missing in {value}"));
    };
    for entry in entries {
        has(entry, "startedDateTime time request response cache timings");
        has(&entry["request"], "method url httpVersion cookies headers queryString postData headersSize bodySize");
        has(&entry["request"]["postData"], "mimeType text");
        has(&entry["response"], "status statusText httpVersion cookies headers content redirectURL headersSize bodySize");
        has(&entry["response"]["content"], "size mimeType");
        has(&entry["timings"], "send wait receive");
        assert!(entry["request"]["url"].as_str().unwrap().starts_with("http"));
        assert!(entry["time"].as_f64().unwrap() >= 0.0);
    }
    assert_eq!((entries[2]["time"].as_f64(), entries[2]["_mcp"]["messages"].as_array().unwrap().len()), (Some(15.0), 2));
}

#[test]
fn spans_are_as_the_protocol_of_opentelemetry_has_them() {
    let home = recorded();
    let answer: Json = serde_json::from_str(&home.run("trace export files --format otlp").ok().out).unwrap();
    let scope = &answer["resourceSpans"][0]["scopeSpans"][0];
    let spans = scope["spans"].as_array().unwrap();
    assert_eq!((spans.len(), scope["scope"]["name"].as_str()), (7, Some("mcp")));
    let mut ids: Vec<&str> = Vec::new();
    for span in spans {
        let hex = |key: &str, length: usize| {
            let text = span[key].as_str().unwrap();
            assert!(text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit()), "{key}: {text}");
        };
        hex("traceId", 32);
        hex("spanId", 16);
        ids.push(span["spanId"].as_str().unwrap());
        let time = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
        assert!(time("endTimeUnixNano") >= time("startTimeUnixNano"));
        for attribute in span["attributes"].as_array().unwrap() {
            assert!(attribute["key"].is_string() && attribute["value"].as_object().unwrap().len() == 1, "{attribute}");
        }
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 7);
    let search = &spans[2];
    assert_eq!((search["name"].as_str(), search["events"].as_array().unwrap().len()), (Some("tools/call search"), 2));
    let statuses: Vec<Option<u64>> = spans.iter().map(|span| span["status"]["code"].as_u64()).collect();
    assert_eq!(statuses, [Some(1), Some(1), Some(1), Some(2), Some(2), Some(1), None]);
    let traced = r#"> {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}}"#;
    let path = Tape::of("t").say(traced).ended(&home.path("t.mcpcap"));
    let answer: Json =
        serde_json::from_str(&home.mcp(&["trace", "export", path.to_str().unwrap(), "--format", "otlp"]).ok().out).unwrap();
    let span = &answer["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(
        (span["traceId"].as_str(), span["parentSpanId"].as_str()),
        (Some("0af7651916cd43dd8448eb211c80319c"), Some("b7ad6b7169203331"))
    );
}

#[test]
fn commands_that_ask_again() {
    let home = recorded();
    home.run("trace export files --format curl")
        .ends(1)
        .says(&["`curl` speaks HTTP, and this session went over stdio", "--format mcp-call"]);
    insta::assert_snapshot!(home.run("trace export files --format mcp-call").ok().shown());
    let header = Header { transport: "http".into(), command: vec!["https://example.com/mcp".into()], ..header() };
    let request = r#"> {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"it's","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let http = Http {
        frame: 2,
        phase: HttpPhase::Request,
        method: "POST".into(),
        headers: vec![("Host".into(), "example.com".into()), ("Authorization".into(), "[redacted:1a2b]".into())],
        ..Http::default()
    };
    let path = Tape::with(&header).say(request).say(request).event(&Event::Http(http)).ended(&home.path("h.mcpcap"));
    insta::assert_snapshot!(home.mcp(&["trace", "export", path.to_str().unwrap(), "--format", "curl"]).ok().shown());
}

#[test]
fn a_report_in_markdown() {
    insta::assert_snapshot!(recorded().run("trace export files tool:search|write --format markdown").ok().shown());
}

/// What could take over a terminal, a page, a report or a line of a list.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}[31m\u{9b}2J\u{202e}gnp.exe\u{200b}\u{2028}<script>alert(1)</script>\"'></pre></details><img src=x onerror=alert(1)>```\n# heading\r\n|cell|&amp;";

fn hostile(home: &Home) -> PathBuf {
    let text = serde_json::to_string(HOSTILE).unwrap();
    // As it is, not escaped, where JSON allows it.
    let open = text.replace("\\u2028", "\u{2028}");
    let script = [
        format!(
            r#"> {{"jsonrpc":"2.0","id":{open},"method":"tools/call","params":{{"name":{open},"arguments":{{{open}:{open}}}}}}}"#
        ),
        format!(r#"+1 < {{"jsonrpc":"2.0","id":{open},"error":{{"code":1,"message":{open},"data":{{"a":{open}}}}}}}"#),
        format!(r#"+1 < {{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":{open}}}}}"#),
        format!("+1 ! {}", HOSTILE.replace(['\n', '\r'], " ")),
        format!("+1 ? {}", HOSTILE.replace(['\n', '\r'], " ")),
        format!(r#"+1 > {{"jsonrpc":"2.0","id":9,"method":{open}}}"#),
    ];
    let header = Header {
        server: HOSTILE.into(),
        client: HOSTILE.into(),
        command: vec![HOSTILE.into()],
        recorder: HOSTILE.into(),
        program: HOSTILE.into(),
        transport: HOSTILE.into(),
        ..header()
    };
    let tape =
        Tape::with(&header).say(&script.join("\n")).bytes(Direction::ToClient, Flags::NOT_A_MESSAGE, b"\xff\xfe\x00\x1b[2J\n");
    tape.ended(&place(home, "20261124T103316Z-evil-any-6"))
}

#[test]
fn hostile_content_never_reaches_the_terminal_raw() {
    let home = home();
    let path = hostile(&home);
    let path = path.to_str().unwrap();
    let mut runs = vec![
        home.run("trace ls"),
        home.run("trace ls --json"),
        home.run("trace grep alert"),
        home.run("trace grep alert --json"),
    ];
    for rest in [
        vec!["show"],
        vec!["show", "--json"],
        vec!["tail"],
        vec!["tail", "--json"],
        vec!["stats"],
        vec!["stats", "--json"],
        vec!["export", "--format", "jsonl"],
        vec!["export", "--format", "har"],
        vec!["export", "--format", "markdown"],
        vec!["export", "--format", "html"],
        vec!["export", "--format", "otlp"],
        vec!["export", "--format", "mcp-call"],
    ] {
        let mut words = vec!["trace", rest[0], path];
        words.extend(&rest[1..]);
        runs.push(home.mcp(&words));
    }
    for number in ["1", "3", "4", "5", "6", "7"] {
        runs.push(home.mcp(&["trace", "show", path, number]));
        runs.push(home.mcp(&["trace", "show", path, number, "--json"]));
    }
    runs.push(home.mcp(&["trace", "diff", &format!("{path}#1"), &format!("{path}#6")]));
    runs.push(home.mcp(&["trace", "diff", &format!("{path}#1"), &format!("{path}#6"), "--json"]));
    runs.push(home.mcp(&["mock", path, "--no-delay"]));
    for run in runs {
        let run = run.ok();
        for output in [&run.out, &run.err] {
            let bad = output.chars().find(|c| mcp_capture::text::is_hidden(*c) && *c != '\n');
            assert!(bad.is_none(), "{:?} in\n{}", bad, run.shown());
        }
    }
}

#[test]
fn the_page_is_one_file_and_everything_in_it_is_text() {
    let home = home();
    let path = hostile(&home);
    let page = home.mcp(&["trace", "export", path.to_str().unwrap(), "--format", "html"]).ok().out;
    assert!(page.contains("Content-Security-Policy") && !page.contains("http://") && !page.contains("https://"), "{page}");
    let tags = tags_of(&page);
    let known = [
        "!doctype", "html", "head", "meta", "title", "style", "body", "h1", "dl", "dt", "dd", "form", "input", "label", "button",
        "output", "main", "details", "summary", "span", "time", "b", "i", "pre", "script",
    ];
    let mut open: Vec<String> = Vec::new();
    for (name, is_end) in tags {
        assert!(known.contains(&name.as_str()), "<{name}> is none of ours");
        match (is_end, name.as_str()) {
            (true, _) => assert_eq!(open.pop().as_deref(), Some(name.as_str()), "what is opened is closed in order"),
            (false, "!doctype" | "meta" | "input") => {}
            (false, _) => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(page.matches("<script>").count(), 1);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "what was said is there, as text");
}

/// The names of the tags of a page, read as a browser does: what is between `<script>` and `</script>` is no markup.
fn tags_of(page: &str) -> Vec<(String, bool)> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let is_end = rest.starts_with('/');
        let name: String = rest.trim_start_matches('/').chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '!').collect();
        assert!(!name.is_empty(), "a `<` that opens nothing: {}", &rest[..rest.len().min(80)]);
        // Attributes have quotes, in which a `>` may stand.
        let mut quote = None;
        let end = rest.find(|c| match (quote, c) {
            (None, '"') => {
                quote = Some('"');
                false
            }
            (Some(open), c) if c == open => {
                quote = None;
                false
            }
            (None, '>') => true,
            _ => false,
        });
        let end = end.expect("a tag ends");
        assert!(!rest[..end].contains("src=") && !rest[..end].contains("href="), "it asks for nothing: {}", &rest[..end]);
        rest = &rest[end + 1..];
        let is_raw = matches!(name.as_str(), "script" | "style") && !is_end;
        tags.push((name.clone(), is_end));
        if is_raw {
            rest = &rest[rest.find(&format!("</{name}>")).expect("it ends")..];
        }
    }
    tags
}

#[test]
fn a_copy_without_secrets() {
    let home = recorded();
    let secret = "ghp_0123456789abcdefghijABCDEFGHIJ";
    let said = format!(
        "> {{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"a\",\"arguments\":{{\"t\":\"{secret}\",\"customer\":\"Ada\",\"u\":\"planted-value\"}}}}}}"
    );
    Tape::with(&Header { server: "s".into(), raw: true, ..header() }).say(&said).ended(&place(&home, "20261124T103316Z-s-any-5"));
    home.run("trace export s").ok().says(&["recorded with its secrets", secret]);
    let home = home.var("PLANTED", "planted-value");
    let answer = home.run("trace redact s -o ../t.mcpcap --name customer --env PLANTED --json").ok().json("mcp.trace.redact/1");
    assert_eq!((answer["changed"].as_u64(), answer["parts"].as_u64()), (Some(1), Some(1)));
    home.run("trace export ../t.mcpcap").ok().says(&["[redacted:"]).hides(secret).hides("Ada").hides("planted-value");
    home.run("trace redact s -o ../t.mcpcap").ends(3).says(&["is there already"]);
    home.run("trace redact s -o ../u.mcpcap --env NOT_SET").ends(2);
}

#[test]
fn old_sessions_go() {
    let home = recorded();
    home.run("trace prune").ends(2).says(&["say what is to go"]);
    home.run("trace prune --max-size many").ends(2);
    home.run("trace prune --older-than 90m --dry-run").ok().says(&["would delete", FILES]);
    assert!(place(&home, FILES).exists());
    let gone = home.run("trace prune --older-than 90m --json").ok().json("mcp.trace.removed/1");
    assert_eq!((gone["sessions"].as_array().unwrap().len(), gone["sessions"][0]["name"].as_str()), (1, Some(FILES)));
    assert!(!place(&home, FILES).exists() && place(&home, NOTES).exists());
    home.run("trace prune --max-size 1G").ok().says(&["Nothing to delete"]);
    home.run("trace rm nobody").ends(1);
    home.run("trace rm notes").ok().says(&["deleted", NOTES]);
    assert!(!place(&home, NOTES).exists());
}
