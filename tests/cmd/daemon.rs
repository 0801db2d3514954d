//! `mcp daemon`, `mcp ps` and `mcp run-once` as people meet them.
#![cfg(target_os = "linux")]

use crate::flows::shared::Shared;
use crate::home::Home;

#[test]
fn without_a_daemon() {
    let home = Home::new();
    insta::assert_snapshot!(home.run("daemon status").ok().shown());
    insta::assert_snapshot!(home.run("ps --json").ok().shown());
    insta::assert_snapshot!(home.run("daemon stop calc").ends(1).shown());
    insta::assert_snapshot!(home.run("daemon logs calc").ends(1).shown());
    home.run("daemon stop --all").ends(1).says(&["no daemon is running"]);
    home.run("daemon gc").ok().says(&["Nothing to tidy up"]);
    assert!(!home.path(".local/state/mcp").exists(), "looking makes nothing");
}

#[test]
fn command_lines_that_make_no_sense_are_refused() {
    let home = Home::new();
    for (line, says) in [
        ("run-once", "the following required arguments were not provided"),
        ("run-once npx server", "unexpected argument 'npx'"),
        ("run-once --persistent --ephemeral -- a", "cannot be used with"),
        ("run-once --ephemeral=soon -- a", "a duration is a number"),
        ("run-once --url https://example.com/mcp -- a", "cannot be used with"),
        ("run-once --dummy --url https://example.com/mcp", "cannot be used with"),
        ("run-once --no-token -- a", "--http <ADDR>"),
        ("run-once --http :0 --persistent -- a", "cannot be used with"),
        ("run-once --http nowhere -- npx", "`nowhere` is no address"),
        ("run-once --http 0.0.0.0:0 --no-token -- npx", "reachable from other machines"),
        ("run-once --http :0 -- no-such-program", "there is no program `no-such-program`"),
        ("run-once --upstream-era new -- a", "possible values: auto, legacy, modern"),
        ("run-once --client-capabilities {no} -- a", "a JSON object"),
        ("run-once --name a/b -- npx", "`a/b` cannot be a name"),
        ("daemon stop", "required arguments were not provided"),
        ("daemon stop --all calc", "cannot be used with"),
    ] {
        let run = home.run(line).ends(2).says(&[says]);
        assert_eq!(run.out, "", "standard output belongs to the protocol: {line}");
    }
    assert!(!home.path(".local/state/mcp/daemon").exists(), "no daemon was started for nothing");
}

#[test]
fn status_for_people() {
    let shared = Shared::new();
    let mut client = shared.client(&["--name", "calc"]);
    client.open();
    client.add(1, 2);
    let run = shared.run("ps").ok();
    run.says(&[
        "SERVER",
        "calc",
        "ready",
        "legacy",
        "calculator 0.1.0 · ends 30s after its last client",
        "test-client 1.2.3",
        "daemon 0.",
    ]);
    let wide = shared.run("ps").out.lines().map(|l| l.replace(env!("CARGO_BIN_EXE_mcp"), "mcp").chars().count()).max();
    assert!(wide <= Some(90), "{wide:?}");
}

#[test]
fn starting_at_login_can_be_looked_at_first() {
    let home = Home::new();
    insta::assert_snapshot!(home.run("daemon enable --dry-run").ok().shown());
    home.run("daemon disable").ends(1).says(&["the daemon is not started at login"]);
    assert!(!home.path(".config").exists());
}

#[test]
fn starting_at_login_is_systemd_s_business() {
    let home = Home::new();
    // A stand-in for systemd's own program: it writes down what it is asked.
    let script = format!("#!/bin/sh\necho \"$@\" >> '{}'\n", home.path("asked").display());
    home.program("systemctl");
    std::fs::write(home.path("").with_file_name("bin").join("systemctl"), script).unwrap();
    home.run("daemon enable").ok().says(&["Wrote ~/.config/systemd/user/mcp-daemon.service", "starts at login"]);
    let unit = home.read(".config/systemd/user/mcp-daemon.service");
    assert!(unit.contains(&format!("ExecStart=\"{}\" daemon run --login\n", env!("CARGO_BIN_EXE_mcp"))), "{unit}");
    home.run("daemon enable").ok();
    home.run("daemon disable --dry-run").ok().says(&["would run systemctl --user disable mcp-daemon.service"]);
    home.run("daemon disable").ok().says(&["Removed ~/.config/systemd/user/mcp-daemon.service"]);
    assert!(!home.path(".config/systemd/user/mcp-daemon.service").exists());
    let asked = home.read("asked");
    let enable = "--user daemon-reload\n--user enable mcp-daemon.service\n";
    assert_eq!(asked, format!("{enable}{enable}--user disable mcp-daemon.service\n--user daemon-reload\n"));
}

#[test]
fn a_service_manager_that_says_no_is_quoted() {
    let home = Home::new();
    home.program("systemctl");
    let program = home.path("").with_file_name("bin").join("systemctl");
    std::fs::write(program, "#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n").unwrap();
    home.run("daemon enable").ends(4).says(&["`systemctl --user daemon-reload` failed: Failed to connect to bus"]);
}

#[test]
fn logs_are_told_by_name_and_their_end() {
    let shared = Shared::new();
    let mut client = shared.client(&["--name", "calc"]);
    client.open();
    shared.run("daemon logs calc").ok().says(&["mcp: open: legacy 2025-11-25"]);
    let lines = |run: &crate::home::Run| run.out.lines().count();
    assert_eq!(lines(&shared.run("daemon logs calc -n 1").ok()), 1);
    assert_eq!(lines(&shared.run("daemon logs calc -n 0").ok()), 0);
    shared.run("daemon logs other").ends(1).says(&["there is no log of `other`", "there are logs of: calc"]);
    shared.run("daemon logs ../daemon").ends(1);
}

#[test]
fn shells_complete_names_of_servers() {
    let shared = Shared::new();
    let mut client = shared.client(&["--name", "calc"]);
    client.open();
    let mut command = shared.home.command();
    command.env("COMPLETE", "fish").args(["--", "mcp", "daemon", "stop", "c"]);
    shared.home.finish(&mut command).ok().says(&["calc\t"]);
}
