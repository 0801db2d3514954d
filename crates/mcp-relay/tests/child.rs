//! Servers as child processes, with real processes of all characters.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use mcp_os::guard::Guard;
use mcp_relay::hub::Limits;
use mcp_relay::transport::child::{Patience, Spec};
use support::*;

#[test]
fn frames_pass_both_ways_in_order_and_unchanged() {
    local(async {
        let server = start(shell("exec cat"), Patience::default());
        let peer = join(&server);
        let sent: Vec<String> =
            (0..10_000).map(|n| format!(r#"{{"x":1E400, "method":"m","n":{n},"text":"{}"}}"#, "ä".repeat(n % 50))).collect();
        for text in &sent {
            say(&server, peer, text);
        }
        until("all to come back", || server.record.from_server.borrow().len() == sent.len()).await;
        assert_eq!(*server.record.from_server.borrow(), sent);
        server.hub.drain();
        let fate = server.fate().await;
        assert_eq!((fate.text.as_str(), fate.was_wanted), ("exited with status 0", true));
    });
}

#[test]
fn an_exit_is_told_once_with_status_and_last_words() {
    local(async {
        let server =
            start(shell("for i in $(seq 30); do echo \"line $i\" >&2; done; printf '\\033[31mthe end' >&2; exit 3"), hasty());
        let pid = server.pid();
        let fate = server.fate().await;
        assert_eq!((fate.text.as_str(), fate.was_wanted), ("exited with status 3", false));
        let mut wanted: Vec<String> = (12..=30).map(|n| format!("line {n}")).collect();
        wanted.push("the end".to_owned());
        assert_eq!(fate.stderr, wanted);
        assert_eq!(server.stderr.borrow().len(), 31);
        assert!(!exists(pid), "a zombie is left");
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(server.record.fates.borrow().len(), 1);
        assert_eq!(server.hub.pid(), None);
    });
}

#[test]
fn a_killed_server_is_told_with_the_signal() {
    local(async {
        let server = start(shell("exec sleep 600"), Patience::default());
        let pid = server.pid();
        kill(pid, "-KILL");
        let fate = server.fate().await;
        assert_eq!((fate.text.as_str(), fate.was_wanted), ("was killed by signal 9 (SIGKILL)", false));
        assert!(!exists(pid));
    });
}

#[test]
fn what_a_server_wrote_before_it_died_is_read() {
    local(async {
        // Less than a pipe holds but more lines than are handled in one turn, and a last one without an end.
        let script = "yes '{\"method\":\"m\"}' | head -n 4000; echo 'no good' >&2; printf '{\"method\":\"last\"}'; kill -9 $$";
        let server = start(shell(script), Patience::default());
        let pid = server.pid();
        // Nothing is read meanwhile, since this is the thread that would do it.
        while runs(pid) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let fate = server.fate().await;
        assert_eq!((fate.text.as_str(), &fate.stderr[..]), ("was killed by signal 9 (SIGKILL)", &["no good".to_owned()][..]));
        let seen = server.record.from_server.borrow();
        assert_eq!((seen.len(), seen.last().unwrap().as_str()), (4001, r#"{"method":"last"}"#));
    });
}

#[test]
fn a_server_that_closes_its_output_is_ended() {
    local(async {
        let server = start(shell("exec >&-; exec sleep 600"), hasty());
        let pid = server.pid();
        let fate = server.fate().await;
        assert_eq!((fate.text.as_str(), fate.was_wanted), ("closed its output", false));
        assert!(!exists(pid));
    });
}

#[test]
fn a_server_that_closes_its_output_first_still_has_its_exit_status_told() {
    local(async {
        let patience = Patience { silent: Duration::from_secs(20), ..hasty() };
        let server = start(shell("exec >&-; sleep 0.1; exit 4"), patience);
        assert_eq!(server.fate().await.text, "exited with status 4");
    });
}

#[test]
fn a_server_that_closes_its_input_is_ended_when_something_is_sent() {
    local(async {
        let server = start(shell("exec <&-; echo '{\"method\":\"ready\"}'; exec sleep 600"), hasty());
        let pid = server.pid();
        let peer = join(&server);
        until("the server to be there", || server.record.answers.get() == 1).await;
        say(&server, peer, r#"{"id":1,"method":"m"}"#);
        let fate = server.fate().await;
        assert_eq!((fate.text.as_str(), fate.was_wanted), ("closed its input", false));
        assert!(!exists(pid));
    });
}

#[test]
fn what_is_queued_is_sent_before_the_end() {
    local(async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("got");
        let spec = shell(&format!("sleep 0.1; exec cat >'{}'", file.display()));
        let server = start(spec, Patience { closed: DEADLINE, ..hasty() });
        let peer = join(&server);
        let text = format!(r#"{{"method":"m","text":"{}"}}"#, "x".repeat(1000));
        (0..3000).for_each(|_| say(&server, peer, &text));
        server.hub.drain();
        let fate = server.fate().await;
        assert_eq!((fate.text.as_str(), fate.was_wanted), ("exited with status 0", true));
        assert_eq!(std::fs::metadata(&file).unwrap().len(), 3000 * (text.len() as u64 + 1));
    });
}

#[test]
fn a_polite_server_ends_by_itself_when_its_input_closes() {
    local(async {
        let server = start(shell("cat >/dev/null; exit 7"), Patience { closed: DEADLINE, ..hasty() });
        server.hub.drain();
        let fate = server.fate().await;
        assert_eq!((fate.text.as_str(), fate.was_wanted), ("exited with status 7", true));
    });
}

#[test]
fn a_server_that_ignores_the_end_of_its_input_is_asked_to_end() {
    local(async {
        let script = "trap 'exit 5' TERM; echo '{\"method\":\"ready\"}'; while :; do sleep 0.02; done";
        let server = start(shell(script), Patience { terminated: DEADLINE, ..hasty() });
        until("the trap to be set", || server.record.answers.get() == 1).await;
        server.hub.drain();
        let fate = server.fate().await;
        assert_eq!((fate.text.as_str(), fate.was_wanted), ("exited with status 5", true));
    });
}

#[test]
fn a_server_that_ignores_everything_is_killed_with_its_children() {
    local(async {
        let script = "trap '' TERM; sleep 600 & echo \"{\\\"method\\\":\\\"$!\\\"}\"; while :; do sleep 0.02; done";
        let server = start(shell(script), hasty());
        let (pid, child) = (server.pid(), server.told_number().await);
        assert!(runs(child));
        server.hub.drain();
        let fate = server.fate().await;
        assert_eq!((fate.text.as_str(), fate.was_wanted), ("was killed by signal 9 (SIGKILL)", true));
        assert!(!exists(pid));
        until("the child to end too", || !runs(child)).await;
    });
}

#[test]
fn children_of_a_server_that_ended_are_killed_though_they_hold_its_pipes() {
    local(async {
        let script = "sleep 600 & echo \"{\\\"method\\\":\\\"$!\\\"}\"; exit 0";
        let server = start(shell(script), Patience { dead: DEADLINE, ..hasty() });
        let child = server.told_number().await;
        assert_eq!(server.fate().await.text, "exited with status 0");
        until("the child to end too", || !runs(child)).await;
    });
}

#[test]
fn a_child_that_left_the_group_does_not_keep_the_end_from_being_told() {
    local(async {
        let script = "setsid sh -c 'echo \"{\\\"method\\\":\\\"$$\\\"}\"; exec sleep 600' & sleep 0.1; exit 0";
        let server = start(shell(script), hasty());
        let child = server.told_number().await;
        assert_eq!(server.fate().await.text, "exited with status 0");
        kill(child, "-KILL");
    });
}

#[test]
fn a_server_nobody_needs_any_more_ends() {
    local(async {
        let server = start(shell("cat >/dev/null"), Patience { closed: DEADLINE, ..hasty() });
        let pid = server.pid();
        drop(server);
        until("the server to end", || !exists(pid)).await;
    });
}

#[test]
fn a_server_does_not_survive_its_thread() {
    let pid = local(async {
        let script = "trap '' TERM; echo '{\"method\":\"ready\"}'; while :; do sleep 0.02; done";
        let server = start(shell(script), Patience::default());
        until("the trap to be set", || server.record.answers.get() == 1).await;
        server.pid()
    });
    assert!(!exists(pid), "it runs, or is a zombie");
}

#[test]
fn the_guard_is_told_of_a_server_and_of_its_end() {
    local(async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("told");
        let script = format!("exec /bin/cat >'{}'", file.display());
        let guard = Arc::new(Guard::start_with("/bin/sh".as_ref(), &["-c".into(), script.into()]).unwrap());
        let told = || std::fs::read_to_string(&file).unwrap_or_default();
        let server =
            start_with(shell("exec cat"), Patience::default(), Limits::default(), |connector| connector.with_guard(guard));
        let pid = server.pid();
        let start = mcp_os::proc::start_time(pid).unwrap();
        until("the beginning to be told", || told() == format!("+{pid} {start}\n")).await;
        server.hub.drain();
        server.fate().await;
        until("the end to be told", || told() == format!("+{pid} {start}\n-{pid}\n")).await;
    });
}

#[test]
fn a_guard_that_ends_at_once_harms_no_server() {
    local(async {
        let guard = Arc::new(Guard::start_with("/bin/true".as_ref(), &[]).unwrap());
        let id = guard.id();
        until("it to end", || !runs(id)).await;
        let server =
            start_with(shell("exec cat"), Patience::default(), Limits::default(), |connector| connector.with_guard(guard));
        let peer = join(&server);
        say(&server, peer, r#"{"method":"m"}"#);
        until("an answer", || server.record.answers.get() == 1).await;
    });
}

#[test]
fn what_cannot_be_started_is_named() {
    local(async {
        let server = start(Spec { program: "/no/such/program".into(), ..Spec::default() }, hasty());
        let fate = server.fate().await;
        assert_eq!(fate.text, "could not be started: `/no/such/program`: No such file or directory (os error 2)");
        let server = start(Spec { cwd: Some("/no/such/folder".into()), ..shell("exit 0") }, hasty());
        assert_eq!(server.fate().await.text, "could not be started: its working directory `/no/such/folder` is not there");
        let server = start(Spec { program: "/dev/null".into(), ..Spec::default() }, hasty());
        assert_eq!(server.fate().await.text, "could not be started: `/dev/null`: Permission denied (os error 13)");
    });
}

#[test]
fn environment_and_folder_are_what_was_asked_for() {
    local(async {
        let spec = Spec {
            program: "/usr/bin/env".into(),
            args: vec!["sh".into(), "-c".into(), "env >&2; pwd >&2".into()],
            env: vec![("ONLY".into(), "this".into()), ("PATH".into(), "/usr/bin:/bin".into())],
            cwd: Some("/usr".into()),
        };
        let server = start(spec, hasty());
        server.fate().await;
        let mut lines = server.stderr.borrow().clone();
        lines.retain(|l| !l.starts_with("_=") && !l.starts_with("SHLVL="));
        lines.sort();
        assert_eq!(lines, ["/usr", "ONLY=this", "PATH=/usr/bin:/bin", "PWD=/usr"]);
    });
}

#[test]
fn torn_frames_are_put_together() {
    local(async {
        let script = "printf '{\"met'; sleep 0.05; printf 'hod\":\"\\303'; sleep 0.05; printf '\\244\"}\\r'; sleep 0.05; printf '\\n'; exec cat";
        let server = start(shell(script), hasty());
        until("the frame", || server.record.answers.get() == 1).await;
        assert_eq!(server.record.from_server.borrow()[0], "{\"method\":\"ä\"}");
        assert_eq!(server.record.noise.get(), 0);
    });
}

#[test]
fn stray_text_is_counted_and_harms_nothing() {
    local(async {
        let script = "echo 'Listening on stdio…'; printf '\\377\\376\\n'; echo '{\"half\":'; echo '{\"method\":\"m\"}'; \
                      seq 5000; exec cat";
        let server = start(shell(script), hasty());
        until("all to be seen", || server.record.noise.get() == 5003).await;
        assert_eq!(*server.record.from_server.borrow(), [r#"{"method":"m"}"#]);
        assert_eq!(server.log.borrow()[0], "stdout: Listening on stdio…");
        let peer = join(&server);
        say(&server, peer, r#"{"method":"still there"}"#);
        until("an answer", || server.record.answers.get() == 2).await;
    });
}

#[test]
fn a_line_of_64_mebibytes_passes_and_one_byte_more_is_told_with_its_size() {
    const LIMIT: usize = 64 << 20;
    local(async {
        let around = r#"{"jsonrpc":"2.0","id":7,"result":""}"#.len();
        let line = |text: usize| {
            format!("printf '{{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"'; head -c {text} /dev/zero | tr '\\0' x; echo '\"}}'; ")
        };
        let script =
            line(LIMIT - around) + &line(LIMIT - around + 1) + &line(LIMIT * 3 / 2) + "echo '{\"method\":\"next\"}'; exec cat";
        let server = start(shell(&script), hasty());
        until("the last line", || server.record.answers.get() == 2).await;
        let seen = server.record.from_server.borrow();
        assert_eq!((seen[0].len(), seen[1].as_str()), (LIMIT, r#"{"method":"next"}"#));
        let longer = (LIMIT * 3 / 2 + around) as u64;
        assert_eq!(*server.record.too_long.borrow(), [(LIMIT as u64 + 1, Some(7)), (longer, Some(7))]);
    });
}

#[test]
fn a_server_that_reads_nothing_holds_up_only_its_own_clients() {
    local(async {
        let limits = Limits { server_queue: 100_000, ..Limits::default() };
        let stuck = start_with(shell("exec sleep 600"), hasty(), limits, |connector| connector);
        let pid = stuck.pid();
        let peer = join(&stuck);
        let text = format!(r#"{{"method":"m","text":"{}"}}"#, "x".repeat(10_000));
        // What a transport does: it waits for room before each frame.
        let mut sent = 0;
        while tokio::time::timeout(Duration::from_millis(200), stuck.hub.room()).await.is_ok() {
            say(&stuck, peer, &text);
            sent += 1;
            assert!(sent < 1000, "the queue has no end");
        }
        let other = start(shell("exec cat"), hasty());
        let peer = join(&other);
        say(&other, peer, r#"{"method":"m"}"#);
        until("an answer of the other server", || other.record.answers.get() == 1).await;
        stuck.hub.drain();
        assert!(stuck.fate().await.was_wanted);
        assert!(!exists(pid));
        tokio::time::timeout(DEADLINE, stuck.hub.room()).await.expect("nobody waits for a server that is gone");
    });
}

#[test]
fn a_server_that_talks_without_end_leaves_others_their_turn_and_can_be_ended() {
    local(async {
        let babbling = start(shell("exec yes '{\"method\":\"m\"}'"), hasty());
        babbling.record.is_quiet.set(true);
        let pid = babbling.pid();
        until("the flood to rise", || babbling.record.answers.get() > 100_000).await;
        let other = start(shell("exec cat"), hasty());
        let peer = join(&other);
        for round in 1..=20 {
            let before = babbling.record.answers.get();
            say(&other, peer, r#"{"method":"m"}"#);
            while other.record.answers.get() < round {
                tokio::task::yield_now().await;
            }
            // What both processes can do in a few of the scheduler's turns is no matter of ours, a standstill is.
            let came_first = babbling.record.answers.get() - before;
            assert!(came_first < 1_000_000, "{came_first} lines came first");
        }
        babbling.hub.drain();
        assert!(babbling.fate().await.was_wanted);
        assert!(!exists(pid));
    });
}

#[test]
fn who_waits_for_room_is_told_when_there_is_some() {
    local(async {
        let limits = Limits { server_queue: 50_000, ..Limits::default() };
        let server = start_with(shell("read line; exec cat"), hasty(), limits, |connector| connector);
        let peer = join(&server);
        let text = format!(r#"{{"method":"m","text":"{}"}}"#, "x".repeat(100_000));
        for _ in 0..20 {
            tokio::time::timeout(DEADLINE, server.hub.room()).await.expect("the server reads, so there is room again");
            say(&server, peer, &text);
        }
        until("all but the first", || server.record.answers.get() == 19).await;
    });
}

#[test]
fn several_threads_have_servers_of_their_own() {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                for _ in 0..5 {
                    local(async {
                        let server = start(shell("exec cat"), Patience { closed: DEADLINE, ..hasty() });
                        let pid = server.pid();
                        let peer = join(&server);
                        say(&server, peer, r#"{"method":"m"}"#);
                        until("an answer", || server.record.answers.get() == 1).await;
                        server.hub.drain();
                        assert_eq!(server.fate().await.text, "exited with status 0");
                        assert!(!exists(pid));
                    });
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn the_memory_of_a_server_counts_what_it_started() {
    local(async {
        let server = start(shell("sleep 600 & sleep 600 & echo '{\"method\":\"ready\"}'; cat >/dev/null"), hasty());
        until("the server to be there", || server.record.answers.get() == 1).await;
        let one = mcp_os::proc::memory_of_tree(std::process::id()).unwrap();
        let tree = mcp_os::proc::memory_of_tree(server.pid()).unwrap();
        assert!(tree > 500_000 && one > tree, "{tree} of {one}");
    });
}

fn kill(pid: u32, signal: &str) {
    assert!(std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}
