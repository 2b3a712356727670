//! Changes the nodes of a graph while they run.

use std::collections::{HashMap, HashSet};

use mainstay_model::Need;

use super::{Graph, Node, NodeNo, NodeSpec, PlanError, StandingChange, plan};

impl Graph {
    /// Takes over other nodes and needs. Nodes that stay keep their number, their state and what was done to them
    /// by hand. Appends the standing of nodes that are new and of those whose standing changed, those that are
    /// needed first.
    ///
    /// # Errors
    /// [`PlanError`] if a need is unknown, a name is used twice, or there is a cycle. Nothing has changed then.
    pub fn replan(
        &mut self,
        specs: Vec<NodeSpec>,
        decisions: &mut Vec<StandingChange>,
    ) -> Result<(), PlanError> {
        let planned = plan::nodes(specs)?;
        let known: HashMap<Need, NodeNo> =
            self.order.iter().map(|no| (self.id(*no).clone(), *no)).collect();
        let taken: HashSet<NodeNo> = self.order.iter().copied().collect();
        let mut free = (0..).map(NodeNo).filter(|no| !taken.contains(no));
        let mut number = |node: &Node| known.get(&node.id).copied().or_else(|| free.next());
        let numbers: Vec<NodeNo> = planned.iter().filter_map(&mut number).collect();
        let mut order = Vec::with_capacity(planned.len());
        let mut fresh = HashSet::new();
        for (mut node, no) in planned.into_iter().zip(&numbers) {
            let renumber = |old: &mut Vec<NodeNo>| {
                old.iter_mut().for_each(|no| *no = numbers[no.0]);
            };
            renumber(&mut node.needs);
            renumber(&mut node.dependants);
            if known.contains_key(&node.id) {
                let old = self.node(*no);
                (node.state, node.run) = (old.state, old.run);
                (node.began_complete, node.stopped_by_hand) =
                    (old.began_complete, old.stopped_by_hand);
                node.is_suspended = old.is_suspended;
                node.standing = old.standing;
            } else {
                fresh.insert(*no);
            }
            match self.nodes.get_mut(no.0) {
                Some(place) => *place = node,
                None => self.nodes.push(node),
            }
            order.push(*no);
        }
        self.order = order;
        let mut by_layer = self.order.clone();
        by_layer.sort_by_key(|no| self.node(*no).layer);
        for no in by_layer {
            let standing = self.standing_of(no);
            if standing != self.node(no).standing || fresh.contains(&no) {
                self.nodes[no.0].standing = standing;
                decisions.push(StandingChange { node: no, standing });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mainstay_model::settings::OnLostNeed;
    use mainstay_model::status::InstanceState;
    use mainstay_model::{Name, Need, NodeKind};

    use super::super::{Graph, GraphEvent, NodeSpec, Order, PlanError};

    fn id(name: &str) -> Need {
        Need { kind: NodeKind::Server, name: Name::try_new(name).unwrap() }
    }

    fn spec(name: &str, needs: &[&str]) -> NodeSpec {
        let needs = needs.iter().map(|need| id(need)).collect();
        NodeSpec { id: id(name), needs, on_lost_need: OnLostNeed::Keep }
    }

    fn order(graph: &Graph, name: &str) -> Order {
        let no = graph.numbers().find(|no| *graph.id(*no) == id(name)).unwrap();
        graph.standing(no).order
    }

    #[test]
    fn nodes_that_stay_keep_their_state_and_others_come_and_go() {
        let mut graph = Graph::plan(vec![spec("a", &[]), spec("b", &["a"])]).unwrap();
        let (a, b) = (graph.numbers().next().unwrap(), graph.numbers().nth(1).unwrap());
        let mut decisions = Vec::new();
        graph.step(a, GraphEvent::Seen(InstanceState::Ready, 1), &mut decisions);
        graph.step(b, GraphEvent::Seen(InstanceState::Ready, 1), &mut decisions);
        decisions.clear();

        // An unchanged graph decides nothing.
        graph.replan(vec![spec("a", &[]), spec("b", &["a"])], &mut decisions).unwrap();
        assert_eq!(decisions, []);

        // One is added, and the one that runs needs it from now on: it runs on without it.
        let more = vec![spec("c", &[]), spec("a", &[]), spec("b", &["a", "c"])];
        graph.replan(more, &mut decisions).unwrap();
        let told: Vec<_> = decisions.iter().map(|it| graph.id(it.node).to_string()).collect();
        assert_eq!(told, ["server:c", "server:b"]);
        assert_eq!(order(&graph, "b"), Order::Run);
        assert!(graph.standing(b).is_short);
        assert_eq!(graph.seen(a), (InstanceState::Ready, 1));

        // A cycle changes nothing.
        let cycle = vec![spec("a", &["b"]), spec("b", &["a"])];
        let refused = graph.replan(cycle, &mut decisions);
        assert!(matches!(refused, Err(PlanError::Cycle(_))), "{refused:?}");
        assert_eq!(graph.numbers().count(), 3);

        // One that goes leaves its number to another one.
        decisions.clear();
        graph.replan(vec![spec("b", &["c"]), spec("c", &[])], &mut decisions).unwrap();
        graph.replan(vec![spec("b", &["d"]), spec("d", &[])], &mut decisions).unwrap();
        let d = graph.numbers().nth(1).unwrap();
        assert_eq!(d, a);
        assert_eq!(graph.seen(d), (InstanceState::Stopped, 0));
        assert_eq!(graph.dependants(d), [b]);
    }

    #[test]
    fn a_node_that_is_replaced_began_with_what_it_needs_now() {
        let mut graph = Graph::plan(vec![spec("a", &[]), spec("b", &["a"])]).unwrap();
        let numbers: Vec<_> = graph.numbers().collect();
        let (a, b) = (numbers[0], numbers[1]);
        let mut decisions = Vec::new();
        graph.step(b, GraphEvent::Seen(InstanceState::Ready, 1), &mut decisions);
        assert_eq!(order(&graph, "b"), Order::Wait, "it began without its need");
        graph.step(a, GraphEvent::Seen(InstanceState::Ready, 1), &mut decisions);
        graph.step(b, GraphEvent::Replaced(InstanceState::Ready, 1), &mut decisions);
        graph.step(a, GraphEvent::Seen(InstanceState::BackingOff, 1), &mut decisions);
        assert_eq!(order(&graph, "b"), Order::Run);
    }
}
