//! Answers `initialize` from what the servers declared in their own handshakes.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use mainstay_model::{Refusal, RefusalCode};
use mainstay_pool::{EraSupport, LOADING_WAIT_MAX, Placement};
use mainstay_protocol::capabilities::{ClientCapabilities, ServerCapabilities};
use mainstay_protocol::edit::{Edit, splice};
use mainstay_protocol::initialize::{InitializeParams, InitializeResult, initialize_result};
use mainstay_protocol::{Era, Message, Revision};
use mainstay_session::Claims;
use mainstay_upstream::SessionNo;

use super::Sessions;
use crate::caller::Caller;
use crate::endpoint::{Endpoint, per_client_lists};
use crate::session::Session;
use crate::session::table::Room;

/// Why `initialize` fails.
pub(crate) enum OpenError {
    /// No server at the endpoint supports a legacy revision. Holds the revision that was asked for.
    NoLegacyServer(String),
    /// The parameters are invalid: the message of the JSON-RPC error.
    Invalid(String),
    Refused(Refusal),
}

/// Opens a session. Returns the session and the result of `initialize`.
pub(crate) async fn open(
    sessions: &Sessions,
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    message: &Message,
) -> Result<(Arc<Session>, Bytes), OpenError> {
    let begun = Instant::now();
    let params = InitializeParams::parse(message.body().unwrap_or("null"))
        .map_err(|error| OpenError::Invalid(format!("`params` of initialize: {error}")))?;
    let revision = params.revision();
    let capabilities = params.client_capabilities().within(revision.rules());
    if let EraSupport::No =
        endpoint.era_support(Era::Legacy, sessions.serving.settings().limits.list).await
    {
        let requested = params.protocol_version.text().unwrap_or_default();
        return Err(OpenError::NoLegacyServer(requested.into_owned()));
    }
    let result = if endpoint.single {
        single_server_result(endpoint, revision, begun + LOADING_WAIT_MAX)
            .await
            .map_err(OpenError::Refused)?
    } else {
        merged_result(sessions, endpoint, revision).await
    };
    let session = new_session(sessions, endpoint, caller, revision, capabilities)
        .map_err(OpenError::Refused)?;
    per_client_lists::start_detection(endpoint, &session);
    Ok((session, result))
}

fn new_session(
    sessions: &Sessions,
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    revision: Revision,
    capabilities: ClientCapabilities,
) -> Result<Arc<Session>, Refusal> {
    let principal = caller.principal.clone();
    let internal =
        || Refusal::new(RefusalCode::Internal, "the system gave no random bytes for a session id");
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce).map_err(|_| internal())?;
    let claims = Claims {
        principal: principal.as_str().to_owned(),
        revision: revision.as_str().to_owned(),
        capabilities: capabilities.to_json(),
        endpoint: endpoint.name.clone(),
        opened_at: sessions.serving.clock.unix_seconds(),
        serial: sessions.store.next(),
    };
    let token = sessions.key.seal(&claims, nonce).ok_or_else(internal)?;
    let owner = sessions.serving.next_session_no();
    let mut session = Session::new(owner, token, principal, revision, capabilities, endpoint.id);
    session.store_as(claims.serial, claims.opened_at);
    session.set_seen_changes(endpoint.state.audience.changes().all_seen());
    let session = Arc::new(session);
    let room = if caller.operator { Room::Operator } else { Room::Clients };
    sessions.table.insert(session.clone(), room)?;
    Ok(session)
}

/// Returns the handshake result of one server, with the revision negotiated here.
async fn single_server_result(
    endpoint: &Endpoint,
    revision: Revision,
    deadline: Instant,
) -> Result<Bytes, Refusal> {
    let pool = &endpoint.servers[0].pool;
    let facts = match pool.facts(Era::Legacy) {
        Some(facts) => facts,
        None => {
            let base = Placement::base(Era::Legacy, SessionNo(0));
            pool.acquire(&base, deadline).await?.facts()
        }
    };
    let text = String::from_utf8_lossy(&facts.greeting);
    let Ok(said) = InitializeResult::parse(&text) else {
        return Err(Refusal::new(RefusalCode::Internal, "the server's handshake is not valid"));
    };
    let version = format!("\"{revision}\"");
    let mut edits = [Edit::new(said.protocol_version.span, version.as_bytes())];
    Ok(splice(&facts.greeting, &mut edits))
}

/// Returns the union of what several servers declare. Lists always count as changeable, since a
/// server can start late.
async fn merged_result(sessions: &Sessions, endpoint: &Endpoint, revision: Revision) -> Bytes {
    endpoint
        .wait_for_lists(Era::Legacy, Instant::now() + sessions.serving.settings().limits.list)
        .await;
    let late = ServerCapabilities {
        tools: true,
        tools_list_changed: true,
        resources: true,
        resources_list_changed: true,
        prompts: true,
        prompts_list_changed: true,
        ..ServerCapabilities::default()
    };
    let mut capabilities = late;
    let mut instructions = String::new();
    for pool in endpoint.pools() {
        let Some(facts) = pool.facts(Era::Legacy) else { continue };
        capabilities = capabilities.union(facts.capabilities);
        let text = String::from_utf8_lossy(&facts.greeting);
        let said = InitializeResult::parse(&text).ok().and_then(|said| said.instructions);
        if let Some(said) = said.and_then(|said| said.text().map(std::borrow::Cow::into_owned)) {
            instructions.push_str(&format!("# {}\n{said}\n\n", pool.name));
        }
    }
    let instructions = Some(instructions.trim_end()).filter(|text| !text.is_empty());
    let version = env!("CARGO_PKG_VERSION");
    initialize_result(revision, &capabilities.to_json(), "mainstay", version, instructions).into()
}
