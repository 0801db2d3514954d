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

/// A moment in milliseconds since 1970 as `2026-11-24T06:07:08.009Z` (RFC 3339, UTC). Moments beyond the year 9999 read as its end.
pub fn rfc3339(ms: u64) -> String {
    let moment = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    moment.unwrap_or(jiff::Timestamp::MAX).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (4_107_542_400_001, "2100-03-01T00:00:00.001Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
        }
        assert!(rfc3339(u64::MAX).starts_with("9999-12-"));
    }
}
