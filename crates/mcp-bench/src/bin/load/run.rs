//! The command line of `load`.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use lexopt::{Arg, Parser, ValueExt as _};
use mcp_bench::{
    json::member,
    load::{
        Era, Span,
        client::{Call, INITIALIZED, Target, Verdict, Work, initialize},
        engine::{self, Client},
        process::{end, terminate, usage},
        wire::Wire,
    },
};

const HELP: &str = "\
load http URL [options]                 calls over keep-alive HTTP connections
load stdio [options] -- COMMAND…        calls to so many processes of a command
load cold-http [options] -- COMMAND…    from the start of a command that prints its URL first (or has --port) to the first answer
load cold-stdio [options] -- COMMAND…   the same over its pipes
load memory PID…                        what processes and their descendants hold

  --clients N      1
  --era ERA        legacy or modern
  --seconds S      measured time, 2
  --warm-up S      0.3
  --calls N        stop after so many
  --size BYTES     of an echoed message, 256
  --blob BYTES     ask for a text of so many bytes instead
  --token TOKEN    for the HTTP server
  --pid PID        a process to watch, besides those started here; may be repeated
  --port PORT      cold-http: where to connect, /mcp being the path";

struct Options {
    clients: usize,
    era: Era,
    span: Span,
    work: Work,
    token: Option<String>,
    watched: Vec<u32>,
    port: Option<u16>,
    /// Whatever is no option.
    words: Vec<String>,
}

pub(crate) fn run() -> Result<()> {
    let mut arguments = Parser::from_env();
    let task = match arguments.next()? {
        Some(Arg::Value(task)) => task.string()?,
        _ => bail!("what is to be done?\n\n{HELP}"),
    };
    let options = options(&mut arguments)?;
    match task.as_str() {
        "http" => http(&options),
        "stdio" => stdio(&options),
        "cold-http" => cold_http(&options),
        "cold-stdio" => cold_stdio(&options),
        "memory" => {
            let pids: Vec<u32> = options.words.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
            let held = usage(&pids, true);
            println!("rss_kib={} pss_kib={} processes={}", held.resident, held.proportional, held.processes);
            Ok(())
        }
        other => bail!("there is no `{other}`\n\n{HELP}"),
    }
}

fn options(arguments: &mut Parser) -> Result<Options> {
    let seconds = |arguments: &mut Parser| -> Result<Duration> { Ok(Duration::from_secs_f64(arguments.value()?.parse()?)) };
    let mut options = Options {
        clients: 1,
        era: Era::Legacy,
        span: Span { warm_up: Duration::from_millis(300), measured: Duration::from_secs(2), calls: usize::MAX },
        work: Work::Echo(256),
        token: None,
        watched: Vec::new(),
        port: None,
        words: Vec::new(),
    };
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("clients") => options.clients = arguments.value()?.parse()?,
            Arg::Long("era") => {
                options.era = match arguments.value()?.string()?.as_str() {
                    "legacy" => Era::Legacy,
                    "modern" => Era::Modern,
                    other => bail!("there is no era `{other}`"),
                }
            }
            Arg::Long("seconds") => options.span.measured = seconds(arguments)?,
            Arg::Long("warm-up") => options.span.warm_up = seconds(arguments)?,
            Arg::Long("calls") => options.span.calls = arguments.value()?.parse()?,
            Arg::Long("size") => options.work = Work::Echo(arguments.value()?.parse()?),
            Arg::Long("blob") => options.work = Work::Blob(arguments.value()?.parse()?),
            Arg::Long("token") => options.token = Some(arguments.value()?.string()?),
            Arg::Long("pid") => options.watched.push(arguments.value()?.parse()?),
            Arg::Long("port") => options.port = Some(arguments.value()?.parse()?),
            Arg::Value(word) => {
                options.words.push(word.string()?);
                // A command's own options are not ours.
                if options.words.len() > 1 || !options.words[0].starts_with("http://") {
                    for word in arguments.raw_args()? {
                        options.words.push(word.string()?);
                    }
                }
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

/// A client that has opened its session where it needs one.
fn http_client(number: usize, options: &Options, target: &Target) -> Result<Client> {
    let mut wire = Wire::connect(target)?;
    let mut session = None;
    if options.era == Era::Legacy {
        let (status, given, answer) =
            wire.ask(&target.post(options.era, None, "initialize", None, &initialize())).context("initialize")?;
        ensure!(
            status == 200 && member(&answer, "result").is_some(),
            "`initialize` was answered with {status}: {}",
            String::from_utf8_lossy(&answer)
        );
        session = given;
        let request = target.post(options.era, session.as_deref(), "notifications/initialized", None, INITIALIZED);
        let (status, ..) = wire.ask(&request).context("notifications/initialized")?;
        ensure!((200..300).contains(&status), "`notifications/initialized` was answered with {status}");
    }
    let call = Call::new(number, options.era, options.work, Some((target, session.as_deref())));
    Ok(Client::new(wire, call, session))
}

fn http(options: &Options) -> Result<()> {
    let [url] = &options.words[..] else { bail!("one URL is wanted") };
    let target = Target::parse(url, options.token.clone()).context("the URL is not one of http://host:port/path")?;
    let mut clients = Vec::with_capacity(options.clients);
    let begin = Instant::now();
    for number in 0..options.clients {
        clients.push(http_client(number, options, &target).with_context(|| format!("client {number}"))?);
    }
    let connected = begin.elapsed();
    let idle = usage(&options.watched, true);
    report(&mut clients, options, &options.watched)?;
    let after = usage(&options.watched, true);
    println!(
        " connect_ms={:.3} idle_rss_kib={} idle_pss_kib={} rss_kib={} pss_kib={} processes={}",
        connected.as_secs_f64() * 1000.0,
        idle.resident,
        idle.proportional,
        after.resident,
        after.proportional,
        after.processes
    );
    for client in clients {
        client.leave(&target);
    }
    Ok(())
}

/// Runs the calls and prints what came of them, without the end of the line.
fn report(clients: &mut [Client], options: &Options, watched: &[u32]) -> Result<()> {
    let outcome = engine::run(clients, options.span, watched)?;
    if let Some(example) = &outcome.example {
        eprintln!("first failure: {example}");
    }
    let calls = outcome.times.len();
    let seconds = outcome.elapsed.as_secs_f64();
    let microseconds = |share: f64| f64::from(percentile(&outcome.times, share)) / 1000.0;
    #[expect(clippy::cast_precision_loss, reason = "nobody makes 2^52 calls")]
    let count = calls as f64;
    print!(
        "calls={calls} wrong={} failed={} silent={} per_second={:.1} p50_us={:.2} p99_us={:.2} max_us={:.2} cpu_ms_per_call={:.6} own_cpu={:.3} seconds={seconds:.3}",
        outcome.wrong,
        outcome.failed,
        outcome.silent,
        if seconds > 0.0 { count / seconds } else { 0.0 },
        microseconds(0.5),
        microseconds(0.99),
        microseconds(1.0),
        if calls > 0 { outcome.usage.seconds * 1000.0 / count } else { 0.0 },
        if seconds > 0.0 { outcome.own_seconds / seconds } else { 0.0 },
    );
    Ok(())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index into a list")]
fn percentile(sorted: &[u32], share: f64) -> u32 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0 };
    sorted[(last as f64 * share) as usize]
}

fn spawn(words: &[String]) -> Result<Child> {
    let [program, arguments @ ..] = words else { bail!("a command is wanted after `--`") };
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("start {program}"))
}

/// Says hello over the pipes of a process, and prepares its call.
fn stdio_client(number: usize, options: &Options, child: &mut Child) -> Result<Client> {
    let (stdin, stdout) =
        (child.stdin.take().context("its input is piped")?, child.stdout.take().context("its output is piped")?);
    let mut wire = Wire::pipes(stdin, stdout);
    if options.era == Era::Legacy {
        let (_, _, answer) = wire.ask((initialize() + "\n").as_bytes()).context("initialize")?;
        ensure!(member(&answer, "result").is_some(), "`initialize` was answered with {}", String::from_utf8_lossy(&answer));
        wire.write_all((INITIALIZED.to_owned() + "\n").as_bytes())?;
    }
    Ok(Client::new(wire, Call::new(number, options.era, options.work, None), None))
}

fn stdio(options: &Options) -> Result<()> {
    let mut children = Vec::with_capacity(options.clients);
    let outcome = with_processes(options, &mut children);
    // Their input is closed already; a shim may wait for nothing else.
    for child in children {
        end(child);
    }
    outcome
}

fn with_processes(options: &Options, children: &mut Vec<Child>) -> Result<()> {
    let mut clients = Vec::with_capacity(options.clients);
    for number in 0..options.clients {
        children.push(spawn(&options.words)?);
        let child = children.last_mut().context("it was pushed")?;
        clients.push(stdio_client(number, options, child).with_context(|| format!("client {number}"))?);
    }
    let own: Vec<u32> = children.iter().map(Child::id).collect();
    let mut watched = options.watched.clone();
    watched.extend(&own);
    report(&mut clients, options, &watched)?;
    let (all, own) = (usage(&watched, true), usage(&own, true));
    println!(
        " rss_kib={} pss_kib={} processes={} own_rss_kib={} own_pss_kib={}",
        all.resident, all.proportional, all.processes, own.resident, own.proportional
    );
    Ok(())
}

/// How long a new process takes until the first call is answered, hello included.
fn cold_stdio(options: &Options) -> Result<()> {
    let begin = Instant::now();
    let mut child = spawn(&options.words)?;
    let outcome = stdio_client(0, options, &mut child).and_then(|client| first_call(client, begin));
    if outcome.is_err() {
        let _ = child.kill();
    }
    end(child);
    outcome
}

fn cold_http(options: &Options) -> Result<()> {
    let begin = Instant::now();
    let mut child = spawn(&options.words)?;
    let outcome = (|| {
        let url = if let Some(port) = options.port {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                ensure!(begin.elapsed() < Duration::from_mins(1), "nobody listens on port {port}");
                ensure!(child.try_wait()?.is_none(), "it ended");
                thread::sleep(Duration::from_micros(500));
            }
            format!("http://127.0.0.1:{port}/mcp")
        } else {
            let mut line = String::new();
            BufReader::new(child.stdout.as_mut().context("its output is piped")?).read_line(&mut line)?;
            line.trim().to_owned()
        };
        let target = Target::parse(&url, options.token.clone()).with_context(|| format!("{url:?} is no URL"))?;
        first_call(http_client(0, options, &target)?, begin)
    })();
    // A server in the foreground has no input whose end could tell it.
    terminate(&child);
    end(child);
    outcome
}

fn first_call(mut client: Client, begin: Instant) -> Result<()> {
    let (_, _, answer) = client.wire.ask(&client.call.bytes)?;
    let took = begin.elapsed();
    ensure!(client.call.judge(&answer) == Verdict::Right, "a wrong answer: {}", String::from_utf8_lossy(&answer));
    println!("first_ms={:.3}", took.as_secs_f64() * 1000.0);
    Ok(())
}
