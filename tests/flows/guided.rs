//! The short dialogue of a bare `mcp install`, on a terminal of tmux's making.
#![cfg(target_os = "linux")]

use crate::home::Home;
use crate::terminal::terminal;

fn home() -> Home {
    let home = Home::new().file(".codex/config.toml", "# mine\n").file(".claude.json", "{}\n");
    home.program("codex");
    home
}

#[test]
fn what_where_diff_yes() {
    let home = home();
    let Some(terminal) = terminal(&home, "yes", "install") else { return };
    terminal.wait("What should be installed?");
    terminal.keys(&["Enter"]);
    let screen = terminal.wait("Into which clients?");
    assert!(screen.contains("Codex  (ok)") && screen.contains("no program on PATH"), "{screen}");
    terminal.keys(&["Enter"]);
    let screen = terminal.wait("Write this change?");
    assert!(screen.contains("+[mcp_servers.calculator]"), "{screen}");
    assert_eq!(home.read(".codex/config.toml"), "# mine\n", "written before the yes");
    terminal.keys(&["y", "Enter"]);
    terminal.wait("[ended with 0]");
    assert!(home.read(".codex/config.toml").contains("calculator"));
    assert_eq!(home.read(".claude.json"), "{}\n", "only what was ticked");
}

#[test]
fn a_no_changes_nothing_and_a_secret_is_typed_hidden() {
    let home = home();
    let Some(terminal) = terminal(&home, "no", "install github --client codex") else { return };
    terminal.wait("GITHUB_PERSONAL_ACCESS_TOKEN");
    terminal.keys(&["planted-by-hand", "Enter"]);
    terminal.wait("Write this change?");
    terminal.keys(&["n", "Enter"]);
    let screen = terminal.wait("[ended with 1]");
    assert!(screen.contains("Nothing was changed") && !screen.contains("planted"), "{screen}");
    assert_eq!(home.read(".codex/config.toml"), "# mine\n");
}

#[test]
fn control_c_at_a_question_ends_with_130() {
    let home = home();
    for (n, question) in ["What should be installed?", "Into which clients?", "Write this change?"].into_iter().enumerate() {
        let Some(terminal) = terminal(&home, &format!("c{n}"), "install") else { return };
        for step in ["What should be installed?", "Into which clients?", "Write this change?"] {
            terminal.wait(step);
            if step == question {
                break;
            }
            terminal.keys(&["Enter"]);
        }
        terminal.keys(&["C-c"]);
        terminal.wait("[ended with 130]");
        assert_eq!(home.read(".codex/config.toml"), "# mine\n");
    }
}

#[test]
fn what_cannot_be_carried_is_said_before_the_question() {
    let home = home().file(
        ".gemini/settings.json",
        r#"{"mcpServers":{"web":{"url":"https://h.example/mcp","type":"sse"},"loc":{"command":"npx","cwd":"/srv"}}}"#,
    );
    let Some(terminal) = terminal(&home, "gap", "install --from gemini-cli web --client codex,claude-code") else { return };
    let screen = terminal.wait("Write this change?");
    assert!(screen.contains("Codex has no way to reach a server over sse"), "{screen}");
    terminal.keys(&["n", "Enter"]);
    terminal.wait("[ended with 1]");
    drop(terminal);
    let Some(terminal) = self::terminal(&home, "note", "install --from gemini-cli loc --client claude-code") else { return };
    let screen = terminal.wait("Write this change?");
    assert!(screen.contains("/srv"), "{screen}");
    terminal.keys(&["n", "Enter"]);
    terminal.wait("[ended with 1]");
    assert_eq!((home.read(".claude.json"), home.read(".codex/config.toml")), ("{}\n".to_owned(), "# mine\n".to_owned()));
}
