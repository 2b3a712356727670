//! Plans a graph: resolves needs, and puts nodes into layers.

use std::collections::{HashMap, HashSet};

use mainstay_model::Need;
use mainstay_model::status::InstanceState;

use super::{Node, NodeNo, NodeSpec, Order, Standing};

/// Why nodes make no graph. `mainstay check` finds all of these with their places in the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("{by} needs {need}, which does not exist")]
    Unknown { by: Need, need: Need },
    #[error("there are two nodes {id}")]
    Twice { id: Need },
    /// The nodes of the cycle; the last one needs the first.
    #[error("circular dependency: {}", shown(.0))]
    Cycle(Vec<Need>),
}

/// The nodes with their needs, dependants and layers. Takes a time that grows with the number of nodes and
/// needs.
pub(super) fn nodes(specs: Vec<NodeSpec>) -> Result<Vec<Node>, PlanError> {
    let mut numbers = HashMap::new();
    for (at, spec) in specs.iter().enumerate() {
        if numbers.insert(spec.id.clone(), NodeNo(at)).is_some() {
            return Err(PlanError::Twice { id: spec.id.clone() });
        }
    }
    let mut nodes = Vec::with_capacity(specs.len());
    for NodeSpec { id, needs, on_lost_need } in specs {
        let mut known = Vec::with_capacity(needs.len());
        let mut seen = HashSet::new();
        for need in needs {
            let Some(no) = numbers.get(&need) else {
                return Err(PlanError::Unknown { by: id, need });
            };
            if seen.insert(*no) {
                known.push(*no);
            }
        }
        nodes.push(Node {
            id,
            needs: known,
            dependants: Vec::new(),
            layer: 0,
            on_lost_need,
            state: InstanceState::Stopped,
            run: 0,
            began_complete: false,
            stopped_by_hand: false,
            is_suspended: false,
            standing: Standing { order: Order::Wait, is_held: false, is_short: false },
        });
    }
    for at in 0..nodes.len() {
        for need in nodes[at].needs.clone() {
            nodes[need.0].dependants.push(NodeNo(at));
        }
    }
    layer(&mut nodes)?;
    Ok(nodes)
}

/// Puts each node one layer above the highest of its needs.
fn layer(nodes: &mut [Node]) -> Result<(), PlanError> {
    let mut open: Vec<usize> = nodes.iter().map(|node| node.needs.len()).collect();
    let mut ready: Vec<usize> = (0..nodes.len()).filter(|at| open[*at] == 0).collect();
    let mut done = 0;
    while let Some(at) = ready.pop() {
        done += 1;
        let layer = nodes[at].layer + 1;
        for NodeNo(dependant) in nodes[at].dependants.clone() {
            nodes[dependant].layer = nodes[dependant].layer.max(layer);
            open[dependant] -= 1;
            if open[dependant] == 0 {
                ready.push(dependant);
            }
        }
    }
    match open.iter().position(|left| *left > 0) {
        Some(start) if done < nodes.len() => Err(PlanError::Cycle(cycle(nodes, &open, start))),
        _ => Ok(()),
    }
}

/// A cycle that can be reached from `start`. Each node that is left has a need that is left.
fn cycle(nodes: &[Node], open: &[usize], start: usize) -> Vec<Need> {
    let mut way = vec![start];
    let begin = loop {
        let at = way[way.len() - 1];
        let Some(next) = nodes[at].needs.iter().find(|need| open[need.0] > 0) else { break 0 };
        match way.iter().position(|step| *step == next.0) {
            Some(begin) => break begin,
            None => way.push(next.0),
        }
    };
    way[begin..].iter().map(|at| nodes[*at].id.clone()).collect()
}

fn shown(cycle: &[Need]) -> String {
    let way = cycle.iter().chain(cycle.first()).map(ToString::to_string);
    way.collect::<Vec<_>>().join(" needs ")
}
