//! Looks up the address of a host. A lookup that hangs is never joined by another of the same target.
//!
//! The system's resolver blocks a thread, for half a minute and more when its servers are silent, and can't be
//! stopped. Checks come every few seconds, so lookups would take all threads that wait for files.

use std::io;
use std::net::SocketAddr;

use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinHandle;

/// The lookups of one host, one at a time.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    running: Mutex<Option<JoinHandle<io::Result<Vec<SocketAddr>>>>>,
}

/// Lookups at the same time, of all targets: a small part of the threads that may block.
static TURNS: Semaphore = Semaphore::const_new(32);

// === impl Lookup ===

impl Lookup {
    /// The addresses of a host. Cancel safe: the next call waits for a lookup that is still in progress.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let host = host.to_owned();
        self.one(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }).await
    }

    /// The result of the lookup in progress, or of this one if there is none.
    async fn one(
        &self,
        lookup: impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    ) -> io::Result<Vec<SocketAddr>> {
        let mut running = self.running.lock().await;
        let task = running.get_or_insert_with(|| {
            tokio::spawn(async move {
                let _turn = TURNS.acquire().await.map_err(io::Error::other)?;
                lookup.await
            })
        });
        let found = task.await;
        *running = None;
        found.map_err(io::Error::other)?
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        if let Some(running) = self.running.get_mut() {
            running.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::sync::Notify;
    use tokio::time::timeout;

    use super::Lookup;

    #[tokio::test]
    async fn t0_3_a_lookup_that_hangs_is_waited_for_again_and_not_joined_by_another() {
        let lookup = Lookup::default();
        let (begun, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let hang = || {
            let (begun, answer) = (begun.clone(), answer.clone());
            lookup.one(async move {
                begun.fetch_add(1, Ordering::Relaxed);
                answer.notified().await;
                Ok(vec![([127, 0, 0, 1], 80).into()])
            })
        };
        for _ in 0..20 {
            assert!(timeout(Duration::from_millis(5), hang()).await.is_err());
        }
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        answer.notify_one();
        assert_eq!(hang().await.unwrap(), [([127, 0, 0, 1], 80).into()]);
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        // The next one begins anew.
        answer.notify_one();
        hang().await.unwrap();
        assert_eq!(begun.load(Ordering::Relaxed), 2);
    }
}
