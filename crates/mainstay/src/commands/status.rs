//! `mainstay status`: shows the state of the daemon and its servers.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use mainstay_admin::api::graph::Graph;
use mainstay_admin::api::servers::Server;
use mainstay_admin::api::status::{DaemonStatus, Endpoint, Memory, Notification};
use mainstay_admin::health::takes_clients;
use mainstay_admin::{Client, ClientError};
use mainstay_model::NodeKind;
use mainstay_model::status::Health;
use serde::Serialize;

use super::trouble::Part;
use super::{daemon, running};
use crate::cli::{Shared, StatusArgs};
use crate::exit::{Exit, Failure};
use crate::output::table::Column;
use crate::output::{Look, Output, format};

mod limits;
mod nodes;
mod parts;
mod server;
#[cfg(test)]
mod tests;
mod watch;

use self::nodes::{external_table, node_page, service_page, service_table, volumes};
pub(super) use self::parts::{breaker_trouble, refused_tools};
use self::parts::{memory, note, trouble, wrapped};
use self::server::{server_page, server_table};

/// A list with more than this is pointed out: several hundred tools are more than a model chooses from
/// well, and some clients read no more than one page.
const LIST_ITEMS_LARGE: usize = 500;
const LIST_BYTES_LARGE: usize = 1 << 20;

/// What is known of a daemon.
#[derive(Debug)]
struct Seen {
    status: DaemonStatus,
    graph: Graph,
}

pub(super) fn run(shared: &Shared, args: &StatusArgs, out: &Output) -> Result<Exit, Failure> {
    if args.watch {
        return watch::run(shared, out);
    }
    let client = daemon::client(shared)?;
    let waiting = out.waiting("asking the daemon");
    let seen = daemon::block_on(waiting.during(async { Ok(Seen::ask(&client).await?) }))?;
    if args.healthy {
        return Ok(healthy(&seen.status, out));
    }
    if let Some(name) = &args.server {
        return one(&seen, name, out).map(|()| Exit::Done);
    }
    if out.json {
        out.value(&seen.status);
    } else {
        out.line(page(&seen, Timestamp::now(), out));
        if let Some(note) = running::note_newer_file(&seen.status, shared) {
            out.remark(format!("\n{note}"));
        }
        suggest(&seen.status, out);
    }
    Ok(Exit::Done)
}

/// Shows one server, service, group, volume or external.
fn one(seen: &Seen, name: &str, out: &Output) -> Result<(), Failure> {
    let Seen { status, graph } = seen;
    let now = Timestamp::now();
    if let Some(server) = status.servers.iter().find(|server| server.name.as_str() == name) {
        show(server, || server_page(server, graph, now, out), out);
    } else if let Some(service) = status.services.iter().find(|it| it.name.as_str() == name) {
        show(service, || service_page(service, graph, now, out), out);
    } else if let Some(group) = status.endpoints.iter().find(|it| name_of(it) == Some(name)) {
        show(group, || group_page(group, &status.servers, now, out), out);
    } else if let Some(node) = graph.nodes.iter().find(|node| node.name.as_str() == name) {
        show(node, || node_page(node, graph, now, out), out);
    } else {
        let message = format!("there is no server, service or group {name:?}");
        let failure = Failure::new(Exit::Failed, message);
        let parts = Part::all(status).map(|part| part.name.to_owned());
        let groups = status.endpoints.iter().filter_map(name_of).map(str::to_owned);
        let nodes = graph.nodes.iter().map(|node| node.name.to_string());
        let mut names: Vec<_> = parts.chain(groups).chain(nodes).collect();
        names.sort();
        names.dedup();
        return Err(daemon::unknown(failure, name, &names, status));
    }
    Ok(())
}

fn show(value: &impl Serialize, page: impl FnOnce() -> String, out: &Output) {
    if out.json { out.value(value) } else { out.line(page()) }
}

/// Suggests commands that work: the tools of what is ready, and what is wrong with what is not.
fn suggest(status: &DaemonStatus, out: &Output) {
    let mut parts = Part::all(status);
    let troubled =
        parts.find(|part| !part.state.serves() && part.trouble(Timestamp::now()).is_some());
    let ready = status.servers.iter().find(|server| server.state.serves() && server.tools > 0);
    let steps = [
        troubled.map(|part| format!("mainstay status {}", part.name)),
        ready.map(|server| format!("mainstay tools {}", server.name)),
    ];
    let steps: Vec<_> = steps.iter().flatten().map(String::as_str).collect();
    if !steps.is_empty() {
        out.next(&steps);
    }
}

// === impl Seen ===

impl Seen {
    async fn ask(client: &Client) -> Result<Self, ClientError> {
        let status = client.status().await?;
        let graph = match client.graph().await {
            // A daemon of an older version has none.
            Err(
                ClientError::Status { status: StatusCode::NOT_FOUND, .. } | ClientError::Problem(_),
            ) => Graph::default(),
            graph => graph?,
        };
        Ok(Self { status, graph })
    }
}

/// Prints the state in one word. It is healthy where `/health` answers with 200.
fn healthy(status: &DaemonStatus, out: &Output) -> Exit {
    if out.json {
        out.value(&serde_json::json!({ "status": status.status }));
    } else {
        out.line(status.status.as_str());
    }
    if takes_clients(status.status) { Exit::Done } else { Exit::Failed }
}

/// The name of a group, or of the server of an endpoint. `None`: the endpoint of all servers.
fn name_of(endpoint: &Endpoint) -> Option<&str> {
    endpoint.path.strip_prefix("/mcp/")
}

/// The text about a group: its servers, and why some of them are not ready.
fn group_page(group: &Endpoint, servers: &[Server], now: Timestamp, out: &Output) -> String {
    let has = |server: &&Server| group.servers.contains(&server.name);
    let members: Vec<_> = servers.iter().filter(has).cloned().collect();
    let count = format::count(members.len(), "server");
    let mut lines = vec![format!("{} is a group of {count}", group.path), String::new()];
    lines.push(server_table(&members, now, out));
    lines.extend(members.iter().filter_map(|server| trouble(&Part::from(server), now, out)));
    lines.extend(members.iter().filter_map(|server| note(server, out)));
    lines.extend(list_notes(group).iter().map(|text| wrapped(text, out)));
    lines.extend(stream_table(std::slice::from_ref(group), out));
    lines.join("\n")
}

/// The text for people.
fn page(seen: &Seen, now: Timestamp, out: &Output) -> String {
    let status = &seen.status;
    let mut lines = head(status, out);
    lines.extend(tables(seen, now, out));
    lines.extend(Part::all(status).filter_map(|part| trouble(&part, now, out)));
    let externals = seen.graph.nodes.iter().filter(|node| node.kind == NodeKind::External);
    lines.extend(externals.filter_map(|node| trouble(&Part::from(node), now, out)));
    lines.extend(status.servers.iter().filter_map(|server| note(server, out)));
    lines.extend(remarks(status, now).iter().map(|text| wrapped(text, out)));
    lines.extend(stream_table(&status.endpoints, out));
    lines.push(String::new());
    lines.extend(numbers(status).iter().map(|text| wrapped(text, out)));
    lines.join("\n")
}

/// What daemon this is.
fn head(status: &DaemonStatus, out: &Output) -> Vec<String> {
    let look = match status.status {
        Health::Ok => Look::Good,
        Health::Loading | Health::Degraded | Health::Draining => Look::Doubtful,
        Health::Error => Look::Bad,
    };
    let up = format::duration(Duration::from_millis(status.uptime_ms));
    let word = out.paint(look, status.status.as_str());
    vec![
        format!("mainstay {}: {word}, up {up}, process {}", status.version, status.pid),
        wrapped(&format!("listens on {}", status.listen.join(", ")), out),
        format!("state in {}", status.state_dir),
        String::new(),
    ]
}

/// The tables of servers, services and externals.
fn tables(seen: &Seen, now: Timestamp, out: &Output) -> Vec<String> {
    let status = &seen.status;
    let mut lines = vec![match &*status.servers {
        [] => "no servers are configured".to_owned(),
        servers => server_table(servers, now, out),
    }];
    if !status.services.is_empty() {
        lines.push(format!("\n{}", service_table(&status.services, now, out)));
    }
    lines.extend(external_table(&seen.graph, now, out).map(|table| format!("\n{table}")));
    lines.extend(volumes(&seen.graph).map(|text| format!("\n{}", wrapped(&text, out))));
    lines
}

/// What else an operator should know.
fn remarks(status: &DaemonStatus, now: Timestamp) -> Vec<String> {
    let groups = status.endpoints.iter().filter(|endpoint| endpoint.path != "/mcp");
    let groups = groups.filter(|endpoint| endpoint.servers.len() > 1).map(|endpoint| {
        let servers: Vec<_> = endpoint.servers.iter().map(ToString::to_string).collect();
        format!("{} is {}", endpoint.path, servers.join(", "))
    });
    let notes = status.endpoints.iter().flat_map(list_notes);
    let untold = status.notifications.iter().filter_map(|one| untold(one, now));
    let breakers = status.tripped_breakers.iter().filter_map(breaker_trouble);
    let refused =
        status.servers.iter().flat_map(|it| refused_tools(&it.name, &it.refused_tools, now));
    let reload = reloaded(status, now);
    groups.chain(notes).chain(untold).chain(breakers).chain(refused).chain(reload).collect()
}

/// What the last reload left to do. A file that has changed since has a note of its own.
fn reloaded(status: &DaemonStatus, now: Timestamp) -> Vec<String> {
    let configuration = &status.configuration;
    if let Some(current) = &configuration.current {
        return vec![format!("reload {} is under way", current.number)];
    }
    let Some(last) = &configuration.last else { return Vec::new() };
    let ago = format::ago(&last.began_at, now);
    let mut lines = Vec::new();
    if last.is_refused() && configuration.is_wrong && running::newer_file(status).is_none() {
        lines.push(format!(
            "the configuration is wrong, as a reload {ago} ago found: nothing changed: `mainstay check`"
        ));
    }
    if last.is_unread() {
        lines.push(format!(
            "the disk or mount of the configuration hung at a reload {ago} ago, and nothing changed"
        ));
    }
    // A reload that had nothing to change says nothing of what the one before it left to do.
    let change = configuration.last_change.as_ref().unwrap_or(last);
    let agrees = last.outcome.as_deref() == Some("unchanged");
    let ago = format::ago(&change.began_at, now);
    lines.extend(change.nodes.iter().filter_map(|node| {
        let is = match node.outcome.as_deref()? {
            "kept" if agrees => return None,
            "kept" => "keeps its old settings",
            "not_ready" => "has its new settings, and was not ready",
            _ => return None,
        };
        let why = node.reason.as_deref().map(format::first_line).unwrap_or_default();
        Some(format!("{} {is} since a reload {ago} ago: {why}", node.node))
    }));
    if !last.waits_for_restart.is_empty() {
        let keys = last.waits_for_restart.join(", ");
        lines.push(format!("waiting for a restart of the daemon: {keys}"));
    }
    lines
}

/// Sessions and memory.
fn numbers(status: &DaemonStatus) -> Vec<String> {
    let (sessions, used) = (&status.sessions, &status.memory_usage);
    let of_servers = status.servers.iter().flat_map(|it| &it.instances).any(|it| it.pid.is_some());
    let something_runs = of_servers || status.services.iter().any(|it| it.pid.is_some());
    let mut lines = vec![
        format!(
            "{} of {}, {}, {}, {} in flight",
            format::count(sessions.active, "session"),
            sessions.max,
            format::count(sessions.listens, "listen"),
            format::count(sessions.streams, "open stream"),
            format::count(sessions.calls, "call"),
        ),
        format!(
            "memory: daemon {}, servers {}, limit {}",
            format::bytes(used.resident_bytes),
            memory(used.servers_bytes, something_runs),
            format::bytes(used.limit_bytes),
        ),
    ];
    lines.extend(memory_budget(used));
    if let Some(why) = &sessions.unstored {
        let why = format::harmless(why);
        lines.push(format!("session state can't be saved, so a restart would lose it: {why}"));
    }
    lines
}

/// Since when a section `[[notify]]` tells nobody, and why.
fn untold(one: &Notification, now: Timestamp) -> Option<String> {
    let since = format::ago(one.failing_since.as_deref()?, now);
    let why = format::harmless(one.reason.as_deref().unwrap_or("the reason is not shown"));
    let (section, target) = (&one.section, format::harmless(&one.target));
    Some(format!("{section} ({target}) could not tell anybody for {since}: {why}"))
}

/// How much of the memory budget is used, and for which kinds of data it was not enough.
fn memory_budget(memory: &Memory) -> Option<String> {
    let whole = memory.budgets.get("whole")?;
    let (used, most) = (format::bytes(whole.used_bytes), format::bytes(whole.max_bytes));
    let kinds = memory.budgets.iter().filter(|(kind, _)| *kind != "whole");
    let refused: Vec<_> = kinds
        .filter(|(_, budget)| budget.refusals > 0)
        .map(|(kind, budget)| format!("{} {kind}", budget.refusals))
        .collect();
    let mut line = format!("memory budget {used} used, of {most}");
    if !refused.is_empty() {
        line.push_str(&format!(
            "; refused for lack of memory: {} (gateway.memory_budget)",
            refused.join(", ")
        ));
    }
    Some(line)
}

/// What an operator should know of the merged lists of an endpoint.
fn list_notes(endpoint: &Endpoint) -> Vec<String> {
    let path = &endpoint.path;
    let large = endpoint
        .lists
        .iter()
        .filter(|list| list.items > LIST_ITEMS_LARGE || list.bytes > LIST_BYTES_LARGE);
    let large = large.map(|list| {
        let size = format::bytes(list.bytes as u64);
        format!(
            "{path} lists {} {} ({size}); models and clients do better with fewer: \
             [endpoints.NAME] makes an address for some of the servers",
            list.items, list.list,
        )
    });
    let renamed: usize = endpoint.lists.iter().map(|list| list.renamed).sum();
    let renamed = (renamed > 0).then(|| {
        let names = format::count(renamed, "name");
        format!("{path} publishes {names} that differ from the servers' own (see --json)")
    });
    let refused: usize = endpoint.lists.iter().map(|list| list.refused_names).sum();
    let refused = (refused > 0).then(|| {
        let section = match path.strip_prefix("/mcp/") {
            Some(name) => format!("[endpoints.{name}]"),
            None => "[gateway]".to_owned(),
        };
        let names = format::count(refused, "name");
        format!(
            "{path} publishes {names} that most model APIs refuse: set names = \"strict\" in {section}"
        )
    });
    large.chain(renamed).chain(refused).collect()
}

/// The open streams of each endpoint.
fn stream_table(endpoints: &[Endpoint], out: &Output) -> Option<String> {
    let open = endpoints.iter().filter(|endpoint| endpoint.listens + endpoint.streams > 0);
    let rows: Vec<_> = open
        .map(|endpoint| {
            let Endpoint { path, listens, streams, .. } = endpoint;
            [path.as_str().into(), listens.to_string().into(), streams.to_string().into()]
        })
        .collect();
    let columns =
        [Column::whole("ADDRESS"), Column::whole("LISTENS"), Column::whole("OPEN STREAMS")];
    (!rows.is_empty()).then(|| format!("\n{}", out.table(columns, &rows)))
}
