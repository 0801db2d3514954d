//! Giving memory back that only a start or a burst needed.
//!
//! Two kinds are given back. What was freed: the allocator of glibc keeps it for later, and a program that idles may never need
//! it again. And pages of the program's own files: most of what a start runs through is never run again, but stays mapped, and
//! counts as resident, until the machine is short of memory. Such pages are in the system's cache of files, which is shared by all
//! processes, before and after: unmapping them frees nothing that the machine could not have taken by itself, but it makes
//! the figure say what the process needs. A page that is needed after all comes back with a minor fault, without the disk as long
//! as the cache has it. So this is for moments without traffic.
//!
//! Elsewhere than on Linux nothing is done.

use std::time::Duration;

/// Gives back what is freed, and unmaps clean pages of the program's own files. Takes a fraction of a millisecond, and the
/// next steps of every thread take some microseconds more.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    linux::trim();
    #[cfg(target_os = "linux")]
    linux::unmap_clean();
}

/// Keeps what threads allocate in one place, and gives large blocks back when they are freed. Call it before threads are
/// started, in a process whose threads allocate little: each would get an arena of its own, which is never given back whole.
pub fn keep_together() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    linux::keep_together();
}

/// Gives memory back whenever a process has become quiet. It is asked to look from time to time and needs nothing of those who
/// work: the time the processors spent on the process tells.
#[derive(Debug, Default)]
pub struct Tide {
    /// What was spent by the last look.
    seen: Option<Duration>,
    /// What was spent when memory was last given back.
    returned: Duration,
}

/// Less than this between two looks is quiet.
const QUIET: Duration = Duration::from_millis(10);
/// Looking and giving back take some of it.
const LITTLE: Duration = Duration::from_millis(3);

impl Tide {
    /// Gives back if little happened since the last look, and something since memory was given back. The first look always does:
    /// what only the start needed is the most.
    pub fn look(&mut self) {
        let Some(spent) = spent() else { return };
        if self.is_time(spent) {
            give_back();
            self.returned = spent;
        }
    }

    fn is_time(&mut self, spent: Duration) -> bool {
        match self.seen.replace(spent) {
            None => true,
            Some(seen) => spent.saturating_sub(seen) < QUIET && spent.saturating_sub(self.returned) > LITTLE,
        }
    }
}

/// The processor time this process has taken.
#[cfg(target_os = "linux")]
fn spent() -> Option<Duration> {
    use nix::sys::time::TimeValLike as _;
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).ok()?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    u64::try_from(micros).ok().map(Duration::from_micros)
}

/// Nothing is given back here, so that nobody need know.
#[cfg(not(target_os = "linux"))]
fn spent() -> Option<Duration> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ops::Range;

    #[cfg(target_env = "gnu")]
    mod glibc {
        use std::ffi::c_int;

        #[expect(unsafe_code, reason = "no safe wrapper of these is among our dependencies")]
        // SAFETY: the signatures are those of malloc.h. Both lock what they change, take plain numbers, and fail by saying so.
        unsafe extern "C" {
            pub(super) safe fn malloc_trim(pad: usize) -> c_int;
            pub(super) safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
        }

        pub(super) const M_TRIM_THRESHOLD: c_int = -1;
        pub(super) const M_MMAP_THRESHOLD: c_int = -3;
        pub(super) const M_ARENA_MAX: c_int = -8;
    }

    #[cfg(target_env = "gnu")]
    pub(super) fn trim() {
        glibc::malloc_trim(0);
    }

    #[cfg(target_env = "gnu")]
    pub(super) fn keep_together() {
        glibc::mallopt(glibc::M_ARENA_MAX, 1);
        // Setting it keeps glibc from raising it with the first large block that is freed.
        glibc::mallopt(glibc::M_MMAP_THRESHOLD, 256 * 1024);
        glibc::mallopt(glibc::M_TRIM_THRESHOLD, 512 * 1024);
    }

    pub(super) fn unmap_clean() {
        let Ok(text) = std::fs::read_to_string("/proc/self/smaps") else { return };
        for range in clean_mappings(&text) {
            unmap(range);
        }
    }

    /// Private mappings of files that cannot be written to and of which no page was ever copied.
    pub(super) fn clean_mappings(smaps: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut candidate = None;
        for line in smaps.lines() {
            if let Some((range, is_clean_kind)) = mapping(line) {
                candidate = is_clean_kind.then_some(range);
            } else if let Some(rest) = line.strip_prefix("Anonymous:")
                && let Some(range) = candidate.take()
                // What was relocated at the start and is closed to writing since is no longer what the file has.
                && rest.trim() == "0 kB"
            {
                found.push(range);
            }
        }
        found
    }

    /// The range of the mapping that this line begins, and whether it is of a file that is read or run only.
    fn mapping(line: &str) -> Option<(Range<usize>, bool)> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
        let (mode, _, _, _, path) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next());
        Some((start..end, matches!(mode, "r-xp" | "r--p") && path.is_some_and(|path| path.starts_with('/'))))
    }

    #[expect(unsafe_code, reason = "advice about memory is given by address")]
    fn unmap(range: Range<usize>) {
        let start = std::ptr::with_exposed_provenance_mut(range.start);
        // SAFETY: the range is a private mapping of a file, closed to writing, and no page of it differs from the file, so that a
        // page that is dropped reads as before when it is read again. Nobody opens code or constants to writing after the
        // loader has. Were the mapping gone meanwhile, the call would say so, or find another file that was mapped in
        // its place, of which the same holds while it is being mapped.
        let _ = unsafe { rustix::mm::madvise(start, range.len(), rustix::mm::Advice::LinuxDontNeed) };
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn only_clean_read_only_mappings_of_files_are_unmapped() {
        let smaps = "\
00200000-0062f000 r--p 00000000 fe:00 11 /usr/bin/mcp
Size:               4284 kB
Anonymous:             0 kB
0062f000-00f00000 r-xp 0042f000 fe:00 11 /usr/bin/mcp
Anonymous:             0 kB
00f00000-00f80000 r--p 00d00000 fe:00 11 /usr/bin/mcp
Anonymous:            12 kB
00f80000-00f90000 rw-p 00d80000 fe:00 11 /usr/bin/mcp
Anonymous:             0 kB
377d7000-377f8000 rw-p 00000000 00:00 0 [heap]
Anonymous:             0 kB
7f0000000000-7f0000001000 r--s 00000000 fe:00 12 /usr/lib/locale
Anonymous:             0 kB
7f0000002000-7f0000003000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
7f0000004000-7f0000005000 r--p 00000000 00:00 0
Anonymous:             0 kB
";
        assert_eq!(super::linux::clean_mappings(smaps), [0x20_0000..0x62_f000, 0x62_f000..0xf0_0000]);
    }

    #[test]
    fn memory_is_given_back_once_when_work_is_over() {
        let mut tide = super::Tide::default();
        // The start; work; the end of it; nothing for a while; a little.
        let spent = [20, 500, 505, 506, 506, 515, 516];
        let times: Vec<bool> = spent
            .map(|millis| {
                let spent = std::time::Duration::from_millis(millis);
                let is_time = tide.is_time(spent);
                if is_time {
                    tide.returned = spent;
                }
                is_time
            })
            .into();
        assert_eq!(times, [true, false, true, false, false, true, false]);
    }

    #[test]
    fn everything_still_works_when_memory_was_given_back() {
        super::keep_together();
        let text: Vec<String> = (0..1000).map(|n| format!("line {n}")).collect();
        super::give_back();
        let thread = std::thread::spawn(move || text.concat().len());
        super::give_back();
        assert_eq!(thread.join().unwrap_or_default(), 7890);
    }
}
