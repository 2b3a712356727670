//! Ends the processes that a dead daemon left, found by record, mark, label and control group, never by name.
//!
//! Synchronous: the guard has no runtime, and a daemon sweeps before it starts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use std::{io, thread};

use mainstay_model::Name;
use rustix::process::Signal;

use super::cgroup::GroupRemains;
use super::ending::{Ending, Next};
use super::label::Label;
use super::procfs::{Identity, Snapshot, environ_has, own_pid};
use super::records::{Folder, MARK_VARIABLE, Mark, Record};

/// Time between TERM and KILL for processes whose clients are gone.
pub(super) const SWEEP_GRACE: Duration = Duration::from_secs(2);

/// A process that an earlier daemon left running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    pub pid: u32,
    /// The server whose process it was. None when only its mark or label identified the process.
    pub server: Option<Name>,
    /// Whether the process ended. One that outlived KILL is looked for again at the next start.
    pub ended: bool,
}

/// The records of a dead daemon, and the processes found by them.
struct Leftovers {
    /// Records whose process is still the one that was recorded.
    records: Vec<Record>,
    mark: Mark,
    groups: GroupRemains,
    found: BTreeMap<Identity, Option<Name>>,
}

/// Ends all processes of the daemon that wrote this folder, and deletes the folder unless some
/// outlived that. The daemon must be dead, or done with its processes.
///
/// # Errors
/// When the folder can't be deleted. Processes have been ended all the same.
pub(super) fn sweep(folder: &Folder) -> io::Result<Vec<Swept>> {
    let mut leftovers = Leftovers::of(folder);
    let left = leftovers.end(SWEEP_GRACE);
    leftovers.groups.remove();
    if left.is_empty() {
        folder.delete()?;
    }
    let swept = leftovers.found.into_iter().map(|(identity, server)| Swept {
        pid: identity.pid.unsigned_abs(),
        server,
        ended: !left.contains(&identity),
    });
    Ok(swept.collect())
}

// === impl Leftovers ===

impl Leftovers {
    fn of(folder: &Folder) -> Self {
        let mut records = if folder.is_of_this_place() { folder.records() } else { Vec::new() };
        records.retain(|record| {
            // The number may have been reused since.
            Identity::of(record.identity.pid)
                .is_ok_and(|found| found.is_none_or(|found| found == record.identity))
        });
        let groups = GroupRemains::of(folder);
        Self { records, mark: folder.mark().clone(), groups, found: BTreeMap::new() }
    }

    /// Ends the processes. Returns those that outlived KILL.
    fn end(&mut self, grace: Duration) -> BTreeSet<Identity> {
        let mut ending = Ending::new(Instant::now(), grace);
        loop {
            let living = self.living().ok();
            let (signal, whom, pause) = match ending.next(Instant::now(), living.as_ref()) {
                Next::Gone => return BTreeSet::new(),
                Next::GiveUp => {
                    return living.unwrap_or_else(|| self.found.keys().copied().collect());
                }
                Next::Ask(whom, pause) => (Signal::TERM, whom, pause),
                Next::Kill(whom, pause) => {
                    // One that was started from within a server of the dead daemon would kill itself.
                    if !self.groups.processes().contains(&own_pid()) {
                        self.groups.kill();
                    }
                    (Signal::KILL, whom, pause)
                }
            };
            whom.into_iter().for_each(|identity| identity.signal(signal));
            #[expect(
                clippy::disallowed_methods,
                reason = "the guard has no runtime, and the daemon sweeps on a thread of its own"
            )]
            thread::sleep(pause);
        }
    }

    fn living(&mut self) -> io::Result<BTreeSet<Identity>> {
        let all = Snapshot::take()?;
        // A daemon started from within a server of the dead one carries its mark as well.
        let ourselves = all.ancestry(own_pid());
        let marked: BTreeSet<i32> = all
            .iter()
            .map(|stat| stat.identity.pid)
            .filter(|pid| !ourselves.contains(pid))
            .filter(|pid| {
                environ_has(*pid, MARK_VARIABLE, |value| self.mark.is_in(value))
                    || Label::of(*pid).is_some_and(|label| label.is_of(&self.mark))
            })
            .collect();
        let groups = self.leaders(&all, &marked);
        let bounded = self.groups.processes();
        let mut pids: BTreeSet<i32> = all
            .iter()
            .filter(|stat| {
                groups.contains(&stat.group)
                    || bounded.contains(&stat.identity.pid)
                    || self.is_recorded(stat.identity)
                    || marked.contains(&stat.identity.pid)
                    || self.found.contains_key(&stat.identity)
            })
            .map(|stat| stat.identity.pid)
            .filter(|pid| !ourselves.contains(pid))
            .collect();
        all.add_descendants(&mut pids);
        pids.retain(|pid| !ourselves.contains(pid));

        let living = pids.iter().filter_map(|pid| all.get(*pid)).filter(|stat| !stat.is_zombie);
        let mut identities = BTreeSet::new();
        for stat in living {
            let server = self.server_of(stat.group);
            self.found.entry(stat.identity).or_insert(server);
            identities.insert(stat.identity);
        }
        Ok(identities)
    }

    /// Recorded groups that certainly still are the recorded ones: their main process is there, or
    /// a member carries the mark.
    fn leaders(&self, all: &Snapshot, marked: &BTreeSet<i32>) -> BTreeSet<i32> {
        let has_marked = |group| {
            let mut members = marked.iter().filter_map(|pid| all.get(*pid));
            members.any(|stat| stat.group == group)
        };
        self.records
            .iter()
            .map(|record| record.identity)
            .filter(|leader| all.contains(*leader) || has_marked(leader.pid))
            .map(|leader| leader.pid)
            .collect()
    }

    /// Whether the process has a record of its own. A stray is found by nothing else.
    fn is_recorded(&self, identity: Identity) -> bool {
        self.records.iter().any(|record| record.identity == identity)
    }

    fn server_of(&self, group: i32) -> Option<Name> {
        let record = self.records.iter().find(|record| record.identity.pid == group)?;
        record.server.clone()
    }
}
