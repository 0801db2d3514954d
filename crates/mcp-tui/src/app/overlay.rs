//! What lies over a screen, and what its keys do.

use crossterm::event::KeyEvent;
use mcp_capture::event::Mark;
use mcp_wire::object;

use super::data::{Asked, CopyAs, Effect, Target};
use super::{App, Screen};
use crate::diff::Comparison;
use crate::form::{self, Form, Purpose};
use crate::keymap::{self, Action, BINDINGS};
use crate::palette::{self, Item, Palette};
use crate::popup::{Confirm, Page, Tone};
use crate::prompt::{self, Prompt};

/// What a line of input is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// The filter of the list.
    Filter,
    /// Words to find in the payload.
    Search,
    /// Words to find on the page below.
    SearchPage(Box<PageBelow>),
    /// A breakpoint's filter.
    Breakpoint,
    /// A fault and its filter.
    Fault,
    /// A comment on a message.
    Comment(u64),
}

/// The page a search line lies over; given back when the line goes.
#[derive(Clone, Debug)]
pub(super) struct PageBelow(pub(super) Page);

impl PartialEq for PageBelow {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for PageBelow {}

impl Of {
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Filter => "filter ",
            Self::Search | Self::SearchPage(_) => "find ",
            Self::Breakpoint => "hold what fits ",
            Self::Fault => "fault ",
            Self::Comment(_) => "comment ",
        }
    }
}

/// What is chosen in a box.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Choice {
    Do(Action),
    Tool(String),
    Session(std::path::PathBuf),
    Compare(std::path::PathBuf),
    Copy(CopyAs),
    Export(String),
    Fault(String),
    Send(Target),
}

/// What a form is for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sending {
    /// A call of a method; the name of the tool or prompt goes into the params.
    Call { method: String, name: Option<(&'static str, String)>, meta: Option<String> },
    /// A held message.
    Held(u64),
    /// A question of the server.
    Answer(u64),
}

/// What lies over the screen.
pub(super) enum Overlay {
    Page(Page),
    Confirm(Confirm, Box<Effect>),
    Menu(Palette<Choice>),
    Form(Box<Form>, Sending),
    Diff(Box<Comparison>),
    Prompt(Prompt, Of),
}

/// The kinds of faults, with what the line begins with.
const FAULTS: [(&str, &str); 6] = [
    ("delay 500ms", "hold each message for a while, then pass it on"),
    ("drop", "never pass it on"),
    ("error -32603 \"injected\"", "answer a request with an error, or turn an answer into one"),
    ("truncate 100", "pass on the first bytes only"),
    ("duplicate", "pass it on twice"),
    ("reorder 2", "pass it on after the next messages"),
];

/// The formats a session can be written in.
pub(super) const FORMATS: [(&str, &str); 8] = [
    ("jsonl", "one record per line"),
    ("har", "for browsers' network tools"),
    ("markdown", "for an issue or a chat"),
    ("html", "one page that works offline"),
    ("otlp", "traces for OpenTelemetry"),
    ("curl", "HTTP requests as commands"),
    ("mcp-call", "the calls, for the command `call`, which is not there yet"),
    ("redacted", "a copy of the recording with secrets replaced"),
];

impl App {
    /// Takes an action for what lies on top. `false`: there is nothing, or it does not know it.
    pub(super) fn overlay_action(&mut self, action: Action, effects: &mut Vec<Effect>) -> bool {
        let Some(mut overlay) = self.overlay.take() else { return false };
        match &mut overlay {
            Overlay::Page(page) => match action {
                Action::Back => return true,
                Action::Search => {
                    let below = Box::new(PageBelow(page.clone()));
                    self.overlay = Some(Overlay::Prompt(Prompt::new("", Vec::new()), Of::SearchPage(below)));
                    return true;
                }
                Action::External => effects.push(Effect::External(page.pager().bytes().clone())),
                _ => _ = page.update(action),
            },
            Overlay::Confirm(confirm, effect) => match confirm.update(action) {
                Some(true) => {
                    effects.push((**effect).clone());
                    return true;
                }
                Some(false) => return true,
                None => {}
            },
            Overlay::Menu(menu) => match menu.update(action) {
                palette::Outcome::Open => {}
                palette::Outcome::Closed => return true,
                palette::Outcome::Chosen(choice) => {
                    self.choose(choice, effects);
                    return true;
                }
            },
            Overlay::Form(form, sending) => {
                let outcome = form.update(action);
                let sending = sending.clone();
                if self.form_outcome(outcome, &sending, effects) {
                    return true;
                }
            }
            Overlay::Diff(view) => match action {
                Action::Back => return true,
                Action::Copy => effects.push(Effect::CopyText(view.text())),
                _ => _ = view.update(action),
            },
            Overlay::Prompt(prompt, of) => {
                let reply = prompt.update(action);
                let of = of.clone();
                match reply {
                    prompt::Reply::Accepted => {
                        let line = prompt.line().to_owned();
                        if self.accept(&line, &of, prompt, effects) {
                            return true;
                        }
                    }
                    prompt::Reply::Left => {
                        if let Of::SearchPage(below) = of {
                            self.overlay = Some(Overlay::Page(below.0));
                        } else if of == Of::Filter {
                            // The list may have followed the typing.
                            let before = self.filter_before.take().unwrap_or_default();
                            if let Some(open) = &mut self.open {
                                let _ = open.set_filter(&before);
                            }
                        }
                        return true;
                    }
                    prompt::Reply::Changed => self.typed(prompt, &of),
                    prompt::Reply::Moved | prompt::Reply::Ignored => {}
                }
            }
        }
        self.overlay = Some(overlay);
        true
    }

    /// Takes a key that is text for what lies on top.
    pub(super) fn overlay_key(&mut self, key: KeyEvent, effects: &mut Vec<Effect>) {
        let Some(mut overlay) = self.overlay.take() else { return };
        match &mut overlay {
            Overlay::Menu(menu) => _ = menu.key(key),
            Overlay::Form(form, sending) => {
                let outcome = form.key(key);
                let sending = sending.clone();
                if self.form_outcome(outcome, &sending, effects) {
                    return;
                }
            }
            Overlay::Prompt(prompt, of) => {
                if prompt.key(key) == prompt::Reply::Changed {
                    let of = of.clone();
                    self.typed(prompt, &of);
                }
            }
            Overlay::Page(_) | Overlay::Confirm(..) | Overlay::Diff(_) => {}
        }
        self.overlay = Some(overlay);
    }

    /// Takes pasted text.
    pub(super) fn overlay_paste(&mut self, text: &str) {
        let Some(mut overlay) = self.overlay.take() else { return };
        match &mut overlay {
            Overlay::Menu(menu) => menu.paste(text),
            Overlay::Form(form, _) => form.paste(text),
            Overlay::Prompt(prompt, of) => {
                prompt.paste(text);
                let of = of.clone();
                self.typed(prompt, &of);
            }
            _ => {}
        }
        self.overlay = Some(overlay);
    }

    /// The line changed: what could come next, and what is wrong with it.
    fn typed(&mut self, prompt: &mut Prompt, of: &Of) {
        if !matches!(of, Of::Filter | Of::Breakpoint) {
            return;
        }
        let Some(open) = &mut self.open else { return };
        let words = open.session.vocabulary();
        let found = mcp_capture::filter::complete(prompt.line(), prompt.cursor(), &words);
        let found = found.into_iter().take(50);
        prompt.set_completions(
            found.map(|c| prompt::Completion { range: c.replaces, text: c.text, help: c.help.to_owned() }).collect(),
        );
        let line = prompt.line().to_owned();
        if line.trim().is_empty() {
            prompt.set_mistake(None);
            if *of == Of::Filter {
                let _ = open.set_filter("");
            }
            return;
        }
        match line.parse::<mcp_capture::filter::Filter>() {
            Ok(filter) => {
                prompt.set_mistake(None);
                // Filters that read payloads wait for enter: they may take longer than a keystroke should.
                if *of == Of::Filter && !filter.needs_payload() {
                    let _ = open.set_filter(&line);
                }
            }
            // Half of a word is no mistake while it is typed: only what stands before the cursor's end counts.
            Err(e) if e.at.end >= line.trim_end().len() => prompt.set_mistake(None),
            Err(e) => {
                let hint = e.hint.as_deref().map(|h| format!("; {h}")).unwrap_or_default();
                prompt.set_mistake(Some((e.at, format!("{}{hint}", e.message))));
            }
        }
    }

    /// The line is to be used. `false`: it stays, because something is wrong with it.
    fn accept(&mut self, line: &str, of: &Of, prompt: &mut Prompt, effects: &mut Vec<Effect>) -> bool {
        match of {
            Of::Filter => {
                let Some(open) = &mut self.open else { return true };
                if let Err(e) = open.set_filter(line) {
                    let hint = e.hint.as_deref().map(|h| format!("; {h}")).unwrap_or_default();
                    prompt.set_mistake(Some((e.at, format!("{}{hint}", e.message))));
                    return false;
                }
                self.filter_before = None;
                self.history = prompt.history().to_vec();
                effects.push(Effect::KeepHistory(self.history.clone()));
            }
            Of::Search => {
                line.clone_into(&mut self.search_words);
                self.search_again();
            }
            Of::SearchPage(below) => {
                let mut page = below.0.clone();
                if !page.pager().search(line) {
                    self.say(Tone::Warning, format!("`{line}` is not on this page"));
                }
                self.overlay = Some(Overlay::Page(page));
            }
            Of::Breakpoint => effects.push(Effect::Breakpoint(line.to_owned())),
            Of::Fault => effects.push(Effect::Fault(line.to_owned())),
            Of::Comment(frame) => {
                let mark = Mark { frame: *frame, comment: line.to_owned(), made_ms: self.now_ms, ..Mark::default() };
                effects.push(Effect::Mark(mark));
            }
        }
        true
    }

    /// What came of the form. `true`: it is gone.
    fn form_outcome(&mut self, outcome: form::Outcome, sending: &Sending, effects: &mut Vec<Effect>) -> bool {
        match outcome {
            form::Outcome::Open => false,
            form::Outcome::External(text) => {
                effects.push(Effect::Edit(text));
                false
            }
            form::Outcome::Sent(text) => {
                match sending {
                    Sending::Call { method, name, meta } => {
                        let params = params(name.as_ref(), &text, meta.as_deref());
                        self.send(method.clone(), params, effects);
                    }
                    Sending::Held(id) => effects.push(Effect::Release(*id, Some(text))),
                    Sending::Answer(id) => effects.push(Effect::Answer(*id, Some(text))),
                }
                true
            }
            form::Outcome::Declined => {
                if let Sending::Answer(id) = sending {
                    effects.push(Effect::Answer(*id, None));
                }
                true
            }
            form::Outcome::Cancelled => {
                if let Sending::Answer(id) = sending {
                    effects.push(Effect::Dismiss(*id));
                }
                true
            }
        }
    }

    /// Sends a request: to the live session where that can be done, else to a server started anew.
    pub(super) fn send(&mut self, method: String, params: String, effects: &mut Vec<Effect>) {
        let target = self.target.unwrap_or(Target::Fresh);
        effects.push(Effect::Send { target, method, params });
        self.say(Tone::Done, "sent");
    }

    fn choose(&mut self, choice: Choice, effects: &mut Vec<Effect>) {
        match choice {
            Choice::Do(action) => self.act(action, effects),
            Choice::Tool(tool) => self.call_form(&tool, None),
            Choice::Session(path) => effects.push(Effect::Open(path)),
            Choice::Compare(path) => effects.push(Effect::OpenOther(path)),
            Choice::Copy(form) => self.copy(form, effects),
            Choice::Export(format) => {
                let filter = self.open.as_ref().map(|open| open.filter_text.clone()).unwrap_or_default();
                effects.push(Effect::Export { format, filter });
            }
            Choice::Fault(kind) => {
                let about = self.about_selected();
                self.overlay = Some(Overlay::Prompt(Prompt::new(format!("{kind} on {about}"), Vec::new()), Of::Fault));
            }
            Choice::Send(target) => {
                self.target = Some(target);
                if let Some((method, params)) = self.pending_send.take() {
                    self.send(method, params, effects);
                } else if let Some((tool, arguments)) = self.pending_form.take() {
                    self.call_form(&tool, arguments.as_deref());
                }
            }
        }
    }

    /// A form for a tool's arguments.
    pub(super) fn call_form(&mut self, tool: &str, arguments: Option<&str>) {
        let Some(open) = &self.open else { return };
        let definition = open.definition(tool);
        let schema = definition.as_deref().and_then(|text| object::get(text, "inputSchema"));
        let schema = schema.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(serde_json::Value::Bool(true));
        let form = Form::new(format!("call {tool}"), Purpose::Call, schema, arguments.or(Some("{}")));
        let sending = Sending::Call {
            method: "tools/call".to_owned(),
            name: Some(("name", tool.to_owned())),
            meta: self.meta_of_selected(),
        };
        self.overlay = Some(Overlay::Form(Box::new(form), sending));
    }

    /// A question of the server to us.
    pub(super) fn ask(&mut self, asked: Asked) {
        let form = Form::new(asked.title, asked.purpose, asked.schema, asked.draft.as_deref());
        self.overlay = Some(Overlay::Form(Box::new(form), Sending::Answer(asked.id)));
    }

    /// The box of everything that can be done here.
    pub(super) fn palette(&self) -> Palette<Choice> {
        let contexts = self.contexts();
        let mut items: Vec<Item<Choice>> = Vec::new();
        for binding in BINDINGS.iter().filter(|b| contexts.contains(&b.context) || b.context == keymap::Context::Global) {
            let is_move = binding.group == keymap::Group::Move;
            if is_move || !self.can(binding.action) || items.iter().any(|i| i.value == Choice::Do(binding.action)) {
                continue;
            }
            items.push(Item {
                kind: "command",
                name: format!("{:?}", binding.action),
                help: binding.help.to_owned(),
                key: binding.keys.first().map(|k| keymap::spelled_key(k)),
                value: Choice::Do(binding.action),
            });
        }
        if let (Screen::Calls, Some(open)) = (self.screen, &self.open) {
            for tool in open.tool_names() {
                let help = "call this tool".to_owned();
                items.push(Item { kind: "tool", name: tool.clone(), help, key: None, value: Choice::Tool(tool) });
            }
        }
        for line in self.sessions.lines.iter().filter(|line| !line.path.as_os_str().is_empty()) {
            items.push(Item {
                kind: "session",
                name: line.name.clone(),
                help: format!("{} {} {}", line.server, line.client, line.started),
                key: None,
                value: Choice::Session(line.path.clone()),
            });
        }
        Palette::new(items)
    }

    /// A box with these.
    pub(super) fn menu(&mut self, kind: &'static str, items: impl IntoIterator<Item = (String, String, Choice)>) {
        let items = items.into_iter().map(|(name, help, value)| Item { kind, name, help, key: None, value }).collect();
        self.overlay = Some(Overlay::Menu(Palette::new(items)));
    }

    pub(super) fn fault_menu(&mut self) {
        let of = |(kind, help): &(&str, &str)| ((*kind).to_owned(), (*help).to_owned(), Choice::Fault((*kind).to_owned()));
        self.menu("fault", FAULTS.iter().map(of).collect::<Vec<_>>());
    }
}

/// Params from arguments: `{"name":"x","arguments":{…},"_meta":{…}}`, or the text itself.
fn params(name: Option<&(&'static str, String)>, text: &str, meta: Option<&str>) -> String {
    let Some((key, name)) = name else { return text.to_owned() };
    let name = serde_json::Value::from(name.as_str());
    let meta = meta.map(|meta| format!(",\"_meta\":{meta}")).unwrap_or_default();
    format!("{{\"{key}\":{name},\"arguments\":{text}{meta}}}")
}
