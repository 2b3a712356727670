//! Answers `server/discover` from what the servers of 2026-07-28 declared in their handshakes.

use std::time::Instant;

use bytes::Bytes;
use mainstay_model::{Refusal, RefusalCode};
use mainstay_protocol::build::string;
use mainstay_protocol::capabilities::ServerCapabilities;
use mainstay_protocol::discover::Discovered;
use mainstay_protocol::edit::{Edit, splice};
use mainstay_protocol::revision::Era;

use crate::endpoint::Endpoint;
use crate::endpoint::lists;
use crate::serving::Serving;

/// Returns the result as JSON.
pub(crate) async fn result(serving: &Serving, endpoint: &Endpoint) -> Result<Bytes, Refusal> {
    if endpoint.single { single(endpoint) } else { Ok(merged(serving, endpoint).await) }
}

/// Returns the handshake result of one server, with the revisions that the gateway serves.
fn single(endpoint: &Endpoint) -> Result<Bytes, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Internal, "the server's handshake is not valid");
    let facts = endpoint.servers[0].pool.facts(Era::Modern).ok_or_else(unreadable)?;
    let text = String::from_utf8_lossy(&facts.greeting);
    let said = Discovered::parse(&text).map_err(|_| unreadable())?;
    let versions = format!(r#"["{}"]"#, facts.revision);
    Ok(splice(&facts.greeting, &mut [Edit::new(said.supported_versions.span, versions.as_bytes())]))
}

/// Returns the union of what several servers declare. Lists always count as changeable, since a
/// server can start late.
async fn merged(serving: &Serving, endpoint: &Endpoint) -> Bytes {
    let era = Era::Modern;
    endpoint.wait_for_lists(era, Instant::now() + serving.settings().limits.list).await;
    let mut capabilities = ServerCapabilities {
        tools: true,
        tools_list_changed: true,
        resources: true,
        resources_list_changed: true,
        prompts: true,
        prompts_list_changed: true,
        ..ServerCapabilities::default()
    };
    let mut instructions = String::new();
    let mut revision = None;
    for pool in endpoint.pools() {
        let Some(facts) = pool.facts(era) else { continue };
        revision = revision.max(Some(facts.revision));
        capabilities = capabilities.union(facts.capabilities);
        let text = String::from_utf8_lossy(&facts.greeting);
        let said = Discovered::parse(&text).ok().and_then(|said| said.instructions);
        if let Some(said) = said.and_then(|said| said.text().map(std::borrow::Cow::into_owned)) {
            instructions.push_str(&format!("# {}\n{said}\n\n", pool.name));
        }
    }
    let instructions = match instructions.trim_end() {
        "" => String::new(),
        text => format!(r#","instructions":{}"#, string(text)),
    };
    let revision = revision.unwrap_or(mainstay_protocol::Revision::LATEST);
    format!(
        r#"{{"resultType":"complete","supportedVersions":["{revision}"],"capabilities":{}{instructions},"ttlMs":0,"cacheScope":"private","_meta":{{{}}}}}"#,
        capabilities.to_json(),
        lists::server_info(),
    )
    .into()
}
