//! The dependency graph: what may run, what must wait, and why.
//!
//! ```text
//!                       all needs fulfilled                   stopped by hand
//!            Wait ─────────────────────────────▶ Run ──────────────────────────▶ Stop
//!              ▲                                  │                               │
//!              └──────────────────────────────────┘◀──────────────────────────────┘
//!               a need is lost, and the node does not          started by hand
//!               run any more, or may not without it
//! ```
//!
//! A need is fulfilled while its node is ready, idle, degraded or done, and while it is a volume that nobody
//! watches. A node that runs and loses a need keeps running as degraded, unless it is to stop then. A node that
//! ends while a need is missing waits for the need instead of being started again and again: only a run that began
//! with all needs fulfilled goes on without one.
//!
//! One step looks at the node that changed and at those that depend on it, layer by layer, so that its cost does
//! not grow with the size of the graph.

mod hold;
mod plan;
mod replan;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use mainstay_model::settings::OnLostNeed;
use mainstay_model::status::InstanceState;
use mainstay_model::{Need, NodeKind};

pub use self::hold::{Hold, HoldKind, Loading, Why};
pub use self::plan::PlanError;

/// The number of a node in its graph. The number of a node that is gone may be given to a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeNo(pub usize);

/// A node as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSpec {
    pub id: Need,
    pub needs: Vec<Need>,
    pub on_lost_need: OnLostNeed,
}

/// What happened to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphEvent {
    /// The node is in this state by itself, in the run with this number.
    Seen(InstanceState, u64),
    /// Somebody stopped the node by hand.
    StoppedByHand,
    /// Somebody started the node by hand.
    StartedByHand,
    /// What runs under the node's name ends, so that something else can take its place.
    Suspended,
    /// Something else has taken the place.
    Resumed,
    /// Something else runs under the node's name now. It is in this state, in the run with this number.
    Replaced(InstanceState, u64),
}

/// What a node has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Run,
    /// Not run before its needs are fulfilled.
    Wait,
    /// Not run before it is started by hand.
    Stop,
}

/// What the graph says about a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub order: Order,
    /// The node waits, and all that it waits for was stopped by hand, or waits for such a node.
    pub is_held: bool,
    /// The node may run, and a need is lost, or degraded itself.
    pub is_short: bool,
}

/// A node whose standing changed, and what it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandingChange {
    pub node: NodeNo,
    pub standing: Standing,
}

/// The dependency graph of a daemon, and where each node stands.
#[derive(Debug, Clone)]
pub struct Graph {
    /// By [`NodeNo`]. Nodes that are gone stay until a new one takes their place.
    nodes: Vec<Node>,
    /// The nodes that there are, in the order of the configuration.
    order: Vec<NodeNo>,
}

#[derive(Debug, Clone)]
struct Node {
    id: Need,
    needs: Vec<NodeNo>,
    dependants: Vec<NodeNo>,
    layer: usize,
    on_lost_need: OnLostNeed,
    state: InstanceState,
    /// The number of the run that was seen last.
    run: u64,
    /// Whether that run began with all needs fulfilled.
    began_complete: bool,
    stopped_by_hand: bool,
    /// Whether it ends so that something else can take its place.
    is_suspended: bool,
    standing: Standing,
}

/// What a node means for those that need it. They are looked at again when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meaning {
    is_fulfilled: bool,
    is_by_hand: bool,
    is_short: bool,
}

// === impl Graph ===

impl Graph {
    /// Plans a graph: all nodes wait or may run, as if nothing ran yet.
    ///
    /// # Errors
    /// [`PlanError`] if a need is unknown, a name is used twice, or there is a cycle.
    pub fn plan(specs: Vec<NodeSpec>) -> Result<Self, PlanError> {
        let nodes = plan::nodes(specs)?;
        let mut graph = Self { order: (0..nodes.len()).map(NodeNo).collect(), nodes };
        let mut order: Vec<NodeNo> = graph.numbers().collect();
        order.sort_by_key(|no| graph.node(*no).layer);
        for no in order {
            graph.nodes[no.0].standing = graph.standing_of(no);
        }
        Ok(graph)
    }

    /// Takes one step and appends what changed for which nodes, those that are needed first.
    pub fn step(&mut self, no: NodeNo, event: GraphEvent, decisions: &mut Vec<StandingChange>) {
        let before = self.meaning(no);
        let is_complete = self.node(no).needs.iter().all(|need| self.meaning(*need).is_fulfilled);
        let node = &mut self.nodes[no.0];
        match event {
            GraphEvent::Seen(state, run) => {
                if node.run != run {
                    (node.run, node.began_complete) = (run, is_complete);
                }
                node.state = state;
            }
            GraphEvent::StoppedByHand => node.stopped_by_hand = true,
            GraphEvent::StartedByHand => node.stopped_by_hand = false,
            GraphEvent::Suspended => node.is_suspended = true,
            GraphEvent::Resumed => node.is_suspended = false,
            GraphEvent::Replaced(state, run) => {
                (node.state, node.run, node.began_complete) = (state, run, is_complete);
            }
        }
        let mut open = BTreeSet::new();
        self.settle(no, before, &mut open, decisions);
        while let Some((_, no)) = open.pop_first() {
            let before = self.meaning(no);
            self.settle(no, before, &mut open, decisions);
        }
    }

    /// Decides about one node, and opens those that depend on it if it means something else for them now.
    fn settle(
        &mut self,
        no: NodeNo,
        before: Meaning,
        open: &mut BTreeSet<(usize, NodeNo)>,
        decisions: &mut Vec<StandingChange>,
    ) {
        let standing = self.standing_of(no);
        if standing != self.node(no).standing {
            self.nodes[no.0].standing = standing;
            decisions.push(StandingChange { node: no, standing });
        }
        if self.meaning(no) != before {
            let dependants = self.node(no).dependants.iter();
            open.extend(dependants.map(|dependant| (self.node(*dependant).layer, *dependant)));
        }
    }

    /// Where a node stands, from its own state and what its needs mean.
    fn standing_of(&self, no: NodeNo) -> Standing {
        let node = self.node(no);
        let needs = || node.needs.iter().map(|need| self.meaning(*need));
        let is_missing = needs().any(|need| !need.is_fulfilled);
        let keeps = node.runs() && node.began_complete && node.on_lost_need == OnLostNeed::Keep;
        let order = if node.stopped_by_hand {
            Order::Stop
        } else if !node.is_suspended && (!is_missing || keeps) {
            Order::Run
        } else {
            Order::Wait
        };
        let is_over = node.state == InstanceState::Done;
        let mut missing = needs().filter(|need| !need.is_fulfilled);
        Standing {
            order,
            is_held: order == Order::Wait
                && !node.is_suspended
                && missing.all(|need| need.is_by_hand),
            // A job that is done needs nothing any more.
            is_short: order == Order::Run
                && !is_over
                && needs().any(|need| !need.is_fulfilled || need.is_short),
        }
    }

    fn meaning(&self, no: NodeNo) -> Meaning {
        let node = self.node(no);
        Meaning {
            is_fulfilled: node.is_fulfilled(),
            is_by_hand: node.stopped_by_hand || node.standing.is_held,
            is_short: node.standing.is_short,
        }
    }

    fn node(&self, no: NodeNo) -> &Node {
        &self.nodes[no.0]
    }

    /// The numbers of all nodes, in the order in which they were planned.
    pub fn numbers(&self) -> impl Iterator<Item = NodeNo> + use<> {
        self.order.clone().into_iter()
    }

    pub fn id(&self, no: NodeNo) -> &Need {
        &self.node(no).id
    }

    pub fn needs(&self, no: NodeNo) -> &[NodeNo] {
        &self.node(no).needs
    }

    /// The nodes that need this one themselves.
    pub fn dependants(&self, no: NodeNo) -> &[NodeNo] {
        &self.node(no).dependants
    }

    /// The length of the longest way to a node without needs: 0 for such a node itself.
    pub fn layer(&self, no: NodeNo) -> usize {
        self.node(no).layer
    }

    pub fn standing(&self, no: NodeNo) -> Standing {
        self.node(no).standing
    }

    /// The state in which the node was seen last, and the number of its run.
    pub fn seen(&self, no: NodeNo) -> (InstanceState, u64) {
        (self.node(no).state, self.node(no).run)
    }

    /// Whether those that need the node may run.
    pub fn is_fulfilled(&self, no: NodeNo) -> bool {
        self.node(no).is_fulfilled()
    }

    pub fn is_stopped_by_hand(&self, no: NodeNo) -> bool {
        self.node(no).stopped_by_hand
    }

    /// Whether it ends so that something else can take its place.
    pub fn is_suspended(&self, no: NodeNo) -> bool {
        self.node(no).is_suspended
    }

    /// The needs because of which a node waits or is degraded.
    pub fn blockers(&self, no: NodeNo) -> impl Iterator<Item = NodeNo> + '_ {
        let is_over = self.node(no).state == InstanceState::Done
            && self.node(no).standing.order == Order::Run;
        self.needs(no).iter().copied().filter(move |need| {
            let meaning = self.meaning(*need);
            !is_over && (!meaning.is_fulfilled || meaning.is_short)
        })
    }

    /// The way from a node that waits or is degraded to where the trouble is: each next node is the first
    /// blocker of the one before. Empty for a node without blockers.
    pub fn chain(&self, no: NodeNo) -> Vec<NodeNo> {
        let mut chain = Vec::new();
        let mut at = no;
        while let Some(next) = self.blockers(at).next() {
            chain.push(next);
            at = next;
        }
        chain
    }

    /// All nodes that depend on a node, themselves or through others, those that are needed first.
    pub fn downstream(&self, no: NodeNo) -> Vec<NodeNo> {
        let mut found = BTreeSet::new();
        let mut open = vec![no];
        while let Some(at) = open.pop() {
            for dependant in &self.node(at).dependants {
                if found.insert((self.node(*dependant).layer, *dependant)) {
                    open.push(*dependant);
                }
            }
        }
        found.into_iter().map(|(_, no)| no).collect()
    }
}

// === impl Node ===

impl Node {
    /// Whether those that need the node may run.
    fn is_fulfilled(&self) -> bool {
        match self.id.kind {
            NodeKind::Volume => true,
            NodeKind::External => self.state.serves(),
            NodeKind::Server | NodeKind::Service => {
                !self.stopped_by_hand && !self.is_suspended && self.state.serves()
            }
        }
    }

    /// Whether something of the node runs, or is being started.
    fn runs(&self) -> bool {
        match self.state {
            InstanceState::Starting
            | InstanceState::Handshaking
            | InstanceState::Ready
            | InstanceState::Degraded
            | InstanceState::Unhealthy
            | InstanceState::Done
            | InstanceState::Idle => true,
            InstanceState::Stopped
            | InstanceState::Waiting
            | InstanceState::Held
            | InstanceState::BackingOff
            | InstanceState::CrashLooping
            | InstanceState::Draining
            | InstanceState::Failed => false,
        }
    }
}
