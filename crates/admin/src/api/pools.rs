//! The numbers of pools.

use mainstay_model::status::PoolStatus;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Instances that the pools of servers hold, summed over pools.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolNumbers {
    /// Instances that nobody uses.
    pub idle: usize,
    /// Instances in use.
    pub active: usize,
    pub total: usize,
    /// The most instances there may be.
    pub max_pool_size: usize,
    /// Instances that are kept while nobody needs them.
    pub min_pool_size: usize,
}

// === impl PoolNumbers ===

impl From<PoolStatus> for PoolNumbers {
    fn from(pool: PoolStatus) -> Self {
        Self {
            idle: pool.idle,
            active: pool.active,
            total: pool.total,
            max_pool_size: pool.max_pool_size,
            min_pool_size: pool.min_pool_size,
        }
    }
}

impl std::iter::Sum for PoolNumbers {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            idle: sum.idle + one.idle,
            active: sum.active + one.active,
            total: sum.total + one.total,
            max_pool_size: sum.max_pool_size + one.max_pool_size,
            min_pool_size: sum.min_pool_size + one.min_pool_size,
        })
    }
}
