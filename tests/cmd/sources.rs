//! Everything `mcp install` takes: packages, addresses, commands, and snippets in any client's dialect.

use serde_json::{Value as Json, json};

use crate::home::{Home, Run};

const FILE: &str = ".cursor/mcp.json";

/// The servers in the file afterwards.
fn servers(home: &Home) -> Json {
    serde_json::from_str::<Json>(&home.read(FILE)).unwrap()["mcpServers"].clone()
}

#[track_caller]
fn installed(home: &Home, words: &[&str]) -> (Json, Run) {
    let words: Vec<&str> = ["install", "--client", "cursor"].iter().chain(words).copied().collect();
    let run = home.mcp(&words).ok();
    (servers(home), run)
}

#[cfg(not(windows))]
#[test]
fn packages_images_addresses_and_commands() {
    for (words, name, entry) in [
        (&["npm:@playwright/mcp@latest"][..], "playwright", json!({"command": "npx", "args": ["-y", "@playwright/mcp@latest"]})),
        (&["npm:x@1.2", "--", "--flag", "a b"], "x", json!({"command": "npx", "args": ["-y", "x@1.2", "--flag", "a b"]})),
        (&["pypi:mcp-server-time==1.0"], "time", json!({"command": "uvx", "args": ["mcp-server-time==1.0"]})),
        (
            &["docker:mcp/fetch:1", "--env", "A=b"],
            "fetch",
            json!({"command": "docker", "args": ["run", "-i", "--rm", "-e", "A", "mcp/fetch:1"], "env": {"A": "b"}}),
        ),
        (&["https://mcp.h.example/mcp"], "h", json!({"url": "https://mcp.h.example/mcp"})),
        (
            &["https://h.example/mcp", "--name", "n", "--header", "X-A: ${B}"],
            "n",
            json!({"url": "https://h.example/mcp", "headers": {"X-A": "${env:B}"}}),
        ),
        (
            &["--name", "n", "--cwd", "/srv", "--", "node", "a.js", "--port", "0"],
            "n",
            json!({"command": "node", "args": ["a.js", "--port", "0"]}),
        ),
        (
            &["--env", "A=1=2", "--env", "B", "--name", "n", "--", "./run"],
            "n",
            json!({"command": "./run", "env": {"A": "1=2", "B": "${env:B}"}}),
        ),
    ] {
        let home = Home::new();
        let (found, run) = installed(&home, words);
        let shown = format!("{words:?} gave {found}\n{}", run.shown());
        for (key, value) in entry.as_object().unwrap() {
            assert_eq!(&found[name][key], value, "{shown}");
        }
    }
}

/// The same server in the words of every client's documentation.
const SNIPPETS: [(&str, &str); 11] = [
    ("Claude", r#"{ "mcpServers": { "s": { "command": "npx", "args": ["-y", "p"], "env": { "MODE": "fast" } } } }"#),
    (
        "VS Code",
        r#"{ "servers": { "s": { "type": "stdio", "command": "npx", "args": ["-y", "p"], "env": { "MODE": "fast" } } } }"#,
    ),
    (
        "Zed",
        r#"{ "context_servers": { "s": { "source": "custom", "command": "npx", "args": ["-y", "p"], "env": { "MODE": "fast" } } } }"#,
    ),
    ("Codex", "[mcp_servers.s]\ncommand = \"npx\"\nargs = [\"-y\", \"p\"]\nenv = { MODE = \"fast\" }\n"),
    (
        "goose",
        "extensions:\n  s:\n    name: s\n    type: stdio\n    enabled: true\n    cmd: npx\n    args: [-y, p]\n    envs:\n      MODE: fast\n",
    ),
    ("Continue", "mcpServers:\n  - name: s\n    command: npx\n    args:\n      - -y\n      - p\n    env:\n      MODE: fast\n"),
    ("OpenCode", r#"{ "mcp": { "s": { "type": "local", "command": ["npx", "-y", "p"], "environment": { "MODE": "fast" } } } }"#),
    ("without the outer key", r#"{ "s": { "command": "npx", "args": ["-y", "p"], "env": { "MODE": "fast" } } }"#),
    ("without braces", "\"s\": {\n  \"command\": \"npx\",\n  \"args\": [\"-y\", \"p\"],\n  \"env\": { \"MODE\": \"fast\" }\n},"),
    (
        "fenced",
        "Add this:\n\n```json\n{\n  // comment\n  \"mcpServers\": { \"s\": { \"command\": \"npx\", \"args\": [\"-y\", \"p\"], \"env\": { \"MODE\": \"fast\" }, } }\n}\n```\n\nDone.",
    ),
    (
        "inside settings",
        r#"{ "editor": 1, "mcp": { "servers": { "s": { "command": "npx", "args": ["-y", "p"], "env": { "MODE": "fast" } } } } }"#,
    ),
];

#[cfg(not(windows))]
#[test]
fn snippets_of_every_dialect() {
    for (dialect, snippet) in SNIPPETS {
        let home = Home::new();
        let run = home.fed(&["install", "--client", "cursor", "--from-json", "-"], snippet);
        assert_eq!(run.code, Some(0), "{dialect}: {}", run.shown());
        let found = servers(&home);
        let want = json!({"command": "npx", "args": ["-y", "p"], "env": {"MODE": "fast"}});
        for (key, value) in want.as_object().unwrap() {
            assert_eq!(&found["s"][key], value, "{dialect}: {found}");
        }
    }
}

#[cfg(not(windows))]
#[test]
fn a_bare_entry_is_named_by_its_command_or_by_us() {
    let home = Home::new();
    let (found, _) = installed(&home, &["--from-json", r#"{"command":"npx","args":["-y","@scope/thing-mcp"]}"#]);
    assert_eq!(found.as_object().unwrap().keys().collect::<Vec<_>>(), ["thing"], "{found}");
    let (found, _) = installed(&home, &["--name", "mine", "--from-json", r#"{"url":"https://h.example/mcp"}"#]);
    assert_eq!(found["mine"]["url"], "https://h.example/mcp");
}

#[test]
fn two_servers_at_once_and_from_a_file() {
    let home = Home::new().file("two.json", r#"{"mcpServers":{"a":{"command":"x"},"b":{"url":"https://h.example/mcp"}}}"#);
    let file = format!("@{}", home.path("two.json").display());
    home.mcp(&["install", "--client", "cursor,codex", "--from-json", &file]).ok();
    let found = servers(&home);
    assert_eq!((&found["a"]["command"], &found["b"]["url"]), (&json!("x"), &json!("https://h.example/mcp")));
    assert!(home.read(".codex/config.toml").contains("[mcp_servers.b]"));
    home.mcp(&["install", "--client", "zed", "--name", "one", "--from-json", &file]).ends(2).says(&["`--name`", "a, b"]);
    home.run("undo").ok();
    assert!(!home.path(FILE).exists());
}

#[test]
fn nonsense_is_refused_before_anything_is_written() {
    let home = Home::new();
    let before = home.tree();
    for snippet in
        ["", "nothing here", "{\"mcpServers\":{}}", "{\"a\":", "[1,2]", "{\"mcpServers\":{\"a\":{\"neither\":1}}}", "\u{0}"]
    {
        let run = home.fed(&["install", "--client", "cursor", "--from-json", "-"], snippet);
        assert_eq!(run.code, Some(2), "{}", run.shown());
    }
    home.mcp(&["install", "--client", "cursor", "--from-json", "@nothere.json"]).ends(3).says(&["nothere.json"]);
    assert_eq!(home.tree(), before);
}

#[test]
fn placeholders_are_refused() {
    let home = Home::new();
    let before = home.tree();
    for words in [
        &["npm:x", "--env", "A_KEY=YOUR_API_KEY"][..],
        &["npm:x", "--env", "A_KEY=<your key>"],
        &["npm:x", "--", "/path/to/folder"],
        &["https://h.example/mcp", "--header", "Authorization: Bearer YOUR_TOKEN"],
        &["--from-json", r#"{"a":{"command":"x","env":{"K":"xxxx"}}}"#],
        &["--from-json", r#"{"a":{"command":"x","args":["--api-key","<API_KEY>"]}}"#],
        &["--from-json", r#"{"a":{"url":"https://h.example/mcp","headers":{"Authorization":"Bearer your-token-here"}}}"#],
    ] {
        let words: Vec<&str> = ["install", "--client", "cursor"].iter().chain(words).copied().collect();
        home.mcp(&words).ends(2).says(&["stand-in"]);
    }
    assert_eq!(home.tree(), before);
    // Given a value, the snippet is fine.
    home.mcp(&[
        "install",
        "--client",
        "cursor",
        "--env",
        "K=real-value",
        "--from-json",
        r#"{"a":{"command":"x","env":{"K":"xxxx"}}}"#,
    ])
    .ok();
}

#[test]
fn a_required_variable_of_the_catalog() {
    let name = "GITHUB_PERSONAL_ACCESS_TOKEN";
    let home = Home::new();
    home.run("install github --client claude-code").ends(2).says(&[name, "--env"]);
    assert!(!home.path(".claude.json").exists());
    home.run(&format!("install github --client claude-code --env {name}=planted")).ok().hides("planted");
    assert!(home.read(".claude.json").contains("planted"));

    let home = Home::new();
    home.run(&format!("install github --client claude-code --env {name}")).ok().says(&["is not set in this shell"]);
    assert!(home.read(".claude.json").contains(&format!("${{{name}}}")), "{}", home.read(".claude.json"));

    let home = Home::new().var(name, "planted");
    home.run("install github --client claude-code").ok().hides("planted").says(&["is set in this shell"]);
    let text = home.read(".claude.json");
    assert!(text.contains(&format!("${{{name}}}")) && !text.contains("planted"), "{text}");
}

#[test]
fn gaps_are_said_before_anything_is_written() {
    let home = Home::new();
    let before = home.tree();
    for (line, says) in [
        ("install https://h.example/sse --client codex", "Codex has no way to reach a server over sse"),
        ("install https://h.example/mcp --client codex --transport sse", "it speaks"),
        ("install https://h.example/mcp --client claude-desktop", "Claude Desktop"),
    ] {
        home.run(line).ends(3).says(&[says]);
        home.run(&format!("{line} --dry-run")).ends(3).says(&[says]);
        assert_eq!(home.tree(), before, "{line}");
    }
}

#[test]
fn a_program_that_is_missing_is_named() {
    let home = Home::new();
    home.mcp(&["install", "--client", "cursor", "--name", "n", "--", "nosuchprogram"])
        .ok()
        .says(&["`nosuchprogram` is not on this shell's PATH"]);
    home.run("install npm:x --client cursor").ok().hides("is not on this shell's PATH");
}
