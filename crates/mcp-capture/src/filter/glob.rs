//! `*` and `?` in values, without regard to the case of ASCII letters.

/// A value with wildcards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob {
    text: String,
    has_wildcards: bool,
}

impl Glob {
    /// A pattern as it is written.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { has_wildcards: text.contains(['*', '?']), text }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole of a text fits.
    pub fn fits(&self, text: &str) -> bool {
        if !self.has_wildcards {
            return self.text.eq_ignore_ascii_case(text);
        }
        let (pattern, text) = (self.text.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        // Where to go back to: behind the last star, and one byte further in the text each time.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p + 1, t));
                    p += 1;
                }
                Some(b'?') => {
                    p += 1;
                    t += 1;
                    // One character may have several bytes.
                    while text.get(t).is_some_and(|b| b & 0xc0 == 0x80) {
                        t += 1;
                    }
                }
                Some(byte) if byte.eq_ignore_ascii_case(&text[t]) => {
                    p += 1;
                    t += 1;
                }
                _ => {
                    let Some((behind, from)) = star else { return false };
                    (p, t) = (behind, from + 1);
                    star = Some((behind, from + 1));
                }
            }
        }
        pattern[p..].iter().all(|b| *b == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_fit_what_they_should() {
        for (pattern, text, fits) in [
            ("search*", "search_issues", true),
            ("SEARCH*", "search", true),
            ("*issues", "search_issues", true),
            ("*a*b", "xaaxb", true),
            ("*a*b", "xaaxbc", false),
            ("a?c", "aäc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("tools/call", "tools/call", true),
            ("tools/call", "tools/calls", false),
        ] {
            assert_eq!(Glob::new(pattern).fits(text), fits, "{pattern} {text}");
        }
    }
}
