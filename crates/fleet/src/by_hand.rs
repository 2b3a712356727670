//! Which servers and services were stopped by hand, over restarts of the daemon.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstay_model::Need;
use mainstay_store::{Put, Table, Unavailable};

/// The stored names of what was stopped by hand.
#[derive(Debug)]
pub(crate) struct ByHand {
    table: Arc<dyn Table>,
}

/// The number of attempts to write a record that somebody else writes at the same time.
const ATTEMPTS_MAX: usize = 5;

// === impl ByHand ===

impl ByHand {
    pub(crate) fn new(table: Arc<dyn Table>) -> Self {
        Self { table }
    }

    /// All of them, as they are written in `needs`, with the time since when. What is not configured any more is among them.
    ///
    /// # Errors
    /// If the store does not answer.
    pub(crate) async fn all(&self) -> Result<BTreeMap<String, SystemTime>, Unavailable> {
        let mut all = BTreeMap::new();
        let mut after = String::new();
        loop {
            let page = self.table.list(&after, mainstay_store::table::PAGE_MAX).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after.clone_from(&last.key);
            all.extend(page.into_iter().map(|row| (row.key, since(&row.value))));
        }
    }

    /// Remembers that a node was stopped or started by hand.
    ///
    /// # Errors
    /// If the store does not answer. Then nothing is known about what is stored.
    pub(crate) async fn note(&self, node: &Need, is_stopped: bool) -> Result<(), Unavailable> {
        let key = node.to_string();
        if !is_stopped {
            return self.table.remove(&key).await.map(|_| ());
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let value = since.as_secs().to_string();
        let mut version = 0;
        for _ in 0..ATTEMPTS_MAX {
            match self.table.put(&key, version, value.as_bytes()).await? {
                Put::Done { .. } => return Ok(()),
                Put::Conflict { version: other } => version = other,
            }
        }
        Ok(())
    }
}

/// The time of a record. A record that can't be read is as old as this daemon.
fn since(value: &[u8]) -> SystemTime {
    let seconds = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    seconds.map_or_else(SystemTime::now, |seconds| UNIX_EPOCH + Duration::from_secs(seconds))
}
