//! The server as a streamable HTTP endpoint on loopback.

use std::{io::Write as _, net::Ipv4Addr, sync::Arc};

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::{
    StreamableHttpServerConfig, StreamableHttpService, streamable_http_server::session::local::LocalSessionManager,
};
use tokio::net::TcpListener;

use crate::server::{Common, Eras, Fixture};

const PATH: &str = "/mcp";

pub(crate) async fn serve(eras: Eras, port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.context("bind a loopback port")?;
    let address = listener.local_addr().context("ask for the port")?;

    let sessions = Arc::new(LocalSessionManager::default());
    let common = Common::new(eras, Some(Arc::clone(&sessions)));
    // The `Host` header is held against loopback names by default; `Origin` only if asked for.
    let origins = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];
    let config = StreamableHttpServerConfig::default().with_allowed_origins(origins).enforce_origin_validation();
    let service = StreamableHttpService::new(move || Ok(Fixture::new(Arc::clone(&common))), sessions, config);

    writeln!(std::io::stdout(), "http://{address}{PATH}").context("print the URL")?;
    loop {
        let (stream, _) = listener.accept().await.context("accept a connection")?;
        // Without it an answer in two writes waits for the acknowledgement of the first.
        stream.set_nodelay(true).context("set TCP_NODELAY")?;
        let service = service.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let service = service.clone();
                async move {
                    if request.uri().path() != PATH {
                        let mut nothing = Response::new(Empty::new().boxed());
                        *nothing.status_mut() = StatusCode::NOT_FOUND;
                        return Ok::<_, std::convert::Infallible>(nothing);
                    }
                    Ok(service.handle(request).await)
                }
            });
            let mut protocol = hyper::server::conn::http1::Builder::new();
            let connection = protocol.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answer);
            // A client that hangs up is no concern of the others.
            let _ = connection.await;
        });
    }
}
