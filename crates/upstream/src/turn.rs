//! Bounds what a task takes from one server before other tasks get their turn.
//!
//! A server may write without a pause. A task that reads as long as there is something to read
//! would keep its thread, and timers on that thread would fire late. The budget of the runtime
//! counts reads, however much each of them brings, so it is no bound for that.

use std::task::{Context, Poll};

/// The work that a task has done for one server since it last let others run.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    cost: usize,
}

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

    /// Lets other tasks run if the turn is over.
    pub(crate) async fn pass(&mut self) {
        if self.is_over() {
            self.begin();
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::{COPY_SHARE, COST_MAX, Turn};

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
