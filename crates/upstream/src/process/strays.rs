//! Strays: processes that no instance has any more. The kernel gives them to the daemon, which inherits
//! orphans.
//!
//! A process that is forked twice in a new session belongs to no group and parent of its instance. Its mark or
//! its label tells whose it is, and it ends with its instance, or at once if that has ended before. If it has
//! emptied its environment and changed its limits, nothing tells whose it is. Then each instance that ran when
//! it was found is a suspect, and it is ended when none of its suspects runs any more. Until then it may be a
//! helper that an instance needs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use std::{io, thread};

use rustix::process::{Signal, getpgrp};

use super::ending::{Ending, Next};
use super::label::Label;
use super::procfs::{Identity, Snapshot, environ_value, own_pid};
use super::records::{Folder, MARK_VARIABLE};
use super::registry;
use super::sweep::SWEEP_GRACE;

/// The strays that are known, and those that are being ended.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// With their suspects: the main processes that may have started them.
    known: BTreeMap<Identity, BTreeSet<Identity>>,
    ending: BTreeMap<Identity, Ending>,
}

/// Tells strays from the other children of the daemon.
#[derive(Debug, Clone)]
pub(super) struct StrayFinder {
    folder: Folder,
    /// Children that the daemon had before it started any server, for example of the shell that became the
    /// daemon.
    earlier: BTreeSet<Identity>,
}

/// What a look has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    strays: BTreeSet<Identity>,
    /// Those of them whose instance is known, and has ended.
    left_over: BTreeSet<Identity>,
    /// The main processes of instances that run.
    mains: BTreeSet<Identity>,
}

// === impl StrayFinder ===

impl StrayFinder {
    /// Notes the children that the daemon has now. None of them is ever a stray.
    pub(super) fn new(folder: Folder) -> io::Result<Self> {
        let us = own_pid();
        let all = Snapshot::take()?;
        let earlier = all.iter().filter(|stat| stat.parent == us).map(|stat| stat.identity);
        let earlier = earlier.collect();
        Ok(Self { folder, earlier })
    }

    /// The strays in a snapshot, and who is suspected. `None` while a process is being started: it can't be
    /// told from a stray before its owner has claimed it.
    pub(super) fn find(&self, all: &Snapshot) -> Option<Found> {
        if registry::is_starting() {
            return None;
        }
        let us = own_pid();
        let our_group = getpgrp().as_raw_nonzero().get();
        let mut found = Found::default();
        for stat in all.iter().filter(|stat| stat.parent == us && !stat.is_zombie) {
            let identity = stat.identity;
            if registry::is_main(identity.pid) {
                found.mains.insert(identity);
            } else if !registry::is_claimed(identity.pid)
                && !registry::is_claimed(stat.group)
                && stat.group != our_group
                && !self.earlier.contains(&identity)
            {
                match self.label_of(identity.pid) {
                    // Its owner ends it.
                    Some(label) if registry::is_minded(label) => continue,
                    Some(_) => _ = found.left_over.insert(identity),
                    None => {}
                }
                found.strays.insert(identity);
            }
        }
        Some(found)
    }

    /// The label of the main process that a process descends from. `None` if nothing tells.
    fn label_of(&self, pid: i32) -> Option<Label> {
        let mark = self.folder.mark();
        let marked = environ_value(pid, MARK_VARIABLE, |value| mark.life_in(value));
        match marked {
            Some(life) => Some(Label::new(mark, life)),
            None => Label::of(pid).filter(|label| label.is_of(mark)),
        }
    }

    /// Writes down a stray, for the guard and the next daemon.
    fn record(&self, stray: Identity) {
        if let Err(error) = self.folder.add_stray(stray) {
            tracing::debug!(%error, pid = stray.pid, "can't record a process");
        }
    }

    /// Ends and reaps every stray, whoever is suspected. For the end of the daemon, which has no instances any
    /// more. Blocks for some seconds at most.
    pub(super) fn end_all(&self) {
        let mut ending = Ending::new(Instant::now(), SWEEP_GRACE);
        loop {
            let living = Snapshot::take().ok().and_then(|all| {
                let found = self.find(&all)?;
                Some(with_descendants(&all, &found.strays))
            });
            match step(&mut ending, Instant::now(), living.as_ref()) {
                #[expect(clippy::disallowed_methods, reason = "runs on a thread of its own")]
                Some(pause) => thread::sleep(pause),
                None => break,
            }
        }
        // Nobody looks for zombies any more, including those that were ended before.
        let our_group = getpgrp().as_raw_nonzero().get();
        let all = Snapshot::take().unwrap_or_default();
        let dead = all.iter().filter(|stat| stat.is_zombie && stat.parent == own_pid());
        dead.filter(|stat| stat.group != our_group && !self.earlier.contains(&stat.identity))
            .for_each(|stat| registry::reap_orphan(stat.identity.pid));
    }
}

// === impl Strays ===

impl Strays {
    /// Takes a look into account: records new strays, ends those whose suspects are gone. Returns when to
    /// look again. `None`: when another process dies.
    pub(super) fn look(
        &mut self,
        finder: &StrayFinder,
        all: &Snapshot,
        now: Instant,
    ) -> Option<Duration> {
        let Some(found) = finder.find(all) else { return Some(SWEEP_GRACE) };
        for stray in self.update(&found) {
            finder.record(stray);
        }
        for stray in self.due(&found.mains) {
            self.ending.entry(stray).or_insert_with(|| {
                tracing::info!(pid = stray.pid, "ends a process that outlived its server");
                Ending::new(now, SWEEP_GRACE)
            });
        }
        let mut pauses = Vec::new();
        self.ending.retain(|stray, ending| {
            let living = match all.contains(*stray) {
                true => with_descendants(all, &BTreeSet::from([*stray])),
                false => BTreeSet::new(),
            };
            let pause = step(ending, now, Some(&living));
            pauses.extend(pause);
            if pause.is_none() {
                finder.folder.remove(stray.pid);
            }
            pause.is_some()
        });
        pauses.into_iter().min()
    }

    /// Adds the strays that were found, forgets those that are gone, and returns those that are new.
    fn update(&mut self, found: &Found) -> Vec<Identity> {
        self.known.retain(|stray, _| found.strays.contains(stray));
        let new = found.strays.iter().filter(|stray| !self.known.contains_key(stray));
        let new: Vec<Identity> = new.copied().collect();
        for stray in &new {
            let may_be_its =
                |main: &&Identity| main.start <= stray.start && !found.left_over.contains(stray);
            let suspects = found.mains.iter().filter(may_be_its).copied().collect();
            self.known.insert(*stray, suspects);
        }
        new
    }

    /// The strays whose suspects are all gone.
    fn due(&self, mains: &BTreeSet<Identity>) -> Vec<Identity> {
        let is_due = |suspects: &BTreeSet<Identity>| suspects.is_disjoint(mains);
        let due = self.known.iter().filter(|(_, suspects)| is_due(suspects));
        due.map(|(stray, _)| *stray).collect()
    }
}

/// Takes one step of an end. Returns the pause before the next one. `None`: there is nothing left to do.
fn step(
    ending: &mut Ending,
    now: Instant,
    living: Option<&BTreeSet<Identity>>,
) -> Option<Duration> {
    let (signal, whom, pause) = match ending.next(now, living) {
        Next::Gone | Next::GiveUp => return None,
        Next::Ask(whom, pause) => (Signal::TERM, whom, pause),
        Next::Kill(whom, pause) => (Signal::KILL, whom, pause),
    };
    whom.into_iter().for_each(|identity| identity.signal(signal));
    Some(pause)
}

fn with_descendants(all: &Snapshot, strays: &BTreeSet<Identity>) -> BTreeSet<Identity> {
    let mut pids = strays.iter().map(|stray| stray.pid).collect();
    all.add_descendants(&mut pids);
    let living = pids.iter().filter_map(|pid| all.get(*pid)).filter(|stat| !stat.is_zombie);
    living.map(|stat| stat.identity).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Found, Identity, Strays};

    const fn process(pid: i32, start: u64) -> Identity {
        Identity { pid, start }
    }

    fn found(strays: &[Identity], mains: &[Identity]) -> Found {
        let all = |these: &[Identity]| these.iter().copied().collect::<BTreeSet<_>>();
        Found { strays: all(strays), mains: all(mains), ..Found::default() }
    }

    #[test]
    fn a_stray_is_ended_when_nobody_who_may_have_started_it_runs() {
        let (one, other, later) = (process(1, 10), process(2, 11), process(3, 90));
        let stray = process(9, 50);
        let mut strays = Strays::default();
        let mut look = |mains: &[Identity]| {
            let found = found(&[stray], mains);
            (strays.update(&found), strays.due(&found.mains))
        };
        assert_eq!(look(&[one, other]), (vec![stray], vec![]));
        assert_eq!(look(&[other, later]), (vec![], vec![]), "the other may need it");
        assert_eq!(look(&[later]), (vec![], vec![stray]), "it is older than the later one");
        assert_eq!(look(&[process(1, 95)]), (vec![], vec![stray]), "a number that was used again");
    }

    #[test]
    fn what_an_instance_left_that_has_ended_is_ended_at_once_whoever_else_runs() {
        let (older, stray) = (process(1, 10), process(9, 50));
        let mut strays = Strays::default();
        let left = Found { left_over: [stray].into(), ..found(&[stray], &[older]) };
        assert_eq!((strays.update(&left), strays.due(&left.mains)), (vec![stray], vec![stray]));
    }

    #[test]
    fn a_stray_that_nobody_can_have_started_is_ended_at_once_and_one_that_is_gone_is_forgotten() {
        let (late, stray) = (process(1, 99), process(9, 50));
        let mut strays = Strays::default();
        let first = found(&[stray], &[late]);
        assert_eq!((strays.update(&first), strays.due(&first.mains)), (vec![stray], vec![stray]));
        let none = found(&[], &[late]);
        assert_eq!((strays.update(&none), strays.due(&none.mains)), (vec![], vec![]));
    }
}
