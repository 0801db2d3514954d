//! Adding to and taking from what stands between brackets or braces.

use super::tree::{List, Tree};
use crate::Splice;

/// The lines of an item that shares them with nothing but its comma and a comment.
struct OwnLines {
    /// The offset of the first of these lines.
    start: usize,
    /// The offset of the line ending behind the last one.
    end: usize,
    /// The offset of the next line.
    next: usize,
}

fn own_lines(tree: &Tree<'_>, list: &List, index: usize) -> Option<OwnLines> {
    let item = &list.items[index];
    let start = list.open + tree.text[list.open..item.span.start].rfind('\n')? + 1;
    let after = item.comma.map_or(item.span.end, |c| c + 1);
    let newline = after + tree.text[after..list.close].find('\n')?;
    let behind = tree.text[after..newline].trim();
    let alone = tree.text[start..item.span.start].trim().is_empty()
        && !tree.text[item.span.end..after].contains('\n')
        && (behind.is_empty() || behind.starts_with('#'));
    let end = if tree.text[..newline].ends_with('\r') { newline - 1 } else { newline };
    alone.then_some(OwnLines { start, end, next: newline + 1 })
}

/// Adds `text` as the last item: on a line of its own if the last one has that.
pub(super) fn push(tree: &Tree<'_>, list: &List, braces: bool, text: &str) -> Vec<Splice> {
    let insert = |at: usize, text: String| Splice { range: at..at, text };
    let Some(last) = list.items.last() else {
        // Space is only put where there was none, which tells `remove` what was there first.
        let padded = if braces && list.open == list.close { format!(" {text} ") } else { text.to_owned() };
        return vec![insert(list.open, padded)];
    };
    let Some(lines) = own_lines(tree, list, list.items.len() - 1) else {
        return vec![insert(last.span.end, format!(", {text}"))];
    };
    let (newline, indent) = (tree.newline, &tree.text[lines.start..last.span.start]);
    if last.comma.is_some() {
        return vec![insert(lines.end, format!("{newline}{indent}{text},"))];
    }
    vec![insert(last.span.end, ",".to_owned()), insert(lines.end, format!("{newline}{indent}{text}"))]
}

/// Takes an item away, with its line if it has one of its own, and a comma.
pub(super) fn remove(tree: &Tree<'_>, list: &List, braces: bool, index: usize) -> Vec<Splice> {
    let cut = |range| Splice { range, text: String::new() };
    let item = &list.items[index];
    let with_comma = item.span.start..item.comma.map_or(item.span.end, |c| c + 1);
    let is_last = index + 1 == list.items.len();
    let comma_before = index.checked_sub(1).and_then(|i| list.items[i].comma);
    // The comma that would be left dangling where there was none.
    let dangling = comma_before.filter(|_| is_last && item.comma.is_none());
    if let Some(lines) = own_lines(tree, list, index) {
        return dangling.map(|c| cut(c..c + 1)).into_iter().chain([cut(lines.start..lines.next)]).collect();
    }
    let clean = |from: usize, to: usize| !tree.text[from..to].contains(['#', '\n']);
    if !is_last {
        let next = list.items[index + 1].span.start;
        let end = if clean(item.span.end, next) { next } else { with_comma.end };
        return vec![cut(item.span.start..end)];
    }
    match comma_before {
        Some(comma) if clean(comma, item.span.start) => vec![cut(comma..item.span.end)],
        Some(_) => dangling.map(|c| cut(c..c + 1)).into_iter().chain([cut(with_comma)]).collect(),
        None => {
            let inside = &tree.text[list.open..list.close];
            let padded = braces
                && item.comma.is_none()
                && inside.len() == item.span.len() + 2
                && inside.starts_with(' ')
                && inside.ends_with(' ');
            vec![cut(if padded { list.open..list.close } else { with_comma })]
        }
    }
}
