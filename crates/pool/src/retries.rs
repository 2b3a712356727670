//! Places in the retry budget of a server. `supervisor::retry_budget` decides.
//!
//! Only calls that were lost come here, so calls that are answered pay nothing: the budget reads the count of
//! calls that have ended when a retry is wanted.

use std::sync::Arc;
use std::time::Instant;

use mainstay_supervisor::retry_budget::{BudgetSpent, RetryWish};
use mainstay_telemetry::Retry;

use crate::pool::Pool;

/// A place in the retry budget. It is given back when it is dropped before it is used.
#[derive(Debug)]
pub struct RetryPlace {
    pool: Arc<Pool>,
    at: Instant,
    is_used: bool,
}

impl Pool {
    /// Takes a place for a call that is to be sent again.
    ///
    /// # Errors
    /// [`BudgetSpent`] if no place comes before the deadline of the call.
    pub fn take_retry(self: &Arc<Self>, wish: &RetryWish) -> Result<RetryPlace, BudgetSpent> {
        let taken = self.retries.lock().take(Instant::now(), self.calls_ended(), wish);
        if taken.is_err() {
            self.server_metrics.retried(Retry::OverBudget);
        }
        Ok(RetryPlace { pool: self.clone(), at: taken?, is_used: false })
    }
}

// === impl RetryPlace ===

impl RetryPlace {
    /// When the call may be sent.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// Uses the place: the call is sent again now.
    pub fn spend(mut self) {
        self.is_used = true;
        self.pool.server_metrics.retried(Retry::Sent);
    }
}

impl Drop for RetryPlace {
    fn drop(&mut self) {
        if !self.is_used {
            self.pool.retries.lock().give_back();
            self.pool.server_metrics.retried(Retry::Withdrawn);
        }
    }
}
