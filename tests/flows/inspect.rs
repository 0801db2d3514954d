//! `mcp inspect` as a person meets it: the real program on a real terminal, and where there is none.

use crate::home::Home;

#[test]
fn without_a_terminal_it_says_what_to_use_instead() {
    Home::new().run("inspect").ends(2).says(&["needs a terminal", "mcp trace"]);
}

#[test]
fn a_name_that_is_neither_a_session_nor_a_server_is_refused() {
    Home::new().run("inspect nowhere").ends(2).says(&["no session and no server `nowhere`", "mcp list"]);
}

#[test]
fn a_filter_with_a_mistake_is_refused_before_anything_starts() {
    Home::new().run("inspect --filter dur>soon").ends(2).says(&["expected a time such as `500ms`", "  dur>soon\n      ^^^^\n"]);
}

#[cfg(target_os = "linux")]
mod on_a_terminal {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::Stdio;
    use std::time::Duration;

    use crate::home::Home;
    use crate::terminal::terminal;

    #[test]
    fn a_newcomer_is_told_what_to_type() {
        let home = Home::new();
        let Some(screen) = terminal(&home, "empty", "inspect") else { return };
        screen.wait("Nothing has been recorded yet");
        screen.wait("mcp tap attach");
        screen.keys(&["q"]);
        screen.wait("[ended with 0]");
    }

    #[test]
    fn a_tool_is_called_from_its_form_and_the_call_is_recorded() {
        let home = Home::new();
        let words = format!("inspect -- {} serve calculator", env!("CARGO_BIN_EXE_mcp"));
        let Some(screen) = terminal(&home, "peer", &words) else { return };
        // The list has to be answered before there is something to choose.
        screen
            .wait_for("tools/list is answered", |screen| screen.lines().any(|l| l.contains("tools/list") && l.contains(" ok ")));
        screen.keys(&["C"]);
        screen.wait("multiply");
        screen.keys(&["Enter"]);
        screen.wait("call add");
        screen.keys(&["4", "0", "Tab", "2", "C-s"]);
        screen.wait("add(a=40 b=2)");
        screen.keys(&["2"]);
        screen.wait("42");
        screen.keys(&["/"]);
        screen.keys(&["is:ok tool:add", "Enter"]);
        screen.wait("1 of");
        screen.keys(&["q"]);
        let end = screen.wait("[ended with 0]");
        assert!(end.contains("calls") && end.contains("findings"), "a summary is left on the screen: {end}");
        home.run("trace ls").ok().says(&["mcp-inspect"]);
    }

    #[test]
    fn a_breakpoint_holds_a_message_until_it_is_released() {
        let home = Home::new();
        if std::process::Command::new("tmux").arg("-V").output().is_err() {
            return;
        }
        let mut command = home.command();
        command.args(["tap", "--name", "calc", "--client", "test", "--", env!("CARGO_BIN_EXE_mcp"), "serve", "calculator"]);
        let mut tap = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut input = tap.stdin.take().unwrap();
        let output = BufReader::new(tap.stdout.take().unwrap());
        let (heard, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| heard.send(line)));
        let mut say = |text: &str| writeln!(input, "{text}").unwrap();
        let answer = || said.recv_timeout(Duration::from_secs(20)).expect("an answer comes");
        say(
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#,
        );
        assert!(answer().contains("protocolVersion"));
        say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        let screen = terminal(&home, "hold", "inspect latest").expect("tmux was there a moment ago");
        screen.wait("notifications/initialized");
        screen.wait("b breakpoint");
        screen.keys(&["b", "C-u", "tool:add dir:in", "Enter"]);
        screen.wait("rules 1");
        say(r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2}}}"#);
        screen.wait("HELD 1");
        screen.wait_for("it has a line", |screen| screen.lines().any(|l| l.contains("add(a=1 b=2)") && l.contains("HELD")));
        screen.keys(&["G", "a"]);
        assert!(answer().contains("\"id\":2"));
        screen.wait_for("nothing is held any more", |screen| !screen.contains("HELD"));
        // An answer stands on the row of its request; what it says is changed there.
        screen.keys(&["B"]);
        screen.wait_for("the rule is gone", |screen| !screen.contains("rules"));
        screen.keys(&["b", "C-u", "is:ok tool:add", "Enter"]);
        screen.wait("rules 1");
        say(r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"add","arguments":{"a":4,"b":4}}}"#);
        screen.wait_for("its row says so", |screen| screen.lines().any(|l| l.contains("add(a=4 b=4)") && l.contains("HELD")));
        screen.keys(&["G", "a"]);
        assert!(answer().contains("\"id\":9"));
        // Leaving lifts what was set.
        screen.keys(&["q"]);
        screen.wait("[ended with 0]");
        say(r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2}}}"#);
        assert!(answer().contains("\"id\":3"));
        drop(input);
        assert!(tap.wait().unwrap().success());
    }

    #[test]
    fn a_shared_server_is_attached_to_and_one_of_its_clients_is_held() {
        let home = Home::new();
        if std::process::Command::new("tmux").arg("-V").output().is_err() {
            return;
        }
        let start = || {
            let mut command = home.command();
            command.args(["run-once", "--name", "calc", "--", env!("CARGO_BIN_EXE_mcp"), "serve", "calculator"]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let input = child.stdin.take().unwrap();
            let output = BufReader::new(child.stdout.take().unwrap());
            let (heard, said) = std::sync::mpsc::channel();
            std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| heard.send(line)));
            (child, input, said)
        };
        let patience = Duration::from_secs(20);
        let (mut child, mut input, said) = start();
        let mut say = |text: &str| writeln!(input, "{text}").unwrap();
        let answer = || said.recv_timeout(patience).expect("an answer comes");
        say(
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"held-client","version":"1"}}}"#,
        );
        assert!(answer().contains("protocolVersion"));
        say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        let screen = terminal(&home, "attach", "inspect --attach calc").expect("tmux was there a moment ago");
        screen.wait("b breakpoint");
        screen.keys(&["b", "C-u", "client:held-client tool:add dir:in", "Enter"]);
        screen.wait("rules 1");
        say(r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"add","arguments":{"a":40,"b":2}}}"#);
        screen.wait_for("it has a line", |screen| screen.lines().any(|l| l.contains("add(a=40 b=2)") && l.contains("HELD")));
        screen.keys(&["G", "a"]);
        let told = answer();
        assert!(told.contains("42") && told.contains("\"id\":2"), "{told}");
        // The same call by hand, in the live session: the client hears nothing of it.
        screen.wait_for("nothing is held", |screen| !screen.contains("HELD"));
        screen.keys(&["B", "/"]);
        screen.keys(&["from:held* tool:add", "Enter"]);
        screen.wait("1 of");
        screen.keys(&["r"]);
        screen.wait("live session");
        screen.keys(&["Enter", "/", "C-u", "Enter"]);
        screen.wait("client came mcp inspect");
        say(r#"{"jsonrpc":"2.0","id":3,"method":"ping"}"#);
        assert!(answer().contains("\"id\":3"));
        screen.keys(&["q"]);
        screen.wait("[ended with 0]");
        drop(input);
        child.wait().unwrap();
        home.run("daemon stop --all").ok();
    }
}
