//! The five operations on exact decimals.
//!
//! Sums, differences, products and whole powers of decimals are decimals, so they are exact. A quotient is a decimal
//! only when its denominator has no prime factors besides 2 and 5; any other is rounded, and says so.

use std::cmp::Ordering;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::{BigInt, BigUint, Sign};
use bigdecimal::num_traits::{One, Pow, ToPrimitive, Zero};

use super::decimal::{MAX_RESULT_DIGITS, plain_digits, plain_text};
use super::error::CalculatorError;

/// Significant digits of a quotient that has to be rounded.
pub const ROUNDED_DIGITS: u32 = 50;

/// What a calculation gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The result.
    pub value: BigDecimal,
    /// Whether `value` is the mathematical result, not one rounded to [`ROUNDED_DIGITS`].
    pub exact: bool,
}

/// One of the five tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `a + b`
    Add,
    /// `a - b`
    Subtract,
    /// `a * b`
    Multiply,
    /// `a / b`
    Divide,
    /// `a` to the power `b`
    Power,
}

impl Operation {
    /// Carries it out.
    pub fn apply(self, a: &BigDecimal, b: &BigDecimal) -> Result<Outcome, CalculatorError> {
        match self {
            Self::Add => exact(&(a + b)),
            Self::Subtract => exact(&(a - b)),
            Self::Multiply => exact(&(a * b)),
            Self::Divide => divide(a, b),
            Self::Power => power(a, b),
        }
    }
}

fn exact(value: &BigDecimal) -> Result<Outcome, CalculatorError> {
    within_limit(value, true)
}

fn within_limit(value: &BigDecimal, exact: bool) -> Result<Outcome, CalculatorError> {
    let value = value.normalized();
    if plain_digits(value.digits(), value.fractional_digit_count()) > MAX_RESULT_DIGITS {
        return Err(CalculatorError::ResultTooLong);
    }
    Ok(Outcome { value, exact })
}

fn divide(a: &BigDecimal, b: &BigDecimal) -> Result<Outcome, CalculatorError> {
    if b.is_zero() {
        return Err(CalculatorError::DivisionByZero);
    }
    let (numerator, numerator_scale) = a.normalized().into_bigint_and_exponent();
    let (denominator, denominator_scale) = b.normalized().into_bigint_and_exponent();
    if numerator.is_zero() {
        return exact(&BigDecimal::zero());
    }
    let sign = if numerator.sign() == denominator.sign() { Sign::Plus } else { Sign::Minus };
    let shift = numerator_scale - denominator_scale;
    let fraction = Fraction::reduced(numerator.magnitude(), denominator.magnitude());
    if let Some((digits, scale)) = fraction.terminating() {
        let value = BigDecimal::new(BigInt::from_biguint(sign, digits), scale + shift).normalized();
        if plain_digits(value.digits(), value.fractional_digit_count()) <= MAX_RESULT_DIGITS {
            return Ok(Outcome { value, exact: true });
        }
    }
    let (digits, scale) = fraction.rounded();
    within_limit(&BigDecimal::new(BigInt::from_biguint(sign, digits), scale + shift), false)
}

/// A positive fraction in lowest terms.
struct Fraction {
    numerator: BigUint,
    denominator: BigUint,
}

impl Fraction {
    fn reduced(numerator: &BigUint, denominator: &BigUint) -> Self {
        let divisor = greatest_common_divisor(numerator.clone(), denominator.clone());
        Self { numerator: numerator / &divisor, denominator: denominator / &divisor }
    }

    /// Digits and scale of the value when its decimal expansion ends within the limit.
    fn terminating(&self) -> Option<(BigUint, i64)> {
        let twos = self.denominator.trailing_zeros().unwrap_or(0);
        let mut rest = &self.denominator >> twos;
        let mut fives = 0_u64;
        let five = BigUint::from(5_u8);
        while (&rest % &five).is_zero() {
            rest /= &five;
            fives += 1;
        }
        // In lowest terms the expansion has exactly as many digits behind the point as the larger of the two powers.
        // The bound is generous, because the scales of the operands, applied later, may take some of them away.
        let places = twos.max(fives);
        if !rest.is_one() || places > 2 * MAX_RESULT_DIGITS {
            return None;
        }
        let digits = &self.numerator * power_of_ten(u32::try_from(places).ok()?) / &self.denominator;
        Some((digits, i64::try_from(places).ok()?))
    }

    /// Digits and scale of the value at [`ROUNDED_DIGITS`] significant digits, ties to even.
    fn rounded(&self) -> (BigUint, i64) {
        let magnitude = digit_count(&self.numerator) - digit_count(&self.denominator);
        // The quotient lies between 10^(magnitude-1) and 10^(magnitude+1): the first guess gives the wanted number of
        // digits or one more.
        let mut scale = i64::from(ROUNDED_DIGITS) - magnitude;
        let (mut quotient, mut remainder, mut divisor) = self.scaled(scale);
        if digit_count(&quotient) > i64::from(ROUNDED_DIGITS) {
            scale -= 1;
            (quotient, remainder, divisor) = self.scaled(scale);
        }
        let round_up = match (remainder << 1_u8).cmp(&divisor) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => quotient.bit(0),
        };
        if round_up {
            quotient += 1_u8;
        }
        (quotient, scale)
    }

    /// The whole part of the value times ten to `scale`, what remains, and what that remainder is to be divided by.
    fn scaled(&self, scale: i64) -> (BigUint, BigUint, BigUint) {
        let factor = power_of_ten(u32::try_from(scale.unsigned_abs()).expect("scales are bounded by the digit limits"));
        let (numerator, denominator) = if scale < 0 {
            (self.numerator.clone(), &self.denominator * factor)
        } else {
            (&self.numerator * factor, self.denominator.clone())
        };
        let quotient = &numerator / &denominator;
        let remainder = numerator - &quotient * &denominator;
        (quotient, remainder, denominator)
    }
}

/// Euclid's algorithm. Both numbers have a few thousand digits at most.
fn greatest_common_divisor(mut a: BigUint, mut b: BigUint) -> BigUint {
    while !b.is_zero() {
        let remainder = &a % &b;
        a = std::mem::replace(&mut b, remainder);
    }
    a
}

fn power_of_ten(exponent: u32) -> BigUint {
    BigUint::from(10_u8).pow(exponent)
}

fn digit_count(number: &BigUint) -> i64 {
    i64::try_from(BigDecimal::from(BigInt::from(number.clone())).digits()).expect("a digit count fits")
}

fn power(a: &BigDecimal, b: &BigDecimal) -> Result<Outcome, CalculatorError> {
    let exponent = b.normalized();
    if exponent.fractional_digit_count() > 0 {
        let text = plain_text(&exponent);
        let shown = if text.len() > 40 { format!("{}…", &text[..40]) } else { text };
        return Err(CalculatorError::FractionalExponent { exponent: shown });
    }
    let negative = exponent.sign() == Sign::Minus;
    let base = a.normalized();
    if exponent.is_zero() {
        return exact(&BigDecimal::one());
    }
    if base.is_zero() {
        return if negative { Err(CalculatorError::ZeroToNegativePower) } else { exact(&base) };
    }
    let (digits, scale) = base.into_bigint_and_exponent();
    if scale == 0 && digits.magnitude().is_one() {
        // Normalized, so a scale below zero means that the exponent ends in a zero.
        let (times, times_scale) = exponent.into_bigint_and_exponent();
        let odd = times_scale == 0 && times.bit(0);
        return exact(&if odd { BigDecimal::from(digits) } else { BigDecimal::one() });
    }
    let times = exponent.abs().to_u64().and_then(|times| u32::try_from(times).ok()).ok_or(CalculatorError::ResultTooLong)?;
    let raised = raise(&digits, scale, times)?;
    if negative { divide(&BigDecimal::one(), &raised) } else { exact(&raised) }
}

/// A base other than 0, 1 and -1, normalized, to a positive power. Refuses before multiplying.
fn raise(digits: &BigInt, scale: i64, times: u32) -> Result<BigDecimal, CalculatorError> {
    let base_digits = u64::try_from(digit_count(digits.magnitude())).expect("a digit count is positive");
    let times_wide = u64::from(times);
    // The power of a number of n digits has more than (n-1) times as many.
    let least_digits = times_wide.saturating_mul(base_digits - 1).saturating_add(1);
    let new_scale = scale.checked_mul(i64::from(times)).ok_or(CalculatorError::ResultTooLong)?;
    // A single digit of 2 or more gains at least three digits in ten steps.
    let least_digits =
        if digits.magnitude().is_one() { least_digits } else { least_digits.max(times_wide.saturating_mul(3) / 10) };
    if plain_digits(least_digits, new_scale) > MAX_RESULT_DIGITS {
        return Err(CalculatorError::ResultTooLong);
    }
    let value = BigDecimal::new(Pow::pow(digits, times), new_scale);
    Ok(within_limit(&value, true)?.value)
}

#[cfg(test)]
mod tests {
    use bigdecimal::num_bigint::BigUint;
    use bigdecimal::num_traits::One;

    use super::{Fraction, power_of_ten};

    /// No pair of arguments leads here: a quotient that lies halfway ends, and is exact.
    #[test]
    fn halfway_goes_to_the_even_neighbour() {
        let fifty_digits = power_of_ten(49);
        for (last, expected) in [(0_u8, 0_u8), (1, 2), (2, 2), (9, 10)] {
            let halfway = (&fifty_digits + last) * 10_u8 + 5_u8;
            for scale in [0, 7] {
                let fraction = Fraction { numerator: &halfway * power_of_ten(scale), denominator: BigUint::one() };
                assert_eq!(fraction.rounded(), (&fifty_digits + expected, -1 - i64::from(scale)));
            }
        }
    }
}
