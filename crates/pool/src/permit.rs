//! Permits. Code outside of the pool talks to a server only through a [`Permit`].
//!
//! | function | purpose |
//! | --- | --- |
//! | [`Pool::try_base`] | a call to the base instance, if it is ready now; most calls |
//! | [`Pool::acquire_for_call`] | any other call; may wait |
//! | [`Pool::acquire`] | other requests, which take no turn, such as a subscription; may wait |
//! | [`Pool::permit_for`] | messages to a known instance outside of calls, such as the end of a subscription |
//!
//! All of the first three begin with [`Pool::check_call`], which checks what holds for every call, such as that
//! the server's circuit breaker lets it pass. Limits and budgets belong there. [`Pool::acquire`] lists the checks
//! that follow. What a server is told outside of requests (notifications, cancellations, answers to its questions)
//! needs no turn, because the call whose turn it is may wait for that.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use mainstay_model::Refusal;
use mainstay_protocol::Era;
use mainstay_protocol::subscriptions::Filter;
use mainstay_upstream::facts::Facts;
use mainstay_upstream::handshake::{self, ErrorAnswer, HandshakeError};
use mainstay_upstream::{Exchange, Lost, Outgoing, SessionNo};

use crate::breaker::{AttemptEnd, Ticket};
use crate::instance::{Instance, ReadyRun};
use crate::key::Placement;
use crate::lease::Lease;
use crate::needs::NeedTickets;
use crate::patience::{Place, send_by};
use crate::pool::Pool;
use crate::turns::Turn;

/// The right to talk to an instance, which was ready when the permit was issued. Dropping the permit ends
/// the lease, if there is one.
#[derive(Debug)]
pub struct Permit {
    instance: Arc<Instance>,
    run: Arc<ReadyRun>,
    /// The lease. `None` for a base instance.
    lease: Option<Lease>,
    /// The turn of the call. `None` if the server has no limit, or this is no call.
    turn: Option<Turn>,
    /// How the breaker let the call pass. `None` if it was not asked.
    ticket: Option<Ticket>,
    /// How the needs of its tool let it pass.
    needs: NeedTickets,
}

// === impl Pool ===

impl Pool {
    /// Waits for the call's turn, if the server has a limit on calls at the same time, and acquires a permit.
    /// A part of the time until `deadline` is left for the server.
    ///
    /// # Errors
    /// A refusal if the call's turn does not come in time, or as [`acquire`](Self::acquire).
    pub async fn acquire_for_call(
        self: &Arc<Self>,
        want: &Placement,
        deadline: Instant,
    ) -> Result<Permit, Refusal> {
        let _waiting = Place::take(&self.calls_waiting);
        let by = send_by(Instant::now(), deadline);
        let ticket = self.check_call()?;
        // Before an instance is chosen, so that no instance waits for a turn.
        let turn = match &self.turns {
            Some(turns) => Some(turns.take(by).await?),
            None => None,
        };
        let mut permit = self.acquire_instance(want, by).await?;
        permit.turn = turn;
        self.check_again(permit, ticket)
    }

    /// Waits for an instance that matches the placement `want`, and issues a permit for it.
    ///
    /// # Errors
    /// A refusal with the reason and a retry time, if no instance is ready by `deadline`, or it is known
    /// earlier that none will be.
    pub async fn acquire(
        self: &Arc<Self>,
        want: &Placement,
        deadline: Instant,
    ) -> Result<Permit, Refusal> {
        self.check_request()?;
        let permit = self.acquire_instance(want, deadline).await?;
        self.check_request()?;
        Ok(permit)
    }

    /// Waits for an instance, as [`acquire`](Self::acquire), for a request of Mainstay's own: the breaker is not
    /// asked.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub(crate) async fn acquire_instance(
        self: &Arc<Self>,
        want: &Placement,
        deadline: Instant,
    ) -> Result<Permit, Refusal> {
        let era = want.key.era;
        // 1. The server goes on, and may run.
        if self.is_stopping() {
            return Err(self.unavailable("it is stopping"));
        }
        if self.holding.is_held() {
            self.until_released(deadline).await?;
        }
        // 2. The server supports the client's era, as far as that is known.
        self.check_era(era)?;
        // 3. An instance is chosen: the base, or one that is leased, which may wait.
        let (instance, lease) = if want.is_base() {
            (self.base_or_start(era)?, None)
        } else {
            let lease = self.lease(want, deadline).await?;
            (lease.instance().clone(), Some(lease))
        };
        // 4. The instance is ready, or worth waiting for.
        let mut permit = self.permit_when_ready(instance, deadline).await?;
        // 5. The run is of the client's era. A new run may be of another program.
        self.check_run_era(&permit.run, era)?;
        // 6. The server knows the roots of its new client.
        if let Some(lease) = &lease {
            lease.refresh_roots(&permit.run).await;
        }
        permit.lease = lease;
        Ok(permit)
    }

    /// Issues a permit for an instance once it is ready.
    async fn permit_when_ready(
        &self,
        instance: Arc<Instance>,
        deadline: Instant,
    ) -> Result<Permit, Refusal> {
        loop {
            let run = self.wait_ready(&instance, deadline).await?;
            instance.touch(Instant::now());
            let permit = Permit::new(instance.clone(), run, None);
            if self.still_holds(&permit) {
                return Ok(permit);
            }
        }
    }

    /// Whether the instance of a new permit has not been told to rest at the same moment. An instance that
    /// rests waits for all permits that were issued before.
    fn still_holds(&self, permit: &Permit) -> bool {
        !self.rests_when_unused() || permit.instance.ready_run.load().is_some()
    }

    /// The checks for every call.
    ///
    /// # Errors
    /// A refusal if the pool is stopping, because the daemon stops or the server was removed from the
    /// configuration; or if the server's breaker is open, or half-open with a trial under way.
    fn check_call(&self) -> Result<Ticket, Refusal> {
        if self.is_stopping() {
            return Err(self.unavailable("it is stopping"));
        }
        self.breaker.admit().map_err(|view| view.refusal())
    }

    /// The same for requests that are no calls, which can't be the trial of a breaker.
    fn check_request(&self) -> Result<(), Refusal> {
        if self.is_stopping() {
            return Err(self.unavailable("it is stopping"));
        }
        match self.breaker.is_closed() {
            true => Ok(()),
            false => Err(self.breaker.view().refusal()),
        }
    }

    /// Asks the breaker again for a call that may have waited: it was perhaps opened meanwhile.
    fn check_again(&self, mut permit: Permit, ticket: Ticket) -> Result<Permit, Refusal> {
        let again = self.breaker.admit_again(ticket);
        permit.ticket = Some(again.map_err(|view| view.refusal())?);
        Ok(permit)
    }

    /// Issues a permit for the base instance, if it is ready now and calls need no turn. Most calls use this.
    /// It takes no lock and does not wait.
    pub fn try_base(&self, era: Era) -> Option<Permit> {
        if self.turns.is_some() {
            return None;
        }
        if self.is_stopping() {
            return None;
        }
        // Whoever acquires a permit is told why it is open.
        let ticket = self.breaker.admit_if_closed()?;
        let (instance, run) = self.ready_base(era)?;
        let mut permit = Permit::new(instance, run, None);
        permit.ticket = Some(ticket);
        self.still_holds(&permit).then_some(permit)
    }

    /// Issues a permit for an instance, if it is ready, whoever holds it. For messages outside of calls,
    /// such as the end of a subscription.
    pub fn permit_for(&self, instance: &Arc<Instance>) -> Option<Permit> {
        let run = instance.ready_run()?;
        Some(Permit::new(instance.clone(), run, None))
    }

    /// Waits until all permits are dropped. The pool must get no new calls meanwhile, and the caller must
    /// bound the wait.
    pub async fn until_unused(&self) {
        for instance in self.instances() {
            instance.until_unused().await;
        }
    }

    /// Sends a notification to the ready instances that serve only one session: those that `owner` holds,
    /// and those that only `sharing` may use.
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
        Self { instance, run, lease, turn: None, ticket: None, needs: NeedTickets::default() }
    }

    /// Sends a request without waiting. The exchange returns the response.
    ///
    /// # Errors
    /// [`Lost`] if the request could not be sent.
    pub fn call(&self, request: &Outgoing<'_>, owner: SessionNo) -> Result<Exchange, Lost> {
        self.run.link.call(request, owner)
    }

    /// Sends a request of Mainstay's own and waits for its result, or for the server's error. The caller
    /// must bound the wait.
    ///
    /// # Errors
    /// [`HandshakeError`] if the server is lost, or its answer is invalid.
    pub async fn ask(
        &self,
        method: &str,
        params: Option<&str>,
    ) -> Result<Result<Bytes, ErrorAnswer>, HandshakeError> {
        handshake::ask(&self.run.link, method, params).await
    }

    /// Sends `subscriptions/listen` to a modern server.
    ///
    /// # Errors
    /// [`Lost`] if the request could not be sent.
    pub fn listen(&self, filter: &Filter) -> Result<Exchange, Lost> {
        handshake::listen(&self.run.link, filter)
    }

    /// Adds how the needs of the call's tool let it pass: they are told how it ends.
    pub fn set_needs(&mut self, needs: NeedTickets) {
        self.needs = needs;
    }

    /// Records how an attempt ended, tells the breaker, and drops the permit.
    pub fn finish(mut self, pool: &Pool, end: AttemptEnd<'_>) {
        pool.calls_ended.fetch_add(1, Ordering::Release);
        self.note_end(pool, end);
    }

    /// Records how an attempt ended, and tells the breaker.
    pub(crate) fn note_end(&mut self, pool: &Pool, end: AttemptEnd<'_>) {
        pool.server_metrics.attempted(end.label());
        if !self.needs.is_empty() {
            std::mem::take(&mut self.needs).report(pool, end);
        }
        let Some(ticket) = self.ticket.take() else { return };
        match end {
            AttemptEnd::Answered => pool.breaker.succeeded(ticket),
            end => pool.breaker.report(ticket, &end.verdict()),
        }
    }

    /// Whether the call is the trial of a breaker: that of its server, or of something that its tool needs.
    pub fn is_trial(&self) -> bool {
        self.ticket.as_ref().is_some_and(Ticket::is_trial) || self.needs.has_trial()
    }

    /// Whether the permit is for a call at a server with a limit on calls at the same time.
    pub(crate) fn has_turn(&self) -> bool {
        self.turn.is_some()
    }

    /// The instance that the permit is for.
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// The facts that the instance reported in this run.
    pub fn facts(&self) -> Arc<Facts> {
        self.run.facts.load_full()
    }

    /// Whether the instance is leased.
    pub fn is_lent(&self) -> bool {
        self.lease.is_some()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.instance.permit_ends();
    }
}
