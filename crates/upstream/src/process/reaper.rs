//! Reaps orphans. The daemon inherits the orphans of its servers, so that no process escapes its
//! tree. It must reap them, or the process table would fill up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::getpgrp;
use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use super::procfs::{Identity, Snapshot, own_pid};
use super::registry;

/// Wait before a zombie of no known group is reaped, for an owner that may still do it: a process
/// that is just being started, or a child of another part of this program.
const UNKNOWN_AGE: Duration = Duration::from_secs(2);

/// Deaths come in crowds; one look serves all within this time.
const LOOKS_APART: Duration = Duration::from_millis(200);

/// Zombies that no owner has reaped yet, and since when each is known.
type Unknown = BTreeMap<Identity, Instant>;

/// Runs until it is closed. `deaths` is the stream of SIGCHLD.
pub(super) async fn run(mut deaths: Signal, closing: CancellationToken) {
    let mut unknown = Unknown::new();
    loop {
        // Only another death brings work then.
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
            tracing::warn!(%error, "can't look for orphans");
            return known;
        }
    };
    let us = own_pid();
    let our_group = getpgrp().as_raw_nonzero().get();
    let mut unknown = Unknown::new();
    for stat in all.iter().filter(|stat| stat.is_zombie && stat.parent == us) {
        let pid = stat.identity.pid;
        // A process in the daemon's own group was started by another part of this program: servers
        // and their orphans have groups of their own.
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
