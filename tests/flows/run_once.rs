//! `mcp run-once` with real processes: the shim, the daemon, the bundled calculator.
#![cfg(unix)]

use std::sync::Barrier;

use serde_json::json;

use super::shared::{Client, Shared, calculator, kill, number, servers, signal, wait_gone};
use crate::home::Home;

#[test]
fn two_callers_share_one_server() {
    let shared = Shared::new();
    let (mut one, mut two) = (shared.client(&[]), shared.client(&[]));
    one.open();
    two.open();
    assert_eq!((one.add(1, 2), two.add(20, 22)), ("3".to_owned(), "42".to_owned()));
    let status = shared.status();
    let [server] = &servers(&status)[..] else { panic!("{status:#}") };
    assert_eq!((&server["name"], &server["state"], &server["era"]), (&json!("calculator"), &json!("ready"), &json!("legacy")));
    assert_eq!(server["clients"].as_array().unwrap().len(), 2);
    assert_eq!(server["clients"][0]["client"], json!({"name": "test-client", "version": "1.2.3"}));
    let pids: Vec<_> = server["clients"].as_array().unwrap().iter().map(|c| number(&c["pid"])).collect();
    assert!(pids.contains(&one.child.id()) && pids.contains(&two.child.id()), "{pids:?}");
    assert_eq!(server["calls"], 2, "{status:#}");
    assert!(server["memory"].as_u64().unwrap() > 100_000 && server["p50_us"].is_u64());
    assert_eq!((&status["daemon"]["transport"], &status["daemon"]["problems"]), (&json!("unix"), &json!([])));
    one.finish();
    let (ended, said) = one.end();
    assert_eq!((ended.code(), said.as_str()), (Some(0), ""));
    assert_eq!(two.add(5, 5), "10", "one that leaves takes nobody along");
}

#[test]
fn answers_that_are_due_come_after_the_end_of_input() {
    let shared = Shared::new();
    let mut client = shared.client(&[]);
    client.open();
    for id in 100..200 {
        client.send(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "add", "arguments": {"a": id.to_string(), "b": "1"}}}));
    }
    client.finish();
    let sums: Vec<_> = (0..100).map(|_| client.receive()).collect();
    assert!(sums.iter().all(|s| s["result"]["structuredContent"]["exact"] == true), "{sums:?}");
    assert_eq!(client.end().0.code(), Some(0));
}

#[test]
fn server_and_daemon_leave_when_nobody_needs_them() {
    let shared = Shared::with(Home::new().var("MCP_TEST_DAEMON_LINGER", "300ms"));
    let mut client = shared.client(&["--ephemeral=200ms"]);
    client.open();
    let status = shared.status();
    let (daemon, server) = (number(&status["daemon"]["pid"]), number(&servers(&status)[0]["pid"]));
    client.finish();
    client.end();
    shared.wait("no server", |s| s["servers"] == json!([]));
    wait_gone(server);
    // Without the feature for tests the daemon stays for its minute; then this only sees the server go.
    if env_is_read(&shared) {
        shared.wait("no daemon", |s| s["daemon"].is_null());
        wait_gone(daemon);
        assert!(!shared.home.path(".local/state/mcp/daemon/sock").exists());
    }
}

/// Whether the program was built to read what tests tell it.
fn env_is_read(shared: &Shared) -> bool {
    let mut command = shared.home.command();
    command.args(["daemon", "start"]).env("MCP_TEST_VERSION", "0.0.1");
    let is_there = shared.status()["daemon"].is_object();
    if !is_there {
        shared.home.finish(&mut command).ok();
        let read = shared.status()["daemon"]["version"] == "0.0.1";
        shared.run("daemon stop --all");
        return read;
    }
    cfg!(feature = "testing")
}

#[test]
fn persistent_server_stays_until_it_is_stopped_and_is_started_again() {
    let shared = Shared::new();
    let mut client = shared.client(&["--persistent", "--name", "calc"]);
    client.open();
    client.finish();
    client.end();
    let status = shared.wait("nobody is there", |s| s["servers"][0]["clients"] == json!([]));
    assert_eq!((&servers(&status)[0]["persistent"], &servers(&status)[0]["linger_ms"]), (&json!(true), &json!(null)));
    let first = number(&servers(&status)[0]["pid"]);
    shared.run("daemon stop calc").ok().says(&["Stopped `calc`"]);
    wait_gone(first);
    shared.run("daemon stop calc").ends(1).says(&["there is no server `calc`"]);
    shared.run("daemon start calc").ok().says(&["Started calc"]);
    let status = shared.wait("it runs again", |s| s["servers"][0]["pid"].is_u64());
    let second = number(&servers(&status)[0]["pid"]);
    // The one that was started without a client is the one that the same command means.
    let mut client = shared.client(&["--persistent", "--name", "calc"]);
    client.open();
    assert_eq!(number(&servers(&shared.status())[0]["pid"]), second);
    // A daemon that starts has them as well.
    shared.run("daemon stop --all").ok();
    wait_gone(second);
    shared.run("daemon start").ok();
    shared.wait("it runs with a new daemon", |s| s["servers"][0]["pid"].is_u64());
    // What was stopped by name is forgotten by `gc`, with its log.
    shared.run("daemon stop calc").ok();
    shared.run("daemon gc").ok().says(&["removed log calc.log"]);
    shared.run("daemon start calc").ends(1).says(&["no server `calc` that stays"]);
}

#[test]
fn stopping_says_so_to_the_clients() {
    let shared = Shared::new();
    let mut client = shared.client(&["--name", "calc"]);
    client.open();
    shared.run("daemon stop calc").ok();
    let (ended, said) = client.end();
    assert_eq!((ended.code(), said.trim()), (Some(0), "mcp: `calc` was stopped by `mcp daemon stop`"));
}

#[test]
fn a_name_belongs_to_one_command() {
    let shared = Shared::new();
    let mut client = shared.client(&["--name", "calc"]);
    client.open();
    let mut other = Client::start(shared.shim(&["--name", "calc"], &["sh", "-c", "cat"]));
    let (ended, said) = other.end();
    // `sh` is not on the PATH of this home.
    assert_eq!(ended.code(), Some(2), "{said}");
    assert!(said.starts_with("error: there is no program `sh`"), "{said}");
    let mut other = Client::start(shared.shim(&["--name", "calc"], &["/bin/sh", "-c", "cat"]));
    let (ended, said) = other.end();
    assert_eq!(ended.code(), Some(2), "{said}");
    let mine = format!("running: {}\n", calculator().join(" "));
    for part in ["the name `calc` belongs to another command", &mine, "asked:   /bin/sh -c cat\n", "mcp daemon stop calc"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let mut elsewhere = shared.shim(&["--name", "calc"], &calculator());
    elsewhere.current_dir(shared.home.path(""));
    // In another folder, or with other variables, it is another server of the same command.
    let mut second = Client::start(elsewhere);
    second.open();
    // Without a name, another one is found.
    let mut third = Client::start({
        let mut command = shared.shim(&[], &calculator());
        command.env("GITHUB_TOKEN", "x");
        command
    });
    third.open();
    let status = shared.status();
    let names: Vec<_> = servers(&status).iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["calc", "calc-2", "calculator"]);
}

#[test]
fn variables_that_matter_and_isolation_give_servers_of_their_own() {
    let shared = Shared::new();
    let start = |options: &[&str], env: &[(&str, &str)], capabilities: &serde_json::Value| {
        let mut command = shared.shim(options, &calculator());
        command.envs(env.iter().copied());
        let mut client = Client::start(command);
        client.open_with(capabilities);
        client
    };
    let none = json!({});
    let roots = json!({"roots": {}});
    let count = || servers(&shared.status()).len();
    let mut kept = vec![start(&[], &[], &none), start(&[], &[("EDITOR", "vi"), ("CLAUDECODE", "1")], &none)];
    assert_eq!(count(), 1);
    kept.push(start(&[], &[("DATABASE_URL", "a")], &none));
    kept.push(start(&["--env-key", "EDITOR"], &[("EDITOR", "vi")], &none));
    kept.push(start(&["--env-key", "EDITOR"], &[("EDITOR", "ed")], &none));
    assert_eq!(count(), 4);
    kept.push(start(&["--isolate", "client"], &[], &none));
    kept.push(start(&["--isolate", "client"], &[], &none));
    assert_eq!(count(), 6);
    kept.push(start(&["--isolate", "capabilities"], &[], &roots));
    kept.push(start(&["--isolate", "capabilities"], &[], &roots));
    kept.push(start(&["--isolate", "capabilities"], &[], &none));
    assert_eq!(count(), 8);
    kept.push(start(&["--isolate", "roots"], &[], &none));
    kept.push(start(&["--isolate", "roots"], &[], &json!({"sampling": {}})));
    kept.push(start(&["--isolate", "roots"], &[], &roots));
    assert_eq!(count(), 10);
    kept.push(start(&["--isolate", "era"], &[], &none));
    assert_eq!(count(), 11);
    for (n, client) in kept.iter_mut().enumerate() {
        assert_eq!(client.add(n as u64, 1), (n + 1).to_string());
    }
    // Values are nowhere, only names.
    let dir = shared.home.path(".local/state/mcp/daemon");
    for file in ["state.json", "servers.json", "daemon.log"] {
        let text = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
        assert!(!text.contains("\"vi\"") && !text.contains("\"ed\""), "{file}: {text}");
    }
}

#[test]
fn fifty_first_callers_start_one_daemon_and_one_server() {
    let shared = Shared::new();
    let barrier = Barrier::new(50);
    let sums: Vec<String> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..50_u64)
            .map(|n| {
                let (shared, barrier) = (&shared, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let mut client = shared.client(&[]);
                    client.open();
                    let sum = client.add(n, 1000);
                    client.finish();
                    assert_eq!(client.end().0.code(), Some(0));
                    sum
                })
            })
            .collect();
        callers.into_iter().map(|c| c.join().unwrap()).collect()
    });
    assert_eq!(sums, (1000..1050).map(|n: u64| n.to_string()).collect::<Vec<_>>());
    let log = std::fs::read_to_string(shared.home.path(".local/state/mcp/daemon/daemon.log")).unwrap();
    assert_eq!((log.matches("started, process").count(), log.matches("server `calculator`").count()), (1, 1), "{log}");
}

#[test]
fn killed_daemon_ends_its_sessions_and_servers_and_the_next_caller_has_a_new_one() {
    let shared = Shared::new();
    let mut clients = [shared.client(&[]), shared.client(&[])];
    clients.iter_mut().for_each(Client::open);
    let status = shared.status();
    let (daemon, server) = (number(&status["daemon"]["pid"]), number(&servers(&status)[0]["pid"]));
    kill(daemon);
    for client in &mut clients {
        let (ended, said) = client.end();
        assert_eq!(ended.code(), Some(4), "{said}");
        assert!(said.contains("the daemon ended, and the session with `calculator` with it"), "{said}");
    }
    let mut next = shared.client(&[]);
    next.open();
    assert_eq!(next.add(1, 1), "2");
    let status = shared.status();
    assert_ne!(number(&status["daemon"]["pid"]), daemon);
    assert_ne!(number(&servers(&status)[0]["pid"]), server);
    wait_gone(server);
}

#[test]
fn killed_server_is_started_again_for_the_clients_it_had() {
    let shared = Shared::new();
    let mut client = shared.client(&[]);
    client.open();
    assert_eq!(client.add(1, 1), "2");
    let first = number(&servers(&shared.status())[0]["pid"]);
    kill(first);
    let status = shared.wait("a new process", |s| s["servers"][0]["pid"].as_u64().is_some_and(|pid| pid != u64::from(first)));
    assert_eq!(client.add(2, 2), "4");
    assert_eq!(servers(&status)[0]["restarts"], 1);
    shared.run("daemon logs calculator").ok().says(&["was killed by signal 9 (SIGKILL)"]);
}

#[test]
fn killed_shim_leaves_nothing_behind() {
    let shared = Shared::new();
    let (mut one, mut two) = (shared.client(&[]), shared.client(&[]));
    one.open();
    two.open();
    kill(one.child.id());
    let status = shared.wait("one client", |s| s["servers"][0]["clients"].as_array().is_some_and(|c| c.len() == 1));
    assert_eq!(number(&servers(&status)[0]["clients"][0]["pid"]), two.child.id());
    assert_eq!(two.add(1, 2), "3");
}

#[test]
fn dummy_keeps_a_process_alive_and_offers_nothing() {
    let shared = Shared::new();
    let mut command = shared.shim(&["--dummy", "--ephemeral=100ms"], &["/bin/sh", "-c", "echo I am here; exec sleep 1000"]);
    command.env("PATH", "/usr/bin:/bin");
    let mut client = Client::start(command);
    client.open();
    assert_eq!(client.ask("ping", &json!({}))["result"], json!({}));
    assert_eq!(client.ask("tools/list", &json!({}))["result"]["tools"].as_array().map_or(0, Vec::len), 0);
    let status = shared.status();
    let process = number(&servers(&status)[0]["pid"]);
    let name = servers(&status)[0]["name"].as_str().unwrap().to_owned();
    shared.run(&format!("daemon logs {name}")).ok().says(&["stdout: I am here"]);
    client.finish();
    assert_eq!(client.end().0.code(), Some(0));
    wait_gone(process);
}

#[test]
fn homes_of_our_own_keep_daemons_apart() {
    let shared = Shared::new();
    let moved = shared.home.path("moved");
    let elsewhere = |line: &str| {
        let mut command = shared.home.command();
        command.args(line.split_whitespace()).env("MCP_HOME", &moved);
        shared.home.finish(&mut command)
    };
    let mut one = shared.client(&[]);
    one.open();
    let mut two = Client::start({
        let mut command = shared.shim(&[], &calculator());
        command.env("MCP_HOME", &moved);
        command
    });
    two.open();
    let other = elsewhere("daemon status --json").ok().json("mcp.daemon.status/1");
    assert_ne!(other["daemon"]["pid"], shared.status()["daemon"]["pid"]);
    assert_eq!(other["daemon"]["directory"], moved.join("state/daemon").to_str().unwrap());
    elsewhere("daemon stop --all").ok();
    assert_eq!(two.end().0.code(), Some(0));
    assert_eq!(one.add(1, 1), "2");
}

#[test]
fn replaced_daemon_hands_its_sessions_over_unnoticed() {
    let shared = Shared::new();
    let mut clients: Vec<Client> = (0..4).map(|_| shared.client(&[])).collect();
    clients.iter_mut().for_each(Client::open);
    let before = shared.status();
    for round in 1..=2 {
        shared.run("daemon restart").ok().says(&["The daemon was replaced by a new one"]);
        for (n, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.add(n as u64, round), (n as u64 + round).to_string());
        }
    }
    let after = shared.wait("the old ones are gone", |s| s["leaving"] == json!([]));
    wait_gone(number(&before["daemon"]["pid"]));
    wait_gone(number(&servers(&before)[0]["pid"]));
    assert_ne!(before["daemon"]["pid"], after["daemon"]["pid"]);
    assert_eq!(servers(&after).len(), 1);
    let names: Vec<_> = servers(&after)[0]["clients"].as_array().unwrap().iter().map(|c| c["client"]["name"].clone()).collect();
    assert_eq!(names, vec![json!("test-client"); 4]);
    for client in &mut clients {
        client.finish();
        assert_eq!(client.end().0.code(), Some(0));
    }
}

#[test]
fn messages_sent_while_the_daemon_is_replaced_are_all_answered_once() {
    let shared = Shared::new();
    let mut client = shared.client(&[]);
    client.open();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..3 {
                shared.run("daemon restart").ok();
            }
            stop.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        let mut n = 0;
        while !stop.load(std::sync::atomic::Ordering::SeqCst) || n < 50 {
            n += 1;
            assert_eq!(client.add(n, 7), (n + 7).to_string());
        }
    });
}

#[test]
fn newer_version_takes_over_and_an_older_one_joins() {
    let shared = Shared::new();
    if !env_is_read(&shared) {
        eprintln!("skipped: built without the feature `testing`, so that there is one version only");
        return;
    }
    let of = |version: &str| {
        let mut command = shared.shim(&[], &calculator());
        command.env("MCP_TEST_VERSION", version);
        let mut client = Client::start(command);
        client.open();
        client
    };
    let mut old = of("1.0.0");
    let first = shared.status();
    assert_eq!(first["daemon"]["version"], "1.0.0");
    let mut new = of("1.1.0-rc.1");
    let second = shared.wait("the old one is gone", |s| s["leaving"] == json!([]) && s["daemon"]["version"] == "1.1.0-rc.1");
    assert_eq!((old.add(1, 2), new.add(3, 4)), ("3".to_owned(), "7".to_owned()));
    wait_gone(number(&first["daemon"]["pid"]));
    let mut older = of("0.9.0");
    assert_eq!(older.add(5, 6), "11");
    let third = shared.status();
    assert_eq!((&third["daemon"]["pid"], servers(&third).len()), (&second["daemon"]["pid"], 1));
    assert_eq!(servers(&third)[0]["clients"].as_array().unwrap().len(), 3);
}

#[test]
fn panic_ends_one_server_and_no_other() {
    let shared = Shared::new();
    let mut one = shared.client(&[]);
    one.open();
    if !cfg!(feature = "testing") {
        eprintln!("skipped: built without the feature `testing`, so that nothing panics when asked to");
        return;
    }
    let mut command = shared.shim(&["--name", "panics-for-a-test"], &["/bin/cat"]);
    command.env("GITHUB_TOKEN", "x");
    let mut three = Client::start(command);
    let (ended, said) = three.end();
    assert_eq!(ended.code(), Some(70), "{said}");
    assert!(said.contains("`panics-for-a-test` was ended by a bug in mcp: a test wants it"), "{said}");
    assert_eq!(one.add(1, 2), "3");
    assert_eq!(servers(&shared.wait("one is left", |s| servers(s).len() == 1))[0]["name"], "calculator");
}

#[test]
fn daemon_that_is_asked_to_end_by_a_signal_ends_its_servers_first() {
    let shared = Shared::new();
    let mut client = shared.client(&[]);
    client.open();
    let status = shared.status();
    let (daemon, server) = (number(&status["daemon"]["pid"]), number(&servers(&status)[0]["pid"]));
    signal(daemon, rustix::process::Signal::TERM);
    let (ended, said) = client.end();
    assert_eq!((ended.code(), said.trim()), (Some(4), "error: the daemon was asked to end by a signal"));
    wait_gone(daemon);
    wait_gone(server);
    assert!(!shared.home.path(".local/state/mcp/daemon/state.json").exists());
}
