//! `mainstay graph`: what needs what, and who waits for whom.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mainstay_admin::ClientError;
use mainstay_admin::api::graph::{Graph, Node};
use mainstay_admin::api::status::DaemonStatus;
use mainstay_model::settings::{ServiceKind, Settings};

use super::trouble::{self, Part};
use super::{daemon, running, status};
use crate::cli::{GraphArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::table::{Cell, Column};
use crate::output::{Output, format};

mod mermaid;
mod planned;
#[cfg(test)]
mod tests;

/// Where a graph comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Daemon,
    /// Nothing is known of states.
    Configuration,
}

/// A graph, and what is needed to show it.
struct Found {
    graph: Graph,
    from: From,
    jobs: Jobs,
}

/// The names of the services that are jobs. They are shown as `once`, as in `mainstay status`.
#[derive(Debug, Default)]
struct Jobs(BTreeSet<String>);

pub(super) fn run(shared: &Shared, args: &GraphArgs, out: &Output) -> Result<Exit, Failure> {
    let Found { graph, from, jobs } = find(shared, out)?;
    if out.json {
        out.value(&graph);
    } else if args.mermaid {
        out.line(mermaid::text(&graph, from));
    } else if graph.nodes.is_empty() {
        out.remark("nothing is configured");
    } else {
        out.line(page(&graph, &jobs, from, Timestamp::now(), out));
    }
    Ok(Exit::Done)
}

/// The graph of the daemon; without a daemon of this configuration, that of the configuration.
fn find(shared: &Shared, out: &Output) -> Result<Found, Failure> {
    let client = daemon::client(shared)?;
    let waiting = out.waiting("asking the daemon");
    let asked = daemon::block_on(waiting.during(async {
        Ok(match client.status().await {
            Ok(status) => client.graph().await.map(|graph| (status, graph)),
            Err(error) => Err(error),
        })
    }))?;
    let why = match asked {
        Ok((status, graph)) => match &shared.config {
            Some(file) if !running::uses(&status, file) => {
                "the daemon was started with another file"
            }
            _ => {
                let jobs = Jobs::of_daemon(&status);
                return Ok(Found { graph, from: From::Daemon, jobs });
            }
        },
        Err(ClientError::NoDaemon { .. }) => "no daemon is running",
        Err(error) => return Err(error.into()),
    };
    let loaded = mainstay_config::from_system(shared.request(None))?;
    if !out.json {
        let file = loaded
            .file
            .as_ref()
            .map_or_else(|| "the configuration".to_owned(), |file| file.display().to_string());
        out.remark(format!("{why}, so this is what {file} says"));
    }
    let jobs = Jobs::of_configuration(&loaded.settings);
    Ok(Found { graph: planned::graph(loaded.settings)?, from: From::Configuration, jobs })
}

/// The layers with their nodes, and why nodes are not ready.
fn page(graph: &Graph, jobs: &Jobs, from: From, now: Timestamp, out: &Output) -> String {
    match from {
        From::Daemon => {
            let columns = [
                Column::whole("NAME"),
                Column::whole("KIND"),
                Column::whole("STATE"),
                Column::whole("FOR"),
                Column::text("NEEDS"),
                Column::whole(""),
            ];
            let table = out.table(columns, &rows(graph, |node, name| live(node, name, jobs, now)));
            let troubles = graph.nodes.iter().filter_map(|node| Part::from(node).trouble(now));
            let breakers = graph.nodes.iter().filter_map(|node| node.breaker.as_ref());
            let breakers = breakers.filter_map(status::breaker_trouble);
            let refused = |node: &Node| status::refused_tools(&node.name, &node.refused_tools, now);
            let refused = graph.nodes.iter().flat_map(refused);
            let troubles = troubles.chain(breakers).chain(refused);
            let troubles =
                troubles.map(|text| format::wrap(&format!("\n{text}"), out.columns(), 4));
            [table].into_iter().chain(troubles).collect::<Vec<_>>().join("\n")
        }
        From::Configuration => {
            let columns = [
                Column::whole("NAME"),
                Column::whole("KIND"),
                Column::text("NEEDS"),
                Column::whole(""),
            ];
            out.table(columns, &rows(graph, |node, name| planned_row(node, name, jobs)))
        }
    }
}

/// A row for each layer, and below it one for each of its nodes, which begins with its drawn name.
fn rows<const N: usize>(graph: &Graph, row: impl Fn(&Node, Cell) -> [Cell; N]) -> Vec<[Cell; N]> {
    let mut rows = Vec::new();
    let mut nodes = graph.nodes.iter().peekable();
    let mut layer = None;
    while let Some(node) = nodes.next() {
        if layer != Some(node.layer) {
            let mut title = std::array::from_fn(|_| Cell::from(""));
            title[0] = format!("layer {}", node.layer).into();
            rows.push(title);
            layer = Some(node.layer);
        }
        let is_last = nodes.peek().is_none_or(|next| next.layer != node.layer);
        let branch = if is_last { "└─" } else { "├─" };
        rows.push(row(node, format!("{branch} {}", node.name).into()));
    }
    rows
}

fn live(node: &Node, name: Cell, jobs: &Jobs, now: Timestamp) -> [Cell; 6] {
    let state = Cell::from(node.state.as_str()).look(trouble::look(node.state));
    let since = match node.since.as_str() {
        "" => "-".to_owned(),
        since => format::ago(since, now),
    };
    [name, jobs.kind(node).into(), state, since.into(), needs(node), required(node)]
}

fn planned_row(node: &Node, name: Cell, jobs: &Jobs) -> [Cell; 4] {
    [name, jobs.kind(node).into(), needs(node), required(node)]
}

/// All kinds share one namespace, so the names say enough.
fn needs(node: &Node) -> Cell {
    let needs = node.needs.iter().map(|need| need.name.to_string()).collect::<Vec<_>>();
    if needs.is_empty() { "-".to_owned() } else { needs.join(", ") }.into()
}

fn required(node: &Node) -> Cell {
    if node.required { "required" } else { "" }.into()
}

// === impl Jobs ===

impl Jobs {
    fn of_daemon(status: &DaemonStatus) -> Self {
        let jobs = status.services.iter().filter(|it| it.kind == ServiceKind::Once.as_str());
        Self(jobs.map(|it| it.name.to_string()).collect())
    }

    fn of_configuration(settings: &Settings) -> Self {
        let jobs = settings.services.iter().filter(|it| it.kind == ServiceKind::Once);
        Self(jobs.map(|it| it.name.to_string()).collect())
    }

    fn kind(&self, node: &Node) -> &'static str {
        match self.0.contains(node.name.as_str()) {
            true => ServiceKind::Once.as_str(),
            false => node.kind.as_str(),
        }
    }
}
