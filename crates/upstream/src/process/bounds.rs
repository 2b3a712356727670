//! The limits of one run of an instance: what keeps each, how much of it is used, and how often it was reached.
//!
//! A run with limits has a control group. Where there can't be one, limits of the process itself are the last
//! resort, and what they can't do is said.

mod book;
mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::Name;
use mainstay_model::resource::{LimitKind, LimitStatus};
use mainstay_model::settings::ProcessSpec;
use parking_lot::Mutex;

pub(super) use self::book::LimitBook;
use self::rules::{LimitRule, decide};
use super::cgroup::{ControlGroup, GroupHost, GroupUsage};
use super::exec::{self, Rlimits};
use super::exit::Exit;

/// The limits of one run.
#[derive(Debug)]
pub(super) struct Bounds {
    server: Name,
    rules: Vec<LimitRule>,
    group: Option<ControlGroup>,
    seen: Mutex<Seen>,
}

/// What the last look found.
#[derive(Debug)]
struct Seen {
    at: Instant,
    cpu: Option<Duration>,
    /// CPUs that it kept busy between the last two looks, in thousandths.
    busy: Option<u64>,
    hits: BTreeMap<LimitKind, u64>,
    kills: KillsSeen,
    escape: Escape,
}

/// Whether processes of the instance are outside of its group. One that ends may seem to be, so it takes two looks.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Suspected,
    /// So many were seen.
    Seen(usize),
}

/// The kills of the kernel in the group, as far as looks have found them.
#[derive(Debug, Default)]
struct KillsSeen {
    count: u64,
    /// When a look last found more of them than the look before.
    rose_at: Option<Instant>,
}

/// Two looks must be this far apart to tell how busy something is. CPU time is counted in steps.
const LOOKS_APART_MIN: Duration = Duration::from_millis(500);

/// A kill that was found longer ago than this explains no end of the main process. The kernel gives the memory of
/// what it killed back before the end is noticed, which takes a moment.
const KILLS_EXPLAIN_FOR: Duration = Duration::from_secs(3);

// === impl Bounds ===

impl Bounds {
    /// Makes the group of a run and sets its limits. `None` without limits. Reads and writes files.
    pub(super) fn set(
        spec: &ProcessSpec,
        server: &Name,
        name: &str,
        groups: &GroupHost,
    ) -> Option<Self> {
        if spec.limits == mainstay_model::settings::LimitsSpec::default() {
            return None;
        }
        let made = match spec.limits.needs_group() {
            true => groups.make(name).map(Some),
            false => Ok(None),
        };
        let in_group = |kind| match &made {
            Ok(Some(group)) => group.set(kind, &spec.limits).map(|()| group.version()),
            Ok(None) => Err(String::new()),
            Err(why) => Err(format!("the daemon can't make a control group: {why}")),
        };
        let own_user = spec.user.as_deref().filter(|user| exec::is_other_user(user));
        let rules = decide(&spec.limits, in_group, own_user);
        let mut bounds = Self {
            server: server.clone(),
            rules,
            group: made.ok().flatten(),
            seen: Mutex::new(Seen {
                at: Instant::now(),
                cpu: None,
                busy: None,
                hits: BTreeMap::new(),
                kills: KillsSeen::default(),
                escape: Escape::None,
            }),
        };
        if !bounds.rules.iter().any(LimitRule::is_of_group) {
            bounds.leave_group();
        }
        Some(bounds)
    }

    /// Puts the main process into the group, before it has started anything. Where that fails, the limits of the
    /// process itself remain.
    pub(super) fn enter(&mut self, pid: i32, spec: &ProcessSpec) {
        let Some(Err(error)) = self.group.as_ref().map(|group| group.enter(pid)) else { return };
        let own_user = spec.user.as_deref().filter(|user| exec::is_other_user(user));
        let refused = |_| Err(format!("the kernel does not let it into a control group: {error}"));
        self.rules = decide(&spec.limits, refused, own_user);
        self.leave_group();
    }

    /// What the process has to limit by itself.
    pub(super) fn rlimits(&self) -> Rlimits {
        let of = |kind| {
            let mut rules = self.rules.iter();
            rules.find(|rule| rule.kind == kind && rule.is_rlimit()).map(|rule| rule.max)
        };
        Rlimits { data_bytes: of(LimitKind::Memory), processes: of(LimitKind::Processes) }
    }

    /// What does not hold as it was configured, as a sentence for the log.
    fn shortfall(&self) -> Option<String> {
        let of = |rule: &LimitRule| {
            let note = rule.shortfall()?;
            Some(format!("`limits.{}` {note}", rule.kind.as_str()))
        };
        let all: Vec<String> = self.rules.iter().filter_map(of).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// The processes in the group.
    pub(super) fn processes(&self) -> Vec<i32> {
        self.group.as_ref().map(ControlGroup::processes).unwrap_or_default()
    }

    /// Keeps the processes in the group from starting others while they are killed.
    pub(super) fn kill(&self) {
        if let Some(group) = &self.group {
            group.kill();
        }
    }

    /// How the main process ended, if it was because of its memory limit. Another process of the group may have
    /// been killed long before, so only kills of the last seconds count.
    pub(super) fn explain(&self, exit: Exit) -> Exit {
        let Some(limit_bytes) = self.max(LimitKind::Memory) else { return exit };
        let usage = self.usage();
        let was_killed = self.seen.lock().kills.are_recent(Instant::now(), usage.oom_kills);
        explained(exit, was_killed, limit_bytes, usage.memory_bytes.is_some())
    }

    /// Notes how many of these processes of the instance are outside of its group. Returns their number where that is
    /// new.
    fn look_for_escape(&self, living: &[i32]) -> Option<usize> {
        let group = self.group.as_ref()?;
        let outside = living.iter().filter(|pid| group.is_left_by(**pid)).count();
        let mut seen = self.seen.lock();
        let before = seen.escape;
        seen.escape = before.next(outside);
        match (before, seen.escape) {
            (Escape::Suspected, Escape::Seen(count)) => Some(count),
            _ => None,
        }
    }

    /// Notes the kills so far. Regular looks tell when one was.
    fn look_for_kills(&self, now: Instant) {
        if let Some(kills) = self.group.as_ref().map(ControlGroup::oom_kills) {
            self.seen.lock().kills.note(now, kills);
        }
    }

    /// The limit on processes, and how many could not be started because of it.
    pub(super) fn refused_processes(&self) -> Option<(u64, u64)> {
        let refused = self.usage().forks_refused;
        Some((self.max(LimitKind::Processes)?, refused)).filter(|_| refused > 0)
    }

    fn max(&self, kind: LimitKind) -> Option<u64> {
        self.rules.iter().find(|rule| rule.kind == kind).map(|rule| rule.max)
    }

    fn usage(&self) -> GroupUsage {
        self.group.as_ref().map(ControlGroup::usage).unwrap_or_default()
    }

    /// Looks at what is used. Returns the limits, and how often each was reached since the look before.
    fn look(&self, now: Instant) -> (Vec<LimitStatus>, Vec<(LimitKind, u64)>) {
        let usage = self.usage();
        let mut seen = self.seen.lock();
        seen.kills.note(now, usage.oom_kills);
        let apart = now.saturating_duration_since(seen.at);
        if apart >= LOOKS_APART_MIN || seen.cpu.is_none() {
            let used = usage.cpu.zip(seen.cpu).map(|(now, then)| now.saturating_sub(then));
            seen.busy = used.map(|used| thousandths(used, apart));
            (seen.at, seen.cpu) = (now, usage.cpu);
        }
        let mut new = Vec::new();
        let of = |rule: &LimitRule| {
            let (used, hits) = match (rule.is_of_group(), rule.kind) {
                (true, LimitKind::Memory) => (usage.memory_bytes, usage.oom_kills),
                (true, LimitKind::Cpus) => (seen.busy, usage.throttled),
                (true, LimitKind::Processes) => (usage.processes, usage.forks_refused),
                _ => (None, 0),
            };
            let mut status = rule.status(used, hits);
            if let (Escape::Seen(count), true) = (seen.escape, rule.is_of_group()) {
                status.note = Some(escaped(count));
            }
            status
        };
        let all: Vec<LimitStatus> = self.rules.iter().map(of).collect();
        for LimitStatus { kind, hits, .. } in &all {
            let before = seen.hits.insert(*kind, *hits).unwrap_or(0);
            new.extend((*hits > before).then(|| (*kind, hits - before)));
        }
        (all, new)
    }

    /// Gives the group up. It is empty, or its processes are being killed.
    fn leave_group(&mut self) {
        if let Some(group) = self.group.take() {
            group.remove();
        }
    }
}

// === impl Escape ===

impl Escape {
    fn next(self, outside: usize) -> Self {
        match (self, outside) {
            (_, 0) => Self::None,
            (Self::None, _) => Self::Suspected,
            (Self::Suspected | Self::Seen(_), count) => Self::Seen(count),
        }
    }
}

fn escaped(count: usize) -> String {
    format!(
        "does not bound all of it: processes that have left the control group: {count}; a `user` of its own keeps them in"
    )
}

// === impl KillsSeen ===

impl KillsSeen {
    fn note(&mut self, now: Instant, count: u64) {
        if count > self.count {
            (self.count, self.rose_at) = (count, Some(now));
        }
    }

    /// Whether there was a kill within the last seconds. `count`: all of them until now.
    fn are_recent(&mut self, now: Instant, count: u64) -> bool {
        self.note(now, count);
        let since = self.rose_at.map(|at| now.saturating_duration_since(at));
        since.is_some_and(|since| since <= KILLS_EXPLAIN_FOR)
    }
}

/// How a main process ended. `was_killed`: the kernel has just killed a process of its group for want of memory.
/// `is_counted`: the kernel counts such kills for the group.
fn explained(exit: Exit, was_killed: bool, limit_bytes: u64, is_counted: bool) -> Exit {
    /// 128 and the number of KILL: a shell or a launcher ended because what it ran was killed.
    const KILLED_BELOW: Exit = Exit::Code(137);
    match exit {
        Exit::Signal(9) | Exit::KilledBySomebody | Exit::OutOfMemory { .. } | KILLED_BELOW
            if was_killed =>
        {
            Exit::OverMemoryLimit { limit_bytes }
        }
        // The kernel counts each of its kills in the group of what it killed.
        Exit::Signal(9) | Exit::OutOfMemory { .. } if is_counted => Exit::KilledBySomebody,
        exit => exit,
    }
}

/// CPU time in relation to the time in which it was used.
fn thousandths(used: Duration, within: Duration) -> u64 {
    let within = within.as_micros().max(1);
    u64::try_from(used.as_micros() * 1000 / within).unwrap_or(u64::MAX)
}

/// The name of the group of a run. `life` is never used again.
pub(super) fn group_name(server: &Name, instance: mainstay_model::InstanceId, life: u64) -> String {
    format!("{server}-{instance}.{life}")
}

/// Shared by who minds the run and who shows it.
pub(super) type SharedBounds = Arc<Bounds>;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Escape, Exit, KILLS_EXPLAIN_FOR, KillsSeen, explained};

    #[test]
    fn an_old_kill_of_a_child_explains_no_end_of_the_main_process() {
        let (mut seen, begin) = (KillsSeen::default(), Instant::now());
        let after = |seconds| begin + Duration::from_secs(seconds);
        assert!(!seen.are_recent(begin, 0));
        seen.note(after(10), 1);
        seen.note(after(11), 1);
        assert!(seen.are_recent(after(10) + KILLS_EXPLAIN_FOR, 1));
        assert!(!seen.are_recent(after(14), 1));
        assert!(!seen.are_recent(after(36_000), 1));
        // One that no look has found yet.
        assert!(seen.are_recent(after(36_001), 2));
        assert!(!seen.are_recent(after(36_005), 2));
    }

    #[test]
    fn an_escape_takes_two_looks_and_is_over_when_none_is_outside() {
        let mut escape = Escape::default();
        let mut look = |outside| {
            escape = escape.next(outside);
            escape
        };
        use Escape::{None, Seen, Suspected};
        assert_eq!([look(0), look(1), look(0)], [None, Suspected, None]);
        assert_eq!([look(2), look(1), look(3), look(0)], [Suspected, Seen(1), Seen(3), None]);
    }

    #[test]
    fn kills_and_exits_of_launchers_are_told_apart() {
        let over = Exit::OverMemoryLimit { limit_bytes: 7 };
        let of_daemon = Exit::OutOfMemory { limit_bytes: Some(9) };
        let (signal, below) = (Exit::Signal(9), Exit::Code(137));
        for (exit, was_killed, is_counted, expected) in [
            (signal, true, true, over),
            (Exit::KilledBySomebody, true, true, over),
            (of_daemon, true, true, over),
            (below, true, true, over),
            (Exit::Code(1), true, true, Exit::Code(1)),
            (Exit::Signal(15), true, true, Exit::Signal(15)),
            (signal, false, true, Exit::KilledBySomebody),
            (of_daemon, false, true, Exit::KilledBySomebody),
            (below, false, true, below),
            (signal, false, false, signal),
            (of_daemon, false, false, of_daemon),
        ] {
            let found = explained(exit, was_killed, 7, is_counted);
            assert_eq!(found, expected, "{exit:?} {was_killed} {is_counted}");
        }
    }
}
