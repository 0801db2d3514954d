//! Timing of short-lived programs.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// Runs a command to its end and takes the time. One that fails has not done what is being timed.
pub(crate) fn time(command: &mut Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let status = command.status().with_context(|| format!("start {}", command.get_program().display()))?;
    let took = begin.elapsed();
    if !status.success() {
        bail!("`{command:?}` ended with {status}");
    }
    Ok(took)
}

/// The middle of some times.
pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// A time in milliseconds, for people.
pub(crate) fn shown(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// A line that says whether a figure keeps its limit.
pub(crate) fn judged(what: &str, figure: f64, limit: f64, unit: &str) -> bool {
    let kept = figure <= limit;
    println!("{} {what}: {figure:.2} {unit}, limit {limit} {unit}", if kept { "ok  " } else { "OVER" });
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_run_does_not_move_the_median() {
        let times = [3, 900, 2, 4, 1].map(Duration::from_millis);
        assert_eq!(median(&times), Duration::from_millis(3));
    }
}
