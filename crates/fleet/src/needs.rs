//! Keeps the board of what tools may need up to date, and says what is wrong with a node.

use std::sync::Weak;
use std::time::Instant;

use mainstay_model::Need;
use mainstay_pool::{Trouble, TroubleTold};
use mainstay_supervisor::graph::{Graph, NodeNo};

use crate::fleet::Fleet;
use crate::words::Chain;

/// Says what is wrong with one node of a fleet.
#[derive(Debug)]
struct NodeTrouble {
    fleet: Weak<Fleet>,
    id: Need,
}

// === impl Fleet ===

impl Fleet {
    /// Puts a node on the board of what tools may need.
    pub(crate) fn put_on_board(&self, no: NodeNo, own: &Weak<Self>) {
        let graph = self.graph.lock();
        let id = graph.id(no).clone();
        let teller = NodeTrouble { fleet: own.clone(), id: id.clone() };
        let breaker = self.member(no).and_then(|member| member.breaker().cloned());
        self.needs.put(&id, breaker, Box::new(teller));
        self.show_on_board(&graph, no);
    }

    /// Shows on the board whether a node can be used. Called under the lock of the graph, so that the board never
    /// shows an older state last.
    pub(crate) fn show_on_board(&self, graph: &Graph, no: NodeNo) {
        self.needs.set_down(graph.id(no), !graph.is_fulfilled(no));
    }
}

// === impl NodeTrouble ===

impl Trouble for NodeTrouble {
    fn tell(&self) -> TroubleTold {
        let fleet = self.fleet.upgrade();
        let chain = fleet.as_ref().and_then(|fleet| fleet.chain_from(&self.id));
        let Some(chain) = chain else {
            let said = format!("{}, which is being replaced", self.id.name);
            return TroubleTold { state: "stopped", since: Instant::now(), said, retry_in: None };
        };
        let sight = chain.links[0].member.sight();
        TroubleTold {
            state: sight.as_ref().map_or("unwatched", |sight| sight.state.as_str()),
            since: sight.map_or_else(Instant::now, |sight| sight.since),
            said: chain.say(false),
            retry_in: chain.end().member.retry_in(),
        }
    }
}

impl Fleet {
    /// The way from a node to where its trouble is.
    fn chain_from(&self, id: &Need) -> Option<Chain> {
        let no = self.number(id)?;
        // It may have been removed a moment ago.
        Some(self.chain_of(no)).filter(|chain| !chain.links.is_empty())
    }
}
