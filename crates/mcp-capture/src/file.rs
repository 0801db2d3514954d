//! The file: how a record is written and read. `docs/captures.md` says the same to people of other programs.
//!
//! A file is 16 bytes of beginning and then records. A record is a head of 12 bytes, a body, and nothing more; the check in
//! the head covers all the rest, so that what was torn off by `kill -9` is recognised and a reader stops before it.

use bytes::Bytes;

use crate::event::{Altered, Direction, Event, Flags, Footer, Gap, Header, Hop, Http, Mark, Note, Peer, Process, Record, Stamp};

/// The first bytes of a capture.
pub const MAGIC: [u8; 8] = *b"\x89MCPCAP\n";
/// A reader of this major version reads every file of it. Another major version is refused.
pub const MAJOR: u16 = 1;
/// Grows when types, flags or members are added, which an older reader skips.
pub const MINOR: u16 = 0;
/// Length of the beginning.
pub const BEGINNING: usize = 16;
/// Length of the head of a record.
pub const HEAD: usize = 12;
/// Length of the stamp that every body but the header's begins with.
pub const STAMP: usize = 24;
/// A record's body is never longer: what says so is no record.
pub const LONGEST: usize = 1 << 30;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// [`Header`].
    Header,
    /// A message.
    Frame,
    /// A piece of standard error.
    Stderr,
    /// [`Http`].
    Http,
    /// [`Peer`].
    Peer,
    /// [`Process`].
    Process,
    /// [`Note`].
    Note,
    /// [`Mark`].
    Mark,
    /// [`Altered`].
    Altered,
    /// [`Gap`].
    Gap,
    /// [`Footer`].
    Footer,
    /// Of a later version.
    Unknown(u8),
}

impl Type {
    /// The number in the file.
    pub fn number(self) -> u8 {
        match self {
            Self::Header => 1,
            Self::Frame => 2,
            Self::Stderr => 3,
            Self::Http => 4,
            Self::Peer => 5,
            Self::Process => 6,
            Self::Note => 7,
            Self::Mark => 8,
            Self::Altered => 9,
            Self::Gap => 10,
            Self::Footer => 11,
            Self::Unknown(number) => number,
        }
    }

    /// The type with this number.
    pub fn from_number(number: u8) -> Self {
        const KNOWN: [Type; 11] = [
            Type::Header,
            Type::Frame,
            Type::Stderr,
            Type::Http,
            Type::Peer,
            Type::Process,
            Type::Note,
            Type::Mark,
            Type::Altered,
            Type::Gap,
            Type::Footer,
        ];
        usize::from(number).checked_sub(1).and_then(|at| KNOWN.get(at)).copied().unwrap_or(Self::Unknown(number))
    }
}

/// The first 16 bytes.
pub fn beginning() -> [u8; BEGINNING] {
    let mut bytes = [0; BEGINNING];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&MAJOR.to_le_bytes());
    bytes[10..12].copy_from_slice(&MINOR.to_le_bytes());
    bytes
}

/// Why a file is no capture that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBeginning {
    /// It begins otherwise.
    #[error("it does not begin as a capture does")]
    NoCapture,
    /// It is newer than this program.
    #[error("it is of version {major} of the format, and this program reads version {MAJOR}")]
    Version {
        /// The version it has.
        major: u16,
    },
}

/// Checks the first 16 bytes; returns the minor version.
pub fn check_beginning(bytes: &[u8]) -> Result<u16, BadBeginning> {
    if bytes.len() < BEGINNING || bytes[..8] != MAGIC {
        return Err(BadBeginning::NoCapture);
    }
    let major = u16::from_le_bytes([bytes[8], bytes[9]]);
    if major == MAJOR { Ok(u16::from_le_bytes([bytes[10], bytes[11]])) } else { Err(BadBeginning::Version { major }) }
}

/// The head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Length of the body.
    pub length: u32,
    /// CRC-32 of the head without this field, and the body.
    pub check: u32,
    /// What it is.
    pub kind: Type,
}

impl Head {
    /// Reads it; `None` if this cannot be one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; HEAD] = bytes.get(..HEAD)?.try_into().ok()?;
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let check = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let is_possible = length as usize <= LONGEST && head[8] != 0;
        is_possible.then(|| Self { length, check, kind: Type::from_number(head[8]) })
    }

    /// Whether this body belongs to it. The reserved bytes of the head are part of what is checked.
    pub fn fits(&self, head: &[u8], body: &[u8]) -> bool {
        body.len() == self.length as usize && checksum(head, &[body]) == self.check
    }
}

fn checksum(head: &[u8], body: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[..4]);
    hasher.update(&head[8..HEAD]);
    for piece in body {
        hasher.update(piece);
    }
    hasher.finalize()
}

/// Appends the head of a record whose body comes in these pieces. The pieces themselves are not appended.
pub fn push_head(out: &mut Vec<u8>, kind: Type, body: &[&[u8]]) {
    let length: usize = body.iter().map(|piece| piece.len()).sum();
    let length = u32::try_from(length).expect("a body is cut to the longest length before it gets here");
    let start = out.len();
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&[kind.number(), 0, 0, 0]);
    let check = checksum(&out[start..], body);
    out[start + 4..start + 8].copy_from_slice(&check.to_le_bytes());
}

/// Appends a whole record.
pub fn push_record(out: &mut Vec<u8>, kind: Type, stamp: Option<&Stamp>, body: &[&[u8]]) {
    let stamp = stamp.map(stamp_bytes);
    let mut pieces: Vec<&[u8]> = Vec::with_capacity(4);
    pieces.extend(stamp.iter().map(<[u8; STAMP]>::as_slice));
    pieces.extend_from_slice(body);
    push_head(out, kind, &pieces);
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

/// A stamp as the file has it.
pub fn stamp_bytes(stamp: &Stamp) -> [u8; STAMP] {
    let mut bytes = [0; STAMP];
    bytes[..8].copy_from_slice(&stamp.sequence.to_le_bytes());
    bytes[8..16].copy_from_slice(&stamp.at.to_le_bytes());
    bytes[16..20].copy_from_slice(&stamp.hop.peer().to_le_bytes());
    bytes[20] = u8::from(matches!(stamp.hop, Hop::Client(_)));
    bytes[21] = u8::from(stamp.direction == Direction::ToClient);
    bytes[22..24].copy_from_slice(&stamp.flags.in_file().to_le_bytes());
    bytes
}

/// The stamp a body begins with.
pub fn parse_stamp(body: &[u8]) -> Option<Stamp> {
    let bytes: &[u8; STAMP] = body.get(..STAMP)?.try_into().ok()?;
    let peer = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
    Some(Stamp {
        sequence: le64(bytes, 0),
        at: le64(bytes, 8),
        hop: if bytes[20] == 1 { Hop::Client(peer) } else { Hop::Server },
        direction: if bytes[21] == 1 { Direction::ToClient } else { Direction::ToServer },
        flags: Flags(u16::from(bytes[22])),
    })
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// The JSON of an event, and the bytes behind it.
pub(crate) fn event_body(event: &Event) -> (Type, Vec<u8>) {
    match event {
        Event::Http(http) => (Type::Http, json(http)),
        Event::Peer(peer) => (Type::Peer, json(peer)),
        Event::Process(process) => (Type::Process, json(process)),
        Event::Note(note) => (Type::Note, json(note)),
        Event::Altered(altered, original) => {
            let mut body = json(altered);
            body.push(b'\n');
            body.extend_from_slice(original);
            (Type::Altered, body)
        }
    }
}

/// JSON of a record.
pub(crate) fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("records are plain structures with string keys")
}

/// What a record says, from the whole body. `None`: the body is not what its type promises.
pub fn parse(kind: Type, body: &Bytes) -> Option<(Stamp, Record)> {
    const NONE: Stamp = Stamp { sequence: 0, at: 0, hop: Hop::Server, direction: Direction::ToServer, flags: Flags::NONE };
    if kind == Type::Header {
        return Some((NONE, Record::Header(from_json::<Header>(body)?)));
    }
    if let Type::Unknown(number) = kind {
        return Some((parse_stamp(body).unwrap_or(NONE), Record::Unknown(number)));
    }
    let stamp = parse_stamp(body)?;
    let payload = body.slice(STAMP..);
    let record = match kind {
        Type::Frame if stamp.flags.has(Flags::TRUNCATED) => {
            let kept = payload.slice(payload.len().min(8)..);
            Record::Frame(kept, le64(&payload, 0))
        }
        Type::Frame => {
            let length = payload.len() as u64;
            Record::Frame(payload, length)
        }
        Type::Stderr => Record::Stderr(payload),
        Type::Http => Record::Event(Event::Http(from_json::<Http>(&payload)?)),
        Type::Peer => Record::Event(Event::Peer(from_json::<Peer>(&payload)?)),
        Type::Process => Record::Event(Event::Process(from_json::<Process>(&payload)?)),
        Type::Note => Record::Event(Event::Note(from_json::<Note>(&payload)?)),
        Type::Mark => Record::Mark(from_json::<Mark>(&payload)?),
        Type::Altered => {
            let end = memchr::memchr(b'\n', &payload).unwrap_or(payload.len());
            let altered = from_json::<Altered>(&payload[..end])?;
            Record::Event(Event::Altered(altered, payload.slice((end + 1).min(payload.len())..)))
        }
        Type::Gap => Record::Gap(from_json::<Gap>(&payload)?),
        Type::Footer => Record::Footer(from_json::<Footer>(&payload)?),
        Type::Header | Type::Unknown(_) => return None,
    };
    Some((stamp, record))
}

fn from_json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}
