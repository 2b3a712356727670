//! Lending instances: shared by all with one key, or to one call at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mainstay_model::status::InstanceState;
use mainstay_model::{Refusal, RefusalCode};

use crate::instance::{Instance, Live};
use crate::key::LeaseKey;
use crate::lease::{Hold, Lease, Want};
use crate::life::roots_changed;
use crate::pool::{Instances, Pool};

/// A server that asked for roots before gets this long to ask for those of its next client.
const ROOTS_WAIT: Duration = Duration::from_secs(2);

impl Pool {
    /// Lends an instance, as soon as one is ready.
    ///
    /// # Errors
    /// When none is ready by `deadline`, or it is known that none will be.
    pub async fn lease(self: &Arc<Self>, want: &Want, deadline: Instant) -> Result<Lease, Refusal> {
        if want.exclusive || want.single_use {
            return self.lease_exclusively(want, deadline).await;
        }
        let instance = self.shared(&want.key)?;
        let live = self.wait_ready(&instance, deadline).await?;
        self.check_life(&live, want.key.generation)?;
        Ok(Lease::new(instance, live, None))
    }

    /// The instance that all calls with this key share; made if there is none.
    pub fn shared(self: &Arc<Self>, key: &LeaseKey) -> Result<Arc<Instance>, Refusal> {
        let mut instances = self.instances.lock();
        if key.is_base() {
            // Others may have this key: those that are made for one call.
            if let Some(base) = self.base(key.generation) {
                return Ok(base);
            }
        } else if let Some(instance) = instances.by_key.get(key).and_then(|all| all.first()) {
            return Ok(instance.clone());
        }
        self.check_spoken(key.generation)?;
        if key.is_base() {
            self.check_open(&instances)?;
        } else {
            self.check_room(&instances)?;
        }
        Ok(self.create(&mut instances, key.clone(), key.is_base()))
    }

    async fn lease_exclusively(
        self: &Arc<Self>,
        want: &Want,
        deadline: Instant,
    ) -> Result<Lease, Refusal> {
        let instance = loop {
            let released = self.released.notified();
            if let Some(instance) = self.hold_one(want)? {
                break instance;
            }
            if tokio::time::timeout_at(deadline.into(), released).await.is_err() {
                let max = self.spec.pool.instances_max;
                return Err(Refusal::new(
                    RefusalCode::QueueTimeout,
                    format!(
                        "all {max} instances of {} were busy until the deadline",
                        self.spec.name
                    ),
                )
                .server(&self.spec.name)
                .limit(format!("pool.max: {max}"))
                .hint("raise pool.max of this server, or call less at once"));
            }
        };
        let hold =
            Hold { pool: self.clone(), instance: instance.clone(), single_use: want.single_use };
        let before = instance.holder.swap(want.owner.0, Ordering::AcqRel);
        let live = self.wait_ready(&instance, deadline).await?;
        self.check_life(&live, want.key.generation)?;
        if before != want.owner.0 && before != 0 && instance.asks_roots.load(Ordering::Acquire) {
            hand_over_roots(&instance, &live).await;
        }
        Ok(Lease::new(instance, live, Some(hold)))
    }

    /// Takes a free instance, the one this owner had before if possible; makes one where there is
    /// room. None: all are busy.
    fn hold_one(self: &Arc<Self>, want: &Want) -> Result<Option<Arc<Instance>>, Refusal> {
        let mut instances = self.instances.lock();
        self.check_open(&instances)?;
        self.check_spoken(want.key.generation)?;
        let take = |instance: &&Arc<Instance>| {
            instance.held.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire).is_ok()
        };
        let all = match instances.by_key.get(&want.key) {
            Some(all) if !want.single_use => all.as_slice(),
            _ => &[],
        };
        let had =
            |instance: &&Arc<Instance>| instance.holder.load(Ordering::Acquire) == want.owner.0;
        // One that another session listens to is that session's, as long as there is room.
        let unheard = |instance: &&Arc<Instance>| !instance.is_subscribed_to();
        let free = all.iter().filter(had).find(take);
        if let Some(instance) = free.or_else(|| all.iter().filter(unheard).find(take)) {
            return Ok(Some(instance.clone()));
        }
        if self.check_room(&instances).is_err() {
            return Ok(all.iter().find(take).cloned());
        }
        let instance = self.create(&mut instances, want.key.clone(), false);
        instance.held.store(true, Ordering::Release);
        // So that what it asks while it starts goes to whom it is started for.
        instance.holder.store(want.owner.0, Ordering::Release);
        Ok(Some(instance))
    }

    pub(crate) fn give_back(&self, instance: &Arc<Instance>, single_use: bool) {
        if single_use || instance.live().is_none() && instance.state() == InstanceState::Failed {
            self.remove(instance);
        } else {
            instance.held.store(false, Ordering::Release);
        }
        self.released.notify_waiters();
    }

    pub(crate) fn check_room(&self, instances: &Instances) -> Result<(), Refusal> {
        self.check_open(instances)?;
        let max = self.spec.pool.instances_max;
        if instances.count >= max {
            return Err(self
                .unavailable(&format!("all {max} instances it may have are in use"))
                .limit(format!("pool.max: {max}"))
                .retry_after(Duration::from_secs(1)));
        }
        Ok(())
    }

    fn check_open(&self, instances: &Instances) -> Result<(), Refusal> {
        if instances.closed { Err(self.unavailable("the daemon is stopping")) } else { Ok(()) }
    }
}

/// Lets a server that keeps its client's roots learn those of the next one before its call.
async fn hand_over_roots(instance: &Instance, live: &Live) {
    instance.asks_roots.store(false, Ordering::Release);
    let asked = instance.roots_asked.notified();
    live.link.send(roots_changed());
    let _ = tokio::time::timeout(ROOTS_WAIT, asked).await;
}
