//! What is shown of servers and their instances.

use std::time::Duration;

use jiff::Timestamp;
use mainstay_admin::api::graph::Graph;
use mainstay_admin::api::servers::{Instance, Server};
use mainstay_model::status::InstanceState;
use mainstay_model::{Need, NodeKind};

use super::limits::limits;
use super::parts::{
    breaker, facts, memory, needed_by, needs, note, probe, refused_tools, state_cell, state_text,
    trouble, wrapped,
};
use crate::commands::trouble::Part;
use crate::output::table::Column;
use crate::output::{Output, format};

pub(super) fn server_table(servers: &[Server], now: Timestamp, out: &Output) -> String {
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
pub(super) fn server_page(server: &Server, graph: &Graph, now: Timestamp, out: &Output) -> String {
    let id = Need { kind: NodeKind::Server, name: server.name.clone() };
    let runs = server.instances.iter().any(|instance| instance.pid.is_some());
    let own = [
        ("server", server.name.to_string()),
        ("state", state_text(server.state, &server.since, now, out)),
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
        ("needs", needs(&server.needs)),
        ("needed by", needed_by(&id, graph)),
        ("memory", memory(server.memory_bytes, runs)),
        ("stray lines", server.stray_lines.to_string()),
    ];
    let found = server.probe.as_ref().map(|own| ("probe", probe(own, now)));
    let breaker = breaker(server.breaker.as_ref(), now);
    let own: Vec<_> = own.into_iter().chain(found).chain(breaker).collect();
    let mut lines = facts(&own, out);
    lines.extend(note(server, out));
    lines.extend(trouble(&Part::from(server), now, out));
    let refused = refused_tools(&server.name, &server.refused_tools, now);
    lines.extend(refused.iter().map(|text| wrapped(&format!("\n{text}"), out)));
    if !server.instances.is_empty() {
        lines.push(format!("\n{}", instance_table(&server.instances, out)));
    }
    lines.extend(server.instances.iter().filter_map(|instance| {
        limits(&format!("limits of {}", instance.id), &instance.limits, out)
    }));
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
