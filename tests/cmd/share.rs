//! `share` and `unshare`, and `install --shared`.

use crate::home::Home;

const CLAUDE: &str = ".claude.json";
const CODEX: &str = ".codex/config.toml";
const CURSOR: &str = ".cursor/mcp.json";
const MCP: &str = env!("CARGO_BIN_EXE_mcp");

const JSON: &str = "{\n  // mine\n  \"mcpServers\": {\n    \"web\": { \"command\": \"npx\", \"args\": [\"-y\", \"web\"], \"env\": { \"LEVEL\": \"9\" } } // about it\n  }\n}\n";
const TOML: &str = "[mcp_servers.web] # mine\ncommand = \"npx\"\nargs = [\n  \"-y\", # yes\n  \"web\",\n]\ntool_timeout_sec = 9\nenabled = false\n";

#[test]
fn shared_and_unshared_gives_the_first_bytes() {
    let home = Home::new().file(CURSOR, JSON).file(CODEX, TOML);
    home.run("share web --yes").ok().says(&["`web` shared", "mcp undo", "start a new session"]);
    for file in [CURSOR, CODEX] {
        let text = home.read(file);
        for word in [MCP, "run-once", "--name", "\"--\"", "npx", "mine"] {
            assert!(text.contains(word), "{word} is missing:\n{text}");
        }
    }
    assert!(home.read(CODEX).ends_with("tool_timeout_sec = 9\nenabled = false\n"));
    let list = home.run("list --json").ok().json("mcp.list/1");
    for server in list["servers"].as_array().unwrap() {
        assert_eq!((server["shared"].as_bool(), server["server"].as_str()), (Some(true), Some("npx -y web")), "{server}");
    }
    home.run("list web").ok().says(&["shared", "npx -y web"]);

    // Twice is once.
    let shared = (home.read(CURSOR), home.read(CODEX));
    home.run("share web --yes").ok().says(&["shared already", "the daemon calls it `web`"]);
    assert_eq!((home.read(CURSOR), home.read(CODEX)), shared);

    let run = home.run("unshare web --yes --json").ok().json("mcp.changes/1");
    assert_eq!((run["verb"].as_str(), run["changes"][0]["outcome"].as_str()), (Some("unshare"), Some("unshared")));
    assert_eq!(run["changes"][1]["notes"], serde_json::json!([]));
    assert_eq!((home.read(CURSOR).as_str(), home.read(CODEX).as_str()), (JSON, TOML));
    home.run("unshare web --client codex").ok().says(&["not shared"]);
    home.run("undo").ok();
    assert_eq!((home.read(CURSOR), home.read(CODEX)), shared);
}

#[test]
fn undo_takes_back_a_share_and_a_dry_run_writes_nothing() {
    let home = Home::new().file(CURSOR, JSON);
    let dry = home.run("share web --dry-run --json").ok().json("mcp.changes/1");
    assert_eq!((dry["dry_run"].as_bool(), dry["changes"][0]["outcome"].as_str()), (Some(true), Some("shared")));
    assert!(dry["changes"][0]["diff"].to_string().contains("run-once"), "{dry}");
    assert_eq!(home.read(CURSOR), JSON);
    home.run("share web").ok();
    home.run("undo").ok();
    assert_eq!(home.read(CURSOR), JSON);
}

#[test]
fn what_somebody_changed_since_stays_and_the_rest_is_put_together() {
    let home = Home::new().file(CURSOR, JSON);
    home.run("share web").ok();
    home.write(CURSOR, home.read(CURSOR).replace("\"web\"],", "\"web@2\"],").replace("// mine", "// yours"));
    home.run("unshare web").ok().says(&["put together"]);
    let text = home.read(CURSOR);
    assert_eq!(text, JSON.replace("\"web\"],", "\"web@2\"],").replace("// mine", "// yours"));

    // A change elsewhere in the entry does not stand in the way of the first bytes.
    let home = Home::new().file(CODEX, TOML);
    home.run("share web").ok();
    home.run("enable web").ok();
    home.run("unshare web").ok();
    assert_eq!(home.read(CODEX), TOML.replace("enabled = false", "enabled = true"));
}

#[test]
fn other_options_for_what_is_shared_already() {
    let home = Home::new().file(CURSOR, JSON);
    home.run("share web --isolate client --ephemeral=5m").ok();
    assert!(
        home.read(CURSOR)
            .contains(r#""--name", "web", "--isolate", "client", "--ephemeral=5m", "--env-key", "LEVEL", "--", "npx""#)
    );
    home.run("share web --persistent").ok().says(&["shared"]);
    let text = home.read(CURSOR);
    assert!(text.contains(r#""--name", "web", "--persistent", "--env-key", "LEVEL", "--", "npx", "-y", "web"]"#), "{text}");
    home.run("unshare web").ok();
    assert_eq!(home.read(CURSOR), JSON);
    for line in ["share web --isolate nobody", "share web --ephemeral --persistent", "share web --client-capabilities {", "share"]
    {
        home.run(line).ends(2);
    }
}

#[test]
fn several_places_and_none() {
    let home = Home::new().file(CURSOR, JSON).file(CODEX, TOML);
    for verb in ["share", "unshare"] {
        home.run(&format!("{verb} web")).ends(2).says(&["several places: codex, cursor", "--yes"]);
        home.run(&format!("{verb} we")).ends(1).says(&["no client has a server called `we`", "did you mean `web`?"]);
    }
    home.run("share web --client codex").ok();
    // Only one place is shared, so only that one is meant.
    home.run("unshare web").ok().says(&["Codex"]);
    assert_eq!(home.read(CURSOR), JSON);
}

#[test]
fn two_servers_of_one_name_get_two_names_in_the_daemon() {
    let home = Home::new().file(CURSOR, JSON).file(CODEX, TOML.replace("\"web\"", "\"web@2\""));
    home.run("share web --yes").ok().says(&["`web` is another server in Codex: the daemon calls this one `web-cursor`"]);
    assert!(home.read(CURSOR).contains(r#""--name", "web-cursor""#));
    home.run("list web").ok().says(&["differs,shared"]);
    // With new options each keeps what it is called.
    home.run("share web --persistent --yes").ok();
    assert!(home.read(CURSOR).contains(r#""--name", "web-cursor""#) && home.read(CODEX).contains(r#""--name", "web""#));
    home.run("install npm:other --name web --client zed --shared").ok().says(&["the daemon calls this one `web-zed`"]);
}

#[test]
fn shared_and_not_is_no_difference() {
    let home = Home::new().file(CURSOR, JSON).file(CLAUDE, JSON.replace("// mine", "").replace("// about it", ""));
    home.run("share web --client cursor").ok();
    let list = home.run("list --json").ok().json("mcp.list/1");
    let seen: Vec<_> = list["servers"].as_array().unwrap().iter().map(|s| (s["shared"] == true, s["differs"] == true)).collect();
    assert_eq!(seen, [(false, false), (true, false)]);
}

#[test]
fn the_name_of_a_variable_is_no_secret_and_its_value_is() {
    let home = Home::new().file(CURSOR, JSON.replace("\"LEVEL\": \"9\"", "\"A_TOKEN\": \"planted-value\""));
    home.run("share web").ok().says(&[r#""--env-key", "A_TOKEN""#]).hides("planted-value");
    home.run("list web").ok().says(&["A_TOKEN"]).hides("planted-value");
}

#[test]
fn what_cannot_be_shared_says_why() {
    let home = Home::new()
        .file(
            CLAUDE,
            r#"{"mcpServers":{"a":{"type":"stdio","command":"${HOME}/a"},"b":{"type":"ws","url":"wss://a.example"},"c":{}}}"#,
        )
        .file("project/.amp/settings.json", r#"{"amp.mcpServers":{"d":{"command":"/odd/${HOME}/d"}}}"#);
    let before = home.tree();
    for (line, why, hint) in [
        ("share a", "only Claude Code can fill in its command `${HOME}/a`", "write the program's path out"),
        ("share b", "reached over `ws`", "starts a program or calls an address"),
        ("share c", "neither `command` nor `url`", "starts a program or calls an address"),
        ("share d", "it would replace `${HOME}` by a variable's value there", "leave this entry as it is"),
        ("share a --client jetbrains-ai", "keeps its servers where no other program can write them", "press Add"),
    ] {
        home.run(line).ends(3).says(&[why, hint, "not changed"]);
        let answer = home.run(&format!("{line} --json")).ends(3).json("mcp.changes/1");
        assert_eq!(answer["changes"][0]["outcome"], "failed", "{line}");
    }
    assert_eq!(home.tree(), before);
}

#[test]
fn a_client_without_variables_in_arguments_hands_them_on_for_run_once_to_fill_in() {
    let text =
        "[mcp_servers.web]\nurl = \"https://a.example/mcp\" # far\nbearer_token_env_var = \"A_TOKEN\"\ntool_timeout_sec = 9\n";
    let home = Home::new().file(CODEX, text);
    home.run("share web").ok().says(&["`web` shared"]);
    let shared = home.read(CODEX);
    for part in [r#""--header", "Authorization: Bearer ${A_TOKEN}"]"#, "env_vars = [\"A_TOKEN\"]", "tool_timeout_sec = 9"] {
        assert!(shared.contains(part), "{part} is missing:\n{shared}");
    }
    home.run("install https://a.example/mcp --name web -c claude-code -H Authorization:${A_TOKEN} --shared").ok();
    home.run("unshare web --client codex").ok();
    assert_eq!(home.read(CODEX), text);
    // By hand.
    let other = Home::new().file(CODEX, &shared);
    other.run("unshare web").ok();
    assert!(other.read(CODEX).contains("bearer_token_env_var = \"A_TOKEN\""), "{}", other.read(CODEX));
}

#[test]
fn a_name_the_daemon_does_not_take_is_changed_for_it() {
    let home = Home::new().file(CURSOR, JSON.replace("\"web\":", "\"my web\":"));
    home.mcp(&["share", "my web"]).ok().says(&["the daemon calls `my web` `my-web`"]);
    assert!(home.read(CURSOR).contains(r#""--name", "my-web""#), "{}", home.read(CURSOR));
    home.mcp(&["unshare", "my web"]).ok();
    assert_eq!(home.read(CURSOR), JSON.replace("\"web\":", "\"my web\":"));
}

#[test]
fn an_address_is_reached_through_the_daemon() {
    let text = "{\n  \"mcpServers\": {\n    \"web\": { \"type\": \"http\", \"url\": \"https://a.example/mcp\", \"headers\": { \"Authorization\": \"Bearer ${TOKEN}\", \"X-Key\": \"abcdefgh-secret\" } }\n  }\n}\n";
    let home = Home::new().file(CLAUDE, text);
    home.run("share web").ok().says(&["other users of this machine"]).hides("abcdefgh-secret");
    assert!(home.read(CLAUDE).contains(
        r#"["run-once", "--name", "web", "--url", "https://a.example/mcp", "--header", "Authorization: Bearer ${TOKEN}", "--header", "X-Key: abcdefgh-secret"]"#
    ));
    home.run("list").ok().says(&["https://a.example/mcp (http)", "shared"]).hides("abcdefgh-secret");
    home.run("unshare web").ok();
    assert_eq!(home.read(CLAUDE), text);
    // A client without remote servers gets one this way.
    home.run("install https://a.example/mcp --name web --client claude-desktop").ends(3).says(&["no way to reach"]);
    home.run("install https://a.example/mcp --name web --client claude-desktop --shared").ok().says(&["added"]);
    home.run("unshare web --client claude-desktop").ends(3).says(&["no way to reach"]);
}

#[test]
fn install_shared_writes_an_entry_that_joins_and_unshare_what_it_joins() {
    for (client, file) in [("claude-code", CLAUDE), ("codex", CODEX), ("goose", ".config/goose/config.yaml")] {
        if client == "goose" && !cfg!(target_os = "linux") {
            continue;
        }
        let home = Home::new();
        let line = format!("install npm:web --client {client} --env LEVEL=9");
        home.run(&line).ok();
        let plain = home.read(file);
        home.run("undo").ok();
        home.run(&format!("{line} --shared --isolate client")).ok().says(&["`web` added"]);
        let shared = home.read(file);
        for word in [MCP, "run-once", "--isolate", "--env-key", "LEVEL", "npx"] {
            assert!(shared.contains(word), "{word} is missing:\n{shared}");
        }
        home.run(&format!("{line} --shared --isolate client")).ok().says(&["as wanted already"]);
        home.run("unshare web").ok().says(&["put together"]);
        assert_eq!(home.read(file), plain);
        home.run("share web").ok();
        home.run("uninstall web").ok();
        assert!(!home.path(file).exists(), "what we made goes with it");
    }
}

#[test]
fn installing_the_same_server_shared_or_not_needs_no_force() {
    let home = Home::new();
    home.run("install npm:web --client codex").ok();
    let plain = home.read(CODEX);
    home.run("install npm:web --client codex --shared").ok().says(&["`web` updated"]);
    home.run("install npm:web --client codex --shared --persistent").ok().says(&["`web` updated"]);
    let shared = home.read(CODEX);
    assert!(shared.contains("--persistent"), "{shared}");
    home.run("install npm:web --client codex").ok().says(&["as wanted already", "`web` is shared: `mcp unshare web`"]);
    assert_eq!(home.read(CODEX), shared);
    home.run("install npm:web@2 --client codex").ends(3).says(&["means something else"]);
    home.run("install npm:web@2 --client codex --shared").ends(3).says(&["means something else"]);
    home.run("install npm:web --client codex --force").ok().says(&["`web` updated"]);
    assert_eq!(home.read(CODEX), plain);
}

#[test]
fn a_shared_entry_is_copied_as_it_is_and_shared_once() {
    let home = Home::new().file(CURSOR, JSON);
    home.run("share web --isolate client").ok();
    home.run("install --from cursor web --client codex").ok();
    assert!(home.read(CODEX).contains(r#""--name", "web", "--isolate", "client""#), "{}", home.read(CODEX));
    home.run("install --from cursor web --client zed --shared --persistent").ok();
    let list = home.run("list web --json").ok().json("mcp.list/1");
    for server in list["servers"].as_array().unwrap() {
        let text = server["entry"].to_string();
        assert!(text.matches("run-once").count() == 1 && server["differs"] == false, "{server}");
    }
}

#[test]
fn sharing_options_of_install_want_shared() {
    let home = Home::new();
    home.run("install npm:web --client codex --isolate client").ends(2).says(&["`--isolate`", "`--shared`"]);
    let run = home.run("install -- no-such-program --flag").ends(2);
    assert!(!run.err.contains("--shared"), "{}", run.shown());
    // What is missing is the inner program.
    home.mcp(&["install", "--name", "x", "--client", "codex", "--shared", "--", "no-such-program"])
        .ok()
        .says(&["`no-such-program` is not on this shell's PATH"]);
}

#[test]
fn a_home_of_our_own_goes_along_and_comes_off() {
    let root = Home::new().path("ours").display().to_string();
    let home = Home::new().file(CURSOR, JSON).var("MCP_HOME", &root);
    home.run("share web").ok();
    assert!(home.read(CURSOR).contains(&format!(r#""env": {{ "LEVEL": "9", "MCP_HOME": "{root}" }}"#)), "{}", home.read(CURSOR));
    home.run("unshare web").ok();
    assert_eq!(home.read(CURSOR), JSON);
    // By hand: there is nothing in the journal.
    home.run("share web").ok();
    let shared = home.read(CURSOR);
    let elsewhere = Home::new().file(CURSOR, &shared);
    elsewhere.run("unshare web").ok().says(&["put together"]);
    assert_eq!(elsewhere.read(CURSOR), JSON);
}

#[test]
fn a_projects_file_tells_what_everyone_gets() {
    let home = Home::new();
    let file = home.work().join(".mcp.json");
    std::fs::write(&file, "{\"mcpServers\":{\"web\":{\"type\":\"stdio\",\"command\":\"npx\",\"args\":[\"web\"]}}}\n").unwrap();
    home.run("share web --client claude-code --scope project").ok().says(&["everyone with this folder"]);
    home.run("install npm:x --client claude-code --scope project --shared").ok().says(&["everyone with this folder"]);
}
