//! `mcp trace check` and `mcp trace rules` as people and builds meet them.

use std::path::{Path, PathBuf};

use mcp_capture::lint;

use crate::captures::Tape;
use crate::home::Home;

const OPENING: &str = r#"
> {"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"claude-code","version":"2"}}}
< {"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"files","version":"1"}}}
> {"jsonrpc":"2.0","method":"notifications/initialized"}
> {"jsonrpc":"2.0","id":1,"method":"tools/list"}
< {"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"search","description":"finds files","inputSchema":{"type":"object","properties":{"query":{"type":"string"},"limit":{"type":"integer","maximum":30}},"required":["query"]}}]}}
"#;

const CALLS: &str = r#"
+5 > {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"search","arguments":{"query":"a","limit":50}}}
+40 < {"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"x & <y>"}]}}
+5 > {"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"search","arguments":{"query":"a","limit":99}}}
+40 < {"jsonrpc":"2.0","id":3,"result":{"content":[{"type":"text","text":"none"}],"isError":false,"_meta":null}}
? Loading <model> & more
"#;

const HEALTHY: &str = r#"
> {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"search","arguments":{"query":"a","limit":30}}}
< {"jsonrpc":"2.0","id":2,"result":{"content":[]}}
"#;

fn place(home: &Home, name: &str) -> PathBuf {
    home.path(".local/state/mcp/captures").join(format!("{name}.mcpcap"))
}

/// A session that breaks an error twice, a warning and another error once.
fn broken() -> Home {
    let home = Home::new();
    Tape::of("files").say(OPENING).say(CALLS).ended(&place(&home, "20261124T103316Z-files-claude_code-7"));
    home
}

fn healthy() -> Home {
    let home = Home::new();
    Tape::of("files").say(OPENING).say(HEALTHY).ended(&place(&home, "20261124T103316Z-files-claude_code-7"));
    home
}

#[test]
fn findings_are_told_by_operation_with_their_reasons() {
    let home = broken();
    insta::assert_snapshot!(home.run("trace check").ends(1).shown());
    insta::assert_snapshot!(home.run("trace check --only invalid-tool-arguments --reproduce").ends(1).shown());
}

#[test]
fn a_healthy_session_is_an_answer_of_yes() {
    let home = healthy();
    assert_eq!(home.run("trace check --fail-on info").ok().out.trim_end().lines().last(), Some("Nothing found in 1 session"));
    let answer = home.run("trace check --json").ok().json("mcp.trace.check/1");
    assert_eq!(answer["ok"], true);
    assert_eq!(answer["sessions"][0]["findings"], serde_json::json!([]));
}

#[test]
fn what_makes_the_answer_no_can_be_chosen() {
    let home = broken();
    home.run("trace check").ends(1);
    home.run("trace check --skip invalid-tool-arguments,stray-output").ok();
    home.run("trace check --skip invalid-tool-arguments --skip stray-output --fail-on warning").ends(1);
    home.run("trace check --only null-member").ok().says(&["1 warning"]);
    home.run("trace check --max-errors 2").ok();
    home.run("trace check --max-errors 1").ends(1);
    let found = home.run("trace check --severity error --json").ends(1).json("mcp.trace.check/1");
    assert_eq!((&found["errors"], &found["warnings"]), (&serde_json::json!(2), &serde_json::json!(0)));
}

#[test]
fn a_rule_that_does_not_exist_is_refused_with_the_nearest() {
    let home = broken();
    home.run("trace check --skip invalid-tool-argument").ends(2).says(&["did you mean `invalid-tool-arguments`?"]);
    home.run("trace rules stray-outputs").ends(2).says(&["did you mean `stray-output`?"]);
}

#[test]
fn a_baseline_silences_what_is_known_and_nothing_else() {
    let home = broken();
    home.run("trace check --baseline known.json").ends(3).says(&["--update-baseline"]);
    home.run("trace check --baseline known.json --update-baseline").ok().says(&["Nothing found", "3 in the baseline"]);
    home.run("trace check --baseline known.json --fail-on info").ok();
    // The same faults in another session have other numbers and the same fingerprints; a new fault is told.
    let more = format!("{CALLS}> {{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/call\",\"params\":{{\"name\":\"other\"}}}}\n");
    let shifted = more.replace("\"id\":2", "\"id\":42").replace("\"limit\":50", "\"limit\":77");
    let path = place(&home, "20261124T113316Z-files-claude_code-8");
    Tape::of("files").say(OPENING).say(&shifted).ended(&path);
    let found = home.run("trace check -1 --baseline known.json --json").ok().json("mcp.trace.check/1");
    let rules: Vec<&str> =
        found["sessions"][0]["findings"].as_array().unwrap().iter().map(|f| f["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["unknown-tool", "unanswered-request"]);
    assert_eq!(found["silenced"], 3);
}

#[test]
fn an_expected_tool_has_to_be_listed() {
    let home = healthy();
    home.run("trace check --expect-tool search").ok();
    let run = home.run("trace check --expect-tool search --expect-tool write").ends(1);
    assert!(run.out.contains("the tool `write` is expected and not listed"), "{}", run.out);
    let junit = home.run("trace check --expect-tool write --format junit").ends(1);
    assert!(junit.out.contains("<failure type=\"expect-tool\""), "{}", junit.out);
}

#[test]
fn sarif_names_rules_and_places() {
    let home = broken();
    let run = home.run("trace check --format sarif").ends(1);
    let answer: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(answer["version"], "2.1.0");
    let driver = &answer["runs"][0]["tool"]["driver"];
    assert_eq!(driver["rules"].as_array().unwrap().len(), lint::rules().len());
    for result in answer["runs"][0]["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(driver["rules"][index]["id"], result["ruleId"], "{result}");
        assert!(matches!(result["level"].as_str(), Some("error" | "warning" | "note")), "{result}");
        assert!(result["message"]["text"].is_string(), "{result}");
        let uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
        assert!(Path::new(uri).extension().is_some_and(|ending| ending == "mcpcap"), "{uri}");
    }
}

#[test]
fn junit_has_a_case_for_each_rule() {
    let home = broken();
    let run = home.run("trace check --format junit").ends(1);
    let cases = run.out.matches("<testcase ").count();
    assert_eq!(cases, lint::rules().len());
    assert!(run.out.contains(&format!("tests=\"{cases}\" failures=\"2\"")), "{}", run.out);
    assert_eq!(run.out.matches("<failure ").count(), 2);
    assert!(run.out.contains("Loading &lt;model&gt; &amp; more"), "{}", run.out);
    assert!(!run.out.contains("<model>"));
    for tag in ["testsuites", "testsuite", "testcase", "failure", "system-out"] {
        let open = run.out.matches(&format!("<{tag} ")).count() + run.out.matches(&format!("<{tag}>")).count();
        let empty =
            run.out.lines().filter(|line| line.trim_start().starts_with(&format!("<{tag} ")) && line.ends_with("/>")).count();
        assert_eq!(open - empty, run.out.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn rules_are_listed_and_explained() {
    let home = Home::new();
    let list = home.run("trace rules").ok();
    assert_eq!(list.out.lines().count(), lint::rules().len() + 1);
    insta::assert_snapshot!(home.run("trace rules unknown-tool-argument").ok().shown());
    let answer = home.run("trace rules --json").ok().json("mcp.trace.rules/1");
    assert_eq!(answer["rules"].as_array().unwrap().len(), lint::rules().len());
}
