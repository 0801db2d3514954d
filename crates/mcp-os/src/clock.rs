//! The time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, UTC. A clock set before 1970 reads as 0.
///
/// With the `testing` feature, `MCP_TEST_NOW` (the same unit) stops the clock, so that output can be compared.
pub fn now_ms() -> u64 {
    #[cfg(feature = "testing")]
    if let Some(fixed) = std::env::var("MCP_TEST_NOW").ok().and_then(|v| v.parse().ok()) {
        return fixed;
    }
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
