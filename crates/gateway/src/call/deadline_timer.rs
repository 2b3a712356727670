//! The timer of a call.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// Wakes a call at its deadline.
#[derive(Default)]
pub(super) struct DeadlineTimer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// End of the caller's own wait, which has a timer already. The deadline needs none before.
    pub(super) awaited_until: Option<Instant>,
}

// === impl DeadlineTimer ===

impl DeadlineTimer {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        // Nearly every call is answered before this point, so a timer would be started in vain.
        if self.awaited_until.is_some_and(|until| until < deadline) {
            return Poll::Pending;
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        // The last open question was answered.
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            // Progress has moved the deadline meanwhile.
            sleep.as_mut().reset(deadline);
        }
    }
}
