//! Completions and manual pages.

use crate::home::Home;

#[test]
fn five_shells_get_a_script() {
    let home = Home::new();
    for (shell, sign) in [
        ("bash", "complete "),
        ("zsh", "compdef"),
        ("fish", "complete "),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "arg-completer"),
    ] {
        let run = home.mcp(&["completions", shell]).ok();
        assert!(run.out.contains(sign) && run.err.is_empty(), "{}", run.shown());
    }
    home.run("completions nosuchshell").ends(2).says(&["elvish"]);
}

/// What bash gets for a line, the last word being completed.
#[cfg(unix)]
fn bash(home: &Home, line: &str) -> Option<String> {
    let bash = ["/bin/bash", "/usr/bin/bash"].into_iter().find(|p| std::path::Path::new(p).exists())?;
    let program = env!("CARGO_BIN_EXE_mcp");
    let folder = std::path::Path::new(program).parent().unwrap().display();
    home.write("complete.sh", format!(
        "PATH='{folder}':/usr/bin:/bin\nsource <('{program}' completions bash) || exit 9\nCOMP_WORDS=({line})\nCOMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))\nCOMP_LINE='{line}'\nCOMP_TYPE=9\n_clap_complete_mcp mcp \"${{COMP_WORDS[COMP_CWORD]}}\" ''\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    ));
    let mut command = home.command();
    let mut shell = std::process::Command::new(bash);
    shell.arg("--norc").arg(home.path("complete.sh")).current_dir(home.work()).env_clear();
    shell.envs(command.arg("x").get_envs().filter_map(|(k, v)| Some((k, v?))));
    let run = home.finish(&mut shell);
    assert!(run.code == Some(0) && !run.err.contains("rror"), "{}", run.shown());
    Some(run.out)
}

#[cfg(unix)]
#[test]
fn bash_completes_names_of_servers_clients_and_sources() {
    let home = Home::new().file(".cursor/mcp.json", "{\"mcpServers\":{\"notes-of-mine\":{\"command\":\"x\"}}}");
    home.run("install calculator --client codex").ok();
    // A mistake in a descriptor of the user must not end up between the words.
    home.write(".config/mcp/clients/bad.toml", "id = 3");
    for (line, want) in [
        ("mcp uninstall no", "notes-of-mine"),
        ("mcp list cal", "calculator"),
        ("mcp list --client curs", "cursor"),
        ("mcp install git", "github"),
        ("mcp unin", "uninstall"),
        ("mcp share no", "notes-of-mine"),
        ("mcp share x --isolate cap", "capabilities"),
        ("mcp undo ''", "1"),
        ("mcp install x --scope pro", "project"),
    ] {
        let Some(found) = bash(&home, line) else { return };
        assert!(found.lines().any(|l| l.trim() == want), "`{line}` gave {found:?}");
    }
    home.run("share notes-of-mine").ok();
    let Some(found) = bash(&home, "mcp unshare ''") else { return };
    assert!(found.contains("notes-of-mine") && !found.contains("calculator"), "only what is shared: {found:?}");
    home.run("unshare notes-of-mine").ok();
    // Never a secret, and never a crash where a file is broken.
    home.write(".cursor/mcp.json", "{ broken");
    assert!(bash(&home, "mcp list cal").unwrap().contains("calculator"));
}

#[test]
fn manual_pages_of_all_commands() {
    let home = Home::new();
    home.run("man").ok().says(&[".TH mcp 1"]);
    home.run("man install").ok().says(&[".TH", "from\\-json"]);
    home.run("man nothing").ends(2);
    let folder = home.path("man");
    home.mcp(&["man", "--to", folder.to_str().unwrap()]).ok();
    for command in ["", "-install", "-uninstall", "-list", "-clients", "-undo", "-enable", "-disable", "-serve", "-config"] {
        let page = std::fs::read_to_string(folder.join(format!("mcp{command}.1"))).unwrap();
        assert!(page.contains(".SH"), "{command}");
    }
}
