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
