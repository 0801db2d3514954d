//! A screen to look at the widgets and at how the terminal is taken and given back: `cargo run -p mcp-tui --example look`.
//!
//! `o` runs a program in between, `X` panics, a file name as argument opens that file as a tree.

use std::{env, error::Error, fs, io, process::Command, time::Instant};

use crossterm::event::Event;
use mcp_tui::{
    keymap::{Action, Context, Keymap, Press, footer},
    list::{Cell, Column, List, Row},
    popup::Page,
    terminal::{After, Options, Screen, Session, Wake},
    text,
    theme::{Role, Theme},
    tree::{Payload, Reply},
};
use ratatui::{Frame, layout::Rect};

const COLUMNS: [Column; 3] = [
    Column { title: "#", width: 8, grow: 0, is_right: true, priority: 0 },
    Column { title: "op", width: 20, grow: 1, is_right: false, priority: 0 },
    Column { title: "status", width: 8, grow: 0, is_right: false, priority: 1 },
];

struct Look {
    keymap: Keymap,
    theme: Theme,
    list: List,
    payload: Option<Payload>,
    page: Option<Page>,
    height: usize,
}

struct RunEditor;

impl Screen for Look {
    type Effect = RunEditor;

    fn update(&mut self, wake: Wake, _now: Instant, effects: &mut Vec<RunEditor>) -> After {
        let key = match wake {
            Wake::Quit => return After::Leave,
            Wake::Event(Event::Key(key)) => key,
            Wake::Event(Event::Resize(_, rows)) => {
                self.fit(rows);
                return After::Draw;
            }
            Wake::Event(_) | Wake::Tick | Wake::Changed | Wake::Suspend | Wake::Resumed => return After::Nothing,
        };
        let action = match self.keymap.press(&[self.context()], key) {
            Press::Action(action, _) => action,
            Press::Pending | Press::Text(_) | Press::Unbound => return After::Nothing,
        };
        match action {
            Action::Quit => return After::Leave,
            Action::Suspend => return After::Suspend,
            Action::Redraw => return After::Redraw,
            Action::External => effects.push(RunEditor),
            Action::Drop => panic!("as was asked"),
            Action::Back => self.page = None,
            Action::Help => self.page = Some(Page::help(&[self.context()], "")),
            _ => match (&mut self.page, &mut self.payload) {
                (Some(page), _) => _ = page.update(action),
                (None, Some(payload)) => {
                    if let Reply::Open(bytes) = payload.update(action) {
                        self.page = Some(Page::new("value", bytes));
                    }
                }
                (None, None) => _ = self.list.update(action),
            },
        }
        After::Draw
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let body = Rect { height: area.height.saturating_sub(1), ..area };
        let buffer = frame.buffer_mut();
        match &self.payload {
            Some(payload) => payload.draw(body, buffer, &self.theme),
            None => self.list.draw(body, buffer, &self.theme, &COLUMNS, |number| Row {
                cells: vec![
                    Cell::new(number.to_string(), Role::Dim),
                    Cell::new(format!("tools/call tool_{}", number % 7), Role::Text),
                    Cell::new("ok", Role::Ok),
                ],
                ..Row::default()
            }),
        }
        if let Some(page) = &self.page {
            page.draw(body, buffer, &self.theme);
        }
        let keys: Vec<String> = footer(&[self.context()], |_| true).iter().map(|(key, word)| format!("{key} {word}")).collect();
        text::put(buffer, (area.x, body.bottom()), area.width, &keys.join("  "), self.theme.style(Role::Dim));
    }
}

impl Look {
    fn context(&self) -> Context {
        match (&self.page, &self.payload) {
            (Some(_), _) => Context::Help,
            (None, Some(_)) => Context::Tree,
            (None, None) => Context::Calls,
        }
    }

    fn fit(&mut self, rows: u16) {
        self.height = usize::from(rows).saturating_sub(1);
        self.list.set_height(self.height.saturating_sub(1));
        if let Some(payload) = &mut self.payload {
            payload.set_height(self.height);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let payload = env::args_os().nth(1).map(fs::read).transpose()?.map(|bytes| Payload::open(bytes.into()));
    let mut look = Look {
        keymap: Keymap::default(),
        theme: Theme::detect(None, |name| env::var(name).ok()),
        list: List::default(),
        payload,
        page: None,
        height: 24,
    };
    look.list.set_total(1_000_000);
    let mut session = Session::start(Options::default())?;
    look.fit(crossterm::terminal::size()?.1);
    session.run(&mut look, &mut |RunEditor, session: &mut Session| -> io::Result<()> {
        let editor = env::var("EDITOR").unwrap_or_else(|_| "true".to_owned());
        session.outside(|| Command::new(editor).status())??;
        Ok(())
    })?;
    Ok(())
}
