//! A secret that was planted everywhere is told by no command unless asked.

use crate::home::{Home, Run};

/// In every value that is secret there is this.
const PLANTED: &str = "PLANTED";

/// Secrets by name, behind flags, in headers, addresses, numbers, quotes and several lines, in all formats and scopes.
fn home() -> Home {
    let entry = r#"{ "type": "stdio", "command": "npx", "args": ["-y", "x", "--api-key", "PLANTED-flag", "--token=PLANTED-eq", "--header=Authorization: Bearer PLANTED-hdr", "--secret", "PLANTED \"quoted\" \\ one"], "env": { "A_TOKEN": "PLANTED-env", "B_KEY": "PLANTED_CAPS_1", "DATABASE_URL": "postgres://u:PLANTED-db@h/d" } }"#;
    let remote = r#"{ "type": "http", "url": "https://u:PLANTED-pw@h.example/mcp?api_key=PLANTED-query", "headers": { "Authorization": "Bearer PLANTED-bearer", "X-Api-Key": "PLANTED-x" } }"#;
    let home = Home::new();
    let project = home.work().canonicalize().unwrap();
    let key = serde_json::to_string(&*project.to_string_lossy()).unwrap();
    home.write(
        ".claude.json",
        format!(
            "{{\n  \"apiKey\": \"PLANTED-top\",\n  \"mcpServers\": {{\n    \"a\": {entry},\n    \"r\": {remote}\n  }},\n  \"projects\": {{ {key}: {{ \"mcpServers\": {{\n    \"l\": {entry}\n  }} }} }}\n}}\n"
        ),
    );
    home.write(
        ".codex/config.toml",
        "[mcp_servers.a]\ncommand = 'npx'\nargs = [\"--password\", 'PLANTED-toml']\n[mcp_servers.a.env]\nT_SECRET = 'PLANTED-single'\nPIN_TOKEN = \"\"\"\nPLANTED line one\nPLANTED line two\"\"\"\n",
    );
    home.write(
        ".config/goose/config.yaml",
        "OPENAI_API_KEY: PLANTED-openai\nextensions:\n  a:\n    type: stdio\n    name: a\n    enabled: true\n    cmd: npx\n    args: ['--token', 'PLANTED it''s']\n    envs:\n      K_TOKEN: |\n        PLANTED block one\n        PLANTED block two\n",
    );
    home.write(
        ".config/zed/settings.json",
        "{\n  \"context_servers\": { \"a\": { \"env\": { \"TOKEN\" \"PLANTED-broken\" } } }\n}\n",
    );
    home
}

#[track_caller]
fn clean(run: Run) -> Run {
    run.hides(PLANTED)
}

#[test]
fn reading_commands_tell_no_secret() {
    let home = home();
    for line in [
        "clients",
        "clients --all --json",
        "list",
        "list --json",
        "list a",
        "list r",
        "list l",
        "list a --client zed",
        "undo --list",
    ] {
        clean(home.run(line));
    }
    home.run("list a --reveal").ok().says(&["PLANTED-flag", "PLANTED-env", "PLANTED-toml"]);
}

#[test]
fn changes_tell_no_secret_in_diffs_errors_and_snippets() {
    for json in ["", " --json"] {
        let home = home();
        for line in [
            "install calculator --client claude-code,codex,goose,zed",
            "install calculator --client claude-code --scope local",
            "install npm:other --name a --client claude-code,codex,goose",
            "install npm:other --name a --client claude-code,codex,goose --force --dry-run",
            "install --from claude-code a --client codex,goose,zed,cursor --name copy",
            "install --from claude-code r --client codex,goose,zed,cursor,opencode,continue --name rcopy",
            "disable a --client claude-code,codex,goose",
            "enable a --client claude-code,codex,goose",
            "uninstall a --client claude-code,codex,goose,zed --yes",
            "uninstall l --yes",
            "undo --dry-run",
            "undo",
            "undo --list",
        ] {
            clean(home.run(&format!("{line}{json}")));
        }
    }
}

#[test]
fn what_is_typed_is_not_repeated() {
    let home = home();
    let lines: [&[&str]; 9] = [
        &["install", "npm:x", "--client", "codex,zed", "--env", "X_TOKEN=PLANTED-typed"],
        &[
            "install",
            "https://h.example/mcp?token=PLANTED-typed",
            "--client",
            "cursor,zed",
            "--header",
            "Authorization: Bearer PLANTED-typed",
        ],
        &["install", "--client", "zed", "--", "node", "x.js", "--api-key", "PLANTED-typed"],
        &["install", "--client", "zed", "--from-json", r#"{"t":{"command":"x","env":{"A_KEY":"PLANTED-typed"}}}"#],
        &["install", "https://h.example/mcp", "--client", "zed", "--header", "Authorization Bearer PLANTED-typed"],
        &["install", "https://h.example/mcp", "--client", "zed", "--header", "Bearer PLANTED-typed: x"],
        &["install", "--client", "zed", "--", "npx x --token PLANTED-typed"],
        &["install", "npm:x", "--client", "zed", "--env", "A TOKEN=PLANTED-typed"],
        &["install", "github", "--client", "zed", "--env", "GITHUB_PERSONAL_ACCESS_TOKEN=PLANTED-typed"],
    ];
    for words in lines {
        for extra in [&[][..], &["--json"], &["--dry-run"]] {
            let words: Vec<&str> = words[..1].iter().chain(extra).chain(&words[1..]).copied().collect();
            clean(home.mcp(&words));
        }
    }
    clean(home.run("undo --list"));
    clean(home.run("undo --list --json"));
}

#[test]
fn the_journal_is_for_its_user_only_and_its_command_line_holds_no_secret() {
    let home = home();
    home.mcp(&["install", "https://h.example/mcp?token=PLANTED-typed", "--client", "cursor"]).ok();
    let list = home.run("undo --list --json").ok().json("mcp.undo-list/1");
    let command = list["changes"][0]["command"].as_str().unwrap();
    assert!(command.contains("https://h.example/mcp?token=") && !command.contains(PLANTED), "{command}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mut folders = vec![home.path(".local/state/mcp/journal")];
        while let Some(folder) = folders.pop() {
            assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", folder.display());
            for entry in folder.read_dir().unwrap().map(Result::unwrap) {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else {
                    assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", entry.path().display());
                }
            }
        }
    }
}

#[test]
fn a_conflict_shows_both_versions_without_their_secrets() {
    let home = Home::new().file(".codex/config.toml", "model = \"m\"\n");
    home.mcp(&[
        "install",
        "--client",
        "codex",
        "--name",
        "c",
        "--env",
        "C_TOKEN=PLANTED-ours",
        "--",
        "node",
        "--password",
        "PLANTED-arg",
    ])
    .ok();
    let text = home.read(".codex/config.toml").replace("node", "deno").replace("PLANTED-ours", "PLANTED-theirs");
    home.write(".codex/config.toml", text);
    let run = clean(home.run("undo").ends(3).says(&["node", "deno", "we had written", "there is now"]));
    assert!(run.err.contains("••••"), "{}", run.shown());
    clean(home.run("undo --json").ends(3));
    home.run("undo --reveal").ends(3).says(&["PLANTED-ours", "PLANTED-theirs"]);
}

#[test]
fn reveal_gives_a_snippet_that_can_be_pasted() {
    let home = home();
    let words = ["install", "npm:x", "--client", "zed", "--env", "X_TOKEN=PLANTED-typed"];
    home.mcp(&words).ends(3).says(&["`--reveal`"]);
    let words: Vec<&str> = words.into_iter().chain(["--reveal"]).collect();
    home.mcp(&words).ends(3).says(&["\"X_TOKEN\": \"PLANTED-typed\""]);
}
