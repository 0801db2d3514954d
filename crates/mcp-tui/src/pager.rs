//! Text of any size, page by page, with a search. Long lines are wrapped when they are shown, and only those.

use bytes::Bytes;
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    keymap::Action,
    text,
    theme::{Role, Theme},
};

/// A line longer than this is cut into several.
const LONGEST: usize = 512;

/// A text and the place one reads.
#[derive(Clone, Debug)]
pub struct Pager {
    bytes: Bytes,
    /// Where lines begin.
    starts: Vec<usize>,
    top: usize,
    height: usize,
    words: String,
    hit: Option<usize>,
}

impl Pager {
    /// A text, read from its beginning.
    pub fn new(bytes: Bytes) -> Self {
        let mut starts = vec![0];
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', &bytes).chain([bytes.len()]) {
            while end - begin > LONGEST {
                begin += LONGEST;
                // Not in the middle of a character; four bytes on, it is no character anyway.
                begin += bytes[begin..].iter().take(4).take_while(|b| (0x80..0xc0).contains(*b)).count();
                starts.push(begin);
            }
            begin = end + 1;
            if begin < bytes.len() {
                starts.push(begin);
            }
        }
        Self { bytes, starts, top: 0, height: 1, words: String::new(), hit: None }
    }

    /// How many rows fit.
    pub fn set_height(&mut self, rows: usize) {
        self.height = rows.max(1);
    }

    /// How many lines there are; very long ones count as several.
    pub fn line_count(&self) -> usize {
        self.starts.len()
    }

    /// The whole text.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Takes an action; false if it is none of the pager's.
    pub fn update(&mut self, action: Action) -> bool {
        let last = self.starts.len().saturating_sub(self.height);
        let page = self.height.max(2) - 1;
        self.top = match action {
            Action::Up => self.top.saturating_sub(1),
            Action::Down => self.top + 1,
            Action::HalfUp => self.top.saturating_sub((self.height / 2).max(1)),
            Action::HalfDown => self.top + (self.height / 2).max(1),
            Action::PageUp => self.top.saturating_sub(page),
            Action::PageDown => self.top + page,
            Action::First => 0,
            Action::Last => last,
            Action::NextHit => {
                self.go(self.hit.map_or(0, |hit| hit + 1));
                return true;
            }
            Action::PreviousHit => {
                let before = self.hit.unwrap_or(self.bytes.len());
                self.show(self.found_before(before).or_else(|| self.found_before(self.bytes.len())));
                return true;
            }
            _ => return false,
        }
        .min(last);
        true
    }

    /// Sets what to look for and goes to the first hit from the top of the page on; false if there is none.
    pub fn search(&mut self, words: &str) -> bool {
        words.clone_into(&mut self.words);
        self.go(self.starts[self.top])
    }

    fn go(&mut self, from: usize) -> bool {
        let found = self.found_from(from).or_else(|| self.found_from(0));
        self.show(found)
    }

    fn show(&mut self, found: Option<usize>) -> bool {
        self.hit = found;
        if let Some(offset) = found {
            let line = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
            if !(self.top..self.top + self.height).contains(&line) {
                self.top = line.saturating_sub(self.height / 3).min(self.starts.len().saturating_sub(self.height));
            }
        }
        found.is_some()
    }

    fn is_hit(&self, at: usize) -> bool {
        let words = self.words.as_bytes();
        let is_lower = !self.words.chars().any(char::is_uppercase);
        self.bytes.get(at..at + words.len()).is_some_and(|p| if is_lower { p.eq_ignore_ascii_case(words) } else { p == words })
    }

    fn found_from(&self, from: usize) -> Option<usize> {
        let first = *self.words.as_bytes().first()?;
        let rest = self.bytes.get(from..)?;
        memchr::memchr2_iter(first, first.to_ascii_uppercase(), rest).map(|at| from + at).find(|at| self.is_hit(*at))
    }

    fn found_before(&self, end: usize) -> Option<usize> {
        let first = *self.words.as_bytes().first()?;
        memchr::memrchr2_iter(first, first.to_ascii_uppercase(), self.bytes.get(..end)?).find(|at| self.is_hit(*at))
    }

    /// Draws the lines that fit, wrapped.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        if area.width == 0 {
            return;
        }
        let mut y = area.y;
        for line in self.top..self.starts.len() {
            let end = self.starts.get(line + 1).copied().unwrap_or(self.bytes.len());
            let start = self.starts[line];
            let content = &self.bytes[start..end];
            let content = content.strip_suffix(b"\n").unwrap_or(content);
            let shown = text::visible_bytes(content.strip_suffix(b"\r").unwrap_or(content)).into_owned();
            let has_hit = self.hit.is_some_and(|hit| (start..end.max(start + 1)).contains(&hit));
            for piece in text::wrap(&shown, area.width.into()) {
                if y >= area.bottom() {
                    return;
                }
                text::put(buffer, (area.x, y), area.width, &piece, theme.style(if has_hit { Role::Hit } else { Role::Text }));
                y += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{letters, shot, shots};

    fn sample() -> Pager {
        let mut bytes = b"first line\r\nsecond\n\n".to_vec();
        bytes.extend(text::tests::HOSTILE.as_bytes());
        bytes.extend(b"\xff\xfe\n");
        bytes.extend("words that wrap ".repeat(20).as_bytes());
        bytes.extend((0..100).flat_map(|n| format!("\nline {n}").into_bytes()));
        Pager::new(bytes.into())
    }

    #[test]
    fn looks_right_at_every_size_with_and_without_colour() {
        let mut pager = sample();
        pager.set_height(24);
        pager.search("second");
        shots("pager", |area, buffer, theme| pager.draw(area, buffer, theme));
    }

    #[test]
    fn a_search_goes_round_in_both_directions() {
        let mut pager = sample();
        pager.set_height(10);
        assert!(pager.search("LINE 5") || pager.search("line 5"));
        let top = pager.top;
        assert!(top > 0);
        for _ in 0..11 {
            pager.update(Action::NextHit);
        }
        assert_eq!(pager.top, top);
        pager.update(Action::PreviousHit);
        assert!(pager.top > top);
        assert!(!pager.search("absent"));
    }

    #[test]
    fn a_line_without_end_is_cut_between_characters() {
        let pager = Pager::new("日".repeat(100_000).into());
        assert!(pager.line_count() > 500);
        let seen = letters(&shot(80, 24, Theme::default(), |a, b, t| pager.draw(a, b, t)));
        assert!(!seen.contains('<'), "{seen}");
    }
}
