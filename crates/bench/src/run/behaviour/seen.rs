//! The result of an observation.

use crate::run::kind::Kind;
use crate::run::results::Fact;

/// An observation: a text, a figure, and whether it is as promised.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) name: &'static str,
    pub(super) text: String,
    pub(super) value: Option<f64>,
    pub(super) good: Option<bool>,
}

// === impl Seen ===

impl Seen {
    pub(super) fn new(
        name: &'static str,
        text: impl Into<String>,
        value: Option<f64>,
        good: bool,
    ) -> Self {
        Self { name, text: text.into(), value, good: Some(good) }
    }

    /// Worth knowing, without a promise.
    pub(super) fn noted(name: &'static str, text: impl Into<String>, value: f64) -> Self {
        Self { name, text: text.into(), value: Some(value), good: None }
    }

    pub(super) fn failed(name: &'static str, why: &str) -> Self {
        eprintln!("  {why}");
        Self::new(name, format!("failed: {why}"), None, false)
    }

    pub(super) fn of(self, kind: Kind) -> Fact {
        let Self { name, text, value, good } = self;
        Fact { name, kind, text, value, good }
    }
}
