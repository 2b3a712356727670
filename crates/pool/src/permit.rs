//! The one way to a server: whoever outside of the pool has something to say to it holds a [`Permit`].
//!
//! | way | for |
//! | --- | --- |
//! | [`Pool::try_base`] | a call to the instance that everybody shares, if that is ready now: most calls |
//! | [`Pool::acquire`] | every other call; it may take a wait |
//! | [Pool::permit_for`] | words that are no calls, to an instance that is known: the end of a subscription |
//!
//! What holds for every call is checked in [`Pool::check_call`], which the first two begin with; breakers,
//! limits and budgets have their place there. [`Pool::acquire`] lists what comes after it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use mainstay_model::Refusal;
use mainstay_protocol::Era;
use mainstay_protocol::subscriptions::Filter;
use mainstay_telemetry::Attempt;
use mainstay_upstream::facts::Facts;
use mainstay_upstream::handshake::{self, ErrorAnswer, HandshakeError};
use mainstay_upstream::{Exchange, Lost, Outgoing, SessionNo};

use crate::instance::{Instance, ReadyRun};
use crate::key::Placement;
use crate::lending::Lease;
use crate::pool::Pool;

/// The right to speak to one instance that was ready when it was given. Dropping it gives a lent
/// instance back.
#[derive(Debug)]
pub struct Permit {
    instance: Arc<Instance>,
    run: Arc<ReadyRun>,
    /// What has to be given back; none for the instance that everybody shares.
    lease: Option<Lease>,
}

// === impl Pool ===

impl Pool {
    /// A permit for an instance that `want` allows, as soon as there is one.
    ///
    /// # Errors
    /// When there is none by `deadline`, or it is known that there will be none: says why, and when
    /// to try again.
    pub async fn acquire(
        self: &Arc<Self>,
        want: &Placement,
        deadline: Instant,
    ) -> Result<Permit, Refusal> {
        let era = want.key.era;
        // 1. What holds for every call.
        self.check_call()?;
        // 2. The server speaks as its client does, as far as that is known.
        self.check_era(era)?;
        // 3. An instance: the one that everybody shares, or one that is lent, which may take a wait.
        let (instance, lease) = if want.is_base() {
            (self.base_or_start(era)?, None)
        } else {
            let lease = self.lease(want, deadline).await?;
            (lease.instance().clone(), Some(lease))
        };
        // 4. It is ready, or worth waiting for.
        let run = self.wait_ready(&instance, deadline).await?;
        // 5. It speaks as its client does: a new run may be of another program.
        self.check_run_era(&run, era)?;
        // 6. It knows whose calls come now.
        if let Some(lease) = &lease {
            lease.refresh_roots(&run).await;
        }
        instance.touch(Instant::now());
        Ok(Permit::new(instance, run, lease))
    }

    /// What is checked before every call.
    ///
    /// # Errors
    /// When the server takes no calls any more, because the daemon stops or the server was taken out of the
    /// configuration.
    fn check_call(&self) -> Result<(), Refusal> {
        match self.is_stopping() {
            true => Err(self.unavailable("it is being stopped")),
            false => Ok(()),
        }
    }

    /// A permit for the instance that everybody shares, if that is ready now. What most calls take:
    /// no lock, no wait.
    pub fn try_base(&self, era: Era) -> Option<Permit> {
        self.check_call().ok()?;
        let (instance, run) = self.ready_base(era)?;
        Some(Permit::new(instance, run, None))
    }

    /// A permit for this instance, if it is ready, whoever has it: for words that are no calls, such
    /// as a subscription that ends.
    pub fn permit_for(&self, instance: &Arc<Instance>) -> Option<Permit> {
        let run = instance.ready_run()?;
        Some(Permit::new(instance.clone(), run, None))
    }

    /// Waits until nobody speaks to the server any more, for a pool that is given no new calls. Bounded
    /// by the caller.
    pub async fn until_unused(&self) {
        for instance in self.instances() {
            instance.until_unused().await;
        }
    }

    /// Sends a notification to the ready instances that serve nobody but this owner now: those that
    /// it holds, and those that only `sharing` may use.
    pub fn notify_own_instances(&self, owner: SessionNo, sharing: &str, message: &Bytes) {
        for instance in self.instances() {
            let own = *instance.key().sharing == *sharing || instance.held_by() == owner;
            if let (true, Some(run)) = (own, instance.ready_run()) {
                run.link.send(message.clone());
            }
        }
    }
}

// === impl Permit ===

impl Permit {
    fn new(instance: Arc<Instance>, run: Arc<ReadyRun>, lease: Option<Lease>) -> Self {
        instance.permit_begins();
        Self { instance, run, lease }
    }

    /// Sends a request. Does not wait: what comes back, comes out of the exchange.
    ///
    /// # Errors
    /// When it could not be sent.
    pub fn call(&self, request: &Outgoing<'_>, owner: SessionNo) -> Result<Exchange, Lost> {
        self.run.link.call(request, owner)
    }

    /// Sends a request of our own and waits for its result, or the error as the server wrote it. The
    /// caller bounds the time.
    ///
    /// # Errors
    /// When the server is gone or can't be asked.
    pub async fn ask(
        &self,
        method: &str,
        params: Option<&str>,
    ) -> Result<Result<Bytes, ErrorAnswer>, HandshakeError> {
        handshake::ask(&self.run.link, method, params).await
    }

    /// Begins a `subscriptions/listen` at a server of 2026-07-28.
    ///
    /// # Errors
    /// When it could not be sent.
    pub fn listen(&self, filter: &Filter) -> Result<Exchange, Lost> {
        handshake::listen(&self.run.link, filter)
    }

    /// Notes how an attempt at a call ended, and gives the instance back.
    pub fn finish(self, pool: &Pool, attempt: Attempt) {
        pool.server_metrics.attempted(attempt);
    }

    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// What the instance said of itself in this run.
    pub fn facts(&self) -> Arc<Facts> {
        self.run.facts.load_full()
    }

    /// Whether no other call uses the instance meanwhile.
    pub fn is_lent(&self) -> bool {
        self.lease.is_some()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.instance.permit_ends();
    }
}
