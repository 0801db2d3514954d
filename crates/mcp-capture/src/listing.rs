//! What a server offers, as it was listed in a session: tools, prompts, resources and their templates.

use std::io;

use crate::detail::Detail;
use crate::exchange::RowKind;
use crate::session::Session;
use crate::tree::Tree;

/// Everything that was listed, in order, each in its last form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// Tools by name.
    pub tools: Vec<(String, Tree)>,
    /// Prompts by name.
    pub prompts: Vec<(String, Tree)>,
    /// Resources by URI.
    pub resources: Vec<(String, Tree)>,
    /// Templates of resources by their pattern.
    pub templates: Vec<(String, Tree)>,
}

/// Method, member of the result, and what an item is known by.
const LISTS: [(&str, &str, &str); 4] = [
    ("tools/list", "tools", "name"),
    ("prompts/list", "prompts", "name"),
    ("resources/list", "resources", "uri"),
    ("resources/templates/list", "resourceTemplates", "uriTemplate"),
];

impl Listing {
    /// What the last complete round of each list said. Later pages add to the first; a first page begins anew.
    pub fn of(session: &Session) -> io::Result<Self> {
        let mut listing = Self::default();
        let operations: Vec<_> = session
            .index()
            .symbols
            .iter()
            .filter_map(|(operation, method, _)| {
                LISTS.iter().position(|(known, ..)| *known == method).map(|list| (operation, list))
            })
            .collect();
        if operations.is_empty() {
            return Ok(listing);
        }
        for row in session.rows().iter(session.index()).filter(|row| row.kind == RowKind::Operation) {
            let Some((_, list)) = operations.iter().find(|(operation, _)| *operation == row.operation) else { continue };
            let detail = Detail::of(session, &row)?;
            let (_, member, key) = LISTS[*list];
            let items = detail.answer().and_then(|answer| answer.get(&["result", member])).and_then(Tree::parse);
            let Some(Tree::Array(items)) = items else { continue };
            let known = match *list {
                0 => &mut listing.tools,
                1 => &mut listing.prompts,
                2 => &mut listing.resources,
                _ => &mut listing.templates,
            };
            if detail.request().is_none_or(|request| request.get(&["params", "cursor"]).is_none()) {
                known.clear();
            }
            for item in items {
                if let Some(name) = item.get(key).and_then(Tree::as_text).map(ToOwned::to_owned) {
                    known.retain(|(other, _)| *other != name);
                    known.push((name, item));
                }
            }
        }
        Ok(listing)
    }

    /// The lists with what each is called.
    pub fn lists(&self) -> [(&'static str, &[(String, Tree)]); 4] {
        [("tool", &self.tools), ("prompt", &self.prompts), ("resource", &self.resources), ("template", &self.templates)]
    }
}
