//! What is shown of services, volumes and externals.

use jiff::Timestamp;
use mainstay_admin::api::graph::{Graph, Node};
use mainstay_admin::api::services::Service;
use mainstay_model::{Need, NodeKind};

use super::limits::limits;
use super::parts::{breaker, facts, needed_by, needs, probe, state_cell, state_text, trouble};
use crate::commands::trouble::Part;
use crate::output::table::Column;
use crate::output::{Output, format};

pub(super) fn service_table(services: &[Service], now: Timestamp, out: &Output) -> String {
    let rows = services.iter().map(|service| {
        [
            service.name.as_str().into(),
            state_cell(service.state),
            format::ago(&service.since, now).into(),
            service.kind.as_str().into(),
            service.restarts.to_string().into(),
            service.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()).into(),
            service.memory_bytes.map_or_else(|| "-".to_owned(), format::bytes).into(),
            if service.required { "required" } else { "" }.into(),
        ]
    });
    let columns = [
        Column::whole("SERVICE"),
        Column::whole("STATE"),
        Column::whole("FOR"),
        Column::whole("KIND"),
        Column::whole("RESTARTS"),
        Column::whole("PROCESS"),
        Column::spare("MEMORY"),
        Column::whole(""),
    ];
    out.table(columns, &rows.collect::<Vec<_>>())
}

/// The externals of a graph. `None`: it has none.
pub(super) fn external_table(graph: &Graph, now: Timestamp, out: &Output) -> Option<String> {
    let externals = graph.nodes.iter().filter(|node| node.kind == NodeKind::External);
    let rows: Vec<_> = externals
        .map(|node| {
            let found = node.probe.as_ref().map(|own| probe(own, now));
            [
                node.name.as_str().into(),
                state_cell(node.state),
                format::ago(&node.since, now).into(),
                found.unwrap_or_else(|| "-".to_owned()).into(),
            ]
        })
        .collect();
    let columns = [
        Column::whole("EXTERNAL"),
        Column::whole("STATE"),
        Column::whole("FOR"),
        Column::text("PROBE"),
    ];
    (!rows.is_empty()).then(|| out.table(columns, &rows))
}

/// The volumes of a graph in one line. `None`: it has none.
pub(super) fn volumes(graph: &Graph) -> Option<String> {
    let volumes = graph.nodes.iter().filter(|node| node.kind == NodeKind::Volume);
    let volumes: Vec<_> =
        volumes.map(|node| format!("{} ({})", node.name, node.state.as_str())).collect();
    (!volumes.is_empty()).then(|| format!("volumes: {}", volumes.join(", ")))
}

/// The text about one service.
pub(super) fn service_page(
    service: &Service,
    graph: &Graph,
    now: Timestamp,
    out: &Output,
) -> String {
    let id = Need { kind: NodeKind::Service, name: service.name.clone() };
    let kind = match service.kind.as_str() {
        "once" => "once: a job that must end with code 0".to_owned(),
        kind => kind.to_owned(),
    };
    let pid = service.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    let memory = service.memory_bytes.map_or_else(|| "-".to_owned(), format::bytes);
    let own = [
        ("service", service.name.to_string()),
        ("state", state_text(service.state, &service.since, now, out)),
        ("runs", format::harmless(&service.target)),
        ("kind", kind),
        ("required", if service.required { "yes" } else { "no" }.to_owned()),
        ("needs", needs(&service.needs)),
        ("needed by", needed_by(&id, graph)),
        ("restarts", service.restarts.to_string()),
        ("process", pid),
        ("memory", memory),
    ];
    let found = service.probe.as_ref().map(|own| ("probe", probe(own, now)));
    let breaker = breaker(service.breaker.as_ref(), now);
    let own: Vec<_> = own.into_iter().chain(found).chain(breaker).collect();
    let mut lines = facts(&own, out);
    lines.extend(trouble(&Part::from(service), now, out));
    lines.extend(limits("limits", &service.limits, out));
    lines.join("\n")
}

/// The text about a volume or an external.
pub(super) fn node_page(node: &Node, graph: &Graph, now: Timestamp, out: &Output) -> String {
    let own = [
        (node.kind.as_str(), node.name.to_string()),
        ("state", state_text(node.state, &node.since, now, out)),
        ("needed by", needed_by(&node.as_need(), graph)),
    ];
    let found = node.probe.as_ref().map(|own| ("probe", probe(own, now)));
    let breaker = breaker(node.breaker.as_ref(), now);
    let own: Vec<_> = own.into_iter().chain(found).chain(breaker).collect();
    let mut lines = facts(&own, out);
    lines.extend(trouble(&Part::from(node), now, out));
    lines.join("\n")
}
