//! Figures of two, and the ratios of their rounds.

use serde::Serialize;

use crate::load::Report;
use crate::run::results::median;

/// A figure of the old binary and of the new one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Pair {
    pub(crate) old: f64,
    pub(crate) new: f64,
}

/// All rounds of a cell.
#[derive(Debug, Serialize)]
pub(crate) struct PairedCell {
    pub(crate) name: &'static str,
    pub(crate) rounds: Vec<Round>,
}

/// One round: both binaries one after the other, and HAProxy if it takes part.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) old: Report,
    pub(crate) new: Report,
    pub(crate) haproxy: Option<Report>,
}

/// A figure of a report, in its own unit.
pub(crate) type FigureOfReport = fn(&Report) -> Option<f64>;

/// A ratio over the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// CPU time a call of the proxy, in microseconds.
pub(crate) fn cpu(report: &Report) -> Option<f64> {
    report.cpu_per_call_us("proxy")
}

// === impl Pair ===

impl Pair {
    /// The new figure by the old one.
    pub(crate) fn ratio(self) -> f64 {
        self.new / self.old
    }
}

// === impl PairedCell ===

impl PairedCell {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, rounds: Vec::new() }
    }

    /// The new binary's figure by the old one's.
    pub(crate) fn ratio(&self, figure: FigureOfReport) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(|round| Some(figure(&round.new)? / figure(&round.old)?)))
    }

    /// The new binary's figure by HAProxy's.
    pub(crate) fn of_haproxy(&self, figure: FigureOfReport) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(|round| {
            let haproxy = figure(round.haproxy.as_ref()?)?;
            Some(figure(&round.new)? / haproxy)
        }))
    }

    /// The median of each binary's figure.
    pub(crate) fn medians(&self, figure: FigureOfReport) -> Option<Pair> {
        let of = |report: fn(&Round) -> &Report| {
            Spread::of(self.rounds.iter().map(|round| figure(report(round))))
        };
        Some(Pair { old: of(|round| &round.old)?.median, new: of(|round| &round.new)?.median })
    }

    /// Calls of the new binary that did not end as they should.
    pub(crate) fn failures(&self) -> u64 {
        self.rounds.iter().map(|round| round.new.failures()).sum()
    }
}

// === impl Spread ===

impl Spread {
    /// The spread of the finite values. None when there are none.
    pub(crate) fn of(values: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        let values: Vec<f64> = values.flatten().filter(|value| value.is_finite()).collect();
        if values.is_empty() {
            return None;
        }
        Some(Self {
            median: median(values.iter().copied()),
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}
