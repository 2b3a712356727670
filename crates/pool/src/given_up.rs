//! Abandoned calls at a server with turns: those that the client cancelled, or that are past their
//! deadline. The server may still work on one, so its turn is kept until the server is known to be done with it.
//! Otherwise a server with `concurrency = 1` could work on two calls at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_telemetry::events::TurnGivenOn;
use mainstay_upstream::{Exchange, Incoming};

use crate::breaker::AttemptEnd;
use crate::permit::Permit;
use crate::pool::Pool;
use crate::turns::Turns;

/// How long the turn of a call that was given up is kept at most. A server that takes a cancellation seriously
/// sends no answer, so nothing tells when it is done. Calls that wait meanwhile have more time than that.
const KEPT_MAX: Duration = Duration::from_secs(10);

/// How long the turn is kept where only the end of the exchange tells the server that the call was given up: no
/// answer can come any more.
const KEPT_UNHEARD: Duration = Duration::from_secs(5);

impl Pool {
    /// Gives a call up: tells the server that the answer is no longer wanted, and records how the attempt ended.
    /// The turn of the call, if it has one, is kept for as long as the server may work on it.
    pub fn give_up_call(
        self: &Arc<Self>,
        mut permit: Permit,
        exchange: Exchange,
        reason: &str,
        end: AttemptEnd<'_>,
    ) {
        if matches!(end, AttemptEnd::TimedOut | AttemptEnd::Unanswered) {
            exchange.note_overdue();
        }
        let runtime = tokio::runtime::Handle::try_current();
        match runtime.ok().filter(|_| permit.has_turn() && !self.is_stopping()) {
            None => {
                exchange.cancel(reason);
                permit.finish(self, end);
            }
            Some(runtime) => {
                let answer_may_come = exchange.announce_cancel(reason);
                permit.note_end(self, end);
                let pool = self.clone();
                self.tasks.spawn_on(
                    async move { pool.keep_turn(permit, exchange, answer_may_come).await },
                    &runtime,
                );
            }
        }
    }

    /// Keeps the turn of a call until the server answers it, the instance ends, or the time for that is over.
    async fn keep_turn(&self, permit: Permit, mut exchange: Exchange, answer_may_come: bool) {
        let _counted = self.turns.as_ref().map(Turns::note_given_up);
        if answer_may_come {
            tokio::select! {
                () = until_over(&mut exchange) => {}
                () = self.closing.cancelled() => {}
                () = tokio::time::sleep(KEPT_MAX) => {
                    let (server, instance) = (&self.name, permit.instance().id);
                    TurnGivenOn { server, instance, after: KEPT_MAX }.emit();
                }
            }
        } else {
            drop(exchange);
            tokio::select! {
                () = self.closing.cancelled() => {}
                () = tokio::time::sleep(KEPT_UNHEARD) => {}
            }
        }
        self.calls_ended.fetch_add(1, Ordering::Release);
    }
}

/// Waits for the answer or its loss. Questions of the server are refused, because the client has left.
async fn until_over(exchange: &mut Exchange) {
    loop {
        match exchange.next().await {
            Incoming::Answer(_) | Incoming::Lost(_) => return,
            Incoming::Question(question) => exchange.refuse(&question),
            Incoming::Notification(_) => {}
        }
    }
}
