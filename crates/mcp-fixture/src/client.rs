//! `mcp-fixture-client`: the client of the matrix test on rmcp, of either era or of both. Its siblings on the other SDKs are in
//! `tests/matrix`; each does the same and prints what it saw as JSON.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use rmcp::{
    ClientHandler, ErrorData, Peer, RoleClient,
    model::{
        CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult,
        ElicitationAction, Implementation, ProgressNotificationParam, ProtocolVersion, ReadResourceRequestParams,
        ResourceUpdatedNotificationParam, ServerNotification, SubscribeRequestParams, SubscriptionFilter,
    },
    service::{ClientLifecycleMode, ClientServiceExt as _, NotificationContext, RequestContext, RunningService},
    transport::{StreamableHttpClientTransport, TokioChildProcess, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const WATCHED: &str = "test://watched-resource";
const PATIENCE: Duration = Duration::from_secs(10);
const USAGE: &str = "usage: mcp-fixture-client legacy|modern|dual URL | COMMAND [ARGS…]";

struct Visitor {
    progress: Arc<Mutex<Vec<f64>>>,
    changed: mpsc::UnboundedSender<String>,
}

impl ClientHandler for Visitor {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        ClientConfig::new(capabilities, Implementation::new("matrix-rmcp", "1.0.0"))
    }

    async fn create_elicitation(
        &self,
        _asked: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(json!({"answer": "Ada"})))
    }

    async fn on_progress(&self, told: ProgressNotificationParam, _context: NotificationContext<RoleClient>) {
        self.progress.lock().expect("no panic while it is held").push(told.progress);
    }

    async fn on_resource_updated(&self, told: ResourceUpdatedNotificationParam, _context: NotificationContext<RoleClient>) {
        // Nobody waiting is fine.
        let _ = self.changed.send(told.uri);
    }
}

fn main() -> Result<()> {
    // The HTTP client is built without a provider of its own, and asks for one although nothing here is encrypted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, target @ ..] = arguments.as_slice() else { bail!(USAGE) };
    let [program, arguments @ ..] = target else { bail!(USAGE) };
    let modern = vec![ProtocolVersion::V_2026_07_28];
    let lifecycle = match mode.as_str() {
        "legacy" => ClientLifecycleMode::Initialize,
        "modern" => ClientLifecycleMode::Discover { preferred_versions: modern },
        "dual" => ClientLifecycleMode::Auto { preferred_versions: modern, legacy_version: Some(ProtocolVersion::V_2025_11_25) },
        other => bail!("`{other}` is no mode\n{USAGE}"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = runtime.block_on(async {
        let progress = Arc::<Mutex<Vec<f64>>>::default();
        let (changed, changes) = mpsc::unbounded_channel();
        let visitor = Visitor { progress: Arc::clone(&progress), changed };
        let client = if program.starts_with("http") {
            let config = StreamableHttpClientTransportConfig::with_uri(program.as_str());
            let transport = StreamableHttpClientTransport::with_client(reqwest::Client::new(), config);
            visitor.serve_with_lifecycle(transport, lifecycle).await
        } else {
            let mut command = tokio::process::Command::new(program);
            command.args(arguments);
            visitor.serve_with_lifecycle(TokioChildProcess::new(command)?, lifecycle).await
        };
        let client = client.context("open the conversation")?;
        let seen = visit(&client, &progress, changes).await;
        client.cancel().await?;
        seen
    })?;
    let mut out = std::io::stdout();
    std::io::Write::write_all(&mut out, format!("{seen}\n").as_bytes()).context("print what was seen")
}

async fn visit(
    client: &RunningService<RoleClient, Visitor>,
    progress: &Mutex<Vec<f64>>,
    mut changes: mpsc::UnboundedReceiver<String>,
) -> Result<Value> {
    let peer = client.peer();
    let tools = peer.list_all_tools().await.context("list the tools")?;
    for name in ["echo", "add", "count", "ask", "touch"] {
        ensure!(tools.iter().any(|tool| tool.name == name), "there is no tool called {name}");
    }
    let word = "Grüße, 世界 ✓ \"quoted\" \\ \u{2028}";
    let echoed = call(client, "echo", json!({"text": word})).await?;
    ensure!(echoed == word, "`echo` said {echoed:?}");
    let sum = call(client, "add", json!({"a": 2, "b": 3})).await?;
    ensure!(sum == "5", "`add` said {sum:?}");

    call(client, "count", json!({})).await?;
    let counted = progress.lock().expect("no panic while it is held").clone();
    ensure!(counted == [0.0, 50.0, 100.0], "progress was {counted:?}");

    let answer = call(client, "ask", json!({"question": "Who?"})).await?;
    ensure!(answer == "Ada", "`ask` said {answer:?}");

    let read = client.read_resource(ReadResourceRequestParams::new("test://static-text")).await.context("read a resource")?;
    let read = serde_json::to_value(read)?;
    let text = &read["contents"][0]["text"];
    ensure!(text == "This is the content of the static text resource.", "the resource is {read}");

    let modern = is_modern(peer);
    let changed = if modern {
        let filter = SubscriptionFilter::builder().resource_subscriptions([WATCHED]).build();
        let mut subscription = peer.listen(filter).await.context("listen")?;
        call(client, "touch", json!({})).await?;
        let told = tokio::time::timeout(PATIENCE, subscription.next()).await.context("wait for the change")??;
        match told {
            Some(ServerNotification::ResourceUpdatedNotification(told)) => Some(told.params.uri),
            other => bail!("the subscription brought {other:?}"),
        }
    } else {
        subscribe(peer).await?;
        call(client, "touch", json!({})).await?;
        tokio::time::timeout(PATIENCE, changes.recv()).await.context("wait for the change")?
    };
    ensure!(changed.as_deref() == Some(WATCHED), "changed was {changed:?}");

    ensure!(call(client, "no-such-tool", json!({})).await.is_err(), "a tool that does not exist was called");
    let era = if modern { "modern" } else { "legacy" };
    Ok(json!({"client": "rmcp", "era": era, "tools": tools.len(), "progress": counted}))
}

#[expect(deprecated, reason = "a legacy client has no other way")]
async fn subscribe(peer: &Peer<RoleClient>) -> Result<()> {
    peer.subscribe(SubscribeRequestParams::new(WATCHED)).await.context("subscribe")
}

fn is_modern(peer: &Peer<RoleClient>) -> bool {
    let version = peer.peer_info().map(|info| info.protocol_version.clone());
    version.is_none_or(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

/// The text a tool answers with.
async fn call(client: &RunningService<RoleClient, Visitor>, tool: &'static str, arguments: Value) -> Result<String> {
    let Value::Object(arguments) = arguments else { bail!("arguments are an object") };
    let called = client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await;
    let result: CallToolResult = called.with_context(|| format!("call `{tool}`"))?;
    let result = serde_json::to_value(result)?;
    ensure!(result["isError"] != true, "`{tool}` failed: {result}");
    let text = result["content"][0]["text"].as_str();
    text.map(str::to_owned).with_context(|| format!("`{tool}` answered {result}"))
}
