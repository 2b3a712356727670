//! Asks servers at `/mcp/NAME`, as clients do.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use mainstay_admin::client::CallError;
use mainstay_admin::{Client, ClientError, Conversation};
use mainstay_model::Name;
use mainstay_model::settings::CallCheck;
use mainstay_protocol::{Method, build};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::judge::ToolAnswer;
use super::verdict::Verdict;

/// Asks on behalf of one check.
pub(super) struct Asking<'a> {
    pub(super) client: &'a Client,
    /// When the check must have ended.
    pub(super) deadline: Instant,
}

/// Why there is no answer that could be judged.
#[derive(Debug)]
pub(super) struct AskFailure(CallError);

/// A page of the tools, as far as their names go.
#[derive(Deserialize)]
struct Page {
    tools: Vec<Named>,
    #[serde(rename = "nextCursor")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

/// Most pages of one list.
const PAGES_MAX: usize = 2_000;
/// Codes of Mainstay's own refusals: nothing has reached the server, or its answer is lost.
const REFUSALS: std::ops::RangeInclusive<i64> = 1001..=1013;
/// The refusal of arguments that break a limit, which says something about the call.
const LIMIT_EXCEEDED: i64 = 1011;
const NO_SUCH_METHOD: i64 = -32601;

// === impl Asking ===

impl Asking<'_> {
    /// Calls a tool.
    ///
    /// # Errors
    /// When neither a result nor an error of the tool came in time.
    pub(super) async fn call(&self, check: &CallCheck) -> Result<ToolAnswer, AskFailure> {
        let params =
            format!(r#"{{"name":{},"arguments":{}}}"#, build::string(&check.tool), check.args);
        let mut conversation = self.open(&check.server).await?;
        conversation.set_deadline(self.left());
        let answer =
            conversation.request(Method::ToolsCall.as_str(), Some(&params), &mut |_| {}).await;
        conversation.close().await;
        match answer {
            Ok(result) => Ok(ToolAnswer::Result(result.to_vec())),
            Err(CallError::Refused { code, message, .. })
                if !REFUSALS.contains(&code) || code == LIMIT_EXCEEDED =>
            {
                Ok(ToolAnswer::Error(message))
            }
            Err(error) => Err(AskFailure(error)),
        }
    }

    /// The names of a server's tools.
    ///
    /// # Errors
    /// When the whole list did not come in time.
    pub(super) async fn tools(&self, server: &Name) -> Result<BTreeSet<String>, AskFailure> {
        let mut conversation = self.open(server).await?;
        let listed = self.list(&mut conversation).await;
        conversation.close().await;
        listed.map_err(AskFailure)
    }

    async fn open(&self, server: &Name) -> Result<Conversation, AskFailure> {
        let left = self.left();
        let client = self.client.with_deadline(left);
        let (path, version) = (format!("/mcp/{server}"), env!("CARGO_PKG_VERSION"));
        // A handshake is several requests, each with the deadline of the client.
        let opened = timeout(left, Conversation::open(&client, &path, version)).await;
        let opened = opened.unwrap_or_else(|_| Err(ClientError::Deadline(left).into()));
        opened.map_err(AskFailure)
    }

    async fn list(&self, conversation: &mut Conversation) -> Result<BTreeSet<String>, CallError> {
        let mut names = BTreeSet::new();
        let mut cursor: Option<String> = None;
        let mut seen = HashSet::new();
        for _ in 0..PAGES_MAX {
            conversation.set_deadline(self.left());
            let params = cursor.map(|cursor| json!({ "cursor": cursor }).to_string());
            let page = conversation
                .request(Method::ToolsList.as_str(), params.as_deref(), &mut |_| {})
                .await?;
            let page: Page = serde_json::from_slice(&page).map_err(ClientError::Unexpected)?;
            names.extend(page.tools.into_iter().map(|tool| tool.name));
            match page.next {
                // A list whose pages repeat has no end.
                Some(next) if seen.insert(next.clone()) => cursor = Some(next),
                _ => break,
            }
        }
        Ok(names)
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

// === impl AskFailure ===

impl AskFailure {
    /// Whether the server does not know what it was asked for.
    pub(super) fn is_no_such_method(&self) -> bool {
        matches!(self.0, CallError::Refused { code: NO_SUCH_METHOD, .. })
    }

    pub(super) fn verdict(&self, server: &Name) -> Verdict {
        let logs = || format!("`mainstay logs {server}` shows what it wrote");
        match &self.0 {
            CallError::Client(ClientError::Deadline(_)) => Verdict::late(),
            CallError::Refused { message, data, .. } => {
                let found = match data["code"].as_str() {
                    Some(name) => format!("{message} ({name})"),
                    None => message.clone(),
                };
                let hint = data["hint"].as_str().map_or_else(logs, str::to_owned);
                Verdict::failed(found).hint(hint)
            }
            error => {
                let causes = std::iter::successors(
                    Some(error as &(dyn std::error::Error + 'static)),
                    |error| error.source(),
                );
                let found: Vec<_> = causes.map(ToString::to_string).collect();
                Verdict::failed(found.join(": ")).hint(logs())
            }
        }
    }
}
