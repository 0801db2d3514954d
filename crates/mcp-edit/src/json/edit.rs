//! Where an edit cuts, and what it puts there.

use std::ops::Range;

use crate::json::print::Layout;
use crate::json::style::{Habits, newline, spread};
use crate::json::walk::{Container, Walk};
use crate::{Edit, Splice, Value};

/// A container to edit, with what is around it, outermost first, and what was seen further out still.
pub(super) struct Spot<'a> {
    pub(super) walk: Walk<'a>,
    pub(super) around: &'a [Container],
    pub(super) container: &'a Container,
    pub(super) outer: &'a Habits,
}

fn splice(range: Range<usize>, text: impl Into<String>) -> Splice {
    Splice { range, text: text.into() }
}

impl Spot<'_> {
    fn habits(&self, first: Option<usize>, made: usize) -> Habits {
        let mut habits = Habits::of(self.walk, self.around, self.container, first);
        if made > 0 {
            // The siblings of a container we make say nothing about the entries in it.
            (habits.entries, habits.inner, habits.lists) = (None, None, None);
        }
        habits.or_outer(self.outer)
    }

    /// Whether the children are on the line of their container, and none of them takes more than that line.
    fn is_flat(&self, habits: &Habits) -> bool {
        if self.container.children.is_empty() {
            // An empty container says nothing; the next one out does, if ours is not alone on its line there.
            let inside = &self.walk.text[self.container.open..self.container.close];
            return !inside.contains('\n') && self.around.last().is_some_and(|parent| !spread(self.walk, parent));
        }
        !spread(self.walk, self.container) && habits.entries != Some(true)
    }

    /// Adds a member (or an element, without a key) after the last one. `made` of the containers that `value` starts
    /// with are new on the way to the entry.
    pub(super) fn insert(&self, key: Option<&str>, value: &Value, made: usize) -> Vec<Splice> {
        let walk = self.walk;
        let habits = self.habits(None, made);
        let flat = self.is_flat(&habits);
        let layout = |flat| Layout { habits: &habits, flat, made };
        let deeper = format!("{}{}", walk.indent(self.container.open), habits.unit());
        let Some(last) = self.container.children.last() else {
            return self.insert_first(&layout(flat), &deeper, key, value);
        };
        let rest = walk.rest_of_line(last.comma.map_or(last.value.end, |comma| comma + 1));
        let own_line = walk.starts_line(last.start());
        let mut splices = Vec::new();
        let comma = if last.comma.is_some() { "," } else { "" };
        if last.comma.is_none() {
            splices.push(splice(last.value.end..last.value.end, ","));
        }
        if own_line || rest.line_comment {
            let indent = if own_line { walk.indent(last.start()) } else { &deeper };
            let at = if rest.line_ends { rest.stop } else { rest.comments };
            let member = layout(false).member(key, value, indent);
            splices.push(splice(at..at, format!("{}{indent}{member}{comma}", habits.newline())));
        } else {
            let member = layout(flat).member(key, value, walk.indent(last.start()));
            let space = habits.comma().trim_start_matches(',');
            splices.push(splice(rest.comments..rest.comments, format!("{space}{member}{comma}")));
        }
        splices
    }

    fn insert_first(&self, layout: &Layout<'_>, deeper: &str, key: Option<&str>, value: &Value) -> Vec<Splice> {
        let walk = self.walk;
        let inner = self.container.open + 1..self.container.close;
        let newline = layout.habits.newline();
        let Some(comment) = last_comment(walk, &inner) else {
            if layout.flat {
                let object = walk.byte(self.container.open) == Some(b'{');
                let padding = if object { &layout.habits.braces } else { &layout.habits.brackets };
                let padding = padding.as_deref().unwrap_or_default();
                let member = layout.member(key, value, walk.indent(self.container.open));
                return vec![splice(inner, format!("{padding}{member}{padding}"))];
            }
            let member = layout.member(key, value, deeper);
            // A closing bracket that has its own line stays where it is.
            let line = walk.line_start(inner.end);
            let (until, close) = if line > inner.start {
                (walk.break_before(line), String::new())
            } else {
                (inner.end, format!("{newline}{}", walk.indent(self.container.open)))
            };
            return vec![splice(inner.start..until, format!("{newline}{deeper}{member}{close}"))];
        };
        let rest = walk.rest_of_line(comment.end);
        if rest.line_ends {
            let indent = if walk.starts_line(comment.start) { walk.indent(comment.start) } else { deeper };
            let member = Layout { flat: false, ..*layout }.member(key, value, indent);
            vec![splice(rest.stop..rest.stop, format!("{newline}{indent}{member}"))]
        } else {
            // The bracket follows the comment on its line: so does the member, or its removal could not tell what was here.
            let member = layout.member(key, value, walk.indent(comment.end));
            vec![splice(comment.end..comment.end, format!(" {member}"))]
        }
    }

    /// Writes another value over a child's.
    pub(super) fn replace(&self, index: usize, value: &Value, made: usize) -> Vec<Splice> {
        let child = &self.container.children[index];
        let habits = self.habits(Some(index), made);
        let layout = Layout { habits: &habits, flat: self.is_flat(&habits), made };
        vec![splice(child.value.clone(), layout.value(value, self.walk.indent(child.start())))]
    }
}

/// Writes the first document into a text that has none.
pub(super) fn found(text: &str, value: &Value, made: usize) -> Vec<Splice> {
    let habits = Habits { newline: newline(text, 0), ..Habits::default() };
    let document = Layout { habits: &habits, flat: false, made }.value(value, "");
    let before = text.strip_prefix('\u{feff}').unwrap_or(text);
    let own_line = before.trim_matches([' ', '\t']).is_empty() || before.ends_with(['\n', '\r']);
    let lead = if own_line { "" } else { habits.newline() };
    let last = if before.is_empty() || before.ends_with('\n') { habits.newline() } else { "" };
    vec![splice(text.len()..text.len(), format!("{lead}{document}{last}"))]
}

/// The last comment in a range that holds nothing but white space and comments.
fn last_comment(walk: Walk<'_>, range: &Range<usize>) -> Option<Range<usize>> {
    let mut last = None;
    let mut at = range.start;
    while at < range.end {
        if walk.byte(at) == Some(b'/') {
            let end = walk.comment_end(at);
            last = Some(at..end);
            at = end;
        } else {
            at += 1;
        }
    }
    last
}

/// Takes a child away, with its comma, its line and the comment behind it on that line.
pub(super) struct Removal {
    pub(super) splices: Vec<Splice>,
    /// Nothing is left in the container, not even a comment.
    pub(super) empties: bool,
}

impl Removal {
    pub(super) fn of(walk: Walk<'_>, container: &Container, index: usize) -> Self {
        let child = &container.children[index];
        let previous = index.checked_sub(1).map(|i| &container.children[i]);
        let next = container.children.get(index + 1);
        let start = child.start();
        let mut cuts = Vec::new();

        let mut rest = walk.rest_of_line(child.value.end);
        let mut end = rest.comments;
        if let Some(comma) = child.comma {
            if rest.stop == comma {
                rest = walk.rest_of_line(comma + 1);
                // A comment between the comma and a next member on the same line is about that member.
                end = if rest.line_ends || next.is_none() { rest.comments } else { comma + 1 };
            } else {
                cuts.push(comma..comma + 1);
            }
        } else if let Some(comma) = previous.and_then(|p| p.comma) {
            cuts.push(comma..comma + 1);
        }

        let line = walk.line_start(start);
        if walk.starts_line(start) && line > container.open {
            let above = previous.and_then(|p| p.comma).unwrap_or(container.open) + 1..start;
            let line_comment =
                last_comment(walk, &above).is_some_and(|c| walk.byte(c.start + 1) == Some(b'/') && c.end >= line - 2);
            cuts.push(if rest.line_ends {
                walk.break_before(line)..rest.stop
            } else if rest.stop == container.close && !line_comment {
                walk.break_before(line)..end
            } else {
                // What follows on this line takes our place on it.
                start..walk.blanks(end)
            });
        } else if let (None, Some(next)) = (previous, next) {
            // The first of several: what stands between the bracket and us is now between the bracket and the next.
            let until = if walk.text[end..next.start()].trim().is_empty() { next.start() } else { walk.blanks(end) };
            cuts.push(start..until);
        } else {
            cuts.push(walk.blanks_back(start)..end);
        }

        let inner = container.open + 1..container.close;
        let mut left = inner.start;
        let mut empties = container.children.len() == 1;
        cuts.sort_by_key(|cut| cut.start);
        for cut in &cuts {
            empties &= walk.text[left..cut.start].trim().is_empty();
            left = cut.end;
        }
        empties &= walk.text[left..inner.end].trim().is_empty();
        let cuts = if empties { vec![inner] } else { cuts };
        Self { splices: cuts.into_iter().map(|cut| splice(cut, "")).collect(), empties }
    }
}

/// Turns the object at `open` into one that means `wanted`, member by member, so that what is between them survives.
///
/// The object must hold no key twice. Works on a copy of its lines: each step may change what the next one sees.
pub(super) fn merge(walk: Walk<'_>, open: usize, wanted: &[(String, Value)], outer: &Habits) -> Vec<Splice> {
    let line = walk.line_start(open);
    let old = &walk.text[line..walk.value_end(open)];
    let open = open - line;
    let mut done = Edit::default();
    let mut step = |plan: &dyn Fn(&Spot<'_>) -> Vec<Splice>| {
        let now = done.apply(old);
        let walk = Walk::new(&now);
        if let Some(container) = walk.container(open) {
            let edit = Edit::new(plan(&Spot { walk, around: &[], container: &container, outer }));
            done = done.then(old, &edit);
        }
    };
    for (key, value) in wanted {
        step(&|spot| set_member(spot, key, value));
    }
    // Last, so that the object is never empty on the way and keeps its layout.
    let names = Walk::new(old).container(open).map(|c| c.children).unwrap_or_default();
    for child in names {
        let name = Walk::new(old).string(&child.key.unwrap_or_default());
        if !wanted.iter().any(|(key, _)| *key == name) {
            step(&|spot| match index_of(spot, &name) {
                Some(index) => Removal::of(spot.walk, spot.container, index).splices,
                None => Vec::new(),
            });
        }
    }
    done.splices().iter().map(|s| splice(line + s.range.start..line + s.range.end, s.text.as_str())).collect()
}

fn index_of(spot: &Spot<'_>, name: &str) -> Option<usize> {
    spot.container.children.iter().position(|child| child.key.as_ref().is_some_and(|key| spot.walk.string(key) == name))
}

fn set_member(spot: &Spot<'_>, key: &str, value: &Value) -> Vec<Splice> {
    let Some(index) = index_of(spot, key) else { return spot.insert(Some(key), value, 0) };
    let start = spot.container.children[index].value.start;
    match (spot.walk.value(start), value) {
        (Ok(old), value) if old.same(value) => Vec::new(),
        (Ok(Value::Object(_)), Value::Object(new)) if !spot.walk.is_bare(start) => {
            merge(spot.walk, start, new, &spot.habits(Some(index), 0))
        }
        _ => spot.replace(index, value, 0),
    }
}
