//! A tap before an address.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use mcp_capture::event::{Event, HttpPhase, Record};
use mcp_capture::{Session, Store};

use crate::session::{MCP, PATIENCE, until};

/// A program whose first line is its address. Killed when dropped.
pub(crate) struct Serving {
    child: Child,
    address: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Serving {
    pub(crate) fn tap(home: &Path, url: &str) -> Self {
        let mut command = Command::new(MCP);
        command.args(["tap", "--name", "web", "--url", url]).env("MCP_HOME", home).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
        assert_eq!(line.trim(), format!("http://{address}/mcp"));
        Self { child, address }
    }

    /// Asks, and gives the stream to read the answer from.
    pub(crate) fn ask(&self, head: &str, body: &str) -> BufReader<TcpStream> {
        ask(&self.address, head, body)
    }
}

/// Asks whoever is at this address, and gives the stream to read the answer from.
pub(crate) fn ask(address: &str, head: &str, body: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let text = format!("{head}\r\nHost: {address}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).unwrap();
    BufReader::new(stream)
}

/// A server that answers one request after another with what it is told, piece by piece; says what it was asked.
pub(crate) fn upstream(
    answers: Vec<Vec<&'static str>>,
) -> (String, std::sync::mpsc::Receiver<String>, std::sync::mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let (send, asked) = std::sync::mpsc::channel();
    let (more, go_on) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let (mut text, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                text.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            text.push_str(&String::from_utf8(body).unwrap());
            send.send(text).unwrap();
            let mut stream = reader.into_inner();
            for (at, piece) in answer.into_iter().enumerate() {
                if at > 1 && go_on.recv().is_err() {
                    return;
                }
                if stream.write_all(piece.as_bytes()).is_err() {
                    break;
                }
            }
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    (url, asked, more)
}

fn records(home: &Path) -> Vec<Record> {
    let store = Store::at(home.join("state/captures"));
    let session = Session::open(&store.list().unwrap()[0].path).unwrap();
    (0..u32::try_from(session.index().len()).unwrap()).filter_map(|at| session.record(at).unwrap()).map(|(_, r)| r).collect()
}

#[test]
fn requests_and_answers_pass_as_they_are_and_are_recorded_with_what_http_says() {
    let home = tempfile::tempdir().unwrap();
    let head = "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nMcp-Odd: 1\r\nX-Other: 2\r\nContent-Length: 13\r\nConnection: close\r\n\r\n";
    let (url, asked, _more) = upstream(vec![vec![head, "{\"answer\": 1}"]]);
    let tap = Serving::tap(home.path(), &url);
    let post = "POST /mcp?q=1 HTTP/1.1\r\nContent-Type: application/json\r\nMcp-Protocol-Version: 2025-06-18\r\nAuthorization: Bearer abcdefgh12345678";
    let mut answer = String::new();
    tap.ask(post, "{\"jsonrpc\":\"2.0\", \"id\":7,\"method\":\"x\"}").read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n") && answer.ends_with("{\"answer\": 1}"), "{answer}");
    assert!(answer.contains("mcp-odd: 1") && answer.contains("x-other: 2"), "{answer}");
    let asked = asked.recv().unwrap();
    assert!(asked.starts_with("POST /mcp?q=1 HTTP/1.1\r\n"), "{asked}");
    assert!(
        asked.contains("Bearer abcdefgh12345678") && asked.ends_with("{\"jsonrpc\":\"2.0\", \"id\":7,\"method\":\"x\"}"),
        "{asked}"
    );
    let found = until("all is recorded", || {
        Some(records(home.path())).filter(|r| r.iter().any(|r| matches!(r, Record::Frame(b, _) if b == "{\"answer\": 1}")))
    });
    let https: Vec<_> =
        found.iter().filter_map(|r| if let Record::Event(Event::Http(http)) = r { Some(http) } else { None }).collect();
    assert_eq!(https.iter().map(|h| h.phase).collect::<Vec<_>>(), [HttpPhase::Request, HttpPhase::Response]);
    assert_eq!((https[0].method.as_str(), https[1].status, https[0].frame != 0), ("POST", 404, true));
    let told = https[0].headers.iter().find(|(name, _)| name == "authorization").unwrap();
    assert!(told.1.contains("redacted"), "{told:?}");
    assert!(
        https[1].headers.iter().any(|(name, _)| name == "mcp-odd") && https[1].headers.iter().all(|(name, _)| name != "x-other")
    );
}

#[test]
fn each_event_of_a_stream_arrives_when_it_is_sent_and_is_a_message() {
    let home = tempfile::tempdir().unwrap();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    let (url, _asked, more) = upstream(vec![vec![head, "id: 1\ndata: {\"n\":1}\n\n", "data: {\"n\":2}\n\n"]]);
    let tap = Serving::tap(home.path(), &url);
    let mut lines = tap.ask("GET /mcp HTTP/1.1\r\nAccept: text/event-stream", "").lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "data: {\"n\":1}"));
    // Only now the server goes on.
    more.send(()).unwrap();
    assert!(lines.any(|line| line == "data: {\"n\":2}"));
    until("both are recorded", || {
        let found = records(home.path());
        let has = |text: &str| found.iter().any(|r| matches!(r, Record::Frame(bytes, _) if bytes == text));
        (has("{\"n\":1}") && has("{\"n\":2}")).then_some(())
    });
}

#[test]
fn pages_of_others_and_other_names_are_refused_and_never_reach_the_server() {
    let home = tempfile::tempdir().unwrap();
    let (url, asked, _more) = upstream(vec![vec!["", ""]]);
    let tap = Serving::tap(home.path(), &url);
    let mut answer = String::new();
    tap.ask("POST /mcp HTTP/1.1\r\nOrigin: http://evil.example", "{}").read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(asked.try_recv().is_err());
}
