use super::pairs::{Round, Spread, cpu};
use super::*;
use crate::load::CpuUse;

/// A report of `cpu_us` a call and `per_second` calls.
fn report(cpu_us: f64, per_second: f64) -> Report {
    let cpu = vec![CpuUse { name: "proxy".to_owned(), own_us: cpu_us * 1e3, children_us: 0.0 }];
    Report { done: 1_000, per_second, cpu, ..Report::default() }
}

/// A cell whose rounds took so much CPU a call: old, new, HAProxy.
fn cell(rounds: &[(f64, f64, Option<f64>)]) -> PairedCell {
    let mut cell = PairedCell::new(BESIDE_HAPROXY);
    for &(old, new, haproxy) in rounds {
        let of = |cpu_us| report(cpu_us, 1e6 / cpu_us);
        cell.rounds.push(Round { old: of(old), new: of(new), haproxy: haproxy.map(of) });
    }
    cell
}

fn comparison(cells: Vec<PairedCell>, instructions: Vec<Named>) -> Comparison {
    Comparison {
        began: String::new(),
        hardware: Hardware::read(),
        old: "old".into(),
        new: "new".into(),
        rounds: 3,
        seconds: 2.0,
        cells,
        idle: Vec::new(),
        instructions,
        notes: Vec::new(),
        verdicts: Vec::new(),
    }
}

fn kept(found: &Comparison) -> Vec<Option<bool>> {
    budget::judge(found).into_iter().map(|verdict| verdict.kept).collect()
}

#[test]
fn ratios_are_of_the_same_round() {
    // The machine gets twice as slow; the ratio does not.
    let cell = cell(&[(10.0, 11.0, None), (20.0, 22.0, None), (10.0, 12.0, None)]);
    let Spread { median, low, high } = cell.ratio(cpu).expect("three rounds");
    for (is, wanted) in [(median, 1.1), (low, 1.1), (high, 1.2)] {
        assert!((is - wanted).abs() < 1e-9, "{is} {wanted}");
    }
    assert_eq!(cell.of_haproxy(cpu), None, "it took no part");
    assert_eq!(PairedCell::new("http-1").ratio(cpu), None, "no round, no ratio");
}

#[test]
fn what_can_not_be_divided_is_left_out() {
    let spread = Spread::of([Some(f64::NAN), None, Some(f64::INFINITY), Some(2.0)].into_iter());
    assert_eq!(spread, Some(Spread { median: 2.0, low: 2.0, high: 2.0 }));
}

#[test]
fn a_median_over_the_limit_counts_when_every_round_is_over_it() {
    for (rounds, wanted) in [
        ([1.02, 1.01, 1.2], Some(true)),
        ([1.04, 1.05, 1.06], Some(false)),
        ([0.99, 1.05, 1.06], None),
    ] {
        let rounds = rounds.map(|ratio| (10.0, 10.0 * ratio, None));
        assert_eq!(kept(&comparison(vec![cell(&rounds)], Vec::new())), [wanted]);
    }
    let beside = comparison(vec![cell(&[(10.0, 10.0, Some(6.0))])], Vec::new());
    assert_eq!(kept(&beside), [Some(true), Some(false)], "1.67 times HAProxy's");
}

#[test]
fn instructions_are_held_to_both_budgets() {
    for (old, new, wanted) in [
        (60_000.0, 61_000.0, [Some(true), Some(true)]),
        (60_000.0, 63_000.0, [Some(false), Some(true)]),
        (71_500.0, 72_000.0, [Some(true), Some(false)]),
    ] {
        let counted = Named { name: "instructions-http", pair: Pair { old, new } };
        assert_eq!(kept(&comparison(Vec::new(), vec![counted])), wanted, "{old} {new}");
    }
}

#[test]
fn failed_calls_break_the_budget() {
    let mut broken = cell(&[(10.0, 10.0, None)]);
    broken.rounds[0].new.refused = 1;
    assert_eq!(kept(&comparison(vec![broken], Vec::new())), [Some(false), Some(true)]);
}

#[test]
fn the_text_shows_ratios_and_verdicts() {
    let counted = Named { name: "instructions-http", pair: Pair { old: 60_000.0, new: 63_000.0 } };
    let mut found =
        comparison(vec![cell(&[(10.0, 11.0, Some(8.0)), (10.0, 12.0, Some(8.0))])], vec![counted]);
    found.notes.push("instructions-stdio: no valgrind".to_owned());
    found.verdicts = budget::judge(&found);
    let text = table::render(&found);
    for wanted in [
        "1.15 (1.10 to 1.20)",
        "10.0 → 11.5",
        "CPU a call, µs, NEW by HAProxy  1.44 (1.38 to 1.50)",
        "1.050   60000 → 63000",
        "Not measured: instructions-stdio: no valgrind",
        "1.050, at most 1.03: NOT KEPT",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
}
