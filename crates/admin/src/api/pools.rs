//! The numbers of pools.

use mainstay_model::status::PoolStatus;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Instances that the pools of servers hold, summed over pools.
///
/// A server has a pool if its configuration has `[servers.NAME.pool]`, or `sharing` is `session` or `call`.
/// The one instance that supplies the lists of a server belongs to no pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolNumbers {
    /// Instances that nobody uses.
    pub idle: usize,
    /// Instances in use, starting, ending, or kept for one session.
    pub active: usize,
    pub total: usize,
    /// The most instances there may be.
    pub max_pool_size: usize,
    /// Instances that are kept while nobody needs them.
    pub min_pool_size: usize,
}

/// The pools of all servers, and how they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionPool {
    /// `none`: no server has a pool. `unhealthy`: no server with a pool takes calls. `degraded`: some of
    /// them don't, or more than nine tenths of the instances are in use. `healthy`: otherwise. A server that
    /// rests takes calls: it starts for the next one.
    #[serde(default)]
    #[schema(required)]
    pub status: PoolHealth,
    /// The part of the instances that is in use, from 0 to 1.
    #[serde(default)]
    #[schema(required)]
    pub utilization: f64,
    pub idle: usize,
    pub active: usize,
    pub total: usize,
    /// The same as `maxPoolSize`.
    #[serde(default)]
    #[schema(required)]
    pub max: usize,
    #[serde(rename = "maxPoolSize")]
    pub max_pool_size: usize,
    #[serde(rename = "minPoolSize")]
    pub min_pool_size: usize,
}

/// How the pools are, in one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PoolHealth {
    #[default]
    None,
    Healthy,
    Degraded,
    Unhealthy,
}

/// The part of the instances in use above which pools are degraded.
const CROWDED: f64 = 0.9;

// === impl ConnectionPool ===

impl ConnectionPool {
    /// Joins pools: the numbers of each, and whether its server takes calls.
    pub fn of(pools: impl IntoIterator<Item = (PoolNumbers, bool)>) -> Self {
        let (pools, serving): (Vec<_>, Vec<_>) = pools.into_iter().unzip();
        let numbers: PoolNumbers = pools.into_iter().sum();
        let max = numbers.max_pool_size;
        let utilization = if max == 0 { 0.0 } else { numbers.active as f64 / max as f64 };
        let serving_count = serving.iter().filter(|serves| **serves).count();
        let status = match serving_count {
            _ if serving.is_empty() => PoolHealth::None,
            0 => PoolHealth::Unhealthy,
            some if some < serving.len() || utilization > CROWDED => PoolHealth::Degraded,
            _ => PoolHealth::Healthy,
        };
        let PoolNumbers { idle, active, total, max_pool_size, min_pool_size } = numbers;
        Self { status, utilization, idle, active, total, max, max_pool_size, min_pool_size }
    }

    /// The numbers alone, as `/stats/pool` has them.
    pub fn numbers(&self) -> PoolNumbers {
        let Self { idle, active, total, max_pool_size, min_pool_size, .. } = *self;
        PoolNumbers { idle, active, total, max_pool_size, min_pool_size }
    }
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

#[cfg(test)]
mod tests {
    use super::{ConnectionPool, PoolHealth, PoolNumbers};

    fn pool(active: usize, max: usize) -> PoolNumbers {
        PoolNumbers { active, total: active, max_pool_size: max, ..PoolNumbers::default() }
    }

    #[test]
    fn the_word_for_pools_says_whether_they_serve() {
        for (pools, status, utilization) in [
            (vec![], PoolHealth::None, 0.0),
            (vec![(pool(0, 10), true)], PoolHealth::Healthy, 0.0),
            (vec![(pool(9, 10), true)], PoolHealth::Healthy, 0.9),
            (vec![(pool(10, 10), true)], PoolHealth::Degraded, 1.0),
            (vec![(pool(10, 10), true), (pool(0, 30), true)], PoolHealth::Healthy, 0.25),
            (vec![(pool(1, 10), true), (pool(0, 10), false)], PoolHealth::Degraded, 0.05),
            (vec![(pool(0, 10), false)], PoolHealth::Unhealthy, 0.0),
        ] {
            let joined = ConnectionPool::of(pools);
            assert_eq!((joined.status, joined.max), (status, joined.max_pool_size));
            assert!((joined.utilization - utilization).abs() < 1e-9, "{joined:?}");
        }
    }
}
