//! Commands' access to the daemon of the state folder.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use mainstay_admin::api::commands::MissingServer;
use mainstay_admin::api::status::DaemonStatus;
use mainstay_admin::client::CallError;
use mainstay_admin::{Client, ClientError, Conversation};
use mainstay_protocol::list::ListKind;
use mainstay_protocol::list::fit::{Fit, Misfit};
use mainstay_protocol::{Era, Revision};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::running;
use crate::cli::Shared;
use crate::exit::{Exit, Failure};
use crate::output::Waiting;

/// Deadline for questions about the daemon itself, which it answers from memory.
const QUESTION: Duration = Duration::from_secs(10);
/// Deadline for each request before a call: handshake and lists. The gateway waits for a server that is
/// loading for 10 s, and for its answer for 30 s, before it says what is wrong.
const OPENING: Duration = Duration::from_secs(45);
/// What a call may take beyond the daemon's own limit: the wait for a server that starts, and a busy machine.
/// More means a lost connection.
const CALL_MARGIN: Duration = Duration::from_secs(30);
/// The daemon's limit for a call, if it doesn't say what it is.
const CALL_MAX_DEFAULT: Duration = Duration::from_secs(300);
/// How often a command that waits for a server asks what the server does, to show it.
const LOOK: Duration = Duration::from_secs(1);
/// Deadline for that question.
const LOOK_WITHIN: Duration = Duration::from_secs(1);
/// Most pages of one list.
const PAGES_MAX: usize = 2_000;

/// A tool as its server lists it.
#[derive(Debug, Clone)]
pub(super) struct Tool {
    /// The tool as the server sent it, byte for byte.
    pub(super) raw: Box<RawValue>,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) schema: serde_json::Value,
    /// The structure of its results, as far as it promises one.
    pub(super) result: serde_json::Value,
    /// What it says of its effects.
    pub(super) annotations: serde_json::Value,
}

/// The tools of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) tools: Vec<Tool>,
    /// Servers whose tools are not available.
    pub(super) missing: Vec<MissingServer>,
    /// Servers whose tools clients of some revisions don't see.
    pub(super) partly: Vec<MissingServer>,
    /// Why the list ends before its end.
    pub(super) cut: Option<String>,
}

#[derive(Deserialize)]
struct ToolPage {
    tools: Vec<Box<RawValue>>,
    #[serde(rename = "nextCursor")]
    next: Option<String>,
    #[serde(default, rename = "_meta")]
    meta: Option<PageMeta>,
}

#[derive(Default, Deserialize)]
struct PageMeta {
    #[serde(default, rename = "mainstay/missing")]
    missing: Vec<MissingServer>,
}

// === impl Tool ===

impl Tool {
    /// Reads a tool. What has another shape than it should counts as empty: one tool must not hide the
    /// others.
    pub(super) fn new(raw: Box<RawValue>) -> Self {
        let mut value: serde_json::Value = serde_json::from_str(raw.get()).unwrap_or_default();
        let text = |member: &str| value[member].as_str().unwrap_or_default().to_owned();
        let (name, title, description) = (text("name"), text("title"), text("description"));
        let mut part =
            |member: &str| value.get_mut(member).map(serde_json::Value::take).unwrap_or_default();
        let (schema, result) = (part("inputSchema"), part("outputSchema"));
        let annotations = part("annotations");
        Self { raw, name, title, description, schema, result, annotations }
    }

    /// What clients refuse about the tool, and the whole list for it.
    pub(super) fn misfit(&self) -> Option<Misfit> {
        let of = |era| match Fit::of(ListKind::Tools, era, self.raw.get()) {
            Fit::Unfit(misfit) => Some(misfit),
            Fit::Fits | Fit::Mended(_) => None,
        };
        of(Era::Modern).and_then(|_| of(Era::Legacy))
    }
}

// === impl Merged ===

impl Merged {
    /// Adds the tools that clients of the other era see. A server may show itself to both.
    fn add(&mut self, other: Self) {
        let whole = |of: &MissingServer| of.list.is_none();
        let names = |all: &[MissingServer]| {
            all.iter().filter(|of| whole(of)).map(|of| of.server.clone()).collect::<Vec<_>>()
        };
        let (ours, theirs) = (names(&self.missing), names(&other.missing));
        let only_here = |of: &mut MissingServer| whole(of) && !theirs.contains(&of.server);
        self.partly.extend(self.missing.extract_if(.., only_here));
        let (servers, items): (Vec<_>, Vec<_>) = other.missing.into_iter().partition(whole);
        self.partly.extend(servers.into_iter().filter(|of| !ours.contains(&of.server)));
        for of in items {
            if self.missing.iter().all(|known| (&known.server, &known.why) != (&of.server, &of.why))
            {
                self.missing.push(of);
            }
        }
        self.cut = self.cut.take().or(other.cut);
        for tool in other.tools {
            if self.tools.iter().all(|known| known.name != tool.name) {
                self.tools.push(tool);
            }
        }
    }
}

/// Runs a command's future to its end on this thread.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::of(Exit::Failed, &error))?.block_on(future)
}

/// A client for the daemon of the state folder.
pub(super) fn client(shared: &Shared) -> Result<Client, Failure> {
    let state = mainstay_config::state_dir(shared.state.as_deref())?;
    Ok(client_of(&state.path))
}

/// A client for the daemon of this state folder.
pub(super) fn client_of(state_dir: &Path) -> Client {
    Client::new(state_dir, QUESTION)
}

pub(super) async fn status(client: &Client) -> Result<DaemonStatus, Failure> {
    Ok(client.status().await?)
}

/// How long a call is waited for: as long as the daemon lets calls take.
pub(super) async fn call_deadline(client: &Client) -> Result<Duration, Failure> {
    Ok(deadline_of(status(client).await?.call_timeout_max_ms))
}

/// The deadline for a call of a daemon with this limit. 0: it doesn't say what that is.
fn deadline_of(call_timeout_max_ms: u64) -> Duration {
    let max = match call_timeout_max_ms {
        0 => CALL_MAX_DEFAULT,
        millis => Duration::from_millis(millis),
    };
    max.saturating_add(CALL_MARGIN)
}

/// The tools at `/mcp` under their published names, and the servers that are missing.
pub(super) async fn merged_tools(client: &Client) -> Result<Merged, Failure> {
    let status = status(client).await?;
    let client = client.with_deadline(OPENING);
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

/// Whether only clients of 2026-07-28 see some of the servers.
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

/// Opens a conversation with a server or group. An unknown name is refused with the nearest known
/// one.
pub(super) async fn converse(client: &Client, name: &str) -> Result<Conversation, Failure> {
    // A name that can't stand in an address belongs to no server.
    if mainstay_model::Name::try_new(name).is_err() {
        return Err(no_such_server(client, name).await);
    }
    // A daemon that hangs is found here, before the longer waits for a server.
    client.get("/health/live").await?;
    let client = client.with_deadline(OPENING);
    let version = env!("CARGO_PKG_VERSION");
    match Conversation::open(&client, &format!("/mcp/{name}"), version).await {
        Ok(conversation) => Ok(conversation),
        Err(CallError::Client(ClientError::Status { status, .. })) if status.as_u16() == 404 => {
            Err(no_such_server(&client, name).await)
        }
        Err(error) => Err(error.into()),
    }
}

/// Waits for what a server or group has to answer, and shows what it does meanwhile.
pub(super) async fn waiting<T>(
    client: &Client,
    name: &str,
    waiting: &Waiting,
    answer: impl Future<Output = T>,
) -> T {
    if !waiting.is_on() {
        return answer.await;
    }
    waiting
        .during(async {
            tokio::select! {
                answer = answer => answer,
                never = watch(client, name, waiting) => match never {},
            }
        })
        .await
}

/// Shows the state of a server while it is not ready.
async fn watch(client: &Client, name: &str, waiting: &Waiting) -> Infallible {
    let client = client.with_deadline(LOOK_WITHIN);
    loop {
        tokio::time::sleep(LOOK).await;
        let Ok(status) = client.status().await else { continue };
        let server = status.servers.iter().find(|server| server.name.as_str() == name);
        match server.filter(|server| !server.state.serves()) {
            Some(server) => waiting.say(format!("{name} is {}", server.state.as_str())),
            None => waiting.say(format!("waiting for {name}")),
        }
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
    unknown(failure, name, &names, &status)
}

/// Adds hints to a failure about a name that the daemon does not know: the nearest name, or all names; and whether
/// the configuration file has changed since the daemon read it.
pub(super) fn unknown(
    failure: Failure,
    word: &str,
    names: &[String],
    status: &DaemonStatus,
) -> Failure {
    let failure = with_nearest(failure, word, names);
    match running::newer_file(status) {
        Some(file) => {
            failure.hint(format!("{file} has changed since the daemon read it: `mainstay reload`"))
        }
        None => failure,
    }
}

/// As [`unknown`], where the status has not been asked for.
pub(super) async fn unknown_at(
    client: &Client,
    failure: Failure,
    word: &str,
    names: &[String],
) -> Failure {
    match client.status().await {
        Ok(status) => unknown(failure, word, names, &status),
        Err(_) => with_nearest(failure, word, names),
    }
}

/// The tool of this name. `owner` is the server or group that was asked.
pub(super) fn find<'a>(tools: &'a [Tool], owner: &str, name: &str) -> Result<&'a Tool, Failure> {
    tools.iter().find(|tool| tool.name == name).ok_or_else(|| {
        let failure = Failure::new(Exit::Failed, format!("{owner} has no tool {name:?}"));
        let names: Vec<_> = tools.iter().map(|tool| tool.name.clone()).collect();
        with_nearest(failure, name, &names)
    })
}

/// Adds a hint to a failure: the nearest name, or all names.
pub(super) fn with_nearest(failure: Failure, word: &str, names: &[String]) -> Failure {
    /// Most names shown in a hint.
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

/// All tools of a conversation's endpoint, page by page. The list ends where its pages begin to repeat,
/// and after 2,000 pages, and says so.
pub(super) async fn list(conversation: &mut Conversation) -> Result<Merged, Failure> {
    let mut merged = Merged::default();
    let mut cursor: Option<String> = None;
    let mut seen = HashSet::new();
    for pages in 1.. {
        let params = cursor.map(|cursor| json!({ "cursor": cursor }).to_string());
        let page = conversation.request("tools/list", params.as_deref(), &mut |_| {}).await?;
        let page: ToolPage = read(&page)?;
        merged.missing = page.meta.unwrap_or_default().missing;
        for raw in page.tools {
            merged.tools.push(Tool::new(raw));
        }
        let Some(next) = page.next else { break };
        if !seen.insert(next.clone()) {
            let mut named = HashSet::new();
            merged.tools.retain(|tool| named.insert(tool.name.clone()));
            merged.cut = Some("its pages began to repeat".to_owned());
            break;
        }
        if pages == PAGES_MAX {
            merged.cut = Some(format!("it has more than {PAGES_MAX} pages"));
            break;
        }
        cursor = Some(next);
    }
    Ok(merged)
}

/// Deserializes a server's answer.
pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(json).map_err(|error| {
        Failure::new(Exit::Failed, format!("the server's answer is invalid: {error}"))
    })
}

#[cfg(test)]
mod tests;
