//! `round-trips [--rounds N] -- COMMAND…`: a client of a stdio server that takes times. One line of `key=value`, for a program.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the answer is for the task that started it")]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// In flight at a time.
const BURST: usize = 20_000;
/// So often a server is started.
const STARTS: usize = 21;
/// By then a wrapper has done whatever it does when nothing comes any more.
const SETTLED: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

struct Server {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    buffer: Vec<u8>,
    /// What was read behind the last line.
    kept: Vec<u8>,
}

impl Server {
    fn start(command: &[String]) -> Result<Self> {
        let (program, arguments) = command.split_first().context("a command follows `--`")?;
        let mut child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) =
            (Some(child.stdin.take().context("input is piped")?), child.stdout.take().context("output is piped")?);
        Ok(Self { child, input, output, buffer: vec![0; 256 * 1024], kept: Vec::new() })
    }

    fn line(&mut self) -> Result<Vec<u8>> {
        let mut scanned = 0;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.kept[scanned..]) {
                let rest = self.kept.split_off(scanned + at + 1);
                return Ok(std::mem::replace(&mut self.kept, rest));
            }
            scanned = self.kept.len();
            let length = self.output.read(&mut self.buffer)?;
            if length == 0 {
                bail!("the server ended");
            }
            self.kept.extend_from_slice(&self.buffer[..length]);
        }
    }

    fn call(&mut self, id: usize, line: &[u8]) -> Result<Duration> {
        let begin = Instant::now();
        self.input.as_mut().context("the input is open")?.write_all(line)?;
        let answer = self.line()?;
        let took = begin.elapsed();
        let wanted = format!("\"id\":{id}");
        if memchr::memmem::find(&answer[..answer.len().min(80)], wanted.as_bytes()).is_none()
            && memchr::memmem::find(&answer, wanted.as_bytes()).is_none()
        {
            bail!("the answer to {id} is another one's: {}", String::from_utf8_lossy(&answer[..answer.len().min(200)]));
        }
        Ok(took)
    }
}

fn request(id: usize, size: usize) -> Vec<u8> {
    if size == 0 {
        return format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}\n").into_bytes();
    }
    let text = "x".repeat(size);
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"echo\",\"arguments\":{{\"message\":\"{text}\"}}}}}}\n"
    )
    .into_bytes()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn run() -> Result<()> {
    let mut words = std::env::args().skip(1).peekable();
    let mut rounds = 2000;
    if words.peek().is_some_and(|word| word == "--rounds") {
        words.next();
        rounds = words.next().context("a number")?.parse()?;
    }
    let command: Vec<String> = words.skip_while(|word| word == "--").collect();
    let mut answer = String::new();
    let mut starts = Vec::new();
    for id in 0..STARTS {
        let begin = Instant::now();
        let mut server = Server::start(&command)?;
        server.call(id, &request(id, 0))?;
        starts.push(begin.elapsed());
        drop(server.input);
        server.child.wait()?;
    }
    write!(answer, "start={:.1} ", median(starts))?;
    let mut server = Server::start(&command)?;
    let mut id = 0;
    for _ in 0..100 {
        id += 1;
        server.call(id, &request(id, 0))?;
    }
    std::thread::sleep(SETTLED);
    write!(answer, "idle={} ", memory(server.child.id()).0)?;
    for (name, size, share) in [("ping", 0, 1), ("k1", 1 << 10, 1), ("k64", 64 << 10, 8), ("m1", 1 << 20, 40)] {
        let mut times = Vec::new();
        for _ in 0..(rounds / share).max(20) {
            id += 1;
            times.push(server.call(id, &request(id, size))?);
        }
        // The first ones find everything cold.
        write!(answer, "{name}={:.1} ", median(times.split_off(times.len() / 10)))?;
    }
    // At once, while the last copies may be on their way to a file; then when everything has settled.
    let held = memory(server.child.id());
    std::thread::sleep(SETTLED);
    write!(answer, "rss={} peak={} rest={} ", held.0, held.1, memory(server.child.id()).0)?;
    let (first, begin) = (id + 1, Instant::now());
    let mut lines = Vec::new();
    for id in first..first + BURST {
        lines.extend_from_slice(&request(id, 0));
    }
    let mut input = server.input.take().context("the input is open")?;
    let writer = std::thread::spawn(move || input.write_all(&lines));
    for id in first..first + BURST {
        let line = server.line()?;
        if memchr::memmem::find(&line, format!("\"id\":{id}").as_bytes()).is_none() {
            bail!("{id} is lost, or not in its place");
        }
    }
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    // With those of the starts: what a recording has to have.
    write!(answer, "burst={:.1} calls={}", begin.elapsed().as_secs_f64() * 1000.0, first - 1 + BURST + STARTS)?;
    server.child.wait()?;
    println!("{answer}");
    Ok(())
}

/// What a process holds and the most it ever held, in KiB.
fn memory(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let figure = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
    };
    (figure("VmRSS:"), figure("VmHWM:"))
}
