//! What the mouse does.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::data::Effect;
use super::open::Pane;
use super::view::areas;
use super::{App, Screen};
use crate::keymap::Action;
use crate::list::Clicked;
use crate::popup::frame_inside;
use crate::terminal::After;

impl App {
    pub(super) fn mouse(&mut self, event: MouseEvent, effects: &mut Vec<Effect>) -> After {
        let scroll = match event.kind {
            MouseEventKind::ScrollUp => Some(Action::Up),
            MouseEventKind::ScrollDown => Some(Action::Down),
            MouseEventKind::Down(MouseButton::Left) => None,
            _ => return After::Nothing,
        };
        if self.overlay.is_some() {
            if let Some(action) = scroll {
                self.overlay_action(action, effects);
                return After::Draw;
            }
            return After::Nothing;
        }
        let at = (event.column, event.row).into();
        if let (Screen::Calls, Some(open)) = (&self.screen, &mut self.open) {
            let areas = areas(self.size, self.layout, open.panel.is_some());
            if let Some(area) = areas.list.filter(|a| a.contains(at)) {
                let clicked = open.list.mouse(event, frame_inside(area));
                if scroll.is_none() {
                    open.pane = Pane::List;
                }
                open.look();
                if clicked == Some(Clicked::Opened) {
                    open.pane = Pane::Detail;
                }
            } else if areas.detail.is_some_and(|a| a.contains(at)) {
                match scroll {
                    Some(action) => {
                        if let Some(page) = open.detail.page() {
                            page.update(action);
                        }
                    }
                    None => open.pane = Pane::Detail,
                }
            } else if let Some(area) = areas.panel.filter(|a| a.contains(at)) {
                open.pane = Pane::Panel;
                if open.panel_list.mouse(event, frame_inside(area)) == Some(Clicked::Opened) {
                    self.act(Action::Open, effects);
                }
            }
        } else {
            let area = ratatui::layout::Rect { y: 1, height: self.size.height.saturating_sub(2), ..self.size };
            if self.sessions.list.mouse(event, frame_inside(area)) == Some(Clicked::Opened) {
                self.act(Action::Open, effects);
            }
        }
        After::Draw
    }
}
