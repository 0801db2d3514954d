//! Answers in JSON: the schema, and the facts a script would look for.

use serde_json::json;

use crate::home::Home;

const ENTRY: &str = "{\"mcpServers\":{\"a\":{\"type\":\"stdio\",\"command\":\"npx\",\"env\":{\"A_TOKEN\":\"planted\"}}}}\n";

fn home() -> Home {
    Home::new().file(".claude.json", ENTRY).file(".codex/config.toml", "[mcp_servers.a]\ncommand = \"other\"\nenabled = false\n")
}

#[test]
fn clients_say_how_they_were_found_and_what_state_their_files_are_in() {
    let home = home().file(".config/zed/settings.json", "{\n  \"a\" 1\n}\n");
    let all = home.run("clients --json").ok().json("mcp.clients/1");
    let find = |id: &str| all["clients"].as_array().unwrap().iter().find(|c| c["id"] == id).cloned();
    let claude = find("claude-code").unwrap();
    assert_eq!(claude["signs"][0]["kind"], "path");
    let user = &claude["files"][0];
    assert_eq!((&user["scope"], &user["state"], &user["servers"]), (&json!("user"), &json!("ok"), &json!(1)));
    assert!(user["path"].as_str().unwrap().ends_with(".claude.json"));
    assert!(!claude["reload"].as_str().unwrap().is_empty());
    if cfg!(target_os = "linux") {
        let zed = &find("zed").unwrap()["files"][0];
        assert_eq!((&zed["state"], &zed["line"], &zed["column"]), (&json!("unparsable"), &json!(2), &json!(7)));
    }
    assert_eq!(find("cursor"), None, "it is not installed");
    let known = home.run("clients --all --json").ok().json("mcp.clients/1");
    assert!(known["clients"].as_array().unwrap().len() >= 27);
}

#[test]
fn list_says_what_counts_what_is_off_and_what_differs() {
    for word in ["list", "ls", "list-installed"] {
        let answer = home().mcp(&[word, "--json"]).ok().hides("planted").json("mcp.list/1");
        let servers = answer["servers"].as_array().unwrap();
        assert_eq!(servers.len(), 2);
        assert_eq!((&servers[0]["client"], &servers[0]["effective"]), (&json!("claude-code"), &json!(true)));
        assert_eq!((&servers[1]["client"], &servers[1]["off"]), (&json!("codex"), &json!(true)));
        assert!(servers.iter().all(|s| s["differs"] == true));
    }
    let one = home().run("list a --client codex --scope user --json").ok().json("mcp.list/1");
    assert_eq!(one["servers"].as_array().unwrap().len(), 1);
    let none = home().run("list a --scope project --json").ends(1).json("mcp.list/1");
    assert_eq!(none["servers"], json!([]));
    home().run("list a --reveal").ok().says(&["planted"]);
    home().run("list --json --reveal").ok().says(&["planted"]);
}

#[test]
fn the_stronger_scope_is_the_effective_one() {
    let home = home();
    home.write("project/.mcp.json", ENTRY.replace("npx", "node"));
    let answer = home.run("list a --client claude-code --json").ok().json("mcp.list/1");
    let servers = answer["servers"].as_array().unwrap();
    let effective: Vec<_> = servers.iter().filter(|s| s["effective"] == true).map(|s| s["scope"].clone()).collect();
    assert_eq!(effective, [json!("project")]);
    home.run("list a --client claude-code").ok().says(&["shadowed"]);
}

#[test]
fn changes_say_what_was_written_and_how_to_take_it_back() {
    let home = home();
    let answer = home.run("add calculator --client codex,claude-code --json").ok().json("mcp.changes/1");
    assert_eq!((&answer["verb"], &answer["undo"], &answer["dry_run"]), (&json!("install"), &json!(1), &json!(false)));
    for change in answer["changes"].as_array().unwrap() {
        assert_eq!((&change["outcome"], &change["written"], &change["error"]), (&json!("added"), &json!(true), &json!(null)));
        assert!(!change["next"].as_array().unwrap().is_empty(), "{change}");
        assert!(std::path::Path::new(change["path"].as_str().unwrap()).is_absolute(), "{change}");
        assert!(change["diff"].as_array().unwrap().iter().any(|l| l.as_str().unwrap().starts_with('+')));
    }
    let again = home.run("install calculator --client codex --json").ok().json("mcp.changes/1");
    assert_eq!((&again["undo"], &again["changes"][0]["outcome"]), (&json!(null), &json!("unchanged")));
    let off = home.run("disable calculator --client codex --json").ok().json("mcp.changes/1");
    assert_eq!(off["changes"][0]["outcome"], "disabled");
    let on = home.run("enable calculator --client codex --json").ok().json("mcp.changes/1");
    assert_eq!(on["changes"][0]["outcome"], "enabled");
    let gone = home.run("rm calculator --json --yes").ok().json("mcp.changes/1");
    assert_eq!(gone["changes"].as_array().unwrap().len(), 2);
    let list = home.run("undo --list --json").ok().json("mcp.undo-list/1");
    assert_eq!(list["changes"][0]["id"], 4);
    let back = home.run("undo --json").ok().json("mcp.changes/1");
    assert_eq!((&back["verb"], &back["changes"][0]["outcome"]), (&json!("undo"), &json!("added")));
}

#[test]
fn project_files_have_absolute_paths_too() {
    let home = home();
    let answer = home.run("install calculator --client claude-code --scope project --json").ok().json("mcp.changes/1");
    assert_eq!(answer["changes"][0]["path"], json!(home.work().join(".mcp.json")));
    // Claude Code asks before it starts a project's server.
    assert!(answer["changes"][0]["next"].as_array().unwrap().len() > 1, "{answer}");
}

#[test]
fn a_failure_has_place_excerpt_and_snippet() {
    let home = home().file(".codex/config.toml", "model = \"x\"\n[mcp_servers\n");
    let answer = home.run("install calculator --client codex,claude-code --json").ends(3).json("mcp.changes/1");
    let (bad, good) = (&answer["changes"][0], &answer["changes"][1]);
    assert_eq!((&bad["outcome"], &bad["error"]["line"]), (&json!("failed"), &json!(2)));
    assert!(bad["error"]["excerpt"].as_str().unwrap().contains("[mcp_servers"), "{bad}");
    assert!(bad["paste"].as_str().unwrap().contains("[mcp_servers.calculator]"), "{bad}");
    assert_eq!(good["outcome"], "added");
}

#[test]
fn settings_and_version() {
    let home = home();
    let paths = home.run("config path --json").ok().json("mcp.config-path/1");
    assert!(paths["config"].as_str().unwrap().ends_with("config.toml"));
    home.run("config get default-clients --json").ends(1);
    home.run("config set default-clients codex").ok();
    assert_eq!(home.run("config get --json").ok().json("mcp.config/1")["default-clients"], json!(["codex"]));
    // Now nobody has to be named.
    home.run("install calculator --yes").ok();
    assert!(home.read(".codex/config.toml").contains("calculator"));
    home.run("config set default-clients ,").ok();
    home.run("config get default-clients").ends(1);
    let version = home.run("version --json").ok().json("mcp.version/1");
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    for line in ["--version", "-V", "version"] {
        home.run(line).ok().says(&[env!("CARGO_PKG_VERSION")]);
    }
}
