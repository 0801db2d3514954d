//! The record of what was said between clients and servers: the append-only file that is the truth, its index, operations
//! made of frames, the filter language, and the replacing of secrets.
//!
//! The traffic's side is a [`Sink`]: it numbers a copy and queues it, in less than a microsecond, and never waits. A
//! [`Recorder`] owns the thread that writes. The viewer's side is a [`Session`]: it opens a file that may still be growing,
//! holds the index and the [`rows`](exchange) made from it, and decodes only what is shown. [`Store`] knows where the files
//! are. It knows nothing of transports and terminals.

pub mod compare;
pub mod detail;
pub mod event;
pub mod exchange;
pub mod export;
pub mod file;
pub mod filter;
pub mod index;
pub mod lint;
pub mod listing;
pub mod opening;
pub mod reader;
pub mod recorder;
pub mod redact;
pub mod replay;
pub mod ring;
pub mod scan;
pub mod session;
pub mod stats;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod tree;
pub mod when;
pub mod write;

pub use event::{Direction, Event, Flags, Header, Hop, Record, Stamp};
pub use exchange::{EndedBy, Row, RowFlags, RowKind, Rows, Status};
pub use filter::{Filter, FilterError};
pub use opening::Opening;
pub use reader::{Part, ReadError};
pub use recorder::{Later, Options, Recorder};
pub use redact::Redactor;
pub use ring::{Limits, Sink};
pub use session::{Changes, Needle, PeerInfo, Session};
pub use store::Store;
pub use write::{Output, Summary, WriteError};
