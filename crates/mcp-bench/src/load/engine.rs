//! Many clients on one thread: each sends its next call as soon as the answer to the last one was checked.

use std::{
    mem::MaybeUninit,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use rustix::event::{Timespec, epoll};

use super::{
    Span,
    client::{Call, Target, Verdict},
    process::{Usage, own_seconds, usage},
    wire::{Came, Wire},
};

/// A client with its connection.
#[derive(Debug)]
pub struct Client {
    /// The connection.
    pub wire: Wire,
    /// Its call.
    pub call: Call,
    session: Option<String>,
    sent: usize,
    since: Instant,
}

impl Client {
    /// A client that has said hello already.
    pub fn new(wire: Wire, call: Call, session: Option<String>) -> Self {
        Self { wire, call, session, sent: 0, since: Instant::now() }
    }

    /// Ends an HTTP client's session, without waiting for a word about it.
    pub fn leave(mut self, target: &Target) {
        if let Some(session) = &self.session {
            // Whoever does not take it will find the connection closed.
            let _ = self.wire.write(&target.delete(session));
        }
    }
}

/// What a run gave.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How long each counted call took, in nanoseconds, sorted.
    pub times: Vec<u32>,
    /// How long it was counted.
    pub elapsed: Duration,
    /// Answers that were not what they must be, also while warming up.
    pub wrong: usize,
    /// Clients whose connection ended or whose answer had a bad status.
    pub failed: usize,
    /// Clients that have an answer outstanding at the end of all waiting.
    pub silent: usize,
    /// What the system under test used meanwhile.
    pub usage: Usage,
    /// What this process used meanwhile, in seconds.
    pub own_seconds: f64,
    /// The first wrong answer.
    pub example: Option<String>,
}

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lets all clients call until the time is over, then waits for the last answers.
pub fn run(clients: &mut [Client], span: Span, watched: &[u32]) -> Result<Outcome> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (number, client) in clients.iter().enumerate() {
        client.wire.stop_waiting()?;
        epoll::add(&poll, client.wire.readable(), epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
    }
    let mut outcome = Outcome::default();
    let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; 256];
    let mut is_open = vec![true; clients.len()];
    let mut waiting = 0;
    // Requests too large for the pipe or socket; their rest is sent between answers.
    let mut unsent = Vec::new();

    let begin = Instant::now();
    let (mut counted_from, mut before) = (None, (Usage::default(), 0.0));
    let mut stop_at = begin + span.warm_up + span.measured;
    for (number, client) in clients.iter_mut().enumerate() {
        if send(client, true).is_err() {
            is_open[number] = false;
            outcome.failed += 1;
            continue;
        }
        if client.sent < client.call.bytes.len() {
            unsent.push(number);
        }
        waiting += 1;
    }
    let (mut is_over, mut last_news) = (false, Instant::now());
    while waiting > 0 {
        let pause = Timespec { tv_sec: 0, tv_nsec: if unsent.is_empty() { 100_000_000 } else { 50_000 } };
        let (ready, _) = epoll::wait(&poll, &mut events[..], Some(&pause)).or_else(interrupted)?;
        let now = Instant::now();
        if ready.is_empty() && now - last_news > PATIENCE {
            outcome.silent = waiting;
            break;
        }
        if counted_from.is_none() && now - begin >= span.warm_up {
            before = (usage(watched, false), own_seconds());
            let from = Instant::now();
            counted_from = Some(from);
            stop_at = from + span.measured;
        }
        if !is_over && counted_from.is_some() && (now >= stop_at || outcome.times.len() >= span.calls) {
            is_over = true;
            outcome.elapsed = now - counted_from.unwrap_or(begin);
            outcome.usage = usage(watched, false);
            outcome.usage.seconds -= before.0.seconds;
            outcome.own_seconds = own_seconds() - before.1;
        }
        unsent.retain(|number: &usize| {
            let client: &mut Client = &mut clients[*number];
            is_open[*number] && send(client, false).is_ok() && client.sent < client.call.bytes.len()
        });
        for event in ready.iter() {
            let number = usize::try_from(event.data.u64()).expect("we gave the number");
            let client = &mut clients[number];
            last_news = now;
            match advance(client, &mut outcome) {
                Ok(false) => (),
                Ok(true) => {
                    let took = client.since.elapsed();
                    // A call that began while warming up belongs to it.
                    if !is_over && counted_from.is_some_and(|from| client.since >= from) {
                        outcome.times.push(u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
                    }
                    waiting -= 1;
                    if !is_over {
                        client.call.advance();
                        if send(client, true).is_ok() {
                            waiting += 1;
                            if client.sent < client.call.bytes.len() {
                                unsent.push(number);
                            }
                        } else {
                            is_open[number] = false;
                            outcome.failed += 1;
                            epoll::delete(&poll, client.wire.readable())?;
                        }
                    }
                }
                Err(error) => {
                    outcome.example.get_or_insert_with(|| format!("{error:#}"));
                    outcome.failed += 1;
                    waiting -= 1;
                    is_open[number] = false;
                    epoll::delete(&poll, client.wire.readable())?;
                }
            }
        }
    }
    if !is_over {
        // Every client failed before the time was over.
        outcome.elapsed = counted_from.map_or(Duration::ZERO, |from| from.elapsed());
    }
    outcome.times.sort_unstable();
    Ok(outcome)
}

type Ready<'a> = (&'a mut [epoll::Event], &'a mut [MaybeUninit<epoll::Event>]);

fn interrupted<'a>(error: rustix::io::Errno) -> Result<Ready<'a>> {
    if error == rustix::io::Errno::INTR { Ok((&mut [], &mut [])) } else { bail!("wait for answers: {error}") }
}

/// Sends the call, or the rest of it.
fn send(client: &mut Client, is_new: bool) -> std::io::Result<()> {
    if is_new {
        client.sent = 0;
        client.since = Instant::now();
    }
    client.sent += client.wire.write(&client.call.bytes[client.sent..])?;
    Ok(())
}

/// Reads what has come; whether the call was answered.
fn advance(client: &mut Client, outcome: &mut Outcome) -> Result<bool> {
    if client.wire.read()? == Came::End {
        bail!("the connection was closed");
    }
    let call = &client.call;
    let mut is_answered = false;
    let mut see = |message: &[u8]| match call.judge(message) {
        Verdict::Unrelated => (),
        Verdict::Right => is_answered = true,
        Verdict::Wrong => {
            outcome.wrong += 1;
            outcome.example.get_or_insert_with(|| String::from_utf8_lossy(&message[..message.len().min(300)]).into_owned());
            is_answered = true;
        }
    };
    let mut status = 200;
    while let Some(found) = client.wire.take(&mut see)? {
        status = found;
    }
    if status != 200 {
        bail!("status {status}");
    }
    Ok(is_answered)
}
