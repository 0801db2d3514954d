//! What can be learned about processes without `unsafe`: much on Linux, from `/proc`, and little elsewhere.

#[cfg(target_os = "linux")]
use std::collections::{HashMap, HashSet};

/// The fields of `/proc/PID/stat` behind the name of the program, which may itself hold blanks and parentheses. The first
/// is the state, number 3 in proc(5).
#[cfg(target_os = "linux")]
fn stat(pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.trim_start().to_owned())
}

/// When a process started, in ticks since the system did; together with its id it names one process for good. Linux only.
#[cfg(target_os = "linux")]
pub fn start_time(pid: u32) -> Option<u64> {
    stat(pid)?.split(' ').nth(22 - 3)?.parse().ok()
}

/// When a process started: not known here.
#[cfg(not(target_os = "linux"))]
pub fn start_time(_pid: u32) -> Option<u64> {
    None
}

/// Whether a process runs; one that has ended and waits to be reaped does not, where that can be seen (Linux). `None`: the
/// system does not tell.
pub fn is_running(pid: u32) -> Option<bool> {
    #[cfg(target_os = "linux")]
    if let Some(stat) = stat(pid) {
        return Some(!stat.starts_with(['Z', 'X']));
    }
    crate::sys::is_there(pid)
}

/// The memory in use by a process, by all it started, and by the rest of its process group (a child whose parent has ended is
/// nobody's descendant any more), in bytes resident. Pages that several of them share count several times.
///
/// Linux only: elsewhere the answer needs calls that are `unsafe`, or another program to be run.
#[cfg(target_os = "linux")]
pub fn memory_of_tree(pid: u32) -> Option<u64> {
    resident(pid)?;
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut waiting = vec![pid];
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Some(stat) = stat(id) else { continue };
        let mut fields = stat.split(' ').skip(1).map(|field| field.parse::<u32>().ok());
        let (Some(Some(parent)), Some(group)) = (fields.next(), fields.next()) else { continue };
        children.entry(parent).or_default().push(id);
        if group == Some(pid) {
            waiting.push(id);
        }
    }
    let mut seen = HashSet::new();
    let mut total = 0;
    while let Some(id) = waiting.pop() {
        if seen.insert(id) {
            // One that ended meanwhile has no memory.
            total += resident(id).unwrap_or(0);
            waiting.extend(children.get(&id).into_iter().flatten());
        }
    }
    Some(total)
}

/// The memory in use by a process and all it started: not known here.
#[cfg(not(target_os = "linux"))]
pub fn memory_of_tree(_pid: u32) -> Option<u64> {
    None
}

/// The memory in use by one process, in bytes resident. Linux only.
pub fn memory(pid: u32) -> Option<u64> {
    #[cfg(target_os = "linux")]
    return resident(pid);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pid;
        None
    }
}

#[cfg(target_os = "linux")]
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The process that started this one, and the name of its program where that can be learned (Linux).
pub fn parent() -> (Option<u32>, Option<String>) {
    #[cfg(unix)]
    {
        let pid = std::os::unix::process::parent_id();
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        (Some(pid), name.map(|name| name.trim_end().to_owned()).filter(|name| !name.is_empty()))
    }
    #[cfg(not(unix))]
    (None, None)
}
