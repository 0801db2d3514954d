//! A server's log: bounded, and never in the way of the traffic.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mcp_os::{clock, private};

/// The longest a log gets before it is put aside, where it replaces the one put aside before.
pub const LONGEST: u64 = 5 << 20;
/// How long a log that could not be written is left alone.
const PAUSE: Duration = Duration::from_secs(5);
/// What is kept of one line.
const LONGEST_LINE: usize = 8 * 1024;

/// A log of lines with their time.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    failed: Option<(Instant, String)>,
    lost: u64,
}

impl Log {
    /// A log at this path. Nothing is made before the first line.
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None, size: 0, failed: None, lost: 0 }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why it is not written, and how many lines that cost.
    pub fn problem(&self) -> Option<String> {
        let (_, text) = self.failed.as_ref()?;
        let lines = if self.lost == 1 { "line" } else { "lines" };
        Some(format!("write {}: {text} ({} {lines} lost)", self.path.display(), self.lost))
    }

    /// Adds a line. What cannot be written is counted.
    pub fn line(&mut self, origin: &str, text: &str) {
        if self.failed.as_ref().is_some_and(|(when, _)| when.elapsed() < PAUSE) {
            self.lost += 1;
            return;
        }
        let cut = text.floor_char_boundary(LONGEST_LINE);
        let rest = if cut < text.len() { " …" } else { "" };
        let line =
            format!("{} {origin}: {}{rest}\n", clock::rfc3339(clock::now_ms()), text[..cut].trim_end().replace('\n', "\n    "));
        match self.write(line.as_bytes()) {
            Ok(()) => {
                if self.failed.take().is_some() {
                    let note = format!(
                        "{} mcp: {} lines before this one could not be written\n",
                        clock::rfc3339(clock::now_ms()),
                        self.lost
                    );
                    self.lost = 0;
                    let _ = self.write(note.as_bytes());
                }
            }
            Err(e) => {
                self.file = None;
                self.lost += 1;
                self.failed = Some((Instant::now(), e.to_string()));
            }
        }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.size > LONGEST {
            self.file = None;
            std::fs::rename(&self.path, aside(&self.path))?;
        }
        let file = if let Some(file) = &mut self.file {
            file
        } else {
            if let Some(dir) = self.path.parent().filter(|d| !d.is_dir()) {
                std::fs::create_dir_all(dir)?;
            }
            let file = private::append(&self.path)?;
            self.size = file.metadata()?.len();
            self.file.insert(file)
        };
        // A line that fits partly on a full disk is given up: the next one begins behind it.
        file.write_all(line)?;
        self.size += line.len() as u64;
        Ok(())
    }
}

/// The log that was put aside.
pub fn aside(path: &Path) -> PathBuf {
    let mut old = path.as_os_str().to_owned();
    old.push(".1");
    old.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_log_is_bounded_and_one_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::new(dir.path().join("logs/x.log"));
        let text = "x".repeat(LONGEST_LINE * 2);
        for _ in 0..2500 {
            log.line("stderr", &text);
        }
        let size = |p: &Path| std::fs::metadata(p).unwrap().len();
        let limit = LONGEST + LONGEST_LINE as u64 + 100;
        assert!(size(log.path()) <= limit && size(&aside(log.path())) <= limit);
        assert_eq!(log.problem(), None);
    }

    #[test]
    fn a_log_that_cannot_be_written_says_so_and_counts() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("logs"), "no directory").unwrap();
        let mut log = Log::new(dir.path().join("logs/x.log"));
        log.line("stderr", "a");
        log.line("stderr", "b");
        let problem = log.problem().unwrap();
        assert!(problem.contains("logs/x.log: ") && problem.ends_with("(2 lines lost)"), "{problem}");
    }
}
