//! A stdio MCP server that costs as little as one can: it answers each line as soon as it was read, with what the line held.
//!
//! `echo` gives back its `message`, `blob` a text of `size` bytes. `--era legacy` or `--era modern` refuses the other era.
//! With `--http` it listens itself and prints its URL: what HTTP costs with nothing between client and server.
#![allow(clippy::print_stdout, reason = "the first line on standard output is the URL")]

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::ExitCode,
    thread,
};

use mcp_bench::{
    http::Head,
    json::{member, number, path},
};

/// As much as a pipe holds; a longer line makes it grow.
const BUFFER: usize = 64 * 1024;
/// A buffer that a large message left behind is given back.
const KEPT: usize = 1024 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Era {
    Both,
    Legacy,
    Modern,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words == ["--http"] {
        return if listen().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let era = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["--era", "both"] => Era::Both,
        ["--era", "legacy"] => Era::Legacy,
        ["--era", "modern"] => Era::Modern,
        _ => return ExitCode::from(2),
    };
    match serve(era) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(era: Era) -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), unbuffered_stdout());
    let mut buffer = vec![0; BUFFER];
    let (mut begin, mut end) = (0, 0);
    let mut answers = Vec::with_capacity(BUFFER);
    loop {
        if end == buffer.len() {
            buffer.copy_within(begin..end, 0);
            (begin, end) = (0, end - begin);
            if end == buffer.len() {
                buffer.resize(end * 2, 0);
            }
        }
        // What comes next cannot hold the end of a line seen before.
        let seen = end;
        match input.read(&mut buffer[end..])? {
            0 => return Ok(()),
            length => end += length,
        }
        let mut from = seen;
        while let Some(step) = memchr::memchr(b'\n', &buffer[from..end]) {
            answer(&buffer[begin..from + step], era, &mut answers);
            from += step + 1;
            begin = from;
        }
        if begin == end {
            (begin, end) = (0, 0);
        }
        if !answers.is_empty() {
            output.write_all(&answers)?;
            answers.clear();
            answers.shrink_to(KEPT);
        }
    }
}

/// Rust's own standard output would look for line ends once more.
#[cfg(unix)]
fn unbuffered_stdout() -> impl io::Write {
    use std::os::fd::AsFd as _;
    let output = io::stdout().as_fd().try_clone_to_owned().expect("standard output can be duplicated");
    std::fs::File::from(output)
}

#[cfg(not(unix))]
fn unbuffered_stdout() -> impl io::Write {
    struct Flushed(io::StdoutLock<'static>);
    impl io::Write for Flushed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write_all(bytes)?;
            self.0.flush()?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
    Flushed(io::stdout().lock())
}

fn listen() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("http://{}/mcp", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::Builder::new().stack_size(BUFFER).spawn(move || connection(stream))?;
    }
    Ok(())
}

fn connection(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut filled) = (vec![0; 4 * 1024], 0);
    let (mut answers, mut response) = (Vec::new(), Vec::new());
    loop {
        let whole = Head::parse(&buffer[..filled]).map(|head| (head.length, head.length + head.content_length().unwrap_or(0)));
        let Some((head, end)) = whole.filter(|(_, end)| *end <= filled) else {
            buffer.resize(buffer.len().max(whole.map_or(filled + 1024, |(_, end)| end)), 0);
            match stream.read(&mut buffer[filled..])? {
                0 => return Ok(()),
                length => filled += length,
            }
            continue;
        };
        answers.clear();
        answer(&buffer[head..end], Era::Both, &mut answers);
        response.clear();
        let status = if answers.is_empty() { "202 Accepted" } else { "200 OK" };
        let length = answers.len();
        write!(response, "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n")?;
        response.append(&mut answers);
        stream.write_all(&response)?;
        buffer.copy_within(end..filled, 0);
        filled -= end;
    }
}

fn answer(line: &[u8], era: Era, answers: &mut Vec<u8>) {
    let Some(id) = path(line, &["id"]) else { return };
    let Some(method) = path(line, &["method"]) else { return };
    let params = path(line, &["params"]).unwrap_or_default();
    answers.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    answers.extend_from_slice(id);
    match method {
        b"\"tools/call\"" => call(params, answers),
        b"\"initialize\"" if era == Era::Modern => answers.extend_from_slice(
            br#","error":{"code":-32022,"message":"unsupported version","data":{"supported":["2026-07-28"],"requested":"2025-11-25"}}"#,
        ),
        b"\"initialize\"" => {
            answers.extend_from_slice(br#","result":{"protocolVersion":"#);
            answers.extend_from_slice(path(params, &["protocolVersion"]).unwrap_or(b"\"2025-11-25\""));
            answers.extend_from_slice(br#","capabilities":{"tools":{}},"serverInfo":{"name":"echo","version":"1"}}"#);
        }
        b"\"server/discover\"" if era != Era::Legacy => answers.extend_from_slice(
            br#","result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"echo","version":"1"}}}"#,
        ),
        b"\"ping\"" => answers.extend_from_slice(br#","result":{}"#),
        b"\"tools/list\"" => {
            answers.extend_from_slice(br#","result":{"#);
            if is_modern(params) {
                answers.extend_from_slice(br#""resultType":"complete","ttlMs":0,"cacheScope":"private","#);
            }
            answers.extend_from_slice(
                br#""tools":[{"name":"echo","description":"gives back its message","inputSchema":{"type":"object","properties":{"message":{"type":"string"}},"required":["message"]}},{"name":"blob","description":"a text of so many bytes","inputSchema":{"type":"object","properties":{"size":{"type":"integer"}},"required":["size"]}}]}"#,
            );
        }
        _ => answers.extend_from_slice(br#","error":{"code":-32601,"message":"there is no such method"}"#),
    }
    answers.extend_from_slice(b"}\n");
}

fn call(params: &[u8], answers: &mut Vec<u8>) {
    answers.extend_from_slice(br#","result":{"#);
    if is_modern(params) {
        answers.extend_from_slice(br#""resultType":"complete","#);
    }
    answers.extend_from_slice(br#""content":[{"type":"text","text":"#);
    let arguments = path(params, &["arguments"]).unwrap_or_default();
    match member(arguments, "size").and_then(|size| number(&arguments[size])) {
        Some(size) => {
            answers.push(b'"');
            answers.resize(answers.len() + usize::try_from(size).unwrap_or(0), b'x');
            answers.push(b'"');
        }
        None => answers.extend_from_slice(path(arguments, &["message"]).unwrap_or(b"\"\"")),
    }
    answers.extend_from_slice(b"}]}");
}

fn is_modern(params: &[u8]) -> bool {
    memchr::memmem::find(params, b"io.modelcontextprotocol/protocolVersion").is_some()
}
