//! Times of day as text (UTC).

pub use mcp_os::clock::rfc3339;

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
    let narrow = |number: u64| i8::try_from(number).ok();
    let date = jiff::civil::Date::new(i16::try_from(year).ok()?, narrow(month)?, narrow(day)?).ok()?;
    let moment = date.at(narrow(hour)?, narrow(minute)?, narrow(second)?, 0).to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?;
    u64::try_from(moment.timestamp().as_millisecond()).ok().map(|ms| ms + millis)
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
