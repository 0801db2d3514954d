//! The program on a real terminal, of tmux's making.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::home::Home;

/// A terminal with the program on it; gone when dropped.
pub(crate) struct Terminal {
    socket: String,
}

impl Terminal {
    fn tmux(&self, words: &[&str]) -> Option<String> {
        let output = Command::new("tmux").args(["-L", &self.socket, "-f", "/dev/null"]).args(words).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Presses keys, as tmux names them.
    pub(crate) fn keys(&self, keys: &[&str]) {
        let words: Vec<&str> = ["send-keys", "-t", "t"].iter().chain(keys).copied().collect();
        self.tmux(&words);
    }

    /// The screen once it shows this.
    #[track_caller]
    pub(crate) fn wait(&self, text: &str) -> String {
        self.wait_for(text, |screen| screen.contains(text))
    }

    /// The screen once it is as wanted.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let begin = Instant::now();
        loop {
            let screen = self.tmux(&["capture-pane", "-p", "-t", "t"]).unwrap_or_default();
            if is_there(&screen) {
                return screen;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "`{what}` never came:\n{screen}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// The program on a terminal; nothing where there is no tmux.
pub(crate) fn terminal(home: &Home, name: &str, words: &str) -> Option<Terminal> {
    Command::new("tmux").arg("-V").output().ok()?;
    let terminal = Terminal { socket: format!("mcp-test-{}-{name}", std::process::id()) };
    let mut script = String::from("#!/bin/sh\ncd '");
    script.push_str(&format!("{}' || exit\n", home.work().display()));
    script.push_str("exec env -i");
    for (key, value) in home.command().get_envs().filter_map(|(k, v)| Some((k, v?))) {
        if key != "TERM" {
            script.push_str(&format!(" '{}={}'", key.to_string_lossy(), value.to_string_lossy()));
        }
    }
    script.push_str(&format!(" TERM=screen '{}' {words}\n", env!("CARGO_BIN_EXE_mcp")));
    let file = home.path("").with_file_name("run.sh");
    std::fs::write(&file, script).unwrap();
    let run = format!("/bin/sh '{}'; echo \"[ended with $?]\"; sleep 60", file.display());
    terminal.tmux(&["new-session", "-d", "-s", "t", "-x", "110", "-y", "50", &run])?;
    Some(terminal)
}
