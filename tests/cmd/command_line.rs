//! The command line itself: help, codes, silence, pipes and odd bytes.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::home::Home;

const COMMANDS: [&str; 15] = [
    "clients",
    "list",
    "install",
    "uninstall",
    "disable",
    "enable",
    "share",
    "unshare",
    "undo",
    "serve",
    "demo",
    "config",
    "completions",
    "man",
    "version",
];

#[test]
fn help_of_every_command_has_examples() {
    let home = Home::new();
    for command in COMMANDS {
        for flag in ["--help", "-h"] {
            home.mcp(&[command, flag]).ok().says(&["Examples:", "mcp "]);
        }
    }
    let help = home.run("--help").ok().says(&["Exit codes", "130 interrupted"]);
    for command in COMMANDS {
        assert!(help.out.contains(&format!("\n  {command} ")), "{command} is not in the overview");
    }
    assert!(help.out.lines().all(|line| line.chars().count() <= 100), "{}", help.out);
}

#[test]
fn wrong_words_end_with_2_and_write_nothing() {
    let home = Home::new();
    let before = home.tree();
    for line in ["", "nothing", "install --no-such-flag", "list a b", "undo x", "install --from codex", "undo --list 3"] {
        let run = home.run(line).ends(2);
        assert!(run.out.is_empty() && !run.err.is_empty(), "{}", run.shown());
    }
    assert_eq!(home.tree(), before);
}

#[test]
fn off_a_terminal_the_missing_flag_is_named_even_quietly() {
    let home = Home::new().file(".claude.json", "{}").file(".codex/config.toml", "");
    for (line, flags) in [
        ("install calculator", ["--client", "--all-clients"]),
        ("install calculator --yes", ["--client", "--all-clients"]),
        ("install calculator --all-clients", ["--yes", "--dry-run"]),
        ("install --client codex", ["SOURCE", "--help"]),
        ("install github --client codex", ["--env", "GITHUB_PERSONAL_ACCESS_TOKEN"]),
    ] {
        home.run(line).ends(2).says(&flags);
        home.run(&format!("{line} --quiet")).ends(2).says(&flags);
    }
    home.run("install calculator --all-clients --yes").ok();
    home.run("uninstall calculator").ends(2).says(&["--client", "--yes"]);
}

#[test]
fn dry_runs_write_nothing() {
    let home = Home::new().file(".claude.json", "{\n}\n").file(".codex/config.toml", "# x\n");
    home.run("install calculator --client codex,claude-code").ok();
    let before = (home.tree(), home.run("undo --list --json").ok().out);
    for line in [
        "install npm:x --all-clients --dry-run",
        "install npm:x --client zed,goose,cursor -n",
        "install npm:x --client codex --name calculator --force --dry-run",
        "uninstall calculator --dry-run",
        "disable calculator --dry-run",
        "enable calculator --dry-run",
        "share calculator --dry-run",
        "install npm:x --client zed --shared --dry-run",
        "undo --dry-run",
        "undo 1 --dry-run --json",
    ] {
        home.run(line).ok();
        assert_eq!((home.tree(), home.run("undo --list --json").ok().out), before, "{line}");
    }
}

#[test]
fn reading_commands_write_nothing_at_all() {
    let home = Home::new().file(".claude.json", "{}");
    for line in ["clients --all", "list", "undo --list", "config path", "config get", "man", "completions bash", "version"] {
        home.run(line).ok();
        assert!(!home.path(".local").exists(), "{line} made a folder of ours");
    }
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let home = Home::new();
    for words in [&["clients", "--all"][..], &["clients", "--all", "--json"], &["install", "--help"], &["man"]] {
        let mut child =
            home.command().args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(!line.is_empty());
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    }
}

#[cfg(unix)]
#[test]
fn bytes_that_are_no_text_are_refused_without_a_panic() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt as _;
    let odd = OsStr::from_bytes(b"a\xffb");
    let home = Home::new();
    let before = home.tree();
    for head in [&["list"][..], &["install"], &["uninstall"], &["install", "--client"], &["install", "--"], &["undo"], &[]] {
        let words: Vec<OsString> = head.iter().map(OsString::from).chain([odd.to_owned()]).collect();
        home.mcp(&words).ends(2).hides("panicked");
    }
    assert_eq!(home.tree(), before);
    // In the environment and as the working directory it is nothing to us.
    let folder = home.work().join(odd);
    std::fs::create_dir(&folder).unwrap();
    let mut command = home.command();
    home.finish(command.args(["clients", "--all"]).env("ODD", odd).current_dir(&folder)).ok();
}

#[test]
fn without_a_home_or_with_a_relative_one_we_stop() {
    let home = Home::new();
    let mut command = home.command();
    home.finish(command.args(["list"]).env("MCP_HOME", "relative")).ends(2).says(&["MCP_HOME", "absolute"]);
    let elsewhere = home.path("elsewhere");
    let mut command = home.command();
    home.finish(command.args(["install", "calculator", "--client", "codex"]).env("MCP_HOME", &elsewhere)).ok();
    assert!(elsewhere.join("state").exists() && !home.path(".local").exists());
}

#[test]
fn quiet_leaves_the_answer_and_the_errors() {
    let home = Home::new();
    let run = home.run("install calculator --client codex --quiet").ok();
    assert!(run.err.is_empty() && run.out.contains("added"), "{}", run.shown());
    assert!(home.run("-q list nothing").ends(1).err.is_empty());
}

#[test]
fn colour_is_for_those_who_ask() {
    let home = Home::new();
    home.run("clients --all").ok().hides("\u{1b}[");
    home.run("clients --all --color always").ok().says(&["\u{1b}["]);
    home.run("clients --all --color never").ok().hides("\u{1b}[");
    home.run("install --help --color never").ok().hides("\u{1b}[");
}
