//! Creation, start and stop of a pool's instances.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use mainstay_model::settings::RestartRule;
use mainstay_model::{InstanceId, Refusal};
use mainstay_protocol::Era;
use mainstay_supervisor::lifecycle::{Lifecycle, RestartPolicy};
use mainstay_supervisor::roster::{MemberId, RosterEvent};

use crate::driver;
use crate::instance::Instance;
use crate::key::LeaseKey;
use crate::lending::BRIEF;
use crate::observer::PoolObserver;
use crate::pool::Pool;

/// The longest time between two checks for idle base instances. They are checked twice within a shorter idle
/// timeout.
const IDLE_CHECK_EVERY: Duration = Duration::from_secs(5);

// === impl Pool ===

impl Pool {
    /// Starts the primary instance. From now on `observer` is notified of events. Only the first call has an effect.
    pub fn start(self: &Arc<Self>, observer: Weak<dyn PoolObserver>) {
        if self.observer.set(observer).is_err() {
            // It was started before it was put in force.
            return;
        }
        let primary = self.create_instance(LeaseKey::base(self.first_era()), None);
        let _ = self.primary.set(primary.clone());
        self.supervise(primary);
        let pool = self.clone();
        self.tasks.spawn(async move {
            loop {
                let every = IDLE_CHECK_EVERY.min(pool.spec().pool.idle_timeout / 2);
                let check = Instant::now() + every;
                let next = pool.lending.next_deadline().map_or(check, |at| at.min(check));
                tokio::select! {
                    () = pool.closing.cancelled() => return,
                    () = pool.lending.changed.notified() => {}
                    () = tokio::time::sleep_until(next.into()) => {
                        pool.step_roster(RosterEvent::Tick);
                        pool.stop_idle_bases(Instant::now());
                    }
                }
            }
        });
    }

    /// Stops all instances. Returns when no part of them is left.
    pub async fn stop(self: &Arc<Self>) {
        self.stopping.store(true, Ordering::Release);
        self.closing.cancel();
        self.step_roster(RosterEvent::Close);
        self.bases.lock().iter().for_each(|instance| instance.stop.cancel());
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The base instance of an era. Starts it if there is none.
    ///
    /// # Errors
    /// A refusal if the server does not support the era, or the daemon is stopping.
    pub(crate) fn base_or_start(self: &Arc<Self>, era: Era) -> Result<Arc<Instance>, Refusal> {
        if let Some(base) = self.base(era) {
            return Ok(base);
        }
        self.check_era(era)?;
        let dialect = self.dialects.get(era);
        let _starting = dialect.starting.lock();
        if let Some(base) = self.base(era) {
            return Ok(base);
        }
        if self.closing.is_cancelled() {
            return Err(self.unavailable("the daemon is stopping"));
        }
        let supplier = self.create_instance(LeaseKey::base(era), None);
        self.supervise(supplier.clone());
        Ok(supplier)
    }

    /// Creates an instance: a member of the roster, or a base instance if `member` is `None`.
    pub(crate) fn create_instance(
        self: &Arc<Self>,
        key: LeaseKey,
        member: Option<MemberId>,
    ) -> Arc<Instance> {
        let id = InstanceId(self.instance_ids.fetch_add(1, Ordering::Relaxed) + 1);
        let is_primary = member.is_none() && self.primary.get().is_none();
        let limits = self.restart_policy(id, is_primary);
        let lifecycle = Lifecycle::new(limits, Instant::now());
        let era = key.era;
        let roster = Arc::downgrade(self);
        let instance = Arc::new(Instance::new(id, key, lifecycle, member, roster));
        if instance.supplies_lists() {
            self.bases.lock().push(instance.clone());
            self.dialects.get(era).base.store(Some(instance.clone()));
        }
        instance
    }

    /// The rules for the starts of an instance.
    pub(crate) fn restart_policy(&self, id: InstanceId, is_primary: bool) -> RestartPolicy {
        let spec = self.spec();
        let seed = self.seed.wrapping_add(id.0);
        let mut policy = self.host.abilities().restart_policy(spec.start_deadline, seed);
        // Only the instance that keeps the lists up to date is started without being wanted.
        if !is_primary || self.rests_when_unused() || spec.restart != RestartRule::Always {
            policy.revivals_max = 0;
        }
        policy.rule = spec.restart;
        policy
    }

    /// Drives an instance in a task of its own until its end.
    pub(crate) fn supervise(self: &Arc<Self>, instance: Arc<Instance>) {
        let pool = self.clone();
        self.tasks.spawn(async move {
            driver::supervise(pool.clone(), instance.clone()).await;
            pool.bases.lock().retain(|other| other.id != instance.id);
            pool.note_end(&instance);
            pool.forget_condition(&instance);
        });
    }

    /// Stops a base instance.
    pub(crate) fn stop_base(&self, instance: &Instance) {
        self.dialects.get(instance.key().era).leave(instance);
        instance.stop.cancel();
    }

    /// Stops a base instance of the second dialect that has been idle for the idle timeout. The primary
    /// instance rests, if the configuration says so.
    fn stop_idle_bases(&self, now: Instant) {
        for supplier in self.bases() {
            if supplier.is_in_use() {
                supplier.touch(now);
            }
            if !self.is_unused(&supplier, now) {
                continue;
            }
            if !self.is_primary(&supplier) {
                self.stop_base(&supplier);
            } else if self.rests_when_unused() {
                supplier.unwanted.notify_one();
            }
        }
    }

    /// Whether nobody has used a base instance for the idle timeout.
    pub(crate) fn is_unused(&self, base: &Instance, now: Instant) -> bool {
        // One that was started for detection only is ended sooner.
        let most = match self.is_primary(base) || base.was_used() {
            true => self.spec().pool.idle_timeout,
            false => self.spec().pool.idle_timeout.min(BRIEF),
        };
        !base.is_in_use() && base.idle_for(now) > most
    }
}
