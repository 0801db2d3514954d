//! The URL of a server: a listener on the loopback address, opened when it is first asked for.

use std::cell::RefCell;
use std::rc::Rc;

use mcp_relay::hub::Hub;
use mcp_relay::upstream::Connector;

use crate::log::Log;
use crate::store::Http;

/// The listener, if there is one.
#[derive(Default)]
pub(super) struct Web {
    http: Option<Http>,
}

impl Web {
    /// Where the server is reached.
    pub(super) fn http(&self) -> Option<Http> {
        self.http.clone()
    }

    /// Opens the listener: on the port it had before, if that is still free.
    #[expect(clippy::unused_async, reason = "stand-in")]
    pub(super) async fn open(&mut self, _hub: &Hub, _wanted: Option<Http>, _log: &Rc<RefCell<Log>>) -> Result<Http, String> {
        Err("not built yet".to_owned())
    }

    /// Takes no new clients.
    pub(super) fn close(self) {}
}

/// A server elsewhere.
pub(super) fn remote(_url: &str) -> Result<Box<dyn Connector>, String> {
    Err("not built yet".to_owned())
}
