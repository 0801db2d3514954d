//! Comparing calls and sessions, and what is made of a recorded request.

use bytes::Bytes;
use mcp_capture::tree::Tree;
use mcp_capture::{Row, RowKind, Session};
use mcp_wire::object;

use super::data::{CopyAs, Effect, FindingLine, Held, Severity};
use super::open::{Open, Pane, Panel};
use super::overlay::{Overlay, Sending};
use super::{App, Tab};
use crate::diff::{self, Comparison};
use crate::form::{Form, Purpose};
use crate::popup::{Page, Tone};
use crate::tree;

impl Open {
    /// The method and the params of a request.
    pub(super) fn request(&self, row: &Row) -> Option<(String, String)> {
        let payload = self.session.payload(row.first).ok()??;
        let text = std::str::from_utf8(&payload).ok()?;
        let params = object::get(text, "params").unwrap_or("{}");
        Some((object::get_string(text, "method")?, params.to_owned()))
    }

    pub(super) fn set_findings(&mut self, findings: Vec<FindingLine>) {
        self.was_linted = true;
        for finding in &findings {
            if let (Some(row), true) = (finding.row, finding.severity >= Severity::Warning) {
                self.session.set_lint(row);
            }
        }
        self.findings = findings;
        self.detail.forget(Tab::Lint);
        self.size_panel();
    }

    /// Shows a panel, or hides it if it is the one that is shown.
    pub(super) fn toggle_panel(&mut self, panel: Panel) {
        if self.panel == Some(panel) {
            self.panel = None;
            if self.pane == Pane::Panel {
                self.pane = Pane::List;
            }
        } else {
            self.panel = Some(panel);
            self.panel_list.select(0);
            self.pane = Pane::Panel;
        }
        self.size_panel();
    }

    pub(super) fn size_panel(&mut self) {
        self.panel_list.set_total(match self.panel {
            Some(Panel::Tools) => self.tools.len(),
            Some(Panel::Lint) => self.findings.len(),
            None => 0,
        });
    }

    pub(super) fn next_pane(&mut self, is_back: bool) {
        let order: &[Pane] =
            if self.panel.is_some() { &[Pane::List, Pane::Detail, Pane::Panel] } else { &[Pane::List, Pane::Detail] };
        let at = order.iter().position(|p| *p == self.pane).unwrap_or(0);
        let next = if is_back { (at + order.len() - 1) % order.len() } else { (at + 1) % order.len() };
        self.pane = order[next];
    }

    /// The rows with a mark, in order.
    pub(super) fn marked_rows(&self) -> Vec<u32> {
        let mut rows: Vec<u32> = self
            .marks
            .iter()
            .filter(|m| m.frame != 0 && self.mark_of(m.frame).is_some_and(|last| !last.removed))
            .filter_map(|m| self.session.find(m.frame).and_then(|entry| self.session.rows().of_entry(entry)))
            .collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }
}

/// Request and answer of a call as one object, for comparing.
fn whole(session: &Session, row: &Row) -> Bytes {
    let part = |at: Option<u32>, key: &str| {
        let payload = at.and_then(|at| session.payload(at).ok().flatten()).unwrap_or_default();
        let text = String::from_utf8_lossy(&payload).into_owned();
        object::get(&text, key).map(str::to_owned)
    };
    let params = part(Some(row.first), "params").unwrap_or_else(|| "null".to_owned());
    let result = part(row.end, "result").map(|r| format!(",\"result\":{r}"));
    let error = part(row.end, "error").map(|e| format!(",\"error\":{e}"));
    Bytes::from(format!("{{\"params\":{params}{}{}}}", result.unwrap_or_default(), error.unwrap_or_default()))
}

/// What a session offers and how it was used, as one object, for comparing.
fn essence(session: &Session) -> Bytes {
    let mut lists: std::collections::BTreeMap<&str, String> = std::collections::BTreeMap::new();
    let mut calls: std::collections::BTreeMap<String, [u64; 2]> = std::collections::BTreeMap::new();
    for row in session.rows().iter(session.index()).filter(|row| row.kind == RowKind::Operation) {
        let (method, name) = session.index().symbols.get(row.operation);
        let of = calls.entry([method, name].join(" ").trim().to_owned()).or_default();
        of[0] += 1;
        of[1] += u64::from(row.status.is_bad());
        let key = match method {
            "initialize" | "server/discover" => "server",
            "tools/list" => "tools",
            "prompts/list" => "prompts",
            "resources/list" => "resources",
            "resources/templates/list" => "templates",
            _ => continue,
        };
        let Some(answer) = row.end.and_then(|end| session.payload(end).ok().flatten()) else { continue };
        if let Ok(text) = std::str::from_utf8(&answer)
            && let Some(result) = object::get(text, "result")
        {
            lists.insert(key, result.to_owned());
        }
    }
    let mut out = String::from("{");
    for (key, text) in lists {
        out.push_str(&format!("\"{key}\":{text},"));
    }
    out.push_str("\"calls\":{");
    let calls: Vec<String> = calls
        .iter()
        .map(|(what, [count, failed])| {
            format!("{}:{{\"count\":{count},\"failed\":{failed}}}", serde_json::Value::from(what.as_str()))
        })
        .collect();
    out.push_str(&calls.join(","));
    out.push_str("}}");
    Bytes::from(out)
}

impl App {
    pub(super) fn compare_with_mark(&mut self, row: &Row) {
        let Some(open) = &self.open else { return };
        let marked = open.marked_rows().into_iter().rfind(|r| *r != row.number).and_then(|r| open.row(r));
        let Some(marked) = marked else { return self.say(Tone::Warning, "mark another call with `m` first") };
        let (left, right) = (whole(&open.session, &marked), whole(&open.session, row));
        let names = (format!("#{}", marked.sequence), format!("#{}", row.sequence));
        self.show_difference(&left, &right, names);
    }

    pub(super) fn compare_sessions(&mut self, other: &Session) {
        let Some(open) = &self.open else { return };
        let names = (open.session.header().session.clone(), other.header().session.clone());
        let (left, right) = (essence(&open.session), essence(other));
        self.show_difference(&left, &right, names);
    }

    fn show_difference(&mut self, left: &Bytes, right: &Bytes, names: (String, String)) {
        match diff::compare(left, right) {
            Some(rows) => self.overlay = Some(Overlay::Diff(Box::new(Comparison::new(rows, names.0, names.1)))),
            None => self.say(Tone::Failure, "one of the two is not JSON: there is nothing to compare by structure"),
        }
    }

    /// A form with what was recorded in it.
    pub(super) fn edit_and_send(&mut self, row: &Row) {
        let Some(open) = &self.open else { return };
        let Some((method, params)) = open.request(row) else { return self.say(Tone::Failure, "the request cannot be read") };
        if method == "tools/call" {
            let tool = object::get_string(&params, "name").unwrap_or_default();
            let arguments = object::get(&params, "arguments").map(str::to_owned);
            if self.needs_target() {
                self.pending_form = Some((tool, arguments));
                return self.ask_target();
            }
            return self.call_form(&tool, arguments.as_deref());
        }
        let form = Form::new(format!("send {method}"), Purpose::Call, serde_json::Value::Bool(true), Some(&params));
        self.overlay = Some(Overlay::Form(Box::new(form), Sending::Call { method, name: None, meta: None }));
    }

    /// The `_meta` of the request under the cursor, without what belonged to that request alone.
    pub(super) fn meta_of_selected(&self) -> Option<String> {
        let open = self.open.as_ref()?;
        let row = open.selected_row().and_then(|row| open.row(row))?;
        let (_, params) = open.request(&row)?;
        let meta = object::get(&params, "_meta")?;
        let kept: Vec<String> = object::members(meta)
            .filter(|m| m.key != "progressToken")
            .map(|m| format!("{}:{}", &meta[m.key_span], &meta[m.value_span]))
            .collect();
        (!kept.is_empty()).then(|| format!("{{{}}}", kept.join(",")))
    }

    pub(super) fn edit_held(&mut self, held: &Held) {
        let text = String::from_utf8_lossy(&held.bytes).trim_end().to_owned();
        let mut form = Form::new("change the held message", Purpose::Call, serde_json::Value::Bool(true), Some(&text));
        form.set_raw(&text);
        self.overlay = Some(Overlay::Form(Box::new(form), Sending::Held(held.id)));
    }

    /// Puts something of the row under the cursor on the clipboard.
    pub(super) fn copy(&mut self, form: CopyAs, effects: &mut Vec<Effect>) {
        let Some(open) = &self.open else { return };
        let Some(row) = open.selected_row().and_then(|row| open.row(row)) else { return };
        let payload = |at: Option<u32>| {
            let bytes = at.and_then(|at| open.session.payload(at).ok().flatten())?;
            Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
        };
        let text = match form {
            CopyAs::Request => payload(Some(row.first)),
            CopyAs::Answer => payload(row.end),
            CopyAs::Value | CopyAs::Path => match open.detail.made() {
                Some(tree::Payload::Json(tree)) if form == CopyAs::Path => Some(tree.path()),
                Some(tree::Payload::Json(tree)) => Some(String::from_utf8_lossy(tree.value()).into_owned()),
                Some(tree::Payload::Text(pager)) => Some(String::from_utf8_lossy(pager.bytes()).into_owned()),
                None => None,
            },
            CopyAs::McpCall | CopyAs::Curl | CopyAs::Test => {
                return effects.push(Effect::CopyRow(row.number, form));
            }
        };
        match text {
            Some(text) => effects.push(Effect::CopyText(text)),
            None => self.say(Tone::Warning, "there is nothing to copy"),
        }
    }

    /// What both sides said they can do.
    pub(super) fn capabilities(&mut self) {
        let Some(open) = &self.open else { return };
        let mut out = String::new();
        let all: Vec<Row> = open
            .session
            .rows()
            .iter(open.session.index())
            .filter(|row| matches!(open.session.index().symbols.get(row.operation).0, "initialize" | "server/discover"))
            .take(8)
            .collect();
        for row in all {
            let (method, _) = open.session.index().symbols.get(row.operation);
            for (title, at, key) in [("client", Some(row.first), "params"), ("server", row.end, "result")] {
                let payload = at.and_then(|at| open.session.payload(at).ok().flatten()).unwrap_or_default();
                let text = String::from_utf8_lossy(&payload);
                let part = object::get(&text, key).unwrap_or("(nothing)");
                let pretty = Tree::parse(part).map_or_else(|| part.to_owned(), |tree| tree.pretty());
                out.push_str(&format!("{} #{} {method}\n{pretty}\n\n", title.to_uppercase(), row.sequence));
            }
        }
        if out.is_empty() {
            out.push_str("The opening of the conversation was not recorded.\n\nModern clients say with each request what they can do: see `_meta` of a call.");
        }
        self.overlay = Some(Overlay::Page(Page::new("capabilities", out)));
    }
}
