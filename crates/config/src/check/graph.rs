//! Checks the needs of servers: each must exist, and there must be no cycle.

use std::collections::{BTreeMap, BTreeSet};

use super::groups::suggest;
use crate::notes::Notes;
use crate::problem::quoted;
use crate::typed::{Named, Placed, Root};

/// The servers that each server needs, with the place of each need in the file.
type Needs<'a> = BTreeMap<&'a str, Vec<(&'a str, &'a Placed)>>;

pub(super) fn check(root: &Root, notes: &mut Notes) {
    let mut graph = Needs::new();
    for server in &root.servers {
        let needs = graph.entry(&server.name).or_default();
        for need in server.table.list("needs") {
            let Some((kind, name)) = need.text.split_once(':') else { continue };
            let (known, noun) = match kind {
                "server" => (&root.servers, "servers"),
                "volume" => (&root.volumes, "volumes"),
                _ => (&root.externals, "externals"),
            };
            if !known.iter().any(|one| one.name == name) {
                notes
                    .error(
                        &need.at,
                        &format!("{}.needs", server.path),
                        format!("there is no {kind} {}", quoted(name)),
                    )
                    .help(suggest(name, known.iter().map(|one: &Named| &*one.name), noun));
            } else if kind == "server" {
                needs.push((name, need));
            }
        }
    }
    cycles(graph, notes);
}

/// Finds cycles: removes servers without needs until none is left to remove. The remaining ones
/// lead into a cycle.
fn cycles(mut graph: Needs<'_>, notes: &mut Notes) {
    loop {
        prune(&mut graph);
        let Some(start) = graph.keys().next().copied() else { return };
        let mut way: Vec<&str> = Vec::new();
        let mut steps: BTreeMap<&str, usize> = BTreeMap::new();
        let mut at = start;
        while !steps.contains_key(at) {
            steps.insert(at, way.len());
            way.push(at);
            // After pruning each need of a server that is left is left too, and there is one.
            at = graph[at][0].0;
        }
        let cycle = &way[steps[at]..];
        note_cycle(cycle, &graph, notes);
        for name in cycle {
            graph.remove(name);
        }
    }
}

fn prune(graph: &mut Needs<'_>) {
    let mut needed_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let left: BTreeSet<_> = graph.keys().copied().collect();
    for (name, needs) in graph.iter_mut() {
        needs.retain(|(need, _)| left.contains(need));
        for (need, _) in needs {
            needed_by.entry(need).or_default().push(name);
        }
    }
    let mut done: Vec<&str> =
        graph.iter().filter(|(_, needs)| needs.is_empty()).map(|(name, _)| *name).collect();
    while let Some(name) = done.pop() {
        graph.remove(name);
        for waiting in needed_by.remove(name).unwrap_or_default() {
            if let Some(needs) = graph.get_mut(waiting) {
                needs.retain(|(need, _)| *need != name);
                if needs.is_empty() {
                    done.push(waiting);
                }
            }
        }
    }
}

fn note_cycle(cycle: &[&str], graph: &Needs<'_>, notes: &mut Notes) {
    let first = cycle[0];
    let key = format!("servers.{first}.needs");
    let at = &graph[first][0].1.at;
    if cycle.len() == 1 {
        notes.error(at, &key, format!("server `{first}` needs itself"));
        return;
    }
    let way = cycle
        .iter()
        .chain([&first])
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(" needs ");
    notes
        .error(at, &key, format!("circular dependency between servers: {way}"))
        .help("none of them could start first; remove one of these needs".to_owned());
}
