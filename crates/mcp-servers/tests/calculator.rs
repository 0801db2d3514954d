//! What the calculator promises: exact results, checked against slow rational arithmetic, refusals that help, and an
//! upper bound on the work that any call can cause.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::{Duration, Instant};

use bigdecimal::num_bigint::BigInt;
use bigdecimal::num_traits::{One, Signed, Zero};
use mcp_servers::calculator::{Answer, CalculatorError, Operation, calculate};
use num_rational::BigRational;
use proptest::prelude::*;
use serde_json::{Value, json};

fn call(operation: Operation, arguments: Value) -> Result<Answer, CalculatorError> {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    calculate(operation, &arguments)
}

fn strings(operation: Operation, a: &str, b: &str) -> Result<Answer, CalculatorError> {
    call(operation, json!({"a": a, "b": b}))
}

fn result(operation: Operation, a: &str, b: &str) -> String {
    strings(operation, a, b).unwrap().result
}

fn refusal(operation: Operation, a: &str, b: &str) -> String {
    strings(operation, a, b).unwrap_err().to_string()
}

#[test]
fn a_tenth_and_two_tenths_are_three_tenths() {
    let answer = call(Operation::Add, json!({"a": 0.1, "b": 0.2})).unwrap();
    assert_eq!(serde_json::to_value(answer).unwrap(), json!({"result": "0.3", "exact": true, "number": 0.3}));
}

#[test]
fn json_integers_keep_every_digit() {
    let answer = call(Operation::Add, json!({"a": u64::MAX, "b": i64::MIN})).unwrap();
    assert_eq!(answer.result, "9223372036854775807");
}

#[test]
fn text_forms_of_one_value_agree() {
    for text in ["12.5", "+12.5", "12.50", "0012.5", "1.25e1", "1.25E+1", "125e-1", " 12.5 ", "12.5e0", "0.125e00002"] {
        assert_eq!(result(Operation::Add, text, "0"), "12.5", "{text:?}");
    }
    for text in ["0", "-0", "0.000", "-0e999999999999999999999", ".0", "0."] {
        assert_eq!(result(Operation::Add, text, "0"), "0", "{text:?}");
    }
}

#[test]
fn number_is_given_only_when_it_loses_nothing() {
    let number = |a: &str| strings(Operation::Add, a, "0").unwrap().number.map(|number| number.to_string());
    assert_eq!(number("0.3").as_deref(), Some("0.3"));
    assert_eq!(number("-42").as_deref(), Some("-42"));
    assert_eq!(number("9007199254740993"), None);
    assert_eq!(number("0.12345678901234567890123"), None);
    assert_eq!(number("1e-400"), None);
    assert_eq!(strings(Operation::Divide, "1", "3").unwrap().number, None);
}

#[test]
fn quotients_that_end_are_exact_and_others_say_that_they_are_not() {
    assert_eq!(strings(Operation::Divide, "1", "8").unwrap(), strings(Operation::Add, "0.125", "0").unwrap());
    let third = strings(Operation::Divide, "-2", "3").unwrap();
    assert_eq!(third.result, format!("-0.{}7", "6".repeat(49)));
    assert!(!third.exact);
    // Ends, but only after more digits than a rounded quotient has.
    let long = strings(Operation::Divide, "1", &format!("{}", 1_u128 << 100)).unwrap();
    assert!(long.exact);
    assert_eq!(long.result.len(), 102);
}

#[test]
fn powers() {
    assert_eq!(result(Operation::Power, "2", "10"), "1024");
    assert_eq!(result(Operation::Power, "-1.1", "3"), "-1.331");
    assert_eq!(result(Operation::Power, "2", "-2"), "0.25");
    assert_eq!(result(Operation::Power, "-2", "-3"), "-0.125");
    assert_eq!(result(Operation::Power, "0", "0"), "1");
    assert_eq!(result(Operation::Power, "0", "5"), "0");
    assert_eq!(result(Operation::Power, "9", "2.0"), "81");
    assert_eq!(result(Operation::Power, "10", "9999").len(), 10_000);
    assert_eq!(result(Operation::Power, "10", "-9999").len(), 10_001);
    // One and minus one to any power cost nothing, however large the exponent.
    assert_eq!(result(Operation::Power, "1", "1e900"), "1");
    assert_eq!(result(Operation::Power, "-1", "1e900"), "1");
    assert_eq!(result(Operation::Power, "-1", &format!("{}7", "9".repeat(900))), "-1");
    assert_eq!(result(Operation::Power, "-1.00", "-3"), "-1");
    assert!(!strings(Operation::Power, "3", "-1").unwrap().exact);
}

#[test]
fn refusals_say_what_and_how_to_mend() {
    for (text, expected) in [
        (refusal(Operation::Divide, "1", "0.00"), "pass a `b` other than 0"),
        (refusal(Operation::Power, "0", "-1"), "pass an `a` other than 0"),
        (refusal(Operation::Power, "2", "0.5"), "`b` is 0.5, but the exponent must be a whole number"),
        (refusal(Operation::Add, "NaN", "1"), "`a` is \"NaN\", which is not a finite number"),
        (refusal(Operation::Add, "1", "-Infinity"), "`b` is \"-Infinity\", which is not a finite number"),
        (refusal(Operation::Add, "1,000", "1"), "without spaces, separators or units"),
        (refusal(Operation::Add, "1", "1e1000"), "`b` is too long"),
        (refusal(Operation::Add, "1", "1e-1001"), "`b` is too long"),
        (refusal(Operation::Add, &"7".repeat(1001), "1"), "`a` is too long"),
        (refusal(Operation::Power, "10", "10000"), "the result is too long"),
    ] {
        assert!(text.contains(expected), "{text}");
    }
    for (arguments, expected) in [
        (json!({"a": 1}), "`b` is missing"),
        (json!({}), "`a` is missing"),
        (json!({"a": 1, "b": 2, "c": 3}), "there is no argument `c`"),
        (json!({"a": true, "b": 2}), "`a` is a boolean"),
        (json!({"a": 1, "b": null}), "`b` is null"),
        (json!({"a": [1], "b": 2}), "`a` is an array"),
        (json!({"a": 1, "b": {"x": 2}}), "`b` is an object"),
    ] {
        let text = call(Operation::Add, arguments).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn what_is_no_decimal_is_refused() {
    for text in [
        "", " ", ".", "-", "+-1", "1.2.3", "1e", "1e+", "e5", "1e5.0", "0x10", "1_000", "1 2", "½", "٣", "1e٣", "--1", "1f",
        "\u{0}",
    ] {
        assert!(matches!(strings(Operation::Add, text, "1"), Err(CalculatorError::NotDecimal { .. })), "{text:?}");
    }
}

#[test]
fn a_message_shows_only_the_start_of_a_long_argument() {
    assert!(refusal(Operation::Add, &"x".repeat(3_900), "1").len() < 300);
    assert!(refusal(Operation::Power, "2", &format!("0.{}", "1".repeat(900))).len() < 300);
}

/// The most expensive calls that the limits let through, in a debug build on a busy machine.
#[test]
fn nothing_takes_long() {
    let wide = "7".repeat(1_000);
    let fraction = format!("0.{}3", "0".repeat(998));
    let two = (BigInt::from(1) << 3_321_u32).to_string();
    let five_fraction = format!("0.{}5", "0".repeat(998));
    let started = Instant::now();
    for operation in [Operation::Add, Operation::Subtract, Operation::Multiply, Operation::Divide, Operation::Power] {
        for a in [&wide, &fraction, &two, &five_fraction, "9", "2", "0.5", "1.0000001", "10", "99999"] {
            for b in [&wide, &fraction, &two, &five_fraction, "9", "33333", "-33333", "10000", "-9999", "4294967296", "-1e900"] {
                if let Ok(answer) = strings(operation, a, b) {
                    assert!(answer.result.len() <= 10_003, "{} digits", answer.result.len());
                }
            }
        }
    }
    assert!(started.elapsed() < Duration::from_mins(1), "took {:?}", started.elapsed());
}

/// A decimal by the definition of the notation, with nothing but whole numbers.
fn rational(text: &str) -> BigRational {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: BigInt = format!("{whole}{fraction}").parse().unwrap();
    let exponent = exponent.parse::<i32>().unwrap() - i32::try_from(fraction.len()).unwrap();
    BigRational::from_integer(digits) * BigRational::from_integer(10.into()).pow(exponent)
}

fn ends(value: &BigRational) -> bool {
    let mut rest = value.denom().clone();
    for factor in [2, 5] {
        let factor = BigInt::from(factor);
        while (&rest % &factor).is_zero() {
            rest /= &factor;
        }
    }
    rest.is_one()
}

/// Whether `text` is the decimal of fifty significant digits that is nearest to `value`, ties to even.
fn is_rounding_of(text: &str, value: &BigRational) -> bool {
    let rounded = rational(text);
    let ten = BigRational::from_integer(10.into());
    let mut unit = BigRational::one();
    // The power of ten in front of which `value` has its first digit, then fifty digits on.
    while &unit * &ten <= value.abs() {
        unit *= &ten;
    }
    while unit > value.abs() {
        unit /= &ten;
    }
    unit /= ten.pow(49);
    let steps = &rounded / &unit;
    let twice_off = (&rounded - value).abs() + (&rounded - value).abs();
    steps.is_integer() && (twice_off < unit || (twice_off == unit && (steps.to_integer() % 2_i32).is_zero()))
}

fn decimal() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,5})?",
        3 => "-?[0-9]{1,30}(\\.[0-9]{1,30})?(e-?[0-9]{1,2})?",
        1 => "-?[0-9]{1,300}(\\.[0-9]{1,200})?(e-?[0-9]{1,2})?",
        1 => Just("0".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sums_differences_and_products_are_exact(a in decimal(), b in decimal()) {
        let (left, right) = (rational(&a), rational(&b));
        for (operation, expected) in [
            (Operation::Add, &left + &right),
            (Operation::Subtract, &left - &right),
            (Operation::Multiply, &left * &right),
        ] {
            let answer = strings(operation, &a, &b).unwrap();
            prop_assert!(answer.exact);
            prop_assert_eq!(rational(&answer.result), expected);
        }
    }

    #[test]
    fn quotients_are_exact_or_the_nearest(a in decimal(), b in decimal()) {
        let (left, right) = (rational(&a), rational(&b));
        if right.is_zero() {
            prop_assert_eq!(strings(Operation::Divide, &a, &b), Err(CalculatorError::DivisionByZero));
            return Ok(());
        }
        let expected = left / right;
        let answer = strings(Operation::Divide, &a, &b).unwrap();
        prop_assert_eq!(answer.exact, ends(&expected));
        if answer.exact {
            prop_assert_eq!(rational(&answer.result), expected);
        } else {
            prop_assert!(is_rounding_of(&answer.result, &expected), "{} for {}", answer.result, expected);
        }
    }

    #[test]
    fn powers_are_exact_or_the_nearest(a in "-?[0-9]{1,6}(\\.[0-9]{1,6})?", b in -60_i32..=60) {
        let base = rational(&a);
        if base.is_zero() && b < 0 {
            prop_assert_eq!(strings(Operation::Power, &a, &b.to_string()), Err(CalculatorError::ZeroToNegativePower));
            return Ok(());
        }
        let expected = base.pow(b);
        let answer = strings(Operation::Power, &a, &b.to_string()).unwrap();
        prop_assert_eq!(answer.exact, ends(&expected));
        if answer.exact {
            prop_assert_eq!(rational(&answer.result), expected);
        } else {
            prop_assert!(is_rounding_of(&answer.result, &expected), "{} for {}", answer.result, expected);
        }
    }

    /// A double that a client printed in its shortest form means that decimal, and comes back as the same double.
    #[test]
    fn doubles_survive_the_round_trip(double in -1e15_f64..1e15) {
        let answer = call(Operation::Add, json!({"a": double, "b": 0})).unwrap();
        prop_assert_eq!(answer.result.parse::<f64>().unwrap().to_bits(), (double + 0.0).to_bits());
        if let Some(number) = answer.number {
            prop_assert_eq!(number.as_f64(), Some(double));
        }
    }

    /// Whatever text arrives, there is an answer or a refusal, and a result is plain decimal text.
    #[test]
    fn any_text_is_answered(a in any::<String>(), b in "[-+0-9.eE_, ]{0,12}", operation in 0_usize..5) {
        let operation = [Operation::Add, Operation::Subtract, Operation::Multiply, Operation::Divide, Operation::Power][operation];
        for (a, b) in [(&a, &b), (&b, &a), (&b, &b)] {
            if let Ok(answer) = strings(operation, a, b) {
                let digits = answer.result.trim_start_matches('-').bytes().filter(|byte| *byte != b'.');
                prop_assert!(digits.clone().count() > 0);
                prop_assert!(digits.into_iter().all(|byte| byte.is_ascii_digit()));
            }
        }
    }
}
