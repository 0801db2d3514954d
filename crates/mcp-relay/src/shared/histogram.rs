//! How long calls took, in little memory: four buckets for each power of two, so a quantile is off by a quarter at most.

use std::time::Duration;

const BUCKETS: usize = 160;

/// Counts by size.
#[derive(Clone)]
pub(super) struct Histogram {
    counts: [u64; BUCKETS],
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], total: 0 }
    }
}

fn bucket(micros: u64) -> usize {
    if micros < 4 {
        return usize::try_from(micros).unwrap_or(0);
    }
    let power = micros.ilog2();
    let quarter = (micros >> (power - 2)) & 3;
    let place = (power as usize - 1) * 4 + usize::try_from(quarter).unwrap_or(0);
    place.min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn upper(place: usize) -> u64 {
    if place < 4 {
        return place as u64;
    }
    let (power, quarter) = (place / 4 + 1, (place % 4) as u64);
    ((5 + quarter) << (power - 2)) - 1
}

impl Histogram {
    pub(super) fn add(&mut self, took: Duration) {
        self.counts[bucket(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))] += 1;
        self.total += 1;
    }

    /// So many microseconds or less took this share (in percent) of all.
    pub(super) fn quantile(&self, percent: u64) -> Option<u64> {
        let wanted = (self.total * percent).div_ceil(100).max(1);
        let mut sum = 0;
        let reached = |count: &u64| {
            sum += count;
            sum >= wanted
        };
        self.counts.iter().position(reached).map(upper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_off_by_a_quarter_at_most() {
        for micros in (0..5000).chain([10_000, 123_456, 9_999_999, 1 << 36]) {
            let top = upper(bucket(micros));
            assert!(top >= micros && top <= micros + micros / 4, "{micros} {top}");
        }
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(50), None);
        (1..=100).for_each(|ms| histogram.add(Duration::from_millis(ms)));
        let p50 = histogram.quantile(50).unwrap_or(0);
        assert!((50_000..=62_500).contains(&p50), "{p50}");
    }
}
