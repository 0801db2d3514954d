//! A finding made small enough to be sent to whoever can mend it.

use std::fmt::Write as _;
use std::io;

use crate::event::Direction;
use crate::lint::finding::Finding;
use crate::session::Session;
use crate::text::{shortened, visible};

/// Of a message so much is shown.
const LONGEST: usize = 4000;

/// The messages one has to see to believe a finding, in order, as text: `>` to the server and `<` from it.
pub fn reproduction(session: &Session, finding: &Finding) -> io::Result<String> {
    let mut out = String::new();
    let revision = finding.revision.map_or("unknown", crate::lint::Revision::name);
    let _ = writeln!(out, "# {}: {}", finding.rule.id, finding.message);
    let _ = writeln!(out, "# revision {revision}, {}", finding.link());
    let mut all: Vec<u64> = finding.related.iter().copied().filter(|sequence| *sequence > 0).collect();
    all.push(finding.sequence);
    all.sort_unstable();
    all.dedup();
    for sequence in all {
        let Some(at) = session.find(sequence) else { continue };
        let Some(entry) = session.index().get(at) else { continue };
        let Some(payload) = session.payload(at)? else { continue };
        let text = String::from_utf8_lossy(&payload);
        let text = shortened(text.trim_end_matches(['\r', '\n']), LONGEST).into_owned();
        let sign = match entry.stamp.direction {
            Direction::ToServer => '>',
            Direction::ToClient => '<',
        };
        let place = if sequence == finding.sequence { "  # here" } else { "" };
        let _ = writeln!(
            out,
            "{sign} {}{}",
            visible(&text),
            if place.is_empty() { String::new() } else { format!("\n{}", place.trim_start()) }
        );
    }
    Ok(out)
}
