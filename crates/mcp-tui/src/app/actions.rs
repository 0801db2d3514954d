//! What keys do on the screens below all else.

use mcp_capture::RowKind;
use mcp_capture::event::Mark;

use super::data::{self, CopyAs, Effect, Target};
use super::detail::Tab;
use super::open::{Pane, Panel};
use super::overlay::{Choice, FORMATS, Of, Overlay};
use super::{App, FILTER_WORDS, Layout, Screen};
use crate::keymap::Action;
use crate::popup::{Page, Tone};
use crate::prompt::Prompt;
use crate::tree;

impl App {
    /// Does something on the screen below all else.
    pub(crate) fn act(&mut self, action: Action, effects: &mut Vec<Effect>) {
        match action {
            Action::Help => {
                let contexts = self.contexts();
                self.overlay = Some(Overlay::Page(Page::help(&contexts, FILTER_WORDS)));
            }
            Action::Palette => self.overlay = Some(Overlay::Menu(self.palette())),
            Action::Attach => effects.push(Effect::ShowAttach),
            _ if self.screen == Screen::Calls && self.open.is_some() => self.act_on_calls(action, effects),
            _ => self.act_on_sessions(action, effects),
        }
    }

    fn act_on_sessions(&mut self, action: Action, effects: &mut Vec<Effect>) {
        if self.sessions.list.update(action) {
            return;
        }
        let Some(line) = self.sessions.selected().cloned() else { return };
        let is_recorded = !line.path.as_os_str().is_empty();
        match action {
            Action::Open if is_recorded => effects.push(Effect::Open(line.path)),
            Action::Open => effects.push(Effect::Record(line.server)),
            Action::Mark => {
                self.sessions.marked = if self.sessions.marked.as_ref() == Some(&line.path) { None } else { Some(line.path) };
            }
            Action::DiffSessions => {
                if let Some(marked) = self.sessions.marked.clone() {
                    effects.push(Effect::Open(marked));
                    effects.push(Effect::OpenOther(line.path));
                } else {
                    self.say(Tone::Warning, "mark the first session with `m`, then press `D` on the second");
                }
            }
            Action::Delete if is_recorded => {
                let confirm = crate::popup::Confirm {
                    title: "delete a recording".to_owned(),
                    what: format!("{}\n{} {}, {}", line.path.display(), line.server, line.client, line.started),
                    verb: "delete".to_owned(),
                    is_final: true,
                };
                self.overlay = Some(Overlay::Confirm(confirm, Box::new(Effect::Delete(line.path))));
            }
            Action::Export | Action::WriteCassette if is_recorded => {
                self.say(Tone::Warning, "open the session first; then `x` exports and `w` writes a recording to answer from");
            }
            Action::Undo => effects.push(Effect::ShowDetach(line.server)),
            _ => {}
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each key of the screen")]
    fn act_on_calls(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let Some(open) = &mut self.open else { return };
        match action {
            Action::Back => return self.back(effects),
            Action::NextPane | Action::PreviousPane => {
                open.next_pane(action == Action::PreviousPane);
                return;
            }
            Action::Layout => {
                self.layout = match self.layout {
                    Layout::Auto => Layout::Stacked,
                    Layout::Stacked => Layout::Beside,
                    Layout::Beside => Layout::List,
                    Layout::List => Layout::Detail,
                    Layout::Detail => Layout::Auto,
                };
                return;
            }
            Action::Tab1 | Action::Tab2 | Action::Tab3 | Action::Tab4 | Action::Tab5 | Action::Tab6 => {
                open.detail.tab = match action {
                    Action::Tab1 => Tab::Arguments,
                    Action::Tab2 => Tab::Result,
                    Action::Tab3 => Tab::Raw,
                    Action::Tab4 => Tab::Timing,
                    Action::Tab5 => Tab::Lint,
                    _ => Tab::Schema,
                };
                return;
            }
            Action::Search => return self.prompt("", Of::Search),
            Action::Filter => {
                let text = open.filter_text.clone();
                self.filter_before = Some(text.clone());
                return self.prompt(&text, Of::Filter);
            }
            Action::NextHit | Action::PreviousHit => return self.next_hit(action == Action::PreviousHit),
            Action::Tools => {
                open.toggle_panel(Panel::Tools);
                return;
            }
            Action::Lint => {
                open.toggle_panel(Panel::Lint);
                return;
            }
            Action::Pause => {
                open.is_paused = !open.is_paused;
                let _ = open.refresh();
                return;
            }
            Action::Zoom | Action::ZoomIn | Action::ZoomOut | Action::Earlier | Action::Later => return self.time(action),
            Action::Capabilities => return self.capabilities(),
            Action::Fault => return self.fault_menu(),
            Action::ClearRules => return effects.push(Effect::ClearRules),
            Action::Export => {
                let of = |(format, help): &(&str, &str)| {
                    ((*format).to_owned(), (*help).to_owned(), Choice::Export((*format).to_owned()))
                };
                return self.menu("export", FORMATS.iter().map(of).collect::<Vec<_>>());
            }
            Action::WriteCassette => {
                let filter = open.filter_text.clone();
                return effects.push(Effect::Cassette(filter));
            }
            Action::CallTool => {
                let tools = open.tool_names();
                if tools.is_empty() {
                    return self.say(Tone::Warning, "no list of this session names a tool");
                }
                return self.menu("tool", tools.into_iter().map(|t| (t.clone(), "call it".to_owned(), Choice::Tool(t))));
            }
            Action::DiffSessions => {
                let lines = self.sessions.lines.clone();
                let of = |line: data::SessionLine| {
                    (line.name.clone(), format!("{} {} {}", line.server, line.client, line.started), Choice::Compare(line.path))
                };
                return self.menu("session", lines.into_iter().filter(|l| !l.path.as_os_str().is_empty()).map(of));
            }
            Action::Undo => {
                let server = open.session.header().server.clone();
                return effects.push(Effect::ShowDetach(server));
            }
            Action::Restart if open.live.can_act => return effects.push(Effect::Restart),
            Action::Restart => return self.say(Tone::Warning, "nobody holds this server: it cannot be restarted from here"),
            Action::Release | Action::Drop | Action::EditHeld | Action::ReleaseAll => return self.held(action, effects),
            Action::Breakpoint => {
                let about = self.about_selected();
                return self.prompt(&about, Of::Breakpoint);
            }
            Action::JumpToMark => {
                if !open.next_mark() {
                    self.say(Tone::Warning, "nothing is marked: `m` marks a row");
                }
                return;
            }
            Action::Verify => {
                let rows = open.marked_rows();
                if rows.is_empty() {
                    return self.say(Tone::Warning, "mark calls with `m` first");
                }
                return effects.push(Effect::Verify(rows));
            }
            _ => {}
        }
        match open.pane {
            Pane::Detail => self.act_on_detail(action, effects),
            Pane::Panel => self.act_on_panel(action, effects),
            Pane::List => self.act_on_list(action, effects),
        }
    }

    fn act_on_list(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let Some(open) = &mut self.open else { return };
        if open.list.update(action) {
            open.look();
            return;
        }
        match action {
            Action::Open | Action::Right => open.pane = Pane::Detail,
            Action::ToggleFold => open.toggle_fold(),
            Action::RawFrames => open.toggle_frames(),
            Action::FilterOnValue => {
                let about = self.about_selected();
                self.narrow(&about);
            }
            _ => self.act_on_row(action, effects),
        }
    }

    fn act_on_row(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let Some(open) = &mut self.open else { return };
        let Some(row) = open.selected_row().and_then(|row| open.row(row)) else { return };
        match action {
            Action::Mark => {
                let is_marked = open.mark_of(row.sequence).is_some_and(|m| !m.removed);
                let mark = Mark {
                    frame: row.sequence,
                    mark: if is_marked { String::new() } else { "m".to_owned() },
                    removed: is_marked,
                    made_ms: self.now_ms,
                    ..Mark::default()
                };
                open.marks.push(mark.clone());
                effects.push(Effect::Mark(mark));
            }
            Action::Comment => {
                let had = open.mark_of(row.sequence).map(|m| m.comment.clone()).unwrap_or_default();
                self.prompt(&had, Of::Comment(row.sequence));
            }
            Action::Replay => self.replay(&row, effects),
            Action::EditAndSend => self.edit_and_send(&row),
            Action::DiffWithMark => self.compare_with_mark(&row),
            Action::Copy => {
                let items = [
                    ("request", "the request as JSON", CopyAs::Request),
                    ("answer", "the answer as JSON", CopyAs::Answer),
                    ("value", "the value under the cursor of the tree", CopyAs::Value),
                    ("path", "the path of that value", CopyAs::Path),
                    ("mcp-call", "a line for the command `call`, which is not there yet", CopyAs::McpCall),
                    ("curl", "a `curl` command", CopyAs::Curl),
                    ("test", "a case for `mcp verify`", CopyAs::Test),
                ];
                self.menu("copy", items.map(|(name, help, of)| (name.to_owned(), help.to_owned(), Choice::Copy(of))));
            }
            Action::External => {
                if let Ok(Some(payload)) = open.session.payload(row.end.unwrap_or(row.first)) {
                    effects.push(Effect::External(payload));
                }
            }
            _ => {}
        }
    }

    fn act_on_detail(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let Some(open) = &mut self.open else { return };
        match action {
            Action::Left => {
                let folded = open.detail.page().as_mut().map(|page| page.update(action));
                if !matches!(folded, Some(tree::Reply::Done)) {
                    open.pane = Pane::List;
                }
                return;
            }
            Action::Copy => return self.copy(CopyAs::Value, effects),
            Action::CopyPath => return self.copy(CopyAs::Path, effects),
            Action::FilterOnValue => {
                if let Some(tree::Payload::Json(tree)) = open.detail.made() {
                    let path = tree.path();
                    let value = String::from_utf8_lossy(tree.value()).into_owned();
                    if let Some(term) = json_term(&path, &value, open.detail.tab) {
                        self.narrow(&term);
                    }
                }
                return;
            }
            Action::External => {
                if let Some(page) = open.detail.made() {
                    let bytes = match page {
                        tree::Payload::Json(tree) => bytes::Bytes::copy_from_slice(tree.value()),
                        tree::Payload::Text(pager) => pager.bytes().clone(),
                    };
                    return effects.push(Effect::External(bytes));
                }
            }
            _ => {}
        }
        let Some(page) = open.detail.page() else { return };
        match page.update(action) {
            tree::Reply::Open(bytes) => self.overlay = Some(Overlay::Page(Page::new("value", bytes))),
            tree::Reply::Done => {}
            tree::Reply::Ignored => self.act_on_row(action, effects),
        }
    }

    fn act_on_panel(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let Some(open) = &mut self.open else { return };
        if open.panel_list.update(action) {
            return;
        }
        let at = open.panel_list.selected();
        match (action, open.panel, at) {
            (Action::Open, Some(Panel::Lint), Some(at)) => {
                if let Some(row) = open.findings.get(at).and_then(|f| f.row) {
                    open.show_row(row);
                    open.look();
                    open.detail.tab = Tab::Lint;
                }
            }
            (Action::Open, Some(Panel::Tools), Some(at)) => {
                if let Some(tool) = open.tools.get(at).map(|t| t.name.clone()) {
                    self.narrow(&format!("tool:{}", quoted(&tool)));
                }
            }
            _ => self.act_on_row(action, effects),
        }
    }

    /// One step back; never out of the program.
    fn back(&mut self, effects: &mut Vec<Effect>) {
        let Some(open) = &mut self.open else { return };
        if open.pane != Pane::List {
            open.pane = Pane::List;
        } else if open.panel.is_some() {
            open.panel = None;
        } else if !open.filter_text.is_empty() {
            let _ = open.set_filter("");
        } else if !self.is_alone {
            self.screen = Screen::Sessions;
            effects.push(Effect::ListSessions);
        }
    }

    pub(super) fn prompt(&mut self, line: &str, of: Of) {
        let history = if of == Of::Filter { self.history.clone() } else { Vec::new() };
        self.overlay = Some(Overlay::Prompt(Prompt::new(line, history), of));
    }

    /// Adds a term to the filter.
    fn narrow(&mut self, term: &str) {
        let Some(open) = &mut self.open else { return };
        let text = if open.filter_text.is_empty() { term.to_owned() } else { format!("({}) {term}", open.filter_text) };
        if let Err(e) = open.set_filter(&text) {
            self.say(Tone::Failure, e.to_string());
        }
    }

    /// A filter for what is under the cursor: its tool, or its method.
    pub(crate) fn about_selected(&self) -> String {
        let Some(open) = &self.open else { return String::new() };
        if let (Some(held), None) = (open.selected_held(), open.selected_row()) {
            return match held.about() {
                (method, name) if method == "tools/call" && !name.is_empty() => format!("tool:{}", quoted(&name)),
                (method, _) if method.is_empty() => String::new(),
                (method, _) => format!("method:{}", quoted(&method)),
            };
        }
        let Some(row) = open.selected_row().and_then(|row| open.row(row)) else { return String::new() };
        match (row.kind, open.session.index().symbols.get(row.operation)) {
            (RowKind::Stderr, _) => "is:stderr".to_owned(),
            (RowKind::Stray, _) => "is:stray".to_owned(),
            (_, ("tools/call", name)) if !name.is_empty() => format!("tool:{}", quoted(name)),
            (_, ("", _)) => String::new(),
            (_, (method, _)) => format!("method:{}", quoted(method)),
        }
    }

    fn next_hit(&mut self, is_back: bool) {
        let Some(open) = &mut self.open else { return };
        if open.pane == Pane::Detail && !self.search_words.is_empty() {
            let action = if is_back { Action::PreviousHit } else { Action::NextHit };
            if let Some(page) = open.detail.page() {
                page.update(action);
            }
        } else if !open.next_trouble(is_back) {
            self.say(Tone::Done, if is_back { "no trouble before this" } else { "no trouble after this" });
        }
    }

    pub(crate) fn search_again(&mut self) {
        let words = self.search_words.clone();
        let found = self.open.as_mut().and_then(|open| open.detail.page().as_mut()).is_some_and(|page| page.search(&words));
        if !found {
            self.say(Tone::Warning, format!("`{words}` is not in this payload"));
        }
    }

    fn time(&mut self, action: Action) {
        let Some(open) = &self.open else { return };
        let all = Self::extent(open);
        let here = open.selected_row().and_then(|row| open.row(row)).map_or(all.1, |row| row.at);
        let mut timeline = open.timeline.borrow_mut();
        match action {
            Action::Zoom if timeline.span.is_some() => {
                timeline.span = None;
                timeline.forget();
            }
            Action::Zoom | Action::ZoomIn => timeline.zoom(all, here, true),
            Action::ZoomOut => timeline.zoom(all, here, false),
            Action::Earlier => timeline.shift(all, false),
            _ => timeline.shift(all, true),
        }
    }

    fn held(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let Some(open) = &self.open else { return };
        if action == Action::ReleaseAll {
            return effects.push(Effect::ReleaseAll);
        }
        let held = open.selected_held().or(open.live.held.first()).cloned();
        let Some(held) = held else { return self.say(Tone::Warning, "nothing is held: `b` sets a breakpoint") };
        match action {
            Action::Release => effects.push(Effect::Release(held.id, None)),
            Action::Drop => effects.push(Effect::DropHeld(held.id)),
            _ => self.edit_held(&held),
        }
    }

    fn replay(&mut self, row: &mcp_capture::Row, effects: &mut Vec<Effect>) {
        let Some(open) = &self.open else { return };
        let Some((method, params)) = open.request(row) else { return self.say(Tone::Failure, "the request cannot be read") };
        if self.needs_target() {
            self.pending_send = Some((method, params));
            return self.ask_target();
        }
        self.send(method, params, effects);
    }

    pub(super) fn needs_target(&self) -> bool {
        self.target.is_none() && self.open.as_ref().is_some_and(|open| open.live.can_act)
    }

    pub(super) fn ask_target(&mut self) {
        let of = |name: &str, help: &str, target| (name.to_owned(), help.to_owned(), Choice::Send(target));
        let items = [
            of("live session", "the server the client talks to now", Target::Live),
            of("fresh server", "the same server, started for this alone", Target::Fresh),
        ];
        self.menu("send to", items);
    }
}

/// A name as the filter has it.
fn quoted(name: &str) -> String {
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/' | b'.')) && !name.is_empty() {
        name.to_owned()
    } else {
        serde_json::Value::from(name).to_string()
    }
}

/// A term for the value at a path of a tab.
fn json_term(path: &str, value: &str, tab: Tab) -> Option<String> {
    if value.len() > 200 || value.starts_with(['{', '[']) || path.contains('»') {
        return None;
    }
    let inner = path.strip_prefix('$')?;
    let root = match tab {
        Tab::Arguments => "$.params.arguments",
        Tab::Result => "$.result",
        _ => return None,
    };
    Some(format!("json {root}{inner} = {value}"))
}
