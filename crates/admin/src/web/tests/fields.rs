//! What was answered before there was a description is answered still: scripts read it.

use std::collections::BTreeSet;

use mainstay_model::InstanceId;
use mainstay_model::resource::{LimitKind, LimitStatus, LimitedBy};

use super::*;
use crate::api::limits::Limit;
use crate::api::servers::{Instance, MissingItems};
use crate::api::status::{Endpoint, MergedList, RenamedItem};

/// A daemon of which everything is known.
struct Full;

impl Source for Full {
    fn status(&self, view: View) -> DaemonStatus {
        let some = || Some("text".to_owned());
        let instance = Instance {
            id: InstanceId(1),
            state: InstanceState::Ready,
            pid: Some(8),
            calls: 0,
            restarts: 0,
            uptime_ms: 1,
            memory_bytes: Some(1),
            limits: vec![limit()],
            asks: vec!["roots".to_owned()],
            only_for: some(),
        };
        let server = Server {
            reason: some(),
            last_output: vec!["text".to_owned()],
            note: some(),
            missing: vec![MissingItems {
                list: "tools".to_owned(),
                why: "text".to_owned(),
                items: vec!["text".to_owned()],
            }],
            retry_in_ms: Some(1),
            transport: some(),
            revision: some(),
            second_revision: some(),
            instances: vec![instance],
            waiting_for: node("db", View::Operator).waiting_for,
            probe: Some(probe(some())),
            breaker: Some(breaker()),
            refused_tools: vec![refused_tools()],
            ..server("time", InstanceState::Ready)
        };
        let mut status = Fake(Health::Loading).status(view);
        status.sessions.unstored = some();
        status.endpoints = vec![Endpoint {
            path: "/mcp".to_owned(),
            servers: vec![server.name.clone()],
            listens: 0,
            streams: 0,
            lists: vec![MergedList {
                list: "tools".to_owned(),
                items: 2,
                bytes: 100,
                renamed: 1,
                refused_names: 0,
            }],
            renamed: vec![RenamedItem {
                list: "tools".to_owned(),
                server: server.name.clone(),
                own: "a/b".to_owned(),
                published: "a_b".to_owned(),
            }],
        }];
        status.servers.push(server);
        status.services = vec![Service {
            reason: some(),
            last_output: vec!["text".to_owned()],
            retry_in_ms: Some(1),
            pid: Some(8),
            memory_bytes: Some(1),
            limits: vec![limit()],
            probe: Some(probe(some())),
            breaker: Some(breaker()),
            waiting_for: node("db", View::Operator).waiting_for,
            ..service("db", InstanceState::Ready)
        }];
        status
    }

    fn graph(&self, _: View) -> Graph {
        Graph { nodes: vec![node("db", View::Operator)] }
    }

    fn services(&self, view: View) -> Vec<Service> {
        self.status(view).services
    }

    fn breakers(&self, _: View) -> Vec<CircuitBreaker> {
        vec![breaker()]
    }

    fn sessions(&self) -> Vec<Session> {
        vec![session()]
    }

    fn metrics(&self) -> String {
        String::new()
    }

    fn pool(&self, _: &str) -> Option<PoolNumbers> {
        Some(PoolNumbers::default())
    }
}

fn limit() -> Limit {
    let (kind, by) = (LimitKind::Cpus, Some(LimitedBy::CgroupV1));
    let note = Some("text".to_owned());
    LimitStatus { kind, max: 500, used: Some(480), hits: 1, by, note }.into()
}

/// Every member of an answer as `path.to.member`, with `[]` for the items of a list.
fn members(value: &Value, at: &str, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                members(value, &at, all);
                all.insert(at);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| members(item, &format!("{at}[]"), all)),
        _ => {}
    }
}

const SESSIONS: &str = "active calls listens max streams unstored";
const SESSION: &str = "age_ms calls endpoint idle_ms number revision streams user";
const POOL: &str = "active idle maxPoolSize minPoolSize total";
const POOLS: &str = "active idle max maxPoolSize minPoolSize status total utilization";
const SERVER: &str = "breaker calls instances kind last_output memory_bytes missing missing[].items missing[].list missing[].why \
     name needs note probe prompts reason refused_tools required resources restarts \
     retry_in_ms revision second_revision since state stopped_by_hand stray_lines target tools transport waiting waiting_for";
const SERVICE: &str = "been_ready breaker kind last_output limits memory_bytes name needs pid probe reason required \
     restarts retry_in_ms since state stopped_by_hand target waiting_for";
const BREAKER: &str = "enabled failures failures_max failures_total kind last_error last_error_ago_ms name \
     next_trial_in_ms recovery_ms since state trial_under_way";
const REFUSED: &str = "need patterns reason retry_in_ms since state tools";
const BLOCKER: &str = "cause cause.need cause.reason cause.state cause.stopped_by_hand need reason since state stopped_by_hand";
const PROBE: &str = "at detail failures kind outcome";
const NODE: &str = "breaker kind layer name needs pid probe reason refused_tools required retry_in_ms since state \
     stopped_by_hand tool_needs tool_needs[].needs tool_needs[].pattern waiting_for";
const INSTANCE: &str = "asks calls id limits memory_bytes only_for pid restarts state uptime_ms";
const LIMIT: &str = "limit limits_by max note reached used";
const STATUS: &str = "call_timeout_max_ms circuit_breakers circuit_breakers.store connection_pool dependencies endpoints \
     endpoints[].listens endpoints[].lists endpoints[].lists[].bytes endpoints[].lists[].items \
     endpoints[].lists[].list endpoints[].lists[].refused_names endpoints[].lists[].renamed endpoints[].path \
     endpoints[].renamed endpoints[].renamed[].list endpoints[].renamed[].own \
     endpoints[].renamed[].published endpoints[].renamed[].server endpoints[].servers \
     endpoints[].streams listen memory_usage \
     memory_usage.budgets memory_usage.budgets.whole memory_usage.budgets.whole.max_bytes \
     memory_usage.budgets.whole.refusals memory_usage.budgets.whole.used_bytes \
     memory_usage.limit_bytes memory_usage.resident_bytes memory_usage.servers_bytes memory_usage.usage_bytes notifications notifications[].failing_since \
     notifications[].reason notifications[].section notifications[].target pid servers services sessions \
     state_dir status tripped_breakers uptime_ms version volumes config_file mcp_url configuration \
     configuration.file configuration.read_at configuration.is_changed configuration.is_wrong configuration.reload \
     configuration.current configuration.last configuration.last_change";
const HEALTH: &str = "circuit_breakers circuit_breakers.store status version waiting_for";

#[tokio::test]
async fn each_answer_has_the_members_that_it_always_had() {
    let below = |at: &str, names: &str| {
        names.split_whitespace().map(|name| format!("{at}{name}")).collect::<BTreeSet<_>>()
    };
    let needing = |at: &str| {
        let probe =
            &below(&format!("{at}probe."), PROBE) | &below(&format!("{at}breaker."), BREAKER);
        &below(&format!("{at}waiting_for[]."), BLOCKER) | &probe
    };
    let limits = |at: &str| below(&format!("{at}limits[]."), LIMIT);
    let servers = || {
        let at = "servers[].instances[].";
        let instances = &below(at, INSTANCE) | &limits(at);
        let refused = below("servers[].refused_tools[].", REFUSED);
        &(&(&below("servers[].", SERVER) | &instances) | &refused) | &needing("servers[].")
    };
    let services =
        || &(&below("services[].", SERVICE) | &limits("services[].")) | &needing("services[].");
    let status = || {
        let parts = &below("sessions.", SESSIONS) | &below("connection_pool.", POOLS);
        let parts = &parts | &below("tripped_breakers[].", BREAKER);
        &(&(&below("", STATUS) | &servers()) | &services()) | &parts
    };
    let each = below("active_sessions[].", SESSION);
    let sessions = &(&below("", SESSIONS) | &below("", "active_sessions")) | &each;
    let scene = Scene::of(Arc::new(Full));
    for (path, expected) in [
        ("/api/status", status()),
        ("/health/detailed", status()),
        ("/api/servers", &below("", "servers") | &servers()),
        ("/api/services", &below("", "services") | &services()),
        ("/api/graph", {
            let refused = below("nodes[].refused_tools[].", REFUSED);
            let nodes = &(&below("nodes[].", NODE) | &needing("nodes[].")) | &refused;
            &below("", "nodes") | &nodes
        }),
        (
            "/api/configuration",
            below("", "file read_at is_changed is_wrong reload current last last_change"),
        ),
        ("/api/sessions", sessions),
        ("/api/breakers", &below("", "breakers") | &below("breakers[].", BREAKER)),
        ("/stats/pool", below("", POOL)),
        ("/stats/pool?server=time", below("", POOL)),
        ("/health", below("", HEALTH)),
        ("/health/ready", below("", HEALTH)),
        ("/health/live", below("", HEALTH)),
    ] {
        let mut found = BTreeSet::new();
        members(&scene.get(NEAR, path).await.1, "", &mut found);
        assert_eq!(found, expected, "{path}");
    }
}
