//! Events of circuit breakers.

use std::time::{Duration, SystemTime};

use mainstay_model::{Condition, Name};
use tracing::{info, warn};

use super::instance::millis;
use crate::changes::Change;
use crate::labels::Breaker;
use crate::metrics::Metrics;

/// A circuit breaker changed.
#[derive(Debug)]
pub struct BreakerChanged<'a> {
    /// The server, service or external that it belongs to.
    pub name: &'a Name,
    pub from: Breaker,
    pub to: Breaker,
    /// Why, without anything that the target said. Of a closed breaker that opens: what it opened after.
    pub why: &'a str,
    /// Failures in a row, up to the newest result.
    pub failures: u32,
    /// The last failure, for the operator.
    pub last_error: Option<&'a str>,
    /// The last failure without what only the operator may know.
    pub brief_error: Option<String>,
    /// The time until the next trial, if it is open now.
    pub next_trial_in: Option<Duration>,
}

// === emit ===

impl BreakerChanged<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { name, from, to, why, failures, last_error, brief_error, next_trial_in } = self;
        let next_trial_in_ms = next_trial_in.map(millis);
        let (was, is) = (from.as_str(), to.as_str());
        match to {
            Breaker::Open => warn!(
                target: "mainstay", breaker = %name, from = was, to = is, why, failures, last_error,
                next_trial_in_ms, "circuit breaker opened"
            ),
            Breaker::HalfOpen => info!(
                target: "mainstay", breaker = %name, from = was, to = is, why, failures,
                "circuit breaker is half-open"
            ),
            Breaker::Closed => info!(
                target: "mainstay", breaker = %name, from = was, to = is, why,
                "circuit breaker closed"
            ),
        }
        let said = match (from, to) {
            (Breaker::Closed, Breaker::Open) => format!("opened after {why}"),
            (_, Breaker::Open) => format!("opened again: {why}"),
            (_, Breaker::HalfOpen) => format!("half-open: {why}"),
            (_, Breaker::Closed) => format!("closed: {why}"),
        };
        let told = |error: Option<&str>| match error.filter(|_| to == Breaker::Open) {
            Some(error) => format!("{said}: {error}"),
            None => said.clone(),
        };
        let change = Change {
            at: SystemTime::now(),
            server: Some(name.clone()),
            instance: None,
            from: condition(from),
            to: condition(to),
            reason: Some(told(last_error)),
            brief_reason: Some(told(brief_error.as_deref())),
        };
        metrics.changes().make_known(&change);
    }
}

fn condition(breaker: Breaker) -> Condition {
    match breaker {
        Breaker::Closed => Condition::BreakerClosed,
        Breaker::HalfOpen => Condition::BreakerHalfOpen,
        Breaker::Open => Condition::BreakerOpen,
    }
}
