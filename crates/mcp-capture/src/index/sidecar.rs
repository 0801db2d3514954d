//! The index as a file beside its part of the capture.
//!
//! All of it is cells of 40 bytes: one for the beginning, then entries in the order of the capture, and before the first
//! entry that needs it a cell for each new operation, with as many cells behind it as its text takes.

use std::fs::File;
use std::io::{self, Write};

use mcp_os::extent::read_at;
use xxhash_rust::xxh3::xxh3_64;

use super::{CELL, Entry, Index, Operation, SYMBOL, Symbols};
use crate::event::Header;

const MAGIC: [u8; 8] = *b"\x89MCPIDX\n";
/// Not read by any other version: an index is made anew in a second.
const VERSION: u16 = 1;

fn beginning(header: &Header) -> [u8; CELL] {
    let mut cell = [0; CELL];
    cell[..8].copy_from_slice(&MAGIC);
    cell[8..10].copy_from_slice(&VERSION.to_le_bytes());
    cell[12..16].copy_from_slice(&header.part.to_le_bytes());
    cell[16..24].copy_from_slice(&xxh3_64(header.session.as_bytes()).to_le_bytes());
    cell
}

/// Collects cells, and hands them on when asked to.
#[derive(Debug, Default)]
pub struct SidecarWriter {
    cells: Vec<u8>,
}

impl SidecarWriter {
    /// The beginning of the index of a part.
    pub fn new(header: &Header) -> Self {
        Self { cells: beginning(header).to_vec() }
    }

    /// A new operation; goes before the first entry that has it.
    pub(crate) fn symbol(&mut self, symbols: &Symbols, operation: Operation) {
        let (method, name) = symbols.get(operation);
        let text = [method.as_bytes(), b"\0", name.as_bytes()].concat();
        let mut cell = [0; CELL];
        cell[12..16].copy_from_slice(&u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
        cell[23..26].copy_from_slice(&operation.0.to_le_bytes()[..3]);
        cell[28] = SYMBOL;
        self.cells.extend_from_slice(&cell);
        self.cells.extend_from_slice(&text);
        self.cells.resize(self.cells.len().next_multiple_of(CELL), 0);
    }

    pub(crate) fn entry(&mut self, entry: &Entry) {
        self.cells.extend_from_slice(&entry.pack());
    }

    /// Writes what has been collected.
    pub fn write_to(&mut self, out: &mut impl Write) -> io::Result<()> {
        let done = out.write_all(&self.cells);
        self.forget();
        done
    }

    /// Drops what has been collected.
    pub(crate) fn forget(&mut self) {
        self.cells.clear();
        self.cells.shrink_to(256 * 1024);
    }
}

/// Appends the entries of a sidecar to an index. Returns how many, or `None` if it is no index of this part. It is believed
/// as far as it makes sense; whether it fits the capture is for the caller to find out.
pub fn load(file: &File, header: &Header, index: &mut Index) -> io::Result<Option<u32>> {
    let start = index.cells.len();
    let room = usize::try_from(file.metadata()?.len()).unwrap_or(0).min(1 << 36);
    // Read to where the entries are to stay: a copy of forty megabytes would be most of the time.
    if start == 0 {
        index.cells = vec![0; room];
    } else {
        index.cells.resize(start + room, 0);
    }
    let read = fill(file, &mut index.cells[start..]);
    index.cells.truncate(start + *read.as_ref().unwrap_or(&0));
    read?;
    if index.cells.get(start..start + CELL) != Some(&beginning(header)) {
        index.cells.truncate(start);
        return Ok(None);
    }
    let mut map: Vec<u32> = vec![0];
    let mut is_same = true;
    let (mut from, mut to) = (start + CELL, start);
    // Entries between two symbols are moved together.
    let mut run = from;
    let mut last_offset = 0;
    let close = |cells: &mut Vec<u8>, run: usize, end: usize, to: &mut usize| {
        cells.copy_within(run..end, *to);
        *to += end - run;
    };
    while let Some(cell) = index.cells.get_mut(from..from + CELL) {
        let number = cell[28] & 15;
        if number == SYMBOL {
            let length = u32::from_le_bytes([cell[12], cell[13], cell[14], cell[15]]) as usize;
            let local = u32::from_le_bytes([cell[23], cell[24], cell[25], 0]) as usize;
            let behind = from + CELL;
            let Some(text) = index.cells.get(behind..behind + length) else { break };
            let Some((method, name)) = std::str::from_utf8(text).ok().and_then(|t| t.split_once('\0')) else { break };
            if local != map.len() || method.is_empty() {
                break;
            }
            let (operation, _) = index.symbols.intern(method, name);
            map.push(operation.0);
            is_same &= operation.0 as usize == local;
            close(&mut index.cells, run, from, &mut to);
            from = behind + length.next_multiple_of(CELL);
            run = from;
            continue;
        }
        let offset = u64::from_le_bytes([cell[0], cell[1], cell[2], cell[3], cell[4], 0, 0, 0]);
        if number == 0 || offset < last_offset {
            break;
        }
        last_offset = offset;
        if !is_same {
            let local = u32::from_le_bytes([cell[23], cell[24], cell[25], 0]) as usize;
            let Some(global) = map.get(local) else { break };
            cell[23..26].copy_from_slice(&global.to_le_bytes()[..3]);
        }
        from += CELL;
    }
    let end = from.min(index.cells.len() / CELL * CELL).max(run);
    let end = end.min(index.cells.len());
    if run < end {
        close(&mut index.cells, run, end, &mut to);
    }
    index.cells.truncate(to);
    Ok(Some(u32::try_from((to - start) / CELL).unwrap_or(u32::MAX)))
}

/// Reads a file from its beginning; how much that was. Two threads if it is large: half of the time is what the system needs to
/// make the pages.
fn fill(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    const LARGE: usize = 4 << 20;
    if buffer.len() < LARGE {
        return read_at(file, buffer, 0);
    }
    let middle = buffer.len() / 2;
    let (front, back) = buffer.split_at_mut(middle);
    std::thread::scope(|scope| {
        let other = std::thread::Builder::new().spawn_scoped(scope, || read_at(file, back, middle as u64))?;
        let first = read_at(file, front, 0)?;
        let second = other.join().map_err(|_| io::Error::other("the thread that read the other half ended"))??;
        Ok(if first < middle { first } else { first + second })
    })
}
