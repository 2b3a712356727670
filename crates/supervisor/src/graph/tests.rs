use mainstay_model::Need;
use mainstay_model::settings::OnLostNeed;
use mainstay_model::status::InstanceState::{
    self, BackingOff, CrashLooping, Done, Handshaking, Ready, Starting, Stopped, Unhealthy,
};

use super::{Graph, GraphEvent, NodeNo, NodeSpec, Order, PlanError, Standing, StandingChange};

fn need(text: &str) -> Need {
    text.parse().unwrap()
}

fn spec(line: &str) -> NodeSpec {
    let (line, on_lost_need) = match line.strip_suffix('!') {
        Some(line) => (line, OnLostNeed::Stop),
        None => (line, OnLostNeed::Keep),
    };
    let (id, needs) = line.split_once(" <- ").unwrap_or((line, ""));
    let needs = needs.split_whitespace().map(need).collect();
    NodeSpec { id: need(id), needs, on_lost_need }
}

struct World {
    graph: Graph,
    told: Vec<StandingChange>,
}

impl World {
    fn new(lines: &[&str]) -> Self {
        let graph = Graph::plan(lines.iter().map(|line| spec(line)).collect()).unwrap();
        Self { graph, told: Vec::new() }
    }

    fn no(&self, name: &str) -> NodeNo {
        self.graph.numbers().find(|no| self.graph.id(*no).name.as_str() == name).unwrap()
    }

    fn step(&mut self, name: &str, event: GraphEvent) -> String {
        self.told.clear();
        self.graph.step(self.no(name), event, &mut self.told);
        let told = self.told.iter().map(|decision| {
            format!("{}: {}", self.graph.id(decision.node).name, word(decision.standing))
        });
        told.collect::<Vec<_>>().join(", ")
    }

    fn see(&mut self, name: &str, state: InstanceState) -> String {
        self.see_run(name, state, 1)
    }

    fn see_run(&mut self, name: &str, state: InstanceState, run: u64) -> String {
        self.step(name, GraphEvent::Seen(state, run))
    }

    fn is(&self, name: &str) -> &'static str {
        word(self.graph.standing(self.no(name)))
    }

    fn chain(&self, name: &str) -> Vec<String> {
        let chain = self.graph.chain(self.no(name));
        chain.into_iter().map(|no| self.graph.id(no).to_string()).collect()
    }
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing { order: Order::Run, is_short: false, .. } => "run",
        Standing { order: Order::Run, is_short: true, .. } => "run short",
        Standing { order: Order::Wait, is_held: false, .. } => "wait",
        Standing { order: Order::Wait, is_held: true, .. } => "held",
        Standing { order: Order::Stop, .. } => "stop",
    }
}

/// A part of the stack of S4.
const STACK: [&str; 6] = [
    "service:postgres",
    "service:redis",
    "server:aidb <- service:postgres service:redis volume:data",
    "volume:data",
    "server:coordinator <- server:aidb service:redis external:cloud",
    "external:cloud",
];

#[test]
fn what_needs_nothing_runs_and_the_rest_waits_for_its_last_need() {
    let mut world = World::new(&STACK);
    assert_eq!(
        ["postgres", "redis", "aidb", "coordinator"].map(|name| world.is(name)),
        ["run", "run", "wait", "wait"]
    );
    assert_eq!(world.see("postgres", Handshaking), "");
    assert_eq!(world.see("postgres", Ready), "");
    assert_eq!(world.see("redis", Ready), "aidb: run");
    assert_eq!(world.see("aidb", Starting), "");
    assert_eq!(world.see("cloud", Ready), "");
    assert_eq!(world.see("aidb", Ready), "coordinator: run");
    assert_eq!(
        ["data", "aidb", "coordinator"].map(|name| world.graph.layer(world.no(name))),
        [0, 1, 2]
    );
}

#[test]
fn a_failed_need_holds_back_only_what_depends_on_it_and_the_reason_goes_all_the_way_down() {
    let mut world = World::new(&STACK);
    world.see("redis", Ready);
    world.see("cloud", Ready);
    assert_eq!(world.see("postgres", CrashLooping), "");
    assert_eq!(world.is("redis"), "run");
    assert_eq!(world.chain("coordinator"), ["server:aidb", "service:postgres"]);
    assert_eq!(world.chain("redis"), [""; 0]);
}

#[test]
fn losing_a_need_degrades_and_its_return_ends_that() {
    let mut world = World::new(&STACK);
    for name in ["postgres", "redis", "cloud", "aidb", "coordinator"] {
        world.see(name, Ready);
    }
    assert_eq!(world.see("postgres", BackingOff), "aidb: run short, coordinator: run short");
    assert_eq!(world.chain("coordinator"), ["server:aidb", "service:postgres"]);
    assert_eq!(world.see("postgres", Ready), "aidb: run, coordinator: run");
}

#[test]
fn who_ends_without_its_need_waits_instead_of_being_started_again_and_again() {
    let mut world = World::new(&STACK);
    for name in ["postgres", "redis", "cloud", "aidb", "coordinator"] {
        world.see(name, Ready);
    }
    world.see("redis", Unhealthy);
    assert_eq!(world.see("aidb", BackingOff), "aidb: wait");
    assert_eq!(world.see("aidb", Stopped), "");
    assert_eq!(world.is("coordinator"), "run short");
    assert_eq!(world.see("redis", Ready), "aidb: run");
    assert_eq!(world.see("aidb", Ready), "coordinator: run");
}

/// The first restart of an instance has no wait, so that its loss is not seen as a state.
#[test]
fn a_new_run_does_not_begin_without_a_need() {
    let mut world = World::new(&["service:db", "server:a <- service:db"]);
    world.see("db", Ready);
    world.see_run("a", Ready, 1);
    assert_eq!(world.see("db", Unhealthy), "a: run short");
    assert_eq!(world.see_run("a", Starting, 2), "a: wait");
    assert_eq!(world.see("db", Ready), "a: run");
}

#[test]
fn on_lost_need_stop_ends_a_node_until_its_need_is_back() {
    let mut world = World::new(&["service:db", "server:a <- service:db!", "server:b <- server:a!"]);
    for name in ["db", "a", "b"] {
        world.see(name, Ready);
    }
    assert_eq!(world.see("db", Unhealthy), "a: wait");
    assert_eq!(world.see("a", Stopped), "b: wait");
    world.see("b", Stopped);
    assert_eq!(world.see("db", Ready), "a: run");
    assert_eq!(world.see("a", Ready), "b: run");
}

#[test]
fn dependants_of_what_was_stopped_by_hand_are_held_and_not_failed() {
    let mut world = World::new(&STACK);
    world.see("redis", Ready);
    world.see("cloud", Ready);
    assert_eq!(
        world.step("postgres", GraphEvent::StoppedByHand),
        "postgres: stop, aidb: held, coordinator: held"
    );
    // Something else is missing, too: that is what an operator has to look at.
    assert_eq!(world.see("cloud", Unhealthy), "coordinator: wait");
    assert_eq!(world.see("cloud", Ready), "coordinator: held");
    assert_eq!(
        world.step("postgres", GraphEvent::StartedByHand),
        "postgres: run, aidb: wait, coordinator: wait"
    );
    assert_eq!(world.see("postgres", Ready), "aidb: run");
}

#[test]
fn a_running_dependant_of_what_was_stopped_by_hand_is_degraded_until_it_ends() {
    let mut world = World::new(&["service:db", "server:a <- service:db"]);
    world.see("db", Ready);
    world.see("a", Ready);
    assert_eq!(world.step("db", GraphEvent::StoppedByHand), "db: stop, a: run short");
    assert_eq!(world.see("a", BackingOff), "a: held");
}

#[test]
fn a_job_that_is_done_lets_others_start_and_is_not_run_again() {
    let mut world =
        World::new(&["service:initdb", "service:db <- service:initdb", "server:a <- service:db"]);
    world.see("initdb", Handshaking);
    assert_eq!(world.is("db"), "wait");
    assert_eq!(world.see("initdb", Done), "db: run");
    assert_eq!(world.see("db", Ready), "a: run");
    assert_eq!(world.is("initdb"), "run");
}

#[test]
fn a_job_that_is_done_misses_nothing() {
    let mut world = World::new(&[
        "service:db",
        "service:tables <- service:db",
        "server:a <- service:tables service:db",
    ]);
    for (name, state) in [("db", Ready), ("tables", Done), ("a", Ready)] {
        world.see(name, state);
    }
    assert_eq!(world.see("db", BackingOff), "a: run short");
    assert_eq!(world.chain("a"), ["service:db"]);
    assert_eq!(world.chain("tables"), [""; 0]);
}

#[test]
fn a_volume_that_nobody_watches_holds_nobody_up() {
    let world = World::new(&["volume:v", "server:a <- volume:v"]);
    assert_eq!(world.is("a"), "run");
}

#[test]
fn a_cycle_and_an_unknown_need_are_errors_that_name_the_way() {
    let plan = |lines: &[&str]| Graph::plan(lines.iter().map(|line| spec(line)).collect());
    let lines = [
        "server:z <- server:a",
        "server:a <- service:b",
        "service:b <- server:c",
        "server:c <- server:a",
    ];
    let error = plan(&lines).unwrap_err();
    assert_eq!(
        error.to_string(),
        "circular dependency: server:a needs service:b needs server:c needs server:a"
    );
    assert_eq!(
        plan(&["server:a <- server:a"]).unwrap_err(),
        PlanError::Cycle(vec![need("server:a")])
    );
    let unknown = plan(&["server:a <- service:b"]).unwrap_err();
    assert_eq!(unknown.to_string(), "server:a needs service:b, which does not exist");
    assert!(matches!(plan(&["server:a", "server:a"]), Err(PlanError::Twice { .. })));
}

#[test]
fn downstream_is_everything_that_depends_on_a_node_in_the_order_of_layers() {
    let world = World::new(&STACK);
    let names = |name| {
        let all = world.graph.downstream(world.no(name)).into_iter();
        all.map(|no| world.graph.id(no).name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names("redis"), ["aidb", "coordinator"]);
    assert_eq!(names("coordinator"), [""; 0]);
}
