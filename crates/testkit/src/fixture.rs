//! The conformance fixture: a server that exposes exactly what the protocol's own suite asks
//! for, under the names the suite uses.
//!
//! It speaks every revision, or those of one era, and is built on the official SDK, so that
//! what the gateway meets here was not written by the gateway's own authors.
#![expect(
    deprecated,
    reason = "the revisions in use still have logging, sampling and subscriptions"
)]

mod answers;
mod ask;
mod content;
mod input;
mod live;
mod prompts;
mod resources;
mod serve;
mod shared;
mod tasks;
mod tools;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams,
    CompleteResult, ErrorData, GetPromptRequestParams, GetPromptResponse, GetTaskParams,
    GetTaskResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, LoggingLevel, PaginatedRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, ServerConfig, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer, SubscriptionContext};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use serve::{serve_http, serve_stdio};
pub use shared::Shared;

/// Which revisions a fixture speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Speaks {
    /// All there are.
    #[default]
    All,
    /// Only those with `initialize`.
    Legacy,
    /// Only those without: it refuses `initialize`, and over HTTP has no sessions.
    Modern,
}

/// One session of the fixture; for 2026-07-28, one request.
pub struct Fixture {
    shared: Arc<Shared>,
    speaks: Speaks,
    watched: Arc<Mutex<BTreeSet<String>>>,
    level: Mutex<LoggingLevel>,
    ended: CancellationToken,
    _ends: DropGuard,
}

type Context = RequestContext<RoleServer>;

// === impl Speaks ===

impl Speaks {
    fn revisions(self) -> &'static [ProtocolVersion] {
        match self {
            Self::All => ProtocolVersion::KNOWN_VERSIONS,
            Self::Legacy => ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25),
            Self::Modern => &[ProtocolVersion::V_2026_07_28],
        }
    }

    /// What `initialize` is answered with where the client's own revision is not spoken; the SDK
    /// refuses the handshake when that revision has none.
    fn preferred(self) -> &'static str {
        if self == Self::Modern { "2026-07-28" } else { "2025-11-25" }
    }
}

// === impl Fixture ===

impl Fixture {
    /// A fresh session over what all sessions of the process share.
    #[must_use]
    pub fn new(shared: Arc<Shared>, speaks: Speaks) -> Self {
        let ended = CancellationToken::new();
        Self {
            shared,
            speaks,
            watched: Arc::default(),
            level: Mutex::new(LoggingLevel::Debug),
            _ends: ended.clone().drop_guard(),
            ended,
        }
    }
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        wire(json!({
            "protocolVersion": self.speaks.preferred(),
            "capabilities": {
                "tools": {"listChanged": true},
                "prompts": {"listChanged": true},
                "resources": {"listChanged": true, "subscribe": true},
                "logging": {},
                "completions": {},
                "extensions": {"io.modelcontextprotocol/tasks": {}},
            },
            "serverInfo": {
                "name": "mainstay-fixture",
                "title": "Conformance fixture",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "instructions": "Every tool, prompt and resource exists for one scenario of the suite.",
        }))
        .expect("the literal above is a valid initialize result")
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(self.speaks.revisions())
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let (shared, watched) = (self.shared.clone(), self.watched.clone());
        let ended = self.ended.clone();
        tokio::spawn(async move {
            ended.run_until_cancelled(shared.forward(&watched, &context.peer)).await;
        });
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all().to_vec()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::all().iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        tools::call(self, request, context).await
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        prompts::list()
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(request, &context)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: Context,
    ) -> Result<CompleteResult, ErrorData> {
        prompts::complete(&request)
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        resources::list()
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        resources::templates()
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&self.shared, &request.uri)
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: Context,
    ) -> Result<(), ErrorData> {
        self.watched.lock().insert(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: Context,
    ) -> Result<(), ErrorData> {
        self.watched.lock().remove(&request.uri);
        Ok(())
    }

    async fn set_level(&self, request: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        *self.level.lock() = request.level;
        Ok(())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: Context,
    ) -> Result<GetTaskResult, ErrorData> {
        self.shared.tasks.get_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(&self, request: UpdateTaskParams, _: Context) -> Result<(), ErrorData> {
        self.shared.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: Context) -> Result<(), ErrorData> {
        self.shared.tasks.cancel_task(&request.task_id)
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.shared.listen(&context).await;
        Ok(())
    }
}

/// Whether this request follows 2026-07-28: no handshake, no requests from the server.
fn is_modern(context: &Context) -> bool {
    context.protocol_version().is_some_and(|version| !version.has_initialize())
}

/// A typed message from the JSON the suite's pages show.
fn wire<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(format!("bad fixture data: {error}"), None))
}

/// A typed result: what [`wire`] does, marked as complete. The SDK takes the mark away again
/// for clients of revisions that do not know it.
fn result<T: DeserializeOwned>(mut value: Value) -> Result<T, ErrorData> {
    value["resultType"] = json!("complete");
    wire(value)
}

/// A tool result with one text block.
fn text(text: impl Into<String>) -> Result<CallToolResponse, ErrorData> {
    content::finished(json!({"content": [{"type": "text", "text": text.into()}]}))
}
