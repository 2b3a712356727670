//! `mainstay status`: shows the state of the daemon and its servers.

use std::time::Duration;

use jiff::Timestamp;
use mainstay_admin::api::servers::{Instance, Server};
use mainstay_admin::api::status::{DaemonStatus, Endpoint, Memory, Notification};
use mainstay_admin::health::takes_clients;
use mainstay_model::status::{Health, InstanceState};

use super::daemon;
use crate::cli::{Shared, StatusArgs};
use crate::exit::{Exit, Failure};
use crate::output::table::{Cell, Column};
use crate::output::{Look, Output, format};

#[cfg(test)]
mod tests;

/// A list with more than this is pointed out: several hundred tools are more than a model chooses from
/// well, and some clients read no more than one page.
const LIST_ITEMS_LARGE: usize = 500;
const LIST_BYTES_LARGE: usize = 1 << 20;

pub(super) fn run(shared: &Shared, args: &StatusArgs, out: &Output) -> Result<Exit, Failure> {
    let client = daemon::client(shared)?;
    let waiting = out.waiting("asking the daemon");
    let status = daemon::block_on(waiting.during(daemon::status(&client)))?;
    if args.healthy {
        return Ok(healthy(&status, out));
    }
    let Some(name) = &args.server else {
        if out.json {
            out.value(&status);
        } else {
            out.line(whole(&status, Timestamp::now(), out));
            suggest(&status.servers, out);
        }
        return Ok(Exit::Done);
    };
    if let Some(server) = status.servers.iter().find(|server| server.name.as_str() == name) {
        if out.json {
            out.value(server);
        } else {
            out.line(one(server, Timestamp::now(), out));
        }
        return Ok(Exit::Done);
    }
    let Some(group) = status.endpoints.iter().find(|group| name_of(group) == Some(name)) else {
        let failure = Failure::new(Exit::Failed, format!("there is no server or group {name:?}"));
        let servers = status.servers.iter().map(|server| server.name.to_string());
        let groups = status.endpoints.iter().filter_map(name_of).map(str::to_owned);
        let mut names: Vec<_> = servers.chain(groups).collect();
        names.sort();
        names.dedup();
        return Err(daemon::with_nearest(failure, name, &names));
    };
    if out.json {
        out.value(group);
    } else {
        out.line(group_page(group, &status.servers, Timestamp::now(), out));
    }
    Ok(Exit::Done)
}

/// Suggests commands that work: the tools of what is ready, and what is wrong with what is not.
fn suggest(servers: &[Server], out: &Output) {
    let troubled = servers.iter().find(|server| server.reason.is_some() && !server.state.serves());
    let ready = servers.iter().find(|server| server.state.serves() && server.tools > 0);
    let steps = [
        troubled.map(|server| format!("mainstay status {}", server.name)),
        ready.map(|server| format!("mainstay tools {}", server.name)),
    ];
    let steps: Vec<_> = steps.iter().flatten().map(String::as_str).collect();
    if !steps.is_empty() {
        out.next(&steps);
    }
}

/// The colour of a state.
fn look(state: InstanceState) -> Look {
    match state {
        InstanceState::Ready | InstanceState::Done => Look::Good,
        InstanceState::Waiting
        | InstanceState::Starting
        | InstanceState::Handshaking
        | InstanceState::Degraded
        | InstanceState::BackingOff
        | InstanceState::Draining => Look::Doubtful,
        InstanceState::CrashLooping | InstanceState::Failed | InstanceState::Unhealthy => Look::Bad,
        InstanceState::Idle | InstanceState::Stopped | InstanceState::Held => Look::Faint,
    }
}

fn state_cell(state: InstanceState) -> Cell {
    Cell::from(state.as_str()).look(look(state))
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
    let remarks = members.iter().filter_map(trouble).chain(members.iter().filter_map(note));
    lines.extend(remarks.chain(list_notes(group)).map(|text| wrapped(&text, out)));
    lines.extend(stream_table(std::slice::from_ref(group), out));
    lines.join("\n")
}

/// The text for people.
fn whole(status: &DaemonStatus, now: Timestamp, out: &Output) -> String {
    let look = match status.status {
        Health::Ok => Look::Good,
        Health::Loading | Health::Degraded | Health::Draining => Look::Doubtful,
        Health::Error => Look::Bad,
    };
    let up = format::duration(Duration::from_millis(status.uptime_ms));
    let word = out.paint(look, status.status.as_str());
    let mut lines = vec![
        format!("mainstay {}: {word}, up {up}, process {}", status.version, status.pid),
        wrapped(&format!("listens on {}", status.listen.join(", ")), out),
        format!("state in {}", status.state_dir),
        String::new(),
    ];
    if status.servers.is_empty() {
        lines.push("no servers are configured".to_owned());
    } else {
        lines.push(server_table(&status.servers, now, out));
        let servers = || status.servers.iter();
        let remarks = servers().filter_map(trouble).chain(servers().filter_map(note));
        lines.extend(remarks.map(|text| wrapped(&text, out)));
    }
    let groups = status.endpoints.iter().filter(|endpoint| endpoint.path != "/mcp");
    for endpoint in groups.filter(|endpoint| endpoint.servers.len() > 1) {
        let servers: Vec<_> = endpoint.servers.iter().map(ToString::to_string).collect();
        lines.push(wrapped(&format!("{} is {}", endpoint.path, servers.join(", ")), out));
    }
    let notes = status.endpoints.iter().flat_map(list_notes);
    lines.extend(notes.map(|text| wrapped(&text, out)));
    lines.extend(
        status
            .notifications
            .iter()
            .filter_map(|one| untold(one, now))
            .map(|text| wrapped(&text, out)),
    );
    for (name, state) in &status.circuit_breakers {
        lines.push(format!("breaker {name} is {state}"));
    }
    lines.extend(stream_table(&status.endpoints, out));
    let (sessions, memory) = (&status.sessions, &status.memory_usage);
    lines.push(String::new());
    lines.push(format!(
        "{} of {}, {}, {}, {} in flight\nmemory: daemon {}, servers {}, limit {}",
        format::count(sessions.active, "session"),
        sessions.max,
        format::count(sessions.listens, "listen"),
        format::count(sessions.streams, "open stream"),
        format::count(sessions.calls, "call"),
        format::bytes(memory.resident_bytes),
        format::bytes(memory.servers_bytes),
        format::bytes(memory.limit_bytes),
    ));
    lines.extend(memory_budget(memory).map(|text| wrapped(&text, out)));
    if let Some(why) = &sessions.unstored {
        let why = format::harmless(why);
        let text = format!("session state can't be saved, so a restart would lose it: {why}");
        lines.push(wrapped(&text, out));
    }
    lines.join("\n")
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

/// Text that fits into the terminal. Lines that follow another are indented below it.
fn wrapped(text: &str, out: &Output) -> String {
    format::wrap(text, out.columns(), 4)
}

fn server_table(servers: &[Server], now: Timestamp, out: &Output) -> String {
    let rows = servers.iter().map(|server| {
        [
            server.name.as_str().into(),
            state_cell(server.state),
            format::ago(&server.since, now).into(),
            revisions(server).unwrap_or_else(|| "-".to_owned()).into(),
            server.tools.to_string().into(),
            server.restarts.to_string().into(),
            calls(server).into(),
            if server.required { "required" } else { "" }.into(),
        ]
    });
    let columns = [
        Column::whole("SERVER"),
        Column::whole("STATE"),
        Column::whole("FOR"),
        // `status NAME` shows it, too.
        Column::spare("REVISION"),
        Column::whole("TOOLS"),
        Column::whole("RESTARTS"),
        Column::whole("CALLS"),
        Column::whole(""),
    ];
    out.table(columns, &rows.collect::<Vec<_>>())
}

/// The calls in flight, and those that wait.
fn calls(server: &Server) -> String {
    match server.waiting {
        0 => server.calls.to_string(),
        waiting => format!("{} + {waiting} waiting", server.calls),
    }
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

/// Which clients can't use a server although it is ready.
fn note(server: &Server) -> Option<String> {
    let note = server.note.as_deref()?;
    Some(format!("\n{} is {}, and {}", server.name, server.state.as_str(), format::harmless(note)))
}

/// Why a server is not ready, and when it is tried again.
fn trouble(server: &Server) -> Option<String> {
    let reason = server.reason.as_deref().filter(|_| !server.state.serves())?;
    let mut text = format!("\n{}, {}: ", server.name, server.state.as_str());
    // Output of a process may have many lines; they are indented below the server's name.
    text.push_str(&format::harmless(reason.trim_end()).replace('\n', "\n    "));
    if let Some(millis) = server.retry_in_ms {
        let wait = format::duration(Duration::from_millis(millis));
        text.push_str(&format!("\n    next attempt in {wait}"));
    }
    Some(text)
}

/// Which clients an instance is for.
fn clients(instance: &Instance) -> String {
    let whose = match instance.only_for.as_deref() {
        Some("session") => Some("one session"),
        Some("call") => Some("one call"),
        Some("lists") => Some("none (supplies the lists)"),
        _ => None,
    };
    match (whose, instance.asks.as_slice()) {
        (None, []) => "all".to_owned(),
        (Some(whose), []) => whose.to_owned(),
        (None, asks) => asks.join(", "),
        (Some(whose), asks) => format!("{whose}: {}", asks.join(", ")),
    }
}

/// The revisions spoken with a server.
fn revisions(server: &Server) -> Option<String> {
    let all: Vec<&str> = [&server.revision, &server.second_revision]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// The text about one server and its instances.
fn one(server: &Server, now: Timestamp, out: &Output) -> String {
    let facts = [
        ("server", server.name.to_string()),
        (
            "state",
            format!(
                "{} for {}",
                out.paint(look(server.state), server.state.as_str()),
                format::ago(&server.since, now)
            ),
        ),
        ("runs", format!("{} {}", server.kind, format::harmless(&server.target))),
        ("required", if server.required { "yes" } else { "no" }.to_owned()),
        ("transport", server.transport.clone().unwrap_or_else(|| "not known yet".to_owned())),
        ("revision", revisions(server).unwrap_or_else(|| "not known yet".to_owned())),
        (
            "offers",
            [
                format::count(server.tools, "tool"),
                format::count(server.resources, "resource"),
                format::count(server.prompts, "prompt"),
            ]
            .join(", "),
        ),
        ("restarts", server.restarts.to_string()),
        ("calls", format!("{} in flight, {} waiting", server.calls, server.waiting)),
        ("memory", format::bytes(server.memory_bytes)),
        ("stray lines", server.stray_lines.to_string()),
    ];
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, fact): &(&str, String)| format::beside(name, width + 2, fact, out.columns());
    let mut lines: Vec<_> = facts.iter().map(line).collect();
    lines.extend(note(server).map(|text| wrapped(&text, out)));
    lines.extend(trouble(server).map(|text| wrapped(&text, out)));
    if !server.instances.is_empty() {
        lines.push(format!("\n{}", instance_table(&server.instances, out)));
    }
    lines.join("\n")
}

fn instance_table(instances: &[Instance], out: &Output) -> String {
    let rows = instances.iter().map(|instance| {
        let up = format::duration(Duration::from_millis(instance.uptime_ms));
        [
            instance.id.to_string().into(),
            state_cell(instance.state),
            instance.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()).into(),
            if instance.state == InstanceState::Ready { up } else { "-".to_owned() }.into(),
            instance.restarts.to_string().into(),
            instance.calls.to_string().into(),
            instance.memory_bytes.map_or_else(|| "-".to_owned(), format::bytes).into(),
            clients(instance).into(),
        ]
    });
    let columns = [
        Column::whole("INSTANCE"),
        Column::whole("STATE"),
        Column::whole("PROCESS"),
        Column::whole("UP"),
        Column::whole("RESTARTS"),
        Column::whole("CALLS"),
        Column::whole("MEMORY"),
        Column::text("CLIENTS"),
    ];
    out.table(columns, &rows.collect::<Vec<_>>())
}
