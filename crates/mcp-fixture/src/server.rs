//! The server: what it says about itself, and where each request goes.

use std::{
    borrow::Cow,
    collections::{BTreeSet, VecDeque},
    str::FromStr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult, CompletionInfo,
        GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult, Implementation, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, LoggingLevel, PaginatedRequestParams, ProtocolVersion,
        ReadResourceRequestParams, ReadResourceResponse, Reference, RequestStateCodec, ResourceUpdatedNotificationParam,
        ServerCapabilities, ServerConfig, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool,
        UnsubscribeRequestParams, UpdateTaskParams,
    },
    service::{NotificationContext, Peer, RequestContext, SubscriptionContext},
    task_manager::TaskManager,
    transport::streamable_http_server::session::local::LocalSessionManager,
};
use tokio::sync::broadcast;

use crate::{prompts, resources, tools};

/// Which revisions are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eras {
    /// Those with an `initialize` handshake.
    Legacy,
    /// Those without.
    Modern,
    Both,
}

impl FromStr for Eras {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "legacy" => Ok(Self::Legacy),
            "modern" => Ok(Self::Modern),
            "both" => Ok(Self::Both),
            other => Err(format!("`{other}` is none of legacy, modern, both")),
        }
    }
}

/// Something that clients may have subscribed to.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Tools,
    Prompts,
    Resource(String),
}

/// What all conversations of one process share.
pub(crate) struct Common {
    eras: Eras,
    changes: broadcast::Sender<Change>,
    pub(crate) seal: RequestStateCodec,
    pub(crate) tasks: TaskManager,
    /// The HTTP sessions, if there are any.
    pub(crate) sessions: Option<Arc<LocalSessionManager>>,
}

impl Common {
    pub(crate) fn new(eras: Eras, sessions: Option<Arc<LocalSessionManager>>) -> Arc<Self> {
        // A state must survive neither the process nor a test: the key may be known.
        let seal = RequestStateCodec::try_new(*b"a key for tests, thirty-two long").expect("the key is long enough");
        Arc::new(Self { eras, changes: broadcast::Sender::new(256), seal, tasks: TaskManager::new(), sessions })
    }

    pub(crate) fn announce(&self, change: Change) {
        // Nobody listening is fine.
        let _ = self.changes.send(change);
    }
}

/// What one legacy conversation has asked for.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    pub(crate) level: Mutex<Option<LoggingLevel>>,
    subscribed: Mutex<BTreeSet<String>>,
    /// Changes since a subscription was accepted. rmcp acknowledges it before it runs, and a client may be quick.
    accepted: Mutex<VecDeque<broadcast::Receiver<Change>>>,
    /// Requests so far, which bounds the number of streams an HTTP session may have open.
    pub(crate) requests: AtomicU64,
}

/// One conversation; over HTTP in the modern era, one request.
#[derive(Clone)]
pub(crate) struct Fixture {
    pub(crate) common: Arc<Common>,
    pub(crate) conversation: Arc<Conversation>,
}

impl Fixture {
    pub(crate) fn new(common: Arc<Common>) -> Self {
        Self { common, conversation: Arc::default() }
    }
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_completions()
            .enable_logging()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("mcp-fixture", env!("CARGO_PKG_VERSION")))
            .with_instructions("For tests: every tool does what its name says.")
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        let all = ProtocolVersion::KNOWN_VERSIONS;
        let legacy = ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25);
        Cow::Borrowed(match self.common.eras {
            Eras::Legacy => legacy,
            Eras::Modern => &all[legacy.len()..],
            Eras::Both => all,
        })
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let changes = self.common.changes.subscribe();
        tokio::spawn(tell_legacy_client(context.peer, changes, Arc::clone(&self.conversation)));
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.conversation.requests.fetch_add(1, Ordering::Relaxed);
        Ok(ListToolsResult::with_all_items(tools::list()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::list().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.conversation.requests.fetch_add(1, Ordering::Relaxed);
        tools::call(self, call, &context).await
    }

    async fn list_prompts(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(prompts::list()))
    }

    async fn get_prompt(
        &self,
        asked: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(asked, &context).await
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::list()))
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        asked: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&asked.uri).map(ReadResourceResponse::from)
    }

    async fn complete(
        &self,
        asked: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let known = match &asked.r#ref {
            Reference::Prompt(prompt) => prompts::values(&prompt.name, &asked.argument.name),
            _ => &[],
        };
        let fitting = known.iter().filter(|value| value.starts_with(&asked.argument.value)).map(|&value| value.to_owned());
        let info = CompletionInfo::with_all_values(fitting.collect()).map_err(|error| ErrorData::internal_error(error, None))?;
        Ok(CompleteResult::new(info))
    }

    async fn set_level(&self, asked: SetLevelRequestParams, _context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        *self.conversation.level.lock().expect("no panic while it is held") = Some(asked.level);
        Ok(())
    }

    async fn subscribe(&self, asked: SubscribeRequestParams, _context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        resources::read(&asked.uri)?;
        self.conversation.subscribed.lock().expect("no panic while it is held").insert(asked.uri);
        Ok(())
    }

    async fn unsubscribe(&self, asked: UnsubscribeRequestParams, _context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.conversation.subscribed.lock().expect("no panic while it is held").remove(&asked.uri);
        Ok(())
    }

    async fn get_task(&self, asked: GetTaskParams, _context: RequestContext<RoleServer>) -> Result<GetTaskResult, ErrorData> {
        self.common.tasks.get_task(&asked.task_id).map(GetTaskResult::new)
    }

    async fn update_task(&self, told: UpdateTaskParams, _context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.common.tasks.update_task(&told.task_id, told.input_responses)
    }

    async fn cancel_task(&self, asked: CancelTaskParams, _context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.common.tasks.cancel_task(&asked.task_id)
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let changes = self.common.changes.subscribe();
        self.conversation.accepted.lock().expect("no panic while it is held").push_back(changes);
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let accepted = self.conversation.accepted.lock().expect("no panic while it is held").pop_front();
        let mut changes = accepted.unwrap_or_else(|| self.common.changes.subscribe());
        loop {
            let change = tokio::select! {
                () = context.cancelled() => return Ok(()),
                change = changes.recv() => change,
            };
            // What was not asked for is refused by the sink, and that is all there is to it.
            let _ = match change {
                Ok(Change::Tools) => context.sink().notify_tool_list_changed().await,
                Ok(Change::Prompts) => context.sink().notify_prompt_list_changed().await,
                Ok(Change::Resource(uri)) => context.sink().notify_resource_updated(uri).await,
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            };
        }
    }
}

/// Tells a client that opened with `initialize` about changes, for as long as it is there.
async fn tell_legacy_client(peer: Peer<RoleServer>, mut changes: broadcast::Receiver<Change>, conversation: Arc<Conversation>) {
    loop {
        let told = match changes.recv().await {
            Ok(Change::Tools) => peer.notify_tool_list_changed().await,
            Ok(Change::Prompts) => peer.notify_prompt_list_changed().await,
            Ok(Change::Resource(uri)) => {
                if !conversation.subscribed.lock().expect("no panic while it is held").contains(&uri) {
                    continue;
                }
                peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await
            }
            Err(broadcast::error::RecvError::Lagged(_)) => continue,
            Err(broadcast::error::RecvError::Closed) => return,
        };
        if told.is_err() {
            return;
        }
    }
}
