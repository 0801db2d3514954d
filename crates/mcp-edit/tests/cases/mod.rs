//! How many cases a property test generates, and from which seed.
//!
//! `MCP_EDIT_CASES` is the number. `MCP_EDIT_SEED` is a number too, or `random`; without it every run tries the same
//! cases, so that a change is only blamed for what it broke. A failure names the seed that shows it again.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

fn cases() -> u32 {
    std::env::var("MCP_EDIT_CASES").map_or(20_000, |n| n.parse().expect("MCP_EDIT_CASES is a number"))
}

fn seed() -> u64 {
    match std::env::var("MCP_EDIT_SEED").as_deref() {
        Err(_) => 0,
        Ok("random") => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            // Short enough to be typed again.
            now.map_or(0, |time| u64::from(time.subsec_nanos()))
        }
        Ok(number) => number.parse().expect("MCP_EDIT_SEED is a number or `random`"),
    }
}

/// Runs `test` on many values of `strategy`.
pub(crate) fn run<S: Strategy>(strategy: &S, test: impl Fn(S::Value) -> TestCaseResult) {
    let seed = seed();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    // Nothing is written next to the tests.
    let config = Config { cases: cases(), failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    if let Err(error) = runner.run(strategy, test) {
        panic!("with MCP_EDIT_SEED={seed}: {error}");
    }
}
