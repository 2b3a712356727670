//! The graph in the language of Mermaid diagrams, which several forges and editors draw.

use std::collections::HashMap;

use mainstay_admin::api::graph::{Graph, Node};
use mainstay_model::Need;

use super::super::trouble;
use super::From;
use crate::output::Look;

/// The fill and the line of each class of states.
const CLASSES: [&str; 4] = [
    "classDef good fill:#dcf5e3,stroke:#2da44e,color:#111",
    "classDef doubtful fill:#fff3cd,stroke:#bf8700,color:#111",
    "classDef bad fill:#ffdcd7,stroke:#cf222e,color:#111",
    "classDef faint fill:#eeeeee,stroke:#8c959f,color:#111",
];

/// A flowchart: an arrow leads from a node to what it needs.
pub(super) fn text(graph: &Graph, from: From) -> String {
    // Names can be words of the language, so that nodes are known by their numbers.
    let numbers: HashMap<Need, usize> =
        graph.nodes.iter().enumerate().map(|(at, node)| (node.as_need(), at)).collect();
    let mut lines = vec!["flowchart TD".to_owned()];
    for (at, node) in graph.nodes.iter().enumerate() {
        lines.push(format!("  n{at}[\"{}\"]{}", label(node, from), class(node, from)));
    }
    for (at, node) in graph.nodes.iter().enumerate() {
        let needs = node.needs.iter().filter_map(|need| Some((need, numbers.get(need)?)));
        lines.extend(needs.map(|(need, number)| {
            // A need that is not ready is drawn as a dotted line.
            let is_missing = node.waiting_for.iter().any(|blocker| blocker.need == *need);
            let arrow = if is_missing { "-.->" } else { "-->" };
            format!("  n{at} {arrow} n{number}")
        }));
    }
    if from == From::Daemon {
        lines.extend(CLASSES.map(|class| format!("  {class}")));
    }
    lines.join("\n")
}

/// Names and words hold nothing that ends a label.
fn label(node: &Node, from: From) -> String {
    let (name, kind) = (&node.name, node.kind.as_str());
    match from {
        From::Daemon => format!("{name}<br>{kind}, {}", node.state.as_str()),
        From::Configuration => format!("{name}<br>{kind}"),
    }
}

fn class(node: &Node, from: From) -> &'static str {
    if from == From::Configuration {
        return "";
    }
    match trouble::look(node.state) {
        Look::Good => ":::good",
        Look::Doubtful => ":::doubtful",
        Look::Bad => ":::bad",
        Look::Faint | Look::Strong => ":::faint",
    }
}
