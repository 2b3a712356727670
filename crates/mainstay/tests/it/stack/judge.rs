//! What the daemon says while something is down, compared with what was done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mainstay_admin::api::graph::Graph;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Stack;
use super::members::{MEMBERS, dependants};

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Who says "error" while the one that it needs is down: nothing else is behind it.
const HELPLESS_WITHOUT: [(&str, &str); 2] = [("open-webui", "llama-cpp"), ("mindsdb", "postgres")];

/// One look at the daemon: the overall state before and after the graph, to know that nothing changed between.
struct Look {
    graph: Graph,
    health: String,
    breakers_are_closed: bool,
    detailed: BTreeMap<String, String>,
    graph_after: Graph,
}

/// Looks at the daemon all the time, until it is asked what was seen.
pub(super) struct Watch {
    stop: oneshot::Sender<()>,
    looks: JoinHandle<Vec<Look>>,
}

/// What was seen of a trial.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Members that were not ready, with each state and reason.
    pub(super) down: BTreeMap<String, BTreeSet<String>>,
    /// Members that were degraded, and the ends of the chains of needs that they named.
    pub(super) degraded: BTreeMap<String, BTreeSet<String>>,
}

// === impl Watch ===

impl Watch {
    pub(super) fn start(stack: &Stack) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let admin = stack.admin.clone();
        let looks = tokio::spawn(async move {
            let mut looks = Vec::new();
            loop {
                looks.push(Look::at(&admin).await);
                if stopped.try_recv().is_ok() {
                    return looks;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Self { stop, looks }
    }

    /// Ends the watch. Each look must agree with itself.
    pub(super) async fn end(self) -> Seen {
        let _ = self.stop.send(());
        let looks = self.looks.await.unwrap();
        let mut seen = Seen::default();
        println!("{} looks", looks.len());
        for look in &looks {
            look.agrees();
            seen.add(&look.graph);
        }
        seen
    }
}

// === impl Look ===

impl Look {
    async fn at(admin: &mainstay_admin::Client) -> Self {
        let graph = admin.graph().await.unwrap();
        let status = admin.status().await.unwrap();
        let graph_after = admin.graph().await.unwrap();
        let servers =
            status.servers.iter().map(|one| (one.name.to_string(), one.state.as_str().to_owned()));
        let services =
            status.services.iter().map(|one| (one.name.to_string(), one.state.as_str().to_owned()));
        let detailed = servers.chain(services).collect();
        let health = status.status.as_str().to_owned();
        let breakers_are_closed = status.tripped_breakers.is_empty();
        Self { graph, health, breakers_are_closed, detailed, graph_after }
    }

    /// The overall word, and the states in `status`, are those of the graph, unless it changed meanwhile.
    fn agrees(&self) {
        let states = |graph: &Graph| -> BTreeMap<String, String> {
            let nodes = graph.nodes.iter();
            nodes.map(|node| (node.name.to_string(), node.state.as_str().to_owned())).collect()
        };
        let (before, after) = (states(&self.graph), states(&self.graph_after));
        if before != after {
            return;
        }
        assert_eq!(before, self.detailed, "the graph and the status say different things");
        let fine = self.breakers_are_closed
            && before.values().all(|state| state == "ready" || state == "done");
        assert_eq!(self.health, if fine { "ok" } else { "degraded" }, "{before:?}");
    }
}

// === impl Seen ===

impl Seen {
    fn add(&mut self, graph: &Graph) {
        for node in &graph.nodes {
            let (name, state) = (node.name.to_string(), node.state.as_str());
            let reason = node.reason.as_deref().unwrap_or_default();
            match state {
                "ready" | "done" => {}
                "degraded" => {
                    let ends =
                        node.waiting_for.iter().map(|need| need.at_the_end().0.name.to_string());
                    self.degraded.entry(name).or_default().extend(ends);
                }
                _ => drop(self.down.entry(name).or_default().insert(format!("{state}: {reason}"))),
            }
        }
    }

    /// Checks who was said to be down or degraded, after one member was struck: nobody but that one and those that
    /// need it, each with the one that was struck as the reason.
    pub(super) fn assert_only(&self, struck: &str) {
        let dependants = dependants(struck);
        for name in self.down.keys() {
            let helpless = HELPLESS_WITHOUT.contains(&(name, struck));
            assert!(name == struck || helpless, "{name} was down as well: {self:#?}");
        }
        for (name, ends) in &self.degraded {
            assert!(dependants.contains(name.as_str()), "{name} does not need {struck}: {self:#?}");
            assert!(
                ends.iter().all(|end| end == struck),
                "{name} is degraded by others: {self:#?}"
            );
        }
    }

    /// Checks that it was seen: what was struck was down for long enough.
    pub(super) fn assert_all_of(&self, struck: &str) {
        assert!(self.down.contains_key(struck), "nobody noticed: {self:#?}");
        for name in dependants(struck) {
            let known = self.degraded.contains_key(name) || self.down.contains_key(name);
            assert!(known, "{name} needs {struck}, and did not say so: {self:#?}");
        }
    }
}

/// Whether somebody says "error" while this one is down, and maybe a moment longer.
pub(super) fn leaves_somebody_helpless(struck: &str) -> bool {
    HELPLESS_WITHOUT.iter().any(|(_, need)| *need == struck)
}

/// The numbers of all processes of the members, as the daemon says them.
pub(super) fn pids(graph: &Graph) -> BTreeMap<String, Option<u32>> {
    let members =
        graph.nodes.iter().filter(|node| MEMBERS.iter().any(|one| one.name == node.name.as_str()));
    members.map(|node| (node.name.to_string(), node.pid)).collect()
}
