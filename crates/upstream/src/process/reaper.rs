//! Reaps orphans, and ends strays. The daemon inherits the orphans of its servers, so that no process
//! escapes its tree. It must reap them, or the process table would fill up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::getpgrp;
use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use super::procfs::{Identity, Snapshot, own_pid};
use super::registry;
use super::strays::{StrayFinder, Strays};

/// Wait before a zombie of no known group is reaped, for an owner that may still do it: a process
/// that is just being started, or a child of another part of this program.
const UNKNOWN_AGE: Duration = Duration::from_secs(2);

/// Deaths come in crowds; one look serves all within this time.
const LOOKS_APART: Duration = Duration::from_millis(200);

/// Longest time between two looks, because a process that becomes a stray sends no signal.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What is known about the orphans of the daemon.
#[derive(Debug)]
struct Orphans {
    /// Zombies that no owner has reaped yet, and since when each is known.
    unknown: BTreeMap<Identity, Instant>,
    strays: Strays,
    finder: StrayFinder,
}

/// Runs until it is closed. `deaths` is the stream of SIGCHLD.
pub(super) async fn run(mut deaths: Signal, finder: StrayFinder, closing: CancellationToken) {
    let mut orphans = Orphans { unknown: BTreeMap::new(), strays: Strays::default(), finder };
    let mut next = LOOK_EVERY;
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            _ = deaths.recv() => {}
            () = tokio::time::sleep(next) => {}
        }
        let looked = tokio::task::spawn_blocking(move || {
            let next = orphans.look(Instant::now());
            (orphans, next)
        });
        let Ok(looked) = looked.await else { return };
        (orphans, next) = looked;
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(LOOKS_APART) => {}
        }
    }
}

impl Orphans {
    /// Takes a look at all processes. Returns when to look again at the latest.
    fn look(&mut self, now: Instant) -> Duration {
        let all = match Snapshot::take() {
            Ok(all) => all,
            Err(error) => {
                tracing::warn!(%error, "can't look for orphans");
                return LOOK_EVERY;
            }
        };
        self.reap(&all, now);
        let strays = self.strays.look(&self.finder, &all, now).unwrap_or(LOOK_EVERY);
        let zombies = if self.unknown.is_empty() { LOOK_EVERY } else { UNKNOWN_AGE };
        strays.min(zombies)
    }

    fn reap(&mut self, all: &Snapshot, now: Instant) {
        let us = own_pid();
        let our_group = getpgrp().as_raw_nonzero().get();
        let mut unknown = BTreeMap::new();
        for stat in all.iter().filter(|stat| stat.is_zombie && stat.parent == us) {
            let pid = stat.identity.pid;
            // A process in the daemon's own group was started by another part of this program: servers
            // and their orphans have groups of their own.
            if registry::is_claimed(pid) || stat.group == our_group {
                continue;
            }
            let since = self.unknown.remove(&stat.identity).unwrap_or(now);
            if registry::is_claimed(stat.group) || since + UNKNOWN_AGE <= now {
                registry::reap_orphan(pid);
            } else {
                unknown.insert(stat.identity, since);
            }
        }
        self.unknown = unknown;
    }
}
