//! The server on stdin and stdout.

use std::borrow::Cow;

use anyhow::{Context as _, Result};
use rmcp::{
    ErrorData, RoleServer, Service, ServiceExt as _,
    model::{ClientNotification, ClientRequest, DiscoverRequestMethod, ProtocolVersion, ServerConfig, ServerResult},
    service::{NotificationContext, RequestContext},
};

use crate::server::{Common, Eras, Fixture};

pub(crate) async fn serve(eras: Eras) -> Result<()> {
    let fixture = Fixture::new(Common::new(eras, None));
    let transport = rmcp::transport::stdio();
    if eras == Eras::Legacy {
        Older(fixture).serve(transport).await.context("open the conversation")?.waiting().await?;
    } else {
        fixture.serve(transport).await.context("open the conversation")?.waiting().await?;
    }
    Ok(())
}

/// A server from before there was `server/discover`.
///
/// Narrowed to legacy revisions, rmcp still knows the method and answers that the version is not supported. A server of that
/// time does not know the method, and that is the answer a client has to read the era from.
struct Older(Fixture);

impl Service<RoleServer> for Older {
    async fn handle_request(
        &self,
        request: ClientRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        if matches!(request, ClientRequest::DiscoverRequest(_)) {
            return Err(ErrorData::method_not_found::<DiscoverRequestMethod>());
        }
        Service::handle_request(&self.0, request, context).await
    }

    async fn handle_notification(
        &self,
        notification: ClientNotification,
        context: NotificationContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Service::handle_notification(&self.0, notification, context).await
    }

    fn get_info(&self) -> ServerConfig {
        Service::get_info(&self.0)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Service::supported_protocol_versions(&self.0)
    }
}
