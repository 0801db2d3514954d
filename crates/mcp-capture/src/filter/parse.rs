//! From words to a filter, with errors that say what was expected where.

use std::ops::Range;

use serde_json_path::JsonPath;

use super::lex::{LexError, Token, What, lex};
use super::{Expr, Field, Glob, Is, JsonTerm, JsonTest, Order, Pattern, Since, Term};

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at column {}{}", at.start + 1, hint.as_ref().map(|h| format!("; {h}")).unwrap_or_default())]
pub struct FilterError {
    /// Where, in bytes of the text.
    pub at: Range<usize>,
    /// What is wrong or was expected.
    pub message: Box<str>,
    /// What may have been meant, or which words there are.
    pub hint: Option<Box<str>>,
}

/// Words with a comparison of numbers.
pub(super) const NUMBERS: [&str; 3] = ["dur", "size", "tok"];
/// Brackets and `not` may be nested so deeply: more is an attack on the stack.
const DEEPEST: usize = 64;

/// Whether a sign behind this word makes it a key. Other words with signs are searched for as they are, so that
/// `https://…` and `a=b` can be typed.
pub(super) fn is_key(word: &str) -> bool {
    Field::ALL.iter().any(|(known, _)| *known == word)
        || NUMBERS.contains(&word)
        || matches!(word, "is" | "since" | "text")
        // Misspelt keys are errors if they are near one, which the parser finds out.
        || near_key(word).is_some()
}

pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    Field::ALL.iter().map(|(word, _)| *word).chain(["is", "since", "text"]).chain(NUMBERS)
}

fn near_key(word: &str) -> Option<&'static str> {
    nearest(word, keys())
}

fn nearest(word: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if word.len() < 3 {
        return None;
    }
    known
        .map(|candidate| (strsim::damerau_levenshtein(&word.to_ascii_lowercase(), candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len() / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

pub(super) fn parse(text: &str) -> Result<Expr, FilterError> {
    let tokens = lex(text).map_err(|error| match error {
        LexError::Quote(at) => fault(at..text.len(), "a quote is opened and not closed", None),
        LexError::Path(at) => fault(at..text.len(), "expected a path that begins with `$`", None),
    })?;
    let mut parser = Parser { tokens, at: 0, end: text.len(), depth: 0 };
    if parser.tokens.is_empty() {
        return Ok(Expr::All);
    }
    let root = parser.any()?;
    match parser.peek() {
        None => Ok(root),
        Some(token) => Err(fault(token.at.clone(), "a bracket is closed that was not opened", None)),
    }
}

fn fault(at: Range<usize>, message: impl Into<String>, hint: Option<String>) -> FilterError {
    FilterError { at, message: message.into().into(), hint: hint.map(Into::into) }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token { what: What::Word(found), .. }) if found == word)
    }

    fn any(&mut self) -> Result<Expr, FilterError> {
        let mut all = vec![self.all()?];
        while self.is_word("or") {
            self.at += 1;
            all.push(self.all()?);
        }
        Ok(flat(
            all,
            |expr| match expr {
                Expr::Or(inner) => inner,
                other => vec![other],
            },
            Expr::Or,
        ))
    }

    fn all(&mut self) -> Result<Expr, FilterError> {
        let mut all = vec![self.one()?];
        loop {
            if self.is_word("and") {
                self.at += 1;
            } else if self.is_word("or") || matches!(self.peek(), None | Some(Token { what: What::Close, .. })) {
                break;
            }
            all.push(self.one()?);
        }
        Ok(flat(
            all,
            |expr| match expr {
                Expr::And(inner) => inner,
                other => vec![other],
            },
            Expr::And,
        ))
    }

    fn one(&mut self) -> Result<Expr, FilterError> {
        let Some(token) = self.next() else {
            return Err(fault(
                self.end..self.end,
                "expected a condition",
                Some("such as `tool:NAME`, `is:error` or a word".to_owned()),
            ));
        };
        match token.what {
            What::Word(word) if word == "not" => {
                self.deeper(&token.at)?;
                let inner = self.one()?;
                self.depth -= 1;
                Ok(Expr::Not(Box::new(inner)))
            }
            What::Word(word) if word == "and" || word == "or" => Err(fault(
                token.at,
                format!("`{word}` needs a condition on its left"),
                Some(format!("search for the word with \"{word}\"")),
            )),
            What::Open => {
                self.deeper(&token.at)?;
                let inner = self.any()?;
                self.depth -= 1;
                match self.next() {
                    Some(Token { what: What::Close, .. }) => Ok(inner),
                    _ => Err(fault(token.at, "a bracket is opened and not closed", None)),
                }
            }
            What::Close => Err(fault(token.at, "expected a condition before the bracket", None)),
            What::Word(word) | What::Quoted(word) => Ok(Expr::Term(Term::Text(word))),
            What::Key(key, sign) => self.term(&key, sign, &token.at).map(Expr::Term),
            What::Json(path, sign, value, value_at) => json_term(path, sign, &value, &token.at, &value_at).map(Expr::Term),
        }
    }

    fn deeper(&mut self, at: &Range<usize>) -> Result<(), FilterError> {
        self.depth += 1;
        if self.depth > DEEPEST { Err(fault(at.clone(), "nested too deeply", None)) } else { Ok(()) }
    }

    /// The value that stands right behind a key.
    fn value(&mut self, key: &Range<usize>, expected: &str) -> Result<(String, bool, Range<usize>), FilterError> {
        let missing = || fault(key.clone(), format!("expected {expected} after it"), None);
        let token = self.peek().filter(|token| token.at.start == key.end).ok_or_else(missing)?.clone();
        let (value, is_quoted) = match &token.what {
            What::Word(word) => (word.clone(), false),
            What::Quoted(word) => (word.clone(), true),
            // `from:is:x`: the value itself looks like a key.
            What::Key(word, sign) => {
                let start = token.at.start;
                let mut text = format!("{word}{sign}");
                self.at += 1;
                let mut end = token.at.end;
                while let Some(next) = self.peek().filter(|next| next.at.start == end) {
                    match &next.what {
                        What::Word(more) => text.push_str(more),
                        What::Key(more, sign) => text.push_str(&format!("{more}{sign}")),
                        _ => break,
                    }
                    end = next.at.end;
                    self.at += 1;
                }
                return Ok((text, false, start..end));
            }
            _ => return Err(missing()),
        };
        self.at += 1;
        Ok((value, is_quoted, token.at))
    }

    fn term(&mut self, key: &str, sign: &'static str, at: &Range<usize>) -> Result<Term, FilterError> {
        let wrong_sign = |wanted: &str| fault(at.clone(), format!("`{key}` goes with {wanted}, not with `{sign}`"), None);
        if let Some((_, field)) = Field::ALL.iter().find(|(word, _)| *word == key) {
            if !matches!(sign, ":" | "=") {
                return Err(wrong_sign("`:`"));
            }
            let (value, is_quoted, _) = self.value(at, "a value")?;
            let globs = if is_quoted { vec![Glob::new(value)] } else { value.split('|').map(Glob::new).collect() };
            return Ok(Term::Field(*field, globs));
        }
        match key {
            "is" => {
                if !matches!(sign, ":" | "=") {
                    return Err(wrong_sign("`:`"));
                }
                let (value, _, value_at) = self.value(at, "a word such as `error`")?;
                let known = |word: &str| Is::ALL.iter().find(|(known, _)| *known == word).map(|(_, is)| *is);
                let all: Result<Vec<Is>, FilterError> = value
                    .split('|')
                    .map(|word| {
                        known(word).ok_or_else(|| {
                            let words = || Is::ALL.iter().map(|(word, _)| *word);
                            let hint = match nearest(word, words()) {
                                Some(near) => format!("did you mean `{near}`?"),
                                None => format!("there are {}", words().collect::<Vec<_>>().join(", ")),
                            };
                            fault(value_at.clone(), format!("`is:` knows no `{word}`"), Some(hint))
                        })
                    })
                    .collect();
                Ok(Term::Is(all?))
            }
            "dur" | "size" | "tok" => {
                let order = order(sign).ok_or_else(|| wrong_sign("`>`, `>=`, `<` or `<=`"))?;
                let expected =
                    if key == "dur" { "a time such as `500ms`, `2s` or `1m`" } else { "a number such as `500` or `10k`" };
                let (value, _, value_at) = self.value(at, expected)?;
                let number = if key == "dur" { duration(&value) } else { amount(&value) };
                let number = number.ok_or_else(|| fault(value_at, format!("expected {expected}, not `{value}`"), None))?;
                Ok(match key {
                    "dur" => Term::Duration(order, number),
                    "size" => Term::Size(order, number),
                    _ => Term::Tokens(order, number),
                })
            }
            "since" => {
                if !matches!(sign, ":" | "=") {
                    return Err(wrong_sign("`:`"));
                }
                let expected = "a time such as `5m`, or of the day such as `15:30`";
                let (value, _, value_at) = self.value(at, expected)?;
                let since = clock(&value).map(Since::Clock).or_else(|| duration(&value).map(Since::Ago));
                since.map(Term::Since).ok_or_else(|| fault(value_at, format!("expected {expected}, not `{value}`"), None))
            }
            "text" => {
                let (value, _, value_at) = self.value(at, "a text")?;
                match sign {
                    ":" | "=" => Ok(Term::Text(value)),
                    "~" => Ok(Term::TextRegex(pattern(&value, &value_at)?)),
                    _ => Err(wrong_sign("`:` or `~`")),
                }
            }
            _ => {
                // A number goes with other signs than a text does.
                let fits = |word: &&'static str| NUMBERS.contains(word) != matches!(sign, ":" | "=" | "~");
                let near = nearest(key, keys().filter(fits)).or_else(|| near_key(key));
                let hint = near.map(|near| format!("did you mean `{near}{sign}`?"));
                let words = || format!("there are {}", keys().collect::<Vec<_>>().join(", "));
                Err(fault(at.clone(), format!("there is no `{key}{sign}`"), hint.or_else(|| Some(words()))))
            }
        }
    }
}

fn flat(all: Vec<Expr>, inner: impl Fn(Expr) -> Vec<Expr>, outer: impl Fn(Vec<Expr>) -> Expr) -> Expr {
    let mut found: Vec<Expr> = all.into_iter().flat_map(inner).collect();
    if found.len() == 1 { found.pop().unwrap_or(Expr::All) } else { outer(found) }
}

fn order(sign: &str) -> Option<Order> {
    match sign {
        ">" => Some(Order::Above),
        ">=" => Some(Order::AtLeast),
        "<" => Some(Order::Below),
        "<=" => Some(Order::AtMost),
        _ => None,
    }
}

fn pattern(text: &str, at: &Range<usize>) -> Result<Pattern, FilterError> {
    regex::bytes::RegexBuilder::new(text).size_limit(4 << 20).build().map(Pattern).map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        fault(at.clone(), "this is no regular expression", Some(last))
    })
}

fn json_term(path: String, sign: &str, value: &str, at: &Range<usize>, value_at: &Range<usize>) -> Result<Term, FilterError> {
    let parsed =
        JsonPath::parse(&path).map_err(|error| fault(at.clone(), format!("`{path}` is no JSONPath"), Some(error.to_string())))?;
    let number = |order| match value.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(JsonTest::Compare(order, number)),
        _ => Err(fault(value_at.clone(), format!("expected a number, not `{value}`"), None)),
    };
    // A word without quotes is a string unless it is JSON of another kind.
    let value_of = || match serde_json::from_str(value) {
        Ok(value) => Ok(value),
        Err(_) if value.is_empty() => Err(fault(value_at.clone(), "expected a value", None)),
        Err(error) if value.starts_with('"') => Err(fault(value_at.clone(), "this is no JSON string", Some(error.to_string()))),
        Err(_) => Ok(serde_json::Value::from(value)),
    };
    let test = match sign {
        "" => JsonTest::Exists,
        "=" => JsonTest::Is(value_of()?),
        "!=" => JsonTest::IsNot(value_of()?),
        "~" => {
            let value = match value_of()? {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            JsonTest::Fits(pattern(&value, value_at)?)
        }
        _ => number(order(sign).unwrap_or(Order::Above))?,
    };
    Ok(Term::Json(JsonTerm { path: parsed, spelt: path, test }))
}

/// Nanoseconds.
fn duration(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let unit: u64 = match &text[digits..] {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    scaled(&text[..digits], unit)
}

/// Bytes or tokens; `k`, `M` and `G` are thousands.
fn amount(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let unit: u64 = match text[digits..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    scaled(&text[..digits], unit)
}

fn scaled(digits: &str, unit: u64) -> Option<u64> {
    if let Ok(whole) = digits.parse::<u64>() {
        return whole.checked_mul(unit);
    }
    let number: f64 = digits.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "checked")]
    (number.is_finite() && number >= 0.0 && number * unit as f64 <= 9e18).then_some((number * unit as f64) as u64)
}

/// `15:30` or `15:30:07` as seconds of the day.
fn clock(text: &str) -> Option<u32> {
    let mut parts = text.split(':').map(|part| part.parse::<u32>().ok().filter(|_| part.len() <= 2));
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = match parts.next() {
        None => 0,
        Some(seconds) => seconds?,
    };
    let is_time = hours < 24 && minutes < 60 && seconds < 60 && parts.next().is_none();
    is_time.then_some(hours * 3600 + minutes * 60 + seconds)
}
