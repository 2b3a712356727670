//! The graph of a configuration, as a daemon would plan it.

use mainstay_admin::api::breakers::ToolNeeds;
use mainstay_admin::api::graph::{Graph, Node, NodeState};
use mainstay_model::settings::{OnLostNeed, Settings};
use mainstay_model::status::InstanceState;
use mainstay_model::{Name, Need, NodeKind};
use mainstay_supervisor::graph::{self, NodeSpec};

use crate::compose::breakers;
use crate::exit::{Exit, Failure};

/// What the configuration says about a node.
struct Planned {
    id: Need,
    needs: Vec<Need>,
    required: bool,
    tool_needs: Vec<ToolNeeds>,
}

/// By layer, and within a layer in the order of the configuration. Nothing runs.
///
/// # Errors
/// Where what is needed does not exist, or needs lead in a circle.
pub(super) fn graph(settings: Settings) -> Result<Graph, Failure> {
    let planned = nodes(settings);
    let spec = |node: &Planned| NodeSpec {
        id: node.id.clone(),
        needs: node.needs.clone(),
        on_lost_need: OnLostNeed::Keep,
    };
    let plan = graph::Graph::plan(planned.iter().map(spec).collect());
    let plan = plan.map_err(|error| Failure::of(Exit::Usage, &error))?;
    let layers: Vec<_> = plan.numbers().map(|no| plan.layer(no)).collect();
    let mut nodes: Vec<_> =
        planned.into_iter().zip(layers).map(|(node, layer)| node.at(layer)).collect();
    nodes.sort_by_key(|node| node.layer);
    Ok(Graph { nodes })
}

fn nodes(settings: Settings) -> Vec<Planned> {
    let node = |kind, name: Name, needs, required| {
        let id = Need { kind, name };
        Planned { id, needs, required, tool_needs: Vec::new() }
    };
    let servers = settings.servers.into_iter().map(|it| Planned {
        tool_needs: breakers::tool_needs(&it.tools),
        ..node(NodeKind::Server, it.name, it.needs, it.required)
    });
    let services = settings.services.into_iter();
    let services = services.map(|it| node(NodeKind::Service, it.name, it.needs, it.required));
    let volumes = settings.volumes.into_iter();
    let volumes = volumes.map(|it| node(NodeKind::Volume, it.name, Vec::new(), false));
    let externals = settings.externals.into_iter();
    let externals = externals.map(|it| node(NodeKind::External, it.name, Vec::new(), false));
    servers.chain(services).chain(volumes).chain(externals).collect()
}

// === impl Planned ===

impl Planned {
    fn at(self, layer: usize) -> Node {
        let state = match self.id.kind {
            NodeKind::Volume => NodeState::Unwatched,
            _ => NodeState::Watched(InstanceState::Stopped),
        };
        Node {
            name: self.id.name,
            kind: self.id.kind,
            layer,
            state,
            since: String::new(),
            required: self.required,
            needs: self.needs,
            waiting_for: Vec::new(),
            stopped_by_hand: false,
            reason: None,
            retry_in_ms: None,
            pid: None,
            probe: None,
            breaker: None,
            tool_needs: self.tool_needs,
            refused_tools: Vec::new(),
        }
    }
}
