//! The way from a command to the daemon of its state folder.

use std::future::Future;
use std::time::Duration;

use mainstay_admin::client::CallError;
use mainstay_admin::{Client, ClientError, Conversation};
use mainstay_model::status::DaemonStatus;
use mainstay_protocol::{Era, Revision};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::cli::Shared;
use crate::exit::{Exit, Failure};

/// A daemon answers questions about itself from memory.
const QUESTION: Duration = Duration::from_secs(10);
/// The gateway ends a call after 300 s at the latest; what is longer is a lost connection.
const CALL: Duration = Duration::from_secs(310);
/// Pages of one list: with the shortest pages in use more tools than any server has.
const PAGES_MAX: usize = 100;

/// A tool as its server lists it.
#[derive(Debug, Clone)]
pub(super) struct Tool {
    /// Byte for byte.
    pub(super) raw: Box<RawValue>,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) schema: serde_json::Value,
}

/// The tools of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) tools: Vec<Tool>,
    /// Servers whose tools are not there.
    pub(super) missing: Vec<Missing>,
    /// Servers whose tools are there, and that clients of some revisions don't see.
    pub(super) partly: Vec<Missing>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Missing {
    pub(super) server: String,
    pub(super) state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
}

#[derive(Deserialize)]
struct ToolPage {
    tools: Vec<Box<RawValue>>,
    #[serde(rename = "nextCursor")]
    next: Option<String>,
    #[serde(default, rename = "_meta")]
    meta: PageMeta,
}

#[derive(Default, Deserialize)]
struct PageMeta {
    #[serde(default, rename = "mainstay/missing")]
    missing: Vec<Missing>,
}

#[derive(Deserialize)]
struct ToolFields {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default, rename = "inputSchema")]
    schema: serde_json::Value,
}

// === impl Merged ===

impl Merged {
    /// Adds what clients of the other era see: a server may show itself to both.
    fn add(&mut self, other: Self) {
        let names = |all: &[Missing]| all.iter().map(|of| of.server.clone()).collect::<Vec<_>>();
        let (ours, theirs) = (names(&self.missing), names(&other.missing));
        self.partly.extend(self.missing.extract_if(.., |of| !theirs.contains(&of.server)));
        self.partly.extend(other.missing.into_iter().filter(|of| !ours.contains(&of.server)));
        for tool in other.tools {
            if self.tools.iter().all(|known| known.name != tool.name) {
                self.tools.push(tool);
            }
        }
    }
}

/// Runs a command's future to its end, on this thread.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::of(Exit::Failed, &error))?.block_on(future)
}

/// A client for the daemon of the state folder.
pub(super) fn client(shared: &Shared) -> Result<Client, Failure> {
    let state = mainstay_config::state_dir(shared.state.as_deref())?;
    Ok(Client::new(&state.path, QUESTION))
}

pub(super) async fn status(client: &Client) -> Result<DaemonStatus, Failure> {
    Ok(client.get_json("/api/status").await?)
}

/// The tools at `/mcp` under their published names, and who is missing among the servers.
pub(super) async fn merged_tools(client: &Client) -> Result<Merged, Failure> {
    let status = status(client).await?;
    let client = client.with_deadline(CALL);
    let (path, version) = ("/mcp", env!("CARGO_PKG_VERSION"));
    let conversation = Conversation::open(&client, path, version).await?;
    let era = conversation.era();
    let mut merged = list_and_close(conversation).await?;
    if era == Era::Legacy && has_modern(&status) {
        let modern = Conversation::open_as(Era::Modern, &client, path, version).await?;
        merged.add(list_and_close(modern).await?);
    }
    Ok(merged)
}

/// Whether there are servers that only clients of 2026-07-28 see.
fn has_modern(status: &DaemonStatus) -> bool {
    let revisions = status.servers.iter().filter_map(|server| server.revision.as_deref());
    let mut revisions = revisions.filter_map(Revision::parse);
    revisions.any(|revision| revision.era() == Era::Modern)
}

async fn list_and_close(mut conversation: Conversation) -> Result<Merged, Failure> {
    let listed = list(&mut conversation).await;
    conversation.close().await;
    listed
}

/// A conversation with a server or group. A name that is wrong is answered with the nearest.
pub(super) async fn converse(client: &Client, name: &str) -> Result<Conversation, Failure> {
    // Such a name could not stand in an address, and no server has it.
    if mainstay_model::Name::try_new(name).is_err() {
        return Err(no_such_server(client, name).await);
    }
    let client = client.with_deadline(CALL);
    let version = env!("CARGO_PKG_VERSION");
    match Conversation::open(&client, &format!("/mcp/{name}"), version).await {
        Ok(conversation) => Ok(conversation),
        Err(CallError::Client(ClientError::Status { status, .. })) if status.as_u16() == 404 => {
            Err(no_such_server(&client, name).await)
        }
        Err(error) => Err(error.into()),
    }
}

async fn no_such_server(client: &Client, name: &str) -> Failure {
    let failure = Failure::new(Exit::Failed, format!("there is no server or group {name:?}"));
    let Ok(status) = status(client).await else { return failure };
    let servers = status.servers.iter().map(|server| server.name.as_str().to_owned());
    let groups = status
        .endpoints
        .iter()
        .filter_map(|endpoint| endpoint.path.strip_prefix("/mcp/").map(str::to_owned));
    let mut names: Vec<_> = servers.chain(groups).collect();
    names.sort();
    names.dedup();
    with_nearest(failure, name, &names)
}

/// Adds what was probably meant, or all there is.
pub(super) fn with_nearest(failure: Failure, word: &str, names: &[String]) -> Failure {
    /// More names than these are no help.
    const SHOWN_MAX: usize = 30;
    let details = json!({ "names": names });
    let failure = failure.details(details);
    let known = names.iter().map(String::as_str);
    match mainstay_config::nearest::nearest(word, known) {
        Some(near) => failure.hint(format!("did you mean {near:?}?")),
        None if names.is_empty() => failure.hint("there are none"),
        None if names.len() > SHOWN_MAX => {
            let first = names[..SHOWN_MAX].join(", ");
            failure.hint(format!("there are {first} and {} more", names.len() - SHOWN_MAX))
        }
        None => failure.hint(format!("there are {}", names.join(", "))),
    }
}

/// All tools of a conversation's endpoint, page by page.
pub(super) async fn list_tools(conversation: &mut Conversation) -> Result<Vec<Tool>, Failure> {
    Ok(list(conversation).await?.tools)
}

async fn list(conversation: &mut Conversation) -> Result<Merged, Failure> {
    let mut merged = Merged::default();
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let params = cursor.map(|cursor: String| json!({ "cursor": cursor }).to_string());
        let page = conversation.request("tools/list", params.as_deref(), &mut |_| {}).await?;
        let page: ToolPage = read(&page)?;
        merged.missing = page.meta.missing;
        for raw in page.tools {
            let ToolFields { name, description, schema } = read(raw.get().as_bytes())?;
            merged.tools.push(Tool { raw, name, description, schema });
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(merged)
}

/// Reads what a server answered.
pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(json).map_err(|error| {
        Failure::new(Exit::Failed, format!("the server's answer is not as it should be: {error}"))
    })
}
