//! `cargo xtask bench-inspect`: what the inspector costs over a session of a million messages.
//!
//! The real program on a terminal of its own. A time ends when the bytes have come that show what was asked for; the program's start
//! is in the first of them.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use mcp_capture::{Direction, Header, Hop, Options, Recorder};

use crate::{
    measure::{judged, median, shown},
    root::release_build,
};

/// Half of the messages: each call has its answer.
const CALLS: u32 = 500_000;
const ROUNDS: usize = 9;
/// After each start.
const KEYS: usize = 5;
/// The most anything here may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long idling is watched.
const IDLE: Duration = Duration::from_secs(5);
/// The text that stands in one call alone.
const NEEDLE: &str = "needle-in-the-haystack";

pub(crate) fn run() -> Result<ExitCode> {
    let mcp = release_build()?;
    let home = tempfile::tempdir().context("make a directory")?;
    let capture = record(home.path())?;
    let size = fs::metadata(&capture)?.len();
    println!("a session of {} messages, {} MB; medians of {ROUNDS} starts, with {KEYS} keys each", CALLS * 2, size / 1_000_000);
    println!();

    let mut firsts = Vec::new();
    let mut residents = Vec::new();
    let (mut keys, mut filters, mut searches) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut screen = Screen::start(&mcp, &capture, home.path())?;
        // The first row of the list.
        firsts.push(screen.until("search_issues")?);
        residents.push(screen.status("VmRSS")?);
        for _ in 0..KEYS {
            screen.quiet(Duration::from_millis(40));
            keys.push(screen.answer("j")?);
        }
        filters.push(screen.filter("tool:get_file", "250000 of")?);
        searches.push(screen.filter(NEEDLE, "1 of")?);
        screen.end()?;
    }
    let mut screen = Screen::start(&mcp, &capture, home.path())?;
    screen.until("search_issues")?;
    // The linter takes its time, on a thread of its own.
    let lint = screen.until_idle()?;
    let begin = screen.processor()?;
    std::thread::sleep(IDLE);
    let idle = (screen.processor()?.saturating_sub(begin)).as_secs_f64() * 1000.0 / IDLE.as_secs_f64();
    let (resident, peak) = (screen.status("VmRSS")?, screen.status("VmHWM")?);
    screen.end()?;

    let mut kept = true;
    let ms = |times: &[Duration]| median(times).as_secs_f64() * 1000.0;
    kept &= judged("from the start of the program to its first screen", ms(&firsts), 150.0, "ms");
    kept &= judged("from a key to the screen", ms(&keys), 16.0, "ms");
    kept &= judged("a filter on the index, pasted, to the screen", ms(&filters), 50.0, "ms");
    println!("     a text searched in the whole file: {}", shown(median(&searches)));
    residents.sort_unstable();
    kept &= judged("resident when the first screen is there", megabytes(residents[ROUNDS / 2]), 80.0, "MB");
    kept &= judged("resident when all is done", megabytes(resident), 80.0, "MB");
    kept &= judged("the most that was resident, while the linter was at work", megabytes(peak), 80.0, "MB");
    kept &= judged("processor time while nothing happens (0.0 %)", idle, 0.5, "ms a second");
    println!("     the linter judged all of it in {}", shown(lint));
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::cast_precision_loss, reason = "no process here has 2^52 KiB")]
fn megabytes(kibibytes: u64) -> f64 {
    kibibytes as f64 * 1024.0 / 1e6
}

/// Records a million messages as a wrapper would.
fn record(directory: &Path) -> Result<PathBuf> {
    let path = directory.join("million.mcpcap");
    let header = Header {
        client: "load".to_owned(),
        server: "github".to_owned(),
        transport: "stdio".to_owned(),
        recorder: "tap".to_owned(),
        ..Header::default()
    };
    let (recorder, sink) = Recorder::start(&path, Options { header, ..Options::default() }).context("record")?;
    let client = Hop::Client(1);
    for id in 0..CALLS {
        let (tool, arguments) = match id {
            350_000 => ("search_issues", format!(r#"{{"query":"{NEEDLE}"}}"#)),
            _ if id % 2 == 0 => ("search_issues", format!(r#"{{"query":"panic {id}","limit":30}}"#)),
            _ => ("get_file", format!(r#"{{"path":"src/file_{id}.rs"}}"#)),
        };
        let call = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\",\"arguments\":{arguments}}}}}\n"
        );
        let answer = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"number {id}\"}}]}}}}\n"
        );
        sink.frame(client, Direction::ToServer, Bytes::from(call));
        sink.frame(client, Direction::ToClient, Bytes::from(answer));
        if id % 10_000 == 0 && !recorder.flush(PATIENCE) {
            bail!("the recorder does not come after");
        }
    }
    let summary = recorder.finish();
    if summary.frames != u64::from(CALLS) * 2 || summary.lost > 0 {
        bail!("{} messages were recorded, and {} lost", summary.frames, summary.lost);
    }
    Ok(path)
}

/// The program on a terminal of 120 columns and 36 rows.
struct Screen {
    child: Child,
    begin: Instant,
    keyboard: File,
    shown: Receiver<Vec<u8>>,
}

impl Screen {
    fn start(mcp: &Path, capture: &Path, home: &Path) -> Result<Self> {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).context("open a terminal")?;
        grantpt(&terminal)?;
        unlockpt(&terminal)?;
        let name = ptsname(&terminal, Vec::new())?.into_string().context("a terminal's name")?;
        let end = File::options().read(true).write(true).open(&name).with_context(|| format!("open {name}"))?;
        let size = rustix::termios::Winsize { ws_row: 36, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&end, size)?;
        let keyboard = File::from(terminal);
        let mut out = keyboard.try_clone()?;
        let (send, shown) = channel();
        std::thread::spawn(move || {
            let mut bytes = vec![0; 64 * 1024];
            // The other end's closing is an error here.
            while let Ok(read @ 1..) = out.read(&mut bytes) {
                if send.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let begin = Instant::now();
        let mut command = Command::new(mcp);
        command.args(["inspect", "--background", "dark"]).arg(capture);
        command.env("MCP_HOME", home).env("TERM", "xterm-256color").env("NO_COLOR", "1");
        command.stdin(Stdio::from(end.try_clone()?)).stdout(Stdio::from(end.try_clone()?)).stderr(Stdio::from(end));
        let child = command.spawn().with_context(|| format!("start {}", mcp.display()))?;
        Ok(Self { child, begin, keyboard, shown })
    }

    fn send(&mut self, keys: &str) -> Result<()> {
        self.keyboard.write_all(keys.as_bytes()).context("press a key")
    }

    /// The time from the last start until a text is on the screen.
    fn until(&mut self, text: &str) -> Result<Duration> {
        let mut seen = Vec::new();
        while let Ok(bytes) = self.shown.recv_timeout(PATIENCE) {
            let now = self.begin.elapsed();
            seen.extend_from_slice(&bytes);
            if letters(&seen).contains(text) {
                return Ok(now);
            }
        }
        bail!("`{text}` does not come: {}", letters(&seen));
    }

    /// Waits until nothing has been drawn for so long.
    fn quiet(&mut self, time: Duration) {
        while self.shown.recv_timeout(time).is_ok() {}
    }

    /// The time from a key to the first thing it draws.
    fn answer(&mut self, key: &str) -> Result<Duration> {
        self.send(key)?;
        let begin = Instant::now();
        self.shown.recv_timeout(PATIENCE).context("the screen does not answer")?;
        Ok(begin.elapsed())
    }

    /// The time from a filter that is pasted, and enter, until so many rows are left.
    fn filter(&mut self, filter: &str, found: &str) -> Result<Duration> {
        // The text of a filter that was there is gone first.
        self.send("/\u{15}")?;
        self.quiet(Duration::from_millis(300));
        self.begin = Instant::now();
        self.send(&format!("\u{1b}[200~{filter}\u{1b}[201~\r"))?;
        self.until(found)
    }

    /// Lines of `/proc/PID/status`, in KiB.
    fn status(&self, key: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with(key)).context("no such line")?;
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).context("no number")
    }

    /// Processor time of all threads that are there (`/proc/PID/task/TID/schedstat`, in nanoseconds).
    fn processor(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let said = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            nanoseconds += said.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Waits until a second went by with next to no processor time; the time until then.
    fn until_idle(&mut self) -> Result<Duration> {
        let begin = Instant::now();
        let mut before = self.processor()?;
        while begin.elapsed() < PATIENCE {
            self.quiet(Duration::from_secs(1));
            let now = self.processor()?;
            // A thread that has ended takes its time along.
            if now.abs_diff(before) < Duration::from_millis(5) {
                return Ok(begin.elapsed());
            }
            before = now;
        }
        bail!("it does not come to rest")
    }

    fn end(mut self) -> Result<()> {
        self.send("\u{3}")?;
        let begin = Instant::now();
        while self.child.try_wait()?.is_none() {
            self.quiet(Duration::from_millis(10));
            if begin.elapsed() > PATIENCE {
                self.child.kill()?;
            }
        }
        Ok(())
    }
}

/// What was drawn, without the sequences that say where and how. Jumps over blanks are blanks.
fn letters(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        if letter != '\u{1b}' {
            out.push(letter);
            continue;
        }
        if rest.next() == Some('[') && rest.by_ref().find(|c| matches!(c, '@'..='~')) != Some('m') {
            out.push(' ');
        }
    }
    out
}
