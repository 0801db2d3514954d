//! Writing many frames with one system call.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;

/// Frames per call. More would not fit into a pipe (64 KiB on Linux) unless they were tiny.
const FRAMES: usize = 128;

/// Writes as much of these frames as goes out now, the first ones first. Says how many bytes those were.
pub(super) fn poll_write<'a, W: AsyncWrite + Unpin>(
    writer: &mut W,
    context: &mut Context<'_>,
    frames: impl Iterator<Item = &'a Bytes>,
) -> Poll<io::Result<usize>> {
    let mut slices = [IoSlice::new(&[]); FRAMES];
    let mut count = 0;
    for (slice, frame) in slices.iter_mut().zip(frames) {
        *slice = IoSlice::new(frame);
        count += 1;
    }
    let written = match &slices[..count] {
        [] => return Poll::Ready(Ok(0)),
        [one] => Pin::new(writer).poll_write(context, one),
        many => Pin::new(writer).poll_write_vectored(context, many),
    };
    match written {
        Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        other => other,
    }
}
