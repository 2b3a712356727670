//! Bounds what a task takes from one server before other tasks get their turn.
//!
//! A server may write without a pause. A task that reads as long as there is something to read
//! would keep its thread, and timers on that thread would fire late. The budget of the runtime
//! counts reads, however much each of them brings, so it is no bound for that.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

/// The work that a task has done for one server since it last let others run.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    cost: usize,
}

/// The turns that a task takes for a server. A task that has used them up while nobody waits for what the
/// server sends rests, and reads nothing: the server fills the buffers of the connection and has to wait.
/// Otherwise a server that never pauses would take a core for ever. A burst is read at once.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Turns that may be taken at once.
    left: u32,
    /// When the turns that are left were last added to.
    since: Option<Instant>,
}

/// Turns of a burst: 64 MB or 128,000 messages, which take a core for about a second.
const BURST: u32 = 1000;
/// One more turn is allowed each time this has passed: 3 MB or 6,400 messages in a second, and about a
/// twentieth of a core.
const TURN_EVERY: Duration = Duration::from_millis(20);
/// How often a task that rests looks whether somebody has begun to wait.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Work of one turn: about that many bytes to parse, which takes less than a millisecond.
const COST_MAX: usize = 64 << 10;
/// The cost of a message in addition to its bytes.
const MESSAGE_COST: usize = 512;
/// Bytes that are only copied cost this part of bytes that are parsed.
const COPY_SHARE: usize = 8;

// === impl Turn ===

impl Turn {
    /// Adds a message of `bytes`.
    pub(crate) fn add_message(&mut self, bytes: usize) {
        self.cost += bytes + MESSAGE_COST;
    }

    /// Adds bytes that are searched for messages.
    pub(crate) fn add_parsed(&mut self, bytes: usize) {
        self.cost += bytes;
    }

    /// Adds bytes that are only copied.
    pub(crate) fn add_copied(&mut self, bytes: usize) {
        self.cost += bytes / COPY_SHARE;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.cost >= COST_MAX
    }

    /// Begins the next turn: the task waits for its server, or has let others run.
    pub(crate) fn begin(&mut self) {
        self.cost = 0;
    }

    /// Pending once at the end of a turn, after waking the task.
    pub(crate) fn poll_pass(&mut self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_over() {
            return Poll::Ready(());
        }
        self.begin();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Lets other tasks run if the turn is over, and rests if nobody waits for the server.
    pub(crate) async fn pass(&mut self, pace: &mut Pace, is_awaited: impl Fn() -> bool) {
        if !self.is_over() {
            return;
        }
        self.begin();
        tokio::task::yield_now().await;
        let Some(end) = pace.rest_after_turn(Instant::now()) else { return };
        while Instant::now() < end && !is_awaited() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

// === impl Pace ===

impl Pace {
    /// Counts a turn that is over. Returns when the next one may begin, unless it may at once.
    pub(crate) fn rest_after_turn(&mut self, now: Instant) -> Option<Instant> {
        let since = *self.since.get_or_insert(now);
        let earned = now.saturating_duration_since(since).as_millis() / TURN_EVERY.as_millis();
        let earned = u32::try_from(earned).unwrap_or(BURST).min(BURST);
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(BURST);
            self.since = Some(if self.left == BURST { now } else { since + TURN_EVERY * earned });
        }
        self.left = self.left.saturating_sub(1);
        (self.left == 0).then(|| self.since.unwrap_or(now) + TURN_EVERY)
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self { left: BURST, since: None }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use tokio::time::Instant;

    use super::{BURST, COPY_SHARE, COST_MAX, Pace, TURN_EVERY, Turn};

    #[test]
    fn whoever_never_pauses_gets_a_burst_and_then_so_many_turns_in_a_second() {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        let (mut now, mut turns) = (begun, 0);
        while now < begun + 50 * TURN_EVERY {
            now = pace.rest_after_turn(now).unwrap_or(now);
            turns += 1;
        }
        assert!((BURST + 48..=BURST + 51).contains(&turns), "{turns}");
        // One that pauses itself is not made to rest, and a long pause allows a burst again.
        for _ in 0..100 {
            now += 2 * TURN_EVERY;
            assert_eq!(pace.rest_after_turn(now), None);
        }
        now += BURST * TURN_EVERY;
        for _ in 1..BURST {
            assert_eq!(pace.rest_after_turn(now), None);
        }
        assert!(pace.rest_after_turn(now).is_some());
    }

    #[test]
    fn a_turn_ends_after_so_many_bytes_or_messages_and_begins_anew() {
        let cx = Context::from_waker(Waker::noop());
        let count = |mut add: Box<dyn FnMut(&mut Turn)>| {
            let mut turn = Turn::default();
            for count in 0.. {
                if turn.poll_pass(&cx) == Poll::Pending {
                    assert_eq!(turn.poll_pass(&cx), Poll::Ready(()), "a new turn");
                    return count;
                }
                add(&mut turn);
            }
            0
        };
        assert_eq!(count(Box::new(|turn| turn.add_message(0))), 128);
        assert_eq!(count(Box::new(|turn| turn.add_parsed(1024))), COST_MAX / 1024);
        assert_eq!(count(Box::new(|turn| turn.add_copied(1024))), COPY_SHARE * COST_MAX / 1024);
    }
}
