//! The inspector: model, update and view.
//!
//! [`App`] takes messages and says what is to be done outside ([`Effect`]); it reads the capture it was handed and touches
//! nothing else. Screens are [`sessions`] and [`calls`]; what lies over them is in [`overlay`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crossterm::event::Event;
use mcp_capture::RowKind;
use ratatui::layout::Rect;

use crate::keymap::{Action, Keymap, Press};
use crate::popup::{Page, Toasts, Tone};
use crate::terminal::{After, Wake};
use crate::theme::Theme;

mod actions;
mod calls;
mod compare;
pub mod data;
mod detail;
mod held;
mod mouse;
mod open;
mod overlay;
mod sessions;
mod timeline;
mod tools;
mod view;

pub use data::{Asked, CopyAs, Effect, FindingLine, Held, Live, Msg, SessionLine, Severity, Target, ToolLine};

use detail::Tab;
use open::{Open, Pane};
use overlay::Overlay;
use sessions::Sessions;

/// Which screen there is below all else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screen {
    /// All sessions.
    Sessions,
    /// One session.
    Calls,
}

/// How list and detail stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Layout {
    /// As the width has it.
    #[default]
    Auto,
    /// One above the other.
    Stacked,
    /// Beside each other.
    Beside,
    /// The detail alone.
    Detail,
    /// The list alone.
    List,
}

/// Where those who carry out effects put what came of them; the screen looks when it is woken.
pub type Inbox = Arc<Mutex<VecDeque<Msg>>>;

/// The model.
pub struct App {
    theme: Theme,
    keymap: Keymap,
    screen: Screen,
    layout: Layout,
    size: Rect,
    sessions: Sessions,
    open: Option<Open>,
    overlay: Option<Overlay>,
    toasts: Toasts,
    inbox: Inbox,
    /// Lines of the filter that were used, oldest first.
    history: Vec<String>,
    filter_before: Option<String>,
    search_words: String,
    /// Where requests of the user go, once that was asked.
    target: Option<Target>,
    pending_send: Option<(String, String)>,
    pending_form: Option<(String, Option<String>)>,
    /// Seconds east of UTC.
    utc_offset: i32,
    now_ms: u64,
    /// There is no list of sessions to go back to.
    is_alone: bool,
}

impl App {
    /// Nothing known yet. `history` are filters used before; `utc_offset` is in seconds east of UTC.
    pub fn new(theme: Theme, inbox: Inbox, history: Vec<String>, utc_offset: i32) -> Self {
        Self {
            theme,
            keymap: Keymap::default(),
            screen: Screen::Sessions,
            layout: Layout::Auto,
            size: Rect::new(0, 0, 80, 24),
            sessions: Sessions::default(),
            open: None,
            overlay: None,
            toasts: Toasts::default(),
            inbox,
            history,
            filter_before: None,
            search_words: String::new(),
            target: None,
            pending_send: None,
            pending_form: None,
            utc_offset,
            now_ms: 0,
            is_alone: false,
        }
    }

    /// The session on the screen, for those who carry out effects.
    pub fn session(&self) -> Option<&mcp_capture::Session> {
        self.open.as_ref().map(|open| &open.session)
    }

    /// A few lines about what was seen, for when the program leaves.
    pub fn summary(&self) -> Option<String> {
        let open = self.open.as_ref()?;
        let counts = *open.counts();
        let calls = open.session.rows().iter(open.session.index()).filter(|row| row.kind == RowKind::Operation).count();
        let time = |t: Option<u64>| t.map_or_else(|| "-".to_owned(), detail::duration);
        Some(format!(
            "{}: {calls} calls, {} failed, {} pending, p50 {}, p95 {}, {} gaps, {} findings\n{}",
            open.session.header().server,
            counts.errors,
            counts.pending,
            time(counts.p50),
            time(counts.p95),
            counts.gaps,
            open.findings.len(),
            open.session.path().display()
        ))
    }

    /// Takes a message. Gives what the terminal has to do.
    pub fn take(&mut self, msg: Msg, now: Instant, effects: &mut Vec<Effect>) -> After {
        let after = self.dispatch(msg, now, effects);
        if after != After::Nothing {
            self.lay_out();
        }
        after
    }

    fn dispatch(&mut self, msg: Msg, now: Instant, effects: &mut Vec<Effect>) -> After {
        match msg {
            Msg::Key(key) => match self.keymap.press(&self.contexts(), key) {
                Press::Action(Action::Suspend, _) => return After::Suspend,
                Press::Action(Action::Redraw, _) => return After::Redraw,
                Press::Action(Action::Quit, _) => return After::Leave,
                Press::Action(action, _) => {
                    if !self.overlay_action(action, effects) {
                        self.act(action, effects);
                    }
                }
                Press::Text(key) => self.overlay_key(key, effects),
                Press::Pending => {}
                Press::Unbound => return After::Nothing,
            },
            Msg::Mouse(event) => return self.mouse(event, effects),
            Msg::Paste(text) => self.overlay_paste(&text),
            Msg::Resize(width, height) => self.size = Rect::new(0, 0, width, height),
            Msg::Tick(at) => return if self.toasts.tick(at) { After::Draw } else { After::Nothing },
            Msg::Changed => return self.changed(now),
            Msg::Filter(text) => {
                if let Some(open) = &mut self.open
                    && let Err(e) = open.set_filter(&text)
                {
                    self.toasts.say(Tone::Failure, e.to_string(), now);
                }
            }
            Msg::Sessions(lines) => self.sessions.set(lines),
            Msg::Opened(session) => self.opened(session, effects),
            Msg::OpenedOther(session) => self.compare_sessions(&session),
            Msg::Failed(text) => self.toasts.say(Tone::Failure, text, now),
            Msg::Done(text) => self.toasts.say(Tone::Done, text, now),
            Msg::Live(live) => {
                if let Some(open) = &mut self.open {
                    open.set_live(live);
                }
            }
            Msg::Findings(findings) => {
                if let Some(open) = &mut self.open {
                    open.set_findings(findings);
                }
            }
            Msg::Tools(tools) => {
                if let Some(open) = &mut self.open {
                    open.tools = tools;
                    open.size_panel();
                }
            }
            Msg::Marks(marks) => {
                if let Some(open) = &mut self.open {
                    open.marks = marks;
                }
            }
            Msg::Edited(text) => {
                if let Some(Overlay::Form(form, _)) = &mut self.overlay {
                    form.set_raw(&text);
                }
            }
            Msg::Asked(asked) => self.ask(asked),
            Msg::Page { title, text } => self.overlay = Some(Overlay::Page(Page::new(title, text))),
            Msg::Confirm { title, what, verb, effect } => {
                let confirm = crate::popup::Confirm { title, what, verb, is_final: matches!(*effect, Effect::Delete(_)) };
                self.overlay = Some(Overlay::Confirm(confirm, effect));
            }
        }
        After::Draw
    }

    fn changed(&mut self, now: Instant) -> After {
        match self.open.as_mut().map(Open::refresh) {
            Some(Ok(true)) => After::Draw,
            Some(Err(e)) => {
                self.toasts.say(Tone::Failure, e, now);
                After::Draw
            }
            _ => After::Nothing,
        }
    }

    fn opened(&mut self, session: mcp_capture::Session, effects: &mut Vec<Effect>) {
        self.is_alone |= !self.sessions.is_known;
        self.open = Some(Open::new(session));
        self.screen = Screen::Calls;
        self.target = None;
        self.overlay = None;
        effects.push(Effect::Lint);
    }

    pub(crate) fn say(&mut self, tone: Tone, text: impl Into<String>) {
        self.toasts.say(tone, text, Instant::now());
    }

    /// Whether an action would do anything now; the footer shows only those.
    pub(crate) fn can(&self, action: Action) -> bool {
        let Some(open) = self.open.as_ref().filter(|_| self.screen == Screen::Calls) else {
            let line = self.sessions.selected();
            return match action {
                Action::Open | Action::Mark | Action::Export | Action::Delete | Action::WriteCassette => line.is_some(),
                Action::DiffSessions => self.sessions.marked.is_some() && line.is_some(),
                Action::Restart
                | Action::Capabilities
                | Action::Filter
                | Action::Layout
                | Action::NextHit
                | Action::PreviousHit
                | Action::Back => false,
                _ => true,
            };
        };
        let row = open.selected_row().and_then(|row| open.row(row));
        let is_held = matches!(open.selected(), Some(open::Item::Held(_)));
        let is_operation = row.is_some_and(|row| row.kind == RowKind::Operation);
        match action {
            Action::Release | Action::ReleaseAll | Action::Drop | Action::EditHeld => !open.live.held.is_empty(),
            Action::Breakpoint | Action::Fault | Action::Restart => open.live.can_act,
            Action::ClearRules => !open.live.rules.is_empty(),
            Action::Replay | Action::EditAndSend => is_operation,
            Action::DiffWithMark => is_operation && open.marks.iter().any(|m| !m.removed && m.frame != 0),
            Action::JumpToMark => open.marks.iter().any(|m| !m.removed && m.frame != 0),
            Action::Open => row.is_some() || is_held,
            Action::Mark | Action::Comment | Action::Copy => row.is_some(),
            Action::Back => !self.is_alone || open.pane != Pane::List || open.panel.is_some() || !open.filter_text.is_empty(),
            _ => true,
        }
    }
}

const FILTER_WORDS: &str = "THE FILTER
  words                     messages that hold this text
  tool:search*              the tool of a call; also method: name: id: client: server: from: dir: session:
  is:error                  also pending late cancelled held lint stderr stray gap ok nested notification
  dur>500ms  size>10kB      how long it took, how much was said; tok>1000 estimated tokens of the answer
  since:5m                  the last five minutes; a time of day also
  text~\"a regex\"            messages that fit an expression
  json $.params.arguments.repo = \"acme\"
  and or not ( )            terms beside each other are joined by `and`

  n and N go to the next trouble: errors, findings, stray output, gaps.";

impl crate::terminal::Screen for App {
    type Effect = Effect;

    fn update(&mut self, wake: Wake, now: Instant, effects: &mut Vec<Effect>) -> After {
        self.now_ms = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        let mut after = After::Nothing;
        loop {
            let next = self.inbox.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(msg) = next else { break };
            after = larger(after, self.take(msg, now, effects));
        }
        let msg = match wake {
            Wake::Event(Event::Key(key)) => Msg::Key(key),
            Wake::Event(Event::Mouse(event)) => Msg::Mouse(event),
            Wake::Event(Event::Paste(text)) => Msg::Paste(text),
            Wake::Event(Event::Resize(width, height)) => Msg::Resize(width, height),
            Wake::Event(Event::FocusGained | Event::FocusLost) | Wake::Suspend | Wake::Resumed => return after,
            Wake::Changed => Msg::Changed,
            Wake::Tick => Msg::Tick(now),
            Wake::Quit => return After::Leave,
        };
        larger(after, self.take(msg, now, effects))
    }

    fn draw(&self, frame: &mut ratatui::Frame<'_>) {
        let area = frame.area();
        if let Some(place) = self.view(area, frame.buffer_mut()) {
            frame.set_cursor_position(place);
        }
    }

    fn next_tick(&self) -> Option<Instant> {
        self.toasts.next_tick()
    }
}

/// What covers both.
fn larger(one: After, other: After) -> After {
    let rank = |after: &After| match after {
        After::Nothing => 0,
        After::Draw => 1,
        After::Redraw => 2,
        After::Suspend => 3,
        After::Leave => 4,
    };
    if rank(&one) >= rank(&other) { one } else { other }
}

#[cfg(test)]
mod tests;
