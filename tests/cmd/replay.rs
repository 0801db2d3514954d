//! `mcp mock` and `mcp verify`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::captures::{LEGACY, MODERN, Tape};
use crate::home::Home;

const MCP: &str = env!("CARGO_BIN_EXE_mcp");

fn taped(script: &str) -> Home {
    let home = Home::new();
    Tape::of("files").say(script).ended(&home.path("s.mcpcap"));
    home
}

fn answers(out: &str) -> Vec<Json> {
    out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// A client of a mock that can wait for what comes.
struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Talk {
    fn with(home: &Home, words: &[&str]) -> Self {
        let mut command = home.command();
        command.args(["mock", "../s.mcpcap"]).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { input: child.stdin.take(), output, child }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    fn hear(&mut self) -> Json {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
    }

    fn end(mut self) -> i32 {
        drop(self.input.take());
        self.child.wait().unwrap().code().unwrap()
    }
}

#[test]
fn a_recording_answers_with_todays_ids() {
    let home = taped(LEGACY);
    let mut talk = Talk::with(&home, &["--strict", "--no-delay"]);
    talk.say(r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"other","version":"0"}}}"#);
    let opened = talk.hear();
    assert_eq!((opened["id"].as_str(), opened["result"]["serverInfo"]["name"].as_str()), (Some("i"), Some("files")));
    talk.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    talk.say(r#"{"jsonrpc":"2.0","id":70,"method":"tools/list","params":{}}"#);
    assert_eq!(talk.hear()["result"]["tools"].as_array().unwrap().len(), 3);

    // Other order of members, another token, a number spelt otherwise: the same call.
    talk.say(r#"{"method":"tools/call","id":71,"jsonrpc":"2.0","params":{"_meta":{"progressToken":"tok"},"arguments":{"limit":5e1,"query":"panic"},"name":"search"}}"#);
    let said = [talk.hear(), talk.hear(), talk.hear()];
    assert_eq!(said[0]["params"], json!({ "progressToken": "tok", "progress": 1, "total": 2 }));
    assert_eq!((said[1]["method"].as_str(), said[2]["id"].as_u64()), (Some("notifications/message"), Some(71)));
    assert_eq!(said[2]["result"]["structuredContent"]["matches"], 3);

    // Asked again, the second answer, and from then on always that. Nobody wants progress this time.
    for (id, matches) in [(72, 4), (73, 4)] {
        talk.say(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"search","arguments":{{"query":"panic","limit":50}}}}}}"#));
        let answer = talk.hear();
        assert_eq!((answer["id"].as_u64(), answer["result"]["structuredContent"]["matches"].as_u64()), (Some(id), Some(matches)));
    }

    // A question of the server comes before the answer, and is waited for.
    talk.say(r#"{"jsonrpc":"2.0","id":74,"method":"tools/call","params":{"name":"write","arguments":{"path":"/etc/passwd"}}}"#);
    let question = talk.hear();
    assert_eq!(question["method"], "elicitation/create");
    talk.say(r#"{"jsonrpc":"2.0","id":75,"method":"ping"}"#);
    assert_eq!(talk.hear(), json!({ "jsonrpc": "2.0", "id": 75, "result": {} }), "others are served meanwhile");
    talk.say(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept" } }).to_string());
    let answer = talk.hear();
    assert_eq!((answer["id"].as_u64(), answer["result"]["isError"].as_bool()), (Some(74), Some(true)));
    talk.say(r#"{"jsonrpc":"2.0","id":76,"method":"tools/call","params":{"name":"serach","arguments":{}}}"#);
    assert_eq!(talk.hear()["error"]["code"], -32602);
    assert_eq!(talk.end(), 0);
}

#[test]
fn what_was_not_recorded_is_answered_as_what_is_most_alike() {
    let home = taped(LEGACY);
    let call =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":{"query":"other","limit":50}}}"#;
    let run = home.fed(&["mock", "../s.mcpcap", "--no-delay"], &format!("{call}\n")).ok();
    assert_eq!(answers(&run.out).last().unwrap()["result"]["structuredContent"]["matches"], 3);
    run.says(&["`tools/call` of `search` was not recorded; answered as #6"]);

    let run = home.fed(&["mock", "../s.mcpcap", "--no-delay", "--strict"], &format!("{call}\n")).ends(1);
    assert_eq!(answers(&run.out)[0]["error"]["code"], -32602);
    run.says(&["`tools/call` of `search` was not recorded", "1 request not recorded"]);

    let other = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"delete","arguments":{}}}"#;
    let run = home.fed(&["mock", "../s.mcpcap"], &format!("{other}\nno json\n\n")).ok();
    let codes: Vec<i64> = answers(&run.out).iter().map(|a| a["error"]["code"].as_i64().unwrap()).collect();
    assert_eq!(codes, [-32602, -32700]);
}

#[test]
fn the_modern_era_is_mocked_with_questions_and_subscriptions() {
    let home = taped(MODERN);
    let mut talk = Talk::with(&home, &["--strict", "--speed", "1000"]);
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    talk.say(&format!(r#"{{"jsonrpc":"2.0","id":"d","method":"server/discover","params":{{{meta}}}}}"#));
    assert_eq!(talk.hear()["result"]["supportedVersions"], json!(["2026-07-28"]));
    talk.say(&format!(r#"{{"jsonrpc":"2.0","id":"sub","method":"subscriptions/listen","params":{{"notifications":{{"toolsListChanged":true}},{meta}}}}}"#));
    let subscription = |message: &Json| message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
    let told = talk.hear();
    assert_eq!((told["method"].as_str(), subscription(&told)), (Some("notifications/subscriptions/acknowledged"), json!("sub")));
    talk.say(&format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"write","arguments":{{"path":"a"}},{meta}}}}}"#
    ));
    let mut seen = [talk.hear(), talk.hear()];
    seen.sort_by_key(|message| message["id"].is_null());
    assert_eq!((seen[0]["id"].as_u64(), seen[0]["result"]["resultType"].as_str()), (Some(7), Some("input_required")));
    assert_eq!((seen[1]["method"].as_str(), subscription(&seen[1])), (Some("notifications/tools/list_changed"), json!("sub")));
    talk.say(&format!(
        r#"{{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{{"name":"write","arguments":{{"path":"a"}},"requestState":"s-1","inputResponses":{{"ok":{{"action":"accept"}}}},{meta}}}}}"#
    ));
    let done = talk.hear();
    assert_eq!((done["id"].as_u64(), done["result"]["content"][0]["text"].as_str()), (Some(8), Some("written")));
    assert_eq!(talk.end(), 0);
}

#[test]
fn answers_are_as_late_as_they_were() {
    let home = taped("> {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n+400 < {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    let mut talk = Talk::with(&home, &[]);
    let began = Instant::now();
    talk.say(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    talk.hear();
    // Later than recorded is what a busy machine may be; earlier would be wrong.
    assert!(began.elapsed() >= Duration::from_millis(400));
    assert_eq!(talk.end(), 0);
    home.run("mock ../s.mcpcap --speed 0").ends(2);
    home.run("mock ../missing.mcpcap").ends(1);
}

/// As server-everything opens: once the client is ready, and not before, it notifies and asks.
const EAGER: &str = r#"
    > {"jsonrpc":"2.0","id":0,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}
    < {"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"Method not found"}}
    > {"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"goose-cli","version":"1"}}}
    < {"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"eager","version":"1"}}}
    > {"jsonrpc":"2.0","method":"notifications/initialized"}
    < {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}
    < {"jsonrpc":"2.0","id":0,"method":"roots/list"}
    > {"jsonrpc":"2.0","id":0,"result":{"roots":[]}}
    < {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"0 roots"}}
    > {"jsonrpc":"2.0","id":2,"method":"tools/list"}
    < {"jsonrpc":"2.0","id":2,"result":{"tools":[]}}
"#;

fn initialize(revision: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": "i", "method": "initialize", "params": { "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } }).to_string()
}

#[test]
fn what_was_said_to_a_ready_client_waits_until_todays_is_ready() {
    let home = taped(EAGER);
    let mut talk = Talk::with(&home, &["--strict", "--no-delay"]);
    talk.say(&initialize("2025-11-25"));
    assert_eq!(talk.hear()["result"]["serverInfo"]["name"], "eager");
    talk.say(r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#);
    assert_eq!(talk.hear()["id"], "p", "nothing came before");
    talk.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let (told, asked) = (talk.hear(), talk.hear());
    assert_eq!((&told["method"], &asked["method"]), (&json!("notifications/tools/list_changed"), &json!("roots/list")));
    talk.say(&json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "roots": [] } }).to_string());
    assert_eq!(talk.hear()["params"]["data"], "0 roots");
    assert_eq!(talk.end(), 0);

    // A client that never says so is not kept waiting.
    let mut talk = Talk::with(&home, &["--strict", "--no-delay"]);
    talk.say(&initialize("2025-11-25"));
    talk.hear();
    talk.say(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#);
    assert_eq!(
        [talk.hear(), talk.hear()].map(|said| said["method"].clone()),
        [json!("notifications/tools/list_changed"), json!("roots/list")]
    );
    assert_eq!(talk.hear()["result"]["tools"], json!([]));
    assert_eq!(talk.end(), 0);
}

#[test]
fn a_client_gets_the_older_revision_it_asks_for() {
    let home = taped(EAGER);
    for (asked, answered) in [("2025-06-18", "2025-06-18"), ("2025-11-25", "2025-11-25"), ("2026-07-28", "2025-11-25")] {
        let run = home.fed(&["mock", "../s.mcpcap", "--strict", "--no-delay"], &format!("{}\n", initialize(asked))).ok();
        assert_eq!(answers(&run.out)[0]["result"]["protocolVersion"], answered, "{asked}");
        let told = "the client asks for 2025-06-18 and gets it; the recording is of 2025-11-25";
        assert_eq!(run.err.contains(told), asked == "2025-06-18", "{}", run.shown());
    }
}

#[test]
fn an_opening_of_the_other_era_is_refused_as_that_server_would() {
    // Clients that know both eras try the newer one first: that is no request that should have been recorded.
    let home = taped(&LEGACY.replace("claude-code", "older"));
    let discover = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let run = home.fed(&["mock", "../s.mcpcap", "--strict"], &format!("{discover}\n")).ok();
    assert_eq!(answers(&run.out)[0]["error"]["code"], -32601);
    run.hides("not recorded");

    let home = taped(MODERN);
    let run = home.fed(&["mock", "../s.mcpcap", "--strict"], &format!("{}\n", initialize("2025-06-18"))).ends(1);
    assert_eq!(answers(&run.out)[0]["error"]["code"], -32601);
    run.says(&["`initialize` was not recorded", "`mcp run-once -- mcp mock FILE` translates"]);
}

#[cfg(unix)]
#[test]
fn a_recorded_mock_does_not_answer_with_its_own_recording() {
    let home = Home::new();
    let root = home.path("of-mcp").display().to_string();
    let home = home.var("MCP_HOME", &root);
    // The server is started before there is a capture: it begins when it could find one.
    let late = r#"until [ -s "$0"/state/captures/*.mcpcap ]; do :; done; exec "$1" mock latest"#;
    let run = home.fed(&["tap", "--name", "own", "--", "/bin/sh", "-c", late, &root, MCP], "").ends(2);
    run.says(&["`latest` is the recording of this very conversation", "mcp trace ls"]);
}

/// The calculator, as it answered: made by asking it.
fn calculator(change: impl Fn(&str) -> String) -> Home {
    let requests = [
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":"b","method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2}}}"#,
        r#"{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"divide","arguments":{"a":1,"b":0}}}"#,
    ];
    let home = Home::new();
    let run = home.fed(&["serve", "calculator"], &(requests.join("\n") + "\n")).ok();
    let mut script = String::new();
    let mut said = run.out.lines();
    for request in requests {
        script.push_str(&format!("+1 > {request}\n"));
        if request.contains("\"id\"") {
            script.push_str(&format!("+1 < {}\n", said.next().unwrap()));
        }
    }
    Tape::of("calculator").say(&change(&script)).ended(&home.path("s.mcpcap"));
    home
}

#[test]
fn a_server_that_answers_as_recorded_passes() {
    let home = calculator(str::to_owned);
    let run = home.mcp(&["verify", "../s.mcpcap", "--", MCP, "serve", "calculator"]).ok();
    assert_eq!(run.out.lines().filter(|line| line.starts_with("same")).count(), 4, "{}", run.shown());
    let answer =
        home.mcp(&["verify", "../s.mcpcap", "tool:add", "--json", "--", MCP, "serve", "calculator"]).ok().json("mcp.verify/1");
    assert_eq!(
        (answer["same"].as_u64(), answer["calls"][1]["name"].as_str()),
        (Some(2), Some("add")),
        "the opening, and what fits"
    );
    // Against the recording itself.
    home.mcp(&["verify", "../s.mcpcap", "--", MCP, "mock", "../s.mcpcap", "--strict", "--no-delay"]).ok();
}

#[test]
fn differences_are_told_by_their_places() {
    let home =
        calculator(|script| script.replace(r#""result":"3""#, r#""result":"4""#).replace("\"number\":3", "\"number\":3.0"));
    let words = ["verify", "../s.mcpcap", "--", MCP, "serve", "calculator"];
    let run = home.mcp(&words).ends(1).says(&["different  #6 tools/call add", r#"$.result.structuredContent.result: "4" → "3""#]);
    assert!(!run.out.contains("number"), "3 and 3.0 are the same: {}", run.shown());
    home.mcp(&["verify", "../s.mcpcap", "--ignore", "$.result.structuredContent.result", "--", MCP, "serve", "calculator"]).ok();
    home.mcp(&["verify", "../s.mcpcap", "--ignore", "$..structuredContent", "--", MCP, "serve", "calculator"]).ok();
    home.mcp(&["verify", "../s.mcpcap", "--ignore", "result", "--", MCP]).ends(2).says(&["a path looks like"]);
    let xml = home.mcp(&["verify", "../s.mcpcap", "--junit", "--", MCP, "serve", "calculator"]).ends(1).out;
    assert!(xml.starts_with("<?xml") && xml.contains(r#"tests="4" failures="1" errors="0" skipped="0""#), "{xml}");
    assert!(
        xml.contains(
            r#"<failure message="1 difference">$.result.structuredContent.result: &quot;4&quot; → &quot;3&quot;</failure>"#
        ),
        "{xml}"
    );
}

#[test]
fn a_server_that_does_not_answer_ends_with_4() {
    let home = calculator(str::to_owned);
    home.mcp(&["verify", "../s.mcpcap", "--", "no-such-program"]).ends(4).says(&["start `no-such-program`"]);
    home.mcp(&["verify", "../s.mcpcap", "--", MCP, "version"]).ends(4).says(&["no answer", "the server is gone"]);
    // It reads and says nothing.
    let run = home.finish(home.command().env("PATH", "/usr/bin:/bin").args([
        "verify",
        "../s.mcpcap",
        "--timeout",
        "200ms",
        "--json",
        "--",
        "sleep",
        "60",
    ]));
    let answer = run.ends(4).json("mcp.verify/1");
    assert_eq!(answer["calls"][0]["reason"], "no answer came in time");
    home.mcp(&["verify", "../s.mcpcap", "tool:nothing", "--", MCP]).ends(4);
    home.mcp(&["verify", "../s.mcpcap"]).ends(2);
}

#[test]
fn what_the_server_asks_is_answered_as_the_client_did() {
    let home = taped(LEGACY);
    let run = home.mcp(&["verify", "../s.mcpcap", "--json", "--", MCP, "mock", "../s.mcpcap", "--no-delay"]).ok();
    let answer = run.json("mcp.verify/1");
    assert_eq!((answer["same"].as_u64(), answer["skipped"].as_u64()), (Some(6), Some(1)), "{answer}");
}
