//! Bounds the notifications and answers on their way to one server. Each takes a task and, while it
//! is sent, a connection, so a slow server must not make Mainstay queue without limit.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// Deliveries under way at most: a thousand calls may be cancelled at once.
const DELIVERIES_MAX: usize = 1024;

/// Deliveries that are sent at once; each takes a connection of about 50 KiB.
const SENT_AT_ONCE_MAX: usize = 64;

/// Counts deliveries under way and their bytes.
#[derive(Debug)]
pub(super) struct Deliveries {
    bytes_max: usize,
    under_way: Mutex<UnderWay>,
    sending: Semaphore,
}

#[derive(Debug, Default)]
struct UnderWay {
    count: usize,
    bytes: usize,
}

/// A delivery in progress. Dropping the value ends it.
#[derive(Debug)]
pub(super) struct Delivery {
    of: Arc<Deliveries>,
    bytes: usize,
}

// === impl Deliveries ===

impl Deliveries {
    /// Creates a bound of [`DELIVERIES_MAX`] messages and `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Arc<Self> {
        let sending = Semaphore::new(SENT_AT_ONCE_MAX);
        Arc::new(Self { bytes_max, under_way: Mutex::default(), sending })
    }

    /// Begins a delivery of `bytes` bytes. None when the bound is reached.
    pub(super) fn begin(self: &Arc<Self>, bytes: usize) -> Option<Delivery> {
        let mut under_way = self.under_way.lock();
        if under_way.count >= DELIVERIES_MAX || under_way.bytes >= self.bytes_max {
            return None;
        }
        under_way.count += 1;
        under_way.bytes += bytes;
        drop(under_way);
        Some(Delivery { of: self.clone(), bytes })
    }
}

// === impl Delivery ===

impl Delivery {
    /// Runs `sent` when one of the [`SENT_AT_ONCE_MAX`] places is free.
    pub(super) async fn carry_out(self, sent: impl Future<Output = ()>) {
        // The semaphore is never closed.
        let _sending = self.of.sending.acquire().await;
        sent.await;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let mut under_way = self.of.under_way.lock();
        under_way.count -= 1;
        under_way.bytes -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::{DELIVERIES_MAX, Deliveries};

    #[test]
    fn what_is_under_way_is_bounded_by_count_and_by_bytes() {
        let deliveries = Deliveries::new(1000);
        let small: Vec<_> = (0..DELIVERIES_MAX).map_while(|_| deliveries.begin(0)).collect();
        assert_eq!(small.len(), DELIVERIES_MAX);
        assert!(deliveries.begin(0).is_none());
        drop(small);
        let large = deliveries.begin(5000);
        assert!(large.is_some() && deliveries.begin(0).is_none());
        drop(large);
        assert!(deliveries.begin(0).is_some());
    }
}
