//! An HTTP server that does what the test says, request by request and byte by byte.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

/// Far longer than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    pub(crate) port: u16,
    requests: RefCell<mpsc::UnboundedReceiver<Request>>,
    aside: RefCell<VecDeque<Request>>,
}

pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    out: mpsc::UnboundedSender<Out>,
    gone: Rc<Gone>,
}

#[derive(Default)]
struct Gone {
    is_so: Cell<bool>,
    changed: Notify,
}

enum Out {
    Bytes(Vec<u8>),
    /// The answer is complete and the connection may be used again.
    Done,
}

impl Server {
    /// Listens on a free port.
    pub(crate) async fn start() -> Self {
        Self::on(0).await
    }

    pub(crate) async fn on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(connection(stream, sender.clone()));
            }
        });
        Self { port, requests: RefCell::new(requests), aside: RefCell::default() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The next request.
    pub(crate) async fn next(&self) -> Request {
        if let Some(request) = self.aside.borrow_mut().pop_front() {
            return request;
        }
        self.receive().await
    }

    async fn receive(&self) -> Request {
        tokio::time::timeout(DEADLINE, self.try_next()).await.expect("a request comes in time").expect("the server listens")
    }

    /// The next request, however long it takes.
    pub(crate) async fn try_next(&self) -> Option<Request> {
        std::future::poll_fn(|context| self.requests.borrow_mut().poll_recv(context)).await
    }

    /// Whether no request comes although everybody had many turns: client and server share one thread.
    pub(crate) async fn is_quiet(&self) -> bool {
        for _ in 0..5000 {
            tokio::task::yield_now().await;
        }
        self.aside.borrow().is_empty() && self.requests.borrow().is_empty()
    }

    /// The next request of which this is true; others are kept for later.
    pub(crate) async fn wait_for(&self, is_it: impl Fn(&Request) -> bool) -> Request {
        let at = self.aside.borrow().iter().position(&is_it);
        if let Some(request) = at.and_then(|at| self.aside.borrow_mut().remove(at)) {
            return request;
        }
        loop {
            let request = self.receive().await;
            if is_it(&request) {
                return request;
            }
            self.aside.borrow_mut().push_back(request);
        }
    }

    pub(crate) async fn next_call(&self, method: &str) -> Request {
        let wanted = format!("\"method\":\"{method}\"");
        self.wait_for(|r| r.method == "POST" && r.body.contains(&wanted)).await
    }
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The id in the body, as spelt.
    pub(crate) fn id(&self) -> String {
        mcp_wire::Frame::parse(self.body.clone().into()).unwrap().id().unwrap().to_owned()
    }

    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) {
        let _ = self.out.send(Out::Bytes(bytes.as_ref().to_vec()));
    }

    /// A whole answer.
    pub(crate) fn answer(&self, status: &str, headers: &[(&str, &str)], body: &str) {
        let headers = lines(headers);
        self.send(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()));
        let _ = self.out.send(Out::Done);
    }

    pub(crate) fn json(&self, headers: &[(&str, &str)], body: &str) {
        self.answer("200 OK", &[headers, &[("Content-Type", "application/json")]].concat(), body);
    }

    pub(crate) fn accepted(&self) {
        self.answer("202 Accepted", &[], "");
    }

    /// The result of a request, as JSON.
    pub(crate) fn result(&self, result: &str) {
        self.json(&[], &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, self.id()));
    }

    /// Begins a stream of events.
    pub(crate) fn stream(&self, headers: &[(&str, &str)]) {
        let headers = lines(headers);
        self.send(format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{headers}Transfer-Encoding: chunked\r\n\r\n"));
    }

    pub(crate) fn chunk(&self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.send([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat());
    }

    pub(crate) fn event(&self, data: &str) {
        self.chunk(format!("event: message\ndata: {data}\n\n"));
    }

    /// Ends a stream as it should end.
    pub(crate) fn end(&self) {
        self.send("0\r\n\r\n");
        let _ = self.out.send(Out::Done);
    }

    /// Waits until the other side has closed the connection.
    pub(crate) async fn gone(&self) {
        let waiting = async {
            while !self.gone.is_so.get() {
                self.gone.changed.notified().await;
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await.expect("the client closes the connection in time");
    }
}

fn lines(headers: &[(&str, &str)]) -> String {
    headers.iter().fold(String::new(), |text, (name, value)| format!("{text}{name}: {value}\r\n"))
}

async fn connection(mut stream: TcpStream, requests: mpsc::UnboundedSender<Request>) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break buffer.drain(..at + 4).collect::<Vec<u8>>();
            }
            if !matches!(stream.read_buf(&mut buffer).await, Ok(n) if n > 0) {
                return;
            }
        };
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let mut first = lines.next().unwrap().split(' ').map(str::to_owned);
        let (method, target) = (first.next().unwrap(), first.next().unwrap());
        let headers: Vec<(String, String)> =
            lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).collect();
        let length = headers.iter().find(|(n, _)| n == "content-length").map_or(0, |(_, v)| v.parse().unwrap());
        assert!(!headers.iter().any(|(n, _)| n == "transfer-encoding"), "bodies come with their length");
        while buffer.len() < length {
            if !matches!(stream.read_buf(&mut buffer).await, Ok(n) if n > 0) {
                return;
            }
        }
        let body = String::from_utf8(buffer.drain(..length).collect()).unwrap();
        let (out, mut commands) = mpsc::unbounded_channel();
        let gone = Rc::new(Gone::default());
        let request = Request { method, target, headers, body, out, gone: Rc::clone(&gone) };
        if requests.send(request).is_err() {
            return;
        }
        loop {
            let mut ahead = [0; 1024];
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Out::Bytes(bytes)) => {
                        if stream.write_all(&bytes).await.is_err() {
                            gone.is_so.set(true);
                            gone.changed.notify_waiters();
                            gone.changed.notify_one();
                            return;
                        }
                    }
                    Some(Out::Done) => break,
                    // The test dropped it: the connection breaks.
                    None => return,
                },
                read = stream.read(&mut ahead) => match read {
                    Ok(n) if n > 0 => buffer.extend_from_slice(&ahead[..n]),
                    _ => {
                        gone.is_so.set(true);
                        gone.changed.notify_one();
                        return;
                    }
                }
            }
        }
    }
}
