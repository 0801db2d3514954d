//! Reading decimals and writing them: text in, exact value out, and back.
//!
//! Every bound is checked on the text or on the digit count, before a number of that size exists. A request therefore
//! cannot buy more work than the limits below allow.

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use super::error::{Argument, CalculatorError};

/// Most digits an argument may have when written without an exponent.
pub const MAX_ARGUMENT_DIGITS: u64 = 1_000;

/// Most digits a result may have when written without an exponent.
pub const MAX_RESULT_DIGITS: u64 = 10_000;

/// Longest text looked at. Above `MAX_ARGUMENT_DIGITS`, because zeros in front, zeros behind and an exponent may add to
/// a number that is within the limit.
const MAX_ARGUMENT_TEXT: usize = 4_000;

/// The parts of a decimal literal, before any number is made of it.
struct Literal {
    negative: bool,
    /// Significant digits: no zero in front, none behind; empty for zero.
    digits: String,
    /// The value is `digits` times ten to this power.
    exponent: i64,
}

/// Reads one argument. `text` is a JSON number as it was sent, or the content of a JSON string.
pub(super) fn parse(argument: Argument, text: &str) -> Result<BigDecimal, CalculatorError> {
    let text = text.trim();
    if text.len() > MAX_ARGUMENT_TEXT {
        return Err(CalculatorError::ArgumentTooLong { argument });
    }
    let literal = scan(text).ok_or_else(|| {
        if names_no_finite_number(text) {
            CalculatorError::NotFinite { argument, text: excerpt(text) }
        } else {
            CalculatorError::NotDecimal { argument, text: excerpt(text) }
        }
    })?;
    if plain_digits(literal.digits.len() as u64, literal.exponent.saturating_neg()) > MAX_ARGUMENT_DIGITS {
        return Err(CalculatorError::ArgumentTooLong { argument });
    }
    if literal.digits.is_empty() {
        return Ok(BigDecimal::from(0));
    }
    let magnitude: BigInt = literal.digits.parse().expect("the scanner let only ASCII digits through");
    let signed = if literal.negative { -magnitude } else { magnitude };
    Ok(BigDecimal::new(signed, -literal.exponent))
}

/// `[+-] digits [. digits] [e [+-] digits]`, where one side of the point may be empty.
fn scan(text: &str) -> Option<Literal> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, scan_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let joined = format!("{whole}{fraction}");
    let without_front = joined.trim_start_matches('0');
    let digits = without_front.trim_end_matches('0');
    let zeros_behind = i64::try_from(without_front.len() - digits.len()).ok()?;
    let fraction_length = i64::try_from(fraction.len()).ok()?;
    let exponent = if digits.is_empty() { 0 } else { exponent.saturating_sub(fraction_length).saturating_add(zeros_behind) };
    Some(Literal { negative, digits: digits.to_owned(), exponent })
}

/// An exponent far above every limit, and far below where sums with text lengths could overflow.
const SATURATED: i64 = 1 << 40;

/// An exponent that does not fit is still an exponent: it saturates, and the digit limit refuses it by name.
fn scan_exponent(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse::<i64>().unwrap_or(SATURATED).min(SATURATED);
    Some(if negative { -size } else { size })
}

fn names_no_finite_number(text: &str) -> bool {
    let word = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    matches!(word.as_str(), "nan" | "inf" | "infinity" | "∞")
}

/// Enough of what was sent to recognise it in a message.
fn excerpt(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// How many digits `significant` digits with `scale` of them behind the point take when written without an exponent.
/// The lone zero in front of a fraction does not count.
pub(super) fn plain_digits(significant: u64, scale: i64) -> u64 {
    if significant == 0 {
        return 1;
    }
    match u64::try_from(scale) {
        Ok(behind_point) => significant.max(behind_point),
        Err(_) => significant.saturating_add(scale.unsigned_abs()),
    }
}

/// The shortest plain text of a value: no exponent, no zeros behind the last digit of a fraction, no negative zero.
pub(super) fn plain_text(value: &BigDecimal) -> String {
    value.normalized().to_plain_string()
}

/// The value as a JSON number, when sending that number back would mean the same decimal.
pub(super) fn json_number(text: &str) -> Option<serde_json::Number> {
    const SAFE: i64 = 1 << 53;
    if let Ok(whole) = text.parse::<i64>()
        && (-SAFE..=SAFE).contains(&whole)
    {
        return Some(whole.into());
    }
    let nearest: f64 = text.parse().ok()?;
    let number = serde_json::Number::from_f64(nearest)?;
    let read_back = parse(Argument::A, &number.to_string()).ok()?;
    (plain_text(&read_back) == text).then_some(number)
}
