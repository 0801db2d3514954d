//! Cutting a filter into words.

use std::ops::Range;

/// A piece of a filter and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) what: What,
    pub(super) at: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Open,
    Close,
    /// A word without quotes: `and`, `error`.
    Word(String),
    /// A text in quotes, decoded.
    Quoted(String),
    /// `key:`, `key~`, `key>` and the like; the value is the next token, without a blank between.
    Key(String, &'static str),
    /// `json` with all that belongs to it: the path, the sign and the value's text with its place.
    Json(String, &'static str, String, Range<usize>),
}

/// What cannot be cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LexError {
    /// A quote is not closed.
    Quote(usize),
    /// `json` without a path.
    Path(usize),
}

const SIGNS: [&str; 7] = [">=", "<=", ":", "~", ">", "<", "="];

pub(super) fn lex(text: &str) -> Result<Vec<Token>, LexError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        if next.is_whitespace() {
            at += next.len_utf8();
            continue;
        }
        let start = at;
        let what = match next {
            '(' | ')' => {
                at += 1;
                if next == '(' { What::Open } else { What::Close }
            }
            '"' => {
                let (value, end) = quoted(text, at)?;
                at = end;
                What::Quoted(value)
            }
            _ => {
                // A key is letters with a sign behind them; else it is a word up to a blank or bracket.
                let letters = text[at..].find(|c: char| !c.is_ascii_alphabetic()).map_or(text.len(), |n| at + n);
                let sign = SIGNS.iter().find(|sign| text[letters..].starts_with(**sign));
                if let Some(sign) = sign.filter(|_| letters > at && super::parse::is_key(&text[at..letters])) {
                    let word = text[at..letters].to_owned();
                    at = letters + sign.len();
                    What::Key(word, sign)
                } else {
                    let end = word_end(text, at);
                    let word = &text[at..end];
                    if word == "json" && text[end..].trim_start().starts_with('$') {
                        let (json, end) = json(text, end)?;
                        at = end;
                        json
                    } else {
                        at = end;
                        What::Word(word.to_owned())
                    }
                }
            }
        };
        // A value belongs to its key only if it follows at once.
        tokens.push(Token { what, at: start..at });
    }
    Ok(tokens)
}

/// Behind a word: up to a blank, a bracket or a quote.
fn word_end(text: &str, at: usize) -> usize {
    text[at..].find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"')).map_or(text.len(), |n| at + n.max(1))
}

/// A text in quotes with `\"` and `\\`, and where it ends. Other backslashes stand for themselves, as expressions want it.
fn quoted(text: &str, at: usize) -> Result<(String, usize), LexError> {
    let mut value = String::new();
    let mut letters = text[at + 1..].char_indices().peekable();
    while let Some((n, letter)) = letters.next() {
        match letter {
            '"' => return Ok((value, at + 1 + n + 1)),
            '\\' => match letters.peek() {
                Some((_, next @ ('"' | '\\'))) => {
                    value.push(*next);
                    letters.next();
                }
                _ => value.push('\\'),
            },
            other => value.push(other),
        }
    }
    Err(LexError::Quote(at))
}

/// The path behind `json`, and the comparison behind that.
fn json(text: &str, behind: usize) -> Result<(What, usize), LexError> {
    let start = behind + text[behind..].find('$').ok_or(LexError::Path(behind))?;
    let mut depth = 0_u32;
    let mut quote: Option<char> = None;
    let mut is_escaped = false;
    let mut end = text.len();
    for (n, letter) in text[start..].char_indices() {
        if let Some(open) = quote {
            match letter {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                _ if letter == open => quote = None,
                _ => {}
            }
            continue;
        }
        match letter {
            '"' | '\'' if depth > 0 => quote = Some(letter),
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            // Signs and brackets within a selector belong to it.
            _ if depth > 0 => {}
            ' ' | '\t' | '\n' | '=' | '!' | '<' | '>' | '~' | '(' | ')' => {
                end = start + n;
                break;
            }
            _ => {}
        }
    }
    let path = text[start..end].to_owned();
    let rest = text[end..].trim_start();
    let sign_at = text.len() - rest.len();
    let Some(sign) = ["!=", ">=", "<=", "=", ">", "<", "~"].iter().find(|sign| rest.starts_with(**sign)) else {
        return Ok((What::Json(path, "", String::new(), end..end), end));
    };
    let value = text[sign_at + sign.len()..].trim_start();
    let value_at = text.len() - value.len();
    let value_end = if value.starts_with('"') { quoted_end(text, value_at)? } else { json_end(text, value_at) };
    let spelt = text[value_at..value_end].to_owned();
    Ok((What::Json(path, sign, spelt, value_at..value_end), value_end))
}

/// Behind a JSON string.
fn quoted_end(text: &str, at: usize) -> Result<usize, LexError> {
    let mut is_escaped = false;
    for (n, letter) in text[at + 1..].char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Ok(at + 1 + n + 1),
            _ => {}
        }
    }
    Err(LexError::Quote(at))
}

fn json_end(text: &str, at: usize) -> usize {
    text[at..].find(|c: char| c.is_whitespace() || matches!(c, '(' | ')')).map_or(text.len(), |n| at + n)
}
