//! The results of a load, and what it cost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::tally::Tally;
use super::watched::Watched;
use crate::procfs::{self, CpuTime};

/// A measurement. Times are of the measured window only, without the warm-up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Length of the window.
    pub(crate) seconds: f64,
    /// Answered rightly within the window.
    pub(crate) done: u64,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p95_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
    /// Answered with an error.
    pub(crate) refused: u64,
    /// Calls that got the answer of another call.
    pub(crate) astray: u64,
    /// Lost with their connection.
    pub(crate) broken: u64,
    /// Calls without an answer five seconds after the window.
    pub(crate) unanswered: u64,
    pub(crate) cpu: Vec<CpuUse>,
    /// CPU time of the generator itself.
    pub(crate) load_cpu_us: f64,
    /// Cores that neither the generator nor a watched process used: noise.
    pub(crate) foreign_cores: f64,
}

/// CPU time of one watched process within the window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CpuUse {
    pub(crate) name: String,
    pub(crate) own_us: f64,
    pub(crate) children_us: f64,
}

/// The clocks of all concerned at one moment.
#[derive(Debug)]
pub(crate) struct Clocks {
    watched: Vec<(String, CpuTime)>,
    load: Duration,
    machine: Duration,
}

// === impl Clocks ===

impl Clocks {
    pub(crate) fn read(watch: &[Watched]) -> Self {
        Self {
            watched: watch
                .iter()
                .map(|one| (one.name.clone(), procfs::cpu_time(one.pid)))
                .collect(),
            load: procfs::cpu_time(std::process::id()).own,
            machine: procfs::machine_cpu_time(),
        }
    }
}

// === impl Report ===

impl Report {
    pub(crate) fn new(tally: &Tally, window: Duration, before: &Clocks, after: &Clocks) -> Self {
        let micros = |share| tally.latency.quantile(share) as f64 / 1000.0;
        let cpu: Vec<CpuUse> =
            before.watched.iter().zip(&after.watched).map(CpuUse::between).collect();
        let load_cpu_us = passed(before.load, after.load);
        let ours: f64 =
            load_cpu_us + cpu.iter().map(|one| one.own_us + one.children_us).sum::<f64>();
        let foreign = (passed(before.machine, after.machine) - ours).max(0.0);
        Self {
            seconds: window.as_secs_f64(),
            done: tally.done,
            per_second: tally.done as f64 / window.as_secs_f64(),
            p50_us: micros(0.5),
            p95_us: micros(0.95),
            p99_us: micros(0.99),
            max_us: tally.latency.max() as f64 / 1000.0,
            refused: tally.refused,
            astray: tally.astray,
            broken: tally.broken,
            unanswered: tally.unanswered,
            cpu,
            load_cpu_us,
            foreign_cores: foreign / 1e6 / window.as_secs_f64(),
        }
    }

    /// Calls that did not end as they should.
    pub(crate) fn failures(&self) -> u64 {
        self.refused + self.astray + self.broken + self.unanswered
    }

    /// CPU time a call of the watched process `name`, its children left out, in microseconds.
    pub(crate) fn cpu_per_call_us(&self, name: &str) -> Option<f64> {
        let used = self.cpu.iter().find(|one| one.name == name)?;
        (self.done > 0).then(|| used.own_us / self.done as f64)
    }

    /// CPU time per call of a process and its children, in µs.
    pub(crate) fn whole_cpu_per_call_us(&self, name: &str) -> Option<f64> {
        let used = self.cpu.iter().find(|one| one.name == name)?;
        (self.done > 0).then(|| (used.own_us + used.children_us) / self.done as f64)
    }
}

// === impl CpuUse ===

impl CpuUse {
    fn between((before, after): (&(String, CpuTime), &(String, CpuTime))) -> Self {
        Self {
            name: after.0.clone(),
            own_us: passed(before.1.own, after.1.own),
            children_us: passed(before.1.children, after.1.children),
        }
    }
}

fn passed(before: Duration, after: Duration) -> f64 {
    after.saturating_sub(before).as_nanos() as f64 / 1000.0
}
