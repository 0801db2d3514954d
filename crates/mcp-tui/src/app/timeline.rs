//! How much happened when: the line above the list.

use super::open::Open;
use crate::chart::Bucket;

/// Counts by time, kept until the rows change.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// For this width and this part of time.
    made: Option<(u16, u64, u64)>,
    /// Operations that began in each cell.
    pub(super) cells: Vec<Bucket>,
    /// What is shown: from and to, in nanoseconds since the session's zero; none: all of it.
    pub(super) span: Option<(u64, u64)>,
}

impl Timeline {
    /// The rows changed.
    pub(super) fn forget(&mut self) {
        self.made = None;
    }

    /// What is shown, given all there is.
    pub(super) fn shown(&self, all: (u64, u64)) -> (u64, u64) {
        self.span.map_or(all, |(from, to)| (from.max(all.0).min(all.1), to.min(all.1).max(from.max(all.0) + 1)))
    }

    /// Less time or more of it, around a place.
    pub(super) fn zoom(&mut self, all: (u64, u64), around: u64, is_in: bool) {
        let (from, to) = self.shown(all);
        let width = (to - from).max(1);
        let width = if is_in { (width / 2).max(1_000_000) } else { width.saturating_mul(2) };
        if width >= all.1.saturating_sub(all.0) {
            self.span = None;
        } else {
            let from = around.saturating_sub(width / 2).clamp(all.0, all.1 - width);
            self.span = Some((from, from + width));
        }
        self.forget();
    }

    /// Earlier or later by half of what is shown.
    pub(super) fn shift(&mut self, all: (u64, u64), is_later: bool) {
        let Some((from, to)) = self.span else { return };
        let width = to - from;
        let from = if is_later { from.saturating_add(width / 2) } else { from.saturating_sub(width / 2) };
        let from = from.clamp(all.0, all.1.saturating_sub(width).max(all.0));
        self.span = Some((from, from + width));
        self.forget();
    }

    /// Counts what is in the list.
    pub(super) fn count(&mut self, open: &Open, width: u16, all: (u64, u64)) {
        let (from, to) = self.shown(all);
        if self.made == Some((width, from, to)) || width == 0 {
            return;
        }
        self.made = Some((width, from, to));
        self.cells = vec![Bucket::default(); width.into()];
        let step = (to - from).div_ceil(u64::from(width)).max(1);
        open.each_shown(|row| {
            if (from..=to).contains(&row.at)
                && let Ok(at) = usize::try_from((row.at - from) / step)
                && let Some(cell) = self.cells.get_mut(at)
            {
                cell.calls += 1;
                cell.errors += u32::from(row.status.is_bad());
            }
        });
    }
}
