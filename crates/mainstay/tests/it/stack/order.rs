//! All comes up with one command, each after what it needs and without waiting for anything else.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use mainstay_admin::api::graph::{Graph, Node};

use super::members::{MEMBERS, Member};
use super::{Embedding, Plan, Stack};

/// Within a second of the moment its last need is ready; a test on a busy machine allows three.
const STARTS_WITHIN: Duration = Duration::from_secs(3);
/// From the start of a process to the moment when it is seen to be ready: all of them are within two seconds, or some
/// more on a busy machine. A probe that waits is asked every 5 s by default, and every 30 s when it is healthy.
const SEEN_WITHIN: Duration = Duration::from_secs(10);
/// What the clocks of processes and of the daemon may be apart.
const TOLERANCE: Duration = Duration::from_millis(150);

/// When a member started, and when it was ready.
struct Times {
    started: SystemTime,
    ready: SystemTime,
}

/// Their start script polled every five seconds what was checked every thirty.
#[tokio::test]
async fn t4_7_eleven_come_up_with_one_command_each_as_soon_as_its_needs_are_ready() {
    come_up(Embedding::StandIn).await;
}

pub(super) async fn come_up(embedding: Embedding) {
    let mut stack = Plan::of(embedding).start().await;
    let graph = stack.all_ready().await;
    the_file_has_the_needs_of_the_report(&graph);
    nobody_was_restarted(&stack).await;
    for member in &MEMBERS {
        let own = times(&mut stack, &graph, member);
        for need in node(&graph, member.name).needs.clone() {
            let needed = ready_since(node(&graph, need.name.as_str()));
            assert!(
                own.started + TOLERANCE >= needed,
                "{} was started before {need} was ready",
                member.name
            );
        }
        let took = own.ready.duration_since(own.started).unwrap_or_default();
        println!("{} was ready after {took:?}", member.name);
        assert!(
            embedding == Embedding::Real || took < SEEN_WITHIN,
            "{} took {took:?}",
            member.name
        );
        let needs = node(&graph, member.name).needs.iter();
        let last = needs.map(|need| ready_since(node(&graph, need.name.as_str()))).max();
        let Some(last) = last else { continue };
        let waited = own.started.duration_since(last).unwrap_or_default();
        println!("{} started {waited:?} after its last need was ready", member.name);
        assert!(waited < STARTS_WITHIN, "{} waited {waited:?} for nothing", member.name);
    }
    let (status, health) = stack.get("/health").await;
    assert_eq!((status, health["status"].as_str()), (200, Some("ok")), "{health}");
}

fn times(stack: &mut Stack, graph: &Graph, member: &Member) -> Times {
    let process = stack.process(member.name);
    let process = process.unwrap_or_else(|| panic!("no process of {}", member.name));
    let age = process.age().expect("the age of a process that runs");
    let shown = node(graph, member.name);
    assert_eq!(shown.pid, u32::try_from(process.pid).ok(), "{shown:#?}");
    Times { started: SystemTime::now() - age, ready: ready_since(shown) }
}

fn node<'a>(graph: &'a Graph, name: &str) -> &'a Node {
    graph.nodes.iter().find(|node| node.name.as_str() == name).expect("a node of the stack")
}

fn ready_since(node: &Node) -> SystemTime {
    assert!(node.state.serves(), "{node:#?}");
    node.since.parse::<Timestamp>().unwrap().into()
}

fn the_file_has_the_needs_of_the_report(graph: &Graph) {
    for member in &MEMBERS {
        let node = node(graph, member.name);
        let needs: BTreeSet<&str> = node.needs.iter().map(|need| need.name.as_str()).collect();
        let among: BTreeSet<&str> =
            needs.into_iter().filter(|need| MEMBERS.iter().any(|one| one.name == *need)).collect();
        assert_eq!(among, member.needs.iter().copied().collect(), "{}", member.name);
        for need in &node.needs {
            let layer = self::node(graph, need.name.as_str()).layer;
            assert!(layer < node.layer, "{} is not above {need}", member.name);
        }
    }
}

/// A program of the upper layers ends with an error if its database does not answer when it starts.
async fn nobody_was_restarted(stack: &Stack) {
    let status = stack.admin.status().await.unwrap();
    let services = status.services.iter().map(|service| (service.name.as_str(), service.restarts));
    let servers = status.servers.iter().map(|server| (server.name.as_str(), server.restarts));
    let restarted: Vec<_> = services.chain(servers).filter(|(_, restarts)| *restarts > 0).collect();
    assert!(restarted.is_empty(), "{restarted:?}");
}
