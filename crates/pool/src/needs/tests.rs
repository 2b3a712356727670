use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::Need;
use mainstay_model::settings::BreakerSpec;
use mainstay_supervisor::breaker::{BreakerFailure, FailureKind, Verdict};
use mainstay_telemetry::Metrics;

use super::{NeedBoard, Trouble, TroubleTold};
use crate::breaker::Breaker;

#[derive(Debug)]
struct Unhealthy;

impl Trouble for Unhealthy {
    fn tell(&self) -> TroubleTold {
        TroubleTold {
            state: "unhealthy",
            since: Instant::now(),
            said: "external:store, which is unhealthy".to_owned(),
            retry_in: Some(Duration::from_secs(5)),
        }
    }
}

fn need(text: &str) -> Need {
    text.parse().unwrap()
}

fn board(recovery: Duration) -> (NeedBoard, Arc<Breaker>) {
    let metrics = Arc::new(Metrics::new("1", []));
    let spec = BreakerSpec { enabled: true, failures: 1, recovery };
    let breaker = Breaker::new(need("external:store"), spec, &metrics);
    let board = NeedBoard::default();
    board.put(&need("external:store"), Some(breaker.clone()), Box::new(Unhealthy));
    board.put(&need("volume:disk"), None, Box::new(Unhealthy));
    board.set_down(&need("volume:disk"), false);
    (board, breaker)
}

fn fail(breaker: &Breaker) {
    let ticket = breaker.admit().unwrap();
    let failure = BreakerFailure::new(FailureKind::Deadline, "too late");
    breaker.report(ticket, &Verdict::Failure(failure));
}

#[test]
fn what_was_not_seen_yet_is_down_and_says_why() {
    let (board, _) = board(Duration::from_secs(60));
    let store = board.get(&need("external:store")).unwrap();
    let unmet = store.admit().unwrap_err();
    assert_eq!((unmet.state.as_str(), unmet.retry_after_ms), ("unhealthy", Some(5000)));
    assert_eq!(store.trouble().unwrap().reason, "external:store, which is unhealthy");
    board.set_down(&need("external:store"), false);
    assert!(store.admit().unwrap().is_some());
    assert_eq!(store.trouble(), None);
    board.set_down(&need("external:store"), true);
    assert!(store.admit().is_err());
}

#[test]
fn an_open_breaker_refuses_although_the_node_is_well() {
    let (board, breaker) = board(Duration::from_secs(60));
    board.set_down(&need("external:store"), false);
    let store = board.get(&need("external:store")).unwrap();
    fail(&breaker);
    let unmet = store.admit().unwrap_err();
    assert_eq!(unmet.state, "breaker-open");
    assert!(
        unmet.reason.contains("after a failure: it did not answer by the deadline"),
        "{unmet:?}"
    );
    assert!(unmet.retry_after_ms.is_some_and(|ms| ms <= 60_000), "{unmet:?}");
}

#[tokio::test]
async fn looking_at_a_half_open_breaker_takes_no_trial() {
    let (board, breaker) = board(Duration::from_millis(20));
    board.set_down(&need("external:store"), false);
    let store = board.get(&need("external:store")).unwrap();
    fail(&breaker);
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(store.trouble(), None, "the next call is the trial");
    let trial = store.admit().unwrap();
    assert_eq!(store.trouble().unwrap().state, "breaker-half-open");
    assert!(store.admit().is_err());
    drop(trial);
    assert!(store.admit().is_ok());
}

#[test]
fn a_volume_has_no_breaker_and_what_is_removed_is_gone() {
    let (board, _) = board(Duration::from_secs(60));
    assert!(board.get(&need("volume:disk")).unwrap().admit().unwrap().is_none());
    board.remove(&need("volume:disk"));
    assert!(board.get(&need("volume:disk")).is_none());
    assert!(board.get(&need("external:store")).is_some());
}
