//! `disable` and `enable`, for clients with a switch of their own, with a list, and without.

use crate::home::Home;

const JSON: &str = "{\n  // first\n  \"mcpServers\": {\n    \"a\": { \"command\": \"x\" }, // about a\n\t\"b\": { \"command\": \"y\" }\n  }\n}\n";

#[test]
fn off_and_on_again_gives_the_first_bytes() {
    for (client, file, text, off) in [
        ("codex", ".codex/config.toml", "[mcp_servers.a]\ncommand = \"x\" # why\n\n[other]\n", "enabled = false"),
        (
            "cline-cli",
            ".cline/data/settings/cline_mcp_settings.json",
            "{\n  \"mcpServers\": {\n    \"a\": { \"command\": \"x\" },\n\t\"b\": { \"command\": \"y\" }\n  }\n}\n",
            "\"disabled\": true",
        ),
        ("gemini-cli", ".gemini/settings.json", JSON, "\"excluded\""),
        ("cursor", ".cursor/mcp.json", JSON, ""),
        ("claude-code", ".claude.json", "{\"mcpServers\":{\"a\":{\"type\":\"stdio\",\"command\":\"x\"}}}", ""),
        (
            "continue",
            ".continue/config.yaml",
            "name: me\nversion: 1.0.0\nschema: v1\n# servers\nmcpServers:\n  - name: a # about a\n    command: x\n  - name: b\n    command: y\n",
            "",
        ),
    ] {
        let home = Home::new().file(file, text);
        let client = format!("--client {client}");
        let run = home.run(&format!("disable a {client}")).ok().says(&["disabled"]);
        let without = home.read(file);
        assert_ne!(without, text);
        if off.is_empty() {
            assert!(run.err.contains("no switch") && run.err.contains("`mcp enable a`"), "{}", run.shown());
            home.run("list a").ok().says(&["off (kept)", "mcp enable a"]);
            let list = home.run("list a --json").ok().json("mcp.list/1");
            assert_eq!(list["kept_off"][0]["name"], "a");
        } else {
            assert!(without.contains(off), "{without}");
            home.run(&format!("list a {client}")).ok().says(&["off"]);
        }
        // Twice is once.
        home.run(&format!("disable a {client}"));
        assert_eq!(home.read(file), without);
        home.run(&format!("enable a {client}")).ok().says(&["enabled"]);
        assert_eq!(home.read(file), text, "{client}");
        home.run(&format!("enable a {client}")).ok();
        assert_eq!(home.read(file), text, "{client}");
    }
}

#[test]
fn what_somebody_else_switched_off_is_switched_on() {
    let home = Home::new().file(".codex/config.toml", "[mcp_servers.a]\ncommand = \"x\"\nenabled = false\n");
    home.run("enable a").ok();
    home.run("list a --json").ok().says(&["\"off\": false"]);
}

#[test]
fn an_entry_that_was_kept_comes_back_beside_what_was_added_since() {
    let home = Home::new().file(".cursor/mcp.json", JSON);
    home.run("disable a").ok();
    home.run("install calculator --client cursor").ok();
    home.run("enable a").ok();
    let text = home.read(".cursor/mcp.json");
    assert!(text.contains("calculator") && text.contains("\"x\""), "{text}");
    home.run("uninstall calculator").ok();
    home.run("list a").ok().says(&["cursor"]);
}

#[test]
fn undo_of_a_disable_is_an_enable() {
    let home = Home::new().file(".cursor/mcp.json", JSON);
    home.run("disable a").ok();
    home.run("undo").ok();
    assert_eq!(home.read(".cursor/mcp.json"), JSON);
    assert_eq!(home.run("list --json").ok().json("mcp.list/1")["kept_off"], serde_json::json!([]));
}

#[test]
fn nothing_of_that_name() {
    let home = Home::new().file(".cursor/mcp.json", JSON);
    for verb in ["disable", "enable", "uninstall"] {
        home.run(&format!("{verb} aa")).ends(1).says(&["no client has a server called `aa`"]);
        home.run(&format!("{verb} zzzzzz --client cursor")).ends(1);
    }
}
