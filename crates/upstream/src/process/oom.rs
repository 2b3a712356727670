//! Tells a process that the kernel killed because memory ran out from one that somebody killed.
//!
//! The kernel counts these kills for each control group and for the machine, and names no process. So a kill
//! counts as one of them if the counter has risen within the last seconds, and each rise explains one kill.

#![expect(
    clippy::disallowed_methods,
    reason = "no disk is behind the files of /proc and of control groups"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::exit::Exit;

/// The counters that matter to the processes of this daemon, which share its control group. Clones share what was
/// seen.
#[derive(Debug, Clone)]
pub(super) struct OomKills {
    root: PathBuf,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Kills that explain no death any more: they are older than [`RECENT`], or have explained one.
    explained: u64,
    /// The counter at the last look.
    last: u64,
}

/// A counter, and the limit that leads to its kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counter {
    kills: u64,
    /// In bytes. None: the memory of the machine.
    limit: Option<u64>,
}

/// The time between two looks. A kill that was counted before the look before last is too old to explain a death
/// that is noticed now.
const RECENT: Duration = Duration::from_secs(5);

const KILL: i32 = 9;

// === impl OomKills ===

impl OomKills {
    pub(super) fn new(root: &Path) -> Self {
        let kills = Self { root: root.to_owned(), seen: Arc::default() };
        kills.look();
        kills.look();
        kills
    }

    /// Looks now and then, so that old kills explain nothing, until `closing`.
    pub(super) async fn keep_watch(self, closing: CancellationToken) {
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                () = tokio::time::sleep(RECENT) => {}
            }
            let this = self.clone();
            blocking(move || this.look()).await;
        }
    }

    /// The exit with its cause, if it was a kill that nobody of this daemon sent.
    pub(super) async fn explain(&self, exit: Exit) -> Exit {
        if exit != Exit::Signal(KILL) {
            return exit;
        }
        let this = self.clone();
        blocking(move || this.cause_of_kill()).await
    }

    fn look(&self) {
        let Some(counter) = self.counter() else { return };
        let mut seen = self.seen.lock();
        seen.explained = seen.explained.max(seen.last).min(counter.kills);
        seen.last = counter.kills;
    }

    fn cause_of_kill(&self) -> Exit {
        let Some(counter) = self.counter() else { return Exit::Signal(KILL) };
        let mut seen = self.seen.lock();
        if counter.kills <= seen.explained {
            return Exit::KilledBySomebody;
        }
        seen.explained += 1;
        Exit::OutOfMemory { limit_bytes: counter.limit }
    }

    fn counter(&self) -> Option<Counter> {
        let groups = fs::read_to_string(self.root.join("proc/self/cgroup")).unwrap_or_default();
        let of_group = groups.lines().find_map(|line| self.group_counter(line));
        of_group.or_else(|| {
            let kills = number_of(&self.root.join("proc/vmstat"), "oom_kill")?;
            Some(Counter { kills, limit: None })
        })
    }

    /// Lines are `0::/path` for version 2 and `9:memory:/path` for version 1.
    fn group_counter(&self, line: &str) -> Option<Counter> {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let (mount, events, limit) = match controllers {
            "" => ("sys/fs/cgroup", "memory.events", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.oom_control", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let mount = self.root.join(mount);
        let group = PathBuf::from(path.trim_start_matches('/'));
        // In a container the path may be that of the host, and the group is the root of what is mounted.
        let own = [mount.join(&group), mount.clone()];
        let kills = own.iter().find_map(|group| number_of(&group.join(events), "oom_kill"))?;
        let limits = group.ancestors().filter_map(|group| {
            let text = fs::read_to_string(mount.join(group).join(limit)).ok()?;
            // `max` is no number, and version 1 writes one near 2^63 where there is no limit.
            text.trim().parse::<u64>().ok().filter(|limit| *limit < 1 << 60)
        });
        Some(Counter { kills, limit: limits.min() })
    }
}

/// The number in a line `key number`.
fn number_of(file: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Exit, KILL, OomKills};

    /// A machine whose files the test writes.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new(files: &[(&str, &str)]) -> Self {
            let machine = Self(tempfile::tempdir().unwrap());
            files.iter().for_each(|(path, text)| machine.write(path, text));
            machine
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn kills(&self) -> OomKills {
            OomKills::new(self.0.path())
        }
    }

    const EVENTS: &str = "sys/fs/cgroup/app/memory.events";

    fn modern() -> Machine {
        Machine::new(&[
            ("proc/self/cgroup", "0::/app\n"),
            (EVENTS, "low 0\noom 3\noom_kill 3\noom_group_kill 0\n"),
            ("sys/fs/cgroup/app/memory.max", "314572800\n"),
            ("proc/vmstat", "oom_kill 70\n"),
        ])
    }

    #[tokio::test]
    async fn a_kill_counts_as_out_of_memory_only_if_the_kernel_counted_one() {
        let machine = modern();
        let kills = machine.kills();
        assert_eq!(kills.explain(Exit::Signal(KILL)).await, Exit::KilledBySomebody);
        machine.write(EVENTS, "oom_kill 4\n");
        let out_of_memory = Exit::OutOfMemory { limit_bytes: Some(300 << 20) };
        assert_eq!(kills.explain(Exit::Signal(KILL)).await, out_of_memory);
        // One kill of the kernel explains one death.
        assert_eq!(kills.explain(Exit::Signal(KILL)).await, Exit::KilledBySomebody);
        for other in [Exit::Code(1), Exit::Signal(11), Exit::Code(0)] {
            assert_eq!(kills.explain(other).await, other);
        }
    }

    #[tokio::test]
    async fn an_old_kill_of_another_process_explains_nothing() {
        let machine = modern();
        let kills = machine.kills();
        machine.write(EVENTS, "oom_kill 5\n");
        kills.look();
        assert_ne!(kills.explain(Exit::Signal(KILL)).await, Exit::KilledBySomebody);
        kills.look();
        kills.look();
        assert_eq!(kills.explain(Exit::Signal(KILL)).await, Exit::KilledBySomebody);
    }

    #[tokio::test]
    async fn both_versions_of_control_groups_and_the_machine_are_known() {
        let old = Machine::new(&[
            ("proc/self/cgroup", "7:cpu:/a\n4:memory:/docker/abc\n0::/\n"),
            (
                "sys/fs/cgroup/memory/memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
            ),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        let kills = old.kills();
        old.write("sys/fs/cgroup/memory/memory.oom_control", "oom_kill 1\n");
        let exit = kills.explain(Exit::Signal(KILL)).await;
        assert_eq!(exit, Exit::OutOfMemory { limit_bytes: None });

        let bare = Machine::new(&[("proc/self/cgroup", "0::/\n"), ("proc/vmstat", "oom_kill 1\n")]);
        let kills = bare.kills();
        bare.write("proc/vmstat", "pgfault 9\noom_kill 2\n");
        let exit = kills.explain(Exit::Signal(KILL)).await;
        assert_eq!(exit, Exit::OutOfMemory { limit_bytes: None });

        // Without counters, nothing is known.
        let unknown = Machine::new(&[]).kills().explain(Exit::Signal(KILL)).await;
        assert_eq!(unknown, Exit::Signal(KILL));
    }
}
