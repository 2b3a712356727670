//! The results of a run, as written to disk.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::hardware::{self, Hardware};
use super::kind::Kind;
use crate::load::{CpuUse, Report};

#[derive(Debug, Serialize)]
pub(crate) struct Results {
    /// When the run began, in UTC.
    pub(crate) began: String,
    pub(crate) hardware: Hardware,
    pub(crate) load_after: f64,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    /// Why a target is missing.
    pub(crate) missing: BTreeMap<Kind, String>,
    pub(crate) cells: Vec<Measured>,
    pub(crate) facts: Vec<Fact>,
}

/// A cell of a target.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) cell: &'static str,
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
    /// The median of each figure.
    pub(crate) median: Option<Report>,
    pub(crate) rounds: Vec<Report>,
    pub(crate) problems: Vec<String>,
}

/// An observation.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fact {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The finding as text.
    pub(crate) text: String,
    /// The figure in it, where there is one.
    pub(crate) value: Option<f64>,
    /// Whether the finding is as promised. None when unknown.
    pub(crate) good: Option<bool>,
}

// === impl Results ===

impl Results {
    pub(crate) fn new(
        hardware: Hardware,
        rounds: usize,
        seconds: f64,
        missing: BTreeMap<Kind, String>,
    ) -> Self {
        let began = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Self {
            began,
            hardware,
            load_after: 0.0,
            rounds,
            seconds,
            missing,
            cells: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// Adds a round of the cell with this name and title.
    pub(crate) fn add(
        &mut self,
        (cell, title): (&'static str, &'static str),
        kind: Kind,
        outcome: Result<Report>,
    ) {
        let known = self.cells.iter().position(|one| one.cell == cell && one.kind == kind);
        let at = known.unwrap_or_else(|| {
            self.cells.push(Measured {
                cell,
                title,
                kind,
                median: None,
                rounds: Vec::new(),
                problems: Vec::new(),
            });
            self.cells.len() - 1
        });
        match outcome {
            Ok(report) => {
                let Report { per_second, p50_us, foreign_cores, .. } = &report;
                eprintln!("  {per_second:.0}/s, p50 {p50_us:.0} µs, noise {foreign_cores:.2}");
                self.cells[at].rounds.push(report);
            }
            Err(error) => {
                eprintln!("  {error:#}");
                self.cells[at].problems.push(format!("{error:#}"));
            }
        }
    }

    /// Works out the medians.
    pub(crate) fn finish(&mut self) {
        self.load_after = hardware::load_average();
        for one in &mut self.cells {
            one.median = median_report(&one.rounds);
        }
    }

    pub(crate) fn median(&self, cell: &str, kind: Kind) -> Option<&Report> {
        self.cells.iter().find(|one| one.cell == cell && one.kind == kind)?.median.as_ref()
    }

    /// The reports of two targets from the same rounds. None when a round is missing, because the
    /// others can't be matched then.
    pub(crate) fn pairs(
        &self,
        cell: &str,
        one: Kind,
        other: Kind,
    ) -> impl Iterator<Item = (&Report, &Report)> {
        let rounds = |kind| {
            let found = self.cells.iter().find(|found| found.cell == cell && found.kind == kind);
            found.filter(|found| found.problems.is_empty()).map_or(&[][..], |found| &found.rounds)
        };
        rounds(one).iter().zip(rounds(other))
    }

    pub(crate) fn fact(&self, name: &str, kind: Kind) -> Option<&Fact> {
        self.facts.iter().find(|fact| fact.name == name && fact.kind == kind)
    }

    /// The name of the files: date and hardware.
    pub(crate) fn file_stem(&self) -> String {
        format!("{}-{}", &self.began[..10], self.hardware.slug())
    }
}

/// The median of each figure by itself; counts of failures are summed, for none may be hidden.
fn median_report(rounds: &[Report]) -> Option<Report> {
    let first = rounds.first()?;
    let of = |figure: fn(&Report) -> f64| median(rounds.iter().map(figure));
    let sum = |count: fn(&Report) -> u64| rounds.iter().map(count).sum();
    let cpu = first.cpu.iter().map(|one| {
        let of_name = |figure: fn(&CpuUse) -> f64| {
            let same = rounds
                .iter()
                .filter_map(|round| round.cpu.iter().find(|other| other.name == one.name));
            median(same.map(figure))
        };
        CpuUse {
            name: one.name.clone(),
            own_us: of_name(|one| one.own_us),
            children_us: of_name(|one| one.children_us),
        }
    });
    Some(Report {
        seconds: of(|one| one.seconds),
        done: of(|one| one.done as f64) as u64,
        per_second: of(|one| one.per_second),
        p50_us: of(|one| one.p50_us),
        p95_us: of(|one| one.p95_us),
        p99_us: of(|one| one.p99_us),
        max_us: of(|one| one.max_us),
        refused: sum(|one| one.refused),
        astray: sum(|one| one.astray),
        broken: sum(|one| one.broken),
        unanswered: sum(|one| one.unanswered),
        cpu: cpu.collect(),
        load_cpu_us: of(|one| one.load_cpu_us),
        foreign_cores: of(|one| one.foreign_cores),
    })
}

/// The middle value; of an even number, the mean of the two in the middle; of none, zero.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (values, wanted) in
            [(vec![], 0.0), (vec![3.0], 3.0), (vec![9.0, 1.0, 5.0], 5.0), (vec![1.0, 4.0], 2.5)]
        {
            assert!((median(values.iter().copied()) - wanted).abs() < 1e-9, "{values:?}");
        }
    }

    #[test]
    fn a_failure_in_one_round_stays_visible() {
        let good = Report { per_second: 10.0, ..Report::default() };
        let bad = Report { per_second: 8.0, astray: 1, ..Report::default() };
        let median = median_report(&[good.clone(), bad, good]).expect("three rounds");
        assert_eq!(median.astray, 1);
        assert!((median.per_second - 10.0).abs() < 1e-9);
        assert_eq!(median_report(&[]), None);
    }
}
