//! `mcp run-once` where something is not as it should be: files of dead daemons, long paths, foreign users, full disks. And
//! shared servers by URL.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value as Json, json};

use super::shared::{Client, LIMIT, Shared, calculator, number, servers};
use crate::home::Home;

const DAEMON: &str = ".local/state/mcp/daemon";

fn works(shared: &Shared) {
    let mut client = shared.client(&[]);
    client.open();
    assert_eq!(client.add(1, 2), "3");
}

#[test]
fn what_dead_daemons_left_is_in_nobodys_way() {
    let shared = Shared::new();
    let dir = shared.home.path(DAEMON);
    std::fs::create_dir_all(&dir).unwrap();
    // Nobody listens at this socket any more, and the process of the state file is somebody else's: ours.
    drop(UnixListener::bind(dir.join("sock")).unwrap());
    drop(UnixListener::bind(dir.join("sock.99999")).unwrap());
    let state = json!({"format": 1, "pid": std::process::id(), "version": "0.0.0", "started": 0, "socket": null,
        "address": null, "token": null, "ports": {}});
    for (file, text) in [
        ("state.json", state.to_string().as_str()),
        ("servers.json", "{"),
        ("daemon.lock", ""),
        ("start.lock", "x"),
        ("address", "nonsense"),
    ] {
        std::fs::write(dir.join(file), text).unwrap();
    }
    works(&shared);
    let status = shared.status();
    assert_ne!(number(&status["daemon"]["pid"]), std::process::id());
    let problems = status["daemon"]["problems"].to_string();
    assert!(problems.contains("servers.json: ") && problems.contains("begun anew"), "{problems}");
    assert_eq!(status["leaving"], json!([]));
    shared.run("daemon gc").ok().says(&["removed socket sock.99999"]);
    // Closed to others, whatever the files were like before.
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("sock")), mode(&dir.join("state.json"))), (0o700, 0o600, 0o600));
}

#[test]
fn socket_that_was_taken_away_is_made_anew() {
    let shared = Shared::new();
    let mut client = shared.client(&[]);
    client.open();
    let daemon = shared.status()["daemon"]["pid"].clone();
    std::fs::remove_file(shared.home.path(DAEMON).join("sock")).unwrap();
    let begin = Instant::now();
    while shared.status()["daemon"]["pid"] != daemon {
        assert!(begin.elapsed() < LIMIT, "{}", shared.logs());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    works(&shared);
    assert_eq!(servers(&shared.status())[0]["clients"].as_array().unwrap().len(), 1);
}

/// A home so deep that no socket can be made in it.
fn deep() -> (Shared, String) {
    let home = Home::new();
    let root = home.path(&"a-rather-long-name/".repeat(6));
    std::fs::create_dir_all(&root).unwrap();
    let place = root.to_str().unwrap().trim_end_matches('/').to_owned();
    (Shared::with(home.var("MCP_HOME", &place)), place)
}

#[test]
fn path_too_long_for_a_socket_is_served_by_tcp_with_a_token() {
    let (shared, place) = deep();
    let mut client = shared.client(&[]);
    client.open();
    assert_eq!(client.add(1, 2), "3");
    let status = shared.status();
    assert_eq!(status["daemon"]["transport"], "tcp");
    let problems = status["daemon"]["problems"].to_string();
    assert!(problems.contains("through loopback TCP with a token: the path of the socket would be too long"), "{problems}");
    shared.run("daemon status").ok().says(&["loopback TCP with a token"]);
    let text = std::fs::read_to_string(Path::new(&place).join("state/daemon/address")).unwrap();
    let address = text.lines().next().unwrap();
    let mut stranger = TcpStream::connect(address).unwrap();
    stranger.write_all(b"mcp-token/1 guessed\nmcp-control/1 16\n{\"ask\":\"status\"}").unwrap();
    let mut answer = String::new();
    stranger.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "error 4 the token is not the one in the daemon's directory\n");
    client.finish();
    assert_eq!(client.end().0.code(), Some(0));
}

#[test]
fn port_of_a_dead_daemon_may_be_another_programs() {
    let (shared, place) = deep();
    let dir = Path::new(&place).join("state/daemon");
    std::fs::create_dir_all(&dir).unwrap();
    // It accepts and says nothing.
    let foreign = TcpListener::bind("127.0.0.1:0").unwrap();
    std::fs::write(dir.join("address"), format!("{}\nold-token\n", foreign.local_addr().unwrap())).unwrap();
    std::fs::write(dir.join("daemon.lock"), "").unwrap();
    works(&shared);
    assert_ne!(
        std::fs::read_to_string(dir.join("address")).unwrap().lines().next(),
        Some(&*foreign.local_addr().unwrap().to_string())
    );
}

#[test]
fn other_users_are_refused() {
    let shared = Shared::new();
    let mut client = shared.client(&[]);
    client.open();
    let is_root = std::fs::read_to_string("/proc/self/status").is_ok_and(|s| s.contains("\nUid:\t0\t0\t0\t0\n"));
    if !is_root || Command::new("setpriv").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: only root can become somebody else, with `setpriv`");
        return;
    }
    // Somebody who can reach the socket, because every door on the way was left open.
    let sandbox = shared.home.path("").parent().unwrap().to_owned();
    let dir = shared.home.path(DAEMON);
    let ways = dir.ancestors().take_while(|d| d.starts_with(&sandbox)).map(Path::to_owned).chain([dir.join("sock")]);
    for way in ways {
        std::fs::set_permissions(way, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    }
    let program = sandbox.join("mcp");
    std::fs::copy(env!("CARGO_BIN_EXE_mcp"), &program).unwrap();
    let mut command = shared.home.command();
    let envs: Vec<_> =
        command.args(["daemon", "status"]).get_envs().map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned))).collect();
    let mut as_other = Command::new("setpriv");
    as_other.args(["--reuid", "12345", "--regid", "12345", "--clear-groups"]).arg(&program).args(["daemon", "status"]);
    as_other.env_clear().current_dir("/").envs(envs.into_iter().filter_map(|(k, v)| Some((k, v?))));
    let path = std::env::var_os("PATH").unwrap();
    as_other.env("PATH", path);
    shared
        .home
        .finish(&mut as_other)
        .ends(4)
        .says(&["this daemon belongs to user 0 and serves nobody else (you are user 12345)"]);
    // A directory that is somebody else's is not trusted either.
    shared.run("daemon stop --all").ok();
    std::os::unix::fs::chown(&dir, Some(12345), None).unwrap();
    let (ended, text) = shared.client(&[]).end();
    assert_eq!(ended.code(), Some(4), "{text}");
    assert!(text.contains("it belongs to another user (number 12345)"), "{text}");
}

#[test]
#[cfg(target_os = "linux")]
fn full_disk_for_logs_disturbs_nothing_and_is_told() {
    let shared = Shared::new();
    let logs = shared.home.path(DAEMON).join("logs");
    std::fs::create_dir_all(&logs).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=4k,mode=700", "none"]).arg(&logs).stderr(Stdio::null()).status();
    if !mounted.is_ok_and(|s| s.success()) {
        eprintln!("skipped: no small disk can be mounted here");
        return;
    }
    let _unmounted = Unmount(&logs);
    std::fs::write(logs.join("filler"), vec![b'x'; 4096]).unwrap();
    works(&shared);
    let status = shared.status();
    let problem = servers(&status)[0]["log_problem"].as_str().unwrap_or_default().to_owned();
    assert!(problem.contains("calculator.log: ") && problem.contains("lost)"), "{status:#}");
    shared.run("daemon status").ok().says(&["log of calculator: "]);
    shared.run("daemon stop --all").ok();
}

#[cfg(target_os = "linux")]
struct Unmount<'a>(&'a Path);

#[cfg(target_os = "linux")]
impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// Opens a conversation by HTTP and tells the status line and the body.
fn post(url: &str) -> (String, Json) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let info = json!({"name": "by-url", "version": "1"});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}})
    .to_string();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let accept = "application/json, text/event-stream";
    write!(stream, "POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nAccept: {accept}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn server_has_a_url_that_works_as_it_is_and_stays_the_same() {
    let shared = Shared::new();
    let mut client = shared.client(&["--name", "calc"]);
    client.open();
    shared.run("daemon url other").ends(1).says(&["there is no server `other` (running: calc)"]);
    let url = shared.run("daemon url calc").ok().out.trim().to_owned();
    let (status, answer) = post(&url);
    assert_eq!((status.as_str(), &answer["result"]["serverInfo"]["name"]), ("HTTP/1.1 200 OK", &json!("calculator")));
    let report = shared.status();
    assert_eq!(
        (servers(&report).len(), &servers(&report)[0]["url"], &servers(&report)[0]["persistent"]),
        (1, &json!(url), &json!(true))
    );
    let stranger = url.replace(url.rsplit('/').nth(1).unwrap(), "00000000000000000000000000000000");
    assert!(post(&stranger).0.contains(" 40"), "{}", post(&stranger).0);
    // Nobody is there any more, and the daemon is another one.
    client.finish();
    client.end();
    shared.run("daemon stop --all").ok();
    assert_eq!(shared.run("daemon url calc").ok().out.trim(), url);
    assert_eq!(post(&url).0, "HTTP/1.1 200 OK");
    shared.run("daemon stop calc").ok();
    assert!(TcpStream::connect(url.split('/').nth(2).unwrap()).is_err());
}

#[test]
fn server_in_the_foreground_prints_its_url_first_and_ends_when_interrupted() {
    let home = Home::new();
    for (options, has_token) in [(&["--http", "127.0.0.1:0"][..], true), (&["--http=:0", "--no-token"], false)] {
        let mut command = home.command();
        command.arg("run-once").args(options).arg("--").args(calculator());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        let url = url.trim();
        assert_eq!(url.matches('/').count(), if has_token { 4 } else { 3 }, "{url}");
        assert_eq!(post(url).1["result"]["serverInfo"]["name"], "calculator");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let ended = mcp_testkit::sandbox::wait(&mut child, LIMIT).unwrap().expect("it goes on and on");
        assert_eq!(ended.code(), Some(0));
    }
    assert!(!home.path(DAEMON).exists(), "it needs no daemon");
}

#[test]
fn daemon_that_cannot_start_is_named_with_its_reason() {
    let home = Home::new().file(".local/state/mcp/daemon", "a file where a directory should be");
    let shared = Shared::with(home);
    let (ended, said) = shared.client(&[]).end();
    assert_eq!(ended.code(), Some(4), "{said}");
    assert!(said.starts_with("error: ") && said.contains(".local/state/mcp/daemon"), "{said}");
}

#[test]
fn client_that_closes_its_output_ends_the_shim() {
    let shared = Shared::new();
    let mut command = shared.shim(&[], &calculator());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    let open = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    stdin.write_all(format!("{open}\n").as_bytes()).unwrap();
    assert!(mcp_testkit::sandbox::wait(&mut child, LIMIT).unwrap().is_some(), "it goes on and on");
}

#[test]
fn frames_of_every_size_pass_unchanged() {
    let shared = Shared::new();
    // The answer that names an unknown method serves as an echo.
    let mut command = shared.shim(&["--dummy"], &["/bin/sleep", "1000"]);
    command.env("PATH", "/usr/bin:/bin");
    let mut client = Client::start(command);
    client.open();
    for size in [1, 1000, 65_535, 65_536, 65_537, 1 << 20] {
        let method = "x".repeat(size);
        let answer = client.ask(&method, &json!({}));
        let text = answer["error"]["message"].as_str().unwrap();
        assert!(text.contains(&format!("`{method}`")), "{size}: {}", &text[..text.len().min(200)]);
    }
}
