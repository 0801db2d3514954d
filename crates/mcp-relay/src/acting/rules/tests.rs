#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::mpsc::{Receiver, sync_channel};

use super::*;
use crate::acting::About;
use crate::acting::wire::{FaultKind, Request, What};

/// One of several clients.
#[derive(Clone, Debug, PartialEq, Eq)]
struct At(u64);

impl Place for At {
    fn client(&self) -> u64 {
        self.0
    }
}

/// Rules and one viewer.
struct Table {
    rules: Rules<At>,
    acts: Vec<Act<At>>,
    reports: Receiver<Report>,
}

const VIEWER: u64 = 1;
const ASK: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add"}}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;

impl Table {
    fn new() -> Self {
        let (send, reports) = sync_channel(64);
        let mut rules = Rules::default();
        rules.viewer_came(VIEWER, send);
        Self { rules, acts: Vec::new(), reports }
    }

    fn want(&mut self, what: What) -> Report {
        let about = About { session: "s", server: "x", pid: 0 };
        let request = Request { number: 1, what };
        self.rules.answer(VIEWER, request, &about, |_| Ok(At(3)), &mut self.acts)
    }

    fn breakpoint(&mut self, filter: &str, direction: Option<Way>) {
        let told = self.want(What::Breakpoint { id: "b".into(), filter: filter.into(), direction });
        assert_eq!(told, Report::Done { number: 1, id: None });
    }

    fn say(&mut self, client: u64, direction: Direction, text: &str) {
        let message = Message { place: At(client), direction, bytes: Bytes::copy_from_slice(text.as_bytes()) };
        self.rules.judge(message, &format!("client-{client}"), &mut self.acts);
    }

    /// What was done since this was asked last: to which client, with which marks, the text.
    fn done(&mut self) -> Vec<(u64, Flags, String)> {
        let of = |act: Act<At>| match act {
            Act::Record { message, flags, .. } => {
                Some((message.place.0, flags, String::from_utf8_lossy(&message.bytes).into_owned()))
            }
            Act::Initialized => None,
        };
        std::mem::take(&mut self.acts).into_iter().filter_map(of).collect()
    }
}

#[test]
fn an_answer_is_known_by_what_its_own_client_asked() {
    let mut table = Table::new();
    table.breakpoint("tool:add", Some(Way::ToClient));
    table.say(1, Direction::ToServer, ASK);
    table.say(2, Direction::ToServer, &ASK.replace("add", "other"));
    table.done();
    table.say(2, Direction::ToClient, ANSWER);
    assert_eq!(table.done(), [(2, Flags::NONE, ANSWER.to_owned())]);
    table.say(1, Direction::ToClient, ANSWER);
    assert_eq!(table.done(), []);
    assert_eq!(table.rules.held_at(|at| at.0 == 1), 1);
}

#[test]
fn a_filter_may_name_the_client() {
    let mut table = Table::new();
    table.breakpoint("client:client-2", None);
    table.say(1, Direction::ToServer, ASK);
    table.say(2, Direction::ToServer, ASK);
    assert_eq!(table.done(), [(1, Flags::NONE, ASK.to_owned())]);
    assert!(matches!(table.reports.try_recv().unwrap(), Report::Held(held) if held.client == 2));
}

#[test]
fn who_leaves_takes_along_what_is_held_and_viewers_hear_of_it() {
    let mut table = Table::new();
    table.breakpoint("", None);
    table.say(1, Direction::ToServer, ASK);
    table.say(2, Direction::ToServer, ASK);
    table.rules.client_left(1, &mut table.acts);
    assert_eq!(table.done(), [(1, Flags::HELD.with(Flags::DROPPED), ASK.to_owned())]);
    let heard: Vec<Report> = table.reports.try_iter().collect();
    assert!(matches!(&heard[2..], [Report::Gone { held: 1 }]), "{heard:?}");
    table.rules.end(&mut table.acts);
    assert_eq!(table.done(), [(2, Flags::HELD, ASK.to_owned())]);
    assert!(!table.rules.is_armed());
}

#[test]
fn an_edit_is_one_line_and_none_if_only_the_line_end_differs() {
    let mut table = Table::new();
    table.breakpoint("", None);
    table.say(1, Direction::ToServer, ASK);
    table.say(1, Direction::ToServer, ASK);
    table.want(What::Release { held: 1, message: Some(Payload::Text(ASK.to_owned())) });
    assert_eq!(table.done(), [(1, Flags::HELD, ASK.to_owned())]);
    table.want(What::Release {
        held: 2,
        message: Some(Payload::Text("{\n\"jsonrpc\":\"2.0\",\n\"method\":\"x\"\n}\n".to_owned())),
    });
    let done = table.done();
    assert_eq!((done.len(), done[0].1), (1, Flags::HELD.with(Flags::ALTERED)));
    assert_eq!(done[0].2.trim_end().lines().count(), 1, "{done:?}");
}

#[test]
fn what_a_viewer_asks_either_side_comes_back_to_it_alone() {
    for (way, asked, back) in
        [(Way::ToServer, Direction::ToServer, Direction::ToClient), (Way::ToClient, Direction::ToClient, Direction::ToServer)]
    {
        let mut table = Table::new();
        let told = table.want(What::Send { direction: way, client: None, message: Payload::Text(ASK.to_owned()) });
        let Report::Done { id: Some(id), .. } = told else { panic!("{told:?}") };
        let sent = table.done();
        assert!(sent.len() == 1 && sent[0].0 == 3 && sent[0].1 == Flags::INJECTED && sent[0].2.contains(&id), "{sent:?}");
        let answer = ANSWER.replace('7', &format!("\"{id}\""));
        // Whoever says it on the way there is not who was asked.
        table.say(3, asked, &answer);
        assert_eq!(table.done()[0].1, Flags::NONE);
        table.say(3, back, &answer);
        assert_eq!(table.done()[0].1, Flags::INJECTED.with(Flags::DROPPED));
        assert!(matches!(table.reports.try_recv().unwrap(), Report::Answer { id: of, .. } if of == id));
        assert!(!table.rules.is_armed());
    }
}

#[test]
fn answers_nobody_waits_for_any_more_are_not_waited_for() {
    let mut table = Table::new();
    table.want(What::Send { direction: Way::ToServer, client: None, message: Payload::Text(ASK.to_owned()) });
    table.rules.viewer_left(VIEWER, &mut table.acts);
    assert!(table.rules.is_armed(), "its answer is not for the client");
    table.rules.forget_asked(VIEWER);
    assert!(!table.rules.is_armed());
}

#[test]
fn a_delay_says_when_it_is_over() {
    let mut table = Table::new();
    assert!(!table.rules.needs_time());
    let kind = FaultKind::Delay { ms: 0 };
    table.want(What::Fault { id: "f".into(), filter: String::new(), direction: None, kind, probability: None, count: None });
    assert!(table.rules.needs_time() && table.rules.wake().is_none());
    table.say(1, Direction::ToServer, ASK);
    assert!(table.rules.wake().is_some_and(|at| at <= Instant::now()));
    table.rules.due(&mut table.acts);
    assert_eq!(table.done(), [(1, Flags::HELD, ASK.to_owned())]);
}
