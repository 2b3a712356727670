//! Checks the needs of servers and services: each must exist, and there must be no cycle.

use std::collections::{HashMap, HashSet};

use mainstay_model::NodeKind;

use super::groups::suggest;
use crate::nearest::did_you_mean;
use crate::notes::Notes;
use crate::problem::quoted;
use crate::typed::{Named, Placed, Root};

/// Names are only suggested for so many needs, since each is compared with all names.
const SUGGESTED_MAX: usize = 50;

/// A server or a service, and what it needs of these.
struct Node<'a> {
    named: &'a Named,
    /// As needs name it: `service:database`.
    written: String,
    is_server: bool,
    needs: Vec<Edge<'a>>,
}

#[derive(Clone, Copy)]
struct Edge<'a> {
    to: usize,
    need: &'a Placed,
}

/// What exists, by kind and name.
struct Known<'a> {
    names: HashSet<(NodeKind, &'a str)>,
    kinds: HashMap<&'a str, NodeKind>,
}

pub(super) fn check(root: &Root, notes: &mut Notes) {
    let known = Known::new(root);
    let mut nodes: Vec<Node<'_>> = Vec::new();
    let mut places: HashMap<(NodeKind, &str), usize> = HashMap::new();
    for kind in [NodeKind::Server, NodeKind::Service] {
        for named in all(root, kind) {
            places.insert((kind, &named.name), nodes.len());
            let written = format!("{}:{}", kind.as_str(), named.name);
            let is_server = kind == NodeKind::Server;
            nodes.push(Node { named, written, is_server, needs: Vec::new() });
        }
    }
    let mut unknown = 0;
    for node in &mut nodes {
        for need in node.named.table.list("needs") {
            let key = format!("{}.needs", node.named.path);
            let found = known.find(root, &key, need, &mut unknown, notes);
            let Some((kind, name)) = found else { continue };
            if need.text == node.written {
                let message = format!("{} `{name}` needs itself", kind.as_str());
                notes.error(&need.at, &key, message);
            } else if let Some(to) = places.get(&(kind, name)) {
                node.needs.push(Edge { to: *to, need });
            }
        }
        // What a tool needs holds no start up, so there is no cycle.
        let rules = if node.is_server { node.named.table.rules("tools") } else { &[] };
        for rule in rules {
            let key = format!("{}.needs", rule.path);
            for need in rule.table.list("needs") {
                let found = known.find(root, &key, need, &mut unknown, notes);
                if found.is_some() && need.text == node.written {
                    let message = format!("tools of `{}` need their own server", node.named.name);
                    notes.error(&need.at, &key, message).help("remove it".to_owned());
                }
            }
        }
    }
    for cycle in cycles(&nodes) {
        note_cycle(&nodes, &cycle, notes);
    }
}

fn all(root: &Root, kind: NodeKind) -> &[Named] {
    match kind {
        NodeKind::Server => &root.servers,
        NodeKind::Service => &root.services,
        NodeKind::Volume => &root.volumes,
        NodeKind::External => &root.externals,
    }
}

fn parts(need: &str) -> Option<(NodeKind, &str)> {
    let (kind, name) = need.split_once(':')?;
    let kind = NodeKind::from_word(kind)?;
    (!name.is_empty()).then_some((kind, name))
}

/// Notes what has not the form of a need, with what was probably meant: `db` and `services:db` for `service:db`.
fn note_no_need(known: &Known<'_>, key: &str, need: &Placed, notes: &mut Notes) {
    let name = need.text.rsplit_once(':').map_or(&*need.text, |(_, name)| name);
    let help = match known.kinds.get(name) {
        Some(kind) => format!("did you mean \"{}:{name}\"?", kind.as_str()),
        None => "write \"server:NAME\", \"service:NAME\", \"volume:NAME\" or \"external:NAME\""
            .to_owned(),
    };
    let message = format!("{} is not something to need", quoted(&need.text));
    notes.error(&need.at, key, message).help(help);
}

fn note_unknown(
    root: &Root,
    known: &Known<'_>,
    key: &str,
    need: &Placed,
    suggests: bool,
    notes: &mut Notes,
) {
    let Some((kind, name)) = parts(&need.text) else { return };
    let message = format!("there is no {} {}", kind.as_str(), quoted(name));
    let help = match known.kinds.get(name) {
        Some(other) => Some(format!("did you mean \"{}:{name}\"?", other.as_str())),
        None if !suggests => None,
        None => {
            let of_kind = all(root, kind).iter().map(|one| &*one.name);
            let others = NodeKind::ALL.into_iter().filter(|other| *other != kind);
            let near_other = others
                .filter(|_| did_you_mean(name, of_kind.clone()).is_none())
                .find_map(|other| {
                    let names = all(root, other).iter().map(|one| &*one.name);
                    let near = crate::nearest::nearest(name, names)?;
                    Some(format!("did you mean \"{}:{near}\"?", other.as_str()))
                });
            let noun = format!("{}s", kind.as_str());
            near_other.or_else(|| Some(suggest(name, of_kind, &noun)))
        }
    };
    notes.error(&need.at, key, message).help(help);
}

/// One cycle of each set of nodes that need each other, as the nodes on its way. Takes time in proportion to
/// nodes and needs.
fn cycles(nodes: &[Node<'_>]) -> Vec<Vec<usize>> {
    let component = components(nodes);
    let is_inside = |from: usize, edge: &&Edge<'_>| component[edge.to] == component[from];
    let mut is_told = vec![false; nodes.len()];
    let mut found = Vec::new();
    for start in 0..nodes.len() {
        if is_told[component[start]]
            || !nodes[start].needs.iter().any(|edge| is_inside(start, &edge))
        {
            continue;
        }
        is_told[component[start]] = true;
        let mut way: Vec<usize> = Vec::new();
        let mut steps: HashMap<usize, usize> = HashMap::new();
        let mut at = start;
        while !steps.contains_key(&at) {
            steps.insert(at, way.len());
            way.push(at);
            // Each node of such a set needs another one of it.
            let Some(edge) = nodes[at].needs.iter().find(|edge| is_inside(at, edge)) else { break };
            at = edge.to;
        }
        let begin = steps.get(&at).copied().unwrap_or_default();
        let mut cycle = way.split_off(begin);
        // It is told from the need that comes first in the file.
        let first = (0..cycle.len())
            .min_by_key(|step| edge_on(nodes, &cycle, *step).map(|edge| edge.need.at.rank()));
        cycle.rotate_left(first.unwrap_or_default());
        found.push(cycle);
    }
    found
}

/// The need that leads from one step of a cycle to the next.
fn edge_on<'a>(nodes: &'a [Node<'a>], cycle: &[usize], step: usize) -> Option<&'a Edge<'a>> {
    let next = cycle[(step + 1) % cycle.len()];
    nodes[cycle[step]].needs.iter().find(|edge| edge.to == next)
}

fn note_cycle(nodes: &[Node<'_>], cycle: &[usize], notes: &mut Notes) {
    let Some(edge) = edge_on(nodes, cycle, 0) else { return };
    let names = cycle.iter().chain(cycle.first()).map(|node| format!("`{}`", nodes[*node].written));
    let way = names.collect::<Vec<_>>().join(" needs ");
    let key = format!("{}.needs", nodes[cycle[0]].named.path);
    notes
        .error(&edge.need.at, &key, format!("circular dependency: {way}"))
        .help("none of them could start first; remove one of these needs".to_owned());
}

/// For each node the number of the set of nodes that it is in: those that lead to each other. Tarjan's
/// algorithm, without recursion, so that a long chain of needs is no trouble.
fn components(nodes: &[Node<'_>]) -> Vec<usize> {
    const NEW: usize = usize::MAX;
    let mut order = vec![NEW; nodes.len()];
    let mut lowest = vec![NEW; nodes.len()];
    let mut component = vec![NEW; nodes.len()];
    let (mut open, mut visits, mut begun, mut ended) = (Vec::new(), Vec::new(), 0, 0);
    for start in 0..nodes.len() {
        if order[start] != NEW {
            continue;
        }
        visits.push((start, 0));
        while let Some((node, next)) = visits.pop() {
            if next == 0 {
                order[node] = begun;
                lowest[node] = begun;
                begun += 1;
                open.push(node);
            }
            if let Some(edge) = nodes[node].needs.get(next) {
                visits.push((node, next + 1));
                if order[edge.to] == NEW {
                    visits.push((edge.to, 0));
                } else if component[edge.to] == NEW {
                    lowest[node] = lowest[node].min(order[edge.to]);
                }
                continue;
            }
            if lowest[node] == order[node] {
                while let Some(member) = open.pop() {
                    component[member] = ended;
                    if member == node {
                        break;
                    }
                }
                ended += 1;
            }
            if let Some((above, _)) = visits.last() {
                lowest[*above] = lowest[*above].min(lowest[node]);
            }
        }
    }
    component
}

// === impl Known ===

impl<'a> Known<'a> {
    fn new(root: &'a Root) -> Self {
        let kinds = NodeKind::ALL.into_iter();
        let of_kind = |kind| all(root, kind).iter().map(move |one| (kind, one.name.as_str()));
        let names: Vec<_> = kinds.flat_map(of_kind).collect();
        Self {
            kinds: names.iter().map(|(kind, name)| (*name, *kind)).collect(),
            names: names.into_iter().collect(),
        }
    }

    /// The kind and name of a need. None if there is no such thing, which is noted for `key`.
    fn find<'n>(
        &self,
        root: &Root,
        key: &str,
        need: &'n Placed,
        unknown: &mut usize,
        notes: &mut Notes,
    ) -> Option<(NodeKind, &'n str)> {
        let Some((kind, name)) = parts(&need.text) else {
            note_no_need(self, key, need, notes);
            return None;
        };
        if self.names.contains(&(kind, name)) {
            return Some((kind, name));
        }
        *unknown += 1;
        note_unknown(root, self, key, need, *unknown <= SUGGESTED_MAX, notes);
        None
    }
}
