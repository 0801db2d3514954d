//! What costs time or tokens.

use mcp_wire::Kind;

use crate::event::{Direction, Hop};
use crate::lint::output::{Look, Output, Place, Said};
use crate::lint::rule::Family::Performance;
use crate::lint::rule::Rule;
use crate::lint::rule::Severity::{Info, Warning};
use crate::lint::state::{Conversation, State};
use crate::text::{duration, size};

static LARGE: Rule = Rule::new(
    "large-result",
    Performance,
    Warning,
    "server/tools",
    "The result of a call is very large",
    "Clients cut results or put them into a file, because a model cannot read so much at once; what it does read costs tokens \
     in every further turn. Pages, filters and links to resources keep results small.",
);
static SLOW: Rule = Rule::new(
    "slow-without-progress",
    Performance,
    Info,
    "basic/utilities/progress",
    "A call takes long, and nothing is told meanwhile",
    "Clients give up after a time they choose, often a minute. Progress tells them that it goes on, and the user as well.",
);
static UNANSWERED: Rule = Rule::new(
    "unanswered-request",
    Performance,
    Warning,
    "basic/utilities/cancellation",
    "A request has no answer when the session ends",
    "Whoever asked waited until the end or its timeout. Every request is answered, with an error if need be, or cancelled.",
);

pub(super) static RULES: &[&Rule] = &[&LARGE, &SLOW, &UNANSWERED];

/// Methods a person or another server takes part in, or that stay open: they may take any time.
fn may_take_long(method: &str) -> bool {
    matches!(method, "subscriptions/listen" | "elicitation/create" | "sampling/createMessage" | "tasks/result")
}

pub(super) fn check(look: &mut Look<'_>) {
    let direction = look.message.stamp.direction;
    let now = look.message.stamp.at;
    if direction == Direction::ToClient && look.message.kind == Kind::Request {
        // While the server asks something it is the other side that takes the time.
        look.talk.to_server.waiting_mut().for_each(|open| open.heard = now);
    }
    let Some(open) = look.asked.clone().filter(|_| look.message.kind.is_response()) else { return };
    if look.message.is_from_client() {
        look.talk.to_server.waiting_mut().for_each(|open| open.heard = now);
    }
    if &*open.asked.method == "tools/call" && look.message.length > look.out.profile.large_result {
        let message = format!("the result has {} bytes", size(look.message.length as u64));
        look.report(&LARGE, "result", message, String::new());
    }
    let silence = now.saturating_sub(open.heard);
    if open.state == State::Waiting && silence > look.out.profile.slow && !may_take_long(&open.asked.method) {
        let message = format!("nothing was heard of it for {}", duration(silence));
        look.report(&SLOW, "", message, String::new());
    }
}

/// What is open when nothing more will come.
pub(super) fn end(talk: &mut Conversation, out: &mut Output, hop: Hop) {
    if talk.has_gap {
        return;
    }
    let revision = talk.revision;
    for (requests, direction) in [(&talk.to_server, Direction::ToServer), (&talk.to_client, Direction::ToClient)] {
        let mut open: Vec<_> = requests.waiting().filter(|open| !open.is_refused && !may_take_long(&open.asked.method)).collect();
        open.sort_by_key(|open| open.asked.sequence);
        for open in open {
            let asked = &open.asked;
            // It is the other side that owes something.
            let place = Place { entry: asked.entry, sequence: asked.sequence, hop, direction: direction.reversed() };
            let subject =
                if asked.name.is_empty() { asked.method.to_string() } else { format!("{} {}", asked.method, asked.name) };
            let message = "the session ends without an answer to it".to_owned();
            out.put(&UNANSWERED, revision, place, &Said { subject: &subject, message, ..Said::default() });
        }
    }
}
