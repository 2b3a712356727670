//! Parts of all kinds of tests: the daemon under test, the server behind it, and waiting.

use std::panic::Location;
use std::time::{Duration, Instant};

use mainstay_testkit::daemon::Builder;
use mainstay_testkit::{Daemon, programs};

/// The longest time for which a test waits for anything. Most waits end after milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// The interval between checks of an awaited condition.
const LOOK: Duration = Duration::from_millis(5);

pub(crate) fn daemon() -> Builder {
    Daemon::builder(env!("CARGO_BIN_EXE_mainstay"))
}

/// Returns the command of the server that misbehaves as configured.
pub(crate) fn misbehave(flags: &[&str]) -> Vec<String> {
    let program = programs::misbehave().unwrap().display().to_string();
    let words = [program, "stdio".to_owned()];
    words.into_iter().chain(flags.iter().map(|&flag| flag.to_owned())).collect()
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    eventually(what, async move || holds().await.then_some(()))
}

/// Waits until a value is there.
#[track_caller]
pub(crate) fn eventually<T>(
    what: &str,
    look: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    eventually_within(PATIENCE, what, look)
}

/// Waits until a value is there, for things that take longer than others.
#[track_caller]
pub(crate) fn eventually_within<T>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "{caller}: {what} never came to be");
            tokio::time::sleep(LOOK).await;
        }
    }
}
