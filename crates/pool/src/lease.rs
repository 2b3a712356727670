//! Leases: carries out the decisions of the roster.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mainstay_model::status::InstanceState;
use mainstay_model::{Refusal, RefusalCode};
use mainstay_supervisor::roster::{
    Decision, Holder, LeaseMode, LeaseRequest, MemberId, RefusalReason, Roster, RosterEvent,
    Ticket, UserId,
};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::instance::{Instance, ReadyRun, SubscriptionsObserver};
use crate::key::{LeaseKey, Placement};
use crate::lending::{Inner, LeaseAnswer, WAITING_MAX};
use crate::patience::Queued;
use crate::pool::Pool;
use crate::run::roots_changed;

/// A call in the queue. Dropping it removes the call.
struct Waiting {
    pool: Arc<Pool>,
    ticket: Ticket,
    answer: oneshot::Receiver<LeaseAnswer>,
    taken: bool,
}

/// A lease on an instance. Dropping it gives the instance back.
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<Pool>,
    ticket: Ticket,
    instance: Arc<Instance>,
    /// Whether another session held the instance before.
    is_new_holder: bool,
}

/// How long a call waits for a server that has requested roots before to request those of its new client.
const ROOTS_WAIT: Duration = Duration::from_secs(2);

// === impl Pool ===

impl Pool {
    /// Waits for a lease on an instance that matches the placement `want`.
    pub(crate) async fn lease(
        self: &Arc<Self>,
        want: &Placement,
        deadline: Instant,
    ) -> Result<Lease, Refusal> {
        let (mut waiting, behind) = self.queue(want);
        let queued = Queued { since: Instant::now(), behind };
        let hurry = Instant::now() + self.loading_wait(Instant::now());
        let mut answer = None;
        if hurry < deadline {
            answer = timeout_at(hurry.into(), &mut waiting.answer).await.ok();
            if answer.is_none() {
                self.step_roster(RosterEvent::Hurried(waiting.ticket));
            }
        }
        if answer.is_none() {
            answer = timeout_at(deadline.into(), &mut waiting.answer).await.ok();
        }
        if answer.is_none() {
            self.give_up(waiting.ticket);
            answer = waiting.answer.try_recv().ok().map(Ok);
        }
        waiting.taken = true;
        match answer {
            Some(Ok(Ok(instance))) => {
                let owner = want.owner.0;
                let before = match want.mode {
                    LeaseMode::Shared => owner,
                    LeaseMode::Exclusive | LeaseMode::Once => {
                        instance.holder.swap(owner, Ordering::AcqRel)
                    }
                };
                let is_new_holder = before != owner && before != 0;
                let ticket = waiting.ticket;
                Ok(Lease { pool: self.clone(), ticket, instance, is_new_holder })
            }
            Some(Ok(Err((reason, instance)))) => {
                Err(self.lease_refusal(reason, instance.as_deref(), queued))
            }
            Some(Err(_)) | None => Err(self.lease_refusal(RefusalReason::Closed, None, queued)),
        }
    }

    /// Puts a call into the queue. Returns also the number of calls that wait before it.
    fn queue(self: &Arc<Self>, want: &Placement) -> (Waiting, usize) {
        let (answered, answer) = oneshot::channel();
        let mut inner = self.lending.inner.lock();
        inner.tickets += 1;
        let ticket = Ticket(inner.tickets);
        let before = inner.waiting.len();
        inner.waiting.insert(ticket, answered);
        let request = LeaseRequest {
            ticket,
            key: want.key.clone(),
            user: UserId(want.user),
            holder: Holder(want.owner.0),
            mode: want.mode,
            retention: want.retention,
        };
        self.step(&mut inner, RosterEvent::Requested(request));
        drop(inner);
        (Waiting { pool: self.clone(), ticket, answer, taken: false }, before)
    }

    /// Ends the wait of a ticket. A ticket that was answered at the same moment keeps its answer.
    fn give_up(self: &Arc<Self>, ticket: Ticket) {
        let mut inner = self.lending.inner.lock();
        if inner.waiting.contains_key(&ticket) {
            self.step(&mut inner, RosterEvent::GaveUp(ticket));
        }
    }

    /// Feeds an event to the roster and carries out its decisions.
    pub(crate) fn step_roster(self: &Arc<Self>, event: RosterEvent<LeaseKey>) {
        self.step(&mut self.lending.inner.lock(), event);
    }

    fn step(self: &Arc<Self>, inner: &mut Inner, event: RosterEvent<LeaseKey>) {
        let mut decisions = Vec::new();
        inner.roster.step(Instant::now(), event, &mut decisions);
        self.carry_out(inner, decisions);
    }

    /// Stops the instances that only `sharing` may use, because it has ended.
    pub fn end_sharing(self: &Arc<Self>, sharing: &str) {
        if sharing.is_empty() {
            return;
        }
        let mut inner = self.lending.inner.lock();
        let mut decisions = Vec::new();
        inner.roster.retire(Instant::now(), |key| &*key.sharing == sharing, &mut decisions);
        self.carry_out(&mut inner, decisions);
    }

    /// Stops all instances that can be lent, even those that are, and refuses the calls that wait for one.
    pub(crate) fn end_members(self: &Arc<Self>) {
        let mut inner = self.lending.inner.lock();
        let mut decisions = Vec::new();
        inner.roster.retire(Instant::now(), |_| true, &mut decisions);
        self.carry_out(&mut inner, decisions);
    }

    /// Changes the roster, and carries out what follows.
    pub(crate) fn change_roster(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Roster<LeaseKey>, &mut Vec<Decision<LeaseKey>>),
    ) {
        let mut inner = self.lending.inner.lock();
        let mut decisions = Vec::new();
        change(&mut inner.roster, &mut decisions);
        self.carry_out(&mut inner, decisions);
    }

    fn carry_out(self: &Arc<Self>, inner: &mut Inner, decisions: Vec<Decision<LeaseKey>>) {
        for decision in decisions {
            match decision {
                Decision::Start { member, key, holder, mode } => {
                    let instance = self.create_instance(key, Some(member));
                    // Questions during the start go to the session that it is started for.
                    if mode != LeaseMode::Shared {
                        instance.holder.store(holder.0, Ordering::Release);
                    }
                    inner.members.insert(member, instance.clone());
                    self.supervise(instance);
                }
                Decision::Hand { ticket, member } => {
                    let answered = inner.waiting.remove(&ticket);
                    if let (Some(answered), Some(instance)) = (answered, inner.members.get(&member))
                    {
                        // If the call has just stopped waiting, `Waiting::drop` gives the instance back.
                        let _ = answered.send(Ok(instance.clone()));
                    }
                }
                Decision::Evict(member) => {
                    if let Some(instance) = inner.members.get(&member) {
                        instance.stop.cancel();
                    }
                }
                Decision::Refuse { ticket, reason } => {
                    let instance = match reason {
                        RefusalReason::Away(member) | RefusalReason::Starting(member) => {
                            inner.members.get(&member)
                        }
                        _ => None,
                    };
                    if let Some(answered) = inner.waiting.remove(&ticket) {
                        let _ = answered.send(Err((reason, instance.cloned())));
                    }
                }
            }
        }
        self.lending.changed.notify_one();
    }

    /// Tells the roster whether an instance is up.
    pub(crate) fn note_state(self: &Arc<Self>, instance: &Arc<Instance>) {
        let Some(member) = instance.member else { return };
        self.step_roster(match instance.usable() {
            Some(_) => RosterEvent::Up(member),
            None => RosterEvent::Down { member, soon: self.is_worth_waiting_for(instance) },
        });
    }

    /// Handles the end of an instance, when no part of it is left.
    pub(crate) fn note_end(self: &Arc<Self>, instance: &Arc<Instance>) {
        self.past_restarts.fetch_add(instance.lifecycle.lock().restarts(), Ordering::Relaxed);
        let Some(member) = instance.member else { return };
        let mut inner = self.lending.inner.lock();
        inner.members.remove(&member);
        self.step(&mut inner, RosterEvent::Gone(member));
    }

    /// The refusal of a call that gets no lease.
    fn lease_refusal(
        &self,
        reason: RefusalReason,
        instance: Option<&Instance>,
        queued: Queued,
    ) -> Refusal {
        if let Some(refusal) = self.held_refusal() {
            return refusal;
        }
        let (name, max) = (&self.name, self.spec().pool.instances_max);
        match (reason, instance) {
            (RefusalReason::Away(_) | RefusalReason::Starting(_), Some(instance)) => {
                self.not_ready(instance)
            }
            (RefusalReason::Busy | RefusalReason::Away(_) | RefusalReason::Starting(_), _) => {
                let told = queued.told();
                let say =
                    format!("the call was not sent: it waited for an instance of {name} {told}");
                Refusal::new(RefusalCode::QueueTimeout, say)
                    .server(name)
                    .limit(format!("pool.max: {max}"))
                    .hint(
                        "increase pool.max of this server, or make fewer calls at the same time; with sharing = \
                         \"session\" each session keeps its instance until it ends",
                    )
            }
            (RefusalReason::QueueFull, _) => {
                let say =
                    format!("{WAITING_MAX} calls are already waiting for an instance of {name}");
                Refusal::new(RefusalCode::TooManyRequests, say)
                    .server(name)
                    .limit(format!("calls waiting for an instance: {WAITING_MAX}"))
                    .retry_after(Duration::from_secs(1))
                    .hint("increase pool.max of this server, or make fewer calls at the same time")
            }
            (RefusalReason::Retired, _) => self.unavailable("the session of the call has ended"),
            (RefusalReason::Closed, _) => self.unavailable("the daemon is stopping"),
        }
    }
}

impl SubscriptionsObserver for Pool {
    fn note_listened(self: Arc<Self>, member: MemberId, listened: bool) {
        self.step_roster(RosterEvent::Listened { member, to: listened });
    }
}

// === impl Waiting ===

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        let mut inner = self.pool.lending.inner.lock();
        // Removes the ticket from the queue, or gives back the instance that it was lent.
        inner.waiting.remove(&self.ticket);
        self.pool.step(&mut inner, RosterEvent::GaveUp(self.ticket));
    }
}

// === impl Lease ===

impl Lease {
    pub(crate) fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// Makes a server that caches its client's roots fetch those of its new client before the call.
    pub(crate) async fn refresh_roots(&self, run: &ReadyRun) {
        if !self.is_new_holder || !self.instance.asks_roots.swap(false, Ordering::AcqRel) {
            return;
        }
        let asked = self.instance.roots_asked.notified();
        run.link.send(roots_changed());
        let _ = tokio::time::timeout(ROOTS_WAIT, asked).await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.instance.touch(Instant::now());
        // An instance that has failed is of no use to the next call.
        if self.instance.ready_run().is_none() && self.instance.state() == InstanceState::Failed {
            self.instance.stop.cancel();
        }
        self.pool.step_roster(RosterEvent::Released(self.ticket));
    }
}
