//! One TCP connection: what it is busy with, so that the sweep can tell a slow client from a quiet one, and how it ends.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::{Server, handle};

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It waits for a request.
    Idle,
    /// A request has begun.
    Head,
    /// A request's body is being read.
    Body,
    /// A request is being answered.
    Answering,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// The address the client came in by.
    pub(super) local: IpAddr,
    phase: Cell<Phase>,
    /// Something happened since the last sweep. To ask for the time at every step costs more than most steps.
    has_moved: Cell<bool>,
    /// The last sweep before which something had happened.
    since: Cell<Instant>,
    /// Since when the client takes nothing of what we write.
    blocked: Cell<Option<Instant>>,
    drains: Cell<bool>,
    must_close: Cell<bool>,
    wants_comment: Cell<bool>,
    lingers: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Connection {
    pub(super) fn new(local: IpAddr) -> Self {
        Self {
            local,
            phase: Cell::new(Phase::Idle),
            has_moved: Cell::new(false),
            since: Cell::new(Instant::now()),
            blocked: Cell::new(None),
            drains: Cell::new(false),
            must_close: Cell::new(false),
            wants_comment: Cell::new(false),
            lingers: Cell::new(false),
            waker: RefCell::new(None),
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.wants_comment.set(false);
        self.has_moved.set(true);
    }

    /// Something was written, or read, that shows that the phase is not stuck.
    pub(super) fn moved(&self) {
        self.has_moved.set(true);
    }

    /// Whether something has to be said for the sake of saying something. Asked once per time.
    pub(super) fn takes_comment(&self) -> bool {
        self.wants_comment.replace(false)
    }

    /// The client is still sending what we will not read. It has to get the answer nevertheless, so the end is not abrupt.
    pub(super) fn linger(&self) {
        self.lingers.set(true);
    }

    pub(super) fn drain(&self) {
        self.drains.set(true);
        self.wake();
    }

    pub(super) fn close(&self) {
        self.must_close.set(true);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    fn wait(&self, cx: &Context<'_>) {
        let waker = &mut *self.waker.borrow_mut();
        match waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
    }

    /// Looks after the connection: ends it where the client is too slow, has it say something where it has been quiet.
    pub(super) fn sweep(&self, now: Instant, options: &super::HttpOptions) {
        if self.has_moved.replace(false) {
            self.since.set(now);
        }
        let quiet = now.saturating_duration_since(self.since.get());
        let is_stuck = self.blocked.get().is_some_and(|since| now.saturating_duration_since(since) > options.write_timeout);
        let limit = match self.phase.get() {
            Phase::Head | Phase::Body => options.read_timeout,
            Phase::Idle => options.connection_idle,
            Phase::Answering => Duration::MAX,
        };
        if is_stuck || quiet > limit {
            self.close();
        } else if self.phase.get() == Phase::Answering && quiet >= options.keep_alive {
            self.wants_comment.set(true);
            self.wake();
        }
    }
}

/// The socket, watched.
struct Io {
    inner: TokioIo<TcpStream>,
    connection: Rc<Connection>,
}

impl Read for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if read.is_ready() {
            match self.connection.phase.get() {
                Phase::Idle => self.connection.enter(Phase::Head),
                Phase::Body => self.connection.moved(),
                Phase::Head | Phase::Answering => {}
            }
        }
        read
    }
}

impl Io {
    fn wrote<T>(&self, wrote: Poll<T>) -> Poll<T> {
        match (&wrote, self.connection.blocked.get()) {
            (Poll::Pending, None) => self.connection.blocked.set(Some(Instant::now())),
            (Poll::Ready(_), Some(_)) => self.connection.blocked.set(None),
            _ => {}
        }
        wrote
    }
}

impl Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.wrote(wrote)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.wrote(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(server: Rc<Server>, connection: Rc<Connection>, stream: TcpStream) {
    // An error here means that the client is gone already, which the first read tells as well.
    let _ = stream.set_nodelay(true);
    let io = Io { inner: TokioIo::new(stream), connection: Rc::clone(&connection) };
    let service = service_fn(|request| {
        let (server, connection) = (Rc::clone(&server), Rc::clone(&connection));
        async move { Ok::<_, Infallible>(handle(server, connection, request).await) }
    });
    let mut http = http1::Builder::new();
    http.header_read_timeout(None)
        .max_headers(server.options.max_headers)
        .max_header_size(server.options.max_header_bytes)
        .max_buf_size(server.options.max_header_bytes.max(BUFFER));
    let mut http = http.serve_connection(io, service);
    let mut is_draining = false;
    let is_ours_to_end = poll_fn(|cx| {
        connection.wait(cx);
        if connection.must_close.get() {
            return Poll::Ready(true);
        }
        if connection.drains.get() && !std::mem::replace(&mut is_draining, true) {
            Pin::new(&mut http).graceful_shutdown();
        }
        // Whatever went wrong, the client is gone or was told by hyper.
        Pin::new(&mut http).poll(cx).map(|_| false)
    })
    .await;
    if !is_ours_to_end && connection.lingers.get() {
        swallow(http.into_parts().io.inner.into_inner()).await;
    }
}

/// How much is read or written at once.
const BUFFER: usize = 64 << 10;

/// Reads what the client is still sending, for a little while: a connection that is closed on unread bytes is reset, and the
/// reset can overtake our answer.
async fn swallow(mut stream: TcpStream) {
    let mut scrap = vec![0; 16 << 10];
    let all = async { while stream.read(&mut scrap).await.is_ok_and(|n| n > 0) {} };
    let _ = tokio::time::timeout(Duration::from_secs(2), all).await;
}
