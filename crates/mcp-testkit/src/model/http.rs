//! The few parts of HTTP/1.1 a scripted model needs: one request per connection, one thread per connection.
//!
//! A server with a pool of threads was tried first. Clients keep several connections open and quiet, which can take all of a
//! pool, and then the one that matters waits until the client gives up.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// A client that says nothing for this long has opened the connection in reserve.
const SILENCE: Duration = Duration::from_secs(30);

/// A request, complete with its body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path, with what follows a question mark.
    pub(super) target: String,
    pub(super) body: Vec<u8>,
}

/// What is sent back, always with status 200.
pub(super) struct Reply {
    pub(super) media_type: &'static str,
    pub(super) body: String,
}

/// Answers requests until it is dropped.
pub(super) struct Listener {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Listener {
    pub(super) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let (seen, answer) = (Arc::clone(&stopped), Arc::new(answer));
        let accepting = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if seen.load(Ordering::SeqCst) {
                    break;
                }
                let answer = Arc::clone(&answer);
                // A connection the client gave up on is its business.
                thread::spawn(move || serve(&stream, answer.as_ref()).unwrap_or_default());
            }
        });
        Ok(Self { address, stopped, accepting: Some(accepting) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection. Those that serve one end by themselves.
        if TcpStream::connect(self.address).is_ok()
            && let Some(accepting) = self.accepting.take()
        {
            let _ = accepting.join();
        }
    }
}

fn serve(stream: &TcpStream, answer: &impl Fn(&Request) -> Reply) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    let mut reader = BufReader::new(stream);
    let request = read(&mut reader, stream)?;
    let Reply { media_type, body } = answer(&request);
    // The answer to HEAD announces a body and has none.
    let sent = if request.method == "HEAD" { "" } else { body.as_str() };
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    stream.write_all(sent.as_bytes())?;
    stream.flush()
}

fn read(reader: &mut impl BufRead, mut writer: impl Write) -> io::Result<Request> {
    let first = line(reader)?;
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Err(wrong("a request line")) };
    let (mut length, mut chunked) = (0, false);
    loop {
        let header = line(reader)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or_else(|| wrong("a header"))?;
        match (name.to_ascii_lowercase().as_str(), value.trim().to_ascii_lowercase()) {
            ("content-length", value) => length = value.parse().map_err(|_| wrong("a length"))?,
            ("transfer-encoding", value) => chunked = value.contains("chunked"),
            // Someone with a long body asks first.
            ("expect", _) => writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?,
            _ => {}
        }
    }
    let mut body = Vec::new();
    if chunked {
        loop {
            let size = line(reader)?;
            let size =
                u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).map_err(|_| wrong("a chunk"))?;
            io::copy(&mut reader.take(size), &mut body)?;
            // The line break after the data; after the last chunk, the end of the trailers.
            while !line(reader)?.is_empty() {}
            if size == 0 {
                break;
            }
        }
    } else {
        reader.take(length).read_to_end(&mut body)?;
    }
    Ok(Request { method: method.to_owned(), target: target.to_owned(), body })
}

/// One line without its end. The end of the connection is an error: nothing here may stop in the middle.
fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    if reader.read_line(&mut text)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("this is not {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_is_the_same_in_one_piece_and_in_chunks() {
        let whole = "POST /v1/a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nlong text";
        let chunked = "POST /v1/a?b=c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nlong \r\n4\r\ntext\r\n0\r\n\r\n";
        for text in [whole, chunked] {
            let request = read(&mut text.as_bytes(), io::sink()).unwrap();
            let wanted = Request { method: "POST".into(), target: "/v1/a?b=c".into(), body: b"long text".into() };
            assert_eq!(request, wanted);
        }
    }

    #[test]
    fn quiet_connections_hold_nobody_up() {
        let listener = Listener::start(|_| Reply { media_type: "text/plain", body: "here".into() }).unwrap();
        let _quiet: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(listener.address()).unwrap()).collect();
        let mut stream = TcpStream::connect(listener.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.ends_with("\r\n\r\nhere"), "{text}");
    }
}
