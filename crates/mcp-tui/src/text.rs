//! Text from outside, made fit for a terminal: the one place where foreign characters become cells.
//!
//! A server chooses what it says. An escape sequence could retitle the window, a bidi control could reorder a path, a
//! zero-width character could hide in a name. Every widget writes by [`put`], and [`put`] writes only what [`visible`] gives.

use std::{borrow::Cow, fmt::Write as _};

use mcp_capture::text::is_hidden;
use ratatui::{buffer::Buffer, layout::Position, style::Style};
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// More marks than this on one letter are written out: they would climb over other lines.
const MARKS: usize = 2;

/// The text with everything spelled out that a terminal would obey, hide or draw elsewhere.
///
/// Control characters become `^[`, other unseen ones `<U+202E>`, a tab four blanks. Borrowed when nothing had to change.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| (b' '..0x7f).contains(&b)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut marks = 0_usize;
    let mut has_base = false;
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            '\0'..='\u{1f}' => out.extend(['^', char::from(c as u8 + b'@')]),
            '\u{7f}' => out.push_str("^?"),
            // Asks for a picture instead of a sign; terminals disagree about the width that follows.
            '\u{fe0e}' | '\u{fe0f}' => continue,
            _ if is_hidden(c) => {
                let _ = write!(out, "<U+{:04X}>", c as u32);
            }
            _ if is_mark(c) => {
                marks += 1;
                if !has_base {
                    out.push('\u{25cc}');
                    has_base = true;
                }
                if marks > MARKS {
                    let _ = write!(out, "<U+{:04X}>", c as u32);
                } else {
                    out.push(c);
                }
                continue;
            }
            _ => {
                out.push(c);
                marks = 0;
                has_base = true;
                continue;
            }
        }
        marks = 0;
        has_base = false;
    }
    Cow::Owned(out)
}

/// [`visible`], for bytes that may not be UTF-8: what is not, becomes `<FF>`.
pub fn visible_bytes(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return visible(text);
    }
    let mut out = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        out.push_str(&visible(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(out, "<{byte:02X}>");
        }
    }
    Cow::Owned(out)
}

fn is_mark(c: char) -> bool {
    unicode_width::UnicodeWidthChar::width(c) == Some(0)
}

/// How many cells the text takes.
pub fn width(text: &str) -> usize {
    // Counted as it is drawn: cluster by cluster.
    if text.is_ascii() { text.len() } else { text.graphemes(true).map(cells).sum() }
}

fn cells(cluster: &str) -> usize {
    cluster.width().min(2)
}

/// The text cut to so many cells, with `…` where something is missing. Never half of a wide character.
pub fn clip(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit || width(text) <= limit {
        return Cow::Borrowed(text);
    }
    if limit == 0 {
        return Cow::Borrowed("");
    }
    let mut used = 0;
    for (at, cluster) in text.grapheme_indices(true) {
        if used + cells(cluster) > limit - 1 {
            return Cow::Owned(format!("{}\u{2026}", &text[..at]));
        }
        used += cells(cluster);
    }
    Cow::Borrowed(text)
}

/// Writes foreign text at a place, at most so many cells; gives the column behind it.
pub fn put(buffer: &mut Buffer, at: (u16, u16), limit: u16, text: &str, style: Style) -> u16 {
    let area = buffer.area;
    if !area.contains(Position::new(at.0, at.1)) {
        return at.0;
    }
    let room = limit.min(area.right().saturating_sub(at.0));
    // A cell takes at most a few dozen bytes of text: nothing beyond is looked at, however long the text is.
    let text = head(text, usize::from(room) * 32 + 64);
    let shown = visible(text);
    let shown = clip(&shown, room.into());
    let mut x = at.0;
    for cluster in shown.graphemes(true) {
        let wide = u16::try_from(cells(cluster)).unwrap_or(2);
        if wide == 0 || x + wide > at.0 + room {
            continue;
        }
        buffer[(x, at.1)].set_symbol(cluster).set_style(style);
        for behind in x + 1..x + wide {
            buffer[(behind, at.1)].reset();
            buffer[(behind, at.1)].set_style(style);
        }
        x += wide;
    }
    x
}

/// At most so many bytes of the text, cut between characters.
pub fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Cuts text into lines of at most so many cells, between words where it can.
pub fn wrap(text: &str, limit: usize) -> Vec<String> {
    let limit = limit.max(1);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let shown = visible(paragraph.trim_end_matches('\r'));
        let mut line = String::new();
        let mut used = 0;
        for word in shown.split_word_bounds() {
            let wide = width(word);
            if used + wide > limit && used > 0 {
                lines.push(line.trim_end().to_owned());
                line.clear();
                used = 0;
                if word.trim().is_empty() {
                    continue;
                }
            }
            if wide > limit {
                for cluster in word.graphemes(true) {
                    if used + cells(cluster) > limit && used > 0 {
                        lines.push(std::mem::take(&mut line));
                        used = 0;
                    }
                    line.push_str(cluster);
                    used += cells(cluster);
                }
            } else {
                line.push_str(word);
                used += wide;
            }
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// A size as people read it: `512 B`, `90.7 kB`, `1.2 MB`.
#[expect(clippy::cast_precision_loss, reason = "one digit behind the point is shown")]
pub fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ratatui::layout::Rect;

    use super::*;

    /// What no widget may let through, in one string.
    pub(crate) const HOSTILE: &str = "a\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}txt.exe\u{200b}\u{feff}\0\tb\u{9b}31m日本e\u{301}\u{301}\u{301}\u{301}👨\u{200d}👩\u{fe0f}\r\nx\u{e0041}";

    /// No cell of the screen holds anything a terminal would obey or hide.
    pub(crate) fn assert_harmless(buffer: &Buffer) {
        for cell in buffer.content() {
            for c in cell.symbol().chars() {
                assert!(!c.is_control() && !mcp_capture::text::is_hidden(c), "{c:?} reached the screen");
            }
            assert!(cell.symbol().chars().count() <= 1 + MARKS, "{:?} in one cell", cell.symbol());
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out() {
        assert_eq!(visible("\u{1b}[2J\0\u{7f}"), "^[[2J^@^?");
        assert_eq!(visible("a\u{202e}b\u{200b}"), "a<U+202E>b<U+200B>");
        assert_eq!(visible("e\u{301}\u{301}\u{301}"), "e\u{301}\u{301}<U+0301>");
        assert_eq!(visible("\u{301}x"), "\u{25cc}\u{301}x");
        assert!(matches!(visible("plain"), Cow::Borrowed(_)));
        assert_eq!(visible_bytes(b"a\xff\xc3b"), "a<FF><C3>b");
    }

    #[test]
    fn a_cut_never_splits_a_wide_character() {
        assert_eq!(clip("日本語", 6), "日本語");
        assert_eq!(clip("日本語", 5), "日本\u{2026}");
        assert_eq!(clip("日本語", 4), "日\u{2026}");
        assert_eq!(clip("abc", 0), "");
        for limit in 0..40 {
            assert!(width(&clip(&visible(HOSTILE), limit)) <= limit);
        }
    }

    #[test]
    fn nothing_is_written_beyond_the_limit() {
        for limit in 0..60 {
            let mut buffer = Buffer::empty(Rect::new(0, 0, 50, 1));
            let end = put(&mut buffer, (3, 0), limit, HOSTILE, Style::new());
            assert!(end <= 50 && end <= 3 + limit);
            assert!((end..50).all(|x| buffer[(x, 0)].symbol() == " "));
            assert_harmless(&buffer);
        }
    }

    #[test]
    fn wrapped_lines_fit() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("日本語日本語", 4), ["日本", "語日", "本語"]);
        assert!(wrap(HOSTILE, 5).iter().all(|line| width(line) <= 5));
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!([size(0), size(999), size(90_700), size(1_250_000)], ["0 B", "999 B", "90.7 kB", "1.2 MB"]);
    }
}
