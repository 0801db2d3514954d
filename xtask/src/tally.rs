//! Reads along with `cargo test` and keeps count.

use std::fmt::Write as _;

/// What the test programs said so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    groups: Vec<Group>,
}

/// One test program, or the doctests of one crate.
#[derive(Debug)]
struct Group {
    name: String,
    passed: usize,
    failed: Vec<String>,
    /// Name and reason.
    skipped: Vec<(String, String)>,
    /// Counts of the closing line, which a program that died does not print.
    closing: Option<[usize; 3]>,
}

impl Tally {
    /// Takes one line of cargo's output.
    pub(crate) fn read(&mut self, line: &str) {
        let line = line.trim_end();
        let trimmed = line.trim_start();
        if let Some(rest) = trimmed.strip_prefix("Running ").filter(|rest| rest.ends_with(')') && line.starts_with(' ')) {
            self.begin(program_name(rest));
        } else if let Some(name) = trimmed.strip_prefix("Doc-tests ") {
            self.begin(format!("{name} doctests"));
        } else if let Some(group) = self.groups.last_mut() {
            group.read(line);
        }
    }

    fn begin(&mut self, name: String) {
        self.groups.push(Group { name, passed: 0, failed: Vec::new(), skipped: Vec::new(), closing: None });
    }

    /// Passed, failed, skipped.
    pub(crate) fn totals(&self) -> [usize; 3] {
        self.groups.iter().map(Group::totals).fold([0; 3], |sum, one| [sum[0] + one[0], sum[1] + one[1], sum[2] + one[2]])
    }

    /// What was run, what was skipped and why, what failed.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::from("Run\n");
        let width = self.groups.iter().map(|group| group.name.len()).max().unwrap_or_default();
        for group in &self.groups {
            let [passed, failed, skipped] = group.totals();
            if passed + failed + skipped == 0 {
                continue;
            }
            let _ = write!(text, "  {:width$}  {passed} passed", group.name);
            for (count, word) in [(failed, "failed"), (skipped, "skipped")] {
                if count > 0 {
                    let _ = write!(text, ", {count} {word}");
                }
            }
            if group.closing.is_none() {
                text.push_str(", and it ended early");
            }
            text.push('\n');
        }
        self.list(&mut text, "Skipped", |group| &group.skipped, |(name, reason)| format!("{name}: {reason}"));
        self.list(&mut text, "Failed", |group| &group.failed, Clone::clone);
        text
    }

    fn list<T>(&self, text: &mut String, title: &str, of: impl Fn(&Group) -> &Vec<T>, show: impl Fn(&T) -> String) {
        if self.groups.iter().all(|group| of(group).is_empty()) {
            return;
        }
        let _ = writeln!(text, "{title}");
        for group in &self.groups {
            for item in of(group) {
                let _ = writeln!(text, "  {} {}", group.name, show(item));
            }
        }
    }
}

impl Group {
    fn read(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("test result: ") {
            let count = |word: &str| {
                rest.split(['.', ';']).find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok()).unwrap_or_default()
            };
            self.closing = Some([count(" passed"), count(" failed"), count(" ignored")]);
        } else if let Some((name, outcome)) = line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... ")) {
            let name = name.trim().to_owned();
            if outcome == "ok" {
                self.passed += 1;
            } else if outcome.starts_with("FAILED") {
                self.failed.push(name);
            } else if let Some(reason) = outcome.strip_prefix("ignored") {
                // The standard harness writes `ignored, reason`, the other one `ignored (reason)`.
                let reason = reason.trim_start_matches([',', ' ']);
                let reason = reason.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(reason);
                let reason = if reason.is_empty() { "no reason given" } else { reason };
                self.skipped.push((name, reason.to_owned()));
            }
        }
    }

    fn totals(&self) -> [usize; 3] {
        // A program that died has lost the test it was at.
        self.closing.unwrap_or([self.passed, self.failed.len() + usize::from(self.passed > 0), self.skipped.len()])
    }
}

/// `unittests src/lib.rs (target/debug/deps/mcp_edit-0123)` → `mcp_edit src/lib.rs`; `tests/cli.rs (…)` → `tests/cli.rs`.
fn program_name(rest: &str) -> String {
    let (what, program) = rest.rsplit_once(" (").unwrap_or((rest, ""));
    match what.strip_prefix("unittests ") {
        None => what.to_owned(),
        Some(source) => {
            let file = program.trim_end_matches(')').rsplit(['/', '\\']).next().unwrap_or_default();
            let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
            format!("{name} {source}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
   Compiling mcp-edit v0.1.0
     Running unittests src/lib.rs (target/debug/deps/mcp_edit-93f1)

running 3 tests
test json::keeps ... ok
test json::slow ... ignored, takes an hour
test json::breaks ... FAILED

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

     Running tests/real_clients.rs (target/debug/deps/real_clients-1)

running 2 tests
test codex::calculator      ... ok
test goose::calculator      ... ignored (goose could not be installed: `npm` ended with 1)

test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 9.00s

   Doc-tests mcp_edit

running 1 test
test crates/mcp-edit/src/lib.rs - (line 5) ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
";

    fn tally(said: &str) -> Tally {
        let mut tally = Tally::default();
        said.lines().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn all_harnesses_are_counted() {
        let tally = tally(SAID);
        assert_eq!(tally.totals(), [3, 1, 2]);
        let summary = tally.summary();
        for line in [
            "  mcp_edit src/lib.rs    1 passed, 1 failed, 1 skipped",
            "  mcp_edit doctests      1 passed",
            "  mcp_edit src/lib.rs json::slow: takes an hour",
            "  tests/real_clients.rs goose::calculator: goose could not be installed: `npm` ended with 1",
            "  mcp_edit src/lib.rs json::breaks",
        ] {
            assert!(summary.contains(&format!("{line}\n")), "{line:?} is not in\n{summary}");
        }
    }

    #[test]
    fn program_that_died_counts_as_a_failure() {
        let tally = tally("     Running tests/a.rs (target/debug/deps/a-1)\ntest one ... ok\nerror: test failed\n");
        assert_eq!(tally.totals(), [1, 1, 0]);
        assert!(tally.summary().contains("ended early"));
    }
}
