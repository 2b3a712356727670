//! A waker for tasks that drive their own connection and must not wake themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Waker for a connection and everything that is polled with it.
///
/// While a task drives a connection, every part of it that becomes ready would wake the task that
/// is already running: the scheduler would put it at the end of its queue and wake another thread
/// for it, which costs several system calls a request. So a wake-up from inside is only recorded,
/// and the task polls again at once. A wake-up from outside wakes the task.
#[derive(Debug)]
pub struct InlineWaker {
    shared: Arc<Shared>,
    /// The waker of `shared`, created once.
    waker: Waker,
}

#[derive(Debug, Default)]
struct Shared {
    task: AtomicWaker,
    inside: AtomicBool,
    again: AtomicBool,
}

/// Most rounds of one poll before other tasks get their turn.
const ROUNDS_MAX: usize = 16;

// === impl InlineWaker ===

impl InlineWaker {
    /// Polls with this waker until `poll` is ready or waits for something outside of the task.
    pub fn poll<T>(
        &self,
        cx: &Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut inner = Context::from_waker(&self.waker);
        self.shared.task.register(cx.waker());
        for _ in 0..ROUNDS_MAX {
            self.shared.enter();
            let ready = poll(&mut inner);
            if !self.shared.leave() || ready.is_ready() {
                return ready;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Default for InlineWaker {
    fn default() -> Self {
        let shared = Arc::<Shared>::default();
        Self { waker: Waker::from(shared.clone()), shared }
    }
}

// === impl Shared ===

impl Shared {
    fn enter(&self) {
        self.inside.store(true, SeqCst);
    }

    /// Whether something was woken since [`enter`](Self::enter).
    fn leave(&self) -> bool {
        self.inside.store(false, SeqCst);
        self.again.swap(false, SeqCst)
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.inside.load(SeqCst) {
            self.again.store(true, SeqCst);
            // The task may have left before it could see that; then it has to be woken after all.
            if self.inside.load(SeqCst) || !self.again.swap(false, SeqCst) {
                return;
            }
        }
        self.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::Shared;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn inside_it_is_noted_and_outside_passed_on() {
        let count = Arc::new(Count::default());
        let relay = Arc::new(Shared::default());
        let waker = Waker::from(relay.clone());
        relay.task.register(&Waker::from(count.clone()));
        relay.enter();
        waker.wake_by_ref();
        assert!(relay.leave());
        relay.enter();
        assert!(!relay.leave());
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        waker.wake_by_ref();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn no_wake_is_lost_between_threads() {
        for _ in 0..2000 {
            let count = Arc::new(Count::default());
            let relay = Arc::new(Shared::default());
            relay.task.register(&Waker::from(count.clone()));
            relay.enter();
            let other = std::thread::spawn({
                let waker = Waker::from(relay.clone());
                move || waker.wake()
            });
            let again = relay.leave();
            other.join().unwrap();
            let late = relay.leave();
            assert!(again || late || count.0.load(Ordering::Relaxed) == 1);
        }
    }
}
