//! The right to use an instance.

use std::sync::Arc;
use std::time::Instant;

use mainstay_upstream::Owner;

use crate::instance::{Instance, Live};
use crate::key::LeaseKey;
use crate::pool::Pool;

/// What instance is wanted, and how.
#[derive(Debug, Clone)]
pub struct Want {
    pub key: LeaseKey,
    pub owner: Owner,
    /// No other call may use it meanwhile.
    pub exclusive: bool,
    /// A new instance that nobody uses after: `sharing = "call"`.
    pub single_use: bool,
}

/// An instance that was ready when it was lent. Dropping the lease gives it back.
#[derive(Debug)]
pub struct Lease {
    pub instance: Arc<Instance>,
    pub live: Arc<Live>,
    /// Where it has to be given back to; none: it is shared.
    hold: Option<Hold>,
}

/// Keeps an instance from others.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) pool: Arc<Pool>,
    pub(crate) instance: Arc<Instance>,
    pub(crate) single_use: bool,
}

impl Lease {
    pub(crate) fn new(instance: Arc<Instance>, live: Arc<Live>, hold: Option<Hold>) -> Self {
        instance.touch(Instant::now());
        Self { instance, live, hold }
    }

    pub fn is_exclusive(&self) -> bool {
        self.hold.is_some()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.instance.touch(Instant::now());
        self.pool.give_back(&self.instance, self.single_use);
    }
}
