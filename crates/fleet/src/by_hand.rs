//! Which servers and services were stopped by hand, over restarts of the daemon.

use std::collections::BTreeSet;
use std::sync::Arc;

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

    /// All of them, as they are written in `needs`. What is not configured any more is among them.
    ///
    /// # Errors
    /// If the store does not answer.
    pub(crate) async fn all(&self) -> Result<BTreeSet<String>, Unavailable> {
        let mut all = BTreeSet::new();
        let mut after = String::new();
        loop {
            let page = self.table.list(&after, mainstay_store::table::PAGE_MAX).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after.clone_from(&last.key);
            all.extend(page.into_iter().map(|row| row.key));
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
        let mut version = 0;
        for _ in 0..ATTEMPTS_MAX {
            match self.table.put(&key, version, b"stopped").await? {
                Put::Done { .. } => return Ok(()),
                Put::Conflict { version: other } => version = other,
            }
        }
        Ok(())
    }
}
