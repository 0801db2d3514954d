//! One box for commands, tools, sessions and whatever else is handed in, found by a few letters of its name.

use crossterm::event::KeyEvent;
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    keymap::Action,
    list::List,
    popup,
    prompt::{Prompt, Reply},
    text,
    theme::{Glyph, Role, Theme},
};

/// Something to choose.
#[derive(Clone, Debug)]
pub struct Item<T> {
    /// What kind: `command`, `tool`, `session`.
    pub kind: &'static str,
    /// Its name; this is searched.
    pub name: String,
    /// What it is for.
    pub help: String,
    /// The key that does the same.
    pub key: Option<String>,
    /// What the caller gets back.
    pub value: T,
}

/// The box.
#[derive(Clone, Debug)]
pub struct Palette<T> {
    items: Vec<Item<T>>,
    prompt: Prompt,
    found: Vec<(usize, Vec<usize>)>,
    list: List,
}

/// What came of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// Still open.
    Open,
    /// Closed without a choice.
    Closed,
    /// Chosen.
    Chosen(T),
}

impl<T: Clone> Palette<T> {
    /// A box with these to choose from.
    pub fn new(items: Vec<Item<T>>) -> Self {
        let mut palette = Self { items, prompt: Prompt::default(), found: Vec::new(), list: List::default() };
        palette.list.set_height(10);
        palette.find();
        palette
    }

    /// Other items, under the same letters.
    pub fn set_items(&mut self, items: Vec<Item<T>>) {
        self.items = items;
        self.find();
    }

    /// Takes a key that is text.
    pub fn key(&mut self, event: KeyEvent) -> Outcome<T> {
        if self.prompt.key(event) == Reply::Changed {
            self.find();
        }
        Outcome::Open
    }

    /// Takes pasted text.
    pub fn paste(&mut self, pasted: &str) {
        self.prompt.paste(pasted);
        self.find();
    }

    /// Takes an action.
    pub fn update(&mut self, action: Action) -> Outcome<T> {
        match action {
            Action::Accept => match self.list.selected().and_then(|at| self.found.get(at)) {
                Some((item, _)) => return Outcome::Chosen(self.items[*item].value.clone()),
                None => return Outcome::Open,
            },
            Action::Back => return Outcome::Closed,
            _ => _ = self.list.update(action),
        }
        Outcome::Open
    }

    fn find(&mut self) {
        let mut found: Vec<(u32, usize, Vec<usize>)> = self
            .items
            .iter()
            .enumerate()
            .filter_map(|(at, item)| score(self.prompt.line(), &item.name).map(|(points, places)| (points, at, places)))
            .collect();
        found.sort_by_key(|(points, at, _)| (std::cmp::Reverse(*points), *at));
        self.found = found.into_iter().map(|(_, at, places)| (at, places)).collect();
        self.list.set_total(self.found.len());
        self.list.select(0);
    }

    /// Draws the box in the middle of the area; gives the cursor's cell.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) -> Option<(u16, u16)> {
        let inside = popup::frame(popup::centred(area, 90, 16), "command", buffer, theme)?;
        let cursor = self.prompt.draw(Rect { height: 1, ..inside }, "", buffer, theme);
        let rows = Rect { y: inside.y + 1, height: inside.height.saturating_sub(1), ..inside };
        let mut list = self.list.clone();
        list.set_height(rows.height.into());
        if self.found.is_empty() && rows.height > 0 {
            text::put(buffer, (rows.x, rows.y), rows.width, "nothing has these letters in this order", theme.style(Role::Dim));
        }
        for (row, at) in list.window().enumerate() {
            let (number, places) = &self.found[at];
            let item = &self.items[*number];
            let y = rows.y + u16::try_from(row).unwrap_or(u16::MAX);
            if y >= rows.bottom() {
                break;
            }
            let is_cursor = list.selected() == Some(at);
            let look = |role| if is_cursor { theme.style(Role::Selected) } else { theme.style(role) };
            if is_cursor {
                buffer.set_style(Rect { y, height: 1, ..rows }, theme.style(Role::Selected));
                text::put(buffer, (rows.x, y), 1, theme.glyph(Glyph::Cursor), look(Role::Text));
            }
            text::put(buffer, (rows.x + 1, y), 9.min(rows.width), item.kind, look(Role::Dim));
            let mut x = rows.x + 10;
            for (letter, c) in item.name.chars().enumerate().take(usize::from(rows.width)) {
                let room = rows.right().saturating_sub(x).min(rows.width / 2);
                let style = if places.contains(&letter) { look(Role::Key).underlined() } else { look(Role::Text) };
                x = text::put(buffer, (x, y), room, c.encode_utf8(&mut [0; 4]), style);
            }
            let key = item.key.as_deref().unwrap_or_default();
            let wide = u16::try_from(text::width(key)).unwrap_or(0);
            let help = x.max(rows.x + 32) + 1;
            text::put(buffer, (help, y), rows.right().saturating_sub(help + wide + 1), &item.help, look(Role::Dim));
            text::put(buffer, (rows.right().saturating_sub(wide).max(rows.x), y), wide, key, look(Role::Key));
        }
        cursor
    }
}

/// How well a name fits the letters typed, and which of its letters they are; `None` if they are not in it in this order.
///
/// Letters at the beginning of words and in a row count more, a gap counts less; case counts only as a tie-breaker.
pub fn score(typed: &str, name: &str) -> Option<(u32, Vec<usize>)> {
    let wanted: Vec<char> = typed.chars().filter(|c| !c.is_whitespace()).collect();
    let letters: Vec<char> = name.chars().take(256).collect();
    if wanted.is_empty() {
        return Some((0, Vec::new()));
    }
    let same = |a: char, b: char| a == b || a.to_lowercase().eq(b.to_lowercase());
    let begins_word = |at: usize| {
        at == 0 || !letters[at - 1].is_alphanumeric() || (letters[at].is_uppercase() && letters[at - 1].is_lowercase())
    };
    // best[j]: the best way to have the letters so far, the last of them at j.
    let mut best: Vec<Option<i32>> = vec![None; letters.len()];
    let mut from: Vec<Vec<usize>> = Vec::new();
    for (turn, wanted_letter) in wanted.iter().enumerate() {
        let mut next = vec![None; letters.len()];
        let mut back = vec![usize::MAX; letters.len()];
        // The best so far among places that are not directly before.
        let mut behind: Option<(i32, usize)> = None;
        for at in 0..letters.len() {
            if at >= 2
                && let Some(points) = best[at - 2]
                && behind.is_none_or(|(most, _)| points > most)
            {
                behind = Some((points, at - 2));
            }
            if !same(*wanted_letter, letters[at]) {
                continue;
            }
            let bonus = if begins_word(at) { 8 } else { 0 } + i32::from(*wanted_letter == letters[at]);
            let reached = if turn == 0 {
                // A late beginning costs, but not without end.
                Some((16 - i32::try_from(at.min(10)).unwrap_or(10), usize::MAX))
            } else {
                let adjacent = at.checked_sub(1).and_then(|p| best[p].map(|points| (points + 22, p)));
                let apart = behind.map(|(points, p)| (points + 10, p));
                match (adjacent, apart) {
                    (Some(a), Some(b)) => Some(if a.0 >= b.0 { a } else { b }),
                    (a, b) => a.or(b),
                }
            };
            if let Some((points, place)) = reached {
                next[at] = Some(points + bonus);
                back[at] = place;
            }
        }
        best = next;
        from.push(back);
    }
    let (mut at, points) =
        best.iter().enumerate().filter_map(|(at, p)| p.map(|p| (at, p))).max_by_key(|(at, p)| (*p, usize::MAX - at))?;
    let mut places = Vec::with_capacity(wanted.len());
    for back in from.iter().rev() {
        places.push(at);
        at = back[at];
    }
    places.reverse();
    // Of two equal fits the shorter name is meant.
    let length = u32::try_from(letters.len()).unwrap_or(u32::MAX);
    Some((u32::try_from(points.max(0)).unwrap_or(0) * 256 + (256 - length.min(256)), places))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keymap::{Context, Press},
        testing::{shots, typed},
    };

    fn palette() -> Palette<&'static str> {
        let item = |kind, name: &str, key: Option<&str>, value| Item {
            kind,
            name: name.to_owned(),
            help: "what it is for".to_owned(),
            key: key.map(str::to_owned),
            value,
        };
        Palette::new(vec![
            item("command", "replay", Some("r"), "replay"),
            item("command", "release all", Some("A"), "release"),
            item("tool", "search_issues", None, "search"),
            item("session", text::tests::HOSTILE, None, "hostile"),
        ])
    }

    fn feed(palette: &mut Palette<&'static str>, script: &str) -> Outcome<&'static str> {
        let mut last = Outcome::Open;
        for press in typed(Context::Palette, script) {
            last = match press {
                Press::Action(action, _) => palette.update(action),
                Press::Text(event) => palette.key(event),
                _ => Outcome::Open,
            };
        }
        last
    }

    #[test]
    fn looks_right_at_every_size_with_and_without_colour() {
        let mut palette = palette();
        feed(&mut palette, "e");
        shots("palette", |area, buffer, theme| _ = palette.draw(area, buffer, theme));
    }

    #[test]
    fn a_few_letters_choose() {
        assert_eq!(feed(&mut palette(), "s i enter"), Outcome::Chosen("search"));
        assert_eq!(feed(&mut palette(), "r e l a enter"), Outcome::Chosen("release"));
        assert_eq!(feed(&mut palette(), "down enter"), Outcome::Chosen("release"));
        assert_eq!(feed(&mut palette(), "q q q enter"), Outcome::Open);
        assert_eq!(feed(&mut palette(), "r esc"), Outcome::Closed);
    }

    #[test]
    fn beginnings_of_words_and_rows_of_letters_come_first() {
        let better = |typed: &str, first: &str, second: &str| {
            let (a, b) = (score(typed, first).unwrap().0, score(typed, second).unwrap().0);
            assert!(a > b, "{typed}: {first} {a}, {second} {b}");
        };
        better("si", "search_issues", "missing");
        better("get", "get_file", "great_target");
        better("file", "get_file", "f_i_l_e_x");
        better("replay", "replay", "replay all");
        assert_eq!(score("ba", "ab"), None);
        assert_eq!(score("ÉT", "été").unwrap().1, [0, 1]);
        assert_eq!(score("si", "search_issues").unwrap().1, [0, 7]);
    }
}
