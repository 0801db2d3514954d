//! Strings that may name variables, and how each client spells those.

use std::fmt;

use crate::descriptor::Syntax;

/// A string of an entry, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text(Vec<Piece>);

/// Part of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Characters that mean themselves.
    Literal(String),
    /// The value of an environment variable.
    Variable {
        /// Its name.
        name: String,
        /// What stands there when it is not set.
        default: Option<String>,
    },
    /// Something only one client's way of spelling knows: `${input:token}`, `{file:key.txt}`, `$(pass show key)`.
    Own {
        /// Whose.
        syntax: Syntax,
        /// As written.
        raw: String,
    },
}

/// Why a [`Text`] cannot be spelled for a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpellError {
    /// The client has no variables.
    #[error("the client does not replace variables such as `${{{0}}}` here")]
    NoVariables(String),
    /// The client has variables without defaults.
    #[error("the client cannot give the variable `{0}` a default")]
    NoDefault(String),
    /// A form of another client.
    #[error("`{0}` is a form only another client knows")]
    Foreign(String),
}

impl Text {
    /// Characters that all mean themselves.
    pub fn literal(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self(Vec::new()) } else { Self(vec![Piece::Literal(text)]) }
    }

    /// The value of a variable.
    pub fn variable(name: impl Into<String>) -> Self {
        Self(vec![Piece::Variable { name: name.into(), default: None }])
    }

    /// Takes a client's string apart.
    pub fn parse(text: &str, syntax: Syntax) -> Self {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some((piece, len)) = form_at(rest, syntax) {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(piece);
                rest = &rest[len..];
            } else if syntax == Syntax::Shell && rest.starts_with("\\$") {
                literal.push('$');
                rest = &rest[2..];
            } else {
                literal.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Self(pieces)
    }

    /// The pieces in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The characters, when all of them mean themselves.
    pub fn as_literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The variable, when this is nothing but its value.
    pub fn as_variable(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Variable { name, default: None }] => Some(name),
            _ => None,
        }
    }

    /// The variable of `Bearer ${VARIABLE}`.
    pub fn as_bearer_variable(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Literal(scheme), Piece::Variable { name, default: None }] if scheme == "Bearer " => Some(name),
            _ => None,
        }
    }

    /// The names of all variables, in order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|p| match p {
            Piece::Variable { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }

    /// This with each variable that `value` knows replaced by what it says.
    #[must_use]
    pub fn fill(&self, value: impl Fn(&str) -> Option<Text>) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        for piece in &self.0 {
            let known = match piece {
                Piece::Variable { name, .. } => value(name),
                _ => None,
            };
            for piece in known.map_or_else(|| vec![piece.clone()], |t| t.0) {
                match (pieces.last_mut(), piece) {
                    (Some(Piece::Literal(last)), Piece::Literal(more)) => last.push_str(&more),
                    (_, piece) => pieces.push(piece),
                }
            }
        }
        Self(pieces)
    }

    /// This, and then `more`.
    #[must_use]
    pub fn followed_by(mut self, more: &Self) -> Self {
        for piece in &more.0 {
            match (self.0.last_mut(), piece) {
                (Some(Piece::Literal(last)), Piece::Literal(text)) => last.push_str(text),
                (_, piece) => self.0.push(piece.clone()),
            }
        }
        self
    }

    /// This without its first `bytes`, which must all be of literal characters; as it is when they are not.
    #[must_use]
    pub fn without_start(&self, bytes: usize) -> Self {
        let (Some(Piece::Literal(first)), true) = (self.0.first(), bytes > 0) else { return self.clone() };
        let Some(rest) = first.get(bytes..) else { return self.clone() };
        let rest = (!rest.is_empty()).then(|| Piece::Literal(rest.to_owned()));
        Self(rest.into_iter().chain(self.0[1..].iter().cloned()).collect())
    }

    /// The string as a client with this syntax spells it.
    pub fn spell(&self, syntax: Syntax) -> Result<String, SpellError> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) if syntax == Syntax::Shell => out.push_str(&text.replace('$', "\\$")),
                Piece::Literal(text) => out.push_str(text),
                Piece::Own { syntax: own, raw } if *own == syntax => out.push_str(raw),
                Piece::Own { raw, .. } => return Err(SpellError::Foreign(raw.clone())),
                Piece::Variable { name, default } => match (syntax, default) {
                    (Syntax::None, _) => return Err(SpellError::NoVariables(name.clone())),
                    (Syntax::DollarBrace | Syntax::Dollar | Syntax::Shell, None) => out.push_str(&format!("${{{name}}}")),
                    (Syntax::DollarBrace | Syntax::Dollar | Syntax::Shell, Some(d)) => out.push_str(&format!("${{{name}:-{d}}}")),
                    (_, Some(_)) => return Err(SpellError::NoDefault(name.clone())),
                    (Syntax::DollarEnv, None) => out.push_str(&format!("${{env:{name}}}")),
                    (Syntax::BraceEnv, None) => out.push_str(&format!("{{env:{name}}}")),
                    (Syntax::Secrets, None) => out.push_str(&format!("${{{{ secrets.{name} }}}}")),
                },
            }
        }
        Ok(out)
    }

    /// The first part of the literal characters that a client with this syntax would take for a variable. Only a shell
    /// has an escape for that, which [`Text::spell`] uses.
    pub fn misread(&self, syntax: Syntax) -> Option<String> {
        if syntax == Syntax::Shell {
            return None;
        }
        self.0.iter().find_map(|piece| {
            let Piece::Literal(text) = piece else { return None };
            text.char_indices().find_map(|(i, _)| form_at(&text[i..], syntax).map(|(_, len)| text[i..i + len].to_owned()))
        })
    }
}

/// `${VAR}` for variables, everything else as it is: what people see.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => f.write_str(text)?,
                Piece::Variable { name, default: None } => write!(f, "${{{name}}}")?,
                Piece::Variable { name, default: Some(default) } => write!(f, "${{{name}:-{default}}}")?,
                Piece::Own { raw, .. } => f.write_str(raw)?,
            }
        }
        Ok(())
    }
}

/// The variable form at the start of `text` and its length in bytes.
fn form_at(text: &str, syntax: Syntax) -> Option<(Piece, usize)> {
    let own = |len: usize| Some((Piece::Own { syntax, raw: text[..len].to_owned() }, len));
    match syntax {
        Syntax::None => None,
        Syntax::DollarBrace => braced(text),
        Syntax::Dollar => braced(text).or_else(|| bare(text)),
        Syntax::Shell if text.starts_with("$(") => own(closing(text, '(', ')')?),
        Syntax::Shell => {
            braced(text).or_else(|| bare(text)).or_else(|| own(closing(text.strip_prefix("$").map(|_| text)?, '{', '}')?))
        }
        Syntax::DollarEnv => {
            let inner = text.strip_prefix("${")?;
            let end = inner.find('}')?;
            match inner[..end].strip_prefix("env:") {
                Some(name) if is_name(name) => Some((Piece::Variable { name: name.to_owned(), default: None }, end + 3)),
                _ => own(end + 3),
            }
        }
        Syntax::BraceEnv => {
            let inner = text.strip_prefix('{')?;
            let end = inner.find('}')?;
            match inner[..end].split_once(':')? {
                ("env", name) if is_name(name) => Some((Piece::Variable { name: name.to_owned(), default: None }, end + 2)),
                ("file", _) => own(end + 2),
                _ => None,
            }
        }
        Syntax::Secrets => {
            let inner = text.strip_prefix("${{")?;
            let end = inner.find("}}")?;
            match inner[..end].trim().strip_prefix("secrets.") {
                Some(name) if is_name(name) => Some((Piece::Variable { name: name.to_owned(), default: None }, end + 5)),
                _ => own(end + 5),
            }
        }
    }
}

/// `${NAME}` or `${NAME:-default}`.
fn braced(text: &str) -> Option<(Piece, usize)> {
    let inner = text.strip_prefix("${")?;
    let end = inner.find('}')?;
    let (name, default) = match inner[..end].split_once(":-") {
        Some((name, default)) => (name, Some(default.to_owned())),
        None => (&inner[..end], None),
    };
    is_name(name).then(|| (Piece::Variable { name: name.to_owned(), default }, end + 3))
}

/// `$NAME`.
fn bare(text: &str) -> Option<(Piece, usize)> {
    let inner = text.strip_prefix('$')?;
    let end = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inner.len());
    is_name(&inner[..end]).then(|| (Piece::Variable { name: inner[..end].to_owned(), default: None }, end + 1))
}

/// The length up to the bracket that closes the first one.
fn closing(text: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth -= 1;
            if depth == 0 {
                return Some(i + c.len_utf8());
            }
        } else if depth == 0 && i > 0 {
            return None;
        }
    }
    None
}

/// Whether this can name an environment variable.
pub fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_spelled_for_each_client() {
        let text = Text::parse("Bearer ${TOKEN}", Syntax::DollarBrace);
        assert_eq!(text.as_bearer_variable(), Some("TOKEN"));
        for (syntax, want) in [
            (Syntax::DollarBrace, "Bearer ${TOKEN}"),
            (Syntax::DollarEnv, "Bearer ${env:TOKEN}"),
            (Syntax::BraceEnv, "Bearer {env:TOKEN}"),
            (Syntax::Secrets, "Bearer ${{ secrets.TOKEN }}"),
            (Syntax::Shell, "Bearer ${TOKEN}"),
        ] {
            let spelled = text.spell(syntax).expect("every one of these has variables");
            assert_eq!(spelled, want);
            assert_eq!(Text::parse(&spelled, syntax), text, "reading {want} back");
        }
        assert_eq!(text.spell(Syntax::None), Err(SpellError::NoVariables("TOKEN".into())));
    }

    #[test]
    fn one_clients_own_forms_are_kept_for_it_and_refused_for_others() {
        let text = Text::parse("${input:key}", Syntax::DollarEnv);
        assert_eq!(text.spell(Syntax::DollarEnv).as_deref(), Ok("${input:key}"));
        assert_eq!(text.spell(Syntax::DollarBrace), Err(SpellError::Foreign("${input:key}".into())));
        let shell = Text::parse("a$(pass show x)b", Syntax::Shell);
        assert_eq!(shell.spell(Syntax::Shell).as_deref(), Ok("a$(pass show x)b"));
    }

    #[test]
    fn literal_dollars_are_escaped_or_reported() {
        let text = Text::literal("price: $FIVE and ${SIX}");
        assert_eq!(text.spell(Syntax::Shell).as_deref(), Ok("price: \\$FIVE and \\${SIX}"));
        assert_eq!(Text::parse("price: \\$FIVE", Syntax::Shell), Text::literal("price: $FIVE"));
        assert_eq!(text.misread(Syntax::Dollar).as_deref(), Some("$FIVE"));
        assert_eq!(text.misread(Syntax::DollarBrace).as_deref(), Some("${SIX}"));
        assert_eq!(text.misread(Syntax::None), None);
    }

    #[test]
    fn defaults_are_kept_where_there_is_a_way() {
        let text = Text::parse("${HOST:-localhost}/x", Syntax::Dollar);
        assert_eq!(text.spell(Syntax::DollarBrace).as_deref(), Ok("${HOST:-localhost}/x"));
        assert_eq!(text.spell(Syntax::BraceEnv), Err(SpellError::NoDefault("HOST".into())));
    }
}
