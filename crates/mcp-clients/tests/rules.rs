//! What is carried from one client's entry to another's, and what a client is held to before its file is written.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it says")]

use mcp_clients::clients::Clients;
use mcp_clients::descriptor::{Descriptor, Scope, Syntax};
use mcp_clients::entry::{Entry, Launch, Remote, Stdio, Transport};
use mcp_clients::plan::{Change, Outcome, PlanError, Planned, plan};
use mcp_clients::platform::Os;
use mcp_clients::shape::{ReadError, WriteError};
use mcp_clients::text::Text;
use mcp_edit::{Document, Format, Path, Value};

fn client(id: &str) -> Descriptor {
    Clients::built_in().get(id).unwrap().clone()
}

fn value(json: &str) -> Value {
    Document::parse(json, Format::Json).unwrap().get(&Path::default()).unwrap().unwrap().value
}

fn read(id: &str, json: &str) -> Result<Entry, ReadError> {
    client(id).entry.read(&value(json), None)
}

/// The entry as another client writes it, and what is said.
fn carried(from: &str, to: &str, json: &str) -> (String, Vec<String>) {
    let to = client(to);
    let written = to.entry.write(&read(from, json).unwrap(), "x", &to.name, Os::Linux).unwrap();
    (written.value.to_json(), written.notes)
}

fn install(id: &str, text: &str, name: &str, entry: Entry) -> Result<Planned, PlanError> {
    let client = client(id);
    let file = client.files.iter().find(|f| f.scope == Scope::User).unwrap();
    let change = Change::Install { name: name.to_owned(), entry, force: true };
    plan(&client, file, None, Some(text), &change, Os::Linux)
}

fn http(url: &str) -> Entry {
    Entry::new(Launch::Remote(Remote { transport: Transport::Http, url: Text::literal(url), headers: Vec::new() }))
}

#[test]
fn keys_with_another_meaning_elsewhere_are_named_and_not_copied() {
    // `tools` of Codex is a table of approvals, that of Copilot a list of names; `oauth` has another shape in every client.
    for (from, to, json, key) in [
        ("codex", "copilot-cli", r#"{"command":"a","tools":{"t":{"approval_mode":"auto"}}}"#, "tools"),
        ("claude-code", "opencode", r#"{"type":"http","url":"https://a.example","oauth":{"clientId":"c"}}"#, "oauth"),
        ("amp", "gemini-cli", r#"{"url":"https://a.example","oauth":true}"#, "oauth"),
        ("trae", "claude-code", r#"{"command":"a","note":"mine"}"#, "note"),
    ] {
        let (json, notes) = carried(from, to, json);
        assert!(notes.iter().any(|n| n.contains(&format!("`{key}`"))), "{from} to {to}: {notes:?}");
        assert!(!json.contains("approval") && !json.contains(r#""oauth""#) && !json.contains("mine"), "{from} to {to}: {json}");
    }
    let (json, notes) = carried("gemini-cli", "qwen-code", r#"{"command":"a","trust":true}"#);
    assert!(json.contains(r#""trust":true"#) || json.contains(r#""trust": true"#), "{json}");
    assert!(notes.is_empty(), "{notes:?}");
    let (json, notes) = carried("vscode", "vscode-insiders", r#"{"type":"stdio","command":"a","dev":{"watch":"src"}}"#);
    assert!(json.contains("watch") && notes.is_empty(), "{json} {notes:?}");
}

#[test]
fn nothing_a_client_cannot_say_is_dropped_in_silence() {
    let mut entry = Entry::new(Launch::Stdio(Stdio {
        command: Text::literal("a"),
        cwd: Some(Text::literal("/srv")),
        env_file: Some(Text::literal("/srv/.env")),
        ..Stdio::default()
    }));
    entry.timeout = Some(std::time::Duration::from_secs(7));
    entry.startup_timeout = Some(std::time::Duration::from_secs(9));
    entry.enabled = false;
    entry.allow_tools = Some(vec!["one".into()]);
    entry.deny_tools = Some(vec!["two".into()]);
    entry.approve_tools = Some(vec!["three".into()]);
    for client in Clients::built_in().all().iter().filter(|c| c.entry.stdio.is_some()) {
        let shape = &client.entry;
        let written = shape.write(&entry, "x", &client.name, Os::Linux).unwrap();
        let back = shape.read(&written.value, None).unwrap();
        let Launch::Stdio(stdio) = &back.launch else { panic!("{} made it remote", client.id) };
        let lost = [
            stdio.cwd.is_none(),
            stdio.env_file.is_none(),
            back.timeout != entry.timeout,
            back.startup_timeout != entry.startup_timeout,
            back.enabled,
            back.allow_tools != entry.allow_tools,
            back.deny_tools != entry.deny_tools,
            back.approve_tools != entry.approve_tools,
        ];
        let lost = lost.iter().filter(|l| **l).count();
        assert_eq!(written.notes.len(), lost, "{}: {} against {:?}", client.id, written.value.to_json(), written.notes);
    }
}

#[test]
fn an_empty_list_of_the_only_tools_is_not_nothing() {
    let (_, notes) = carried("codex", "claude-code", r#"{"command":"a","enabled_tools":[]}"#);
    assert!(notes.iter().any(|n| n.contains("only tools")), "{notes:?}");
}

#[test]
fn a_form_of_one_client_stays_with_those_who_know_it() {
    let input = r#"{"type":"http","url":"https://a.example","headers":{"X-Key":"${input:key}"}}"#;
    let (json, notes) = carried("vscode", "vscode-insiders", input);
    assert!(json.contains("${input:key}"), "{json}");
    assert!(notes.iter().any(|n| n.contains("`inputs`")), "{notes:?}");
    for id in ["cursor", "windsurf", "claude-code", "opencode", "codex"] {
        let to = client(id);
        match to.entry.write(&read("vscode", input).unwrap(), "x", &to.name, Os::Linux) {
            Err(WriteError::Variable { client, text, .. }) => assert_eq!((client, text.as_str()), (to.name, "${input:key}")),
            other => panic!("{id}: {other:?}"),
        }
    }
    let (json, _) = carried("vscode", "cursor", r#"{"type":"stdio","command":"${workspaceFolder}/run"}"#);
    assert!(json.contains("${workspaceFolder}/run"), "{json}");
}

#[test]
fn odd_entries_are_understood_or_refused_with_a_reason() {
    let vscode = read("vscode", r#"{"type":"stdio","command":"a","env":{"A":"1","B":null,"C":3}}"#).unwrap();
    let Launch::Stdio(stdio) = &vscode.launch else { panic!("it is local") };
    assert_eq!(stdio.env, [("A".to_owned(), Text::literal("1")), ("C".to_owned(), Text::literal("3"))]);
    let (_, notes) = carried("vscode", "cursor", r#"{"type":"stdio","command":"a","env":{"B":null}}"#);
    assert!(notes.iter().any(|n| n.contains("`env.B`")), "{notes:?}");

    assert_eq!(read("opencode", r#"{"enabled":false}"#), Err(ReadError::SwitchAlone));
    assert!(matches!(read("codex", r#"{"enabled":false}"#), Err(ReadError::NoLaunch { .. })));
    assert_eq!(read("claude-code", r#"{"type":"ws","url":"wss://a.example"}"#), Err(ReadError::OnlyHere("ws".into())));
    assert!(read("zed", r#"{"command":{"path":"a","args":[]}}"#).is_err());
    assert!(read("claude-code", r#"{"command":"a","env":{"B":null}}"#).is_err());
    assert!(read("gemini-cli", r#"{"command":"a","cwd":7}"#).is_err());
    // A type word where the client has no such key says nothing of its own.
    assert!(read("windsurf", r#"{"type":"stdio","command":"a"}"#).unwrap().extra.is_empty());
}

#[test]
fn clients_object_to_what_stops_them() {
    for (id, json, why) in [
        ("codex", r#"{"command":"a","env":{"PORT":1}}"#, "env.PORT"),
        ("codex", r#"{"command":"a","url":"https://a.example"}"#, "`url`"),
        ("codex", r#"{"url":"https://a.example","env":{}}"#, "`env`"),
        ("codex", r#"{"command":"a","oauth_resource":"x"}"#, "`oauth_resource`"),
        ("codex", r#"{"command":"a","args":[1]}"#, "`args`"),
        ("codex", r#"{"command":"a","enabled":"yes"}"#, "`enabled`"),
        ("codex", r#"{"command":"a","startup_timeout_sec":"5"}"#, "`startup_timeout_sec`"),
        ("codex", r#"{"command":"a","enabled_tools":"x"}"#, "`enabled_tools`"),
        ("opencode", r#"{"command":["a"]}"#, "`type`"),
        ("goose", r#"{"type":"stdio","cmd":"a","args":[]}"#, "`enabled`"),
        ("goose", r#"{"type":"stdio","enabled":true,"cmd":"a"}"#, "`args`"),
        ("goose", r#"{"type":"stdio","enabled":true,"cmd":"a","args":[],"env":{},"envs":{}}"#, "`envs`"),
        ("cline-cli", r#"{"type":"http","url":"https://a.example"}"#, "`http`"),
    ] {
        let objection = client(id).entry.objection(&value(json), None).unwrap_or_else(|| panic!("{id} takes {json}"));
        assert!(objection.contains(why), "{id}: {objection}");
    }
    for (id, json) in [
        ("codex", r#"{"command":"a","env":{"PORT":"1"},"env_vars":["A",{"name":"B","source":"local"}],"enabled":false}"#),
        ("opencode", r#"{"enabled":false}"#),
        ("claude-code", r#"{"type":"ws","url":"wss://a.example"}"#),
        ("vscode", r#"{"type":"stdio","command":"a","env":{"A":1,"B":null}}"#),
        ("goose", r#"{"type":"builtin","enabled":true,"name":"developer"}"#),
        ("cline-cli", r#"{"transport":{"type":"stdio","command":"a","args":["b"]},"disabled":false}"#),
    ] {
        assert_eq!(client(id).entry.objection(&value(json), None), None, "{id}: {json}");
    }
}

#[test]
fn a_malformed_neighbour_is_named_where_it_costs_the_whole_client() {
    let text = "[mcp_servers.fine]\ncommand = \"a\"\n\n[mcp_servers.bad]\ncommand = \"a\"\nenv = { PORT = 1 }\n";
    let planned = install("codex", text, "new", Entry::command("b", ["c"])).unwrap();
    let [note] = planned.notes.as_slice() else { panic!("{:?}", planned.notes) };
    assert!(note.contains("`bad` in line 4") && note.contains("does not start"), "{note}");
    // Claude Code skips such an entry and goes on.
    let text = r#"{"mcpServers": {"bad": {"command": "a", "env": {"PORT": 1}}}}"#;
    assert!(install("claude-code", text, "new", Entry::command("b", ["c"])).unwrap().notes.is_empty());
    let text = "{\n  \"mcp\": {\n    \"half\": { \"enabled\": false },\n    \"bad\": { \"command\": [\"a\"] }\n  }\n}\n";
    let planned = install("opencode", text, "new", Entry::command("b", ["c"])).unwrap();
    let [note] = planned.notes.as_slice() else { panic!("{:?}", planned.notes) };
    assert!(note.contains("`bad` in line 4"), "{note}");
}

#[test]
fn an_update_leaves_one_consistent_entry() {
    let after = |id: &str, text: &str, entry: Entry| {
        let planned = install(id, text, "x", entry).unwrap();
        assert_eq!(planned.outcome, Outcome::Updated);
        planned
    };
    let codex = "[mcp_servers.x]\ncommand = \"a\"\nargs = [\"b\"]\nenabled_tools = [\"t\"]\ntool_timeout_sec = 30\n\n[mcp_servers.x.env]\nA = \"1\"\n";
    let planned = after("codex", codex, http("https://a.example/mcp"));
    assert!(
        !planned.after.contains("command") && !planned.after.contains("env]") && !planned.after.contains("args"),
        "{}",
        planned.after
    );
    assert!(planned.after.contains("enabled_tools") && planned.after.contains("tool_timeout_sec = 30"), "{}", planned.after);

    let codex = "[mcp_servers.x]\nurl = \"https://a.example\"\nbearer_token_env_var = \"T\"\nscopes = [\"s\"]\n";
    let planned = after("codex", codex, Entry::command("a", ["b"]));
    assert_eq!(planned.after, "[mcp_servers.x]\ncommand = \"a\"\nargs = [\"b\"]\n");
    assert!(planned.notes.iter().any(|n| n.contains("`scopes`")), "{:?}", planned.notes);

    let cline = r#"{"mcpServers": {"x": {"transport": {"type": "stdio", "command": "a", "args": ["b"], "oauth": 1}, "disabled": true, "autoApprove": ["t"]}}}"#;
    let planned = after("cline-cli", cline, http("https://a.example/mcp"));
    let entry = value(&planned.after).get("mcpServers").and_then(|s| s.get("x")).unwrap().clone();
    let read = client("cline-cli").entry.read(&entry, None).unwrap();
    assert_eq!(read.transport_word(), "http");
    assert!(entry.get("transport").is_none() && entry.get("command").is_none(), "{}", planned.after);
    assert_eq!(read.approve_tools.as_deref(), Some(["t".to_owned()].as_slice()));
    assert!(planned.notes.iter().any(|n| n.contains("switched off")), "{:?}", planned.notes);

    let list = "mcpServers:\n  - name: x\n    type: streamable-http\n    url: https://a.example\n    requestOptions:\n      timeout: 5\n      headers:\n        A: b\n";
    let planned = after("continue", list, http("https://b.example"));
    assert!(planned.after.contains("timeout: 5") && !planned.after.contains("A: b"), "{}", planned.after);
}

#[test]
fn a_server_that_is_off_stays_off_in_a_client_that_keeps_a_list() {
    let mut entry = Entry::command("a", ["b"]);
    entry.enabled = false;
    let planned = install("gemini-cli", "{}\n", "x", entry).unwrap();
    assert_eq!(value(&planned.after).get("mcp").and_then(|m| m.get("excluded")), Some(&Value::strings(["x"])));
    assert!(planned.notes.is_empty(), "{:?}", planned.notes);
}

#[test]
fn a_server_that_is_as_wanted_but_off_is_said_to_be_off() {
    let text = "[mcp_servers.x]\ncommand = \"a\"\nenabled = false\n";
    let planned = install("codex", text, "x", Entry::command("a", [] as [&str; 0])).unwrap();
    assert_eq!(planned.outcome, Outcome::Unchanged);
    assert!(planned.notes.iter().any(|n| n.contains("mcp enable x")), "{:?}", planned.notes);
}

#[test]
fn headers_differ_in_more_than_their_capitals() {
    let with = |name: &str| {
        let headers = vec![(name.to_owned(), Text::parse("v", Syntax::None))];
        Entry::new(Launch::Remote(Remote { transport: Transport::Http, url: Text::literal("https://a.example"), headers }))
    };
    assert_eq!(with("X-Team").meaning(), with("x-team").meaning());
    assert_ne!(with("X-Team").meaning(), with("X-Teams").meaning());
}
