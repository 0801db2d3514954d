//! Snippets as people find them.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it says")]

use std::time::Duration;

use mcp_clients::clients::Clients;
use mcp_clients::descriptor::Syntax;
use mcp_clients::entry::{Launch, Remote, Stdio, Transport};
use mcp_clients::snippet::{self, Found, SnippetError, inputs};
use mcp_clients::text::Text;

fn all(text: &str) -> Vec<Found> {
    snippet::read(text, &Clients::built_in()).unwrap_or_else(|e| panic!("{e}: {:?}\n{text}", std::error::Error::source(&e)))
}

fn one(text: &str) -> Found {
    let mut found = all(text);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn error(text: &str) -> String {
    snippet::read(text, &Clients::built_in()).unwrap_err().to_string()
}

fn stdio(found: &Found) -> &Stdio {
    match &found.entry.launch {
        Launch::Stdio(stdio) => stdio,
        Launch::Remote(_) => panic!("{found:?} is remote"),
    }
}

fn remote(found: &Found) -> &Remote {
    match &found.entry.launch {
        Launch::Remote(remote) => remote,
        Launch::Stdio(_) => panic!("{found:?} is local"),
    }
}

#[test]
fn every_dialect_says_the_same() {
    for text in [
        r#"{"mcpServers": {"x": {"command": "npx", "args": ["-y", "pkg"], "env": {"A": "1"}}}}"#,
        r#""x": {"command": "npx", "args": ["-y", "pkg"], "env": {"A": "1"}},"#,
        "// for your settings\n\"x\": {\"command\": \"npx\", \"args\": [\"-y\", \"pkg\"], \"env\": {\"A\": \"1\"}}\n// that is all",
        r#"{"x": {"command": "npx", "args": ["-y", "pkg"], "env": {"A": "1"}}}"#,
        r#"{"name": "x", "command": "npx", "args": ["-y", "pkg"], "env": {"A": "1"}}"#,
        r#"{"servers": {"x": {"type": "stdio", "command": "npx", "args": ["-y", "pkg"], "env": {"A": "1"}}}}"#,
        r#"{"mcp": {"servers": {"x": {"command": "npx", "args": ["-y", "pkg"], "env": {"A": "1"}}}}}"#,
        r#"{"mcp": {"x": {"type": "local", "command": ["npx", "-y", "pkg"], "environment": {"A": "1"}, "enabled": true}}}"#,
        r#"{"amp.mcpServers": {"x": {"command": "npx", "args": ["-y", "pkg"], "env": {"A": "1"}}}}"#,
        r#"{"context_servers": {"x": {"source": "custom", "command": "npx", "args": ["-y", "pkg"], "env": {"A": "1"}}}}"#,
        r#"{"agents": {"mine": {"tools": {"mcpServers": {"x": {"command": "npx", "args": ["-y", "pkg"], "env": {"A": "1"}}}}}}}"#,
        "[mcp_servers.x]\ncommand = \"npx\"\nargs = [\"-y\", \"pkg\"]\n\n[mcp_servers.x.env]\nA = \"1\"\n",
        "extensions:\n  x:\n    name: x\n    enabled: true\n    type: stdio\n    cmd: npx\n    args: [-y, pkg]\n    envs:\n      A: '1'\n    timeout: 300\n",
        "mcpServers:\n  - name: x\n    command: npx\n    args:\n      - -y\n      - pkg\n    env:\n      A: '1'\n",
        "- name: x\n  command: npx\n  args: [-y, pkg]\n  env: { A: '1' }\n",
        "Put this into your settings:\n\n```json\n{\"mcpServers\": {\"x\": {\"command\": \"npx\", \"args\": [\"-y\", \"pkg\"], \"env\": {\"A\": \"1\"}}}}\n```\nand restart.\n",
        "{\n  // JSONC\n  \"mcpServers\": {\n    \"x\": {\n      \"command\": \"npx\",\n      \"args\": [\"-y\", \"pkg\",],\n      \"env\": {\"A\": \"1\"},\n    },\n  },\n}\n",
    ] {
        let found = one(text);
        assert_eq!(found.name.as_deref(), Some("x"), "{text}");
        let stdio = stdio(&found);
        assert_eq!(stdio.command, Text::literal("npx"), "{text}");
        assert_eq!(stdio.args, ["-y", "pkg"].map(Text::literal), "{text}");
        assert_eq!(stdio.env, [("A".to_owned(), Text::literal("1"))], "{text}");
        assert!(found.unknown.is_empty(), "{:?} of {text}", found.unknown);
    }
}

#[test]
fn a_server_may_be_called_like_an_outer_key() {
    for name in ["mcp", "servers", "extensions", "mcpServers"] {
        assert_eq!(one(&format!(r#"{{"{name}": {{"command": "a"}}}}"#)).name.as_deref(), Some(name));
    }
}

#[test]
fn time_outs_are_taken_in_the_unit_that_makes_sense() {
    let cline = one(r#"{"mcpServers": {"x": {"command": "a", "disabled": false, "autoApprove": [], "timeout": 60}}}"#);
    assert_eq!(cline.entry.timeout, Some(Duration::from_mins(1)), "as {}", cline.dialect);
    let claude = one(r#"{"mcpServers": {"x": {"command": "a", "timeout": 30000}}}"#);
    assert_eq!(claude.entry.timeout, Some(Duration::from_secs(30)), "as {}", claude.dialect);
    let goose = one("extensions:\n  x:\n    type: stdio\n    enabled: true\n    cmd: a\n    args: []\n    timeout: 300\n");
    assert_eq!(goose.entry.timeout, Some(Duration::from_mins(5)), "as {}", goose.dialect);
    let codex = one("[mcp_servers.x]\ncommand = \"a\"\ntool_timeout_sec = 1.5\n");
    assert_eq!(codex.entry.timeout, Some(Duration::from_millis(1500)));
    let guessed = one(r#"{"x": {"command": "a", "timeout": 60}}"#);
    assert_eq!(guessed.entry.timeout, Some(Duration::from_mins(1)), "as {}", guessed.dialect);
}

#[test]
fn an_address_alone_speaks_what_its_path_says() {
    for (text, transport) in [
        (r#"{"mcpServers": {"x": {"url": "https://a.example/mcp"}}}"#, Transport::Http),
        (r#"{"mcpServers": {"x": {"url": "https://a.example/sse"}}}"#, Transport::Sse),
        (r#"{"mcpServers": {"x": {"url": "https://a.example/mcp", "disabled": false, "autoApprove": []}}}"#, Transport::Http),
        (r#"{"mcpServers": {"x": {"type": "sse", "url": "https://a.example/mcp"}}}"#, Transport::Sse),
        (r#"{"mcpServers": {"x": {"type": "streamable-http", "url": "https://a.example/sse"}}}"#, Transport::Http),
        (r#"{"mcpServers": {"x": {"transport": "sse", "url": "https://a.example/mcp"}}}"#, Transport::Sse),
        (r#"{"mcpServers": {"x": {"httpUrl": "https://a.example/sse"}}}"#, Transport::Http),
        (r#"{"mcpServers": {"x": {"serverUrl": "https://a.example/mcp"}}}"#, Transport::Http),
        ("extensions:\n  x:\n    type: streamable_http\n    enabled: true\n    uri: https://a.example/mcp\n", Transport::Http),
        ("[mcp_servers.x]\nurl = \"https://a.example/mcp\"\n", Transport::Http),
    ] {
        let found = one(text);
        assert_eq!(remote(&found).transport, transport, "{text} as {}", found.dialect);
        assert!(found.unknown.is_empty(), "{:?} of {text}", found.unknown);
    }
}

#[test]
fn variables_are_understood_in_the_dialect_they_are_spelled_in() {
    for text in [
        r#"{"mcpServers": {"x": {"url": "https://a.example", "headers": {"A": "Bearer ${TOKEN}"}}}}"#,
        r#"{"mcpServers": {"x": {"url": "https://a.example", "headers": {"A": "Bearer ${env:TOKEN}"}}}}"#,
        r#"{"servers": {"x": {"type": "http", "url": "https://a.example", "headers": {"A": "Bearer ${env:TOKEN}"}}}}"#,
        r#"{"mcp": {"x": {"type": "remote", "url": "https://a.example", "headers": {"A": "Bearer {env:TOKEN}"}}}}"#,
        "mcpServers:\n  - name: x\n    url: https://a.example\n    requestOptions:\n      headers:\n        A: Bearer ${{ secrets.TOKEN }}\n",
    ] {
        let found = one(text);
        let want = Text::parse("Bearer ${TOKEN}", Syntax::DollarBrace);
        assert_eq!(remote(&found).headers, [("A".to_owned(), want)], "{text} as {}", found.dialect);
    }
}

#[test]
fn questions_of_vs_code_are_found() {
    let text = r#"{
      "inputs": [{ "type": "promptString", "id": "token", "description": "Token", "password": true }],
      "servers": { "x": { "command": "a", "args": ["--key", "${input:key}"], "env": { "TOKEN": "${input:token}" } } }
    }"#;
    let found = one(text);
    assert_eq!(
        inputs(&found.entry),
        [("--env TOKEN=…".to_owned(), "token".to_owned()), ("the command".to_owned(), "key".to_owned())]
    );
}

#[test]
fn all_servers_of_a_snippet_are_read_or_named() {
    let found = all(r#"{"mcpServers": {"a": {"command": "x"}, "b": {"url": "https://b.example/mcp"}}}"#);
    assert_eq!(found.iter().map(|f| f.name.as_deref().unwrap()).collect::<Vec<_>>(), ["a", "b"]);
    let half = r#"{"mcpServers": {"a": {"command": "x"}, "b": {"args": ["y"]}}}"#;
    assert!(error(half).contains("`b`"), "{}", error(half));
    // What goose has built in is no server.
    let goose = "extensions:\n  developer:\n    type: builtin\n    enabled: true\n    name: developer\n  x:\n    type: stdio\n    enabled: true\n    cmd: a\n    args: []\n";
    assert_eq!(one(goose).name.as_deref(), Some("x"));
    let zed = r#"{"context_servers": {"x": {"command": {"path": "a", "args": []}}}}"#;
    assert!(error(zed).contains("`x`"), "{}", error(zed));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, parts) in [
        ("{mcpServers: {x: {command: 'npx'}}}", &["JSON", "1:2", "\" quotes"][..]),
        ("{\n  \"mcpServers\": {\n    \"x\": { \"command\": 'npx' }\n  }\n}", &["JSON", "3:23", "\" quotes"]),
        ("{\u{201c}command\u{201d}: \u{201c}npx\u{201d}}", &["typographic", "1:2", "plain"]),
        ("{\"x\": {\"command\": \"npx\"", &["JSON", "1:"]),
        ("mcpServers:\n\t- name: x\n\t  command: npx\n", &["YAML", "2:1", "tabs"]),
        ("[mcp_servers.x]\ncommand = npx\n", &["TOML", "2:11"]),
    ] {
        let message = error(text);
        for part in parts {
            assert!(message.contains(part), "{message:?} says nothing of {part:?}");
        }
    }
    for text in ["", "hello", "{}", "[]", "42", "{\"theme\": \"dark\"}"] {
        let result = snippet::read(text, &Clients::built_in());
        assert!(matches!(result, Err(SnippetError::NoServer | SnippetError::Syntax { .. })), "{text:?}: {result:?}");
    }
}
