//! What people see, word for word. Only where clients' paths are those of the snapshots.
#![cfg(target_os = "linux")]

use crate::home::Home;

/// Three formats, comments, a secret, a client without servers and one whose file is broken.
pub(crate) fn lived_in() -> Home {
    let home = Home::new()
        .file(
            ".claude.json",
            "{\n  \"numStartups\": 3,\n  \"mcpServers\": {\n    \"notes\": {\n      \"type\": \"stdio\",\n      \"command\": \"npx\",\n      \"args\": [\"-y\", \"notes-mcp\"],\n      \"env\": { \"NOTES_TOKEN\": \"planted-in-claude\" }\n    }\n  }\n}\n",
        )
        .file(".codex/config.toml", "# mine\nmodel = \"m\"\n\n[mcp_servers.notes]\ncommand = \"notes\" # elsewhere\n")
        .file(".config/goose/config.yaml", "# kept\nextensions:\n  notes:\n    enabled: false\n    type: stdio\n    name: notes\n    cmd: npx\n    args: [-y, notes-mcp]\n    envs: {NOTES_TOKEN: planted-in-claude}\n")
        .file(".config/zed/settings.json", "// Zed\n{\n  \"context_servers\": {\n    \"a\": }\n  }\n}\n");
    // Whatever the umask of whoever runs this.
    for file in [".claude.json", ".codex/config.toml", ".config/goose/config.yaml", ".config/zed/settings.json"] {
        crate::home::set_mode(&home.path(file), 0o600);
    }
    home.program("claude");
    home.program("codex");
    home
}

#[test]
fn clients() {
    insta::assert_snapshot!(lived_in().run("clients").ok().shown());
}

#[test]
fn clients_not_installed() {
    insta::assert_snapshot!(Home::new().run("clients").ok().shown());
    insta::assert_snapshot!(Home::new().run("clients --client jetbrains-ai,cursor").ok().shown());
}

#[test]
fn list() {
    insta::assert_snapshot!(lived_in().run("list").ok().shown());
    insta::assert_snapshot!(lived_in().run("list notes --client claude-code").ok().shown());
    insta::assert_snapshot!(lived_in().run("list nothing").ends(1).shown());
    insta::assert_snapshot!(Home::new().run("list").ok().shown());
}

#[test]
fn install_into_good_and_bad_files() {
    insta::assert_snapshot!(lived_in().run("install calculator --client claude-code,codex,goose,zed").ends(3).shown());
}

#[test]
fn install_dry_run() {
    insta::assert_snapshot!(lived_in().run("install npm:@playwright/mcp@latest --client codex --dry-run").ok().shown());
}

#[test]
fn install_what_is_there() {
    insta::assert_snapshot!(lived_in().run("install npm:other --name notes --client claude-code,codex").ends(3).shown());
    let home = lived_in();
    home.run("install calculator --client codex").ok();
    insta::assert_snapshot!(home.run("install calculator --client codex").ok().shown());
}

#[test]
fn install_from_the_catalog() {
    insta::assert_snapshot!(lived_in().run("install github --client claude-code").ends(2).shown());
    let home = lived_in().var("GITHUB_PERSONAL_ACCESS_TOKEN", "planted");
    insta::assert_snapshot!(home.run("install github --client claude-code").ok().shown());
}

#[test]
fn install_where_there_is_no_file() {
    insta::assert_snapshot!(Home::new().run("install calculator --client jetbrains-ai").ends(3).shown());
    insta::assert_snapshot!(Home::new().run("install calculator --client goose --scope project").ends(3).shown());
}

#[test]
fn uninstall() {
    insta::assert_snapshot!(lived_in().run("uninstall notes --client goose").ok().shown());
    insta::assert_snapshot!(lived_in().run("uninstall notes").ends(2).shown());
    insta::assert_snapshot!(lived_in().run("uninstall note --client codex").ends(1).shown());
}

#[test]
fn disable_and_enable() {
    let home = lived_in();
    insta::assert_snapshot!(home.run("disable notes --client claude-code,codex").ok().shown());
    insta::assert_snapshot!(home.run("list notes").ok().shown());
    insta::assert_snapshot!(home.run("enable notes --yes").ok().shown());
}

#[test]
fn undo() {
    let home = lived_in();
    insta::assert_snapshot!(home.run("undo").ends(1).shown());
    home.run("install calculator --client claude-code,codex").ok();
    insta::assert_snapshot!(home.run("undo --dry-run").ok().shown());
    insta::assert_snapshot!(home.run("undo").ok().shown());
    insta::assert_snapshot!(home.run("undo 1").ends(1).shown());
    insta::assert_snapshot!(home.run("undo 77").ends(1).shown());
    insta::assert_snapshot!(home.run("undo --list").ok().shown());
}

#[test]
fn undo_of_what_somebody_changed() {
    let home = lived_in();
    home.run("install calculator --client codex").ok();
    let text = home.read(".codex/config.toml").replace("\"calculator\"", "\"calculator\", \"--verbose\"");
    home.write(".codex/config.toml", text);
    insta::assert_snapshot!(home.run("undo").ends(3).shown());
}

#[test]
fn config() {
    let home = lived_in();
    insta::assert_snapshot!(home.run("config path").ok().shown());
    insta::assert_snapshot!(home.run("config get").ok().shown());
    insta::assert_snapshot!(home.run("config set default-clients codex,goose").ok().shown());
    insta::assert_snapshot!(home.run("config get default-clients").ok().shown());
    insta::assert_snapshot!(home.run("config set default-clients codx").ends(2).shown());
}

#[test]
fn words_that_are_missing_or_wrong() {
    let home = lived_in();
    let lines = [
        "install",
        "install calculator",
        "install calculator --all-clients",
        "install nosuchserver --client codex",
        "install githb --client codex",
        "install npm: --client codex",
        "install https://h.example/mcp --client claude-desktop",
        "install https://h.example/mcp --client codex --env A=b",
        "install npm:x --client codex --header A:b",
        "install npm:x --client cdex",
        "install npm:x --client codex --timeout never",
        "install npm:x --client codex --transport sse",
        "install --from codex nothing --client goose",
        "uninstall nothing",
        "enable nothing",
        "list --client nothing",
        "serve nothing",
    ];
    let shown: Vec<String> = lines.iter().map(|line| home.run(line).shown()).collect();
    insta::assert_snapshot!(shown.join("\n"));
}
