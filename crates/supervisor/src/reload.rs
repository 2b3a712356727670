//! Carries out a change of the configuration, node by node: what starts, what is put in force, what ends, and
//! what keeps its settings because the new ones do not work.
//!
//! ```text
//!                           serves, and two instances may run       Ready            Applied        Ended
//!              ┌──────────────────────────────────────▶ Preparing ───────▶ Switching ───────▶ Retiring ─────▶ Over
//!              │                                            │ Failed   (Held: Stepping, then Replacing)
//!              │                                            ▼
//!   Waiting ───┤ renewed                               Discarding ────────────────────────────────────────▶ Over: kept
//!              │            does not serve, or only one may run
//!              ├───────────▶ Replacing ──▶ EndingOld ──▶ Starting ───────────────────────────────────────▶ Over
//!              │                                            │ Failed, and the old one had served
//!              │                                            ▼
//!              │                                        Restoring ──▶ EndingNew ──▶ Returning ────────────▶ Over: kept
//!              │ added                  ──▶ Adding ──▶ Starting ──▶ Over
//!              │ changed in place       ──▶ Applying ──▶ Over
//!              └ removed                ──▶ Removing ──▶ EndingLast ──▶ Over
//! ```
//!
//! A node begins when everything in the change that it needs is settled, also what it needs through others: so a
//! new instance finds what it needs, and what is in force never has a cycle on the way. What goes is removed when
//! nothing that had needed it is left with calls in flight. What is added waits for a node of another kind and the
//! same name that goes, unless that one waits for it. Nodes that the change does not name are never touched.

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use mainstay_model::Need;

/// What happens to one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTask {
    pub id: Need,
    pub change: NodeChange,
    /// What it needs after the change.
    pub needs: Vec<Need>,
    /// What it needed before the change.
    pub had: Vec<Need>,
    /// Whether the old and the new instance must not run at the same time.
    pub is_alone: bool,
    /// Whether it is a job. One that fails with its new settings is not run again with the old ones.
    pub runs_once: bool,
}

/// How a node changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeChange {
    Added,
    Removed,
    /// New settings for what runs.
    InPlace,
    /// A new instance with the new settings takes the place of the old one.
    Renewed,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadEvent {
    Begin,
    /// The settings that a step was to put in force are in force.
    Applied(Need),
    /// They can't be put in force, for this reason. Nothing has changed.
    Refused(Need, String),
    /// The instance that was to start is ready.
    Ready(Need),
    /// It is not started: it waits for a need, or was stopped by hand.
    Held(Need, String),
    /// It did not become ready.
    Failed(Need, String),
    /// Nothing is left of what was to end.
    Ended(Need),
    /// The daemon stops, and ends everything that is in force.
    Stop,
}

/// What the driver must do. It answers the steps that put settings in force with [`ReloadEvent::Applied`] or
/// [`ReloadEvent::Refused`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadStep {
    /// Start a new instance that nobody uses yet, beside the old one.
    Prepare(Need),
    /// Put the prepared instance in force, and end the old one when its calls have finished.
    Switch(Need),
    /// End the prepared instance, or the new one that was not put in force.
    Discard(Need),
    /// Put the new settings in force, start nothing yet, and end the old instance when its calls have finished.
    Replace(Need),
    /// Start what is in force.
    Start(Need),
    /// Put the old settings in force again, start nothing yet, and end the new instance.
    Restore(Need),
    /// Put a new node in force and start it.
    Add(Need),
    /// Put new settings in force for what runs.
    Apply(Need),
    /// Take a node out of force, and end it when its calls have finished.
    Remove(Need),
}

/// How the change of a node has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// The new settings are in force, and it works with them as far as it is to run.
    Done,
    /// The new settings are in force, and it is not started for this reason.
    Held(String),
    /// The new settings are in force, and it is not ready for this reason.
    NotReady(String),
    /// The old settings are in force for this reason.
    Kept(String),
    /// The daemon stopped before.
    Interrupted,
}

/// The nodes that are in force, as they are now.
pub trait InForce {
    /// Whether a node does what it is there for. True for what is not watched.
    fn serves(&self, node: &Need) -> bool;

    /// A node in force that needs this one, if there is one.
    fn needed_by(&self, node: &Need) -> Option<Need>;
}

/// A change of the configuration that is being carried out.
#[derive(Debug, Clone)]
pub struct Reload {
    nodes: Vec<Changing>,
    is_stopped: bool,
}

#[derive(Debug, Clone)]
struct Changing {
    task: NodeTask,
    /// What it needs after the change, also through others.
    follows: BTreeSet<Need>,
    phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Waiting,
    Preparing,
    Switching,
    Retiring,
    /// A prepared instance ends. The reason why the old one stays; none when the daemon stops.
    Discarding(Option<String>),
    /// A prepared instance ends because the node was stopped meanwhile, or waits. The new settings follow.
    Stepping,
    /// `restores`: the old settings come back if the new ones do not work.
    Replacing {
        restores: bool,
    },
    EndingOld {
        restores: bool,
    },
    Starting {
        restores: bool,
    },
    Restoring(String),
    EndingNew(String),
    Returning(String),
    Adding,
    Applying,
    Removing,
    EndingLast,
    Over(ReloadOutcome),
}

// === impl Reload ===

impl Reload {
    /// A change of these nodes. `after`: all nodes after the change, with what they need.
    pub fn new(tasks: Vec<NodeTask>, after: &[(Need, Vec<Need>)]) -> Self {
        let after = after.iter().map(|(id, needs)| (id, needs));
        let all: BTreeMap<&Need, &Vec<Need>> =
            tasks.iter().map(|task| (&task.id, &task.needs)).chain(after).collect();
        let follows: Vec<_> = tasks.iter().map(|task| reached(&task.needs, &all)).collect();
        let nodes = tasks.into_iter().zip(follows);
        let nodes = nodes.map(|(task, follows)| Changing { task, follows, phase: Phase::Waiting });
        Self { nodes: nodes.collect(), is_stopped: false }
    }

    /// Takes one step and appends what the driver must do, in this order.
    pub fn step(&mut self, event: ReloadEvent, now: &dyn InForce, steps: &mut Vec<ReloadStep>) {
        match event {
            ReloadEvent::Begin => {}
            ReloadEvent::Stop => return self.stop(steps),
            ReloadEvent::Applied(id)
            | ReloadEvent::Refused(id, _)
            | ReloadEvent::Ready(id)
            | ReloadEvent::Held(id, _)
            | ReloadEvent::Failed(id, _)
            | ReloadEvent::Ended(id)
                if !self.nodes.iter().any(|node| node.task.id == id) => {}
            event => self.hear(&event, steps),
        }
        if !self.is_stopped {
            self.begin_what_may(now, steps);
        }
    }

    /// Whether nothing is left to do.
    pub fn is_over(&self) -> bool {
        self.nodes.iter().all(|node| matches!(node.phase, Phase::Over(_)))
    }

    /// Whether the daemon stops.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// How the change of each node has ended. `None`: it is under way.
    pub fn outcomes(&self) -> impl Iterator<Item = (&NodeTask, Option<&ReloadOutcome>)> {
        self.nodes.iter().map(|node| {
            let outcome = match &node.phase {
                Phase::Over(outcome) => Some(outcome),
                _ => None,
            };
            (&node.task, outcome)
        })
    }

    /// What is being done about each node that is under way.
    pub fn under_way(&self) -> impl Iterator<Item = (&NodeTask, &'static str)> {
        self.nodes.iter().filter_map(|node| Some((&node.task, node.phase.word()?)))
    }

    fn hear(&mut self, event: &ReloadEvent, steps: &mut Vec<ReloadStep>) {
        let (id, news) = match event {
            ReloadEvent::Applied(id) => (id, News::Applied),
            ReloadEvent::Refused(id, why) => (id, News::Refused(why)),
            ReloadEvent::Ready(id) => (id, News::Ready),
            ReloadEvent::Held(id, why) => (id, News::Held(why)),
            ReloadEvent::Failed(id, why) => (id, News::Failed(why)),
            ReloadEvent::Ended(id) => (id, News::Ended),
            ReloadEvent::Begin | ReloadEvent::Stop => return,
        };
        if let Some(node) = self.nodes.iter_mut().find(|node| node.task.id == *id) {
            node.hear(news, steps);
        }
    }

    /// Begins everything whose turn has come. One that is kept at once may be what another one has waited for.
    fn begin_what_may(&mut self, now: &dyn InForce, steps: &mut Vec<ReloadStep>) {
        while let Some(at) = self.next() {
            if let Some(namesake) = self.namesake_left(at) {
                let why = format!("{namesake}, which has the same name, is still in force");
                self.nodes[at].phase = Phase::Over(ReloadOutcome::Kept(why));
            } else {
                self.nodes[at].begin(now, steps);
            }
        }
    }

    /// A node whose turn has come.
    fn next(&self) -> Option<usize> {
        let waits = |at: &usize| self.nodes[*at].phase == Phase::Waiting;
        let mut waiting = (0..self.nodes.len()).filter(waits);
        let free = waiting.find(|at| self.finds_its_needs(*at) && !self.has_namesake(*at));
        let is_under_way =
            self.nodes.iter().any(|node| !matches!(node.phase, Phase::Waiting | Phase::Over(_)));
        if free.is_some() || is_under_way {
            return free;
        }
        // What is left waits for each other: what is to take the place of a node of the same name comes first.
        (0..self.nodes.len()).filter(waits).find(|at| self.finds_its_needs(*at))
    }

    /// Whether nothing that a node needs, or that needs it, is in the way.
    fn finds_its_needs(&self, at: usize) -> bool {
        let Changing { task, follows, .. } = &self.nodes[at];
        let mut others = self.nodes.iter().filter(|other| other.task.id != task.id);
        match task.change {
            NodeChange::Removed => others.all(|other| {
                !other.task.had.contains(&task.id) || matches!(other.phase, Phase::Over(_))
            }),
            NodeChange::Added | NodeChange::InPlace | NodeChange::Renewed => {
                others.all(|other| !follows.contains(&other.task.id) || other.phase.is_settled())
            }
        }
    }

    /// Whether a node is added, and one of the same name has not gone yet.
    fn has_namesake(&self, at: usize) -> bool {
        self.namesakes(at).any(|other| !matches!(other.phase, Phase::Over(_)))
    }

    /// The node of the same name that stays in force although another one was to take its place.
    fn namesake_left(&self, at: usize) -> Option<&Need> {
        let kept = |other: &&Changing| matches!(other.phase, Phase::Over(ReloadOutcome::Kept(_)));
        self.namesakes(at).find(kept).map(|other| &other.task.id)
    }

    /// The nodes that go, for a node of the same name and another kind that is added.
    fn namesakes(&self, at: usize) -> impl Iterator<Item = &Changing> {
        let task = &self.nodes[at].task;
        self.nodes.iter().filter(move |other| {
            task.change == NodeChange::Added
                && other.task.change == NodeChange::Removed
                && other.task.id.name == task.id.name
        })
    }

    fn stop(&mut self, steps: &mut Vec<ReloadStep>) {
        self.is_stopped = true;
        for Changing { task, phase, .. } in &mut self.nodes {
            *phase = match std::mem::replace(phase, Phase::Waiting) {
                Phase::Preparing | Phase::Switching => {
                    steps.push(ReloadStep::Discard(task.id.clone()));
                    Phase::Discarding(None)
                }
                Phase::Stepping => Phase::Discarding(None),
                Phase::Discarding(why) => Phase::Discarding(why),
                Phase::Over(outcome) => Phase::Over(outcome),
                _ => Phase::Over(ReloadOutcome::Interrupted),
            };
        }
    }
}

/// An event of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News<'a> {
    Applied,
    Refused(&'a str),
    Ready,
    Held(&'a str),
    Failed(&'a str),
    Ended,
}

// === impl Changing ===

impl Changing {
    fn begin(&mut self, now: &dyn InForce, steps: &mut Vec<ReloadStep>) {
        let id = self.task.id.clone();
        let (step, phase) = match self.task.change {
            NodeChange::Added => (ReloadStep::Add(id), Phase::Adding),
            NodeChange::InPlace => (ReloadStep::Apply(id), Phase::Applying),
            NodeChange::Removed => match now.needed_by(&id) {
                None => (ReloadStep::Remove(id), Phase::Removing),
                Some(by) => {
                    let why = format!("{by} kept its settings, and needs it");
                    self.phase = Phase::Over(ReloadOutcome::Kept(why));
                    return;
                }
            },
            NodeChange::Renewed => {
                let serves = now.serves(&id);
                let missing = self.task.needs.iter().find(|need| !now.serves(need));
                match (serves, missing) {
                    (true, Some(need)) => {
                        let why = format!("{need}, which it needs, is not ready");
                        self.phase = Phase::Over(ReloadOutcome::Kept(why));
                        return;
                    }
                    (true, None) if !self.task.is_alone => {
                        (ReloadStep::Prepare(id), Phase::Preparing)
                    }
                    (serves, _) => {
                        let restores = serves && !self.task.runs_once;
                        (ReloadStep::Replace(id), Phase::Replacing { restores })
                    }
                }
            }
        };
        steps.push(step);
        self.phase = phase;
    }

    /// The transition table.
    fn hear(&mut self, news: News<'_>, steps: &mut Vec<ReloadStep>) {
        let id = || self.task.id.clone();
        let over = |outcome| Phase::Over(outcome);
        let next = match (&self.phase, news) {
            // ## Beside the old one
            (Phase::Preparing, News::Ready) => {
                steps.push(ReloadStep::Switch(id()));
                Phase::Switching
            }
            (Phase::Preparing, News::Held(_)) => {
                steps.push(ReloadStep::Discard(id()));
                Phase::Stepping
            }
            (Phase::Stepping, News::Ended) => {
                steps.push(ReloadStep::Replace(id()));
                Phase::Replacing { restores: false }
            }
            (Phase::Preparing, News::Failed(why)) | (Phase::Switching, News::Refused(why)) => {
                steps.push(ReloadStep::Discard(id()));
                Phase::Discarding(Some(why.to_owned()))
            }
            (Phase::Switching, News::Applied) => Phase::Retiring,
            (Phase::Retiring, News::Ended) => over(ReloadOutcome::Done),
            (Phase::Discarding(Some(why)), News::Ended) => over(ReloadOutcome::Kept(why.clone())),
            (Phase::Discarding(None), News::Ended) => over(ReloadOutcome::Interrupted),

            // ## After the old one
            (Phase::Replacing { restores }, News::Applied) => {
                Phase::EndingOld { restores: *restores }
            }
            (
                Phase::Replacing { .. } | Phase::Adding | Phase::Applying | Phase::Removing,
                News::Refused(why),
            ) => over(ReloadOutcome::Kept(why.to_owned())),
            (Phase::EndingOld { restores }, News::Ended) => {
                steps.push(ReloadStep::Start(id()));
                Phase::Starting { restores: *restores }
            }
            (Phase::Starting { .. }, News::Ready) => over(ReloadOutcome::Done),
            (Phase::Starting { .. }, News::Held(why)) => over(ReloadOutcome::Held(why.to_owned())),
            (Phase::Starting { restores: false }, News::Failed(why)) => {
                over(ReloadOutcome::NotReady(why.to_owned()))
            }

            // ## Back to the old settings
            (Phase::Starting { restores: true }, News::Failed(why)) => {
                steps.push(ReloadStep::Restore(id()));
                Phase::Restoring(why.to_owned())
            }
            (Phase::Restoring(why), News::Applied) => Phase::EndingNew(why.clone()),
            (Phase::Restoring(why), News::Refused(_)) => over(ReloadOutcome::NotReady(why.clone())),
            (Phase::EndingNew(why), News::Ended) => {
                steps.push(ReloadStep::Start(id()));
                Phase::Returning(why.clone())
            }
            (Phase::Returning(why), News::Ready | News::Held(_)) => {
                over(ReloadOutcome::Kept(why.clone()))
            }
            (Phase::Returning(why), News::Failed(again)) => {
                let both =
                    format!("{why}; with its old settings, which are in force again: {again}");
                over(ReloadOutcome::Kept(both))
            }

            // ## Added, in place, removed
            (Phase::Adding, News::Applied) => Phase::Starting { restores: false },
            (Phase::Applying, News::Applied) => over(ReloadOutcome::Done),
            (Phase::Removing, News::Applied) => Phase::EndingLast,
            (Phase::EndingLast, News::Ended) => over(ReloadOutcome::Done),

            // What comes too late.
            _ => return,
        };
        self.phase = next;
    }
}

/// All nodes that these ones are or need, also through others.
fn reached(needs: &[Need], all: &BTreeMap<&Need, &Vec<Need>>) -> BTreeSet<Need> {
    let mut open: Vec<&Need> = needs.iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(need) = open.pop() {
        if seen.insert(need.clone()) {
            open.extend(all.get(need).into_iter().flat_map(|needs| needs.iter()));
        }
    }
    seen
}

// === impl Phase ===

impl Phase {
    /// Whether those that need the node can go on: what is in force for it stays in force.
    fn is_settled(&self) -> bool {
        matches!(self, Self::Retiring | Self::Over(_))
    }

    /// What is being done, for people. `None` at the end.
    fn word(&self) -> Option<&'static str> {
        Some(match self {
            Self::Waiting => "waits for others",
            Self::Preparing => "starts beside the old one",
            Self::Switching | Self::Applying | Self::Replacing { .. } | Self::Removing => "changes",
            Self::Retiring | Self::EndingOld { .. } | Self::EndingLast => {
                "the old one finishes its calls"
            }
            Self::Discarding(_) | Self::Stepping | Self::EndingNew(_) => "the new one ends",
            Self::Starting { .. } | Self::Adding => "starts",
            Self::Restoring(_) | Self::Returning(_) => "returns to its old settings",
            Self::Over(_) => return None,
        })
    }
}
