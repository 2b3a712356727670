//! The processes of one instance: the one we started, its group, and everything that came of it.
//!
//! Found by six ways, because servers start browsers, shells and daemons: same group, same control group
//! (only a server with limits has one, and only root or the user of the daemon can leave it), child of a member,
//! member before, and, for one that left its group and lost its parent, the mark in its environment or its
//! label. Only one that leaves its group, loses its parent between two looks, cleans its environment *and*
//! changes its limits escapes.

use std::collections::BTreeSet;
use std::io;

use rustix::process::{Pid, Signal, kill_process_group};

use super::bounds::SharedBounds;
use super::label::Label;
use super::procfs::{Identity, Snapshot, Stat, environ_has, own_pid};
use super::records::MARK_VARIABLE;
use super::registry;

#[derive(Debug)]
pub(super) struct Tree {
    /// Also the number of the group. It can't be used again while we have not reaped it.
    main: i32,
    /// The mark in the environment of this process and its descendants only.
    mark: String,
    /// The label of the same processes.
    label: Label,
    /// Knows its control group, if it has one.
    bounds: Option<SharedBounds>,
    /// Members at the last look.
    members: BTreeSet<Identity>,
}

// === impl Tree ===

impl Tree {
    pub(super) fn new(main: i32, mark: String, label: Label, bounds: Option<SharedBounds>) -> Self {
        Self { main, mark, label, bounds, members: BTreeSet::new() }
    }

    /// The living members of the tree. Reaps dead members, except the main process.
    ///
    /// Reads files of the kernel that may block; not for a thread of the runtime.
    pub(super) fn living(&mut self) -> io::Result<BTreeSet<Identity>> {
        let all = Snapshot::take()?;
        let us = own_pid();
        let bounded = self.bounds.as_ref().map(|bounds| bounds.processes()).unwrap_or_default();
        let mut pids: BTreeSet<i32> = all
            .iter()
            .filter(|stat| {
                stat.group == self.main
                    || bounded.contains(&stat.identity.pid)
                    || self.members.contains(&stat.identity)
                    || (stat.parent == us && self.is_adopted(stat.identity.pid))
            })
            .map(|stat| stat.identity.pid)
            .collect();
        all.add_descendants(&mut pids);
        let found: Vec<&Stat> = pids.iter().filter_map(|pid| all.get(*pid)).collect();
        // The dead stay members, so that they are known when their parents die and leave them
        // to us.
        self.members = found.iter().map(|stat| stat.identity).collect();
        let (dead, living): (Vec<&Stat>, Vec<&Stat>) =
            found.into_iter().partition(|stat| stat.is_zombie);
        for stat in dead.iter().filter(|stat| stat.parent == us) {
            registry::reap_orphan(stat.identity.pid);
        }
        Ok(living.iter().map(|stat| stat.identity).collect())
    }

    /// Whether the process is an orphan of this instance that was handed to the daemon. Processes
    /// that the daemon started itself are claimed.
    fn is_adopted(&self, pid: i32) -> bool {
        !registry::is_claimed(pid)
            && (environ_has(pid, MARK_VARIABLE, |value| value == self.mark.as_bytes())
                || Label::of(pid) == Some(self.label))
    }

    /// Reaches also those born since the last look. Safe while the main process is not reaped.
    pub(super) fn signal_group(main: i32, signal: Signal) {
        if let Some(group) = Pid::from_raw(main) {
            // Failure means an empty group.
            let _ = kill_process_group(group, signal);
        }
    }
}
