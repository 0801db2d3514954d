//! Files we do not touch: why, where, what to paste, and that all others are changed all the same.

use crate::home::Home;

/// Installs into the file at hand and a good one: 3, the good one written, the bad one as it was.
#[track_caller]
fn refused(home: &Home, client: &str, says: &[&str]) -> String {
    home.write(".cursor/mcp.json", "{}\n");
    let before = home.tree();
    let run = home.run(&format!("install calculator --client {client},cursor --quiet")).ends(3).says(says);
    assert!(run.err.contains("to paste by hand") && run.err.contains("calculator"), "nothing to paste:\n{}", run.shown());
    assert!(home.read(".cursor/mcp.json").contains("calculator"), "the good client was left out:\n{}", run.shown());
    home.run("undo --quiet").ok();
    let mut after = home.tree();
    // The good file was written twice.
    let mut before = before;
    before.remove(std::path::Path::new(".cursor/mcp.json"));
    after.remove(std::path::Path::new(".cursor/mcp.json"));
    assert_eq!(after, before);
    run.err
}

const CLAUDE: &str = ".claude.json";
const CODEX: &str = ".codex/config.toml";

#[test]
fn unparsable() {
    let home = Home::new().file(CLAUDE, "{\n  \"a\": 1,\n  \"mcpServers\": { \"x\" }\n}\n");
    refused(&home, "claude-code", &[".claude.json:3:", "\"mcpServers\": { \"x\" }", "mend the file"]);
    let home = Home::new().file(CODEX, "a = 1\nb = = 2\n");
    refused(&home, "codex", &["config.toml:2:", "b = = 2"]);
    if cfg!(target_os = "linux") {
        let home = Home::new().file(".config/goose/config.yaml", "a: 1\nextensions:\n  x: [1, 2\n");
        refused(&home, "goose", &["config.yaml:"]);
    }
}

#[test]
fn same_key_twice_at_the_place() {
    let home = Home::new().file(CLAUDE, "{\n  \"mcpServers\": {},\n  \"mcpServers\": {}\n}\n");
    refused(&home, "claude-code", &[".claude.json:3:", "mcpServers", "keep one of the two"]);
    // Twice elsewhere is nobody's business of ours.
    let home = Home::new().file(CLAUDE, "{\n  \"a\": 1,\n  \"a\": 2\n}\n");
    home.run("install calculator --client claude-code").ok();
    assert!(home.read(CLAUDE).starts_with("{\n  \"a\": 1,\n  \"a\": 2"));
}

#[test]
fn merge_conflict_markers() {
    let markers = "<<<<<<< ours\nmodel = \"a\"\n=======\nmodel = \"b\"\n>>>>>>> theirs\n";
    refused(&Home::new().file(CODEX, markers), "codex", &["config.toml:1:1", "merge conflict"]);
    refused(
        &Home::new().file(CLAUDE, "{\n<<<<<<< ours\n  \"a\": 1\n=======\n  \"a\": 2\n>>>>>>> theirs\n}\n"),
        "claude-code",
        &[".claude.json:2:1", "merge conflict"],
    );
}

#[test]
fn not_utf8() {
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain("{}".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    refused(&Home::new().file(CLAUDE, utf16), "claude-code", &["UTF-16", "save the file as UTF-8"]);
    refused(&Home::new().file(CODEX, b"a = 1\nb = \"\xff\"\n"), "codex", &["UTF-8", "2:6"]);
}

#[test]
fn behind_an_alias() {
    if cfg!(target_os = "linux") {
        let home = Home::new().file(".config/goose/config.yaml", "base: &b\n  x:\n    type: stdio\nextensions: *b\n");
        refused(&home, "goose", &["config.yaml:4:", "alias"]);
    }
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};

    #[test]
    fn no_plain_file() {
        let home = Home::new();
        std::fs::create_dir(home.path(CLAUDE)).unwrap();
        refused(&home, "claude-code", &["director"]);

        let home = Home::new();
        std::fs::create_dir(home.path(".codex")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(home.path(CODEX)).status().unwrap();
        assert!(made.success());
        refused(&home, "codex", &["pipe"]);
        assert!(home.path(CODEX).symlink_metadata().unwrap().file_type().is_fifo());

        let home = Home::new();
        symlink("/dev/null", home.path(CLAUDE)).unwrap();
        refused(&home, "claude-code", &["device"]);
    }

    #[test]
    fn dangling_link() {
        let home = Home::new();
        symlink("dotfiles/claude.json", home.path(CLAUDE)).unwrap();
        refused(&home, "claude-code", &["link", "dotfiles/claude.json"]);
        assert!(!home.path("dotfiles").exists());
    }

    #[test]
    fn links_in_a_circle() {
        let home = Home::new();
        symlink("other", home.path(CLAUDE)).unwrap();
        symlink(".claude.json", home.path("other")).unwrap();
        refused(&home, "claude-code", &["link"]);
    }

    #[test]
    fn too_large() {
        let home = Home::new();
        let file = std::fs::File::create(home.path(CLAUDE)).unwrap();
        file.set_len((64 << 20) + 1).unwrap();
        refused(&home, "claude-code", &["64 MiB"]);
    }

    #[test]
    fn read_only() {
        let home = Home::new().file(CLAUDE, "{}");
        crate::home::set_mode(&home.path(CLAUDE), 0o444);
        refused(&home, "claude-code", &["read-only"]);
        home.run("clients --client claude-code").ok().says(&["read-only"]);
    }

    #[test]
    fn chains_of_links_and_modes_stay() {
        let home = Home::new().file("dotfiles/real.json", "{\n}\n").file(CODEX, "");
        symlink("dotfiles/link.json", home.path(CLAUDE)).unwrap();
        symlink("real.json", home.path("dotfiles/link.json")).unwrap();
        crate::home::set_mode(&home.path("dotfiles/real.json"), 0o640);
        home.run("install calculator --client claude-code").ok();
        assert!(home.path(CLAUDE).is_symlink() && home.path("dotfiles/link.json").is_symlink());
        assert!(home.read("dotfiles/real.json").contains("calculator"));
        assert_eq!(home.path("dotfiles/real.json").metadata().unwrap().mode() & 0o777, 0o640);
        home.run("clients --client claude-code").ok().says(&["is a link to ~/dotfiles/real.json"]);
    }

    #[test]
    fn new_files_of_the_user_are_private() {
        let home = Home::new();
        home.run("install calculator --client codex,claude-code,zed").ok();
        for file in [CODEX, CLAUDE] {
            assert_eq!(home.path(file).metadata().unwrap().mode() & 0o777, 0o600, "{file}");
        }
        home.run("install calculator --client claude-code --scope project").ok();
        assert_eq!(home.work().join(".mcp.json").metadata().unwrap().mode() & 0o044, 0o044, "others in the project read it");
    }
}

#[test]
fn one_bad_client_stops_neither_uninstall_nor_disable() {
    let home = Home::new().file(CLAUDE, "{ broken").file(CODEX, "");
    home.run("install calculator --client codex").ok();
    home.run("disable calculator --client codex,claude-code").ends(3).says(&["disabled", "not changed"]);
    home.run("uninstall calculator --client codex,claude-code").ends(3).says(&["removed", "not changed"]);
    assert_eq!(home.read(CLAUDE), "{ broken");
    // With no client named, a file that cannot be looked into may hold it.
    home.run("uninstall calculator").ends(3).says(&["could not be looked into"]);
}

#[test]
fn another_meaning_under_the_same_name_is_kept() {
    let text = "[mcp_servers.x]\ncommand = \"a\" # mine\nenabled = false\ntool_timeout_sec = 9\n\n[mcp_servers.x.tools.t]\napproval_mode = \"approve\"\n";
    let home = Home::new().file(CODEX, text);
    home.run("install npm:b --name x --client codex").ends(3).says(&["means something else", "`--force`", "`--name`"]);
    assert_eq!(home.read(CODEX), text);
    home.run("install npm:b --name x --client codex --force").ok().says(&["updated"]);
    let after = home.read(CODEX);
    for kept in ["enabled = false", "tool_timeout_sec = 9", "approval_mode = \"approve\"", "# mine"] {
        assert!(after.contains(kept), "{kept} went:\n{after}");
    }
    assert!(after.contains("\"npx\"") && after.contains("\"b\""), "{after}");
    home.run("install npm:b --name x --client codex --force").ok().says(&["as wanted already"]);
    home.run("undo").ok();
    assert_eq!(home.read(CODEX), text);
}
