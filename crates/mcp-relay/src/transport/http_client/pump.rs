//! Takes what the route has to say, in order, and turns it into requests.
//!
//! Requests go out side by side. Notifications go one after the other, each when the one before it was accepted, and a
//! cancellation not before the request it is about was written; `notifications/initialized` holds up all that follows.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use mcp_wire::methods::{meta, needle};
use mcp_wire::version::Era;
use mcp_wire::{Frame, Kind};
use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::post;
use super::session::{Ask, Open, Sent, Session};
use super::{listen, post::Asked};
use crate::upstream::Fate;

/// A server that does not say what it makes of a notification in this time holds up the next one no longer.
const ACCEPTED: Duration = Duration::from_secs(30);
/// For saying goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// A message without an answer, on its way.
struct Note {
    frame: Frame,
    era: Era,
    sent: Rc<Sent>,
    accepted: oneshot::Sender<()>,
}

/// Runs until the route wants the end, or the conversation has ended.
pub(super) async fn run(session: Rc<Session>, mut frames: mpsc::UnboundedReceiver<Bytes>) {
    let mut tasks = JoinSet::new();
    let (lane, notes) = mpsc::unbounded_channel();
    let lane_task = tokio::task::spawn_local(in_order(Rc::clone(&session), notes));
    let mut era = Era::Legacy;
    let is_wanted = loop {
        let frame = tokio::select! {
            biased;
            () = session.ended() => break false,
            frame = frames.recv() => frame,
            Some(_) = tasks.join_next() => continue,
        };
        let Some(bytes) = frame else { break true };
        let sent = Sent::new(&session, bytes.len());
        // A line end is not part of a body.
        let bytes = bytes.slice(..bytes.len() - usize::from(bytes.ends_with(b"\n")));
        let Ok(frame) = Frame::parse(bytes) else { continue };
        match frame.kind() {
            Kind::Request => {
                era = era_of(&frame);
                ask(&session, &mut tasks, frame, era, sent);
            }
            Kind::Notification => {
                let is_initialized = frame.method() == "notifications/initialized";
                let era = if frame.contains(&needle::PROTOCOL_VERSION) { Era::Modern } else { era };
                if era == Era::Modern && frame.method() == "notifications/cancelled" {
                    close_answer(&session, &frame);
                    continue;
                }
                let (accepted, is_accepted) = oneshot::channel();
                // The lane lives as long as this does.
                let _ = lane.send(Note { frame, era, sent, accepted });
                if is_initialized {
                    tokio::select! {
                        _ = is_accepted => {}
                        () = session.ended() => break false,
                    }
                    if session.state.borrow().old_endpoint.is_none() {
                        tasks.spawn_local(listen::stand_alone(Rc::clone(&session)));
                    }
                }
            }
            // The modern era has no questions to the client, so no answers either.
            Kind::Result | Kind::Error if era == Era::Modern => {}
            Kind::Result | Kind::Error => {
                let session = Rc::clone(&session);
                tasks.spawn_local(async move { post::tell(&session, &frame, Era::Legacy, sent).await });
            }
        }
    };
    if is_wanted {
        drop(lane);
        // Whatever the server makes of it, we are gone after that.
        let _ = tokio::time::timeout(GOODBYE, async {
            let _ = lane_task.await;
            goodbye(&session).await;
        })
        .await;
        tasks.abort_all();
        session.end(Fate { text: "was left".to_owned(), was_wanted: true, ..Fate::default() });
    } else {
        lane_task.abort();
    }
}

/// The era a request belongs to.
fn era_of(request: &Frame) -> Era {
    let is_modern = request.method() == "server/discover"
        || request.contains(&needle::PROTOCOL_VERSION) && request.find(&["params", "_meta", meta::PROTOCOL_VERSION]).is_some();
    if is_modern { Era::Modern } else { Era::Legacy }
}

fn ask(session: &Rc<Session>, tasks: &mut JoinSet<()>, frame: Frame, era: Era, sent: Rc<Sent>) {
    let id = frame.id().unwrap_or_default().to_owned();
    let method = frame.method().to_owned();
    let asked = Asked { id: id.clone(), frame, era };
    let work = post::ask(Rc::clone(session), asked, Rc::clone(&sent));
    let abort = tasks.spawn_local(work);
    session.state.borrow_mut().open.insert(id, Open { method, era, sent, abort });
}

/// In the modern era a request is cancelled by closing its answer (basic/patterns/cancellation), and there is no message for
/// it.
fn close_answer(session: &Session, cancelled: &Frame) {
    let open = cancelled.get(&["params", "requestId"]).and_then(|id| session.state.borrow_mut().open.remove(id));
    if let Some(open) = open {
        open.abort.abort();
    }
}

/// Sends notifications one after the other.
async fn in_order(session: Rc<Session>, mut notes: mpsc::UnboundedReceiver<Note>) {
    while let Some(Note { frame, era, sent, accepted }) = notes.recv().await {
        let about = match frame.method() {
            "notifications/cancelled" => frame.get(&["params", "requestId"]).map(str::to_owned),
            _ => None,
        };
        let before = about.as_ref().and_then(|id| session.state.borrow().open.get(id).map(|open| Rc::clone(&open.sent)));
        if let Some(before) = before {
            before.wait().await;
        }
        if tokio::time::timeout(ACCEPTED, post::tell(&session, &frame, era, sent)).await.is_err() {
            session.log(format!("{} did not accept `{}` in {} seconds", session.name(), frame.method(), ACCEPTED.as_secs()));
        }
        // Whoever waited may have gone.
        let _ = accepted.send(());
        // No answer is expected any more, and a server that ends the request need not end its stream.
        let open = about.and_then(|id| session.state.borrow_mut().open.remove(&id));
        if let Some(open) = open {
            open.abort.abort();
        }
    }
}

/// Ends the session of the legacy era.
async fn goodbye(session: &Rc<Session>) {
    let url = session.state.borrow().url.clone();
    let mut headers = HeaderMap::new();
    if session.add_session(&mut headers) {
        let ask = Ask { method: Method::DELETE, url, headers, body: None };
        // A server need not offer this.
        let _ = session.fetch(ask).await;
    }
}
