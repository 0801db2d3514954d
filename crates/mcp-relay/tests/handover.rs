//! A client's conversation goes on in another route without the client noticing.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it says")]

use std::time::Instant;

use bytes::Bytes;
use mcp_relay::route::{Action, Arrival, Event, PeerId, Route as _, StreamId, Via};
use mcp_relay::shared::{Config, Shared};
use mcp_wire::Frame;

const PEER: PeerId = PeerId(1);
const ARRIVAL: Arrival = Arrival { via: Via::Stdio, era: None, pid: None };
const RESULT: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"logging":{},"resources":{"subscribe":true}},"serverInfo":{"name":"s","version":"1"}}"#;

/// What the route does about an event, as text: to the server, to the client, an end.
fn on(route: &mut Shared, event: Event) -> Vec<String> {
    let mut actions = Vec::new();
    route.on(Instant::now(), event, &mut actions);
    let text = |bytes: &Bytes| std::str::from_utf8(bytes).unwrap().trim_end().to_owned();
    let shown = |action: &Action| match action {
        Action::Send(_, _, _, bytes) => Some(format!("A< {}", text(bytes))),
        Action::Upstream(bytes) => Some(format!("S< {}", text(bytes))),
        Action::End(_, why) => Some(format!("ends: {why}")),
        _ => None,
    };
    actions.iter().filter_map(shown).collect()
}

fn from_client(route: &mut Shared, text: &str) -> Vec<String> {
    on(route, Event::Frame(PEER, StreamId(0), Frame::parse(Bytes::from(text.to_owned())).unwrap()))
}

fn from_server(route: &mut Shared, text: &str) -> Vec<String> {
    on(route, Event::Upstream(Frame::parse(Bytes::from(text.to_owned())).unwrap(), None))
}

/// A client with a level and a subscription, at rest.
fn at_rest() -> Shared {
    let mut route = Shared::new(Config::default());
    on(&mut route, Event::Opened(PEER, ARRIVAL));
    from_client(
        &mut route,
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"}}}"#,
    );
    assert_eq!(route.ticket(PEER), None, "an open request cannot be taken along");
    from_server(&mut route, &format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{RESULT}}}"));
    from_client(&mut route, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    from_client(&mut route, r#"{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"error"}}"#);
    from_server(&mut route, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    from_client(&mut route, r#"{"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"x:1"}}"#);
    assert_eq!(route.ticket(PEER), None);
    from_server(&mut route, r#"{"jsonrpc":"2.0","id":3,"result":{}}"#);
    route
}

#[test]
fn a_client_at_rest_goes_on_with_a_server_that_says_the_same() {
    let ticket = at_rest().ticket(PEER).unwrap();
    let mut next = Shared::new(Config::default());
    on(&mut next, Event::Opened(PEER, ARRIVAL));
    let opening = on(&mut next, Event::Resumed(PEER, ticket));
    assert!(opening[0].contains(r#""method":"initialize""#) && opening[0].contains(r#""name":"c""#), "{opening:?}");
    // What comes before the server is open waits.
    assert_eq!(from_client(&mut next, r#"{"jsonrpc":"2.0","id":3,"method":"tools/list"}"#), [""; 0]);
    let then = from_server(&mut next, &format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{RESULT}}}"));
    let wanted = [
        r#"S< {"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"S< {"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"error"}}"#,
        r#"S< {"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{"uri":"x:1"}}"#,
        r#"S< {"jsonrpc":"2.0","id":4,"method":"tools/list"}"#,
    ];
    assert_eq!(then, wanted);
    // The client never hears of any of it.
    assert_eq!(from_server(&mut next, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#), [""; 0]);
    assert_eq!(
        from_server(&mut next, r#"{"jsonrpc":"2.0","id":4,"result":{"tools":[]}}"#),
        [r#"A< {"jsonrpc":"2.0","id":3,"result":{"tools":[]}}"#]
    );
}

#[test]
fn a_server_that_says_something_else_ends_the_conversation() {
    let ticket = at_rest().ticket(PEER).unwrap();
    let mut next = Shared::new(Config::default());
    on(&mut next, Event::Opened(PEER, ARRIVAL));
    on(&mut next, Event::Resumed(PEER, ticket));
    let then = from_server(
        &mut next,
        r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"2"}}}"#,
    );
    assert_eq!(then, ["ends: the server was started again and is not the same: the conversation has to be opened anew"]);
}

#[test]
fn a_ticket_of_somebody_else_ends_the_conversation() {
    let mut next = Shared::new(Config::default());
    on(&mut next, Event::Opened(PEER, ARRIVAL));
    assert_eq!(on(&mut next, Event::Resumed(PEER, "{}".to_owned())).len(), 1);
}
