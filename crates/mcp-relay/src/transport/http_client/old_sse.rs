//! The transport of revision 2024-11-05, HTTP+SSE: one stream for all the server says, whose first event names the place
//! where messages go.

use std::rc::Rc;
use std::time::Duration;

use mcp_wire::sse::Parser;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Method, Response};

use super::answer::{self, Body, Stream};
use super::client;
use super::post::{self, Asked, Failure};
use super::session::{Ask, Sent, Session};
use crate::upstream::Fate;

/// The place has to be named in this time.
const NAMED: Duration = Duration::from_secs(15);

/// Tries it, after an opening by POST was refused in a way an old server would. If this is none, the refusal stands.
pub(super) async fn open(session: &Rc<Session>, asked: &Asked, sent: Rc<Sent>, refusal: Failure) {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    let url = session.state.borrow().url.clone();
    let ask = Ask { method: Method::GET, url: url.clone(), headers, body: None };
    let mut response = match session.fetch(ask).await {
        Ok(response) if response.status().is_success() && answer::is_stream(&response) => response,
        _ => return refusal.tell(session, &asked.id),
    };
    let mut parser = Parser::new(session.limit);
    let named = tokio::time::timeout(NAMED, endpoint(&mut parser, &mut response)).await;
    let Ok(Some((place, rest))) = named else { return refusal.tell(session, &asked.id) };
    let endpoint = match url.join(place.trim()) {
        // Whoever names another server wants our secrets to go there.
        Ok(endpoint) if client::is_same_origin(&endpoint, &url) => endpoint,
        _ => {
            let text = format!("{} wants messages sent to another server", session.name());
            return session.refuse(&asked.id, &text, "redirect", None);
        }
    };
    session.state.borrow_mut().old_endpoint = Some(endpoint);
    let mut stream = Stream::going_on(parser);
    for event in rest {
        stream.take(session, event, None);
    }
    tokio::task::spawn_local(hear(Rc::clone(session), stream, response));
    // The opening once more, to the right place; its answer comes on the stream.
    post::ask_again(session, asked, sent).await;
}

/// Reads up to the event that names the place; also gives what came behind it.
async fn endpoint(parser: &mut Parser, response: &mut Response) -> Option<(String, Vec<mcp_wire::sse::Event>)> {
    while let Some(chunk) = response.chunk().await.ok()? {
        let mut events = parser.push(&chunk).ok()?.into_iter();
        while let Some(event) = events.next() {
            if event.event.as_deref() == Some("endpoint") {
                return Some((event.data, events.collect()));
            }
        }
    }
    None
}

/// Brings to the route what comes on the one stream. Its end is the server's.
async fn hear(session: Rc<Session>, mut stream: Stream, response: Response) {
    let ended = tokio::select! {
        body = stream.read(&session, response, None) => body,
        () = session.ended() => return,
    };
    let text = match ended {
        Body::TooLong(limit) => format!("sent an event of more than {limit} bytes"),
        Body::Broken { why, .. } => format!("closed its stream: {why}"),
        Body::Answered | Body::None(_) => "closed its stream".to_owned(),
    };
    session.end(Fate { text, ..Fate::default() });
}
