//! A session on the screen: which rows are shown, where the cursor is, what is unfolded.

use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use mcp_capture::event::Mark;
use mcp_capture::file::Type;
use mcp_capture::filter::{Filter, FilterError};
use mcp_capture::{Opening, Row, RowKind, Session};

use super::data::{FindingLine, Live, ToolLine};
use super::detail::{self, Detail, Subject, Tab};
use super::held::Holding;
use super::timeline::Timeline;
use super::tools::Definitions;
use crate::chart::Histogram;
use crate::list::List;

/// Which part of the screen has the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    /// The list.
    #[default]
    List,
    /// What is known of one row.
    Detail,
    /// The table below.
    Panel,
}

/// What stands below the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Panel {
    /// Tools and what they cost.
    Tools,
    /// What the linter found.
    Lint,
}

/// A line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A row.
    Row(u32),
    /// A message of a row that is unfolded, or any record where single frames are shown.
    Entry(u32),
    /// What is held and has no row, by its place among what is held.
    Held(usize),
}

/// Whether single records are shown instead of operations.
#[derive(Debug, Default)]
enum Frames {
    /// They are not.
    #[default]
    Hidden,
    /// All of them.
    All,
    /// Those of the rows that fit.
    Fitting(Vec<u32>),
}

/// With so many rows the opening is over.
const OPENED: u32 = 256;

/// The session and all that is chosen about it.
pub(super) struct Open {
    pub(super) session: Session,
    /// How it was opened, as far as that is known.
    pub(super) opening: Opening,
    filter: Filter,
    pub(super) filter_text: String,
    /// The rows that fit; none: all.
    fitting: Option<Vec<u32>>,
    /// By place in the list of rows: the entries that are shown below it.
    unfolded: BTreeMap<usize, Vec<u32>>,
    /// Single records instead of operations; those of fitting rows if there is a filter.
    entries: Frames,
    pub(super) list: List,
    pub(super) pane: Pane,
    pub(super) panel: Option<Panel>,
    pub(super) panel_list: List,
    pub(super) detail: Detail,
    pub(super) is_paused: bool,
    pub(super) marks: Vec<Mark>,
    pub(super) findings: Vec<FindingLine>,
    pub(super) tools: Vec<ToolLine>,
    pub(super) live: Live,
    pub(super) holding: Holding,
    pub(super) was_linted: bool,
    definitions: RefCell<Definitions>,
    pub(super) timeline: RefCell<Timeline>,
    counts: RefCell<Counts>,
    /// How long the calls of one tool took, and of which: its name, with so many records.
    times: RefCell<(String, usize, Histogram)>,
}

/// What the header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    version: (usize, u64),
    /// Nanoseconds.
    pub(super) p50: Option<u64>,
    pub(super) p95: Option<u64>,
    pub(super) errors: usize,
    pub(super) pending: usize,
    pub(super) gaps: usize,
}

impl Open {
    pub(super) fn new(session: Session) -> Self {
        let mut open = Self {
            opening: Opening::of(&session),
            session,
            filter: Filter::all(),
            filter_text: String::new(),
            fitting: None,
            unfolded: BTreeMap::new(),
            entries: Frames::Hidden,
            list: List::default(),
            pane: Pane::List,
            panel: None,
            panel_list: List::default(),
            detail: Detail::default(),
            is_paused: false,
            marks: Vec::new(),
            findings: Vec::new(),
            tools: Vec::new(),
            live: Live::default(),
            holding: Holding::default(),
            was_linted: false,
            definitions: RefCell::default(),
            timeline: RefCell::default(),
            counts: RefCell::default(),
            times: RefCell::default(),
        };
        open.marks = open.session.marks();
        open.list.follow(!open.session.is_ended());
        open.lay_out();
        open.look();
        open
    }

    /// The file may have grown. Gives whether anything is to be drawn.
    pub(super) fn refresh(&mut self) -> Result<bool, String> {
        if self.is_paused {
            // Nothing is read: the file keeps it.
            return Ok(false);
        }
        let before = u32::try_from(self.session.rows().len()).unwrap_or(u32::MAX);
        let was_ended = self.session.is_ended();
        let changes = self.session.refresh().map_err(|e| e.to_string())?;
        if changes.records == 0 && was_ended == self.session.is_ended() {
            return Ok(false);
        }
        if self.session.is_ended() && !was_ended {
            self.list.follow(false);
        }
        if before < OPENED {
            self.opening = Opening::of(&self.session);
        }
        if !self.filter.is_all() {
            if changes.rows_changed {
                self.apply_filter();
            } else {
                let mut more = Vec::new();
                let _ = self.session.filter_from(&self.filter, before, |row| more.push(row));
                if let Some(fitting) = &mut self.fitting {
                    fitting.extend(more);
                }
            }
        }
        self.timeline.borrow_mut().forget();
        self.detail.grow(&self.session);
        self.place_held();
        Ok(true)
    }

    fn apply_filter(&mut self) {
        self.fitting = if self.filter.is_all() { None } else { Some(self.session.filtered(&self.filter).unwrap_or_default()) };
    }

    /// Shows the rows that fit a filter.
    pub(super) fn set_filter(&mut self, text: &str) -> Result<(), FilterError> {
        let filter: Filter = if text.trim().is_empty() { Filter::all() } else { text.parse()? };
        let kept = self.selected_row();
        self.filter = filter;
        text.trim().clone_into(&mut self.filter_text);
        self.unfolded.clear();
        self.apply_filter();
        if self.shows_frames() {
            self.entries = self.fitting_entries();
        }
        self.timeline.borrow_mut().forget();
        self.lay_out();
        if let Some(row) = kept {
            self.show_row(row);
        }
        self.look();
        Ok(())
    }

    /// How many rows fit, and how many there are.
    pub(super) fn shown(&self) -> (usize, usize) {
        let all = self.session.rows().len();
        (self.fitting.as_ref().map_or(all, Vec::len), all)
    }

    fn fitting_entries(&self) -> Frames {
        let Some(fitting) = &self.fitting else { return Frames::All };
        let mut entries: Vec<u32> = fitting.iter().flat_map(|row| self.session.rows().entries(*row)).collect();
        entries.sort_unstable();
        Frames::Fitting(entries)
    }

    /// Single records instead of operations, or back.
    pub(super) fn toggle_frames(&mut self) {
        let at = self.selected().and_then(|item| match item {
            Item::Row(row) => self.session.rows().get(self.session.index(), row).map(|row| row.first),
            Item::Entry(entry) => Some(entry),
            Item::Held(_) => None,
        });
        self.entries = if self.shows_frames() { Frames::Hidden } else { self.fitting_entries() };
        self.lay_out();
        match (at, &self.entries) {
            (Some(entry), Frames::Fitting(shown)) => self.list.select(shown.partition_point(|e| *e < entry)),
            (Some(entry), Frames::All) => self.list.select(entry as usize),
            (Some(entry), Frames::Hidden) => {
                if let Some(row) = self.session.rows().of_entry(entry) {
                    self.show_row(row);
                }
            }
            (None, _) => {}
        }
        self.look();
    }

    pub(super) fn shows_frames(&self) -> bool {
        !matches!(self.entries, Frames::Hidden)
    }

    fn row_count(&self) -> usize {
        self.fitting.as_ref().map_or(self.session.rows().len(), Vec::len)
    }

    fn row_at(&self, place: usize) -> Option<u32> {
        match &self.fitting {
            Some(fitting) => fitting.get(place).copied(),
            None => u32::try_from(place).ok().filter(|row| (*row as usize) < self.session.rows().len()),
        }
    }

    pub(super) fn lay_out(&mut self) {
        if matches!(self.entries, Frames::Fitting(_)) {
            self.entries = self.fitting_entries();
        }
        self.list.set_total(self.recorded_lines() + self.holding.lines());
    }

    /// Lines of what is recorded; what is held comes below, whatever the filter.
    fn recorded_lines(&self) -> usize {
        match &self.entries {
            Frames::Fitting(entries) => entries.len(),
            Frames::All => self.session.index().len(),
            Frames::Hidden => self.row_count() + self.unfolded.values().map(Vec::len).sum::<usize>(),
        }
    }

    /// What stands at a line of the list.
    pub(super) fn item(&self, line: usize) -> Option<Item> {
        if let Some(below) = line.checked_sub(self.recorded_lines()) {
            return self.holding.at(below);
        }
        match &self.entries {
            Frames::Fitting(entries) => return entries.get(line).copied().map(Item::Entry),
            Frames::All => {
                return u32::try_from(line).ok().filter(|e| (*e as usize) < self.session.index().len()).map(Item::Entry);
            }
            Frames::Hidden => {}
        }
        let mut above = 0;
        for (place, children) in &self.unfolded {
            let at = place + above;
            if line <= at {
                break;
            }
            if line <= at + children.len() {
                return children.get(line - at - 1).copied().map(Item::Entry);
            }
            above += children.len();
        }
        self.row_at(line - above).map(Item::Row)
    }

    fn line_of_place(&self, place: usize) -> usize {
        place + self.unfolded.range(..place).map(|(_, children)| children.len()).sum::<usize>()
    }

    fn place_of_row(&self, row: u32) -> Option<usize> {
        match &self.fitting {
            Some(fitting) => {
                let place = fitting.partition_point(|r| *r < row);
                (place < fitting.len()).then_some(place)
            }
            None => Some(row as usize),
        }
    }

    /// Puts the cursor on a row, or where it would be.
    pub(super) fn show_row(&mut self, row: u32) {
        if self.shows_frames() {
            return;
        }
        if let Some(place) = self.place_of_row(row) {
            self.list.select(self.line_of_place(place));
        }
    }

    /// The line under the cursor.
    pub(super) fn selected(&self) -> Option<Item> {
        self.list.selected().and_then(|line| self.item(line))
    }

    /// The row under the cursor, also from one of its messages.
    pub(super) fn selected_row(&self) -> Option<u32> {
        match self.selected()? {
            Item::Row(row) => Some(row),
            Item::Entry(entry) => self.session.rows().of_entry(entry),
            Item::Held(_) => None,
        }
    }

    pub(super) fn row(&self, number: u32) -> Option<Row> {
        self.session.rows().get(self.session.index(), number)
    }

    /// Shows or hides the messages of the row under the cursor.
    pub(super) fn toggle_fold(&mut self) {
        let (Some(row), Frames::Hidden) = (self.selected_row(), &self.entries) else { return };
        let Some(place) = self.place_of_row(row) else { return };
        if self.unfolded.remove(&place).is_none() {
            let entries = self.session.rows().entries(row);
            if entries.len() > 1 {
                self.unfolded.insert(place, entries);
            }
        }
        self.lay_out();
        self.list.select(self.line_of_place(place));
        self.look();
    }

    /// Whether a row is unfolded.
    pub(super) fn is_unfolded(&self, row: u32) -> bool {
        self.place_of_row(row).is_some_and(|place| self.unfolded.contains_key(&place))
    }

    /// Lets the detail show what is under the cursor.
    pub(super) fn look(&mut self) {
        let subject = match self.selected() {
            Some(Item::Row(row)) => Subject { row: Some(row), ..Subject::default() },
            Some(Item::Entry(entry)) => {
                let row = self.session.rows().of_entry(entry);
                Subject { row, entry: row.and(Some(entry)), held: None }
            }
            Some(Item::Held(at)) => Subject { held: self.live.held.get(at).map(|held| held.id), ..Subject::default() },
            None => Subject::default(),
        };
        self.detail.set(&self.session, subject);
    }

    /// Makes what the detail's tab shows, unless it is there.
    pub(super) fn make_detail(&mut self, has_unicode: bool, utc_offset: i32) {
        if self.detail.made().is_some() {
            return;
        }
        let subject = self.detail.subject;
        if let Some(held) = subject.held.and_then(|id| self.live.held.iter().find(|held| held.id == id)) {
            let made = detail::held(&held.bytes, &held.by, self.detail.tab);
            *self.detail.page() = Some(made);
            return;
        }
        let Some(row) = subject.row.and_then(|row| self.row(row)) else { return };
        let (session, entry) = (&self.session, subject.entry);
        let made = match self.detail.tab {
            Tab::Arguments => detail::arguments(session, &row, entry),
            Tab::Result => match self.held_answer(row.number) {
                Some(held) => detail::held(&held.bytes, &held.by, Tab::Result),
                None => detail::result(session, &row),
            },
            Tab::Raw => detail::raw(session, &row, entry, has_unicode),
            Tab::Timing => {
                let started = session.header().started_ms;
                detail::timing(session, &row, |at| super::view::clock(started, at, utc_offset, true), has_unicode)
            }
            Tab::Lint => {
                let of: Vec<&FindingLine> = self.findings.iter().filter(|f| f.row == Some(row.number)).collect();
                detail::lint(&of, self.was_linted)
            }
            Tab::Schema => {
                let (method, name) = session.index().symbols.get(row.operation);
                let tool = if method == "tools/call" { name.to_owned() } else { String::new() };
                let definition = if tool.is_empty() { None } else { self.definition(&tool) };
                detail::schema(&tool, definition)
            }
        };
        *self.detail.page() = Some(made);
    }

    /// The definition of a tool, as this session's lists have it.
    pub(super) fn definition(&self, tool: &str) -> Option<String> {
        let mut known = self.definitions.borrow_mut();
        known.learn(&self.session);
        known.get(tool).map(str::to_owned)
    }

    /// All tools of the session's lists.
    pub(super) fn tool_names(&self) -> Vec<String> {
        let mut known = self.definitions.borrow_mut();
        known.learn(&self.session);
        known.names()
    }

    /// The mark a record has.
    pub(super) fn mark_of(&self, sequence: u64) -> Option<&Mark> {
        self.marks.iter().rev().find(|mark| mark.frame == sequence)
    }

    /// To the next row with a mark, around the end.
    pub(super) fn next_mark(&mut self) -> bool {
        let here = self.selected_row().and_then(|row| self.row(row)).map_or(0, |row| row.sequence);
        let mut places: Vec<u64> = self.marks.iter().filter(|m| !m.removed && m.frame != 0).map(|m| m.frame).collect();
        places.sort_unstable();
        let Some(next) = places.iter().find(|p| **p > here).or(places.first()).copied() else { return false };
        let Some(row) = self.session.find(next).and_then(|entry| self.session.rows().of_entry(entry)) else { return false };
        self.show_row(row);
        self.look();
        true
    }

    /// To the next or last row before that did not go well or has a finding.
    pub(super) fn next_trouble(&mut self, is_back: bool) -> bool {
        let Some(place) = self.selected_row().and_then(|row| self.place_of_row(row)) else { return false };
        let is_trouble = |place: &usize| {
            self.row_at(*place).and_then(|row| self.row(row)).is_some_and(|row| {
                row.status.is_bad()
                    || row.flags.has(mcp_capture::RowFlags::LINT)
                    || matches!(row.kind, RowKind::Stray | RowKind::Gap)
            })
        };
        let found = if is_back { (0..place).rev().find(is_trouble) } else { (place + 1..self.row_count()).find(is_trouble) };
        let Some(found) = found else { return false };
        self.list.select(self.line_of_place(found));
        self.look();
        true
    }

    pub(super) fn counts(&self) -> Ref<'_, Counts> {
        let last = u32::try_from(self.session.index().len()).ok().and_then(|len| self.session.index().get(len.checked_sub(1)?));
        let version = (self.session.index().len(), last.map_or(0, |entry| entry.stamp.sequence));
        if self.counts.borrow().version != version {
            let mut counts = Counts { version, ..Counts::default() };
            let mut times = Vec::new();
            for row in self.session.rows().iter(self.session.index()) {
                match row.kind {
                    RowKind::Operation => {
                        counts.errors += usize::from(row.status.is_bad());
                        counts.pending += usize::from(row.status.is_open());
                        times.extend(row.duration);
                    }
                    RowKind::Gap => counts.gaps += 1,
                    _ => {}
                }
            }
            let part = |times: &mut Vec<u64>, of: usize| {
                let at = times.len().checked_sub(1)? * of / 100;
                Some(*times.select_nth_unstable(at).1)
            };
            counts.p50 = part(&mut times, 50);
            counts.p95 = part(&mut times, 95);
            *self.counts.borrow_mut() = counts;
        }
        self.counts.borrow()
    }

    /// How long the calls of a tool took.
    pub(super) fn times_of(&self, tool: &str) -> Ref<'_, Histogram> {
        let records = self.session.index().len();
        let is_made = matches!(&*self.times.borrow(), (known, of, _) if known == tool && *of == records);
        if !is_made {
            let mut histogram = Histogram::default();
            for row in self.session.rows().iter(self.session.index()).filter(|row| row.kind == RowKind::Operation) {
                if self.session.index().symbols.get(row.operation) == ("tools/call", tool)
                    && let Some(took) = row.duration
                {
                    histogram.add(Duration::from_nanos(took));
                }
            }
            *self.times.borrow_mut() = (tool.to_owned(), records, histogram);
        }
        Ref::map(self.times.borrow(), |(.., histogram)| histogram)
    }

    /// The rows in the list, for the timeline.
    pub(super) fn each_shown(&self, mut each: impl FnMut(Row)) {
        match &self.fitting {
            Some(fitting) => fitting.iter().filter_map(|row| self.row(*row)).for_each(each),
            None => self.session.rows().iter(self.session.index()).for_each(&mut each),
        }
    }

    /// Whether a record is one people look for: a message, or something that should not be there.
    pub(super) fn is_message(&self, entry: u32) -> bool {
        self.session.index().get(entry).is_some_and(|e| e.kind == Type::Frame)
    }
}
