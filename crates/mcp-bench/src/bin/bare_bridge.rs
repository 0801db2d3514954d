//! `bare-bridge [--port N] -- COMMAND…`: the least that puts a stdio server behind HTTP for many clients.
//!
//! A thread per connection, ids remapped, nothing else: no checks, no limits, no notifications, no second era, no answer to
//! anything that goes wrong. What `mcp run-once --http` costs is told as a multiple of this. The thread that reads from the
//! server also writes to the connections, where one stuck client would stop all of them: handing answers to the threads of
//! their connections takes half as much processor time again, and a baseline should be hard to beat.

#![allow(clippy::print_stdout, reason = "the first line on standard output is the URL")]

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use mcp_bench::{
    http::Head,
    json::{member, number},
};

const STACK: usize = 64 * 1024;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let mut port = 0;
    loop {
        match words.next().as_deref() {
            Some("--port") => port = words.next().and_then(|port| port.parse().ok()).unwrap_or(0),
            Some("--") => break,
            _ => return ExitCode::from(2),
        }
    }
    match run(port, &words.collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Where an answer goes.
struct Slot {
    /// The client's id of its request.
    id: Mutex<Vec<u8>>,
    stream: Arc<TcpStream>,
}

struct Bridge {
    outgoing: Mutex<Outgoing>,
    /// The pipe, and room for what is being written to it.
    stdin: Mutex<(ChildStdin, Vec<u8>)>,
    slots: Mutex<HashMap<u64, Arc<Slot>>>,
    last: AtomicU64,
}

/// Lines for the server: whoever finds nobody writing writes for all who come meanwhile.
#[derive(Default)]
struct Outgoing {
    lines: Vec<u8>,
    is_writing: bool,
}

fn run(port: u16, command: &[String]) -> io::Result<()> {
    let [program, arguments @ ..] = command else { return Err(io::ErrorKind::InvalidInput.into()) };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let mut child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (stdin, stdout) = (child.stdin.take().expect("stdin is piped"), child.stdout.take().expect("stdout is piped"));
    let bridge = Arc::new(Bridge {
        outgoing: Mutex::default(),
        stdin: Mutex::new((stdin, Vec::new())),
        slots: Mutex::default(),
        last: AtomicU64::new(0),
    });
    println!("http://{}/mcp", listener.local_addr()?);
    let reader = Arc::clone(&bridge);
    thread::Builder::new().stack_size(STACK).spawn(move || answers(&reader, stdout))?;
    for stream in listener.incoming() {
        let (stream, bridge) = (stream?, Arc::clone(&bridge));
        thread::Builder::new().stack_size(STACK).spawn(move || connection(&bridge, stream))?;
    }
    Ok(())
}

/// Reads requests off one connection and answers them, one after another.
fn connection(bridge: &Bridge, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = Arc::new(stream);
    let slot = Arc::new(Slot { id: Mutex::default(), stream: Arc::clone(&stream) });
    let mut stream = &*stream;
    let mut buffer = vec![0; 4 * 1024];
    let (mut filled, mut line) = (0, Vec::new());
    loop {
        let (head, length) = loop {
            if let Some(head) = Head::parse(&buffer[..filled]) {
                break (head.length, head.content_length().unwrap_or(0));
            }
            if filled == buffer.len() {
                buffer.resize(filled * 2, 0);
            }
            match stream.read(&mut buffer[filled..])? {
                0 => return Ok(()),
                read => filled += read,
            }
        };
        if buffer.len() < head + length {
            buffer.resize(head + length, 0);
        }
        if filled < head + length {
            stream.read_exact(&mut buffer[filled..head + length])?;
            filled = head + length;
        }
        let body = &buffer[head..head + length];
        if !buffer.starts_with(b"POST ") {
            let status = if buffer.starts_with(b"DELETE ") { "200 OK" } else { "405 Method Not Allowed" };
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")?;
        } else if let Some(id) = member(body, "id") {
            let own = bridge.last.fetch_add(1, Ordering::Relaxed) + 1;
            body[id.clone()].clone_into(&mut slot.id.lock().expect("no thread panics"));
            bridge.slots.lock().expect("no thread panics").insert(own, Arc::clone(&slot));
            line.clear();
            line.extend_from_slice(&body[..id.start]);
            write!(line, "{own}")?;
            line.extend_from_slice(&body[id.end..]);
            line.push(b'\n');
            bridge.send(&line)?;
        } else {
            line.clear();
            line.extend_from_slice(body);
            line.push(b'\n');
            bridge.send(&line)?;
            stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?;
        }
        buffer.copy_within(head + length..filled, 0);
        filled -= head + length;
    }
}

impl Bridge {
    fn send(&self, line: &[u8]) -> io::Result<()> {
        let mut outgoing = self.outgoing.lock().expect("no thread panics");
        outgoing.lines.extend_from_slice(line);
        if outgoing.is_writing {
            return Ok(());
        }
        outgoing.is_writing = true;
        let mut pipe = self.stdin.lock().expect("no thread panics");
        let (stdin, lines) = &mut *pipe;
        while !outgoing.lines.is_empty() {
            std::mem::swap(&mut outgoing.lines, lines);
            drop(outgoing);
            stdin.write_all(lines)?;
            lines.clear();
            outgoing = self.outgoing.lock().expect("no thread panics");
        }
        outgoing.is_writing = false;
        Ok(())
    }

    fn deliver(&self, line: &[u8], answer: &mut Vec<u8>) -> Option<()> {
        let id = member(line, "id")?;
        let own = number(&line[id.clone()])?;
        let slot = self.slots.lock().expect("no thread panics").remove(&own)?;
        let client_id = slot.id.lock().expect("no thread panics");
        let body = line.len() - id.len() + client_id.len();
        answer.clear();
        // The answer to `initialize`, which opens a session.
        let is_opening = memchr::memmem::find(&line[..line.len().min(256)], b"\"protocolVersion\"").is_some();
        let session = if is_opening { format!("Mcp-Session-Id: bare-{own}\r\n") } else { String::new() };
        write!(answer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{session}Content-Length: {body}\r\n\r\n").ok()?;
        answer.extend_from_slice(&line[..id.start]);
        answer.extend_from_slice(&client_id);
        answer.extend_from_slice(&line[id.end..]);
        // Its own thread notices a client that is gone.
        (&*slot.stream).write_all(answer).ok()?;
        Some(())
    }
}

/// Reads the server's answers and hands each to its connection.
fn answers(bridge: &Bridge, mut stdout: ChildStdout) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let (mut begin, mut end, mut answer) = (0, 0, Vec::new());
    loop {
        if end == buffer.len() {
            buffer.copy_within(begin..end, 0);
            (begin, end) = (0, end - begin);
            if end == buffer.len() {
                buffer.resize(end * 2, 0);
            }
        }
        let mut from = end;
        match stdout.read(&mut buffer[end..])? {
            0 => return Ok(()),
            read => end += read,
        }
        while let Some(step) = memchr::memchr(b'\n', &buffer[from..end]) {
            bridge.deliver(&buffer[begin..from + step], &mut answer);
            from += step + 1;
            begin = from;
        }
        if begin == end {
            (begin, end) = (0, 0);
        }
    }
}
