//! A flood must not fill memory. Alone in its process, whose memory is measured.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use mcp_relay::transport::child::Patience;
use support::*;

#[test]
fn a_flood_on_stderr_neither_blocks_nor_fills_memory() {
    local(async {
        let before = resident();
        // Lines, and then one without an end.
        let script = "(yes 'a line of no use to anybody' | head -c 20000000; head -c 20000000 /dev/zero | tr '\\0' x) >&2 & \
                      echo \"{\\\"method\\\":\\\"$!\\\"}\"; exec cat";
        let server = start(shell(script), Patience { closed: DEADLINE, ..hasty() });
        let peer = join(&server);
        let flood = server.told_number().await;
        say(&server, peer, r#"{"method":"meanwhile"}"#);
        until("an answer", || server.record.answers.get() == 2).await;
        until("the end of the flood", || !runs(flood)).await;
        server.hub.drain();
        let fate = server.fate().await;
        assert_eq!(fate.text, "exited with status 0");
        assert!(fate.stderr.len() == 20 && fate.stderr.iter().all(|line| line.len() < 600), "{:?}", fate.stderr);
        assert!(fate.stderr[19].ends_with(" bytes)"), "{:?}", fate.stderr);
        assert!(resident() < before + 10_000_000, "{} bytes more", resident() - before);
    });
}

/// Our own memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
