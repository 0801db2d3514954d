//! `mcp verify`: a recording asks a server the same again.

mod peer;
mod report;

use std::time::Duration;

use clap_complete::engine::ArgValueCompleter;
use mcp_capture::Filter;
use mcp_capture::Session;
use mcp_capture::compare::Difference;
use mcp_capture::replay::{Act, Exchange, Recording, Verifier};
use mcp_capture::text::visible;
use mcp_wire::Kind;
use serde::Serialize;

use self::peer::{Heard, Peer};
use crate::cmd::trace;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;

/// Ask a server again what was recorded, and tell what it answers otherwise
///
/// The server is started, opened as recorded, and asked everything in order, one after the other. What it asks in between is
/// answered as the client did. Answers are compared by structure: the order of members, ids and `_meta` are no difference, numbers count
/// by value, and names the server makes up (tasks, cursors, states) are brought back as they are today. Ends with 1 if an answer
/// differs, with 4 if one is missing.
#[derive(Debug, clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  mcp verify session.mcpcap -- npx -y my-server\n  mcp verify latest 'method:tools/*' --ignore '$.result.structuredContent.time' -- ./server\n  mcp verify session.mcpcap --junit -- ./server > report.xml"
)]
pub(crate) struct Args {
    /// The recording: a file, or a session's name
    #[arg(value_name = "FILE", add = ArgValueCompleter::new(trace::complete_sessions))]
    recording: String,
    /// Only what fits; the opening is asked in any case
    #[arg(value_name = "FILTER", add = ArgValueCompleter::new(trace::complete_filter))]
    filter: Vec<String>,
    /// Leave this out of the comparison; a path (RFC 9535) into the message
    #[arg(long, value_name = "JSONPATH")]
    ignore: Vec<String>,
    /// Wait so long for each answer
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    timeout: Duration,
    /// A server that is reached by HTTP, through `mcp run-once --url`
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    url: Option<String>,
    /// Answer in JSON
    #[arg(long, conflicts_with = "junit")]
    json: bool,
    /// Answer in the XML of test reports
    #[arg(long)]
    junit: bool,
    /// How the server is started
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "url")]
    command: Vec<std::ffi::OsString>,
}

fn duration(text: &str) -> Result<Duration, String> {
    mcp_daemon::call::duration(text).ok_or_else(|| "a duration is a number and `ms`, `s` or `m`: `30s`".to_owned())
}

/// What became of one request.
#[derive(Debug, Serialize)]
struct Checked {
    number: u64,
    method: String,
    name: String,
    outcome: &'static str,
    took_us: u64,
    differences: Vec<Difference>,
    reason: Option<String>,
}

pub(crate) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let verifier = Verifier::ignoring(&args.ignore)
        .map_err(|e| Failure::usage(e).hint("a path looks like `$.result.structuredContent.time` or `$..id`"))?;
    let filter = trace::filter(&args.filter)?;
    let session = trace::open_file(ctx, &args.recording)?;
    let unread = |e| Failure::file(anyhow::Error::new(e).context(format!("read the capture {}", session.path().display())));
    let recording = Recording::of(&session).map_err(unread)?;
    let mut wanted = Vec::with_capacity(recording.exchanges.len());
    for exchange in &recording.exchanges {
        wanted.push(is_wanted(&session, exchange, &filter).map_err(unread)?);
    }
    if !wanted.contains(&true) {
        let mut failure = Failure::missing("nothing that was recorded fits");
        failure.exit = Exit::No;
        return Err(failure);
    }
    let mut peer = Peer::start(args.url.as_deref(), &args.command).map_err(Failure::no_answer)?;
    let mut run = Run { peer: &mut peer, verifier, timeout: args.timeout, checked: Vec::new() };
    for act in &recording.acts {
        let goes_on = match act {
            Act::Call(at) if wanted[*at] => run.call(&recording.exchanges[*at]),
            Act::Call(_) => true,
            Act::Notification(frame) if frame.method() == "notifications/cancelled" => true,
            Act::Notification(frame) => run.peer.send(&frame.line()),
        };
        if !goes_on {
            break;
        }
    }
    let checked = run.checked;
    let ending = peer.end();
    let count = |outcome: &str| checked.iter().filter(|one| one.outcome == outcome).count();
    let exit = match (count("no answer"), count("different")) {
        (0, 0) => Exit::Done,
        (0, _) => Exit::No,
        _ => Exit::NoAnswer,
    };
    let server = session.header().server.clone();
    if args.json {
        report::json(ctx.ui, &server, &checked);
    } else if args.junit {
        report::junit(ctx.ui, &server, &checked);
    } else {
        report::text(ctx.ui, &checked);
    }
    if exit == Exit::NoAnswer
        && let Some(ending) = ending
    {
        ctx.ui.warn(format_args!("the server {}", visible(&ending)));
    }
    Ok(exit)
}

/// The opening is needed for everything else.
fn is_wanted(session: &Session, exchange: &Exchange, filter: &Filter) -> std::io::Result<bool> {
    if filter.is_all() || matches!(exchange.method.as_str(), "initialize" | "server/discover") {
        return Ok(true);
    }
    let row = session.find(exchange.number).and_then(|at| session.rows().of_entry(at));
    match row.and_then(|row| session.rows().get(session.index(), row)) {
        Some(row) => session.matches(filter, &row),
        None => Ok(false),
    }
}

struct Run<'a> {
    peer: &'a mut Peer,
    verifier: Verifier,
    timeout: Duration,
    checked: Vec<Checked>,
}

impl Run<'_> {
    /// Asks and compares. `false`: there is nobody to ask any more.
    fn call(&mut self, exchange: &Exchange) -> bool {
        let mut checked = Checked {
            number: exchange.number,
            method: exchange.method.clone(),
            name: exchange.name.clone(),
            outcome: "same",
            took_us: 0,
            differences: Vec::new(),
            reason: None,
        };
        if exchange.answer().is_none() || exchange.is_cancelled {
            let why = if exchange.is_cancelled { "it was cancelled" } else { "it was not answered" };
            (checked.outcome, checked.reason) = ("skipped", Some(why.to_owned()));
            self.checked.push(checked);
            return true;
        }
        let id = (self.checked.len() + 1).to_string();
        let began = std::time::Instant::now();
        let mut asked = Vec::new();
        let mut goes_on = self.peer.send(&self.verifier.request(exchange, &id));
        let mut reason = "the server is gone";
        let answer = loop {
            if !goes_on {
                break None;
            }
            match self.peer.hear(self.timeout.saturating_sub(began.elapsed())) {
                Heard::Frame(frame) => match frame.kind() {
                    Kind::Result | Kind::Error if frame.id() == Some(&id) => break Some(frame),
                    Kind::Request => {
                        let answer = self.verifier.answer_question(exchange, &frame, &mut asked);
                        goes_on = self.peer.send(&answer);
                    }
                    // Progress, log lines, and answers to what was given up.
                    Kind::Notification | Kind::Result | Kind::Error => {}
                },
                Heard::Silence => {
                    reason = "no answer came in time";
                    break None;
                }
                Heard::End => goes_on = false,
            }
        };
        checked.took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        if let Some(answer) = answer {
            checked.differences = self.verifier.compare(exchange, &answer);
            checked.outcome = if checked.differences.is_empty() { "same" } else { "different" };
        } else {
            (checked.outcome, checked.reason) = ("no answer", Some(reason.to_owned()));
        }
        self.checked.push(checked);
        goes_on
    }
}
