//! Reading captures: one part as it grows, and a session of several parts with its index.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use mcp_os::extent::read_at;

use crate::event::{Flags, Header, Record};
use crate::file::{BEGINNING, BadBeginning, HEAD, Head, STAMP, Type, check_beginning, parse, parse_stamp};

/// Why a capture cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file could not be opened or read.
    #[error("read the capture {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is none, or too new.
    #[error("read the capture {}", path.display())]
    Beginning {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: BadBeginning,
    },
    /// Its first record is torn or missing.
    #[error("read the capture {}: its first record is not whole", path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
}

/// One file.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    file: File,
    header: Header,
    /// Where the first record behind the header begins.
    start: u64,
}

/// A record and where it is.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is.
    pub kind: Type,
    /// The body, stamp included.
    pub body: Bytes,
    /// Where the next record begins.
    pub next: u64,
}

/// Bytes read at once when records are read in order.
const BLOCK: usize = 256 * 1024;

impl Part {
    /// Opens a capture and reads its header.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let failed = |source| ReadError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mut bytes = [0; BEGINNING];
        let count = read_at(&file, &mut bytes, 0).map_err(failed)?;
        check_beginning(&bytes[..count]).map_err(|source| ReadError::Beginning { path: path.to_owned(), source })?;
        let mut part = Self { path: path.to_owned(), file, header: Header::default(), start: BEGINNING as u64 };
        let found = part.record(BEGINNING as u64).map_err(failed)?;
        match found.and_then(|found| Some((parse(found.kind, &found.body)?, found.next))) {
            Some(((_, Record::Header(header)), next)) => {
                part.header = header;
                part.start = next;
                Ok(part)
            }
            _ => Err(ReadError::NoHeader { path: path.to_owned() }),
        }
    }

    /// What the file says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the records behind the header begin.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Its length now.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// The record that begins here. `None`: there is none that is whole; it may still be written.
    pub fn record(&self, offset: u64) -> io::Result<Option<Found>> {
        let mut head = [0; HEAD];
        if read_at(&self.file, &mut head, offset)? < HEAD {
            return Ok(None);
        }
        let Some(parsed) = Head::parse(&head) else { return Ok(None) };
        let next = offset + (HEAD + parsed.length as usize) as u64;
        // Nothing is allocated for what garbage claims to be long.
        if next > self.length()? {
            return Ok(None);
        }
        let mut body = vec![0; parsed.length as usize];
        if read_at(&self.file, &mut body, offset + HEAD as u64)? < body.len() || !parsed.fits(&head, &body) {
            return Ok(None);
        }
        Ok(Some(Found { kind: parsed.kind, body: Bytes::from(body), next }))
    }

    /// The first bytes of a record's payload, unchecked: for a line of a list, whatever the length of the payload.
    pub fn payload_start(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; HEAD + STAMP + 8 + length];
        let count = read_at(&self.file, &mut bytes, offset)?;
        bytes.truncate(count);
        let Some(head) = Head::parse(&bytes) else { return Ok(Vec::new()) };
        // What is behind is the next record.
        bytes.truncate(HEAD + head.length as usize);
        bytes.drain(..HEAD);
        let is_truncated = parse_stamp(&bytes).is_some_and(|stamp| stamp.flags.has(Flags::TRUNCATED));
        let from = (STAMP + if is_truncated { 8 } else { 0 }).min(bytes.len());
        bytes.drain(..from);
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Calls back with every whole record from here on, in order; returns where it stopped: at the end, at what is torn, or
    /// where `each` said `false`.
    pub fn each(&self, from: u64, mut each: impl FnMut(u64, Type, &Bytes) -> bool) -> io::Result<u64> {
        let mut offset = from;
        let (mut block, mut block_at) = (Bytes::new(), from);
        loop {
            let inside = usize::try_from(offset - block_at).unwrap_or(usize::MAX);
            let rest = block.get(inside..).unwrap_or_default();
            let head = Head::parse(rest);
            if head.is_none() && rest.len() >= HEAD {
                return Ok(offset);
            }
            let wanted = HEAD + head.map_or(0, |head| head.length as usize);
            if rest.len() < wanted || head.is_none() {
                let available = usize::try_from(self.length()?.saturating_sub(offset)).unwrap_or(usize::MAX);
                if available < wanted {
                    return Ok(offset);
                }
                let mut bytes = vec![0; available.min(wanted.max(BLOCK))];
                let count = read_at(&self.file, &mut bytes, offset)?;
                if count < wanted {
                    return Ok(offset);
                }
                bytes.truncate(count);
                (block, block_at) = (Bytes::from(bytes), offset);
                continue;
            }
            let Some(head) = head else { return Ok(offset) };
            let body = inside + HEAD..inside + wanted;
            if !head.fits(&block[inside..inside + HEAD], &block[body.clone()]) || !each(offset, head.kind, &block.slice(body)) {
                return Ok(offset);
            }
            offset += wanted as u64;
        }
    }
}
