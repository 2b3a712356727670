//! Turns: how many calls a server carries out at the same time, over all its instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mainstay_model::{Name, Refusal, RefusalCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::lending::WAITING_MAX;
use crate::patience::{Place, Queued};

/// The turns of a server with a limit.
#[derive(Debug)]
pub(crate) struct Turns {
    server: Name,
    /// The number of calls at the same time.
    limit: usize,
    /// Fair: calls get their turn in the order in which they came.
    free: Arc<Semaphore>,
    /// The calls that wait.
    waiting: AtomicUsize,
    /// The calls that nobody waits for any more, and whose turn is kept.
    given_up: AtomicUsize,
}

/// The turn of one call. Dropping it lets the next call begin.
#[derive(Debug)]
pub(crate) struct Turn(
    #[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit,
);

const FEWER_CALLS: &str =
    "make fewer calls at the same time, or increase concurrency of this server";

// === impl Turns ===

impl Turns {
    /// `None` without a limit.
    pub(crate) fn new(server: &Name, limit: usize) -> Option<Self> {
        (limit > 0).then(|| Self {
            server: server.clone(),
            limit,
            free: Arc::new(Semaphore::new(limit)),
            waiting: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
        })
    }

    /// Waits for a turn until `by`.
    ///
    /// # Errors
    /// A refusal if too many calls wait, or it is not the call's turn by then.
    pub(crate) async fn take(&self, by: Instant) -> Result<Turn, Refusal> {
        if let Ok(turn) = self.free.clone().try_acquire_owned() {
            return Ok(Turn(turn));
        }
        let (_place, before) = Place::take(&self.waiting);
        if before >= WAITING_MAX {
            return Err(self
                .refuse(
                    RefusalCode::TooManyRequests,
                    format!("Too many concurrent requests (max: {})", self.limit),
                    FEWER_CALLS,
                )
                .retry_after(Duration::from_secs(1)));
        }
        let queued = Queued { since: Instant::now(), behind: self.limit + before };
        let turn = tokio::time::timeout_at(by.into(), self.free.clone().acquire_owned()).await;
        // The semaphore is never closed.
        turn.ok().and_then(Result::ok).map(Turn).ok_or_else(|| {
            let (given_up, hint) = match self.given_up.load(Ordering::Acquire) {
                0 => (String::new(), FEWER_CALLS),
                count => {
                    let which = if count == 1 { "one that was" } else { "some that were" };
                    let why = format!("; {} may still work on {which} given up", self.server);
                    (
                        why,
                        "try again: the turn of a call that was given up is kept for a few seconds",
                    )
                }
            };
            let say = format!(
                "the call was not sent: it waited for its turn {}{given_up}",
                queued.told()
            );
            self.refuse(RefusalCode::QueueTimeout, say, hint)
        })
    }

    /// Counts a call as given up until the value is dropped.
    pub(crate) fn note_given_up(&self) -> Place<'_> {
        Place::take(&self.given_up).0
    }

    fn refuse(&self, code: RefusalCode, say: String, hint: &str) -> Refusal {
        Refusal::new(code, say)
            .server(&self.server)
            .limit(format!("concurrency: {}", self.limit))
            .hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use mainstay_model::{Name, RefusalCode};

    use super::Turns;
    use crate::lending::WAITING_MAX;

    fn turns(limit: usize) -> Option<Turns> {
        Turns::new(&Name::try_new("plain").unwrap(), limit)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[tokio::test]
    async fn so_many_calls_at_a_time_and_the_others_in_the_order_in_which_they_came() {
        assert!(turns(0).is_none());
        let turns = Arc::new(turns(2).unwrap());
        let later = Instant::now() + Duration::from_secs(30);
        let mut held = vec![turns.take(later).await.unwrap(), turns.take(later).await.unwrap()];
        let (ended, mut order) = tokio::sync::mpsc::channel(5);
        for number in 0..5 {
            let (waits, ended) = (turns.clone(), ended.clone());
            tokio::spawn(async move {
                let turn = waits.take(later).await.unwrap();
                ended.send((number, turn)).await.unwrap();
            });
            while turns.waiting.load(std::sync::atomic::Ordering::Acquire) < number + 1 {
                tokio::task::yield_now().await;
            }
        }
        for expected in 0..5 {
            assert!(order.try_recv().is_err(), "no turn is free");
            held.remove(0);
            let (number, turn) = order.recv().await.unwrap();
            assert_eq!(number, expected);
            held.push(turn);
        }
    }

    #[tokio::test]
    async fn a_call_waits_until_its_deadline_and_leaves_no_trace() {
        let turns = turns(1).unwrap();
        let held = turns.take(soon()).await.unwrap();
        let refused = turns.take(soon()).await.unwrap_err();
        assert_eq!(refused.code, RefusalCode::QueueTimeout);
        assert_eq!(refused.data.limit.as_deref(), Some("concurrency: 1"));
        let said = &refused.message;
        assert!(
            said.contains("waited for its turn") && said.ends_with("behind 1 other call"),
            "{said}"
        );
        let given_up = turns.note_given_up();
        let refused = turns.take(soon()).await.unwrap_err();
        assert!(
            refused.message.ends_with("plain may still work on one that was given up"),
            "{refused:?}"
        );
        drop((held, given_up));
        turns.take(soon()).await.unwrap();
    }

    #[tokio::test]
    async fn only_so_many_calls_wait() {
        let turns = Arc::new(turns(1).unwrap());
        let _held = turns.take(soon()).await.unwrap();
        let later = Instant::now() + Duration::from_secs(30);
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..WAITING_MAX {
            let turns = turns.clone();
            waiting.spawn(async move { turns.take(later).await.is_ok() });
        }
        while turns.waiting.load(std::sync::atomic::Ordering::Acquire) < WAITING_MAX {
            tokio::task::yield_now().await;
        }
        let refused = turns.take(later).await.unwrap_err();
        assert_eq!(refused.code, RefusalCode::TooManyRequests);
        assert_eq!(refused.message, "Too many concurrent requests (max: 1)");
        waiting.shutdown().await;
        assert_eq!(turns.waiting.load(std::sync::atomic::Ordering::Acquire), 0);
    }
}
