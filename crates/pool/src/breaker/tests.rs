use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use mainstay_model::settings::BreakerSpec;
use mainstay_model::{Condition, Need};
use mainstay_supervisor::breaker::{BreakerFailure, ChangeWhy, FailureKind, Position, Verdict};
use mainstay_telemetry::Metrics;
use parking_lot::Mutex;

use super::Breaker;

const RECOVERY: Duration = Duration::from_millis(40);

/// The changes that were made known.
type Told = Arc<Mutex<Vec<(Condition, Condition)>>>;

/// A breaker, and what it has made known.
fn breaker(failures: u32) -> (Arc<Breaker>, Told) {
    let metrics = Arc::new(Metrics::new("1", []));
    let told = Told::default();
    let kept = told.clone();
    metrics.changes().observe(Box::new(move |change| kept.lock().push((change.from, change.to))));
    let id: Need = "external:store".parse().unwrap();
    let spec = BreakerSpec { enabled: true, failures, recovery: RECOVERY };
    (Breaker::new(id, spec, &metrics), told)
}

fn fail(breaker: &Breaker) {
    let ticket = breaker.admit().unwrap();
    let failure = BreakerFailure::new(FailureKind::Deadline, "it did not answer");
    breaker.report(ticket, &Verdict::Failure(failure));
}

async fn until(breaker: &Breaker, position: Position) {
    let reached = async {
        // What the word says, which nobody but the timer changes.
        while breaker.word.0.load(Ordering::Relaxed) & 0b11 != position as u64 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached).await.expect("it gets there by itself");
}

#[tokio::test]
async fn an_open_breaker_becomes_half_open_by_itself_and_a_success_closes_it() {
    let (breaker, told) = breaker(2);
    fail(&breaker);
    assert!(breaker.is_closed());
    fail(&breaker);
    assert!(!breaker.is_closed());
    let refused = breaker.admit().unwrap_err();
    assert_eq!(refused.position, Position::Open);
    assert!(refused.next_trial_in.is_some_and(|left| left <= RECOVERY));
    until(&breaker, Position::HalfOpen).await;
    let trial = breaker.admit().unwrap();
    assert!(breaker.admit().unwrap_err().is_trying);
    breaker.succeeded(trial);
    assert!(breaker.is_closed());
    let (closed, open) = (Condition::BreakerClosed, Condition::BreakerOpen);
    let half = Condition::BreakerHalfOpen;
    assert_eq!(*told.lock(), [(closed, open), (open, half), (half, closed)]);
}

#[tokio::test]
async fn a_trial_that_is_dropped_gives_its_place_back() {
    let (breaker, _) = breaker(1);
    fail(&breaker);
    until(&breaker, Position::HalfOpen).await;
    let trial = breaker.admit().unwrap();
    assert!(breaker.admit().is_err());
    drop(trial);
    assert_eq!(breaker.position(), Position::HalfOpen);
    let trial = breaker.admit().unwrap();
    breaker.report(trial, &Verdict::Neither);
    assert!(breaker.admit().is_ok());
}

#[tokio::test]
async fn t4_6_of_fifty_callers_at_once_one_gets_the_trial() {
    for _ in 0..50 {
        let (breaker, _) = breaker(1);
        fail(&breaker);
        until(&breaker, Position::HalfOpen).await;
        let (barrier, admitted) = (Barrier::new(50), AtomicUsize::new(0));
        let tickets = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    barrier.wait();
                    if let Ok(ticket) = breaker.admit() {
                        admitted.fetch_add(1, Ordering::Relaxed);
                        tickets.lock().push(ticket);
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 1);
    }
}

#[tokio::test]
async fn a_success_forgets_failures_and_a_reset_closes() {
    let (breaker, _) = breaker(2);
    fail(&breaker);
    let ticket = breaker.admit().unwrap();
    breaker.succeeded(ticket);
    assert_eq!(breaker.view().failures_in_a_row, 0);
    assert!(!breaker.reset(ChangeWhy::Reset), "it was closed");
    fail(&breaker);
    fail(&breaker);
    assert!(breaker.reset(ChangeWhy::Reset));
    assert!(breaker.is_closed());
    let view = breaker.view();
    assert_eq!((view.failures_in_a_row, view.failures_counted), (0, 3));
}

#[tokio::test]
async fn a_refusal_says_since_when_why_and_when_to_try_again() {
    let (breaker, _) = breaker(2);
    fail(&breaker);
    fail(&breaker);
    let refusal = breaker.admit().unwrap_err().refusal();
    assert_eq!(refusal.code.name(), "BREAKER_OPEN");
    assert!(refusal.message.contains("2 failures in a row"), "{refusal}");
    assert!(refusal.message.contains("did not answer by the deadline"), "{refusal}");
    let data = refusal.data;
    assert!(data.retry_after_ms.is_some_and(|after| (1..=40).contains(&after)), "{data:?}");
    assert!(data.since.is_some_and(|since| since.ends_with('Z')));
    assert!(data.hint.is_some_and(|hint| hint.contains("mainstay breaker reset store")));
    assert_eq!(data.limit.as_deref(), Some("breaker: 2 failures in a row, recovery 40 ms"));
}
