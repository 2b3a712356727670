//! What tests of all kinds need: the daemon under test, the server behind it, and patience.

use std::panic::Location;
use std::time::{Duration, Instant};

use mainstay_testkit::daemon::Builder;
use mainstay_testkit::{Daemon, programs};

/// No test waits longer for anything; most waits end after milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// How often something that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(5);

pub(crate) fn daemon() -> Builder {
    Daemon::builder(env!("CARGO_BIN_EXE_mainstay"))
}

/// The command of the server that misbehaves as told.
pub(crate) fn misbehave(flags: &[&str]) -> Vec<String> {
    let program = programs::misbehave().unwrap().display().to_string();
    let words = [program, "stdio".to_owned()];
    words.into_iter().chain(flags.iter().map(|&flag| flag.to_owned())).collect()
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    eventually(what, async move || holds().await.then_some(()))
}

/// Waits for something to be there.
#[track_caller]
pub(crate) fn eventually<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "{caller}: {what} never came to be");
            tokio::time::sleep(LOOK).await;
        }
    }
}
