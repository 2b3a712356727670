//! Ends processes: TERM first, then KILL, and gives up on those that outlive KILL.
//!
//! Pure, because two drivers use it: a task of the daemon, and the guard, which has no runtime.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::procfs::Identity;

/// Longest wait for a killed process. One that stays longer waits for a device or a network mount,
/// and the kernel does not interrupt that.
pub(super) const KILL_WAIT_MAX: Duration = Duration::from_secs(5);

/// Pause between two looks: the first, then doubled up to the maximum.
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// The end of one tree of processes.
#[derive(Debug)]
pub(super) struct Ending {
    kill_at: Instant,
    give_up_at: Instant,
    /// Processes that got TERM; a second TERM makes some programs drop what they were finishing.
    asked: BTreeSet<Identity>,
    pause: Duration,
}

/// The next step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// No process is left.
    Gone,
    /// Send TERM to these, look again after the pause.
    Ask(Vec<Identity>, Duration),
    /// Send KILL to these, look again after the pause.
    Kill(Vec<Identity>, Duration),
    /// Processes have outlived KILL.
    GiveUp,
}

// === impl Ending ===

impl Ending {
    /// `grace` is the time between TERM and KILL; zero sends KILL at once.
    pub(super) fn new(now: Instant, grace: Duration) -> Self {
        let kill_at = now + grace;
        let give_up_at = kill_at + KILL_WAIT_MAX;
        Self { kill_at, give_up_at, asked: BTreeSet::new(), pause: PAUSE_MIN }
    }

    /// Shortens the grace that is left to `grace`, if it is longer.
    pub(super) fn hurry(&mut self, now: Instant, grace: Duration) {
        self.kill_at = self.kill_at.min(now + grace);
        self.give_up_at = self.kill_at + KILL_WAIT_MAX;
    }

    /// Decides the next step. `living` are the processes that are left; None when that is unknown,
    /// which must not count as "none left".
    pub(super) fn next(&mut self, now: Instant, living: Option<&BTreeSet<Identity>>) -> Next {
        if living.is_some_and(BTreeSet::is_empty) {
            return Next::Gone;
        }
        if self.give_up_at <= now {
            return Next::GiveUp;
        }
        let living = living.into_iter().flatten().copied();
        if self.kill_at <= now {
            return Next::Kill(living.collect(), self.pause());
        }
        let unasked: Vec<Identity> = living.filter(|one| self.asked.insert(*one)).collect();
        let pause = self.pause().min(self.kill_at - now);
        Next::Ask(unasked, pause)
    }

    fn pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, Instant};

    use super::{Ending, Identity, KILL_WAIT_MAX, Next};

    fn living(pids: &[i32]) -> BTreeSet<Identity> {
        pids.iter().map(|pid| Identity { pid: *pid, start: 1 }).collect()
    }

    fn summary(next: Next) -> (&'static str, Vec<i32>) {
        let pids = |who: Vec<Identity>| who.into_iter().map(|one| one.pid).collect();
        match next {
            Next::Gone => ("gone", vec![]),
            Next::Ask(who, _) => ("ask", pids(who)),
            Next::Kill(who, _) => ("kill", pids(who)),
            Next::GiveUp => ("give up", vec![]),
        }
    }

    #[test]
    fn asked_once_then_killed_until_gone_or_given_up() {
        let begin = Instant::now();
        let grace = Duration::from_secs(2);
        let mut ending = Ending::new(begin, grace);
        let mut step = |after: Duration, pids: Option<&[i32]>| {
            summary(ending.next(begin + after, pids.map(living).as_ref()))
        };
        let seconds = Duration::from_secs;
        assert_eq!(step(seconds(0), Some(&[1, 2])), ("ask", vec![1, 2]));
        assert_eq!(step(seconds(1), Some(&[1, 2, 3])), ("ask", vec![3]));
        assert_eq!(step(seconds(1), None), ("ask", vec![]));
        assert_eq!(step(seconds(2), Some(&[2, 3])), ("kill", vec![2, 3]));
        assert_eq!(step(seconds(3), Some(&[3])), ("kill", vec![3]));
        assert_eq!(step(seconds(3), None), ("kill", vec![]));
        assert_eq!(step(seconds(2) + KILL_WAIT_MAX, Some(&[3])), ("give up", vec![]));
        assert_eq!(step(seconds(2) + KILL_WAIT_MAX, Some(&[])), ("gone", vec![]));
    }

    #[test]
    fn without_grace_it_is_killed_at_once() {
        let now = Instant::now();
        let next = Ending::new(now, Duration::ZERO).next(now, Some(&living(&[1])));
        assert_eq!(summary(next), ("kill", vec![1]));
    }

    #[test]
    fn hurry_shortens_the_grace_and_never_lengthens_it() {
        let now = Instant::now();
        let mut ending = Ending::new(now, Duration::from_secs(60));
        ending.hurry(now, Duration::from_secs(2));
        ending.hurry(now, Duration::from_secs(30));
        let mut step = |after| summary(ending.next(now + after, Some(&living(&[1])))).0;
        assert_eq!(step(Duration::from_secs(1)), "ask");
        assert_eq!(step(Duration::from_secs(2)), "kill");
        assert_eq!(step(Duration::from_secs(2) + KILL_WAIT_MAX), "give up");
    }

    #[test]
    fn looks_grow_rarer_and_kill_is_not_late() {
        let now = Instant::now();
        let mut ending = Ending::new(now, Duration::from_millis(3));
        let mut pause = |after| match ending.next(now + after, Some(&living(&[1]))) {
            Next::Ask(_, pause) | Next::Kill(_, pause) => pause.as_millis(),
            _ => 0,
        };
        let ms = Duration::from_millis;
        assert_eq!([pause(ms(0)), pause(ms(2)), pause(ms(3)), pause(ms(11))], [2, 1, 8, 16]);
    }
}
