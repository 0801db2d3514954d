//! Times of day as text (UTC).

/// The date of a moment in milliseconds since 1970: year, month, day, and the milliseconds of that day.
fn parts(ms: u64) -> (u64, u64, u64, u64) {
    let (days, rest) = (ms / 86_400_000, ms % 86_400_000);
    // Years that begin in March put the day of a leap year last, and every month before it has its place by a formula.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day = shifted % 146_097;
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, date, rest)
}

/// `2026-11-24T10:33:16.250Z`.
pub fn rfc3339(ms: u64) -> String {
    let (year, month, day, rest) = parts(ms);
    let seconds = rest / 1000;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        rest % 1000
    )
}

/// `2026-11-24 10:33:16`.
pub fn minute(ms: u64) -> String {
    rfc3339(ms)[..19].replace('T', " ")
}

/// `10:33:16.250`.
pub fn clock(ms: u64) -> String {
    rfc3339(ms)[11..23].to_owned()
}

/// Milliseconds since 1970 of `2026-11-24`, `2026-11-24T10:33`, with seconds, a fraction and `Z` as one likes.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let mut numbers = date.split('-').map(str::parse::<u64>);
    let (year, month, day) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut numbers = clock.split(':').map(str::parse::<u64>);
    let (hour, minute) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let second = numbers.next().unwrap_or(Ok(0)).ok()?;
    if !(1970..=9999).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let millis = if fraction.is_empty() { 0 } else { format!("{fraction:0<3}").get(..3)?.parse::<u64>().ok()? };
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted / 400, shifted % 400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((days * 86_400 + hour * 3600 + minute * 60 + second) * 1000 + millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_spelt_and_read_back() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_827_696_789), "2000-02-29T12:34:56.789Z");
        assert_eq!((minute(1_795_516_396_250), clock(1_795_516_396_250)), ("2026-11-24 10:33:16".into(), "10:33:16.250".into()));
        for ms in [0, 951_827_696_789, 1_795_516_396_250, 4_102_444_799_999] {
            assert_eq!(parse(&rfc3339(ms)), Some(ms));
        }
        assert_eq!(parse("2026-11-24"), Some(1_795_478_400_000));
        assert_eq!(parse("2026-11-24T10:33"), Some(1_795_516_380_000));
        for text in ["", "soon", "2026-13-01", "2026-11-24T25:00", "10:33"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
