//! A call the server refuses because headers do not repeat its arguments as they should: the tool's schema did not go by here,
//! or has changed since. Then the tools are listed once more, for ourselves, and the call is made again.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use mcp_wire::author;
use mcp_wire::version::Era;
use mcp_wire::{Frame, Kind};
use reqwest::Response;

use super::answer;
use super::session::{Sent, Session};

/// A server with more pages of tools than this is not read to the end.
const MOST_PAGES: usize = 50;
/// For one page.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lists the tools in the name of a call; whether that changes what has to be repeated for it.
pub(super) async fn learn(session: &Rc<Session>, call: &Frame) -> bool {
    let (Some(tool), Some(meta)) = (call.get_string(&["params", "name"]), call.get(&["params", "_meta"])) else { return false };
    let before = session.state.borrow().schemas.get(&tool);
    let mut cursor = String::new();
    for _ in 0..MOST_PAGES {
        let page = tokio::time::timeout(PATIENCE, page(session, &format!("{{{cursor}\"_meta\":{meta}}}"))).await;
        let Ok(Some(page)) = page else { break };
        session.state.borrow_mut().schemas.note(&page);
        match page.get(&["result", "nextCursor"]).filter(|next| next.starts_with('"')) {
            Some(next) => cursor = format!("\"cursor\":{next},"),
            None => break,
        }
    }
    let after = session.state.borrow().schemas.get(&tool);
    after.is_some() && after != before
}

async fn page(session: &Rc<Session>, params: &str) -> Option<Frame> {
    let line = author::request("\"mcp-tools\"", "tools/list", Some(params));
    let request = Frame::parse(line.slice(..line.len() - 1)).ok()?;
    // Nobody counted these bytes.
    let sent = Sent::new(session, 0);
    let response = session.fetch(session.ask_for(&request, Era::Modern, sent)).await.ok()?;
    let body = if response.status().is_success() { whole(response, session.limit).await? } else { return None };
    Frame::parse(body).ok().filter(|frame| frame.kind() == Kind::Result)
}

async fn whole(response: Response, limit: usize) -> Option<Bytes> {
    let is_stream = answer::is_stream(&response);
    let body = answer::collect(response, limit).await.ok()?;
    if is_stream { answer::last_message(&body) } else { Some(body) }
}
