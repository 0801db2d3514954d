//! The URL of a server: a listener on the loopback address, opened when it is first asked for. And the way to a server elsewhere.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use mcp_relay::hub::Hub;
use mcp_relay::transport::http_client::tokens::Vault;
use mcp_relay::transport::http_client::{RemoteConnector, RemoteOptions};
use mcp_relay::transport::http_server::{self, HttpOptions};
use mcp_relay::upstream::Connector;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Remote;
use crate::log::Log;
use crate::secret::secret;
use crate::store::Http;

/// The listener, if there is one.
#[derive(Default)]
pub(super) struct Web {
    open: Option<Open>,
}

struct Open {
    http: Http,
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Web {
    /// Where the server is reached.
    pub(super) fn http(&self) -> Option<Http> {
        self.open.as_ref().map(|open| open.http.clone())
    }

    /// Opens the listener: on the port it had before, if that is still free.
    pub(super) async fn open(&mut self, hub: &Hub, wanted: Option<Http>, log: &Rc<RefCell<Log>>) -> Result<Http, String> {
        if let Some(http) = self.http() {
            return Ok(http);
        }
        let failed = |e: io::Error| format!("listen on the loopback address: {e}");
        let (port, token) = match wanted {
            Some(Http { port, token }) => (port, token),
            None => (0, secret().map_err(failed)?),
        };
        let listener = match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => listener,
            Err(e) if port != 0 => {
                let text =
                    format!("port {port}, where this server was reached before, cannot be had ({e}): it has another one now");
                log.borrow_mut().line("mcp", &text);
                TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?
            }
            Err(e) => return Err(failed(e)),
        };
        let port = listener.local_addr().map_err(failed)?.port();
        let http = Http { port, token: token.clone() };
        let options = HttpOptions { token: Some(token), ..HttpOptions::default() };
        let (shutdown, asked) = oneshot::channel::<()>();
        let serving = http_server::serve(listener, hub.clone(), options, async {
            // Dropped or used: both mean the end.
            let _ = asked.await;
        });
        let task = tokio::task::spawn_local(serving);
        self.open = Some(Open { http: http.clone(), shutdown, task });
        Ok(http)
    }

    /// Takes no new clients; those who wait for an answer have a moment.
    pub(super) async fn close(self) {
        if let Some(Open { shutdown, task, .. }) = self.open {
            drop(shutdown);
            // A panic in it was reported by the hook.
            let _ = task.await;
        }
    }
}

/// A server elsewhere, with the logins of the user.
pub(super) fn remote(remote: Remote) -> Result<Box<dyn Connector>, String> {
    let vault = Some(Arc::new(Vault::new(&remote.dirs)));
    let options = RemoteOptions { headers: remote.headers, vault, ..RemoteOptions::new(remote.url) };
    RemoteConnector::new(options).map(|c| Box::new(c) as Box<dyn Connector>).map_err(|e| mcp_os::causes::on_one_line(&e))
}
