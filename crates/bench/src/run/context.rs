//! The context that all parts of a run share.

use std::path::PathBuf;
use std::time::Duration;

use super::args::RunArgs;
use super::kind::Kind;
use super::peers::Programs;

/// The context that all parts of a run share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) args: RunArgs,
    pub(super) programs: Programs,
}

/// The lengths of cells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Measured seconds.
    pub(crate) seconds: f64,
    /// Short warm-up, and few repetitions of counts.
    pub(crate) quick: bool,
}

// === impl Context ===

impl Context {
    pub(super) fn rounds(&self) -> usize {
        self.args.rounds.unwrap_or(if self.args.quick { 1 } else { 3 }).max(1)
    }

    pub(super) fn seconds(&self) -> f64 {
        self.args.seconds.unwrap_or(if self.args.quick { 2.0 } else { 5.0 }).clamp(0.2, 60.0)
    }

    pub(super) fn pace(&self) -> Pace {
        Pace { seconds: self.seconds(), quick: self.args.quick }
    }

    pub(super) fn calm(&self) -> Duration {
        Duration::from_secs_f64(if self.args.quick {
            0.0
        } else {
            self.args.calm.clamp(0.0, 600.0)
        })
    }

    /// Whether the row called `name` is wanted.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.args.only.as_deref().is_none_or(|only| only.split('|').any(|part| name.contains(part)))
    }

    pub(super) fn kinds(&self) -> Vec<Kind> {
        let wanted = |kind: &Kind| self.args.targets.is_empty() || self.args.targets.contains(kind);
        Kind::ALL.into_iter().filter(wanted).filter(|kind| self.programs.has(*kind)).collect()
    }

    pub(super) fn out(&self) -> Option<PathBuf> {
        let RunArgs { quick, only, targets, out, .. } = &self.args;
        let whole = !quick && only.is_none() && targets.is_empty();
        out.clone().or_else(|| whole.then(|| PathBuf::from("bench/results")))
    }
}
