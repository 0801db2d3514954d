//! `mcp mock`: a recording answers as the server.

use std::io::{self, BufRead as _, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;

use bytes::Bytes;
use clap_complete::engine::ArgValueCompleter;
use mcp_capture::replay::{Mock, Options, Recording};
use mcp_capture::text::visible;

use crate::cmd::trace;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::count;

/// Let a recording answer as the server, on standard input and output
///
/// Requests are answered as recorded when method and parameters are the same; ids, progress tokens and `_meta` aside. What was asked
/// several times gets its answers in order, then the last one again. Progress, log lines and questions of the server are said
/// again, as late as they were. What was not recorded is answered as the request that is most alike, which is told on standard error;
/// with `--strict` it is an error, and the command ends with 1. A client starts it in a directory of its own: give the file's whole
/// path, or a session's name.
#[derive(Debug, clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  mcp mock latest\n  mcp mock session.mcpcap --strict --no-delay\n  mcp install --client cursor --name github-of-yesterday -- mcp mock ~/captures/github.mcpcap\n  mcp run-once -- mcp mock latest                      for a client of the other era"
)]
pub(crate) struct Args {
    /// The recording: a file, or a session's name
    #[arg(value_name = "FILE", add = ArgValueCompleter::new(trace::complete_sessions))]
    recording: String,
    /// Answer only what was asked exactly so
    #[arg(long)]
    strict: bool,
    /// So many times as fast as it was
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Answer at once
    #[arg(long, conflicts_with = "speed")]
    no_delay: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|speed: &f64| speed.is_finite() && *speed > 0.0)
        .ok_or_else(|| "a speed is a number over 0".to_owned())
}

pub(crate) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let session = trace::open_file(ctx, &args.recording)?;
    // The newest session is the one that `mcp tap` records around us, if it does.
    let (parent, _) = mcp_os::proc::parent();
    if parent == Some(session.header().pid) && mcp_capture::store::is_live(session.path()) {
        let what = format_args!("`{}` is the recording of this very conversation", visible(&args.recording));
        return Err(Failure::missing(what).hint("name the session that is meant: `mcp trace ls` lists them"));
    }
    let recording = Recording::of(&session)
        .map_err(|e| Failure::file(anyhow::Error::new(e).context(format!("read the capture {}", session.path().display()))))?;
    if recording.exchanges.is_empty() {
        let mut failure = Failure::missing(format_args!("{} holds no request", session.path().display()));
        failure.exit = Exit::No;
        return Err(failure);
    }
    if recording.unusable > 0 {
        let messages = count(usize::try_from(recording.unusable).unwrap_or(usize::MAX), "message");
        ctx.ui.warn(format_args!("{messages} too long to be recorded whole cannot be said again"));
    }
    ctx.ui.note(format_args!(
        "{} of {} answer as `{}`",
        count(recording.exchanges.len(), "request"),
        ctx.show(session.path()),
        visible(&session.header().server)
    ));
    drop(session);
    let options = Options { is_strict: args.strict, speed: (!args.no_delay).then_some(args.speed) };
    let mut mock = Mock::new(recording, options);
    converse(ctx, &mut mock)?;
    match mock.unknown() {
        0 => Ok(Exit::Done),
        unknown => {
            ctx.ui.note(format_args!("{} not recorded", count(usize::try_from(unknown).unwrap_or(usize::MAX), "request")));
            Ok(if args.strict { Exit::No } else { Exit::Done })
        }
    }
}

/// Lines in, lines out, until the client is gone.
fn converse(ctx: &Ctx, mock: &mut Mock) -> Result<(), Failure> {
    let lines = lines_of_input();
    let began = Instant::now();
    loop {
        let said = match mock.next_due() {
            Some(due) => match lines.recv_timeout(due.saturating_sub(began.elapsed())) {
                Ok(line) => mock.receive(began.elapsed(), &line),
                Err(RecvTimeoutError::Timeout) => mock.due(began.elapsed()),
                Err(RecvTimeoutError::Disconnected) => break,
            },
            None => match lines.recv() {
                Ok(line) => mock.receive(began.elapsed(), &line),
                Err(_) => break,
            },
        };
        for note in mock.take_notes() {
            ctx.ui.note(visible(&note));
        }
        if !say(&said)? {
            return Ok(());
        }
    }
    // Whoever pipes a few lines in wants the answers all the same.
    say(&mock.finish())?;
    Ok(())
}

fn lines_of_input() -> mpsc::Receiver<Bytes> {
    let (sender, lines) = mpsc::sync_channel(64);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match input.read_until(b'\n', &mut line) {
                Ok(1..) if sender.send(Bytes::from(line)).is_ok() => {}
                _ => return,
            }
        }
    });
    lines
}

/// `false`: the client reads no more.
fn say(messages: &[Bytes]) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    let written = messages.iter().try_for_each(|message| out.write_all(message)).and_then(|()| out.flush());
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::file(anyhow::Error::new(error).context("write to stdout"))),
    }
}
