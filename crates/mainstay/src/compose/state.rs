//! Access to the state folder before the daemon serves, on threads that may block.

use std::path::Path;
use std::time::Duration;

use crate::exit::{Exit, Failure};

/// Longest wait for the disk in each step of a start.
const DEADLINE: Duration = Duration::from_secs(20);

/// Runs `work` on a thread that may block, and returns its result.
///
/// # Errors
///
/// When it takes longer than 20 s. The thread keeps running then.
pub(super) async fn ask<T: Send + 'static>(
    state_dir: &Path,
    work: impl FnOnce(&Path) -> T + Send + 'static,
) -> Result<T, Failure> {
    ask_within(state_dir, DEADLINE, work).await
}

async fn ask_within<T: Send + 'static>(
    state_dir: &Path,
    deadline: Duration,
    work: impl FnOnce(&Path) -> T + Send + 'static,
) -> Result<T, Failure> {
    let dir = state_dir.to_owned();
    let work = tokio::task::spawn_blocking(move || work(&dir));
    match tokio::time::timeout(deadline, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(failed)) => std::panic::resume_unwind(failed.into_panic()),
        Err(_) => {
            let (folder, seconds) = (state_dir.display(), deadline.as_secs());
            let message = format!("the state folder {folder} has not answered for {seconds} s");
            Err(Failure::new(Exit::Failed, message)
                .hint("its disk or mount hangs; select a folder elsewhere with --state DIR"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::{ask, ask_within};

    #[tokio::test]
    async fn a_folder_that_does_not_answer_ends_the_start() {
        let (answer, hangs) = channel::<()>();
        let short = Duration::from_millis(20);
        let asked = ask_within(Path::new("/state"), short, move |_| hangs.recv().is_ok()).await;
        let error = asked.err().unwrap();
        assert_eq!(error.message(), "the state folder /state has not answered for 0 s");
        // Dropped only now: a closed channel would count as an answer.
        drop(answer);
    }

    #[tokio::test]
    async fn what_was_found_is_returned() {
        let found = ask(Path::new("/state"), |dir| dir.join("session.key")).await;
        assert_eq!(found.ok().as_deref(), Some(Path::new("/state/session.key")));
    }
}
