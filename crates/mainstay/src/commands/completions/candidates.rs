//! Finds the names that complete a word: of servers, groups, tools, their arguments, and clients. The daemon
//! is asked, and without one the configuration. What can't be found out in time is left out.

use std::time::Duration;

use clap::builder::StyledStr;
use clap_complete::engine::CompletionCandidate;
use mainstay_admin::Client;
use mainstay_admin::api::status::DaemonStatus;
use mainstay_config::export::CLIENTS;
use mainstay_config::from_system;
use mainstay_model::Name;
use mainstay_model::settings::Settings;

use super::super::call::parameters::{Kind, Schema};
use super::super::daemon::{self, Tool};
use super::typed::Typed;
use crate::exit::{Exit, Failure};
use crate::output::format;

/// The longest that a shell waits for names.
const DEADLINE: Duration = Duration::from_millis(300);

/// A kind of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Servers,
    ServersAndGroups,
    /// Servers and services.
    Runnable,
    /// Servers, services, volumes and externals.
    Nodes,
    /// Servers, services, externals, and checks of the configuration.
    Checked,
    /// Servers, services, groups, volumes and externals.
    All,
    /// The tools of the server on the line.
    Tools,
    /// The arguments of the tool on the line, as `name=`.
    Arguments,
    Clients,
}

// === impl Names ===

impl Names {
    /// Names that a shell could take for more than one word, or for a command, are left out: bash inserts them
    /// as they are, and servers choose the names of their tools.
    pub(super) fn find(self, typed: &Typed) -> Vec<CompletionCandidate> {
        let mut found = self.all(typed);
        found.retain(|candidate| {
            candidate
                .get_value()
                .to_str()
                .is_some_and(|name| !name.starts_with('-') && format::is_plain_word(name))
        });
        found
    }

    fn all(self, typed: &Typed) -> Vec<CompletionCandidate> {
        match self {
            Self::Checked => {
                let mut names = Self::Nodes.all(typed);
                names.extend(checks(typed));
                names
            }
            Self::Servers | Self::ServersAndGroups | Self::Runnable | Self::Nodes | Self::All => {
                let mut names = self.configured_or_running(typed);
                // One that is on the line is not named again.
                names.retain(|name| {
                    typed.words.iter().skip(1).all(|word| name.get_value() != word.as_str())
                });
                names
            }
            Self::Tools => tools(typed).iter().map(tool).collect(),
            Self::Arguments => arguments(typed),
            Self::Clients => {
                CLIENTS.iter().map(|client| candidate(client.id, client.title)).collect()
            }
        }
    }

    /// Names that the daemon knows, or without a daemon the configuration.
    fn configured_or_running(self, typed: &Typed) -> Vec<CompletionCandidate> {
        let status = ask(typed, async |client| daemon::status(&client).await);
        let known = match status {
            Some(status) => Known::of_daemon(&status),
            None => from_system(typed.shared().request(None))
                .map(|loaded| Known::of_configuration(&loaded.settings))
                .unwrap_or_default(),
        };
        let Known { servers, groups, services, watched } = known;
        match self {
            Self::ServersAndGroups => servers.into_iter().chain(groups).collect(),
            Self::Runnable => servers.into_iter().chain(services).collect(),
            Self::Nodes => servers.into_iter().chain(services).chain(watched).collect(),
            Self::All => servers.into_iter().chain(services).chain(groups).chain(watched).collect(),
            Self::Servers | Self::Tools | Self::Arguments | Self::Clients | Self::Checked => {
                servers
            }
        }
    }
}

/// The names that a daemon or a configuration has, with what is shown beside each.
#[derive(Default)]
struct Known {
    servers: Vec<CompletionCandidate>,
    groups: Vec<CompletionCandidate>,
    services: Vec<CompletionCandidate>,
    /// Volumes and externals.
    watched: Vec<CompletionCandidate>,
}

impl Known {
    fn of_daemon(status: &DaemonStatus) -> Self {
        let is_server = |name: &str| status.servers.iter().any(|it| it.name.as_str() == name);
        let is_service = |name: &str| status.services.iter().any(|it| it.name.as_str() == name);
        let groups = status.endpoints.iter().filter_map(|endpoint| {
            let name = endpoint.path.strip_prefix("/mcp/")?;
            let help = || format!("group of {}", format::count(endpoint.servers.len(), "server"));
            (!is_server(name)).then(|| candidate(name, &help()))
        });
        let watched = status.dependencies.iter().filter(|(name, _)| !is_service(name));
        let watched = watched.chain(&status.volumes).map(|(name, state)| candidate(name, state));
        let servers = status.servers.iter().map(|it| (it.name.as_str(), it.state));
        let services = status.services.iter().map(|it| (it.name.as_str(), it.state));
        Self {
            servers: servers.map(|(name, state)| candidate(name, state.as_str())).collect(),
            groups: groups.collect(),
            services: services.map(|(name, state)| candidate(name, state.as_str())).collect(),
            watched: watched.collect(),
        }
    }

    fn of_configuration(settings: &Settings) -> Self {
        let bare = |name: &Name, help: &str| candidate(name.as_str(), help);
        let volumes = settings.volumes.iter().map(|it| bare(&it.name, "volume"));
        let externals = settings.externals.iter().map(|it| bare(&it.name, "external"));
        Self {
            servers: settings.servers.iter().map(|it| bare(&it.name, "")).collect(),
            groups: settings.endpoints.iter().map(|it| bare(&it.name, "group")).collect(),
            services: settings.services.iter().map(|it| bare(&it.name, "service")).collect(),
            watched: volumes.chain(externals).collect(),
        }
    }
}

fn candidate(name: &str, help: &str) -> CompletionCandidate {
    let help =
        Some(help).filter(|help| !help.is_empty()).map(|help| StyledStr::from(help.to_owned()));
    CompletionCandidate::new(name).help(help)
}

/// The checks of the configuration.
fn checks(typed: &Typed) -> Vec<CompletionCandidate> {
    let loaded = from_system(typed.shared().request(None));
    let checks = loaded.map(|loaded| loaded.settings.checks).unwrap_or_default();
    checks.iter().map(|check| candidate(&check.name, "check")).collect()
}

/// The tools of the server or group on the line.
fn tools(typed: &Typed) -> Vec<Tool> {
    let Some(server) = typed.server() else { return Vec::new() };
    let listed = ask(typed, async |client| {
        let mut conversation = daemon::converse(&client, server).await?;
        let listed = daemon::list(&mut conversation).await;
        conversation.close().await;
        listed
    });
    listed.map(|listed| listed.tools).unwrap_or_default()
}

fn tool(tool: &Tool) -> CompletionCandidate {
    candidate(&format::harmless(&tool.name), &format::first_line(&tool.description))
}

fn arguments(typed: &Typed) -> Vec<CompletionCandidate> {
    let tools = tools(typed);
    let Some(tool) = tools.iter().find(|tool| Some(tool.name.as_str()) == typed.tool()) else {
        return Vec::new();
    };
    let schema = Schema::root(&tool.schema);
    let is_given = |name: &str| {
        let given = typed.words.iter().skip(3);
        given.filter_map(|pair| pair.split_once('=')).any(|(given, _)| given == name)
    };
    let left = schema.names().filter(|name| {
        let kinds = schema.property(name).map(Schema::kinds).unwrap_or_default();
        // A list is given by repeating its name.
        !is_given(name) || kinds.contains(&Kind::Array)
    });
    let required: Vec<_> = schema.required().collect();
    left.map(|name| {
        let kind = schema.property(name).map(Schema::wanted).unwrap_or_default();
        let help = if required.contains(&name) { format!("{kind}, required") } else { kind };
        let order = usize::from(!required.contains(&name));
        candidate(&format!("{}=", format::harmless(name)), &help).display_order(Some(order))
    })
    .collect()
}

/// Asks the daemon of the line. `None`: there is none, or it needs too long.
fn ask<T>(typed: &Typed, question: impl AsyncFnOnce(Client) -> Result<T, Failure>) -> Option<T> {
    let client = daemon::client(&typed.shared()).ok()?.with_deadline(DEADLINE);
    let asked = daemon::block_on(async {
        let answer = tokio::time::timeout(DEADLINE, question(client)).await;
        answer.unwrap_or_else(|_| Err(Failure::new(Exit::Failed, "it needs too long")))
    });
    asked.ok()
}
