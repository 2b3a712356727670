//! The graph as it is shown.

use std::time::Instant;

use mainstay_model::Need;
use mainstay_model::status::InstanceState;
use mainstay_supervisor::graph::NodeNo;

use crate::fleet::Fleet;
use crate::member::ProbeView;
use crate::words::ChainLink;

/// A node as it is shown. Times and reasons were read when the view was made.
#[derive(Debug, Clone)]
pub struct NodeView {
    pub id: Need,
    pub layer: usize,
    /// `None` for a volume, which nobody watches.
    pub state: Option<InstanceState>,
    pub since: Instant,
    pub is_required: bool,
    pub needs: Vec<Need>,
    pub blockers: Vec<BlockerView>,
    pub is_stopped_by_hand: bool,
    /// Why it is not ready, for the operator.
    pub reason: Option<String>,
    /// The same without what only the operator may know.
    pub brief_reason: Option<String>,
    pub retry_at: Option<Instant>,
    pub pid: Option<u32>,
    pub probe: Option<ProbeView>,
}

/// A need that is not ready, and what is wrong at the end of the chain that begins with it.
#[derive(Debug, Clone)]
pub struct BlockerView {
    pub need: Seen,
    /// `None` if the need itself is where the trouble is.
    pub cause: Option<Seen>,
}

/// A node as others see it that need it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub id: Need,
    pub state: InstanceState,
    pub is_stopped_by_hand: bool,
    pub since: Instant,
    pub reason: Option<String>,
    pub brief_reason: Option<String>,
}

// === impl Fleet ===

impl Fleet {
    /// All nodes: by layer, and within a layer in the order of the configuration.
    pub fn view(&self) -> Vec<NodeView> {
        let numbers = {
            let graph = self.graph.lock();
            let mut numbers: Vec<_> = graph.numbers().collect();
            numbers.sort_by_key(|no| graph.layer(*no));
            numbers
        };
        numbers.into_iter().filter_map(|no| self.node_view(no)).collect()
    }

    /// One node by its name.
    pub fn view_of(&self, name: &str) -> Option<NodeView> {
        self.number_of(name).and_then(|no| self.node_view(no))
    }

    fn node_view(&self, no: NodeNo) -> Option<NodeView> {
        let member = self.member(no)?;
        let (id, layer, needs, is_stopped_by_hand) = {
            let graph = self.graph.lock();
            let needs = graph.needs(no).iter().map(|need| graph.id(*need).clone()).collect();
            (graph.id(no).clone(), graph.layer(no), needs, graph.is_stopped_by_hand(no))
        };
        let blockers = self.chains(no).into_iter().map(|chain| {
            let seen = |link: &ChainLink| Seen::of(link);
            let cause = (chain.links.len() > 1).then(|| seen(chain.end()));
            BlockerView { need: seen(&chain.links[0]), cause }
        });
        let blockers = blockers.collect();
        let sight = member.sight();
        Some(NodeView {
            id,
            layer,
            state: sight.as_ref().map(|sight| sight.state),
            since: sight.as_ref().map_or(self.begun, |sight| sight.since),
            is_required: member.is_required(),
            needs,
            blockers,
            is_stopped_by_hand,
            reason: sight.as_ref().and_then(|sight| sight.reason.clone()),
            brief_reason: sight.as_ref().and_then(|sight| sight.brief.clone()),
            retry_at: sight.as_ref().and_then(|sight| sight.retry_at),
            pid: sight.and_then(|sight| sight.pid),
            probe: member.probe(),
        })
    }
}

// === impl Seen ===

impl Seen {
    fn of(link: &ChainLink) -> Self {
        let sight = link.member.sight();
        let state = sight.as_ref().map_or(InstanceState::Ready, |sight| sight.state);
        Self {
            id: link.id.clone(),
            state,
            is_stopped_by_hand: link.is_stopped_by_hand,
            since: sight.as_ref().map_or_else(Instant::now, |sight| sight.since),
            reason: sight.as_ref().and_then(|sight| sight.reason.clone()),
            brief_reason: sight.and_then(|sight| sight.brief),
        }
    }
}
