//! The limits of all runs of a host.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::Name;
use mainstay_model::resource::{LimitKind, LimitStatus};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{Bounds, SharedBounds};
use crate::process::blocking::blocking;
use crate::process::procfs::Snapshot;

/// Who runs with which limits, and how often they were reached. Clones share it.
#[derive(Debug, Clone, Default)]
pub(in crate::process) struct LimitBook(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    /// By the number of the main process.
    running: BTreeMap<u32, SharedBounds>,
    /// Since the daemon started.
    hits: BTreeMap<(Name, LimitKind), u64>,
    /// What was logged about each server, so that a restart repeats nothing.
    told: BTreeMap<Name, String>,
    /// The last look for processes outside of their groups.
    escapes_at: Option<Instant>,
}

/// The time between two looks for kills of the kernel.
const LOOKS_APART: Duration = Duration::from_secs(1);
/// The time between two looks for processes outside of their groups.
const ESCAPES_APART: Duration = Duration::from_secs(5);

// === impl LimitBook ===

impl LimitBook {
    pub(in crate::process) fn open(&self, pid: u32, bounds: &SharedBounds) {
        self.tell(bounds);
        self.0.lock().running.insert(pid, bounds.clone());
    }

    /// Looks for kills now and then, so that it is known when one was, until `closing`.
    pub(in crate::process) async fn keep_watch(self, closing: CancellationToken) {
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                () = tokio::time::sleep(LOOKS_APART) => {}
            }
            let all: Vec<SharedBounds> = self.0.lock().running.values().cloned().collect();
            if all.is_empty() {
                continue;
            }
            blocking(move || all.iter().for_each(|bounds| bounds.look_for_kills(Instant::now())))
                .await;
        }
    }

    /// Takes a last look, and removes the group. Nothing of the run is left.
    pub(in crate::process) fn close(&self, pid: u32) {
        let bounds = self.0.lock().running.remove(&pid);
        if let Some(bounds) = bounds {
            self.look(&bounds, Instant::now());
            if let Some(group) = &bounds.group {
                group.remove();
            }
        }
    }

    /// The limits of these main processes, in their order. Reads files.
    pub(in crate::process) fn status(&self, pids: &[u32]) -> Vec<Option<Vec<LimitStatus>>> {
        let now = Instant::now();
        let bounds = |pid: &u32| self.0.lock().running.get(pid).cloned();
        let processes = self.is_time_for_escapes(now).then(|| Snapshot::take().ok()).flatten();
        let status = |pid: &u32| {
            let bounds = bounds(pid)?;
            if let Some(processes) = &processes {
                look_for_escape(&bounds, processes, *pid);
            }
            Some(self.look(&bounds, now))
        };
        pids.iter().map(status).collect()
    }

    /// Whether to look for processes outside of their groups, which means a look at all processes.
    fn is_time_for_escapes(&self, now: Instant) -> bool {
        let mut entries = self.0.lock();
        let has_groups = entries.running.values().any(|bounds| bounds.group.is_some());
        let last =
            entries.escapes_at.filter(|at| now.saturating_duration_since(*at) < ESCAPES_APART);
        let is_time = has_groups && last.is_none();
        if is_time {
            entries.escapes_at = Some(now);
        }
        is_time
    }

    /// How often each limit of each server was reached since the daemon started.
    pub(in crate::process) fn hits(&self) -> Vec<(Name, LimitKind, u64)> {
        let entries = self.0.lock();
        entries.hits.iter().map(|((name, kind), hits)| (name.clone(), *kind, *hits)).collect()
    }

    fn look(&self, bounds: &Bounds, now: Instant) -> Vec<LimitStatus> {
        let (all, new) = bounds.look(now);
        for (kind, hits) in new {
            let mut entries = self.0.lock();
            let before = entries.hits.entry((bounds.server.clone(), kind)).or_default();
            *before += hits;
            let is_first = *before == hits;
            drop(entries);
            tell_hit(&bounds.server, &all, kind, is_first);
        }
        all
    }

    /// Logs what does not hold as it was configured, once for each server and text.
    fn tell(&self, bounds: &Bounds) {
        let Some(shortfall) = bounds.shortfall() else { return };
        let server = &bounds.server;
        let before = self.0.lock().told.insert(server.clone(), shortfall.clone());
        if before.as_ref() != Some(&shortfall) {
            tracing::warn!(%server, "not all of its limits hold as configured: {shortfall}");
        }
    }
}

fn look_for_escape(bounds: &Bounds, processes: &Snapshot, pid: u32) {
    let Ok(main) = i32::try_from(pid) else { return };
    if let Some(count) = bounds.look_for_escape(&processes.tree_of(main)) {
        let server = &bounds.server;
        tracing::warn!(
            %server, count,
            "processes of it have left its control group, so its limits don't bound them; a `user` of its own \
             would keep them in"
        );
    }
}

/// Logs that a limit was reached: a kill each time, anything else the first time.
fn tell_hit(server: &Name, all: &[LimitStatus], kind: LimitKind, is_first: bool) {
    let Some(LimitStatus { max, hits, .. }) = all.iter().find(|limit| limit.kind == kind) else {
        return;
    };
    match kind {
        LimitKind::Memory => tracing::warn!(
            %server, limit_bytes = max, killed = hits,
            "the kernel killed a process of it, which used more memory than `limits.memory` allows"
        ),
        LimitKind::Processes if is_first => tracing::warn!(
            %server, limit = max, refused = hits,
            "it could not start a process or thread, because it has as many as `limits.processes` allows"
        ),
        LimitKind::Cpus if is_first => tracing::info!(
            %server, "it wants more CPU time than `limits.cpus` allows, and is slowed down"
        ),
        _ => {}
    }
}
