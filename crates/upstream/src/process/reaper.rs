//! Reaps orphans. The daemon inherits what its servers leave behind, so that nothing escapes
//! their trees, and must therefore ask how it ended, or the table of processes would fill up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::getpgrp;
use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use super::procfs::{Identity, Snapshot, own_pid};
use super::registry;

/// A zombie of no known group is left this long to an owner that may still ask for it: one that
/// is just being started, or a child that somebody else in this process started.
const UNKNOWN_AGE: Duration = Duration::from_secs(2);

/// Deaths come in crowds; one look serves all within this time.
const LOOKS_APART: Duration = Duration::from_millis(200);

/// Zombies that no owner has reaped yet, and since when each is known.
type Unknown = BTreeMap<Identity, Instant>;

/// Runs until told to stop. `deaths` is the stream of SIGCHLD.
pub(super) async fn run(mut deaths: Signal, closing: CancellationToken) {
    let mut unknown = Unknown::new();
    loop {
        // Nothing to reconsider: only a death can bring work.
        let reconsider = if unknown.is_empty() { Duration::MAX } else { UNKNOWN_AGE };
        tokio::select! {
            () = closing.cancelled() => return,
            _ = deaths.recv() => {}
            () = tokio::time::sleep(reconsider) => {}
        }
        unknown = match tokio::task::spawn_blocking(move || look(unknown, Instant::now())).await {
            Ok(unknown) => unknown,
            Err(_) => return,
        };
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(LOOKS_APART) => {}
        }
    }
}

fn look(mut known: Unknown, now: Instant) -> Unknown {
    let all = match Snapshot::take() {
        Ok(all) => all,
        Err(error) => {
            tracing::warn!(%error, "can not look for orphans");
            return known;
        }
    };
    let us = own_pid();
    let our_group = getpgrp().as_raw_nonzero().get();
    let mut unknown = Unknown::new();
    for stat in all.iter().filter(|stat| stat.is_zombie && stat.parent == us) {
        let pid = stat.identity.pid;
        // What shares our own group was started by something else in this process: servers and
        // what they leave behind have groups of their own.
        if registry::is_claimed(pid) || stat.group == our_group {
            continue;
        }
        let since = known.remove(&stat.identity).unwrap_or(now);
        if registry::is_claimed(stat.group) || since + UNKNOWN_AGE <= now {
            registry::reap_orphan(pid);
        } else {
            unknown.insert(stat.identity, since);
        }
    }
    unknown
}
