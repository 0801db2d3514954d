//! Acting on a session that goes on: the tap or the daemon that records it holds, changes, drops and sends for us.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use mcp_capture::store;
use mcp_relay::acting::wire::{FaultKind, HeldMessage, Payload, Report, Way, What};
use mcp_relay::acting::{Client, Meeting};
use mcp_tui::app::{Held, Live, Msg};

use super::perform::Teller;

/// What is known of the session.
#[derive(Default)]
struct State {
    held: Vec<HeldMessage>,
    rules: Vec<String>,
}

/// A connection to who has the session. Dropping it lifts what it holds.
pub(super) struct Holder {
    client: Client,
    last_rule: u32,
}

fn told(state: &State) -> Msg {
    let held = state.held.iter().map(|held| Held {
        id: held.held,
        client: held.client,
        by: held.by.clone(),
        to_server: held.direction == Way::ToServer,
        bytes: held.message.bytes().unwrap_or_default(),
    });
    Msg::Live(Live { can_act: true, held: held.collect(), rules: state.rules.clone() })
}

impl Holder {
    /// Connects to who records a session; none if nobody does.
    pub(super) fn connect(meeting: &Meeting, first: &Path, teller: Teller) -> Option<Self> {
        let summary = store::summary(first).ok().filter(|summary| summary.is_live)?;
        let mut client = Client::connect(meeting, &summary.header.session).ok()?;
        let mut reader = client.reader().ok()?;
        let state = Arc::new(Mutex::new(State::default()));
        std::thread::Builder::new()
            .name("live".to_owned())
            .spawn(move || {
                while let Ok(Some(report)) = reader.next_report() {
                    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                    match report {
                        Report::Status { breakpoints, faults, held, .. } => {
                            state.rules = breakpoints.into_iter().chain(faults).collect();
                            state.held = held;
                        }
                        Report::Held(held) => {
                            state.held.retain(|known| known.held != held.held);
                            state.held.push(held);
                        }
                        Report::Gone { held } => state.held.retain(|known| known.held != held),
                        Report::Failed { reason, .. } => teller.tell(Msg::Failed(reason)),
                        Report::Hello { .. } | Report::Done { .. } | Report::Answer { .. } => continue,
                    }
                    teller.tell(told(&state));
                }
                teller.tell(Msg::Live(Live::default()));
            })
            .ok()?;
        client.send(What::Status).ok()?;
        Some(Self { client, last_rule: 0 })
    }

    /// Says what is wanted, and asks how things stand then.
    fn say(&mut self, what: What) -> Result<(), String> {
        self.client.send(what).map_err(|e| e.to_string())?;
        self.client.send(What::Status).map_err(|e| e.to_string())?;
        Ok(())
    }

    fn rule_name(&mut self, text: &str) -> String {
        self.last_rule += 1;
        format!("{}: {text}", self.last_rule)
    }

    /// Holds messages that fit.
    pub(super) fn breakpoint(&mut self, filter: &str) -> Result<(), String> {
        let id = self.rule_name(filter);
        self.say(What::Breakpoint { id, filter: filter.to_owned(), direction: None })
    }

    /// Spoils messages: `delay 500ms on tool:x`.
    pub(super) fn fault(&mut self, line: &str) -> Result<(), String> {
        let (kind, filter) = fault(line)?;
        let id = self.rule_name(line);
        self.say(What::Fault { id, filter: filter.to_owned(), direction: None, kind, probability: None, count: None })
    }

    /// Lifts all rules.
    pub(super) fn clear(&mut self) -> Result<(), String> {
        self.say(What::Clear { id: None })
    }

    /// Lets a held message go, changed or not.
    pub(super) fn release(&mut self, held: u64, text: Option<String>) -> Result<(), String> {
        self.say(What::Release { held, message: text.map(Payload::Text) })
    }

    /// Lets all go.
    pub(super) fn release_all(&mut self) -> Result<(), String> {
        self.say(What::ReleaseAll)
    }

    /// Drops a held message.
    pub(super) fn drop_held(&mut self, held: u64) -> Result<(), String> {
        self.say(What::Drop { held })
    }

    /// Starts the wrapped server anew.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        self.say(What::Restart)
    }

    /// Sends a request in the client's place.
    pub(super) fn send(&mut self, method: &str, params: &str) -> Result<(), String> {
        let method = serde_json::Value::from(method);
        let message = format!("{{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":{method},\"params\":{params}}}");
        self.say(What::Send { direction: Way::ToServer, client: None, message: Payload::Text(message) })
    }
}

/// Reads `delay 500ms on tool:x`. Without `on` it is about every message.
fn fault(line: &str) -> Result<(FaultKind, &str), String> {
    let (what, filter) = line.split_once(" on ").unwrap_or((line, ""));
    let what = what.trim();
    let (word, rest) = what.split_once(' ').unwrap_or((what, ""));
    let rest = rest.trim();
    let number = |unit: &str| rest.parse::<u64>().map_err(|_| format!("`{word}` needs {unit}, as in `{word} 2`"));
    let kind = match word {
        "delay" => {
            let seconds = rest.strip_suffix("ms").is_none().then(|| rest.strip_suffix('s')).flatten();
            let (digits, factor) = match seconds {
                Some(digits) => (digits, 1000.0),
                None => (rest.strip_suffix("ms").unwrap_or(rest), 1.0),
            };
            let time: f64 = digits.trim().parse().map_err(|_| "`delay` needs a time, as in `delay 500ms`".to_owned())?;
            if !(0.0..=3_600_000.0).contains(&(time * factor)) {
                return Err("`delay` takes up to an hour".to_owned());
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and an hour")]
            FaultKind::Delay { ms: (time * factor) as u64 }
        }
        "drop" => FaultKind::Drop,
        "error" => {
            let (code, message) = rest.split_once(' ').unwrap_or((rest, ""));
            let code = if code.is_empty() { Ok(-32603) } else { code.parse() };
            let code = code.map_err(|_| "`error` needs a code, as in `error -32603 \"text\"`".to_owned())?;
            let message = message.trim().trim_matches('"');
            FaultKind::Error { code, message: if message.is_empty() { "injected by mcp".to_owned() } else { message.to_owned() } }
        }
        "truncate" => FaultKind::Truncate { length: number("a number of bytes")? },
        "duplicate" => FaultKind::Duplicate,
        "reorder" => {
            let after = number("a number of messages")?;
            FaultKind::Reorder { after: u32::try_from(after).map_err(|_| "that are too many messages".to_owned())? }
        }
        _ => return Err("a fault is delay, drop, error, truncate, duplicate or reorder".to_owned()),
    };
    Ok((kind, filter.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read() {
        let read = |line| fault(line).map(|(kind, filter)| (kind, filter.to_owned()));
        let on = |kind, filter: &str| Ok((kind, filter.to_owned()));
        assert_eq!(read("delay 500ms on tool:x"), on(FaultKind::Delay { ms: 500 }, "tool:x"));
        assert_eq!(read("delay 1.5s"), on(FaultKind::Delay { ms: 1500 }, ""));
        assert_eq!(read("drop on dir:in tool:a"), on(FaultKind::Drop, "dir:in tool:a"));
        assert_eq!(read("error -32000 \"no more\" on x"), on(FaultKind::Error { code: -32000, message: "no more".into() }, "x"));
        assert_eq!(read("error"), on(FaultKind::Error { code: -32603, message: "injected by mcp".into() }, ""));
        assert_eq!(read("truncate 10"), on(FaultKind::Truncate { length: 10 }, ""));
        assert_eq!(read("reorder 2 on a"), on(FaultKind::Reorder { after: 2 }, "a"));
        for wrong in ["", "explode", "delay", "delay x", "delay 99999s", "truncate", "reorder many", "error x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
