//! The rules, one file for each small family. A file has the constants of its rules, the list of them, and the code that
//! looks for them.

use std::sync::OnceLock;

use mcp_wire::Kind;

use crate::event::Hop;
use crate::lint::output::{Look, Output};
use crate::lint::rule::Rule;
use crate::lint::state::Conversation;

mod calls;
mod capability;
mod content;
mod envelope;
mod flow;
pub(super) mod http;
mod input;
mod lifecycle;
pub(super) mod lines;
mod lists;
mod methods;
pub(super) mod modern;
mod performance;
mod security;
mod shapes;
mod subscriptions;
mod tasks;

/// All rules, by family and then by name.
pub fn all() -> &'static [&'static Rule] {
    static ALL: OnceLock<Vec<&'static Rule>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all: Vec<&'static Rule> = [
            lines::RULES,
            envelope::RULES,
            lifecycle::RULES,
            methods::RULES,
            capability::RULES,
            flow::RULES,
            subscriptions::RULES,
            shapes::RULES,
            lists::RULES,
            calls::RULES,
            content::RULES,
            input::RULES,
            tasks::RULES,
            modern::RULES,
            http::RULES,
            security::RULES,
            performance::RULES,
        ]
        .concat();
        all.sort_by_key(|rule| (rule.family, rule.id));
        all
    })
}

/// The rule of this name.
pub fn rule(id: &str) -> Option<&'static Rule> {
    all().iter().copied().find(|rule| rule.id == id)
}

/// Shows a message to all rules. Those that note what was said come after those that need what was known before.
pub(super) fn message(look: &mut Look<'_>) {
    envelope::check(look);
    lifecycle::check(look);
    methods::check(look);
    flow::check(look);
    if !look.message.is_skimmed {
        capability::check(look);
        shapes::check(look);
        modern::check(look);
        subscriptions::check(look);
        calls::check(look);
        lists::check(look);
        content::check(look);
        input::check(look);
        tasks::check(look);
        security::check(look);
    }
    performance::check(look);
    if look.message.kind == Kind::Result {
        lifecycle::note_result(look);
    }
}

/// What can be said only when nothing more will come.
pub(super) fn end(talk: &mut Conversation, out: &mut Output, hop: Hop) {
    lines::flush(talk, out, hop);
    performance::end(talk, out, hop);
}
