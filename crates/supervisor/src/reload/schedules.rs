//! Random changes under random events, with a model of what runs: at no step is an unchanged node touched, a
//! server that served has something in force that serves, and nothing is left over at the end.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_model::{Name, Need, NodeKind};
use proptest::prelude::*;

use super::{InForce, NodeChange, NodeTask, Reload, ReloadEvent, ReloadOutcome, ReloadStep};

/// A node as the model runs it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Runs {
    /// Whether the settings in force are the new ones.
    is_new: bool,
    serves: bool,
    /// Instances that are on their way: beside, ending.
    beside: bool,
    ending: bool,
}

/// What is in force, and what it needs.
#[derive(Debug, Default)]
struct Model {
    nodes: BTreeMap<Need, Runs>,
    needs: BTreeMap<Need, Vec<Need>>,
}

/// One node of a random change, by numbers.
#[derive(Debug, Clone)]
struct Drawn {
    kind: NodeKind,
    change: Option<NodeChange>,
    serves: bool,
    is_alone: bool,
    had: Vec<usize>,
    needs: Vec<usize>,
}

impl InForce for Model {
    fn serves(&self, node: &Need) -> bool {
        self.nodes.get(node).is_some_and(|runs| runs.serves)
    }

    fn needed_by(&self, node: &Need) -> Option<Need> {
        let mut needs = self.needs.iter();
        needs.find(|(by, needs)| needs.contains(node) && *by != node).map(|(by, _)| by.clone())
    }
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let change = prop_oneof![
        1 => Just(None),
        1 => Just(Some(NodeChange::Added)),
        1 => Just(Some(NodeChange::Removed)),
        1 => Just(Some(NodeChange::InPlace)),
        3 => Just(Some(NodeChange::Renewed)),
    ];
    let kind = prop::sample::select(vec![NodeKind::Server, NodeKind::Service]);
    let needs = || prop::collection::vec(0..8_usize, 0..3);
    (kind, change, prop::bool::weighted(0.8), prop::bool::weighted(0.3), needs(), needs()).prop_map(
        |(kind, change, serves, is_alone, had, needs)| Drawn {
            kind,
            change,
            serves,
            is_alone: is_alone || kind == NodeKind::Service,
            had,
            needs,
        },
    )
}

/// Nodes need only earlier ones before the change, and only later ones after it.
fn world(drawn: &[Drawn]) -> (Model, Vec<NodeTask>) {
    let id =
        |at: usize| Need { kind: drawn[at].kind, name: Name::try_new(&format!("n{at}")).unwrap() };
    let is = |at: &usize, change| drawn[*at].change == Some(change);
    let mut model = Model::default();
    let mut tasks = Vec::new();
    for (at, one) in drawn.iter().enumerate() {
        let had = one.had.iter().filter(|it| **it < at && !is(it, NodeChange::Added));
        let had: Vec<_> = had.map(|it| id(*it)).collect();
        let needs = one.needs.iter().filter(|it| **it > at && **it < drawn.len());
        let needs: Vec<_> =
            needs.filter(|it| !is(it, NodeChange::Removed)).map(|it| id(*it)).collect();
        let Some(change) = one.change else {
            // What does not change needs nothing that goes.
            let had = one.had.iter().filter(|it| **it < at && drawn[**it].change.is_none());
            model.needs.insert(id(at), had.map(|it| id(*it)).collect());
            model.nodes.insert(id(at), Runs { serves: one.serves, ..Runs::default() });
            continue;
        };
        if change != NodeChange::Added {
            model.needs.insert(id(at), had.clone());
            model.nodes.insert(id(at), Runs { serves: one.serves, ..Runs::default() });
        }
        let had = if change == NodeChange::Added { Vec::new() } else { had };
        let needs = if change == NodeChange::Removed { Vec::new() } else { needs };
        let is_alone = one.is_alone;
        tasks.push(NodeTask { id: id(at), change, needs, had, is_alone, runs_once: false });
    }
    (model, tasks)
}

/// What may happen next, from what the driver was told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Awaited {
    Answer(ReloadStep),
    Start(Need),
    End(Need),
}

/// Carries out a change under random events.
struct Run {
    model: Model,
    tasks: BTreeMap<Need, NodeTask>,
    served: BTreeSet<Need>,
    reload: Reload,
    awaited: Vec<Awaited>,
}

impl Run {
    fn take(&mut self, event: ReloadEvent) -> Result<(), TestCaseError> {
        let mut steps = Vec::new();
        self.reload.step(event, &self.model, &mut steps);
        for step in steps {
            let (ReloadStep::Prepare(id)
            | ReloadStep::Switch(id)
            | ReloadStep::Discard(id)
            | ReloadStep::Replace(id)
            | ReloadStep::Start(id)
            | ReloadStep::Restore(id)
            | ReloadStep::Add(id)
            | ReloadStep::Apply(id)
            | ReloadStep::Remove(id)) = &step;
            prop_assert!(self.tasks.contains_key(id), "an unchanged node is touched: {:?}", step);
            match &step {
                ReloadStep::Prepare(id) => {
                    let runs = self.model.nodes.get_mut(id).unwrap();
                    prop_assert!(!std::mem::replace(&mut runs.beside, true), "{step:?} twice");
                    prop_assert!(!self.tasks[id].is_alone);
                    self.awaited.push(Awaited::Start(id.clone()));
                }
                ReloadStep::Start(id) => {
                    prop_assert!(!self.model.nodes[id].ending, "two at a time: {step:?}");
                    self.awaited.push(Awaited::Start(id.clone()));
                }
                ReloadStep::Discard(id) => {
                    self.awaited.retain(|it| *it != Awaited::Start(id.clone()));
                    self.awaited.push(Awaited::End(id.clone()));
                }
                _ => self.awaited.push(Awaited::Answer(step)),
            }
        }
        self.check()
    }

    /// Answers one thing that is awaited. `fate` decides how.
    fn answer(&mut self, which: usize, fate: u8) -> Result<(), TestCaseError> {
        if self.awaited.is_empty() {
            return Ok(());
        }
        let awaited = self.awaited.remove(which % self.awaited.len());
        match awaited {
            Awaited::Answer(step) => self.apply(&step, fate),
            Awaited::Start(id) => {
                let event = match fate {
                    0..=59 => ReloadEvent::Ready(id.clone()),
                    60..=69 => ReloadEvent::Held(id.clone(), "held".to_owned()),
                    _ => ReloadEvent::Failed(id.clone(), "failed".to_owned()),
                };
                let runs = self.model.nodes.get_mut(&id).unwrap();
                if matches!(event, ReloadEvent::Held(..)) {
                    // What is in force was stopped, too.
                    runs.serves = false;
                    self.served.remove(&id);
                } else if !runs.beside {
                    runs.serves = matches!(event, ReloadEvent::Ready(_));
                }
                self.take(event)
            }
            Awaited::End(id) => {
                if let Some(runs) = self.model.nodes.get_mut(&id) {
                    (runs.beside, runs.ending) = (false, false);
                }
                self.take(ReloadEvent::Ended(id))
            }
        }
    }

    fn apply(&mut self, step: &ReloadStep, fate: u8) -> Result<(), TestCaseError> {
        let (ReloadStep::Switch(id)
        | ReloadStep::Replace(id)
        | ReloadStep::Restore(id)
        | ReloadStep::Add(id)
        | ReloadStep::Apply(id)
        | ReloadStep::Remove(id)) = step.clone()
        else {
            unreachable!("{step:?} needs no answer")
        };
        if fate >= 95 {
            return self.take(ReloadEvent::Refused(id, "refused".to_owned()));
        }
        let new_needs = self.tasks[&id].needs.clone();
        match step {
            ReloadStep::Switch(_) => {
                let runs = self.model.nodes.get_mut(&id).unwrap();
                prop_assert!(runs.beside);
                *runs = Runs { is_new: true, serves: true, beside: false, ending: true };
                self.model.needs.insert(id.clone(), new_needs);
                self.awaited.push(Awaited::End(id.clone()));
            }
            ReloadStep::Replace(_) => {
                let runs = self.model.nodes.get_mut(&id).unwrap();
                *runs = Runs { is_new: true, serves: false, beside: false, ending: true };
                self.model.needs.insert(id.clone(), new_needs);
                self.awaited.push(Awaited::End(id.clone()));
            }
            ReloadStep::Restore(_) => {
                let runs = self.model.nodes.get_mut(&id).unwrap();
                *runs = Runs { is_new: false, serves: false, beside: false, ending: true };
                self.model.needs.insert(id.clone(), self.tasks[&id].had.clone());
                self.awaited.push(Awaited::End(id.clone()));
            }
            ReloadStep::Add(_) => {
                prop_assert!(!self.model.nodes.contains_key(&id));
                self.model.nodes.insert(id.clone(), Runs { is_new: true, ..Runs::default() });
                self.model.needs.insert(id.clone(), new_needs);
                self.awaited.push(Awaited::Start(id.clone()));
            }
            ReloadStep::Apply(_) => {
                self.model.nodes.get_mut(&id).unwrap().is_new = true;
                self.model.needs.insert(id.clone(), new_needs);
            }
            _ => {
                prop_assert!(self.model.needed_by(&id).is_none(), "{id} is needed");
                self.model.nodes.remove(&id);
                self.model.needs.remove(&id);
                self.awaited.push(Awaited::End(id.clone()));
            }
        }
        self.take(ReloadEvent::Applied(id))
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (id, task) in &self.tasks {
            let always = task.change == NodeChange::Renewed && !task.is_alone;
            if always && self.served.contains(id) {
                prop_assert!(self.model.serves(id), "{id} had something that serves");
            }
        }
        Ok(())
    }

    fn check_end(&self) -> Result<(), TestCaseError> {
        prop_assert!(self.reload.is_over());
        for (task, outcome) in self.reload.outcomes() {
            let runs = self.model.nodes.get(&task.id);
            match outcome.unwrap() {
                ReloadOutcome::Done if task.change == NodeChange::Removed => {
                    prop_assert!(runs.is_none());
                }
                ReloadOutcome::Done => prop_assert!(runs.unwrap().is_new, "{task:?}"),
                ReloadOutcome::Held(_) | ReloadOutcome::NotReady(_) => {
                    prop_assert!(!runs.unwrap().serves, "{task:?}");
                }
                ReloadOutcome::Kept(_) if task.change == NodeChange::Added => {
                    prop_assert!(runs.is_none());
                }
                ReloadOutcome::Kept(_) => prop_assert!(!runs.unwrap().is_new, "{task:?}"),
                ReloadOutcome::Interrupted => prop_assert!(false, "nobody stopped: {:?}", task),
            }
        }
        for (id, runs) in &self.model.nodes {
            prop_assert!(!runs.beside && !runs.ending, "{id} has something left");
        }
        Ok(())
    }
}

fn begin(drawn: &[Drawn]) -> Run {
    let (model, tasks) = world(drawn);
    let served = model.nodes.iter().filter(|(_, runs)| runs.serves).map(|(id, _)| id.clone());
    Run {
        served: served.collect(),
        tasks: tasks.iter().map(|task| (task.id.clone(), task.clone())).collect(),
        reload: Reload::new(tasks, &[]),
        model,
        awaited: Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn every_change_ends_with_something_in_force_and_nothing_left_over(
        drawn in prop::collection::vec(drawn(), 1..8),
        fates in prop::collection::vec((any::<usize>(), 0..100_u8), 120),
    ) {
        let mut run = begin(&drawn);
        run.take(ReloadEvent::Begin)?;
        for (which, fate) in fates {
            run.answer(which, fate)?;
        }
        prop_assert!(run.awaited.is_empty());
        run.check_end()?;
    }

    #[test]
    fn a_stop_in_the_middle_leaves_nothing_that_is_not_in_force(
        drawn in prop::collection::vec(drawn(), 1..8),
        fates in prop::collection::vec((any::<usize>(), 0..100_u8), 0..30),
        after in prop::collection::vec(any::<usize>(), 60),
    ) {
        let mut run = begin(&drawn);
        run.take(ReloadEvent::Begin)?;
        for (which, fate) in fates {
            run.answer(which, fate)?;
        }
        let mut steps = Vec::new();
        run.reload.step(ReloadEvent::Stop, &run.model, &mut steps);
        // A stop comes between steps, so nothing waits for an answer of the driver itself.
        run.awaited.retain(|it| !matches!(it, Awaited::Answer(_)));
        for step in steps {
            let ReloadStep::Discard(id) = step else {
                return Err(TestCaseError::fail(format!("{step:?} after the stop")));
            };
            run.awaited.retain(|it| *it != Awaited::Start(id.clone()));
            run.awaited.push(Awaited::End(id));
        }
        for which in after {
            run.answer(which, 0)?;
            prop_assert!(!run.awaited.iter().any(|it| matches!(it, Awaited::Answer(_))));
        }
        prop_assert!(run.reload.is_over());
        prop_assert!(run.model.nodes.values().all(|runs| !runs.beside));
    }

    #[test]
    fn any_two_configurations_lead_from_one_to_the_other_without_a_cycle_on_the_way(
        old in prop::collection::vec(placed(), 7),
        new in prop::collection::vec(placed(), 7),
        order in prop::collection::vec(any::<usize>(), 120),
    ) {
        let (before, after) = (configured(&old), configured(&new));
        let mut run = between(&before, &after);
        run.take(ReloadEvent::Begin)?;
        run.check_plan()?;
        for which in order {
            run.answer(which, 0)?;
            run.check_plan()?;
        }
        prop_assert!(run.reload.is_over(), "{:?}", run.reload);
        for (task, outcome) in run.reload.outcomes() {
            prop_assert_eq!(outcome, Some(&ReloadOutcome::Done), "{:?}", task);
        }
        let needs: BTreeMap<_, _> =
            after.into_iter().map(|(id, one)| (id, one.needs)).collect();
        prop_assert_eq!(&run.model.needs, &needs);
    }
}

/// One node of a configuration, by numbers.
#[derive(Debug, Clone)]
struct Placed {
    is_there: bool,
    kind: NodeKind,
    version: u8,
    is_alone: bool,
    /// Nodes need only those of a lower rank, so that there is no cycle.
    rank: u8,
    needs: Vec<usize>,
}

/// A node as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Configured {
    version: u8,
    is_alone: bool,
    needs: Vec<Need>,
}

fn placed() -> impl Strategy<Value = Placed> {
    let kind = prop_oneof![3 => Just(NodeKind::Server), 1 => Just(NodeKind::Service)];
    let needs = prop::collection::vec(0..7_usize, 0..4);
    (prop::bool::weighted(0.8), kind, 0..2_u8, prop::bool::weighted(0.2), any::<u8>(), needs)
        .prop_map(|(is_there, kind, version, is_alone, rank, needs)| Placed {
            is_there,
            kind,
            version,
            is_alone,
            rank,
            needs,
        })
}

fn configured(all: &[Placed]) -> BTreeMap<Need, Configured> {
    let id =
        |at: usize| Need { kind: all[at].kind, name: Name::try_new(&format!("n{at}")).unwrap() };
    let there = all.iter().enumerate().filter(|(_, one)| one.is_there);
    let node = |(at, one): (usize, &Placed)| {
        let mut needs = one.needs.clone();
        needs.retain(|it| all[*it].is_there && (all[*it].rank, *it) < (one.rank, at));
        needs.sort_unstable();
        needs.dedup();
        let needs = needs.into_iter().map(id).collect();
        (id(at), Configured { version: one.version, is_alone: one.is_alone, needs })
    };
    there.map(node).collect()
}

/// The way from one configuration, in which everything serves, to another one.
fn between(before: &BTreeMap<Need, Configured>, after: &BTreeMap<Need, Configured>) -> Run {
    let needs = |one: Option<&Configured>| one.map(|it| it.needs.clone()).unwrap_or_default();
    let (mut tasks, mut unchanged) = (Vec::new(), Vec::new());
    for id in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (before.get(id), after.get(id));
        let change = match (old, new) {
            (None, _) => NodeChange::Added,
            (_, None) => NodeChange::Removed,
            (Some(old), Some(new)) if old == new => {
                unchanged.push((id.clone(), new.needs.clone()));
                continue;
            }
            (Some(old), Some(new)) if old.version == new.version => NodeChange::InPlace,
            _ => NodeChange::Renewed,
        };
        let is_alone = old.or(new).is_some_and(|it| it.is_alone);
        tasks.push(NodeTask {
            id: id.clone(),
            change,
            needs: needs(new),
            had: needs(old),
            is_alone,
            runs_once: false,
        });
    }
    let serving = Runs { serves: true, ..Runs::default() };
    Run {
        model: Model {
            nodes: before.keys().map(|id| (id.clone(), serving)).collect(),
            needs: before.iter().map(|(id, one)| (id.clone(), one.needs.clone())).collect(),
        },
        served: BTreeSet::new(),
        tasks: tasks.iter().map(|task| (task.id.clone(), task.clone())).collect(),
        reload: Reload::new(tasks, &unchanged),
        awaited: Vec::new(),
    }
}

impl Run {
    /// What is in force is a plan: every need is there, and there is no cycle.
    fn check_plan(&self) -> Result<(), TestCaseError> {
        let mut left = self.model.needs.clone();
        for (by, needs) in &left {
            for need in needs {
                prop_assert!(self.model.nodes.contains_key(need), "{by} needs {need}");
            }
        }
        loop {
            let free: Vec<_> = left
                .iter()
                .filter(|(_, needs)| needs.is_empty())
                .map(|(id, _)| id.clone())
                .collect();
            if free.is_empty() {
                break;
            }
            left.retain(|id, _| !free.contains(id));
            left.values_mut().for_each(|needs| needs.retain(|need| !free.contains(need)));
        }
        prop_assert!(left.is_empty(), "a cycle: {left:?}");
        Ok(())
    }
}
