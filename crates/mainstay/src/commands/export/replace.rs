//! The entries of a client that Mainstay serves, too: with both, the client starts these servers itself.

use std::path::{Path, PathBuf};

use mainstay_config::export::{Client, ClientServer};
use mainstay_config::import::{ImportFile, PlanRequest, configured, parse, plan};
use mainstay_model::status::InstanceState;
use serde::Serialize;

use super::super::import;
use super::address::Served;
use crate::cli::Shared;

/// The entries of a client's file beside Mainstay's own.
#[derive(Default)]
pub(super) struct Beside {
    /// Those that Mainstay serves.
    pub(super) served: Vec<ClientServer>,
    /// Those that the configuration has, and that can't be used through Mainstay now.
    pub(super) kept: Vec<Kept>,
}

/// An entry that stays, and why.
#[derive(Serialize)]
pub(super) struct Kept {
    pub(super) name: String,
    pub(super) reason: String,
}

/// Compares the servers in a client's file with those that Mainstay serves at an endpoint. A file or a
/// configuration that can't be read has none in common.
pub(super) fn beside(
    client: &Client,
    file: &Path,
    text: &str,
    shared: &Shared,
    served: &Served,
    endpoint: Option<&str>,
) -> Beside {
    find(client, file, text, shared, served, endpoint).unwrap_or_default()
}

fn find(
    client: &Client,
    file: &Path,
    text: &str,
    shared: &Shared,
    served: &Served,
    endpoint: Option<&str>,
) -> Option<Beside> {
    let there = client.servers(file, text).ok()?;
    let full = std::path::absolute(file).ok()?;
    let parsed =
        parse(&ImportFile::new(file, &full, std::env::home_dir().as_deref(), text)).ok()?;
    let mut request = shared.request(None);
    let running = served.status.as_ref().and_then(|status| status.config_file.as_ref());
    request.config = running.map(PathBuf::from).or(request.config);
    let configured = configured(&request).ok()?;
    let config = (&*configured.path, configured.text.as_deref().unwrap_or_default());
    let home = import::secrets_there(&configured.path);
    let env = import::environment();
    let own: Vec<_> = served.url().map(str::to_owned).into_iter().collect();
    let request = PlanRequest { config: Some(config), home, own: &own, env: &env };
    let plan = plan(vec![parsed], &request).ok()?;
    let members = served.members(endpoint);
    let mut beside = Beside::default();
    for already in plan.already.into_iter().filter(|already| !already.is_repeated) {
        let is_member = members.as_ref().is_none_or(|members| members.contains(&already.name));
        let server = ClientServer { name: already.from, within: already.within };
        if !is_member || !there.contains(&server) {
            continue;
        }
        match unusable(served, &already.name) {
            None => beside.served.push(server),
            Some(reason) => beside.kept.push(Kept { name: server.shown(), reason }),
        }
    }
    Some(beside)
}

/// Why a server of the configuration can't be used through the running daemon.
fn unusable(served: &Served, name: &str) -> Option<String> {
    let status = served.status.as_ref()?;
    let Some(server) = status.servers.iter().find(|server| server.name.as_str() == name) else {
        return Some("the running daemon does not serve it yet; restart the daemon".to_owned());
    };
    let is_down = matches!(server.state, InstanceState::Failed | InstanceState::CrashLooping);
    is_down.then(|| {
        let reason = server.reason.as_deref().and_then(|reason| reason.lines().next());
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("it is {} in the daemon{reason}", server.state.as_str())
    })
}
