//! What processes use, from `/proc`.

use std::{
    fs,
    path::Path,
    process::Child,
    thread,
    time::{Duration, Instant},
};

/// Processor time and memory of some processes with all their descendants.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Seconds of processor time, also of children that ended and were waited for.
    pub seconds: f64,
    /// Resident memory in KiB; pages that processes share are counted for each.
    pub resident: u64,
    /// Memory in KiB where a page shared by N processes counts as an Nth for each.
    pub proportional: u64,
    /// How many processes there are.
    pub processes: usize,
}

/// What these processes and their descendants use. Memory takes a while to find out, so it is asked for.
pub fn usage(roots: &[u32], with_memory: bool) -> Usage {
    let mut sum = Usage::default();
    let mut waiting = roots.to_vec();
    let mut seen = Vec::new();
    while let Some(pid) = waiting.pop() {
        if seen.contains(&pid) {
            continue;
        }
        seen.push(pid);
        let folder = format!("/proc/{pid}");
        let folder = Path::new(&folder);
        let Some(seconds) = seconds(folder, 4) else { continue };
        sum.seconds += seconds;
        sum.processes += 1;
        if with_memory {
            let text = fs::read_to_string(folder.join("smaps_rollup")).unwrap_or_default();
            sum.resident += kib(&text, "Rss:");
            sum.proportional += kib(&text, "Pss:");
        }
        let Ok(threads) = fs::read_dir(folder.join("task")) else { continue };
        for thread in threads.flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            waiting.extend(children.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    sum
}

/// Seconds of processor time of this process alone.
pub fn own_seconds() -> f64 {
    seconds(Path::new("/proc/self"), 2).unwrap_or(0.0)
}

/// User and system time of a process, and with four instead of two numbers also of its reaped children.
fn seconds(folder: &Path, numbers: usize) -> Option<f64> {
    /// Linux shows every architecture's time in hundredths (`USER_HZ`).
    const TICKS: f64 = 100.0;
    let text = fs::read_to_string(folder.join("stat")).ok()?;
    // The name of the program may contain anything, also blanks and brackets.
    let rest = &text[text.rfind(')')? + 1..];
    let fields = rest.split_ascii_whitespace().skip(11).take(numbers);
    Some(fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS)
}

fn kib(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.split_ascii_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Asks a process of ours to end.
pub fn terminate(child: &Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // One that ended already needs no signal.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// Waits for a process of ours whose input was closed, and kills it when it does not go.
pub fn end(mut child: Child) {
    drop(child.stdin.take());
    let deadline = Instant::now() + Duration::from_secs(3);
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
    // It may have ended in this moment, and there is nothing to do about any other failure.
    let _ = child.kill();
    let _ = child.wait();
}
