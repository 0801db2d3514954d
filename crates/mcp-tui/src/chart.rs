//! Small charts that answer one question: when was there traffic, and how long do calls take.

use std::time::Duration;

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    text,
    theme::{Role, Theme},
};

const BARS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// For terminals without Unicode: growing density.
const ASCII_BARS: [&str; 9] = [" ", ".", ".", ":", ":", "+", "+", "#", "#"];

/// What happened in one stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// How many calls.
    pub calls: u32,
    /// How many of them failed.
    pub errors: u32,
}

/// A row of bars, one cell per bucket, oldest left; where it is wider than the area the newest stay. A failed call puts a
/// `!` over its cell in the row above, or in the cell where there is one row only.
pub fn timeline(area: Rect, buckets: &[Bucket], selected: Option<usize>, buffer: &mut Buffer, theme: &Theme) {
    if area.height == 0 {
        return;
    }
    let bars = if theme.has_unicode { BARS } else { ASCII_BARS };
    let first = buckets.len().saturating_sub(area.width.into());
    let most = buckets[first..].iter().map(|b| b.calls).max().unwrap_or(0).max(1);
    let y = area.bottom() - 1;
    for (x, (at, bucket)) in (area.x..).zip(buckets.iter().enumerate().skip(first)) {
        let mut role = Role::Ok;
        let mut sign = bars[level(bucket.calls, most)];
        if bucket.errors > 0 {
            role = Role::Error;
            if area.height > 1 {
                text::put(buffer, (x, y - 1), 1, "!", theme.style(Role::Error));
            } else {
                sign = "!";
            }
        }
        let style = if selected == Some(at) { theme.style(Role::Selected) } else { theme.style(role) };
        text::put(buffer, (x, y), 1, sign, style);
    }
}

/// One call is seen however many the highest bar has.
fn level(calls: u32, most: u32) -> usize {
    if calls == 0 { 0 } else { 1 + usize::try_from(u64::from(calls - 1) * 7 / u64::from(most.max(2) - 1)).unwrap_or(7).min(7) }
}

/// Durations, counted on a scale that halves from step to step: 20 steps from a microsecond on, 4 parts each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: Duration,
}

/// Parts of each doubling: a percentile is off by at most a fifth.
const PARTS: u32 = 4;

impl Histogram {
    /// Counts one duration.
    pub fn add(&mut self, duration: Duration) {
        let at = slot(duration);
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += 1;
        self.total += 1;
        self.longest = self.longest.max(duration);
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The duration that so many of a hundred do not exceed; the upper end of its step.
    pub fn percentile(&self, percent: f64) -> Option<Duration> {
        if self.total == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count"
        )]
        let wanted = ((self.total as f64 * percent / 100.0).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Some(upper(at).min(self.longest));
            }
        }
        Some(self.longest)
    }

    /// One row per doubling that holds something, and the percentiles below.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        if area.height == 0 {
            return;
        }
        let per = PARTS as usize;
        let rows: Vec<(usize, u64)> =
            self.counts.chunks(per).enumerate().map(|(at, counts)| (at, counts.iter().sum())).filter(|(_, n)| *n > 0).collect();
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            text::put(buffer, (area.x, area.y), area.width, "no call is done yet", theme.style(Role::Dim));
            return;
        };
        let most = rows.iter().map(|(_, n)| *n).max().unwrap_or(1);
        let room = usize::from(area.height - 1).max(1);
        // The longest are what one looks for: with too few rows, the shortest are left out.
        let begin = first.0.max((last.0 + 1).saturating_sub(room));
        let bar = if theme.has_unicode { "█" } else { "#" };
        for (y, step) in (area.y..).zip(begin..=last.0) {
            if y + 1 >= area.bottom() && area.height > 1 {
                break;
            }
            let count = rows.iter().find(|(at, _)| *at == step).map_or(0, |(_, n)| *n);
            let label = format!("{:>8} ", shown(upper(step * per + per - 1)));
            let x = text::put(buffer, (area.x, y), area.width, &label, theme.style(Role::Dim));
            let number = format!(" {count}");
            let wide = u64::from(area.right().saturating_sub(x)).saturating_sub(number.len() as u64);
            let long = usize::try_from(if count == 0 { 0 } else { (count * wide / most).max(1).min(wide) }).unwrap_or(0);
            let x = text::put(buffer, (x, y), area.right().saturating_sub(x), &bar.repeat(long), theme.style(Role::Number));
            text::put(buffer, (x, y), area.right().saturating_sub(x), &number, theme.style(Role::Text));
        }
        let words: Vec<String> = [50.0, 95.0, 99.0]
            .iter()
            .filter_map(|p| self.percentile(*p).map(|d| format!("p{p} {}", shown(d))))
            .chain([format!("longest {}", shown(self.longest)), format!("{} calls", self.total)])
            .collect();
        text::put(buffer, (area.x, area.bottom() - 1), area.width, &words.join("  "), theme.style(Role::Title));
    }
}

/// The steps: 0 up to a microsecond, then [`PARTS`] per doubling.
fn slot(duration: Duration) -> usize {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    if micros == 0 {
        return 0;
    }
    let power = micros.ilog2();
    let part = (u128::from(micros - (1 << power)) * u128::from(PARTS)) >> power;
    1 + (power * PARTS) as usize + usize::try_from(part).unwrap_or(0)
}

/// The end of a step.
fn upper(slot: usize) -> Duration {
    let Some(at) = slot.checked_sub(1) else { return Duration::from_micros(1) };
    let (power, part) = (at / PARTS as usize, at % PARTS as usize);
    let base = 1_u128 << power.min(63);
    let end = base + base * (part as u128 + 1) / u128::from(PARTS);
    Duration::from_micros(u64::try_from(end).unwrap_or(u64::MAX))
}

fn shown(duration: Duration) -> String {
    mcp_capture::text::duration(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{letters, shot, shots};

    #[test]
    fn looks_right_at_every_size_with_and_without_colour() {
        let buckets: Vec<Bucket> = (0..100).map(|n| Bucket { calls: n * n % 17, errors: u32::from(n % 23 == 1) }).collect();
        let mut histogram = Histogram::default();
        for n in 0..2_000_u64 {
            histogram.add(Duration::from_micros(300 + n * n * 3 % 900_000));
        }
        shots("chart", |area, buffer, theme| {
            timeline(Rect { height: 2.min(area.height), ..area }, &buckets, Some(90), buffer, theme);
            if area.height > 3 {
                histogram.draw(Rect { y: 3, height: area.height - 3, ..area }, buffer, theme);
            }
        });
    }

    #[test]
    fn percentiles_are_off_by_a_fourth_at_most() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50.0), None);
        for n in 1..=1_000 {
            histogram.add(Duration::from_millis(n));
        }
        for (percent, exact) in [(50.0, 500), (95.0, 950), (99.0, 990), (100.0, 1_000)] {
            let found = histogram.percentile(percent).unwrap().as_millis();
            assert!(found >= exact && found * 4 <= exact * 5, "p{percent}: {found}");
        }
        histogram.add(Duration::MAX);
        histogram.add(Duration::ZERO);
        assert_eq!(histogram.percentile(0.0), Some(Duration::from_micros(1)));
        shot(80, 10, Theme::default(), |area, buffer, theme| histogram.draw(area, buffer, theme));
    }

    #[test]
    fn one_call_is_seen_beside_a_thousand_and_an_error_without_colour() {
        let buckets = [Bucket { calls: 1, errors: 0 }, Bucket { calls: 1_000, errors: 1 }, Bucket::default()];
        let plain = Theme { has_colour: false, ..Theme::default() };
        assert_eq!(letters(&shot(3, 1, plain, |a, b, t| timeline(a, &buckets, None, b, t))), "▁!\n");
        assert_eq!(letters(&shot(2, 2, plain, |a, b, t| timeline(a, &buckets, None, b, t))), "!\n█\n");
        assert_eq!(level(1, 1), 1);
        assert_eq!(level(u32::MAX, u32::MAX), 8);
    }

    #[test]
    fn durations_have_units() {
        let all = [870_u64, 41_300, 1_920_000, 30_000_000, 185_000_000].map(|us| shown(Duration::from_micros(us)));
        assert_eq!(all, ["870µs", "41ms", "1.92s", "30.00s", "3m 05s"]);
    }
}
