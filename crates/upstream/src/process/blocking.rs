//! Blocking calls, kept away from the runtime's threads.

/// Runs `work` on a thread made for blocking calls; a panic of `work` goes on in the caller.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
