//! The same for HTTP: a proxy on a loopback address that passes everything on to one server and records what is said.
//!
//! Whatever path is asked for is asked of the server's origin, so that all revisions of streamable HTTP, the endpoint of
//! the old SSE transport and what authorization needs work without being known here. Bodies go on piece by piece: a message is
//! assembled beside, and has its number before its last byte is passed on; of a stream of events each event is a message.
//! While somebody wants to act, bodies and events that are messages are kept back and asked about ([`acting`]).

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use mcp_capture::Direction;
use mcp_capture::event::{Http, HttpPhase};
use mcp_os::signals;
use reqwest::Url;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::LocalOptions;
use tokio::sync::oneshot;

use self::acting::{Acting, Asked, is_message};
use self::events::Events;
use self::tee::{Kind, Tee};
use super::tape::{Recording, Tape};
use crate::acting::Meeting;
use crate::transport::http_client::outgoing;
use crate::transport::http_server::{HttpOptions, admit_source};

mod acting;
mod events;
mod lane;
mod tee;

/// What to put a tap before, and where.
#[derive(Clone, Debug)]
pub struct HttpTap {
    /// The server's address.
    pub url: String,
    /// Where clients come.
    pub listen: SocketAddr,
    /// How it is recorded.
    pub recording: Recording,
    /// Where those who want to act find us; `None`: nobody can.
    pub meeting: Option<PathBuf>,
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpTapError {
    /// The address cannot be called.
    #[error("call `{0}`: it is no `http` or `https` address")]
    Url(String),
    /// Others could use the server in our name.
    #[error("listen at {0}: it is reachable from other machines")]
    Open(SocketAddr),
    /// The port.
    #[error("listen at {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The client underneath.
    #[error("set up a client for `{url}`")]
    Client {
        /// For whom.
        url: String,
        /// What it said.
        source: reqwest::Error,
    },
    /// The runtime.
    #[error("start the runtime")]
    Runtime(#[from] io::Error),
}

struct Proxy {
    upstream: Url,
    client: reqwest::Client,
    tape: Tape,
    gate: HttpOptions,
    /// The capture's.
    session: String,
    server_name: String,
    client_name: String,
    acting: Acting,
}

/// An answer's body. It stays on the one thread there is.
type Body = Pin<Box<dyn hyper::body::Body<Data = Bytes, Error = reqwest::Error>>>;

/// Serves until it is interrupted. `ready` is told the URL that takes the server's place.
pub fn run(tap: &HttpTap, ready: impl FnOnce(&str)) -> Result<(), HttpTapError> {
    let upstream = Url::parse(&tap.url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let upstream = upstream.ok_or_else(|| HttpTapError::Url(tap.url.clone()))?;
    if !tap.listen.ip().is_loopback() {
        return Err(HttpTapError::Open(tap.listen));
    }
    let client = outgoing(&upstream).map_err(|source| HttpTapError::Client { url: tap.url.clone(), source })?;
    let held = signals::hold();
    let opened = Tape::open(&tap.recording, std::slice::from_ref(&tap.url), "http");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let served = runtime.block_on(async {
        let failed = |source| HttpTapError::Listen { address: tap.listen, source };
        let listener = TcpListener::bind(tap.listen).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        // Whoever is told the address may look for the capture.
        opened.tape.flush(Duration::from_secs(5));
        let query = upstream.query().map(|query| format!("?{query}")).unwrap_or_default();
        ready(&format!("http://{local}{}{query}", upstream.path()));
        let proxy = Rc::new(Proxy {
            upstream,
            client,
            tape: opened.tape.clone(),
            gate: HttpOptions::default(),
            session: opened.session.clone(),
            server_name: tap.recording.name.clone(),
            client_name: opened.client.clone(),
            acting: Acting::default(),
        });
        // Without a capture nobody can know of the session.
        let meeting = tap.meeting.clone().filter(|_| opened.is_recording() == Some(true));
        let door = meeting.map(|dir| proxy.open_door(Meeting::new(dir)));
        if let Some(Err(error)) = &door {
            super::say(&format!("nobody can act on this session: {error}"));
        }
        let (interrupt, interrupted) = oneshot::channel::<()>();
        if let Some(held) = held {
            super::spawn("signals", move || {
                held.next();
                drop(interrupt);
            });
        } else {
            // It ends with the process.
            std::mem::forget(interrupt);
        }
        tokio::select! {
            () = accept(listener, &proxy) => {}
            _ = interrupted => {}
        }
        drop(door);
        proxy.end_acting();
        Ok(())
    });
    // Whoever is still connected is cut off, and so recorded.
    drop(runtime);
    opened.finish(Duration::from_secs(5));
    served
}

async fn accept(listener: TcpListener, proxy: &Rc<Proxy>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::task::spawn_local(connection(stream, Rc::clone(proxy)))),
            // No more descriptors, or a client that left at once: neither is a reason to end.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn connection(stream: TcpStream, proxy: Rc<Proxy>) {
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr().map(|address| address.ip()) else { return };
    let service = service_fn(move |request| {
        let proxy = Rc::clone(&proxy);
        async move { Ok::<_, Infallible>(proxy.pass(request, local).await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A connection that breaks is the client's business.
    let _ = connection.await;
}

/// Headers that belong to one connection (RFC 9110, 7.6.1).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What passes on of some headers.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all("connection")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let passes = |name: &HeaderName| !HOP_BY_HOP.contains(&name.as_str()) && !named.iter().any(|other| other == name.as_str());
    headers.iter().filter(|(name, _)| passes(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What is recorded of some headers.
fn told(headers: &HeaderMap) -> Vec<(String, String)> {
    const CHOSEN: [&str; 7] =
        ["accept", "authorization", "content-type", "content-encoding", "last-event-id", "origin", "www-authenticate"];
    let is_told = |name: &str| name.starts_with("mcp-") || CHOSEN.contains(&name);
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().filter(|(name, _)| is_told(name.as_str())).map(|(name, value)| (name.to_string(), text(value))).collect()
}

impl Proxy {
    async fn pass(self: &Rc<Self>, request: Request<Incoming>, local: IpAddr) -> Response<Body> {
        if let Err((status, reason)) = admit_source(&self.gate, request.headers(), request.uri(), local) {
            return ours(status, reason);
        }
        let (head, body) = request.into_parts();
        let mut url = self.upstream.clone();
        url.set_path(head.uri.path());
        url.set_query(head.uri.query());
        let asked = Http {
            frame: 0,
            phase: HttpPhase::Request,
            method: head.method.to_string(),
            path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            status: 0,
            headers: told(&head.headers),
        };
        let number = Arc::new(AtomicU64::new(0));
        let mut headers = end_to_end(&head.headers);
        // The client underneath names the server that it calls.
        headers.remove("host");
        let kind = Kind::of(&head.headers);
        let is_listening = head.method == Method::GET;
        if head.method == Method::POST && kind == Kind::Whole {
            self.note_client(head.uri.path_and_query(), &headers);
        } else if head.method == Method::DELETE {
            self.forget_client();
        }
        let call = |headers| self.client.request(head.method.clone(), url.clone()).headers(headers);
        let call = if body.is_end_stream() {
            self.tape.http(asked);
            call(headers)
        } else if self.is_armed() && kind == Kind::Whole {
            match self.ask_about_request(&mut headers, body).await {
                Ok(Asked::Pass(bytes, frame, more)) => {
                    number.store(frame, Ordering::Release);
                    self.tape.http(Http { frame, ..asked });
                    for bytes in more {
                        self.say_again(call(headers.clone()).body(bytes));
                    }
                    call(headers).body(bytes)
                }
                Ok(Asked::Answered(answer)) | Err(answer) => return answer,
            }
        } else {
            let tee = Tee::new(body, Direction::ToServer, kind, self.tape.clone(), Arc::clone(&number)).telling(asked);
            call(headers).body(reqwest::Body::wrap(tee))
        };
        let answer = match call.send().await {
            Ok(answer) => Response::<reqwest::Body>::from(answer),
            Err(error) => {
                let reason = mcp_os::causes::on_one_line(&error.without_url());
                self.tape.note(format!("the server could not be called: {reason}"));
                return ours(StatusCode::BAD_GATEWAY, format!("the server could not be called: {reason}"));
            }
        };
        let (mut head, body) = answer.into_parts();
        self.tape.http(Http {
            frame: number.load(Ordering::Acquire),
            phase: HttpPhase::Response,
            status: head.status.as_u16(),
            headers: told(&head.headers),
            ..Http::default()
        });
        let kind = Kind::of(&head.headers);
        head.headers = end_to_end(&head.headers);
        head.version = hyper::Version::HTTP_11;
        let body: Body = match kind {
            Kind::Events => {
                // How long it will be is not known: somebody may come and act.
                head.headers.remove(CONTENT_LENGTH);
                let events = Events::new(body, Rc::clone(self), number);
                if is_listening {
                    self.listens(events.lane());
                }
                Box::pin(events)
            }
            Kind::Whole if self.is_armed() && !body.is_end_stream() => {
                head.headers.remove(CONTENT_LENGTH);
                match self.ask_about_answer(body).await {
                    Ok(bytes) => body_of(bytes),
                    Err(answer) => return answer,
                }
            }
            Kind::Whole | Kind::Opaque => Box::pin(Tee::new(body, Direction::ToClient, kind, self.tape.clone(), number)),
        };
        Response::from_parts(head, body)
    }
}

fn body_of(bytes: Bytes) -> Body {
    Box::pin(Full::new(bytes).map_err(|never| match never {}))
}

fn ours(status: StatusCode, reason: String) -> Response<Body> {
    let mut response = Response::new(body_of(Bytes::from(reason + "\n")));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
