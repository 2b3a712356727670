//! The entries of a client that Mainstay serves, too: with both, the client starts these servers itself.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mainstay_config::export::{Client, ClientServer};
use mainstay_config::import::{ImportFile, PlanRequest, configured, parse, plan};
use mainstay_model::status::InstanceState;
use serde::Serialize;

use super::super::client_files::read;
use super::super::running::running;
use super::super::{daemon, import};
use super::address::Served;
use crate::cli::{ExportArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// How long `--replace` waits for servers that are being started.
const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);

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
    /// Whether this may change in a moment.
    #[serde(skip)]
    is_starting: bool,
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
            Some(Unusable { reason, is_starting }) => {
                beside.kept.push(Kept { name: server.shown(), reason, is_starting });
            }
        }
    }
    Some(beside)
}

/// Waits for servers that are being started and that the client has, too: whether an entry is removed depends
/// on them.
pub(super) fn wait_for_starts(
    client: &Client,
    file: &Path,
    served: &mut Served,
    shared: &Shared,
    args: &ExportArgs,
    out: &Output,
) -> Result<(), Failure> {
    let Some(text) = read(file)? else { return Ok(()) };
    let begun = Instant::now();
    let waiting = out.waiting("waiting for servers that are being started");
    let endpoint = args.endpoint.as_deref();
    while begun.elapsed() < STARTS_WITHIN
        && beside(client, file, &text, shared, served, endpoint).waits_for_start()
    {
        daemon::block_on(async {
            waiting.during(tokio::time::sleep(LOOK)).await;
            Ok::<_, Failure>(())
        })?;
        let Some(status) = running(shared) else { break };
        served.status = Some(status);
    }
    Ok(())
}

/// Only a running daemon can say which of the servers work.
pub(super) fn no_daemon(
    client: &Client,
    file: &Path,
    servers: &[ClientServer],
    again: &str,
) -> Failure {
    let names: Vec<_> = servers.iter().map(ClientServer::shown).collect();
    let message = format!(
        "{} was not changed: no daemon is running, so {} would be left without {}",
        file.display(),
        client.title,
        names.join(", ")
    );
    Failure::new(Exit::NoDaemon, message)
        .hint(format!("start it with `mainstay up`, and then: {}", again))
        .hint("`--write` alone keeps the client's own servers")
}

/// Why a server of the configuration can't be used through the running daemon now.
struct Unusable {
    reason: String,
    is_starting: bool,
}

fn unusable(served: &Served, name: &str) -> Option<Unusable> {
    let status = served.status.as_ref()?;
    let Some(server) = status.servers.iter().find(|server| server.name.as_str() == name) else {
        let reason = "the running daemon does not serve it yet: `mainstay reload`".to_owned();
        return Some(Unusable { reason, is_starting: false });
    };
    let is_starting = matches!(server.state, InstanceState::Starting | InstanceState::Handshaking);
    let why = server.reason.as_deref().and_then(|reason| reason.lines().next());
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let reason = match server.state {
        InstanceState::Ready
        | InstanceState::Degraded
        | InstanceState::Idle
        | InstanceState::Draining => return None,
        _ if is_starting => {
            "it is still starting in the daemon; export again when it is ready".to_owned()
        }
        state => format!("it is {} in the daemon{why}", state.as_str()),
    };
    Some(Unusable { reason, is_starting })
}

// === impl Beside ===

impl Beside {
    /// Whether a server that is just being started decides about an entry.
    pub(super) fn waits_for_start(&self) -> bool {
        self.kept.iter().any(|kept| kept.is_starting)
    }
}
