use std::time::Duration;

use tokio::net::UnixListener;
use tokio::time::timeout;

use super::{Client, converse};

/// A stopped process still has its socket: the system takes connections for it, and nobody answers.
#[tokio::test]
async fn a_daemon_that_answers_nothing_is_not_waited_for_as_long_as_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let _stopped = UnixListener::bind(folder.path().join(mainstay_admin::SOCKET)).unwrap();
    let client = Client::new(folder.path(), Duration::from_secs(1));
    let begun = timeout(Duration::from_secs(20), converse(&client, "one"));
    let failure = begun.await.expect("the deadline of the client holds").unwrap_err();
    assert_eq!(failure.message(), "the daemon did not answer within 1 s");
}

#[test]
fn a_call_is_waited_for_as_long_as_the_daemon_lets_calls_take() {
    for (max_ms, seconds) in [(2_000, 32), (300_000, 330), (3_600_000, 3_630), (0, 330)] {
        assert_eq!(super::deadline_of(max_ms).as_secs(), seconds);
    }
}
