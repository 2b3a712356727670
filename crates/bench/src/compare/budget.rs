//! The budget of a change, and whether it is kept.

use super::comparison::{BESIDE_HAPROXY, Comparison, Verdict};
use super::pairs::{Spread, cpu};

/// The most that one issue may add to the instructions and to the CPU time of a call.
const SPENT_AT_MOST: f64 = 1.03;
/// User instructions of a small call over HTTP at commit 8663267, and the most that all later
/// changes may add.
const CALL_INSTRUCTIONS: f64 = 65_100.0;
const CALL_INSTRUCTIONS_TIMES: f64 = 1.10;
/// CPU time for a call by HAProxy's.
const HAPROXY_CPU_AT_MOST: f64 = 1.5;

/// Judges the measured figures. Others are left out.
pub(crate) fn judge(found: &Comparison) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for counted in &found.instructions {
        let what = format!("{}, NEW by OLD", counted.name);
        verdicts.push(Verdict::exact(what, counted.pair.ratio(), SPENT_AT_MOST));
        if counted.name == "instructions-http" {
            let what = format!("{}, NEW by 8663267's {CALL_INSTRUCTIONS}", counted.name);
            let ratio = counted.pair.new / CALL_INSTRUCTIONS;
            verdicts.push(Verdict::exact(what, ratio, CALL_INSTRUCTIONS_TIMES));
        }
    }
    for cell in &found.cells {
        if cell.failures() > 0 {
            let what = format!("{}, failed calls", cell.name);
            verdicts.push(Verdict::exact(what, cell.failures() as f64, 0.0));
        }
    }
    if let Some(cell) = found.cells.iter().find(|cell| cell.name == BESIDE_HAPROXY) {
        for (what, spread, at_most) in [
            ("NEW by OLD", cell.ratio(cpu), SPENT_AT_MOST),
            ("NEW by HAProxy", cell.of_haproxy(cpu), HAPROXY_CPU_AT_MOST),
        ] {
            let what = format!("{}, CPU a call, {what}", cell.name);
            verdicts.extend(spread.map(|spread| Verdict::of_rounds(what, spread, at_most)));
        }
    }
    verdicts
}

// === impl Verdict ===

impl Verdict {
    fn exact(what: String, figure: f64, at_most: f64) -> Self {
        Self { what, figure, at_most, kept: Some(figure <= at_most) }
    }

    /// A median over the limit is held against the change only when every round is over it.
    fn of_rounds(what: String, spread: Spread, at_most: f64) -> Self {
        let kept = match spread {
            Spread { median, .. } if median <= at_most => Some(true),
            Spread { low, .. } if low > at_most => Some(false),
            _ => None,
        };
        Self { what, figure: spread.median, at_most, kept }
    }
}
