//! Circuit breakers of servers, services and externals.

use std::time::Duration;

use serde::Serialize;

use super::as_millis;

/// When a circuit breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BreakerSpec {
    /// `false`: it counts failures and never opens.
    pub enabled: bool,
    /// It opens on this many failures in a row. At least 1.
    pub failures: u32,
    /// The time from its opening to the next trial.
    #[serde(serialize_with = "as_millis")]
    pub recovery: Duration,
}

// === impl BreakerSpec ===

impl BreakerSpec {
    /// The settings of a server whose calls are expensive.
    pub const EXPENSIVE: Self =
        Self { enabled: true, failures: 3, recovery: Duration::from_secs(120) };
}

impl Default for BreakerSpec {
    fn default() -> Self {
        Self { enabled: true, failures: 5, recovery: Duration::from_secs(60) }
    }
}
