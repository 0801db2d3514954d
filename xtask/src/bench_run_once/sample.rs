//! What the load program said, and how samples of several rounds become one figure.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use mcp_testkit::sandbox::{self, Sandbox};

/// One run of the load program: its figures by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(BTreeMap<String, f64>);

impl Sample {
    fn parse(text: &str) -> Result<Self> {
        let pairs = text.split_ascii_whitespace().map(|word| {
            let (name, figure) = word.split_once('=').with_context(|| format!("`{word}` is no figure"))?;
            Ok((name.to_owned(), figure.parse().with_context(|| format!("understand {word}"))?))
        });
        Ok(Self(pairs.collect::<Result<_>>()?))
    }

    /// A figure; not a number if there is none.
    pub(crate) fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(f64::NAN)
    }

    /// Adds a figure that the load program cannot know.
    pub(crate) fn set(&mut self, name: &str, figure: f64) {
        self.0.insert(name.to_owned(), figure);
    }

    /// Answers that were wrong, clients that failed, and clients that never got an answer.
    pub(crate) fn faults(&self) -> f64 {
        ["wrong", "failed", "silent"].iter().filter_map(|name| self.0.get(*name)).sum()
    }
}

/// The middle of some figures; not a number if there is none.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().filter(|figure| figure.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The middle of a figure over the rounds.
pub(crate) fn middle(rounds: &[Sample], name: &str) -> f64 {
    median(rounds.iter().map(|sample| sample.get(name)))
}

/// The middle of how many times one system's figure is another's, round by round: a slow moment of the machine meets both.
pub(crate) fn ratio(rounds: &[Sample], others: &[Sample], name: &str) -> f64 {
    median(rounds.iter().zip(others).map(|(one, other)| one.get(name) / other.get(name)))
}

/// The load program.
pub(crate) struct Load {
    pub(crate) program: PathBuf,
}

/// Longer than any single run may take.
const LIMIT: Duration = Duration::from_mins(3);

impl Load {
    /// Runs it in a sandbox, which is also where the processes it starts live.
    pub(crate) fn run(
        &self,
        sandbox: &Sandbox,
        arguments: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>,
    ) -> Result<Sample> {
        let mut command = sandbox.command(&self.program);
        command.args(arguments);
        finish(sandbox, &mut command)
    }

    /// The memory of some processes and their descendants.
    pub(crate) fn memory(&self, sandbox: &Sandbox, pids: &[u32]) -> Result<Sample> {
        self.run(sandbox, std::iter::once("memory".to_owned()).chain(pids.iter().map(ToString::to_string)))
    }
}

fn finish(sandbox: &Sandbox, command: &mut Command) -> Result<Sample> {
    command.stdin(Stdio::null());
    let outcome = sandbox::run(command, LIMIT, &sandbox.scratch()).context("start the load program")?;
    ensure!(!outcome.timed_out, "`load` was still running after {} s", LIMIT.as_secs());
    if !outcome.succeeded() {
        bail!("{}", outcome.stderr.trim().trim_start_matches("error: "));
    }
    Sample::parse(&outcome.stdout)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn ratio_is_taken_round_by_round() {
        let rounds = |figures: [f64; 3]| figures.map(|figure| Sample::parse(&format!("calls={figure} wrong=0")).unwrap());
        // The machine was slow in the second round, for both.
        let (one, other) = (rounds([10.0, 1.0, 12.0]), rounds([20.0, 2.0, 23.0]));
        assert!((ratio(&one, &other, "calls") - 0.5).abs() < 1e-9);
        assert!((middle(&one, "calls") - 10.0).abs() < 1e-9);
        assert!(middle(&one, "no such figure").is_nan());
        assert!(Sample::parse("what").is_err());
    }
}
