//! Taking a value away, with every part of it wherever it stands.

use std::ops::Range;

use super::list;
use super::tree::{Home, Id, Kind, LineKind, Tree};
use crate::Splice;

/// Takes `id` away. Of a table that is spread over several items of one pair of braces, only the last item goes: ask
/// again until nothing is left.
pub(super) fn node(tree: &Tree<'_>, id: Id) -> Vec<Splice> {
    pruned(tree, id, id)
}

/// Takes `id` away, which holds nothing but `target`. Comments in what is not `target` stay.
pub(super) fn pruned(tree: &Tree<'_>, id: Id, target: Id) -> Vec<Splice> {
    let parent = tree.node(id).parent;
    if let Kind::Array(inside) = &tree.node(parent).kind {
        let index = tree.node(parent).children.iter().position(|c| *c == id).unwrap_or(0);
        return list::remove(tree, inside, false, index);
    }
    let mut gone = vec![false; tree.lines.len()];
    for entry in tree.entries.iter().rev().filter(|e| tree.within(e.leaf, id)) {
        match entry.home {
            Home::Line(line) => gone[line] = true,
            Home::Item(holder, _) if tree.within(holder, id) => {}
            Home::Item(holder, index) => {
                let Kind::Inline(inside) = &tree.node(holder).kind else { continue };
                return list::remove(tree, inside, true, index);
            }
        }
    }
    let mut blocks = tree.blocks_in(id).peekable();
    while let Some(block) = blocks.next() {
        let lines = &tree.blocks[block].lines;
        // Nothing between two tables that both go belongs to anyone else.
        let end = if blocks.peek() == Some(&(block + 1)) { lines.end } else { tree.block_end(block) };
        let is_comment = |l: usize| tree.lines[l].kind == LineKind::Comment;
        if !tree.within(tree.blocks[block].table, target) && (lines.start..end).any(is_comment) {
            gone[lines.start] = true;
        } else {
            gone[lines.start..end].fill(true);
        }
    }
    drop_blank_lines(tree, &mut gone);
    cut_lines(tree, &gone)
}

/// Marks the blank line that set apart what goes: the one an insertion at the same place would have made.
fn drop_blank_lines(tree: &Tree<'_>, gone: &mut [bool]) {
    let root = tree.blocks[0].lines.clone();
    let keeps_entry = root.clone().any(|l| !gone[l] && matches!(tree.lines[l].kind, LineKind::Entry(_)));
    for run in runs(gone) {
        let blank_before = run.start.checked_sub(1).is_some_and(|l| tree.is_blank(l));
        let blank_after = tree.is_blank(run.end);
        match tree.lines[run.start].kind {
            LineKind::Header(_) if blank_before => gone[run.start - 1] = true,
            LineKind::Header(_) if run.start == 0 && blank_after => gone[run.end] = true,
            LineKind::Entry(_) if root.contains(&run.start) && !keeps_entry && (run.start == 0 || blank_before) => {
                if let Some(after @ false) = gone.get_mut(run.end) {
                    *after = blank_after;
                }
            }
            _ => {}
        }
    }
}

/// The runs of marked lines.
fn runs(gone: &[bool]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for line in (0..gone.len()).filter(|l| gone[*l]) {
        match runs.last_mut() {
            Some(run) if run.end == line => run.end += 1,
            _ => runs.push(line..line + 1),
        }
    }
    runs
}

fn cut_lines(tree: &Tree<'_>, gone: &[bool]) -> Vec<Splice> {
    let cut = |run: Range<usize>| {
        let mut range = tree.lines[run.start].range.start..tree.lines[run.end - 1].range.end;
        if run.end == tree.lines.len() && run.start > 0 && !tree.text.ends_with('\n') {
            // The line before becomes the last one, and the last one has no newline in this file.
            let before = &tree.text[..range.start];
            range.start -= if before.ends_with("\r\n") { 2 } else { 1 };
        }
        Splice { range, text: String::new() }
    };
    runs(gone).into_iter().map(cut).collect()
}
