//! A capture copied with its secrets replaced: what can be handed to others.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::event::{Event, Flags, Record};
use crate::file::{self, Type, beginning, parse, push_record};
use crate::reader::{Part, ReadError};
use crate::redact::Redactor;

/// Why no copy was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The capture could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The copy could not be written.
    #[error("write the copy {}", path.display())]
    Write {
        /// The copy.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Copies one part, record by record, with secrets replaced. The copy must not be there yet. Records of a later version are
/// left out, since what they hold is not known. Returns how many records were changed.
pub fn copy_redacted(from: &Path, to: &Path, redactor: &Redactor) -> Result<u64, CopyError> {
    let part = Part::open(from)?;
    let failed = |source| CopyError::Write { path: to.to_owned(), source };
    let mut out = io::BufWriter::new(mcp_os::private::create_new(to).map_err(failed)?);
    let mut header = part.header().clone();
    header.raw = false;
    header.command = redactor.command(&header.command);
    let mut bytes = beginning().to_vec();
    push_record(&mut bytes, Type::Header, None, &[&file::json(&header)]);
    let mut changed = 0;
    let mut trouble = out.write_all(&bytes).err();
    let read = part.each(part.start(), |_, kind, body| {
        let Some((mut stamp, record)) = parse(kind, body) else { return true };
        bytes.clear();
        let before = body.slice(file::STAMP.min(body.len())..);
        let after = match record {
            Record::Frame(bytes, length) if stamp.flags.has(Flags::TRUNCATED) => {
                let kept = redactor.replace(&bytes).unwrap_or(bytes);
                [&length.to_le_bytes()[..], &kept].concat()
            }
            Record::Frame(bytes, _) | Record::Stderr(bytes) => redactor.replace(&bytes).unwrap_or(bytes).to_vec(),
            Record::Event(mut event) => {
                let is_clean = {
                    let was = event.clone();
                    redactor.event(&mut event);
                    was == event
                };
                // What was not changed stays as it was spelt.
                if is_clean { before.to_vec() } else { event_bytes(&event) }
            }
            Record::Unknown(_) | Record::Header(_) => return true,
            Record::Mark(_) | Record::Gap(_) | Record::Footer(_) => before.to_vec(),
        };
        if *before != *after {
            changed += 1;
            stamp.flags = stamp.flags.with(Flags::REDACTED);
        }
        push_record(&mut bytes, kind, Some(&stamp), &[&after]);
        trouble = out.write_all(&bytes).err();
        trouble.is_none()
    });
    let flushed = out.flush().err();
    match trouble.or(flushed) {
        Some(source) => Err(failed(source)),
        None => match read {
            Ok(_) => Ok(changed),
            Err(source) => Err(ReadError::Io { path: from.to_owned(), source }.into()),
        },
    }
}

fn event_bytes(event: &Event) -> Vec<u8> {
    file::event_body(event).1
}
