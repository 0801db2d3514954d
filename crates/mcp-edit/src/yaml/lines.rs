//! Lines and columns of the original text.

/// A line break of the text, in the spelling most of the file uses (judged by the first one).
pub(super) fn newline(text: &str) -> &'static str {
    match text.find(['\n', '\r']) {
        Some(i) if text[i..].starts_with("\r\n") => "\r\n",
        Some(i) if text.as_bytes()[i] == b'\r' => "\r",
        _ => "\n",
    }
}

/// The line break at an offset; where there is none, `otherwise`.
pub(super) fn break_at(text: &str, at: usize, otherwise: &'static str) -> &'static str {
    let rest = &text[at..];
    ["\r\n", "\n", "\r"].into_iter().find(|nl| rest.starts_with(nl)).unwrap_or(otherwise)
}

/// The end of the line above the one that starts at `line`.
pub(super) fn end_above(text: &str, line: usize) -> usize {
    let before = &text[..line];
    before.strip_suffix("\r\n").or_else(|| before.strip_suffix(['\n', '\r'])).unwrap_or(before).len()
}

/// The offset of the line break that ends the line of `at`, or of the end of the text.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    memchr::memchr2(b'\n', b'\r', &text.as_bytes()[at..]).map_or(text.len(), |i| at + i)
}

/// The offset after the line break that ends the line of `at`.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    let end = line_end(text, at);
    let rest = &text[end..];
    if rest.starts_with("\r\n") { end + 2 } else { text.len().min(end + 1) }
}

/// The offset of the first character of the line of `at`; a byte order mark is not part of its line.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    let start = memchr::memrchr2(b'\n', b'\r', &text.as_bytes()[..at]).map_or(0, |i| i + 1);
    if start == 0 && text.starts_with('\u{feff}') { '\u{feff}'.len_utf8().min(at) } else { start }
}

/// The column of an offset, from 0, counted in characters.
pub(super) fn column(text: &str, at: usize) -> usize {
    text[line_start(text, at)..at].chars().count()
}

/// Whether only blanks stand before `at` on its line.
pub(super) fn first_on_line(text: &str, at: usize) -> bool {
    is_blank(&text[line_start(text, at)..at])
}

/// Whether a line break stands between two offsets.
pub(super) fn broken(text: &str, from: usize, to: usize) -> bool {
    text[from..to].contains(['\n', '\r'])
}

/// Whether a text is spaces and tabs only.
pub(super) fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| b == b' ' || b == b'\t')
}

/// The first offset from `at` on that is neither blank nor part of a line break or comment.
pub(super) fn skip_trivia(text: &str, mut at: usize) -> usize {
    let bytes = text.as_bytes();
    if at == 0 && text.starts_with('\u{feff}') {
        at = '\u{feff}'.len_utf8();
    }
    while let Some(byte) = bytes.get(at) {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            b'#' => at = line_end(text, at),
            _ => break,
        }
    }
    at
}

/// Where content that ends at `end` really ends: at the end of its line, or of the comment lines that follow and are
/// indented deeper than `column`, as these belong to it and not to what comes next.
pub(super) fn with_comments(text: &str, end: usize, column: usize) -> usize {
    let mut last = line_end(text, end);
    let mut line = next_line(text, end);
    while line < text.len() && line > last {
        let eol = line_end(text, line);
        let content = text[line..eol].trim_start_matches([' ', '\t']);
        if content.starts_with('#') {
            if eol - line - content.len() <= column {
                break;
            }
            last = eol;
        } else if !content.is_empty() {
            break;
        }
        let next = next_line(text, line);
        if next == line {
            break;
        }
        line = next;
    }
    last
}
