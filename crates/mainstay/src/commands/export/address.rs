//! The address that a client gets: that of the running daemon, or else the one in the configuration.

use mainstay_admin::api::status::DaemonStatus;
use mainstay_config::export::{Client, Target, TargetError, settings, url};
use mainstay_config::{Loaded, nearest};

use super::super::running::{self, running};
use crate::cli::{ExportArgs, Shared};
use crate::exit::{Exit, Failure};

/// What there is to connect to.
pub(super) struct Served {
    /// The running daemon.
    pub(super) status: Option<DaemonStatus>,
    loaded: Option<Loaded>,
    /// The address of all servers.
    url: Result<String, TargetError>,
    /// What the user should know about the address.
    pub(super) notes: Vec<String>,
}

// === impl Served ===

impl Served {
    /// Asks the daemon of the state folder, and compares its answer with the configuration.
    pub(super) fn find(shared: &Shared) -> Result<Self, Failure> {
        let status = running(shared);
        let loaded = settings(&shared.request(None));
        let (Some(status), loaded) = (status, loaded.as_ref().ok().cloned()) else {
            return Ok(Self::of_file(loaded?));
        };
        let written = loaded.as_ref().map(|loaded| url(&loaded.settings.gateway, None));
        let own = status.mcp_url.clone();
        let found = match (&own, &written) {
            (Some(own), _) => Ok(own.clone()),
            (None, Some(written)) => written.clone(),
            (None, None) => Err(TargetError::NoHttp),
        };
        let mut notes = Vec::new();
        match (&own, &written) {
            (Some(own), Some(Ok(written))) if own != written => notes.push(format!(
                "the running daemon is at {own}, and {} says {written}; the daemon's is used",
                source(loaded.as_ref())
            )),
            (Some(own), Some(Err(TargetError::NoFixedPort))) => notes.push(format!(
                "the running daemon is at {own}, and its port changes with each start: set \
                 `gateway.listen` in {}",
                source(loaded.as_ref())
            )),
            (Some(own), None) => notes.push(format!(
                "the configuration is invalid; the address is that of the running daemon, {own}"
            )),
            _ => {}
        }
        Ok(Self { status: Some(status), loaded, url: found, notes })
    }

    /// Without a daemon, the configuration says where one would be.
    fn of_file(loaded: Loaded) -> Self {
        let url = url(&loaded.settings.gateway, None);
        let note =
            format!("no daemon is running; the address is that of {}", source(Some(&loaded)));
        Self { status: None, loaded: Some(loaded), url, notes: vec![note] }
    }

    /// Checks the name of a server or group.
    pub(super) fn check_endpoint(&mut self, shared: &Shared, name: &str) -> Result<(), Failure> {
        let written = self.loaded.iter().flat_map(|loaded| {
            let servers = loaded.settings.servers.iter().map(|server| server.name.as_str());
            servers.chain(loaded.settings.endpoints.iter().map(|group| group.name.as_str()))
        });
        let written: Vec<_> = written.map(str::to_owned).collect();
        let known = match &self.status {
            Some(status) => {
                let paths = status.endpoints.iter().map(|endpoint| &*endpoint.path);
                paths.filter_map(|path| path.strip_prefix("/mcp/")).map(str::to_owned).collect()
            }
            None => written.clone(),
        };
        if known.iter().any(|known| known == name) {
            return Ok(());
        }
        if written.iter().any(|written| written == name) {
            self.notes.push(format!(
                "the running daemon does not serve `{name}` yet; reload it, and export again: {}",
                running::reload(shared)
            ));
            return Ok(());
        }
        let failure = Failure::new(Exit::Usage, format!("no server or group is called `{name}`"));
        Err(match nearest::nearest(name, known.iter().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => failure.hint("there are none"),
            None => failure.hint(format!("there are {}", known.join(", "))),
        })
    }

    /// The names of the servers at an endpoint. None: all.
    pub(super) fn members(&self, endpoint: Option<&str>) -> Option<Vec<String>> {
        let endpoint = endpoint?;
        let path = format!("/mcp/{endpoint}");
        let running = self.status.iter().flat_map(|status| &status.endpoints);
        if let Some(found) = running.into_iter().find(|one| one.path == path) {
            return Some(found.servers.iter().map(ToString::to_string).collect());
        }
        let mut groups = self.loaded.iter().flat_map(|loaded| &loaded.settings.endpoints);
        Some(match groups.find(|group| group.name.as_str() == endpoint) {
            Some(group) => group.servers.iter().map(ToString::to_string).collect(),
            None => vec![endpoint.to_owned()],
        })
    }

    /// The address of all servers, if there is one.
    pub(super) fn url(&self) -> Option<&str> {
        self.url.as_deref().ok()
    }

    /// What the client connects to: an address if it takes one and no command is wanted, else a command.
    pub(super) fn target(
        &self,
        client: &Client,
        shared: &Shared,
        args: &ExportArgs,
    ) -> Result<Target, Failure> {
        let endpoint = args.endpoint.as_deref();
        if args.stdio || !client.takes_url {
            return Self::command(shared, endpoint);
        }
        let all = self.url.as_ref().map_err(|error| {
            Failure::of(Exit::Usage, error)
                .hint("clients connect to the configuration's address, or to a running daemon's")
        })?;
        Ok(Target::Url(match endpoint {
            Some(name) => format!("{all}/{name}"),
            None => all.clone(),
        }))
    }

    /// The command of a client. It has another working folder and environment, so paths are absolute.
    fn command(shared: &Shared, endpoint: Option<&str>) -> Result<Target, Failure> {
        let program = std::env::current_exe().map_err(|error| {
            Failure::new(Exit::Failed, format!("can't find the path of this program: {error}"))
        })?;
        let mut args = vec!["connect".to_owned()];
        args.extend(endpoint.map(str::to_owned));
        let is_chosen = shared.state.is_some() || std::env::var_os("MAINSTAY_STATE").is_some();
        if is_chosen {
            let state = mainstay_config::state_dir(shared.state.as_deref())?;
            args.push("--state".to_owned());
            args.push(state.path.display().to_string());
        }
        Ok(Target::Command { program: program.display().to_string(), args })
    }
}

/// The file that the settings came from.
fn source(loaded: Option<&Loaded>) -> String {
    match loaded.and_then(|loaded| loaded.file.as_ref()) {
        Some(file) => file.display().to_string(),
        None => "the default, without a configuration file".to_owned(),
    }
}
