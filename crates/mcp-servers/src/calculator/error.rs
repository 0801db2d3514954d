//! Why a calculation was refused. Each message names the argument and says what to send instead, because its reader is
//! a model that will try again.

use std::fmt;

use super::decimal::{MAX_ARGUMENT_DIGITS, MAX_RESULT_DIGITS};

/// Which of the two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// The first operand.
    A,
    /// The second operand.
    B,
}

impl Argument {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.name())
    }
}

/// A calculation that has no result, or none within the limits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalculatorError {
    /// An operand was not sent.
    #[error("{argument} is missing: pass both `a` and `b`, each a number or a decimal string such as \"0.1\"")]
    Missing {
        /// The operand.
        argument: Argument,
    },
    /// Something besides the two operands was sent.
    #[error("there is no argument `{name}`: this tool takes `a` and `b` and nothing else")]
    Unknown {
        /// What it was called.
        name: String,
    },
    /// An operand is neither a number nor a string.
    #[error("{argument} is {found}: pass a number or a decimal string such as \"0.1\"")]
    WrongType {
        /// The operand.
        argument: Argument,
        /// The JSON type, with its article.
        found: &'static str,
    },
    /// A string that does not spell a decimal number.
    #[error(
        "{argument} is \"{text}\", which is not a decimal number: use digits with an optional sign, point and exponent, such as -12.5 or 1.2e-7, without spaces, separators or units"
    )]
    NotDecimal {
        /// The operand.
        argument: Argument,
        /// The start of what was sent.
        text: String,
    },
    /// `NaN` or an infinity.
    #[error("{argument} is \"{text}\", which is not a finite number: pass a finite decimal such as 12.5")]
    NotFinite {
        /// The operand.
        argument: Argument,
        /// What was sent.
        text: String,
    },
    /// An operand beyond the limit.
    #[error("{argument} is too long: written without an exponent it may have at most {MAX_ARGUMENT_DIGITS} digits")]
    ArgumentTooLong {
        /// The operand.
        argument: Argument,
    },
    /// A division by zero.
    #[error("division by zero: `b` is 0; pass a `b` other than 0")]
    DivisionByZero,
    /// Zero to a negative power, which is a division by zero in disguise.
    #[error(
        "0 cannot be raised to a negative power, because that divides by zero: pass an `a` other than 0 or a `b` of 0 or more"
    )]
    ZeroToNegativePower,
    /// A power with a fraction in the exponent.
    #[error("`b` is {exponent}, but the exponent must be a whole number: this tool does not take roots; pass a whole `b`")]
    FractionalExponent {
        /// The exponent as it was read, shortened.
        exponent: String,
    },
    /// A result beyond the limit.
    #[error("the result is too long: it would have more than {MAX_RESULT_DIGITS} digits; use smaller arguments")]
    ResultTooLong,
}
