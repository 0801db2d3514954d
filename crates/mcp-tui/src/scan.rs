//! Walking JSON text span by span, in bytes that nobody has checked.
//!
//! `mcp_wire::object` walks text that is a frame already, as `str`, and looks at every byte of a value to pass over it. Here
//! the bytes may be anything, and one pass over a large payload remembers where its large containers end, so that every
//! later step over one of them is a look-up.

use std::ops::Range;

/// Containers and strings of at least this many bytes have their ends remembered.
const LARGE: usize = 2048;
/// Nesting beyond this is not followed; the text counts as no JSON.
const DEEPEST: usize = 10_000;

/// Where the large values of a text end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Start and end, in the order of the starts.
    ends: Vec<(usize, usize)>,
}

impl Index {
    /// One pass over the text. `None` if it is not one balanced container with nothing but blanks around.
    pub(crate) fn build(bytes: &[u8]) -> Option<Self> {
        let start = blank(bytes, 0);
        if !matches!(bytes.get(start), Some(b'{' | b'[')) {
            return None;
        }
        let mut open: Vec<usize> = Vec::new();
        let mut ends: Vec<(usize, usize)> = Vec::new();
        let mut at = start;
        while at < bytes.len() {
            match CLASS[usize::from(bytes[at])] {
                0 => at += 1,
                1 => {
                    let from = at;
                    at = string_end(bytes, at)?;
                    if at - from >= LARGE {
                        ends.push((from, at));
                    }
                }
                2 => {
                    if open.len() == DEEPEST {
                        return None;
                    }
                    open.push(at);
                    at += 1;
                }
                _ => {
                    let from = open.pop()?;
                    // `[` and `]`, `{` and `}` are two apart.
                    if bytes[from] + 2 != bytes[at] {
                        return None;
                    }
                    at += 1;
                    if at - from >= LARGE {
                        ends.push((from, at));
                    }
                    if open.is_empty() {
                        ends.sort_unstable();
                        return (blank(bytes, at) == bytes.len()).then_some(Self { ends });
                    }
                }
            }
        }
        None
    }

    fn end_of(&self, start: usize) -> Option<usize> {
        self.ends.binary_search_by_key(&start, |(from, _)| *from).ok().map(|at| self.ends[at].1)
    }
}

/// 1 a quote, 2 opens, 3 closes, 0 the rest.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    class[b'"' as usize] = 1;
    class[b'{' as usize] = 2;
    class[b'[' as usize] = 2;
    class[b'}' as usize] = 3;
    class[b']' as usize] = 3;
    class
};

/// A member or an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    /// The key with its quotes; `None` in an array.
    pub(crate) key: Option<Range<usize>>,
    /// The value.
    pub(crate) value: Range<usize>,
}

/// The children of the container that begins at a place. Ends early where the text is no JSON.
#[derive(Clone, Debug)]
pub(crate) struct Children<'a> {
    bytes: &'a [u8],
    index: &'a Index,
    at: usize,
    is_object: bool,
    is_first: bool,
}

impl<'a> Children<'a> {
    pub(crate) fn new(bytes: &'a [u8], index: &'a Index, start: usize) -> Self {
        let opens = bytes.get(start).copied();
        let at = if matches!(opens, Some(b'{' | b'[')) { start + 1 } else { bytes.len() };
        Self { bytes, index, at, is_object: opens == Some(b'{'), is_first: true }
    }

    /// Goes on behind a child that was already seen.
    pub(crate) fn after(bytes: &'a [u8], index: &'a Index, is_object: bool, end: usize) -> Self {
        Self { bytes, index, at: end, is_object, is_first: false }
    }

    fn step(&mut self) -> Option<Child> {
        let mut at = blank(self.bytes, self.at);
        if !self.is_first {
            if self.bytes.get(at) != Some(&b',') {
                return None;
            }
            at = blank(self.bytes, at + 1);
        }
        self.is_first = false;
        let mut key = None;
        if self.is_object {
            if self.bytes.get(at) != Some(&b'"') {
                return None;
            }
            let end = string_end(self.bytes, at)?;
            key = Some(at..end);
            at = blank(self.bytes, end);
            if self.bytes.get(at) != Some(&b':') {
                return None;
            }
            at = blank(self.bytes, at + 1);
        }
        let end = value_end(self.bytes, self.index, at)?;
        self.at = end;
        Some(Child { key, value: at..end })
    }
}

impl Iterator for Children<'_> {
    type Item = Child;

    fn next(&mut self) -> Option<Child> {
        let child = self.step();
        if child.is_none() {
            self.at = self.bytes.len();
        }
        child
    }
}

pub(crate) fn blank(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Behind the closing quote of the string that begins at `start`; `None` if it has none.
pub(crate) fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    // Most strings are short, and a call costs more than a few bytes looked at here.
    for _ in 0..16 {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Behind the value that begins at `start`; `None` if there is none or it does not end.
pub(crate) fn value_end(bytes: &[u8], index: &Index, start: usize) -> Option<usize> {
    match bytes.get(start)? {
        // A short string is walked over sooner than it is looked up.
        b'"' => string_end(&bytes[..bytes.len().min(start + LARGE)], start)
            .or_else(|| index.end_of(start))
            .or_else(|| string_end(bytes, start)),
        b'{' | b'[' => index.end_of(start).or_else(|| container_end(bytes, start)),
        b',' | b':' | b'}' | b']' => None,
        _ => {
            let mut at = start;
            while !matches!(bytes.get(at), None | Some(b',' | b':' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n')) {
                at += 1;
            }
            Some(at)
        }
    }
}

fn container_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    let mut depth = 0_usize;
    loop {
        match CLASS[usize::from(*bytes.get(at)?)] {
            0 => at += 1,
            1 => at = string_end(bytes, at)?,
            2 => {
                depth += 1;
                at += 1;
            }
            _ => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
    }
}

/// The text a JSON string stands for. What is not one as JSON has it, is given as it is spelled.
pub(crate) fn decode(spelled: &[u8]) -> String {
    serde_json::from_slice(spelled).unwrap_or_else(|_| {
        let inner = spelled.strip_prefix(b"\"").unwrap_or(spelled);
        String::from_utf8_lossy(inner.strip_suffix(b"\"").unwrap_or(inner)).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn children(text: &str) -> Vec<&str> {
        let index = Index::build(text.as_bytes()).unwrap_or_default();
        Children::new(text.as_bytes(), &index, 0).map(|c| &text[c.value]).collect()
    }

    #[test]
    fn children_have_their_places() {
        assert_eq!(children(r#"{"a" : 1.50 ,"b\"":"x\"}" , "c":[1,{"d":[]}]}"#), ["1.50", r#""x\"}""#, r#"[1,{"d":[]}]"#]);
        assert_eq!(children("[ ]").len() + children("{}").len() + children("7").len(), 0);
        let large = format!(r#"[[{}0],{{"a":"{}"}},3]"#, "1,".repeat(LARGE), "x".repeat(LARGE));
        assert_eq!(children(&large).len(), 3);
    }

    #[test]
    fn only_one_balanced_container_has_an_index() {
        for text in ["", "7", "{", "[}", "{]", "[1]]", "[1] 2", "[\"", "[\"\\", "{\"a\":[1}"] {
            assert!(Index::build(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Index::build(b" [1, {\"a\": \"]\"}] \n").is_some());
        assert!(Index::build("[".repeat(DEEPEST + 1).as_bytes()).is_none());
    }

    #[test]
    fn broken_text_ends_the_walk() {
        for text in ["{", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":\"", "[", "[\"", "[{", "{\"a\\", "{,", "[,", "[1 2"] {
            assert!(children(text).len() <= 1, "{text}");
        }
    }
}
