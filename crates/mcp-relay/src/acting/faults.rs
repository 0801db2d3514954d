//! How a message is spoilt.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mcp_capture::Direction;
use mcp_capture::event::Flags;
use mcp_capture::filter::Filter;
use mcp_wire::{Frame, Kind, author};

use super::rules::{Act, Altered, Message, Place, Rules, Until};
use super::wire::FaultKind;

/// A rule that spoils.
pub(super) struct Fault {
    pub(super) id: String,
    pub(super) viewer: u64,
    pub(super) filter: Filter,
    pub(super) way: Option<Direction>,
    pub(super) kind: FaultKind,
    /// Of a thousand messages that fit, it hits so many.
    pub(super) per_mille: u32,
    pub(super) left: Option<u32>,
}

impl Fault {
    pub(super) fn is_delay(&self) -> bool {
        matches!(self.kind, FaultKind::Delay { .. })
    }
}

impl<P: Place> Rules<P> {
    /// A fault has hit a message.
    pub(super) fn spoil(&mut self, at: usize, message: Message<P>, frame: Option<&Frame>, acts: &mut Vec<Act<P>>) {
        let fault = &mut self.faults[at];
        fault.left = fault.left.map(|left| left - 1);
        let (kind, by, viewer) = (fault.kind.clone(), fault.id.clone(), fault.viewer);
        let altered = |what| Some(Altered { what, by: by.clone(), original: message.bytes.clone() });
        let with = |bytes| Message { bytes, ..message.clone() };
        let mut record = |message, flags, altered| acts.push(Act::Record { message, flags, altered });
        match kind {
            FaultKind::Delay { ms } => {
                self.hold(viewer, by, message, Until::Time(Instant::now() + Duration::from_millis(ms)));
            }
            FaultKind::Reorder { after } => self.hold(viewer, by, message, Until::Passed(after.max(1))),
            FaultKind::Drop => record(message.clone(), Flags::DROPPED, altered("drop")),
            FaultKind::Duplicate => {
                record(message.clone(), Flags::NONE, None);
                record(message.clone(), Flags::INJECTED, altered("duplicate"));
            }
            FaultKind::Truncate { length } => {
                let whole = &message.bytes;
                let end = usize::try_from(length).unwrap_or(usize::MAX).min(whole.len().saturating_sub(1));
                let mut short = whole[..end].to_vec();
                short.push(b'\n');
                record(with(Bytes::from(short)), Flags::ALTERED, altered("truncate"));
            }
            FaultKind::Error { code, message: text } => {
                let answer = frame.and_then(|frame| Some((frame.kind(), author::error(Some(frame.id()?), code, &text, None))));
                match answer {
                    Some((Kind::Request, answer)) => {
                        record(message.clone(), Flags::DROPPED, altered("error"));
                        let back = Message { direction: message.direction.reversed(), ..with(answer) };
                        record(back, Flags::INJECTED, None);
                    }
                    Some((Kind::Result | Kind::Error, answer)) => record(with(answer), Flags::ALTERED, altered("error")),
                    _ => record(message.clone(), Flags::DROPPED, altered("drop")),
                }
            }
        }
    }
}
