use std::collections::BTreeSet;

use mainstay_model::{Name, Need, NodeKind};

use super::{InForce, NodeChange, NodeTask, Reload, ReloadEvent, ReloadOutcome, ReloadStep};

/// What serves, and who needs what.
#[derive(Default)]
struct World {
    serving: BTreeSet<Need>,
    needed: Option<(Need, Need)>,
}

impl InForce for World {
    fn serves(&self, node: &Need) -> bool {
        self.serving.contains(node)
    }

    fn needed_by(&self, node: &Need) -> Option<Need> {
        self.needed.as_ref().filter(|(of, _)| of == node).map(|(_, by)| by.clone())
    }
}

fn node(kind: NodeKind, name: &str) -> Need {
    Need { kind, name: Name::try_new(name).unwrap() }
}

fn server(name: &str) -> Need {
    node(NodeKind::Server, name)
}

fn task(id: &Need, change: NodeChange) -> NodeTask {
    NodeTask {
        id: id.clone(),
        change,
        needs: Vec::new(),
        had: Vec::new(),
        is_alone: false,
        runs_once: false,
    }
}

fn step(reload: &mut Reload, event: ReloadEvent, world: &World) -> Vec<ReloadStep> {
    let mut steps = Vec::new();
    reload.step(event, world, &mut steps);
    steps
}

fn outcome(reload: &Reload, id: &Need) -> Option<ReloadOutcome> {
    reload.outcomes().find(|(task, _)| task.id == *id)?.1.cloned()
}

#[test]
fn the_new_instance_is_ready_before_the_old_one_stops_taking_calls() {
    let a = server("a");
    let world = World { serving: [a.clone()].into(), ..World::default() };
    let mut reload = Reload::new(vec![task(&a, NodeChange::Renewed)], &[]);
    assert_eq!(step(&mut reload, ReloadEvent::Begin, &world), [ReloadStep::Prepare(a.clone())]);
    assert_eq!(
        step(&mut reload, ReloadEvent::Ready(a.clone()), &world),
        [ReloadStep::Switch(a.clone())]
    );
    assert_eq!(step(&mut reload, ReloadEvent::Applied(a.clone()), &world), []);
    assert!(!reload.is_over(), "the old one still has calls");
    assert_eq!(step(&mut reload, ReloadEvent::Ended(a.clone()), &world), []);
    assert_eq!(outcome(&reload, &a), Some(ReloadOutcome::Done));
}

#[test]
fn one_that_does_not_become_ready_leaves_the_old_one_in_force() {
    let a = server("a");
    let world = World { serving: [a.clone()].into(), ..World::default() };
    let mut reload = Reload::new(vec![task(&a, NodeChange::Renewed)], &[]);
    step(&mut reload, ReloadEvent::Begin, &world);
    let failed = ReloadEvent::Failed(a.clone(), "it exited with code 3".to_owned());
    assert_eq!(step(&mut reload, failed, &world), [ReloadStep::Discard(a.clone())]);
    step(&mut reload, ReloadEvent::Ended(a.clone()), &world);
    let kept = ReloadOutcome::Kept("it exited with code 3".to_owned());
    assert_eq!(outcome(&reload, &a), Some(kept));
}

#[test]
fn where_only_one_may_run_the_old_one_ends_first_and_comes_back_if_need_be() {
    let a = server("a");
    let world = World { serving: [a.clone()].into(), ..World::default() };
    let alone = NodeTask { is_alone: true, ..task(&a, NodeChange::Renewed) };
    let mut reload = Reload::new(vec![alone], &[]);
    assert_eq!(step(&mut reload, ReloadEvent::Begin, &world), [ReloadStep::Replace(a.clone())]);
    assert_eq!(step(&mut reload, ReloadEvent::Applied(a.clone()), &world), []);
    let ended = ReloadEvent::Ended(a.clone());
    assert_eq!(step(&mut reload, ended.clone(), &world), [ReloadStep::Start(a.clone())]);
    let failed = ReloadEvent::Failed(a.clone(), "no".to_owned());
    assert_eq!(step(&mut reload, failed, &world), [ReloadStep::Restore(a.clone())]);
    step(&mut reload, ReloadEvent::Applied(a.clone()), &world);
    assert_eq!(step(&mut reload, ended, &world), [ReloadStep::Start(a.clone())]);
    step(&mut reload, ReloadEvent::Ready(a.clone()), &world);
    assert_eq!(outcome(&reload, &a), Some(ReloadOutcome::Kept("no".to_owned())));
}

/// The old job would run a second time.
#[test]
fn a_job_that_fails_is_not_run_again_with_its_old_settings() {
    let a = server("a");
    let world = World { serving: [a.clone()].into(), ..World::default() };
    let job = NodeTask { is_alone: true, runs_once: true, ..task(&a, NodeChange::Renewed) };
    let mut reload = Reload::new(vec![job], &[]);
    step(&mut reload, ReloadEvent::Begin, &world);
    step(&mut reload, ReloadEvent::Applied(a.clone()), &world);
    step(&mut reload, ReloadEvent::Ended(a.clone()), &world);
    let failed = ReloadEvent::Failed(a.clone(), "no".to_owned());
    assert_eq!(step(&mut reload, failed, &world), []);
    assert_eq!(outcome(&reload, &a), Some(ReloadOutcome::NotReady("no".to_owned())));
}

#[test]
fn one_that_does_not_serve_is_replaced_at_once() {
    let a = server("a");
    let world = World::default();
    let mut reload = Reload::new(vec![task(&a, NodeChange::Renewed)], &[]);
    assert_eq!(step(&mut reload, ReloadEvent::Begin, &world), [ReloadStep::Replace(a.clone())]);
    step(&mut reload, ReloadEvent::Applied(a.clone()), &world);
    step(&mut reload, ReloadEvent::Ended(a.clone()), &world);
    step(&mut reload, ReloadEvent::Failed(a.clone(), "no".to_owned()), &world);
    assert_eq!(outcome(&reload, &a), Some(ReloadOutcome::NotReady("no".to_owned())));
}

#[test]
fn a_node_begins_when_what_it_needs_is_there_and_stays_as_it_is_when_that_fails() {
    let (a, db) = (server("a"), node(NodeKind::Service, "db"));
    for comes_up in [true, false] {
        let mut world = World { serving: [a.clone()].into(), ..World::default() };
        let needs = NodeTask { needs: vec![db.clone()], ..task(&a, NodeChange::Renewed) };
        let mut reload = Reload::new(vec![needs, task(&db, NodeChange::Added)], &[]);
        assert_eq!(step(&mut reload, ReloadEvent::Begin, &world), [ReloadStep::Add(db.clone())]);
        assert_eq!(step(&mut reload, ReloadEvent::Applied(db.clone()), &world), []);
        if comes_up {
            world.serving.insert(db.clone());
            let steps = step(&mut reload, ReloadEvent::Ready(db.clone()), &world);
            assert_eq!(steps, [ReloadStep::Prepare(a.clone())]);
        } else {
            step(&mut reload, ReloadEvent::Failed(db.clone(), "no".to_owned()), &world);
            let why = "service:db, which it needs, is not ready".to_owned();
            assert_eq!(outcome(&reload, &a), Some(ReloadOutcome::Kept(why)));
            assert!(reload.is_over());
        }
    }
}

#[test]
fn what_goes_is_removed_after_those_that_had_needed_it() {
    let (a, db) = (server("a"), node(NodeKind::Service, "db"));
    let had = vec![db.clone()];
    let world = World { serving: [a.clone(), db.clone()].into(), ..World::default() };
    let drops = NodeTask { had: had.clone(), ..task(&a, NodeChange::InPlace) };
    let mut reload = Reload::new(vec![task(&db, NodeChange::Removed), drops], &[]);
    assert_eq!(step(&mut reload, ReloadEvent::Begin, &world), [ReloadStep::Apply(a.clone())]);
    let steps = step(&mut reload, ReloadEvent::Applied(a.clone()), &world);
    assert_eq!(steps, [ReloadStep::Remove(db.clone())]);

    // One that kept its settings still needs it.
    let needed = Some((db.clone(), a.clone()));
    let world = World { needed, ..world };
    let keeps = NodeTask { had, ..task(&a, NodeChange::InPlace) };
    let mut reload = Reload::new(vec![task(&db, NodeChange::Removed), keeps], &[]);
    step(&mut reload, ReloadEvent::Begin, &world);
    step(&mut reload, ReloadEvent::Refused(a.clone(), "a cycle".to_owned()), &world);
    let why = "server:a kept its settings, and needs it".to_owned();
    assert_eq!(outcome(&reload, &db), Some(ReloadOutcome::Kept(why)));
    assert!(reload.is_over());
}

#[test]
fn a_stop_of_the_daemon_ends_what_nobody_uses_and_begins_nothing() {
    let (a, b) = (server("a"), server("b"));
    let world = World { serving: [a.clone()].into(), ..World::default() };
    let waits = NodeTask { needs: vec![a.clone()], ..task(&b, NodeChange::Added) };
    let mut reload = Reload::new(vec![task(&a, NodeChange::Renewed), waits], &[]);
    step(&mut reload, ReloadEvent::Begin, &world);
    let steps = step(&mut reload, ReloadEvent::Stop, &world);
    assert_eq!(steps, [ReloadStep::Discard(a.clone())]);
    assert_eq!(outcome(&reload, &b), Some(ReloadOutcome::Interrupted));
    assert_eq!(step(&mut reload, ReloadEvent::Ready(a.clone()), &world), []);
    step(&mut reload, ReloadEvent::Ended(a.clone()), &world);
    assert!(reload.is_over());
}

#[test]
fn one_that_is_stopped_while_its_new_instance_is_prepared_gets_its_settings_and_stays_stopped() {
    let a = server("a");
    let world = World { serving: [a.clone()].into(), ..World::default() };
    let mut reload = Reload::new(vec![task(&a, NodeChange::Renewed)], &[]);
    step(&mut reload, ReloadEvent::Begin, &world);
    let held = ReloadEvent::Held(a.clone(), "it was stopped by hand".to_owned());
    assert_eq!(step(&mut reload, held.clone(), &world), [ReloadStep::Discard(a.clone())]);
    assert_eq!(
        step(&mut reload, ReloadEvent::Ended(a.clone()), &world),
        [ReloadStep::Replace(a.clone())]
    );
    assert_eq!(step(&mut reload, ReloadEvent::Applied(a.clone()), &world), []);
    assert_eq!(
        step(&mut reload, ReloadEvent::Ended(a.clone()), &world),
        [ReloadStep::Start(a.clone())]
    );
    step(&mut reload, held, &world);
    let held = ReloadOutcome::Held("it was stopped by hand".to_owned());
    assert_eq!(outcome(&reload, &a), Some(held));
}

#[test]
fn a_node_of_another_kind_waits_for_the_one_of_its_name_that_goes() {
    let (old, new) = (node(NodeKind::Service, "n"), server("n"));
    let world = World::default();
    let tasks = vec![task(&new, NodeChange::Added), task(&old, NodeChange::Removed)];
    let mut reload = Reload::new(tasks, &[]);
    assert_eq!(step(&mut reload, ReloadEvent::Begin, &world), [ReloadStep::Remove(old.clone())]);
    assert_eq!(step(&mut reload, ReloadEvent::Applied(old.clone()), &world), []);
    assert_eq!(step(&mut reload, ReloadEvent::Ended(old), &world), [ReloadStep::Add(new)]);
}

#[test]
fn a_node_of_another_kind_is_not_added_while_the_one_of_its_name_stays() {
    let (old, new, by) = (node(NodeKind::Service, "n"), server("n"), server("by"));
    let world = World { needed: Some((old.clone(), by)), ..World::default() };
    let tasks = vec![task(&new, NodeChange::Added), task(&old, NodeChange::Removed)];
    let mut reload = Reload::new(tasks, &[]);
    assert_eq!(step(&mut reload, ReloadEvent::Begin, &world), []);
    assert!(reload.is_over());
    let kept = outcome(&reload, &new);
    assert!(
        matches!(&kept, Some(ReloadOutcome::Kept(why)) if why.contains("service:n")),
        "{kept:?}"
    );
}

#[test]
fn what_needed_a_node_finds_the_one_of_another_kind_that_takes_its_place() {
    let (old, new, by) = (node(NodeKind::Service, "n"), server("n"), server("by"));
    let world = World::default();
    let moves = NodeTask {
        had: vec![old.clone()],
        needs: vec![new.clone()],
        ..task(&by, NodeChange::InPlace)
    };
    let tasks = vec![task(&old, NodeChange::Removed), task(&new, NodeChange::Added), moves];
    let mut reload = Reload::new(tasks, &[]);
    assert_eq!(step(&mut reload, ReloadEvent::Begin, &world), [ReloadStep::Add(new.clone())]);
    assert_eq!(step(&mut reload, ReloadEvent::Applied(new.clone()), &world), []);
    assert_eq!(step(&mut reload, ReloadEvent::Ready(new), &world), [ReloadStep::Apply(by.clone())]);
    assert_eq!(step(&mut reload, ReloadEvent::Applied(by), &world), [ReloadStep::Remove(old)]);
}

#[test]
fn a_node_waits_for_what_it_needs_through_unchanged_ones() {
    // Before: u needs o needs n. After: n needs u needs o.
    let (n, u, o) = (server("n"), server("u"), server("o"));
    let gains = NodeTask { needs: vec![u.clone()], ..task(&n, NodeChange::InPlace) };
    let drops = NodeTask { had: vec![n.clone()], ..task(&o, NodeChange::InPlace) };
    let world = World::default();
    let mut reload = Reload::new(vec![gains, drops], &[(u, vec![o.clone()])]);
    assert_eq!(step(&mut reload, ReloadEvent::Begin, &world), [ReloadStep::Apply(o.clone())]);
    assert_eq!(step(&mut reload, ReloadEvent::Applied(o), &world), [ReloadStep::Apply(n)]);
}
