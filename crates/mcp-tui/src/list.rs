//! A table of any length of which only the rows on the screen are ever made.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    keymap::Action,
    text,
    theme::{Glyph, Role, Theme},
};

/// A column. The narrower the screen, the fewer columns: those with the largest `priority` go first.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// How many cells it needs at least.
    pub width: u16,
    /// Its share of what is left over; 0 keeps it as narrow as `width`.
    pub grow: u16,
    /// Numbers stand at the right.
    pub is_right: bool,
    /// 0 always stays.
    pub priority: u8,
}

/// What one row shows.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// A cell per column.
    pub cells: Vec<Cell>,
    /// A sign before the row: a mark, a warning.
    pub sign: Option<(Glyph, Role)>,
    /// How far the first growing column is indented: a row that was unfolded from another.
    pub indent: u16,
}

/// Text and what it is.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// What it is.
    pub role: Role,
}

impl Cell {
    /// A cell.
    pub fn new(text: impl Into<String>, role: Role) -> Self {
        Self { text: text.into(), role }
    }
}

/// Where the list stands. Rows are known by their number; the caller has the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    total: usize,
    cursor: usize,
    top: usize,
    height: usize,
    follows: bool,
}

/// What the mouse did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clicked {
    /// The cursor went to another row.
    Moved,
    /// The row that had the cursor was pressed once more.
    Opened,
}

impl List {
    /// How many rows there are now. With [`follow`](Self::follow) the cursor goes to the last.
    pub fn set_total(&mut self, total: usize) {
        self.total = total;
        self.cursor = if self.follows { total.saturating_sub(1) } else { self.cursor.min(total.saturating_sub(1)) };
        self.keep_in_sight();
    }

    /// How many rows fit; known from the last draw, or set before the first.
    pub fn set_height(&mut self, rows: usize) {
        self.height = rows;
        self.keep_in_sight();
    }

    /// How many rows there are.
    pub fn total(&self) -> usize {
        self.total
    }

    /// The row under the cursor.
    pub fn selected(&self) -> Option<usize> {
        (self.cursor < self.total).then_some(self.cursor)
    }

    /// To a row.
    pub fn select(&mut self, row: usize) {
        self.cursor = row.min(self.total.saturating_sub(1));
        self.keep_in_sight();
    }

    /// Whether the newest row keeps the cursor.
    pub fn is_following(&self) -> bool {
        self.follows
    }

    /// Switches following.
    pub fn follow(&mut self, follows: bool) {
        self.follows = follows;
        if follows {
            self.select(usize::MAX);
        }
    }

    /// The rows on the screen.
    pub fn window(&self) -> std::ops::Range<usize> {
        self.top..(self.top + self.height).min(self.total)
    }

    /// Takes an action; false if it is none of the list's. Moving up ends following, reaching the end by `Last` begins it
    /// only if it was on before.
    pub fn update(&mut self, action: Action) -> bool {
        let page = self.height.max(2) - 1;
        let half = (self.height / 2).max(1);
        let to = match action {
            Action::Up => self.cursor.saturating_sub(1),
            Action::Down => self.cursor.saturating_add(1),
            Action::First => 0,
            Action::Last => usize::MAX,
            Action::HalfUp => self.cursor.saturating_sub(half),
            Action::HalfDown => self.cursor.saturating_add(half),
            Action::PageUp => self.cursor.saturating_sub(page),
            Action::PageDown => self.cursor.saturating_add(page),
            Action::Follow => {
                self.follow(!self.follows);
                return true;
            }
            _ => return false,
        };
        if to < self.cursor {
            self.follows = false;
        }
        self.select(to);
        true
    }

    /// Takes a mouse event in the area the list was drawn in.
    pub fn mouse(&mut self, event: MouseEvent, area: Rect) -> Option<Clicked> {
        // The heading has the first line.
        self.mouse_on_rows(event, Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area })
    }

    /// As [`mouse`](Self::mouse), for rows without a heading.
    pub fn mouse_on_rows(&mut self, event: MouseEvent, area: Rect) -> Option<Clicked> {
        if !area.contains((event.column, event.row).into()) {
            return None;
        }
        match event.kind {
            MouseEventKind::ScrollUp => self.update(Action::Up).then_some(Clicked::Moved),
            MouseEventKind::ScrollDown => self.update(Action::Down).then_some(Clicked::Moved),
            MouseEventKind::Down(MouseButton::Left) => {
                let row = self.top + usize::from(event.row - area.y);
                if row >= self.total {
                    return None;
                }
                if row == self.cursor {
                    return Some(Clicked::Opened);
                }
                self.follows = false;
                self.select(row);
                Some(Clicked::Moved)
            }
            _ => None,
        }
    }

    fn keep_in_sight(&mut self) {
        let height = self.height.max(1);
        self.top = self.top.min(self.total.saturating_sub(height));
        if self.cursor < self.top {
            self.top = self.cursor;
        } else if self.cursor >= self.top + height {
            self.top = self.cursor + 1 - height;
        }
    }

    /// Draws a heading and the rows that fit; `row` is called for those only.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme, columns: &[Column], row: impl Fn(usize) -> Row) {
        if area.width < 4 || area.height == 0 {
            return;
        }
        let places = places(columns, area.width - 2);
        for (column, place) in columns.iter().zip(&places) {
            if let Some((x, width)) = *place {
                cell(buffer, (area.x + 2 + x, area.y), width, column.title, theme.style(Role::Dim), column.is_right);
            }
        }
        let rows = usize::from(area.height - 1);
        let top = if self.height == rows { self.top } else { Self { height: rows, ..self.clone() }.shown_top() };
        let growing = columns.iter().position(|c| c.grow > 0);
        for (line, number) in (top..self.total.min(top + rows)).enumerate() {
            let y = area.y + 1 + u16::try_from(line).unwrap_or(u16::MAX);
            let content = row(number);
            let is_cursor = number == self.cursor;
            if is_cursor {
                buffer.set_style(Rect { y, height: 1, ..area }, theme.style(Role::Selected));
                text::put(buffer, (area.x, y), 1, theme.glyph(Glyph::Cursor), theme.style(Role::Selected));
            }
            let look = |role| if is_cursor { theme.style(Role::Selected) } else { theme.style(role) };
            if let Some((glyph, role)) = content.sign {
                text::put(buffer, (area.x + 1, y), 1, theme.glyph(glyph), look(role));
            }
            for (at, (column, place)) in columns.iter().zip(&places).enumerate() {
                if let (Some((x, width)), Some(shown)) = (*place, content.cells.get(at)) {
                    let indent = if Some(at) == growing { content.indent.min(width / 2) } else { 0 };
                    let at = (area.x + 2 + x + indent, y);
                    cell(buffer, at, width - indent, &shown.text, look(shown.role), column.is_right);
                }
            }
        }
    }

    fn shown_top(mut self) -> usize {
        self.keep_in_sight();
        self.top
    }
}

/// Where each column stands, if it does: an offset and a width.
pub fn places(columns: &[Column], width: u16) -> Vec<Option<(u16, u16)>> {
    let mut kept: Vec<bool> = vec![true; columns.len()];
    let need = |kept: &[bool]| -> u16 {
        columns.iter().zip(kept).filter(|(_, k)| **k).map(|(c, _)| c.width + 1).sum::<u16>().saturating_sub(1)
    };
    while need(&kept) > width {
        let worst = (0..columns.len()).filter(|at| kept[*at] && columns[*at].priority > 0).max_by_key(|at| columns[*at].priority);
        let Some(worst) = worst else { break };
        kept[worst] = false;
    }
    let spare = width.saturating_sub(need(&kept));
    let shares: u16 = columns.iter().zip(&kept).filter(|(_, k)| **k).map(|(c, _)| c.grow).sum();
    let mut x = 0;
    columns
        .iter()
        .zip(&kept)
        .map(|(column, is_kept)| {
            if !is_kept || x >= width {
                return None;
            }
            let more = if shares == 0 {
                0
            } else {
                u16::try_from(u32::from(spare) * u32::from(column.grow) / u32::from(shares)).unwrap_or(0)
            };
            let wide = (column.width + more).min(width - x);
            let place = (x, wide);
            x += wide + 1;
            Some(place)
        })
        .collect()
}

fn cell(buffer: &mut Buffer, (x, y): (u16, u16), width: u16, content: &str, style: Style, is_right: bool) {
    let used = if is_right { text::width(&text::visible(text::head(content, 256))) } else { 0 };
    let shift = if is_right { width.saturating_sub(u16::try_from(used).unwrap_or(width)) } else { 0 };
    text::put(buffer, (x + shift, y), width - shift, content, style);
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyModifiers;

    use super::*;
    use crate::testing::{shot, shots};

    const COLUMNS: [Column; 4] = [
        Column { title: "#", width: 7, grow: 0, is_right: true, priority: 0 },
        Column { title: "from", width: 8, grow: 0, is_right: false, priority: 2 },
        Column { title: "op", width: 20, grow: 1, is_right: false, priority: 0 },
        Column { title: "bytes", width: 8, grow: 0, is_right: true, priority: 3 },
    ];

    fn row(number: usize) -> Row {
        let cells = vec![
            Cell::new(number.to_string(), Role::Dim),
            Cell::new("claude", Role::Text),
            Cell::new(
                if number.is_multiple_of(3) { text::tests::HOSTILE.to_owned() } else { format!("tools/call {number}") },
                Role::Ok,
            ),
            Cell::new(text::size(number * 37), Role::Number),
        ];
        Row {
            cells,
            sign: (number.is_multiple_of(5)).then_some((Glyph::Warn, Role::Warn)),
            indent: u16::from(number % 2 == 1) * 2,
        }
    }

    fn list(total: usize, height: usize) -> List {
        let mut list = List::default();
        list.set_height(height);
        list.set_total(total);
        list
    }

    #[test]
    fn looks_right_at_every_size_with_and_without_colour() {
        let mut list = list(1_000_000, 23);
        list.select(999_990);
        shots("list", |area, buffer, theme| list.draw(area, buffer, theme, &COLUMNS, row));
    }

    #[test]
    fn only_rows_on_the_screen_are_made() {
        let list = list(1_000_000, 23);
        let made = std::cell::Cell::new(0);
        shot(80, 24, Theme::default(), |area, buffer, theme| {
            list.draw(area, buffer, theme, &COLUMNS, |number| {
                made.set(made.get() + 1);
                row(number)
            });
        });
        assert_eq!(made.get(), 23);
    }

    #[test]
    fn keys_move_within_the_rows_and_the_cursor_stays_in_sight() {
        let mut list = list(100, 10);
        for (action, wanted) in [
            (Action::Up, 0),
            (Action::Down, 1),
            (Action::PageDown, 10),
            (Action::HalfDown, 15),
            (Action::Last, 99),
            (Action::Down, 99),
            (Action::HalfUp, 94),
            (Action::PageUp, 85),
            (Action::First, 0),
        ] {
            assert!(list.update(action));
            assert_eq!(list.selected(), Some(wanted), "{action:?}");
            assert!(list.window().contains(&wanted));
        }
        assert!(!list.update(Action::Quit));
    }

    #[test]
    fn following_keeps_to_the_newest_row_until_one_moves_up() {
        let mut list = list(10, 5);
        list.update(Action::Follow);
        list.set_total(50);
        assert_eq!(list.selected(), Some(49));
        list.update(Action::Up);
        list.set_total(60);
        assert_eq!((list.selected(), list.is_following()), (Some(48), false));
    }

    #[test]
    fn a_click_moves_and_a_second_one_opens() {
        let mut list = list(100, 10);
        let area = Rect::new(2, 3, 40, 11);
        let click =
            |row| MouseEvent { kind: MouseEventKind::Down(MouseButton::Left), column: 5, row, modifiers: KeyModifiers::NONE };
        assert_eq!(list.mouse(click(8), area), Some(Clicked::Moved));
        assert_eq!(list.selected(), Some(4));
        assert_eq!(list.mouse(click(8), area), Some(Clicked::Opened));
        assert_eq!(list.mouse(click(3), area), None);
        assert_eq!(list.mouse(click(50), area), None);
    }

    #[test]
    fn columns_go_by_priority_when_it_gets_narrow() {
        let titles = |width| -> Vec<&str> {
            COLUMNS.iter().zip(places(&COLUMNS, width)).filter_map(|(c, p)| p.map(|_| c.title)).collect()
        };
        assert_eq!(titles(60), ["#", "from", "op", "bytes"]);
        assert_eq!(titles(40), ["#", "from", "op"]);
        assert_eq!(titles(30), ["#", "op"]);
        for width in 0..200 {
            assert!(places(&COLUMNS, width).iter().flatten().all(|(x, w)| x + w <= width));
        }
    }

    #[test]
    fn no_rows_and_no_room_are_no_panic() {
        let empty = list(0, 0);
        assert_eq!(empty.selected(), None);
        for width in 0..12 {
            for height in 0..4 {
                shot(width, height, Theme::default(), |area, buffer, theme| empty.draw(area, buffer, theme, &COLUMNS, row));
            }
        }
    }
}
