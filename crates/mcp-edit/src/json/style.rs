//! How the neighbourhood is written, so that what we add looks the same.

use crate::json::walk::{Child, Container, Walk};

/// Siblings larger than this are not looked at: no hand laid them out.
const SAMPLE: usize = 64 * 1024;
/// How many siblings are looked at, from the last one back.
const SAMPLES: usize = 4;

/// What was seen. `None` means that there was nothing to see it from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Habits {
    pub(super) newline: Option<&'static str>,
    /// One level of indentation.
    pub(super) unit: Option<String>,
    /// What stands between a key and its value.
    pub(super) colon: Option<String>,
    /// What stands between two children on one line.
    pub(super) comma: Option<String>,
    /// What stands inside the brackets of an object that is on one line.
    pub(super) braces: Option<String>,
    /// The same for a list.
    pub(super) brackets: Option<String>,
    /// Whether objects that stand directly where ours will stand have a line for each member.
    pub(super) entries: Option<bool>,
    /// The same for objects inside those.
    pub(super) inner: Option<bool>,
    /// The same for lists of plain values.
    pub(super) lists: Option<bool>,
}

impl Habits {
    /// Looks at `container`, at its children (at `first` before all others) and at what is around it, outermost first.
    pub(super) fn of(walk: Walk<'_>, around: &[Container], container: &Container, first: Option<usize>) -> Self {
        let siblings = first.into_iter().chain((0..container.children.len()).rev().filter(|i| Some(*i) != first));
        let samples: Vec<Container> = siblings
            .map(|i| &container.children[i].value)
            .filter(|value| value.len() <= SAMPLE)
            .filter_map(|value| walk.container(value.start))
            .filter(|sample| !sample.children.is_empty())
            .take(SAMPLES)
            .collect();
        let inner: Vec<Container> = samples
            .iter()
            .flat_map(|sample| sample.children.iter().filter_map(|child| walk.container(child.value.start)))
            .filter(|found| !found.children.is_empty())
            .take(4 * SAMPLES)
            .collect();
        let object = |c: &&Container| walk.byte(c.open) == Some(b'{');
        let below = || samples.iter().chain(&inner);
        let all = || below().chain([container]).chain(around.iter().rev());
        let spread = |c: &Container| spread(walk, c);
        let colon = all().find_map(|c| c.children.iter().rev().find_map(|child| colon(walk, child)));
        let comma = all().find_map(|c| comma(walk, c)).or_else(|| {
            let tight = colon.as_deref().is_some_and(|colon| colon.ends_with(':'));
            Some(if tight { ",".to_owned() } else { ", ".to_owned() })
        });
        let lists: Vec<bool> = below().filter(|c| !object(c) && plain(walk, c)).map(spread).collect();
        Self {
            newline: newline(walk.text, container.open),
            unit: all().find_map(|c| unit(walk, c)),
            comma,
            colon,
            braces: all().filter(object).find_map(|c| padding(walk, c)),
            brackets: all().filter(|c| !object(c)).find_map(|c| padding(walk, c)),
            entries: samples.iter().find(object).map(spread),
            inner: inner.iter().find(object).map(spread),
            // A short list on one line among spread ones shows a writer who spreads only what is long.
            lists: (!lists.is_empty()).then(|| lists.iter().all(|spread| *spread)),
        }
    }

    /// These habits, completed by those seen one level further out.
    #[must_use]
    pub(super) fn or_outer(self, outer: &Self) -> Self {
        Self {
            newline: self.newline.or(outer.newline),
            unit: self.unit.or_else(|| outer.unit.clone()),
            colon: self.colon.or_else(|| outer.colon.clone()),
            comma: self.comma.or_else(|| outer.comma.clone()),
            braces: self.braces.or_else(|| outer.braces.clone()),
            brackets: self.brackets.or_else(|| outer.brackets.clone()),
            entries: self.entries.or(outer.inner),
            inner: self.inner.or(outer.inner),
            lists: self.lists.or(outer.lists),
        }
    }

    pub(super) fn newline(&self) -> &'static str {
        self.newline.unwrap_or("\n")
    }

    pub(super) fn unit(&self) -> &str {
        self.unit.as_deref().unwrap_or("  ")
    }

    pub(super) fn colon(&self) -> &str {
        self.colon.as_deref().unwrap_or(": ")
    }

    pub(super) fn comma(&self) -> &str {
        self.comma.as_deref().unwrap_or(", ")
    }
}

/// The line break nearest to a place: the one before it, else the one after it.
pub(super) fn newline(text: &str, at: usize) -> Option<&'static str> {
    let bytes = text.as_bytes();
    let near = memchr::memrchr(b'\n', &bytes[..at]).or_else(|| memchr::memchr(b'\n', &bytes[at..]).map(|i| at + i))?;
    Some(if near > 0 && bytes[near - 1] == b'\r' { "\r\n" } else { "\n" })
}

/// Whether a container has its children on lines of their own.
pub(super) fn spread(walk: Walk<'_>, container: &Container) -> bool {
    container.children.last().is_some_and(|child| walk.starts_line(child.start()))
}

/// Whether a list holds only plain values.
fn plain(walk: Walk<'_>, list: &Container) -> bool {
    !list.children.iter().any(|child| matches!(walk.byte(child.value.start), Some(b'{' | b'[')))
}

fn unit(walk: Walk<'_>, container: &Container) -> Option<String> {
    let child = container.children.last().filter(|child| walk.starts_line(child.start()))?;
    walk.indent(child.start()).strip_prefix(walk.indent(container.open)).map(str::to_owned)
}

fn colon(walk: Walk<'_>, child: &Child) -> Option<String> {
    let between = &walk.text[child.key.as_ref()?.end..child.value.start];
    between.bytes().all(|b| matches!(b, b' ' | b'\t' | b':')).then(|| between.to_owned())
}

fn comma(walk: Walk<'_>, container: &Container) -> Option<String> {
    container.children.windows(2).rev().find_map(|pair| {
        let between = &walk.text[pair[0].value.end..pair[1].start()];
        between.bytes().all(|b| matches!(b, b' ' | b'\t' | b',')).then(|| between.trim_start().to_owned())
    })
}

fn padding(walk: Walk<'_>, container: &Container) -> Option<String> {
    let first = container.children.first()?.start();
    let padding = &walk.text[container.open + 1..first];
    padding.bytes().all(|b| matches!(b, b' ' | b'\t')).then(|| padding.to_owned())
}
