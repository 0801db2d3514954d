//! Whether a wrapper around a stdio server can be told from no wrapper: the same cases for every one.
//!
//! A case starts small shell programs as servers, behind the wrapper or without one, and looks at bytes, ends and signals.
//! Unix only: half of it is about things that only exist there.

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What a case may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// Words before a server's command, and what else the wrapper needs.
#[derive(Clone, Debug, Default)]
pub struct Wrapper {
    /// Program and arguments; none: the server is started directly.
    pub words: Vec<OsString>,
    /// Variables set for it.
    pub env: Vec<(OsString, OsString)>,
}

/// One thing a wrapper must not change.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// What is looked at.
    pub claim: &'static str,
    run: fn(&Wrapper) -> Result<(), String>,
}

impl Case {
    /// Tries it; says what was otherwise.
    pub fn run(&self, wrapper: &Wrapper) -> Result<(), String> {
        (self.run)(wrapper)
    }
}

/// All cases.
pub fn cases() -> Vec<Case> {
    let case = |name, claim, run| Case { name, claim, run };
    vec![
        case("bytes", "invalid UTF-8, NUL, CRLF, empty lines and no final newline arrive as they were", bytes),
        case("partial", "half a line arrives before its end is sent", partial),
        case("large", "a line of 64 MiB arrives whole", large),
        case("burst", "20,000 lines at once arrive in order", burst),
        case("client-closes", "the server sees the end of its input and still answers", client_closes),
        case("server-closes-output", "the client sees the end of output while the server lives", server_closes_output),
        case("server-closes-input", "the client's writes fail once the server reads no more", server_closes_input),
        case("client-stops-reading", "a server whose client reads no more gets SIGPIPE, and that is how it ends", stops_reading),
        case("slow-reader", "a client that reads slowly gets everything, also after the server ended", slow_reader),
        case("stderr", "standard error arrives as it was", stderr),
        case("exit-code", "the exit code is the server's", exit_code),
        case("killed-by-signal", "a server killed by a signal is seen as killed by that signal", killed_by_signal),
        case("sigterm", "SIGTERM reaches the server, which may answer it", |w| signal_is_handled(w, Signal::SIGTERM, "TERM")),
        case("sigint", "SIGINT reaches the server, which may answer it", |w| signal_is_handled(w, Signal::SIGINT, "INT")),
        case("sighup", "SIGHUP reaches the server, which may answer it", |w| signal_is_handled(w, Signal::SIGHUP, "HUP")),
        case("sigterm-default", "a server that does not handle SIGTERM dies of it", sigterm_default),
        case("arguments", "arguments arrive as they were, empty, with blanks, or no UTF-8", arguments),
        case("surroundings", "variables and the working directory are the client's", surroundings),
        case("killed", "a server does not outlive its killed wrapper", killed),
        case("not-there", "a program that does not exist is a failure, and soon", not_there),
    ]
}

/// A server behind the wrapper. Killed when dropped, as far as it is still ours.
struct Run {
    child: Child,
}

impl Drop for Run {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Run {
    fn start(wrapper: &Wrapper, command: &[&str]) -> Result<Self, String> {
        let words: Vec<OsString> = command.iter().map(OsString::from).collect();
        Self::start_with(wrapper, &words, |_| {})
    }

    fn start_with(wrapper: &Wrapper, command: &[OsString], more: impl Fn(&mut Command)) -> Result<Self, String> {
        let words: Vec<&OsString> = wrapper.words.iter().chain(command).collect();
        let mut start = Command::new(words[0]);
        start.args(&words[1..]).envs(wrapper.env.iter().map(|(k, v)| (k, v)));
        start.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        more(&mut start);
        start.spawn().map(|child| Self { child }).map_err(|error| format!("it was not started: {error}"))
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }

    fn output(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("output is piped and asked for once")
    }

    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.child.stdin.as_mut().map_or(Err(ErrorKind::BrokenPipe.into()), |stdin| stdin.write_all(bytes))
    }

    fn close(&mut self) {
        self.child.stdin = None;
    }

    fn wait(&mut self) -> Result<ExitStatus, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() > deadline => return Err("it did not end".to_owned()),
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
                Err(error) => return Err(format!("it cannot be waited for: {error}")),
            }
        }
    }
}

/// Does something that may block, on a thread of its own.
fn within<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    receive.recv_timeout(PATIENCE).map_err(|_| format!("{what}: nothing happened"))
}

fn read_to_end(what: &str, mut from: impl Read + Send + 'static) -> Result<Vec<u8>, String> {
    within(what, move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).map(|_| all).map_err(|error| error.to_string())
    })?
}

/// Reads so many bytes, and gives the stream back.
fn read_exactly(mut from: ChildStdout, length: usize) -> Result<(Vec<u8>, ChildStdout), String> {
    within("reading", move || {
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes).map(|()| (bytes, from)).map_err(|error| error.to_string())
    })?
}

fn read_line(mut from: ChildStdout) -> Result<(String, ChildStdout), String> {
    within("a line", move || {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while from.read(&mut byte).is_ok_and(|read| read == 1) && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        (String::from_utf8_lossy(&line).into_owned(), from)
    })
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, wanted: T) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found:?} instead of {wanted:?}")) }
}

/// Bytes, without printing megabytes of them.
fn expect_bytes(what: &str, found: &[u8], wanted: &[u8]) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    let at = found.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    Err(format!("{what}: {} bytes instead of {}, different from byte {at} on", found.len(), wanted.len()))
}

/// Sends all on a thread, so that neither side waits for the other, and reads what comes back.
fn through_cat(wrapper: &Wrapper, bytes: Vec<u8>) -> Result<(), String> {
    let mut run = Run::start(wrapper, &["cat"])?;
    let mut stdin = run.child.stdin.take().expect("input is piped");
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent));
    let back = read_to_end("output", run.output())?;
    expect_bytes("output", &back, &bytes)?;
    writer.join().map_err(|_| "the writer panicked")?.map_err(|error| format!("input: {error}"))?;
    expect("exit code", run.wait()?.code(), Some(0))
}

fn bytes(wrapper: &Wrapper) -> Result<(), String> {
    let all: Vec<u8> = (0..=255).collect();
    let mut stream = b"{\"a\":1}\r\n\n\r\n \t\n\xff\xfe\x80\n\x00\x00\n\xef\xbb\xbf{}\n".to_vec();
    stream.extend_from_slice(&all);
    stream.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":1.0e2,\"x\":\"\\u0041\"}\nno end");
    through_cat(wrapper, stream)
}

fn partial(wrapper: &Wrapper) -> Result<(), String> {
    let mut run = Run::start(wrapper, &["cat"])?;
    run.send(b"{\"half\":").map_err(|error| error.to_string())?;
    let (half, output) = read_exactly(run.output(), 8)?;
    expect_bytes("the half", &half, b"{\"half\":")?;
    run.send(b"1}\n").map_err(|error| error.to_string())?;
    run.close();
    expect_bytes("the rest", &read_to_end("output", output)?, b"1}\n")
}

fn large(wrapper: &Wrapper) -> Result<(), String> {
    let mut line: Vec<u8> = (0..64 << 20).map(|n: u32| b' ' + u8::try_from(n % 90).unwrap_or(0)).collect();
    line.extend_from_slice(b"\n{\"next\":1}\n");
    through_cat(wrapper, line)
}

fn burst(wrapper: &Wrapper) -> Result<(), String> {
    let lines: String = (0..20_000).map(|n| format!("{{\"jsonrpc\":\"2.0\",\"id\":{n},\"method\":\"ping\"}}\n")).collect();
    through_cat(wrapper, lines.into_bytes())
}

fn client_closes(wrapper: &Wrapper) -> Result<(), String> {
    let mut run = Run::start(wrapper, &["sh", "-c", "cat >/dev/null; echo done; exit 5"])?;
    run.send(b"x\n").map_err(|error| error.to_string())?;
    run.close();
    expect_bytes("output", &read_to_end("output", run.output())?, b"done\n")?;
    expect("exit code", run.wait()?.code(), Some(5))
}

fn server_closes_output(wrapper: &Wrapper) -> Result<(), String> {
    let mut run = Run::start(wrapper, &["sh", "-c", "echo last; exec 1>&-; cat >/dev/null; exit 7"])?;
    expect_bytes("output", &read_to_end("the end of output", run.output())?, b"last\n")?;
    expect("ended", run.child.try_wait().map_err(|error| error.to_string())?.is_some(), false)?;
    run.close();
    expect("exit code", run.wait()?.code(), Some(7))
}

fn server_closes_input(wrapper: &Wrapper) -> Result<(), String> {
    let mut run = Run::start(wrapper, &["sh", "-c", "exec 0<&-; echo closed; exec sleep 60"])?;
    let (line, _output) = read_line(run.output())?;
    expect("line", line.as_str(), "closed")?;
    let deadline = Instant::now() + PATIENCE;
    while run.send(b"is anybody there?\n").is_ok() {
        if Instant::now() > deadline {
            return Err("writing never failed".to_owned());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn stops_reading(wrapper: &Wrapper) -> Result<(), String> {
    let mut run = Run::start(wrapper, &["sh", "-c", "exec yes"])?;
    let (_, output) = read_exactly(run.output(), 1000)?;
    drop(output);
    expect("signal", run.wait()?.signal(), Some(Signal::SIGPIPE as i32))
}

fn slow_reader(wrapper: &Wrapper) -> Result<(), String> {
    const SIZE: usize = 2_000_000;
    let mut run = Run::start(wrapper, &["head", "-c", &SIZE.to_string(), "/dev/zero"])?;
    run.close();
    let mut output = run.output();
    let all = within("reading slowly", move || {
        let (mut all, mut some) = (0, vec![0; 50_000]);
        while let Ok(length @ 1..) = output.read(&mut some) {
            all += length;
            std::thread::sleep(Duration::from_millis(2));
        }
        all
    })?;
    expect("bytes", all, SIZE)?;
    expect("exit code", run.wait()?.code(), Some(0))
}

fn stderr(wrapper: &Wrapper) -> Result<(), String> {
    let mut run = Run::start(wrapper, &["sh", "-c", r"printf 'warn\377\000\r\nno end' >&2; exit 0"])?;
    run.close();
    let errors = run.child.stderr.take().expect("error output is piped");
    expect_bytes("standard error", &read_to_end("standard error", errors)?, b"warn\xff\x00\r\nno end")
}

fn exit_code(wrapper: &Wrapper) -> Result<(), String> {
    for code in [0, 1, 2, 37, 255] {
        let mut run = Run::start(wrapper, &["sh", "-c", &format!("exit {code}")])?;
        expect("exit code", run.wait()?.code(), Some(code))?;
    }
    Ok(())
}

fn killed_by_signal(wrapper: &Wrapper) -> Result<(), String> {
    for signal in [Signal::SIGKILL, Signal::SIGSEGV, Signal::SIGTERM, Signal::SIGPIPE] {
        let mut run = Run::start(wrapper, &["sh", "-c", &format!("kill -{} $$", signal as i32)])?;
        expect("signal", run.wait()?.signal(), Some(signal as i32))?;
    }
    Ok(())
}

fn signal_is_handled(wrapper: &Wrapper, signal: Signal, name: &str) -> Result<(), String> {
    let script = format!("trap 'echo handled; exit 9' {name}; echo up; while :; do sleep 0.02; done");
    let mut run = Run::start(wrapper, &["sh", "-c", &script])?;
    let (line, output) = read_line(run.output())?;
    expect("line", line.as_str(), "up")?;
    kill(run.pid(), signal).map_err(|error| error.to_string())?;
    expect_bytes("output", &read_to_end("output", output)?, b"handled\n")?;
    expect("exit code", run.wait()?.code(), Some(9))
}

fn sigterm_default(wrapper: &Wrapper) -> Result<(), String> {
    let mut run = Run::start(wrapper, &["sh", "-c", "echo up; exec sleep 60"])?;
    let (_, _output) = read_line(run.output())?;
    kill(run.pid(), Signal::SIGTERM).map_err(|error| error.to_string())?;
    expect("signal", run.wait()?.signal(), Some(Signal::SIGTERM as i32))
}

fn arguments(wrapper: &Wrapper) -> Result<(), String> {
    let odd = OsString::from_vec(b"\xff\xfe".to_vec());
    let script = "for word; do printf '%s|' \"$word\"; done";
    let mut command: Vec<OsString> = ["sh", "-c", script, "sh", "", "a b", "--name", "--", "*", "ü"].map(OsString::from).to_vec();
    command.push(odd);
    let mut run = Run::start_with(wrapper, &command, |_| {})?;
    run.close();
    let output = read_to_end("output", run.output())?;
    expect_bytes("arguments", &output, b"|a b|--name|--|*|\xc3\xbc|\xff\xfe|")
}

fn surroundings(wrapper: &Wrapper) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = dir.path().canonicalize().map_err(|error| error.to_string())?;
    let command: Vec<OsString> = ["sh", "-c", "pwd -P; echo \"$SURROUNDINGS\""].map(OsString::from).to_vec();
    let mut run = Run::start_with(wrapper, &command, |start| {
        start.current_dir(&path).env("SURROUNDINGS", "as they were");
    })?;
    run.close();
    let output = read_to_end("output", run.output())?;
    expect_bytes("surroundings", &output, format!("{}\nas they were\n", path.display()).as_bytes())
}

fn killed(wrapper: &Wrapper) -> Result<(), String> {
    let mut run = Run::start(wrapper, &["sh", "-c", "echo $$; exec sleep 600"])?;
    let (line, _output) = read_line(run.output())?;
    let server = Pid::from_raw(line.parse().map_err(|_| format!("no process id: {line:?}"))?);
    // A wrapper may need a moment to have made itself safe; a server that has just said its first word is at that moment.
    std::thread::sleep(Duration::from_millis(300));
    kill(run.pid(), Signal::SIGKILL).map_err(|error| error.to_string())?;
    run.wait()?;
    let deadline = Instant::now() + PATIENCE;
    while is_running(server) {
        if Instant::now() > deadline {
            let _ = kill(server, Signal::SIGKILL);
            return Err("the server lives on".to_owned());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// One that has ended and only waits to be reaped does not run.
fn is_running(pid: Pid) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with(['Z', 'X']),
        Err(_) => kill(pid, None).is_ok() && !cfg!(target_os = "linux"),
    }
}

fn not_there(wrapper: &Wrapper) -> Result<(), String> {
    match Run::start(wrapper, &["/nonexistent/program"]) {
        // That is what a client sees without a wrapper.
        Err(_) => Ok(()),
        Ok(mut run) => expect("success", run.wait()?.success(), false),
    }
}
