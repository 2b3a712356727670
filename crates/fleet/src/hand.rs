//! Starts and stops nodes by hand.

use std::time::{Duration, Instant};

use mainstay_model::status::InstanceState;
use mainstay_model::{Need, NodeKind};
use mainstay_store::Unavailable;
use mainstay_supervisor::breaker::ChangeWhy;
use mainstay_supervisor::graph::{GraphEvent, NodeNo, Order, StandingChange, Why};

use crate::fleet::Fleet;
use crate::member::Member;
use crate::words::MissingNeeds;

/// What stopping a node by hand leads to.
#[derive(Debug, Clone)]
pub struct Stopping {
    pub id: Need,
    /// Calls in flight when it was asked.
    pub calls: usize,
    /// The longest wait for them.
    pub drain: Duration,
    /// What depends on it, directly or through others.
    pub dependants: Vec<Need>,
}

/// Why a node can't be started or stopped by hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownNode {
    #[error("there is no server or service {name:?}")]
    Unknown { name: String, names: Vec<String> },
    #[error("{id} is only watched: Mainstay does not run it")]
    NotRun { id: Need },
    #[error("a restart would end {id}, which could not start again: {why}")]
    Missing { id: Need, why: String },
    #[error("it can't be stored that {id} was {done} by hand: {source}")]
    Unstored { id: Need, done: &'static str, source: Unavailable },
}

/// How often the calls of a server that ends are counted.
const CALLS_COUNTED_EVERY: Duration = Duration::from_millis(20);

// === impl Fleet ===

impl Fleet {
    /// What stopping a server or service would lead to.
    ///
    /// # Errors
    /// [`UnknownNode`] if there is no such server or service.
    pub fn stopping(&self, name: &str) -> Result<Stopping, UnknownNode> {
        let no = self.node_by_hand(name)?;
        let graph = self.graph.lock();
        let dependants = graph.downstream(no).into_iter().map(|no| graph.id(no).clone()).collect();
        let calls = self.member(no).map_or(0, |member| member.calls());
        Ok(Stopping { id: graph.id(no).clone(), calls, drain: self.drain(), dependants })
    }

    /// Stops a server or service by hand. It stays stopped, also after a restart of the daemon. Returns when
    /// nothing of it runs any more, the number of calls that were cut off.
    ///
    /// # Errors
    /// [`UnknownNode`] if there is no such server or service, or the wish can't be stored.
    pub async fn stop_by_hand(&self, name: &str) -> Result<usize, UnknownNode> {
        let (calls, member);
        {
            let _hand = self.hand.lock().await;
            let no = self.node_by_hand(name)?;
            member = self.member_by_hand(no, name)?;
            self.store(no, true).await?;
            calls = member.calls_counter();
            // Also one that is being restarted stays stopped.
            self.restarting.lock().remove(&no);
            self.step(no, GraphEvent::StoppedByHand);
        }
        let cut_off = self.until_ended(&member, &*calls).await;
        // Nothing runs any more that could be tried. Unless it was started again meanwhile, which closed it, too.
        if let Some(breaker) = member.breaker() {
            breaker.reset(ChangeWhy::Stopped);
        }
        Ok(cut_off)
    }

    /// Starts a server or service by hand: one that was stopped, or that waits for its next attempt. Returns when
    /// the start is under way, or waits for a need.
    ///
    /// # Errors
    /// As [`stop_by_hand`](Self::stop_by_hand).
    pub async fn start_by_hand(&self, name: &str) -> Result<(), UnknownNode> {
        let _hand = self.hand.lock().await;
        let no = self.node_by_hand(name)?;
        let member = self.member_by_hand(no, name)?;
        self.store(no, false).await?;
        let is_stopped = self.graph.lock().is_stopped_by_hand(no);
        if !is_stopped {
            if is_up(member.own_state()) {
                return Ok(());
            }
            // It waits for its next attempt, or was given up.
            self.end_for_now(no).await;
        }
        // Earlier losses are forgotten.
        self.start_afresh(no, GraphEvent::StartedByHand);
        Ok(())
    }

    /// Stops a server or service and starts it again. Returns when the start is under way, the number of calls
    /// that were cut off.
    ///
    /// # Errors
    /// As [`stop_by_hand`](Self::stop_by_hand).
    pub async fn restart_by_hand(&self, name: &str) -> Result<usize, UnknownNode> {
        self.check_restart(name)?;
        let _hand = self.hand.lock().await;
        let no = self.node_by_hand(name)?;
        let cut_off = self.end_for_now(no).await;
        self.store(no, false).await?;
        self.start_afresh(no, GraphEvent::StartedByHand);
        Ok(cut_off)
    }

    /// Whether a restart would bring a server or service back.
    ///
    /// # Errors
    /// [`UnknownNode::Missing`] if it runs without something that it needs, and would wait for that.
    pub fn check_restart(&self, name: &str) -> Result<(), UnknownNode> {
        let no = self.node_by_hand(name)?;
        let why = MissingNeeds { fleet: self.own.clone(), node: no };
        let is_running = is_up(self.member_by_hand(no, name)?.own_state());
        if !is_running || !self.lacks_need(no) || why.loading().is_some() {
            return Ok(());
        }
        // The reason locks the graph itself.
        let id = self.graph.lock().id(no).clone();
        Err(UnknownNode::Missing { id, why: why.reason() })
    }

    /// Whether a need of a node is not fulfilled.
    fn lacks_need(&self, no: NodeNo) -> bool {
        let graph = self.graph.lock();
        graph.needs(no).iter().any(|need| {
            graph.is_stopped_by_hand(*need)
                || self.member(*need).is_some_and(|member| !member.own_state().serves())
        })
    }

    /// Whether a server or service runs, or is being started.
    pub fn is_running(&self, name: &str) -> bool {
        self.number_of(name).is_some_and(|no| {
            !self.graph.lock().is_stopped_by_hand(no)
                && self.member(no).is_some_and(|member| is_up(member.own_state()))
        })
    }

    /// Ends what runs of a node, without storing that it was stopped.
    async fn end_for_now(&self, no: NodeNo) -> usize {
        let Some(member) = self.member(no) else { return 0 };
        let calls = member.calls_counter();
        self.restarting.lock().insert(no);
        self.step(no, GraphEvent::StoppedByHand);
        let cut_off = self.until_ended(&member, &*calls).await;
        self.restarting.lock().remove(&no);
        cut_off
    }

    /// Waits until nothing of a node runs that is held. Returns the number of calls that were cut off.
    async fn until_ended(
        &self,
        member: &Member,
        count: &(dyn Fn() -> usize + Send + Sync),
    ) -> usize {
        let (drain, begun) = (self.drain(), Instant::now());
        let mut calls = count();
        let ended = member.until_ended();
        tokio::pin!(ended);
        loop {
            tokio::select! {
                () = &mut ended => break,
                () = tokio::time::sleep(CALLS_COUNTED_EVERY) => {
                    // After that the calls are over, and the process may take a while to end.
                    if begun.elapsed() < drain {
                        calls = count();
                    }
                }
            }
        }
        if begun.elapsed() < drain { 0 } else { calls }
    }

    /// Lets a node run that was stopped or suspended. Earlier losses are forgotten.
    pub(crate) fn start_afresh(&self, no: NodeNo, event: GraphEvent) {
        if let Some(breaker) = self.member(no).and_then(|member| member.breaker().cloned()) {
            breaker.reset(ChangeWhy::Restarted);
        }
        let mut decisions = Vec::new();
        {
            let mut graph = self.graph.lock();
            graph.step(no, event, &mut decisions);
            self.show_on_board(&graph, no);
        }
        for StandingChange { node, standing } in decisions {
            if let (true, Order::Run, Some(member)) = (node == no, standing.order, self.member(no))
            {
                member.release(true);
            }
            self.apply(node, standing);
        }
    }

    /// What runs under a number. A node that was removed a moment ago is unknown.
    fn member_by_hand(&self, no: NodeNo, name: &str) -> Result<Member, UnknownNode> {
        let unknown = || UnknownNode::Unknown { name: name.to_owned(), names: Vec::new() };
        self.member(no).ok_or_else(unknown)
    }

    /// The number of a node that can be started and stopped, by its name, also written as `service:NAME`.
    fn node_by_hand(&self, name: &str) -> Result<NodeNo, UnknownNode> {
        let graph = self.graph.lock();
        let by_id = name.parse::<Need>().ok().and_then(|need| self.number(&need));
        let is_run =
            |no: &NodeNo| matches!(graph.id(*no).kind, NodeKind::Server | NodeKind::Service);
        match by_id.or_else(|| self.number_of(name)) {
            Some(no) if is_run(&no) => Ok(no),
            Some(no) => Err(UnknownNode::NotRun { id: graph.id(no).clone() }),
            None => {
                let names = graph.numbers().filter(is_run).map(|no| graph.id(no).name.to_string());
                Err(UnknownNode::Unknown { name: name.to_owned(), names: names.collect() })
            }
        }
    }

    async fn store(&self, no: NodeNo, is_stopped: bool) -> Result<(), UnknownNode> {
        let id = self.graph.lock().id(no).clone();
        let stored = self.by_hand.note(&id, is_stopped).await;
        let done = if is_stopped { "stopped" } else { "started" };
        stored.map_err(|source| UnknownNode::Unstored { id, done, source })
    }
}

/// Whether a node runs, or is being started.
fn is_up(state: InstanceState) -> bool {
    matches!(
        state,
        InstanceState::Starting
            | InstanceState::Handshaking
            | InstanceState::Ready
            | InstanceState::Idle
    )
}
