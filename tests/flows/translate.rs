//! `--from CLIENT NAME`: every field arrives in the other client's words, or is named in a note.

use mcp_clients::clients::Clients;
use mcp_clients::entry::{Entry, Launch};
use mcp_edit::{Document, Format};
use serde_json::Value as Json;

use crate::home::Home;

/// A local server with all its client can say, in its client's words.
const LOCAL: [(&str, &str, &str); 11] = [
    (
        "codex",
        ".codex/config.toml",
        "[mcp_servers.full]\ncommand = \"node\"\nargs = [\"a.js\", \"--p\"]\nenv = { MODE = \"fast\" }\nenv_vars = [\"TOKEN\"]\ncwd = \"/srv\"\nstartup_timeout_sec = 20\ntool_timeout_sec = 45\nenabled = false\nenabled_tools = [\"read\"]\ndisabled_tools = [\"drop\"]\n",
    ),
    (
        "claude-code",
        ".claude.json",
        r#"{"mcpServers":{"full":{"type":"stdio","command":"node","args":["a.js","--p"],"env":{"MODE":"fast","TOKEN":"${TOKEN}"},"timeout":45000}}}"#,
    ),
    (
        "goose",
        ".config/goose/config.yaml",
        "extensions:\n  full:\n    name: full\n    type: stdio\n    enabled: false\n    cmd: node\n    args: [a.js, --p]\n    envs: {MODE: fast}\n    env_keys: [TOKEN]\n    timeout: 45\n    available_tools: [read]\n    cwd: /srv\n",
    ),
    (
        "opencode",
        ".config/opencode/opencode.jsonc",
        r#"{"mcp":{"full":{"type":"local","command":["node","a.js","--p"],"environment":{"MODE":"fast","TOKEN":"{env:TOKEN}"},"enabled":false,"timeout":45000}}}"#,
    ),
    (
        "zed",
        ".config/zed/settings.json",
        r#"{"context_servers":{"full":{"command":"node","args":["a.js","--p"],"env":{"MODE":"fast"},"timeout":45,"enabled":false}}}"#,
    ),
    (
        "gemini-cli",
        ".gemini/settings.json",
        r#"{"mcpServers":{"full":{"command":"node","args":["a.js","--p"],"env":{"MODE":"fast","TOKEN":"$TOKEN"},"cwd":"/srv","timeout":45000,"includeTools":["read"],"excludeTools":["drop"],"trust":true}}}"#,
    ),
    (
        "cline-cli",
        ".cline/data/settings/cline_mcp_settings.json",
        r#"{"mcpServers":{"full":{"transport":{"type":"stdio","command":"node","args":["a.js","--p"],"env":{"MODE":"fast"},"cwd":"/srv"},"disabled":true,"timeout":45,"autoApprove":["read"]}}}"#,
    ),
    (
        "continue",
        ".continue/config.yaml",
        "name: me\nversion: 1.0.0\nschema: v1\nmcpServers:\n  - name: full\n    command: node\n    args: [a.js, --p]\n    env:\n      MODE: fast\n      TOKEN: ${{ secrets.TOKEN }}\n    cwd: /srv\n",
    ),
    (
        "copilot-cli",
        ".copilot/mcp-config.json",
        r#"{"mcpServers":{"full":{"type":"local","command":"node","args":["a.js","--p"],"env":{"MODE":"fast","TOKEN":"${TOKEN}"},"cwd":"/srv","timeout":45000,"tools":["read"]}}}"#,
    ),
    (
        "vscode",
        ".config/Code/User/mcp.json",
        r#"{"servers":{"full":{"type":"stdio","command":"node","args":["a.js","--p"],"env":{"MODE":"fast","TOKEN":"${env:TOKEN}"},"cwd":"/srv","envFile":"/srv/.env"}}}"#,
    ),
    (
        "crush",
        ".config/crush/crush.json",
        r#"{"mcp":{"full":{"type":"stdio","command":"node","args":["a.js","--p"],"env":{"MODE":"fast","TOKEN":"$TOKEN"},"timeout":45,"disabled":true,"disabled_tools":["drop"]}}}"#,
    ),
];

/// The same for a remote one.
const REMOTE: [(&str, &str, &str); 5] = [
    (
        "codex",
        ".codex/config.toml",
        "[mcp_servers.full]\nurl = \"https://h.example/mcp\"\nbearer_token_env_var = \"TOKEN\"\nhttp_headers = { X-Team = \"core\" }\n",
    ),
    (
        "claude-code",
        ".claude.json",
        r#"{"mcpServers":{"full":{"type":"http","url":"https://h.example/mcp","headers":{"Authorization":"Bearer ${TOKEN}","X-Team":"core"}}}}"#,
    ),
    (
        "gemini-cli",
        ".gemini/settings.json",
        r#"{"mcpServers":{"full":{"httpUrl":"https://h.example/mcp","headers":{"Authorization":"Bearer $TOKEN","X-Team":"core"}}}}"#,
    ),
    (
        "opencode",
        ".config/opencode/opencode.jsonc",
        r#"{"mcp":{"full":{"type":"remote","url":"https://h.example/mcp","headers":{"Authorization":"Bearer {env:TOKEN}","X-Team":"core"}}}}"#,
    ),
    (
        "vscode",
        ".config/Code/User/mcp.json",
        r#"{"servers":{"full":{"type":"http","url":"https://h.example/mcp","headers":{"Authorization":"Bearer ${env:TOKEN}","X-Team":"core"}}}}"#,
    ),
];

/// The entry of `full` in a client, as its descriptor reads it, and whether it is off.
fn entry(home: &Home, client: &str) -> (Entry, bool) {
    let answer = home.run(&format!("list full --client {client} --reveal --json")).ok().json("mcp.list/1");
    let server = &answer["servers"][0];
    let text = server["entry"].to_string();
    let document = Document::parse(&text, Format::Json).unwrap();
    let value = document.get(&mcp_edit::Path::default()).unwrap().unwrap().value;
    let clients = Clients::built_in();
    let descriptor = clients.get(client).unwrap();
    let named_by = descriptor.files.iter().find_map(|f| f.named_by.as_deref());
    (descriptor.entry.read(&value, named_by).unwrap(), server["off"] == true)
}

/// Every field of the first is in the second or named in the notes. What fails, by field.
fn lost(from: &(Entry, bool), to: &(Entry, bool), notes: &str) -> Vec<String> {
    let mut lost = Vec::new();
    let mut check = |what: &str, kept: bool, words: &[&str]| {
        if !kept && !words.iter().any(|w| notes.contains(w)) {
            lost.push(what.to_owned());
        }
    };
    match (&from.0.launch, &to.0.launch) {
        (Launch::Stdio(a), Launch::Stdio(b)) => {
            check("command", a.command == b.command, &[]);
            check("args", a.args == b.args, &[]);
            for (name, value) in &a.env {
                check(&format!("env {name}"), b.env.iter().any(|(n, v)| n == name && v == value), &[&format!("`{name}`")]);
            }
            check("cwd", a.cwd == b.cwd, &["/srv"]);
            check("env file", a.env_file == b.env_file, &["/srv/.env"]);
        }
        (Launch::Remote(a), Launch::Remote(b)) => {
            check("url", a.url == b.url, &[]);
            for (name, value) in &a.headers {
                check(&format!("header {name}"), b.headers.iter().any(|(n, v)| n == name && v == value), &[&format!("`{name}`")]);
            }
        }
        _ => check("transport", false, &[]),
    }
    check("timeout", from.0.timeout.is_none() || from.0.timeout == to.0.timeout, &["45s", "time"]);
    check(
        "startup timeout",
        from.0.startup_timeout.is_none() || from.0.startup_timeout == to.0.startup_timeout,
        &["20s", "start"],
    );
    for (what, a, b) in [
        ("allowed tools", &from.0.allow_tools, &to.0.allow_tools),
        ("denied tools", &from.0.deny_tools, &to.0.deny_tools),
        ("approved tools", &from.0.approve_tools, &to.0.approve_tools),
    ] {
        check(what, a.is_none() || a == b, &["tools"]);
    }
    check("switch", !from.1 || to.1, &["switch", "will be on"]);
    lost
}

fn matrix(sources: &[(&str, &str, &str)]) {
    let ids: Vec<&str> = LOCAL.iter().map(|(id, ..)| *id).collect();
    let mut failures = Vec::new();
    let mut pairs = 0;
    for (from, file, text) in sources {
        let home = Home::new().file(file, text);
        let have = entry(&home, from);
        let others: Vec<&str> = ids.iter().copied().filter(|id| id != from).collect();
        let run = home.run(&format!("install --from {from} full --client {} --json", others.join(",")));
        let answer = run.json("mcp.changes/1");
        for (to, change) in others.iter().zip(answer["changes"].as_array().unwrap()) {
            let change: &Json = change;
            assert_eq!(change["client"], *to);
            pairs += 1;
            if change["outcome"] == "failed" {
                // A refusal is fine as long as it says what cannot be said.
                let message = change["error"]["message"].as_str().unwrap_or_default();
                if !message.contains("cannot fill in") && !message.contains("no way to") {
                    failures.push(format!("{from} → {to}: {message}"));
                }
                continue;
            }
            let lost = lost(&have, &entry(&home, to), &change["notes"].to_string());
            if !lost.is_empty() {
                failures.push(format!(
                    "{from} → {to}: {} without a word. Notes: {}\n{}",
                    lost.join(", "),
                    change["notes"],
                    change["diff"]
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {pairs} pairs:\n{}", failures.len(), failures.join("\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn every_field_of_a_local_server_arrives_or_is_named() {
    matrix(&LOCAL);
}

#[cfg(target_os = "linux")]
#[test]
fn every_field_of_a_remote_server_arrives_or_is_named() {
    matrix(&REMOTE);
}

#[cfg(target_os = "linux")]
#[test]
fn units_and_words_are_the_clients_own() {
    let home = Home::new().file(LOCAL[0].1, LOCAL[0].2);
    home.run("install --from codex full --client claude-code,goose,opencode,zed,gemini-cli,vscode,crush").ends(0);
    for (file, words) in [
        (".claude.json", &["\"timeout\": 45000", "${TOKEN}"][..]),
        (".config/goose/config.yaml", &["timeout: 45\n", "env_keys:", "TOKEN", "enabled: false"]),
        (".config/opencode/opencode.json", &["{env:TOKEN}", "\"environment\"", "\"enabled\": false", "\"local\""]),
        (".config/zed/settings.json", &["\"timeout\": 45", "\"enabled\": false"]),
        (".gemini/settings.json", &["includeTools", "excludeTools", "/srv"]),
        (".config/Code/User/mcp.json", &["${env:TOKEN}", "\"servers\""]),
        (".config/crush/crush.json", &["${TOKEN}", "\"disabled\": true"]),
    ] {
        let path = if home.path(file).exists() { file.to_owned() } else { format!("{file}c") };
        let text = home.read(&path);
        for word in words {
            assert!(text.contains(word), "`{word}` is not in {path}:\n{text}");
        }
    }
}
