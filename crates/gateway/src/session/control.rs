//! Signals to a call from outside of its task.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::task::AtomicWaker;
use mainstay_session::CallNo;

/// Tells a call that its client has cancelled it, or has answered a question.
#[derive(Debug)]
pub(crate) struct CallControl {
    pub(super) call: CallNo,
    cancelled: AtomicBool,
    /// Set if the daemon has cancelled the call, not its client.
    stopped: AtomicBool,
    answered: AtomicBool,
    waker: AtomicWaker,
}

// === impl CallControl ===

impl CallControl {
    pub(super) fn new(call: CallNo) -> Self {
        let (cancelled, stopped, answered) = Default::default();
        Self { call, cancelled, stopped, answered, waker: AtomicWaker::new() }
    }

    /// Notes that the client has answered a question of the call.
    pub(super) fn note_answer(&self) {
        self.answered.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Returns whether the client has answered a question since the last call of this method.
    pub(crate) fn take_answered(&self) -> bool {
        self.answered.swap(false, Ordering::AcqRel)
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Ends the call because the daemon stops: its client still gets a response.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.cancel();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub(crate) fn poll_cancelled(&self, cx: &std::task::Context<'_>) -> bool {
        if self.cancelled.load(Ordering::Acquire) {
            return true;
        }
        self.waker.register(cx.waker());
        self.cancelled.load(Ordering::Acquire)
    }
}
