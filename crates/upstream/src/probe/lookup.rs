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

impl Lookup {
    /// The addresses of a host. Cancel safe: the next call waits for a lookup that is still in progress.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let mut running = self.running.lock().await;
        let lookup = running.get_or_insert_with(|| {
            let host = host.to_owned();
            tokio::spawn(async move {
                let _turn = TURNS.acquire().await.map_err(io::Error::other)?;
                Ok(tokio::net::lookup_host((host, port)).await?.collect())
            })
        });
        let found = lookup.await;
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
