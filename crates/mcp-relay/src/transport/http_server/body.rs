//! Reading a request's body, never more of it than a message may have.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::connection::{Connection, Phase};

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is over the limit.
    TooLarge,
    /// The client did not send all of it.
    Torn,
}

/// What is set aside at first for a body that comes in parts; a client may announce what it never sends.
const FIRST: u64 = 1 << 20;

/// Reads a body. One that comes in one piece is not copied.
pub(super) async fn read(connection: &Connection, mut body: Incoming, limit: usize) -> Result<Bytes, Unread> {
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        connection.linger();
        return Err(Unread::TooLarge);
    }
    connection.enter(Phase::Body);
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    let mut size = 0;
    while let Some(part) = body.frame().await {
        let Ok(part) = part.map_err(|_| Unread::Torn)?.into_data() else { continue };
        size += part.len();
        if size > limit {
            connection.linger();
            return Err(Unread::TooLarge);
        }
        match first.take() {
            None if all.is_empty() => first = Some(part),
            earlier => {
                if let Some(earlier) = earlier {
                    all.reserve(usize::try_from(announced.min(FIRST)).unwrap_or(0).max(size));
                    all.extend_from_slice(&earlier);
                }
                all.extend_from_slice(&part);
            }
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}
