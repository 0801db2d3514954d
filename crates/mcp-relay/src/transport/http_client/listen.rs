//! Streams that are asked for with GET, in the legacy era: the one for what belongs to no request, and the rest of one that
//! broke.

use std::rc::Rc;
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use tokio::time::Instant;

use super::answer::{self, Body, Place, Stream};
use super::session::{Ask, Refused, Session};
use crate::upstream::Fate;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The first wait before a stream is asked for again, when the server names none.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// A stream that was open for so long was one.
const LONG_ENOUGH: Duration = Duration::from_secs(10);
/// No server is kept waiting longer than this because it says so.
const LONGEST_RETRY: Duration = Duration::from_mins(5);
/// So many tries without anything new, and the rest of an answer is given up.
const MOST_TRIES: u32 = 5;
/// So many refusals of the stand-alone stream, and the server is asked no more for it.
const MOST_REFUSALS: u32 = 5;

async fn get(session: &Rc<Session>, place: &Place) -> Result<Response, Refused> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    session.add_session(&mut headers);
    if let Some(id) = place.last_id.as_ref().and_then(|id| HeaderValue::try_from(id).ok()) {
        headers.insert(LAST_EVENT_ID, id);
    }
    let url = session.state.borrow().url.clone();
    session.fetch(Ask { method: Method::GET, url, headers, body: None }).await
}

/// How long to wait before the next try, after so many that brought nothing.
fn pause(place: &Place, in_vain: u32) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << in_vain.saturating_sub(1).min(10)).min(LONGEST_WAIT);
    match place.retry {
        // The server's word, and longer when it was of no use.
        Some(retry) if in_vain <= 1 => retry.min(LONGEST_RETRY),
        Some(retry) => retry.max(doubled).min(LONGEST_RETRY),
        None => doubled,
    }
}

/// Keeps the stream for what belongs to no request, for as long as the conversation lasts.
pub(super) async fn stand_alone(session: Rc<Session>) {
    let mut place = Place::default();
    let mut was_open = false;
    let (mut in_vain, mut refusals) = (0, 0);
    loop {
        match get(&session, &place).await {
            Ok(response) if response.status().is_success() && answer::is_stream(&response) => {
                (was_open, refusals) = (true, 0);
                let mut stream = Stream::after(session.limit, place.clone());
                let since = Instant::now();
                if let Body::TooLong(limit) = stream.read(&session, response, None).await {
                    session.log(format!("{} sent an event of more than {limit} bytes", session.name()));
                }
                // One that was quiet and was closed after a while, as proxies do, was not in vain.
                in_vain = if stream.has_moved() || since.elapsed() > LONG_ENOUGH { 0 } else { in_vain };
                place = stream.place();
            }
            Ok(response) => match response.status() {
                // This server has no such stream. Some say so with other words than the specification's.
                StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => return,
                StatusCode::NOT_FOUND if was_open && session.state.borrow().session_id.is_some() => {
                    session.end(Fate { text: "ended the session (HTTP 404)".to_owned(), ..Fate::default() });
                    return;
                }
                status => {
                    refusals += 1;
                    if !was_open && status.is_client_error() && status != StatusCode::CONFLICT || refusals >= MOST_REFUSALS {
                        session.log(format!("{} offers no stream for notices (HTTP {status})", session.name()));
                        return;
                    }
                }
            },
            Err(Refused::Unreachable { .. }) => {}
            Err(refused) => {
                session.log(refused.to_string());
                return;
            }
        }
        in_vain += 1;
        tokio::time::sleep(pause(&place, in_vain)).await;
    }
}

/// Asks for the rest of an answer whose stream broke.
pub(super) async fn resume(session: &Rc<Session>, id: &str, mut place: Place) {
    let mut in_vain = 1;
    let mut why = "the stream ended".to_owned();
    while in_vain <= MOST_TRIES {
        tokio::time::sleep(pause(&place, in_vain)).await;
        match get(session, &place).await {
            Ok(response) if response.status().is_success() && answer::is_stream(&response) => {
                let mut stream = Stream::after(session.limit, place);
                match stream.read(session, response, Some(id)).await {
                    Body::Answered => return,
                    Body::TooLong(limit) => {
                        let text = format!("the answer of {} has more than the {limit} bytes a message may have", session.name());
                        session.refuse(id, &text, "too-long", None);
                        return;
                    }
                    Body::Broken { why: reason, .. } => why = reason,
                    Body::None(_) => {}
                }
                place = stream.place();
                in_vain = if stream.has_moved() { 1 } else { in_vain + 1 };
            }
            Ok(response) if response.status() == StatusCode::NOT_FOUND && session.state.borrow().session_id.is_some() => {
                session.end(Fate { text: "ended the session (HTTP 404)".to_owned(), ..Fate::default() });
                return;
            }
            Ok(response) if response.status().is_client_error() => {
                why = format!("it was refused to go on (HTTP {})", response.status());
                break;
            }
            Ok(response) => {
                why = format!("HTTP {}", response.status());
                in_vain += 1;
            }
            Err(Refused::Unreachable { why: reason, .. }) => {
                why = reason;
                in_vain += 1;
            }
            Err(refused) => {
                session.failed(Some(id), &refused);
                return;
            }
        }
    }
    let text = format!("the connection to {} ended before the answer was complete: {why}", session.name());
    session.refuse(id, &text, "stream-lost", None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_names_the_first_wait_and_failures_lengthen_it() {
        let place = |retry| Place { last_id: None, retry };
        let seconds = |retry: Option<u64>, in_vain| pause(&place(retry.map(Duration::from_secs)), in_vain).as_secs();
        assert_eq!([1, 2, 3, 4, 30].map(|n| seconds(None, n)), [1, 2, 4, 8, 60]);
        assert_eq!([1, 2, 5, 30].map(|n| seconds(Some(3), n)), [3, 3, 16, 60]);
        assert_eq!(seconds(Some(100_000), 1), 300);
    }
}
