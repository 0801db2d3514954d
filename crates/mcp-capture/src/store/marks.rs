//! Marks and comments: a file beside the capture, in the same format, to which any viewer appends.

use std::io::{self, Write as _};
use std::path::Path;

use crate::event::{Direction, Flags, Header, Hop, Mark, Record, Stamp};
use crate::file::{self, Type, beginning, parse, push_record};
use crate::reader::Part;
use crate::store::names;

/// Adds a mark or comment to the session of this first part. It replaces the one the frame has.
pub fn add(first: &Path, mark: &Mark) -> io::Result<()> {
    let path = names::marks(first);
    let mut bytes = Vec::new();
    let mut file = mcp_os::private::append(&path)?;
    if file.metadata()?.len() == 0 {
        let session = Part::open(first).map(|part| part.header().session.clone()).unwrap_or_default();
        bytes.extend_from_slice(&beginning());
        push_record(&mut bytes, Type::Header, None, &[&file::json(&Header { session, ..Header::default() })]);
    }
    let stamp = Stamp { sequence: mark.frame, at: 0, hop: Hop::Server, direction: Direction::ToServer, flags: Flags::NONE };
    push_record(&mut bytes, Type::Mark, Some(&stamp), &[&file::json(mark)]);
    // In one write: two viewers may do so at once.
    file.write_all(&bytes)
}

/// The last word on each frame, in the order of the frames. No file, no marks.
pub fn read(first: &Path) -> Vec<Mark> {
    let Ok(part) = Part::open(&names::marks(first)) else { return Vec::new() };
    let mut all = std::collections::BTreeMap::new();
    let _ = part.each(part.start(), |_, kind, body| {
        if let Some((_, Record::Mark(mark))) = parse(kind, body) {
            if mark.removed {
                all.remove(&mark.frame);
            } else {
                all.insert(mark.frame, mark);
            }
        }
        true
    });
    all.into_values().collect()
}
